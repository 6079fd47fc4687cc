//! The events as user space holds them. Names stay bytes; nothing here can be printed as it is.
//!
//! Times are ns since boot (CLOCK_BOOTTIME), sizes and offsets bytes, unless a field says pages.

use tracer_common::event::handler;

/// Bytes of unknown origin: names, paths, arguments. Printed only by `output::escape`.
pub type Bytes = Vec<u8>;

/// Where an event stands in its CPU's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub cpu: u32,
    pub ring: u16,
    pub seq: u64,
    pub time: u64,
}

/// Identity of a process: a pid alone is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    pub tgid: u32,
    /// `group_leader->start_boottime`; 0 where the kernel would not tell.
    pub start: u64,
}

impl ProcessId {
    /// Whether both name the same process, a start time of 0 meaning "not known".
    pub fn same(self, other: Self) -> bool {
        self.tgid == other.tgid
            && (self.start == other.start || self.start == 0 || other.start == 0)
    }
}

/// A task as it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub id: ProcessId,
    pub tid: u32,
    pub uid: u32,
    /// tgid in its own PID namespace, if known.
    pub ns_tgid: Option<u32>,
    /// Id of its v2 cgroup, if known.
    pub cgroup: Option<u64>,
    /// A kernel thread: it has no command line.
    pub kthread: bool,
    /// A signal has killed it, or it exits: what it does now is the kernel's doing.
    pub ending: bool,
    /// Name of the process.
    pub comm: Bytes,
    /// Name of the thread.
    pub thread_comm: Bytes,
}

/// A process named by its child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    pub id: ProcessId,
    pub comm: Bytes,
}

/// A task with what is needed to name it after it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub task: Task,
    /// Nearest first.
    pub ancestors: Vec<Ancestor>,
    /// `None` where it could not be read.
    pub cmdline: Option<Vec<Bytes>>,
    /// The command line is longer than what was kept.
    pub cmdline_cut: bool,
    /// The kernel told only what helpers know; /proc may tell the rest.
    pub partial: bool,
}

impl Actor {
    /// Whether its command line is not known whole.
    pub fn lacks_cmdline(&self) -> bool {
        !self.task.kthread && (self.cmdline.is_none() || self.cmdline_cut)
    }
}

/// Identity of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InodeId {
    pub dev: Dev,
    pub ino: u64,
    pub generation: u32,
}

/// A device number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dev {
    pub major: u32,
    pub minor: u32,
}

impl std::fmt::Display for Dev {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// An inode as it was at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    pub id: InodeId,
    /// Address of the `struct inode`: joins events while the inode lives.
    pub ptr: u64,
    /// `i_sb->s_magic`.
    pub magic: u64,
    /// `i_size`.
    pub size: u64,
    /// `i_ctime`, ns since the epoch.
    pub ctime: i64,
    pub nlink: u32,
    /// `i_mode`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Inode {
    /// S_ISCHR: the file is a device.
    pub fn device(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFCHR
    }
}

/// A path as far as the kernel walked it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// Root first; empty if nothing could be read.
    pub names: Vec<Bytes>,
    /// Relative to the root of its file system: the mount is not known.
    pub fs_root: bool,
    /// Leading names are missing.
    pub cut: bool,
    /// A name could not be read.
    pub name_missing: bool,
    pub deleted: bool,
    /// Not in any directory (`memfd:NAME`).
    pub pseudo: bool,
}

/// How the page was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Exec,
    /// The fault was looked up only when its signal was raised.
    Unknown,
}

/// On whose behalf the page was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By an instruction of the process: the fault ends in a signal.
    User,
    /// By the kernel inside a system call of the process: the call fails with EFAULT.
    Kernel,
    /// By another process (ptrace, process_vm_readv): its call fails.
    Remote,
}

/// The handler that returned VM_FAULT_SIGBUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    FilemapFault,
    ShmemFault,
    PageMkwrite,
    HugetlbFault,
    SpecialMappingFault,
    Userfault,
    DaxIomapFault,
    /// None that is watched: the mapping was looked up as the signal was raised.
    Unseen,
    Other(u32),
}

/// A page fault that ended in SIGBUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub actor: Actor,
    pub inode: Inode,
    pub path: Path,
    pub address: u64,
    /// Whether `address` is exact or the start of its page.
    pub address_exact: bool,
    /// `vm_fault.pgoff`, in pages.
    pub pgoff: u64,
    pub vm_start: u64,
    pub vm_end: u64,
    /// In pages.
    pub vm_pgoff: u64,
    pub vm_flags: u64,
    /// User instruction pointer, if known.
    pub ip: Option<u64>,
    pub access: Access,
    pub mode: Mode,
    pub handler: Handler,
    /// Whose memory it is, if known.
    pub owner_tgid: Option<u32>,
    /// How many faults of this process, inode and handler there have been, this one included;
    /// in a loop most are only counted.
    pub nth: u64,
    /// What reading the page returned, if it was read and failed: a negative errno.
    pub read_errno: Option<i32>,
    /// VM_FAULT_HWPOISON or VM_FAULT_HWPOISON_LARGE.
    pub poisoned: bool,
    /// How full tmpfs was, if it failed and has a limit.
    pub shm: Option<Shm>,
    /// Mount namespace of the actor, if known.
    pub mnt_ns: Option<u32>,
    /// How many of the path's names, from the leaf, lie below its mount; `None` if the walk met
    /// no mount point.
    pub below_mount: Option<usize>,
    /// What was mounted there, if known.
    pub source: Option<Bytes>,
}

/// How full a tmpfs is, in pages; `used` is short of the truth by what CPUs keep to themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shm {
    pub max: u64,
    pub used: u64,
}

impl Handler {
    /// The number the probes know it by.
    pub fn number(self) -> u32 {
        match self {
            Self::FilemapFault => handler::FILEMAP_FAULT,
            Self::ShmemFault => handler::SHMEM_FAULT,
            Self::PageMkwrite => handler::PAGE_MKWRITE,
            Self::HugetlbFault => handler::HUGETLB_FAULT,
            Self::SpecialMappingFault => handler::SPECIAL_MAPPING_FAULT,
            Self::Userfault => handler::USERFAULT,
            Self::DaxIomapFault => handler::DAX_IOMAP_FAULT,
            Self::Unseen => handler::UNSEEN,
            Self::Other(number) => number,
        }
    }
}

impl From<u32> for Handler {
    fn from(number: u32) -> Self {
        match number {
            handler::FILEMAP_FAULT => Self::FilemapFault,
            handler::SHMEM_FAULT => Self::ShmemFault,
            handler::PAGE_MKWRITE => Self::PageMkwrite,
            handler::HUGETLB_FAULT => Self::HugetlbFault,
            handler::SPECIAL_MAPPING_FAULT => Self::SpecialMappingFault,
            handler::USERFAULT => Self::Userfault,
            handler::DAX_IOMAP_FAULT => Self::DaxIomapFault,
            handler::UNSEEN => Self::Unseen,
            other => Self::Other(other),
        }
    }
}

impl Fault {
    /// What the kernel counts it under.
    pub fn storm(&self) -> StormKey {
        let tgid = self.actor.task.id.tgid;
        StormKey { tgid, inode: self.inode.ptr, handler: self.handler }
    }

    /// The name of a mapping that has no file: `[vvar]` and the like.
    pub fn mapping(&self) -> Option<Bytes> {
        let named = self.inode.ptr == 0 && !self.path.names.is_empty();
        named.then(|| self.path.names.join(&b'/'))
    }
}

/// How a file lost its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Truncate,
    Ftruncate,
    OpenTrunc,
    CollapseRange,
    /// On another machine, or by a server in user space; this host only learnt of it.
    Remote,
    Other(u32),
}

/// A file is about to lose its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrink {
    pub actor: Actor,
    /// Before the act: its size is the old size.
    pub inode: Inode,
    pub path: Path,
    pub new_size: u64,
    /// With `inode.ptr` its identity.
    pub begin: u64,
    /// When the call returned, if it has.
    pub end: Option<u64>,
    /// What the call returned, if it has.
    pub ret: Option<i32>,
    pub how: How,
    pub mapped: bool,
    /// Sent only because a fault needed it.
    pub replayed: bool,
    /// The inode of the stacked file system above, if it was done through one: device and number
    /// as /proc/PID/maps shows them.
    pub outer: Option<(Dev, u64)>,
}

/// The call that announced a [`Shrink`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShrinkEnd {
    pub inode: u64,
    pub begin: u64,
    pub time: u64,
    pub ret: i32,
}

/// An NFS server no longer knows a file that is mapped here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// Address of the `struct inode`.
    pub ptr: u64,
    pub inode: InodeId,
}

/// A SIGBUS was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub target: Task,
    pub sender: Actor,
    pub number: i32,
    pub code: i32,
    pub address: u64,
    /// TRACE_SIGNAL_*: 0 is delivered, 1 ignored.
    pub result: i32,
    /// It came by way of force_sig_fault: no process wrote its si_code.
    pub forced: bool,
}

/// What a task does with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    Default,
    Ignore,
    Handler,
}

/// A SIGBUS reached its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    pub target: Actor,
    pub disposition: Disposition,
}

/// A process ended; `code` as wait(2) gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub id: ProcessId,
    pub time: u64,
    pub code: u32,
}

/// A signal that a process brought upon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    pub time: u64,
    /// `si_addr` of a fault; 0 otherwise.
    pub address: u64,
    /// User instruction pointer, if known.
    pub ip: Option<u64>,
    pub signal: i32,
    pub code: i32,
    pub tid: u32,
}

/// The file that holds an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    pub id: InodeId,
    /// Of the instruction in the file, in bytes.
    pub offset: u64,
    pub path: Path,
}

/// A process ended: one with a recorded fault, or one whose way to end is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    pub exit: Exit,
    pub actor: Actor,
    /// Its program, if known.
    pub exe: Option<InodeId>,
    /// The last fault or trap, other than SIGBUS, that it got a signal for.
    pub fault: Option<Raised>,
    /// The last signal it sent itself.
    pub own: Option<Raised>,
    /// Where `fault` happened, if known.
    pub module: Option<Module>,
    /// The OOM killer chose it.
    pub oom: bool,
}

/// A process of a program that ended of late, or a child of the parent of such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub actor: Actor,
    pub exe: Option<InodeId>,
    /// Only forked so far: it runs the program of its parent.
    pub forked: bool,
}

/// What the function at an instruction is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    pub victim: ProcessId,
    pub name: Bytes,
    /// Bytes from its start.
    pub offset: u64,
}

/// A memory cgroup that is at its limit, read at once after the OOM killer acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLimit {
    pub victim: ProcessId,
    pub cgroup: Bytes,
    /// Bytes (`memory.max`).
    pub limit: u64,
}

/// Which ends of processes are told, beside bus errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deaths {
    /// Killed by these signals, `1 << number`.
    pub signals: u32,
    pub exits: Exits,
}

/// Which processes are told that exit of their own will with a status other than 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exits {
    #[default]
    None,
    /// Those that lasted a second, the main processes of services and containers, and those that
    /// fail again and again under the same parent.
    Lasting,
    All,
}

impl Exits {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lasting => "lasting",
            Self::All => "all",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Lasting, Self::All].into_iter().find(|exits| exits.name() == text)
    }
}

/// What /proc told of a process, read at once because it may be gone a moment later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub id: ProcessId,
    pub exe: Option<Bytes>,
    pub cgroup: Option<Bytes>,
    pub cmdline: Option<Vec<Bytes>>,
    /// Nearest first.
    pub ancestors: Vec<Ancestor>,
    /// /proc did not answer in time: nothing but the id is known.
    pub late: bool,
}

impl Process {
    /// Takes over what was not known before.
    pub fn learn(&mut self, other: Self) {
        let Self { exe, cgroup, cmdline, ancestors, late, .. } = other;
        self.exe = self.exe.take().or(exe);
        self.cgroup = self.cgroup.take().or(cgroup);
        self.cmdline = self.cmdline.take().or(cmdline);
        if self.ancestors.is_empty() {
            self.ancestors = ancestors;
        }
        self.late |= late;
    }
}

/// One mount of the tracer's mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub dev: Dev,
    /// The directory of the file system that is mounted.
    pub root: Bytes,
    pub point: Bytes,
    pub fstype: Bytes,
    pub source: Bytes,
}

/// How much room a file system had, read at once after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub dev: Dev,
    /// Bytes.
    pub total: u64,
    /// Bytes an ordinary user may still take.
    pub free: u64,
    /// Inodes; 0 of 0 where the file system does not count them.
    pub free_inodes: u64,
    /// What statfs(2) failed with instead of telling the above, a positive errno.
    pub errno: Option<i32>,
}

/// The pool of huge pages of the default size, read at once after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugePages {
    pub total: u64,
    pub free: u64,
    /// Promised to mappings that have not touched them.
    pub reserved: u64,
    /// Bytes.
    pub size: u64,
}

/// A quota of the file system that is used up, read at once after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whose fault it was asked for.
    pub victim: ProcessId,
    /// USRQUOTA 0, GRPQUOTA 1, PRJQUOTA 2.
    pub kind: u32,
    /// uid, gid or project.
    pub id: u32,
    /// Bytes.
    pub used: u64,
    /// Bytes; the hard limit.
    pub limit: u64,
}

/// The cgroup's limit on huge pages that is used up, read at once after a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugeLimit {
    /// Whose fault it was asked for.
    pub victim: ProcessId,
    pub cgroup: Bytes,
    /// Bytes.
    pub used: u64,
    /// Bytes.
    pub limit: u64,
}

/// What /proc said lies at the address of a signal whose fault nobody told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    pub victim: ProcessId,
    pub address: u64,
    pub path: Bytes,
}

/// How the victim's mount namespace sees the file system of its file, where that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub victim: ProcessId,
    /// The process it was read from: the victim or an ancestor in the same namespace.
    pub via: u32,
    pub mounts: Vec<Mount>,
}

/// Who maps a file that is being shrunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mappers {
    /// `Shrink::inode.ptr`.
    pub inode: u64,
    /// `Shrink::begin`.
    pub begin: u64,
    pub processes: Vec<Mapper>,
    /// What the file is called in the first of them.
    pub path: Option<Bytes>,
    /// Why the list may be incomplete.
    pub why: Option<String>,
}

/// A process that maps a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapper {
    pub id: ProcessId,
    pub comm: Bytes,
}

/// How often the kernel has counted a fault that loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    pub key: StormKey,
    pub count: u64,
}

/// What the kernel counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StormKey {
    pub tgid: u32,
    /// Address of the `struct inode`; 0 without a file.
    pub inode: u64,
    pub handler: Handler,
}

/// Everything the engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Fault(Box<Fault>),
    Shrink(Box<Shrink>),
    ShrinkEnd(ShrinkEnd),
    Signal(Box<Signal>),
    Deliver(Box<Deliver>),
    Death(Box<Death>),
    Start(Box<Start>),
    Process(Box<Process>),
    Symbol(Symbol),
    MemoryLimit(MemoryLimit),
    /// OOM kills since boot (`oom_kill` of /proc/vmstat), counted after a process ended.
    OomKills {
        victim: ProcessId,
        count: u64,
    },
    /// The wall clock was set: CLOCK_REALTIME − CLOCK_BOOTTIME, ns.
    Wall(i64),
    Mounts(Vec<Mount>),
    Space(Space),
    HugePages(HugePages),
    Quota(Quota),
    HugeLimit(HugeLimit),
    View(View),
    Mapped(Mapped),
    Mappers(Mappers),
    Stale(Stale),
    Storm(Storm),
    /// How often a hook's program has not been run, because it was running already on that CPU
    /// (kernel/bpf/trampoline.c __bpf_prog_enter_recur).
    Missed {
        hook: String,
        count: u64,
    },
    /// Final account of one ring of one CPU: events numbered so far.
    Account {
        cpu: u32,
        ring: u16,
        seq: u64,
    },
}

impl Event {
    /// Whether a probe told it; what user space found out itself belongs to an event of a probe.
    pub fn of_kernel(&self) -> bool {
        matches!(
            self,
            Self::Fault(_)
                | Self::Shrink(_)
                | Self::ShrinkEnd(_)
                | Self::Signal(_)
                | Self::Deliver(_)
                | Self::Death(_)
                | Self::Start(_)
                | Self::Stale(_)
        )
    }
}

/// What the stream was recorded on; constant while watching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub boot_id: String,
    pub release: String,
    /// When watching was complete.
    pub since: u64,
    /// CLOCK_REALTIME − CLOCK_BOOTTIME, ns.
    pub wall: i64,
    pub page_size: u64,
    /// The tracer's own tgid.
    pub pid: u32,
    /// Mount namespace of the tracer, if known.
    pub mnt_ns: Option<u32>,
    pub deaths: Deaths,
    pub hooks: Vec<String>,
    /// Hooks that could not be attached, and what is unknown without each.
    pub blind: Vec<Blind>,
}

/// A hook that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    pub hook: String,
    pub reason: String,
    pub causes: String,
}

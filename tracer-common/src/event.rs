//! The events, as the probes write them and `tracer::event::decode` reads them.
//!
//! Times are ns since boot (CLOCK_BOOTTIME, `bpf_ktime_get_boot_ns`), sizes and offsets bytes
//! unless a field says pages. Zero means "not known" for start times and namespace pids.

/// Bytes of `task_struct.comm`.
pub const COMM: usize = 16;
/// Bytes of the command line that travel with an event; longer ones are cut and flagged.
pub const CMDLINE: usize = 256;
/// Ancestors that travel with an event, nearest first.
pub const ANCESTORS: usize = 8;
/// Longest path that travels with an event, in bytes.
pub const PATH: usize = 4096;
/// Bytes of a mount's source that travel with an event.
pub const SOURCE: usize = 64;
/// Shrinks remembered for one inode in the kernel.
pub const SHRINK_SLOTS: u64 = 4;

/// Kinds of event (`Header::kind`). User space numbers its own from [`kind::USER`].
pub mod kind {
    pub const FAULT: u16 = 1;
    pub const SHRINK: u16 = 2;
    pub const SHRINK_END: u16 = 3;
    pub const SIGNAL: u16 = 4;
    pub const DELIVER: u16 = 5;
    pub const EXIT: u16 = 6;
    pub const STALE: u16 = 7;
    pub const START: u16 = 8;
    /// First kind that only user space writes into a saved stream.
    pub const USER: u16 = 0x100;
}

/// Rings (`Header::ring`): one for what decides an answer, one for what is merely frequent.
pub mod ring {
    pub const DECISIVE: u16 = 0;
    pub const CHATTY: u16 = 1;
    pub const COUNT: usize = 2;
}

/// What stands at the start of every event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u16,
    /// One of [`ring`].
    pub ring: u16,
    /// Bytes of the whole event, this header included.
    pub len: u32,
    pub cpu: u32,
    pub pad: u32,
    /// Numbers the events of one (cpu, ring) from 1, also those that found no room.
    pub seq: u64,
    /// When it happened.
    pub time: u64,
}

/// A task as it is named: (tgid, start_time) is its identity, the rest is how it is shown.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Task {
    /// `group_leader->start_boottime`; 0 where the kernel gives no typed task (5.10 locked down).
    pub start_time: u64,
    /// Id of its cgroup in the v2 hierarchy (the inode number of its directory); 0 unknown.
    pub cgroup: u64,
    pub tgid: u32,
    pub tid: u32,
    pub uid: u32,
    /// tgid in its own PID namespace; 0 unknown.
    pub ns_tgid: u32,
    /// `task_struct.flags` (PF_KTHREAD is 0x200000).
    pub flags: u32,
    pub pad: u32,
    /// Name of the process (its group leader); may hold stale bytes after the first NUL.
    pub comm: [u8; COMM],
    /// Name of the thread itself.
    pub thread_comm: [u8; COMM],
}

/// One ancestor of an actor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ancestor {
    pub start_time: u64,
    pub tgid: u32,
    pub pad: u32,
    pub comm: [u8; COMM],
}

/// `Actor::flags`: the kernel could not be asked for more than the helpers tell
/// (no ancestors, no start time).
pub const ACTOR_PARTIAL: u32 = 1;
/// `Actor::flags`: the command line was not read (lockdown, kernel thread, page not resident).
pub const ACTOR_NO_CMDLINE: u32 = 2;

/// A task with what is needed to name it after it is gone.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Actor {
    pub task: Task,
    pub ancestors: [Ancestor; ANCESTORS],
    pub ancestor_count: u32,
    pub flags: u32,
    /// Bytes of `cmdline` in use.
    pub cmdline_len: u32,
    /// Bytes the command line really has.
    pub cmdline_full: u32,
    /// NUL-separated, as it stands in the actor's memory.
    pub cmdline: [u8; CMDLINE],
}

/// An inode; (dev, ino, generation) is its identity, the pointer joins events while it lives.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Inode {
    /// Address of the `struct inode`.
    pub ptr: u64,
    pub ino: u64,
    /// `i_sb->s_dev` as the kernel keeps it: major in the bits from 20, minor below.
    pub dev: u32,
    pub generation: u32,
    /// `i_sb->s_magic`.
    pub magic: u64,
    /// `i_size`.
    pub size: i64,
    /// `i_ctime`, ns since the epoch.
    pub ctime: i64,
    pub nlink: u32,
    /// `i_mode`: the type of the file (S_IFMT) and its permissions.
    pub mode: u32,
    /// `i_uid`, as the initial user namespace numbers it.
    pub uid: u32,
    /// `i_gid`, likewise.
    pub gid: u32,
}

/// `path_flags`: the walk stopped at the root of the file system, not of the mount tree.
pub const PATH_FS_ROOT: u32 = 1;
/// `path_flags`: leading components are missing.
pub const PATH_CUT: u32 = 2;
/// `path_flags`: the dentry is no longer hashed ("(deleted)").
pub const PATH_DELETED: u32 = 4;
/// `path_flags`: an object without a place in any directory (`memfd:NAME`, `SYSV…`).
pub const PATH_PSEUDO: u32 = 8;
/// `path_flags`: a name longer than the kernel keeps inline could not be read (lockdown).
pub const PATH_NAME_MISSING: u32 = 16;

/// Handlers (`Fault::handler`).
pub mod handler {
    pub const FILEMAP_FAULT: u32 = 1;
    pub const SHMEM_FAULT: u32 = 2;
    pub const PAGE_MKWRITE: u32 = 3;
    pub const HUGETLB_FAULT: u32 = 4;
    pub const SPECIAL_MAPPING_FAULT: u32 = 5;
    pub const USERFAULT: u32 = 6;
    pub const DAX_IOMAP_FAULT: u32 = 7;
    /// None that is watched: the VMA was looked up as the signal was raised, and what kind of
    /// access it was is not known.
    pub const UNSEEN: u32 = 8;
}

/// A page fault that ended in VM_FAULT_SIGBUS, VM_FAULT_HWPOISON or VM_FAULT_HWPOISON_LARGE.
///
/// Followed by `path_len` bytes: the names of the path, leaf first, each ended by NULs.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Fault {
    pub header: Header,
    /// Who touched the page: the task that gets the signal, or the EFAULT.
    pub actor: Actor,
    pub inode: Inode,
    /// `vm_fault.real_address`; page-aligned `vm_fault.address` where that is missing (5.10).
    pub address: u64,
    /// `vm_fault.pgoff`, in pages.
    pub pgoff: u64,
    pub vm_start: u64,
    pub vm_end: u64,
    /// `vm_area_struct.vm_pgoff`, in pages.
    pub vm_pgoff: u64,
    pub vm_flags: u64,
    /// First user instruction pointer of the stack; 0 unknown.
    pub ip: u64,
    /// How many faults of this [`StormKey`] there have been, this one included.
    pub nth: u64,
    /// `vm_fault.flags` (FAULT_FLAG_*).
    pub flags: u32,
    /// `vm_fault_t` as returned.
    pub ret: u32,
    /// One of [`handler`].
    pub handler: u32,
    /// 1 if `address` is exact, 0 if it is the start of the page.
    pub address_exact: u32,
    /// `vm_mm->owner->tgid`: whose memory it is; 0 unknown.
    pub owner_tgid: u32,
    pub path_flags: u32,
    pub path_len: u32,
    /// What reading the page from its file system returned, negative; 0 if it was not read.
    pub read_errno: i32,
    /// `shmem_sb_info.max_blocks`, in pages, where tmpfs failed; 0 if there is no limit.
    pub shm_max: u64,
    /// `shmem_sb_info.used_blocks`, in pages; short of the truth by what CPUs keep to themselves.
    pub shm_used: u64,
    /// Inode number of the mount namespace of the actor; 0 unknown.
    pub mnt_ns: u32,
    /// The names below the mount take up as many bytes; u32::MAX if the walk met no mount point.
    pub below_mount: u32,
    /// `mount.mnt_devname`, ended by NUL: what was mounted.
    pub mount_source: [u8; SOURCE],
}

/// Faults that are counted together.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StormKey {
    /// Address of the `struct inode`; 0 without a file.
    pub inode: u64,
    pub tgid: u32,
    /// One of [`handler`].
    pub handler: u32,
}

/// Their count. Of one key the first [`STORM_FIRST`] are sent, then one every [`STORM_EVERY`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    pub count: u64,
    /// When one was sent last.
    pub sent: u64,
}

/// Faults of one [`StormKey`] that are sent before they are only counted.
pub const STORM_FIRST: u64 = 10;
/// Ns between those that are sent after that.
pub const STORM_EVERY: u64 = 500_000_000;

/// How a file lost its end (`Shrink::how`).
pub mod how {
    pub const TRUNCATE: u32 = 1;
    pub const FTRUNCATE: u32 = 2;
    pub const OPEN_TRUNC: u32 = 3;
    pub const COLLAPSE_RANGE: u32 = 4;
    /// Not done here: a server said so, and this is when we learnt of it. The actor is whoever
    /// happened to ask.
    pub const REMOTE: u32 = 5;
}

/// The inode was mapped when it was shrunk (`address_space.i_mmap` not empty).
pub const SHRINK_MAPPED: u32 = 1;
/// Kept in the kernel, sent because a fault needed it.
pub const SHRINK_REPLAYED: u32 = 2;

/// `i_size` of a regular file is about to fall (fentry `notify_change`).
///
/// (inode.ptr, begin) is its identity. Followed by `path_len` bytes as in [`Fault`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Shrink {
    pub header: Header,
    pub actor: Actor,
    /// As it was before: `inode.size` is the old size.
    pub inode: Inode,
    pub new_size: i64,
    pub begin: u64,
    /// 0 while the call is still under way.
    pub end: u64,
    /// What the call returned; meaningful once `end` is set.
    pub ret: i32,
    /// One of [`how`].
    pub how: u32,
    /// SHRINK_* bits.
    pub flags: u32,
    /// 1 once it has been handed to the ring buffer (kernel-internal).
    pub sent: u32,
    pub path_flags: u32,
    pub path_len: u32,
    /// The inode a stacked file system was called for, if this is the one below it: the one that
    /// /proc/PID/maps shows; 0 otherwise.
    pub outer_ino: u64,
    /// Its `i_sb->s_dev`.
    pub outer_dev: u32,
    pub pad: u32,
}

/// The call that announced a [`Shrink`] has returned.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ShrinkEnd {
    pub header: Header,
    /// `Shrink::inode.ptr`.
    pub inode: u64,
    /// `Shrink::begin`.
    pub begin: u64,
    pub ret: i32,
    pub pad: u32,
}

/// A signal was generated (`signal:signal_generate`): a SIGBUS, or one of those asked for that
/// another process or the kernel sent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Signal {
    pub header: Header,
    pub target: Task,
    /// Who caused it; the target itself for a fault, and then without ancestors.
    pub sender: Actor,
    /// `si_addr` of a fault; 0 otherwise.
    pub address: u64,
    pub signal: i32,
    pub code: i32,
    /// TRACE_SIGNAL_*: 0 delivered, 1 ignored, 2 already pending, …
    pub result: i32,
    /// 1 if sent to the process, 0 to the thread.
    pub group: i32,
    /// 1 if it came by way of force_sig_fault: a fault, or a trap. A process can put any si_code
    /// into a signal to itself.
    pub forced: u32,
    pub pad: u32,
}

/// Dispositions (`Deliver::disposition`).
pub mod disposition {
    pub const DEFAULT: u32 = 0;
    pub const IGNORE: u32 = 1;
    pub const HANDLER: u32 = 2;
}

/// A SIGBUS reached its task (`signal:signal_deliver`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Deliver {
    pub header: Header,
    /// Who receives it: the current task, so all of it can be told.
    pub target: Actor,
    pub signal: i32,
    /// One of [`disposition`].
    pub disposition: u32,
}

/// A signal that a process brought upon itself; all zero if there was none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Raised {
    pub time: u64,
    /// `si_addr` of a fault; 0 otherwise.
    pub address: u64,
    /// First user instruction pointer of the stack; 0 unknown.
    pub ip: u64,
    pub signal: i32,
    pub code: i32,
    pub tid: u32,
    pub pad: u32,
}

/// What a process last brought upon itself, other than SIGBUS.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Raises {
    /// By a fault or a trap.
    pub fault: Raised,
    /// By kill(2) and the like, as abort(3) does.
    pub own: Raised,
}

/// A file by what outlives its inode's address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FileId {
    pub ino: u64,
    /// As [`Inode::dev`].
    pub dev: u32,
    pub generation: u32,
}

/// A process has ended (its last thread, in `do_exit`): one with a recorded fault, or one that a
/// signal asked for killed, or, if that is asked for, one whose status is not zero.
///
/// Followed by `path_len` bytes as in [`Fault`]: of the file mapped at `raises.fault.ip`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Exit {
    pub header: Header,
    pub actor: Actor,
    pub raises: Raises,
    /// Its program: `mm->exe_file`; all zero if unknown.
    pub exe: FileId,
    /// The file mapped at `raises.fault.ip`; all zero if unknown.
    pub module: FileId,
    /// Offset of that instruction in the file, in bytes.
    pub module_offset: u64,
    /// As wait(2) gives it: signal in bits 0–6, core dumped 0x80, status from bit 8.
    pub code: u32,
    /// 1 if the OOM killer chose it (`signal_struct.oom_mm`, mm/oom_kill.c mark_oom_victim).
    pub oom: u32,
    pub path_flags: u32,
    pub path_len: u32,
}

/// Processes of a program that has died of late, or children of the parent of such.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Start {
    pub header: Header,
    pub actor: Actor,
    pub exe: FileId,
    /// 1 if it was only forked so far: it still runs the program of its parent.
    pub forked: u32,
    pub pad: u32,
}

/// An NFS server no longer knows a file that is mapped (`nfs:nfs_set_inode_stale`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stale {
    pub header: Header,
    pub inode: Inode,
}

macro_rules! layout {
    ($($ty:ty = $size:literal),* $(,)?) => {
        $(const _: () = assert!(size_of::<$ty>() == $size && align_of::<$ty>() == 8);)*
    };
}
layout! {
    Header = 32, Task = 72, Ancestor = 32, Actor = 600, Inode = 64, Fault = 880, Shrink = 760,
    ShrinkEnd = 56, Signal = 736, Deliver = 640, Raised = 40, Raises = 80, FileId = 16, Exit = 768,
    Start = 656, Stale = 96,
}

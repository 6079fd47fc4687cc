//! The incident: one victim, one file or address, one cause.
use crate::{
    correlate::{cause::SignalFrom, evidence::Verdict},
    model::{
        Bytes,
        cause::{CauseKind, Confidence, Outcome},
        fact::{BoundDriver, Mapper, Place, Process, Symbol, View, is_warning},
        fault::{Fault, Mode},
        file::{Mount, Path, below, name, on},
        host::Host,
        magic::{
            BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FUSE_SUPER_MAGIC, HUGETLBFS_MAGIC,
            NFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC,
        },
        oom::OomKill,
        process::{Exit, ProcessExit},
        server::FuseServer,
        shrink::{Shrink, ShrinkKind},
        signal::{Disposition, Signal},
        stack::Stack,
        task::{Actor, Ancestor, ProcessId},
        time::ClockOffset,
    },
};

/// Of a file system on a loop device.
const LOOP_ADVICE: &str = "its device is a file: look whether that was truncated or written over, and whether the file \
                           system that holds it is full or fails; dmesg tells more. Then mount it again";

/// One victim, one file or address, one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Counts from 1 within a watch.
    pub number: u64,
    /// Unique across hosts and boots (a UUID of version 7).
    pub id: String,
    /// Time of the first fault or signal, ns since boot.
    pub first: u64,
    /// Time of the last.
    pub last: u64,
    pub count: u64,
    /// Threads that faulted.
    pub threads: Vec<u32>,
    pub victim: Actor,
    pub victim_process: Option<Process>,
    pub fault: Option<Fault>,
    pub file: Option<File>,
    /// Who serves the file, if it is on FUSE.
    pub server: Option<FuseServer>,
    pub signal: Option<Signal>,
    pub disposition: Option<Disposition>,
    pub outcome: Outcome,
    pub exit: Option<Exit>,
    /// How it ended, where that was told with all there is to know.
    pub death: Option<ProcessExit>,
    /// The file that holds the instruction it failed at.
    pub module_path: Option<Bytes>,
    /// Where in its program its fault happened, where it was there to be asked.
    pub place: Option<Place>,
    /// The stack of the thread whose signal ended it.
    pub stack: Option<Box<Stack>>,
    /// Whether that was one too many to be captured, as far as is known.
    pub stack_lost: bool,
    /// The stack of whoever shrank its file, as the act began.
    pub culprit_stack: Option<Stack>,
    /// The function it failed in.
    pub symbol: Option<Symbol>,
    /// Why the OOM killer killed it, where that was told.
    pub oom: Option<OomKill>,
    /// The memory cgroup that the OOM killer acted for, if that is known by name.
    pub memory: Option<Memory>,
    /// OOM kills since boot, as it ended.
    pub oom_kills: Option<u64>,
    pub restart: Option<Restart>,
    pub cause: Verdict,
    pub culprit_process: Option<Process>,
    /// The early warning of the shrink that did it, if there was one.
    pub truncation: Option<Truncation>,
    /// What the culprit called the file; `None` if nobody mapped it then, and no path was walked.
    pub culprit_path: Option<Bytes>,
    /// What /proc said is mapped at the address, where no fault was told.
    pub mapped: Option<Bytes>,
    /// The driver that the device it touched is bound to.
    pub driver: Option<BoundDriver>,
    /// Who gave the shared memory that it touched its size.
    pub sized: Option<Shrink>,
    /// Events lost that may concern this incident.
    pub lost: u64,
    /// Hooks that are missing on this host and might have decided its cause, by name.
    pub blind: Vec<String>,
    /// CLOCK_REALTIME − CLOCK_BOOTTIME as it was told first, ns: its times stay what they were.
    pub clock: ClockOffset,
}

/// A memory cgroup that ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    pub cgroup: Bytes,
    /// Bytes.
    pub limit: u64,
    /// Bytes, as the OOM killer chose; `None` if the limit was looked up after that.
    pub used: Option<u64>,
}

/// The process that took the victim's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    pub id: ProcessId,
    /// When it ran the program, ns since boot.
    pub time: u64,
    /// Its parent.
    pub by: Option<Ancestor>,
    /// Forked by its parent, without exec(2).
    pub forked: bool,
    /// Whether it has the same arguments, if both are known.
    pub same_arguments: Option<bool>,
}

impl Incident {
    /// Whether nothing is missing that might tell otherwise.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.blind.is_empty()
    }

    /// Whether its cause is proven by what is there, and something is missing.
    pub fn is_proven_in_part(&self) -> bool {
        let explained = self.cause.class != CauseKind::Unknown;
        explained && !self.cause.is_likely() && !self.is_complete()
    }

    /// One that begins at `time`, ns since boot, of which nothing else is known yet.
    pub fn new(id: String, time: u64, victim: Actor, clock: ClockOffset) -> Self {
        Self {
            number: 0,
            id,
            first: time,
            last: time,
            count: 1,
            threads: vec![victim.task.tid],
            victim,
            victim_process: None,
            fault: None,
            file: None,
            server: None,
            signal: None,
            disposition: None,
            outcome: Outcome::Pending,
            exit: None,
            death: None,
            module_path: None,
            place: None,
            stack: None,
            stack_lost: false,
            culprit_stack: None,
            symbol: None,
            oom: None,
            memory: None,
            oom_kills: None,
            restart: None,
            clock,
            cause: Verdict::new(CauseKind::Unknown, Confidence::Unknown, "not judged yet", ""),
            culprit_process: None,
            truncation: None,
            culprit_path: None,
            mapped: None,
            driver: None,
            sized: None,
            lost: 0,
            blind: Vec::new(),
        }
    }

    /// Whether it is this stack's thread whose own signal ended it: where a fault raised that, at the instruction of the
    /// fault; or if its handler gave up, as by abort(3), and the stack leads through that to the fault.
    pub fn is_ended_by(&self, stack: &Stack) -> bool {
        let (Some(signal), Some(exit)) = (&self.signal, self.exit) else { return false };
        let of_fault = self.fault.as_ref().and_then(|fault| fault.ip);
        let of_death = || self.death.as_ref()?.fault?.ip;
        let ip = of_fault.or_else(of_death).filter(|_| signal.forced);
        let innermost = stack.frames.first().map(|frame| frame.ip);
        let mut handled = stack.frames.windows(2).filter(|two| two[0].is_signal());
        let of_signal = exit.code & 0x7f == signal.number.unsigned_abs();
        signal.target.tid == stack.tid
            && match of_signal {
                true => ip.is_none_or(|ip| innermost == Some(ip)),
                false => ip.is_some_and(|ip| handled.any(|two| two[1].ip == ip)),
            }
    }

    /// When the thread ended whose own signal ended it, ns since boot: its stack is captured, if there is room.
    pub fn ended_itself(&self) -> Option<u64> {
        let (signal, exit) = (self.signal.as_ref()?, self.exit?);
        let own = signal.forced || signal.sender.task.id.same(self.victim.task.id);
        (own && exit.code & 0x7f == signal.number.unsigned_abs()).then_some(exit.time)
    }

    /// Who did it, as far as that is anybody on this host; of an OOM kill, who asked for memory.
    pub fn culprit(&self) -> Option<&Actor> {
        if let Some(act) = &self.cause.shrink {
            return (act.how != ShrinkKind::Remote).then_some(&act.actor);
        }
        let sent = self.signal.as_ref().filter(|signal| !signal.may_be_of_interrupt());
        let sender = sent.map(|signal| &signal.sender);
        match self.cause.class.cause().signal_from {
            // What a kernel thread sends is for somebody else: it reads a terminal's keys, say.
            SignalFrom::Process => sender.filter(|sender| !sender.task.kthread),
            SignalFrom::OomKiller => sender,
            _ => None,
        }
    }

    /// What the file is called that it is about: the one that was touched, or the one whose code was written over.
    pub fn path(&self) -> Option<&[u8]> {
        if self.cause.class == CauseKind::Overwritten {
            return self.module_path.as_deref().or(self.culprit_path.as_deref());
        }
        self.file.as_ref().and_then(|file| file.path.as_deref())
    }

    /// What to do about it. Whether a loop device is below is not known as the rules are asked.
    pub fn advice(&self) -> &'static str {
        let failed = matches!(self.cause.class, CauseKind::ReadError | CauseKind::WriteError);
        let mount = self.file.as_ref().and_then(|file| file.mount.as_ref());
        let backed = mount.is_some_and(|mount| mount.backing.is_some());
        if failed && backed { LOOP_ADVICE } else { self.cause.advice }
    }

    /// The faulting address, exact if the fault or its signal told it.
    pub fn address(&self) -> Option<(u64, bool)> {
        if let Some(fault) = &self.fault
            && fault.address_exact
            && !is_whole_page(fault)
        {
            return Some((fault.address, true));
        }
        if let Some(signal) = &self.signal
            && signal.code > 0
            && signal.address != 0
        {
            return Some((signal.address, true));
        }
        self.fault.as_ref().map(|fault| (fault.address, false))
    }

    /// Where in the file it was touched, in bytes.
    pub fn file_offset(&self, page_size: u64) -> Option<u64> {
        let fault = self.fault.as_ref().filter(|fault| fault.inode.ptr != 0)?;
        let (address, _) = self.address()?;
        let page = fault.pgoff.saturating_mul(page_size);
        Some(page.saturating_add(address & (page_size - 1)))
    }
}

/// A mapped file was shrunk: the early warning; or one that other hosts may map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncation {
    /// Unique across hosts and boots (a UUID of version 7).
    pub id: String,
    pub shrink: Shrink,
    pub path: Option<Bytes>,
    pub process: Option<Process>,
    /// The mount of its file system, where that is known here.
    pub mount: Option<Mount>,
    /// Who serves it, if it is on FUSE.
    pub server: Option<FuseServer>,
    /// Processes that mapped what was cut off.
    pub at_risk: Vec<Mapper>,
    /// Why `at_risk` may be incomplete.
    pub why: Option<String>,
}

impl Truncation {
    /// Whether anybody here is known to be at risk, or may be although somebody looked.
    pub fn is_warning(&self) -> bool {
        is_warning(!self.at_risk.is_empty(), self.why.as_deref())
    }
}

/// The file that was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As far as it is known; see `why`.
    pub path: Option<Bytes>,
    /// What is missing about the path.
    pub why: Option<&'static str>,
    pub deleted: bool,
    pub mount: Option<FileMount>,
    /// The victim lives in a mount namespace other than ours and the host's: `path` is what it sees.
    pub foreign: bool,
    /// What we see the file as, if `foreign`.
    pub outside: Option<Bytes>,
}

/// Where the file system of a file is mounted, as its victim sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMount {
    pub point: Bytes,
    pub source: Option<Bytes>,
    pub fstype: Option<Bytes>,
    /// Of the server, as `Mount::address`.
    pub address: Option<Bytes>,
    /// As `Mount::backing`.
    pub backing: Option<Bytes>,
}

impl File {
    /// Names the file of a fault from the walked path and the mounts: ours, and those its victim
    /// sees if it lives in another mount namespace than the tracer of this `host`.
    pub fn of(fault: &Fault, mounts: &[Mount], host: &Host, view: Option<&View>) -> Self {
        let ours = on(fault.inode.id.dev, mounts);
        let other = |own: Option<u32>| own.is_some() && fault.mnt_ns != own;
        let beside = fault.mnt_ns.is_some() && other(host.mnt_ns);
        // The tracer may have mounts of its own. What the first process sees is what an administrator sees.
        let foreign = beside && (host.init_mnt_ns.is_none() || other(host.init_mnt_ns));
        let theirs: Vec<&Mount> = view.iter().flat_map(|view| &view.mounts).collect();
        let seen = if foreign || beside && !theirs.is_empty() { &theirs } else { &ours };
        let (path, why) = name(&fault.path, seen);
        let above = |path: &[u8]| {
            let over = seen.iter().filter(|mount| below(path, &mount.point));
            over.max_by_key(|mount| mount.point.len())
        };
        let mount = path.as_deref().and_then(above);
        let outside =
            foreign.then(|| outside(path.as_deref()?, mount.copied(), &ours, view)).flatten();
        let mount = match (mount.or_else(|| seen.first()), walked_mount(fault)) {
            (Some(mount), walked) => Some(FileMount {
                point: walked.map_or_else(|| mount.point.clone(), |walked| walked.point),
                source: Some(mount.source.clone()),
                fstype: Some(mount.fstype.clone()),
                address: mount.address.clone(),
                backing: mount.backing.clone(),
            }),
            (None, walked) => walked,
        };
        Self { path, why, deleted: fault.path.deleted, mount, foreign, outside }
    }

    /// File system type: by its mount, or by its magic number.
    pub fn fstype(&self, magic: u64) -> Option<Bytes> {
        if let Some(fstype) = self.mount.as_ref().and_then(|mount| mount.fstype.as_ref()) {
            return Some(fstype.clone());
        }
        let name = match magic {
            TMPFS_MAGIC => "tmpfs",
            EXT4_SUPER_MAGIC => "ext4",
            XFS_SUPER_MAGIC => "xfs",
            BTRFS_SUPER_MAGIC => "btrfs",
            OVERLAYFS_SUPER_MAGIC => "overlay",
            NFS_SUPER_MAGIC => "nfs",
            FUSE_SUPER_MAGIC => "fuse",
            HUGETLBFS_MAGIC => "hugetlbfs",
            _ => return None,
        };
        Some(name.as_bytes().to_vec())
    }
}

/// Whether whoever touched another process' memory may have asked for its page as a whole, as process_vm_readv(2) does
/// (mm/process_vm_access.c).
fn is_whole_page(fault: &Fault) -> bool {
    const SMALLEST: u64 = 4096;
    fault.mode == Mode::Remote && fault.address & (SMALLEST - 1) == 0
}

/// The mount as the kernel walked it, where that is all there is.
fn walked_mount(fault: &Fault) -> Option<FileMount> {
    let Path { names, fs_root, cut, pseudo, .. } = &fault.path;
    if *fs_root || *cut || *pseudo || names.is_empty() {
        return None;
    }
    let below = fault.below_mount.unwrap_or(names.len());
    let mut point = vec![b'/'];
    point.extend_from_slice(&names[..names.len().saturating_sub(below)].join(&b'/'));
    let source = fault.source.clone();
    Some(FileMount { point, source, fstype: None, address: None, backing: None })
}

/// What we see a file as that `path` names in another mount namespace: where we have the same
/// directory of its file system mounted, or else through a process that lives there.
fn outside(
    path: &[u8],
    theirs: Option<&Mount>,
    ours: &[&Mount],
    view: Option<&View>,
) -> Option<Bytes> {
    let join = |base: &[u8], rest: &[u8]| {
        let mut full = base.strip_suffix(b"/").unwrap_or(base).to_vec();
        full.extend_from_slice(rest);
        full
    };
    let theirs = theirs?;
    let rest = path.strip_prefix(theirs.point.strip_suffix(b"/").unwrap_or(&theirs.point))?;
    let in_fs = join(&theirs.root, rest);
    let placed = ours
        .iter()
        .filter(|mount| below(&in_fs, &mount.root))
        .min_by_key(|mount| (mount.root.len(), mount.point.len()));
    match placed {
        Some(mount) => {
            let root = mount.root.strip_suffix(b"/").unwrap_or(&mount.root);
            Some(join(&mount.point, &in_fs[root.len()..]))
        }
        None => Some(join(format!("/proc/{}/root", view?.via).as_bytes(), path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{actor, fault, host};

    /// The packaged service has mounts of its own (`ProtectHome=`); the processes of the host are not foreign to it.
    #[test]
    fn who_sees_what_the_first_process_sees_is_in_no_other_namespace() {
        let tracer = Host { mnt_ns: Some(2), init_mnt_ns: Some(1), ..host() };
        let foreign = |theirs, host: &Host| {
            File::of(&Fault { mnt_ns: theirs, ..fault(0, 0) }, &[], host, None).foreign
        };
        let seen = [Some(1), Some(2), Some(3), None].map(|theirs| foreign(theirs, &tracer));
        assert_eq!(seen, [false, false, true, false]);
        assert!(foreign(Some(1), &Host { init_mnt_ns: None, ..tracer }), "an older stream");
    }

    #[test]
    fn who_asks_for_whole_pages_tells_no_more() {
        let mut incident = Incident::new(String::new(), 1, actor(7), ClockOffset::default());
        let mut exact = |mode, address| {
            incident.fault = Some(Fault { address, mode, ..fault(0, 0) });
            incident.address()
        };
        assert_eq!(exact(Mode::Remote, 0x4000), Some((0x4000, false)));
        assert_eq!(exact(Mode::Remote, 0x4008), Some((0x4008, true)));
        assert_eq!(exact(Mode::Kernel, 0x4000), Some((0x4000, true)));
    }

    /// arm64 has kernels with pages of 64 KiB. On 5.10 the fault knows its page, and the signal the rest.
    #[test]
    fn an_offset_is_counted_in_the_kernels_pages() {
        let mut incident = Incident::new(String::new(), 1, actor(7), ClockOffset::default());
        incident.fault = Some(Fault { address: 0x7f00_0001_2345, ..fault(3, 0) });
        assert_eq!(incident.file_offset(1 << 12), Some((3 << 12) + 0x345));
        assert_eq!(incident.file_offset(1 << 14), Some((3 << 14) + 0x2345));
        assert_eq!(incident.file_offset(1 << 16), Some((3 << 16) + 0x2345));
    }

    #[test]
    fn a_loop_device_is_a_file_to_look_at() {
        let advice = |class, backing: Option<&[u8]>| {
            let mut incident = Incident::new(String::new(), 1, actor(7), ClockOffset::default());
            incident.cause = Verdict::new(class, Confidence::Proven, "", "look at the disk");
            incident.file = Some(File {
                path: None,
                why: None,
                deleted: false,
                mount: Some(FileMount {
                    point: b"/m".to_vec(),
                    source: Some(b"/dev/loop0".to_vec()),
                    fstype: None,
                    address: None,
                    backing: backing.map(<[u8]>::to_vec),
                }),
                foreign: false,
                outside: None,
            });
            incident.advice()
        };
        for class in [CauseKind::ReadError, CauseKind::WriteError] {
            assert!(advice(class, Some(b"/srv/snap.img")).contains("device is a file"));
            assert_eq!(advice(class, None), "look at the disk");
        }
        assert_eq!(advice(CauseKind::Truncated, Some(b"/srv/snap.img")), "look at the disk");
    }
}

//! What is known of an incident when its cause is asked for, and the answer.
use crate::model::{
    cause::{CauseKind, Confidence},
    fact::{Commit, HugeLimit, HugePages, Mapped, MemoryLimit, Quota, Space},
    fault::{Fault, Handler},
    host::Host,
    magic::{
        BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FUSE_SUPER_MAGIC, HUGETLBFS_MAGIC, NFS_SUPER_MAGIC,
        TMPFS_MAGIC, XFS_SUPER_MAGIC,
    },
    observe::Observe,
    oom::OomKill,
    process::ProcessExit,
    remote::is_shared,
    shrink::{DroppedShrinks, Shrink, ShrinkKind},
    signal::Signal,
    stack::Stack,
    task::ProcessId,
};

/// Ns within which a file that shrank grows again before its size is read beside a fault.
const REGROWS: u64 = 1_000_000_000;

/// How long a call that shrinks a file may take: one that was not seen to return by then was missed as it did. Ns.
pub const UNDER_WAY: u64 = 10_000_000_000;

/// Bytes that a full file system may keep for itself.
pub const SPARE: u64 = 256 << 10;

/// What sees a fault that ends in SIGBUS.
pub const FAULTS: &[Observe] = &[
    Observe::FileFault,
    Observe::ShmemFault,
    Observe::PageMkwrite,
    Observe::HugetlbFault,
    Observe::SpecialMappingFault,
    Observe::UserfaultFault,
    Observe::DaxFault,
    Observe::ForcedSignal,
];

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub class: CauseKind,
    pub confidence: Confidence,
    /// One sentence, made of numbers and our own words only: safe to print.
    pub summary: String,
    /// What to do about it.
    pub advice: &'static str,
    /// The act that did it.
    pub shrink: Option<Shrink>,
    /// Shrinks of the same file that did not remove this offset, latest first.
    pub others: Vec<Shrink>,
}

impl Verdict {
    /// Whether it is told as a cause, but not proven.
    pub fn is_likely(&self) -> bool {
        self.class != CauseKind::Unknown && self.confidence == Confidence::Likely
    }

    /// A verdict without an act.
    pub fn new(
        class: CauseKind,
        confidence: Confidence,
        summary: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        let (shrink, others) = (None, Vec::new());
        Self { class, confidence, summary: summary.into(), advice, shrink, others }
    }
}

/// What is known of one incident when the rules are asked.
pub struct Evidence<'a> {
    pub victim: ProcessId,
    /// When the first of the processes began that the victim was forked by without an exec(2), ns since boot: what
    /// they mapped, it maps, too. `None` if it was forked by none.
    pub forked_since: Option<u64>,
    pub fault: Option<&'a Fault>,
    pub signal: Option<&'a Signal>,
    /// How it ended, where that is what is to be explained.
    pub death: Option<&'a ProcessExit>,
    /// The frames of the thread that failed, where they were had.
    pub stack: Option<&'a Stack>,
    /// What others sent it just before it ended without a signal or by abort(3), or to end it, and when.
    pub prompt: Option<&'a (u64, Signal)>,
    /// Why the OOM killer killed it, where that was told.
    pub oom: Option<&'a OomKill>,
    /// A memory cgroup of it that had run into its limit, looked at after its end.
    pub memory: Option<&'a MemoryLimit>,
    /// Shrinks of the faulting inode that began before the fault and were not refused, oldest
    /// first.
    pub shrinks: &'a [Shrink],
    /// Those of the file that a death's instruction lies in, while the victim mapped it, oldest first.
    pub overwrites: &'a [Shrink],
    /// The latest of any file that the victim of a death was seen to map code of.
    pub code_lost: Option<&'a Shrink>,
    /// When the fault happened, ns since boot.
    pub time: u64,
    /// Room on the file system, looked at after the fault.
    pub space: Option<Space>,
    pub quota: Option<Quota>,
    pub huge_pages: Option<HugePages>,
    /// What the host has promised, looked up after a fault of shared memory.
    pub commit: Option<Commit>,
    pub huge_limit: Option<&'a HugeLimit>,
    /// What lies at the signal's address, where no fault was told.
    pub mapped: Option<&'a Mapped>,
    /// The NFS server has said that it does not know the file.
    pub stale: bool,
    pub host: &'a Host,
    /// Since when every shrink of a file is seen and remembered, ns since boot; `u64::MAX` if it is not.
    pub covered: u64,
    /// Shrinks of the faulting inode of which there were too many to remember them.
    pub dropped: Option<DroppedShrinks>,
    /// Until when events were lost, ns since boot; 0 if none was. What we have not seen until then may have
    /// happened all the same.
    pub lost: u64,
    /// The same of what may have shrunk a local file.
    pub shrinks_lost: u64,
    /// The same of what says that the kernel forced a signal.
    pub forced_lost: u64,
}

impl Evidence<'_> {
    /// Whether events were lost after `time`.
    pub fn lossy_since(&self, time: u64) -> bool {
        self.lost != 0 && self.lost >= time
    }

    /// Whether events were lost since the victim started; since ever, if that is not known.
    pub fn lossy(&self) -> bool {
        self.lossy_since(self.victim.start)
    }

    /// Why nobody knows which signals a process was sent before it ended, where that is so.
    pub fn signals_unseen(&self, death: &ProcessExit) -> Option<&'static str> {
        if self.lacks(Observe::SignalGenerated) {
            return Some("which signals it was sent is not watched on this host");
        }
        let left = "a signal may have been sent to it: too many were sent to report each";
        death.signals_left.then_some(left)
    }

    /// Whether it may have been lost, since the victim started, that the kernel forced a signal.
    pub fn forced_may_be_lost(&self) -> bool {
        self.forced_lost != 0 && self.forced_lost >= self.victim.start
    }

    /// Since when the victim may have mapped the file, ns since boot; 0 if that is not known.
    pub fn maps_since(&self) -> u64 {
        self.forked_since.map_or(self.victim.start, |since| since.min(self.victim.start))
    }

    /// Whether a shrink of a local file may have been lost after `time`.
    pub fn shrinks_lost_since(&self, time: u64) -> bool {
        self.shrinks_lost != 0 && self.shrinks_lost >= time
    }

    /// Whether what a probe would see is known not to be seen on this host.
    pub fn lacks(&self, observe: Observe) -> bool {
        self.host.coverage.lacks(observe)
    }

    /// Why it proves nothing that no shrink of the file is known since the victim started; `None` if it does.
    pub fn absence_doubt(&self, fault: &Fault) -> Option<&'static str> {
        let start = self.maps_since();
        if !Self::is_local(fault) {
            return Some("its file system may be changed unseen, from elsewhere");
        }
        if self.lacks(Observe::Shrink) {
            return Some("who shrinks files is not watched here");
        }
        if self.covered == u64::MAX {
            return Some("not every way to shrink a file is watched here");
        }
        if self.victim.start <= self.host.since {
            return Some("the process is older than the watch");
        }
        if start <= self.host.since {
            return Some("the process was forked by one that is older than the watch");
        }
        if start <= self.covered {
            return Some(
                "older shrinks had to be forgotten, or were not watched, since the process started",
            );
        }
        self.shrinks_lost_since(start).then_some("events were lost")
    }

    /// The fault, if its page lies past the end of its file.
    pub fn past_end(&self) -> Option<&Fault> {
        let page = self.host.page_size;
        // Anonymous memory has no end. A handler that sees any has a file.
        let of_file =
            |fault: &&Fault| fault.handler != Handler::Unattributed || fault.inode.ptr != 0;
        let fault = self.fault.filter(of_file)?;
        (fault.pgoff >= fault.inode.size.div_ceil(page)).then_some(fault)
    }

    /// The fault, if `handler` failed a page that lies inside its file.
    pub fn inside(&self, handler: Handler) -> Option<&Fault> {
        self.fault.filter(|fault| fault.handler == handler && self.past_end().is_none())
    }

    /// Whether the page was refused for another reason than room, as far as is known without an errno: what is
    /// found to be used up a moment later is not to blame then.
    pub fn refused_otherwise(&self) -> bool {
        let otherwise = |fault: &Fault| {
            let refusal = fault.refusal;
            refusal.read_only || refusal.shut_down || self.would_have_said_no_room(fault)
        };
        self.fault.is_some_and(otherwise)
    }

    /// Whether the fault's file system would have been heard to say so if it had had no room for a page. xfs says
    /// nothing where it does not delay its allocations, so it must have room a moment later, too; nor is a qgroup
    /// of btrfs heard.
    pub fn would_have_said_no_room(&self, fault: &Fault) -> bool {
        let sees = |observe| self.host.coverage.sees(observe);
        match fault.inode.magic {
            EXT4_SUPER_MAGIC => sees(Observe::MkwriteErrno) && sees(Observe::Ext4Refusal),
            XFS_SUPER_MAGIC => {
                sees(Observe::XfsRefusal) && self.room().is_some_and(|free| free >= SPARE)
            }
            _ => false,
        }
    }

    /// The same of tmpfs.
    pub fn shmem_would_have_said_no_room(&self) -> bool {
        self.host.coverage.sees(Observe::ShmemRefusal)
    }

    /// Bytes that statfs(2) found free right after the fault. Of a tmpfs without a limit it finds none of none.
    pub fn room(&self) -> Option<u64> {
        let limited = |space: &Space| space.errno.is_none() && space.total != 0;
        self.space.filter(limited).map(|space| space.free)
    }

    /// The latest shrink after which the page was gone and before which it was there. Whatever
    /// regrew the file since has not brought the page back, or it would not have faulted.
    pub fn removal(&self) -> Option<(&Fault, &Shrink)> {
        let past_end = self.past_end();
        let fault = past_end.or_else(|| self.may_have_regrown())?;
        let since = if past_end.is_some() { 0 } else { self.time.saturating_sub(REGROWS) };
        let page = self.host.page_size;
        let removed = |shrink: &&Shrink| {
            let gone = shrink.new_size.div_ceil(page)..shrink.inode.size.div_ceil(page);
            gone.contains(&fault.pgoff) && shrink.end.unwrap_or(shrink.begin) >= since
        };
        let latest = self.shrinks.iter().rev().find(removed)?;
        // What a server says while somebody here shrinks the file is the echo of that.
        let under_way = |shrink: &&Shrink| {
            shrink.how != ShrinkKind::Remote
                && shrink.begin <= latest.begin
                && latest.begin <= shrink.end.unwrap_or(shrink.begin.saturating_add(UNDER_WAY))
        };
        let echoed = || self.shrinks.iter().rev().filter(removed).find(under_way);
        let shrink =
            if latest.how == ShrinkKind::Remote { echoed().unwrap_or(latest) } else { latest };
        Some((fault, shrink))
    }

    /// The fault, if its page lies inside the file, but nothing else explains that its handler failed: that
    /// compares with `i_size` first (mm/filemap.c filemap_fault, mm/shmem.c shmem_get_folio_gfp), and what we
    /// read of it is the size a moment later. Only where an errno of a read would have been seen.
    fn may_have_regrown(&self) -> Option<&Fault> {
        let unread = |fault: &&Fault| match fault.handler {
            Handler::FilemapFault => {
                fault.read_errno.is_none() && self.host.coverage.sees(Observe::ReadError)
            }
            // Half of it is room by any measure of what CPUs keep to themselves.
            Handler::ShmemFault => {
                fault.read_errno.is_none()
                    && fault.refusal.is_silent()
                    && fault.shm.is_some_and(|shm| shm.used < shm.max / 2)
            }
            _ => false,
        };
        self.fault.filter(unread)
    }

    /// Whether the inode has changed since the victim started, or whoever it was forked by; `None` if that is not known.
    /// ctime lags by up to a tick of 10 ms (kernel/time/timekeeping.c ktime_get_coarse_real_ts64),
    /// so a change that close to the start may have come after it.
    pub fn changed_since_start(&self, fault: &Fault) -> Option<bool> {
        const TICK: i64 = 10_000_000;
        let started = self.realtime(self.maps_since());
        (self.maps_since() != 0).then(|| fault.inode.ctime.saturating_add(TICK) >= started)
    }

    /// `ns` as a time of day can be compared with ctime.
    pub fn realtime(&self, ns: u64) -> i64 {
        self.host.clock.realtime(ns)
    }

    /// Whether the file is on a file system that only this kernel changes, as far as is known.
    fn is_local(fault: &Fault) -> bool {
        // The last: f2fs, ramfs, erofs, squashfs. overlayfs is none: what it maps may lie anywhere.
        const LOCAL: [u64; 9] = [
            EXT4_SUPER_MAGIC,
            XFS_SUPER_MAGIC,
            BTRFS_SUPER_MAGIC,
            TMPFS_MAGIC,
            HUGETLBFS_MAGIC,
            0xf2f5_2010,
            0x8584_58f6,
            0xe0f5_e1e2,
            0x7371_7368,
        ];
        LOCAL.contains(&fault.inode.magic)
    }

    /// Whether it is shared memory of memfd_create(2), which no directory has.
    pub fn is_memfd(fault: &Fault) -> bool {
        let name = fault.path.names.first().filter(|_| fault.path.pseudo);
        name.is_some_and(|name| name.starts_with(b"memfd:"))
    }

    /// Whether the file may have lost its end from elsewhere, and no hook would have seen that.
    pub fn may_shrink_unseen(&self, fault: &Fault) -> bool {
        is_shared(fault.inode.magic)
            && match fault.inode.magic {
                FUSE_SUPER_MAGIC => self.lacks(Observe::FuseSize),
                NFS_SUPER_MAGIC => {
                    self.lacks(Observe::NfsSize) || self.lacks(Observe::NfsSizeReply)
                }
                _ => true,
            }
    }

    /// Whether the file may be changed from another machine, or by a server in user space, unseen.
    pub fn changed_elsewhere(fault: &Fault) -> bool {
        is_shared(fault.inode.magic)
    }
}

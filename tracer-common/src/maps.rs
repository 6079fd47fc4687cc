//! Values of maps that user space reads, or has such of its own: no events, they are never sent and never saved.

/// Per-CPU state of one ring.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct RingState {
    /// Number of the last event, sent or not.
    pub seq: u64,
    /// Events that found no room.
    pub lost: u64,
}

/// Faults that are counted together.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BurstKey {
    /// Address of the `struct inode`; 0 without a file.
    pub inode: u64,
    pub tgid: u32,
    /// One of [`crate::event::handler`].
    pub handler: u32,
}

/// Their count. Of one key the first [`BURST_FIRST`] are sent, then one every [`BURST_EVERY`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BurstCount {
    pub count: u64,
    /// When one was sent last.
    pub sent: u64,
}

/// Shrinks of one mapped file by one process that are sent within [`SHRINKS_WITHIN`]; the rest is kept for a
/// fault that needs it.
pub const SHRINKS_FIRST: u64 = 10;
/// Ns.
pub const SHRINKS_WITHIN: u64 = 1_000_000_000;

/// Shrinks of files of `Config::shared` of one kind: those that nobody here maps and that were sent within
/// [`SHARED_WITHIN`], and all that were not sent.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct SharedShrinks {
    /// Since when `sent` is counted, ns since boot.
    pub since: u64,
    pub sent: u64,
    pub suppressed: u64,
}

/// Those that are sent within [`SHARED_WITHIN`]: of one file by one process and its siblings, by one user, and by
/// all; of one kind of file system by one user, and by all.
pub const SHARED_OF_ACTOR: u64 = 2;
pub const SHARED_OF_USER: u64 = 4;
pub const SHARED_OF_FILE: u64 = 8;
/// Kinds of file systems that have a bound of their own: anybody can mount the second, FUSE, and be its server.
pub const SHARED_KINDS: usize = 2;
/// Of all files of each of them.
pub const SHARED_BY_USER: [u64; SHARED_KINDS] = [500, 100];
pub const SHARED_BY_ALL: [u64; SHARED_KINDS] = [1_000, 200];
/// Ns.
pub const SHARED_WITHIN: u64 = 60_000_000_000;

/// Signals that are told as they are generated within [`SIGNALS_WITHIN`]: of one sender to one target, and of one user.
/// The last of the others is kept for the end of its target.
pub const SIGNALS_OF_PAIR: u64 = 4;
pub const SIGNALS_OF_USER: u64 = 100;
/// Targets for which one user may have a signal kept.
pub const KEPT_OF_USER: u64 = 512;
/// SIGBUS that are told to have been handled or ignored, within the same time: of one process, and of one user.
pub const DELIVERIES_OF_PROCESS: u64 = 50;
pub const DELIVERIES_OF_USER: u64 = 200;
/// Ns.
pub const SIGNALS_WITHIN: u64 = 1_000_000_000;

/// Events of one user in one cgroup within [`SIGNALS_WITHIN`], once an eighth of a ring has room, and ever fewer until none has.
/// The death of one process takes about ten.
pub const EVENTS_OF_USER: u64 = 64;

/// Stacks that are captured of threads of one user in one cgroup within [`SIGNALS_WITHIN`].
pub const STACKS_OF_USER: u64 = 20;

/// Ends of processes of one user in one cgroup, within [`SIGNALS_WITHIN`], of which it is told where their output led.
pub const OUTPUTS_OF_USER: u64 = 200;

/// What is counted of signals that were not told as they were generated.
pub mod signal_count {
    /// Kept for the end of their target, or followed by another one that was.
    pub const KEPT: u32 = 0;
    /// Of no account any more: an answer about their target may lack them.
    pub const LEFT: u32 = 1;
    /// Deliveries of SIGBUS that its target survived.
    pub const DELIVERIES: u32 = 2;
    pub const COUNT: u32 = 3;
}

/// When signals had to be forgotten of processes that share a slot, ns since boot: the youngest of one user's processes, and
/// of all other users'. Nobody but root can mark the processes of somebody else, whom it may not signal
/// (kernel/signal.c kill_ok_by_cred).
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Forgotten {
    time: u64,
    others: u64,
    user: u32,
    pad: u32,
}

impl Forgotten {
    /// A signal of `time` to a process of `user` is forgotten.
    #[inline(always)]
    pub fn note(&mut self, time: u64, user: u32) {
        if self.user != user {
            self.others = self.others.max(self.time);
            self.user = user;
            self.time = 0;
        }
        self.time = self.time.max(time);
    }

    /// Whether it may have been to a process of `user`, after `since`.
    #[inline(always)]
    pub fn concerns(&self, user: u32, since: u64) -> bool {
        self.others > since || self.user == user && self.time > since
    }
}

/// Faults of one [`BurstKey`] that are sent before they are only counted.
pub const BURST_FIRST: u64 = 10;
/// Ns between those that are sent after that.
pub const BURST_EVERY: u64 = 500_000_000;

/// Functions whose arguments are kept from their entry to their return, where no trampoline hooks them.
pub mod call {
    pub const FILEMAP_FAULT: u32 = 0;
    pub const SHMEM_FAULT: u32 = 1;
    pub const SPECIAL_MAPPING_FAULT: u32 = 2;
    pub const PAGE_MKWRITE: u32 = 3;
    pub const USERFAULT: u32 = 4;
    pub const DAX_IOMAP_FAULT: u32 = 5;
    pub const HUGETLB_FAULT: u32 = 6;
    pub const MKWRITE_ERRNO: u32 = 7;
    pub const FILEMAP_READ_FOLIO: u32 = 8;
    pub const NOTIFY_CHANGE: u32 = 9;
    pub const FALLOCATE: u32 = 10;
    pub const COUNT: u32 = 11;

    /// Whether a thread that is in one may call it again before it returns: file systems are stacked upon one
    /// another.
    pub const fn nests(call: u32) -> bool {
        matches!(call, FILEMAP_READ_FOLIO | NOTIFY_CHANGE | FALLOCATE)
    }
}

#[cfg(test)]
mod tests {
    use super::Forgotten;

    #[test]
    fn what_one_user_forgets_does_not_concern_another() {
        let mut slot = Forgotten::default();
        assert!(!slot.concerns(0, 0));
        slot.note(10, 1000);
        assert!(slot.concerns(1000, 9) && !slot.concerns(1000, 10), "it began afterwards");
        assert!(!slot.concerns(0, 9) && !slot.concerns(1001, 9));
        slot.note(5, 1000);
        assert!(slot.concerns(1000, 9), "the youngest counts");
    }

    /// Room is for one user: of the earlier ones only the time is left.
    #[test]
    fn no_mark_is_lost() {
        let mut slot = Forgotten::default();
        slot.note(10, 1000);
        slot.note(20, 1001);
        assert!(slot.concerns(1000, 9) && slot.concerns(1001, 19) && slot.concerns(0, 9));
        assert!(!slot.concerns(1000, 10) && !slot.concerns(0, 10));
        slot.note(15, 1000);
        assert!(slot.concerns(1001, 19) && slot.concerns(1000, 14));
    }
}

//! Files that lose their end.
use crate::model::{
    file::{Dev, Inode, InodeId, Path},
    task::Actor,
};

/// How a file lost its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShrinkKind {
    Truncate,
    Ftruncate,
    OpenTrunc,
    CollapseRange,
    /// On another machine, or by a server in user space; this host only learnt of it.
    Remote,
    /// None at all: the file was mapped, and opened to be written to.
    OpenWrite,
    /// None either: shared memory without a name was made longer.
    Grown,
    Other(u32),
}

impl ShrinkKind {
    /// Whether anything was removed.
    pub fn removes(self) -> bool {
        !matches!(self, Self::OpenWrite | Self::Grown)
    }
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
    pub how: ShrinkKind,
    pub mapped: bool,
    /// Sent only because a fault needed it.
    pub replayed: bool,
    /// Stands for all that the kernel had no room to remember of this inode: their bounds, and the youngest's begin.
    pub dropped: bool,
    /// Done, on a file system that other hosts change too, and nobody here maps it.
    pub shared: bool,
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

/// The act, as its system call is written.
pub fn how(how: ShrinkKind) -> &'static str {
    match how {
        ShrinkKind::Truncate => "truncate",
        ShrinkKind::Ftruncate => "ftruncate",
        ShrinkKind::OpenTrunc => "open(O_TRUNC)",
        ShrinkKind::CollapseRange => "fallocate(FALLOC_FL_COLLAPSE_RANGE)",
        ShrinkKind::Remote => "an attribute update",
        ShrinkKind::OpenWrite => "open(2) for writing",
        ShrinkKind::Grown => "growing",
        ShrinkKind::Other(_) => "an unknown call",
    }
}

/// Shrinks of one inode of which there were too many to remember them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DroppedShrinks {
    /// When the oldest of them began, ns since boot; 0 if that is not known.
    since: u64,
    /// When the youngest of them began, ns since boot.
    begin: u64,
    /// From which size to which they took something away, bytes.
    new_size: u64,
    old_size: u64,
}

impl DroppedShrinks {
    /// One alone; or those that the kernel has put together, whose youngest is all that it knows of their time.
    pub fn of(shrink: &Shrink) -> Self {
        let Shrink { begin, new_size, inode, .. } = shrink;
        let since = if shrink.dropped { 0 } else { *begin };
        Self { since, begin: *begin, new_size: *new_size, old_size: inode.size }
    }

    /// One more.
    pub fn add(&mut self, shrink: &Shrink) {
        self.since = self.since.min(Self::of(shrink).since);
        self.begin = self.begin.max(shrink.begin);
        self.new_size = self.new_size.min(shrink.new_size);
        self.old_size = self.old_size.max(shrink.inode.size);
    }

    /// When the oldest of them may have begun, ns since boot.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Whether one of them may have removed page `pgoff` after `begin`.
    pub fn may_have_removed(&self, pgoff: u64, page_size: u64, begin: u64) -> bool {
        let removed = self.new_size.div_ceil(page_size)..self.old_size.div_ceil(page_size);
        self.begin > begin && removed.contains(&pgoff)
    }
}

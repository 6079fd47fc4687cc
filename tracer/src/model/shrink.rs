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
    pub how: ShrinkKind,
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

/// The act, as its system call is written.
pub fn how(how: ShrinkKind) -> &'static str {
    match how {
        ShrinkKind::Truncate => "truncate",
        ShrinkKind::Ftruncate => "ftruncate",
        ShrinkKind::OpenTrunc => "open(O_TRUNC)",
        ShrinkKind::CollapseRange => "fallocate(FALLOC_FL_COLLAPSE_RANGE)",
        ShrinkKind::Remote => "an attribute update",
        ShrinkKind::Other(_) => "an unknown call",
    }
}

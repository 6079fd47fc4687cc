//! Files that lose their end.
use crate::event::{Actor, Header, Inode, Login};

/// How a file lost its end (`Shrink::how`).
pub mod shrink_kind {
    pub const TRUNCATE: u32 = 1;
    pub const FTRUNCATE: u32 = 2;
    pub const OPEN_TRUNC: u32 = 3;
    pub const COLLAPSE_RANGE: u32 = 4;
    /// Not done here: a server said so, and this is when we learnt of it. The actor is whoever
    /// happened to ask.
    pub const REMOTE: u32 = 5;
    /// open(2) for writing, without O_TRUNC, of a mapped file: nothing was removed, and what was written is not known.
    pub const OPEN_WRITE: u32 = 6;
    /// No shrink either: a file of shared memory that has no name (memfd_create(2)) was made longer by ftruncate(2) or
    /// fallocate(2). `new_size` is what it then had.
    pub const GROWN: u32 = 7;
}

/// The inode was mapped when it was shrunk (`address_space.i_mmap` not empty).
pub const SHRINK_MAPPED: u32 = 1;
/// Kept in the kernel, sent because a fault needed it.
pub const SHRINK_REPLAYED: u32 = 2;
/// Not sent although the inode was mapped: its process shrinks it too often (kernel-internal).
pub const SHRINK_SUPPRESSED: u32 = 4;
/// Nobody here mapped the inode, and other hosts may: its file system is one of `Config::shared`. Sent once it
/// is done.
pub const SHRINK_SHARED: u32 = 8;
/// Stands for several that were pushed out of the kernel's memory by others of their inode: `new_size`, `inode.size` and
/// `begin` are the bounds of all of them, the youngest's begin. Sent with [`SHRINK_REPLAYED`].
pub const SHRINK_DROPPED: u32 = 16;

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
    /// One of [`shrink_kind`].
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
    /// Of `actor`.
    pub login: Login,
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

/// An NFS server no longer knows a file that is mapped (`nfs:nfs_set_inode_stale`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stale {
    pub header: Header,
    pub inode: Inode,
}

//! Files and the paths that stand behind an event.

/// Longest path that travels with an event, in bytes.
pub const PATH: usize = 4096;
/// Bytes of a mount's source that travel with an event.
pub const SOURCE: usize = 64;

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

/// A file by what outlives its inode's address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FileId {
    pub ino: u64,
    /// As [`Inode::dev`].
    pub dev: u32,
    pub generation: u32,
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

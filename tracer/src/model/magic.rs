//! What file systems call themselves: `super_block.s_magic` (include/uapi/linux/magic.h; of xfs fs/xfs/libxfs/xfs_format.h).

pub const BTRFS_SUPER_MAGIC: u64 = 0x9123_683e;
/// Also of ext2 and ext3.
pub const EXT4_SUPER_MAGIC: u64 = 0xef53;
pub const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;
pub const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;
pub const NFS_SUPER_MAGIC: u64 = 0x6969;
pub const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
pub const TMPFS_MAGIC: u64 = 0x0102_1994;
pub const XFS_SUPER_MAGIC: u64 = 0x5846_5342;

//! Page faults that end in SIGBUS.
use crate::event::{Actor, Header, Inode, SOURCE};

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
    pub const UNATTRIBUTED: u32 = 8;
    /// One more than the last.
    pub const COUNT: u32 = 9;
}

/// What a file system's state was as it refused a page (`Fault::fs_state`).
pub mod fs_state {
    /// SB_RDONLY of `super_block.s_flags`.
    pub const READ_ONLY: u32 = 1;
    /// ext4: shut down, by an error or by ioctl(2); nothing is written to it any more.
    pub const SHUT_DOWN: u32 = 2;
}

/// Bytes of a symbol's name (`Fault::vm_ops_fault`); a longer one is cut.
pub const SYMBOL: usize = 96;

/// Whom the kernel asks for a page of the mapping (`Fault::mapper`).
pub mod mapper {
    /// It is not known who.
    pub const UNKNOWN: u32 = 0;
    /// Nobody: all there is was mapped by mmap(2).
    pub const NOBODY: u32 = 1;
    /// A function.
    pub const FUNCTION: u32 = 2;
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
    /// How many faults of this [`crate::maps::BurstKey`] there have been, this one included.
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
    /// Why the page could not be made writable, or tmpfs had none, negative; 0 if that is not known. Since version 1, as
    /// all below.
    pub write_errno: i32,
    /// 1 if that may have been another call's than this fault's, of the same thread shortly before.
    pub write_doubt: u32,
    /// The quota whose limit was hit in this fault: 1 + USRQUOTA, GRPQUOTA or PRJQUOTA (0, 1, 2); 0 none.
    pub quota_type: u32,
    /// Its uid, gid or project.
    pub quota_id: u32,
    /// [`fs_state`].
    pub fs_state: u32,
    /// `inode.i_rdev` of the mapped file: which device, if it is one. Since version 2, as all below.
    pub rdev: u32,
    /// One of [`mapper`].
    pub mapper: u32,
    pub pad: u32,
    /// The function of `vm_area_struct.vm_ops` that refused the page: `page_mkwrite` where that failed, else `fault`,
    /// else `pfn_mkwrite`; as `%pS` prints it, `name+0x0/0x1f0 [module]`, ended by NUL. Of a fault that no handler
    /// told of, from Linux 5.17 on; as the two below.
    pub vm_ops_fault: [u8; SYMBOL],
    /// `vm_area_struct.vm_ops`
    pub vm_ops: [u8; SYMBOL],
    /// `file.f_op`
    pub f_op: [u8; SYMBOL],
}

/// Bytes that versions 0 and 1 are shorter by. What was padding in version 1 is `rdev` now.
pub const FAULT_SHORTER: [usize; 2] = [24 + FAULT_SINCE_2, FAULT_SINCE_2];

const FAULT_SINCE_2: usize = 8 + 3 * SYMBOL;

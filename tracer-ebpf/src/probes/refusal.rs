//! What file systems say as they refuse to make a page writable, and tmpfs as it has none, before its fault ends in
//! SIGBUS. None of these is called, or passed with an errno, where there is room.
use tracer_common::log::Hook;

use crate::{
    form::{Call, program},
    globals::off,
    inode::paged,
    log::log,
    read::{Ptr, Read},
    refusals,
};

/// include/uapi/asm-generic/errno-base.h
const EEXIST: i32 = 17;
const ENOSPC: i32 = 28;
/// include/uapi/linux/quota.h: the hard limit of blocks, or the soft one for too long.
const QUOTA_NL_BHARDWARN: u32 = 4;
const QUOTA_NL_BSOFTLONGWARN: u32 = 5;

program! {
    /// `int block_page_mkwrite(struct vm_area_struct *vma, struct vm_fault *vmf, get_block_t get_block)`
    /// (fs/buffer.c): of ext4 (from 6.17 only with delayed allocation) and nilfs2, called by nobody but page_mkwrite.
    fexit "block_page_mkwrite" => block_page_mkwrite or block_mkwrite_called, block_mkwrite_returned of MKWRITE_ERRNO,
    if is_error::<3, _>, block_refused: of_vma
}
program! {
    /// `int ext4_should_retry_alloc(struct super_block *sb, int *retries)` (fs/ext4/balloc.c): asked after
    /// each ENOSPC, and nowhere else.
    fentry "ext4_should_retry_alloc" => ext4_should_retry_alloc, if always, ext4_full: no_space_on
}
program! {
    /// The same where ext4 is a module, whose functions are hooked by name.
    kprobe "ext4_should_retry_alloc" => ext4_should_retry_called, if always, ext4_full_called: no_space_on
}
program! {
    /// `xfs_delalloc_enospc(struct xfs_inode *ip, xfs_off_t offset, ssize_t count)` (fs/xfs/xfs_trace.h): after
    /// ENOSPC and after EDQUOT. The tracepoint of a module, whose arguments have no type.
    raw_tp "xfs_delalloc_enospc" => xfs_delalloc_enospc, if always, xfs_full: no_space_on_xfs
}
program! {
    /// `btrfs_reserve_ticket(const struct btrfs_fs_info *fs_info, u64 flags, u64 bytes, u64 start_ns, int flush,
    /// int error)` (include/trace/events/btrfs.h, from 5.14): of a reservation that had to wait for room.
    raw_tp "btrfs_reserve_ticket" => btrfs_reserve_ticket, if is_failed_ticket, btrfs_full: ticket
}
program! {
    /// `unsigned long shmem_unused_huge_shrink(struct shmem_sb_info *sbinfo, struct shrink_control *sc,
    /// unsigned long nr)` (mm/shmem.c): asked after each ENOSPC (from 6.6 on also after EDQUOT) to find room behind the
    /// ends of files, without `sc`; with it, rarely, by the shrinker of super blocks.
    fentry "shmem_unused_huge_shrink" => shmem_unused_huge_shrink or shmem_full_kprobe,
    if for_want_of_room,
    shmem_full: no_space_on
}
program! {
    /// `int shmem_swapin_folio(struct inode *inode, …)` (mm/shmem.c, `shmem_swapin_page` until 5.17), of seven arguments,
    /// more than fentry takes before 6.6: -EEXIST is tried again.
    kretprobe "shmem_swapin_folio" => shmem_swapin, if is_swap_error, shmem_not_read: swap
}
program! {
    /// `void quota_send_warning(struct kqid qid, dev_t dev, const char warntype)` (fs/quota/netlink.c), of
    /// dquot.c and of xfs, as a limit is crossed. Hooked by its name: before 6.1 no fentry takes a struct.
    kprobe "quota_send_warning" => quota_send_warning, if is_limit, quota_hit: quota
}

#[inline(always)]
fn always<C: Call>(_: C) -> bool {
    true
}

#[inline(always)]
fn is_error<const ARGS: usize, C: Call>(call: C) -> bool {
    (call.returned::<ARGS>() as i32) < 0
}

#[inline(always)]
fn is_failed_ticket<C: Call>(call: C) -> bool {
    (call.arg::<5>() as i32) < 0
}

#[inline(always)]
fn for_want_of_room<C: Call>(call: C) -> bool {
    call.arg::<1>() == 0
}

#[inline(always)]
fn is_swap_error<C: Call>(call: C) -> bool {
    let ret = call.returned::<7>() as i32;
    ret < 0 && ret != -EEXIST
}

#[inline(always)]
fn is_limit<C: Call>(call: C) -> bool {
    matches!(call.arg::<2>() as u8 as u32, QUOTA_NL_BHARDWARN | QUOTA_NL_BSOFTLONGWARN)
}

#[inline(always)]
unsafe fn of_vma<C: Call>(call: C) {
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    let inode = unsafe {
        let file: Ptr = C::Memory::get(call.arg::<0>() as Ptr, off!(vma_file));
        paged::<C::Memory>(file)
    };
    let errno = call.returned::<3>() as i32;
    refusals::note_of_inode(inode as u64, errno);
    log!(Hook::BlockPageMkwrite, RefusalNoted, -errno);
}

#[inline(always)]
unsafe fn no_space_on<C: Call>(call: C) {
    refusals::note_of_fs(call.arg::<0>(), -ENOSPC);
    log!(Hook::FileSystem, RefusalNoted, ENOSPC);
}

#[inline(always)]
unsafe fn no_space_on_xfs<C: Call>(call: C) {
    // `i_mount`, the first field of `struct xfs_inode` (fs/xfs/xfs_inode.h); a super block's `s_fs_info` is the same.
    // SAFETY: the reader copes with any pointer.
    let mount: u64 = unsafe { C::Memory::get(call.arg::<0>() as Ptr, 0) };
    refusals::note_of_fs(mount, -ENOSPC);
    log!(Hook::FileSystem, RefusalNoted, ENOSPC);
}

#[inline(always)]
unsafe fn ticket<C: Call>(call: C) {
    let errno = call.arg::<5>() as i32;
    refusals::note_of_fs(call.arg::<0>(), errno);
    log!(Hook::FileSystem, RefusalNoted, -errno);
}

#[inline(always)]
unsafe fn swap<C: Call>(call: C) {
    let errno = call.returned::<7>() as i32;
    refusals::note_swap(errno);
    log!(Hook::FileSystem, RefusalNoted, -errno);
}

/// `struct kqid` (include/linux/quota.h) comes in one register: the id, and above it the kind.
#[inline(always)]
unsafe fn quota<C: Call>(call: C) {
    let qid = call.arg::<0>();
    let (kind, id) = ((qid >> 32) as u32, qid as u32);
    refusals::note_quota(call.arg::<1>() as u32, kind, id);
    log!(Hook::QuotaWarning, QuotaNoted, kind, id);
}

//! Page faults that end in SIGBUS, seen as their handler returns: the mmap or VMA lock is still
//! held, so vma, file and inode are stable.
use aya_ebpf::{
    EbpfContext as _,
    cty::c_void,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{
            bpf_find_vma, bpf_get_current_task, bpf_get_current_task_btf, bpf_get_stack,
            bpf_probe_read_kernel_str,
        },
    },
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::{
    event::{Fault, PATH, PATH_PSEUDO, SHRINK_REPLAYED, Shrink, handler, ring},
    maps::{BURST_EVERY, BURST_FIRST, BurstCount, BurstKey},
    offsets::ABSENT,
};

use crate::{
    emit::{claim, emit, now},
    globals::{config, off},
    inode::inode,
    maps::{
        BURSTS, FAULT, FORCED, LAST_FAULT, READ_ERRORS, REPLAY, SHRINK_SLOTS, SHRINKS, SUPPRESSED,
        ShrinkKey, VICTIMS,
    },
    path::{Walk, by_load, by_probe, source},
    read::{Probe, Ptr, Read, Typed},
    task,
};

/// VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE (include/linux/mm_types.h).
const VM_FAULT_BUS: u32 = 0x32;
/// `struct file` stands inside a `struct backing_file` (include/linux/fs.h, since 6.7).
const FMODE_BACKING: u32 = 1 << 24;
/// include/linux/mm_types.h
const FAULT_FLAG_USER: u32 = 0x40;
const SIGBUS: i32 = 7;
/// include/uapi/asm-generic/siginfo.h
const BUS_ADRERR: i32 = 2;
/// bpf_get_stack: the user's stack.
const BPF_F_USER_STACK: u64 = 1 << 8;

/// A handler that takes a `struct vm_fault *` first, and `$count` arguments: the value returned
/// stands after the last of them (FExitContext::ret needs 5.17).
///
/// The slow path is not inlined: a program that uses no callee-saved register and no stack saves a
/// dozen instructions on every fault that goes well.
macro_rules! handler {
    ($(#[$doc:meta])* $program:ident, $function:literal, $slow:ident, $count:literal, $handler:ident) => {
        $(#[$doc])*
        #[fexit(function = $function)]
        pub fn $program(ctx: FExitContext) -> u32 {
            if ctx.arg::<u64>($count) as u32 & VM_FAULT_BUS != 0 { $slow(ctx.as_ptr()) } else { 0 }
        }

        #[inline(never)]
        fn $slow(ctx: *mut c_void) -> u32 {
            let context = FExitContext::new(ctx);
            // SAFETY: a fexit context of a function with this prototype.
            unsafe {
                let at = Place::of(context.arg(0));
                record::<Typed>(ctx, at, context.arg::<u64>($count) as u32, handler::$handler)
            };
            0
        }
    };
}

handler! {
    /// `vm_fault_t filemap_fault(struct vm_fault *vmf)` (mm/filemap.c).
    filemap_fault, "filemap_fault", filemap_failed, 1, FILEMAP_FAULT
}
handler! {
    /// `vm_fault_t shmem_fault(struct vm_fault *vmf)` (mm/shmem.c).
    shmem_fault, "shmem_fault", shmem_failed, 1, SHMEM_FAULT
}
handler! {
    /// `vm_fault_t special_mapping_fault(struct vm_fault *vmf)` (mm/mmap.c, mm/vma.c).
    special_mapping_fault, "special_mapping_fault", special_failed, 1, SPECIAL_MAPPING_FAULT
}
handler! {
    /// `vm_fault_t do_page_mkwrite(struct vm_fault *vmf)` (mm/memory.c, to 6.6): the file system
    /// was asked for room for a page that is to be written.
    page_mkwrite_1, "do_page_mkwrite", mkwrite_failed_1, 1, PAGE_MKWRITE
}
handler! {
    /// `vm_fault_t do_page_mkwrite(struct vm_fault *vmf, struct folio *folio)` (from 6.7).
    page_mkwrite_2, "do_page_mkwrite", mkwrite_failed_2, 2, PAGE_MKWRITE
}
handler! {
    /// `vm_fault_t handle_userfault(struct vm_fault *vmf, unsigned long reason)`
    /// (fs/userfaultfd.c).
    handle_userfault, "handle_userfault", userfault_failed, 2, USERFAULT
}

handler! {
    /// `vm_fault_t dax_iomap_fault(struct vm_fault *vmf, unsigned int order, unsigned long *pfnp,
    /// int *iomap_errp, const struct iomap_ops *ops)` (fs/dax.c; only the first is looked at).
    dax_iomap_fault, "dax_iomap_fault", dax_failed, 5, DAX_IOMAP_FAULT
}

/// `int force_sig_fault(int sig, int code, void __user *addr)` (kernel/signal.c): the last moment
/// to look at a fault that no handler told: of a driver, of swap, of a PFN mapping.
#[fentry(function = "force_sig_fault")]
pub fn force_sig_fault(ctx: FEntryContext) -> u32 {
    if ctx.arg::<i32>(0) == SIGBUS { bus_forced(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn bus_forced(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    let address: u64 = ctx.arg(2);
    forced();
    // SAFETY: helpers; `data` outlives the call, which calls back at once.
    unsafe {
        if ctx.arg::<i32>(1) == BUS_ADRERR && told() != page(address) | 1 {
            let mut data = address;
            bpf_find_vma(
                bpf_get_current_task_btf().cast(),
                address,
                found as *mut c_void,
                (&raw mut data).cast(),
                0,
            );
        }
    }
    0
}

/// The same where there is no bpf_find_vma: do_user_addr_fault has just looked the VMA up, and it
/// stands in the thread's cache (mm/vmacache.c, until 6.0).
#[fentry(function = "force_sig_fault")]
pub fn force_sig_fault_cached(ctx: FEntryContext) -> u32 {
    if ctx.arg::<i32>(0) == SIGBUS { bus_forced_cached(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn bus_forced_cached(raw: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(raw);
    let address: u64 = ctx.arg(2);
    forced();
    // SAFETY: probe reads cope with any address.
    unsafe {
        if ctx.arg::<i32>(1) != BUS_ADRERR
            || told() == page(address) | 1
            || config!(read_kernel) == 0
            || off!(task_vmacache) == ABSENT
        {
            return 0;
        }
        let task = bpf_get_current_task() as Ptr;
        let mut found: Ptr = core::ptr::null();
        let mut i = 0;
        // VMACACHE_SIZE
        while i < 4 {
            let vma: Ptr = Probe::get(task, off!(task_vmacache) + i * 8);
            let start: u64 = Probe::get(vma, off!(vma_start));
            let end: u64 = Probe::get(vma, off!(vma_end));
            if start <= address && address < end {
                found = vma;
            }
            i += 1;
        }
        if !found.is_null() {
            unseen::<Probe>(found, address);
        }
    }
    0
}

/// The start of the page of an address.
#[inline(always)]
fn page(address: u64) -> u64 {
    address & (u64::MAX << config!(page_shift))
}

#[inline(always)]
fn forced() {
    let _ = FORCED.insert(bpf_get_current_pid_tgid() as u32, 1, 0);
}

/// bpf_find_vma calls back with the mmap lock held for reading.
extern "C" fn found(_task: Ptr, vma: Ptr, address: *mut u64) -> u64 {
    // SAFETY: what bpf_find_vma gives, and what it was given.
    unsafe { unseen::<Typed>(vma, *address) };
    0
}

#[inline(always)]
unsafe fn unseen<R: Read>(vma: Ptr, address: u64) {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let start: u64 = R::get(vma, off!(vma_start));
        let first: u64 = R::get(vma, off!(vma_pgoff));
        let pgoff = first + (address.wrapping_sub(start) >> config!(page_shift));
        let at = Place { vma, address, exact: 1, pgoff, flags: FAULT_FLAG_USER };
        record::<R>(core::ptr::null_mut(), at, VM_FAULT_BUS & 2, handler::UNATTRIBUTED);
    }
}

/// Takes the mark of the last fault that was told of this thread.
#[inline(always)]
fn told() -> u64 {
    let tid = bpf_get_current_pid_tgid() as u32;
    let Some(page) = LAST_FAULT.get_ptr(tid) else { return 0 };
    // SAFETY: a map value.
    let page = unsafe { *page };
    let _ = LAST_FAULT.remove(tid);
    page
}

/// `vm_fault_t hugetlb_fault(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long
/// address, unsigned int flags)` (mm/hugetlb.c).
#[fexit(function = "hugetlb_fault")]
pub fn hugetlb_fault(ctx: FExitContext) -> u32 {
    if ctx.arg::<u64>(4) as u32 & VM_FAULT_BUS != 0 { hugetlb_failed(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn hugetlb_failed(raw: *mut c_void) -> u32 {
    let ctx = FExitContext::new(raw);
    // SAFETY: a fexit context of a function with this prototype.
    unsafe {
        let vma: Ptr = ctx.arg(1);
        let address: u64 = ctx.arg(2);
        let start: u64 = Typed::get(vma, off!(vma_start));
        let first: u64 = Typed::get(vma, off!(vma_pgoff));
        // vm_pgoff counts small pages here too; only vmf->pgoff counts huge ones.
        let pgoff = first + (address.wrapping_sub(start) >> config!(page_shift));
        let flags = ctx.arg::<u64>(3) as u32;
        let at = Place { vma, address, exact: 0, pgoff, flags };
        record::<Typed>(raw, at, ctx.arg::<u64>(4) as u32, handler::HUGETLB_FAULT)
    };
    0
}

/// `int filemap_read_folio(struct file *file, filler_t filler, struct folio *folio)`
/// (mm/filemap.c, from 5.16): the errno that filemap_fault makes a SIGBUS of.
#[fexit(function = "filemap_read_folio")]
pub fn filemap_read_folio(ctx: FExitContext) -> u32 {
    if (ctx.arg::<u64>(3) as i32) < 0 { read_failed(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn read_failed(ctx: *mut c_void) -> u32 {
    let errno = FExitContext::new(ctx).arg::<u64>(3) as i32;
    let _ = READ_ERRORS.insert(bpf_get_current_pid_tgid() as u32, errno, 0);
    0
}

/// Where a fault happened.
struct Place {
    vma: Ptr,
    address: u64,
    /// 1 if `address` is not only that of the page.
    exact: u32,
    pgoff: u64,
    flags: u32,
}

impl Place {
    #[inline(always)]
    unsafe fn of(vmf: Ptr) -> Self {
        // SAFETY: typed loads cope with any pointer.
        unsafe {
            let exact = off!(vmf_real_address) != ABSENT;
            let address = if exact {
                Typed::get(vmf, off!(vmf_real_address))
            } else {
                Typed::get(vmf, off!(vmf_address))
            };
            Self {
                vma: Typed::get(vmf, off!(vmf_vma)),
                address,
                exact: exact as u32,
                pgoff: Typed::get(vmf, off!(vmf_pgoff)),
                flags: Typed::get(vmf, off!(vmf_flags)),
            }
        }
    }
}

#[inline(always)]
unsafe fn record<R: Read>(ctx: *mut c_void, at: Place, ret: u32, handler: u32) -> Option<()> {
    // SAFETY: a claimed scratch; `R` copes with any pointer.
    unsafe {
        let user = (at.flags & FAULT_FLAG_USER != 0) as u64;
        let _ = LAST_FAULT.insert(bpf_get_current_pid_tgid() as u32, page(at.address) | user, 0);
        let vma = at.vma;
        let file: Ptr = R::get(vma, off!(vma_file));
        let host: Ptr = R::get(file, off!(file_inode));
        let nth = count(host as u64, handler)?;
        let scratch = claim::<Fault, _>(&FAULT, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value.event;
        (*event).nth = nth;
        task::current(&raw mut (*event).actor);
        inode::<R>(&raw mut (*event).inode, host);
        (*event).address = at.address;
        (*event).address_exact = at.exact;
        (*event).pgoff = at.pgoff;
        (*event).vm_start = R::get(vma, off!(vma_start));
        (*event).vm_end = R::get(vma, off!(vma_end));
        (*event).vm_pgoff = R::get(vma, off!(vma_pgoff));
        (*event).vm_flags = R::get(vma, off!(vma_flags));
        (*event).flags = at.flags;
        (*event).ret = ret;
        (*event).handler = handler;
        if off!(mm_owner) != ABSENT {
            let mm: Ptr = R::get(vma, off!(vma_mm));
            let owner: Ptr = R::get(mm, off!(mm_owner));
            (*event).owner_tgid = R::get(owner, off!(task_tgid));
            // 5.10 locked down types no current task, but the owner of the memory is one.
            if (*event).actor.task.start_time == 0
                && (*event).owner_tgid == (*event).actor.task.tgid
            {
                let tid = (*event).actor.task.tid;
                task::task::<R>(&raw mut (*event).actor.task, owner);
                (*event).actor.task.tid = tid;
                task::ancestors::<R>(&raw mut (*event).actor, owner);
            }
        }
        if handler != handler::UNATTRIBUTED {
            bpf_get_stack(
                ctx,
                (&raw mut (*event).ip).cast(),
                size_of::<u64>() as u32,
                BPF_F_USER_STACK,
            );
        }

        if handler == handler::SHMEM_FAULT && config!(read_kernel) != 0 {
            let sb: Ptr = R::get(host, off!(inode_sb));
            let info: Ptr = Probe::get(sb, off!(sb_info));
            if off!(shmem_max) != ABSENT && off!(shmem_used) != ABSENT {
                (*event).shm_max = Probe::get(info, off!(shmem_max));
                (*event).shm_used = Probe::get(info, off!(shmem_used));
            }
        }
        (*event).mnt_ns = task::mount_namespace();

        let tid = (*event).actor.task.tid;
        if let Some(errno) = READ_ERRORS.get_ptr(tid) {
            (*event).read_errno = *errno;
            let _ = READ_ERRORS.remove(tid);
        }

        let walk = &raw mut (*scratch).value.walk;
        let path = &raw mut (*scratch).value.path;
        if file.is_null() {
            special(path, walk, vma, handler);
        } else if config!(read_kernel) != 0 {
            // overlayfs maps the real file; the path the user knows stands in the backing_file
            // around it, out of reach of a typed load.
            let mode: u32 = R::get(file, off!(file_mode));
            let backing = off!(backing_path_mnt) != ABSENT && mode & FMODE_BACKING != 0;
            let (mnt, dentry): (Ptr, Ptr) = if backing {
                let mnt = Probe::get(file, off!(backing_path_mnt));
                (mnt, Probe::get(file, off!(backing_path_dentry)))
            } else {
                let mnt = Probe::get(file, off!(file_path_mnt));
                (mnt, Probe::get(file, off!(file_path_dentry)))
            };
            source(&raw mut (*event).mount_source, mnt);
            by_probe(path, walk, mnt, dentry);
        } else {
            let dentry = R::get(file, off!(file_path_dentry));
            by_load(path, walk, dentry);
        }

        let tgid = (*event).actor.task.tgid;
        let _ = VICTIMS.insert(tgid, 1, 0);
        send_shrinks((*event).inode.ptr);
        let len = (&raw const (*walk).len).read_volatile() & (PATH as u32 - 1);
        (*event).below_mount = (*walk).below_mount;
        (*event).path_flags = (*walk).flags;
        (*event).path_len = len;
        if !emit(scratch, size_of::<Fault>() as u32 + len) {
            // force_sig_fault may try once more.
            let _ = LAST_FAULT.remove(tid);
        }
    }
    Some(())
}

/// Counts a fault; gives its number if it is to be told.
#[inline(always)]
unsafe fn count(inode: u64, handler: u32) -> Option<u64> {
    let ids = bpf_get_current_pid_tgid();
    let key = BurstKey { inode, tgid: (ids >> 32) as u32, handler };
    if BURSTS.get_ptr(key).is_none() {
        let _ = BURSTS.insert(key, BurstCount { count: 0, sent: 0 }, 1 /* BPF_NOEXIST */);
    }
    let burst = BURSTS.get_ptr_mut(key)?;
    // SAFETY: a map value; other threads of the process count it too.
    unsafe {
        increment(&raw mut (*burst).count);
        let nth = (&raw const (*burst).count).read_volatile();
        if nth <= BURST_FIRST {
            return Some(nth);
        }
        let now = now();
        let tid = ids as u32;
        if now.wrapping_sub((*burst).sent) < BURST_EVERY {
            if SUPPRESSED.get_ptr(tid).is_none() {
                let _ = SUPPRESSED.insert(tid, 1, 0);
            }
            return None;
        }
        (*burst).sent = now;
        let _ = SUPPRESSED.remove(tid);
        Some(nth)
    }
}

/// Adds one atomically. `core` has no read-modify-write for this target, and the result of a BPF
/// atomic may be had only from 5.12 on.
#[inline(always)]
unsafe fn increment(count: *mut u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the verifier checks the address.
    unsafe {
        core::arch::asm!("lock *(u64 *)({count} + 0) += {one}", count = in(reg) count, one = in(reg) 1_u64);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = count;
}

/// The name of a mapping without a file, `[vdso]` and the like.
#[inline(always)]
unsafe fn special(out: *mut [u8; PATH + 256], walk: *mut Walk, vma: Ptr, handler: u32) {
    // SAFETY: probe reads cope with any address.
    unsafe {
        (*walk).len = 0;
        (*walk).below_mount = u32::MAX;
        (*walk).flags = PATH_PSEUDO;
        let known = config!(read_kernel) != 0 && off!(special_name) != ABSENT;
        if known && handler == handler::SPECIAL_MAPPING_FAULT {
            let mapping: Ptr = Probe::get(vma, off!(vma_private));
            let name: u64 = Probe::get(mapping, off!(special_name));
            let n = bpf_probe_read_kernel_str(out.cast(), 64, name as *const _);
            if n > 0 {
                (*walk).len = n as u32 & 127;
            }
        }
    }
}

/// Sends the shrinks of this inode that user space has not got: those of a time when nobody
/// mapped it, and those that found no room.
#[inline(always)]
unsafe fn send_shrinks(inode: u64) {
    let mut slot = 0;
    while slot < SHRINK_SLOTS {
        // SAFETY: a map value, read and marked in place.
        unsafe {
            if let Some(kept) = SHRINKS.get_ptr_mut(ShrinkKey { inode, slot })
                && (*kept).sent == 0
            {
                send_shrink(kept);
            }
        }
        slot += 1;
    }
}

#[inline(always)]
unsafe fn send_shrink(kept: *mut Shrink) -> Option<()> {
    let scratch = claim::<Shrink, _>(&REPLAY, ring::CRITICAL)?;
    // SAFETY: a claimed scratch and a map value of the same type.
    unsafe {
        let event = &raw mut (*scratch).value;
        let header = (*event).header;
        core::ptr::copy_nonoverlapping(kept, event, 1);
        (*event).header = header;
        (*event).flags |= SHRINK_REPLAYED;
        (*event).path_len = 0;
        if emit(scratch, size_of::<Shrink>() as u32) {
            (*kept).sent = 1;
        }
    }
    Some(())
}

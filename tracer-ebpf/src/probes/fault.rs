//! Page faults that end in SIGBUS, seen as their handler returns: the mmap or VMA lock is still
//! held, so vma, file and inode are stable.
use aya_ebpf::{cty::c_void, helpers::generated::bpf_snprintf};
use tracer_common::{
    event::{Fault, SYMBOL, handler, mapper, ring},
    log::Hook,
    offsets::ABSENT,
};

use crate::{
    bursts,
    emit::{claim, emit},
    form::{Call, Raw, program},
    globals::{config, is_one_that_populates, off},
    inode::{inode, paged},
    log::{LOGS, log},
    path::{self, PathSpace},
    program,
    read::{Probe, Ptr, Read, is_null},
    refusals,
    scratch::FAULT,
    shrinks, sizes, task, thread, victims,
};

/// VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE (include/linux/mm_types.h).
const VM_FAULT_BUS: u32 = 0x32;
/// include/linux/mm_types.h
pub const VM_FAULT_SIGBUS: u32 = 0x02;
/// What is looked at: with VM_FAULT_OOM and VM_FAULT_SIGSEGV where somebody listens.
const LOOKED_AT: u32 = if LOGS { VM_FAULT_BUS | 0x41 } else { VM_FAULT_BUS };
/// include/linux/mm_types.h
pub const FAULT_FLAG_USER: u32 = 0x40;
const FAULT_FLAG_REMOTE: u32 = 0x80;
/// Whoever handles a page fault may be interrupted (FAULT_FLAG_DEFAULT, arch/*/mm/fault.c); whoever gets
/// pages by walking the page table may not (mm/gup.c faultin_page).
const FAULT_FLAG_INTERRUPTIBLE: u32 = 0x200;
/// include/linux/mm.h
const VM_LOCKED: u64 = 0x2000;

program! {
    /// `vm_fault_t filemap_fault(struct vm_fault *vmf)` (mm/filemap.c).
    fexit "filemap_fault" => filemap_fault or filemap_fault_called, filemap_fault_returned of FILEMAP_FAULT,
    if is_bus::<1, _>,
    filemap_failed: handler_failed::<1, { handler::FILEMAP_FAULT }, _>
}
program! {
    /// `vm_fault_t shmem_fault(struct vm_fault *vmf)` (mm/shmem.c).
    fexit "shmem_fault" => shmem_fault or shmem_fault_called, shmem_fault_returned of SHMEM_FAULT,
    if is_bus::<1, _>,
    shmem_failed: handler_failed::<1, { handler::SHMEM_FAULT }, _>
}
program! {
    /// `vm_fault_t special_mapping_fault(struct vm_fault *vmf)` (mm/mmap.c, mm/vma.c).
    fexit "special_mapping_fault" => special_mapping_fault or special_mapping_called, special_mapping_returned of SPECIAL_MAPPING_FAULT,
    if is_bus::<1, _>,
    special_failed: handler_failed::<1, { handler::SPECIAL_MAPPING_FAULT }, _>
}
program! {
    /// `vm_fault_t do_page_mkwrite(struct vm_fault *vmf)` (mm/memory.c, to 6.6): the file system
    /// was asked for room for a page that is to be written.
    fexit "do_page_mkwrite" => page_mkwrite_1 or page_mkwrite_called, page_mkwrite_returned of PAGE_MKWRITE,
    if is_bus::<1, _>,
    mkwrite_failed_1: handler_failed::<1, { handler::PAGE_MKWRITE }, _>
}
program! {
    /// `vm_fault_t do_page_mkwrite(struct vm_fault *vmf, struct folio *folio)` (from 6.7).
    fexit "do_page_mkwrite" => page_mkwrite_2, if is_bus::<2, _>,
    mkwrite_failed_2: handler_failed::<2, { handler::PAGE_MKWRITE }, _>
}
program! {
    /// `vm_fault_t handle_userfault(struct vm_fault *vmf, unsigned long reason)`
    /// (fs/userfaultfd.c).
    fexit "handle_userfault" => handle_userfault or userfault_called, userfault_returned of USERFAULT,
    if is_bus::<2, _>,
    userfault_failed: handler_failed::<2, { handler::USERFAULT }, _>
}
program! {
    /// `vm_fault_t dax_iomap_fault(struct vm_fault *vmf, unsigned int order, unsigned long *pfnp,
    /// int *iomap_errp, const struct iomap_ops *ops)` (fs/dax.c; only the first is looked at).
    fexit "dax_iomap_fault" => dax_iomap_fault or dax_fault_called, dax_fault_returned of DAX_IOMAP_FAULT,
    if is_bus::<5, _>,
    dax_failed: handler_failed::<5, { handler::DAX_IOMAP_FAULT }, _>
}
program! {
    /// `vm_fault_t hugetlb_fault(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long
    /// address, unsigned int flags)` (mm/hugetlb.c).
    fexit "hugetlb_fault" => hugetlb_fault or hugetlb_fault_called, hugetlb_fault_returned of HUGETLB_FAULT,
    if is_bus::<4, _>, hugetlb_failed: hugetlb
}
program! {
    /// `int filemap_read_folio(struct file *file, filler_t filler, struct folio *folio)`
    /// (mm/filemap.c, from 5.16): the errno that filemap_fault makes a SIGBUS of.
    fexit "filemap_read_folio" => filemap_read_folio or filemap_read_called, filemap_read_returned of FILEMAP_READ_FOLIO,
    if is_error::<3, _>,
    read_failed: note_read_error::<3, _>
}

// A body depends on no form: this one is the same where nothing is typed.
const _: unsafe fn(Raw) = handler_failed::<1, { handler::FILEMAP_FAULT }, Raw>;

/// Whether a handler of `ARGS` arguments failed.
#[inline(always)]
fn is_bus<const ARGS: usize, C: Call>(call: C) -> bool {
    call.returned::<ARGS>() as u32 & LOOKED_AT != 0
}

#[inline(always)]
fn is_error<const ARGS: usize, C: Call>(call: C) -> bool {
    (call.returned::<ARGS>() as i32) < 0
}

/// A handler that takes a `struct vm_fault *` first, and `ARGS` arguments, failed.
#[inline(always)]
unsafe fn handler_failed<const ARGS: usize, const HANDLER: u32, C: Call>(call: C) {
    // SAFETY: the arguments are what the prototype says.
    unsafe {
        let at = Place::of::<C::Memory>(call.arg::<0>() as Ptr);
        record::<C::Memory>(call.context(), at, call.returned::<ARGS>() as u32, HANDLER);
    }
}

#[inline(always)]
unsafe fn hugetlb<C: Call>(call: C) {
    // SAFETY: the arguments are what the prototype says.
    unsafe {
        let (vma, address) = (call.arg::<1>() as Ptr, call.arg::<2>());
        let flags = call.arg::<3>() as u32;
        // vm_pgoff counts small pages here too; only vmf->pgoff counts huge ones.
        let at = Place::in_vma::<C::Memory>(vma, address, 0, flags);
        let ret = call.returned::<4>() as u32;
        record::<C::Memory>(call.context(), at, ret, handler::HUGETLB_FAULT);
    }
}

#[inline(always)]
unsafe fn note_read_error<const ARGS: usize, C: Call>(call: C) {
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    let host = unsafe { paged::<C::Memory>(call.arg::<0>() as Ptr) };
    let errno = call.returned::<ARGS>() as i32;
    thread::note_read_error(host as u64, errno);
    // SAFETY: as above.
    log!(
        Hook::FilemapReadFolio,
        ReadFailed,
        unsafe { C::Memory::get::<u64>(host, off!(inode_ino)) },
        -errno
    );
}

/// Where a fault happened.
pub struct Place {
    vma: Ptr,
    address: u64,
    /// 1 if `address` is not only that of the page.
    exact: u32,
    pgoff: u64,
    /// FAULT_FLAG_*
    flags: u32,
    /// Whether the kernel has bpf_snprintf (from 5.13) and who it is that refused the page is asked for.
    prints: bool,
}

impl Place {
    /// By a `struct vm_fault *`.
    #[inline(always)]
    unsafe fn of<R: Read>(vmf: Ptr) -> Self {
        // SAFETY: `R` copes with any pointer.
        unsafe {
            let exact = off!(vmf_real_address) != ABSENT;
            let address = if exact {
                R::get(vmf, off!(vmf_real_address))
            } else {
                R::get(vmf, off!(vmf_address))
            };
            Self {
                vma: R::get(vmf, off!(vmf_vma)),
                address,
                exact: exact as u32,
                pgoff: R::get(vmf, off!(vmf_pgoff)),
                flags: R::get(vmf, off!(vmf_flags)),
                prints: false,
            }
        }
    }

    /// The same on a kernel that has bpf_snprintf.
    #[inline(always)]
    pub fn printing(self) -> Self {
        Self { prints: true, ..self }
    }

    /// By an address in a VMA.
    #[inline(always)]
    pub unsafe fn in_vma<R: Read>(vma: Ptr, address: u64, exact: u32, flags: u32) -> Self {
        // SAFETY: `R` copes with any pointer.
        unsafe {
            let start: u64 = R::get(vma, off!(vma_start));
            let first: u64 = R::get(vma, off!(vma_pgoff));
            let pgoff = first + (address.wrapping_sub(start) >> config!(page_shift));
            Self { vma, address, exact, pgoff, flags, prints: false }
        }
    }
}

/// Sends a fault, with the shrinks of its file before it. `ctx` may be null where no stack is asked for.
#[inline(always)]
pub unsafe fn record<R: Read>(ctx: *mut c_void, at: Place, ret: u32, handler: u32) -> Option<()> {
    // SAFETY: a claimed scratch; `R` copes with any pointer.
    unsafe {
        if LOGS && ret & VM_FAULT_BUS == 0 {
            log!(handler, FaultOther, ret);
            return None;
        }
        let signalled = at.flags & FAULT_FLAG_USER != 0;
        if handler == handler::USERFAULT {
            thread::note_userfault(at.address, signalled);
        } else if thread::take_userfault(at.address, signalled) {
            log!(handler, FaultOfUserfault, at.address);
            return None;
        } else if is_populating::<R>(&at) {
            log!(handler, FaultPopulating, at.pgoff);
            return None;
        } else if handler != handler::UNATTRIBUTED {
            // The signal tells of itself: a note would be taken by that of the next fault.
            thread::note_fault(at.address, signalled);
        }
        let file: Ptr = R::get(at.vma, off!(vma_file));
        let host = paged::<R>(file);
        let Some(nth) = bursts::count(host as u64, handler) else {
            if asks_fs(handler) {
                refusals::forget();
            }
            log!(handler, FaultCounted, R::get::<u64>(host, off!(inode_ino)), at.pgoff);
            return None;
        };
        program::of_current(handler, ring::CRITICAL);
        let scratch = claim::<Fault, _>(&FAULT, handler, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value.event;
        let path = &raw mut (*scratch).value.path;
        (*event).nth = nth;
        (*event).ret = ret;
        (*event).handler = handler;
        task::current(&raw mut (*event).actor);
        inode::<R>(&raw mut (*event).inode, host);
        mapping::<R>(event, &at);
        mapper::<R>(event, &at, file);
        owner::<R>(event, at.vma);
        if handler != handler::UNATTRIBUTED {
            victims::user_ip(ctx, &raw mut (*event).ip);
        }
        if handler == handler::SHMEM_FAULT {
            room::<R>(event, host);
        }
        (*event).read_errno = thread::take_read_error(host as u64);
        if asks_fs(handler) {
            refusals::tell::<R>(event, host);
        }
        (*event).mnt_ns = task::mount_namespace();
        if is_null(file) {
            path::of_no_file(path, at.vma, handler == handler::SPECIAL_MAPPING_FAULT);
        } else {
            path::of_mapping::<R>(path, &raw mut (*event).mount_source, file);
        }
        victims::add((*event).actor.task.tgid);
        shrinks::send_remembered((*event).inode.ptr, handler);
        if handler == handler::SHMEM_FAULT {
            sizes::send((*event).inode.ptr, handler);
        }
        let len = PathSpace::len(path);
        (*event).below_mount = PathSpace::below_mount(path);
        (*event).path_flags = PathSpace::flags(path);
        (*event).path_len = len;
        log!(handler, FaultSent, nth, (*event).inode.ino, at.pgoff, (*event).inode.size);
        if !emit(scratch, size_of::<Fault>() as u32 + len) {
            thread::forget_fault();
        }
    }
    Some(())
}

/// Whether the handler asks a file system for room.
#[inline(always)]
fn asks_fs(handler: u32) -> bool {
    handler == handler::PAGE_MKWRITE || handler == handler::SHMEM_FAULT
}

/// Whether nobody touched the page: the kernel was to have it ready beforehand, for mmap(2) with MAP_POPULATE or
/// after mlockall(MCL_FUTURE), for mlock(2) and the like (mm/gup.c __mm_populate, faultin_page_range). These
/// succeed without it, or say themselves what failed. Where the system call is not to be had, memory that is
/// locked tells.
#[inline(always)]
unsafe fn is_populating<R: Read>(at: &Place) -> bool {
    if at.flags & (FAULT_FLAG_USER | FAULT_FLAG_REMOTE | FAULT_FLAG_INTERRUPTIBLE) != 0 {
        return false;
    }
    match task::system_call() {
        Some(call) => is_one_that_populates(call),
        // SAFETY: `R` copes with any pointer.
        None => unsafe { R::get::<u64>(at.vma, off!(vma_flags)) & VM_LOCKED != 0 },
    }
}

/// The place, and the VMA around it.
#[inline(always)]
unsafe fn mapping<R: Read>(event: *mut Fault, at: &Place) {
    // SAFETY: points into a claimed scratch; `R` copes with any pointer.
    unsafe {
        (*event).address = at.address;
        (*event).address_exact = at.exact;
        (*event).pgoff = at.pgoff;
        (*event).vm_start = R::get(at.vma, off!(vma_start));
        (*event).vm_end = R::get(at.vma, off!(vma_end));
        (*event).vm_pgoff = R::get(at.vma, off!(vma_pgoff));
        (*event).vm_flags = R::get(at.vma, off!(vma_flags));
        (*event).flags = at.flags;
    }
}

/// Whose mapping it is: a file system's or a driver's. Its functions have names where the kernel prints them.
#[inline(always)]
unsafe fn mapper<R: Read>(event: *mut Fault, at: &Place, file: Ptr) {
    // SAFETY: points into a claimed scratch; `R` copes with any pointer.
    unsafe {
        let node: Ptr = R::get(file, off!(file_inode));
        (*event).rdev = R::get(node, off!(inode_rdev));
        let ops: Ptr = R::get(at.vma, off!(vma_ops));
        if is_null(ops) {
            return;
        }
        let mut asked: u64 = if (*event).handler == handler::PAGE_MKWRITE {
            R::get(ops, off!(vm_ops_mkwrite))
        } else {
            R::get(ops, off!(vm_ops_fault))
        };
        if asked == 0 {
            asked = R::get(ops, off!(vm_ops_pfn_mkwrite));
        }
        (*event).mapper = if asked == 0 { mapper::NOBODY } else { mapper::FUNCTION };
        if at.prints {
            let f_op: u64 = R::get(file, off!(file_op));
            print(&raw mut (*event).vm_ops_fault, asked);
            print(&raw mut (*event).vm_ops, ops as u64);
            print(&raw mut (*event).f_op, f_op);
        }
    }
}

/// What the kernel calls an address; nothing for 0.
#[inline(always)]
unsafe fn print(out: *mut [u8; SYMBOL], address: u64) {
    static FORMAT: [u8; 4] = *b"%pS\0";
    if address == 0 {
        return;
    }
    let mut data = address;
    // SAFETY: points into a claimed scratch; the format is in a frozen map.
    unsafe {
        let (data, len) = (&raw mut data, size_of::<u64>() as u32);
        bpf_snprintf(out.cast(), SYMBOL as u32, FORMAT.as_ptr().cast(), data, len);
    }
}

/// Whose memory it is.
#[inline(always)]
unsafe fn owner<R: Read>(event: *mut Fault, vma: Ptr) {
    if off!(mm_owner) == ABSENT {
        return;
    }
    // SAFETY: points into a claimed scratch; `R` copes with any pointer.
    unsafe {
        let mm: Ptr = R::get(vma, off!(vma_mm));
        let owner: Ptr = R::get(mm, off!(mm_owner));
        (*event).owner_tgid = R::get(owner, off!(task_tgid));
        // 5.10 locked down types no current task, but the owner of the memory is one.
        if (*event).actor.task.start_time == 0 && (*event).owner_tgid == (*event).actor.task.tgid {
            let tid = (*event).actor.task.tid;
            task::task::<R>(&raw mut (*event).actor.task, owner);
            (*event).actor.task.tid = tid;
            task::ancestors::<R>(&raw mut (*event).actor, owner);
        }
    }
}

/// How full the tmpfs of an inode is.
#[inline(always)]
unsafe fn room<R: Read>(event: *mut Fault, host: Ptr) {
    if config!(read_kernel) == 0 || off!(shmem_max) == ABSENT || off!(shmem_used) == ABSENT {
        return;
    }
    // SAFETY: points into a claimed scratch; `R` and probe reads cope with any pointer.
    unsafe {
        let sb: Ptr = R::get(host, off!(inode_sb));
        let info: Ptr = Probe::get(sb, off!(sb_info));
        (*event).shm_max = Probe::get(info, off!(shmem_max));
        (*event).shm_used = Probe::get(info, off!(shmem_used));
    }
}

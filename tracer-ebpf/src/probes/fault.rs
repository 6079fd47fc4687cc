//! Page faults that end in SIGBUS, seen as their handler returns: the mmap or VMA lock is still
//! held, so vma, file and inode are stable.
use aya_ebpf::{
    EbpfContext as _, cty::c_void, helpers::generated::bpf_get_stack, macros::fexit,
    programs::FExitContext,
};
use tracer_common::{
    event::{Fault, PATH, SHRINK_REPLAYED, SHRINK_SLOTS, Shrink, handler, kind, ring},
    globals::ABSENT,
};

use crate::{
    emit::{claim, emit},
    globals::{config, off},
    inode::inode,
    maps::{FAULT, REPLAY, SHRINKS, ShrinkKey, VICTIMS},
    path::{by_load, by_probe},
    read::{Probe, Ptr, Read, Typed},
    task,
};

/// VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE (include/linux/mm_types.h).
const VM_FAULT_BUS: u32 = 0x32;
/// `struct file` stands inside a `struct backing_file` (include/linux/fs.h, since 6.7).
const FMODE_BACKING: u32 = 1 << 24;
/// bpf_get_stack: the user's stack.
const BPF_F_USER_STACK: u64 = 1 << 8;

/// `vm_fault_t filemap_fault(struct vm_fault *vmf)` (mm/filemap.c).
#[fexit(function = "filemap_fault")]
pub fn filemap_fault(ctx: FExitContext) -> u32 {
    if failed(&ctx) { filemap_failed(ctx.as_ptr()) } else { 0 }
}

/// `vm_fault_t shmem_fault(struct vm_fault *vmf)` (mm/shmem.c).
#[fexit(function = "shmem_fault")]
pub fn shmem_fault(ctx: FExitContext) -> u32 {
    if failed(&ctx) { shmem_failed(ctx.as_ptr()) } else { 0 }
}

/// For handlers that take a `struct vm_fault *` and nothing else: the value returned stands after
/// the last argument (FExitContext::ret needs 5.17).
#[inline(always)]
fn failed(ctx: &FExitContext) -> bool {
    ctx.arg::<u64>(1) as u32 & VM_FAULT_BUS != 0
}

// Not inlined: a program that uses no callee-saved register and no stack saves a dozen
// instructions on every fault that goes well.
#[inline(never)]
fn filemap_failed(ctx: *mut c_void) -> u32 {
    // SAFETY: a fexit context of a function that takes a vm_fault.
    unsafe { record(&FExitContext::new(ctx), handler::FILEMAP_FAULT) };
    0
}

#[inline(never)]
fn shmem_failed(ctx: *mut c_void) -> u32 {
    // SAFETY: a fexit context of a function that takes a vm_fault.
    unsafe { record(&FExitContext::new(ctx), handler::SHMEM_FAULT) };
    0
}

#[inline(always)]
unsafe fn record(ctx: &FExitContext, handler: u32) -> Option<()> {
    let vmf: Ptr = ctx.arg(0);
    let ret = ctx.arg::<u64>(1) as u32;
    let scratch = claim::<Fault, _>(&FAULT, kind::FAULT, ring::DECISIVE)?;
    // SAFETY: a claimed scratch; typed loads cope with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let vma: Ptr = Typed::get(vmf, off!(vmf_vma));
        let file: Ptr = Typed::get(vma, off!(vma_file));
        let host: Ptr = Typed::get(file, off!(file_inode));
        task::current(&raw mut (*event).actor);
        inode(&raw mut (*event).inode, host);
        (*event).address = Typed::get(vmf, off!(vmf_address));
        if off!(vmf_real_address) != ABSENT {
            (*event).address = Typed::get(vmf, off!(vmf_real_address));
            (*event).address_exact = 1;
        }
        (*event).pgoff = Typed::get(vmf, off!(vmf_pgoff));
        (*event).vm_start = Typed::get(vma, off!(vma_start));
        (*event).vm_end = Typed::get(vma, off!(vma_end));
        (*event).vm_pgoff = Typed::get(vma, off!(vma_pgoff));
        (*event).vm_flags = Typed::get(vma, off!(vma_flags));
        (*event).flags = Typed::get(vmf, off!(vmf_flags));
        (*event).ret = ret;
        (*event).handler = handler;
        if off!(mm_owner) != ABSENT {
            let mm: Ptr = Typed::get(vma, off!(vma_mm));
            let owner: Ptr = Typed::get(mm, off!(mm_owner));
            (*event).owner_tgid = Typed::get(owner, off!(task_tgid));
            // 5.10 locked down types no current task, but the owner of the memory is one.
            if (*event).actor.task.start_time == 0
                && (*event).owner_tgid == (*event).actor.task.tgid
            {
                let tid = (*event).actor.task.tid;
                task::task::<Typed>(&raw mut (*event).actor.task, owner);
                (*event).actor.task.tid = tid;
                task::ancestors::<Typed>(&raw mut (*event).actor, owner);
            }
        }
        bpf_get_stack(
            ctx.as_ptr(),
            (&raw mut (*event).ip).cast(),
            size_of::<u64>() as u32,
            BPF_F_USER_STACK,
        );

        let walk = &raw mut (*scratch).value.walk;
        if config!(read_kernel) != 0 {
            // overlayfs maps the real file; the path the user knows stands in the backing_file
            // around it, out of reach of a typed load.
            let mode: u32 = Typed::get(file, off!(file_mode));
            let backing = off!(backing_path_mnt) != ABSENT && mode & FMODE_BACKING != 0;
            let (mnt, dentry): (Ptr, Ptr) = if backing {
                let mnt = Probe::get(file, off!(backing_path_mnt));
                (mnt, Probe::get(file, off!(backing_path_dentry)))
            } else {
                let mnt = Probe::get(file, off!(file_path_mnt));
                (mnt, Probe::get(file, off!(file_path_dentry)))
            };
            by_probe(&raw mut (*scratch).value.path, walk, mnt, dentry);
        } else {
            let dentry = Typed::get(file, off!(file_path_dentry));
            by_load(&raw mut (*scratch).value.path, walk, dentry);
        }

        let tgid = (*event).actor.task.tgid;
        let _ = VICTIMS.insert(tgid, 1, 0);
        send_shrinks((*event).inode.ptr);
        let len = (&raw const (*walk).len).read_volatile() & (PATH as u32 - 1);
        (*event).path_flags = (*walk).flags;
        (*event).path_len = len;
        emit(scratch, size_of::<Fault>() as u32 + len);
    }
    Some(())
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
    let scratch = claim::<Shrink, _>(&REPLAY, kind::SHRINK, ring::DECISIVE)?;
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

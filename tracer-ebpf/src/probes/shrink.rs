//! Files that lose their end. `notify_change` sees truncate(2), ftruncate(2), O_TRUNC, nfsd and
//! both inodes of overlayfs, with the inode locked and `i_size` still the old one at entry.
//!
//! The record is written at entry, because a reader can fault before the call returns, and
//! confirmed or taken back at exit.
use aya_ebpf::{
    EbpfContext as _,
    cty::c_void,
    helpers::bpf_get_current_pid_tgid,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::event::{PATH, SHRINK_MAPPED, SHRINK_SLOTS, Shrink, ShrinkEnd, how, kind, ring};

use crate::{
    emit::{claim, emit, now},
    globals::{config, off},
    inode::{inode, mapped},
    maps::{
        INSIDE, Outer, SHRINK, SHRINK_COUNT, SHRINK_END, SHRINKS, Scratch, ShrinkKey, WithPath,
    },
    path::{by_load, by_probe},
    read::{Probe, Ptr, Read, Typed},
    task,
};

/// include/linux/fs.h
const ATTR_SIZE: u32 = 1 << 3;
const ATTR_FILE: u32 = 1 << 13;
const ATTR_OPEN: u32 = 1 << 15;

// One program a prototype: a computed argument index is refused from 6.1 on, a branch between
// two constant ones is merged into one by LLVM.

/// `int notify_change(struct dentry *, struct iattr *, struct inode **)` (fs/attr.c, to 5.11).
#[fentry(function = "notify_change")]
pub fn notify_change_enter_0(ctx: FEntryContext) -> u32 {
    if resizes(ctx.arg(1)) { enter_0(ctx.as_ptr()) } else { 0 }
}

/// `int notify_change(struct mnt_idmap *, struct dentry *, struct iattr *, …)` (from 5.12;
/// the first argument was a `struct user_namespace *` until 6.2).
#[fentry(function = "notify_change")]
pub fn notify_change_enter_1(ctx: FEntryContext) -> u32 {
    if resizes(ctx.arg(2)) { enter_1(ctx.as_ptr()) } else { 0 }
}

#[fexit(function = "notify_change")]
pub fn notify_change_exit_0(ctx: FExitContext) -> u32 {
    if may_have_resized(ctx.arg(1)) { exit_0(ctx.as_ptr()) } else { 0 }
}

#[fexit(function = "notify_change")]
pub fn notify_change_exit_1(ctx: FExitContext) -> u32 {
    if may_have_resized(ctx.arg(2)) { exit_1(ctx.as_ptr()) } else { 0 }
}

#[inline(always)]
fn resizes(attr: Ptr) -> bool {
    // SAFETY: the argument is what the prototype says; typed loads cope with any pointer.
    unsafe { Typed::get::<u32>(attr, off!(iattr_valid)) & ATTR_SIZE != 0 }
}

/// The file system may have rewritten ia_valid (xfs adds bits, NFS clears ATTR_SIZE where nothing
/// changes): whatever came from truncate keeps one of these. What counts in the end is whether an
/// unfinished record of this thread is there.
#[inline(always)]
fn may_have_resized(attr: Ptr) -> bool {
    // SAFETY: as in `resizes`.
    unsafe {
        let valid: u32 = Typed::get(attr, off!(iattr_valid));
        valid & (ATTR_SIZE | ATTR_OPEN | ATTR_FILE) != 0
    }
}

// Not inlined, as in `fault`: changes of mode and owner must not pay for what they do not use.
#[inline(never)]
fn enter_0(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    enter(ctx.arg(0), ctx.arg(1))
}

#[inline(never)]
fn enter_1(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    enter(ctx.arg(1), ctx.arg(2))
}

#[inline(never)]
fn exit_0(ctx: *mut c_void) -> u32 {
    let ctx = FExitContext::new(ctx);
    exit(ctx.arg(0), ctx.arg(3))
}

#[inline(never)]
fn exit_1(ctx: *mut c_void) -> u32 {
    let ctx = FExitContext::new(ctx);
    exit(ctx.arg(1), ctx.arg(4))
}

#[inline(always)]
fn enter(dentry: Ptr, attr: Ptr) -> u32 {
    // SAFETY: the arguments are what the prototype says; typed loads cope with any pointer.
    unsafe {
        let new_size: i64 = Typed::get(attr, off!(iattr_size));
        let host: Ptr = Typed::get(dentry, off!(dentry_inode));
        let old_size: i64 = Typed::get(host, off!(inode_size));
        if new_size < old_size {
            let valid: u32 = Typed::get(attr, off!(iattr_valid));
            record(dentry, attr, host, valid, new_size);
        }
    }
    0
}

#[inline(always)]
unsafe fn record(dentry: Ptr, attr: Ptr, host: Ptr, valid: u32, new_size: i64) -> Option<()> {
    let scratch = claim::<Shrink, _>(&SHRINK, kind::SHRINK, ring::CHATTY)?;
    // SAFETY: a claimed scratch; typed loads cope with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        task::current(&raw mut (*event).actor);
        inode(&raw mut (*event).inode, host);
        (*event).new_size = new_size;
        (*event).begin = (*event).header.time;
        (*event).how = if valid & ATTR_OPEN != 0 {
            how::OPEN_TRUNC
        } else if valid & ATTR_FILE != 0 {
            how::FTRUNCATE
        } else {
            how::TRUNCATE
        };
        let tid = (*event).actor.task.tid;
        let inode = (*event).inode.ptr;
        match INSIDE.get_ptr(tid) {
            Some(outer) if (*outer).new_size == new_size && (*outer).inode != inode => {
                (*event).how = (*outer).how;
            }
            _ => {
                let outer = Outer { new_size, how: (*event).how, pad: 0, inode };
                let _ = INSIDE.insert(tid, outer, 0);
            }
        }

        // The inode is locked: nobody else counts or fills the slots of this one.
        let count = match SHRINK_COUNT.get_ptr((*event).inode.ptr) {
            Some(count) => *count,
            None => 0,
        };
        let _ = SHRINK_COUNT.insert((*event).inode.ptr, count + 1, 0);
        let key = ShrinkKey { inode: (*event).inode.ptr, slot: count % SHRINK_SLOTS };
        if mapped(host) {
            (*event).flags = SHRINK_MAPPED;
            (*event).sent = 1;
            let _ = SHRINKS.insert(key, &(*event), 0);
            // Only an open file knows the mount it was reached through.
            let mut mnt: Ptr = core::ptr::null();
            if config!(read_kernel) != 0 && valid & ATTR_FILE != 0 {
                let file: Ptr = Typed::get(attr, off!(iattr_file));
                mnt = Probe::get(file, off!(file_path_mnt));
            }
            if !send(scratch, mnt, dentry)
                && let Some(kept) = SHRINKS.get_ptr_mut(key)
            {
                (*kept).sent = 0;
            }
        } else {
            let _ = SHRINKS.insert(key, &(*event), 0);
        }
    }
    Some(())
}

/// Sends a shrink with the path its actor used; without `mnt` up to the file system's root.
#[inline(always)]
unsafe fn send(scratch: *mut Scratch<WithPath<Shrink>>, mnt: Ptr, dentry: Ptr) -> bool {
    // SAFETY: a claimed scratch.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let out = &raw mut (*scratch).value.path;
        let walk = &raw mut (*scratch).value.walk;
        if config!(read_kernel) != 0 {
            by_probe(out, walk, mnt, dentry);
        } else {
            by_load(out, walk, dentry);
        }
        let len = (&raw const (*walk).len).read_volatile() & (PATH as u32 - 1);
        (*event).path_flags = (*walk).flags;
        (*event).path_len = len;
        emit(scratch, size_of::<Shrink>() as u32 + len)
    }
}

#[inline(always)]
fn exit(dentry: Ptr, ret: u64) -> u32 {
    // SAFETY: as in `enter`.
    unsafe { finish(Typed::get(dentry, off!(dentry_inode)), ret as i32) };
    0
}

#[inline(always)]
unsafe fn finish(host: Ptr, ret: i32) -> Option<()> {
    // SAFETY: map values; the inode is still locked.
    unsafe {
        let inode = host as u64;
        let count = *SHRINK_COUNT.get_ptr(inode)?;
        let key = ShrinkKey { inode, slot: count.wrapping_sub(1) % SHRINK_SLOTS };
        let kept = SHRINKS.get_ptr_mut(key)?;
        let tid = bpf_get_current_pid_tgid() as u32;
        if (*kept).end != 0 || (*kept).actor.task.tid != tid {
            return None;
        }
        if INSIDE.get_ptr(tid).is_some_and(|outer| (*outer).inode == inode) {
            let _ = INSIDE.remove(tid);
        }
        (*kept).end = now();
        (*kept).ret = ret;
        if (*kept).sent == 0 && ret == 0 && mapped(host) {
            // Mapped while the call was under way.
            let scratch = claim::<Shrink, _>(&SHRINK, kind::SHRINK, ring::CHATTY)?;
            let event = &raw mut (*scratch).value.event;
            let header = (*event).header;
            core::ptr::copy_nonoverlapping(kept, event, 1);
            (*event).header = header;
            (*event).flags |= SHRINK_MAPPED;
            // The fault names the file; walking here too would double what is to be verified.
            if emit(scratch, size_of::<Shrink>() as u32) {
                (*kept).sent = 1;
            }
        }
        if (*kept).sent != 0 {
            let scratch = claim::<ShrinkEnd, _>(&SHRINK_END, kind::SHRINK_END, ring::CHATTY)?;
            let event = &raw mut (*scratch).value;
            (*event).inode = inode;
            (*event).begin = (*kept).begin;
            (*event).ret = ret;
            emit(scratch, size_of::<ShrinkEnd>() as u32);
        }
    }
    Some(())
}

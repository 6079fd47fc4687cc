//! Files that lose their end. `notify_change` sees truncate(2), ftruncate(2), O_TRUNC, nfsd and
//! both inodes of overlayfs, with the inode locked and `i_size` still the old one at entry.
//!
//! The record is written at entry, because a reader can fault before the call returns, and
//! confirmed or taken back at exit.
use aya_ebpf::{
    EbpfContext as _,
    cty::c_void,
    helpers::bpf_get_current_pid_tgid,
    macros::{fentry, fexit, raw_tracepoint},
    programs::{FEntryContext, FExitContext, RawTracePointContext},
};
use tracer_common::event::{
    Inode, PATH, SHRINK_MAPPED, Shrink, ShrinkEnd, Stale, ring, shrink_kind,
};

use crate::{
    emit::{claim, emit, now},
    globals::{config, off},
    inode::{inode, mapped, regular},
    maps::{
        INSIDE, Outer, SHRINK, SHRINK_BACKUP, SHRINK_COUNT, SHRINK_END, SHRINK_SLOTS, SHRINKS,
        STALE, Scratch, ShrinkKey, WithPath,
    },
    path::{by_load, by_probe},
    read::{Probe, Ptr, Read, Typed},
    task,
};

/// include/linux/fs.h
const ATTR_SIZE: u32 = 1 << 3;
const ATTR_FILE: u32 = 1 << 13;
const ATTR_OPEN: u32 = 1 << 15;
/// include/uapi/linux/falloc.h
const FALLOC_FL_COLLAPSE_RANGE: u32 = 8;
/// include/uapi/asm-generic/fcntl.h
const O_TRUNC: u32 = 0o1000;
/// What [`finish`] is told of an act that came to nothing.
const NOT_DONE: i32 = -1;

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

/// The same once more, where the kernel preempts: it does not run a program that a task was preempted
/// in on this CPU (kernel/bpf/trampoline.c __bpf_prog_enter_recur), and a shrink nobody saw makes
/// somebody else the culprit. Attached first, it runs last (bpf_trampoline_link_prog adds in front).
#[fentry(function = "notify_change")]
pub fn notify_change_backup(ctx: FEntryContext) -> u32 {
    if resizes(ctx.arg(2)) { enter_again(ctx.as_ptr()) } else { 0 }
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
    enter(ctx.arg(0), ctx.arg(1), false)
}

#[inline(never)]
fn enter_1(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    enter(ctx.arg(1), ctx.arg(2), false)
}

#[inline(never)]
fn enter_again(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    enter(ctx.arg(1), ctx.arg(2), true)
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

/// Records a shrink, unless this thread has, by the other program. `again` leaves the path to the fault.
#[inline(always)]
fn enter(dentry: Ptr, attr: Ptr, again: bool) -> u32 {
    // SAFETY: the arguments are what the prototype says; typed loads cope with any pointer.
    unsafe {
        let new_size: i64 = Typed::get(attr, off!(iattr_size));
        let host: Ptr = Typed::get(dentry, off!(dentry_inode));
        let old_size: i64 = Typed::get(host, off!(inode_size));
        if new_size < old_size && unfinished(host as u64).is_none() {
            let valid: u32 = Typed::get(attr, off!(iattr_valid));
            let how = if valid & ATTR_OPEN != 0 {
                shrink_kind::OPEN_TRUNC
            } else if valid & ATTR_FILE != 0 {
                shrink_kind::FTRUNCATE
            } else {
                shrink_kind::TRUNCATE
            };
            // Only an open file knows the mount it was reached through.
            let mut mnt: Ptr = core::ptr::null();
            if config!(read_kernel) != 0 && valid & ATTR_FILE != 0 {
                let file: Ptr = Typed::get(attr, off!(iattr_file));
                mnt = Probe::get(file, off!(file_path_mnt));
            }
            if again {
                record_again(host, how, new_size);
            } else {
                record(mnt, dentry, host, how, new_size);
            }
        }
    }
    0
}

/// The last shrink of an inode, if this thread is in it.
#[inline(always)]
unsafe fn unfinished(inode: u64) -> Option<*mut Shrink> {
    // SAFETY: map values; the inode is locked.
    unsafe {
        let count = *SHRINK_COUNT.get_ptr(inode)?;
        let key = ShrinkKey { inode, slot: count.wrapping_sub(1) % SHRINK_SLOTS };
        let kept = SHRINKS.get_ptr_mut(key)?;
        let tid = bpf_get_current_pid_tgid() as u32;
        ((*kept).end == 0 && (*kept).actor.task.tid == tid).then_some(kept)
    }
}

#[inline(always)]
unsafe fn record_again(host: Ptr, how: u32, new_size: i64) -> Option<()> {
    let scratch = claim::<Shrink, _>(&SHRINK_BACKUP, ring::BULK)?;
    // SAFETY: a claimed scratch; typed loads cope with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value;
        fill::<Typed>(event, host, how, new_size);
        let key = slot((*event).inode.ptr);
        let mapped = mapped::<Typed>(host);
        (*event).flags = if mapped { SHRINK_MAPPED } else { 0 };
        (*event).sent = mapped as u32;
        let _ = SHRINKS.insert(key, &(*event), 0);
        if mapped
            && !emit(scratch, size_of::<Shrink>() as u32)
            && let Some(kept) = SHRINKS.get_ptr_mut(key)
        {
            (*kept).sent = 0;
        }
    }
    Some(())
}

#[inline(always)]
unsafe fn record(mnt: Ptr, dentry: Ptr, host: Ptr, how: u32, new_size: i64) -> Option<()> {
    let scratch = claim::<Shrink, _>(&SHRINK, ring::BULK)?;
    // SAFETY: a claimed scratch; typed loads cope with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        fill::<Typed>(event, host, how, new_size);
        let tid = (*event).actor.task.tid;
        let inode = (*event).inode.ptr;
        match INSIDE.get_ptr(tid) {
            Some(outer) if (*outer).new_size == new_size && (*outer).inode != inode => {
                (*event).how = (*outer).how;
                (*event).outer_ino = (*outer).ino;
                (*event).outer_dev = (*outer).dev;
            }
            _ => {
                let Inode { ino, dev, .. } = (*event).inode;
                let outer = Outer { new_size, how, pad: 0, inode, ino, dev, pad2: 0 };
                let _ = INSIDE.insert(tid, outer, 0);
            }
        }
        let key = slot(inode);
        if mapped::<Typed>(host) {
            (*event).flags = SHRINK_MAPPED;
            (*event).sent = 1;
            let _ = SHRINKS.insert(key, &(*event), 0);
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

/// Who does what to which inode.
#[inline(always)]
unsafe fn fill<R: Read>(event: *mut Shrink, host: Ptr, how: u32, new_size: i64) {
    // SAFETY: points into a claimed scratch; `R` copes with any pointer.
    unsafe {
        task::current(&raw mut (*event).actor);
        inode::<R>(&raw mut (*event).inode, host);
        (*event).new_size = new_size;
        (*event).begin = (*event).header.time;
        (*event).how = how;
    }
}

/// Where the next shrink of an inode is kept. The caller has it locked: nobody else counts or
/// fills the slots of this one.
#[inline(always)]
unsafe fn slot(inode: u64) -> ShrinkKey {
    let count = match SHRINK_COUNT.get_ptr(inode) {
        // SAFETY: a map value.
        Some(count) => unsafe { *count },
        None => 0,
    };
    let _ = SHRINK_COUNT.insert(inode, count + 1, 0);
    ShrinkKey { inode, slot: count % SHRINK_SLOTS }
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
        let kept = unfinished(inode)?;
        let tid = bpf_get_current_pid_tgid() as u32;
        if INSIDE.get_ptr(tid).is_some_and(|outer| (*outer).inode == inode) {
            let _ = INSIDE.remove(tid);
        }
        (*kept).end = now();
        (*kept).ret = ret;
        if (*kept).sent == 0 && ret == 0 && mapped::<Typed>(host) {
            // Mapped while the call was under way.
            let scratch = claim::<Shrink, _>(&SHRINK, ring::BULK)?;
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
            let scratch = claim::<ShrinkEnd, _>(&SHRINK_END, ring::BULK)?;
            let event = &raw mut (*scratch).value;
            (*event).inode = inode;
            (*event).begin = (*kept).begin;
            (*event).ret = ret;
            emit(scratch, size_of::<ShrinkEnd>() as u32);
        }
    }
    Some(())
}

/// `int vfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)` (fs/open.c): the one
/// mode that makes a file shorter, and does not pass notify_change.
#[fentry(function = "vfs_fallocate")]
pub fn vfs_fallocate_enter(ctx: FEntryContext) -> u32 {
    if ctx.arg::<u32>(1) & FALLOC_FL_COLLAPSE_RANGE != 0 { collapse(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn collapse(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    let file: Ptr = ctx.arg(0);
    let len: i64 = ctx.arg(3);
    // SAFETY: the arguments are what the prototype says; typed loads cope with any pointer.
    unsafe {
        let host: Ptr = Typed::get(file, off!(file_inode));
        let size: i64 = Typed::get(host, off!(inode_size));
        if len > 0 && len < size {
            let mut mnt: Ptr = core::ptr::null();
            if config!(read_kernel) != 0 {
                mnt = Probe::get(file, off!(file_path_mnt));
            }
            let dentry: Ptr = Typed::get(file, off!(file_path_dentry));
            record(mnt, dentry, host, shrink_kind::COLLAPSE_RANGE, size - len);
        }
    }
    0
}

#[fexit(function = "vfs_fallocate")]
pub fn vfs_fallocate_exit(ctx: FExitContext) -> u32 {
    if ctx.arg::<u32>(1) & FALLOC_FL_COLLAPSE_RANGE != 0 { collapsed(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn collapsed(ctx: *mut c_void) -> u32 {
    let ctx = FExitContext::new(ctx);
    let file: Ptr = ctx.arg(0);
    // SAFETY: as in `collapse`.
    unsafe { finish(Typed::get(file, off!(file_inode)), ctx.arg::<u64>(4) as i32) };
    0
}

/// `void fuse_change_attributes(struct inode *inode, struct fuse_attr *attr, …)` (fs/fuse/inode.c):
/// what the server says of a file, taken over unless what we know is newer.
#[fentry(function = "fuse_change_attributes")]
pub fn fuse_attributes_enter(ctx: FEntryContext) -> u32 {
    let (host, attr): (Ptr, Ptr) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: the arguments are what the prototype says; typed loads cope with any pointer.
    unsafe {
        let new_size: i64 = Typed::get(attr, off!(fuse_attr_size));
        if new_size < Typed::get(host, off!(inode_size)) && regular::<Typed>(host) {
            remote::<Typed>(host, shrink_kind::REMOTE, new_size, 0);
        }
    }
    0
}

#[fexit(function = "fuse_change_attributes")]
pub fn fuse_attributes_exit(ctx: FExitContext) -> u32 {
    let (host, attr): (Ptr, Ptr) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: as at entry.
    unsafe {
        let size: i64 = Typed::get(host, off!(inode_size));
        let taken = size == Typed::get(attr, off!(fuse_attr_size));
        finish(host, if taken { 0 } else { NOT_DONE });
    }
    0
}

/// `int fuse_open(struct inode *inode, struct file *file)` (fs/fuse/file.c): a server with
/// FUSE_ATOMIC_O_TRUNC truncates here, and notify_change finds nothing left to shrink.
#[fentry(function = "fuse_open")]
pub fn fuse_open_enter(ctx: FEntryContext) -> u32 {
    let (host, file): (Ptr, Ptr) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: as in `fuse_attributes_enter`.
    unsafe {
        let flags: u32 = Typed::get(file, off!(file_flags));
        let size: i64 = Typed::get(host, off!(inode_size));
        if flags & O_TRUNC != 0 && size > 0 && regular::<Typed>(host) {
            remote::<Typed>(host, shrink_kind::OPEN_TRUNC, 0, 0);
        }
    }
    0
}

#[fexit(function = "fuse_open")]
pub fn fuse_open_exit(ctx: FExitContext) -> u32 {
    let (host, file): (Ptr, Ptr) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: as at entry.
    unsafe {
        let flags: u32 = Typed::get(file, off!(file_flags));
        if flags & O_TRUNC != 0 {
            let size: i64 = Typed::get(host, off!(inode_size));
            finish(host, if size == 0 { 0 } else { NOT_DONE });
        }
    }
    0
}

/// `nfs_size_update(const struct inode *inode, loff_t new_size)`, and `nfs_size_wcc` alike
/// (fs/nfs/nfstrace.h, from 6.0): before i_size is written, by whoever asked the server: a process,
/// or a kworker. The tracepoint of a module, whose arguments have no type.
#[raw_tracepoint(tracepoint = "nfs_size_update")]
pub fn nfs_size(ctx: RawTracePointContext) -> i32 {
    let host = ctx.arg::<u64>(0) as Ptr;
    let new_size: i64 = ctx.arg(1);
    // SAFETY: probe reads cope with any pointer.
    unsafe {
        if new_size < Probe::get(host, off!(inode_size)) && regular::<Probe>(host) {
            remote::<Probe>(host, shrink_kind::REMOTE, new_size, now());
        }
    }
    0
}

/// `nfs_set_inode_stale(const struct inode *inode)` (fs/nfs/nfstrace.h): the server answered
/// ESTALE.
#[raw_tracepoint(tracepoint = "nfs_set_inode_stale")]
pub fn nfs_stale(ctx: RawTracePointContext) -> i32 {
    let host = ctx.arg::<u64>(0) as Ptr;
    // SAFETY: a claimed scratch; probe reads cope with any pointer.
    unsafe {
        if mapped::<Probe>(host)
            && let Some(scratch) = claim::<Stale, _>(&STALE, ring::BULK)
        {
            inode::<Probe>(&raw mut (*scratch).value.inode, host);
            emit(scratch, size_of::<Stale>() as u32);
        }
    }
    0
}

/// A shrink without a path to walk; the fault names the file. `end` is set where no exit follows.
#[inline(always)]
unsafe fn remote<R: Read>(host: Ptr, how: u32, new_size: i64, end: u64) -> Option<()> {
    let tid = bpf_get_current_pid_tgid() as u32;
    // SAFETY: a map value.
    if INSIDE.get_ptr(tid).is_some_and(|outer| unsafe { (*outer).inode } == host as u64) {
        // The reply to what this thread is doing itself.
        return None;
    }
    let scratch = claim::<Shrink, _>(&SHRINK, ring::BULK)?;
    // SAFETY: a claimed scratch; `R` copes with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        fill::<R>(event, host, how, new_size);
        (*event).end = end;
        let key = slot((*event).inode.ptr);
        if mapped::<R>(host) {
            (*event).flags = SHRINK_MAPPED;
            (*event).sent = emit(scratch, size_of::<Shrink>() as u32) as u32;
        }
        let _ = SHRINKS.insert(key, &(*event), 0);
    }
    Some(())
}

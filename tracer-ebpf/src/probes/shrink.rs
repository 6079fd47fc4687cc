//! Files that lose their end by a call of this host. `notify_change` sees truncate(2), ftruncate(2),
//! O_TRUNC, nfsd and both inodes of overlayfs, with the inode locked and `i_size` still the old one at
//! entry.
//!
//! The record is written at entry, because a reader can fault before the call returns, and
//! confirmed or taken back at exit.
use tracer_common::{
    event::{
        Inode, SHRINK_MAPPED, SHRINK_SHARED, SHRINK_SUPPRESSED, Shrink, ShrinkEnd, ring,
        shrink_kind,
    },
    log::Hook,
};

use crate::{
    bursts,
    emit::{claim, emit, now},
    form::{Call, program},
    globals::{config, is_shared, off},
    inode::mapped,
    log::{LOGS, log},
    path::{self, PathSpace},
    program,
    read::{Probe, Ptr, Read},
    scratch::{
        SHARED_SHRINK, SHRINK, SHRINK_BACKUP, SHRINK_END, Scratch, WithPath, shrinker, stacker,
        teller,
    },
    shrinks::{self, Opening},
    sizes, stack,
};

/// include/linux/fs.h
const ATTR_SIZE: u32 = 1 << 3;
const ATTR_FILE: u32 = 1 << 13;
const ATTR_OPEN: u32 = 1 << 15;
/// include/uapi/linux/falloc.h
const FALLOC_FL_COLLAPSE_RANGE: u32 = 8;

// One program a prototype: a branch between two constant indices is merged into a computed one by LLVM.
// The bodies take the indices of the `struct dentry *` and of the `struct iattr *`.

program! {
    /// `int notify_change(struct dentry *, struct iattr *, struct inode **)` (fs/attr.c, to 5.11).
    fentry "notify_change" => notify_change_enter_0 or notify_change_kprobe_0,
    if resizes::<1, _>, enter_0: enter::<0, 1, true, _>
}
program! {
    /// `int notify_change(struct mnt_idmap *, struct dentry *, struct iattr *, …)` (from 5.12;
    /// the first argument was a `struct user_namespace *` until 6.2).
    fentry "notify_change" => notify_change_enter_1 or notify_change_kprobe_1,
    if resizes::<2, _>, enter_1: enter::<1, 2, false, _>
}
program! {
    /// The same once more, where the kernel preempts: it does not run a program that a task was
    /// preempted in on this CPU (kernel/bpf/trampoline.c __bpf_prog_enter_recur), and a shrink nobody
    /// saw makes somebody else the culprit. Attached first, it runs last (bpf_trampoline_link_prog adds
    /// in front).
    fentry "notify_change" => notify_change_backup, if resizes::<2, _>,
    enter_backup: enter_unseen::<1, 2, _>
}
program! {
    /// As `notify_change_enter_0`.
    fexit "notify_change" => notify_change_exit_0 or notify_change_0_called, notify_change_0_returned of NOTIFY_CHANGE,
    if may_have_resized::<1, _>,
    exit_0: exit::<0, 1, 3, _>
}
program! {
    /// As `notify_change_enter_1`.
    fexit "notify_change" => notify_change_exit_1 or notify_change_1_called, notify_change_1_returned of NOTIFY_CHANGE,
    if may_have_resized::<2, _>,
    exit_1: exit::<1, 2, 4, _>
}
program! {
    /// `int vfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)` (fs/open.c): the one
    /// mode that makes a file shorter, and does not pass notify_change. Another makes it longer.
    fentry "vfs_fallocate" => vfs_fallocate_enter or vfs_fallocate_kprobe,
    if collapses, collapse_begins: collapse,
    if allocates, fallocate_grows: note_allocated
}
program! {
    /// As at entry.
    fexit "vfs_fallocate" => vfs_fallocate_exit or fallocate_called, fallocate_returned of FALLOCATE,
    if collapses, collapse_ends: collapsed,
    if allocates, fallocate_ends: allocated
}

/// Reads `ia_valid` of the `struct iattr *` that is argument `ATTR`.
#[inline(always)]
fn valid<const ATTR: usize, C: Call>(call: C) -> u32 {
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    unsafe { C::Memory::get(call.arg::<ATTR>() as Ptr, off!(iattr_valid)) }
}

#[inline(always)]
fn resizes<const ATTR: usize, C: Call>(call: C) -> bool {
    valid::<ATTR, C>(call) & ATTR_SIZE != 0
}

/// The file system may have rewritten ia_valid (xfs adds bits, NFS clears ATTR_SIZE where nothing
/// changes): whatever came from truncate keeps one of these. What counts in the end is whether an
/// unfinished record of this thread is there.
#[inline(always)]
fn may_have_resized<const ATTR: usize, C: Call>(call: C) -> bool {
    valid::<ATTR, C>(call) & (ATTR_SIZE | ATTR_OPEN | ATTR_FILE) != 0
}

/// What a call of notify_change is about to do, or tells of.
struct Change {
    host: Ptr,
    new_size: i64,
    /// ia_valid
    valid: u32,
    /// One of `shrink_kind`.
    how: u32,
    /// The open(2) that has done it already, and now says so.
    opening: Option<Opening>,
}

/// Whether a call of notify_change shrinks a file, and this thread has not recorded it by the other
/// program.
#[inline(always)]
unsafe fn change<const DENTRY: usize, const ATTR: usize, C: Call>(call: C) -> Option<Change> {
    // SAFETY: the arguments are what the prototype says; the reader copes with any pointer.
    unsafe {
        let new_size: i64 = C::Memory::get(call.arg::<ATTR>() as Ptr, off!(iattr_size));
        let host: Ptr = C::Memory::get(call.arg::<DENTRY>() as Ptr, off!(dentry_inode));
        let old_size: i64 = C::Memory::get(host, off!(inode_size));
        let valid = valid::<ATTR, C>(call);
        let opening =
            if valid & ATTR_OPEN != 0 { shrinks::take_opening(host as u64) } else { None };
        let opening = opening.filter(|_| old_size == 0);
        let twice = || shrinks::recorded(host as u64, old_size, new_size);
        if opening.is_none() && (new_size >= old_size || twice()) {
            log!(Hook::NotifyChange, ShrinkNone, old_size, new_size);
            return None;
        }
        let how = if valid & ATTR_OPEN != 0 {
            shrink_kind::OPEN_TRUNC
        } else if valid & ATTR_FILE != 0 {
            shrink_kind::FTRUNCATE
        } else {
            shrink_kind::TRUNCATE
        };
        Some(Change { host, new_size, valid, how, opening })
    }
}

#[inline(always)]
unsafe fn enter<const DENTRY: usize, const ATTR: usize, const LIST_ALONE: bool, C: Call>(call: C) {
    // SAFETY: as in `change`.
    unsafe {
        let Some(change) = change::<DENTRY, ATTR, C>(call) else {
            return sizes::begin::<C::Memory>(
                C::Memory::get(call.arg::<DENTRY>() as Ptr, off!(dentry_inode)),
                C::Memory::get(call.arg::<ATTR>() as Ptr, off!(iattr_size)),
            );
        };
        let mnt = mount::<ATTR, C>(call, change.valid);
        let dentry = call.arg::<DENTRY>() as Ptr;
        record::<{ shrinker::NOTIFY_CHANGE }, C::Memory>(mnt, dentry, change, |event| {
            if stack::fill_act(call.context(), (*event).actor.task.start_time, (*event).begin) {
                stack::modules_of_act::<LIST_ALONE>();
                stack::send(stacker::NOTIFY_CHANGE);
            }
        });
    }
}

#[inline(always)]
fn allocates<C: Call>(call: C) -> bool {
    call.arg::<1>() as u32 == 0
}

#[inline(always)]
unsafe fn note_allocated<C: Call>(call: C) {
    // SAFETY: the arguments are what the prototype says; the reader copes with any pointer.
    unsafe {
        let host = C::Memory::get(call.arg::<0>() as Ptr, off!(file_inode));
        let end = (call.arg::<2>() as i64).wrapping_add(call.arg::<3>() as i64);
        sizes::begin::<C::Memory>(host, end);
    }
}

#[inline(always)]
unsafe fn allocated<C: Call>(call: C) {
    // SAFETY: as in `note_allocated`.
    unsafe {
        let host = C::Memory::get(call.arg::<0>() as Ptr, off!(file_inode));
        sizes::end::<C::Memory>(host, call.returned::<4>() as i32, shrinker::FALLOCATE);
    }
}

/// The `struct vfsmount` a file was reached through: only an open file knows it.
#[inline(always)]
unsafe fn mount<const ATTR: usize, C: Call>(call: C, valid: u32) -> Ptr {
    if config!(read_kernel) == 0 || valid & ATTR_FILE == 0 {
        return core::ptr::null();
    }
    // SAFETY: as in `change`.
    unsafe {
        let file: Ptr = C::Memory::get(call.arg::<ATTR>() as Ptr, off!(iattr_file));
        Probe::get(file, off!(file_path_mnt))
    }
}

/// Leaves the path to the fault.
#[inline(always)]
unsafe fn enter_unseen<const DENTRY: usize, const ATTR: usize, C: Call>(call: C) {
    // SAFETY: as in `change`; a claimed scratch.
    unsafe {
        let Some(change) = change::<DENTRY, ATTR, C>(call) else { return };
        log!(Hook::NotifyChange, ShrinkByBackup);
        program::of_current(teller::NOTIFY_CHANGE_BACKUP, ring::BULK);
        let Some(scratch) = claim::<Shrink, _>(&SHRINK_BACKUP, 0, ring::BULK) else { return };
        let event = &raw mut (*scratch).value;
        let host = change.host;
        shrinks::fill::<C::Memory>(event, host, change.how, change.new_size);
        done_by(event, change.opening);
        let key = shrinks::slot(event);
        let mapped = mapped::<C::Memory>(host);
        (*event).flags = if mapped { SHRINK_MAPPED } else { shared(event) };
        (*event).sent = mapped as u32;
        shrinks::put(key, event);
        decided(Hook::NotifyChange, event);
        let sent = (mapped || is_due(event)) && emit(scratch, size_of::<Shrink>() as u32);
        if mapped && !sent {
            shrinks::mark_sent(key, false);
        }
    }
}

#[inline(always)]
unsafe fn exit<const DENTRY: usize, const ATTR: usize, const ARGS: usize, C: Call>(call: C) {
    // SAFETY: the arguments are what the prototype says; the reader copes with any pointer.
    unsafe {
        let dentry = call.arg::<DENTRY>() as Ptr;
        let host = C::Memory::get(dentry, off!(dentry_inode));
        let ret = call.returned::<ARGS>() as i32;
        sizes::end::<C::Memory>(host, ret, shrinker::NOTIFY_CHANGE);
        let done = finish::<{ shrinker::NOTIFY_CHANGE }, C::Memory>(host, ret);
        if let Some(done) = done
            && (*done).sent == 0
            && (*done).ret == 0
            && is_due(done)
        {
            tell(done, mount::<ATTR, C>(call, valid::<ATTR, C>(call)), dentry);
        }
    }
}

/// `SHRINK_SHARED` where other hosts may map the inode, which nobody here does.
#[inline(always)]
unsafe fn shared(event: *const Shrink) -> u32 {
    // SAFETY: points into a claimed scratch.
    if is_shared(unsafe { (*event).inode.magic }) { SHRINK_SHARED } else { 0 }
}

/// Whether this is a shrink of a file that other hosts may map and nobody here does, is done, and is to be told.
/// Those that are not for being too many are counted, mapped or not.
#[inline(always)]
unsafe fn is_due(event: *const Shrink) -> bool {
    // SAFETY: points into a claimed scratch, or to a map value.
    unsafe {
        let flags = (*event).flags;
        if (*event).end == 0 || !is_shared((*event).inode.magic) {
            return false;
        }
        if flags & SHRINK_SUPPRESSED != 0 {
            bursts::refuse_shared(event);
        }
        flags & SHRINK_SHARED != 0 && bursts::admits_shared(event)
    }
}

/// Sends a remembered shrink that is done. User space does not keep it for a fault to come: it stays unsent.
#[inline(always)]
unsafe fn tell(done: *const Shrink, mnt: Ptr, dentry: Ptr) -> Option<()> {
    let scratch = claim::<Shrink, _>(&SHARED_SHRINK, 0, ring::BULK)?;
    // SAFETY: a claimed scratch and a map value.
    unsafe {
        shrinks::copy(&raw mut (*scratch).value.event, done, 0);
        with_path(scratch, mnt, dentry);
    }
    Some(())
}

#[inline(always)]
fn collapses<C: Call>(call: C) -> bool {
    call.arg::<1>() as u32 & FALLOC_FL_COLLAPSE_RANGE != 0
}

#[inline(always)]
unsafe fn collapse<C: Call>(call: C) {
    let (file, len) = (call.arg::<0>() as Ptr, call.arg::<3>() as i64);
    // SAFETY: the arguments are what the prototype says; the reader copes with any pointer.
    unsafe {
        let host: Ptr = C::Memory::get(file, off!(file_inode));
        let size: i64 = C::Memory::get(host, off!(inode_size));
        if len > 0 && len < size {
            let mut mnt: Ptr = core::ptr::null();
            if config!(read_kernel) != 0 {
                mnt = Probe::get(file, off!(file_path_mnt));
            }
            let dentry: Ptr = C::Memory::get(file, off!(file_path_dentry));
            let (new_size, how) = (size - len, shrink_kind::COLLAPSE_RANGE);
            let change = Change { host, new_size, valid: 0, how, opening: None };
            record::<{ shrinker::FALLOCATE }, C::Memory>(mnt, dentry, change, |_| {});
        }
    }
}

#[inline(always)]
unsafe fn collapsed<C: Call>(call: C) {
    // SAFETY: as in `collapse`.
    unsafe {
        let host = C::Memory::get(call.arg::<0>() as Ptr, off!(file_inode));
        finish::<{ shrinker::FALLOCATE }, C::Memory>(host, call.returned::<4>() as i32);
    }
}

/// Remembers a shrink, and sends it if the file is mapped; `before` it is sent.
#[inline(always)]
unsafe fn record<const BY: u32, R: Read>(
    mnt: Ptr,
    dentry: Ptr,
    change: Change,
    before: impl FnOnce(*const Shrink),
) -> Option<()> {
    let teller = if BY == shrinker::FALLOCATE { teller::FALLOCATE } else { teller::NOTIFY_CHANGE };
    program::of_current(teller, ring::BULK);
    let scratch = claim::<Shrink, _>(&SHRINK, BY, ring::BULK)?;
    // SAFETY: a claimed scratch; `R` copes with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let host = change.host;
        shrinks::fill::<R>(event, host, change.how, change.new_size);
        if !done_by(event, change.opening) {
            shrinks::nest(event);
        }
        if mapped::<R>(host) {
            (*event).flags = SHRINK_MAPPED;
            if !bursts::admits_shrink((*event).inode.ptr) {
                (*event).flags |= SHRINK_SUPPRESSED;
            }
        } else {
            (*event).flags = shared(event);
        }
        let key = shrinks::slot(event);
        let sent = (*event).flags == SHRINK_MAPPED;
        (*event).sent = sent as u32;
        shrinks::put(key, event);
        decided(hook(BY), event);
        if sent {
            before(event);
        }
        if (sent || is_due(event)) && !with_path(scratch, mnt, dentry) && sent {
            shrinks::mark_sent(key, false);
        }
    }
    Some(())
}

/// Says what becomes of a shrink.
#[inline(always)]
pub unsafe fn decided(hook: Hook, event: *const Shrink) {
    if !LOGS {
        return;
    }
    // SAFETY: points into a claimed scratch.
    let (flags, Inode { ino, size, .. }, new_size) =
        unsafe { ((*event).flags, (*event).inode, (*event).new_size) };
    if flags & SHRINK_SUPPRESSED != 0 {
        log!(hook, ShrinkTooMany, ino, size, new_size);
    } else if flags & SHRINK_MAPPED != 0 {
        log!(hook, ShrinkSent, ino, size, new_size);
    } else {
        log!(hook, ShrinkKept, ino, size, new_size);
    }
}

/// The hook of one of [`shrinker`].
pub const fn hook(by: u32) -> Hook {
    match by {
        shrinker::FALLOCATE => Hook::Fallocate,
        shrinker::FUSE => Hook::FuseAttributes,
        shrinker::NFS => Hook::NfsSize,
        _ => Hook::NotifyChange,
    }
}

/// Sends a shrink with the path its actor used, without `mnt` up to the root of the file system; whether there
/// was room for it.
#[inline(always)]
unsafe fn with_path(scratch: *mut Scratch<WithPath<Shrink>>, mnt: Ptr, dentry: Ptr) -> bool {
    // SAFETY: a claimed scratch.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let path = &raw mut (*scratch).value.path;
        path::of_dentry(path, mnt, dentry);
        let len = PathSpace::len(path);
        (*event).path_flags = PathSpace::flags(path);
        (*event).path_len = len;
        emit(scratch, size_of::<Shrink>() as u32 + len)
    }
}

/// Whether the act is over: an open(2) has done it.
#[inline(always)]
unsafe fn done_by(event: *mut Shrink, opening: Option<Opening>) -> bool {
    let Some(opening) = opening else { return false };
    // SAFETY: points into a claimed scratch.
    unsafe {
        (*event).inode.size = opening.size;
        (*event).begin = opening.begin;
        (*event).end = (*event).header.time;
    }
    true
}

/// The current thread has done what it recorded of this inode, if it has: gives that.
#[inline(always)]
pub unsafe fn finish<const BY: u32, R: Read>(host: Ptr, ret: i32) -> Option<*mut Shrink> {
    let inode = host as u64;
    shrinks::leave(inode);
    let pending = shrinks::unfinished(inode)?;
    // SAFETY: a map value; the inode is still locked. `R` copes with any pointer.
    unsafe {
        if ret < 0 && R::get::<i64>(host, off!(inode_size)) == (*pending).new_size {
            // That shrink was done: what fails here is a later call, which recorded nothing.
            (*pending).end = now();
            return None;
        }
        (*pending).end = now();
        (*pending).ret = ret;
        let Inode { ino, size, .. } = (*pending).inode;
        log!(hook(BY), ShrinkOver, ret, ino, size, (*pending).new_size);
        let suppressed = (*pending).flags & SHRINK_SUPPRESSED != 0;
        if (*pending).sent == 0 && !suppressed && ret == 0 && mapped::<R>(host) {
            // Mapped while the call was under way.
            shrinks::send(pending, SHRINK_MAPPED, BY)?;
        }
        if (*pending).sent != 0 {
            let scratch = claim::<ShrinkEnd, _>(&SHRINK_END, BY, ring::BULK)?;
            let event = &raw mut (*scratch).value;
            (*event).inode = inode;
            (*event).begin = (*pending).begin;
            (*event).ret = ret;
            emit(scratch, size_of::<ShrinkEnd>() as u32);
        }
        Some(pending)
    }
}

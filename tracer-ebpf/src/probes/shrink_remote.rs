//! Files that lose their end elsewhere: by a server, of which this host only learns.
use tracer_common::event::{SHRINK_MAPPED, Shrink, Stale, ring, shrink_kind};

use super::shrink::{decided, finish, hook};
use crate::{
    emit::{claim, emit, now},
    form::{Call, program},
    globals::off,
    inode::{inode, mapped, regular},
    log::log,
    read::{Ptr, Read},
    scratch::{SHRINK, STALE, shrinker},
    shrinks, thread,
};

/// Offset of `size` in `struct fuse_attr` (include/uapi/linux/fuse.h): servers send it as it is.
const FUSE_ATTR_SIZE: u32 = 8;
/// What [`finish`] is told of an act that came to nothing.
const NOT_DONE: i32 = -1;

program! {
    /// `void fuse_change_attributes(struct inode *inode, struct fuse_attr *attr, …)`
    /// (fs/fuse/inode.c): what the server says of a file, taken over unless what we know is newer.
    fentry "fuse_change_attributes" => fuse_attributes_enter, if fuse_shrinks,
    fuse_attributes_begin: fuse_shrink
}
program! {
    /// As at entry.
    fexit "fuse_change_attributes" => fuse_attributes_exit, if always, fuse_attributes_end: fuse_taken
}
program! {
    /// The same where FUSE is a module, whose functions are hooked by name.
    kprobe "fuse_change_attributes" => fuse_attributes_called, if fuse_shrinks,
    fuse_attributes_called_slow: fuse_shrink_called
}
program! {
    /// As at entry.
    kretprobe "fuse_change_attributes" => fuse_attributes_returned, if always,
    fuse_attributes_returned_slow: fuse_taken_returned
}
program! {
    /// `nfs_size_update(const struct inode *inode, loff_t new_size)`, and `nfs_size_wcc` alike
    /// (fs/nfs/nfstrace.h, from 6.0): before i_size is written, by whoever asked the server: a process,
    /// or a kworker. The tracepoint of a module, whose arguments have no type.
    raw_tp "nfs_size_update" => nfs_size, if always, nfs_resized: nfs_shrink
}
program! {
    /// `nfs_set_inode_stale(const struct inode *inode)` (fs/nfs/nfstrace.h): the server answered
    /// ESTALE.
    raw_tp "nfs_set_inode_stale" => nfs_stale, if always, nfs_gone: stale
}

#[inline(always)]
fn always<C: Call>(_: C) -> bool {
    true
}

#[inline(always)]
fn fuse_shrinks<C: Call>(call: C) -> bool {
    // SAFETY: the arguments are what the prototype says; the reader copes with any pointer.
    unsafe {
        let host = call.arg::<0>() as Ptr;
        let new_size: i64 = C::Memory::get(call.arg::<1>() as Ptr, FUSE_ATTR_SIZE);
        new_size < C::Memory::get(host, off!(inode_size)) && regular::<C::Memory>(host)
    }
}

#[inline(always)]
unsafe fn fuse_shrink<C: Call>(call: C) {
    // SAFETY: as in `fuse_shrinks`.
    unsafe {
        let new_size = C::Memory::get(call.arg::<1>() as Ptr, FUSE_ATTR_SIZE);
        record::<{ shrinker::FUSE }, C::Memory>(call.arg::<0>() as Ptr, new_size, 0);
    }
}

/// As `fuse_shrink`; the return will not say which inode it was.
#[inline(always)]
unsafe fn fuse_shrink_called<C: Call>(call: C) {
    // SAFETY: as in `fuse_shrinks`.
    unsafe { fuse_shrink(call) };
    thread::note_called(call.arg::<0>());
}

#[inline(always)]
unsafe fn fuse_taken<C: Call>(call: C) {
    // SAFETY: as in `fuse_shrinks`.
    unsafe { taken::<C::Memory>(call.arg::<0>() as Ptr) };
}

#[inline(always)]
unsafe fn fuse_taken_returned<C: Call>(_: C) {
    if let Some(host) = thread::take_called() {
        // SAFETY: the inode of the call that returns; the reader copes with any pointer.
        unsafe { taken::<C::Memory>(host as Ptr) };
    }
}

/// Whether the server's word was taken over shows in the inode. It does not show in the `struct fuse_attr`:
/// with a write-back cache the kernel writes its own size in there first (fs/fuse/inode.c
/// fuse_change_attributes_i, from 5.16).
#[inline(always)]
unsafe fn taken<R: Read>(host: Ptr) -> Option<()> {
    let pending = shrinks::unfinished(host as u64)?;
    // SAFETY: a map value; `R` copes with any pointer.
    unsafe {
        let taken = R::get::<i64>(host, off!(inode_size)) == (*pending).new_size;
        finish::<{ shrinker::FUSE }, R>(host, if taken { 0 } else { NOT_DONE });
    }
    Some(())
}

#[inline(always)]
unsafe fn nfs_shrink<C: Call>(call: C) {
    let (host, new_size) = (call.arg::<0>() as Ptr, call.arg::<1>() as i64);
    // SAFETY: as in `fuse_shrinks`.
    unsafe {
        if new_size < C::Memory::get(host, off!(inode_size)) && regular::<C::Memory>(host) {
            record::<{ shrinker::NFS }, C::Memory>(host, new_size, now());
        }
    }
}

#[inline(always)]
unsafe fn stale<C: Call>(call: C) {
    let host = call.arg::<0>() as Ptr;
    // SAFETY: a claimed scratch; the reader copes with any pointer.
    unsafe {
        if mapped::<C::Memory>(host)
            && let Some(scratch) = claim::<Stale, _>(&STALE, 0, ring::BULK)
        {
            inode::<C::Memory>(&raw mut (*scratch).value.inode, host);
            emit(scratch, size_of::<Stale>() as u32);
        }
    }
}

/// A shrink without a path to walk; the fault names the file. `end` is set where no exit follows.
#[inline(always)]
unsafe fn record<const BY: u32, R: Read>(host: Ptr, new_size: i64, end: u64) -> Option<()> {
    if shrinks::is_inside(host as u64) {
        // The reply to what this thread is doing itself.
        log!(hook(BY), ShrinkOwn);
        return None;
    }
    let scratch = claim::<Shrink, _>(&SHRINK, BY, ring::BULK)?;
    // SAFETY: a claimed scratch; `R` copes with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        shrinks::fill::<R>(event, host, shrink_kind::REMOTE, new_size);
        (*event).end = end;
        let key = shrinks::slot(event);
        if mapped::<R>(host) {
            (*event).flags = SHRINK_MAPPED;
            (*event).sent = emit(scratch, size_of::<Shrink>() as u32) as u32;
        }
        shrinks::put(key, event);
        decided(hook(BY), event);
    }
    Some(())
}

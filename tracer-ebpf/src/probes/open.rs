//! Files that are written to in place while they are mapped, and files that lose their end inside of open(2): where the server truncates (FUSE with
//! FUSE_ATOMIC_O_TRUNC, CIFS, Ceph), nothing is left to shrink when notify_change is called.
//!
//! What is noted here is confirmed there: fs/namei.c do_open() calls notify_change with ATTR_OPEN for the
//! same thread and inode, and only if the open succeeded.
use tracer_common::{
    event::{SHRINK_MAPPED, Shrink, ring, shrink_kind},
    log::Hook,
};

use crate::{
    bursts,
    emit::claim,
    form::{Call, program},
    globals::off,
    inode::{only_read, regular},
    log::log,
    program,
    read::{Ptr, Read},
    scratch::{WRITER, teller},
    shrinks,
};

/// include/uapi/asm-generic/fcntl.h
const O_TRUNC: u32 = 0o1000;
/// O_WRONLY, O_RDWR
const WRITES: u32 = 0o3;

program! {
    /// `int vfs_open(const struct path *path, struct file *file)` (fs/open.c). The file has its flags, and
    /// no inode yet.
    fentry "vfs_open" => vfs_open or vfs_open_kprobe,
    if truncates, open_begins: note, if writes_to_mapped, open_writes: note_writer
}

#[inline(always)]
fn truncates<C: Call>(call: C) -> bool {
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    unsafe { C::Memory::get::<u32>(call.arg::<1>() as Ptr, off!(file_flags)) & O_TRUNC != 0 }
}

#[inline(always)]
unsafe fn note<C: Call>(call: C) {
    // SAFETY: as in `truncates`.
    unsafe {
        let host = opened::<C>(call);
        let size: i64 = C::Memory::get(host, off!(inode_size));
        if size > 0 && regular::<C::Memory>(host) {
            shrinks::note_opening(host as u64, size);
            log!(Hook::VfsOpen, Opening, C::Memory::get::<u64>(host, off!(inode_ino)), size);
        } else {
            // An earlier one may have failed: what it noted is not what this one does.
            shrinks::forget_opening();
        }
    }
}

/// Whether a mapped file is opened to be written to. Most files that are opened so are mapped by nobody.
#[inline(always)]
fn writes_to_mapped<C: Call>(call: C) -> bool {
    // SAFETY: as in `truncates`.
    unsafe {
        let flags: u32 = C::Memory::get(call.arg::<1>() as Ptr, off!(file_flags));
        flags & WRITES != 0 && only_read::<C::Memory>(opened::<C>(call))
    }
}

#[inline(always)]
unsafe fn opened<C: Call>(call: C) -> Ptr {
    // SAFETY: as in `truncates`.
    unsafe {
        let dentry: Ptr = C::Memory::get(call.arg::<0>() as Ptr, off!(path_dentry));
        C::Memory::get(dentry, off!(dentry_inode))
    }
}

/// Remembers who may write to a mapped file, for a crash in it.
#[inline(always)]
unsafe fn note_writer<C: Call>(call: C) {
    // SAFETY: as in `truncates`; a claimed scratch.
    unsafe {
        let host = opened::<C>(call);
        if !regular::<C::Memory>(host) || !bursts::admits_writer(host as u64) {
            return;
        }
        program::of_current(teller::VFS_OPEN, ring::BULK);
        let Some(scratch) = claim::<Shrink, _>(&WRITER, 0, ring::BULK) else { return };
        let event = &raw mut (*scratch).value;
        let size: i64 = C::Memory::get(host, off!(inode_size));
        shrinks::fill::<C::Memory>(event, host, shrink_kind::OPEN_WRITE, size);
        (*event).flags = SHRINK_MAPPED;
        (*event).end = (*event).begin;
        shrinks::put_writer(host as u64, event);
        log!(Hook::VfsOpen, WriterKept, (*event).inode.ino);
    }
}

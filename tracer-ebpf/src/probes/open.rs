//! Files that lose their end inside of open(2): where the server truncates (FUSE with
//! FUSE_ATOMIC_O_TRUNC, CIFS, Ceph), nothing is left to shrink when notify_change is called.
//!
//! What is noted here is confirmed there: fs/namei.c do_open() calls notify_change with ATTR_OPEN for the
//! same thread and inode, and only if the open succeeded.
use crate::{
    form::{Call, program},
    globals::off,
    inode::regular,
    read::{Ptr, Read},
    shrinks,
};

/// include/uapi/asm-generic/fcntl.h
const O_TRUNC: u32 = 0o1000;

program! {
    /// `int vfs_open(const struct path *path, struct file *file)` (fs/open.c). The file has its flags, and
    /// no inode yet.
    fentry "vfs_open" => vfs_open, if truncates, open_begins: note
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
        let dentry: Ptr = C::Memory::get(call.arg::<0>() as Ptr, off!(path_dentry));
        let host: Ptr = C::Memory::get(dentry, off!(dentry_inode));
        let size: i64 = C::Memory::get(host, off!(inode_size));
        if size > 0 && regular::<C::Memory>(host) {
            shrinks::note_opening(host as u64, size);
        } else {
            // An earlier one may have failed: what it noted is not what this one does.
            shrinks::forget_opening();
        }
    }
}

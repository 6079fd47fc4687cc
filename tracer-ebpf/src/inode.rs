//! Names an inode by what outlives its pointer.
use tracer_common::event::{FileId, Inode};

use crate::{
    globals::off,
    read::{Ptr, Read},
};

/// include/uapi/linux/magic.h
const TMPFS_MAGIC: u64 = 0x0102_1994;
/// include/uapi/linux/stat.h
const S_IFMT: u16 = 0o170_000;
const S_IFREG: u16 = 0o100_000;
const S_IFBLK: u16 = 0o060_000;

#[inline(always)]
pub unsafe fn inode<R: Read>(out: *mut Inode, inode: Ptr) {
    // SAFETY: `R` copes with any pointer; `out` points into a claimed scratch.
    unsafe {
        let sb: Ptr = R::get(inode, off!(inode_sb));
        (*out).ptr = inode as u64;
        (*out).ino = R::get(inode, off!(inode_ino));
        (*out).generation = R::get(inode, off!(inode_generation));
        (*out).size = R::get(inode, off!(inode_size));
        (*out).nlink = R::get(inode, off!(inode_nlink));
        (*out).uid = R::get(inode, off!(inode_uid));
        (*out).gid = R::get(inode, off!(inode_gid));
        (*out).mode = R::get::<u16>(inode, off!(inode_mode)) as u32;
        (*out).dev = R::get(sb, off!(sb_dev));
        (*out).magic = R::get(sb, off!(sb_magic));
        let sec: i64 = R::get(inode, off!(inode_ctime_sec));
        // From 6.13 on its upper bit says that somebody has asked for it (include/linux/fs.h I_CTIME_QUERIED).
        let nsec = R::get::<u32>(inode, off!(inode_ctime_nsec)) & !(1 << 31);
        (*out).ctime = sec.wrapping_mul(1_000_000_000).wrapping_add(nsec as i64);
    }
}

/// The inode whose pages a `struct file` shows, which may be null: of a block device not that of its node.
#[inline(always)]
pub unsafe fn paged<R: Read>(file: Ptr) -> Ptr {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let node: Ptr = R::get(file, off!(file_inode));
        if file_type::<R>(node) == S_IFBLK {
            return R::get(R::get::<Ptr>(file, off!(file_mapping)), off!(space_host));
        }
        node
    }
}

/// Names the inode of a `struct file` that may be null.
#[inline(always)]
pub unsafe fn file<R: Read>(file: Ptr) -> FileId {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let inode: Ptr = R::get(file, off!(file_inode));
        let sb: Ptr = R::get(inode, off!(inode_sb));
        FileId {
            ino: R::get(inode, off!(inode_ino)),
            dev: R::get(sb, off!(sb_dev)),
            generation: R::get(inode, off!(inode_generation)),
        }
    }
}

/// Names the program of a task; all zero for a kernel thread.
#[inline(always)]
pub unsafe fn exe<R: Read>(task: Ptr) -> FileId {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let mm: Ptr = R::get(task, off!(task_mm));
        file::<R>(R::get(mm, off!(mm_exe_file)))
    }
}

/// Whether anybody maps it: mapping_mapped() of include/linux/fs.h.
#[inline(always)]
pub unsafe fn mapped<R: Read>(inode: Ptr) -> bool {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let mapping: Ptr = R::get(inode, off!(inode_mapping));
        R::get::<u64>(mapping, off!(mapping_root)) != 0
    }
}

/// Whether somebody maps it, and nobody may write to it by its mapping: a library, not a database. Nor is it the
/// program of a process, which open(2) refuses to write to (include/linux/fs.h deny_write_access).
#[inline(always)]
pub unsafe fn only_read<R: Read>(inode: Ptr) -> bool {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let mapping: Ptr = R::get(inode, off!(inode_mapping));
        R::get::<u64>(mapping, off!(mapping_root)) != 0
            && R::get::<i32>(mapping, off!(mapping_writable)) <= 0
            && R::get::<i32>(inode, off!(inode_writecount)) >= 0
    }
}

/// Whether it is shared memory that no directory has: of memfd_create(2), or removed.
#[inline(always)]
pub unsafe fn unnamed_shm<R: Read>(inode: Ptr) -> bool {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let sb: Ptr = R::get(inode, off!(inode_sb));
        R::get::<u64>(sb, off!(sb_magic)) == TMPFS_MAGIC
            && R::get::<u32>(inode, off!(inode_nlink)) == 0
    }
}

/// S_ISREG(i_mode)
#[inline(always)]
pub unsafe fn regular<R: Read>(inode: Ptr) -> bool {
    // SAFETY: `R` copes with any pointer.
    unsafe { file_type::<R>(inode) == S_IFREG }
}

/// S_IFMT of i_mode.
#[inline(always)]
pub unsafe fn file_type<R: Read>(inode: Ptr) -> u16 {
    // SAFETY: `R` copes with any pointer.
    unsafe { R::get::<u16>(inode, off!(inode_mode)) & S_IFMT }
}

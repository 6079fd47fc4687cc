//! Names an inode by what outlives its pointer.
use tracer_common::event::{FileId, Inode};

use crate::{
    globals::off,
    read::{Ptr, Read},
};

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
        let nsec: u32 = R::get(inode, off!(inode_ctime_nsec));
        (*out).ctime = sec.wrapping_mul(1_000_000_000).wrapping_add(nsec as i64);
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

/// S_ISREG(i_mode)
#[inline(always)]
pub unsafe fn regular<R: Read>(inode: Ptr) -> bool {
    // SAFETY: `R` copes with any pointer.
    unsafe { R::get::<u16>(inode, off!(inode_mode)) & 0o170_000 == 0o100_000 }
}

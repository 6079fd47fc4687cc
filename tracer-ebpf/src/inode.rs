//! Names an inode by what outlives its pointer.
use tracer_common::event::Inode;

use crate::{
    globals::off,
    read::{Ptr, Read, Typed},
};

#[inline(always)]
pub unsafe fn inode(out: *mut Inode, inode: Ptr) {
    // SAFETY: typed loads cope with any pointer; `out` points into a claimed scratch.
    unsafe {
        let sb: Ptr = Typed::get(inode, off!(inode_sb));
        (*out).ptr = inode as u64;
        (*out).ino = Typed::get(inode, off!(inode_ino));
        (*out).generation = Typed::get(inode, off!(inode_generation));
        (*out).size = Typed::get(inode, off!(inode_size));
        (*out).nlink = Typed::get(inode, off!(inode_nlink));
        (*out).dev = Typed::get(sb, off!(sb_dev));
        (*out).magic = Typed::get(sb, off!(sb_magic));
        let sec: i64 = Typed::get(inode, off!(inode_ctime_sec));
        let nsec: u32 = Typed::get(inode, off!(inode_ctime_nsec));
        (*out).ctime = sec.wrapping_mul(1_000_000_000).wrapping_add(nsec as i64);
    }
}

/// Whether anybody maps it: mapping_mapped() of include/linux/fs.h.
#[inline(always)]
pub unsafe fn mapped(inode: Ptr) -> bool {
    // SAFETY: typed loads cope with any pointer.
    unsafe {
        let mapping: Ptr = Typed::get(inode, off!(inode_mapping));
        Typed::get::<u64>(mapping, off!(mapping_root)) != 0
    }
}

//! Walks from a dentry to the root, writing the names leaf first; user space joins them.
//!
//! `bpf_d_path` is refused in every function hooked here (kernel/trace/bpf_trace.c
//! btf_allowlist_d_path), hence our own walk.
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use tracer_common::event::{
    PATH, PATH_CUT, PATH_DELETED, PATH_FS_ROOT, PATH_NAME_MISSING, PATH_PSEUDO,
};

use crate::{
    globals::off,
    read::{Probe, Ptr, Read, Typed},
};

/// Components of the deepest path that is told whole.
const COMPONENTS: usize = 48;
const NAME: u32 = 256;

/// What the walk wrote.
#[derive(Clone, Copy)]
pub struct Walk {
    pub len: u32,
    pub flags: u32,
}

/// d_unlinked() of include/linux/dcache.h: unhashed, and no root.
#[inline(always)]
unsafe fn deleted<R: Read>(dentry: Ptr) -> u32 {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let pprev: u64 = R::get(dentry, off!(dentry_pprev));
        let parent: u64 = R::get(dentry, off!(dentry_parent));
        if pprev == 0 && parent != dentry as u64 { PATH_DELETED } else { 0 }
    }
}

/// Names by `bpf_probe_read_kernel_str`: through `mnt` (a `struct vfsmount *`) up to the global
/// root, or, where it is null, to the root of the dentry's file system.
#[inline(always)]
pub unsafe fn by_probe(out: *mut [u8; PATH + 256], mnt: Ptr, dentry: Ptr) -> Walk {
    let out = out.cast::<u8>();
    let (mut mnt, mut dentry) = (mnt as u64, dentry as u64);
    let mut len = 0_u32;
    let mut i = 0;
    // SAFETY: probe reads cope with any address; `at + NAME` stays inside the area.
    unsafe {
        let mut flags = deleted::<Probe>(dentry as Ptr);
        if mnt == 0 {
            flags |= PATH_FS_ROOT;
        }
        loop {
            if i == COMPONENTS || len > PATH as u32 - 1 {
                flags |= PATH_CUT;
                break;
            }
            i += 1;
            // Two crossings a component, straight-line: a loop costs four times the
            // verified instructions.
            if !(cross(&mut mnt, &mut dentry) && cross(&mut mnt, &mut dentry)) {
                break;
            }
            let parent: u64 = Probe::get(dentry as Ptr, off!(dentry_parent));
            if parent == dentry {
                // A root: of the file system, or of an object that is in none (memfd).
                if len != 0 {
                    flags |= PATH_FS_ROOT;
                    break;
                }
                flags |= PATH_PSEUDO;
            }
            let name: u64 = Probe::get(dentry as Ptr, off!(dentry_name));
            let at = (&raw const len).read_volatile() & (PATH as u32 - 1);
            let n = bpf_probe_read_kernel_str(
                out.add(at as usize).cast(),
                NAME,
                name as *const _,
            );
            if n <= 0 {
                flags |= PATH_CUT;
                break;
            }
            len += n as u32 & (2 * NAME - 1);
            if flags & PATH_PSEUDO != 0 {
                break;
            }
            dentry = parent;
        }
        Walk { len, flags }
    }
}

/// Steps from a mount's root to its mount point. False at the global root.
#[inline(always)]
unsafe fn cross(mnt: &mut u64, dentry: &mut u64) -> bool {
    if *mnt == 0 {
        return true;
    }
    // SAFETY: probe reads cope with any address.
    unsafe {
        let root: u64 = Probe::get(*mnt as Ptr, off!(vfsmount_root));
        if root != *dentry {
            return true;
        }
        // struct mount embeds struct vfsmount: fs/mount.h real_mount().
        let mount = mnt.wrapping_sub(off!(mount_mnt) as u64);
        let parent: u64 = Probe::get(mount as Ptr, off!(mount_parent));
        if parent == mount {
            return false;
        }
        *dentry = Probe::get(mount as Ptr, off!(mount_mountpoint));
        *mnt = parent.wrapping_add(off!(mount_mnt) as u64);
        true
    }
}

/// Names by plain loads, for lockdown: only those short enough to stand inside the dentry
/// (DNAME_INLINE_LEN), and no mount is crossed.
#[inline(always)]
pub unsafe fn by_load(out: *mut [u8; PATH + 256], dentry: Ptr) -> Walk {
    const INLINE: u32 = 32;
    let out = out.cast::<u8>();
    let mut dentry = dentry;
    let mut len = 0_u32;
    let mut i = 0;
    // SAFETY: typed loads cope with any pointer; `at + INLINE` stays inside the area, and `len`
    // only ever grows by multiples of 8.
    unsafe {
        let mut flags = PATH_FS_ROOT | deleted::<Typed>(dentry);
        loop {
            if i == COMPONENTS || len > PATH as u32 - 1 {
                flags |= PATH_CUT;
                break;
            }
            i += 1;
            let parent: Ptr = Typed::get(dentry, off!(dentry_parent));
            if parent as u64 == dentry as u64 {
                if len != 0 {
                    break;
                }
                flags |= PATH_PSEUDO;
            }
            let name: u64 = Typed::get(dentry, off!(dentry_name));
            let name_len: u32 = Typed::get(dentry, off!(dentry_name_len));
            let at = ((&raw const len).read_volatile() & (PATH as u32 - 1)) & !7;
            let words = out.add(at as usize).cast::<u64>();
            if name == (dentry as u64).wrapping_add(off!(dentry_inline) as u64) && name_len < INLINE
            {
                let mut word = 0;
                while word < INLINE / 8 {
                    *words.add(word as usize) = Typed::get(dentry, off!(dentry_inline) + word * 8);
                    word += 1;
                }
                len += (name_len + 8) & !7 & (2 * INLINE - 1);
            } else {
                flags |= PATH_NAME_MISSING;
                *words = u64::from_le_bytes(*b"?\0\0\0\0\0\0\0");
                len += 8;
            }
            if flags & PATH_PSEUDO != 0 {
                break;
            }
            dentry = parent;
        }
        Walk { len, flags }
    }
}

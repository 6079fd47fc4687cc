//! Walks from a dentry to the root, writing the names leaf first; user space joins them.
//!
//! `bpf_d_path` is refused in every function hooked here (kernel/trace/bpf_trace.c
//! btf_allowlist_d_path), hence our own walk.
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use tracer_common::{
    event::{PATH, PATH_CUT, PATH_DELETED, PATH_FS_ROOT, PATH_NAME_MISSING, PATH_PSEUDO, SOURCE},
    offsets::ABSENT,
};

use crate::{
    globals::{config, off},
    read::{Probe, Ptr, Read, Typed, is_null},
};

/// Components of the deepest path that is written whole.
const COMPONENTS: usize = 40;
/// Mount points on its way, at most.
const MOUNTS: usize = 8;
/// NAME_MAX and its NUL (include/uapi/linux/limits.h).
const NAME: u32 = 256;
/// `struct file` stands inside a `struct backing_file` (include/linux/fs.h, since 6.7).
const FMODE_BACKING: u32 = 1 << 24;

/// Where a walk stands. Lives in map memory, whose values the verifier takes for unknown: rounds
/// that differ only in them are one state, which makes a fifth of the instructions to verify.
#[repr(C)]
#[derive(Clone, Copy)]
struct Walk {
    /// `struct mount`; 0 if not known.
    mount: u64,
    dentry: u64,
    /// Bytes written.
    len: u32,
    /// PATH_* bits.
    flags: u32,
    /// Bytes written when the first mount point was met; u32::MAX before.
    below_mount: u32,
    pad: u32,
}

/// Where a path is written: its names, then the walk.
#[repr(C)]
pub struct PathSpace {
    names: [u8; PATH + NAME as usize],
    walk: Walk,
}

impl PathSpace {
    /// Bytes written.
    #[inline(always)]
    pub unsafe fn len(this: *const Self) -> u32 {
        // SAFETY: map memory. The mask is for the verifier: no walk writes as much.
        unsafe { (&raw const (*this).walk.len).read_volatile() & (PATH as u32 - 1) }
    }

    /// PATH_* bits.
    #[inline(always)]
    pub unsafe fn flags(this: *const Self) -> u32 {
        // SAFETY: map memory.
        unsafe { (*this).walk.flags }
    }

    /// Bytes written when the first mount point was met; u32::MAX if none was.
    #[inline(always)]
    pub unsafe fn below_mount(this: *const Self) -> u32 {
        // SAFETY: map memory.
        unsafe { (*this).walk.below_mount }
    }
}

/// Writes the path of an open `file`.
#[inline(always)]
pub unsafe fn of_file<R: Read>(out: *mut PathSpace, file: Ptr) {
    // SAFETY: `R` and probe reads cope with any pointer.
    unsafe {
        if config!(read_kernel) != 0 {
            let mnt = Probe::get(file, off!(file_path_mnt));
            by_probe(out, mnt, Probe::get(file, off!(file_path_dentry)));
        } else {
            by_load(out, R::get(file, off!(file_path_dentry)));
        }
    }
}

/// Writes the path of a mapped `file` as its user knows it, and to `mounted` what its mount shows.
#[inline(always)]
pub unsafe fn of_mapping<R: Read>(out: *mut PathSpace, mounted: *mut [u8; SOURCE], file: Ptr) {
    // SAFETY: as in `of_file`.
    unsafe {
        if config!(read_kernel) == 0 {
            of_file::<R>(out, file);
            return;
        }
        let (mnt, dentry) = opened::<R>(file);
        source(mounted, mnt);
        by_probe(out, mnt, dentry);
    }
}

/// The same without the mount; not under lockdown.
#[inline(always)]
pub unsafe fn of_opened<R: Read>(out: *mut PathSpace, file: Ptr) {
    // SAFETY: as in `of_file`.
    unsafe {
        let (mnt, dentry) = opened::<R>(file);
        by_probe(out, mnt, dentry);
    }
}

/// Mount and dentry by which a mapped `file` was opened. overlayfs maps the real file; the path the user knows stands in
/// the backing_file around it, out of reach of a typed load.
#[inline(always)]
unsafe fn opened<R: Read>(file: Ptr) -> (Ptr, Ptr) {
    // SAFETY: `R` and probe reads cope with any pointer.
    unsafe {
        let mode: u32 = R::get(file, off!(file_mode));
        if off!(backing_path_mnt) != ABSENT && mode & FMODE_BACKING != 0 {
            let mnt = Probe::get(file, off!(backing_path_mnt));
            (mnt, Probe::get(file, off!(backing_path_dentry)))
        } else {
            let mnt = Probe::get(file, off!(file_path_mnt));
            (mnt, Probe::get(file, off!(file_path_dentry)))
        }
    }
}

/// Writes the path of a dentry, reached through `mnt` (a `struct vfsmount *`); up to the root of its
/// file system only where `mnt` is null.
#[inline(always)]
pub unsafe fn of_dentry(out: *mut PathSpace, mnt: Ptr, dentry: Ptr) {
    // SAFETY: typed loads and probe reads cope with any pointer.
    unsafe {
        if config!(read_kernel) != 0 {
            by_probe(out, mnt, dentry);
        } else {
            by_load(out, dentry);
        }
    }
}

/// Writes the name of a mapping without a file, whose `vma` is `special` (`[vdso]` and the like), or none.
#[inline(always)]
pub unsafe fn of_no_file(out: *mut PathSpace, vma: Ptr, special: bool) {
    // SAFETY: map memory; probe reads cope with any address.
    unsafe {
        let walk = &raw mut (*out).walk;
        (*walk).len = 0;
        (*walk).below_mount = u32::MAX;
        (*walk).flags = PATH_PSEUDO;
        if special && config!(read_kernel) != 0 && off!(special_name) != ABSENT {
            let mapping: Ptr = Probe::get(vma, off!(vma_private));
            let name: u64 = Probe::get(mapping, off!(special_name));
            let names = (&raw mut (*out).names).cast();
            let n = bpf_probe_read_kernel_str(names, 64, name as *const _);
            if n > 0 {
                (*walk).len = n as u32 & 127;
            }
        }
    }
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

/// Names by `bpf_probe_read_kernel_str`: through `mnt` up to the global root, or, where it is null, to
/// the root of the dentry's file system.
#[inline(always)]
unsafe fn by_probe(out: *mut PathSpace, mnt: Ptr, dentry: Ptr) {
    // SAFETY: map memory.
    let walk = unsafe { &raw mut (*out).walk };
    let out = out.cast::<u8>();
    let mut i = 0;
    // SAFETY: probe reads cope with any address; `at + NAME` stays inside the area; `walk` is
    // map memory beside it.
    unsafe {
        (*walk).dentry = dentry as u64;
        (*walk).len = 0;
        (*walk).below_mount = u32::MAX;
        (*walk).flags = deleted::<Probe>(dentry);
        (*walk).mount = 0;
        if is_null(mnt) {
            (*walk).flags |= PATH_FS_ROOT;
        } else {
            // struct mount embeds struct vfsmount: fs/mount.h real_mount().
            (*walk).mount = (mnt as u64).wrapping_sub(off!(mount_mnt) as u64);
        }
        loop {
            let len = (&raw const (*walk).len).read_volatile();
            if i == COMPONENTS + MOUNTS || len > PATH as u32 - 1 {
                (*walk).flags |= PATH_CUT;
                break;
            }
            i += 1;
            // Either a step from a mount's root to its mount point, or a name.
            match cross(walk) {
                Step::Crossed => continue,
                Step::Top => break,
                Step::Name => {}
            }
            let dentry = (&raw const (*walk).dentry).read_volatile();
            let parent: u64 = Probe::get(dentry as Ptr, off!(dentry_parent));
            let root = parent == dentry;
            if root && len != 0 {
                (*walk).flags |= PATH_FS_ROOT;
                break;
            }
            let name: u64 = Probe::get(dentry as Ptr, off!(dentry_name));
            let at = (&raw const (*walk).len).read_volatile() & (PATH as u32 - 1);
            let target = out.add(at as usize).cast();
            let n = bpf_probe_read_kernel_str(target, NAME, name as *const _);
            if n <= 0 {
                (*walk).flags |= PATH_CUT;
                break;
            }
            (*walk).len = at + n as u32;
            if root {
                // The root of nothing: an object that is in no directory (memfd).
                (*walk).flags |= PATH_PSEUDO;
                break;
            }
            (*walk).dentry = parent;
        }
    }
}

/// What `mnt` (a `struct vfsmount *`) was mounted from.
#[inline(always)]
unsafe fn source(out: *mut [u8; SOURCE], mnt: Ptr) {
    // SAFETY: probe reads cope with any address.
    unsafe {
        let mount = (mnt as u64).wrapping_sub(off!(mount_mnt) as u64) as Ptr;
        let name: u64 = Probe::get(mount, off!(mount_devname));
        bpf_probe_read_kernel_str(out.cast(), SOURCE as u32, name as *const _);
    }
}

/// What a round of the walk is for.
enum Step {
    Crossed,
    /// At the global root.
    Top,
    Name,
}

/// Steps from a mount's root to its mount point, if that is where the walk stands.
#[inline(always)]
unsafe fn cross(walk: *mut Walk) -> Step {
    // SAFETY: as in `by_probe`; a mount of 0 has no root that could be the dentry.
    unsafe {
        let mount = (&raw const (*walk).mount).read_volatile() as Ptr;
        let root: u64 = Probe::get(mount, off!(mount_mnt) + off!(vfsmount_root));
        if root != (&raw const (*walk).dentry).read_volatile() {
            return Step::Name;
        }
        let parent: u64 = Probe::get(mount, off!(mount_parent));
        let len = (&raw const (*walk).len).read_volatile();
        if (&raw const (*walk).below_mount).read_volatile() == u32::MAX {
            (*walk).below_mount = len;
        }
        if parent == mount as u64 {
            return Step::Top;
        }
        (*walk).dentry = Probe::get(mount, off!(mount_mountpoint));
        (*walk).mount = parent;
        Step::Crossed
    }
}

/// Names by plain loads, for lockdown: only those short enough to stand inside the dentry
/// (DNAME_INLINE_LEN), and no mount is crossed.
#[inline(always)]
unsafe fn by_load(out: *mut PathSpace, dentry: Ptr) {
    const INLINE: u32 = 32;
    // SAFETY: map memory.
    let walk = unsafe { &raw mut (*out).walk };
    let out = out.cast::<u8>();
    let mut dentry = dentry;
    let mut i = 0;
    // SAFETY: typed loads cope with any pointer; `at + INLINE` stays inside the area, and the
    // length only ever grows by multiples of 8.
    unsafe {
        (*walk).len = 0;
        (*walk).below_mount = u32::MAX;
        (*walk).flags = PATH_FS_ROOT | deleted::<Typed>(dentry);
        loop {
            let len = (&raw const (*walk).len).read_volatile();
            if i == COMPONENTS || len > PATH as u32 - 1 {
                (*walk).flags |= PATH_CUT;
                break;
            }
            i += 1;
            let parent: Ptr = Typed::get(dentry, off!(dentry_parent));
            let root = parent as u64 == dentry as u64;
            if root && len != 0 {
                break;
            }
            let name: u64 = Typed::get(dentry, off!(dentry_name));
            let name_len: u32 = Typed::get(dentry, off!(dentry_name_len));
            let at = (&raw const (*walk).len).read_volatile() & (PATH as u32 - 1) & !7;
            let words = out.add(at as usize).cast::<u64>();
            if name == (dentry as u64).wrapping_add(off!(dentry_inline) as u64) && name_len < INLINE
            {
                let mut word = 0;
                while word < INLINE / 8 {
                    *words.add(word as usize) = Typed::get(dentry, off!(dentry_inline) + word * 8);
                    word += 1;
                }
                (*walk).len = at + ((name_len + 8) & !7);
            } else {
                (*walk).flags |= PATH_NAME_MISSING;
                *words = u64::from_le_bytes(*b"?\0\0\0\0\0\0\0");
                (*walk).len = at + 8;
            }
            if root {
                (*walk).flags |= PATH_PSEUDO;
                break;
            }
            dentry = parent;
        }
    }
}

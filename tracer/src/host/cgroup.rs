//! Cgroups of the v2 hierarchy by their id, which the kernel tells with every event: /proc forgets a
//! process when it is reaped, its cgroup stays.
use std::{
    ffi::CString,
    fs::{self, File},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
};

use crate::model::{Bytes, file::Mount};

/// fs/kernfs/mount.c: kernfs encodes a handle as the id alone (FILEID_KERNFS, since 5.5).
const FILEID_KERNFS: i32 = 0xfe;

/// `struct file_handle` with an id in it.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: u64,
}

/// The path of cgroup `id` below its hierarchy's root; `None` if it is gone, or no v2 hierarchy is
/// mounted.
pub fn path(id: u64, mounts: &[Mount]) -> Option<Bytes> {
    let mount = mounts.iter().find(|mount| mount.fstype == b"cgroup2")?;
    let point = CString::new(mount.point.clone()).ok()?;
    let root = File::open(point.to_str().ok()?).ok()?;
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id };
    // SAFETY: an open directory, and a handle as long as it says; the descriptor is ours.
    let directory = unsafe {
        let fd = libc::open_by_handle_at(
            root.as_raw_fd(),
            (&raw mut handle).cast(),
            libc::O_PATH | libc::O_CLOEXEC,
        );
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))?
    };
    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let full = fs::read_link(link).ok()?.into_os_string().into_vec();
    let below = full.strip_prefix(mount.point.strip_suffix(b"/").unwrap_or(&mount.point))?;
    Some(if below.is_empty() { b"/".to_vec() } else { below.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_hierarchy_there_is_no_path() {
        assert_eq!(path(1, &[]), None);
    }
}

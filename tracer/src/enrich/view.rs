//! How a victim's mount namespace sees the file it touched.
use std::{fs, path::Path};

use crate::{
    host::proc::mountinfo as mount,
    model::{fact::View, fault::Fault},
};

/// Mounts of one file system that are told; a namespace may have as many as it likes.
const MOUNTS: usize = 16;

/// The mount namespace of this process.
pub fn own() -> Option<u32> {
    namespace(Path::new("/proc/self/ns/mnt"))
}

/// The mount namespace of the first process, where that is the host's: of a PID namespace it is whoever was started there.
pub fn of_init() -> Option<u32> {
    namespace(Path::new("/proc/1/ns/mnt")).filter(|_| in_first_pid_namespace())
}

/// Only there /proc has all processes, and its first one is the host's.
pub fn in_first_pid_namespace() -> bool {
    /// include/linux/proc_ns.h PROC_PID_INIT_INO
    const FIRST: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == FIRST)
}

/// The mounts of the fault's file system as its victim sees them, where its mount namespace is
/// another than `own`. The victim may be gone already; its ancestors are asked too.
pub fn read(fault: &Fault, own: Option<u32>) -> Option<View> {
    let theirs = fault.mnt_ns.filter(|inum| Some(*inum) != own)?;
    let actor = &fault.actor;
    let ancestors = actor.ancestors.iter().map(|ancestor| ancestor.id.tgid);
    let mut pids = std::iter::once(actor.task.id.tgid).chain(ancestors);
    pids.find_map(|pid| {
        let inside = namespace(Path::new(&format!("/proc/{pid}/ns/mnt"))) == Some(theirs);
        let (mut mounts, _) = inside.then(|| mount::of(pid))?;
        mounts.retain(|mount| mount.dev == fault.inode.id.dev);
        mounts.truncate(MOUNTS);
        (!mounts.is_empty()).then_some(View { victim: actor.task.id, via: pid, mounts })
    })
}

/// `mnt:[4026531841]`
pub(super) fn namespace(link: &Path) -> Option<u32> {
    let target = fs::read_link(link).ok()?;
    target.to_str()?.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_live_in_a_namespace() {
        assert!(own().is_some());
        assert_eq!(namespace(Path::new("/proc/self/ns/none")), None);
    }
}

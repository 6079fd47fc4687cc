//! How much room there is, where a fault says that there was none.
use std::{ffi::CString, fs, mem::MaybeUninit, os::fd::AsRawFd as _};

use rustix::fs::{Mode, OFlags};

use crate::model::{
    Bytes,
    fact::{Commit, MemoryLimit, Quota, Space},
    fault::Fault,
    file::{Inode, Mount},
    magic::TMPFS_MAGIC,
    task::ProcessId,
};

/// Asks the file system of a fault for its room, by a path to its mount point; `None` if another is
/// there by now. A dead server holds us up.
pub fn read(inode: &Inode, point: &[u8]) -> Option<Space> {
    let dev = inode.id.dev;
    let answer = match rustix::fs::statfs(point) {
        Ok(answer) => answer,
        Err(error) => {
            let errno = Some(error.raw_os_error());
            return Some(Space { dev, total: 0, free: 0, free_inodes: 0, errno });
        }
    };
    if answer.f_type as u64 != inode.magic {
        return None;
    }
    let block = answer.f_frsize as u64;
    Some(Space {
        dev,
        total: answer.f_blocks.saturating_mul(block),
        free: answer.f_bavail.saturating_mul(block),
        free_inodes: answer.f_ffree,
        errno: None,
    })
}

/// The quota of the file's owner or group that leaves no room for another page. Projects are not
/// looked at.
pub fn quota(fault: &Fault, mount: &Mount, point: &[u8], page_size: u64) -> Option<Quota> {
    let inode = &fault.inode;
    let owners = [(libc::USRQUOTA, inode.uid), (libc::GRPQUOTA, inode.gid)];
    owners.into_iter().find_map(|(kind, id)| {
        let command = libc::QCMD(libc::Q_GETQUOTA, kind);
        let answer = match inode.magic {
            TMPFS_MAGIC => quota_by_mount(command, point, id),
            _ => quota_by_device(command, &mount.source, id),
        }?;
        // include/uapi/linux/quota.h: QIF_DQBLKSIZE
        let limit = answer.dqb_bhardlimit.saturating_mul(1024);
        let used = answer.dqb_curspace;
        let over = limit != 0 && used.saturating_add(page_size) > limit;
        over.then_some(Quota { victim: fault.actor.task.id, kind: kind as u32, id, used, limit })
    })
}

fn quota_by_device(command: libc::c_int, device: &[u8], id: u32) -> Option<libc::dqblk> {
    let device = CString::new(device).ok()?;
    let mut answer = MaybeUninit::<libc::dqblk>::zeroed();
    // SAFETY: a string that ends with NUL, and a place to write to.
    let failed =
        unsafe { libc::quotactl(command, device.as_ptr(), id as i32, answer.as_mut_ptr().cast()) };
    // SAFETY: filled in, all zeroes before.
    (failed == 0).then_some(unsafe { answer.assume_init() })
}

/// The same of what has no device: tmpfs, which has quotas since 6.6, when quotactl_fd(2) had long been there.
fn quota_by_mount(command: libc::c_int, point: &[u8], id: u32) -> Option<libc::dqblk> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mount = rustix::fs::open(point, flags, Mode::empty()).ok()?;
    let mut answer = MaybeUninit::<libc::dqblk>::zeroed();
    let place = answer.as_mut_ptr();
    // SAFETY: a descriptor, and a place to write to.
    let failed = unsafe {
        libc::syscall(libc::SYS_quotactl_fd, mount.as_raw_fd(), command, id as libc::c_int, place)
    };
    // SAFETY: filled in, all zeroes before.
    (failed == 0).then_some(unsafe { answer.assume_init() })
}

/// The nearest memory cgroup of `path` that has run into its own limit (cgroup v2).
pub fn memory_limit(victim: ProcessId, mounts: &[Mount], path: &[u8]) -> Option<MemoryLimit> {
    let mount = mounts.iter().find(|mount| mount.fstype == b"cgroup2")?;
    let point = std::str::from_utf8(&mount.point).ok()?;
    let mut cgroup = std::str::from_utf8(path).ok()?.trim_end_matches('/');
    while !cgroup.is_empty() {
        let text = |file: &str| fs::read_to_string(format!("{point}{cgroup}/{file}")).ok();
        let limit = text("memory.max").and_then(|text| text.trim().parse().ok());
        let reached =
            text("memory.events.local").is_some_and(|text| count(&text, "oom") != Some(0));
        if let Some(limit) = limit.filter(|_| reached) {
            return Some(MemoryLimit { victim, cgroup: Bytes::from(cgroup), limit });
        }
        cgroup = &cgroup[..cgroup.rfind('/')?];
    }
    None
}

/// OOM kills since boot, of whatever cgroup (mm/oom_kill.c __oom_kill_process).
pub fn oom_kills() -> Option<u64> {
    count(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill")
}

/// A line `NAME NUMBER`.
fn count(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// What the host has promised.
pub fn commit() -> Option<Commit> {
    let mode = fs::read_to_string("/proc/sys/vm/overcommit_memory").ok()?;
    // include/uapi/linux/mman.h OVERCOMMIT_NEVER
    promised(mode.trim() == "2", &fs::read_to_string("/proc/meminfo").ok()?)
}

/// Bytes that programs can have without anything being written out (MemAvailable).
pub fn memory_available() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")?.checked_mul(1024)
}

fn promised(strict: bool, meminfo: &str) -> Option<Commit> {
    let bytes = |name| field(meminfo, name)?.checked_mul(1024);
    Some(Commit { strict, limit: bytes("CommitLimit")?, committed: bytes("Committed_AS")? })
}

/// A line `NAME: NUMBER` or `NAME: NUMBER kB`.
fn field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_whole_name() {
        let text = "oom_kill 3\noom 2\noom_group_kill x\n";
        assert_eq!((count(text, "oom"), count(text, "oom_kill")), (Some(2), Some(3)));
        assert_eq!((count(text, "oom_group_kill"), count(text, "max")), (None, None));
    }

    #[test]
    fn meminfo_tells_what_is_promised() {
        let text = "MemTotal: 1 kB\nCommitLimit:       4 kB\nCommitted_AS:     3 kB\n";
        let commit = Commit { strict: true, limit: 4_096, committed: 3_072 };
        assert_eq!(promised(true, text), Some(commit));
        assert_eq!(promised(true, "CommitLimit: x"), None);
    }
}

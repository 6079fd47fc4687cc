//! Which processes hold /dev/fuse open: each serves a FUSE file system, or has handed the device to who does.
//!
//! Only links of /proc are read, which asks no file system anything. (The arguments of a process are the exception.)
use std::{
    collections::BTreeSet,
    fs::{self, DirEntry},
    io,
    os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _},
    path::Path,
    time::Instant,
};

use rustix::fs::{AtFlags, StatxFlags};

use crate::{
    enrich::{
        process::{self, Stat},
        view,
    },
    host::proc::fdinfo,
    model::{Bytes, file::DELETED, task::ProcessId},
};

/// Processes looked at.
const PROCESSES: usize = 32_768;
/// Descriptors looked at of each.
const DESCRIPTORS: usize = 4_096;
/// Holders that are told.
const HOLDERS: usize = 64;

/// A process that holds /dev/fuse open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its start as far as /proc counts that.
    pub id: ProcessId,
    pub comm: Bytes,
    pub exe: Option<Bytes>,
    /// Nearest first.
    pub parents: Vec<u32>,
    /// Of each of its descriptors the FUSE connection, if the kernel tells and there is one.
    pub connections: Vec<Option<u32>>,
    /// Looked up only where they matter.
    pub arguments: Vec<Bytes>,
}

/// All that were found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holders {
    pub list: Vec<Holder>,
    /// There is no other on this host.
    pub complete: bool,
}

/// Looks at all processes, until `deadline`.
pub fn look(deadline: Instant) -> Holders {
    let all = view::in_first_pid_namespace();
    let mut found = Holders { list: Vec::new(), complete: all };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Holders::default();
    };
    let mut passed_over = if all { kernel_threads() } else { BTreeSet::new() };
    passed_over.insert(std::process::id());
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for (looked_at, pid) in pids.filter(|pid| !passed_over.contains(pid)).enumerate() {
        if looked_at == PROCESSES || found.list.len() == HOLDERS || Instant::now() > deadline {
            found.complete = false;
            break;
        }
        match held(pid) {
            Ok((descriptors, whole)) => {
                found.complete &= whole;
                found.list.extend(holder(pid, &descriptors));
            }
            // It has ended meanwhile.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {}
            Err(_) => found.complete = false,
        }
    }
    found
}

/// Children of kthreadd, the second process of the host. They are many, and hold nothing. Empty where the kernel does not
/// list children (CONFIG_PROC_CHILDREN).
fn kernel_threads() -> BTreeSet<u32> {
    let text = fs::read_to_string("/proc/2/task/2/children").unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn holder(pid: u32, descriptors: &[Bytes]) -> Option<Holder> {
    if descriptors.is_empty() {
        return None;
    }
    let stat = Stat::read(pid)?;
    let connection = |descriptor: &Bytes| {
        let path = fdinfo_of(descriptor)?;
        fdinfo::connection(&fs::read(path).ok()?)
    };
    Some(Holder {
        id: ProcessId { tgid: pid, start: stat.start() },
        parents: process::ancestors(stat.ppid, stat.start())
            .iter()
            .map(|parent| parent.id.tgid)
            .collect(),
        comm: stat.comm,
        exe: process::exe(pid),
        connections: descriptors.iter().map(connection).collect(),
        arguments: Vec::new(),
    })
}

/// `/proc/7/fdinfo/3` of `/proc/7/fd/3`.
fn fdinfo_of(descriptor: &[u8]) -> Option<String> {
    let (directory, number) = std::str::from_utf8(descriptor).ok()?.rsplit_once('/')?;
    Some(format!("{}/fdinfo/{number}", directory.strip_suffix("/fd")?))
}

/// The descriptors of a process that are /dev/fuse, and whether all were looked at.
fn held(pid: u32) -> io::Result<(Vec<Bytes>, bool)> {
    let (found, looked_at) = held_in(&format!("/proc/{pid}/fd"))?;
    // A first thread that has ended has no descriptors any more, and the others have them.
    let threads = || fs::metadata(format!("/proc/{pid}/task")).map_or(0, |task| task.nlink());
    if looked_at == 0 && threads() > 3 {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten().take(DESCRIPTORS) {
            let tid = thread.file_name().into_string().unwrap_or_default();
            let (found, looked_at) = held_in(&format!("/proc/{pid}/task/{tid}/fd"))?;
            if looked_at != 0 {
                return Ok((found, looked_at < DESCRIPTORS));
            }
        }
    }
    Ok((found, looked_at < DESCRIPTORS))
}

/// The same of one table of them, and how many were looked at.
fn held_in(directory: &str) -> io::Result<(Vec<Bytes>, usize)> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    for entry in fs::read_dir(directory)?.take(DESCRIPTORS) {
        looked_at += 1;
        found.extend(entry.ok().filter(is_device).map(|e| e.path().into_os_string().into_vec()));
    }
    Ok((found, looked_at))
}

/// Whether it is the device. The link has the path in the holder's mount namespace, cut to `/` where its mount has been
/// detached since. A node of another name is not found.
fn is_device(descriptor: &DirEntry) -> bool {
    let Ok(path) = fs::read_link(descriptor.path()) else { return false };
    let path = path.into_os_string().into_vec();
    let path = path.strip_suffix(DELETED).unwrap_or(&path);
    (path.ends_with(b"/fuse") || path == b"/") && is_fuse_device(&descriptor.path())
}

/// Whether a file is character device 10:229 (include/linux/miscdevice.h FUSE_MINOR). Of a file on a network the answer
/// is what is known of it here: nobody waits for its server.
fn is_fuse_device(path: &Path) -> bool {
    let flags = AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(rustix::fs::CWD, path, flags, StatxFlags::TYPE);
    stat.is_ok_and(|stat| {
        u32::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFCHR
            && (stat.stx_rdev_major, stat.stx_rdev_minor) == (10, 229)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_descriptor_has_a_file_about_it() {
        let told = |path: &[u8]| fdinfo_of(path);
        assert_eq!(told(b"/proc/7/fd/3").as_deref(), Some("/proc/7/fdinfo/3"));
        assert_eq!(told(b"/proc/7/task/8/fd/3").as_deref(), Some("/proc/7/task/8/fdinfo/3"));
        assert_eq!((told(b"3"), told(b"\xff/fd/3")), (None, None));
    }

    #[test]
    fn who_has_ended_is_none_and_who_hides_is_not_known() {
        assert!(held(u32::MAX).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
        let late = look(Instant::now() - Duration::from_secs(1));
        assert_eq!((late.list.len(), late.complete), (0, false));
    }

    /// A backup may read the root of a container.
    #[test]
    fn a_file_of_that_name_is_no_device() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("dev")).expect("room");
        let file = fs::File::create(dir.path().join("dev/fuse")).expect("room");
        let (held, whole) = held(std::process::id()).expect("ourselves");
        assert_eq!((held.len(), whole), (0, true));
        drop(file);
        assert!(!is_fuse_device(Path::new("/dev/null")));
    }
}

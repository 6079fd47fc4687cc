//! Who reads from a victim's pipe.
use std::{fs, io::Read, os::unix::ffi::OsStringExt as _, path::Path};

use super::{READS, Victim, numbered, opened_for};
use crate::{
    enrich::process,
    model::{Bytes, container::subject, task::Ancestor},
};

/// Processes that are looked at for the other end of a pipe: the nearest ancestors, and other children of the parent.
const ANCESTORS: usize = 4;
const SIBLINGS: usize = 16;
/// Descriptors looked at of each of them, and of all.
const DESCRIPTORS: usize = 256;
const LOOKS: usize = 512;
/// Bytes that are read of the list of the parent's children, and of the paths of a reader's cgroups.
const CHILDREN: u64 = 4096;
const CGROUPS: u64 = 16 * 1024;

/// Whoever of the ancestors, and of the other children of the parent, may read from a pipe.
pub(super) fn look_for(pipe: u64, victim: &Victim, found: &[Ancestor]) -> Option<Ancestor> {
    let own = victim.task.id.tgid;
    let mut ancestors = victim.ancestors.clone();
    if ancestors.is_empty() {
        ancestors.extend(found.iter().map(|ancestor| ancestor.id.tgid));
    }
    let parent = ancestors.first().copied().unwrap_or(0);
    let children = fs::File::open(format!("/proc/{parent}/task/{parent}/children"));
    let children = children.map(listed).unwrap_or_default();
    let siblings = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
    let siblings = siblings.filter(|pid| *pid != own).take(SIBLINGS);
    let mut looks = LOOKS;
    let mut pids = ancestors.iter().copied().take(ANCESTORS).chain(siblings);
    pids.find(|pid| *pid != 0 && reads(*pid, pipe, &mut looks)).and_then(|pid| {
        let found = process::mapper(pid, false)?;
        Some(Ancestor { id: found.id, comm: found.comm })
    })
}

/// The first children of a thread, each with a space behind it; of one that is cut nothing.
fn listed(children: impl Read) -> String {
    let mut text = String::new();
    let _ = children.take(CHILDREN).read_to_string(&mut text);
    text.truncate(text.rfind(' ').map_or(0, |last| last + 1));
    text
}

/// Whether a process has a descriptor that may read from a pipe.
fn reads(pid: u32, pipe: u64, looks: &mut usize) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    for entry in entries.flatten().take(DESCRIPTORS) {
        if *looks == 0 {
            return false;
        }
        *looks -= 1;
        if is_end(&entry.path(), pipe) {
            return true;
        }
    }
    false
}

/// Whether a link is of a pipe, and of a descriptor that may read.
fn is_end(link: &Path, pipe: u64) -> bool {
    let named = fs::read_link(link).map(|target| target.into_os_string().into_vec());
    named.is_ok_and(|target| numbered(&target, "pipe:[") == Some(pipe)) && opened_for(link, READS)
}

/// Paths of all cgroups of a process, of each hierarchy one, as we see them.
pub(super) fn cgroups(pid: u32) -> Vec<Bytes> {
    let mut text = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/cgroup"));
    let read = file.and_then(|file| file.take(CGROUPS).read_to_end(&mut text));
    if !read.is_ok_and(|read| (read as u64) < CGROUPS) {
        return Vec::new();
    }
    // `4:memory:/a/b`
    let paths =
        text.split(|b| *b == b'\n').filter_map(|line| line.splitn(3, |b| *b == b':').nth(2));
    paths.map(<[u8]>::to_vec).collect()
}

/// Whether none of somebody's cgroups lies in the container of another, whose cgroup is given.
pub(super) fn is_outside(theirs: &[Bytes], victim: &[u8]) -> bool {
    let container = subject(victim).map_or(victim, |subject| subject.path);
    // Above our own root, and below the container's cgroup or that very one.
    let unclear = |path: &[u8]| path.starts_with(b"/..");
    let inside = |path: &[u8]| {
        path.strip_prefix(container).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    container.len() > 1
        && !theirs.is_empty()
        && !theirs.iter().any(|path| unclear(path) || inside(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_outside_a_container() {
        let id = "0123456789abcdef".repeat(4);
        let scope = format!("/machine.slice/libpod-{id}.scope");
        let victim = format!("{scope}/container");
        let outside = |paths: &[&str]| {
            let paths: Vec<Bytes> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
            is_outside(&paths, victim.as_bytes())
        };
        let conmon = format!("/machine.slice/libpod-conmon-{id}.scope");
        assert!(outside(&[&conmon]) && outside(&["/", "/system.slice/containerd.service"]));
        let other = format!("{scope}/evil");
        for inside in [&victim, &scope, &other, "/../x"] {
            assert!(!outside(&[inside]) && !outside(&["/", inside]), "{inside}");
        }
        assert!(!outside(&[]));
        assert!(!is_outside(&[b"/a".to_vec()], b"/"), "everybody is in the root");
    }

    #[test]
    fn only_some_children_are_listed() {
        let mut left = std::io::Cursor::new("12345 ".repeat(100_000));
        let some = listed(&mut left);
        assert_eq!((left.position(), some.len()), (CHILDREN, 4092));
        assert!(some.split_ascii_whitespace().all(|pid| pid == "12345"));
        assert_eq!((listed(&b"7 8 "[..]), listed(&b""[..])), ("7 8 ".to_owned(), String::new()));
    }
}

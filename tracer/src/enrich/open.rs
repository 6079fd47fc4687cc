//! Files of other programs, opened by the path that the kernel told: as we see it, and as the processes do that may
//! have been in the same mount namespace. Whoever owns such a path is not trusted.
use std::{
    ffi::OsStr,
    fs::{File, Metadata, OpenOptions},
    ops::Range,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, OpenOptionsExt as _},
        },
    },
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat, openat2},
    io::Errno,
};

use crate::model::{
    file::{Dev, Inode},
    magic::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC},
};

/// How often a walk is tried that a rename elsewhere disturbed.
const TRIES: usize = 4;
/// In a second.
const NS: i64 = 1_000_000_000;

/// The regular file at `path`, if it is the one that `is_it` knows: below our root, or below the roots of `processes`.
pub(super) fn regular(
    path: &[u8],
    processes: impl IntoIterator<Item = u32>,
    is_it: impl Fn(&Metadata) -> bool,
) -> Option<File> {
    roots(processes).find_map(|root| regular_below(&root, path, &is_it))
}

/// Our root, and those of `processes`.
pub(super) fn roots(processes: impl IntoIterator<Item = u32>) -> impl Iterator<Item = String> {
    let theirs = processes.into_iter().map(|tgid| format!("/proc/{tgid}/root"));
    std::iter::once("/".to_owned()).chain(theirs)
}

/// The regular file that `path` leads to below one root, if it is the one that `is_it` knows.
pub(super) fn regular_below(
    root: &str,
    path: &[u8],
    is_it: impl Fn(&Metadata) -> bool,
) -> Option<File> {
    reopened(walk(root.as_ref(), Path::new(OsStr::from_bytes(path)))?, is_it)
}

/// The regular file that one of `processes` maps at these addresses, if it is the one that `is_it` knows: whoever dumps its
/// core is there still, and whom the victim was forked by without an exec(2) maps what it did.
pub(super) fn mapped(
    addresses: Range<u64>,
    processes: impl IntoIterator<Item = u32>,
    is_it: impl Fn(&Metadata) -> bool,
) -> Option<File> {
    let Range { start, end } = addresses;
    processes.into_iter().find_map(|tgid| {
        let link = format!("/proc/{tgid}/map_files/{start:x}-{end:x}");
        let found = openat(CWD, &*link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        reopened(found, &is_it)
    })
}

/// Opens what was only looked at (O_PATH) until it was known to be a regular file, and no device whose driver acts when it
/// is opened.
fn reopened(found: OwnedFd, is_it: impl Fn(&Metadata) -> bool) -> Option<File> {
    let found = File::from(found);
    let meta = found.metadata().ok()?;
    (meta.is_file() && is_it(&meta)).then_some(())?;
    // The very file that was looked at, whatever is called so by now; no lease of it is waited for.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    options.open(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()
}

/// When a file's contents, name or attributes changed last, ns since the epoch.
pub(super) fn changed(meta: &Metadata) -> i64 {
    meta.ctime().saturating_mul(NS).saturating_add(meta.ctime_nsec())
}

/// When its contents did.
pub(super) fn written(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(NS).saturating_add(meta.mtime_nsec())
}

/// Whether a file is still as the kernel saw it. Its device is not compared: stat(2) tells another one on btrfs and
/// overlayfs.
pub(super) fn is(inode: &Inode) -> impl Fn(&Metadata) -> bool + use<> {
    let (ino, size, ctime) = (inode.id.ino, inode.size, inode.ctime);
    move |meta| meta.ino() == ino && meta.len() == size && changed(meta) == ctime
}

/// Whether a file is on the device that the kernel saw it on, where stat(2) tells that one.
pub(super) fn lies_on(file: &File, dev: Dev) -> bool {
    let (Ok(meta), Ok(system)) = (file.metadata(), fstatfs(file)) else { return false };
    let others = [BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC];
    let own = Dev { major: libc::major(meta.dev()), minor: libc::minor(meta.dev()) };
    own == dev || others.contains(&system.f_type.cast_unsigned())
}

/// What `path` leads to for a process whose root is `root`: no link on the way leads out of it.
fn walk(root: &Path, path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let fd = openat(CWD, root, flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    for _ in 0..TRIES {
        match openat2(&fd, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Err(Errno::AGAIN) => {}
            // A filter of system calls does not know it: below our own root open(2) walks the same way.
            Err(Errno::NOSYS | Errno::PERM) if root == Path::new("/") => {
                return openat(CWD, path, flags, Mode::empty()).ok();
            }
            found => return found.ok(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn only_the_regular_file_that_is_meant_is_opened() {
        let top = tempfile::tempdir().expect("a directory");
        let path = |name: &str| top.path().join(name);
        fs::write(path("file"), "x").expect("room");
        symlink("file", path("link")).expect("a link");
        let fifo = std::process::Command::new("mkfifo").arg(path("fifo")).status();
        assert!(fifo.is_ok_and(|status| status.success()));
        let open = |name: &str, right: bool| {
            regular(path(name).as_os_str().as_bytes(), [], |_| right).is_some()
        };
        assert!(open("file", true) && open("link", true));
        assert!(!open("file", false) && !open("fifo", true) && !open(".", true));
        assert!(!open("none", true));
        assert!(regular(b"/dev/null", [], |_| true).is_none());
        assert!(regular(b"", [], |_| true).is_none());
    }

    #[test]
    fn no_link_leads_out_of_a_root() {
        let top = tempfile::tempdir().expect("a directory");
        symlink("/etc/passwd", top.path().join("link")).expect("a link");
        fs::create_dir(top.path().join("etc")).expect("a directory");
        assert!(walk(top.path(), Path::new("/link")).is_none());
        assert!(walk(top.path(), Path::new("/../../../../etc/passwd")).is_none());
        fs::write(top.path().join("etc/passwd"), "inside").expect("room");
        let found = walk(top.path(), Path::new("/link")).expect("the file inside");
        let meta = File::from(found).metadata().expect("a file");
        assert_eq!(meta.len(), 6);
    }

    #[test]
    fn a_file_on_another_device_is_another() {
        let file = File::open("/proc/self/comm").expect("proc");
        let dev = file.metadata().expect("it").dev();
        let (major, minor) = (libc::major(dev), libc::minor(dev));
        assert!(lies_on(&file, Dev { major, minor }));
        assert!(!lies_on(&file, Dev { major: major + 1, minor }));
    }

    #[test]
    fn a_file_that_was_changed_is_another() {
        let file = tempfile::NamedTempFile::new().expect("room");
        let inode = crate::testing::fault(0, 0).inode;
        let as_seen = |meta: &Metadata| {
            let mut inode = inode;
            inode.id.ino = meta.ino();
            inode.size = meta.len();
            inode.ctime = meta.ctime() * 1_000_000_000 + meta.ctime_nsec();
            inode
        };
        let before = file.as_file().metadata().expect("a file");
        let is_it = is(&as_seen(&before));
        assert!(is_it(&before));
        fs::write(file.path(), "x").expect("room");
        assert!(!is_it(&file.as_file().metadata().expect("a file")));
    }
}

//! Files of other programs that are read as root: a regular file of root's, of bounded size, and no link on the way to
//! it. Whoever may write there is believed, nobody else.
use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, RawMode, ResolveFlags, Stat, fstat, openat, openat2,
};

/// A directory that only its owner, root, may write to.
pub struct Directory {
    fd: OwnedFd,
    owner: u32,
}

impl Directory {
    /// The directory `path`; an administrator may have made a link of it. `None` if it is not there, or is somebody
    /// else's than `owner`'s.
    pub fn open(path: &Path, owner: u32) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty()).ok()?;
        fstat(&fd).is_ok_and(|stat| is_owned(&stat, owner)).then_some(Self { fd, owner })
    }

    /// The directory below it, by no link.
    pub fn below(&self, path: impl AsRef<Path>) -> Option<Self> {
        let fd = self.resolve(path.as_ref(), OFlags::DIRECTORY)?;
        let owned = fstat(&fd).is_ok_and(|stat| is_owned(&stat, self.owner));
        owned.then_some(Self { fd, owner: self.owner })
    }

    /// What a file below it holds: a regular file of no more than `most` bytes, of its owner's, to which nobody else
    /// may write, reached by no link. Nothing else is opened.
    pub fn read(&self, path: impl AsRef<Path>, most: u64) -> Option<Vec<u8>> {
        let (file, size) = self.file(path)?;
        let size = Some(size).filter(|size| *size <= most)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?);
        file.take(most + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= most).then_some(bytes)
    }

    /// Such a file, to be read, and its size.
    pub fn file(&self, path: impl AsRef<Path>) -> Option<(File, u64)> {
        let found = self.resolve(path.as_ref(), OFlags::empty())?;
        let stat = fstat(&found).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode as RawMode).is_file();
        if !regular || !is_owned(&stat, self.owner) {
            return None;
        }
        // The very file that was looked at, whatever is called so by now.
        let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()?;
        Some((file, u64::try_from(stat.st_size).ok()?))
    }

    /// Names of what lies in it, `most` at most; nothing if there are more.
    pub fn names(&self, most: usize) -> Option<Vec<Vec<u8>>> {
        let found = std::fs::read_dir(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).ok()?;
        let mut names = Vec::new();
        for entry in found {
            if names.len() == most {
                return None;
            }
            names.push(entry.ok()?.file_name().into_encoded_bytes());
        }
        Some(names)
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> Option<OwnedFd> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        openat2(&self.fd, path, flags, Mode::empty(), resolve).ok()
    }
}

/// Whether it is `owner`'s, and nobody else may write to it.
fn is_owned(stat: &Stat, owner: u32) -> bool {
    stat.st_uid == owner
        && stat.st_mode & 0o002 == 0
        && (stat.st_mode & 0o020 == 0 || stat.st_gid == 0)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    const MOST: u64 = 1_000;

    #[test]
    fn only_a_regular_file_of_its_owner_is_read() {
        let top = tempfile::tempdir().expect("a directory");
        let path = |name: &str| top.path().join(name);
        fs::create_dir(path("in")).expect("a directory");
        for name in ["good", "in/good", "writable"] {
            fs::write(path(name), name).expect("room");
        }
        fs::write(path("large"), [0; 1_001]).expect("room");
        fs::set_permissions(path("writable"), fs::Permissions::from_mode(0o666)).expect("ours");
        symlink("good", path("link")).expect("a link");
        symlink("in", path("linked")).expect("a link");
        symlink("/", path("out")).expect("a link");
        let fifo = std::process::Command::new("mkfifo").arg(path("fifo")).status();
        assert!(fifo.is_ok_and(|status| status.success()));
        let owner = rustix::process::getuid().as_raw();
        let directory = Directory::open(top.path(), owner).expect("a directory");
        let read = |name: &str| directory.read(name, MOST);
        assert_eq!(read("good").as_deref(), Some(&b"good"[..]));
        assert_eq!(read("in/good").as_deref(), Some(&b"in/good"[..]));
        let foreign = [
            "writable",
            "large",
            "link",
            "linked/good",
            "out/etc/passwd",
            "fifo",
            "in",
            ".",
            "none",
        ];
        let paths = ["../x", "/etc/passwd", ""];
        for name in foreign.into_iter().chain(paths) {
            assert_eq!(read(name), None, "{name}");
        }
        assert!(directory.below("in").is_some() && directory.below("linked").is_none());
        assert!(Directory::open(top.path(), owner + 1).is_none());
        let mut names = directory.names(100).expect("few");
        names.sort();
        assert_eq!((names.len(), &names[1][..]), (8, &b"good"[..]));
        assert_eq!(directory.names(2), None);
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_not_believed() {
        let top = tempfile::tempdir().expect("a directory");
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o777)).expect("ours");
        let owner = rustix::process::getuid().as_raw();
        assert!(Directory::open(top.path(), owner).is_none());
    }
}

//! Inodes, mounts, and what a file is called. Paths are bytes.
use serde::{Deserialize, Serialize};

use crate::{model::Bytes, text::base64};

/// Identity of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InodeId {
    pub dev: Dev,
    pub ino: u64,
    pub generation: u32,
}

/// A device number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dev {
    pub major: u32,
    pub minor: u32,
}

impl std::fmt::Display for Dev {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// An inode as it was at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    pub id: InodeId,
    /// Address of the `struct inode`: joins events while the inode lives.
    pub ptr: u64,
    /// `i_sb->s_magic`.
    pub magic: u64,
    /// `i_size`.
    pub size: u64,
    /// `i_ctime`, ns since the epoch.
    pub ctime: i64,
    pub nlink: u32,
    /// `i_mode`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Inode {
    /// S_ISSOCK
    pub fn socket(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFSOCK
    }

    /// S_ISBLK
    pub fn block_device(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFBLK
    }

    /// S_ISCHR: the file is a device.
    pub fn device(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFCHR
    }
}

/// A path as far as the kernel walked it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// Root first; empty if nothing could be read.
    pub names: Vec<Bytes>,
    /// Relative to the root of its file system: the mount is not known.
    pub fs_root: bool,
    /// Leading names are missing.
    pub cut: bool,
    /// A name could not be read.
    pub name_missing: bool,
    pub deleted: bool,
    /// Not in any directory (`memfd:NAME`).
    pub pseudo: bool,
}

/// One mount of the tracer's mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub dev: Dev,
    /// The directory of the file system that is mounted.
    #[serde(with = "base64")]
    pub root: Bytes,
    #[serde(with = "base64")]
    pub point: Bytes,
    #[serde(with = "base64")]
    pub fstype: Bytes,
    #[serde(with = "base64")]
    pub source: Bytes,
    /// Address of the server (`addr=` of NFS and CIFS), whatever name it was mounted by.
    #[serde(default, with = "base64", skip_serializing_if = "Option::is_none")]
    pub address: Option<Bytes>,
    /// The file that its loop device reads and writes.
    #[serde(default, with = "base64", skip_serializing_if = "Option::is_none")]
    pub backing: Option<Bytes>,
}

/// The mounts of one file system.
pub fn on(dev: Dev, mounts: &[Mount]) -> Vec<&Mount> {
    mounts.iter().filter(|mount| mount.dev == dev).collect()
}

/// The mount that a path lies below, the innermost; the first of them where none is above it.
pub fn mount_of<'a>(path: &[u8], mounts: &[&'a Mount]) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|mount| below(path, &mount.point));
    above.max_by_key(|mount| mount.point.len()).or(mounts.first()).copied()
}

/// What the kernel puts behind the path of a file that is unlinked.
pub const DELETED: &[u8] = b" (deleted)";

pub fn below(path: &[u8], point: &[u8]) -> bool {
    let point = point.strip_suffix(b"/").unwrap_or(point);
    path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// A path for people and for grep, and what it lacks.
pub fn name(path: &Path, on_device: &[&Mount]) -> (Option<Bytes>, Option<&'static str>) {
    if path.names.is_empty() {
        return (None, Some("the kernel gave no name"));
    }
    let joined = path.names.join(&b'/');
    if path.pseudo {
        return (Some(joined), None);
    }
    let mut absolute = vec![b'/'];
    absolute.extend_from_slice(&joined);
    if path.cut {
        let mut cut = b"\xe2\x80\xa6".to_vec();
        cut.extend_from_slice(&absolute);
        return (Some(cut), Some("deeper than the kernel side walks: leading names are missing"));
    }
    let missing = path.name_missing.then_some("lockdown hides names longer than 31 bytes");
    if !path.fs_root {
        return (Some(absolute), missing);
    }
    // Relative to the root of its file system: put it where that is mounted, the whole of it
    // rather than a part, the shorter mount point rather than the longer.
    let placed = on_device
        .iter()
        .filter(|mount| below(&absolute, &mount.root))
        .min_by_key(|mount| (mount.root.len(), mount.point.len()));
    match placed {
        Some(mount) => {
            let root = mount.root.strip_suffix(b"/").unwrap_or(&mount.root);
            let mut full = mount.point.strip_suffix(b"/").unwrap_or(&mount.point).to_vec();
            full.extend_from_slice(&absolute[root.len()..]);
            (Some(full), missing)
        }
        None => {
            (Some(absolute), Some("below the root of its file system, which is not mounted here"))
        }
    }
}

/// What /proc/PID/exe calls a program (fs/d_path.c d_path, simple_dname); `None` if the walk does not tell.
pub fn program(path: &Path) -> Option<Bytes> {
    if path.fs_root {
        return None;
    }
    let (name, _) = name(path, &[]);
    let name = name?;
    let (before, after): (&[u8], &[u8]) = match (path.pseudo, path.deleted) {
        (true, _) => (b"/", DELETED),
        (false, true) => (b"", DELETED),
        (false, false) => (b"", b""),
    };
    Some([before, &name, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(change: impl FnOnce(&mut Path)) -> Option<Bytes> {
        let names = [&b"usr"[..], b"sh"].map(<[u8]>::to_vec).into();
        let mut path = Path { names, ..Path::default() };
        change(&mut path);
        program(&path)
    }

    #[test]
    fn a_program_is_called_as_proc_calls_it() {
        let cases: [(fn(&mut Path), Option<&[u8]>); 6] = [
            (|_| (), Some(b"/usr/sh")),
            (|path| path.deleted = true, Some(b"/usr/sh (deleted)")),
            (|path| path.cut = true, Some("…/usr/sh".as_bytes())),
            (|path| path.fs_root = true, None),
            (|path| path.names.clear(), None),
            (
                |path| (path.pseudo, path.names) = (true, vec![b"memfd:x".to_vec()]),
                Some(b"/memfd:x (deleted)"),
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(walked(change).as_deref(), expected);
        }
    }
}

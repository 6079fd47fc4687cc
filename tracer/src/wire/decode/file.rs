//! Inodes, devices and the paths behind an event.
use anyhow::{Result, ensure};
use bytes::Buf;
use tracer_common::event as wire;

use crate::model::{
    Bytes,
    file::{Dev, Inode, InodeId, Path},
};

/// `wire::Inode`
pub fn inode(b: &mut &[u8]) -> Inode {
    let ptr = b.get_u64_le();
    let ino = b.get_u64_le();
    let dev = dev(b.get_u32_le());
    let generation = b.get_u32_le();
    Inode {
        id: InodeId { dev, ino, generation },
        ptr,
        magic: b.get_u64_le(),
        size: u64::try_from(b.get_i64_le()).unwrap_or(0),
        ctime: b.get_i64_le(),
        nlink: b.get_u32_le(),
        mode: b.get_u32_le(),
        uid: b.get_u32_le(),
        gid: b.get_u32_le(),
    }
}

/// `wire::FileId`; `None` if it is all zero.
pub fn file_id(b: &mut &[u8]) -> Option<InodeId> {
    let ino = b.get_u64_le();
    let (dev, generation) = (dev(b.get_u32_le()), b.get_u32_le());
    (ino != 0).then_some(InodeId { dev, ino, generation })
}

/// The kernel's dev_t: 12 bits of major, 20 of minor (include/linux/kdev_t.h).
pub fn dev(dev: u32) -> Dev {
    Dev { major: dev >> 20, minor: dev & 0xf_ffff }
}

/// Names come leaf first, padded with NULs; an empty one is padding.
fn names(bytes: &[u8]) -> Vec<Bytes> {
    bytes.split(|b| *b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

/// How many names stand in the first `len` bytes of a path; `None` if there are fewer bytes.
pub fn names_within(path: &[u8], len: u32) -> Option<usize> {
    Some(names(path.get(..len as usize)?).len())
}

/// The rest of an event: its path.
pub fn path(b: &mut &[u8], flags: u32, len: u32) -> Result<Path> {
    ensure!(b.len() == len as usize, "a path says {len} bytes and has {}", b.len());
    let mut names = names(b);
    names.reverse();
    Ok(Path {
        names,
        fs_root: flags & wire::PATH_FS_ROOT != 0,
        cut: flags & wire::PATH_CUT != 0,
        name_missing: flags & wire::PATH_NAME_MISSING != 0,
        deleted: flags & wire::PATH_DELETED != 0,
        pseudo: flags & wire::PATH_PSEUDO != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{input::KernelEvent, process::Module},
        wire::decode::{
            decode,
            testing::{bytes, zeroed},
        },
    };

    #[test]
    fn an_inode() {
        let mut stale: wire::Shrink = zeroed();
        stale.inode = wire::Inode {
            ptr: 1,
            ino: 2,
            dev: 8 << 20 | 3,
            generation: 4,
            magic: 5,
            size: 6,
            ctime: 7,
            nlink: 8,
            mode: 9,
            uid: 10,
            gid: 11,
        };
        let Ok((_, Some(KernelEvent::Shrink(shrink)))) = decode(&bytes(&stale, b"")) else {
            panic!()
        };
        let id = InodeId { dev: Dev { major: 8, minor: 3 }, ino: 2, generation: 4 };
        let (ptr, magic, size) = (1, 5, 6);
        let known = Inode { id, ptr, magic, size, ctime: 7, nlink: 8, mode: 9, uid: 10, gid: 11 };
        assert_eq!(shrink.inode, known);
        stale.inode.size = -1;
        let Ok((_, Some(KernelEvent::Shrink(shrink)))) = decode(&bytes(&stale, b"")) else {
            panic!()
        };
        assert_eq!(shrink.inode.size, 0);
    }

    #[test]
    fn a_file_without_an_inode_is_none() {
        assert_eq!(file_id(&mut [0_u8; 16].as_slice()), None);
        let mut known = [0_u8; 16];
        known[0] = 7;
        known[12] = 9;
        let id = InodeId { dev: Dev { major: 0, minor: 0 }, ino: 7, generation: 9 };
        assert_eq!(file_id(&mut known.as_slice()), Some(id));
    }

    fn exited(path: &[u8], flags: u32, len: u32) -> Result<Option<Module>> {
        let mut exit: wire::Exit = zeroed();
        exit.module.ino = 1;
        exit.path_flags = flags;
        exit.path_len = len;
        match decode(&bytes(&exit, path))?.1 {
            Some(KernelEvent::ProcessExit(exit)) => Ok(exit.module),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_from_the_root() {
        let path = exited(b"leaf\0\0\0dir\0", 0, 11).expect("an exit").expect("a module").path;
        assert_eq!(path.names, [b"dir".to_vec(), b"leaf".to_vec()]);
        assert!(!(path.fs_root || path.cut || path.name_missing || path.deleted || path.pseudo));
        for (flag, known) in [
            (wire::PATH_FS_ROOT, [true, false, false, false, false]),
            (wire::PATH_CUT, [false, true, false, false, false]),
            (wire::PATH_NAME_MISSING, [false, false, true, false, false]),
            (wire::PATH_DELETED, [false, false, false, true, false]),
            (wire::PATH_PSEUDO, [false, false, false, false, true]),
        ] {
            let path = exited(b"", flag, 0).expect("an exit").expect("a module").path;
            let told = [path.fs_root, path.cut, path.name_missing, path.deleted, path.pseudo];
            assert_eq!(told, known);
        }
    }

    #[test]
    fn a_path_of_another_length_is_an_error() {
        assert!(exited(b"leaf\0", 0, 4).is_err());
        assert!(exited(b"leaf\0", 0, 6).is_err());
        assert!(exited(b"leaf\0", 0, u32::MAX).is_err());
    }
}

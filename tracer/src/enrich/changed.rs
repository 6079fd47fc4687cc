//! What became of the files that frames lie in, up to the end of their thread: when each was changed last, and what has
//! taken the place of one that is gone.
use std::{fs::Metadata, os::unix::fs::MetadataExt as _};

use crate::{
    enrich::{
        mapped_file::{MappedFile, path},
        open,
        parser::Parser,
        place::{TIMEOUT, build_id},
    },
    model::{
        file::Inode,
        magic::FUSE_SUPER_MAGIC,
        remote::is_shared,
        stack::{Frame, Mapping, ModuleFile, Replacement},
    },
};

/// Files of one stack that are told of.
const MODULES: usize = 16;
/// A file that took another's place came there no earlier than so long before the other was gone, and, where nothing else
/// shows that it was there that the process looked, no later than so long after, ns.
const BEFORE: i64 = 1_000_000_000;
const AFTER: i64 = 600_000_000_000;

/// The files that `frames` lie in, of those that were opened.
pub(super) fn modules(
    files: &[MappedFile],
    frames: &[Frame],
    roots: &[u32],
    parser: &Parser,
) -> Vec<ModuleFile> {
    let of_file = |file: &MappedFile| {
        let mapping = file.mappings.first()?;
        let name = file.name()?;
        let frame = frames.iter().find(|frame| frame.module.as_ref() == Some(&name))?;
        let removed = is_removed(mapping);
        Some(ModuleFile {
            path: name,
            build_id: frame.build_id.clone(),
            changed: mapping.inode.ctime,
            written: file.written,
            removed,
            replaced_by: removed.then(|| replacement(mapping, files, roots, parser)).flatten(),
        })
    };
    files.iter().filter_map(of_file).take(MODULES).collect()
}

/// Whether the path of a file was another's, or nobody's. What a server has on the other side of a network, or of FUSE,
/// may be called anything: there only a file without any name counts.
fn is_removed(Mapping { path, inode, .. }: &Mapping) -> bool {
    let elsewhere = is_shared(inode.magic) || inode.magic == FUSE_SUPER_MAGIC;
    path.deleted && !path.pseudo && (inode.nlink == 0 || !elsewhere)
}

/// What the path of a file that is gone leads to now. Nobody can be asked any more where the process looked, so it counts
/// only below a root where another of its files is, or if it came as the other went: rename(2), and whoever makes a file
/// anew, leaves the time in its inode.
fn replacement(
    gone: &Mapping,
    files: &[MappedFile],
    roots: &[u32],
    parser: &Parser,
) -> Option<Replacement> {
    let path = path(&gone.path)?;
    let others = || files.iter().filter_map(|file| file.mappings.first());
    open::roots(roots.iter().copied()).find_map(|root| {
        let file = open::regular_below(&root, &path, |meta| came_after(meta, &gone.inode))?;
        let changed = open::changed(&file.metadata().ok()?);
        let soon = changed <= gone.inode.ctime.saturating_add(AFTER);
        let is_its = || others().any(|other| !is_removed(other) && is_below(&root, other));
        (soon || is_its()).then_some(())?;
        Some(Replacement { build_id: build_id(file, &path, TIMEOUT, parser), changed })
    })
}

/// Whether a file is another one, and may have come as the first went.
fn came_after(meta: &Metadata, gone: &Inode) -> bool {
    meta.ino() != gone.id.ino && open::changed(meta) >= gone.ctime.saturating_sub(BEFORE)
}

fn is_below(root: &str, other: &Mapping) -> bool {
    let path = path(&other.path);
    path.is_some_and(|path| open::regular_below(root, &path, open::is(&other.inode)).is_some())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::unix::ffi::OsStrExt as _,
        path::Path as FilePath,
    };

    use super::*;
    use crate::model::{file::Path, magic::NFS_SUPER_MAGIC, stack::Mapping};

    /// A file as the kernel sees it that maps it, and by the path that it had.
    fn mapping(path: &FilePath, file: &File, deleted: bool) -> Mapping {
        let meta = file.metadata().expect("a file");
        let mut inode = crate::testing::fault(0, meta.len()).inode;
        inode.id.ino = meta.ino();
        inode.ctime = open::changed(&meta);
        inode.nlink = u32::try_from(meta.nlink()).expect("few");
        let names = path.as_os_str().as_bytes().split(|byte| *byte == b'/').skip(1);
        let names = names.map(<[u8]>::to_vec).collect();
        let path = Path { names, deleted, ..Path::default() };
        Mapping { start: 0x1000, end: 0x2000, offset: 0, inode, path }
    }

    fn changed_at(path: &FilePath) -> i64 {
        open::changed(&fs::metadata(path).expect("a file"))
    }

    #[test]
    fn what_took_the_place_of_a_file_is_known() {
        let top = tempfile::tempdir().expect("a directory");
        let path = |name: &str| top.path().join(name);
        fs::write(path("geo"), "old").expect("room");
        fs::write(path("geo.new"), "new").expect("room");
        fs::write(path("libc"), "lib").expect("room");
        let (old, lib) = (File::open(path("geo")), File::open(path("libc")));
        let (old, lib) = (old.expect("a file"), lib.expect("a file"));
        fs::rename(path("geo.new"), path("geo")).expect("renamed");
        let parser = Parser::here();
        let mut gone = mapping(&path("geo"), &old, true);
        assert!(is_removed(&gone));
        let came = |gone: &Mapping, files: &[MappedFile]| {
            replacement(gone, files, &[], &parser).map(|new| new.changed)
        };
        let new = changed_at(&path("geo"));
        assert_eq!(came(&gone, &[]), Some(new), "it came as the other went");
        // Long after: whether the process looked here another of its files shows.
        gone.inode.ctime = new - AFTER - 1;
        assert_eq!(came(&gone, &[]), None);
        let other = mapping(&path("libc"), &lib, false);
        let other = MappedFile::new(&other, Some(&lib));
        assert_eq!(came(&gone, std::slice::from_ref(&other)), Some(new));
        // It lay there before the other went: a file of somebody else's root.
        gone.inode.ctime = new + BEFORE + 1;
        assert_eq!(came(&gone, std::slice::from_ref(&other)), None);
        fs::remove_file(path("geo")).expect("removed");
        gone.inode.ctime = new;
        assert_eq!(came(&gone, &[other]), None, "nothing is there");
    }

    #[test]
    fn the_files_of_frames_are_told_and_no_others() {
        let top = tempfile::tempdir().expect("a directory");
        let path = |name: &str| top.path().join(name);
        fs::write(path("geo"), "old").expect("room");
        fs::write(path("lib"), "lib").expect("room");
        let parser = Parser::here();
        let file = |name: &str| {
            let file = File::open(path(name)).expect("a file");
            MappedFile::new(&mapping(&path(name), &file, false), Some(&file))
        };
        let files = [file("geo"), file("lib")];
        let module = Some(path("geo").as_os_str().as_bytes().to_vec());
        let build_id = Some(vec![0xab]);
        let frames = [Frame { module, build_id, ..Frame::default() }];
        let told = modules(&files, &frames, &[], &parser);
        let [only] = &told[..] else { panic!("{told:?}") };
        assert_eq!(only.build_id, Some(vec![0xab]));
        assert_eq!(only.changed, changed_at(&path("geo")));
        assert!(only.written.is_some() && !only.removed && only.replaced_by.is_none());
    }

    #[test]
    fn a_server_may_call_its_files_anything() {
        let file = tempfile::NamedTempFile::new().expect("room");
        let mut one = mapping(file.path(), file.as_file(), true);
        assert!(is_removed(&one));
        one.inode.magic = NFS_SUPER_MAGIC;
        assert!(!is_removed(&one));
        one.inode.nlink = 0;
        assert!(is_removed(&one));
        one.path.deleted = false;
        assert!(!is_removed(&one));
    }
}

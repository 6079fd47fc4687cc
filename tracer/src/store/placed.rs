//! Whether a file that is open is still the one that others find by its name.
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A file as it was at its path.
pub struct Placed {
    pub path: PathBuf,
    /// Device and inode; `None` if it was not there.
    identity: Option<(u64, u64)>,
}

impl Placed {
    pub fn of(path: PathBuf) -> Self {
        Self { identity: identity(&path), path }
    }

    /// Whether it is there, or may be: a disk that does not answer says nothing.
    pub fn is_there(&self) -> bool {
        match fs::symlink_metadata(&self.path) {
            Ok(meta) => self.identity == Some((meta.dev(), meta.ino())),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_or_replaced_is_not_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        fs::write(&path, "x").expect("room");
        let placed = Placed::of(path.clone());
        assert!(placed.is_there());
        fs::write(&path, "changed").expect("room");
        assert!(placed.is_there());
        fs::write(dir.path().join("other"), "x").expect("room");
        fs::rename(dir.path().join("other"), &path).expect("room");
        assert!(!placed.is_there());
        fs::remove_file(&path).expect("it is there");
        assert!(!placed.is_there() && !Placed::of(path).is_there());
    }
}

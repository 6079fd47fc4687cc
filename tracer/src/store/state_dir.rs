//! The directory the history lives in: whose it is, and who may read it.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::store::{Error, Result};

/// The group that may read it unless told otherwise: who reads logs on Debian and its kin.
const GROUP: &str = "adm";
/// Its owner writes, its group reads.
const DIR_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
const WRITABLE: u32 = 0o022;

/// The history in a state directory.
pub fn history(dir: &Path) -> PathBuf {
    dir.join("history.db")
}

/// Makes the directory if it is missing, and makes sure that only we write there.
///
/// # Errors
/// Where it cannot be made, is not ours, or others may write to it: what they put there would be
/// told as what happened.
pub fn prepare(dir: &Path, group: Option<&str>) -> Result<()> {
    let mut new = false;
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::DirBuilder::new()
                .mode(DIR_MODE)
                .recursive(true)
                .create(dir)
                .map_err(|error| refused("make", dir, &error))?;
            new = true;
        }
        Err(error) => return Err(refused("look at", dir, &error)),
        Ok(meta) if !meta.is_dir() => {
            return Err(Error::NoDirectory(dir.to_owned()));
        }
        Ok(_) => {}
    }
    let meta = fs::metadata(dir).map_err(|error| refused("look at", dir, &error))?;
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own {
        return Err(Error::NotOurs { dir: dir.to_owned(), owner: meta.uid(), own });
    }
    if meta.mode() & WRITABLE != 0 {
        return Err(Error::WritableByOthers { dir: dir.to_owned(), mode: meta.mode() & 0o7777 });
    }
    match (group, group_id(group.unwrap_or(GROUP))) {
        (Some(name), None) => {
            return Err(Error::NoGroup(name.to_owned()));
        }
        // An existing directory keeps what its owner chose, unless told otherwise.
        (Some(name), Some(gid)) => {
            give(dir, gid).map_err(|error| {
                let text = format!("giving {} to the group {name}: {error}", dir.display());
                Error::of_io(error.kind(), text)
            })?;
        }
        // Who is not root makes a history for himself.
        (None, Some(gid)) if new => drop(give(dir, gid)),
        _ => {}
    }
    Ok(())
}

/// What could not be done with the directory.
pub(super) fn refused(what: &str, dir: &Path, error: &io::Error) -> Error {
    let text = format!("cannot {what} the state directory {}: {error}", dir.display());
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "run it as root, or give another one by --state-dir",
        _ => "give another one by --state-dir",
    };
    Error::of_io(error.kind(), format!("{text}; {hint}"))
}

/// The number of a group, by /etc/group.
fn group_id(name: &str) -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let number = fields.nth(2);
        (line.split(':').next() == Some(name)).then(|| number?.parse().ok()).flatten()
    })
}

/// Gives a file to a group.
fn give(path: &Path, gid: u32) -> io::Result<()> {
    chown(path, None, Some(gid))
}

/// Makes an empty history if there is none: SQLite gives the files beside it the same owner and mode.
///
/// # Errors
/// Where the directory cannot be written to.
pub fn touch(dir: &Path) -> io::Result<()> {
    open(&history(dir), dir).map(drop)
}

/// Opens one of our files, which nobody else may.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    open_as(path, 0o600)
}

/// Opens one of our files, of the directory's group.
pub(super) fn open(path: &Path, dir: &Path) -> io::Result<File> {
    let new = !path.exists();
    let file = open_as(path, FILE_MODE)?;
    if new {
        let _ = give(path, fs::metadata(dir)?.gid());
    }
    Ok(file)
}

/// Opens a file of a new one's mode, and follows no link.
fn open_as(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(mode)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

/// Bytes that a history takes, with what SQLite has not moved into it yet.
pub fn size(dir: &Path) -> u64 {
    let wal = dir.join("history.db-wal");
    [history(dir), wal].iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn fresh(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("whybus-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    fn message(result: Result<()>) -> String {
        result.expect_err("it should be refused").to_string()
    }

    #[test]
    fn only_we_may_write() {
        let dir = fresh("modes");
        prepare(&dir, None).expect("it is made");
        assert_eq!(fs::metadata(&dir).expect("it is there").mode() & 0o7777, 0o750);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).expect("ours");
        assert!(message(prepare(&dir, None)).contains("is writable by others (mode 0770)"));
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("ours");
        prepare(&dir, None).expect("the world may read");
        assert!(message(prepare(&dir, Some("nobody-has-this"))).contains("no group"));
        let link = dir.join("link");
        symlink(&dir, &link).expect("a link");
        assert!(message(prepare(&link, None)).contains("is not a directory"));
        fs::remove_dir_all(&dir).expect("ours");
    }
}

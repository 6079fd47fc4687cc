//! The directory the history lives in: whose it is, who may read it, who writes to it now.
use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _},
        },
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// Where the history is unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/whybus";
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

fn recorder(dir: &Path) -> PathBuf {
    dir.join("recorder")
}

/// Makes the directory if it is missing, and makes sure that only we write there.
///
/// # Errors
/// Where it cannot be made, is not ours, or others may write to it: what they put there would be
/// told as what happened.
pub fn prepare(dir: &Path, group: Option<&str>) -> Result<()> {
    let shown = dir.display();
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
            return Err(Failure::usage(format!(
                "the state directory {shown} is no directory (symbolic links are not followed); give \
                 another one by --state-dir"
            )));
        }
        Ok(_) => {}
    }
    let meta = fs::metadata(dir).map_err(|error| refused("look at", dir, &error))?;
    // SAFETY: no preconditions.
    let own = unsafe { libc::geteuid() };
    if meta.uid() != own {
        return Err(Failure::usage(format!(
            "the state directory {shown} belongs to user {}, not to us (user {own}); chown it, or \
             give another one by --state-dir",
            meta.uid()
        )));
    }
    if meta.mode() & WRITABLE != 0 {
        return Err(Failure::usage(format!(
            "the state directory {shown} may be written to by others (mode {:04o}), who could change \
             what happened; chmod go-w it, or give another one by --state-dir",
            meta.mode() & 0o7777
        )));
    }
    match (group, group_id(group.unwrap_or(GROUP))) {
        (Some(name), None) => {
            return Err(Failure::usage(format!("there is no group `{name}` (--group)")));
        }
        // An existing directory keeps what its owner chose, unless told otherwise.
        (Some(name), Some(gid)) => {
            give(dir, gid).with_context(|| format!("giving {shown} to the group {name}"))?;
        }
        // Who is not root makes a history for himself.
        (None, Some(gid)) if new => drop(give(dir, gid)),
        _ => {}
    }
    Ok(())
}

/// What could not be done with the directory.
fn refused(what: &str, dir: &Path, error: &io::Error) -> anyhow::Error {
    let text = format!("cannot {what} the state directory {}: {error}", dir.display());
    match error.kind() {
        ErrorKind::PermissionDenied => Failure::privilege(format!(
            "{text}; run it as root, or give another one by --state-dir"
        )),
        kind => Failure::file(format!("{text}; give another one by --state-dir"), kind),
    }
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
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a path that ends in NUL.
    match unsafe { libc::chown(path.as_ptr(), u32::MAX, gid) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes an empty history if there is none: SQLite gives the files beside it the same owner and mode.
///
/// # Errors
/// Where the directory cannot be written to.
pub fn touch(dir: &Path) -> io::Result<()> {
    open(&history(dir), dir).map(drop)
}

/// Opens one of our files, of the directory's group.
fn open(path: &Path, dir: &Path) -> io::Result<File> {
    let new = !path.exists();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    if new {
        let _ = give(path, fs::metadata(dir)?.gid());
    }
    Ok(file)
}

/// What a recorder says of itself, every second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    pub pid: u32,
    pub boot_id: String,
    /// Ns since the epoch: when it began, and when it was last there.
    pub since: i64,
    pub seen: i64,
    /// It ended as it was told to.
    pub stopped: bool,
}

/// The right to write: one recorder a directory.
pub struct Lock {
    file: File,
    /// What the recorder before us said last.
    pub before: Option<Beat>,
}

impl Lock {
    /// # Errors
    /// Where another recorder is there, or the directory cannot be written to.
    pub fn take(dir: &Path) -> Result<Self> {
        let file = open(&recorder(dir), dir).map_err(|error| refused("write to", dir, &error))?;
        // SAFETY: an open descriptor.
        let locked = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
        let before = beat(&file);
        if !locked {
            let who = before.map_or_else(String::new, |beat| format!(", pid {}", beat.pid));
            return Err(Failure::usage(format!(
                "another recorder writes to {}{who}; stop it first, or give another directory by \
                 --state-dir",
                dir.display()
            )));
        }
        Ok(Self { file, before })
    }

    /// Says that we are there. Not synced: it serves whoever finds us killed, not a power cut.
    ///
    /// # Errors
    /// Where the disk is full.
    pub fn beat(&self, beat: &Beat) -> io::Result<()> {
        let mut text = serde_json::to_string(beat)?;
        // Never shorter than what stands there.
        text.push_str(&" ".repeat(192_usize.saturating_sub(text.len())));
        text.push('\n');
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

fn beat(file: &File) -> Option<Beat> {
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(bytes.split(|b| *b == b'\n').next()?).ok()
}

/// The recorder that writes there now, if one does.
pub fn running(dir: &Path) -> Option<Beat> {
    let file = File::open(recorder(dir)).ok()?;
    // SAFETY: an open descriptor; what we take we give back by closing it.
    let free = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) } == 0;
    beat(&file).filter(|_| !free)
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
        assert!(message(prepare(&dir, None)).contains("may be written to by others (mode 0770)"));
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("ours");
        prepare(&dir, None).expect("the world may read");
        assert!(message(prepare(&dir, Some("nobody-has-this"))).contains("no group"));
        let link = dir.join("link");
        symlink(&dir, &link).expect("a link");
        assert!(message(prepare(&link, None)).contains("is no directory"));
        fs::remove_dir_all(&dir).expect("ours");
    }

    #[test]
    fn one_recorder_at_a_time_and_it_is_named() {
        let dir = fresh("lock");
        prepare(&dir, None).expect("it is made");
        let first = Lock::take(&dir).expect("nobody else");
        assert_eq!(first.before, None);
        let beat = Beat { pid: 4711, boot_id: "b".into(), since: 1, seen: 2, stopped: false };
        first.beat(&beat).expect("room");
        let refused = Lock::take(&dir).err().expect("it is taken").to_string();
        assert!(refused.contains("pid 4711"), "{refused}");
        assert_eq!(running(&dir), Some(beat.clone()));
        drop(first);
        assert_eq!(running(&dir), None);
        assert_eq!(Lock::take(&dir).expect("free again").before, Some(beat));
        fs::remove_dir_all(&dir).expect("ours");
    }
}

//! What a history may refuse. Kinds, not exit statuses: what to make of them is the caller's.
use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

/// Why a history cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was ever recorded there.
    #[error(
        "there is no history in {}: nothing was recorded there; start one by `sudo whybus record`, \
         or name its directory by --state-dir", .0.display()
    )]
    NotFound(PathBuf),
    /// A recorder has made the file, and nothing else yet.
    #[error("{} is empty: a recorder has made it and not written yet; try again", .0.display())]
    NotWritten(PathBuf),
    /// Of a later whybus.
    #[error(
        "{} is of version {version}, and this whybus knows up to {known}: upgrade whybus, or give \
         another directory by --state-dir", .path.display()
    )]
    Newer { path: PathBuf, version: i64, known: i64 },
    /// SQLite's, but not ours.
    #[error(
        "{} is a database of another program; give another directory by --state-dir", .0.display()
    )]
    OtherProgram(PathBuf),
    /// Something else stands in its place.
    #[error("{} is not a regular file; give another directory by --state-dir", .0.display())]
    NoFile(PathBuf),
    /// The file itself is at fault.
    #[error(
        "{} is damaged ({reason}); the next `whybus record` sets it aside and begins a new one, and \
         `sqlite3 … .recover` may save what is in it", .path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    /// The state directory is something else.
    #[error(
        "{} is not a directory (symbolic links are not followed); give another one \
         by --state-dir", .0.display()
    )]
    NoDirectory(PathBuf),
    /// The state directory is another user's.
    #[error(
        "the state directory {} belongs to user {owner}, not to us (user {own}); chown it, or give \
         another one by --state-dir", .dir.display()
    )]
    NotOurs { dir: PathBuf, owner: u32, own: u32 },
    /// What others put there would be told as what happened.
    #[error(
        "the state directory {} is writable by others (mode {mode:04o}), who could change what \
         happened; chmod go-w it, or give another one by --state-dir", .dir.display()
    )]
    WritableByOthers { dir: PathBuf, mode: u32 },
    /// The group that shall read it does not exist.
    #[error("there is no group `{0}` (--group)")]
    NoGroup(String),
    /// Another recorder is there.
    #[error(
        "another recorder writes to {}{}; stop it first, or give another directory by --state-dir",
        .dir.display(), .pid.map_or_else(String::new, |pid| format!(", pid {pid}"))
    )]
    Taken { dir: PathBuf, pid: Option<u32> },
    /// The system does not let us.
    #[error("{0}")]
    Denied(String),
    /// No room on the disk, or in the quota.
    #[error("{0}")]
    Full(String),
    #[error("{0}")]
    ReadOnly(String),
    /// The disk does not read or write.
    #[error("{0}")]
    Disk(String),
    /// Somebody else holds a lock on it.
    #[error("{0}")]
    Busy(String),
    /// Anything else that the system says.
    #[error("{0}")]
    Io(String),
    /// The file itself is at fault, as was seen while it was read or written.
    #[error("the history is damaged: {0}")]
    Corrupt(String),
    /// Anything else that SQLite says.
    #[error("{0}")]
    Sqlite(String),
}

impl Error {
    /// What the system said, in a sentence.
    pub fn of_io(kind: ErrorKind, text: String) -> Self {
        match kind {
            ErrorKind::PermissionDenied => Self::Denied(text),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(text),
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(text),
            _ => Self::Io(text),
        }
    }

    /// The same, told with what was being done to which file; damage says what is to be done about it.
    #[must_use]
    pub fn while_doing(self, what: &str, path: &Path) -> Self {
        let with = |text: String| format!("{what} {}: {text}", path.display());
        match self {
            Self::Corrupt(reason) => Self::Damaged { path: path.to_owned(), reason },
            Self::Denied(text) => Self::Denied(with(text)),
            Self::Full(text) => Self::Full(with(text)),
            Self::ReadOnly(text) => Self::ReadOnly(with(text)),
            Self::Disk(text) => Self::Disk(with(text)),
            Self::Busy(text) => Self::Busy(with(text)),
            Self::Io(text) => Self::Io(with(text)),
            Self::Sqlite(text) => Self::Sqlite(with(text)),
            whole => whole,
        }
    }

    /// Whether the file itself is at fault.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Corrupt(_))
    }

    /// Whether it is the disk that does not take it, or somebody who holds a lock, which may pass.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Full(_) | Self::ReadOnly(_) | Self::Disk(_) | Self::Busy(_))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(error.to_string()),
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error.to_string()),
            // Whoever may read a history can lock the file that readers share.
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::of_io(error.kind(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_disk_may_recover_and_a_mistake_does_not() {
        let io = |kind| Error::from(io::Error::from(kind));
        for passing in [
            io(ErrorKind::StorageFull),
            io(ErrorKind::QuotaExceeded),
            io(ErrorKind::ReadOnlyFilesystem),
            sqlite(ffi::SQLITE_FULL).into(),
            sqlite(ffi::SQLITE_READONLY).into(),
            sqlite(ffi::SQLITE_IOERR).into(),
            sqlite(ffi::SQLITE_BUSY).into(),
            sqlite(ffi::SQLITE_LOCKED).into(),
            sqlite(ffi::SQLITE_PROTOCOL).into(),
        ] {
            assert!(passing.may_pass(), "{passing:?}");
        }
        for lasting in [
            io(ErrorKind::PermissionDenied),
            io(ErrorKind::NotFound),
            sqlite(ffi::SQLITE_CANTOPEN).into(),
            sqlite(ffi::SQLITE_CORRUPT).into(),
            Error::Newer { path: PathBuf::new(), version: 2, known: 1 },
        ] {
            assert!(!lasting.may_pass(), "{lasting:?}");
        }
    }

    #[test]
    fn damage_names_its_file() {
        let told = |code| Error::from(sqlite(code)).while_doing("reading", Path::new("/x/h.db"));
        let damage = told(ffi::SQLITE_NOTADB);
        assert!(damage.is_damage() && !damage.may_pass(), "{damage:?}");
        assert!(damage.to_string().starts_with("/x/h.db is damaged ("), "{damage}");
        let full = told(ffi::SQLITE_FULL);
        assert!(full.may_pass() && !full.is_damage(), "{full:?}");
        assert!(full.to_string().starts_with("reading /x/h.db: "), "{full}");
    }
}

//! A history that is damaged: noticed, set aside, never deleted.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use rusqlite::ErrorCode;

/// Where a history that could not be read was put.
pub type SetAside = Option<PathBuf>;

/// What is said of that.
pub fn damaged(history: &Path, aside: &Path) -> String {
    format!(
        "whybus: {} was damaged; it is set aside as {}, and a new history begins",
        history.display(),
        aside.display()
    )
}

/// A check that failed.
#[derive(Debug)]
pub struct Damaged(pub String);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damaged {}

/// Whether the file itself is at fault.
pub fn at_fault(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    error.is::<Damaged>()
        || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Renames a history with the files beside it.
pub fn set_aside(path: &Path) -> Result<PathBuf> {
    let named = |number: u32| path.with_extension(format!("damaged-{number}"));
    let free = (1..).map(named).find(|path| !path.exists());
    let aside = free.unwrap_or_else(|| named(0));
    for suffix in ["", "-wal", "-shm"] {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        match fs::rename(beside(path), beside(&aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(aside)
}

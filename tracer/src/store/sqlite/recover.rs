//! A history that is damaged: noticed, set aside, never deleted.
use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::store::Result;

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

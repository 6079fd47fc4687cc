//! Who writes to a history now: one recorder a directory, which says every second that it is there.
use std::{
    fs::{File, TryLockError},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::store::{
    Error, Result,
    state_dir::{open, refused},
};

fn lock_file(dir: &Path) -> PathBuf {
    dir.join("recorder")
}

/// What a recorder says of itself, every second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub pid: u32,
    pub boot_id: String,
    /// Ns since the epoch: when it began, and when it was last there.
    pub since: i64,
    pub seen: i64,
    /// It ended as it was told to.
    pub stopped: bool,
}

/// The right to write: one recorder a directory.
pub struct RecorderLock {
    file: File,
    /// What the recorder before us said of itself last.
    pub previous: Option<Heartbeat>,
}

impl RecorderLock {
    /// # Errors
    /// Where another recorder is there, or the directory cannot be written to.
    pub fn acquire(dir: &Path) -> Result<Self> {
        let file = open(&lock_file(dir), dir).map_err(|error| refused("write to", dir, &error))?;
        let locked = file.try_lock();
        let previous = last_heartbeat(&file);
        if let Err(error) = locked {
            if let TryLockError::Error(error) = error {
                return Err(refused("lock", dir, &error));
            }
            return Err(Error::Taken { dir: dir.to_owned(), pid: previous.map(|beat| beat.pid) });
        }
        Ok(Self { file, previous })
    }

    /// Says that we are there. Not synced: it serves whoever finds us killed, not a power cut.
    ///
    /// # Errors
    /// Where the disk is full.
    pub fn beat(&self, beat: &Heartbeat) -> io::Result<()> {
        let mut text = serde_json::to_string(beat)?;
        // Never shorter than what stands there.
        text.push_str(&" ".repeat(192_usize.saturating_sub(text.len())));
        text.push('\n');
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

fn last_heartbeat(file: &File) -> Option<Heartbeat> {
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(bytes.split(|b| *b == b'\n').next()?).ok()
}

/// The recorder that writes there now, if one does.
pub fn running_recorder(dir: &Path) -> Option<Heartbeat> {
    let file = File::open(lock_file(dir)).ok()?;
    // What we lock here we give back by closing it.
    let taken = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    last_heartbeat(&file).filter(|_| taken)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::state_dir::prepare;

    fn fresh(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("whybus-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn one_recorder_at_a_time_and_it_is_named() {
        let dir = fresh("lock");
        prepare(&dir, None).expect("it is made");
        let first = RecorderLock::acquire(&dir).expect("nobody else");
        assert_eq!(first.previous, None);
        let beat = Heartbeat { pid: 4711, boot_id: "b".into(), since: 1, seen: 2, stopped: false };
        first.beat(&beat).expect("room");
        let refused = RecorderLock::acquire(&dir).err().expect("it is taken").to_string();
        assert!(refused.contains("pid 4711"), "{refused}");
        assert_eq!(running_recorder(&dir), Some(beat.clone()));
        drop(first);
        assert_eq!(running_recorder(&dir), None);
        assert_eq!(RecorderLock::acquire(&dir).expect("free again").previous, Some(beat));
        fs::remove_dir_all(&dir).expect("ours");
    }
}

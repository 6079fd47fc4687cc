//! Who writes to a history now: one recorder a directory, which says every second that it is there.
use std::{
    fs::{File, TryLockError},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    contract::{Label, Named},
    model::observe::Readiness,
    store::{
        Error, Result,
        state_dir::{open, open_private, refused},
    },
};

/// What the recorder locks. Nobody else opens it: a lock that readers could take they could keep it out with.
fn lock_file(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// What it says of itself, for readers.
fn heartbeat_file(dir: &Path) -> PathBuf {
    dir.join("recorder")
}

/// What a recorder holds open in its directory beside the history.
pub fn files(dir: &Path) -> [PathBuf; 2] {
    [lock_file(dir), heartbeat_file(dir)]
}

/// A recorder that was silent for longer is not there any more. Ns.
const SILENT: u64 = 10_000_000_000;
/// What a heartbeat takes at least, bytes: never less than the one before it.
const PADDED: usize = 2_048;
/// And at most.
const LONGEST: u64 = 4_096;

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
    /// How long the clock has gone on without being set, ns (`store::steady`).
    #[serde(default)]
    pub steady_ns: u64,
    /// What it can detect on its host; none in what an older whybus wrote.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

/// What a recorder can detect on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub readiness: Named<Readiness>,
    /// What it cannot detect, and why.
    pub summary: Option<Label>,
}

impl Verdict {
    /// One that has room in a heartbeat.
    pub fn new(readiness: Readiness, summary: Option<&str>) -> Self {
        /// Bytes; in JSON they are no more than six times as many.
        const ROOM: usize = 300;
        let cut = |text: &str| text[..text.floor_char_boundary(ROOM)].into();
        Self { readiness: readiness.into(), summary: summary.map(cut) }
    }
}

/// The right to write: one recorder a directory.
pub struct RecorderLock {
    _lock: File,
    file: File,
    /// What the recorder before us said of itself last.
    pub previous: Option<Heartbeat>,
}

impl RecorderLock {
    /// # Errors
    /// Where another recorder is there, or the directory cannot be written to.
    pub fn acquire(dir: &Path) -> Result<Self> {
        let lock =
            open_private(&lock_file(dir)).map_err(|error| refused("write to", dir, &error))?;
        let file =
            open(&heartbeat_file(dir), dir).map_err(|error| refused("write to", dir, &error))?;
        let locked = lock.try_lock();
        let previous = read(&file);
        if let Err(error) = locked {
            if let TryLockError::Error(error) = error {
                return Err(refused("lock", dir, &error));
            }
            return Err(Error::Taken { dir: dir.to_owned(), pid: previous.map(|beat| beat.pid) });
        }
        Ok(Self { _lock: lock, file, previous })
    }

    /// Says that we are there. Not synced: it serves whoever finds us killed, not a power cut.
    ///
    /// # Errors
    /// Where the disk is full.
    pub fn beat(&self, beat: &Heartbeat) -> io::Result<()> {
        let mut text = serde_json::to_string(beat)?;
        // Never shorter than what stands there.
        text.push_str(&" ".repeat(PADDED.saturating_sub(text.len())));
        text.push('\n');
        self.file.write_all_at(text.as_bytes(), 0)
    }
}

fn read(file: &File) -> Option<Heartbeat> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(bytes.split(|b| *b == b'\n').next()?).ok()
}

/// What the last recorder there said of itself, if any did.
pub fn last_heartbeat(dir: &Path) -> Option<Heartbeat> {
    read(&File::open(heartbeat_file(dir)).ok()?)
}

/// The recorder that writes there now (ns since the epoch), if one does.
pub fn running_recorder(dir: &Path, now: i64) -> Option<Heartbeat> {
    last_heartbeat(dir).filter(|beat| !beat.stopped && beat.seen.abs_diff(now) < SILENT)
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
        let verdict = Some(Verdict::new(Readiness::Degraded, Some(&"\"é".repeat(5_000))));
        let beat = Heartbeat {
            pid: 4711,
            boot_id: "b".into(),
            since: 1,
            seen: 2,
            stopped: false,
            steady_ns: 9,
            verdict,
        };
        first.beat(&beat).expect("room");
        let refused = RecorderLock::acquire(&dir).err().expect("it is taken").to_string();
        assert!(refused.contains("pid 4711"), "{refused}");
        assert_eq!(running_recorder(&dir, 3), Some(beat.clone()));
        assert_eq!(running_recorder(&dir, 3 + SILENT.cast_signed()), None);
        first.beat(&Heartbeat { stopped: true, ..beat.clone() }).expect("room");
        assert_eq!(running_recorder(&dir, 3), None);
        first.beat(&beat).expect("room");
        drop(first);
        assert_eq!(RecorderLock::acquire(&dir).expect("free again").previous, Some(beat));
        fs::remove_dir_all(&dir).expect("ours");
    }

    /// Whoever may read the history may not keep a recorder out of it.
    #[test]
    fn readers_cannot_open_the_lock() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = fresh("private");
        prepare(&dir, None).expect("it is made");
        let _lock = RecorderLock::acquire(&dir).expect("nobody else");
        let mode =
            |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(lock_file(&dir)), 0o600);
        assert_eq!(mode(heartbeat_file(&dir)), 0o640);
        fs::remove_dir_all(&dir).expect("ours");
    }
}

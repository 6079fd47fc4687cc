//! The file of `--save`: all inputs of the engine, in the order it got them.
use std::{
    fs::{File, OpenOptions, Permissions},
    io::{BufWriter, Result, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crate::{
    model::{host::Host, input::Input},
    sink::speak::say,
    wire::stream,
};

/// A stream that is being saved. Watching goes on if that fails.
pub struct StreamFile {
    file: Option<BufWriter<File>>,
}

impl StreamFile {
    /// Saves nothing.
    pub fn none() -> Self {
        Self { file: None }
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// Where the file cannot be made or written.
    pub fn create(path: &Path, host: &Host) -> Result<Self> {
        // Command lines are in it.
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        if file.metadata()?.is_file() {
            // One that was there has the mode it had.
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let mut file = BufWriter::new(file);
        file.write_all(&stream::head(host))?;
        file.flush()?;
        Ok(Self { file: Some(file) })
    }

    /// Adds an event as the ring buffer gave it.
    pub fn event(&mut self, bytes: &[u8]) {
        if self.file.is_some() {
            self.write(&stream::record(bytes));
        }
    }

    /// Adds what user space found out, at `time` (ns since boot).
    pub fn unnumbered(&mut self, input: &Input, time: u64) {
        if self.file.is_some()
            && let Ok(Some(record)) = stream::unnumbered_record(input, time)
        {
            self.write(&record);
        }
    }

    /// Hands everything to the kernel: what was reported can be replayed, even if we are killed.
    pub fn flush(&mut self) {
        let flushed = self.file.as_mut().map_or(Ok(()), BufWriter::flush);
        self.check(flushed);
    }

    fn write(&mut self, bytes: &[u8]) {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        self.check(written);
    }

    fn check(&mut self, result: Result<()>) {
        if let Err(error) = result {
            say(format_args!("whybus: saving the event stream: {error}; watching goes on without"));
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::host;

    #[test]
    fn nobody_else_reads_a_stream_whatever_its_mode_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let mode =
            |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
        let (new, old) = (directory.path().join("new"), directory.path().join("old"));
        fs::write(&old, "of another run").expect("room");
        fs::set_permissions(&old, Permissions::from_mode(0o666)).expect("ours");
        for path in [&new, &old] {
            StreamFile::create(path, &host()).expect("room");
            assert_eq!(mode(path), 0o600);
        }
        assert!(StreamFile::create(Path::new("/dev/null"), &host()).is_ok());
    }
}

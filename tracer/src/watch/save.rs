//! The file of `--save`: all inputs of the engine, in the order it got them.
use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Result, Write as _},
    os::unix::fs::OpenOptionsExt as _,
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

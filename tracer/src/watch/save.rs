//! The file of `--save`: all inputs of the engine, in the order it got them.
use std::{
    fs::{File, OpenOptions, Permissions},
    io::{BufWriter, Error, ErrorKind, Result, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno, process::geteuid};

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
        let mut file = BufWriter::new(open(path)?);
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

/// A file that nobody else may read, for command lines are in it: a new one, or one of our own that is there, emptied. No
/// link is followed to somebody's file, and no other file is written over.
fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let refused = |why: &str| Error::new(ErrorKind::InvalidInput, why);
    // A FIFO is opened without waiting for who reads it.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.custom_flags(flags).open(path).map_err(|error| {
        match error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            true => refused("it is a symbolic link"),
            false => error,
        }
    })?;
    let found = file.metadata()?;
    // /dev/null keeps nothing.
    if found.file_type().is_char_device() {
        return Ok(file);
    }
    if !found.is_file() {
        return Err(refused("it is not a regular file"));
    }
    if found.uid() != geteuid().as_raw() {
        return Err(refused("it belongs to somebody else"));
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.set_len(0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_stream_is_for_nobody_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let mode = |path: &Path| fs::metadata(path).expect("a file").mode() & 0o777;
        let new = dir.path().join("new");
        drop(open(&new).expect("a new one"));
        assert_eq!(mode(&new), 0o600);
        let old = dir.path().join("old");
        fs::write(&old, "what was there").expect("room");
        fs::set_permissions(&old, Permissions::from_mode(0o644)).expect("ours");
        drop(open(&old).expect("ours"));
        assert_eq!((mode(&old), fs::metadata(&old).expect("a file").len()), (0o600, 0));
    }

    #[test]
    fn no_link_is_followed_and_no_other_file_written_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = dir.path().join("target");
        fs::write(&target, "stays").expect("room");
        let link = dir.path().join("link");
        symlink(&target, &link).expect("a link");
        let error = open(&link).expect_err("a link").to_string();
        assert_eq!(error, "it is a symbolic link");
        assert_eq!(fs::read(&target).expect("a file"), b"stays");
        symlink(dir.path().join("nowhere"), dir.path().join("broken")).expect("a link");
        assert!(open(&dir.path().join("broken")).is_err());
        assert!(open(dir.path()).is_err());
        assert!(open(Path::new("/dev/null")).is_ok());
        if !geteuid().is_root() {
            return;
        }
        std::os::unix::fs::chown(&target, Some(65534), None).expect("root may");
        let error = open(&target).expect_err("another's").to_string();
        assert_eq!(error, "it belongs to somebody else");
        assert_eq!(fs::read(&target).expect("a file"), b"stays");
    }
}

//! The file of `--save`: all inputs of the engine, in the order it got them.
use std::{
    borrow::Cow,
    fs::{File, OpenOptions, Permissions},
    io::{BufWriter, Error, ErrorKind, Result, Write as _},
    mem::offset_of,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{fs::OFlags, io::Errno, process::geteuid};

use tracer_common::event::{Crash, kind};

use crate::{
    correlate::registers::needless,
    model::{
        host::Host,
        input::{Input, KernelEvent},
    },
    sink::speak::say,
    wire::{decode::decode, stream},
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

    /// Adds an event as the ring buffer gave it, of a crash without the registers that tell nothing.
    pub fn event(&mut self, bytes: &[u8]) {
        if self.file.is_some() {
            self.write(&stream::record(&without_registers(bytes)));
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

/// An event without what a program had in its registers and nobody asks for: it may be a secret.
fn without_registers(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_crash = bytes.first_chunk() == Some(&kind::CRASH.to_le_bytes());
    let decoded = is_crash.then(|| decode(bytes).ok()?.1).flatten();
    let Some(KernelEvent::Crash(crash)) = decoded else { return bytes.into() };
    let mut event = bytes.to_vec();
    for at in needless(&crash) {
        let from = offset_of!(Crash, registers) + 8 * at;
        if let Some(word) = event.get_mut(from..from + 8) {
            word.fill(0);
        }
    }
    event.into()
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
    use crate::wire::decode::testing::{bytes, zeroed};

    #[test]
    fn what_was_in_registers_is_not_saved() {
        const SECRET: &[u8; 8] = b"s3cr3t!!";
        let mut sent: Crash = zeroed();
        (sent.signal, sent.code, sent.machine, sent.ip) = (11, 1, 62, 0x7f00_0000_1000);
        sent.registers = [u64::from_le_bytes(*SECRET); tracer_common::event::REGISTERS];
        sent.registers[16] = sent.ip;
        sent.registers_len = sent.registers.len() as u32;
        sent.registers[17] = 0x33;
        sent.registers[19] = 0x7ffe_0000;
        let raw = bytes(&sent, b"");
        let holds = |bytes: &[u8]| bytes.windows(8).any(|word| word == SECRET);
        assert!(holds(&raw));
        let saved = without_registers(&raw);
        assert!(!holds(&saved) && saved.len() == raw.len());
        let (Ok((_, Some(before))), Ok((_, Some(after)))) = (decode(&raw), decode(&saved)) else {
            panic!("an event")
        };
        let (KernelEvent::Crash(before), KernelEvent::Crash(after)) = (before, after) else {
            panic!("a crash")
        };
        assert_eq!((before.ip, &before.bytes, before.id), (after.ip, &after.bytes, after.id));
        for len in 0..raw.len() {
            let _ = without_registers(&raw[..len]);
        }
    }

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

//! The file of `--save`: all inputs of the engine, in the order it got them.
use std::{
    borrow::Cow,
    fs::{File, OpenOptions, Permissions},
    io::{Error, ErrorKind, Result, Write},
    mem::offset_of,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use rustix::{fs::OFlags, io::Errno, process::geteuid};

use tracer_common::event::{Crash, kind};

use crate::{
    correlate::registers::needless,
    host::privilege,
    model::{
        host::Host,
        input::{Input, KernelEvent},
    },
    sink::speak::say,
    text::format::{counted, size},
    wire::{decode::decode, stream},
};

/// Bytes that wait for the disk at most.
const WAITING: usize = 16 << 20;
/// Of these, for notes of the watch alone: what was missed has no number that a replay could miss.
const FOR_NOTES: usize = 1 << 20;
/// Bytes that are handed on at once.
const CHUNK: usize = 64 << 10;
/// How long the disk may take for what still waits at the end.
const END: Duration = Duration::from_secs(10);

/// A stream that is being saved, by a thread: a disk that hangs stops nobody else. Watching goes on if that fails.
pub struct StreamFile(Option<Way>);

/// The way to the thread.
struct Way {
    chunk: Vec<u8>,
    /// Ends it when it is dropped.
    chunks: Sender<Vec<u8>>,
    /// Bytes that were handed on and are not written.
    waiting: Arc<AtomicUsize>,
    /// Records that found no room.
    left_out: u64,
    /// Why it has ended.
    ended: Receiver<Result<()>>,
}

impl StreamFile {
    /// Saves nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// Where the file cannot be made or written.
    pub fn create(path: &Path, host: &Host) -> Result<Self> {
        let mut file = open(path)?;
        file.write_all(&stream::head(host))?;
        Self::onto(file)
    }

    fn onto(mut file: impl Write + Send + 'static) -> Result<Self> {
        let (chunks, receiver) = channel::<Vec<u8>>();
        let (end, ended) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting);
        privilege::spawn("whybus-save", move || {
            let done = receiver.into_iter().try_for_each(|chunk| {
                let done = file.write_all(&chunk);
                written.fetch_sub(chunk.len(), Relaxed);
                done
            });
            // Nothing waits any more: the next record finds out.
            written.store(0, Relaxed);
            // Who has waited long enough is gone.
            let _ = end.send(done);
        })?;
        Ok(Self(Some(Way { chunk: Vec::new(), chunks, waiting, left_out: 0, ended })))
    }

    /// Adds an event as the ring buffer gave it, of a crash without the registers that tell nothing.
    pub fn event(&mut self, bytes: &[u8]) {
        if self.0.is_some() {
            self.write(&stream::record(&without_registers(bytes)), WAITING - FOR_NOTES);
        }
    }

    /// Adds what user space found out, at `time` (ns since boot).
    pub fn unnumbered(&mut self, input: &Input, time: u64) {
        let Some(way) = &mut self.0 else { return };
        match stream::unnumbered_record(input, time) {
            Ok(Some(record)) => {
                let note = matches!(input, Input::Watch(_));
                self.write(&record, if note { WAITING } else { WAITING - FOR_NOTES });
            }
            _ => way.left_out += u64::from(!matches!(input, Input::Kernel(_))),
        }
    }

    /// Hands everything on: what was reported can be replayed once the thread has written it.
    pub fn flush(&mut self) {
        let Some(way) = &mut self.0 else { return };
        let chunk = std::mem::take(&mut way.chunk);
        way.waiting.fetch_add(chunk.len(), Relaxed);
        if !chunk.is_empty() && way.chunks.send(chunk).is_err() {
            // It says why in a moment.
            self.end(Duration::from_secs(1));
        }
    }

    /// A record that finds no room is left out: its number is missing in a replay, as one's that was lost is.
    fn write(&mut self, record: &[u8], most: usize) {
        let Some(way) = &mut self.0 else { return };
        if way.waiting.load(Relaxed) + way.chunk.len() + record.len() > most {
            way.left_out += 1;
            return;
        }
        way.chunk.extend_from_slice(record);
        if way.chunk.len() >= CHUNK {
            self.flush();
        }
    }

    /// Waits for the disk, and says what it did not take.
    fn end(&mut self, patience: Duration) {
        let Some(Way { chunks, waiting, left_out, ended, .. }) = self.0.take() else { return };
        drop(chunks);
        match ended.recv_timeout(patience) {
            Ok(Err(error)) => {
                say(format_args!(
                    "whybus: saving the event stream: {error}; watching goes on without"
                ));
            }
            Ok(Ok(())) => {}
            Err(_) => say(format_args!(
                "whybus: saving the event stream: its disk has not taken the last {}",
                size(waiting.load(Relaxed) as u64)
            )),
        }
        if left_out != 0 {
            say(format_args!(
                "whybus: saving the event stream: {} left out: its disk took too long",
                counted(left_out, "record")
            ));
        }
    }
}

impl Drop for StreamFile {
    fn drop(&mut self) {
        self.flush();
        self.end(END);
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

const NO_FILE: &str = "it is not a regular file, but a FIFO, a socket or a device";

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
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP) => refused("it is a symbolic link"),
            // Nobody reads it just now.
            Some(Errno::NXIO) => refused(NO_FILE),
            _ => error,
        }
    })?;
    let found = file.metadata()?;
    // /dev/null keeps nothing.
    if found.file_type().is_char_device() {
        return Ok(file);
    }
    if !found.is_file() {
        return Err(refused(NO_FILE));
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

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::wire::decode::testing::{bytes, zeroed};

    /// Takes nothing until it is let go.
    struct Hanging(Receiver<()>, Sender<usize>);

    impl Write for Hanging {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_stops_nobody() {
        let ((hold, gate), (report, written)) = (channel(), channel());
        let mut stream = StreamFile::onto(Hanging(gate, report)).expect("a thread");
        let record = [0; 1_000];
        for _ in 0..3 * WAITING / record.len() {
            stream.write(&record, WAITING);
        }
        stream.flush();
        let left_out = stream.0.as_ref().map_or(0, |way| way.left_out) as usize;
        assert_eq!(left_out, 3 * WAITING / record.len() - WAITING / record.len());
        // What found room is all there once the disk goes on.
        drop(hold);
        drop(stream);
        let written: usize = written.into_iter().sum();
        assert_eq!(written, WAITING / record.len() * record.len());
    }

    #[test]
    fn a_disk_that_is_full_is_said_once() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> Result<usize> {
                Err(ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        let mut stream = StreamFile::onto(Full).expect("a thread");
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while stream.0.is_some() && std::time::Instant::now() < deadline {
            stream.write(&[0; CHUNK], WAITING);
        }
        assert!(stream.0.is_none(), "nobody noticed");
    }

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
        let fifo = dir.path().join("fifo");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &fifo, FileType::Fifo, mode, 0).expect("a FIFO");
        assert_eq!(open(&fifo).expect_err("nobody reads it").to_string(), NO_FILE);
        let _reader = File::options().read(true).write(true).open(&fifo).expect("ours");
        assert_eq!(open(&fifo).expect_err("somebody reads it").to_string(), NO_FILE);
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

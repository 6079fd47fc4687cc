//! The one place that speaks: to standard output what was asked for, to standard error what is said beside it.
//! Whether anybody takes it is never a reason to abort, nor for a recorder to wait.
use std::{
    ffi::OsStr,
    fmt::Display,
    io::{self, Write},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    host::{privilege, stderr::has_room},
    render::style::Style,
    sink::terminal::width_beside,
};

/// Messages that wait for somebody to take them.
const QUEUE: usize = 1_024;
/// How long the end waits for them to be taken.
const TIMEOUT: Duration = Duration::from_secs(1);

static BACKGROUND: OnceLock<Background> = OnceLock::new();

/// What it means that standard output takes nothing any more: nobody reads, or there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// Nothing: a log that was rotated, or a disk that was cleared, takes the next.
    Ignored,
    /// The end: nobody is left to watch for.
    Ends,
}

/// Writes bytes to standard output, at once.
///
/// # Errors
/// Where nobody reads any more, or there is no room.
pub fn put(bytes: &[u8]) -> Result<()> {
    if let Some(background) = BACKGROUND.get() {
        background.send(Message::Out(bytes.to_vec()));
        return background.failed();
    }
    let mut paging = paging();
    if let Some(shown) = paging.as_mut() {
        // Who leaves a pager has read enough.
        let Err(error) = shown.put(bytes) else { return Ok(()) };
        let Some(Paging { child, kept, beside }) = paging.take() else { return Err(error.into()) };
        if let Some(unpaged) = unpaged(child, kept) {
            drop(paging);
            put(&unpaged)?;
            self::beside(&beside);
            return Ok(());
        }
        return Err(error.into());
    }
    drop(paging);
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Waits so long, or until nobody reads standard output any more; whether that is so. (Writing nothing would not tell: there is
/// no system call then.)
pub fn nobody_reads(within: Duration) -> bool {
    let stdout = io::stdout();
    let fd = stdout.as_fd();
    let timeout = Timespec {
        tv_sec: i64::try_from(within.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: within.subsec_nanos().into(),
    };
    // Whatever is not asked for: an error, a hang-up.
    match poll(&mut [PollFd::new(&fd, PollFlags::empty())], Some(&timeout)) {
        Ok(ready) => ready != 0,
        Err(_) => {
            thread::sleep(within);
            false
        }
    }
}

/// Says a line beside it, broken where a terminal is narrower. A closed or full standard error is nobody's problem.
pub fn say(text: impl Display) {
    beside(format!("{}\n", broken(&text.to_string(), width_beside())).as_bytes());
}

/// Lines of at most that width, each as far from the left as it begins.
fn broken(text: &str, width: Option<usize>) -> String {
    let style = Style { width, ..Style::plain(false, false) };
    let line = |line: &str| {
        let bare = line.trim_start_matches(' ');
        let start = line.len() - bare.len();
        " ".repeat(start) + &style.wrap(bare, start)
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The same of lines that are made already.
pub fn beside(bytes: &[u8]) {
    if let Some(paging) = paging().as_mut() {
        paging.beside.extend_from_slice(bytes);
        return;
    }
    match BACKGROUND.get() {
        Some(background) => background.send(Message::Beside(bytes.to_vec())),
        None => drop(io::stderr().lock().write_all(bytes)),
    }
}

/// The same of a line that is left out rather than waited for longer than this (ns); whether it was said.
pub fn offer(line: &str, timeout: u32) -> bool {
    has_room(timeout) && io::stderr().lock().write_all(line.as_bytes()).is_ok()
}

/// From now on a thread speaks, and nobody else waits: for who watches, which loses events if it does. What is not taken in
/// time is left out and counted.
///
/// # Errors
/// Where there can be no thread.
pub fn speak_in_background(failing: Failing) -> io::Result<()> {
    let background = Background::start(io::stdout(), io::stderr(), failing)?;
    // A second one would have nothing to do.
    let _ = BACKGROUND.set(background);
    Ok(())
}

/// Waits until all that was given to the thread is taken, however long that is.
///
/// # Errors
/// Where it never will be.
pub fn all_taken() -> Result<()> {
    BACKGROUND.get().map_or(Ok(()), Background::taken)
}

/// A pager in front of standard output.
struct Paging {
    child: Child,
    /// What it was given, as far as that is kept: should it fail, it is shown without.
    kept: Vec<u8>,
    /// What is said beside it, once it has ended.
    beside: Vec<u8>,
}

impl Paging {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        /// Bytes: more than a pager takes before it shows that it does not work.
        const KEPT: usize = 1 << 20;
        if self.kept.len() < KEPT {
            self.kept.extend_from_slice(bytes);
        }
        self.child.stdin.as_mut().map_or(Ok(()), |pager| pager.write_all(bytes))
    }
}

/// What is to be shown without a pager, once it has ended: nothing, unless it failed.
fn unpaged(mut child: Child, kept: Vec<u8>) -> Option<Vec<u8>> {
    drop(child.stdin.take());
    let failed = child.wait().ok().filter(|status| !status.success())?;
    let text = format!("whybus: the pager failed ({failed}); without it:\n");
    let _ = io::stderr().lock().write_all(text.as_bytes());
    Some(kept)
}

static PAGING: Mutex<Option<Paging>> = Mutex::new(None);

fn paging() -> std::sync::MutexGuard<'static, Option<Paging>> {
    PAGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on `pager`, a command line for the shell, shows standard output, its end first if that is what was asked for;
/// without one nothing changes. A `secure` one runs nothing, and opens no other file.
pub fn page_through(pager: &OsStr, secure: bool, at_end: bool) {
    let mut command = Command::new("sh");
    if secure {
        command.env("LESSSECURE", "1").env_remove("LESSOPEN").env_remove("LESSCLOSE");
    }
    // As git has it: no pager for what fits on a screen, colours, and the screen is left as it is.
    let less = if at_end { "FRX +G" } else { "FRX" };
    for (name, value) in [("LESS", less), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    if let Ok(child) = command.spawn() {
        *paging() = Some(Paging { child, kept: Vec::new(), beside: Vec::new() });
    }
}

/// Waits until all is said: for a pager to be left, for a thread a moment.
pub fn all_said() {
    let paged = paging().take();
    if let Some(Paging { child, kept, beside: rest }) = paged {
        if let Some(unpaged) = unpaged(child, kept) {
            // Where nobody reads there is nobody to tell.
            let _ = put(&unpaged);
        }
        beside(&rest);
    }
    if let Some(background) = BACKGROUND.get()
        && !background.wait(TIMEOUT)
    {
        offer("whybus: the last messages were dropped: the reader was too slow\n", 0);
    }
}

enum Message {
    Out(Vec<u8>),
    Beside(Vec<u8>),
    /// Tells when everything before it is said.
    Said(SyncSender<()>),
}

struct Background {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
    failing: Failing,
}

#[derive(Default)]
struct Shared {
    /// Messages that found no room.
    left_out: AtomicU64,
    /// The first that standard output did not take, and why.
    failed: OnceLock<io::Error>,
}

impl Background {
    fn start(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        failing: Failing,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let shared = Arc::<Shared>::default();
        let known = Arc::clone(&shared);
        privilege::spawn("whybus-say", move || speak(&receiver, &known, out, err))?;
        Ok(Self { sender, shared, failing })
    }

    fn send(&self, message: Message) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(message) {
            self.shared.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether all before it was said by then.
    fn wait(&self, timeout: Duration) -> bool {
        let (said, heard) = mpsc::sync_channel(1);
        self.sender.try_send(Message::Said(said)).is_ok() && heard.recv_timeout(timeout).is_ok()
    }

    fn taken(&self) -> Result<()> {
        let (said, heard) = mpsc::sync_channel(1);
        if self.sender.send(Message::Said(said)).is_ok() {
            let _ = heard.recv();
        }
        self.failed()
    }

    /// Where that is the end: why standard output takes nothing any more.
    fn failed(&self) -> Result<()> {
        let failed = self.shared.failed.get().filter(|_| self.failing == Failing::Ends);
        let copy = |error: &io::Error| match error.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => error.kind().into(),
        };
        failed.map_or(Ok(()), |error| Err(copy(error).into()))
    }
}

fn speak(receiver: &Receiver<Message>, shared: &Shared, mut out: impl Write, mut err: impl Write) {
    for message in receiver {
        match message {
            Message::Out(bytes) => {
                if let Err(error) = out.write_all(&bytes).and_then(|()| out.flush()) {
                    // Only the first counts.
                    let _ = shared.failed.set(error);
                }
            }
            Message::Beside(bytes) => drop(err.write_all(&bytes)),
            Message::Said(said) => drop(said.try_send(())),
        }
        let left_out = shared.left_out.swap(0, Ordering::Relaxed);
        if left_out != 0 {
            let text = format!("whybus: {left_out} messages dropped: the reader was too slow\n");
            let _ = err.write_all(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, Read as _},
        time::Instant,
    };

    use super::*;

    #[test]
    fn what_is_said_fits_a_terminal() {
        let said = "nothing is recorded of `geo-api`; no incident matches\n  tip: `whybus list --comm geo-api` has more";
        assert_eq!(broken(said, None), said);
        assert_eq!(
            broken(said, Some(40)),
            "nothing is recorded of `geo-api`; no\nincident matches\n  tip: `whybus list --comm geo-api` has\n  more"
        );
    }

    fn text(mut reader: PipeReader) -> String {
        let mut all = String::new();
        reader.read_to_string(&mut all).expect("a pipe");
        all
    }

    /// Longer than any pipe and the queue can take.
    #[test]
    fn a_reader_that_sleeps_is_not_waited_for() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let both = writer.try_clone().expect("a descriptor");
        let background = Background::start(both, writer, Failing::Ends).expect("a thread");
        let before = Instant::now();
        for _ in 0..3 * QUEUE {
            background.send(Message::Out([b'x'; 999].into_iter().chain([b'\n']).collect()));
            background.send(Message::Beside(b"y\n".to_vec()));
        }
        background.wait(Duration::from_millis(50));
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
        drop(background);
        let all = text(reader);
        assert!(all.contains("messages dropped: the reader was too slow\n"));
        let whole = |line: &str| line.len() == 999 || line == "y" || line.starts_with("whybus: ");
        assert!(all.lines().all(whole), "no line is torn");
    }

    #[test]
    fn a_stream_that_fails_ends_nothing() {
        let (gone, closed) = io::pipe().expect("a pipe");
        drop(gone);
        let (reader, writer) = io::pipe().expect("a pipe");
        let background = Background::start(closed, writer, Failing::Ignored).expect("a thread");
        background.send(Message::Out(b"to nobody\n".to_vec()));
        background.send(Message::Beside(b"heard\n".to_vec()));
        assert!(background.wait(TIMEOUT));
        background.failed().expect("not for a recorder");
        drop(background);
        assert_eq!(text(reader), "heard\n");
    }

    /// Who watches for a reader that is gone ends, and knows why.
    #[test]
    fn a_stream_that_fails_ends_who_has_no_other() {
        let (gone, closed) = io::pipe().expect("a pipe");
        drop(gone);
        let background = Background::start(closed, io::sink(), Failing::Ends).expect("a thread");
        background.send(Message::Out(b"to nobody\n".to_vec()));
        let error = background.taken().expect_err("nobody reads");
        let error = error.downcast_ref::<io::Error>().map(io::Error::kind);
        assert_eq!(error, Some(io::ErrorKind::BrokenPipe));
    }
}

//! The way to the process that parses foreign files ([`crate::parse`]): whoever asks opens the files, and believes no answer.
use std::{
    fmt,
    fs::File,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    enrich::worker::Delegated,
    model::signal_name,
    parse::{
        parser::VERB,
        protocol::{Answer, Channel, FILES, Files, Request, pair, pass},
    },
    text::escape::escape,
};

/// Our own program, whatever its path leads to by now.
pub const OWN: &str = "/proc/self/exe";
/// Parts of an answer at most.
const PARTS: usize = 4_096;

/// Starts processes that parse, and asks them.
#[derive(Clone)]
pub struct Parser(Arc<Shared>);

struct Shared {
    way: Way,
    failures: Mutex<Failures>,
}

enum Way {
    Process(Mutex<Child>, OwnedFd),
    /// It could not be started.
    None(String),
    /// In a thread of this process.
    #[cfg(test)]
    Here,
}

/// Answers that were owed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Failures {
    pub count: u64,
    /// Why the last one was not given.
    pub last: String,
}

/// Why there is no answer, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// There is nobody to ask.
    Gone(String),
    /// A signal ended whoever was to answer.
    Died(i32),
    /// It ended, or went away, by itself.
    Ended,
    Late(Duration),
    Nonsense,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(why) => write!(f, "no process to read it with: {why}"),
            Self::Died(signal) => {
                write!(f, "the process that read it was ended by {}", signal_name::name(*signal))?;
                match *signal {
                    libc::SIGSYS => write!(f, " (it made a system call that it has no use for)"),
                    libc::SIGXCPU => write!(f, " (it took too much CPU time)"),
                    libc::SIGABRT => write!(f, " (it gave up, or found no memory)"),
                    _ => Ok(()),
                }
            }
            Self::Ended => write!(f, "the process that read it ended without an answer"),
            Self::Late(patience) => {
                write!(f, "the process that read it took more than {} ms", patience.as_millis())
            }
            Self::Nonsense => write!(f, "the answer of the process that read it makes no sense"),
        }
    }
}

impl Parser {
    /// Starts it, as long as programs may still be run: `program` is our own. It ends with the thread that starts it.
    pub fn start(program: &Path) -> Self {
        let way = match spawn(program) {
            Ok((child, questions)) => Way::Process(Mutex::new(child), questions),
            Err(error) => Way::None(error.to_string()),
        };
        Self(Arc::new(Shared { way, failures: Mutex::default() }))
    }

    /// One that answers in a thread of this process.
    #[cfg(test)]
    pub fn here() -> Self {
        Self(Arc::new(Shared { way: Way::Here, failures: Mutex::default() }))
    }

    /// The process that starts those that parse.
    pub fn pid(&self) -> Option<u32> {
        match &self.0.way {
            Way::Process(child, _) => Some(lock(child).id()),
            _ => None,
        }
    }

    /// Answers that were owed so far.
    pub fn failures(&self) -> Failures {
        lock(&self.0.failures).clone()
    }

    /// Takes note that one about this file was not given.
    pub(super) fn failed(&self, path: Option<&[u8]>, why: &Failed) {
        let mut failures = lock(&self.0.failures);
        failures.count += 1;
        let path = path.map_or_else(|| "a program's file".to_owned(), |path| escape(path).into());
        failures.last = format!("{path} could not be read: {why}");
    }

    /// Asks, with files; parts of the answer are given to `tell` as they come, which says whether they make sense. `find`
    /// opens what holds debug information of a module. Gives what is left of what might be read.
    pub(super) fn ask(
        &self,
        request: &Request,
        files: &[File],
        patience: Duration,
        find: &mut dyn FnMut(usize, &[u8], Option<&[u8]>) -> Vec<File>,
        tell: &mut dyn FnMut(Answer) -> bool,
    ) -> Result<u64, Failed> {
        let until = Instant::now() + patience;
        let channel = self.begin()?;
        let descriptors: Vec<BorrowedFd<'_>> = files.iter().map(File::as_fd).collect();
        channel.send(request, &descriptors).map_err(|_| Failed::Ended)?;
        // Whose files are open here may not be known to be by who waits for the last of them.
        drop(descriptors);
        let (mut parts, mut wanted, mut delegated) = (0, 0, None);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failed::Late(patience));
            }
            let (answer, sent) = match channel.receive::<Answer>(Some(left)) {
                Ok(answer) => answer,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::InvalidData => return Err(Failed::Nonsense),
                    _ => return Err(Failed::Ended),
                },
            };
            match answer {
                _ if !sent.is_empty() => return Err(Failed::Nonsense),
                Answer::Begun { pid } if delegated.is_none() => delegated = Delegated::to(pid),
                Answer::Wanted { module, build_id, link } if wanted < FILES => {
                    wanted += 1;
                    let files = find(module, &build_id, link.as_deref());
                    let files: Vec<BorrowedFd<'_>> = files.iter().map(File::as_fd).collect();
                    channel.send(&Files, &files).map_err(|_| Failed::Ended)?;
                }
                Answer::Died { signal } => return Err(Failed::Died(signal)),
                Answer::Done { left } => return Ok(left),
                answer => {
                    parts += 1;
                    if parts > PARTS || !tell(answer) {
                        return Err(Failed::Nonsense);
                    }
                }
            }
        }
    }

    /// The socket of a new question.
    fn begin(&self) -> Result<Channel, Failed> {
        let gone = |why: &dyn fmt::Display| Failed::Gone(why.to_string());
        let (own, theirs) = pair().map_err(|error| gone(&error))?;
        match &self.0.way {
            Way::Process(child, questions) => {
                pass(questions.as_fd(), b"?", &[theirs.as_fd()]).map_err(|error| {
                    match lock(child).try_wait() {
                        Ok(Some(status)) => gone(&format_args!("it has ended ({status})")),
                        _ => gone(&error),
                    }
                })?;
            }
            Way::None(why) => return Err(gone(why)),
            #[cfg(test)]
            Way::Here => {
                let serve = || crate::parse::worker::serve(&Channel::new(theirs), |_| Ok(()));
                std::thread::spawn(serve);
            }
        }
        Ok(Channel::new(own))
    }
}

/// Starts our own program as the one that starts those that parse, with a socket for questions.
fn spawn(program: &Path) -> io::Result<(Child, OwnedFd)> {
    let (own, theirs) = pair()?;
    let mut command = Command::new(program);
    command.arg(VERB).env_clear().stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((command.spawn()?, own))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

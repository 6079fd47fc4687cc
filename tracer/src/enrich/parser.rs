//! The way to the process that parses foreign files ([`crate::parse`]): whoever asks opens the files, and believes no answer.
use std::{
    fmt,
    fs::File,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

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
const OWN: &str = "/proc/self/exe";
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
    Here(fn(Channel)),
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
            Self::Late(timeout) => {
                write!(f, "the process that read it took more than {} ms", timeout.as_millis())
            }
            Self::Nonsense => write!(f, "the answer of the process that read it makes no sense"),
        }
    }
}

impl Parser {
    /// Starts it, as long as programs may still be run. It ends with the thread that starts it.
    pub fn start() -> Self {
        Self::started_from(OWN)
    }

    /// The same, of this program.
    pub fn started_from(program: &str) -> Self {
        let way = match spawn(program) {
            Ok((child, questions)) => Way::Process(Mutex::new(child), questions),
            Err(error) => Way::None(error.to_string()),
        };
        Self(Arc::new(Shared { way, failures: Mutex::default() }))
    }

    /// One that answers in a thread of this process.
    #[cfg(test)]
    pub fn here() -> Self {
        Self::answering(|channel| {
            // Nobody may wait for the answer any more.
            let _ = crate::parse::worker::serve(&channel, |_| Ok(()));
        })
    }

    /// One that answers so, in a thread of this process.
    #[cfg(test)]
    pub fn answering(answer: fn(Channel)) -> Self {
        Self(Arc::new(Shared { way: Way::Here(answer), failures: Mutex::default() }))
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
        let path = path.map_or_else(|| "a program's file".to_owned(), escape);
        failures.last = format!("{path} could not be read: {why}");
    }

    /// Asks, with files; parts of the answer are given to `tell` as they come, which says whether they make sense. `find`
    /// opens what holds debug information of a module. Gives what is left of what might be read.
    pub(super) fn ask(
        &self,
        request: &Request,
        files: &[File],
        timeout: Duration,
        find: &mut dyn FnMut(usize, &[u8], Option<&[u8]>) -> Vec<File>,
        tell: &mut dyn FnMut(Answer) -> bool,
    ) -> Result<u64, Failed> {
        let until = Instant::now() + timeout;
        let channel = self.begin()?;
        let descriptors: Vec<BorrowedFd<'_>> = files.iter().map(File::as_fd).collect();
        // Who is gone by now has said why.
        let _ = channel.send(request, &descriptors);
        let (mut parts, mut wanted, mut delegated) = (0, 0, None);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failed::Late(timeout));
            }
            let (answer, sent) = match channel.receive::<Answer>(Some(left)) {
                Ok(answer) => answer,
                Err(error) => match error.kind() {
                    // What it did not take is known before what it said.
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::WouldBlock
                    | io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::InvalidData => return Err(Failed::Nonsense),
                    _ => return Err(Failed::Ended),
                },
            };
            match answer {
                _ if !sent.is_empty() => return Err(Failed::Nonsense),
                Answer::Begun { pid } if delegated.is_none() => {
                    delegated = Some(Delegated::to(pid))
                }
                Answer::Wanted { module, build_id, link } if wanted < FILES => {
                    wanted += 1;
                    let files = find(module, &build_id, link.as_deref());
                    let files: Vec<BorrowedFd<'_>> = files.iter().map(File::as_fd).collect();
                    let _ = channel.send(&Files, &files);
                }
                Answer::Begun { .. } | Answer::Wanted { .. } => return Err(Failed::Nonsense),
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
                    // It is not waited for: as long as it is not, its pid is nobody else's.
                    let ended =
                        WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                    let pid = Pid::from_raw(lock(child).id().cast_signed());
                    match pid.map(|pid| waitid(WaitId::Pid(pid), ended)) {
                        Some(Ok(Some(_))) => gone(&"it has ended"),
                        _ => gone(&error),
                    }
                })?;
            }
            Way::None(why) => return Err(gone(why)),
            #[cfg(test)]
            Way::Here(answer) => {
                let answer = *answer;
                std::thread::spawn(move || answer(Channel::new(theirs)));
            }
        }
        Ok(Channel::new(own))
    }
}

/// Starts our own program as the one that starts those that parse, with a socket for questions.
fn spawn(program: &str) -> io::Result<(Child, OwnedFd)> {
    let (own, theirs) = pair()?;
    let mut command = Command::new(program);
    command.arg(VERB).env_clear().stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
    Ok((command.spawn()?, own))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::protocol::{Bare, Place};

    const SHORT: Duration = Duration::from_millis(300);

    /// What comes of an answer within a time, and how many parts of it were taken.
    fn asked_for(timeout: Duration, answer: fn(Channel)) -> (Result<u64, Failed>, usize) {
        let (parser, mut parts) = (Parser::answering(answer), 0);
        let mut tell = |_| {
            parts += 1;
            true
        };
        let find = &mut |_: usize, _: &[u8], _: Option<&[u8]>| Vec::new();
        let request = Request::Instruction { offset: 0 };
        let asked = parser.ask(&request, &[], timeout, find, &mut tell);
        (asked, parts)
    }

    fn asked(answer: fn(Channel)) -> (Result<u64, Failed>, usize) {
        asked_for(SHORT, answer)
    }

    fn say(channel: &Channel, answer: &Answer) {
        // Who asked may be gone.
        let _ = channel.send(answer, &[]);
    }

    #[test]
    fn who_says_nothing_is_not_waited_for() {
        let begin = Instant::now();
        let silent = asked(|channel| {
            say(&channel, &Answer::Begun { pid: 1 });
            std::thread::sleep(Duration::from_secs(3));
        });
        assert_eq!(silent, (Err(Failed::Late(SHORT)), 0));
        assert!(begin.elapsed() < Duration::from_secs(2));
        assert_eq!(asked(drop).0, Err(Failed::Ended));
        let talkative = asked(|channel| {
            while channel.send(&Answer::Instruction(Place::default()), &[]).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        assert_eq!(talkative.0, Err(Failed::Late(SHORT)));
    }

    #[test]
    fn what_makes_no_sense_ends_the_question() {
        let nonsense: [fn(Channel); 5] = [
            |channel| drop(pass(channel.as_fd(), b"\xff\0", &[])),
            |channel| say(&channel, &Answer::Begun { pid: 1 }),
            |channel| {
                let file = File::open("/dev/null").expect("it is there");
                let _ = channel.send(&Answer::Done { left: 0 }, &[file.as_fd()]);
            },
            |channel| {
                for _ in 0..=2 * PARTS {
                    say(&channel, &Answer::Other);
                }
            },
            |channel| {
                for module in 0..=2 * FILES {
                    say(&channel, &Answer::Wanted { module, build_id: vec![1], link: None });
                }
            },
        ];
        let ends = nonsense.map(|answer| asked_for(Duration::from_secs(60), answer).0);
        let expected =
            [Failed::Nonsense, Failed::Ended, Failed::Nonsense, Failed::Nonsense, Failed::Nonsense];
        assert_eq!(ends, expected.map(Err));
    }

    #[test]
    fn whoever_is_ended_is_told_by_its_signal() {
        let died = asked(|channel| {
            say(&channel, &Answer::Unwound { frames: Vec::<Bare>::new(), cut: None });
            say(&channel, &Answer::Died { signal: libc::SIGSYS });
        });
        assert_eq!(died, (Err(Failed::Died(libc::SIGSYS)), 1));
        let why = Failed::Died(libc::SIGSYS).to_string();
        assert!(why.contains("SIGSYS") && why.contains("system call"), "{why}");
        let parser = Parser::started_from("/none/such");
        assert_eq!(parser.pid(), None);
        let find = &mut |_: usize, _: &[u8], _: Option<&[u8]>| Vec::new();
        let request = Request::Instruction { offset: 0 };
        let gone = parser.ask(&request, &[], SHORT, find, &mut |_| true);
        assert!(matches!(gone, Err(Failed::Gone(_))), "{gone:?}");
        parser.failed(Some(b"/a\x1bb"), &Failed::Ended);
        let Failures { count, last } = parser.failures();
        assert!(count == 1 && last.starts_with("/a\\x1bb could not be read: "), "{last}");
    }
}

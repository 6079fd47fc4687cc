//! The process that parses, as it is started by whybus: what it may do, what it says, and what its end costs.
use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use whybus::parse::{
    parser::VERB,
    protocol::{
        Answer, Channel, FILES, Files, Lines, Module, Place, Range, Request, Thread, pair, pass,
    },
};

/// Long enough for any answer on a host that is busy.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

struct Parser {
    process: Child,
    questions: OwnedFd,
}

impl Parser {
    fn start() -> Self {
        let (questions, theirs) = pair().expect("a socket");
        let mut command = Command::new(env!("CARGO_BIN_EXE_whybus"));
        command.arg(VERB).stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: command.spawn().expect("our own program"), questions }
    }

    fn ask(&self, request: &Request, files: &[&File]) -> Channel {
        let (own, theirs) = pair().expect("a socket");
        pass(self.questions.as_fd(), b"?", &[theirs.as_fd()]).expect("it listens");
        let channel = Channel::new(own);
        let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        channel.send(request, &files).expect("room");
        channel
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn next(channel: &Channel) -> Answer {
    channel.receive(PATIENCE).expect("an answer").0
}

fn own() -> File {
    File::open("/proc/self/exe").expect("our own program")
}

/// A thread that stands in our own program, whose debug information is asked for.
fn thread() -> Request {
    let range = Range { start: 0x1000, end: u64::MAX, offset: 0 };
    Request::Stack(Box::new(Thread {
        machine: if cfg!(target_arch = "x86_64") { 62 } else { 183 },
        chain: vec![0x1000],
        modules: vec![Module { mappings: vec![range], file: true }],
        ..Thread::default()
    }))
}

fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("{field}: {status}")).trim().to_owned()
}

#[test]
fn a_question_is_answered_and_the_next_one_too() {
    let parser = Parser::start();
    for _ in 0..20 {
        let channel = parser.ask(&Request::Instruction { offset: 0 }, &[&own()]);
        assert!(matches!(next(&channel), Answer::Begun { .. }));
        let answer = next(&channel);
        assert!(
            matches!(answer, Answer::Instruction(Place { build_id: Some(_), .. })),
            "{answer:?}"
        );
        assert!(matches!(next(&channel), Answer::Done { .. }));
        assert!(channel.receive::<Answer>(PATIENCE).is_err(), "it has ended");
    }
}

#[test]
fn neither_who_starts_nor_who_parses_may_do_anything() {
    let parser = Parser::start();
    let channel = parser.ask(&thread(), &[&own()]);
    let Answer::Begun { pid } = next(&channel) else { panic!("it has not begun") };
    assert!(matches!(next(&channel), Answer::Unwound { .. }));
    let root = rustix::process::geteuid().is_root();
    for pid in [pid, parser.process.id()] {
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(status(pid, set), "0000000000000000", "{set}");
        }
        assert_eq!(status(pid, "NoNewPrivs:"), "1");
        assert_eq!(status(pid, "Seccomp:"), "2");
        if root {
            let uid = status(pid, "Uid:");
            assert!(uid.split_whitespace().all(|uid| uid == "2147418112"), "{uid}");
            assert_eq!(status(pid, "Groups:"), "");
        }
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it is there");
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            line.expect(name).split_whitespace().next().expect("a limit").to_owned()
        };
        assert_eq!((limit("Max core file size"), limit("Max file size")), ("0".into(), "0".into()));
    }
    // Whoever parses has its question, and no way to others.
    let link = |fd: &fs::DirEntry| fs::read_link(fd.path()).expect("a link");
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("it is there");
    let open: Vec<_> = open.map(|fd| link(&fd.expect("one"))).collect();
    let sockets = open.iter().filter(|link| link.to_string_lossy().starts_with("socket:"));
    assert_eq!((open.len(), sockets.count()), (2, 1), "{open:?}");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it is there");
    assert!(limits.contains(&format!("Max address space         {}", 256 << 20)), "{limits}");
}

/// Signals that end it are told, and the next question is answered.
#[test]
fn what_ends_it_is_told_and_costs_one_answer() {
    let parser = Parser::start();
    for signal in [libc::SIGSEGV, libc::SIGSYS, libc::SIGXCPU, libc::SIGKILL] {
        let channel = parser.ask(&thread(), &[&own()]);
        let Answer::Begun { pid } = next(&channel) else { panic!("it has not begun") };
        assert!(matches!(next(&channel), Answer::Unwound { .. }));
        // SAFETY: a process of ours, which is there: it waits for files.
        assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
        let end = loop {
            match next(&channel) {
                Answer::Died { signal } => break signal,
                Answer::Named { .. } | Answer::Wanted { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(end, signal);
    }
    let channel = parser.ask(&Request::Instruction { offset: 0 }, &[&own()]);
    assert!(matches!(next(&channel), Answer::Begun { .. }));
}

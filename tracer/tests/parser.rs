//! The process that parses, as it is started by whybus: what it may do, what it says, and what its end costs.
use std::{
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use whybus::parse::{
    parser::VERB,
    protocol::{Answer, Channel, Lines, Module, Place, Range, Request, Thread, pair, pass},
};

/// Long enough for any answer on a host that is busy.
const TIMEOUT: Option<Duration> = Some(Duration::from_secs(60));

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
    channel.receive(TIMEOUT).expect("an answer").0
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
        assert!(channel.receive::<Answer>(TIMEOUT).is_err(), "it has ended");
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

/// Whoever does not wait any more closes its end, and whoever asked ends.
#[test]
fn nobody_works_for_who_has_gone() {
    let mut parser = Parser::start();
    let pids: Vec<u32> = (0..3)
        .map(|_| {
            let channel = parser.ask(&thread(), &[&own()]);
            let Answer::Begun { pid } = next(&channel) else { panic!("it has not begun") };
            assert!(matches!(next(&channel), Answer::Unwound { .. }));
            pid
        })
        .collect();
    for pid in pids {
        until(|| !Path::new(&format!("/proc/{pid}")).exists());
    }
    let (questions, _) = pair().expect("a socket");
    parser.questions = questions;
    until(|| matches!(parser.process.try_wait(), Ok(Some(status)) if status.success()));
}

fn until(is_so: impl FnMut() -> bool) {
    let (end, mut is_so) = (Instant::now() + Duration::from_secs(60), is_so);
    while !is_so() {
        assert!(Instant::now() < end, "it never happened");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Tables that have no end, and files that are none: an answer all the same, within memory and time.
#[test]
fn what_nobody_in_good_faith_wrote_costs_little() {
    let parser = Parser::start();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("sparse");
    fs::copy("/bin/true", &path).expect("room");
    let mut file = fs::OpenOptions::new().read(true).write(true).open(&path).expect("it");
    // The first section is a table of symbols of 900 MiB.
    let start = u64::from_le_bytes(fs::read(&path).expect("it")[40..48].try_into().expect("8"));
    file.seek(SeekFrom::Start(start + 64)).expect("room");
    let mut section = [0; 64];
    (section[4], section[56], section[40]) = (2, 24, 2);
    section[24..32].copy_from_slice(&8_192_u64.to_le_bytes());
    section[32..40].copy_from_slice(&(900_u64 << 20).to_le_bytes());
    file.write_all(&section).expect("room");
    file.set_len(901 << 20).expect("a hole");
    let begin = Instant::now();
    for file in
        [file, File::open("/proc/self/maps").expect("proc"), File::open("/dev/zero").expect("it")]
    {
        let channel = parser.ask(&Request::Instruction { offset: 4_096 }, &[&file]);
        let (most, end) = watched(&channel);
        assert!(matches!(end, Answer::Done { .. }), "{end:?}");
        assert!(most < 128 << 10, "{most} KiB");
    }
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

/// Takes an answer in; gives the memory that whoever answers was seen to take, in KiB, and the last part.
fn watched(channel: &Channel) -> (u64, Answer) {
    let Answer::Begun { pid } = next(channel) else { panic!("it has not begun") };
    let mut most = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(seen.unwrap_or(0));
        match channel.receive::<Answer>(Some(Duration::from_millis(5))) {
            Ok((answer @ (Answer::Done { .. } | Answer::Died { .. }), _)) => return (most, answer),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Two units: functions that nobody calls, many of them, and the one that is asked for.
fn large(directory: &Path) -> (PathBuf, u64) {
    let others: String = (0..3_000)
        .map(|n| format!("int other{n}(int a, int b) {{ struct s{n} {{ int x, y; }} v = {{a, b}}; return v.x + v.y; }}\n"))
        .collect();
    fs::write(directory.join("others.c"), others).expect("room");
    fs::write(
        directory.join("program.c"),
        "int wanted(int a) { return a + 7; }\nint main(int n, char **v) { return wanted(n); }\n",
    )
    .expect("room");
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(directory).status();
        assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
    };
    run("cc", &["-g", "-c", "others.c"]);
    run("cc", &["-g", "-Wl,--build-id", "others.o", "program.c", "-o", "program"]);
    let whole = fs::read(directory.join("program")).expect("the program");
    let elf = object::File::parse(&*whole).expect("ELF");
    let wanted = elf.symbols().find(|symbol| symbol.name() == Ok("wanted")).expect("it").address();
    let info = elf.section_by_name(".debug_info").expect("it").data().expect("bytes");
    // The first unit is that of the others: it is there a thousand times.
    let first = 4 + u32::from_le_bytes(info[..4].try_into().expect("4")) as usize;
    let mut large = File::create(directory.join("large")).expect("room");
    let mut size = 0;
    while size < 1 << 30 {
        large.write_all(&info[..first]).expect("room");
        size += first;
    }
    large.write_all(&info[first..]).expect("room");
    run("objcopy", &["--update-section", ".debug_info=large", "program", "program-large"]);
    fs::remove_file(directory.join("large")).expect("ours");
    (directory.join("program-large"), wanted)
}

/// A program with 1 GiB of debug information: functions are told at once and within memory, lines when somebody waits for
/// them.
#[test]
fn a_large_program_is_answered_within_memory_and_completed_later() {
    let directory = tempfile::tempdir().expect("a directory");
    let begin = Instant::now();
    let (path, wanted) = large(directory.path());
    let made = begin.elapsed();
    let file = File::open(&path).expect("the program");
    assert!(file.metadata().expect("it").len() > 1 << 30);
    let parser = Parser::start();
    let begin = Instant::now();
    let range = Range { start: 0, end: 1 << 30, offset: 0 };
    let request = Request::Stack(Box::new(Thread {
        machine: if cfg!(target_arch = "x86_64") { 62 } else { 183 },
        chain: vec![wanted],
        modules: vec![Module { mappings: vec![range], file: true }],
        ..Thread::default()
    }));
    let channel = parser.ask(&request, &[&file]);
    let mut named = None;
    let Answer::Begun { pid } = next(&channel) else { panic!("it has not begun") };
    let build_id = loop {
        match next(&channel) {
            Answer::Named { frames, .. } => named = frames.into_iter().next_back(),
            Answer::Wanted { .. } => {
                let peak = status(pid, "VmHWM:");
                let peak: u64 = peak.split_whitespace().next().expect("KiB").parse().expect("KiB");
                assert!(peak < 64 << 10, "{peak} KiB");
                channel.send(&whybus::parse::protocol::Files, &[]).expect("it waits");
            }
            Answer::Done { .. } => {
                break named.as_ref().expect("a frame").build_id.clone().expect("it");
            }
            _ => {}
        }
    };
    let took = begin.elapsed();
    let frame = named.expect("a frame");
    assert_eq!(frame.symbol.as_deref(), Some(&b"wanted"[..]));
    assert!(took < Duration::from_secs(2), "{took:?}");
    let begin = Instant::now();
    let lines = Lines {
        build_id,
        offsets: vec![u64::MAX],
        addresses: vec![Some(wanted)],
        most: 2 << 30,
        time: Duration::from_secs(60),
    };
    let channel = parser.ask(&Request::Lines(lines), &[&file]);
    let mut line = None;
    loop {
        match next(&channel) {
            Answer::Line { sites, .. } => line = sites.first().and_then(|site| site.line),
            Answer::Done { .. } => break,
            Answer::Begun { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(line, Some(1), "made in {made:?}, completed in {:?}", begin.elapsed());
}

//! Each verb with a standard output or standard error that is closed, full, slow, or that nobody reads.
use std::{
    fs::File,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

mod common;
use common::{recorded, text, whybus};

/// One that is found and one that is not, of each verb that can be tried without a guest.
fn verbs(dir: &Path) -> Vec<Vec<String>> {
    let state = dir.join("state");
    let state = state.to_str().expect("UTF-8");
    let (stream, json) = (recorded("step", "stream"), recorded("newest", "json"));
    let (stream, json) = (stream.to_str().expect("UTF-8"), json.to_str().expect("UTF-8"));
    let of = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let mut verbs = vec![
        of(&["--help"]),
        of(&["trace", "--help"]),
        of(&["nonsense"]),
        of(&["trace", "-o", "xml"]),
        of(&["trace", "--", "/nonexistent/cmd"]),
        of(&["record", "--state-dir", "/proc/whybus"]),
        of(&["replay", stream]),
        of(&["replay", "-o", "json", stream]),
        of(&["replay", "/etc/passwd"]),
        of(&["scan"]),
        of(&["doctor"]),
        of(&["schema"]),
        of(&["import", json]),
        of(&["import", "/etc/passwd"]),
    ];
    for args in [
        &["list"][..],
        &["list", "-n", "4"],
        &["list", "-o", "json"],
        &["list", "--warnings"],
        &["list", "--comm", "nobody"],
        &["show", "ffffffffff"],
        &["why"],
        &["why", "reader"],
        &["why", "nosuch"],
        &["stats"],
        &["stats", "--comm", "nobody"],
        &["export"],
    ] {
        verbs.push([of(args), of(&["--state-dir", state])].concat());
    }
    for verb in &mut verbs {
        if verb[0] == "import" {
            verb.extend(of(&["--state-dir", state]));
        }
    }
    verbs
}

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut import = whybus(["import"]);
    import.arg(recorded("newest", "json")).arg("--state-dir").arg(dir.path().join("state"));
    assert!(import.output().expect("whybus runs").status.success());
    dir
}

/// A pipe that nobody reads.
fn gone() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("it is there").into()
}

/// As a shell does with `>&-`.
fn closed(args: &[String], stream: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("exec \"$0\" \"$@\" {stream}>&-");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_whybus")]).args(args).stdin(Stdio::null());
    command
}

#[test]
fn nothing_ever_aborts() {
    let dir = filled();
    for args in verbs(dir.path()) {
        let usual = whybus(&args).output().expect("whybus runs");
        let (status, told) = (usual.status.code(), !usual.stdout.is_empty());
        // Help is no answer that could be missed.
        let code = |mut command: Command, what: &str| {
            let out = command.output().expect("whybus runs");
            let said = text(&out.stderr) + &text(&out.stdout);
            assert!(out.status.code().is_some(), "{args:?}, {what}: {:?}", out.status);
            assert!(!said.contains("panicked"), "{args:?}, {what}: {said}");
            out.status.code()
        };
        let with = |out: Option<Stdio>, err: Option<Stdio>| {
            let mut command = whybus(&args);
            command.stdout(out.unwrap_or(Stdio::piped())).stderr(err.unwrap_or(Stdio::piped()));
            command
        };
        for (stderr, what) in [(gone(), "stderr that nobody reads"), (full(), "a full stderr")] {
            assert_eq!(code(with(None, Some(stderr)), what), status, "{args:?}, {what}");
        }
        assert_eq!(code(closed(&args, "2"), "no stderr"), status, "{args:?}, no stderr");
        assert_eq!(code(closed(&args, ""), "no stdout"), status, "{args:?}, no stdout");
        let expected = |other| if told { Some(other) } else { status };
        let what = "stdout that nobody reads";
        assert_eq!(code(with(Some(gone()), None), what), expected(0), "{args:?}, {what}");
        let what = "a full stdout";
        assert_eq!(code(with(Some(full()), None), what), expected(70), "{args:?}, {what}");
        let both = code(with(Some(gone()), Some(gone())), "both gone");
        assert_eq!(both, expected(0), "{args:?}, both gone");
    }
}

/// `2>&1 | head -1`, as it is typed.
#[test]
fn the_head_of_it_is_enough() {
    let dir = filled();
    for args in verbs(dir.path()) {
        let script = "{ \"$0\" \"$@\" 2>&1; echo rc=$? >&3; } 3>&2 | head -1";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_whybus")]).args(&args).stdin(Stdio::null());
        let out = command.output().expect("a shell");
        let (first, said) = (text(&out.stdout), text(&out.stderr));
        assert!(first.lines().count() <= 1 && !first.contains("panicked"), "{args:?}: {first}");
        let rc = said.trim().strip_prefix("rc=").and_then(|rc| rc.parse::<u8>().ok());
        assert!(rc.is_some_and(|rc| rc < 128), "{args:?}: {said}");
    }
}

/// A pipe with no room left, and the end to read it by.
fn stalled() -> (std::io::PipeReader, std::io::PipeWriter) {
    use std::io::Write as _;

    use rustix::fs::{OFlags, fcntl_setfl};
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    fcntl_setfl(&writer, OFlags::NONBLOCK).expect("ours");
    while writer.write(&[b'.'; 4096]).is_ok_and(|written| written > 0) {}
    fcntl_setfl(&writer, OFlags::empty()).expect("ours");
    (reader, writer)
}

/// A reader that sleeps for ten seconds is waited for, by every verb and for either stream, and then gets everything.
#[test]
fn a_reader_that_sleeps_gets_everything() {
    // Each of its own: an import changes the history, and all of them run at once.
    let (usual, apart) = (filled(), filled());
    let mut waiting = Vec::new();
    for (args, again) in verbs(usual.path()).into_iter().zip(verbs(apart.path())) {
        // What a look at this host finds differs from run to run, and who watches waits for nobody.
        let watches = args[0] == "record" || args.starts_with(&["trace".into(), "--".into()]);
        if watches || ["scan", "doctor"].contains(&&*args[0]) {
            continue;
        }
        let out = whybus(&args).output().expect("whybus runs");
        for stream in ["stdout", "stderr"] {
            // One at a time writes to a history.
            if args[0] == "import" && stream == "stdout" {
                continue;
            }
            let (reader, writer) = stalled();
            let mut command = whybus(&again);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let said = match stream {
                "stdout" => (command.stdout(writer), out.stdout.clone()).1,
                _ => (command.stderr(writer), out.stderr.clone()).1,
            };
            let child = command.spawn().expect("whybus runs");
            waiting.push((again.clone(), stream, child, reader, said, out.status.code()));
        }
    }
    std::thread::sleep(Duration::from_secs(10));
    let own = |bytes: &[u8], dir: &Path| text(bytes).replace(&*dir.to_string_lossy(), "");
    for (args, stream, mut child, mut reader, said, status) in waiting {
        let ended = child.try_wait().expect("ours").is_some();
        assert!(!ended || said.is_empty(), "{args:?}, {stream}: it did not wait for its reader");
        let mut read = Vec::new();
        reader.read_to_end(&mut read).expect("a pipe");
        let read = read.iter().skip_while(|byte| **byte == b'.').copied().collect::<Vec<_>>();
        let import = args[0] == "import";
        let same = own(&read, apart.path()) == own(&said, usual.path());
        assert!(same || import, "{args:?}, {stream}: {} {}", text(&read), text(&said));
        assert_eq!(child.wait().expect("ours").code(), status, "{args:?}, {stream}");
    }
}

/// Who asks for something gets all of it, however slowly it is read.
#[test]
fn a_slow_reader_gets_everything() {
    let stream = recorded("newest", "stream");
    let args = ["replay", "-o", "json", stream.to_str().expect("UTF-8")];
    let whole = whybus(args).output().expect("whybus runs").stdout;
    let mut child =
        whybus(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("whybus runs");
    std::thread::sleep(Duration::from_secs(1));
    let mut read = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut read).expect("a pipe");
    assert!(child.wait().expect("it ends").success());
    assert!(read == whole && whole.len() > 1 << 16, "{} of {}", read.len(), whole.len());
}

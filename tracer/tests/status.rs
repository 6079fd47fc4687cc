//! Exit statuses, each as far as it can be provoked without eBPF.
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Incidents that were recorded in the guests, and their stream.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams/newest.json");
const STREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams/newest.stream");

/// A directory of its own, gone in the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("whybus-status-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("a directory");
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(args: &[&str]) -> Output {
    let mut whybus = Command::new(env!("CARGO_BIN_EXE_whybus"));
    whybus.args(args).stdin(Stdio::null()).output().expect("whybus runs")
}

/// What it says must fit one sentence a line, and name the reason.
fn ends(args: &[&str], status: i32, reason: &str) {
    let out = run(args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
    assert!(said.contains(reason), "{args:?} does not say `{reason}`: {said}");
}

fn filled(dir: &Dir) -> String {
    let state = dir.path("state");
    ends(&["import", RECORDED, "--state-dir", &state], 0, "taken into");
    state
}

#[test]
fn found_is_0_and_nothing_found_is_1() {
    let dir = Dir::new("found");
    let state = filled(&dir);
    for args in [&["list"][..], &["why", "reader"], &["stats"], &["export"]] {
        ends(&[args, &["--state-dir", &state]].concat(), 0, "");
    }
    for args in [
        &["list", "--comm", "nobody"][..],
        &["why", "nobody-at-all"],
        &["show", "ffffffffffff"],
        &["stats", "--pid", "4000000000"],
        &["export", "--host", "nowhere"],
    ] {
        ends(&[args, &["--state-dir", &state]].concat(), 1, "");
    }
    ends(&["replay", STREAM], 0, "");
    ends(&["replay", STREAM, "--comm", "nobody-at-all"], 1, "");
    let empty = dir.path("empty.json");
    fs::write(&empty, "").expect("room");
    ends(&["import", &empty, "--state-dir", &state], 1, "0 incidents");
}

#[test]
fn what_cannot_be_asked_is_2() {
    let dir = Dir::new("usage");
    let state = filled(&dir);
    for (args, reason) in [
        (&["nonsense"][..], "unrecognized subcommand"),
        (&["trace", "--duration", "soon"], "`soon` is not a duration"),
        (&["trace", "--count", "0"], "not a number of 1 or more"),
        (&["list", "--since", "last week", "--state-dir", &state], "`last week` is not a time"),
        (&["list", "--exit", "256", "--state-dir", &state], "is not an exit status"),
    ] {
        ends(args, 2, reason);
    }
    // Ids of one run begin alike.
    let whole =
        String::from_utf8(run(&["list", "-n", "0", "--no-header", "--state-dir", &state]).stdout);
    let lines = whole.expect("UTF-8");
    let ids: Vec<&str> = lines.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let same = |a: &&str| ids.iter().filter(|b| b[..4] == a[..4]).count() > 1;
    if let Some(id) = ids.iter().find(|id| same(id)) {
        ends(&["show", &id[..4], "--state-dir", &state], 2, "is the start of several ids");
    }
}

#[test]
fn an_input_that_cannot_be_read_is_66() {
    let dir = Dir::new("input");
    let none = dir.path("none");
    for verb in ["list", "stats", "why", "export"] {
        ends(&[verb, "--state-dir", &none], 66, "there is no history in");
    }
    ends(&["show", "0123", "--state-dir", &none], 66, "there is no history in");
    ends(&["replay", &none], 66, "cannot read");
    ends(&["import", &none, "--state-dir", &dir.path("state")], 66, "cannot read");
    // A stream that breaks off, and one that is none.
    let torn = dir.path("torn.stream");
    let whole = fs::read(STREAM).expect("recorded");
    fs::write(&torn, &whole[..whole.len() - 3]).expect("room");
    ends(&["replay", &torn], 66, "what was readable is shown above");
    fs::write(&torn, "no stream\n").expect("room");
    ends(&["replay", &torn], 66, "torn.stream");
}

#[test]
fn a_history_that_cannot_be_read_is_66() {
    let dir = Dir::new("history");
    let state = filled(&dir);
    let file = Path::new(&state).join("history.db");
    // Newer, and of another program: both are in SQLite's header (fileformat2.html, 60 and 68).
    let whole = fs::read(&file).expect("ours");
    for (offset, value, reason) in [(60, 99_u32, "is of version 99"), (68, 7, "another program")] {
        let mut bent = whole.clone();
        bent[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        fs::write(&file, &bent).expect("ours");
        ends(&["list", "--state-dir", &state], 66, reason);
        ends(&["import", RECORDED, "--state-dir", &state], 66, reason);
    }
    fs::write(&file, "no database at all, but longer than a header").expect("ours");
    ends(&["list", "--state-dir", &state], 66, "is damaged");
    fs::write(&file, "").expect("ours");
    ends(&["list", "--state-dir", &state], 66, "is empty");
}

#[test]
fn a_directory_that_is_refused_is_66() {
    let dir = Dir::new("refused");
    let state = filled(&dir);
    let import =
        |state: &str, reason| ends(&["import", RECORDED, "--state-dir", state], 66, reason);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o770)).expect("ours");
    import(&state, "is writable by others (mode 0770)");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o750)).expect("ours");
    let link = dir.path("link");
    symlink(&state, &link).expect("a link");
    import(&link, "is not a directory");
    // Somebody else's, if we are root; root's, if we are not.
    if fs::metadata(&state).expect("there").uid() == 0 {
        std::os::unix::fs::chown(&state, Some(65534), None).expect("we are root");
        import(&state, "belongs to user 65534");
    } else {
        import("/", "belongs to user 0");
    }
}

#[test]
fn a_recorder_that_is_there_already_is_66() {
    let dir = Dir::new("taken");
    let state = filled(&dir);
    let lock = fs::File::open(Path::new(&state).join("lock")).expect("there");
    lock.lock().expect("nobody else");
    ends(&["import", RECORDED, "--state-dir", &state], 66, "another recorder writes to");
    // Reading goes on.
    ends(&["list", "--state-dir", &state], 0, "");
}

#[test]
fn a_directory_that_cannot_be_made_is_66_or_77() {
    // /proc takes no directories, whoever asks: ENOENT for root and others alike.
    let out = run(&["import", RECORDED, "--state-dir", "/proc/whybus"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(matches!(out.status.code(), Some(66 | 77)), "{said}");
    assert!(said.contains("cannot make the state directory"), "{said}");
}

#[test]
fn what_is_said_to_nobody_is_0() {
    let mut whybus = Command::new(env!("CARGO_BIN_EXE_whybus"));
    let mut child = whybus
        .args(["replay", STREAM])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("whybus runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// One line a status, and each once: scripts are written by it.
#[test]
fn the_help_has_the_whole_table() {
    let out = run(&["--help"]);
    let help = String::from_utf8_lossy(&out.stdout);
    let (_, table) = help.split_once("Exit status:\n").expect("the table");
    let numbers: Vec<u8> =
        table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(numbers, [0, 1, 2, 66, 69, 70, 75, 77], "{table}");
    assert!(table.contains("128 + signal"), "{table}");
}

/// `scan`: one mapping beyond the end of its file is a finding; other processes that do not show theirs
/// only count where there is none.
#[test]
fn scan_tells_findings_from_an_incomplete_look() {
    let out = run(&["scan", "-o", "json"]);
    let text = String::from_utf8_lossy(&out.stdout);
    let last: serde_json::Value =
        serde_json::from_str(text.lines().last().expect("a summary")).expect("JSON");
    let expected = match (last["findings"].as_u64(), last["denied"].as_u64()) {
        (Some(0), Some(0)) => 0,
        (Some(0), _) => 75,
        _ => 1,
    };
    assert_eq!(out.status.code(), Some(expected), "{last}");
}

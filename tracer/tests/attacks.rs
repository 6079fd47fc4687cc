//! Attacks of docs/threat-model.md that take no kernel, with their figures, on whichever whybus `WHYBUS_BINARY` names. Those
//! on a history are in `hostile.rs`.
mod common;

use std::{
    fs,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, ExitStatus, Stdio},
};

use fastrand::Rng;
use rusqlite::Connection;
use serde_json::Value;
use tracer_common::event::{Header, kind};

use common::{below, damage, recorded, records, text, whybus};

/// Waits for it; gives how it ended, and how much was ever resident, in MiB.
fn ended(child: &Child) -> (ExitStatus, i64) {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = child.id().cast_signed();
    // SAFETY: a child of ours that nobody has waited for, and room for what is told of it.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    assert_eq!(waited, pid);
    // SAFETY: wait4 has filled it in, and zeros are one, too.
    let usage = unsafe { usage.assume_init() };
    (ExitStatus::from_raw(status), usage.ru_maxrss >> 10)
}

/// Replays a stream; how that ended, what it said, and MiB.
#[expect(
    clippy::zombie_processes,
    reason = "wait4(2) waits for it, which tells how much memory it took"
)]
fn replayed(dir: &Path, stream: &[u8]) -> (ExitStatus, String, i64) {
    let file = dir.join("stream");
    fs::write(&file, stream).expect("room");
    let mut command = whybus(["replay", "-o", "json"]);
    command.arg(file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut said = Vec::new();
    child.stderr.take().expect("piped").read_to_end(&mut said).expect("what it said");
    let (status, most) = ended(&child);
    (status, text(&said), most)
}

/// The records behind the head, each with its length.
fn stream<'a>(head: &[u8], records: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = head.to_vec();
    for record in records {
        out.extend((record.len() as u32).to_le_bytes());
        out.extend(record);
    }
    out
}

/// Puts the largest number there is, or one below, in place of one of a note.
fn enlarge(note: &mut Vec<u8>, random: &mut Rng) {
    let digit = |at: &usize| note[*at].is_ascii_digit() && !note[*at - 1].is_ascii_digit();
    let numbers: Vec<usize> = (size_of::<Header>() + 1..note.len()).filter(digit).collect();
    let Some(from) = numbers.get(below(random, numbers.len())).copied() else { return };
    let length = note[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let large = (u64::MAX - random.u64(..2)).to_string();
    note.splice(from..from + length, large.bytes());
    let length = note.len() as u32;
    note[4..8].copy_from_slice(&length.to_le_bytes());
}

/// 10: sums of what a stream claims. (A release does not check them: the binary of a debug build does.)
#[test]
fn a_mutated_stream_ends_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (head, records) = records("v1");
    let records = &records[..records.len().min(300)];
    let (count, mut panics) = (250, Vec::new());
    for seed in 0..count {
        let mut random = Rng::with_seed(seed);
        let mut records = records.to_vec();
        for _ in 0..3 {
            let at = below(&mut random, records.len());
            let is_note = u16::from_le_bytes([records[at][0], records[at][1]]) >= kind::USER;
            match is_note {
                true => enlarge(&mut records[at], &mut random),
                false => damage(&mut records[at], &mut random),
            }
        }
        let mutated = stream(&head, records.iter().map(Vec::as_slice));
        let (status, said, _) = replayed(dir.path(), &mutated);
        if !matches!(status.code(), Some(0 | 1 | 2 | 66)) {
            panics.push(format!("seed {seed}: {status}: {said}"));
        }
    }
    println!("{} of {count} mutated streams ended it", panics.len());
    assert!(panics.is_empty(), "{} of {count}: {}", panics.len(), panics[0]);
}

/// 10: a note as long as one may be, which is only a list of small things.
#[test]
fn a_long_note_takes_little_memory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (head, _) = records("v1");
    let room = (4 << 20) - size_of::<Header>() - 16;
    // The last two have as many as are taken.
    for (what, one, count) in [
        ("numbers", "0,", room / 2),
        ("mounts", "{},", room / 3),
        ("lists", "[],", room / 3),
        ("some numbers", "0,", 390_000),
        ("some mounts", "{},", 195_000),
    ] {
        let body = format!("[{}0]", one.repeat(count));
        let mut note = vec![0; size_of::<Header>()];
        note[..2].copy_from_slice(&(kind::USER + 1).to_le_bytes());
        note.extend(body.bytes());
        let length = note.len() as u32;
        note[4..8].copy_from_slice(&length.to_le_bytes());
        let (status, said, most) = replayed(dir.path(), &stream(&head, [note.as_slice()]));
        println!("a note of {what}: {most} MiB, {status}: {said}");
        assert!(status.code().is_some(), "{what}: {status}: {said}");
        assert!(most < 128, "a note of {what} took {most} MiB");
    }
}

/// 6: whoever reads slowly does not let the -wal file grow while others write.
#[test]
fn a_stalled_export_fills_no_disk() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("state");
    let json = recorded("newest", "json");
    let out = whybus(["import", "--state-dir"]).arg(&state).arg(json).output().expect("it runs");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let mut command = whybus(["export", "--state-dir"]);
    let mut export = command.arg(&state).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut some = [0; 4096];
    export.stdout.as_mut().expect("piped").read_exact(&mut some).expect("an export");
    // The pipe is full by then.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let db = Connection::open(state.join("history.db")).expect("a history");
    db.execute_batch("CREATE TABLE more (body BLOB)").expect("it is written");
    for _ in 0..100 {
        db.execute_batch("DELETE FROM more; INSERT INTO more VALUES (randomblob(1000000))")
            .expect("it is written");
    }
    let mib = |name: &str| fs::metadata(state.join(name)).map_or(0, |meta| meta.len() >> 20);
    let (wal, history) = (mib("history.db-wal"), mib("history.db"));
    export.kill().expect("ours");
    export.wait().expect("ours");
    println!("100 MB written beside a stalled export: {wal} MiB of -wal, {history} MiB of history");
    assert!(wal <= 16, "{wal} MiB of -wal beside {history} MiB");
}

/// What must come out of nothing as it is.
const WORDS: &str = "\u{1b}[2J\u{9b}2J\n\u{202e}x";

/// Where the strings of a value are.
fn strings(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(i, one)| strings(one, &format!("{at}/{i}"), found));
        }
        Value::Object(all) => {
            all.iter().for_each(|(key, one)| strings(one, &format!("{at}/{key}"), found));
        }
        _ => {}
    }
}

/// What a terminal would act on, of what whybus says.
fn acting(args: &[&str], state: Option<&Path>) -> Vec<String> {
    let mut command = whybus(args);
    if let Some(state) = state {
        command.arg("--state-dir").arg(state);
    }
    let out = command.output().expect("it runs");
    let shown = text(&out.stdout) + &text(&out.stderr);
    let acts = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
    let line = |line: &str| line.chars().any(|c| acts(&c)) || line.starts_with('\u{202e}');
    shown.lines().filter(|shown| line(shown)).map(|line| format!("{args:?}: {line}")).collect()
}

/// 9: one incident for each string that there is, which is then hostile.
#[test]
fn nothing_that_is_read_back_acts_on_a_terminal() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("state");
    let json = fs::read_to_string(recorded("newest", "json")).expect("what was recorded");
    let incidents = json.lines().filter(|line| line.contains(r#""kind":"incident""#));
    let longest = incidents.max_by_key(|line| line.len()).expect("one");
    let incident: Value = serde_json::from_str(longest).expect("JSON");
    let mut places = Vec::new();
    strings(&incident, "", &mut places);
    let hostile = places.iter().enumerate().map(|(number, place)| {
        let mut one = incident.clone();
        one["id"] = format!("01a1ff32-f02c-7409-a555-{number:012x}").into();
        *one.pointer_mut(place).expect("it is there") = WORDS.into();
        format!("{one}\n")
    });
    let file = dir.path().join("hostile.json");
    fs::write(&file, hostile.collect::<String>()).expect("room");
    let import = whybus(["import", "--state-dir"]).arg(&state).arg(&file).output();
    assert!(import.expect("it runs").status.success());
    let list = whybus(["list", "-n", "0", "-o", "json", "--state-dir"]).arg(&state).output();
    let list = text(&list.expect("it runs").stdout);
    let known: Vec<Value> =
        list.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let ids: Vec<&str> = known.iter().filter_map(|one| one["id"].as_str()).collect();
    assert!(ids.len() > 20, "{} of {} were taken", ids.len(), places.len());
    let mut bad = Vec::new();
    for format in ["human", "oneline", "json"] {
        bad.extend(acting(&["list", "-n", "0", "-o", format], Some(&state)));
        for id in ids.iter().filter(|id| !id.contains(|c: char| c.is_control())) {
            bad.extend(acting(&["show", id, "-o", format], Some(&state)));
            bad.extend(acting(&["why", id, "-o", format], Some(&state)));
        }
    }
    bad.extend(acting(&["stats"], Some(&state)));
    bad.extend(acting(&["export"], Some(&state)));
    println!("{} lines act on a terminal, of {} incidents", bad.len(), ids.len());
    assert!(bad.is_empty(), "{} lines act on a terminal: {:?}", bad.len(), bad[0]);
}

/// 9: of a stream it is its first line that names things.
#[test]
fn no_stream_acts_on_a_terminal() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (head, records) = records("v1");
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let (magic, host) = (lines.next().expect("a magic"), lines.next().expect("a host"));
    let mut host: Value = serde_json::from_slice(host).expect("JSON");
    for key in ["name", "boot_id", "release"] {
        host[key] = WORDS.into();
    }
    host["hooks"][0] = WORDS.into();
    host["blind"] = serde_json::json!([{"hook": WORDS, "reason": WORDS, "causes": WORDS}]);
    let head = [magic, format!("{host}\n").as_bytes()].concat();
    let file = dir.path().join("stream");
    fs::write(&file, stream(&head, records.iter().map(Vec::as_slice))).expect("room");
    let file = file.to_str().expect("UTF-8");
    let formats = ["human", "oneline", "json"];
    let bad: Vec<String> =
        formats.iter().flat_map(|format| acting(&["replay", "-o", format, file], None)).collect();
    println!("{} lines of a replay act on a terminal", bad.len());
    assert!(bad.is_empty(), "{} lines act on a terminal: {:?}", bad.len(), bad[0]);
}

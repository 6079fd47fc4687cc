//! `whybus replay`, as an ordinary user, without a kernel: recorded streams and their goldens
//! (`cargo xtask test --record` makes them anew).
use std::fs;

use serde_json::Value;

mod common;
use common::{assert_golden, on_one_terminal, recorded, replay, text, values, whybus};

/// What the guests recorded, and what was told of it, whole: incidents, updates, warnings, the end.
#[test]
fn goldens() {
    // v1: a stream of before time and coverage were in it.
    for name in ["5.10", "6.1", "6.12", "newest", "deaths", "v1"] {
        let stream = recorded(name, "stream");
        let json = replay(&["-o", "json"], &stream);
        assert!(json.status.success(), "{name}: {}", text(&json.stderr));
        assert_golden(&text(&json.stdout), &recorded(name, "json"));
        let mut human = whybus(["replay", "--utc"]);
        assert_golden(&on_one_terminal(human.arg(&stream)), &recorded(name, "txt"));
    }
}

/// What somebody saw live, while a module came, the clock was set and events were lost.
#[test]
fn a_replay_shows_what_was_shown_live() {
    let mut human = whybus(["replay", "--utc"]);
    let stream = recorded("step", "stream");
    assert_golden(&on_one_terminal(human.arg(&stream)), &recorded("step", "txt"));
    let live = fs::read_to_string(recorded("step", "txt")).expect("what was shown");
    for part in ["watching 2", "warning", "lost ", "the watch was terminated after"] {
        assert!(live.contains(part), "{part}");
    }
}

/// The day is named once; what became of an incident is no part of the answer before it, and one line of `oneline`.
#[test]
fn a_recording_is_told_apart() {
    let stream = recorded("deaths", "stream");
    let mut human = whybus(["replay", "--utc"]);
    let told = on_one_terminal(human.arg(&stream));
    assert!(told.contains("active since 2026-11-28 00:06:34.287 UTC\n"), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    let is_update = |line: &str| line.contains("; restarted as pid ");
    for pair in lines.windows(2).filter(|pair| is_update(pair[1])) {
        assert!(pair[0].is_empty() || is_update(pair[0]), "{pair:?}");
    }
    let oneline = text(&replay(&["-o", "oneline"], &stream).stdout);
    assert!(oneline.lines().any(is_update) && !oneline.contains("  "), "{oneline}");
}

/// Every line of every stream is what the schema says, as `whybus schema` prints it.
#[test]
fn every_line_is_valid() {
    let schema = whybus(["schema"]).output().expect("whybus runs");
    let schema = serde_json::from_slice(&schema.stdout).expect("JSON");
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("whybus", schema).expect("a schema");
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("whybus", &mut schemas).expect("a schema");
    for name in ["5.10", "6.1", "6.12", "newest", "deaths"] {
        let lines = values(&replay(&["-o", "json"], &recorded(name, "stream")));
        assert!(lines.len() > 20, "{name}");
        for line in lines {
            let valid = schemas.validate(&line, index).map_err(|error| error.to_string());
            assert_eq!(valid, Ok(()), "{name}: {line}");
        }
    }
}

/// A file of its own, that goes when the test ends.
fn scratch(content: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(&file, content).expect("room");
    file
}

#[test]
fn a_torn_stream_shows_what_is_readable() {
    let whole = fs::read(recorded("newest", "stream")).expect("a stream");
    let torn = scratch(&whole[..whole.len() / 2]);
    let out = replay(&["-o", "oneline"], torn.path());
    assert_eq!(out.status.code(), Some(66));
    assert!(text(&out.stdout).lines().count() > 5, "{}", text(&out.stdout));
    let error = text(&out.stderr);
    assert!(error.contains("at byte") && error.contains("ends inside a record"), "{error}");
}

#[test]
fn damaged_and_foreign_files_are_refused_with_the_position() {
    let whole = fs::read(recorded("newest", "stream")).expect("a stream");
    let host = whole.iter().skip(16).position(|b| *b == b'\n').expect("a host line") + 17;
    let mut damaged = whole.clone();
    damaged[host..host + 4].copy_from_slice(&[0xff; 4]);
    let layout = text(&whole[..host]).replacen("\"layout\":", "\"layout\":99", 1);
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "not a whybus event stream"),
        ("foreign", b"\x7fELF\x02\x01\x01", "not a whybus event stream"),
        ("cut", &whole[..20], "the host line is cut short"),
        ("damaged", &damaged, &format!("at byte {host}")),
        ("layout", layout.as_bytes(), "the stream has layout 99"),
    ];
    for (name, content, expected) in cases {
        let file = scratch(content);
        let out = replay(&[], file.path());
        assert_eq!(out.status.code(), Some(66), "{name}");
        let error = text(&out.stderr);
        assert!(error.contains(expected), "{name}: {error}");
    }
}

/// A newer whybus may know kinds that this one does not, and other layouts of those it does.
#[test]
fn what_is_not_known_is_counted_and_skipped() {
    let whole = fs::read(recorded("newest", "stream")).expect("a stream");
    let host = whole.iter().skip(16).position(|b| *b == b'\n').expect("a host line") + 17;
    let mut newer = whole[..host].to_vec();
    let fault = 1_u16;
    for (kind, version) in [(0x80_u16, 0_u16), (fault, 3), (fault, u16::MAX)] {
        let len = 40_u32;
        newer.extend_from_slice(&len.to_le_bytes());
        let at = newer.len();
        newer.resize(at + len as usize, 0);
        newer[at..at + 2].copy_from_slice(&kind.to_le_bytes());
        newer[at + 4..at + 8].copy_from_slice(&len.to_le_bytes());
        newer[at + 12..at + 14].copy_from_slice(&version.to_le_bytes());
    }
    newer.extend_from_slice(&whole[host..]);
    let newer = scratch(&newer);
    let out = replay(&["-o", "json"], newer.path());
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains("3 records are of kinds or versions"),
        "{}",
        text(&out.stderr)
    );
    assert_golden(&text(&out.stdout), &recorded("newest", "json"));
}

#[test]
fn filters_choose() {
    let file = recorded("newest", "stream");
    let lines = |args: &[&str]| {
        let mut all = vec!["-o", "json"];
        all.extend(args);
        let told = |line: &&Value| line["kind"] == "incident" || line["kind"] == "truncation";
        values(&replay(&all, &file)).iter().filter(told).count()
    };
    // What the golden file says of the same stream.
    let golden = fs::read_to_string(recorded("newest", "json")).expect("a golden file");
    let golden: Vec<Value> =
        golden.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let count = |wanted: &dyn Fn(&Value) -> bool| {
        let told = |line: &&Value| line["kind"] == "incident" || line["kind"] == "truncation";
        golden.iter().filter(told).filter(|line| wanted(line)).count()
    };
    let by = |line: &Value, comm: &str| {
        line["cause"]["culprit"]["comm"] == comm || line["culprit"]["comm"] == comm
    };
    let memfd = count(&|line| {
        line["victim"]["comm"] == "memfd" || {
            let at_risk = line["at_risk"].as_array().map(Vec::as_slice).unwrap_or_default();
            at_risk.iter().any(|task| task["comm"] == "memfd")
        }
    });
    assert!(memfd > 0);
    assert_eq!(lines(&["--comm", "memfd"]), memfd);
    let cp = count(&|line| by(line, "cp"));
    assert!(cp > 0);
    assert_eq!(lines(&["--by-comm", "cp"]), cp);
    let on_ext4 = count(&|line| {
        line["file"]["path"].as_str().is_some_and(|path| path.starts_with("/mnt/ext4/"))
    });
    assert!(on_ext4 > 15 && on_ext4 < lines(&[]));
    assert_eq!(lines(&["--path", "/mnt/ext4"]), on_ext4);
    let incidents = golden.iter().filter(|line| line["kind"] == "incident").count();
    assert!(incidents < lines(&[]));
    assert_eq!(lines(&["--no-warnings"]), incidents);
    assert_eq!(lines(&["--uid", "12345"]), 0);
}

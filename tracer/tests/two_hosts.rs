//! Histories of two hosts that come together: a reader of a file on NFS that died of it, and who shrank the file.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

mod common;
use common::{text, values, whybus};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams/newest.json");

/// A state directory with what these lines tell, gone in the end.
struct Dir(PathBuf, TempDir);

impl Dir {
    fn with(lines: &[String]) -> Self {
        let around = tempfile::tempdir().expect("a temporary directory");
        let dir = Self(around.path().join("state"), around);
        let file = dir.1.path().join("export.json");
        fs::write(&file, lines.join("\n")).expect("room");
        assert!(run(&dir.0, &["import", file.to_str().expect("UTF-8")]).status.success());
        dir
    }
}

fn run(dir: &Path, args: &[&str]) -> Output {
    whybus(args).arg("--state-dir").arg(dir).output().expect("whybus runs")
}

/// All that it said, words apart by one space.
fn shown(dir: &Dir, args: &[&str]) -> String {
    let out = run(&dir.0, args);
    let said = text(&out.stdout) + &text(&out.stderr);
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    said.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A reader that died of a file on NFS, as it was recorded, and the same file as another host shrank it.
fn two_hosts() -> (Value, Value) {
    let lines = fs::read_to_string(RECORDED).expect("recorded");
    let mut values = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let reader = values
        .find(|one| one["cause"]["class"] == "shrunk-elsewhere" && one["file"]["fstype"] == "nfs4");
    let reader = reader.expect("a victim of an NFS server");
    let source = reader["file"]["mount"]["source"].as_str().expect("a source");
    let (server, export) = source.split_once(':').expect("a server");
    let shrink = serde_json::json!({
        "schema": 2, "kind": "truncation", "id": "019aa4d2-6f31-7abc-8def-0123456789ab",
        "time": reader["time"], "host": "updater", "boot_id": "another",
        "file": {
            "path": "/srv/live", "dev": "0:99", "inode": reader["file"]["inode"], "generation": 0,
            "fstype": "nfs4", "remote": {"server": server, "address": null, "export": export},
        },
        "how": "open(O_TRUNC)", "old_size": 102_400, "new_size": 0,
        "culprit": {
            "pid": 5678, "ns_pid": null, "ppid": null, "start_time": null, "comm": "cp\u{1b}[2J",
            "exe": null, "cmdline": ["cp", "new", "/srv/live"], "uid": 0, "cgroup": null,
            "container": null, "unit": null, "cgroup_id": null,
        },
        "at_risk": [], "at_risk_why": null,
    });
    (reader, shrink)
}

/// Whichever history is imported into which, and however many there are of the same number.
#[test]
fn another_hosts_history_names_the_culprit() {
    let (reader, mut shrink) = two_hosts();
    // Behind a tunnel only the name says that it is the same file.
    shrink["file"]["path"] = reader["file"]["path"].clone();
    let id = reader["id"].as_str().expect("an id");
    let mut lines = vec![reader.to_string(), shrink.to_string()];
    for i in 0..3_000 {
        let mut other = shrink.clone();
        other["id"] = format!("019aa4d2-6f31-7abc-9def-{i:012x}").into();
        // Files of one inode number, all of the time in question: of another server, export, page.
        match i % 3 {
            0 => other["file"]["remote"]["server"] = "elsewhere".into(),
            1 => {
                other["file"]["remote"]["export"] = "/another".into();
                other["file"]["path"] = "/srv/another".into();
            }
            _ => other["old_size"] = 1.into(),
        }
        lines.push(other.to_string());
    }
    for order in [lines.clone(), lines.iter().rev().cloned().collect()] {
        let dir = Dir::with(&order);
        let told = values(&run(&dir.0, &["why", "-o", "json", id]));
        assert_eq!(told[0]["elsewhere"]["host"], "updater", "{}", told[0]);
        assert_eq!(told[0]["elsewhere"]["confidence"], "likely");
        for verb in ["why", "show"] {
            let shown = shown(&dir, &[verb, id]);
            assert!(shown.contains("likely by cp\\x1b[2J[5678] on updater"), "{shown}");
            assert!(!shown.contains('\u{1b}'), "{shown}");
        }
    }
}

/// Where the other host had too many to keep all, the one that is looked for may have been among them.
#[test]
fn another_hosts_history_says_what_it_lacks() {
    let (reader, _) = two_hosts();
    let gap = serde_json::json!({
        "schema": 2, "kind": "gap", "host": "updater", "boot_id": "another", "since": reader["time"],
        "until": reader["time"], "lost": 998,
        "why": "shrinks of files on network file systems, too many at once",
    });
    let dir = Dir::with(&[reader.to_string(), gap.to_string()]);
    let shown = shown(&dir, &["why", reader["id"].as_str().expect("an id")]);
    assert!(shown.contains("not kept on updater between") && shown.contains("(998)"), "{shown}");
    assert!(!shown.contains("likely by"), "{shown}");
}

/// Who reads it sees on which host what happened, by what the two are joined, and what is to be done there.
#[test]
fn people_are_told_of_both_hosts() {
    let (mut reader, mut shrink) = two_hosts();
    reader["host"] = "reader".into();
    shrink["file"]["path"] = reader["file"]["path"].clone();
    let id = reader["id"].as_str().expect("an id");
    let dir = Dir::with(&[reader.to_string(), shrink.to_string()]);
    for verb in ["why", "show"] {
        let shown = shown(&dir, &[verb, id]);
        for part in [
            " on host reader",
            "which may differ",
            "the same file by inode number and path",
            "no process of the victim's host did it",
            "fix where cp\\x1b[2J[5678] runs on updater, write the new file beside the old one",
        ] {
            assert!(shown.contains(part), "{verb} lacks `{part}`: {shown}");
        }
        assert!(shown.find("likely by") < shown.find("fix where"), "{shown}");
        assert!(!shown.contains("another host shrank"), "{shown}");
    }
    let told = shown(&dir, &["why", id]);
    let seen = "the victim's host saw a shrink of ";
    assert!(
        told.contains(seen) && told.contains("likely by cp\\x1b[2J[5678] on updater by open"),
        "{told}"
    );
    let story = values(&run(&dir.0, &["why", "-o", "json", id])).remove(0);
    assert!(
        story["advice"].as_str().is_some_and(|advice| advice.starts_with("write the new file"))
    );
    let listed = shown(&dir, &["list", "-o", "oneline"])
        + &shown(&dir, &["list", "--warnings", "-o", "oneline"])
        + &shown(&dir, &["list", "--warnings", "-o", "human"]);
    for part in [
        " on host reader: shrunk-elsewhere",
        " UTC shrink on host updater: ",
        "shrink on host updater: cp\\x1b[2J[5678] shrank a file that other hosts may map",
    ] {
        assert!(listed.contains(part), "`{part}`: {listed}");
    }
    // One host needs no name in a line, and has it in a story where it is not this one.
    let alone = Dir::with(&[reader.to_string()]);
    assert!(!shown(&alone, &["list", "-o", "oneline"]).contains("on host"));
    assert!(shown(&alone, &["why", id]).contains(" on host reader: died once"));
}

/// On the host of the culprit nobody died; what was done there is not left out.
#[test]
fn the_culprits_host_says_that_a_shrink_is_recorded() {
    let (_, mut shrink) = two_hosts();
    shrink["culprit"]["comm"] = "cp".into();
    let dir = Dir::with(&[shrink.to_string()]);
    for args in [
        &["why", "/srv/live"][..],
        &["why", "cp"],
        &["why", "--by-comm", "cp"],
        &["list", "--path", "/srv/*"],
    ] {
        let out = run(&dir.0, args);
        let error = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1));
        assert!(
            error.contains("list --warnings") && error.contains("by cp[5678]"),
            "{args:?}: {error}"
        );
    }
    assert!(!shown(&dir, &["why", "/srv/other"]).contains("shrunk"));
    assert!(!shown(&dir, &["list", "--uid", "0"]).contains("shrunk"));
    // Mapped there, and nobody looked by whom.
    shrink["at_risk_why"] = "nobody looked who maps it: that was done less than a second before, or too many files wait".into();
    let dir = Dir::with(&[shrink.to_string()]);
    assert!(
        shown(&dir, &["list", "--warnings", "-o", "oneline"]).contains("who maps it is not known")
    );
    assert!(shown(&dir, &["list", "--warnings", "-o", "human"]).contains("at risk not known"));
}

/// Which host has most of them: a table where there are several.
#[test]
fn incidents_are_counted_by_host() {
    let lines = fs::read_to_string(RECORDED).expect("recorded");
    let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    let one = Dir::with(&lines);
    assert!(!shown(&one, &["stats"]).contains("HOST"), "there is one");
    let renamed = |line: &String| {
        let line = line.replace("\"(none)\"", "\"node-2\"").replace("a02a8251", "b02a8251");
        line.replace("\"id\":\"0", "\"id\":\"1")
    };
    lines.extend(lines.iter().map(renamed).collect::<Vec<_>>());
    let two = Dir::with(&lines);
    assert!(shown(&two, &["stats"]).contains("COUNT HOST LAST"), "there are two");
    let counts = |filters: &[&str]| {
        let rows =
            values(&run(&two.0, &[&["stats", "--by", "host", "-o", "json"], filters].concat()));
        let of = |row: &Value| (row["name"].to_string(), row["incidents"].as_u64());
        rows.iter().map(of).collect::<Vec<_>>()
    };
    let all = counts(&[]);
    assert!(all.len() == 2 && all[0].1 == all[1].1 && all[0].1 > Some(50), "{all:?}");
    assert_eq!(counts(&["--host", "node-2"]), [("\"node-2\"".to_owned(), all[0].1)]);
}

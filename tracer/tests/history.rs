//! A history from end to end, fed with the incidents that were recorded in the guests.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;

mod common;
use common::{text, values, whybus};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams/newest.json");

/// A state directory that is not there yet, gone in the end.
struct Dir(PathBuf, TempDir);

impl Dir {
    fn new() -> Self {
        let around = tempfile::tempdir().expect("a temporary directory");
        Self(around.path().join("state"), around)
    }

    fn filled() -> Self {
        let dir = Self::new();
        let out = run(&dir.0, &["import", RECORDED]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        dir
    }
}

fn run(dir: &Path, args: &[&str]) -> Output {
    whybus(args).arg("--state-dir").arg(dir).output().expect("whybus runs")
}

/// The recorded incidents, each as it was known last, by id.
fn recorded() -> BTreeMap<String, Value> {
    let lines = fs::read_to_string(RECORDED).expect("recorded");
    let values = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let incidents =
        values.filter(|value| matches!(value["kind"].as_str(), Some("incident" | "update")));
    incidents.map(|value| (value["id"].as_str().expect("an id").to_owned(), value)).collect()
}

fn listed(dir: &Path, filters: &[&str]) -> BTreeMap<String, Value> {
    let out = run(dir, &[&["list", "-n", "0", "-o", "json"], filters].concat());
    values(&out).into_iter().map(|v| (v["id"].as_str().expect("an id").to_owned(), v)).collect()
}

#[test]
fn what_comes_out_is_what_went_in() {
    let dir = Dir::filled();
    let (told, expected) = (listed(&dir.0, &[]), recorded());
    assert_eq!(told.len(), expected.len());
    for (id, mut expected) in expected {
        let mut told = told.get(&id).expect("it is there").clone();
        for value in [&mut told, &mut expected] {
            value["kind"] = Value::Null;
        }
        assert_eq!(told, expected);
    }
    // Twice is once.
    assert!(run(&dir.0, &["import", RECORDED]).status.success());
    assert_eq!(listed(&dir.0, &[]).len(), recorded().len());
}

/// What a whybus of schema 1 wrote: streams of the guests and, at the end, gaps and runs.
const SCHEMA_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema1.json");

#[test]
fn what_version_1_wrote_is_read() {
    let dir = Dir::new();
    let out = run(&dir.0, &["import", SCHEMA_1]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(!text(&out.stderr).contains("skipped"), "{}", text(&out.stderr));
    let old = fs::read_to_string(SCHEMA_1).expect("recorded");
    let old: Vec<Value> =
        old.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let new = values(&run(&dir.0, &["export"]));
    assert!(new.iter().all(|line| line["schema"] == 2));
    let of = |lines: &[Value], kind: &str| -> Vec<Value> {
        let mut lines: Vec<Value> =
            lines.iter().filter(|line| line["kind"] == kind).cloned().collect();
        lines.iter_mut().for_each(|line| line["schema"] = Value::Null);
        lines.sort_by_key(Value::to_string);
        lines
    };
    for kind in ["gap", "run"] {
        assert_eq!(of(&new, kind), of(&old, kind));
    }
    // A name that is no UTF-8 stood in an object with its bytes, and has them beside it now.
    let hostile: Vec<&Value> =
        old.iter().filter(|line| line["file"]["path"]["bytes"].is_string()).collect();
    let incidents: Vec<&Value> =
        hostile.into_iter().filter(|line| line["kind"] == "incident").collect();
    assert!(!incidents.is_empty());
    for old in incidents {
        let new = new.iter().find(|line| line["id"] == old["id"]).expect("exported");
        assert_eq!(new["file"]["path"], old["file"]["path"]["text"]);
        assert_eq!(new["file"]["path_bytes"], old["file"]["path"]["bytes"]);
        for (i, arg) in old["victim"]["cmdline"].as_array().expect("arguments").iter().enumerate() {
            let text = if arg.is_string() { arg } else { &arg["text"] };
            assert_eq!(new["victim"]["cmdline"][i], *text);
            assert_eq!(new["victim"]["cmdline_bytes"][i], arg["bytes"]);
        }
    }
    // And what is written now is read again, to the byte.
    let again = Dir::new();
    let file = dir.0.join("export.json");
    let exported = run(&dir.0, &["export"]).stdout;
    fs::write(&file, &exported).expect("room");
    assert!(run(&again.0, &["import", file.to_str().expect("UTF-8")]).status.success());
    assert_eq!(text(&run(&again.0, &["export"]).stdout), text(&exported));
}

/// A history on disk as version 1 made it, with what `SCHEMA_1` holds.
const HISTORY_1: &str = include_str!("history1.sql");

#[test]
fn a_history_of_version_1_is_read_and_written_on() {
    let dir = Dir::new();
    fs::create_dir(&dir.0).expect("a directory");
    let db = rusqlite::Connection::open(dir.0.join("history.db")).expect("a new one");
    db.execute_batch(HISTORY_1).expect("as it was dumped");
    drop(db);
    let other = Dir::new();
    assert!(run(&other.0, &["import", SCHEMA_1]).status.success());
    let exported = text(&run(&dir.0, &["export"]).stdout);
    // It kept no warnings.
    let all = text(&run(&other.0, &["export"]).stdout);
    let warning = |line: &&str| line.contains("\"kind\":\"truncation\"");
    let rest: String =
        all.lines().filter(|line| !warning(line)).map(|line| format!("{line}\n")).collect();
    assert_eq!(exported, rest);
    assert!(all.lines().any(|line| warning(&line)));
    assert_eq!(run(&dir.0, &["list", "--warnings"]).status.code(), Some(1));
    assert!(exported.contains("\"kind\":\"incident\"") && exported.contains("\"kind\":\"gap\""));
    for by in [&["stats"][..], &["stats", "--by", "victim"], &["stats", "--comm", "*"]] {
        let counted = run(&dir.0, by);
        assert!(counted.status.success(), "{by:?}: {}", text(&counted.stderr));
    }
    // What incidents are found by is what it was: the id, and the restart loop.
    let list = text(&run(&dir.0, &["list", "--no-header"]).stdout);
    for id in list.lines().filter_map(|line| line.split_whitespace().next()) {
        let why = run(&dir.0, &["why", id]);
        assert!(why.status.success(), "{id}: {}", text(&why.stderr));
    }
    let before = listed(&dir.0, &[]).len();
    assert!(before >= 3, "{list}");
    let import = run(&dir.0, &["import", RECORDED]);
    assert!(import.status.success(), "{}", text(&import.stderr));
    assert!(!text(&import.stderr).contains("damaged"), "{}", text(&import.stderr));
    assert!(listed(&dir.0, &[]).len() > before);
    assert!(run(&dir.0, &["list", "--warnings"]).status.success());
}

/// Who maps a file that is being shrunk crashes next: that is kept, found, and taken along.
#[test]
fn warnings_are_kept() {
    let lines = fs::read_to_string(RECORDED).expect("recorded");
    let values = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let told: BTreeMap<String, Value> = values
        .filter(|value| value["kind"] == "truncation")
        .map(|value| (value["id"].as_str().expect("an id").to_owned(), value))
        .collect();
    assert!(told.len() > 3, "{}", told.len());
    let (dir, other) = (Dir::filled(), Dir::new());
    let export = other.1.path().join("export");
    fs::write(&export, run(&dir.0, &["export"]).stdout).expect("room");
    assert!(run(&other.0, &["import", export.to_str().expect("a path")]).status.success());
    for dir in [&dir, &other] {
        assert_eq!(listed(&dir.0, &["--warnings"]), told);
    }
    let (id, one) = told.iter().next().expect("one");
    let path = one["file"]["path"].as_str().expect("a path");
    let found = listed(&dir.0, &["--warnings", "--path", path]);
    assert!(found.contains_key(id) && found.values().all(|one| one["file"]["path"] == path));
    let pid = one["at_risk"][0]["pid"].to_string();
    assert!(listed(&dir.0, &["--warnings", "--pid", &pid]).contains_key(id));
    assert!(listed(&dir.0, &["--warnings", "--by-comm", "nobody-is-called-so"]).is_empty());
    let shown = text(&run(&dir.0, &["list", "--warnings", "-n", "1"]).stdout);
    assert!(shown.contains(" → ") && shown.lines().count() == 2, "{shown}");
}

/// A cause that only a later version knows.
#[test]
fn a_cause_of_a_later_version_keeps_its_name() {
    let (dir, line) = (Dir::new(), recorded().into_values().next().expect("one"));
    let mut line = line;
    line["cause"]["class"] = "eaten-by-mice".into();
    let file = dir.1.path().join("later.json");
    fs::write(&file, format!("{line}\n")).expect("room");
    assert!(run(&dir.0, &["import", file.to_str().expect("UTF-8")]).status.success());
    assert_eq!(values(&run(&dir.0, &["export"]))[0]["cause"]["class"], "eaten-by-mice");
    assert_eq!(listed(&dir.0, &["--class", "eaten-by-mice"]).len(), 1);
    assert!(text(&run(&dir.0, &["list", "-o", "oneline"]).stdout).contains("eaten-by-mice"));
}

/// One that no version knows is a slip.
#[test]
fn a_class_that_does_not_exist_is_refused_and_the_nearest_suggested() {
    let dir = Dir::filled();
    for verb in ["list", "why", "stats"] {
        let refused = run(&dir.0, &[verb, "--class", "nospace"]);
        assert_eq!(refused.status.code(), Some(2), "{verb}");
        let told = text(&refused.stderr);
        assert!(told.contains("there is no class `nospace`; did you mean `no-space`?"), "{told}");
    }
    for class in ["no-space", "eaten-*"] {
        let nothing = run(&dir.0, &["list", "--class", class, "--comm", "nobody"]);
        assert_eq!(nothing.status.code(), Some(1), "{class}");
    }
}

#[test]
fn every_filter_finds_what_it_says() {
    let dir = Dir::filled();
    let path = |value: &Value| value["file"]["path"].as_str().unwrap_or_default().to_owned();
    type Holds<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let all = recorded();
    let some = all.values().find(|value| value["cause"]["culprit"].is_object()).expect("one");
    let (pid, by_pid) = (&some["victim"]["pid"], &some["cause"]["culprit"]["pid"]);
    let (pid_text, by_pid_text) = (pid.to_string(), by_pid.to_string());
    let time = some["time"].as_str().expect("a time").to_owned();
    let cases: Vec<(Vec<&str>, Holds<'_>)> = vec![
        (vec!["--pid", &pid_text], Box::new(|v| v["victim"]["pid"] == *pid)),
        (vec!["--comm", "reader"], Box::new(|v| v["victim"]["comm"] == "reader")),
        (
            vec!["--comm", "re*"],
            Box::new(|v| v["victim"]["comm"].as_str().is_some_and(|comm| comm.starts_with("re"))),
        ),
        (vec!["--uid", "0"], Box::new(|v| v["victim"]["uid"] == 0)),
        (vec!["--path", "/mnt/tmpfs"], Box::new(|v| path(v).starts_with("/mnt/tmpfs/"))),
        (vec!["--class", "truncated"], Box::new(|v| v["cause"]["class"] == "truncated")),
        (vec!["--by-comm", "cp"], Box::new(|v| v["cause"]["culprit"]["comm"] == "cp")),
        (vec!["--by-pid", &by_pid_text], Box::new(|v| v["cause"]["culprit"]["pid"] == *by_pid)),
        (vec!["--exit", "135"], Box::new(|v| v["exit"]["signal"] == 7)),
        (vec!["--exit", "-7"], Box::new(|v| v["exit"]["signal"] == 7)),
        (vec!["--exit", "2"], Box::new(|v| v["exit"]["code"] == 2)),
        (vec!["--since", &time], Box::new(|v| v["time"].as_str() >= Some(&time))),
        (vec!["--until", &time], Box::new(|v| v["time"].as_str() <= Some(&time))),
        (
            vec!["--comm", "r*", "--by-comm", "cp", "--path", "/mnt/ext4"],
            Box::new(|v| {
                v["victim"]["comm"].as_str().is_some_and(|comm| comm.starts_with('r'))
                    && v["cause"]["culprit"]["comm"] == "cp"
                    && path(v).starts_with("/mnt/ext4/")
            }),
        ),
    ];
    for (filters, holds) in cases {
        let expected: Vec<&String> =
            all.iter().filter(|(_, value)| holds(value)).map(|(id, _)| id).collect();
        let told = listed(&dir.0, &filters);
        assert_eq!(told.keys().collect::<Vec<_>>(), expected, "{filters:?}");
        assert!(!expected.is_empty(), "{filters:?} finds nothing to compare");
    }
}

#[test]
fn the_newest_are_listed_and_that_there_are_more() {
    let dir = Dir::filled();
    let out = run(&dir.0, &["list", "-n", "3", "-o", "json"]);
    let mut times: Vec<String> = recorded().values().map(|v| v["time"].to_string()).collect();
    times.sort();
    let told: Vec<String> = values(&out).iter().map(|v| v["time"].to_string()).collect();
    assert_eq!(told, times[times.len() - 3..]);
    assert!(text(&out.stderr).contains("showing the newest 3:"), "{}", text(&out.stderr));
}

#[test]
fn another_host_tells_the_same() {
    let (dir, other) = (Dir::filled(), Dir::new());
    let exported = run(&dir.0, &["export"]);
    fs::create_dir(&other.0).expect("a directory");
    let file = other.0.join("exported.json");
    fs::write(&file, &exported.stdout).expect("room");
    let taken = run(&other.0, &["import", file.to_str().expect("UTF-8")]);
    assert!(taken.status.success(), "{}", text(&taken.stderr));
    assert_eq!(run(&other.0, &["export"]).stdout, exported.stdout);
    for selector in ["reader", "/mnt/tmpfs"] {
        let why = |dir: &Path| run(dir, &["why", selector, "-o", "json"]).stdout;
        assert_eq!(why(&dir.0), why(&other.0));
        assert!(!why(&dir.0).is_empty());
    }
}

#[test]
fn every_gap_is_exported_and_the_last_are_told() {
    let dir = Dir::new();
    fs::create_dir(&dir.0).expect("a directory");
    let incident = recorded().into_values().next().expect("one");
    let mut lines = format!("{incident}\n");
    let day = &incident["time"].as_str().expect("a time")[..10];
    for minute in 0..59 {
        for second in [0, 20, 40] {
            let gap = serde_json::json!({
                "schema": 1, "kind": "gap", "host": incident["host"], "boot_id": incident["boot_id"],
                "since": format!("{day}T00:{minute:02}:{second:02}Z"),
                "until": format!("{day}T00:{minute:02}:{:02}Z", second + 5),
                "why": "the recorder was killed", "lost": null,
            });
            lines += &format!("{gap}\n");
        }
    }
    let file = dir.0.join("gaps.json");
    fs::write(&file, lines).expect("room");
    assert!(run(&dir.0, &["import", file.to_str().expect("UTF-8")]).status.success());
    let exported = values(&run(&dir.0, &["export"]));
    assert_eq!(exported.iter().filter(|value| value["kind"] == "gap").count(), 177);
    let told = run(&dir.0, &["why", "--since", day]);
    let told = text(&told.stdout);
    let said =
        "not recording 177 times, 14 min 45 s in all (last: the recorder was killed), between ";
    assert_eq!(told.matches(said).count(), 1, "{told}");
    assert_eq!(told.matches("  note ").count(), 1, "{told}");
}

#[test]
fn an_incident_is_shown_by_the_start_of_its_id() {
    let dir = Dir::filled();
    let line = text(&run(&dir.0, &["list", "-n", "1", "--no-header"]).stdout);
    let short = line.split_whitespace().next().expect("a short id").to_owned();
    assert_eq!(short.len(), 13, "{line}");
    let out = run(&dir.0, &["show", &short, "-o", "json"]);
    let whole = values(&out)[0]["id"].as_str().expect("an id").to_owned();
    assert!(whole.starts_with(&short), "{whole} {short}");
    // With dashes and without, whole but for its end; and as older versions showed it, by its last part.
    let plain = whole.replace('-', "");
    for form in [&whole[..30], &plain[..13], &plain, &plain[20..], &plain[20..28]] {
        let shown = values(&run(&dir.0, &["show", form, "-o", "json"]));
        assert_eq!(shown[0]["id"], whole.as_str(), "{form}");
    }
    assert_eq!(values(&run(&dir.0, &["show", &whole, "-o", "json"])).len(), 1);
    let why = values(&run(&dir.0, &["why", &short, "-o", "json"]));
    assert_eq!(why[0]["incident"]["id"], whole.as_str());
    assert_eq!(run(&dir.0, &["show", "ffffffffff"]).status.code(), Some(1));
}

#[test]
fn nothing_found_is_1_and_names_what_is_near() {
    let dir = Dir::filled();
    let out = run(&dir.0, &["why", "raeder"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("nearest: reader"), "{}", text(&out.stderr));
    let out = run(&dir.0, &["list", "--until", "2001-01-01"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("no matching incidents (of "), "{}", text(&out.stderr));
}

#[test]
fn bad_input_is_one_sentence() {
    let dir = Dir::new();
    let missing = run(&dir.0, &["list"]);
    assert_eq!(missing.status.code(), Some(66));
    assert!(text(&missing.stderr).contains("there is no history in"), "{}", text(&missing.stderr));
    let dir = Dir::filled();
    let time = run(&dir.0, &["list", "--since", "last week"]);
    assert_eq!(time.status.code(), Some(2));
    assert!(text(&time.stderr).contains("`last week` is not a time"), "{}", text(&time.stderr));
    fs::write(dir.0.join("history.db"), "no database at all, but longer than a header")
        .expect("ours");
    let damaged = run(&dir.0, &["list"]);
    assert_eq!(damaged.status.code(), Some(66));
    assert!(text(&damaged.stderr).contains("is damaged"), "{}", text(&damaged.stderr));
    let junk = dir.0.join("junk.json");
    fs::write(&junk, "{}\nnot JSON\n").expect("room");
    let nothing = run(&dir.0, &["import", junk.to_str().expect("UTF-8")]);
    assert_eq!(nothing.status.code(), Some(66));
    assert!(
        text(&nothing.stderr).contains("2 lines skipped: not whybus records"),
        "{}",
        text(&nothing.stderr)
    );
    assert!(!dir.0.join("history.damaged-1").exists(), "nothing was written");
    // Whoever writes next sets it aside.
    assert!(run(&dir.0, &["import", RECORDED]).status.success());
    assert!(dir.0.join("history.damaged-1").exists());
}

#[test]
fn a_history_that_was_copied_can_be_read() {
    let (dir, copy) = (Dir::filled(), Dir::new());
    // Everything that was committed is in the file once it is closed.
    fs::create_dir(&copy.0).expect("a directory");
    fs::copy(dir.0.join("history.db"), copy.0.join("history.db")).expect("room");
    assert_eq!(listed(&copy.0, &[]).len(), recorded().len());
}

#[test]
fn stats_count_every_incident_once_a_table() {
    let dir = Dir::filled();
    let rows = values(&run(&dir.0, &["stats", "-n", "1000", "-o", "json"]));
    let sum = |by: &str| -> u64 {
        let of_it = rows.iter().filter(|row| row["by"] == by);
        of_it.filter_map(|row| row["incidents"].as_u64()).sum()
    };
    let all = recorded();
    let with = |key: &str| all.values().filter(|value| !value[key].is_null()).count() as u64;
    assert_eq!(sum("cause"), all.len() as u64);
    assert_eq!(sum("victim"), all.len() as u64);
    assert_eq!(sum("time"), all.len() as u64);
    assert!(sum("file") <= with("file") && sum("file") > 0);
}

/// As people and as engines call them; and who is counted by them.
#[test]
fn containers_and_pods_are_found_by_their_names() {
    let dir = Dir::new();
    let id = "0123456789abcdef".repeat(4);
    let slice = "kubepods-burstable-pod12345678_9abc_def0_1234_56789abcdef0.slice";
    let mut one = recorded().into_values().next().expect("one");
    let victim = &mut one["victim"];
    victim["comm"] = "reader".into();
    victim["cgroup"] = format!("/kubepods.slice/{slice}/cri-containerd-{id}.scope").into();
    victim["container"] = serde_json::json!({
        "id": id, "runtime": "containerd", "name": "api", "image": "registry.example/shop/geo:1.2",
    });
    victim["pod"] = serde_json::json!({
        "uid": "12345678-9abc-def0-1234-56789abcdef0", "name": "geo-7d9f", "namespace": "shop",
    });
    fs::create_dir(&dir.0).expect("a directory");
    let file = dir.0.join("one.json");
    fs::write(&file, format!("{one}\n")).expect("room");
    assert!(run(&dir.0, &["import", file.to_str().expect("UTF-8")]).status.success());
    let forms = [&format!("containerd://{id}"), &id[..12], &format!("cri-containerd-{id}.scope")];
    let uids = ["12345678-9abc-def0-1234-56789abcdef0", "12345678_9abc", slice];
    for selector in ["api", "geo-7d9f", "pod/geo-7d9f"].into_iter().chain(forms).chain(uids) {
        let why = run(&dir.0, &["why", selector, "-o", "human", "--utc"]);
        let story = text(&why.stdout);
        let place = "pod shop/geo-7d9f, container api (containerd 0123456789ab), image registry.";
        assert!(story.contains(place), "{selector}: {story}{}", text(&why.stderr));
    }
    let found =
        |args: &[&str]| run(&dir.0, &[&["list", "-o", "json"], args].concat()).status.success();
    let filters =
        [["--container", "api"], ["--pod", "geo-*"], ["--namespace", "shop"], ["--image", "geo"]];
    for filter in &filters {
        assert!(found(filter), "{filter:?}");
        assert!(!found(&[filter[0], "other"]), "{filter:?}");
    }
    assert!(!found(&["--namespace", "shop", "--image", "other"]));
    for (by, name) in
        [("container", "api"), ("pod", "geo-7d9f"), ("image", "registry.example/shop/geo:1.2")]
    {
        let rows = values(&run(&dir.0, &["stats", "--by", by, "-o", "json"]));
        assert_eq!(rows[0]["name"], name, "{by}");
    }
}

#[test]
fn what_is_imported_cannot_act_on_a_terminal() {
    let dir = Dir::new();
    let mut hostile = recorded().into_values().next().expect("one");
    let words = "\u{1b}[2J\n\u{202e}x";
    for (key, inner) in [("cause", "summary"), ("victim", "cmdline_why"), ("fault", "access")] {
        if hostile[key].is_object() {
            hostile[key][inner] = words.into();
        }
    }
    for key in ["advice", "host", "boot_id"] {
        hostile[key] = words.into();
    }
    hostile["victim"]["comm"] = words.into();
    let gap = serde_json::json!({
        "schema": 1, "kind": "gap", "host": words, "boot_id": "b", "why": words, "lost": null,
        "since": "2026-01-01T00:00:00Z", "until": "2126-01-02T00:00:00Z",
    });
    fs::create_dir(&dir.0).expect("a directory");
    let file = dir.0.join("hostile.json");
    fs::write(&file, format!("{hostile}\n{gap}\n")).expect("room");
    assert!(run(&dir.0, &["import", file.to_str().expect("UTF-8")]).status.success());
    for args in [
        &["list", "-o", "human"][..],
        &["list", "--since", "2026-01-01", "--comm", "nobody"],
        &["why", "-o", "human"],
        &["why", "-o", "oneline"],
        &["why", "-o", "markdown"],
        &["list"],
        &["stats"],
    ] {
        let out = run(&dir.0, args);
        let shown = text(&out.stdout) + &text(&out.stderr);
        let bad = shown.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(bad, None, "{args:?}: {shown}");
        assert!(!shown.contains("\n\u{202e}") && shown.len() > 20, "{args:?}: {shown}");
    }
}

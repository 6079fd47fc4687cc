//! What a newcomer saw at 60, 80 and 200 columns, each as it was typed.
mod common;
use std::fs;

use common::{Host, recorded, text, whybus};
use serde_json::{Value, json};

/// A history of nothing but incidents made of a recorded one by `change`.
fn made(how_many: usize, change: impl Fn(usize, &mut Value)) -> Host {
    let recorded = Host::new();
    let first = recorded.types(&["list", "-n", "1", "-o", "json", "--comm", "reader"]);
    let first: Value = serde_json::from_str(&text(&first.stdout)).expect("JSON");
    let line = |i: usize| {
        let mut one = first.clone();
        one["id"] = format!("{:08x}-6f31-7ab0-8def-{i:012}", 0x019a_a4d2 + i).into();
        one["boot_ns"] = (1_000_000_000 * (i + 1)).into();
        change(i, &mut one);
        format!("{one}\n")
    };
    let host = Host(tempfile::tempdir().expect("a temporary directory"));
    let file = host.0.path().join("made.json");
    fs::write(&file, (0..how_many).map(line).collect::<String>()).expect("room");
    let import = host.types(&["import", file.to_str().expect("UTF-8")]);
    assert!(import.status.success(), "{}", text(&import.stderr));
    host
}

/// What a shell splits a command into, as bash(1) does.
fn words(command: &str) -> Vec<String> {
    let mut bash = std::process::Command::new("bash");
    let out = bash.args(["-c", &format!("printf '%s\\0' {command}")]).output().expect("bash");
    text(&out.stdout).split_terminator('\0').map(str::to_owned).collect()
}

/// Containers of several hosts whose cgroups all have the path `/`.
#[test]
fn who_only_shares_the_path_of_a_cgroup_is_no_container_of_it() {
    let host = made(10, |i, one| {
        one["host"] = format!("node-{}", i % 2).into();
        one["victim"]["cgroup"] = "/".into();
        one["victim"]["pod"] = Value::Null;
        one["victim"]["container"] = match i % 5 {
            0 => Value::Null,
            n => {
                let image = format!("registry.example/app-{n}:1");
                json!({"id": format!("{n:064x}"), "runtime": "docker", "name": format!("c{n}"), "image": image})
            }
        };
    });
    let found = |args: &[&str]| text(&host.types(&[&["list", "-o", "json"], args].concat()).stdout);
    for filter in
        [["--container", "c1"], ["--image", "app-1"], ["--container", &format!("{:064x}", 1)]]
    {
        let found = found(&filter);
        assert_eq!(found.lines().count(), 2, "{filter:?}");
        for one in found.lines() {
            let one: Value = serde_json::from_str(one).expect("JSON");
            assert_eq!(one["victim"]["container"]["name"], "c1");
        }
    }
    assert_eq!(found(&["--cgroup", "/"]).lines().count(), 10);
    assert_eq!(found(&["--not-container", "c1"]).lines().count(), 8);
    let stats = text(&host.types(&["stats", "--by", "container", "-o", "json"]).stdout);
    let rows: Vec<Value> =
        stats.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    let mut counted: Vec<(&str, u64)> = rows
        .iter()
        .map(|row| {
            (row["name"].as_str().expect("text"), row["incidents"].as_u64().expect("so many"))
        })
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, [("c1", 2), ("c2", 2), ("c3", 2), ("c4", 2)]);
}

/// What is copied from a table, or from an error, is found: names that act on a terminal are printed escaped.
#[test]
fn a_name_is_found_as_it_is_printed() {
    let names = ["x\ny", "a\\b", "-x", "\u{1b}[2Jgeo", "long\n\n\n\n\n\nname"];
    let host = made(names.len() * 2, |i, one| {
        one["victim"]["comm"] = names[i % names.len()].into();
        one["victim"]["thread_comm"] = Value::Null;
    });
    let csv = text(&host.types(&["list", "-o", "json"]).stdout);
    assert_eq!(csv.lines().count(), names.len() * 2);
    for name in names {
        let printed: String = whybus::text::escape::escape(name.as_bytes());
        for typed in [name, &printed] {
            let found =
                text(&host.types(&["list", "-o", "json", &format!("--comm={typed}")]).stdout);
            assert_eq!(found.lines().count(), 2, "{typed:?}");
            if !typed.starts_with('-') {
                let (status, said) = host.says(&["why", "-o", "json", typed]);
                assert_eq!(status, Some(0), "{typed:?}: {said}");
            }
        }
        // What is offered is what a shell gives back.
        let (_, said) = host.says(&["why", &format!("--comm={name}")]);
        if let Some(line) = said.lines().find(|line| line.contains("whybus list --comm")) {
            let (_, list) = line.split_once("whybus ").expect("found above");
            let words = words(list);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(text(&host.types(&words).stdout).lines().count(), 3, "{line}");
        }
    }
    let (status, said) = host.says(&["why", r"x\nz"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(r"nothing is recorded of `x\nz`"), "{said}");
    assert!(said.contains(r"nearest: x\ny"), "{said}");
    let (_, said) = host.says(&["list", "--comm", r"x\nz"]);
    assert!(said.contains(r"--comm 'x\nz'; nearest: x\ny"), "{said}");
    let (_, said) = host.says(&["list", "--comm=-y", "--not-comm", "nothing"]);
    assert!(said.contains("without --comm=-y 10 match"), "{said}");
}

/// A name that is typed is not also what is printed of another.
#[test]
fn a_name_has_one_reading() {
    let names = ["x\ny", "x\\ny", "other"];
    let host = made(3, |i, one| {
        one["victim"]["comm"] = names[i].into();
        one["victim"]["thread_comm"] = Value::Null;
    });
    let found = |args: &[&str]| -> Vec<String> {
        let found = text(&host.types(&[&["list", "-o", "json"], args].concat()).stdout);
        let comm = |one: &str| -> Value {
            serde_json::from_str::<Value>(one).expect("JSON")["victim"]["comm"].clone()
        };
        found.lines().map(|one| comm(one).as_str().expect("text").to_owned()).collect()
    };
    let typed = r"x\ny";
    assert_eq!(found(&["--comm", typed]), ["x\\ny"]);
    assert_eq!(found(&["--not-comm", typed]), ["x\ny", "other"]);
    for left in [&["x\ny", "other"][..], &["other"]] {
        let (status, said) = host.says(&["forget", "--comm", typed]);
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(found(&[]), left, "{said}");
    }
}

/// The kernel keeps 15 bytes of a name, however long what is printed of it is.
#[test]
fn a_long_name_is_cut_where_the_kernel_cuts_it() {
    let host = made(1, |_, one| {
        one["victim"]["comm"] = "\u{1b}[2Jlong-worker".into();
        one["victim"]["thread_comm"] = Value::Null;
    });
    for typed in [r"\x1b[2Jlong-worker", r"\x1b[2Jlong-worker-of-mine"] {
        let (status, said) = host.says(&["why", typed]);
        assert_eq!(status, Some(0), "{typed}: {said}");
    }
}

/// A host without a name is `-` in a table, in a hint and to `--host`.
#[test]
fn a_host_without_a_name_has_one_word() {
    let hosts = ["(none)", "db-7", ""];
    let host = made(6, |i, one| one["host"] = hosts[i % 3].into());
    for (asked, count) in [("-", 4), ("(none)", 4), ("", 4), ("db-7", 2)] {
        let found = text(&host.types(&["list", "-o", "json", "--host", asked]).stdout);
        assert_eq!(found.lines().count(), count, "{asked}");
    }
    let table = text(&host.types(&["list"]).stdout);
    assert!(
        table.lines().skip(1).all(|line| line.contains(" -  ") || line.contains(" db-7  ")),
        "{table}"
    );
    let (status, said) = host.says(&["list", "--host", "web-1"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("recorded: -, db-7"), "{said}");
    assert!(!said.contains("(none)"), "{said}");
}

/// A table lists what was asked for, and says which of it stands below; no words promise more than `-n` does.
#[test]
fn how_many_stories_are_told_is_said() {
    let host = Host::new();
    let (_, said) = host.says(&["why", "-n", "2"]);
    let (table, rest) = said.split_once("the newest in full below").expect("a table");
    assert_eq!(table.lines().count(), 3, "{said}");
    let newest =
        table.lines().nth(1).expect("a row").split_whitespace().find(|word| word.contains('['));
    let told = rest.lines().find(|line| line.starts_with("What happened: ")).expect("a story");
    assert!(told.contains(newest.expect("a victim")), "{said}");
    assert_eq!(said.matches("\nWhat happened: ").count(), 1, "{said}");
    assert!(said.contains("more stories match: -n 0 lists all"), "{said}");
    let all = host.says(&["why", "-n", "0"]).1;
    assert!(!all.contains("stories match"), "{all}");
}

/// At 80 columns how it ended and why are whole, and files that end alike are told apart; a warning has its age.
#[test]
fn a_narrow_table_shows_what_tells_apart() {
    let host = Host::new();
    let at = |columns: &str, args: &[&str]| {
        let mut command = whybus(args);
        command.arg("--state-dir").arg(host.state()).env("COLUMNS", columns).env("TZ", "UTC");
        text(&command.output().expect("whybus runs").stdout)
    };
    let all = text(&host.types(&["list", "-n", "0", "-o", "csv", "--columns", "how,cause"]).stdout);
    let whole: Vec<String> = all
        .lines()
        .skip(1)
        .flat_map(|line| line.split(','))
        .map(|word| word.trim_matches('"').trim().to_owned())
        .collect();
    let list = at("80", &["list", "-n", "14"]);
    for line in list.lines().skip(1) {
        assert!(line.chars().count() <= 80, "{line}");
        let cause =
            line.split("  ").map(str::trim).filter(|cell| whole.iter().any(|one| one == cell));
        assert!(cause.count() >= 1, "{line}");
        assert!(!line.contains("SIGBUS…") && !line.contains("mapped-past-…"), "{line}");
    }
    assert!(list.contains("SIGBUS, survived  mapped-past-end"), "{list}");
    let warnings = at("80", &["list", "--warnings", "-n", "6"]);
    assert!(warnings.starts_with("AGE  FILE"), "{warnings}");
    let files: Vec<&str> =
        warnings.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    for (i, file) in files.iter().enumerate() {
        assert!(!files[..i].contains(file), "{warnings}");
    }
    assert!(at("80", &["list", "--warnings", "--utc"]).starts_with("TIME (UTC) "));
    let hostile = made(1, |_, one| one["victim"]["comm"] = "\u{1b}\u{1b}\u{1b}\u{1b}geo".into());
    let mut narrow = whybus(["list", "--state-dir"]);
    narrow.arg(hostile.state()).env("COLUMNS", "60");
    let shown = text(&narrow.output().expect("whybus runs").stdout);
    assert!(shown.contains("geo["), "{shown}");
}

/// Columns that have no room to be read say so, and what to do.
#[test]
fn too_many_columns_say_so() {
    let host = Host::new();
    let every =
        "id,time,age,host,victim,unit,how,cause,file,by,uid,cgroup,container,restart,signature";
    let said = |width: &str, columns: &str| {
        let mut command = whybus(["list", "-n", "3", "--columns", columns, "--state-dir"]);
        command.arg(host.state()).env("COLUMNS", width);
        text(&command.output().expect("whybus runs").stderr)
    };
    let told = said("80", every);
    let wide = told.split("a terminal ").nth(1).and_then(|rest| rest.split(' ').next());
    let wide = wide.unwrap_or_else(|| panic!("{told}"));
    assert!(told.starts_with("15 columns need "), "{told}");
    assert!(
        told.split_whitespace().collect::<Vec<_>>().join(" ").contains("use -o csv or -o json"),
        "{told}"
    );
    assert!(!said(wide, every).contains("need a terminal"), "{wide} is enough");
    assert!(!said("80", "id,age,victim,how,cause").contains("need a terminal"));
}

/// A process may have no name, and a sentence has no hole for that; what is printed is found.
#[test]
fn a_process_without_a_name_is_called_that() {
    let host = made(4, |i, one| {
        one["victim"]["comm"] = ["", "  "][i % 2].into();
        one["victim"]["thread_comm"] = Value::Null;
    });
    for args in
        [&["list"][..], &["list", "-o", "oneline"], &["why"], &["why", "-o", "oneline"], &["stats"]]
    {
        let (status, said) = host.says(args);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("(no name)"), "{args:?}: {said}");
        assert!(said.contains("'  '"), "{args:?}: {said}");
        assert!(!said.contains(" [") && !said.contains("\n["), "{args:?}: {said}");
    }
    for asked in ["(no name)", "", "  ", "'  '"] {
        let found = text(&host.types(&["list", "-o", "json", "--comm", asked]).stdout);
        assert_eq!(found.lines().count(), 2, "{asked:?}");
    }
    for asked in ["(no name)", "'  '"] {
        assert_eq!(host.says(&["why", asked]).0, Some(0), "{asked}");
    }
}

/// The end of a recording is that of its watch, and of a copied history it is said what is not known.
#[test]
fn a_recording_and_a_copy_are_told_as_that() {
    let stream = common::recorded("deaths", "stream");
    let replay = whybus(["replay", "--utc"]).arg(&stream).output().expect("whybus runs");
    let last = text(&replay.stderr);
    let last = last.lines().find(|line| line.contains(" after 20.1 s")).expect("an end");
    assert!(last.starts_with("the watch was terminated after "), "{last}");
    let (status, said) = Host::new().says(&["status"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.starts_with("NOT RECORDING: this is a copied history, of "), "{said}");
    assert!(said.contains(" incidents from 2026-") && !said.contains("last 24 hours"), "{said}");
}

/// Containers that come while a list is followed are told from those that are shown.
#[test]
fn a_followed_list_tells_containers_apart() {
    use std::io::{BufRead as _, BufReader};
    let inside = |digit: usize, one: &mut Value| {
        let id = format!("{}{digit:02}", "0123456789abcdef".repeat(4).split_at(62).0);
        one["victim"]["cgroup"] = format!("/docker/{id}").into();
        one["victim"]["pod"] = Value::Null;
        let (name, image) = (Value::Null, Value::Null);
        one["victim"]["container"] =
            json!({"id": id, "runtime": "docker", "name": name, "image": image});
    };
    let host = made(1, |_, one| inside(1, one));
    let mut follow = whybus(["list", "-f", "--columns", "container", "--state-dir"]);
    follow.arg(host.state()).stdout(std::process::Stdio::piped());
    let mut child = follow.spawn().expect("whybus runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a head").expect("text").trim(), "CONTAINER");
    assert_eq!(lines.next().expect("one").expect("text").trim(), "0123456789ab");
    let other = made(2, |i, one| inside(i + 1, one));
    let all = other.types(&["export"]);
    let file = host.0.path().join("more.json");
    fs::write(&file, &all.stdout).expect("room");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    let new = lines.next().expect("one more").expect("text");
    assert!(new.ends_with("02"), "{new}");
    drop(lines);
    child.kill().expect("ours");
    child.wait().expect("ours");
}

/// Hosts of one domain are told apart where their names are cut.
#[test]
fn a_host_that_is_cut_is_told_apart() {
    let hosts = ["prod-eu-west-1-db-07.example.com", "prod-eu-west-1-db-08.example.com", "(none)"];
    let host = made(3, |i, one| one["host"] = hosts[i].into());
    let mut narrow = whybus(["list", "--state-dir"]);
    narrow.arg(host.state()).env("COLUMNS", "80");
    let shown = text(&narrow.output().expect("whybus runs").stdout);
    for name in ["  …07…  ", "  …08…  ", "  -  "] {
        assert!(shown.contains(name), "{shown}");
    }
}

/// What nobody counted is no 0, which a monitor would take for an all-clear.
#[test]
fn what_was_lost_is_null_where_it_is_not_known() {
    let host = Host::new();
    let found = host.types(&["status", "-o", "json"]);
    let found: Value = serde_json::from_slice(&found.stdout).expect("JSON");
    assert_eq!((&found["lost"], &found["unwatched_ns"]), (&Value::Null, &Value::Null));
    assert_eq!(found["lost_unknown"], "a copied history does not say");
    let (_, said) = host.says(&["status"]);
    assert!(said.contains("\n  lost     not known: a copied history does not say\n"), "{said}");
    // As docs/json.md exports it.
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
    let docs = fs::read_to_string(docs).expect("a page");
    let metrics = docs.lines().find(|line| line.contains("whybus_lost_in_24h")).expect("a line");
    assert!(metrics.contains(r#"\(.lost // "NaN")"#), "{metrics}");
}

/// Each table of `stats` accounts for all incidents: those in its rows, and those in none.
#[test]
fn tables_of_stats_add_up() {
    let host = Host::new();
    let all = text(&host.types(&["list", "-n", "0", "-o", "json"]).stdout).lines().count() as u64;
    let mut without = 0;
    for by in ["cause", "file", "culprit", "victim", "unit"] {
        let out = host.types(&["stats", "--by", by, "-n", "0", "-o", "json"]);
        let rows = text(&out.stdout);
        let rows = rows.lines().map(|row| serde_json::from_str::<Value>(row).expect("JSON"));
        let known: u64 = rows.map(|row| row["incidents"].as_u64().expect("so many")).sum();
        let said = text(&out.stderr);
        let none = said.strip_prefix(&format!("{by}: ")).and_then(|said| said.split(' ').next());
        let none = none.map_or(0, |none| none.parse::<u64>().expect("so many"));
        assert_eq!(known + none, all, "{by}: {said}");
        without += u64::from(none != 0);
    }
    assert_eq!(without, 3, "file, culprit and unit");
    let said = text(&host.types(&["stats", "--by", "file"]).stderr);
    assert_eq!(said, "file: 12 have none\n");
    // A table without a row is not said to have more, and one that nobody expects a row of says nothing.
    let said = text(&host.types(&["stats"]).stderr);
    assert!(said.contains("\nsignature: 104 have no stack "), "{said}");
    assert!(!said.contains(" more ") && !said.contains("container: "), "{said}");
}

/// One long name does not pad each row of a table that a program reads, and stands there whole.
#[test]
fn one_long_name_widens_its_own_row_alone() {
    let long = format!("/srv/{}", "n".repeat(3_000));
    let host = made(9, |i, one| {
        if i == 4 {
            one["file"]["path"] = long.clone().into();
        }
    });
    for args in [&["list", "-n", "0"][..], &["stats", "--by", "file"]] {
        let shown = text(&host.types(args).stdout);
        let (wide, others): (Vec<&str>, Vec<&str>) =
            shown.lines().partition(|line| line.contains(&long));
        assert_eq!(wide.len(), 1, "{shown}");
        let widest = others.iter().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest < 200), "{widest:?}");
        // What stands behind it is whole, too.
        let last = |line: &str| line.split("  ").last().map(str::trim).map(str::to_owned);
        assert!(last(wide[0]).is_some_and(|last| !last.contains('…')), "{}", wide[0]);
    }
}

/// Of a class that is given in a list as of one that is given twice; a warning is one of a truncation.
#[test]
fn classes_come_in_lists() {
    let stream = recorded("newest", "stream");
    let lines = |args: &[&str]| {
        let out = whybus(["replay", "-o", "oneline"]).args(args).arg(&stream).output();
        text(&out.expect("whybus runs").stdout).lines().count()
    };
    let (listed, twice) = (
        lines(&["--class", "truncated,quota"]),
        lines(&["--class", "truncated", "--class", "quota"]),
    );
    assert!(listed > 50 && listed == twice, "{listed} and {twice}");
    let (all, none) = (lines(&[]), lines(&["--no-warnings"]));
    let warnings = all - none;
    let without = lines(&["--not-class", "truncated"]);
    assert!(warnings > 10, "{warnings}");
    assert_eq!(without, lines(&["--not-class", "truncated", "--no-warnings"]));
    let with = lines(&["--class", "truncated"]);
    assert_eq!(with - lines(&["--class", "truncated", "--no-warnings"]), warnings);
}

/// Where nothing can come, whoever waits for it is told so.
#[test]
fn who_follows_what_nobody_records_is_told() {
    use std::io::{BufRead as _, BufReader};
    let host = Host::new();
    let mut follow = whybus(["list", "-f", "-n", "1", "--state-dir"]);
    follow.arg(host.state()).stdout(std::process::Stdio::piped());
    let mut child = follow.stderr(std::process::Stdio::piped()).spawn().expect("whybus runs");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let said = lines.next().expect("a line").expect("text");
    assert!(said.starts_with("this is a copy of the history of "), "{said}");
    assert!(said.ends_with(" is not in it; waiting all the same"), "{said}");
    assert!(child.try_wait().expect("ours").is_none(), "it waits");
    child.kill().expect("ours");
    child.wait().expect("ours");
}

/// No tip contradicts itself.
#[test]
fn tips_lead_on() {
    let host = Host::new();
    let (status, said) = host.says(&["why", "--", "--all"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("behind `--` is not a flag: put `--state-dir` before it"), "{said}");
    let said = whybus(["--state-dir", "/nonexistent", "list"]).output().expect("whybus runs");
    let said = text(&said.stderr);
    assert!(
        said.contains("put `--state-dir` behind the verb: `whybus list --state-dir …`"),
        "{said}"
    );
    assert!(!said.contains("not of `why`"), "{said}");
    let list = text(&host.types(&["list", "-n", "1", "--columns", "id", "--no-header"]).stdout);
    let id = list.trim();
    for short in [&id[..3], "01"] {
        let (status, said) = host.says(&["show", short]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(" is too short for an id: give 4 digits or more"), "{said}");
    }
    // As ids are abbreviated by hand, or copied from where they are cut.
    for dots in ["...", "…"] {
        let (status, said) = host.says(&["show", &format!("{id}{dots}"), "-o", "oneline"]);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains(id), "{said}");
        let (_, said) = host.says(&["show", &format!("ffff0000{dots}")]);
        assert!(
            said.contains("`ffff0000` (4 digits or more)") && !said.contains("`whybus why"),
            "{said}"
        );
    }
    let (status, said) = host.says(&["list", "-n", "1", "--columns", "id, victim"]);
    assert!(status == Some(0) && said.starts_with("ID             VICTIM\n"), "{said}");
    let (_, said) = host.says(&["list", "--columns", "id, victm"]);
    assert!(said.contains("a similar value exists: 'victim'"), "{said}");
}

/// What a copied history does not know of a story, in plain words.
#[test]
fn what_a_copy_does_not_know_of_a_story() {
    let host = Host::new();
    let (_, said) = host.says(&["why", "reader"]);
    let restarts = said.lines().find(|line| line.starts_with("  restarts ")).expect(&said);
    assert_eq!(
        restarts.trim(),
        "restarts  not known: a copied history does not say how long it was watched"
    );
    let history = said.lines().find(|line| line.starts_with("  history ")).expect(&said);
    assert!(history.contains(" in the same boot (its host has no name)"), "{history}");
    let unknown = "(a copied history does not say how much of that was watched)";
    assert!(history.contains(unknown), "{history}");
}

/// What is counted of all that was watched is not said beside a part of it.
#[test]
fn warnings_that_were_left_out_are_not_said_of_a_part() {
    let stream = common::recorded("newest", "stream");
    let said = |args: &[&str]| text(&common::replay(args, &stream).stderr);
    assert!(said(&[]).contains(" shrinks not warned about "));
    for filter in [&["--comm", "reader"][..], &["--since", "2020-01-01"]] {
        let said = said(filter);
        assert!(said.contains(" proven, ") && !said.contains("not warned"), "{said}");
    }
}

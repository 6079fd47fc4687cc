//! What newcomers stumbled over, each as it was typed.
mod common;
use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use common::{Host, recorded, text, whybus};
use serde_json::Value;
use whybus::{host::here::here, text::format::rfc3339};

/// A history with more incidents, made of a recorded one by `change`.
fn taken(host: &Host, how_many: usize, change: impl Fn(usize, &mut Value)) {
    let first = text(&host.types(&["list", "-n", "1", "-o", "json", "--comm", "reader"]).stdout);
    let first: Value = serde_json::from_str(&first).expect("JSON");
    let line = |i: usize| {
        let mut one = first.clone();
        one["id"] = format!("019aa4d2-6f31-7ab0-8def-{i:012}").into();
        one["boot_ns"] = (1_000_000_000 * (i + 1)).into();
        change(i, &mut one);
        format!("{one}\n")
    };
    let file = host.0.path().join("taken.json");
    fs::write(&file, (0..how_many).map(line).collect::<String>()).expect("room");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
}

/// Where the victim has its file, and what the culprit calls it, in the words that `show` has.
#[test]
fn why_and_show_tell_the_same_of_names() {
    let host = Host::new();
    let all = text(&host.types(&["list", "-n", "0", "-o", "json"]).stdout);
    let mut seen = [0, 0];
    for one in all.lines() {
        let one: Value = serde_json::from_str(one).expect("JSON");
        let id = one["id"].as_str().expect("an id");
        let shown = host.says(&["show", id]).1;
        let told = ["as the victim sees it, mounted at ", "its path for the file: "];
        for (i, begins) in told.into_iter().enumerate() {
            let Some(line) = shown.lines().find(|line| line.contains(begins)) else { continue };
            let (_, why) = host.says(&["why", id]);
            assert!(why.contains(line.trim()), "{line}\n{why}");
            seen[i] += 1;
        }
        if seen[0] > 1 && seen[1] > 1 {
            return;
        }
    }
    panic!("too few of either: {seen:?}");
}

/// What is left out of a table, a list of ids or a cell is said.
#[test]
fn what_is_left_out_is_said() {
    let host = Host::new();
    let (_, said) = host.says(&["stats", "--by", "file", "-n", "3"]);
    let more = said.lines().find_map(|line| {
        line.trim().strip_prefix("and ").and_then(|rest| rest.strip_suffix(" more: -n 0 for all"))
    });
    let more: usize = more.and_then(|more| more.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    let all = text(&host.types(&["stats", "--by", "file", "-n", "0", "-o", "json"]).stdout);
    assert_eq!(all.lines().count(), 3 + more);
    let csv = host.types(&["stats", "--by", "file", "-n", "3", "-o", "csv"]);
    assert_eq!(text(&csv.stdout).lines().count(), 4);
    assert_eq!(text(&csv.stderr), format!("file: {more} more: -n 0 for all\nfile: 12 have none\n"));
    taken(&host, 30, |_, _| {});
    for verb in ["why", "show"] {
        let (status, said) = host.says(&[verb, "019aa4d2"]);
        assert_eq!((status, said.lines().count()), (Some(2), 13), "{said}");
        assert!(said.ends_with("\nand 20 more\n"), "{said}");
        // A table, the newest first.
        let ids: Vec<&str> =
            said.lines().skip(2).take(10).filter_map(|line| line.split(' ').next()).collect();
        assert!(said.lines().nth(1).is_some_and(|head| head.starts_with("ID ")), "{said}");
        assert!(ids.iter().rev().is_sorted() && ids[0].ends_with("29"), "{said}");
    }
    let mut narrow = whybus(["list", "--warnings", "-n", "0", "--no-header", "--state-dir"]);
    narrow.arg(host.state()).env("COLUMNS", "78");
    for line in text(&narrow.output().expect("whybus runs").stdout).lines() {
        let at_risk = line.rsplit("  ").next().expect("a cell");
        assert_eq!(at_risk.matches('[').count(), at_risk.matches(']').count(), "{line}");
    }
}

/// `geo-api[1234]` and `#3` are what is printed.
#[test]
fn what_is_printed_is_understood() {
    let host = Host::new();
    let one = text(&host.types(&["list", "-n", "1", "-o", "json", "--comm", "reader"]).stdout);
    let one: Value = serde_json::from_str(&one).expect("JSON");
    let pid = one["victim"]["pid"].as_u64().expect("a pid");
    let (status, said) = host.says(&["why", &format!("reader[{pid}]"), "-o", "json"]);
    assert_eq!(status, Some(0), "{said}");
    let told: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!(told["incident"]["victim"]["pid"], pid);
    assert_eq!(told["incident"]["victim"]["comm"], "reader");
    assert_eq!(host.says(&["why", &format!("cp[{pid}]")]).0, Some(1));
    let (status, said) = host.says(&["why", "#3"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("`#3` counts within one watch"), "{said}");
}

/// An input that is none is 66, and leaves nothing behind; a saved stream goes by way of `replay`.
#[test]
fn an_input_that_is_none_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("state");
    let import = |file: &std::path::Path| {
        let mut command = whybus(["import", "--state-dir"]);
        let out = command.arg(&state).arg(file).output().expect("whybus runs");
        (out.status.code(), text(&out.stderr))
    };
    let junk = dir.path().join("junk");
    fs::write(&junk, "{}\nnot JSON\n").expect("room");
    let stream = recorded("newest", "stream");
    for (file, says) in [
        (dir.path(), "Is a directory"),
        (&junk, "2 lines skipped: not whybus records"),
        (&stream, "whybus replay -o json "),
    ] {
        let (status, said) = import(file);
        assert_eq!(status, Some(66), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!state.exists(), "{said}");
    }
    // As it says.
    let command = format!(
        "{0} replay -o json {1} | {0} import --state-dir {2}",
        env!("CARGO_BIN_EXE_whybus"),
        stream.display(),
        state.display()
    );
    let mut shell = std::process::Command::new("sh");
    let out = shell.args(["-c", &command]).output().expect("sh runs");
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(state.join("history.db").exists());
}

/// Words that were typed instead of flags: what to type instead.
#[test]
fn words_instead_of_flags_are_understood() {
    let host = Host::new();
    for (typed, instead) in [
        (&["list", "geo-api"][..], "whybus list --comm geo-api"),
        (&["list", "-n", "3", "1234"], "whybus list -n 3 --pid 1234"),
        (&["stats", "/srv/a b"], "whybus stats --path '/srv/a b'"),
        (&["trace", "1234"], "whybus trace --pid 1234"),
        (&["trace", "ls", "-l"], "whybus trace -- ls -l"),
        (&["list", "a", "--state-dir", "x"], "whybus why a --state-dir x"),
        (&["export", "geo.service"], "whybus export --unit geo.service"),
        (&["forget", "geo-api[7]"], "whybus forget --comm geo-api --pid 7"),
        (&["list", "geo-api"], "whybus why geo-api"),
        (&["list", "SIGBUS"], "whybus list --exit SIGBUS"),
        (&["stats", "truncated"], "whybus why --class truncated"),
    ] {
        let out = whybus(typed).output().expect("whybus runs");
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("`{instead}`")), "{said}");
    }
    let (status, said) = host.says(&["show", "geo-api"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("`whybus why geo-api"), "{said}");
}

/// SIGSEGV that a handler ended with status 2 is not only a status.
#[test]
fn a_signal_has_its_name_in_a_story() {
    let host = Host::new();
    taken(&host, 2, |_, one| {
        one["victim"]["comm"] = "geo-crash".into();
        one["cause"]["class"] = "signal".into();
        let signal = serde_json::json!({"number": 11, "name": "SIGSEGV", "code": 1,
            "code_name": "SEGV_MAPERR", "address": "0x1000", "disposition": "handler"});
        (one["signal"], one["outcome"]) = (signal, "exited".into());
        one["exit"]["signal"] = Value::Null;
        one["exit"]["code"] = 2.into();
    });
    let (_, said) = host.says(&["why", "geo-crash"]);
    assert!(said.contains("always signal (SIGSEGV, status 2)"), "{said}");
    let (_, line) = host.says(&["why", "geo-crash", "-o", "oneline"]);
    assert!(line.contains("always signal (SIGSEGV, status 2)"), "{line}");
}

/// What would go is all that goes.
#[test]
fn what_would_be_forgotten_is_counted() {
    let host = Host::new();
    let warnings = text(&host.types(&["list", "--warnings", "-n", "0", "-o", "json"]).stdout);
    let (_, said) = host.says(&["forget", "--all", "--dry-run"]);
    let warnings = format!(" and {} warnings would be forgotten\n", warnings.lines().count());
    assert!(said.ends_with(&warnings), "{said}");
    let (_, went) = host.says(&["forget", "--all"]);
    let counts = said.strip_suffix(" would be forgotten\n").expect("counts");
    assert!(went.starts_with(&format!("{counts} forgotten; ")), "{said}{went}");
}

/// Whoever asked for memory before an OOM kill triggered it, and is nobody's culprit.
#[test]
fn who_triggers_an_oom_kill_is_no_culprit() {
    let host = Host::new();
    taken(&host, 3, |_, one| {
        one["cause"]["culprit"] = one["victim"].clone();
        one["cause"]["culprit"]["comm"] = "asker".into();
        one["cause"]["class"] = "oom-killed".into();
    });
    let culprits = host.says(&["stats", "--by", "culprit", "-n", "0"]).1;
    assert!(culprits.contains(" cp ") && !culprits.contains("asker"), "{culprits}");
    assert!(host.says(&["stats", "--by", "cause"]).1.contains("oom-killed"));
    // Asked for by name it is found, as what it is.
    assert_eq!(host.says(&["list", "--by-comm", "asker"]).0, Some(0));
}

/// A history of another host is told as that: whether a recorder runs there is not known, and its log is not here.
#[test]
fn an_imported_history_is_of_its_host() {
    let host = Host::new();
    taken(&host, 1, |_, one| {
        one["victim"]["comm"] = "geo-far".into();
        one["host"] = "node-7".into();
        one["boot_id"] = "01234567-89ab-cdef-0123-456789abcdef".into();
    });
    let (_, said) = host.says(&["why", "geo-far"]);
    assert!(said.starts_with("geo-far") && said.contains(" on host node-7: died once"), "{said}");
    let log = "on node-7: journalctl _PID=";
    assert!(said.contains(log) && said.contains(" _BOOT_ID=0123456789abcdef"), "{said}");
    let of =
        "\nthis is a copy of the history of 2 other hosts: what happens there now is not in it\n";
    assert!(said.ends_with(of), "{said}");
    let (status, said) = host.says(&["status"]);
    assert_eq!(status, Some(1), "{said}");
    let of = "NOT RECORDING: this is a copied history, of 2 other hosts; whether a recorder runs there, ";
    assert!(said.starts_with(of) && !said.contains("no recorder is running"), "{said}");
    assert!(!said.contains("systemctl start"), "{said}");
    assert!(said.contains("\n  lost     not known: a copied history does not say\n"), "{said}");
    // Nor does anybody here know when somebody was watching there.
    let (_, said) = host.says(&["why", "geo-far"]);
    let history = said.lines().find(|line| line.starts_with("  history ")).expect(&said);
    assert!(history.contains("nothing was recorded of its host before"), "{history}");
    let (_, said) = host.says(&["why", "reader"]);
    let unknown = "a copied history does not say how much of that was watched";
    assert!(said.contains(unknown) && !said.contains("  changed "), "{said}");
    // Of this host it is as it was.
    taken(&host, 1, |_, one| {
        one["id"] = "019aa4d2-6f31-7ab0-8def-ffffffffffff".into();
        one["victim"]["comm"] = "geo-near".into();
        let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        one["host"] = read("hostname").expect("a name").trim().into();
        one["boot_id"] = read("random/boot_id").expect("an id").trim().into();
    });
    let (_, said) = host.says(&["why", "geo-near"]);
    assert!(said.contains("  next      journalctl _PID="), "{said}");
    assert!(said.contains("\nrecorder not running: new incidents"), "{said}");
    let (_, said) = host.says(&["status"]);
    assert!(said.contains("\n  fix      whybus record --state-dir "), "{said}");
}

/// Words for signals, statuses and classes are no names: the command that was meant is there to be typed.
#[test]
fn words_that_are_no_names_are_understood() {
    let host = Host::new();
    let flags = format!(" --state-dir {}", host.state().display());
    for (word, commands) in [
        ("SIGBUS", &["--exit SIGBUS", "--class bus-errors"][..]),
        ("139", &["--exit SIGSEGV", "--class signal"]),
        ("truncated", &["--class truncated"]),
        ("OOM", &["--class oom-killed"]),
    ] {
        let (status, said) = host.says(&["why", word]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.starts_with(&format!("nothing of the name `{word}` is recorded: ")), "{said}");
        assert_eq!(said.matches("`whybus why ").count(), commands.len(), "{said}");
        for command in commands {
            assert!(said.contains(&format!("`whybus why {command}{flags}`")), "{said}");
            let filter: Vec<&str> = ["list"].into_iter().chain(command.split(' ')).collect();
            assert!(matches!(host.says(&filter).0, Some(0 | 1)));
        }
    }
}

/// What outlived a bus error, or exited after it, did not end by SIGBUS: another word has all of them.
#[test]
fn every_bus_error_is_found_however_it_ended() {
    let host = Host::new();
    let file = recorded("deaths", "json");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    let count = |args: &[&str]| {
        let all = [&["list", "-n", "0", "-o", "json"], args].concat();
        let out = text(&host.types(&all).stdout);
        let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.collect::<Vec<_>>()
    };
    let all = count(&["--class", "bus-errors"]);
    let others = count(&["--not-class", "bus-errors"]);
    assert_eq!(all.len() + others.len(), count(&[]).len());
    let killed = count(&["--class", "bus-errors", "--exit", "SIGBUS"]);
    assert!(!killed.is_empty() && killed.len() < all.len());
    let outlived = all.iter().filter(|one| one["outcome"] == "survived").count();
    assert!(outlived > 1, "{outlived}");
    let other = ["signal", "aborted", "exited", "oom-killed", "overwritten", "sent"];
    assert!(!others.is_empty());
    for (ones, is) in [(&all, false), (&others, true)] {
        for one in ones {
            let class = one["cause"]["class"].as_str().expect("a class");
            assert_eq!(other.contains(&class), is, "{class}");
        }
    }
}

/// What is no incident by design is no typing mistake.
#[test]
fn what_is_not_recorded_by_design_is_said() {
    let host = Host::new();
    let (status, said) = host.says(&["why", "nightly-batch"]);
    assert_eq!(status, Some(1), "{said}");
    for part in ["RuntimeMaxSec=", "`whybus record --exits all`", "SIGPIPE", "status 0"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let asked = said.split("`whybus record ").nth(2).and_then(|rest| rest.split('`').next());
    let words = ["trace"].into_iter().chain(asked.expect("a command").split(' '));
    let out = whybus(words.chain(["--help"])).output().expect("whybus runs");
    assert!(out.status.success());
}

/// Times are shown where they are asked for; what is not known stands last in every order; stories can be told apart.
#[test]
fn a_table_shows_what_was_asked_for() {
    let host = Host::new();
    let at = |columns: &str, args: &[&str]| {
        let mut command = whybus(args);
        command.arg("--state-dir").arg(host.state()).env("COLUMNS", columns).env("TZ", "UTC");
        text(&command.output().expect("whybus runs").stdout)
    };
    assert!(at("80", &["list"]).lines().next().expect("a head").contains(" AGE "));
    for asked in [&["list", "--utc"][..], &["list", "--since", "2026-01-01"]] {
        let shown = at("80", asked);
        assert!(shown.lines().next().expect("a head").contains("TIME (UTC)"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }
    for order in [&["--sort", "by"][..], &["--sort", "by", "--reverse"]] {
        let all = [&["list", "-n", "0", "--no-header", "--columns", "by", "--class", "*"], order]
            .concat();
        let shown = text(&host.types(&all).stdout);
        let unknown: Vec<bool> = shown.lines().map(|line| line.trim() == "-").collect();
        assert!(unknown.contains(&true) && unknown.is_sorted(), "{shown}");
    }
    for columns in ["100", "140"] {
        let shown = at(columns, &["why", "reader", "--class", "truncated"]);
        let (table, _) = shown.split_once("\n\n").expect("a table");
        // Below it is how to see one in full, where the command has no room.
        let (table, _) = table.split_once("\nthe newest in full below").expect("and its end");
        let rows: Vec<&str> = table.lines().skip(1).collect();
        // But for the id, or the command with it.
        let cut = |row: &str| {
            row.split("whybus why")
                .next()
                .and_then(|row| row.rsplit_once("  "))
                .expect("a row")
                .0
                .to_owned()
        };
        let mut told: Vec<String> = rows.iter().map(|row| cut(row)).collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), rows.len(), "{table}");
        assert!(
            rows.len() == 10 && table.contains(" FILE ") && !table.contains(" UNIT "),
            "{table}"
        );
    }
}

/// Who handled a signal and exited has the status of that exit: whoever asks for the signal is told of those, too.
#[test]
fn who_caught_a_signal_is_not_passed_over() {
    let host = Host::new();
    let file = recorded("deaths", "json");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    for (args, status) in [
        (&["list", "--exit", "SIGSEGV", "--comm", "cgo-worker"][..], Some(1)),
        (&["why", "--exit", "SIGSEGV", "--comm", "cgo-worker"], Some(1)),
        (&["list", "--exit", "SIGSEGV", "--since", "2026-01-01"], None),
        (&["list", "--exit", "SIGBUS"], Some(0)),
    ] {
        let (is, said) = host.says(args);
        assert!(status.is_none_or(|status| is == Some(status)), "{args:?}: {said}");
        let of_it = |line: &&str| {
            line.contains(" more had SIG") || line.contains(" ended no process by SIG")
        };
        let line = said.lines().find(of_it).expect(&said);
        let command = line.split('`').nth(1).expect("a command");
        let kept = [args[3..].join(" "), format!("--state-dir {}", host.state().display())];
        assert!(kept.iter().all(|kept| command.contains(kept.as_str())), "{line}");
        let words: Vec<&str> =
            command.split(' ').skip(1).chain(["-n", "0", "-o", "json"]).collect();
        let found = whybus(words).output().expect("whybus runs");
        let signal = args[2].to_owned();
        let found = text(&found.stdout);
        let of = found.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let all: Vec<Value> = of.collect();
        let count = all.iter().filter(|one| one["signal"]["name"] == *signal).count();
        assert!(count != 0 && line.starts_with(&format!("{} more ", all.len())), "{count}: {line}");
    }
    let (_, said) = host.says(&["why", "cgo-worker", "--exit", "SIGSEGV"]);
    assert!(said.contains(" more had SIGSEGV "), "{said}");
    // Nobody else had it.
    assert!(!host.says(&["list", "--exit", "SIGKILL"]).1.contains(" more had "));
}

/// A command that is offered asks for what was asked for, and only for that.
#[test]
fn what_is_offered_keeps_the_filters() {
    let host = Host::new();
    let asked = ["--since", "2026-01-01", "--host", "(none)", "--not-comm", "x"];
    let typed = " --host '(none)' --since 2026-01-01";
    let dir = host.state();
    let flags = format!(" --state-dir {}`", dir.display());
    for (args, offered) in [
        (&["why", "OOM"][..], "`whybus why --class oom-killed --not-comm x"),
        (&["why", "cp"], "`whybus why --by-comm cp --not-comm x"),
    ] {
        let (_, said) = host.says(&[args, &asked].concat());
        assert!(said.contains(&format!("{offered}{typed}{flags}")), "{said}");
    }
    let (_, said) = host.says(&[
        "why",
        "reader",
        "--since",
        "2026-01-01",
        "--until",
        "2027-01-01",
        "--host",
        "(none)",
    ]);
    let line = said.lines().find(|line| line.contains("whybus list --comm reader -S 2"));
    let kept = format!(" --host '(none)' --until 2027-01-01 --state-dir {}", dir.display());
    assert!(line.is_none_or(|line| line.ends_with(&kept)), "{said}");
    for (typed, instead) in [
        (
            &["list", "-n", "3", "geo", "-S", "-1h", "--host=a", "-o", "csv"][..],
            "geo -S -1h --host=a",
        ),
        (
            &["list", "SIGBUS", "--not-comm", "a b", "--sort", "by", "-r"],
            "--exit SIGBUS --not-comm 'a b'",
        ),
        (&["stats", "--by", "file", "geo", "-U1d"], "geo -U1d"),
    ] {
        let out = whybus(typed).output().expect("whybus runs");
        let said = text(&out.stderr);
        assert!(said.contains(&format!("`whybus why {instead}`")), "{said}");
    }
}

/// A class that there is not is a mistake wherever it is typed, and the one that was meant is named.
#[test]
fn no_class_is_mistyped_in_silence() {
    let host = Host::new();
    for (class, meant) in [
        ("OOM", "oom-killed"),
        ("OOMKilled", "oom-killed"),
        ("bus-error", "bus-errors"),
        ("Truncated", "truncated"),
        ("truncatd", "truncated"),
        ("SIGBUS", "--exit SIGBUS"),
        ("xyz*", ""),
    ] {
        for verb in [&["list"][..], &["why"], &["stats"], &["export"], &["forget", "--dry-run"]] {
            for flag in ["--class", "--not-class"] {
                if class.ends_with('*') && flag == "--class" {
                    continue;
                }
                let (status, said) = host.says(&[verb, &[flag, class]].concat());
                assert_eq!(status, Some(2), "{said}");
                let not = flag == "--not-class" && meant.starts_with("--");
                let meant = if not { "--not-exit SIGBUS" } else { meant };
                let meant = if meant.is_empty() {
                    String::new()
                } else {
                    format!("; did you mean `{meant}`?")
                };
                assert!(said.contains(&format!("there is no class `{class}`{meant}\n")), "{said}");
            }
        }
    }
    let stream = recorded("newest", "stream");
    let stream = stream.to_str().expect("UTF-8");
    for verb in [&["trace"][..], &["record"], &["replay", stream]] {
        let out = whybus([verb, &["--not-class", "truncatd"]].concat()).output().expect("it runs");
        assert_eq!(out.status.code(), Some(2), "{verb:?}");
        assert!(text(&out.stderr).contains("did you mean `truncated`?"), "{}", text(&out.stderr));
    }
    for class in ["trunc*", "bus-errors", "*"] {
        assert_eq!(host.says(&["list", "--class", class]).0, Some(0));
    }
}

/// Ids that begin alike are shown by as much as tells them apart; a host without a name is none called `(none)`.
#[test]
fn what_is_alike_is_told_apart() {
    let host = Host::new();
    let deaths = recorded("deaths", "json");
    assert!(host.types(&["import", deaths.to_str().expect("UTF-8")]).status.success());
    let columns = ["list", "--no-header", "--columns", "container", "-n", "0"];
    for asked in [&["stats", "--by", "container", "--no-header"][..], &columns] {
        let shown = text(&host.types(asked).stdout);
        let of =
            |line: &str| line.split_whitespace().find(|word| word.len() > 12).map(str::to_owned);
        let ids: Vec<String> = shown.lines().filter_map(of).collect();
        let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (3, 3), "{shown}");
    }
    let (_, hosts) = host.says(&["stats", "--by", "host", "--no-header"]);
    assert!(hosts.contains(" -  ") && !hosts.contains("(none)"), "{hosts}");
    let (_, list) = host.says(&["list", "--columns", "host", "--no-header"]);
    assert!(!list.contains("(none)"), "{list}");
    let (_, why) = host.says(&["why", "bus-worker"]);
    assert!(!why.contains("(none)"), "{why}");
}

/// A value that nothing is recorded with: what is like it, or what there is.
#[test]
fn a_filter_names_what_it_could_have_been() {
    let host = Host::new();
    taken(&host, 2, |i, one| {
        one["host"] = format!("node-{i}").into();
        one["boot_id"] = format!("019aa4d2-6f31-4ab0-8def-{i:012}").into();
    });
    for (asked, says) in [
        (["--host", "node-7"], "nothing is recorded with --host node-7; nearest: "),
        (["--host", "db"], "nothing is recorded with --host db; recorded: "),
        (["--unit", "gei.service"], "nearest: geo.service"),
        (["--unit", "x"], "nothing is recorded with --unit x; recorded: geo.service"),
        (["--image", "nginx"], "nothing is recorded with --image nginx: no image is known"),
        (["--path", "/mnt/ext4/xfs-eror/bad/file"], "nearest: /mnt/ext4/xfs-error/bad/file"),
    ] {
        let (status, said) = host.says(&[&["list"], &asked[..]].concat());
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(says), "{asked:?}: {said}");
    }
    // Who is in the root of all cgroups is in no unit.
    let (_, said) = host.says(&["list", "--unit", "x", "--comm", "reader"]);
    assert!(!said.contains("unit: /") && said.contains("without --unit x "), "{said}");
}

/// `-n` is how many, of stories, too; a flag of another verb, or a format as a flag, has a tip that leads on.
#[test]
fn what_is_typed_by_habit_is_answered() {
    let host = Host::new();
    let stories = |n: &str| {
        let json = text(&host.types(&["why", "reader", "-o", "json", "-n", n]).stdout);
        json.lines().count()
    };
    assert_eq!((stories("2"), stories("1")), (2, 1));
    assert!(stories("0") > 10);
    let (_, said) = host.says(&["why", "reader", "-n", "1"]);
    assert!(said.contains(" more stories match: -n 0 lists all"), "{said}");
    for (words, says) in [
        (&["replay", "--count", "3", "x"][..], "`--count` is a flag of `trace`, not of `replay`"),
        // It would wait for ever.
        (&["trace", "--class", "exited"], "unless other ends are asked for: add --exits all"),
        (&["trace", "--class", "oom-killed,aborted"], "asked for: add --signals abrt"),
        (&["replay", "--class", "SIGSEGV", "x"], "did you mean `signal`?"),
        (&["list", "-f", "--until", "2026-11-25"], "-f with --until: what is still to come"),
        (&["list", "--json"], "use `-o json`"),
        (&["doctor", "--json"], "use `-o json`"),
        (
            &["list", "-n", "abc"],
            "invalid value 'abc' for '--limit <N>': not a number; 0 is for all",
        ),
        (&["why", "-n", "abc"], "not a number; 0 is for all"),
        (&["trace", "-n", "0"], "not a number of 1 or more"),
    ] {
        let out = whybus(words).output().expect("whybus runs");
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(says) && !said.contains("similar"), "{words:?}: {said}");
        assert!(!said.contains("as a value"), "{words:?}: {said}");
    }
}

/// One incident for a ticket, as a story is.
#[test]
fn an_incident_for_a_ticket() {
    let host = Host::new();
    let id = text(&host.types(&["list", "-n", "1", "--no-header", "--columns", "id"]).stdout);
    let shown = text(&host.types(&["show", id.trim(), "-o", "markdown"]).stdout);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("### ` ") && lines[2] == "```text", "{shown}");
    assert!(shown.contains("  cause ") && lines.last() == Some(&"```"), "{shown}");
}

/// Who was killed, or exited, after it had survived a bus error is found by that end, and its story says both.
#[test]
fn what_survived_a_bus_error_is_found_by_its_end() {
    let host = Host::new();
    let ids = |args: &[&str]| {
        let out = host.types(&[&["list", "-n", "0", "-o", "json"], args].concat());
        let all = text(&out.stdout);
        let all = all.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        all.collect::<Vec<_>>()
    };
    let all = ids(&[]);
    for (asked, is) in [("SIGKILL", "signal"), ("137", "signal"), ("0", "code")] {
        let number = if is == "signal" { 9 } else { 0 };
        let ended = |one: &&Value| one["exit"][is] == number;
        let found = ids(&["--exit", asked]);
        assert!(found.iter().any(|one| one["outcome"] == "survived"), "{asked}");
        assert_eq!(found.len(), all.iter().filter(ended).count(), "{asked}");
        assert_eq!(found.len() + ids(&["--not-exit", asked]).len(), all.len(), "{asked}");
    }
    let said = host.says(&["why", "stuck", "-n", "1"]).1;
    assert!(said.contains("1 incident: survived the bus error; killed by SIGKILL 1."), "{said}");
    assert!(said.contains(" s later"), "{said}");
    assert!(said.contains("SIGBUS, handled; killed by SIGKILL 1."), "{said}");
}

/// The command beside a number lists as many.
#[test]
fn as_many_did_not_end_so_as_the_command_lists() {
    let host = Host::new();
    let (_, said) = host.says(&["list", "--exit", "135", "-n", "1"]);
    let line = said.lines().find(|line| line.contains(" more bus errors ended no process by "));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    let number: usize = line.split(' ').next().and_then(|one| one.parse().ok()).expect("a number");
    let command = line.split('`').nth(1).expect("a command");
    let command = command.strip_prefix("whybus ").expect("ours");
    let command = command.split(" --state-dir").next().expect("its beginning");
    let args: Vec<&str> = command.split(' ').chain(["--no-header"]).collect();
    assert_eq!(text(&host.types(&args).stdout).lines().count(), number, "{line}");
}

/// Of whom no end is known it is not said that nothing ended it.
#[test]
fn whose_end_was_not_seen_is_counted_apart() {
    let host = Host::new();
    let before = text(&host.types(&["list", "--exit", "135", "-n", "1"]).stderr);
    let number = |said: &str, at: usize| -> usize {
        let line = said.lines().find(|line| line.contains(" more bus errors ended no process by "));
        let word = line.and_then(|line| line.split(' ').nth(at));
        word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    taken(&host, 1, |_, one| {
        one["exit"] = Value::Null;
        one["outcome"] = "pending".into();
    });
    let after = text(&host.types(&["list", "--exit", "135", "-n", "1"]).stderr);
    assert_eq!(
        (number(&after, 0), number(&after, 2)),
        (number(&before, 0), number(&before, 0) + 1)
    );
}

/// The command that a story offers lists that story, and is told from what is for another host.
#[test]
fn the_next_command_lists_just_the_story() {
    let host = Host::new();
    // Two of one parent, and another of the same name between them.
    taken(&host, 3, |i, one| {
        one["victim"]["comm"] = "geo-loop".into();
        one["victim"]["pid"] = (i + 700).into();
        one["victim"]["ppid"] = if i == 1 { 9 } else { 8 }.into();
        one["time"] = format!("2026-11-24T10:00:0{i}.5Z").into();
    });
    let (_, said) = host.says(&["why", "geo-loop"]);
    let line = said.lines().find(|line| line.contains("whybus list --comm ")).expect(&said);
    assert!(said.contains(": died twice\n"), "{said}");
    let command = line.split("here: whybus ").nth(1).unwrap_or_else(|| panic!("{line}"));
    let command = command.split(" --state-dir").next().expect("its beginning");
    let args: Vec<&str> = command.split(' ').chain(["-n", "0", "--no-header"]).collect();
    let listed = text(&host.types(&args).stdout);
    assert_eq!(listed.lines().count(), 2, "{line}\n{listed}");
    assert!(listed.contains("geo-loop[700]") && listed.contains("geo-loop[702]"), "{listed}");
}

/// Files without a path and culprits are found as they are printed.
#[test]
fn what_tables_print_is_found() {
    let host = Host::new();
    let files = text(&host.types(&["stats", "--by", "file", "-n", "0", "-o", "csv"]).stdout);
    assert!(files.contains("memfd:"), "{files}");
    for line in files.lines().filter(|line| line.contains("memfd:") || line.contains("hugepage")) {
        let file =
            line.split(',').find(|cell| cell.contains("memfd:") || cell.contains("hugepage"));
        let file = file.expect("a name");
        let (status, said) = host.says(&["why", file]);
        assert_eq!(status, Some(0), "{file}: {said}");
    }
    let all = text(&host.types(&["list", "-n", "0", "-o", "json"]).stdout);
    let by = all.lines().find_map(|line| {
        let one: Value = serde_json::from_str(line).expect("JSON");
        let by = one["cause"]["culprit"].clone();
        Some((by["comm"].as_str().filter(|comm| *comm == "cp")?.to_owned(), by["pid"].clone()))
    });
    let (comm, pid) = by.expect("a culprit");
    let (_, said) = host.says(&["why", &format!("{comm}[{pid}]")]);
    assert!(
        said.contains(&format!("whom it concerned: `whybus why --by-comm {comm} --by-pid {pid}")),
        "{said}"
    );
}

/// How long a restart was looked for is what was watched.
#[test]
fn a_restart_is_missed_only_as_long_as_somebody_watched() {
    let host = Host::new();
    taken(&host, 1, |_, one| {
        one["victim"]["comm"] = "geo-last".into();
        one["boot_id"] = "0aa4d26f-3171-47ab-8def-000000000007".into();
        one["time"] = "2026-11-24T10:00:00Z".into();
        one["last"] = "2026-11-24T10:00:00Z".into();
        one["exit"]["time"] = "2026-11-24T10:00:00Z".into();
        one["restart"] = Value::Null;
    });
    let unknown = host.says(&["why", "geo-last"]).1;
    assert!(
        unknown.contains("not known: a copied history does not say how long it was watched"),
        "{unknown}"
    );
    let first = text(&host.types(&["list", "--comm", "geo-last", "-o", "json"]).stdout);
    let one: Value = serde_json::from_str(&first).expect("JSON");
    let run = serde_json::json!({
        "schema": one["schema"], "kind": "run", "host": one["host"], "boot_id": one["boot_id"], "pid": 1,
        "since": "2026-11-24T09:00:00Z", "until": "2026-11-24T10:00:01.5Z",
    });
    let file = host.0.path().join("run.json");
    fs::write(&file, format!("{one}\n{run}\n")).expect("room");
    let out = host.types(&["import", file.to_str().expect("UTF-8")]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let said = host.says(&["why", "geo-last"]).1;
    assert!(
        said.contains(
            "none seen (same parent or cgroup, in the 1.5 s that it was watched after the end)"
        ),
        "{said}"
    );
}

/// Who asks at once is told that nobody has watched for ten minutes yet.
#[test]
fn a_restart_is_missed_only_as_long_as_it_is_ago() {
    let host = Host::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later").as_nanos();
    let ago = rfc3339(i64::try_from(now).expect("not that late") - 5_000_000_000);
    taken(&host, 1, |_, one| {
        one["boot_id"] = here().boot_id.into();
        one["victim"]["comm"] = "geo-just".into();
        (one["time"], one["last"]) = (ago.clone().into(), ago.clone().into());
        one["exit"]["time"] = ago.clone().into();
        one["restart"] = Value::Null;
    });
    let said = host.says(&["why", "geo-just"]).1;
    let told =
        said.lines().find(|line| line.contains("restarts")).unwrap_or_else(|| panic!("{said}"));
    let seconds =
        told.split_once("in the ").and_then(|(_, rest)| rest.split_once(" s that it was"));
    let seconds: f64 = seconds.and_then(|(seconds, _)| seconds.parse().ok()).expect(told);
    assert!((5.0..60.0).contains(&seconds), "{told}");
}

/// What is offered for a number finds something, and a number below 0 is answered.
#[test]
fn what_is_offered_for_a_number_finds_something() {
    let host = Host::new();
    let pid = text(&host.types(&["list", "-n", "1", "-o", "json"]).stdout);
    let first: Value = serde_json::from_str(pid.lines().next().expect("one")).expect("JSON");
    taken(&host, 1, |_, one| {
        one["victim"]["comm"] = "geo-pod".into();
        one["victim"]["cgroup"] =
            "/kubepods.slice/kubepods-pod12345678_9abc_def0_1234_56789abcdef0.slice".into();
        one["victim"]["pod"] = serde_json::json!({"uid": "12345678-9abc-def0-1234-56789abcdef0", "name": "7", "namespace": "geo"});
    });
    let (_, said) = host.says(&["why", "7"]);
    assert!(said.contains("`whybus why --pod 7 ") && !said.contains("--exit 7"), "{said}");
    let (_, said) = host.says(&["why", "7", "--since", "1 min ago"]);
    assert!(!said.contains("whybus why --pod 7"), "{said}");
    assert!(first["id"].is_string());
    for verb in ["list", "why", "stats"] {
        let (status, said) = host.says(&[verb, "-n", "-1"]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("invalid value '-1' for '--limit"), "{said}");
    }
}

/// Who asks for the last hours of an old history is told how old it is.
#[test]
fn how_old_the_newest_is_is_said() {
    let host = Host::new();
    let (status, said) = host.says(&["list", "--since", "1 min ago"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("the newest that is recorded is ") && said.contains(" old: 20"),
        "{said}"
    );
}

/// The first of a span of time is an incident, as of any other row.
#[test]
fn the_first_of_a_span_is_an_incident() {
    let host = Host::new();
    let rows = text(&host.types(&["stats", "--by", "time", "-o", "json"]).stdout);
    let first: Value = serde_json::from_str(rows.lines().next().expect("a row")).expect("JSON");
    let list = text(&host.types(&["list", "-n", "0", "-o", "json"]).stdout);
    let oldest: Value = serde_json::from_str(list.lines().next().expect("one")).expect("JSON");
    assert_eq!(first["first"], oldest["time"]);
    assert_ne!(first["name"], first["first"]);
}

/// A time has its seconds, or takes no room for them.
#[test]
fn a_narrow_time_has_no_room_left_over() {
    let host = Host::new();
    let mut list = whybus(["list", "--comm", "reader", "--no-header", "-n", "20", "--state-dir"]);
    list.arg(host.state()).env("COLUMNS", "80");
    let told = text(&list.output().expect("whybus runs").stdout);
    // Nobody saves one letter by two.
    assert!(told.contains("  reader[") && !told.contains("read…["), "{told}");
    for columns in 72..100 {
        let mut list = whybus(["list", "-n", "20", "-S", "2026-01-01", "--state-dir"]);
        list.arg(host.state()).env("COLUMNS", columns.to_string());
        let told = text(&list.output().expect("whybus runs").stdout);
        for line in told.lines().skip(1) {
            let id = line.split("  ").next().expect("an id");
            let Some(rest) = line.strip_prefix(&format!("{id}  ")) else { continue };
            assert!(
                !(rest.get(11..14) == Some("   ") && rest.get(14..15) != Some(" ")),
                "{columns}: {told}"
            );
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
    }
}

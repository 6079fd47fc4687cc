//! What a newcomer and an attacker found behind the doors, each as it was typed.
mod common;
use common::{Host, recorded, text, whybus};

/// A loop of four deaths of one program, whose ids all begin alike.
fn a_loop(host: &Host, comm: &str) -> Vec<String> {
    let first = text(&host.types(&["list", "-n", "1", "-o", "json", "--comm", "reader"]).stdout);
    let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    let ids: Vec<String> =
        (0..4).map(|i| format!("019aa4d2-6f31-7ab{i}-8def-0123456789ab")).collect();
    let mut lines = String::new();
    for (i, id) in ids.iter().enumerate() {
        let mut one = first.clone();
        one["victim"]["comm"] = comm.into();
        one["id"] = id.as_str().into();
        one["boot_ns"] = (1_000_000_000 * (i + 1)).into();
        one["time"] = format!("2026-11-24T10:00:0{i}Z").into();
        one["last"] = one["time"].clone();
        lines += &format!("{one}\n");
    }
    let file = host.0.path().join("loop.json");
    std::fs::write(&file, lines).expect("room");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    ids
}

/// One death of a loop that is asked for by its id is one of them, and not the only one.
#[test]
fn one_death_of_a_loop_is_one_of_them() {
    let host = Host::new();
    let ids = a_loop(&host, "geo-crash");
    let (status, said) = host.says(&["why", &ids[0], "--utc"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(": died 4 times\n") && !said.contains("died once"), "{said}");
    assert!(said.contains("\nOne of them: geo-crash["), "{said}");
    assert!(said.contains("019aa4d2-6f31-7ab0"), "{said}");
    let (_, line) = host.says(&["why", &ids[1], "-o", "oneline"]);
    assert!(line.contains("; one of them ") && line.trim_end().ends_with("-7ab1"), "{line}");
    let (_, last) = host.says(&["why", &ids[3], "--utc"]);
    assert!(last.contains("\nLatest: geo-crash["), "{last}");
}

/// What is printed of an id finds that incident; what several begin with is refused, with what tells them apart.
#[test]
fn an_id_that_is_printed_is_found() {
    let host = Host::new();
    let ids = a_loop(&host, "geo-crash");
    let printed = text(
        &host
            .types(&["list", "-n", "0", "--no-header", "--columns", "id", "--comm", "geo-crash"])
            .stdout,
    );
    let printed: Vec<&str> = printed.lines().map(str::trim).collect();
    assert_eq!(printed.len(), 4, "{printed:?}");
    for (short, id) in printed.iter().zip(&ids) {
        assert!(id.starts_with(short), "{short} {id}");
        for verb in ["show", "why"] {
            let told = text(&host.types(&[verb, short, "-o", "json"]).stdout);
            let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
            let found = if verb == "why" { &told["incident"]["id"] } else { &told["id"] };
            assert_eq!(found, id.as_str(), "{verb} {short}");
        }
    }
    for verb in ["show", "why"] {
        let (status, said) = host.says(&[verb, &ids[0][..13]]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("is the start of several ids"), "{said}");
        for id in &ids {
            assert!(said.contains(&format!("\n{}  ", &id[..18])), "{said}");
        }
        assert!(said.contains(" geo-crash["), "{said}");
    }
}

/// Zones by their names, and one that is not known is told.
#[test]
fn a_zone_goes_by_its_name() {
    let host = Host::new();
    let at = |zone: &str| {
        let mut command = whybus(["list", "-n", "1", "-o", "oneline", "--state-dir"]);
        let out = command.arg(host.state()).env("TZ", zone).output().expect("whybus runs");
        (text(&out.stdout), text(&out.stderr))
    };
    // Where zones are not installed, none is known.
    if std::path::Path::new("/usr/share/zoneinfo/Europe/Berlin").exists() {
        let (shown, said) = at("Europe/Berlin");
        assert!(shown.contains(" CET ") || shown.contains(" CEST "), "{shown}{said}");
    }
    let (shown, said) = at("CET-1");
    assert!(shown.contains(" CET ") && !said.contains("TZ="), "{shown}{said}");
    let (shown, said) = at("Nowhere/Else");
    assert!(shown.contains(" UTC "), "{shown}");
    assert!(said.contains("TZ=Nowhere/Else is not a time zone that this host knows"), "{said}");
}

/// A command that is offered asks the same history, with the same settings.
#[test]
fn what_is_offered_can_be_typed() {
    let host = Host::new();
    a_loop(&host, "geo-crash");
    let dir = host.state();
    let flags = format!(" --state-dir {}", dir.display());
    let (_, said) = host.says(&["why", "geo-crash"]);
    let offered = said.lines().find_map(|line| line.split_once("whybus list --comm")).expect("one");
    assert!(offered.1.ends_with(&flags), "{said}");
    let (_, said) = host.says(&["why"]);
    let row = said.lines().nth(1).expect("a row");
    assert!(row.ends_with(&flags), "{said}");
    let (_, said) = host.says(&["why", "--config", "/dev/null"]);
    let row = said.lines().nth(1).expect("a row");
    assert!(row.ends_with(&format!("{flags} --config /dev/null")), "{said}");
    let warned = text(&host.types(&["list", "--warnings", "-n", "1", "-o", "json"]).stdout);
    let mut warned: serde_json::Value = serde_json::from_str(&warned).expect("JSON");
    warned["id"] = "019aa4d2-6f31-7abc-8def-ffffffffffff".into();
    warned["file"]["path"] = "/srv/nobody".into();
    let file = host.0.path().join("warning.json");
    std::fs::write(&file, format!("{warned}\n")).expect("room");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    for verb in [&["why", "/srv/nobody"][..], &["list", "--path", "/srv/nobody"]] {
        let (status, said) = host.says(verb);
        assert_eq!(status, Some(1), "{said}");
        assert!(
            said.contains(&format!("`whybus list --warnings --path /srv/nobody{flags}`")),
            "{said}"
        );
    }
}

/// Who killed others, and did not die: whom, and the command that tells it.
#[test]
fn a_culprit_is_told_as_one() {
    let host = Host::new();
    let (status, said) = host.says(&["why", "cp"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.starts_with("no death of cp is recorded, but "), "{said}");
    assert!(said.contains(" by cp["), "{said}");
    let offer = said.split("`whybus ").nth(1).and_then(|rest| rest.split('`').next());
    let words: Vec<&str> = offer.expect("a command").split_whitespace().collect();
    assert_eq!(words[..3], ["why", "--by-comm", "cp"], "{said}");
    assert_eq!(host.says(&words[..3]).0, Some(0));
    assert!(!said.contains("nothing is recorded") && !said.contains("nearest"), "{said}");
}

/// What is suggested is of the kind that was asked for.
#[test]
fn what_is_suggested_can_be_asked_for() {
    let host = Host::new();
    a_loop(&host, "geo-crash");
    // `cp` is a culprit, and no victim.
    let (_, said) = host.says(&["list", "--comm", "cpp"]);
    assert!(!said.contains("nearest: cp"), "{said}");
    let (_, said) = host.says(&["list", "--by-comm", "cpp"]);
    assert!(said.contains("nothing is recorded with --by-comm cpp; nearest: cp"), "{said}");
    let (_, said) = host.says(&["list", "--unit", "geo-crsh"]);
    assert!(!said.contains("nearest: geo-crash"), "{said}");
}

/// What whybus prints on a terminal of script(1); `None` where there is no script(1).
fn on_a_terminal(host: &Host, env: &[(&str, &str)], words: &str) -> Option<String> {
    let command =
        format!("{} {words} --state-dir {}", env!("CARGO_BIN_EXE_whybus"), host.state().display());
    let mut script = std::process::Command::new("script");
    script.args(["-q", "-c", &command, "/dev/null"]).stdin(std::process::Stdio::null());
    script.env("TERM", "xterm").env_remove("WHYBUS_PAGER").envs(env.iter().copied());
    Some(text(&script.output().ok()?.stdout))
}

/// A pager that does not work swallows nothing; one that was left has shown what was wanted.
#[test]
fn a_pager_that_fails_swallows_nothing() {
    let host = Host::new();
    for pager in ["false", "sh -c 'exec 0<&-; exit 3'", "sh -c 'cat >/dev/null; exit 1'"] {
        let Some(shown) = on_a_terminal(&host, &[("PAGER", pager)], "list -n 0 -o human") else {
            return;
        };
        assert!(shown.contains("the pager failed (exit status: "), "{pager}: {shown}");
        assert!(shown.matches("SIGBUS, killed").count() > 20, "{pager}: {shown}");
    }
    let Some(shown) = on_a_terminal(&host, &[("PAGER", "head -n 1")], "list -n 0") else { return };
    assert!(shown.contains("VICTIM") && shown.lines().count() == 1, "{shown}");
}

/// With the rights of another a pager runs nothing: sudo whybus list, and then `!sh`.
#[test]
fn a_pager_hands_no_rights_on() {
    let host = Host::new();
    // Only root has rights to hand on.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bin = host.0.path().join("bin");
    std::fs::create_dir(&bin).expect("room");
    std::fs::write(bin.join("less"), "#!/bin/sh\necho secure=$LESSSECURE\ncat\n").expect("room");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("less"), mode).expect("ours");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let env = [("PAGER", "echo mine; cat"), ("PATH", &path), ("SUDO_UID", "1000")];
    let Some(shown) = on_a_terminal(&host, &env, "list -n 1") else { return };
    assert!(shown.contains("secure=1") && !shown.contains("mine"), "{shown}");
    let Some(own) = on_a_terminal(&host, &env[..2], "list -n 1") else { return };
    assert!(own.contains("mine") && !own.contains("secure="), "{own}");
}

/// A history that nobody wrote to is not said to have lost nothing.
#[test]
fn what_nobody_watched_is_not_whole() {
    let host = Host::new();
    let (status, said) = host.says(&["status"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("lost     not known: a copied history does not say"), "{said}");
    let help = text(&whybus(["status", "--help"]).output().expect("help").stdout);
    assert!(help.contains("66 (no history)"), "{help}");
}

/// Names are taken where numbers are meant, and what cannot be is told in a sentence with the way out.
#[test]
fn what_is_typed_elsewhere_is_understood() {
    let host = Host::new();
    let import = host.types(&["import", recorded("deaths", "json").to_str().expect("UTF-8")]);
    assert!(import.status.success());
    assert_eq!(
        host.types(&["list", "--uid", "root"]).stdout,
        host.types(&["list", "--uid", "0"]).stdout
    );
    for (args, reason) in [
        (["list", "--uid", "no-such-user"], "there is no user `no-such-user`"),
        (["list", "--unit", "pod/7"], "ask for it by --pod 7"),
        (["why", "--not-unit", "slurm/7"], "is not a systemd unit"),
    ] {
        let (status, said) = host.says(&args);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    let (status, said) = host.says(&["list", "--exit", "9"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("SIGKILL ended ") && said.contains(": --exit SIGKILL"), "{said}");
    assert_eq!(host.says(&["list", "--exit", "SIGKILL"]).0, Some(0));
}

/// What is sorted is sorted before it is cut, and nothing that is found is silent.
#[test]
fn the_first_of_an_order_are_the_first_of_all() {
    let host = Host::new();
    let victims = |args: &[&str]| {
        let all =
            [&["list", "--no-header", "--columns", "victim", "--sort", "victim"], args].concat();
        let out = host.types(&all);
        (text(&out.stdout).lines().map(str::to_owned).collect::<Vec<_>>(), text(&out.stderr))
    };
    let (all, _) = victims(&["-n", "0"]);
    let (few, said) = victims(&["-n", "3"]);
    assert_eq!(few, all[..3]);
    assert!(said.contains("the first 3 of "), "{said}");
    let (last, _) = victims(&["-n", "3", "-r"]);
    assert_eq!(last[0], all[all.len() - 1]);
    let (status, said) = host.says(&["export", "--comm", "nosuch"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("no matching incidents (of "), "{said}");
    let (status, line) = host.says(&["stats", "--by", "cause", "-o", "oneline"]);
    assert_eq!(status, Some(0));
    assert!(
        line.starts_with("cause truncated: ") && line.contains(" incidents, the last "),
        "{line}"
    );
}

/// For a spreadsheet, in which no name acts.
#[test]
fn a_spreadsheet_takes_lists_and_counts() {
    let host = Host::new();
    a_loop(&host, "=cmd|'/C x'!A0");
    let list = text(&host.types(&["list", "-o", "csv", "-n", "0"]).stdout);
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("id,time,host,victim,unit,how,cause,file,by"));
    assert!(lines.clone().count() > 50 && lines.all(|line| line.split(',').count() >= 9), "{list}");
    assert!(list.contains(",\"'=cmd|'/C x'!A0["), "{list}");
    assert!(list.contains("2026-11-24T10:00:00.000000000Z"), "{list}");
    let stats = text(&host.types(&["stats", "--by", "victim", "-o", "csv"]).stdout);
    assert!(stats.starts_with("by,name,incidents,first,last\r\n"), "{stats}");
    assert!(
        stats.contains("victim,\"'=cmd|'/C x'!A0\",4,2026-11-24T10:00:00.000000000Z,"),
        "{stats}"
    );
    assert_eq!(host.says(&["list", "--warnings", "-o", "csv"]).0, Some(2));
}

/// In 80 columns the table still has how it ended, the cause, the file and who did it; a story fits 60.
#[test]
fn what_tells_most_is_there_in_a_narrow_terminal() {
    let host = Host::new();
    let narrow = |columns: &str, args: &[&str]| {
        let mut command = whybus(args);
        command.arg("--state-dir").arg(host.state()).env("COLUMNS", columns).env("TZ", "UTC");
        text(&command.output().expect("whybus runs").stdout)
    };
    let list = narrow("80", &["list", "--class", "truncated"]);
    let head: Vec<&str> = list.lines().next().expect("a head").split_whitespace().collect();
    for column in ["ID", "VICTIM", "HOW", "CAUSE", "FILE", "BY"] {
        assert!(head.contains(&column), "{column}: {list}");
    }
    let story = narrow("60", &["why", "reader", "--class", "truncated"]);
    let (_, told) = story.split_once("What happened").expect("a story");
    let (timeline, _) = told.split_once("\n\n").expect("a timeline");
    let long = timeline.lines().find(|line| line.chars().count() > 60);
    assert_eq!(long, None, "{timeline}");
    assert!(timeline.lines().count() > 8, "{timeline}");
}

/// What is named is gone, down to its bytes, and the history says that something is missing.
#[test]
fn what_is_to_be_forgotten_is_gone() {
    let host = Host::new();
    a_loop(&host, "geo-secret");
    let bytes = |host: &Host| -> bool {
        let files = ["history.db", "history.db-wal"].map(|name| host.state().join(name));
        let read = |path: &std::path::PathBuf| std::fs::read(path).unwrap_or_default();
        files.iter().map(read).any(|all| all.windows(10).any(|part| part == b"geo-secret"))
    };
    assert!(bytes(&host), "it is looked for in the right place");
    for (args, says) in [
        (&["forget"][..], "nothing says what to forget: name it by filters or times"),
        (&["forget", "--dry-run"], "nothing says what to forget"),
        (&["forget", "--all", "--comm", "x"], "--all forgets everything: leave out"),
    ] {
        let (status, said) = host.says(args);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
    let (_, said) = host.says(&["forget", "--comm", "geo-secret", "--dry-run"]);
    assert!(said.starts_with("4 incidents and 0 warnings would be forgotten"), "{said}");
    assert_eq!(host.says(&["list", "--comm", "geo-secret"]).0, Some(0));
    let before = host.types(&["list", "-n", "0", "-o", "json", "--not-comm", "geo-secret"]).stdout;
    let (status, said) = host.says(&["forget", "--comm", "geo-secret"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.starts_with("4 incidents and 0 warnings forgotten; "), "{said}");
    assert!(!bytes(&host));
    let after = host.types(&["list", "-n", "0", "-o", "json"]).stdout;
    assert_eq!(text(&after), text(&before));
    let gaps = text(&host.types(&["export"]).stdout);
    assert!(gaps.contains("incidents that it was asked to forget"), "{gaps}");
    assert_eq!(host.says(&["forget", "--comm", "geo-secret"]).0, Some(1));
    let (status, said) = host.says(&["forget", "--all"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(host.says(&["list"]).0, Some(1));
    assert_eq!(host.says(&["list", "--warnings"]).0, Some(1));
}

/// Of a saved stream a range of times can be asked for, too.
#[test]
fn a_replay_has_times() {
    let stream = recorded("newest", "stream");
    let times = |args: &[&str]| -> Vec<String> {
        let mut command = whybus(["replay", "-o", "json", "--utc"]);
        let out = command.args(args).arg(&stream).output().expect("whybus runs");
        let lines = text(&out.stdout);
        let values = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let told =
            values.filter(|one| matches!(one["kind"].as_str(), Some("incident" | "truncation")));
        told.map(|one| one["time"].as_str().expect("a time").to_owned()).collect()
    };
    let mut all = times(&[]);
    all.sort();
    let (since, until) = (&all[all.len() / 3], &all[all.len() / 2]);
    let mut some = times(&["--since", since, "--until", until]);
    some.sort();
    let expected: Vec<String> =
        all.iter().filter(|time| (since..=until).contains(time)).cloned().collect();
    assert!(expected.len() > 5 && expected.len() < all.len());
    assert_eq!(some, expected);
}

/// The table of other conventions has every name that a field notes.
#[test]
fn the_documents_name_what_telemetry_calls_a_field() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(root.join("../docs/json.md")).expect("a page");
    let mut names = 0;
    for file in std::fs::read_dir(root.join("src/contract")).expect("a directory") {
        let path = file.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source");
        let words = source.replace("\n    ///", " ");
        for noted in words.split("OpenTelemetry:").skip(1) {
            let sentence = noted.split(". ").next().and_then(|noted| noted.split(".\n").next());
            for name in sentence.into_iter().flat_map(|noted| noted.split('`').skip(1).step_by(2)) {
                names += 1;
                assert!(docs.contains(&format!("`{name}`")), "{name} of {}", path.display());
            }
        }
    }
    assert!(names > 30, "{names}");
}

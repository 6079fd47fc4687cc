//! What stopped a first user, each as it was typed.
mod common;
use std::path::Path;

use common::{Host, recorded, text, whybus};
use serde_json::Value;

/// 6. `--since` takes what people type.
#[test]
fn times_as_they_are_typed() {
    let host = Host::new();
    for time in [
        "1 hour ago",
        "2 days ago",
        "1h30m",
        "-1h",
        "@1790000000",
        "yesterday",
        "today",
        "1w",
        "2 weeks ago",
        "2026-11-21T10:03:07+02:00",
    ] {
        let (status, said) = host.says(&["list", "--since", time, "-n", "1"]);
        assert!(matches!(status, Some(0 | 1)), "{time}: {said}");
        assert!(!said.contains("error:"), "{time}: {said}");
    }
    let (status, said) = host.says(&["list", "--since", "2127-01-01"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("--since 2127-01-01 is in the future"), "{said}");
    let (status, said) = host.says(&["why", "-S", "2026-01-02", "-U", "2026-01-01"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("--until lies before --since"), "{said}");
    let help = text(&whybus(["record", "--keep", "1w", "--help"]).output().expect("help").stdout);
    assert!(help.contains("4w"), "{help}");
}

/// 7. The list is a table: its handle first and labelled, as wide as the terminal, with what was asked for.
#[test]
fn the_list_is_a_table() {
    let host = Host::new();
    let list = |columns: &str, args: &[&str]| {
        let mut command = whybus(["list"]);
        command.args(args).arg("--state-dir").arg(host.state());
        command.env("COLUMNS", columns).env("TZ", "UTC");
        text(&command.output().expect("whybus runs").stdout)
    };
    for width in [40, 60, 80, 200, 500] {
        let shown = list(&width.to_string(), &["-n", "0"]);
        let head = shown.lines().next().expect("a head");
        assert!(head.starts_with("ID ") && head.contains(" VICTIM "), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= width), "{width}: {shown}");
    }
    assert!(list("200", &[]).starts_with("ID             TIME (UTC)           VICTIM"));
    assert!(list("80", &[]).starts_with("ID             AGE  VICTIM"));
    let heads = |width: &str, args: &[&str]| -> Vec<String> {
        let shown = list(width, &[args, &["-n", "0"]].concat());
        shown.lines().next().expect("a head").split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(heads("80", &[]), ["ID", "AGE", "VICTIM", "HOW", "CAUSE", "FILE", "BY"]);
    assert_eq!(heads("60", &[]), ["ID", "AGE", "VICTIM", "CAUSE", "FILE", "BY"]);
    let by_time = heads("80", &["--since", "2026-01-01"]);
    assert_eq!(by_time, ["ID", "TIME", "(UTC)", "VICTIM", "HOW", "CAUSE", "FILE", "BY"]);
    let all =
        "id,time,age,host,victim,unit,how,cause,file,by,uid,cgroup,container,restart,signature";
    for width in [60, 80] {
        let shown = list(&width.to_string(), &["-n", "0", "--columns", all]);
        assert!(shown.lines().all(|line| line.chars().count() <= width), "{width}: {shown}");
    }
    let bare = list("200", &["--no-header", "--columns", "victim,cause", "-n", "2"]);
    assert_eq!(bare.lines().count(), 2, "{bare}");
    assert!(bare.lines().all(|line| line.split_whitespace().count() == 2), "{bare}");
    let sorted =
        list("200", &["--no-header", "--columns", "victim", "--sort", "victim", "-n", "0"]);
    let mut expected: Vec<&str> = sorted.lines().collect();
    expected.sort_unstable();
    assert_eq!(sorted.lines().collect::<Vec<_>>(), expected);
    let newest = list("200", &["--no-header", "--columns", "id", "-r", "-n", "3"]);
    let oldest = list("200", &["--no-header", "--columns", "id", "-n", "3"]);
    assert_eq!(newest.lines().rev().collect::<Vec<_>>(), oldest.lines().collect::<Vec<_>>());
    let (status, said) = host.says(&["list", "--columns", "victm"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("a similar value exists: 'victim'"), "{said}");
    for shown in [list("80", &["--color", "always"]), list("80", &["--warnings", "--color=always"])]
    {
        assert!(shown.contains("\u{1b}["), "{shown}");
    }
    assert!(!list("80", &[]).contains('\u{1b}'));
    let table = text(&host.types(&["stats", "--by", "cause", "--no-header"]).stdout);
    assert!(table.lines().all(|line| line.split_whitespace().count() == 4), "{table}");
    let (status, said) = host.says(&["stats", "--by", "coz"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("tables: cause, file, culprit, victim"), "{said}");
}

/// 7. What is recorded meanwhile comes by itself.
#[test]
fn the_list_can_be_followed() {
    use std::io::{BufRead as _, BufReader};
    let host = Host::new();
    let mut follow = whybus(["list", "-f", "-n", "1", "-o", "oneline", "--state-dir"]);
    follow.arg(host.state()).stdout(std::process::Stdio::piped());
    let mut child = follow.spawn().expect("whybus runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.next().is_some_and(|line| line.is_ok()));
    let import = host.types(&["import", recorded("deaths", "json").to_str().expect("UTF-8")]);
    assert!(import.status.success(), "{}", text(&import.stderr));
    let next = lines.next().expect("one more").expect("text");
    assert!(next.contains(" id "), "{next}");
    // Who goes away ends it, whether anything comes or not: `list -f | head`.
    drop(lines);
    assert_eq!(child.wait().expect("ours").code(), Some(0));
}

/// Whoever waits for the first can read it when it comes: the columns are there before it is.
#[test]
fn the_first_that_is_followed_can_be_read() {
    use std::io::{BufRead as _, BufReader};
    let empty = tempfile::tempdir().expect("a directory");
    let state = empty.path().join("state");
    let import = |file: &Path| {
        let mut import = whybus(["import", "--state-dir"]);
        import.arg(&state).arg(file).output().expect("whybus runs").status.code()
    };
    assert_eq!(import(Path::new("/dev/null")), Some(1), "nothing new is in it");
    let mut follow = whybus(["list", "-f", "--state-dir"]);
    follow.arg(&state).env("COLUMNS", "80").stdout(std::process::Stdio::piped());
    let mut child = follow.spawn().expect("whybus runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("one more").expect("text");
    let head = next();
    let heads: Vec<&str> = head.split_whitespace().collect();
    assert_eq!(heads, ["ID", "AGE", "VICTIM", "HOW", "CAUSE", "FILE", "BY"]);
    assert_eq!(import(&recorded("deaths", "json")), Some(0));
    let row = std::iter::from_fn(|| Some(next())).find(|row| row.contains("truncated"));
    let row = row.expect("one of them");
    for part in ["  bus-work", "[610]  SIGBUS ", "  truncated ", "  cp[680]"] {
        assert!(row.contains(part), "{part}: {row}");
    }
    assert!(row.chars().count() <= 80, "{row}");
    drop(lines);
    child.wait().expect("ours");
}

/// 8. What is on the screen and what JSON has abbreviate alike, by the beginning.
#[test]
fn ids_abbreviate_by_their_beginning() {
    let host = Host::new();
    let whole = text(&host.types(&["list", "-n", "1", "-o", "json"]).stdout);
    let whole: serde_json::Value = serde_json::from_str(&whole).expect("JSON");
    let id = whole["id"].as_str().expect("an id");
    for format in ["table", "oneline", "human"] {
        let shown = text(&host.types(&["list", "-n", "1", "-o", format]).stdout);
        assert!(shown.contains(&id[..13]), "{shown}");
    }
    for start in [&id[..13], &id[..20], id] {
        let shown = text(&host.types(&["show", start, "-o", "oneline"]).stdout);
        assert!(shown.contains(&format!(" id {}", &id[..13])), "{shown}");
    }
    let (status, said) = host.says(&["show", &id[..4]]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("several ids"), "{said}");
    let (status, said) = host.says(&["show", "#1"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("counts within one watch"), "{said}");
}

/// 5. A filter that removed the matches is named; one that cannot match suggests what can.
#[test]
fn a_filter_that_removed_everything_is_named() {
    let host = Host::new();
    let (status, said) = host.says(&["why", "reader", "--class", "exited"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.starts_with("reader: ") && said.contains("incidents, none that matches"),
        "{said}"
    );
    assert!(
        said.contains("without --class exited ") && said.contains("(class: truncated"),
        "{said}"
    );
    assert!(!said.contains("nothing is recorded"), "{said}");
    for verb in ["list", "why", "stats"] {
        let (status, said) = host.says(&[verb, "--class", "truncatd"]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("did you mean `truncated`?"), "{said}");
    }
    let (status, said) = host.says(&["list", "--comm", "raeder"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("nothing is recorded with --comm raeder; nearest: reader"), "{said}");
    let (_, said) = host.says(&["list", "--comm", "reader", "--until", "2001-01-01"]);
    assert!(said.contains("without --since and --until "), "{said}");
}

/// Repeated filters are or-ed, and each has a negative.
#[test]
fn noise_can_be_left_out() {
    let host = Host::new();
    let victims = |args: &[&str]| -> std::collections::BTreeSet<String> {
        let all = [&["list", "-n", "0", "--no-header", "--columns", "victim"], args].concat();
        let shown = text(&host.types(&all).stdout);
        shown.lines().filter_map(|line| Some(line.split_once('[')?.0.to_owned())).collect()
    };
    let all = victims(&[]);
    let mut without = victims(&["--not-comm", "reader", "--not-comm", "writer"]);
    assert!(!without.contains("reader") && !without.contains("writer"), "{without:?}");
    without.extend(["reader".to_owned(), "writer".to_owned()]);
    assert_eq!(without, all);
    let both = victims(&["--comm", "reader", "--comm", "writer"]);
    assert_eq!(both.into_iter().collect::<Vec<_>>(), ["reader", "writer"]);
    let story = host.types(&["why", "reader", "--not-class", "truncated", "-o", "json"]);
    assert!(story.status.success() && !text(&story.stdout).is_empty());
    let stream = recorded("newest", "stream");
    let live = whybus(["replay", "--not-comm", "reader", "-o", "oneline"]).arg(&stream).output();
    let live = text(&live.expect("whybus runs").stdout);
    assert!(!live.is_empty() && !live.contains(" reader["), "{live}");
}

/// One loop is one story: how often and at what rate first, then the latest, and in what its deaths differ.
#[test]
fn a_loop_is_one_story() {
    let host = Host::new();
    let first = text(&host.types(&["list", "-n", "1", "-o", "json", "--comm", "reader"]).stdout);
    let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    let mut lines = String::new();
    for i in 0..4 {
        let mut one = first.clone();
        one["victim"]["comm"] = "geo-crash".into();
        one["victim"]["cmdline"] =
            serde_json::json!(["geo-crash", if i == 0 { "old" } else { "new" }]);
        one["id"] = format!("019aa4d2-6f3{i}-7abc-8def-0123456789ab").into();
        one["time"] = format!("2026-11-24T10:00:0{i}Z").into();
        lines += &format!("{one}\n");
    }
    let file = host.0.path().join("loop.json");
    std::fs::write(&file, lines).expect("room");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    let (status, said) = host.says(&["why", "geo-crash", "--utc"]);
    assert_eq!(status, Some(0), "{said}");
    for part in [
        ": died 4 times\n",
        "when      2026-11-24 10:00:00.000 to 2026-11-24 10:00:03.000 UTC, ",
        "every 1.0 s on average",
        "differs   arguments: geo-crash new (3), geo-crash old (1)",
        "\nLatest: geo-crash[",
        "next      on the host of this incident: journalctl ",
        "here: whybus list --comm geo-crash -S 2026-11-2",
    ] {
        assert!(said.contains(part), "`{part}`: {said}");
    }
    assert!(said.find("ruled out") < said.find("\n  fix "), "{said}");
    let (_, markdown) = host.says(&["why", "geo-crash", "-o", "markdown"]);
    assert!(
        markdown.starts_with("### ` geo-crash ` died 4 times\n\n```text\ngeo-crash, child of ")
            && markdown.matches("died 4 times").count() == 1,
        "{markdown}"
    );
}

/// Several stories are a table, with the command that tells each.
#[test]
fn several_stories_are_a_table() {
    let host = Host::new();
    let (status, said) = host.says(&["why"]);
    assert_eq!(status, Some(0), "{said}");
    let head = said.lines().next().expect("a head");
    assert!(head.contains("VICTIM") && head.ends_with("COMMAND"), "{said}");
    let command =
        said.lines().nth(1).and_then(|line| line.split_once("whybus why ")).expect("a command");
    let (id, _) = command.1.split_once(' ').expect("and the directory");
    let (status, told) = host.says(&["why", id]);
    assert_eq!(status, Some(0), "{told}");
    assert!(said.contains(" more stories match"), "{said}");
    // What is likely only has a mark, as in `list`.
    let likely = ["shrunk-elsewhere", "truncated-before-watch"].map(|class| ["--class", class]);
    let (_, said) = host.says(&[&["why"][..], &likely.concat()].concat());
    let table = said.split("\n\n").next().expect("a table");
    assert!(
        table.contains(" truncated-before-watch? ") && table.contains(" shrunk-elsewhere "),
        "{table}"
    );
    // Where the command takes the room of the rest, it stands below.
    for (width, is_below) in [("60", true), ("80", true), ("500", false)] {
        let mut narrow = whybus(["why", "--state-dir"]);
        narrow.arg(host.state()).env("COLUMNS", width);
        let said = text(&narrow.output().expect("whybus runs").stdout);
        let table = said.split("\n\n").next().expect("a table");
        let head = table.lines().next().expect("a head");
        assert!(head.contains(" CAUSES "), "{said}");
        let way = format!(
            "the newest in full below; `whybus why ID --state-dir {}` shows another",
            host.state().display()
        );
        let flat = table.split_whitespace().collect::<Vec<_>>().join(" ");
        let way = if is_below { &way } else { "the newest in full below" };
        assert!(flat.ends_with(way), "{said}");
        assert_eq!(head.ends_with(" ID"), is_below, "{said}");
    }
}

/// On a terminal that cannot page, or without a pager, what is asked for is shown all the same.
#[test]
fn a_missing_pager_hides_nothing() {
    let host = Host::new();
    let state = host.state();
    for (term, pager) in [("dumb", "less"), ("xterm", "no-such-pager"), ("xterm", "cat")] {
        let command =
            format!("{} list -n 2 --state-dir {}", env!("CARGO_BIN_EXE_whybus"), state.display());
        let mut script = std::process::Command::new("script");
        script.args(["-q", "-c", &command, "/dev/null"]).stdin(std::process::Stdio::null());
        // script(1) makes a terminal; without it there is nothing to try.
        let Ok(out) = script.env("TERM", term).env("PAGER", pager).output() else { return };
        let shown = text(&out.stdout);
        assert!(shown.contains("VICTIM") && shown.lines().count() >= 3, "{term} {pager}: {shown}");
    }
}

/// 9. Statuses and counts mean what the help says.
#[test]
fn statuses_and_counts_mean_what_the_help_says() {
    let host = Host::new();
    let recorded = recorded("newest", "json");
    let again = host.types(&["import", recorded.to_str().expect("UTF-8")]);
    assert!(text(&again.stderr).contains(", 0 incidents of them new"), "{}", text(&again.stderr));
    let stream = common::recorded("newest", "stream");
    let stream = stream.to_str().expect("UTF-8");
    let nobody = whybus(["replay", "--comm", "nosuch", stream]).output().expect("whybus runs");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains(" · 0 bus errors · "), "{}", text(&nobody.stderr));
    let none = whybus(["list", "--state-dir", "/nonexistent"]).output().expect("whybus runs");
    let typo = whybus(["list", "--nonexistent"]).output().expect("whybus runs");
    assert_eq!((none.status.code(), typo.status.code()), (Some(66), Some(2)));
    assert_eq!(host.says(&["list", "--comm", "nosuch"]).0, Some(1));
    let gone = whybus(["trace", "--pid", "4000000000"]).output().expect("whybus runs");
    assert_eq!(gone.status.code(), Some(2));
    assert!(
        text(&gone.stderr).contains("--pid 4000000000: no such process"),
        "{}",
        text(&gone.stderr)
    );
}

/// What is told live: a sum by cause at the end, updates in one line each, and with --quiet nothing else.
#[test]
fn a_watch_ends_with_a_sum() {
    let stream = recorded("deaths", "stream");
    let of =
        |args: &[&str]| whybus(["replay"]).args(args).arg(&stream).output().expect("whybus runs");
    let human = of(&[]);
    assert!(text(&human.stderr).contains("\nby cause: aborted 6, "), "{}", text(&human.stderr));
    let quiet = of(&["-q"]);
    assert_eq!(text(&quiet.stderr), "");
    assert_eq!(quiet.stdout, human.stdout);
    let oneline = text(&of(&["-o", "oneline"]).stdout);
    assert!(oneline.contains("; restarted as pid "), "{oneline}");
}

/// 3. That no file was recorded is not told as if there were none.
#[test]
fn what_was_not_recorded_is_not_denied() {
    let host = Host::new();
    let deaths = std::fs::read_to_string(recorded("deaths", "json")).expect("recorded");
    let crash =
        deaths.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let mut crash =
        crash.into_iter().find(|one| one["cause"]["class"] == "signal").expect("a crash");
    for part in ["symbol", "symbol_offset", "module", "module_offset"] {
        crash["stack"]["user"][0][part] = serde_json::Value::Null;
    }
    crash["advice"] =
        "the function and library named are where it failed; a core dump has the whole stack"
            .into();
    let file = host.0.path().join("crash.json");
    std::fs::write(&file, format!("{crash}\n")).expect("room");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    let (_, said) = host.says(&["show", crash["id"].as_str().expect("an id")]);
    assert!(said.contains(", file unknown: not recorded, or generated code (JIT)"), "{said}");
    assert!(said.contains("  fix      a core dump has the whole stack"), "{said}");
    assert!(!said.contains("in no file") && !said.contains("library named"), "{said}");
}

/// A story fits the terminal, too; what is to be copied is left whole.
#[test]
fn a_story_is_as_wide_as_the_terminal() {
    let host = Host::new();
    for width in [60, 80] {
        for verb in ["why", "show"] {
            let mut command = whybus([verb, "--utc", "--state-dir"]);
            command.arg(host.state()).env("COLUMNS", width.to_string());
            let shown = match verb {
                "why" => command.args(["reader", "--class", "truncated"]).output(),
                _ => {
                    let id = text(
                        &host.types(&["list", "-n", "1", "--no-header", "--columns", "id"]).stdout,
                    );
                    command.arg(id.trim()).output()
                }
            };
            let shown = text(&shown.expect("whybus runs").stdout);
            let long = |line: &&str| {
                line.chars().count() > width && line.contains(": ") && !line.contains("/mnt/")
            };
            let copied = |line: &&str| !line.contains("whybus ") && !line.contains("journalctl ");
            let found: Vec<&str> = shown.lines().filter(long).filter(copied).collect();
            assert!(found.len() <= 2 && shown.lines().count() > 8, "{width}: {found:#?}");
        }
    }
}

/// Tables keep what tells most in a narrow terminal; first lines are broken like all others; sums add up.
#[test]
fn narrow_terminals_have_what_tells_most() {
    let host = Host::new();
    let file = recorded("deaths", "json");
    assert!(host.types(&["import", file.to_str().expect("UTF-8")]).status.success());
    let at = |columns: &str, args: &[&str]| {
        let mut command = whybus(args);
        command.current_dir(host.0.path()).args(["--state-dir", "state"]);
        let out = command.env("COLUMNS", columns).env("TZ", "UTC").output().expect("whybus runs");
        text(&out.stdout)
    };
    let stories = at("80", &["why"]);
    let head = stories.lines().next().expect("a head");
    assert!(head.contains(" CAUSES ") && !head.contains(" HOST "), "{stories}");
    let list = at("80", &["list"]);
    let head = list.lines().next().expect("a head");
    assert!([" HOW ", " CAUSE ", " FILE ", " BY"].iter().all(|part| head.contains(part)), "{list}");
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    let first = at("60", &["status"]).lines().next().expect("a line").to_owned();
    assert!(first.chars().count() <= 60 && first.starts_with("NOT RECORDING: "), "{first}");
    let stream = recorded("newest", "stream");
    let mut replay = whybus(["replay", stream.to_str().expect("UTF-8"), "--quiet"]);
    let told = text(&replay.env("COLUMNS", "60").output().expect("whybus runs").stdout);
    let heading = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
    let headings: Vec<&str> = told.lines().filter(heading).collect();
    let long = headings.iter().find(|line| line.chars().count() > 60);
    assert!(headings.len() > 100 && long.is_none(), "{long:?}");
    // A line each stays one.
    let mut replay =
        whybus(["replay", stream.to_str().expect("UTF-8"), "-o", "oneline", "--quiet"]);
    let told = text(&replay.env("COLUMNS", "60").output().expect("whybus runs").stdout);
    assert!(told.lines().all(|line| heading(&line)), "{told}");
}

/// Incidents without a culprit are counted beside those that have one.
#[test]
fn culprits_add_up() {
    let host = Host::new();
    let number = |text: &str| text.replace(',', "").parse::<usize>().expect("a number");
    for format in ["human", "json", "csv"] {
        let out = host.types(&["stats", "--by", "culprit", "-n", "0", "-o", format]);
        let said = text(&out.stderr);
        let said = said.strip_prefix("culprit: ").expect(&said);
        let unknown = number(said.strip_suffix(" have none, or none that is known\n").expect(said));
        let rows = text(&host.types(&["stats", "--by", "culprit", "-n", "0", "-o", "json"]).stdout);
        let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let known: u64 = rows.map(|row| row["incidents"].as_u64().expect("a number")).sum();
        let all = text(&host.types(&["list", "-n", "0", "-o", "json"]).stdout).lines().count();
        assert_eq!(usize::try_from(known).expect("few") + unknown, all);
    }
}

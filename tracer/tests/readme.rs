//! README, as a new user takes it: each command in it is typed here, or it is said which test types it; what it shows of an
//! answer is what whybus prints. Commands of the other documents are understood by the command line.
mod common;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use clap::Parser as _;
use common::{recorded, text};
use serde_json::Value;
use whybus::{
    cli::Cli,
    contract::Record,
    render::{human, style::Style, warning, watching},
};

/// What one command of README prints, on standard output and standard error, and how it ends.
type Typed = (&'static str, &'static [i32], &'static [&'static str]);

/// Commands that need no kernel, in an order in which they can be typed.
const TYPED: [Typed; 26] = [
    ("whybus --version", &[0], &["whybus 0.1"]),
    ("whybus completion bash", &[0], &["complete -F"]),
    ("whybus man why", &[0], &[".TH whybus-why 1"]),
    ("whybus schema", &[0], &["json-schema.org"]),
    // No recorder runs for that history.
    ("whybus status", &[1], &["NOT RECORDING", "history", "lost"]),
    ("whybus status -o oneline || echo 'whybus needs a look'", &[0], &["whybus needs a look"]),
    ("whybus why geo-api", &[0], &["died once", "cause", "ruled out", "fix", "next"]),
    ("whybus why", &[0], &["LAST", "VICTIM", "CAUSES", "COMMAND", "more stories match"]),
    (
        "whybus why --exit 135 --since \"2h ago\"",
        &[0],
        &["geo-api, child of ", ": died once", "restarts", "ruled out"],
    ),
    ("whybus why -o markdown geo-api", &[0], &["### ` geo-api ` died once\n\n```text\n"]),
    ("whybus list", &[0], &["ID ", " VICTIM ", " CAUSE ", " FILE ", " BY", "no-space?"]),
    ("whybus list --warnings", &[0], &["SIZE", "AT RISK"]),
    ("whybus list --namespace shop", &[1], &["no matching incidents"]),
    ("whybus show ID", &[0], &["geo-api[", "cause", "victim", "fix"]),
    ("whybus show ID --symbolize --debug-dir DIR", &[0], &["geo-api["]),
    ("whybus stats", &[0], &["COUNT", "CAUSE", "FILE", "CULPRIT", "VICTIM", "TIME"]),
    ("whybus stats --by pod", &[1], &["no pod is known of "]),
    (
        "whybus list -n 0 -o json | jq -r '[.id, .victim.comm, .cause.class, .file.path] | @tsv'",
        &[0],
        &["019aa4d2-6f31-7ab0-8def-000000000000\tgeo-api\ttruncated\t/"],
    ),
    // Nothing is named.
    ("whybus forget", &[2], &["nothing says what to forget"]),
    ("whybus export >FILE", &[0], &[]),
    ("whybus import FILE --state-dir DIR", &[0], &[" taken into DIR/history.db, "]),
    ("sudo whybus import FILE", &[0], &[", 0 incidents of them new"]),
    ("sudo whybus forget --comm X", &[0], &["1 incident and 0 warnings forgotten"]),
    ("whybus replay FILE", &[0], &["SIGBUS, killed", "by cause: "]),
    // As this host is.
    ("whybus scan", &[0, 1, 75], &["mapping"]),
    ("ls /sys/kernel/btf/vmlinux", &[0, 2], &["/sys/kernel/btf/vmlinux"]),
];

/// What a kernel has to be for, or a whole host, and where it is typed instead. Each is understood, all the same.
const ELSEWHERE: [(&str, &str); 12] = [
    ("sudo whybus trace", "the guests' matrix, each scenario"),
    ("whybus trace", "the guests' matrix (--comm, --signals, -v, --save, -- CMD), tests/guest"),
    ("sudo whybus doctor", "the guests' matrix; unprivileged tests/cli.rs"),
    ("whybus doctor", "the same"),
    ("whybus demo", "the guests' job `lockdown`, and `cargo xtask demo`"),
    ("whybus record", "xtask/guest/history/dialogue.sh, and the guest with systemd"),
    ("systemctl enable --now whybus", "the guest with systemd"),
    ("journalctl MESSAGE_ID=", "the guest with systemd"),
    ("sudo install ", "the guest with systemd has both files there"),
    ("cargo ", "the gate"),
    ("whybus export >updater.json", "cargo xtask test --two-hosts"),
    ("whybus import updater.json", "the same"),
];

/// Commands of a document, as they stand there: between backticks, and in lines of blocks.
fn commands(document: &str) -> Vec<String> {
    const TOOLS: [&str; 6] = ["whybus", "sudo", "systemctl", "journalctl", "cargo", "ls"];
    let is_one = |text: &str| {
        let mut words = text.split(' ');
        words.next().is_some_and(|first| TOOLS.contains(&first)) && words.next().is_some()
    };
    let (mut found, mut prose) = (Vec::new(), String::new());
    let mut fenced = false;
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if !fenced && !line.starts_with("    ") {
            prose.push_str(line);
            prose.push(if line.is_empty() { '\n' } else { ' ' });
            continue;
        }
        // Behind a prompt, of a terminal or of a host.
        let prompt = |word: &str| word.ends_with(['$', '#']) && word.len() < 10;
        let line = line.trim();
        let typed = match line.split_once(' ') {
            Some((first, rest)) if prompt(first) => rest.trim_start(),
            _ => line,
        };
        // And without what is said of it.
        found.push(typed.split("    #").next().unwrap_or(typed).trim_end().to_owned());
    }
    for paragraph in prose.lines() {
        found.extend(paragraph.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    found.retain(|text| is_one(text));
    found
}

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).expect("documents");
    let docs = docs.map(|entry| entry.expect("a document").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let all = pages.chain([root.join("README.md")]);
    all.map(|path| (path.clone(), fs::read_to_string(&path).expect("a document"))).collect()
}

/// A place where commands find other programs under their names.
struct Desk(tempfile::TempDir);

impl Desk {
    /// With these programs, each a script of sh(1).
    fn new(programs: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().expect("a directory"));
        fs::create_dir(desk.path("bin")).expect("room");
        for (name, script) in programs {
            let path = desk.path("bin").join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("room");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn types(&self, line: &str) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.path("bin").display());
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env("PATH", path).env("TZ", "UTC").env("COLUMNS", "200");
        shell.current_dir(self.0.path()).stdin(std::process::Stdio::null());
        shell.output().expect("sh runs")
    }
}

/// Words as a shell makes them of a line, for each whybus in it.
fn understood(desk: &Desk, line: &str) -> Vec<Vec<String>> {
    let said = desk.path("argv");
    let _ = fs::remove_file(&said);
    desk.types(line.replace(" …", "").trim_end_matches('&'));
    let argv = fs::read_to_string(&said).unwrap_or_default();
    let runs = argv.split('\u{1}').filter(|run| !run.is_empty());
    runs.map(|run| run.split('\0').filter(|word| !word.is_empty()).map(str::to_owned).collect())
        .collect()
}

#[test]
fn each_command_of_the_documents_is_understood() {
    let whybus = "printf 'whybus\\0' >>argv; printf '%s\\0' \"$@\" >>argv; printf '\\1' >>argv";
    let others = ["systemctl", "journalctl", "cargo", "install", "jq"].map(|name| (name, "exit 0"));
    let desk = Desk::new(&[&[("whybus", whybus), ("sudo", "exec \"$@\"")][..], &others].concat());
    let mut tried = 0;
    for (path, document) in documents() {
        for command in commands(&document).iter().filter(|command| command.contains("whybus ")) {
            for words in understood(&desk, command) {
                if let Err(error) = Cli::try_parse_from(&words) {
                    let shown = [
                        clap::error::ErrorKind::DisplayHelp,
                        clap::error::ErrorKind::DisplayVersion,
                    ];
                    assert!(
                        shown.contains(&error.kind()),
                        "{}: {command}: {error}",
                        path.display()
                    );
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
}

/// A desk with a history, in which geo-api died ten minutes ago.
fn desk() -> Desk {
    // What is typed comes last, and counts.
    let asks = "why list show stats export import forget status";
    let whybus = format!(
        "case \" {asks} \" in *\" $1 \"*) verb=$1; shift; exec {0} $verb --state-dir state \"$@\";; esac; exec {0} \"$@\"",
        env!("CARGO_BIN_EXE_whybus")
    );
    let desk = Desk::new(&[("whybus", whybus.as_str()), ("sudo", "exec \"$@\"")]);
    let recorded = fs::read_to_string(recorded("newest", "json")).expect("recorded");
    let reader = |line: &&str| {
        line.contains(r#""kind":"incident""#)
            && line.contains(r#""comm":"reader""#)
            && line.contains(r#""class":"truncated","confidence":"proven""#)
            && line.contains(r#""outcome":"killed""#)
    };
    let mut one: Value =
        serde_json::from_str(recorded.lines().find(reader).expect("one")).expect("JSON");
    let now = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(10);
    (one["victim"]["comm"], one["id"]) = ("geo-api".into(), ID.into());
    (one["time"], one["last"]) = (now.to_string().into(), now.to_string().into());
    fs::write(desk.path("history.json"), format!("{recorded}{one}\n")).expect("room");
    let import = desk.types("whybus import history.json");
    assert!(import.status.success(), "{}", text(&import.stderr));
    desk
}

const ID: &str = "019aa4d2-6f31-7ab0-8def-000000000000";

/// One command, with what README has placeholders for.
fn typed(desk: &Desk, (command, statuses, words): Typed) {
    let stream = format!("replay {}", recorded("newest", "stream").display());
    let line = command.replace(" ID", &format!(" {ID}")).replace("--comm X", "--comm geo-api");
    let line = line.replace("replay FILE", &stream).replace("--debug-dir DIR", "--debug-dir .");
    let out = desk.types(&line);
    let said = text(&out.stdout) + &text(&out.stderr);
    let status = out.status.code();
    assert!(statuses.iter().any(|known| status == Some(*known)), "{line}: {status:?} {said}");
    for word in words {
        assert!(said.contains(word), "{line} does not say `{word}`: {said}");
    }
}

/// jq, of a host that has it; the gate installs it.
fn has_jq() -> bool {
    Command::new("jq").arg("--version").output().is_ok()
}

#[test]
fn each_command_of_the_readme_prints_what_it_says() {
    let desk = desk();
    for one in TYPED.into_iter().filter(|(command, ..)| !command.contains("jq ") || has_jq()) {
        typed(&desk, one);
    }
    let exported = fs::read_to_string(desk.path("FILE")).expect("an export");
    assert!(exported.lines().count() > 90 && exported.contains(ID));
}

/// One-liners for jq, of all documents: a line an incident.
#[test]
fn what_jq_takes_is_what_is_printed() {
    if !has_jq() {
        return;
    }
    let desk = desk();
    let lines = |command: &str| -> Vec<String> {
        let out = desk.types(command);
        // Of a pipe the status is that of jq.
        assert!(
            out.status.code().is_some_and(|status| status < 2),
            "{command}: {}",
            text(&out.stderr)
        );
        text(&out.stdout).lines().map(str::to_owned).collect()
    };
    let mut tried = 0;
    for (_, document) in documents() {
        for command in commands(&document).iter().filter(|command| command.contains("json | jq ")) {
            let (asked, _) = command.split_once(" | jq").expect("it is there");
            let (all, taken) = (lines(asked).len(), lines(command));
            let metrics = command.contains(r"whybus_");
            let is_metric = |line: &String| {
                let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<u64>().is_ok());
                // What was lost is not known of a copied history.
                let unknown = line == "whybus_lost_in_24h NaN";
                line.starts_with("whybus_") && (value == Some(true) || unknown)
            };
            assert!(!metrics || taken.iter().all(is_metric), "{taken:?}");
            let nan = taken.iter().any(|line| line.ends_with(" NaN"));
            assert_eq!(nan, asked.contains(" status "), "{command}: {taken:?}");
            let expected = if asked.contains(" status ") { 2 } else { all };
            assert!(taken.len() == expected && expected > 1, "{command}: {taken:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 4);
}

/// None is left out in silence.
#[test]
fn each_command_of_the_readme_is_typed_somewhere() {
    let readme = include_str!("../../README.md");
    let all = commands(readme);
    assert!(all.len() > 45, "{all:#?}");
    let here = |command: &str| TYPED.iter().any(|(typed, ..)| *typed == command);
    let elsewhere = |command: &str| ELSEWHERE.iter().any(|(begins, _)| command.starts_with(begins));
    let untyped: Vec<&String> =
        all.iter().filter(|command| !here(command) && !elsewhere(command)).collect();
    assert!(untyped.is_empty(), "{untyped:#?}");
    // Nor does anything stand here that README has no more, but for what it names in another way.
    let named = ["whybus list --warnings", "whybus list --namespace shop", "whybus stats --by pod"];
    for (command, ..) in TYPED.iter().filter(|(typed, ..)| !named.contains(typed)) {
        assert!(all.iter().any(|one| one == command), "README has no `{command}`");
    }
    for words in [&["list --warnings"][..], &["list --namespace shop"], &["stats --by pod"]] {
        assert!(words.iter().all(|words| readme.contains(words)));
    }
}

/// Every flag that is named stands in the help of some verb.
#[test]
fn each_flag_of_the_documents_is_one() {
    use clap::CommandFactory as _;
    let command = Cli::command();
    let verbs = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let known: Vec<String> = verbs
        .chain(command.get_arguments())
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .chain(["help", "version"].map(str::to_owned))
        .collect();
    let readme = include_str!("../../README.md");
    let mut seen = 0;
    for code in readme.split('`').skip(1).step_by(2).filter(|code| code.starts_with("--")) {
        for flag in code.split([' ', ',']).filter_map(|word| word.strip_prefix("--")) {
            let flag = flag.trim_end_matches(['…', '.']);
            assert!(known.iter().any(|known| known == flag), "--{flag}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The answers that README shows are those that such records give; tests/readme has them.
#[test]
fn what_the_readme_shows_is_what_is_printed() {
    let readme = include_str!("../../README.md");
    let mut shown = 0;
    for line in include_str!("readme/records.json").lines() {
        let record = whybus::contract::json::from_slice(line.as_bytes()).expect("a record");
        let style = Style::plain(false, false);
        let printed = match &record {
            Record::Incident(one) => human::incident(one, &style),
            Record::Truncation(one) => warning::truncation(one, &style),
            Record::Watching(one) => watching::human(one, &style),
            _ => panic!("{line}"),
        };
        let printed = text(&printed);
        assert!(readme.contains(printed.trim()), "README does not show\n{printed}");
        shown += 1;
    }
    assert_eq!(shown, 4);
}

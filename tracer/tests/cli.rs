//! The command line as a user meets it: help, errors, exit statuses, pipes.
use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

mod common;
use common::{recorded, text, values, whybus};

fn stderr(command: &mut Command) -> (Option<i32>, String) {
    let out = command.output().expect("whybus runs");
    (out.status.code(), text(&out.stderr))
}

/// A number and what it means, from each of these.
fn statuses<'a>(rows: impl Iterator<Item = &'a str>) -> BTreeMap<u8, String> {
    rows.filter_map(|row| {
        let (status, meaning) = row.trim().split_once(' ')?;
        Some((status.parse().ok()?, meaning.split_whitespace().collect::<Vec<_>>().join(" ")))
    })
    .collect()
}

#[test]
fn help_documents_the_exit_statuses() {
    let help = text(&whybus(["--help"]).output().expect("whybus runs").stdout);
    let (_, told) = help.split_once("Exit status:\n").expect("a list of them");
    let told = statuses(told.lines());
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 66, 69, 70, 75, 77]);
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("\nExit status: ").expect("a list in the README");
    let (list, _) = rest.split_once(".\n").expect("its end");
    let list = list.replace('\n', " ");
    assert_eq!(statuses(list.split(';')), told);
    assert!(help.contains("128 + signal"), "{help}");
}

#[test]
fn help_lists_every_verb() {
    let help = text(&whybus(["--help"]).output().expect("whybus runs").stdout);
    let (_, verbs) = help.split_once("Commands:\n").expect("a list of commands");
    let (verbs, _) = verbs.split_once("\n\n").expect("its end");
    let listed: Vec<&str> = verbs
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    let expected = [
        "trace",
        "record",
        "why",
        "list",
        "show",
        "stats",
        "export",
        "import",
        "forget",
        "replay",
        "scan",
        "demo",
        "doctor",
        "status",
        "schema",
        "completion",
        "man",
    ];
    assert_eq!(listed, expected, "{help}");
    // Headings: an option of a verb's own is not one of what was listed before it.
    let trace = text(&whybus(["trace", "-h"]).output().expect("whybus runs").stdout);
    let deaths = trace.split_once("\nWhat to report:\n").expect("a heading").1;
    let deaths = deaths.split_once("\n\n").map_or(deaths, |(section, _)| section);
    assert!(!deaths.contains("--duration") && !deaths.contains("--save"), "{trace}");
    assert!(trace.contains("Arguments:\n  [CMD]...") && !trace.contains("Examples:"), "{trace}");
    let why = text(&whybus(["why", "--help"]).output().expect("whybus runs").stdout);
    assert!(why.contains("Examples:\n") && why.contains("truncated-before-watch"), "{why}");
    for verb in expected {
        let out = whybus([verb, "--help"]).output().expect("whybus runs");
        assert!(out.status.success() && !out.stdout.is_empty(), "{verb}: {}", text(&out.stderr));
    }
}

/// A page of each verb and of the whole, and a script for each shell, that names the verbs.
#[test]
fn manual_pages_and_completions_are_printed() {
    let printed = |args: &[&str]| {
        let out = whybus(args).output().expect("whybus runs");
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        text(&out.stdout)
    };
    assert!(printed(&["man"]).contains(".TH whybus 1"));
    let page = printed(&["man", "why"]);
    assert!(page.contains(".TH whybus-why 1") && page.contains("Examples:"), "{page}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(page.contains(&format!("\"whybus {version}\" \"whybus manual\"")), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completion", shell]);
        assert!(script.contains("status") && !script.contains("demo-victim"), "{shell}: {script}");
    }
    let (status, said) = stderr(&mut whybus(["man", "whi"]));
    assert_eq!(status, Some(2));
    assert!(
        said.contains("did you mean `why`?") && said.contains("verbs: trace, record"),
        "{said}"
    );
}

#[test]
fn without_privilege_it_says_what_is_missing() {
    // SAFETY: no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    // A copy that anybody may run: the checkout may lie below a private directory.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let copy = dir.path().join("whybus");
    // By another process: a test that forks meanwhile would hold ours open for writing (ETXTBSY).
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_whybus")).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "a copy");
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("our own directory");
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new(&copy);
        if root {
            command.uid(65534).gid(65534);
        }
        command.args(args);
        command
    };
    let (status, error) = stderr(&mut as_nobody(&["trace"]));
    assert_eq!(status, Some(77), "{error}");
    assert!(error.contains("CAP_BPF and CAP_PERFMON") && error.contains("sudo"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    // What can be said without trying is said, where the kernel publishes its types.
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return;
    }
    let out = as_nobody(&["doctor"]).output().expect("whybus runs");
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(77), "{said}{}", text(&out.stderr));
    assert!(said.starts_with("NOT TRIED: ") && said.contains("CAP_PERFMON"), "{said}");
    assert!(said.contains("\nkernel ") && said.contains("\nlimits "), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("`sudo whybus doctor` tries it"), "{said}");
    assert_eq!(said.matches("whybus doctor").count(), 1, "{said}");
    let out = as_nobody(&["doctor", "-o", "json"]).output().expect("whybus runs");
    let plan = &values(&out)[0];
    assert_eq!((&plan["kind"], &plan["verdict"]), (&"doctor".into(), &serde_json::Value::Null));
    let planned = |one: &serde_json::Value| one["state"] == "planned";
    assert!(plan["observed"].as_array().is_some_and(|all| all.iter().any(planned)), "{plan}");
    // Below the screen that a terminal has, a file has all: it belongs to an issue.
    for one in plan["observed"].as_array().expect("a list") {
        let what = one["what"].as_str().expect("a name");
        let stands = said.split_whitespace().any(|word| word == what);
        assert!(stands || one["state"] == "waiting", "{what}: {said}");
    }
    let takes = plan["capabilities"].as_array().expect("a list");
    assert!(!root || takes.iter().all(|one| one["held"] == false), "{plan}");
    assert!(takes.iter().any(|one| one["name"] == "CAP_SYS_PTRACE"), "{plan}");
    // Nothing is promised that the host is known to lack.
    if !Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        let hooks = plan["hooks"].as_array().expect("a list");
        let promised = hooks.iter().find(|hook| hook.as_str().expect("a hook").starts_with('k'));
        assert_eq!(promised, None);
        assert!(said.contains("CONFIG_KPROBE_EVENTS") && !said.contains("mount sysfs"), "{said}");
    }
}

/// Before anything is attached.
#[test]
fn what_is_required_has_a_name() {
    for verb in ["trace", "record"] {
        let (status, error) = stderr(&mut whybus([verb, "--require", "bus-errors,nonsense"]));
        assert_eq!(status, Some(2), "{error}");
        assert!(error.contains("bus-errors, deaths, all, or the name of a cause"), "{error}");
        let help = text(&whybus([verb, "--help"]).output().expect("whybus runs").stdout);
        assert!(help.contains("--require <LIST>"), "{help}");
    }
}

#[test]
fn usage_errors_are_2() {
    let cases: [(&[&str], &str); 6] = [
        (&["nonsense"], "unrecognized subcommand 'nonsense'"),
        (&["trace", "--duration", "soon"], "invalid value 'soon' for '--duration"),
        (&["trace", "--count", "0"], "invalid value '0' for '--count"),
        (&["trace", "-o", "xml"], "invalid value 'xml' for '--output"),
        (&["trace", "--pid", "abc"], "`abc` is not a number"),
        (&["replay"], "required arguments were not provided"),
    ];
    for (args, said) in cases {
        let (status, error) = stderr(&mut whybus(args));
        assert_eq!(status, Some(2), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?}: {error}");
    }
}

#[test]
fn the_schema_is_json() {
    let out = whybus(["schema"]).output().expect("whybus runs");
    let schema: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn a_closed_pipe_is_success() {
    let stream = recorded("newest", "stream");
    for format in ["human", "json", "oneline"] {
        let mut command = whybus(["replay", "-o", format]);
        command.arg(&stream);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("whybus runs");
        drop(child.stdout.take());
        let out = child.wait_with_output().expect("whybus ends");
        assert_eq!(out.status.code(), Some(0), "{format}");
        let error = text(&out.stderr);
        assert!(!error.contains("panicked") && !error.contains("whybus:"), "{error}");
    }
}

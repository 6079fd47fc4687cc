//! The command line as a user meets it: help, errors, exit statuses, pipes.
use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

fn whybus() -> Command {
    Command::new(env!("CARGO_BIN_EXE_whybus"))
}

fn stderr(command: &mut Command) -> (Option<i32>, String) {
    let out = command.output().expect("whybus runs");
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn help_documents_the_exit_statuses() {
    let out = whybus().arg("--help").output().expect("whybus runs");
    let text = String::from_utf8_lossy(&out.stdout);
    for expected in [
        "trace",
        "record",
        "why",
        "list",
        "show",
        "stats",
        "export",
        "import",
        "replay",
        "demo",
        "doctor",
        "schema",
        "69",
        "70",
        "77",
        "128 + signal",
    ] {
        assert!(text.contains(expected), "{expected} is missing in:\n{text}");
    }
}

#[test]
fn without_privilege_it_says_what_is_missing() {
    // SAFETY: no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    for verb in ["trace", "doctor"] {
        let mut command = whybus();
        if root {
            // A copy that anybody may run: the checkout may lie below a private directory.
            let copy = std::env::temp_dir().join(format!("whybus-cli-{}", std::process::id()));
            std::fs::copy(env!("CARGO_BIN_EXE_whybus"), &copy).expect("a copy");
            command = Command::new(&copy);
            command.uid(65534).gid(65534);
        }
        let (status, error) = stderr(command.arg(verb));
        assert_eq!(status, Some(77), "{error}");
        assert!(error.contains("CAP_BPF and CAP_PERFMON") && error.contains("sudo"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let _ = std::fs::remove_file(
        std::env::temp_dir().join(format!("whybus-cli-{}", std::process::id())),
    );
}

#[test]
fn usage_errors_are_2() {
    let cases: [&[&str]; 6] = [
        &["nonsense"],
        &["trace", "--duration", "soon"],
        &["trace", "--count", "0"],
        &["trace", "-o", "xml"],
        &["replay"],
        &["replay", "/nonexistent"],
    ];
    for args in cases {
        let (status, error) = stderr(whybus().args(args));
        assert_eq!(status, Some(2), "{args:?}: {error}");
        assert!(!error.is_empty(), "{args:?}");
    }
}

#[test]
fn the_schema_is_json() {
    let out = whybus().arg("schema").output().expect("whybus runs");
    let schema: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn a_closed_pipe_is_success() {
    let stream = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams/newest.stream");
    for format in ["human", "json", "oneline"] {
        let mut command = whybus();
        command.args(["replay", "-o", format]).arg(&stream);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("whybus runs");
        drop(child.stdout.take());
        let out = child.wait_with_output().expect("whybus ends");
        assert_eq!(out.status.code(), Some(0), "{format}");
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(!error.contains("panicked") && !error.contains("whybus:"), "{error}");
    }
}

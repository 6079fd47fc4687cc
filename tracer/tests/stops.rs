//! What stopped a first user, each as it was typed.
use std::{path::PathBuf, process::Output};

use tempfile::TempDir;

mod common;
use common::{recorded, text, whybus};

/// A history of its own.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("a temporary directory"));
        let import = host.types(&["import", recorded("newest", "json").to_str().expect("UTF-8")]);
        assert!(import.status.success(), "{}", text(&import.stderr));
        host
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn types(&self, args: &[&str]) -> Output {
        let mut command = whybus(args);
        command.arg("--state-dir").arg(self.state()).env("TZ", "UTC");
        command.output().expect("whybus runs")
    }

    /// Its status, and all that it said.
    fn says(&self, args: &[&str]) -> (Option<i32>, String) {
        let out = self.types(args);
        (out.status.code(), text(&out.stdout) + &text(&out.stderr))
    }
}

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

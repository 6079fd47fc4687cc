//! `whybus replay`, as an ordinary user, without a kernel: recorded streams and their goldens
//! (`cargo xtask test --record` makes them anew).
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn streams() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams")
}

fn replay(args: &[&str], file: &Path) -> Output {
    let mut whybus = Command::new(env!("CARGO_BIN_EXE_whybus"));
    whybus.arg("replay").args(args).arg(file).output().expect("whybus runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of our own that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("whybus-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("a temporary file");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn goldens() {
    for kernel in ["5.10", "newest", "deaths"] {
        let file = |ext: &str| streams().join(format!("{kernel}.{ext}"));
        let json = replay(&["-o", "json"], &file("stream"));
        assert!(json.status.success());
        let golden = fs::read_to_string(file("json")).expect("a golden file");
        for (got, golden) in text(&json.stdout).lines().zip(golden.lines()) {
            assert_eq!(got, golden, "{kernel}");
        }
        assert_eq!(json.stdout.len(), golden.len(), "{kernel}");
        let human = replay(&["--utc"], &file("stream"));
        let golden = fs::read_to_string(file("txt")).expect("a golden file");
        let incidents = golden.split("\n\n").filter(|block| block.contains("  cause    "));
        let shown = text(&human.stdout);
        for incident in incidents {
            assert!(
                shown.contains(incident.trim_end()),
                "{kernel}: {incident}\nis missing in\n{shown}"
            );
        }
    }
}

#[test]
fn a_torn_stream_shows_what_is_readable() {
    let whole = fs::read(streams().join("newest.stream")).expect("a stream");
    let torn = Scratch::new("torn", &whole[..whole.len() / 2]);
    let out = replay(&["-o", "oneline"], &torn.0);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stdout).lines().count() > 5, "{}", text(&out.stdout));
    let error = text(&out.stderr);
    assert!(error.contains("at byte") && error.contains("ends inside a record"), "{error}");
}

#[test]
fn damaged_and_foreign_files_are_refused_with_the_position() {
    let whole = fs::read(streams().join("newest.stream")).expect("a stream");
    let host = whole.iter().skip(16).position(|b| *b == b'\n').expect("a host line") + 17;
    let mut damaged = whole.clone();
    damaged[host..host + 4].copy_from_slice(&[0xff; 4]);
    let layout = text(&whole[..host]).replacen("\"layout\":", "\"layout\":99", 1);
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "not a whybus event stream"),
        ("foreign", b"\x7fELF\x02\x01\x01", "not a whybus event stream"),
        ("cut", &whole[..20], "the host line is cut short"),
        ("damaged", &damaged, &format!("at byte {host}")),
        ("layout", layout.as_bytes(), "the stream has layout 99"),
    ];
    for (name, content, expected) in cases {
        let file = Scratch::new(name, content);
        let out = replay(&[], &file.0);
        assert_eq!(out.status.code(), Some(2), "{name}");
        let error = text(&out.stderr);
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn any_byte_may_be_wrong() {
    let whole = fs::read(streams().join("5.10.stream")).expect("a stream");
    let mut seed = 1_u64;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..20 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 20) as usize % bytes.len();
            bytes[at] = (seed >> 50) as u8;
        }
        let file = Scratch::new("fuzz", &bytes);
        let out = replay(&["-o", "json"], &file.0);
        let code = out.status.code();
        assert!(matches!(code, Some(0 | 2)), "status {code:?}: {}", text(&out.stderr));
    }
}

#[test]
fn filters_choose() {
    let file = streams().join("newest.stream");
    let lines = |args: &[&str]| {
        let mut all = vec!["-o", "oneline"];
        all.extend(args);
        text(&replay(&all, &file).stdout).lines().count()
    };
    // What the golden file says of the same stream.
    let golden = fs::read_to_string(streams().join("newest.json")).expect("a golden file");
    let golden: Vec<Value> =
        golden.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let count = |wanted: &dyn Fn(&Value) -> bool| {
        let told = |line: &&Value| line["kind"] == "incident" || line["kind"] == "truncation";
        golden.iter().filter(told).filter(|line| wanted(line)).count()
    };
    let by = |line: &Value, comm: &str| {
        line["cause"]["culprit"]["comm"] == comm || line["culprit"]["comm"] == comm
    };
    let memfd = count(&|line| {
        line["victim"]["comm"] == "memfd" || {
            let at_risk = line["at_risk"].as_array().map(Vec::as_slice).unwrap_or_default();
            at_risk.iter().any(|task| task["comm"] == "memfd")
        }
    });
    assert!(memfd > 0);
    assert_eq!(lines(&["--comm", "memfd"]), memfd);
    let cp = count(&|line| by(line, "cp"));
    assert!(cp > 0);
    assert_eq!(lines(&["--by-comm", "cp"]), cp);
    let on_ext4 = count(&|line| {
        // A name that is no UTF-8 stands beside its bytes.
        let path = &line["file"]["path"];
        let path = path.as_str().or(path["text"].as_str());
        path.is_some_and(|path| path.starts_with("/mnt/ext4/"))
    });
    assert!(on_ext4 > 15 && on_ext4 < lines(&[]));
    assert_eq!(lines(&["--path", "/mnt/ext4"]), on_ext4);
    let incidents = golden.iter().filter(|line| line["kind"] == "incident").count();
    assert!(incidents < lines(&[]));
    assert_eq!(lines(&["--no-warnings"]), incidents);
    assert_eq!(lines(&["--uid", "12345"]), 0);
}

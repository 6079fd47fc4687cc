//! What the tests of the command line share: running whybus, reading what it printed, comparing
//! that with a golden file.
#![allow(dead_code, reason = "each test target uses a part of it")]
use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use fastrand::Rng;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use tempfile::TempDir;

/// The whybus under test: that of this tree, or the one that the environment names, as one of an earlier commit.
pub fn binary() -> PathBuf {
    let other = std::env::var_os("WHYBUS_BINARY");
    other.map_or_else(|| env!("CARGO_BIN_EXE_whybus").into(), PathBuf::from)
}

/// whybus with these arguments, and nothing to read.
pub fn whybus<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(binary());
    command.args(args).stdin(Stdio::null());
    command
}

/// The recorded stream `name`, or a golden file of it, by its extension.
pub fn recorded(name: &str, extension: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams");
    dir.join(format!("{name}.{extension}"))
}

/// A history of its own, with what was recorded in a guest.
pub struct Host(pub TempDir);

impl Host {
    pub fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("a temporary directory"));
        let import = host.types(&["import", recorded("newest", "json").to_str().expect("UTF-8")]);
        assert!(import.status.success(), "{}", text(&import.stderr));
        host
    }

    pub fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    pub fn types(&self, args: &[&str]) -> Output {
        let mut command = whybus(args);
        command.arg("--state-dir").arg(self.state()).env("TZ", "UTC");
        command.output().expect("whybus runs")
    }

    /// Its status, and all that it said.
    pub fn says(&self, args: &[&str]) -> (Option<i32>, String) {
        let out = self.types(args);
        (out.status.code(), text(&out.stdout) + &text(&out.stderr))
    }
}

/// What `whybus replay` prints of a stream.
pub fn replay(args: &[&str], stream: &Path) -> Output {
    whybus(["replay"]).args(args).arg(stream).output().expect("whybus runs")
}

/// Any number below `bound`.
pub fn below(random: &mut Rng, bound: usize) -> usize {
    random.usize(..bound.max(1))
}

/// Some bytes changed, now and then a piece taken out, doubled or cut off.
pub fn damage(bytes: &mut Vec<u8>, random: &mut Rng) {
    for _ in 0..=below(random, 20) {
        let at = below(random, bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            // The edges of a range are where a check is wrong.
            *byte = match below(random, 4) {
                0 => 0,
                1 => 0xff,
                2 => byte.wrapping_add(1),
                _ => random.u64(..) as u8,
            };
        }
    }
    let (from, length) = (below(random, bytes.len()), below(random, 64));
    let to = (from + length).min(bytes.len());
    match below(random, 8) {
        0 => drop(bytes.drain(from..to)),
        1 => {
            let piece = bytes[from..to].to_vec();
            bytes.splice(from..from, piece);
        }
        2 => bytes.truncate(from),
        _ => {}
    }
}

/// The two lines that a stream begins with, and its records, as they came from the ring buffers or were noted.
pub fn records(name: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let bytes = fs::read(recorded(name, "stream")).expect("a stream");
    let mut rest = bytes.splitn(3, |byte| *byte == b'\n').nth(2).expect("records");
    let head = bytes[..bytes.len() - rest.len()].to_vec();
    let mut out = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        out.push(record.to_vec());
        rest = after;
    }
    (head, out)
}

/// Lossy text of what a program printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The JSON lines that whybus printed on its standard output.
pub fn values(out: &Output) -> Vec<Value> {
    text(&out.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Standard output and standard error as a terminal shows them.
pub fn on_one_terminal(command: &mut Command) -> String {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    command.stdout(writer.try_clone().expect("a descriptor")).stderr(writer);
    let mut child = command.spawn().expect("whybus runs");
    // Its copies of the pipe's end would keep the reader waiting.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut shown = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut shown).expect("what it printed");
    child.wait().expect("whybus ends");
    text(&shown)
}

/// Holds a text against a golden file, byte for byte.
///
/// # Panics
/// Where they differ, with the lines that do.
pub fn assert_golden(got: &str, golden: &Path) {
    let expected = fs::read_to_string(golden).expect("a golden file");
    assert!(got == expected, "{} differs:\n{}", golden.display(), difference(&expected, got));
}

/// The lines of two texts that differ (`-` expected, `+` got), with three around them.
fn difference(expected: &str, got: &str) -> String {
    const SHOWN: usize = 20;
    let diff = TextDiff::from_lines(expected, got);
    let groups = diff.grouped_ops(3);
    let mut out = String::new();
    for group in groups.iter().take(SHOWN) {
        let first = group.first().map_or(0, |op| op.old_range().start);
        let _ = writeln!(out, "@@ line {}", first + 1);
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let _ = write!(out, "{mark}{}", change.to_string_lossy());
            if change.missing_newline() {
                out.push_str("\n\\ no line feed at the end\n");
            }
        }
    }
    if groups.len() > SHOWN {
        let _ = writeln!(out, "and {} more places", groups.len() - SHOWN);
    }
    out
}

#[test]
fn a_difference_shows_the_lines() {
    let shown = difference("a\nb\nc\n", "a\nx\nc");
    assert_eq!(shown, "@@ line 1\n a\n-b\n-c\n+x\n+c\n\\ no line feed at the end\n");
}

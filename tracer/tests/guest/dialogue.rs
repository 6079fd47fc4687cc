//! What a new user types: xtask/guest/history/dialogue.sh.
use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::{Job, root};

/// The README shows a terminal; numbers, times and ids differ from run to run.
///
/// # Errors
/// Where they differ in anything else.
pub fn the_dialogue(job: &Job) -> Result<()> {
    let seen = job.text("dialogue")?;
    let readme = fs::read_to_string(root().join("README.md"))?;
    let section = readme.split("types it and compares):").nth(1).context("no section")?;
    let shown = section.split("```\n").nth(1).context("no terminal")?;
    let (mut shown, mut seen) = (numberless(shown), numberless(&seen));
    // Whoever dies at once may be gone before anybody looks where its output led; then the journal is named.
    let is_log =
        |line: &String| line.starts_with("output ") || line.starts_with("next journalctl ");
    shown.retain(|line| !is_log(line));
    seen.retain(|line| !is_log(line));
    // A guest has unpacked all of its files a moment ago.
    seen.retain(|line| !line.contains(" last changed "));
    for (shown, seen) in shown.iter().zip(&seen) {
        ensure!(shown == seen, "the README has\n{shown}\nand a terminal\n{seen}");
    }
    ensure!(shown.len() == seen.len(), "{} lines, and {} in a terminal", shown.len(), seen.len());
    Ok(())
}

/// The lines of a text, words apart by one space, without what differs from run to run.
fn numberless(text: &str) -> Vec<String> {
    let plain = |word: &str| -> String {
        let hex = |c: char| c.is_ascii_hexdigit();
        let id = word.split_once('-').is_some_and(|(time, rest)| {
            time.len() == 8 && rest.len() == 4 && (time.to_owned() + rest).chars().all(hex)
        });
        if id && !word.starts_with("2026") {
            return "ID".to_owned();
        }
        if matches!(word, "ns" | "µs" | "ms" | "s" | "ms," | "s," | "µs,") {
            return "TIME".to_owned();
        }
        // An instruction of a program that is built elsewhere, too.
        if let Some((name, _)) = word.split_once("+0x") {
            return format!("{name}+N");
        }
        let mut out = String::new();
        for c in word.chars() {
            match c {
                '0'..='9' if out.ends_with('N') => {}
                '0'..='9' => out.push('N'),
                '.' if out.ends_with('N') => {}
                c => out.push(c),
            }
        }
        out
    };
    let line = |line: &str| line.split_whitespace().map(plain).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

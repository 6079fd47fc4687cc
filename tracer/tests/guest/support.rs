//! README's table of supported kernels, held against what those that were booted said of themselves.
use std::{fs, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use whybus::{
    contract::{Record, Watching},
    model::observe::Readiness,
};

use crate::{Job, record::records, root, trial};

/// The kernels of the matrix that have a line, and which: `arm64-` before the name is its column.
const LINES: [(&str, &str); 4] = [
    ("5.10", "Debian 11, 5.10"),
    ("6.1", "Debian 12, 6.1"),
    ("6.12", "Debian 13, 6.12"),
    ("newest", "Linux 7.3, Debian's packages"),
];

/// A test for a boot whose kernel has a line.
pub fn trials(job: &Arc<Job>, locked_down: bool) -> Vec<Trial> {
    let Some(line) = line(&job.kernel) else { return Vec::new() };
    let (job, name) = (job.clone(), if locked_down { "lockdown::" } else { "" });
    vec![trial(&job.kernel.clone(), &format!("{name}README_says_what_it_can"), move || {
        let readme = fs::read_to_string(root().join("README.md"))?;
        let cell = cell(&readme, line, is_arm64(&job.kernel), locked_down)?;
        says(&cell, &last(&job)?)
    })]
}

fn is_arm64(kernel: &str) -> bool {
    kernel.starts_with("arm64-")
}

fn line(kernel: &str) -> Option<&'static str> {
    let series = kernel.strip_prefix("arm64-").unwrap_or(kernel);
    LINES.iter().find(|(name, _)| *name == series).map(|(_, line)| *line)
}

/// What is watched in the end: by then modules have come, and what they bring.
fn last(job: &Job) -> Result<Watching> {
    let mut watching =
        records(&job.text("out.json")?)?.into_iter().filter_map(|record| match record {
            Record::Watching(watching) => Some(watching),
            _ => None,
        });
    watching.next_back().context("no `watching` line")
}

/// The cell of a line: of the architecture's column, or of lockdown's, which may have a part for each.
fn cell(readme: &str, line: &str, arm64: bool, locked_down: bool) -> Result<String> {
    let found = readme.lines().find(|row| row.starts_with(&format!("| {line} |")));
    let row = found.with_context(|| format!("README has no line `{line}`"))?;
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let column = match (locked_down, arm64) {
        (true, _) => 4,
        (false, true) => 3,
        (false, false) => 2,
    };
    let cell = *cells.get(column).with_context(|| format!("no column {column}: {row}"))?;
    if !locked_down {
        return Ok(cell.to_owned());
    }
    let (x86, arm) = match cell.split_once(", arm64 ") {
        Some((x86, arm)) => (x86.trim_start_matches("x86-64 "), arm),
        None => (cell, cell),
    };
    Ok(if arm64 { arm } else { x86 }.to_owned())
}

/// # Errors
/// Where a booted kernel is another thing than the cell has in bold.
fn says(cell: &str, watching: &Watching) -> Result<()> {
    let word = match watching.verdict.as_ref().context("no verdict")?.known() {
        Readiness::Ready => "yes",
        Readiness::Degraded => "partly",
        Readiness::NotReady => "no",
    };
    let kprobes = watching.hooks.iter().any(|hook| &**hook == "kretprobe filemap_fault");
    let same = cell.starts_with(&format!("**{word}**")) && cell.contains("by kprobes") == kprobes;
    let form = if kprobes { ", by kprobes" } else { "" };
    ensure!(same, "README says `{cell}`, the kernel `**{word}**{form}`: {watching:?}");
    Ok(())
}

/// Only what a test boots may be in bold.
///
/// # Errors
/// Where README has another line in bold.
pub fn bold_is_what_is_booted() -> Result<()> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let table = readme.lines().skip_while(|line| !line.starts_with("| distribution, kernel |"));
    let rows: Vec<&str> = table.take_while(|line| line.starts_with('|')).skip(2).collect();
    ensure!(rows.len() > LINES.len(), "README's table was not found");
    for row in rows.into_iter().filter(|row| row.contains("**")) {
        let booted = LINES.iter().any(|(_, line)| row.starts_with(&format!("| {line} |")));
        ensure!(booted, "nothing boots this, and it is bold: {row}");
    }
    let made_up =
        "| Debian 12, 6.1 | **yes** | **yes**, by kprobes | x86-64 **partly**, arm64 no |";
    let of = |arm64, locked_down| cell(made_up, "Debian 12, 6.1", arm64, locked_down);
    ensure!(of(false, false)? == "**yes**" && of(true, false)? == "**yes**, by kprobes");
    ensure!(of(false, true)? == "**partly**" && of(true, true)? == "no");
    Ok(())
}

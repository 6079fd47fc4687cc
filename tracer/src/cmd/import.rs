//! `whybus import`: incidents of another history, or of any `-o json` output, into this one.
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{
    cli::Import,
    cmd::exit_status::ExitStatus,
    contract::json,
    error::Failure,
    sink::speak::say,
    store::{
        lock::RecorderLock,
        sqlite::{
            recover::damaged,
            write::{Entry, Store},
        },
        state_dir as dir,
    },
    text::format::counted,
};

/// Entries in one transaction.
const BATCH: usize = 5_000;
/// No line of ours is longer.
const LONGEST: u64 = 4 << 20;

/// # Errors
/// Where the input cannot be read, or the directory cannot be written to; what was read before that is
/// kept.
pub fn run(args: &Import) -> Result<ExitStatus> {
    let named = args.file.as_ref().filter(|path| path.as_os_str() != "-");
    let input: Box<dyn BufRead> = match named {
        None => Box::new(io::stdin().lock()),
        Some(path) => Box::new(BufReader::new(File::open(path).map_err(|error| {
            Failure::input(format!("cannot read {}: {error}", path.display()))
        })?)),
    };
    let dir = &args.state.state_dir;
    dir::prepare(dir, None)?;
    let _lock = RecorderLock::acquire(dir)?;
    let (mut store, aside) = Store::open(dir, false)?;
    if let Some(aside) = aside {
        say(format_args!("{}", damaged(&dir::history(dir), &aside)));
    }
    store.hurry()?;
    let before = store.incidents()?;
    let done = take(input, &mut store)?;
    let new = store.incidents()?.saturating_sub(before);
    if done.entries == 0 && done.foreign != 0 {
        let what = named.map_or_else(|| "the input".to_owned(), |path| path.display().to_string());
        return Err(Failure::input(format!(
            "{what} is not what `whybus export` or -o json writes: {} skipped: not whybus records",
            counted(done.foreign, "line")
        )));
    }
    say(format_args!(
        "{}{} taken into {}, {} of them new{}",
        match done.incidents {
            1 => "1 incident or update".to_owned(),
            incidents => format!("{incidents} incidents and updates"),
        },
        match done.warnings {
            0 => String::new(),
            warnings => format!(" and {}", counted(warnings, "warning")),
        },
        dir::history(dir).display(),
        counted(new, "incident"),
        match done.foreign {
            0 => String::new(),
            foreign => format!("; {} skipped: not whybus records", counted(foreign, "line")),
        }
    ));
    Ok(if done.incidents + done.warnings == 0 { ExitStatus::NotFound } else { ExitStatus::Done })
}

#[derive(Default)]
struct Done {
    /// Of any kind that a history keeps.
    entries: u64,
    incidents: u64,
    warnings: u64,
    /// Lines that are no JSON of ours.
    foreign: u64,
}

fn take(mut input: impl BufRead, store: &mut Store) -> Result<Done> {
    let mut done = Done::default();
    let mut line = Vec::new();
    loop {
        let next = std::iter::from_fn(|| next(&mut input, &mut line, &mut done).transpose());
        if store.put(next.take(BATCH)).context("writing")? < BATCH {
            return Ok(done);
        }
    }
}

/// The next entry of the input, if there is one.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>, done: &mut Done) -> Result<Option<Entry>> {
    loop {
        line.clear();
        if input.take(LONGEST).read_until(b'\n', line).context("reading")? == 0 {
            return Ok(None);
        }
        match entry(line) {
            Line::Entry(entry) => {
                done.entries += 1;
                match entry {
                    Entry::Incident(_) => done.incidents += 1,
                    Entry::Warning(_) => done.warnings += 1,
                    Entry::Gap(_) | Entry::Run(_) => {}
                }
                return Ok(Some(entry));
            }
            Line::Other => {}
            Line::Foreign => done.foreign += 1,
        }
    }
}

enum Line {
    Entry(Entry),
    /// A kind that a history does not keep.
    Other,
    Foreign,
}

fn entry(line: &[u8]) -> Line {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::Other;
    }
    let Ok(Kind { kind }) = serde_json::from_slice::<Kind>(line) else { return Line::Foreign };
    let entry = match kind.as_deref() {
        Some("incident" | "update") => json::from_slice(line).map(Entry::Incident),
        Some("truncation") => json::from_slice(line).map(Entry::Warning),
        Some("gap") => json::from_slice(line).map(Entry::Gap),
        Some("run") => json::from_slice(line).map(Entry::Run),
        Some(_) => return Line::Other,
        None => return Line::Foreign,
    };
    entry.map_or(Line::Foreign, Line::Entry)
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

//! `whybus import`: incidents of another history, or of any `-o json` output, into this one.
use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal as _, Read as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{
    cli::Import,
    cmd::exit_status::ExitStatus,
    contract::json,
    error::Failure,
    sink::{speak::say, stdout::history_style},
    store::{
        lock::RecorderLock,
        sqlite::{
            recover::damaged,
            write::{Entry, Store},
        },
        state_dir as dir,
    },
    text::{
        escape::word,
        format::{counted, grouped},
    },
    wire::stream,
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
    let name = named
        .map_or_else(|| "the input".to_owned(), |path| word(path.as_os_str().as_encoded_bytes()));
    let unread = |error: io::Error| Failure::input(format!("cannot read {name}: {error}"));
    let mut input: Box<dyn BufRead> = match named {
        None => {
            if io::stdin().is_terminal() {
                say("reading from standard input; `whybus import FILE` reads a file");
            }
            Box::new(io::stdin().lock())
        }
        Some(path) => Box::new(BufReader::new(File::open(path).map_err(unread)?)),
    };
    if stream::begins(input.fill_buf().map_err(unread)?) {
        let file = if named.is_some() { &name } else { "FILE" };
        return Err(Failure::input(format!(
            "{name} is an event stream, of which `whybus replay` makes incidents: `whybus replay -o json {file} | whybus \
             import{}`",
            history_style(true, 1).flags
        )));
    }
    // Where there is nothing to take nothing is prepared.
    let (mut done, mut line) = (Done::default(), Vec::new());
    let first = next(&mut input, &mut line, &mut done)?;
    if first.is_none() && done.foreign != 0 {
        return Err(Failure::input(format!(
            "{name} is not what `whybus export` or -o json writes: {} skipped: not whybus records",
            counted(done.foreign, "line")
        )));
    }
    let dir = &args.state.state_dir;
    dir::prepare(dir, None)?;
    let _lock = RecorderLock::acquire(dir)?;
    let (mut store, aside) = Store::open(dir, false)?;
    if let Some(aside) = aside {
        say(format_args!("{}", damaged(&dir::history(dir), &aside)));
    }
    store.hurry()?;
    let before = store.incidents()?;
    take(first, input, &mut store, &mut done)?;
    while store.count_more()? {}
    let new = store.incidents()?.saturating_sub(before);
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
    incidents: u64,
    warnings: u64,
    /// Lines that are no JSON of ours.
    foreign: u64,
}

/// Takes the first entry, and the rest of the input.
fn take(
    mut first: Option<Entry>,
    mut input: impl BufRead,
    store: &mut Store,
    done: &mut Done,
) -> Result<()> {
    let (mut line, mut spoke) = (Vec::new(), Instant::now());
    loop {
        let next = std::iter::from_fn(|| match first.take() {
            Some(entry) => Some(Ok(entry)),
            None => next(&mut input, &mut line, done).transpose(),
        });
        if store.put(next.take(BATCH)).context("writing")? < BATCH {
            return Ok(());
        }
        if let Some(text) = so_far(done, &mut spoke, Instant::now()) {
            say(text);
        }
    }
}

/// How many there were, now and then.
fn so_far(done: &Done, spoke: &mut Instant, now: Instant) -> Option<String> {
    const PAUSE: Duration = Duration::from_secs(10);
    (now.duration_since(*spoke) >= PAUSE).then(|| {
        *spoke = now;
        format!("{} incidents so far", grouped(done.incidents))
    })
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

/// What a line of the input is.
pub enum Line {
    Entry(Entry),
    /// A kind that a history does not keep.
    Other,
    Foreign,
}

/// Pure.
pub fn entry(line: &[u8]) -> Line {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_says_how_far_it_is() {
        let done = Done { incidents: 12_345, ..Done::default() };
        let started = Instant::now();
        let mut spoke = started;
        let mut after = |seconds| so_far(&done, &mut spoke, started + Duration::from_secs(seconds));
        assert_eq!(after(9), None);
        assert_eq!(after(11).as_deref(), Some("12,345 incidents so far"));
        assert_eq!(after(20), None, "nine seconds ago");
        assert!(after(21).is_some());
    }
}

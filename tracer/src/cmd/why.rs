//! `whybus why`: the story of a process or restart loop, from the history.
use std::collections::BTreeSet;

use anyhow::Result;

use crate::{
    cli::Why,
    cmd::nothing,
    cmd::status::ExitStatus,
    contract::{Elsewhere, Gap, GapReason, Incident, Record, Story, series::series_key},
    error::Failure,
    explain::{
        elsewhere::SharedFile,
        story::{story as story_of, summary},
    },
    host::clock,
    model::cgroup::unit,
    render::{Format, json, story},
    select::{
        field::{Field, NameKind},
        selection::{Selection, Term, readings},
    },
    sink::{
        speak::{put, say},
        stdout::{history_style, page},
    },
    store::{lock::running_recorder, sqlite::read::Reader},
};

/// Stories told at once; more are only counted.
const STORIES: usize = 5;
/// Ends of one story looked at for its spread and its causes.
const LOOKED_AT: usize = 10_000;
/// Gaps this close to a story may hide a part of it. Ns.
const NEAR: i64 = 600_000_000_000;
/// Gaps looked at; older ones are not told.
const GAPS: usize = 1_000;
/// Shrinks of what may be the file that are looked at, the latest.
const SHRINKS: usize = 1_000;
/// Names that look like a selector that matched nothing.
const NEAREST: usize = 5;

/// # Errors
/// Where there is no history to read.
pub fn run(args: &Why) -> Result<ExitStatus> {
    let selection = args.select.selection().map_err(Failure::usage)?;
    let reader = Reader::open(&args.state.state_dir)?;
    let Some((selection, keys)) = selected(&reader, &selection, args.selector.as_deref())? else {
        let mut text = nothing::nothing(&reader, &selection)?;
        if let Some(selector) = &args.selector {
            text = format!("nothing is recorded of `{selector}`; {text}");
            let near = nearest(&reader, selector)?;
            if !near.is_empty() {
                text.push_str(&format!("\nnearest: {}", near.join(", ")));
            }
            text.push_str(&shrunk(&reader, &selection, selector)?);
        }
        say(format_args!("{text}"));
        return Ok(ExitStatus::NotFound);
    };
    page(args.output.output);
    let style = history_style(args.output.utc, reader.hosts()?);
    let beat = running_recorder(&args.state.state_dir);
    for (i, key) in keys.iter().take(STORIES).enumerate() {
        let Some(focus) = reader.last(&selection, *key)? else { continue };
        let told = tell(&reader, &selection, *key, focus)?;
        let bytes = match args.output.output {
            Format::Json => json(&Record::Story(Box::new(told))),
            Format::Oneline => story::oneline(&told, &style),
            Format::Human => {
                let mut text = story::human(&told, &style);
                if i != 0 {
                    text.insert(0, b'\n');
                }
                text
            }
        };
        put(&bytes)?;
    }
    if keys.len() > STORIES {
        say(format_args!(
            "\n{} more stories match: narrow it by --since, --until, or a filter",
            keys.len() - STORIES
        ));
    }
    if beat.is_none() && args.output.output == Format::Human {
        say(format_args!("\nno recorder is running now: what happens is not recorded"));
    }
    Ok(ExitStatus::Done)
}

/// Says of a selector that nobody died of that a shrink matches, of that file or by that name.
fn shrunk(reader: &Reader, selection: &Selection, selector: &str) -> Result<String> {
    let by = Term::of_names(Field::ByComm, &[selector.to_owned()]);
    for term in readings(selector).into_iter().chain([by]) {
        let text = nothing::shrunk(reader, &selection.clone().with(term))?;
        if !text.is_empty() {
            return Ok(text);
        }
    }
    Ok(String::new())
}

/// The first reading of the selector that anything matches, and its stories, newest first.
fn selected(
    reader: &Reader,
    selection: &Selection,
    selector: Option<&str>,
) -> Result<Option<(Selection, Vec<u64>)>> {
    let Some(selector) = selector else {
        let keys = reader.stories(selection)?;
        return Ok((!keys.is_empty()).then(|| (selection.clone(), keys)));
    };
    for term in readings(selector) {
        let selection = selection.clone().with(term);
        let keys = reader.stories(&selection)?;
        if !keys.is_empty() {
            return Ok(Some((selection, keys)));
        }
    }
    let found = reader.by_id(selector)?;
    let Some(incident) = found.first() else { return Ok(None) };
    let keys: BTreeSet<u64> = found.iter().map(series_key).collect();
    // That very incident, not the newest of its story.
    let mut selection = selection.clone();
    (selection.since, selection.until) = match found.as_slice() {
        [_] => (None, Some(incident.time.0)),
        _ => (selection.since, selection.until),
    };
    Ok(Some((selection, keys.into_iter().collect())))
}

fn tell(reader: &Reader, selection: &Selection, key: u64, focus: Incident) -> Result<Story> {
    let (deaths, incidents) = reader.story(key, selection, LOOKED_AT)?;
    let summary = summary(&deaths, incidents);
    let now = clock::boot_to_realtime().realtime(clock::boot_time());
    let since = selection.since.unwrap_or(summary.first.saturating_sub(NEAR));
    let until = selection.until.unwrap_or(summary.last.saturating_add(NEAR).min(now));
    let restarted = focus.restart.is_some();
    let elsewhere = elsewhere(reader, &focus)?;
    // Where a host had too many shrinks to keep, the one that is looked for may be among them.
    let sought = elsewhere.is_none() && SharedFile::of(&focus).is_some();
    let concerns = |gap: &Gap| match gap.reason {
        GapReason::Shrinks => sought,
        _ => focus.host == *gap.host && gap.concerns(restarted),
    };
    let gaps: Vec<Gap> = reader.gaps(since, until, GAPS)?.into_iter().filter(concerns).collect();
    Ok(story_of(focus, elsewhere, summary, gaps))
}

/// Who may have done it on another host, whose history was imported into this one, or this one into that; or on this
/// one before its recorder was started again.
pub fn elsewhere(reader: &Reader, incident: &Incident) -> Result<Option<Elsewhere>> {
    let Some(file) = SharedFile::of(incident) else { return Ok(None) };
    let shrinks = reader.shrinks_of(&file.key(), file.touched, file.times(), SHRINKS)?;
    Ok(file.culprit(&shrinks))
}

/// Names in the history that look like `selector`.
fn nearest(reader: &Reader, selector: &str) -> Result<Vec<String>> {
    let mut near = Vec::new();
    for kind in [NameKind::Comm, NameKind::Cgroup, NameKind::Path] {
        for name in reader.names(kind)?.into_values() {
            let name = match (kind, unit(&name)) {
                (NameKind::Cgroup, None) => continue,
                (NameKind::Cgroup, Some(unit)) => unit.to_vec(),
                _ => name,
            };
            let text = String::from_utf8_lossy(&name).into_owned();
            let last = text.rsplit('/').next().unwrap_or(&text);
            let part = selector.len() > 2 && text.contains(selector);
            let score = if part { 1.0 } else { strsim::jaro_winkler(last, selector) };
            if score > nothing::NEAR {
                near.push((score, crate::text::escape::escape(&name)));
            }
        }
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    Ok(near.into_iter().take(NEAREST).map(|(_, name)| name).collect())
}

//! `whybus why`: the story of a process or restart loop, from the history.
use anyhow::Result;

use crate::{
    cli::{Why, options::WhyFormat},
    cmd::{
        by_id::of_id, caught::caught, classes, exit_status::ExitStatus, nothing,
        recording::not_recording,
    },
    contract::{Elsewhere, Gap, GapReason, Incident, Record, Story, series::series_key},
    error::Failure,
    explain::{
        elsewhere::SharedFile,
        story::{story as story_of, summary},
    },
    host::{clock, here::here},
    render::{Format, json, list::homes_apart, story, style::Style},
    select::{
        facets::Facets,
        field::Field,
        selection::{Selection, Term, readings},
    },
    sink::{
        speak::{put, say},
        stdout::{history_style, page},
    },
    store::sqlite::read::Reader,
};

/// Deaths of one story that are compared in full, the latest.
const COMPARED: i64 = 50;
/// Ends of one story looked at for its spread and its causes.
const LOOKED_AT: usize = 10_000;
/// Gaps this close to a story may hide a part of it. Ns.
const NEAR: i64 = 600_000_000_000;
/// Gaps that are read, the newest.
const GAPS: usize = 1_000;
/// Shrinks of what may be the file that are looked at, the latest.
const SHRINKS: usize = 1_000;

/// # Errors
/// Where there is no history to read.
pub fn run(args: &Why) -> Result<ExitStatus> {
    let selection = args.select.selection().map_err(Failure::usage)?;
    let reader = Reader::open(&args.state.state_dir)?;
    classes::check(&reader, &selection)?;
    let typed = selection;
    let Some(Asked { selection, keys, one }) = selected(&reader, &typed, args.selector.as_deref())?
    else {
        match &args.selector {
            Some(selector) => nothing::nothing_of(&reader, &typed, selector)?,
            None => nothing::nothing(&reader, &typed)?,
        }
        if args.output == WhyFormat::Human {
            say_not_recording(&reader, args)?;
        }
        return Ok(ExitStatus::NotFound);
    };
    page(if args.output == WhyFormat::Json { Format::Json } else { Format::Human });
    let mut style = history_style(args.utc, reader.hosts()?);
    let mut stories = Vec::new();
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    for (i, key) in keys.iter().take(limit).enumerate() {
        let last = || reader.last(&selection, *key);
        let Some(focus) = one.clone().map_or_else(last, |one| Ok(Some(one)))? else { continue };
        // A row of the table has no room for what differs.
        let compared = if i == 0 || args.output != WhyFormat::Human { COMPARED } else { 0 };
        stories.push(tell(&reader, &selection, *key, focus, compared)?);
    }
    style.ids = reader.long_ids(stories.iter().map(|story| &*story.incident.id))?;
    style.ids.extend(homes_apart(stories.iter().map(|story| &story.incident.victim)));
    let now = clock::boot_to_realtime().realtime(clock::boot_time());
    match args.output {
        WhyFormat::Json => {
            for one in stories {
                put(&json(&Record::Story(Box::new(one))))?;
            }
        }
        WhyFormat::Oneline => {
            for one in &stories {
                put(&story::oneline(one, &style))?;
            }
        }
        WhyFormat::Markdown => {
            for one in &stories {
                put(&story::markdown(one, &style, now))?;
            }
        }
        WhyFormat::Human => {
            if stories.len() > 1 {
                let command = |id: &str| format!("whybus why {id}{}", style.flags);
                put(format!("{}\n", story::overview_of(&stories, command, &style, now)).as_bytes())?;
            }
            if let Some(latest) = stories.first() {
                let style = Style { flags: kept(&typed) + &style.flags, ..style.clone() };
                put(&story::human(latest, &style, now))?;
            }
        }
    }
    match keys.len().saturating_sub(limit) {
        0 => {}
        1 => say(
            "\n1 more story matches: -n 0 lists all, or narrow it by --since, --until, or a filter",
        ),
        more => say(format_args!(
            "\n{more} more stories match: -n 0 lists all, or narrow it by --since, --until, or a filter"
        )),
    }
    caught(&reader, &selection)?;
    if args.output == WhyFormat::Human {
        if let Some(number) = args.selector.as_deref().filter(|text| text.parse::<u32>().is_ok()) {
            let flags = typed.typed() + &style.flags;
            for (filter, what) in nothing::offered(&reader, number, &typed)? {
                say(format_args!(
                    "\nthis is pid {number}; `whybus why {filter}{flags}` shows {what}"
                ));
            }
        }
        say_not_recording(&reader, args)?;
    }
    Ok(ExitStatus::Done)
}

/// Says that what happens now is not recorded, and may be why it is not found.
fn say_not_recording(reader: &Reader, args: &Why) -> Result<()> {
    if let Some(why) = not_recording(reader, &args.state.state_dir)? {
        say(format_args!("\n{why}"));
    }
    Ok(())
}

/// The filters that the list of a story keeps: it has a name and times of its own.
fn kept(typed: &Selection) -> String {
    let named = |term: &&Term| matches!(term.filter.field, Field::Comm | Field::Pid) && !term.not;
    let terms = typed.terms.iter().filter(|term| !named(term));
    terms.map(|term| format!(" {}", term.typed())).collect::<String>()
}

/// What is asked for: its stories, newest first, and of an id the very incident.
struct Asked {
    selection: Selection,
    keys: Vec<u64>,
    one: Option<Incident>,
}

/// The first reading of the selector that anything matches.
fn selected(
    reader: &Reader,
    selection: &Selection,
    selector: Option<&str>,
) -> Result<Option<Asked>> {
    let Some(selector) = selector else {
        let keys = reader.stories(selection)?;
        let asked = Asked { selection: selection.clone(), keys, one: None };
        return Ok(Some(asked).filter(|asked| !asked.keys.is_empty()));
    };
    for terms in readings(selector) {
        let selection = selection.clone().with_all(terms);
        let keys = reader.stories(&selection)?;
        if !keys.is_empty() {
            return Ok(Some(Asked { selection, keys, one: None }));
        }
    }
    let one = of_id(reader, selector)?.filter(|one| selection.matches(&Facets::from(one)));
    if let Some(one) = one {
        let (selection, keys) = (selection.clone(), vec![series_key(&one)]);
        return Ok(Some(Asked { selection, keys, one: Some(one) }));
    }
    // What has no path: `memfd:frames`, as tables have it.
    let file = Term::of_names(Field::Path, &[selector.to_owned()]);
    let selection = selection.clone().with(file);
    let keys = reader.stories(&selection)?;
    Ok(Some(Asked { selection, keys, one: None }).filter(|asked| !asked.keys.is_empty()))
}

fn tell(
    reader: &Reader,
    selection: &Selection,
    key: u64,
    focus: Incident,
    compared: i64,
) -> Result<Story> {
    let (deaths, incidents) = reader.story(key, selection, LOOKED_AT)?;
    let summary = summary(&deaths, incidents);
    let now = clock::boot_to_realtime().realtime(clock::boot_time());
    // What is not the last of its loop is told by itself.
    let (first, last) = match focus.time.0 < summary.last {
        true => (focus.time.0, focus.last.0),
        false => (summary.first, summary.last),
    };
    let since = selection.since.unwrap_or(first.saturating_sub(NEAR));
    let until = selection.until.unwrap_or(last.saturating_add(NEAR).min(now));
    let restarted = focus.restart.is_some();
    let elsewhere = elsewhere(reader, &focus)?;
    let before = reader.before(&focus, here().name == *focus.host)?;
    // Where a host had too many shrinks to keep, the one that is looked for may be among them.
    let sought = elsewhere.is_none() && SharedFile::of(&focus).is_some();
    let concerns = |gap: &Gap| match gap.reason {
        GapReason::Shrinks => sought,
        _ => focus.host == *gap.host && gap.concerns(restarted),
    };
    let gaps: Vec<Gap> = reader.gaps(since, until, GAPS)?.into_iter().filter(concerns).collect();
    let deaths = reader.newest_of_story(selection, key, compared)?;
    // Of an earlier boot a gap says when watching ended.
    let watched_until = (here().boot_id == *focus.boot_id).then_some(now);
    let watched_after_ns = watched_after(reader, &focus, &gaps, last, watched_until)?;
    let told = story_of(focus, elsewhere, Some(before), summary, gaps, &deaths);
    Ok(Story { watched_after_ns, ..told })
}

/// For how long it was watched after the last end of a story, ns, if that is known and less than a restart is looked for. `now`
/// is the time on its host, where that is known.
fn watched_after(
    reader: &Reader,
    focus: &Incident,
    gaps: &[Gap],
    last: i64,
    now: Option<i64>,
) -> Result<Option<u64>> {
    let end = focus.exit.as_ref().map_or(last, |exit| exit.time.0.max(last));
    let absent = gaps.iter().filter(|gap| gap.lost.is_none() && gap.reason != GapReason::Shrinks);
    let absent = absent.map(|gap| gap.since.0).filter(|since| *since >= end).min();
    let runs = reader.runs()?;
    let runs = runs.iter().filter(|run| run.boot_id == focus.boot_id && run.since.0 <= end);
    // The one that saw it.
    let stopped = runs.max_by_key(|run| run.since.0).and_then(|run| run.until);
    let stopped = stopped.map(|until| until.0).filter(|until| *until >= end);
    let until = absent.into_iter().chain(stopped).chain(now).min();
    let watched = until.map(|until| until.saturating_sub(end)).filter(|ns| *ns < NEAR);
    Ok(watched.map(i64::unsigned_abs))
}

/// Who may have done it on another host, whose history was imported into this one, or this one into that; or on this
/// one before its recorder was started again.
pub fn elsewhere(reader: &Reader, incident: &Incident) -> Result<Option<Elsewhere>> {
    let Some(file) = SharedFile::of(incident) else { return Ok(None) };
    let shrinks = reader.shrinks_of(&file.key(), file.touched, file.times(), SHRINKS)?;
    Ok(file.culprit(&shrinks))
}

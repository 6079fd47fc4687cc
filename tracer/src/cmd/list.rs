//! `whybus list`: recorded incidents, or warnings, the newest last.
use anyhow::Result;

use crate::{
    cli::List,
    cmd::status::ExitStatus,
    contract::{Gap, GapReason, Incident, Record, Truncation},
    error::Failure,
    model::cause::CauseKind,
    render::Format,
    render::{
        human::{self, Style},
        json, oneline, warning,
    },
    select::{
        field::{Field, NameKind},
        selection::{Selection, Term},
    },
    sink::{
        speak::{put, say},
        stdout::history_style,
    },
    store::sqlite::read::Reader,
};

/// How like what was asked for a name must be to be suggested, of 1.
pub const NEAR: f64 = 0.75;

/// # Errors
/// Where there is no history to read.
pub fn run(args: &List) -> Result<ExitStatus> {
    let selection = args.select.selection().map_err(Failure::usage)?;
    let foreign = selection.terms.iter().find(|term| !term.filter.field.is_of_warnings());
    if let Some(term) = foreign.filter(|_| args.warnings) {
        return Err(Failure::usage(format!(
            "--warnings with --{}: of those at risk only pid and name are known; filter by --pid, --comm, \
             --path, --by-pid, --by-comm or the time",
            term.filter.flag
        )));
    }
    let reader = Reader::open(&args.state.state_dir)?;
    let limit = if args.limit == 0 { 0 } else { args.limit + 1 };
    let style = history_style(args.utc, reader.hosts()?);
    let mut found: Vec<Vec<u8>> = if args.warnings {
        let found = reader.warnings(&selection, limit)?;
        found.into_iter().map(|one| warned(one, args.output, &style)).collect()
    } else {
        let found = reader.select(&selection, limit)?;
        found.iter().map(|one| shown(one, args.output, &style)).collect()
    };
    if found.is_empty() {
        let message = match args.warnings {
            true => "no recorded warning matches".to_owned(),
            false => nothing(&reader, &selection)?,
        };
        say(format_args!("{message}"));
        return Ok(ExitStatus::NotFound);
    }
    let more = args.limit != 0 && found.len() > args.limit;
    if more {
        found.truncate(args.limit);
    }
    for one in found.iter().rev() {
        put(one)?;
    }
    if args.warnings {
        for gap in missing(&reader, &selection)? {
            say(format_args!("{}", human::gap(&gap, &style)));
        }
    }
    if more {
        say(format_args!("older ones are not shown: -n 0 for all, or --since, --until"));
    }
    Ok(ExitStatus::Done)
}

/// One incident in the format asked for.
pub fn shown(incident: &Incident, format: Format, style: &Style) -> Vec<u8> {
    match format {
        Format::Json => json(&incident.clone().into()),
        Format::Oneline => oneline::incident(incident, style),
        Format::Human => human::incident(incident, style),
    }
}

/// The latest times when there were too many shrinks to keep all of them.
fn missing(reader: &Reader, selection: &Selection) -> Result<Vec<Gap>> {
    const LATEST: usize = 3;
    let (since, until) = (selection.since.unwrap_or(i64::MIN), selection.until.unwrap_or(i64::MAX));
    let mut gaps = reader.gaps(since, until, 0)?;
    gaps.retain(|gap| gap.reason == GapReason::Shrinks);
    gaps.truncate(LATEST);
    Ok(gaps)
}

fn warned(one: Truncation, format: Format, style: &Style) -> Vec<u8> {
    match format {
        Format::Json => json(&Record::Truncation(Box::new(one))),
        Format::Oneline => oneline::truncation(&one, style),
        Format::Human => warning::truncation(&one, style),
    }
}

/// What to say where nothing matches: whether anybody was watching at all.
///
/// # Errors
/// Where a class was asked for that does not exist.
pub fn nothing(reader: &Reader, selection: &Selection) -> Result<String> {
    refuse_unknown_class(reader, selection)?;
    let mut text = match reader.any()? {
        false => "nothing is recorded yet".to_owned(),
        true => "none of the recorded incidents matches".to_owned(),
    };
    let style = history_style(false, reader.hosts()?);
    if selection.since.is_some() || selection.until.is_some() {
        let (since, until) =
            (selection.since.unwrap_or(i64::MIN), selection.until.unwrap_or(i64::MAX));
        let gaps = reader.gaps(since, until, 0)?.into_iter();
        for gap in gaps.filter(|gap| gap.reason != GapReason::Shrinks).take(3) {
            text.push_str(&format!("\n{}", human::gap(&gap, &style)));
        }
    }
    if let Some(began) = reader.began()?.filter(|began| selection.until.is_some_and(|u| u < *began))
    {
        let began = style.stamp(crate::contract::Time(began));
        text.push_str(&format!("\nrecording began only at {began}"));
    }
    text.push_str(&shrunk(reader, selection)?);
    Ok(text)
}

/// A class that neither this version nor the history knows is a mistake.
fn refuse_unknown_class(reader: &Reader, selection: &Selection) -> Result<()> {
    let ours = || CauseKind::ALL.iter().map(|kind| kind.name());
    let recorded = reader.names(NameKind::CauseKind)?;
    let known = |text: &str| {
        ours().any(|name| name == text) || recorded.values().any(|name| name == text.as_bytes())
    };
    let terms = selection.terms.iter().filter(|term| term.filter.field == Field::Class);
    let Some(text) = terms.flat_map(Term::only_names).find(|text| !known(text)) else {
        return Ok(());
    };
    let likeness = |name: &&str| strsim::jaro_winkler(name, text);
    let near = ours().filter(|name| likeness(name) > NEAR);
    let near = near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let meant = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    let all = ours().collect::<Vec<_>>().join(", ");
    Err(Failure::usage(format!("there is no class `{text}`{meant}\nclasses: {all}")))
}

/// Says that there are shrinks that match, if what is asked for can be of a shrink.
pub fn shrunk(reader: &Reader, selection: &Selection) -> Result<String> {
    let of_shrinks = |term: &Term| term.filter.field.is_of_warnings();
    if selection.terms.is_empty() || !selection.terms.iter().all(of_shrinks) {
        return Ok(String::new());
    }
    let latest = reader.warnings(selection, 1)?.pop();
    let style = history_style(false, reader.hosts()?);
    Ok(latest.map_or_else(String::new, |latest| {
        let latest = String::from_utf8_lossy(&oneline::truncation(&latest, &style)).into_owned();
        format!(
            "\nthough a file was shrunk that matches: `whybus list --warnings`; the latest is\n{}",
            latest.trim_end()
        )
    }))
}

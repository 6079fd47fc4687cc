//! What is said where nothing matches.
use anyhow::Result;

use crate::{
    contract::{GapReason, Time},
    error::Failure,
    model::cause::CauseKind,
    render::{human, oneline},
    select::{
        field::{Field, NameKind},
        selection::{Selection, Term},
    },
    sink::stdout::history_style,
    store::sqlite::read::Reader,
};

/// How like what was asked for a name must be to be suggested, of 1.
pub const NEAR: f64 = 0.75;

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
        let began = style.stamp(Time(began));
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
    let near = nearest(text, &ours().collect::<Vec<_>>());
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

/// The name that is most like `text`, if any is.
pub fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(name, text);
    let near = names.iter().copied().filter(|name| likeness(name) > NEAR);
    near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

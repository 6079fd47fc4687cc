//! What is said where nothing matches.
use anyhow::Result;

use crate::{
    contract::{GapReason, Time},
    error::Failure,
    model::{cause::CauseKind, cgroup::unit},
    render::{human, oneline},
    select::{
        field::{Field, NameKind},
        selection::{Selection, Term, Values, readings},
    },
    sink::stdout::history_style,
    store::sqlite::read::Reader,
    text::{escape::escape, format::grouped},
};

/// How like what was asked for a name must be to be suggested, of 1.
pub const NEAR: f64 = 0.75;

/// Names that look like one that is not recorded.
const NEAREST: usize = 5;

/// What to say where nothing matches: whether anybody was watching at all, and which filter is to blame.
///
/// # Errors
/// Where a class was asked for that does not exist.
pub fn nothing(reader: &Reader, selection: &Selection) -> Result<String> {
    refuse_unknown_class(reader, selection)?;
    let all = reader.number(&Selection::default())?;
    let mut text = match all {
        0 => "nothing is recorded yet".to_owned(),
        all => format!("no matching incidents (of {})", grouped(all)),
    };
    let unknown = unknown(reader, selection)?;
    if unknown.is_empty() {
        text.push_str(&removed(reader, &Selection::default(), selection)?);
    }
    text.push_str(&unknown);
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

/// What of a selector is recorded that the other filters removed: `timeout: 6 incidents, none of them with --class sent`.
///
/// # Errors
/// Where a class was asked for that does not exist, or SQLite cannot read.
pub fn filtered(reader: &Reader, selection: &Selection, selector: &str) -> Result<Option<String>> {
    refuse_unknown_class(reader, selection)?;
    for term in readings(selector) {
        let base = Selection::default().with(term);
        let count = reader.number(&base)?;
        if count != 0 {
            let why = removed(reader, &base, selection)?;
            let incidents = if count == 1 { "incident" } else { "incidents" };
            let name = escape(selector.as_bytes());
            let told = format!("{name}: {} {incidents}, none that matches", grouped(count));
            return Ok(Some(told + &why));
        }
    }
    Ok(None)
}

/// Which filters took away what `base` alone has: a line each.
fn removed(reader: &Reader, base: &Selection, selection: &Selection) -> Result<String> {
    let bounded = selection.since.is_some() || selection.until.is_some();
    if base.terms.len() + selection.terms.len() + usize::from(bounded) < 2 {
        return Ok(String::new());
    }
    let with = |terms: Vec<Term>, bounded: bool| Selection {
        since: selection.since.filter(|_| bounded),
        until: selection.until.filter(|_| bounded),
        terms: base.terms.iter().cloned().chain(terms).collect(),
        ..Selection::default()
    };
    let mut out = String::new();
    let mut line = |what: &str, without: &Selection, values: String| -> Result<()> {
        match reader.number(without)? {
            0 => {}
            1 => out.push_str(&format!("\nwithout {what} 1 matches{values}")),
            count => out.push_str(&format!("\nwithout {what} {} match{values}", grouped(count))),
        }
        Ok(())
    };
    for (i, term) in selection.terms.iter().enumerate() {
        let others = selection.terms.iter().enumerate().filter(|(j, _)| *j != i);
        let without = with(others.map(|(_, other)| other.clone()).collect(), true);
        let values = match term.not {
            true => String::new(),
            false => values(reader, &without, term)?,
        };
        line(&term.typed(), &without, values)?;
    }
    if bounded {
        line("--since and --until", &with(selection.terms.clone(), false), String::new())?;
    }
    Ok(out)
}

/// What there is instead of what was asked for: ` (class: exited)`
fn values(reader: &Reader, without: &Selection, term: &Term) -> Result<String> {
    const SHOWN: usize = 3;
    let column = term.filter.column;
    if column.name_kind().is_none() {
        return Ok(String::new());
    }
    let found = reader.count(without, column)?;
    let mut names: Vec<String> = found.iter().take(SHOWN).map(|row| escape(&row.name)).collect();
    if found.len() > SHOWN {
        names.push("...".to_owned());
    }
    let flag = term.filter.flag;
    Ok(if names.is_empty() { names.concat() } else { format!(" ({flag}: {})", names.join(", ")) })
}

/// Names that were asked for and are not recorded at all, with what looks like them.
fn unknown(reader: &Reader, selection: &Selection) -> Result<String> {
    let mut out = String::new();
    for term in selection.terms.iter().filter(|term| !term.not) {
        if reader.number(&Selection::default().with(term.clone()))? != 0 {
            continue;
        }
        let Values::Names(patterns) = &term.values else { continue };
        let mut near = Vec::new();
        for pattern in patterns {
            near.extend(similar(reader, pattern.text())?);
        }
        if !near.is_empty() {
            let near = near.join(", ");
            out.push_str(&format!("\nnothing is recorded with {}; nearest: {near}", term.typed()));
        }
    }
    Ok(out)
}

/// What may be called so.
const SIMILAR: [NameKind; 5] =
    [NameKind::Comm, NameKind::Cgroup, NameKind::Path, NameKind::Container, NameKind::Pod];

/// Names in the history that look like `text`.
///
/// # Errors
/// Where SQLite cannot read.
pub fn similar(reader: &Reader, text: &str) -> Result<Vec<String>> {
    let mut near = Vec::new();
    for kind in SIMILAR {
        for name in reader.names(kind)?.into_values() {
            let name = match (kind, unit(&name)) {
                (NameKind::Cgroup, None) => continue,
                (NameKind::Cgroup, Some(unit)) => unit.to_vec(),
                _ => name,
            };
            let known = String::from_utf8_lossy(&name).into_owned();
            let last = known.rsplit('/').next().unwrap_or(&known);
            let part = text.len() > 2 && known.contains(text);
            let score = if part { 1.0 } else { strsim::jaro_winkler(last, text) };
            if score > NEAR {
                near.push((score, escape(&name)));
            }
        }
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    Ok(near.into_iter().take(NEAREST).map(|(_, name)| name).collect())
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
    let meant = meant(text, &ours().collect::<Vec<_>>());
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

/// `; did you mean `NAME`?` where a name is like `text`, else nothing.
pub fn meant(text: &str, names: &[&str]) -> String {
    nearest(text, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The name that is most like `text`, if any is.
fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(name, text);
    let near = names.iter().copied().filter(|name| likeness(name) > NEAR);
    near.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

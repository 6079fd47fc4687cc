//! What is said where nothing matches: that at once, and then why.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::{
    cmd::caught::caught,
    contract::{GapReason, Time},
    host::clock,
    model::{
        cgroup::unit,
        container::{SHORT, container, is_id, pod},
        signal_name as signals,
    },
    render::{human, oneline, style::Style},
    select::{
        field::{Column, Field, NameKind},
        selection::{Selection, Term, Values, printed, readings},
        words,
    },
    sink::{speak::say, stdout::history_style},
    store::sqlite::{place::path_of, read::Reader},
    text::{
        apart::apart,
        escape::{escape, host_word, label, process_name},
        format::{age, grouped},
        near::NEAR,
    },
};

/// Names that look like one that is not recorded.
const NEAREST: usize = 5;

/// Incidents counted of what a filter removed; of more it is said that there are more.
const COUNTED: usize = 1_000;

/// Says that nothing matches, whether anybody was watching at all, and which filter is to blame.
///
/// # Errors
/// Where the history cannot be read.
pub fn nothing(reader: &Reader, selection: &Selection) -> Result<()> {
    say(whole(reader)?);
    reasons(reader, selection)
}

/// The same of a selector of `why`.
///
/// # Errors
/// Where the history cannot be read.
pub fn nothing_of(reader: &Reader, selection: &Selection, selector: &str) -> Result<()> {
    if selector.starts_with('#') {
        say(counted_in_a_watch(selector));
        return Ok(());
    }
    if filtered(reader, selection, selector)? || did_it(reader, selection, selector)? {
        return Ok(());
    }
    let meant = offered(reader, selector, selection)?;
    if !meant.is_empty() {
        let flags = selection.typed() + &style(reader)?.flags;
        let asks =
            |(filter, what): (String, String)| format!("`whybus why {filter}{flags}` shows {what}");
        let asks = meant.into_iter().map(asks).collect::<Vec<_>>().join("; ");
        say(format_args!("nothing of the name `{}` is recorded: {asks}", label(selector)));
        return Ok(());
    }
    say(format_args!("nothing is recorded of `{}`; {}", label(selector), whole(reader)?));
    reasons(reader, selection)?;
    let near = similar(reader, selector, &ANYTHING)?;
    if !near.is_empty() {
        say(format_args!("nearest: {}", near.join(", ")));
    }
    say(NOT_RECORDED);
    let by = Term::of_names(Field::ByComm, &[selector.to_owned()]);
    for terms in readings(selector).into_iter().chain([vec![by]]) {
        if shrunk(reader, &selection.clone().with_all(terms))? {
            break;
        }
    }
    Ok(())
}

/// The filters that may be meant by a word, of a plain status, which may be any number, those that find something.
///
/// # Errors
/// Where the history cannot be read.
pub fn offered(
    reader: &Reader,
    word: &str,
    selection: &Selection,
) -> Result<Vec<(String, String)>> {
    let mut meant = words::meant(word);
    let Ok(number) = word.parse::<u32>() else { return Ok(meant) };
    let finds = |term: &Term| -> Result<bool> {
        Ok(!reader.newest(&selection.clone().with(term.clone()), 1)?.is_empty())
    };
    let plain = Term::of_numbers(Field::Exit, &[number]);
    if !finds(&plain)? {
        let plain = plain.typed();
        meant.retain(|(filter, _)| *filter != plain);
    }
    for (field, what) in [(Field::Pod, "pod"), (Field::Container, "container")] {
        let term = Term::of_names(field, &[word.to_owned()]);
        if finds(&term)? {
            meant.push((term.typed(), format!("the {what} of that name")));
        }
    }
    Ok(meant)
}

/// What is no incident by design.
const NOT_RECORDED: &str = "some ends are not recorded. On purpose: a stop by systemd, for which it sends SIGTERM whether somebody \
                            asked for it or a time was over (TimeoutStartSec=, RuntimeMaxSec=): `systemctl status UNIT` says \
                            which; and the exit of a process that nobody restarts; `whybus record --exits all` records both. Ends \
                            by SIGHUP, SIGINT and SIGPIPE: `whybus record --signals all,hup,int,pipe` records them. An exit with \
                            status 0: never";

/// What `#3` is.
pub fn counted_in_a_watch(id: &str) -> String {
    format!(
        "`{}` counts within one watch; a history knows incidents by the beginning of their id: `whybus list`",
        label(id)
    )
}

fn whole(reader: &Reader) -> Result<String> {
    Ok(match reader.extent()?.0 {
        0 => "nothing is recorded yet".to_owned(),
        all => format!("no matching incidents (of {})", grouped(all)),
    })
}

fn reasons(reader: &Reader, selection: &Selection) -> Result<()> {
    if !unknown(reader, selection)? {
        removed(reader, &Selection::default(), selection)?;
    }
    let style = style(reader)?;
    if selection.since.is_some() || selection.until.is_some() {
        let (since, until) =
            (selection.since.unwrap_or(i64::MIN), selection.until.unwrap_or(i64::MAX));
        let gaps = reader.gaps(since, until, 0)?.into_iter();
        for gap in gaps.filter(|gap| gap.reason != GapReason::Shrinks).take(3) {
            say(human::gap(&gap, &style));
        }
    }
    let newest = reader.extent()?.2;
    if let Some(newest) = newest.filter(|newest| selection.since.is_some_and(|s| *newest < s)) {
        let now = clock::boot_to_realtime().realtime(clock::boot_time());
        let old = age(now.saturating_sub(newest).max(0).unsigned_abs());
        say(format_args!(
            "the newest that is recorded is {old} old: {}",
            style.stamp(Time(newest))
        ));
    }
    if let Some(began) = reader.began()?.filter(|began| selection.until.is_some_and(|u| u < *began))
    {
        say(format_args!("recording began only at {}", style.stamp(Time(began))));
    }
    caught(reader, selection)?;
    shrunk(reader, selection)?;
    Ok(())
}

fn style(reader: &Reader) -> Result<Style> {
    Ok(history_style(false, reader.hosts()?))
}

/// Says what of a selector is recorded that the other filters removed: `timeout: 6 incidents, none that matches`.
fn filtered(reader: &Reader, selection: &Selection, selector: &str) -> Result<bool> {
    for terms in readings(selector) {
        let base = Selection::default().with_all(terms.clone());
        let count = reader.newest(&base, COUNTED + 1)?.len();
        if count != 0 {
            let incidents = if count == 1 { "incident" } else { "incidents" };
            let name = label(selector);
            say(format_args!("{name}: {} {incidents}, none that matches", number(count)));
            removed(reader, &base, selection)?;
            caught(reader, &selection.clone().with_all(terms))?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says of whom nobody died, but whom somebody died of.
fn did_it(reader: &Reader, selection: &Selection, selector: &str) -> Result<bool> {
    let of_pid = |pid: u32| Term::of_numbers(Field::ByPid, &[pid]);
    let named = |comm: &str| Term::of_names(Field::ByComm, &[comm.to_owned()]);
    // `cp[1123]`, as it is printed.
    let both = printed(selector).map(|(comm, pid)| vec![named(comm), of_pid(pid)]);
    let pid = selector.parse().ok().map(|pid| vec![of_pid(pid)]);
    for terms in both.into_iter().chain(pid).chain([vec![named(selector)]]) {
        let flag = terms.iter().map(Term::typed).collect::<Vec<_>>().join(" ");
        let by = selection.clone().with_all(terms);
        let Some(latest) = reader.select(&by, 1)?.pop() else { continue };
        let count = reader.newest(&by, COUNTED + 1)?.len();
        let name = label(selector);
        let incidents = if count == 1 { "incident" } else { "incidents" };
        let count = number(count);
        let mut style = style(reader)?;
        style.ids = reader.long_ids([&*latest.id])?;
        let line = String::from_utf8_lossy(&oneline::incident(&latest, &style)).into_owned();
        say(format_args!(
            "no death of {name} is recorded, but {count} {incidents} that {name} caused or triggered; the latest:\n{}\n\
             whom it concerned: `whybus why {flag}{}{}`",
            line.trim_end(),
            selection.typed(),
            style.flags
        ));
        return Ok(true);
    }
    Ok(false)
}

/// `12`, or `more than 1,000`.
fn number(count: usize) -> String {
    match count > COUNTED {
        true => format!("more than {}", grouped(COUNTED as u64)),
        false => grouped(count as u64),
    }
}

/// Says which filters took away what `base` alone has: a line each.
fn removed(reader: &Reader, base: &Selection, selection: &Selection) -> Result<()> {
    let bounded = selection.since.is_some() || selection.until.is_some();
    if base.terms.len() + selection.terms.len() + usize::from(bounded) < 2 {
        return Ok(());
    }
    let with = |terms: Vec<Term>, bounded: bool| Selection {
        since: selection.since.filter(|_| bounded),
        until: selection.until.filter(|_| bounded),
        terms: base.terms.iter().cloned().chain(terms).collect(),
        ..Selection::default()
    };
    let line = |what: &str, without: &Selection, values: Option<&Term>| -> Result<()> {
        let rows = reader.newest(without, COUNTED + 1)?;
        let values = values.map_or(Ok(String::new()), |term| instead(reader, &rows, term))?;
        match rows.len() {
            0 => {}
            1 => say(format_args!("without {what} 1 matches{values}")),
            count => say(format_args!("without {what} {} match{values}", number(count))),
        }
        Ok(())
    };
    for (i, term) in selection.terms.iter().enumerate() {
        let others = selection.terms.iter().enumerate().filter(|(j, _)| *j != i);
        let without = with(others.map(|(_, other)| other.clone()).collect(), true);
        line(&term.typed(), &without, Some(term).filter(|term| !term.not))?;
    }
    if bounded {
        line("--since and --until", &with(selection.terms.clone(), false), None)?;
    }
    Ok(())
}

/// What there is instead of what was asked for: ` (class: exited)`
fn instead(reader: &Reader, rows: &[i64], term: &Term) -> Result<String> {
    const SHOWN: usize = 3;
    let field = term.filter.field;
    let found = reader.names_of(rows, term.filter.column)?;
    // What belongs to a cgroup is not called as that.
    let found: Vec<String> = match values_of(reader, field)? {
        Some(values) if term.filter.column == Column::Cgroup => {
            let mut known: Vec<String> = Vec::new();
            for name in found.iter().filter_map(|cgroup| values.get(cgroup)) {
                if !known.contains(name) {
                    known.push(name.clone());
                }
            }
            known
        }
        Some(values) => values.into_values().collect(),
        None => found.iter().map(|name| process_name(path_of(name))).collect(),
    };
    let flag = term.filter.flag;
    let more = if found.len() > SHOWN { ", ..." } else { "" };
    let names = found.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    Ok(if names.is_empty() { names } else { format!(" ({flag}: {names}{more})") })
}

/// Values of a filter that few are recorded of, by the cgroup that each belongs to, or for hosts by their names.
fn values_of(reader: &Reader, field: Field) -> Result<Option<BTreeMap<Vec<u8>, String>>> {
    let kind = match field {
        Field::Host => {
            let hosts = reader.host_names()?.into_iter();
            return Ok(Some(
                hosts.map(|name| (name.clone().into_bytes(), host_word(&name))).collect(),
            ));
        }
        Field::Unit => None,
        Field::Container => Some(NameKind::Container),
        Field::Pod => Some(NameKind::Pod),
        Field::Namespace => Some(NameKind::Namespace),
        Field::Image => Some(NameKind::Image),
        _ => return Ok(None),
    };
    let own = |cgroup: &[u8]| match field {
        Field::Unit if container(cgroup).is_none() => Some(escape(unit(cgroup)?)),
        Field::Container => Some(escape(container(cgroup)?.id.as_bytes())),
        Field::Pod => Some(escape(pod(cgroup)?.uid.as_bytes())),
        _ => None,
    };
    let cgroups = reader.names(NameKind::Cgroup)?.into_values();
    let mut values: BTreeMap<Vec<u8>, String> =
        cgroups.filter_map(|cgroup| own(path_of(&cgroup)).map(|name| (cgroup, name))).collect();
    if let Some(kind) = kind {
        let called = reader.called(kind)?.into_iter();
        values.extend(called.map(|(cgroup, name)| (cgroup, escape(&name))));
    }
    if field == Field::Container {
        let ids: BTreeSet<&str> =
            values.values().map(String::as_str).filter(|id| is_id(id)).collect();
        let long = apart(ids, SHORT);
        let digits = |id: &str| long.get(id).copied().unwrap_or(SHORT);
        values = values
            .iter()
            .map(|(cgroup, id)| match is_id(id) {
                true => (cgroup.clone(), id.chars().take(digits(id)).collect()),
                false => (cgroup.clone(), id.clone()),
            })
            .collect();
    }
    Ok(Some(values))
}

/// Says what there is of a filter that few are recorded of; whether that was said.
fn recorded(reader: &Reader, term: &Term) -> Result<bool> {
    let Some(values) = values_of(reader, term.filter.field)? else { return Ok(false) };
    let names: BTreeSet<String> = values.into_values().collect();
    let (flag, typed) = (term.filter.flag, term.typed());
    let more = if names.len() > NEAREST { ", ..." } else { "" };
    let shown = names.iter().take(NEAREST).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => say(format_args!(
            "nothing is recorded with {typed}: no {flag} is known of any incident"
        )),
        _ => say(format_args!("nothing is recorded with {typed}; recorded: {shown}{more}")),
    }
    Ok(true)
}

/// Says which names that were asked for are not recorded at all, with what looks like them; whether there are any.
fn unknown(reader: &Reader, selection: &Selection) -> Result<bool> {
    let mut any = false;
    for term in selection.terms.iter().filter(|term| !term.not) {
        any |= signals_meant(reader, term)?;
        let Values::Names(patterns) = &term.values else { continue };
        if !reader.newest(&Selection::default().with(term.clone()), 1)?.is_empty() {
            continue;
        }
        let mut near = Vec::new();
        for pattern in patterns {
            near.extend(match term.filter.field {
                Field::Host => {
                    let hosts = reader.host_names()?;
                    let like = |name: &&String| likeness(name, pattern.text()) > NEAR;
                    hosts.iter().filter(like).map(|name| host_word(name)).collect()
                }
                field => similar(reader, pattern.text(), &of_field(field))?,
            });
        }
        if !near.is_empty() {
            let near = near.join(", ");
            say(format_args!("nothing is recorded with {}; nearest: {near}", term.typed()));
            any = true;
        } else {
            recorded(reader, term)?;
        }
        if term.filter.field == Field::Signature {
            let flags = style(reader)?.flags;
            say(format_args!(
                "`whybus stats --by signature{flags}` has those that are recorded; a pattern must match the whole: 'geo_lookup in *'"
            ));
            any = true;
        }
    }
    Ok(any)
}

/// Says of statuses that nothing ended with, but which are those of signals that ended something, how to ask for them.
fn signals_meant(reader: &Reader, term: &Term) -> Result<bool> {
    let Values::Numbers(statuses) = &term.values else { return Ok(false) };
    if term.filter.field != Field::Exit {
        return Ok(false);
    }
    let found = |status: u32| -> Result<usize> {
        let asked = Selection::default().with(Term::of_numbers(Field::Exit, &[status]));
        Ok(reader.newest(&asked, COUNTED + 1)?.len())
    };
    let mut any = false;
    for status in statuses.iter().copied().filter(|status| (1..32).contains(status)) {
        let ended = found(status + 128)?;
        if found(status)? == 0 && ended != 0 {
            let (name, ended) = (signals::name(status as i32), number(ended));
            say(format_args!(
                "nothing exited with status {status}; {name} ended {ended}: --exit {name}"
            ));
            any = true;
        }
    }
    Ok(any)
}

/// Names of one kind, of what they are there, and what of them is typed.
type Place = (NameKind, Column, fn(&[u8]) -> Option<&[u8]>);

fn all(name: &[u8]) -> Option<&[u8]> {
    Some(name)
}

/// What may be called as a selector says.
const ANYTHING: [Place; 5] = [
    (NameKind::Comm, Column::Comm, all),
    (NameKind::Cgroup, Column::Cgroup, unit),
    (NameKind::Path, Column::Path, all),
    (NameKind::Container, Column::Cgroup, all),
    (NameKind::Pod, Column::Cgroup, all),
];

/// What may be given to a filter.
fn of_field(field: Field) -> Vec<Place> {
    let kind = match field {
        Field::Unit => return vec![(NameKind::Cgroup, Column::Cgroup, unit)],
        Field::Container => NameKind::Container,
        Field::Pod => NameKind::Pod,
        Field::Namespace => NameKind::Namespace,
        Field::Image => NameKind::Image,
        _ => match field.filter().column.name_kind() {
            Some(kind) => kind,
            None => return Vec::new(),
        },
    };
    vec![(kind, field.filter().column, all)]
}

/// How like a name is to what was typed: a path by its last name, too.
fn likeness(known: &str, text: &str) -> f64 {
    /// Paths that begin alike are like each other by that alone.
    const PATHS: f64 = 0.95;
    if text.len() > 2 && known.contains(text) {
        return 1.0;
    }
    let last = strsim::jaro_winkler(known.rsplit('/').next().unwrap_or(known), text);
    // Of lengths that are further apart none is as like as that.
    let (short, long) = (known.len().min(text.len()), known.len().max(text.len()));
    let whole = if 4 * short < 3 * long { 0.0 } else { strsim::jaro_winkler(known, text) };
    last.max(if whole > PATHS { whole } else { 0.0 })
}

/// Names in the history that look like `text`.
fn similar(reader: &Reader, text: &str, places: &[Place]) -> Result<Vec<String>> {
    let mut near = Vec::new();
    for (kind, column, part) in places {
        for (number, name) in reader.names(*kind)? {
            let Some(name) = part(path_of(&name)) else { continue };
            let known = String::from_utf8_lossy(name);
            // As it is, or as it is printed.
            let score = likeness(&known, text).max(likeness(&escape(name), text));
            if score > NEAR {
                // What belongs to a cgroup is there as long as that is.
                let row = (!kind.is_of_cgroup()).then_some((*column, number));
                near.push((score, escape(name), row));
            }
        }
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut names: Vec<String> = Vec::new();
    for (_, name, row) in near {
        // A victim's name is not a culprit's.
        let there = row.map_or(Ok(true), |(column, number)| reader.has(column, number))?;
        if there && !names.contains(&name) {
            names.push(name);
        }
        if names.len() == NEAREST {
            break;
        }
    }
    Ok(names)
}

/// Says that there are shrinks that match, if what is asked for can be of a shrink; whether there are.
fn shrunk(reader: &Reader, selection: &Selection) -> Result<bool> {
    let of_shrinks = |term: &Term| term.filter.field.is_of_warnings();
    if selection.terms.is_empty() || !selection.terms.iter().all(of_shrinks) {
        return Ok(false);
    }
    /// All that there may be take longer than anybody waits for what he did not ask for.
    const AMONG: i64 = 2_000;
    let found = reader.warnings_among(selection, 1, AMONG)?.pop();
    let Some(latest) = found else { return Ok(false) };
    let style = style(reader)?;
    let latest = String::from_utf8_lossy(&oneline::truncation(&latest, &style)).into_owned();
    say(format_args!(
        "though a file was shrunk that matches: `whybus list --warnings{}{}`; the latest is\n{}",
        selection.typed(),
        style.flags,
        latest.trim_end()
    ));
    Ok(true)
}

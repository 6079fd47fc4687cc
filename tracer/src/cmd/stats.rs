//! `whybus stats`: recorded incidents counted, by what they have in common.
use std::{borrow::Cow, collections::HashMap};

use anyhow::Result;

use crate::{
    cli::{Stats, options::StatsFormat},
    cmd::{classes, exit_status::ExitStatus, nothing},
    contract::{Count, Record, Time, Untrusted},
    error::Failure,
    model::{
        cause::CauseKind,
        cgroup::unit,
        container::{container, pod},
    },
    render::{Format, human::Style, json, stats},
    select::field::{Column, NameKind},
    sink::{
        speak::{put, say},
        stdout::{history_style, page},
        terminal,
    },
    store::sqlite::{count::Counted, place::path_of, read::Reader},
    text::{
        format::{counted, grouped, rfc3339},
        near::meant,
    },
};

/// A table: its name, its column, what of the column's name counts, and what is rather counted where a history has it
/// with a cgroup.
type Table = (&'static str, Column, Part, Option<NameKind>);
type Part = fn(&[u8]) -> Option<Cow<'_, [u8]>>;

const TABLES: [Table; 10] = [
    ("cause", Column::CauseKind, |name| Some(name.into()), None),
    ("file", Column::Path, |name| Some(name.into()), None),
    (CULPRIT, Column::ByComm, |name| Some(name.into()), None),
    ("victim", Column::Comm, |name| Some(name.into()), None),
    (SIGNATURE, Column::Signature, |name| Some(name.into()), None),
    ("unit", Column::Cgroup, own_unit, None),
    ("container", Column::Cgroup, |cgroup| Some(bytes(container(cgroup)?.id)), CONTAINER),
    ("pod", Column::Cgroup, |cgroup| Some(bytes(pod(cgroup)?.uid)), Some(NameKind::Pod)),
    ("image", Column::Cgroup, |_| None, Some(NameKind::Image)),
    (HOST, Column::Boot, |name| Some(name.into()), None),
];
/// Of one host alone it says nothing.
const HOST: &str = "host";
const CULPRIT: &str = "culprit";
const SIGNATURE: &str = "signature";
const CONTAINER: Option<NameKind> = Some(NameKind::Container);
/// Spans that time is divided into, in seconds, with how they are called.
const SPANS: [(i64, &str); 7] = [
    (60, "minute"),
    (600, "10 minutes"),
    (3_600, "hour"),
    (21_600, "6 hours"),
    (86_400, "day"),
    (604_800, "week"),
    (2_592_000, "30 days"),
];
/// As many spans are shown, at most.
const ROWS: i64 = 30;
const SECOND: i64 = 1_000_000_000;

/// The table that has spans of time for rows.
const TIME: &str = "time";

/// # Errors
/// Where there is no history to read, or no such table.
pub fn run(args: &Stats) -> Result<ExitStatus> {
    let selection = args.select.selection().map_err(Failure::usage)?;
    let by = args.by.as_deref();
    if let Some(by) = by.filter(|by| *by != TIME && !TABLES.iter().any(|(name, ..)| name == by)) {
        let names: Vec<&str> = TABLES.iter().map(|(name, ..)| *name).chain([TIME]).collect();
        let near = meant(by, &names);
        let names = names.join(", ");
        return Err(Failure::usage(format!("there is no table by `{by}`{near}\ntables: {names}")));
    }
    let reader = Reader::open(&args.state.state_dir)?;
    let several = reader.hosts()? > 1;
    let asked = |name: &str| by.map_or(several || name != HOST, |by| by == name);
    classes::check(&reader, &selection)?;
    let counts = reader.counts(&selection)?;
    let whole = counts.over_time(i64::MAX)?;
    let (Some(first), Some(last)) =
        (whole.iter().map(|row| row.first).min(), whole.iter().map(|row| row.last).max())
    else {
        nothing::nothing(&reader, &selection)?;
        return Ok(ExitStatus::NotFound);
    };
    let (width, span) = span_of(last.saturating_sub(first));
    let total: u64 = whole.iter().map(|row| row.incidents).sum();
    let mut unknown = Vec::new();
    let mut tables = Vec::new();
    for (name, column, part, kind) in TABLES.into_iter().filter(|(name, ..)| asked(name)) {
        let called = kind.map_or_else(|| Ok(HashMap::new()), |kind| reader.called(kind))?;
        let part = |name: &[u8]| match called.get(name) {
            Some(called) => Some(called.clone()),
            None => part(own_name(column, name)).map(Cow::into_owned),
        };
        let without = if name == CULPRIT { no_acts() } else { Vec::new() };
        let mut rows = by_part(counts.of(column, &without)?, part);
        let known: u64 = rows.iter().map(|row| row.incidents).sum();
        unknown.extend(without_row(name, total.saturating_sub(known), rows.is_empty()));
        let more = rows.len().saturating_sub(if args.limit == 0 { usize::MAX } else { args.limit });
        rows.truncate(rows.len() - more);
        let named = |row: Counted| count(name, Untrusted(row.name.clone()), &row, None);
        tables.push((more, rows.into_iter().map(named).collect::<Vec<_>>()));
    }
    if let Some(none) = none_known(by, &tables, total) {
        say(none);
        return Ok(ExitStatus::NotFound);
    }
    let mut times = Vec::new();
    if asked(TIME) {
        for row in counts.over_time(width)? {
            let start = row.first.saturating_sub(row.first.rem_euclid(width));
            let start = Untrusted(rfc3339(start).into_bytes());
            times.push(count(TIME, start, &row, Some(width.unsigned_abs())));
        }
    }
    page(match args.output {
        StatsFormat::Json | StatsFormat::Csv => Format::Json,
        StatsFormat::Human | StatsFormat::Oneline => Format::Human,
    });
    let mut style = history_style(args.utc, 1);
    style.ids.extend(tables.iter().flat_map(|(_, rows)| stats::ids_apart(rows)));
    if args.output != StatsFormat::Human {
        for_programs(args, &style, tables, times)?;
        say_unknown(&unknown);
        return Ok(ExitStatus::Done);
    }
    let (header, fit) = (!args.no_header, terminal::width());
    let mut parts = Vec::new();
    if header {
        parts.push(stats::total(total, Time(first), Time(last), &style));
    } else {
        say_left_out(&tables);
    }
    parts.extend(tables.iter().map(|(more, rows)| stats::table(rows, *more, header, fit, &style)));
    if asked(TIME) {
        parts.push(stats::over_time(&times, span, header, fit, &style));
    }
    parts.retain(|part| !part.is_empty());
    put(parts.join("\n").as_bytes())?;
    say_unknown(&unknown);
    Ok(ExitStatus::Done)
}

/// What of a name is that of its column.
fn own_name(column: Column, name: &[u8]) -> &[u8] {
    if column == Column::Cgroup { path_of(name) } else { name }
}

/// Into what so many ns are divided: how long that is, in ns, and what it is called.
fn span_of(ns: i64) -> (i64, &'static str) {
    let mut spans = SPANS.into_iter();
    let (seconds, span) =
        spans.find(|(seconds, _)| ns / (seconds * SECOND) < ROWS).unwrap_or(SPANS[SPANS.len() - 1]);
    (seconds * SECOND, span)
}

/// What is said where the one table that is asked for has no row.
fn none_known(by: Option<&str>, tables: &[(usize, Vec<Count>)], total: u64) -> Option<String> {
    let by = by.filter(|by| *by != TIME && tables.iter().all(|(_, rows)| rows.is_empty()))?;
    Some(format!("no {by} is known of {}", counted(total, "matching incident")))
}

/// Tables that most hosts have no row of: nothing is missing there.
const OFTEN_EMPTY: [&str; 4] = ["unit", "container", "pod", "image"];

/// What is said of the incidents of a table that stand in no row of it.
fn without_row(table: &str, incidents: u64, is_empty: bool) -> Option<String> {
    if incidents == 0 || is_empty && OFTEN_EMPTY.contains(&table) {
        return None;
    }
    let have = if incidents == 1 { "has" } else { "have" };
    let are = if incidents == 1 { "is" } else { "are" };
    let lack = match table {
        CULPRIT => format!("{have} none, or none that is known"),
        SIGNATURE => format!("{have} no stack of a function that is known"),
        "unit" => format!("{are} in none, or in a container"),
        "container" | "pod" => format!("{are} in none"),
        _ => format!("{have} none"),
    };
    Some(format!("{table}: {} {lack}", grouped(incidents)))
}

fn say_unknown(unknown: &[String]) {
    unknown.iter().for_each(say);
}

/// Classes of what nobody did: whoever asked for memory before an OOM kill only triggered it.
fn no_acts() -> Vec<String> {
    let others = CauseKind::ALL.iter().filter(|kind| !kind.cause().is_act());
    others.map(|kind| kind.name().to_owned()).collect()
}

/// How many rows are left out, where they are not to stand in a table.
fn say_left_out(tables: &[(usize, Vec<Count>)]) {
    for (more, rows) in tables.iter().filter(|(more, _)| *more != 0) {
        let by = rows.first().map_or("", |row| &*row.by);
        say(format_args!("{by}: {}", stats::left_out(*more)));
    }
}

/// A line a row, and beside them how many are left out.
fn for_programs(
    args: &Stats,
    style: &Style,
    tables: Vec<(usize, Vec<Count>)>,
    times: Vec<Count>,
) -> Result<()> {
    say_left_out(&tables);
    let head = if args.output == StatsFormat::Csv && !args.no_header { stats::CSV } else { "" };
    let mut out = head.as_bytes().to_vec();
    for row in tables.into_iter().flat_map(|(_, rows)| rows).chain(times) {
        out.extend(match args.output {
            StatsFormat::Csv => stats::csv(&row),
            StatsFormat::Oneline => stats::oneline(&row, style),
            _ => json(&Record::Count(row)),
        });
    }
    put(&out)
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => text.into_bytes().into(),
    }
}

/// The unit, where that is not the scope of a container, which has a table of its own.
fn own_unit(cgroup: &[u8]) -> Option<Cow<'_, [u8]>> {
    container(cgroup).is_none().then(|| unit(cgroup))?.map(Cow::Borrowed)
}

/// Counts what goes by the same part of its name together.
fn by_part(rows: Vec<Counted>, part: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<Counted> {
    let mut known: HashMap<Vec<u8>, Counted> = HashMap::new();
    for row in rows {
        let Some(name) = part(&row.name) else { continue };
        match known.get_mut(&name) {
            Some(sum) => {
                sum.incidents += row.incidents;
                sum.first = sum.first.min(row.first);
                sum.last = sum.last.max(row.last);
            }
            None => drop(known.insert(name.clone(), Counted { name, ..row })),
        }
    }
    let mut rows: Vec<Counted> = known.into_values().collect();
    rows.sort_by(|a, b| (b.incidents, b.last, &a.name).cmp(&(a.incidents, a.last, &b.name)));
    rows
}

fn count(by: &str, name: Untrusted, row: &Counted, span_ns: Option<u64>) -> Count {
    Count {
        by: by.into(),
        name,
        incidents: row.incidents,
        first: Time(row.first),
        last: Time(row.last),
        span_ns,
    }
}

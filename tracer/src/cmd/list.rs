//! `whybus list`: recorded incidents, or warnings, the newest last.
use std::time::Duration;

use anyhow::Result;

use crate::{
    cli::{List, options::ListFormat},
    cmd::{
        caught::caught, classes, exit_status::ExitStatus, nothing::nothing,
        recording::not_recording,
    },
    contract::{Gap, GapReason, Incident, Record, Truncation},
    error::Failure,
    host::clock,
    render::Format,
    render::{
        columns::Column,
        csv,
        human::{self, Style},
        json,
        list::{self as table, Homes, Shown},
        oneline,
        table::{Cell, Layout},
        warning,
    },
    select::selection::Selection,
    sink::{
        speak::{nobody_reads, put, say},
        stdout::{history_style, page, page_from},
        terminal,
    },
    store::sqlite::read::Reader,
    text::escape::UNKNOWN,
};

/// How often a history is asked for what is new.
const AGAIN: Duration = Duration::from_millis(500);
/// Incidents that are sorted, the newest, where not all are asked for.
const SORTED: usize = 1_000;
/// Narrower than that an age stands in for the time.
const NARROW: usize = 120;

/// # Errors
/// Where there is no history to read.
pub fn run(args: &List) -> Result<ExitStatus> {
    let selection = asked(args)?;
    let reader = Reader::open(&args.state.state_dir)?;
    classes::check(&reader, &selection)?;
    // What is sorted is sorted before it is cut.
    let sorted = by_content(args.sort);
    let limit = match args.limit {
        0 => 0,
        _ if sorted => SORTED + 1,
        limit => limit + 1,
    };
    let mut style = history_style(args.utc, reader.hosts()?);
    if args.warnings {
        return warnings(args, &reader, &selection, &style);
    }
    let last = reader.last_row()?;
    let mut found = reader.select(&selection, limit)?;
    if found.is_empty() && !args.follow {
        nothing(&reader, &selection)?;
        return Ok(ExitStatus::NotFound);
    }
    let all = found.len();
    let more = args.limit != 0 && all > args.limit;
    if more {
        found.truncate(if sorted { SORTED } else { args.limit });
    }
    found.reverse();
    sort(&mut found, args);
    if more && sorted {
        found.truncate(args.limit);
    }
    if !args.follow {
        page_from(paged(args.output), args.sort.is_none() && !args.reverse);
    }
    if args.output != ListFormat::Json {
        style.ids = reader.long_ids(found.iter().map(|one| &*one.id))?;
        style.ids.extend(table::homes_apart(found.iter().map(|one| &one.victim)));
    }
    let printed = Printed::new(args, &style, &found);
    printed.head(args)?;
    for one in &found {
        printed.put(one, &style)?;
    }
    if let Some(wanted) = printed.layout.wanted.filter(|_| !args.columns.is_empty()) {
        say(format_args!(
            "{} columns need a terminal {wanted} wide to be read: leave some out of --columns, or use -o csv or -o json",
            args.columns.len()
        ));
    }
    if args.follow {
        if let Some(why) = not_recording(&reader, &args.state.state_dir)? {
            say(format_args!("{why}; waiting all the same"));
        }
        let mut homes = Homes::default();
        homes.learn(found.iter().map(|one| &one.victim));
        return follow(&reader, &selection, last, &printed, homes);
    }
    if more && sorted {
        let of = if all > SORTED { format!("the newest {SORTED}") } else { all.to_string() };
        say(format_args!("showing the first {} of {of} in that order: -n 0 for all", args.limit));
    } else if more {
        say(format_args!("showing the newest {}: -n 0 for all, or --since, --until", args.limit));
    }
    caught(&reader, &selection)?;
    Ok(ExitStatus::Done)
}

/// What is asked for.
///
/// # Errors
/// Where there can be nothing of it.
fn asked(args: &List) -> Result<Selection> {
    let selection = args.select.selection().map_err(Failure::usage)?;
    let foreign = selection.terms.iter().find(|term| !term.filter.field.is_of_warnings());
    if let Some(term) = foreign.filter(|_| args.warnings) {
        return Err(Failure::usage(format!(
            "--warnings with --{}: of those at risk only pid and name are known; filter by --pid, --comm, \
             --path, --by-pid, --by-comm or the time",
            term.filter.flag
        )));
    }
    if args.warnings && args.output == ListFormat::Csv {
        return Err(Failure::usage("--warnings has no -o csv: use -o json"));
    }
    if args.follow && args.select.range.until.is_some() {
        return Err(Failure::usage(
            "-f with --until: what is still to come has no end; leave one of them out",
        ));
    }
    Ok(selection)
}

/// Whether an order is another than that of time.
fn by_content(sort: Option<Shown>) -> bool {
    !matches!(sort, None | Some(Shown::Id | Shown::Time | Shown::Age))
}

/// What a program reads goes through no pager.
fn paged(output: ListFormat) -> Format {
    match output {
        ListFormat::Json | ListFormat::Csv => Format::Json,
        _ => Format::Human,
    }
}

/// Until nobody reads any more, or a signal.
fn follow(
    reader: &Reader,
    selection: &Selection,
    mut last: i64,
    printed: &Printed<'_>,
    mut homes: Homes,
) -> Result<ExitStatus> {
    loop {
        let (new, row) = reader.after(selection, last)?;
        last = row;
        let mut style = printed.style.clone();
        style.ids.extend(reader.long_ids(new.iter().map(|one| &*one.id))?);
        if !new.is_empty() {
            homes.learn(new.iter().map(|one| &one.victim));
            style.ids.extend(homes.apart());
        }
        for one in &new {
            printed.put(one, &style)?;
        }
        if nobody_reads(AGAIN) {
            return Ok(ExitStatus::Done);
        }
    }
}

fn sort(found: &mut [Incident], args: &List) {
    let text = |field: Shown, one: &Incident| {
        let style = Style::plain(true, true);
        let cells = table::row(one, &[field], &style, one.time.0);
        cells.into_iter().map(|cell| cell.text).collect::<String>()
    };
    match args.sort {
        None | Some(Shown::Id | Shown::Time) => {}
        Some(Shown::Age) => found.reverse(),
        Some(Shown::Uid) => found.sort_by_key(|one| one.victim.uid),
        Some(field) => found.sort_by_cached_key(|one| text(field, one)),
    }
    if args.reverse {
        found.reverse();
    }
    // What is not known comes last, in either order.
    if let Some(field) = args.sort {
        found.sort_by_cached_key(|one| text(field, one) == UNKNOWN);
    }
}

/// In which form incidents are printed.
struct Printed<'a> {
    format: ListFormat,
    style: &'a Style,
    fields: Vec<Shown>,
    layout: Layout,
    now: i64,
}

impl<'a> Printed<'a> {
    fn new(args: &List, style: &'a Style, found: &[Incident]) -> Self {
        let now = clock::boot_to_realtime().realtime(clock::boot_time());
        let width = terminal::width();
        let mut fields = args.columns.clone();
        if fields.is_empty() {
            fields = match args.output {
                ListFormat::Csv => SPREADSHEET.to_vec(),
                _ => usual(args, style, width, found),
            };
        }
        let rows: Vec<Vec<Cell>> = match args.output {
            ListFormat::Table => {
                found.iter().map(|one| table::row(one, &fields, style, now)).collect()
            }
            _ => Vec::new(),
        };
        // What was asked for is cut, but not left out.
        let ranked = |column: Column| if args.columns.is_empty() { column } else { column.rank(0) };
        let narrow = width.is_some_and(|width| width < NARROW);
        let column = |field: &Shown| match args.follow {
            true => ranked(field.column().to_come(field.usual_width(narrow))),
            false => ranked(field.column()),
        };
        let columns: Vec<Column> = fields.iter().map(column).collect();
        let heads: Vec<String> = fields.iter().map(|field| field.head(style, now)).collect();
        let layout = Layout::new(&columns, &heads, &rows, width);
        Self { format: args.output, style, fields, layout, now }
    }

    fn head(&self, args: &List) -> Result<()> {
        match self.format {
            ListFormat::Table if !args.no_header => put(self.layout.head(self.style).as_bytes()),
            ListFormat::Csv if !args.no_header => {
                let names = self.fields.iter().map(|field| field.name());
                put(csv::line(names).as_bytes())
            }
            _ => Ok(()),
        }
    }

    fn put(&self, incident: &Incident, style: &Style) -> Result<()> {
        let Self { format, fields, layout, now, .. } = self;
        put(&match format {
            ListFormat::Table => {
                layout.row(&table::row(incident, fields, style, *now), style).into_bytes()
            }
            ListFormat::Oneline => shown(incident, Format::Oneline, style),
            ListFormat::Human => shown(incident, Format::Human, style),
            ListFormat::Csv => table::csv_row(incident, fields, *now).into_bytes(),
            ListFormat::Json => shown(incident, Format::Json, style),
        })
    }
}

/// Columns for a spreadsheet, the same whatever is in them.
const SPREADSHEET: [Shown; 9] = [
    Shown::Id,
    Shown::Time,
    Shown::Host,
    Shown::Victim,
    Shown::Unit,
    Shown::How,
    Shown::Cause,
    Shown::File,
    Shown::By,
];

/// Whether there is no room for times; who asks by the time wants to see it.
fn has_ages(args: &List, width: Option<usize>) -> bool {
    let range = &args.select.range;
    let by_time = args.utc || range.since.is_some() || range.until.is_some();
    width.is_some_and(|width| width < NARROW) && !by_time
}

/// Columns that fit, and of which something is known, or may be of what comes.
fn usual(args: &List, style: &Style, width: Option<usize>, found: &[Incident]) -> Vec<Shown> {
    let time = if has_ages(args, width) { Shown::Age } else { Shown::Time };
    let plain = Style::plain(true, true);
    let any = |known: &dyn Fn(&Incident) -> bool| args.follow || found.iter().any(known);
    let mut fields = vec![Shown::Id, time];
    if style.hosts {
        fields.push(Shown::Host);
    }
    fields.push(Shown::Victim);
    if any(&|one| table::home(&one.victim, &plain).is_some()) {
        fields.push(Shown::Unit);
    }
    fields.extend([Shown::How, Shown::Cause]);
    if any(&|one| one.path().is_some()) {
        fields.push(Shown::File);
    }
    if any(&|one| one.cause.culprit.is_some()) {
        fields.push(Shown::By);
    }
    fields
}

fn warnings(
    args: &List,
    reader: &Reader,
    selection: &Selection,
    style: &Style,
) -> Result<ExitStatus> {
    let limit = if args.limit == 0 { 0 } else { args.limit + 1 };
    let mut found = reader.warnings(selection, limit)?;
    if found.is_empty() {
        say("no recorded warning matches");
        return Ok(ExitStatus::NotFound);
    }
    let more = args.limit != 0 && found.len() > args.limit;
    if more {
        found.truncate(args.limit);
    }
    if !args.reverse {
        found.reverse();
    }
    page(paged(args.output));
    let now = clock::boot_to_realtime().realtime(clock::boot_time());
    let (width, ages) = (terminal::width(), has_ages(args, terminal::width()));
    let hidden = |head: &str| match head {
        "TIME" => ages,
        "AGE" => !ages,
        "HOST" => !style.hosts,
        _ => false,
    };
    let shown = || (0..table::WARNING.len()).filter(|i| !hidden(table::WARNING[*i].head));
    let columns: Vec<Column> = shown().map(|i| table::WARNING[i]).collect();
    let row = |one: &Truncation| {
        let cells = table::warning(one, style, now);
        shown().map(|i| cells[i].clone()).collect::<Vec<Cell>>()
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    let heads = if ages { [String::new()] } else { [Shown::Time.head(style, now)] };
    let layout = Layout::new(&columns, &heads, &rows, width);
    if args.output == ListFormat::Table && !args.no_header {
        put(layout.head(style).as_bytes())?;
    }
    for (one, row) in found.into_iter().zip(&rows) {
        put(&match args.output {
            ListFormat::Table => layout.row(row, style).into_bytes(),
            ListFormat::Json | ListFormat::Csv => json(&Record::Truncation(Box::new(one))),
            ListFormat::Oneline => oneline::truncation(&one, style),
            ListFormat::Human => warning::truncation(&one, style),
        })?;
    }
    for gap in missing(reader, selection)? {
        say(human::gap(&gap, style));
    }
    if more {
        say(format_args!("showing the newest {}: -n 0 for all, or --since, --until", args.limit));
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

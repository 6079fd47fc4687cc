//! A story for people and for grep.
use unicode_width::UnicodeWidthStr as _;

use crate::{
    contract::{CauseCount, Gap, GapReason, Incident, RestartSpread, RuledOut, Story, Time},
    explain::{
        frames::{act, callers, place as instruction},
        next::next,
        others::others,
        phrase::{
            arguments, because, because_of, culprit, culprit_field, fix, headline, incomplete,
            lineage, outlived, served, who, who_else,
        },
        whereabouts::inside,
    },
    model::{cause::Outcome, signal_name as signals},
    render::{
        columns::{Column, Keeps},
        human::{Style, changed, gap, spoken},
        list::{doubts, home},
        markdown,
        table::{Cell, Layout},
        touched::{driver, driver_field, other_name, seen_as, sized, volume},
        warning::{self, labelled},
    },
    text::{
        escape::{UNKNOWN, escape, host_phrase, named, process_name},
        format::{age, clock, counted, duration, grouped, times},
    },
};

/// `geo-api: died 5 times; every time the same: truncated (SIGBUS); last truncated under …`, or of one incident
/// `geo-api: died once, truncated (SIGBUS): truncated under …`
pub fn oneline(story: &Story, style: &Style) -> Vec<u8> {
    let latest = &story.incident;
    format!(
        "{} {}{}: {} {}{} {}\n",
        style.stamp(story.last),
        process_name(&latest.victim.comm.0),
        style.host(&latest.host),
        match story.causes.as_slice() {
            [only] if story.incidents == 1 => format!("{}, {}:", count(story), name(only)),
            all => {
                let which = if is_latest(story) { "last" } else { "one of them" };
                format!("{}; {}; {which}", count(story), causes(all))
            }
        },
        because_of(latest),
        story.elsewhere.as_ref().map_or_else(String::new, |elsewhere| {
            let host = host_phrase(&elsewhere.host);
            format!(", likely by {} on {host}", who(&elsewhere.culprit))
        }),
        style.id(&latest.id),
    )
    .into_bytes()
}

/// Whether the incident that is told in full is the last of its loop.
fn is_latest(story: &Story) -> bool {
    story.incident.time >= story.last
}

fn count(story: &Story) -> String {
    let Story { incidents, deaths, .. } = story;
    match (*deaths, *incidents) {
        (0, 1) => match story.incident.outcome.known() {
            Outcome::Survived => format!("1 incident: {}", outlived(&story.incident)),
            Outcome::Efault => "1 incident, which the process survived".to_owned(),
            _ => "1 incident; what became of the process was not seen".to_owned(),
        },
        (0, incidents) => format!("{} incidents, which the process survived", grouped(incidents)),
        (_, incidents) if story.partial => {
            format!("{} incidents (causes from the latest 10,000)", grouped(incidents))
        }
        (deaths, incidents) if deaths < incidents => {
            format!("{incidents} incidents, {}", counted(deaths, "death"))
        }
        (deaths, _) => format!("died {}", times(deaths)),
    }
}

/// `truncated (SIGBUS)`, `exited (status 1)`, `signal (SIGSEGV, status 2)`
fn name(cause: &CauseCount) -> String {
    let status = match cause.status {
        Some(status) if let Some(signal) = &cause.signal => {
            let ended = match status {
                129..=159 => format!("ended by {}", signals::name(status as i32 - 128)),
                status => format!("status {status}"),
            };
            format!(" ({}, {ended})", escape(signal.as_bytes()))
        }
        Some(status @ 129..=159) => format!(" ({})", signals::name(status as i32 - 128)),
        Some(status) => format!(" (status {status})"),
        None => String::new(),
    };
    format!("{}{status}", cause.class)
}

/// As `list` has it, for a table: `truncated?`, `exit 1`, `SIGSEGV? (status 2)`, `sent (SIGTERM)`. What goes without saying
/// is left out; the mark is that of the `latest`, of that class.
fn in_a_word(cause: &CauseCount, latest: &Incident) -> String {
    let same = *cause.class == *latest.cause.class.name();
    let mark = if same { doubts(latest) } else { "" };
    let signal = |status| signals::name(status as i32 - 128);
    // That which a handler was given.
    let given = latest.signal.as_ref().filter(|_| same && latest.death_status() == cause.status);
    match (&*cause.class, cause.status) {
        ("exited", Some(status @ 0..=128)) => format!("exit {status}{mark}"),
        ("signal", Some(status @ 129..=159)) => signal(status) + mark,
        ("signal", Some(status)) if let Some(given) = given => {
            format!("{}{mark} (status {status})", escape(given.name.as_bytes()))
        }
        (_, Some(BUS) | None) | ("aborted" | "oom-killed", _) => format!("{}{mark}", cause.class),
        _ => name(cause).replacen(&*cause.class, &format!("{}{mark}", cause.class), 1),
    }
}

/// `truncated (SIGBUS) 4 times, exited (status 1) once`
fn causes(causes: &[CauseCount]) -> String {
    let one = |cause: &CauseCount| format!("{} {}", name(cause), times(cause.count));
    match causes {
        [only] if only.count > 1 => format!("always {}", name(only)),
        causes => {
            const SHOWN: usize = 6;
            let mut text: Vec<String> = causes.iter().take(SHOWN).map(one).collect();
            if causes.len() > SHOWN {
                text.push(format!("and {} others", causes.len() - SHOWN));
            }
            text.join(", ")
        }
    }
}

/// What was touched, why it was not there, and where in its program.
fn known_of(latest: &Incident) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("file", latest.file.as_ref().and_then(seen_as)),
        ("volume", latest.file.as_ref().and_then(volume)),
        ("size", latest.file.as_ref().and_then(sized)),
        (driver_field(latest), driver(latest)),
        ("cause", Some(because(latest))),
        ("where", instruction(latest)),
        ("", callers(latest)),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, text?)))
}

/// Width of the names of fields.
const NAMES: usize = 9;
/// As a shell has the end by SIGBUS.
const BUS: u32 = 135;

/// The whole story, as it is `now` (ns since the epoch).
pub fn human(story: &Story, style: &Style, now: i64) -> Vec<u8> {
    let count = style.paint("31", &count(story));
    told(story, &format!("{}: {count}", who_and_where(story, style)), style, now).into_bytes()
}

/// The same, below another first line.
fn told(story: &Story, first: &str, style: &Style, now: i64) -> String {
    let mut out = style.heading(first);
    for (name, text) in overview(story, style, now) {
        out.push_str(&labelled(name, NAMES, &text, style));
    }
    let latest = &story.incident;
    let which = match is_latest(story) {
        true if story.incidents > 1 => "Latest",
        true => "What happened",
        false => "One of them",
    };
    out.push('\n');
    out.push_str(&style.heading(&format!(
        "{which}: {} {}  {}",
        who(&latest.victim),
        style.paint("31", &headline(latest)),
        style.paint("2", &style.id(&latest.id)),
    )));
    out.push_str(&timeline(story, style));
    out.push('\n');
    let mut field = |name: &str, text: &str| out.push_str(&labelled(name, NAMES, text, style));
    for (name, text) in known_of(latest) {
        field(name, &text);
    }
    if let Some(culprit) = culprit(latest) {
        field(culprit_field(latest), &format!("{}  {}", who(culprit), arguments(culprit)));
        field("", &lineage(culprit));
    }
    if let Some(text) = act(latest) {
        field("", &text);
    }
    if let Some(text) = other_name(latest) {
        field("", &text);
    }
    let server = served(latest).map(|text| ("server", text)).into_iter();
    for (name, text) in server.chain(others(latest).into_iter().map(|text| ("others", text))) {
        field(name, &text);
    }
    let before = story.before.as_deref().map(|before| (before, story.incidents));
    out.push_str(&changed(latest, before, NAMES, style));
    out.push_str(&spoken(latest, NAMES, style));
    let mut field = |name: &str, text: &str| out.push_str(&labelled(name, NAMES, text, style));
    for (i, RuledOut { theory, because }) in story.ruled_out.iter().enumerate() {
        field(if i == 0 { "ruled out" } else { "" }, &format!("{theory}: {because}"));
    }
    if let Some(elsewhere) = &story.elsewhere {
        out.push_str(&warning::elsewhere(elsewhere, NAMES, style));
    }
    let fix = fix(latest, story.elsewhere.as_deref());
    out.push_str(&labelled("fix", NAMES, &fix, style));
    for (i, command) in next(story, &style.flags, style.here.as_ref()).iter().enumerate() {
        // Copied as it is.
        let whole = Style { width: None, ..style.clone() };
        out.push_str(&labelled(if i == 0 { "next" } else { "" }, NAMES, command, &whole));
    }
    for text in missing(&story.gaps, style).into_iter().chain(incomplete(latest)) {
        out.push_str(&labelled("note", NAMES, &style.paint("33", &text), style));
    }
    out
}

/// `geo-api, child of supervise[412], geo.service`
fn who_and_where(story: &Story, style: &Style) -> String {
    let latest = &story.incident;
    let parent = latest.victim.ancestors.first();
    let parent = parent.map_or_else(String::new, |by| format!(", child of {}", who_else(by)));
    let unit = || Some(escape(&latest.victim.unit.as_ref()?.0));
    let place = inside(&latest.victim).or_else(unit);
    let place = place.map_or_else(String::new, |place| format!(", {place}"));
    let other = style.here.as_ref().is_some_and(|here| !here.is(&latest.host, &latest.boot_id));
    let host = Style { hosts: style.hosts || other, ..style.clone() }.host(&latest.host);
    format!("{}{parent}{place}{host}", style.paint("1", &process_name(&latest.victim.comm.0)))
}

/// How often, since when, of what, and in what some differ.
fn overview(story: &Story, style: &Style, now: i64) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if story.incidents > 1 {
        let (first, last) = (style.time(story.first), style.stamp(story.last));
        let ago = age(now.saturating_sub(story.last.0).max(0).unsigned_abs());
        let span = story.last.since(story.first);
        let rate = match story.incidents {
            _ if story.partial || span == 0 => String::new(),
            2 => format!("; {} apart", duration(span)),
            more => format!("; every {} on average", duration(span / (more - 1))),
        };
        let partly = if story.partial { " (latest 10,000 only)" } else { "" };
        out.push(("when", format!("{first} to {last}{partly}, {ago} ago{rate}")));
        out.push(("causes", causes(&story.causes)));
    }
    match &story.restarts {
        Some(spread) => out.push(("restarts", restarts(spread, &story.incident))),
        None if story.deaths != 0 => {
            let none = |watched: &str| format!("none seen (same parent or cgroup, {watched})");
            let unknown = story.before.as_ref().is_some_and(|before| before.unwatched_unknown);
            let text = match story.watched_after_ns {
                Some(ns) => {
                    none(&format!("in the {} that it was watched after the end", duration(ns)))
                }
                None if unknown => {
                    "not known: a copied history does not say how long it was watched".to_owned()
                }
                None => none("within 10 min"),
            };
            out.push(("restarts", text));
        }
        None => {}
    }
    let name = |i| if i == 0 { "differs" } else { "" };
    let differences = story.differences.iter().enumerate();
    out.extend(differences.map(|(i, text)| (name(i), text.to_string())));
    out
}

/// What happened, a line a step; the first names the day and the zone.
fn timeline(story: &Story, style: &Style) -> String {
    /// Columns that a sentence takes at least.
    const BESIDE: usize = 30;
    let mut out = String::new();
    let width = story.timeline.first().map_or(0, |step| style.stamp(step.time).chars().count());
    let beside = width + 16;
    let mut words = story.timeline.iter().flat_map(|step| step.text.split(' '));
    // Where there is no room beside a time, or not for a path, sentences stand below.
    let below = style.width.is_some_and(|all| {
        let room = all.saturating_sub(beside);
        room < BESIDE || words.any(|word| word.width() > room)
    });
    let mut before: Option<Time> = None;
    for step in &story.timeline {
        let gap = before.map(|before| step.time.since(before)).filter(|gap| *gap != 0);
        let gap = gap.map(|gap| format!("+{}", duration(gap)));
        let day = before.is_none_or(|before| step.time.since(before) > 43_200_000_000_000);
        let time = match day {
            true => style.stamp(step.time),
            false => format!("{:>23}", clock(step.time.0, &style.zone)),
        };
        let gap = gap.unwrap_or_default();
        if below {
            let text = style.wrap(&step.text, 6);
            out.push_str(
                &format!("  {} {gap}\n      {text}\n", time.trim_start()).replace(" \n", "\n"),
            );
        } else {
            let text = style.wrap(&step.text, beside);
            out.push_str(&format!("  {time:<width$}  {gap:>10}  {text}\n"));
        }
        before = Some(step.time);
    }
    out
}

/// When nobody was watching near it, or what was seen was lost: a line each, however often.
fn missing(gaps: &[Gap], style: &Style) -> Vec<String> {
    let of = |kind: fn(&Gap) -> bool| gaps.iter().filter(|gap| kind(gap)).collect::<Vec<_>>();
    let shrinks = |gap: &Gap| gap.reason == GapReason::Shrinks;
    let calls = |gap: &Gap| matches!(gap.reason, GapReason::Calls { .. });
    let sum = |gaps: &[&Gap]| gaps.iter().filter_map(|gap| gap.lost).sum::<u64>();
    let mut out = Vec::new();
    let mut say = |found: &[&Gap], many: &dyn Fn(&Gap, String) -> String| match found {
        [] => {}
        [one] => out.push(gap(one, style)),
        [latest, .., oldest] => {
            let (since, until) = (style.time(oldest.since), style.stamp(latest.until));
            out.push(many(latest, format!("between {since} and {until}; each: -o json")));
        }
    };
    let absent = of(|gap| gap.lost.is_none());
    say(&absent, &|latest, between| {
        let span = absent.iter().map(|gap| gap.until.since(gap.since)).sum();
        let (times, span) = (grouped(absent.len() as u64), duration(span));
        format!("not recording {times} times, {span} in all (last: {}), {between}", latest.reason)
    });
    let lost: Vec<&Gap> =
        gaps.iter().filter(|gap| gap.lost.is_some() && !shrinks(gap) && !calls(gap)).collect();
    say(&lost, &|_, between| format!("{} events lost near this, {between}", grouped(sum(&lost))));
    let missed: Vec<&Gap> = gaps.iter().filter(|gap| calls(gap)).collect();
    say(&missed, &|_, between| {
        format!("{} calls missed near this (few of which matter), {between}", grouped(sum(&missed)))
    });
    // Of a file on the network: where the culprit may be among them.
    out.extend(gaps.iter().find(|gap| shrinks(gap)).map(|one| gap(one, style)));
    out
}

/// The causes of a story, the most frequent first.
fn causes_of(story: &Story) -> String {
    let each = story.causes.iter().map(|cause| in_a_word(cause, &story.incident));
    each.collect::<Vec<_>>().join(", ")
}

/// Columns of an overview of several stories.
const OVERVIEW: [Column; 8] = [
    Column::fixed("LAST").right(),
    Column::flexible("HOST", 8).keep(Keeps::Difference).rank(3),
    Column::flexible("VICTIM", 12).keep(Keeps::From('[')),
    Column::flexible("UNIT", 8).keep(Keeps::End).rank(4),
    Column::flexible("FILE", 12).keep(Keeps::End).rank(2),
    Column::fixed("TIMES").right(),
    Column::flexible("CAUSES", 14).keep(Keeps::Items).rank(1),
    Column::fixed("COMMAND"),
];
/// Narrower than that an age stands in for the time.
const NARROW: usize = 120;

/// Several stories, a line each, with what tells them apart: the latest victim, and of what else something is known.
/// Which of them stands below it, in full, is said. `command` shows another; where it would take the room of the rest it stands below, once, and in its column the id.
pub fn overview_of(
    stories: &[Story],
    command: impl Fn(&str) -> String,
    style: &Style,
    now: i64,
) -> String {
    let command_of = |one: &Story| command(&style.id(&one.incident.id));
    let widest = stories.iter().map(|one| command_of(one).chars().count()).max().unwrap_or(0);
    let below = style.width.is_some_and(|width| widest > width / 3);
    let row = |one: &Story| {
        let latest = &one.incident;
        let when = match style.width {
            Some(width) if width < NARROW => {
                age(now.saturating_sub(one.last.0).max(0).unsigned_abs())
            }
            _ => style.time(one.last).get(..19).unwrap_or_default().to_owned(),
        };
        let host = named(&latest.host).filter(|_| style.hosts);
        let file = latest.path().map(|path| escape(&path.0));
        let known = |text: Option<String>| Cell::plain(text.unwrap_or_else(|| UNKNOWN.to_owned()));
        vec![
            Cell::plain(when),
            known(host),
            Cell::painted("1", who(&latest.victim)),
            known(home(&latest.victim, style)),
            known(file),
            Cell::plain(grouped(one.incidents)),
            Cell::painted("31", causes_of(one)),
            Cell::plain(if below { style.id(&latest.id) } else { command_of(one) }),
        ]
    };
    let rows: Vec<Vec<Cell>> = stories.iter().map(row).collect();
    let told = |i: &usize| rows.iter().any(|row| row[*i].text != UNKNOWN);
    let kept: Vec<usize> = (0..OVERVIEW.len()).filter(told).collect();
    let rows: Vec<Vec<Cell>> =
        rows.iter().map(|row| kept.iter().map(|i| row[*i].clone()).collect()).collect();
    // What is the same in all of them tells none apart.
    let alike = |i: usize| rows.len() > 1 && rows.iter().all(|row| row[i].text == rows[0][i].text);
    let ranked = |(i, column): (usize, Column)| match column.rank {
        0 => column,
        rank => column.rank(if alike(i) { rank + 4 } else { rank }),
    };
    let columns: Vec<Column> = kept.iter().map(|i| OVERVIEW[*i]).enumerate().map(ranked).collect();
    let mut heads = vec![String::new(); columns.len()];
    if let Some(last) = heads.last_mut().filter(|_| below) {
        *last = "ID".to_owned();
    }
    let layout = Layout::new(&columns, &heads, &rows, style.width);
    let out = rows.iter().fold(layout.head(style), |out, row| out + &layout.row(row, style));
    let other = if below { format!("; `{}` shows another", command("ID")) } else { String::new() };
    format!("{out}{}\n", style.wrap(&format!("the newest in full below{other}"), 0))
}

/// For a chat or a ticket: a headline, and the rest as it is, in a fence that no name can leave.
pub fn markdown(story: &Story, style: &Style, now: i64) -> Vec<u8> {
    let plain = Style { colour: false, width: None, ..style.clone() };
    // How often stands above it.
    let text = told(story, &who_and_where(story, &plain), &plain, now);
    markdown::fenced(&story.incident.victim.comm.0, count(story), &text)
}

/// `5 times, 1.0 s to 1.2 s after the end (median 1.1 s), by supervise[412]`
fn restarts(spread: &RestartSpread, latest: &Incident) -> String {
    let by = latest.restart.as_ref().and_then(|restart| restart.by.as_ref());
    let by = by.map_or_else(String::new, |by| format!(", by {}", who_else(by)));
    let RestartSpread { count, min_ns, median_ns, max_ns } = *spread;
    let after = match count {
        1 => format!("{} after the end", duration(min_ns)),
        2 => format!("{} and {} after the end", duration(min_ns), duration(max_ns)),
        _ => format!(
            "{} to {} after the end (median {})",
            duration(min_ns),
            duration(max_ns),
            duration(median_ns)
        ),
    };
    format!("{}, {after}{by}", times(count))
}

//! A story for people, for grep, and for programs.
use serde::Serialize;

use crate::{
    contract::{self, Incident, SCHEMA, Time},
    explain::{
        ruled_out::{RuledOut, ruled_out},
        story::{Cause, Spread, Summary},
        timeline::steps,
    },
    model::{cause::CauseKind, signal_name as signals},
    render::human::{Style, arguments, because, gap, headline, lineage, short, who},
    store::sqlite::write::Gap,
    text::{
        escape::escape,
        format::{clock, duration},
    },
};

/// What `whybus why` tells of one restart loop, or of one death.
pub struct Story {
    /// The incident that is told in full.
    pub focus: Incident,
    pub summary: Summary,
    /// When nobody was watching near it.
    pub gaps: Vec<Gap>,
}

#[derive(Serialize)]
struct Told<'a> {
    schema: u32,
    kind: &'static str,
    incidents: u64,
    deaths: u64,
    first: Time,
    last: Time,
    partial: bool,
    restarts: Option<Spread>,
    causes: &'a [Cause],
    incident: &'a Incident,
    timeline: Vec<TimelineStep>,
    ruled_out: Vec<RuledOut>,
    gaps: Vec<contract::Gap>,
    advice: &'a str,
}

#[derive(Serialize)]
struct TimelineStep {
    time: Time,
    /// From the step before.
    after_ns: u64,
    what: &'static str,
    text: String,
}

/// Gaps that are told to people.
const GAPS: usize = 3;

/// As the schema has it.
pub fn json(story: &Story) -> impl Serialize + '_ {
    let Story { focus, summary, gaps } = story;
    let mut before = None;
    let timeline = steps(focus).into_iter().map(|step| TimelineStep {
        after_ns: step.time.since(before.replace(step.time).unwrap_or(step.time)),
        time: step.time,
        what: step.kind,
        text: step.text,
    });
    Told {
        schema: SCHEMA,
        kind: "story",
        incidents: summary.incidents,
        deaths: summary.deaths,
        first: Time(summary.first),
        last: Time(summary.last),
        partial: summary.partial,
        restarts: summary.restarts,
        causes: &summary.causes,
        timeline: timeline.collect(),
        ruled_out: ruled_out(focus),
        gaps: gaps.iter().cloned().map(Gap::told).collect(),
        advice: &focus.advice,
        incident: focus,
    }
}

/// `geo-api: 5 deaths, truncated 5 times, started again 1.0 s to 1.2 s later; last …`
pub fn oneline(story: &Story, style: &Style) -> Vec<u8> {
    let Story { focus, summary, .. } = story;
    format!(
        "{} {}: {}; {}; last {} {}\n",
        style.time(Time(summary.last)),
        escape(&focus.victim.comm.0),
        count(summary),
        causes(&summary.causes),
        because(focus),
        short(&focus.id),
    )
    .into_bytes()
}

fn count(summary: &Summary) -> String {
    let Summary { incidents, deaths, .. } = summary;
    match (*deaths, *incidents) {
        (0, 1) => "one incident, and it lived on".to_owned(),
        (0, incidents) => format!("{incidents} incidents, and it lived on"),
        (1, 1) => "died once".to_owned(),
        (deaths, _) if summary.partial => {
            format!("{incidents} incidents, of the last {deaths} deaths")
        }
        (deaths, incidents) if deaths < incidents => {
            format!("{incidents} incidents, {deaths} deaths")
        }
        (deaths, _) => format!("died {deaths} times"),
    }
}

/// `truncated (SIGBUS) 4 times, exited (status 1) once`
fn causes(causes: &[Cause]) -> String {
    let name = |cause: &Cause| {
        let status = match cause.status {
            Some(status @ 129..=159) => format!(" ({})", signals::name(status as i32 - 128)),
            Some(status) => format!(" (status {status})"),
            None => String::new(),
        };
        format!("{}{status}", cause.class)
    };
    let one = |cause: &Cause| format!("{} {}", name(cause), times(cause.count));
    match causes {
        [only] if only.count > 1 => format!("every time the same: {}", name(only)),
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

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// The whole story.
pub fn human(story: &Story, style: &Style) -> Vec<u8> {
    let Story { focus, summary, gaps } = story;
    let mut out = String::new();
    let parent = focus.victim.ancestors.first();
    let parent = parent
        .map_or_else(String::new, |by| format!(", child of {}[{}]", escape(&by.comm.0), by.pid));
    let unit = focus.victim.unit.as_ref();
    let unit = unit.map_or_else(String::new, |unit| format!(", {}", escape(&unit.0)));
    out.push_str(&format!(
        "{}{parent}{unit}: {}\n",
        style.paint("1", &escape(&focus.victim.comm.0)),
        style.paint("31", &count(summary)),
    ));
    let field = |out: &mut String, name: &str, text: &str| {
        out.push_str(&format!("  {} {text}\n", style.paint("36", &format!("{name:<8}"))));
    };
    if summary.incidents > 1 {
        let (first, last) = (style.time(Time(summary.first)), style.time(Time(summary.last)));
        let partly = if summary.partial { " (of the latest that were looked at)" } else { "" };
        field(&mut out, "when", &format!("{first} to {last}{partly}"));
        field(&mut out, "causes", &causes(&summary.causes));
    }
    match &summary.restarts {
        Some(spread) => field(&mut out, "restarts", &restarts(spread, focus)),
        None if summary.deaths != 0 => {
            field(&mut out, "restarts", "none was seen: not by the same parent, nor in its cgroup");
        }
        None => {}
    }
    let which = if summary.incidents > 1 { "The last of them" } else { "What happened" };
    out.push_str(&format!(
        "\n{which}: {} {}  {}\n",
        who(&focus.victim),
        style.paint("31", &headline(focus)),
        style.paint("2", &short(&focus.id)),
    ));
    let mut before: Option<Time> = None;
    for step in steps(focus) {
        let gap = before.map(|before| step.time.since(before)).filter(|gap| *gap != 0);
        let gap = gap.map(|gap| format!("+{}", duration(gap)));
        let day = before.is_none_or(|before| step.time.since(before) > 43_200_000_000_000);
        let time = if day { style.time(step.time) } else { clock(step.time.0, &style.zone) };
        out.push_str(&format!("  {time:>23}  {:>10}  {}\n", gap.unwrap_or_default(), step.text));
        before = Some(step.time);
    }
    out.push('\n');
    field(&mut out, "cause", &because(focus));
    if let Some(frame) = super::human::place(focus) {
        field(&mut out, "where", &frame);
    }
    if let Some(culprit) = &focus.cause.culprit {
        let role = match focus.cause.class {
            CauseKind::OomKilled => "asked for memory: ",
            _ => "",
        };
        field(&mut out, "by", &format!("{role}{}  {}", who(culprit), arguments(culprit)));
        field(&mut out, "", &lineage(culprit));
    }
    for (i, RuledOut { theory, because }) in ruled_out(focus).iter().enumerate() {
        field(&mut out, if i == 0 { "not" } else { "" }, &format!("{theory}: {because}"));
    }
    field(&mut out, "fix", &focus.advice);
    for one in gaps.iter().take(GAPS) {
        field(&mut out, "note", &style.paint("33", &gap(one, style)));
    }
    if gaps.len() > GAPS {
        let text = format!("{} more such times before: -o json", gaps.len() - GAPS);
        field(&mut out, "note", &style.paint("33", &text));
    }
    if focus.lost != 0 {
        let text = format!("incomplete: {} events that may concern this were lost", focus.lost);
        field(&mut out, "note", &style.paint("33", &text));
    }
    out.into_bytes()
}

/// `5 times, 1.0 s to 1.2 s after the end (median 1.1 s), by supervise[412]`
fn restarts(spread: &Spread, focus: &Incident) -> String {
    let by = focus.restart.as_ref().and_then(|restart| restart.by.as_ref());
    let by = by.map_or_else(String::new, |by| format!(", by {}[{}]", escape(&by.comm.0), by.pid));
    let Spread { count, min_ns, median_ns, max_ns } = *spread;
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

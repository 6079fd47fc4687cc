//! A story for people and for grep.
use crate::{
    contract::{CauseCount, Incident, RestartSpread, RuledOut, Story, Time},
    explain::{
        others::others,
        phrase::{
            arguments, because, because_of, culprit, culprit_field, fix, headline, incomplete,
            lineage, place as instruction, served, short_id, who, who_else,
        },
        whereabouts::inside,
    },
    model::signal_name as signals,
    render::{
        human::{Style, gap},
        touched::{driver, driver_field, sized, volume},
        warning,
    },
    text::{
        escape::escape,
        format::{clock, counted, duration, times},
    },
};

/// Gaps that are told to people.
const GAPS: usize = 3;

/// `geo-api: died 5 times; every time the same: truncated (SIGBUS); last truncated under …`, or of one incident
/// `geo-api: died once, truncated (SIGBUS): truncated under …`
pub fn oneline(story: &Story, style: &Style) -> Vec<u8> {
    let latest = &story.incident;
    format!(
        "{} {}{}: {} {}{} {}\n",
        style.stamp(story.last),
        escape(&latest.victim.comm.0),
        style.host(&latest.host),
        match story.causes.as_slice() {
            [only] if story.incidents == 1 => format!("{}, {}:", count(story), name(only)),
            all => format!("{}; {}; last", count(story), causes(all)),
        },
        because_of(latest),
        story.elsewhere.as_ref().map_or_else(String::new, |elsewhere| {
            let host = escape(elsewhere.host.as_bytes());
            format!(", likely by {} on {host}", who(&elsewhere.culprit))
        }),
        short_id(&latest.id),
    )
    .into_bytes()
}

fn count(story: &Story) -> String {
    let Story { incidents, deaths, .. } = story;
    match (*deaths, *incidents) {
        (0, 1) => "one incident, and it lived on".to_owned(),
        (0, incidents) => format!("{incidents} incidents, and it lived on"),
        (deaths, _) if story.partial => {
            format!("{incidents} incidents, of the last {}", counted(deaths, "death"))
        }
        (deaths, incidents) if deaths < incidents => {
            format!("{incidents} incidents, {}", counted(deaths, "death"))
        }
        (deaths, _) => format!("died {}", times(deaths)),
    }
}

/// `truncated (SIGBUS)`
fn name(cause: &CauseCount) -> String {
    let status = match cause.status {
        Some(status @ 129..=159) => format!(" ({})", signals::name(status as i32 - 128)),
        Some(status) => format!(" (status {status})"),
        None => String::new(),
    };
    format!("{}{status}", cause.class)
}

/// `truncated (SIGBUS) 4 times, exited (status 1) once`
fn causes(causes: &[CauseCount]) -> String {
    let one = |cause: &CauseCount| format!("{} {}", name(cause), times(cause.count));
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

/// What was touched, why it was not there, and where in its program.
fn known_of(latest: &Incident) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("volume", latest.file.as_ref().and_then(volume)),
        ("size", latest.file.as_ref().and_then(sized)),
        (driver_field(latest), driver(latest)),
        ("cause", Some(because(latest))),
        ("where", instruction(latest)),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, text?)))
}

/// The whole story.
pub fn human(story: &Story, style: &Style) -> Vec<u8> {
    let Story { incident: latest, gaps, .. } = story;
    let mut out = String::new();
    let parent = latest.victim.ancestors.first();
    let parent = parent.map_or_else(String::new, |by| format!(", child of {}", who_else(by)));
    let unit = || Some(escape(&latest.victim.unit.as_ref()?.0));
    let place = inside(&latest.victim).or_else(unit);
    let place = place.map_or_else(String::new, |place| format!(", {place}"));
    out.push_str(&format!(
        "{}{parent}{place}{}: {}\n",
        style.paint("1", &escape(&latest.victim.comm.0)),
        style.host(&latest.host),
        style.paint("31", &count(story)),
    ));
    let field = |out: &mut String, name: &str, text: &str| {
        out.push_str(&format!("  {} {text}\n", style.paint("36", &format!("{name:<8}"))));
    };
    if story.incidents > 1 {
        let (first, last) = (style.time(story.first), style.stamp(story.last));
        let partly = if story.partial { " (of the latest that were looked at)" } else { "" };
        field(&mut out, "when", &format!("{first} to {last}{partly}"));
        field(&mut out, "causes", &causes(&story.causes));
    }
    match &story.restarts {
        Some(spread) => field(&mut out, "restarts", &restarts(spread, latest)),
        None if story.deaths != 0 => {
            field(&mut out, "restarts", "none was seen: not by the same parent, nor in its cgroup");
        }
        None => {}
    }
    let which = if story.incidents > 1 { "The last of them" } else { "What happened" };
    out.push_str(&format!(
        "\n{which}: {} {}  {}\n",
        who(&latest.victim),
        style.paint("31", &headline(latest)),
        style.paint("2", &short_id(&latest.id)),
    ));
    let mut before: Option<Time> = None;
    for step in &story.timeline {
        let gap = before.map(|before| step.time.since(before)).filter(|gap| *gap != 0);
        let gap = gap.map(|gap| format!("+{}", duration(gap)));
        let day = before.is_none_or(|before| step.time.since(before) > 43_200_000_000_000);
        let time = if day { style.time(step.time) } else { clock(step.time.0, &style.zone) };
        out.push_str(&format!("  {time:>23}  {:>10}  {}\n", gap.unwrap_or_default(), step.text));
        before = Some(step.time);
    }
    out.push('\n');
    for (name, text) in known_of(latest) {
        field(&mut out, name, &text);
    }
    if let Some(culprit) = culprit(latest) {
        let by = format!("{}  {}", who(culprit), arguments(culprit));
        field(&mut out, culprit_field(latest), &by);
        field(&mut out, "", &lineage(culprit));
    }
    let server = served(latest).map(|text| ("server", text)).into_iter();
    for (name, text) in server.chain(others(latest).into_iter().map(|text| ("others", text))) {
        field(&mut out, name, &text);
    }
    for (i, RuledOut { theory, because }) in story.ruled_out.iter().enumerate() {
        field(&mut out, if i == 0 { "not" } else { "" }, &format!("{theory}: {because}"));
    }
    if let Some(elsewhere) = &story.elsewhere {
        out.push_str(&warning::elsewhere(elsewhere, style));
    }
    field(&mut out, "fix", &fix(latest, story.elsewhere.as_deref()));
    for one in gaps.iter().take(GAPS) {
        field(&mut out, "note", &style.paint("33", &gap(one, style)));
    }
    if gaps.len() > GAPS {
        let text = format!("{} more such times before: -o json", gaps.len() - GAPS);
        field(&mut out, "note", &style.paint("33", &text));
    }
    if let Some(text) = incomplete(latest) {
        field(&mut out, "note", &style.paint("33", &text));
    }
    out.into_bytes()
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

//! The answer as a person wants to read it at three in the morning.
use std::collections::BTreeMap;

use crate::{
    contract::{Before, Elsewhere, End, Gap, GapReason, Incident, Loss, Missed},
    explain::{
        changed::{files, history, versions},
        frames::{act, callers, place},
        others::others,
        outputs::spoke,
        phrase::{
            arguments, because, culprit, culprit_field, fix, headline, incomplete, lineage,
            mapped_by, repeated, restarted, served, who,
        },
    },
    model::cause::CauseKind,
    render::{
        touched::{driver, driver_field, file, mount, other_name, seen_as, sized, touch, volume},
        warning::{self, line},
    },
    text::{
        escape::{escape, host_phrase},
        format::{counted, duration},
    },
};

pub use crate::render::style::Style;

/// The whole answer, an indented block.
pub fn incident(incident: &Incident, style: &Style) -> Vec<u8> {
    joined(incident, None, None, style)
}

/// The same with who may have done it elsewhere, and what a history holds from before it.
pub fn joined(
    incident: &Incident,
    elsewhere: Option<&Elsewhere>,
    before: Option<&Before>,
    style: &Style,
) -> Vec<u8> {
    let victim = &incident.victim;
    let mut out = format!("\n{}", heading(incident, style));
    let mut field = |name: &str, text: &str| out.push_str(&line(name, text, style));
    // Of what was written over, the library, which was not touched as a file.
    let written_over = || incident.path().map(|path| escape(&path.0));
    if let Some(text) = file(incident).or_else(written_over) {
        field("file", &text);
    }
    let of_file = [
        ("", incident.file.as_ref().and_then(seen_as)),
        ("volume", incident.file.as_ref().and_then(volume)),
        ("mount", mount(incident)),
        ("server", served(incident)),
    ];
    for (name, text) in of_file {
        text.into_iter().for_each(|text| field(name, &text));
    }
    let cause = &incident.cause;
    if let Some(path) = &cause.mapping {
        field("mapping", &format!("{}, from /proc; the fault was not captured", escape(&path.0)));
    }
    if let Some(text) = touch(incident) {
        field("touched", &text);
    }
    if let Some(text) = incident.file.as_ref().and_then(sized) {
        field("size", &text);
    }
    let of_program = [
        (driver_field(incident), driver(incident)),
        ("where", place(incident)),
        ("", callers(incident)),
    ];
    for (name, text) in of_program {
        text.into_iter().for_each(|text| field(name, &text));
    }
    field("cause", &because(incident));
    if let Some(culprit) = culprit(incident) {
        let args = arguments(culprit);
        let by = format!("{}  {args}", style.paint("1", &who(culprit)));
        field(culprit_field(incident), &by);
        field("", &lineage(culprit));
    }
    for text in act(incident).into_iter().chain(other_name(incident)) {
        field("", &text);
    }
    for text in others(incident) {
        field("others", &text);
    }
    if let Some(at_risk) = cause.at_risk.as_ref().filter(|list| !list.is_empty()) {
        let list = mapped_by(at_risk);
        field("also", &format!("at risk, they map this file too: {list}"));
    }
    out.push_str(&changed(incident, before.map(|before| (before, 1)), 8, style));
    let mut field = |name: &str, text: &str| out.push_str(&line(name, text, style));
    let mut text = arguments(victim);
    if let Some(ns) = victim.ns_pid.filter(|ns| *ns != victim.pid) {
        text.push_str(&format!("  (pid {ns} in its namespace)"));
    }
    field("victim", &text);
    field("", &lineage(victim));
    out.push_str(&spoken(incident, 8, style));
    if let Some(restart) = &incident.restart {
        out.push_str(&line("restart", &restarted(restart), style));
    }
    if let Some(elsewhere) = elsewhere {
        out.push_str(&warning::elsewhere(elsewhere, 8, style));
    }
    out.push_str(&line("fix", &fix(incident, elsewhere), style));
    if let Some(text) = incomplete(incident) {
        out.push_str(&line("note", &style.paint("33", &text), style));
    }
    out.into_bytes()
}

/// When, who, and what became of it.
fn heading(incident: &Incident, style: &Style) -> String {
    style.heading(&format!(
        "{}  {} {}{}  {}",
        style.stamp(incident.time),
        style.paint("1", &who(&incident.victim)),
        style.paint("31", &headline(incident)),
        style.host(&incident.host),
        style.paint("2", &style.reference(incident)),
    ))
}

/// What changed since it last worked, by its files and by what a history holds from before it, and whether it is the first of
/// its kind there, if so many of it are reported beside it; in an answer whose names of fields are so wide.
pub fn changed(
    incident: &Incident,
    before: Option<(&Before, u64)>,
    width: usize,
    style: &Style,
) -> String {
    let time = |time| style.stamp(time);
    let versions = before.map(|(before, _)| versions(incident, before, time));
    let lines = versions.into_iter().flatten().chain(files(incident)).enumerate();
    let name = |i| if i == 0 { "changed" } else { "" };
    let changed = lines.map(|(i, text)| warning::labelled(name(i), width, &text, style));
    let history = before.and_then(|(before, shown)| history(incident, before, shown, time));
    let history = history.map(|text| warning::labelled("history", width, &text, style));
    changed.chain(history).collect()
}

/// Where its victim spoke to, in an answer whose names of fields are so wide.
pub fn spoken(incident: &Incident, width: usize, style: &Style) -> String {
    // Commands are copied as they are.
    let whole = Style { width: None, ..style.clone() };
    let lines = spoke(incident, style.here.as_ref());
    let name = |i| if i == 0 { "output" } else { "" };
    let lines = lines.iter().enumerate();
    lines.map(|(i, text)| warning::labelled(name(i), width, text, &whole)).collect()
}

/// What became of an incident that was told already.
pub fn update(incident: &Incident, style: &Style) -> Vec<u8> {
    let mut last = incident.exit.as_ref().map_or(incident.last, |exit| exit.time);
    let mut restart = String::new();
    if let Some(told) = &incident.restart {
        last = told.time;
        restart = format!("; restarted {}", restarted(told));
    }
    let text = format!(
        "{}  {} {}{}{restart}  {}",
        style.stamp(last),
        who(&incident.victim),
        headline(incident),
        repeated(incident),
        style.paint("2", &style.reference(incident)),
    );
    style.heading(&text).into_bytes()
}

/// When nobody was watching, or what was seen was lost.
pub fn gap(gap: &Gap, style: &Style) -> String {
    let (since, until) = (style.time(gap.since), style.stamp(gap.until));
    match gap.lost {
        None => match &gap.reason {
            GapReason::Rebooted => {
                format!("not recording from {since} to {until}: host rebooted")
            }
            reason => format!("not recording from {since} to {until}: {reason}"),
        },
        Some(lost) if gap.reason == GapReason::Shrinks => {
            let host = host_phrase(&gap.host);
            format!("not kept on {host} between {since} and {until}: {} ({lost})", gap.reason)
        }
        Some(lost) if gap.reason == GapReason::QueueFull => {
            let incidents = counted(lost, "incident");
            format!("{incidents} dropped before reaching the disk, between {since} and {until}")
        }
        Some(lost) => format!("lost between {since} and {until}: {} ({lost})", gap.reason),
    }
}

/// Events that are missing.
pub fn loss(loss: &Loss, style: &Style) -> Vec<u8> {
    let text = format!(
        "lost {} on cpu {} between {} and {}",
        counted(loss.lost, &format!("{} event", loss.ring)),
        loss.cpu,
        style.time(loss.from),
        style.time(loss.time),
    );
    format!("{}\n", style.paint("33", &style.wrap(&text, 0))).into_bytes()
}

/// Calls that the kernel did not run our program for.
pub fn missed(missed: &Missed, style: &Style) -> Vec<u8> {
    let Missed { hook, calls, .. } = missed;
    let text = format!(
        "missed {} of {hook} (probe re-entered on that CPU); usually harmless",
        counted(*calls, "call")
    );
    format!("{}\n", style.paint("33", &style.wrap(&text, 0))).into_bytes()
}

/// The last lines; `causes` of what was reported, each with how often.
pub fn end(end: &End, causes: &BTreeMap<String, u64>, style: &Style) -> Vec<u8> {
    let mut lost = match end.lost {
        0 if end.not_told.is_some() => "no events lost of what was watched".to_owned(),
        0 => "no events lost".to_owned(),
        lost => format!("{} lost", counted(lost, "event")),
    };
    if let Some(not_told) = &end.not_told {
        lost.push_str(&format!(" · not watched: {}", escape(not_told.as_bytes())));
    }
    if end.missed != 0 {
        lost.push_str(&format!(" · {} missed", counted(end.missed, "call")));
    }
    if end.not_warned != 0 {
        let shrinks = counted(end.not_warned, "shrink");
        lost.push_str(&format!(" · {shrinks} not warned about (rate limit)"));
    }
    if end.not_recorded != 0 {
        let shrinks = counted(end.not_recorded, "shrink");
        lost.push_str(&format!(" · {shrinks} on network file systems not recorded (rate limit)"));
    }
    if end.signals_left != 0 {
        let signals = counted(end.signals_left, "signal");
        lost.push_str(&format!(" · {signals} between processes not recorded (rate limit)"));
    }
    if end.stacks_lost != 0 {
        lost.push_str(&format!(
            " · {} not captured (rate limit or full buffer)",
            counted(end.stacks_lost, "stack")
        ));
    }
    if end.files_unread != 0 {
        lost.push_str(&format!(
            " · {} could not be read",
            counted(end.files_unread, "program file")
        ));
    }
    let mut by: Vec<(&String, &u64)> = causes.iter().collect();
    by.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let by: Vec<String> = by.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
    // One needs no sum.
    let by = match end.incidents {
        0 | 1 => String::new(),
        _ if by.is_empty() => String::new(),
        _ => format!("{}\n", style.wrap(&format!("by cause: {}", by.join(", ")), 0)),
    };
    // Of a replay, too, it is the watch that was ended so.
    let reason = match &*end.reason {
        ended @ ("terminated" | "interrupted") => format!("the watch was {ended}"),
        "hung up" => "the terminal of the watch hung up".to_owned(),
        other => escape(other.as_bytes()),
    };
    // A SIGBUS that somebody sent is none.
    let bus_errors = end.only_bus_errors && !causes.contains_key(CauseKind::Sent.name());
    let ended = format!(
        "{reason} after {} · {}{} · {lost}",
        duration(end.watched_ns),
        counted(end.incidents, if bus_errors { "bus error" } else { "incident" }),
        sure(end),
    );
    format!("\n{by}{}\n", style.wrap(&ended, 0)).into_bytes()
}

/// `: 25 proven, 1 of them incomplete, 2 likely`: how sure their causes are.
fn sure(end: &End) -> String {
    let proven = end.explained.saturating_sub(end.likely);
    let unknown = end.incidents.saturating_sub(end.explained);
    let of = [(proven, "proven"), (end.likely, "likely"), (unknown, "unknown")];
    let of = of.into_iter().filter(|(count, _)| *count != 0);
    let incomplete = |sure| match end.incomplete {
        1.. if sure == "proven" && end.incomplete == proven => " but incomplete".to_owned(),
        some @ 1.. if sure == "proven" => format!(", {some} of them incomplete"),
        _ => String::new(),
    };
    let of = of.map(|(count, sure)| format!("{count} {sure}{}", incomplete(sure)));
    let of: Vec<String> = of.collect();
    if of.is_empty() { String::new() } else { format!(": {}", of.join(", ")) }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::{
        contract::{
            Record, Time, Untrusted,
            samples::{every_kind, full_incident, gap as sample_gap, process},
        },
        model::cause::Confidence,
        render::oneline,
    };

    fn style(colour: bool, history: bool) -> Style {
        Style { colour, ..Style::plain(history, history) }
    }

    fn shown(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("text")
    }

    /// Whatever a kind holds, in whatever way it is shown.
    #[test]
    fn hostile_names_are_inert() {
        let style = style(false, true);
        for record in every_kind() {
            let shown = match &record {
                Record::Watching(one) => vec![crate::render::watching::human(one, &style)],
                Record::Incident(one) | Record::Update(one) => {
                    vec![incident(one, &style), update(one, &style), oneline::incident(one, &style)]
                }
                Record::Truncation(one) => {
                    vec![
                        crate::render::warning::truncation(one, &style),
                        oneline::truncation(one, &style),
                    ]
                }
                Record::Story(one) => vec![
                    crate::render::story::human(one, &style, 0),
                    crate::render::story::markdown(one, &style, 0),
                    crate::render::story::oneline(one, &style),
                ],
                Record::Gap(one) => vec![gap(one, &style).into_bytes()],
                _ => continue,
            };
            for text in shown.into_iter().map(self::shown) {
                assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
                assert!(!text.contains('\u{fffd}'), "bytes are shown, not replaced: {text:?}");
                assert!(!text.contains("\n\\xff"), "no line of its own: {text:?}");
            }
        }
    }

    #[test]
    fn an_incident_says_every_fact() {
        let text = shown(incident(&full_incident(), &style(false, false)));
        let name = r#"a\x1b[2J\n\xff\xfe{"text":"#;
        for fact in [
            &format!("\n10:03:07.121  {name}[10] SIGKILL, killed  #1\n"),
            &format!("  file     {name}  ({name} 8:1, inode 12; cut)\n"),
            &format!(", cgroup {name}\n"),
            &format!("  others   {name}[6] shrank it 8 B → 4 B, "),
            &format!("  also     at risk, they map this file too: {name}[11]\n"),
            &format!("  where    {name}+0x4 in {name}, {name}:41\n"),
            "(pid 7 in its namespace)",
            "  fix      be careful\n",
        ] {
            assert!(text.contains(fact), "{fact} is missing in\n{text}");
        }
    }

    /// Where nobody else is known to have done it.
    #[test]
    fn who_serves_the_file_is_named() {
        let told = |by: &str, confidence: Confidence, culprit: bool| {
            let mut told = full_incident();
            told.cause.culprit = told.cause.culprit.filter(|_| culprit);
            let server = told.file.as_mut().and_then(|file| file.server.as_mut());
            let server = server.expect("a server");
            (server.comm, server.exe) = (Untrusted(b"sshfs".to_vec()), None);
            (server.by, server.confidence) = (by.into(), confidence.into());
            let style = style(false, false);
            let (block, line) = (incident(&told, &style), oneline::incident(&told, &style));
            let block = shown(block);
            let field = block.lines().find(|line| line.starts_with("  server"));
            let line = shown(line).split_once(", served by ").map(|(_, by)| by.to_owned());
            (field.unwrap_or_default().to_owned(), line.unwrap_or_default())
        };
        let (field, line) = told("connection", Confidence::Proven, false);
        assert_eq!(field, "  server   sshfs[40]; it reported the size 8 B → 0 B");
        assert!(line.starts_with("sshfs[40]"), "{line}");
        let (field, line) = told("name", Confidence::Likely, false);
        assert!(field.contains("probably sshfs[40], which is called as its type is;"), "{field}");
        assert!(line.starts_with("probably sshfs[40]"), "{line}");
        assert_eq!(told("connection", Confidence::Proven, true), Default::default());
    }

    #[test]
    fn who_asked_for_memory_is_no_culprit_and_who_opened_a_file_may_be_none() {
        let style = style(false, false);
        let mut one = Incident { victim: process(20), ..full_incident() };
        one.cause.class = CauseKind::OomKilled.into();
        assert!(!shown(incident(&one, &style)).contains("  trigger "), "it is the victim");
        assert!(!shown(crate::render::oneline::incident(&one, &style)).contains("allocation"));
        one.victim = process(10);
        assert!(shown(incident(&one, &style)).contains("  trigger  "));
        one.cause.class = CauseKind::Overwritten.into();
        one.cause.how = Some("open(2) for writing".into());
        assert!(shown(incident(&one, &style)).contains("  opened   "));
        assert!(shown(crate::render::oneline::incident(&one, &style)).contains(" opened by "));
    }

    #[test]
    fn the_end_calls_things_by_their_names() {
        let plain = style(false, false);
        let one = End {
            time: Time(0),
            reason: "interrupted".into(),
            watched_ns: 130_000_000,
            incidents: 1,
            explained: 1,
            likely: 0,
            incomplete: 0,
            events: 9,
            lost: 0,
            missed: 0,
            truncations: 0,
            not_warned: 0,
            not_recorded: 0,
            signals_kept: 0,
            signals_left: 0,
            signals_handled: 0,
            stacks_lost: 0,
            files_unread: 0,
            not_told: None,
            only_bus_errors: true,
        };
        let lost = End {
            incidents: 4,
            explained: 3,
            likely: 2,
            incomplete: 1,
            lost: 3,
            missed: 1,
            not_warned: 4,
            only_bus_errors: false,
            ..one.clone()
        };
        assert_eq!(
            shown(end(&one, &BTreeMap::new(), &plain)),
            "\nthe watch was interrupted after 130 ms · 1 bus error: 1 proven · no events lost\n"
        );
        let partly = End { incidents: 4, explained: 4, incomplete: 2, ..one.clone() };
        let told = shown(end(&partly, &BTreeMap::new(), &plain));
        assert!(told.contains(": 4 proven, 2 of them incomplete · "), "{told}");
        let causes = BTreeMap::from([("quota".to_owned(), 1), ("truncated".to_owned(), 4)]);
        let blind = End { not_told: Some("who truncated a file".into()), ..one.clone() };
        let told = shown(end(&blind, &BTreeMap::new(), &plain));
        let narrow = Style { width: Some(60), ..style(false, false) };
        let broken = shown(end(&lost, &causes, &narrow));
        assert!(broken.lines().all(|line| line.chars().count() <= 60), "{broken}");
        let expected =
            " · no events lost of what was watched · not watched: who truncated a file\n";
        assert!(told.ends_with(expected), "{told}");
        assert_eq!(
            shown(end(&lost, &causes, &plain)),
            "\nby cause: truncated 4, quota 1\nthe watch was interrupted after 130 ms · 4 incidents: 1 proven but incomplete, 2 likely, 1 unknown · 3 \
             events lost · 1 call missed · 4 shrinks not warned about (rate limit)\n"
        );
    }

    #[test]
    fn a_gap_tells_absence_from_loss() {
        let style = style(false, false);
        let absent = Gap { reason: GapReason::Rebooted, lost: None, ..sample_gap() };
        let lost = Gap { reason: GapReason::Events { cpu: 3 }, lost: Some(7), ..sample_gap() };
        let span = "00:00:00.000";
        assert_eq!(
            gap(&absent, &style),
            format!("not recording from {span} to {span}: host rebooted")
        );
        assert_eq!(
            gap(&lost, &style),
            format!("lost between {span} and {span}: events of CPU 3 (7)")
        );
    }

    #[test]
    fn colour_is_all_that_a_terminal_adds() {
        let plain = shown(incident(&full_incident(), &style(false, false)));
        let mut painted = shown(incident(&full_incident(), &style(true, false)));
        assert!(painted.contains("\x1b[31m"));
        for sgr in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[36m"] {
            painted = painted.replace(sgr, "");
        }
        assert_eq!(painted, plain);
    }
}

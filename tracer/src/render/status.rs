//! How a recorder and its history are, for people: the verdict first.
use std::collections::BTreeMap;

use crate::{
    contract::{GapReason, Incident, Named, Status, Time},
    model::observe::Readiness,
    render::{
        Format,
        human::Style,
        oneline,
        watching::{colour, verdict},
    },
    text::{
        escape::escape,
        format::{age, counted, duration, grouped, size},
    },
};

/// The first line alone, or all of it; `before` is when the last recorder was there.
pub fn text(
    status: &Status,
    latest: Option<&Incident>,
    before: Option<Time>,
    format: Format,
    style: &Style,
) -> Vec<u8> {
    let mut out = first_line(status, before, style);
    if format == Format::Human {
        let mut field = |name: &str, text: String| {
            out.push_str(&format!("  {name:<9}{}\n", style.wrap(&text, 11)));
        };
        field("history", history(status, style));
        if let Some(latest) = latest {
            let line = oneline::incident(latest, style);
            field("latest", String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        field("lost", lost(status));
        if status.recorder.is_none() {
            field("fix", "systemctl start whybus, or: whybus record".to_owned());
        }
    }
    out.into_bytes()
}

fn first_line(status: &Status, before: Option<Time>, style: &Style) -> String {
    let since = |time: Time| {
        let ago = age(u64::try_from(status.time.0.saturating_sub(time.0)).unwrap_or(0));
        format!("{} ({ago} ago)", style.time_in_zone(time))
    };
    let Some(recorder) = &status.recorder else {
        let word = style.paint("31", "NOT RECORDING");
        let last = before.map(|seen| format!("; the last one was there until {}", since(seen)));
        return format!("{word}: no recorder is running{}\n", last.unwrap_or_default());
    };
    let readiness = recorder.verdict.as_ref().map(Named::known);
    let word = match readiness {
        Some(known) => style.paint(colour(known), verdict(known)),
        None => "RECORDING".to_owned(),
    };
    let running = format!("recording since {}, pid {}", since(recorder.since), recorder.pid);
    match recorder.summary.as_ref().filter(|_| readiness != Some(Readiness::Ready)) {
        Some(summary) => format!("{word}: {}\n  {running}\n", escape(summary.as_bytes())),
        None => format!("{word}: {running}\n"),
    }
}

fn history(status: &Status, style: &Style) -> String {
    let file = format!("{}, {}", escape(&status.path.0), size(status.size));
    match status.first {
        None => format!("{file}: nothing yet"),
        Some(first) => format!(
            "{file}: {} since {}, {} in the last 24 hours",
            counted(status.incidents, "incident"),
            style.time_in_zone(first),
            grouped(status.last_day),
        ),
    }
}

/// What was lost in the last 24 hours, and why.
fn lost(status: &Status) -> String {
    let mut parts = Vec::new();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for gap in &status.gaps {
        let reason = match &gap.reason {
            GapReason::Events { .. } => "events before they were read".to_owned(),
            other => other.to_string(),
        };
        *reasons.entry(reason).or_default() += gap.lost.unwrap_or(0);
    }
    for (why, lost) in reasons.iter().filter(|(_, lost)| **lost != 0) {
        parts.push(format!("{} {}", grouped(*lost), escape(why.as_bytes())));
    }
    if status.unwatched_ns != 0 {
        let span = duration(status.unwatched_ns);
        parts.push(format!("whatever happened in {span} without a recorder"));
    }
    let lost = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    format!("{lost}, in the last 24 hours")
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::contract::{
        Gap, Record, Recorder, Untrusted,
        samples::{every_kind, full_incident},
    };

    fn sample() -> Status {
        let found = every_kind().into_iter().find_map(|record| match record {
            Record::Status(status) => Some(*status),
            _ => None,
        });
        let path = Untrusted(b"/var/lib/whybus/history.db".to_vec());
        Status { path, gaps: Vec::new(), lost: 0, unwatched_ns: 0, ..found.expect("a sample") }
    }

    fn shown(status: &Status, format: Format) -> String {
        let latest = full_incident();
        let style = Style::plain(true, false);
        let text = text(status, Some(&latest), Some(Time(2)), format, &style);
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn the_verdict_is_the_first_word() {
        let mut status = sample();
        let human = shown(&status, Format::Human);
        assert!(human.starts_with("DEGRADED: not everything\n  recording since "), "{human}");
        assert!(human.contains("history.db, 4 KiB: 1 incident since "), "{human}");
        assert!(human.contains("\n  lost     nothing, in the last 24 hours\n"), "{human}");
        let recorder = status.recorder.take().expect("one runs");
        let human = shown(&status, Format::Human);
        assert!(
            human.starts_with("NOT RECORDING: no recorder is running; the last one"),
            "{human}"
        );
        assert!(human.contains("\n  fix      "), "{human}");
        status.recorder = Some(Recorder { verdict: Some(Readiness::Ready.into()), ..recorder });
        let line = shown(&status, Format::Oneline);
        assert!(line.starts_with("READY: recording since ") && line.lines().count() == 1, "{line}");
    }

    #[test]
    fn losses_are_added_up_by_their_reasons() {
        let gap = |reason, lost| Gap {
            host: "host".into(),
            boot_id: "boot".into(),
            since: Time(1),
            until: Time(2),
            reason,
            lost: Some(lost),
        };
        let gaps = vec![
            gap(GapReason::Events { cpu: 0 }, 5),
            gap(GapReason::Events { cpu: 1 }, 7),
            gap(GapReason::QueueFull, 1_000),
        ];
        let status = Status { gaps, lost: 1_012, unwatched_ns: 60_000_000_000, ..sample() };
        let said = lost(&status);
        let expected = "12 events before they were read, 1,000 incidents on their way to the disk, \
                        whatever happened in 1 min 0 s without a recorder, in the last 24 hours";
        assert_eq!(said, expected);
    }
}

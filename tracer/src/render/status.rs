//! How a recorder and its history are, for people: the verdict first.
use crate::{
    contract::{Incident, Lost, Named, Status, Time},
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

/// The first line alone, or all of it; `before` is when the last recorder was there, and `of` whose history it is, if it
/// is not that of this host.
pub fn text(
    status: &Status,
    latest: Option<&Incident>,
    before: Option<Time>,
    of: Option<&str>,
    format: Format,
    style: &Style,
) -> Vec<u8> {
    let mut out = first_line(status, before, of, style);
    if format == Format::Human {
        // What goes on below the first is set in already.
        out = out.lines().map(|line| style.heading(line)).collect();
        let mut field = |name: &str, text: String| {
            out.push_str(&format!("  {name:<9}{}\n", style.wrap(&text, 11)));
        };
        field("history", history(status, of, style));
        if let Some(latest) = latest {
            let line = oneline::incident(latest, style);
            field("latest", String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        field("lost", lost(status, style));
        let verdict = status.recorder.as_ref().and_then(|recorder| recorder.verdict.as_ref());
        if verdict.is_some_and(|verdict| verdict.known() == Readiness::NotReady) {
            field("fix", "`sudo whybus doctor` says what is missing, and what helps".to_owned());
        }
        if status.recorder.is_none() && of.is_none() {
            // The unit records into the usual directory, with the usual settings.
            field(
                "fix",
                match style.flags.as_str() {
                    "" => "systemctl start whybus, or: whybus record".to_owned(),
                    flags => format!("whybus record{flags}"),
                },
            );
        }
    }
    out.into_bytes()
}

fn first_line(status: &Status, before: Option<Time>, of: Option<&str>, style: &Style) -> String {
    let since = |time: Time| {
        let ago = age(u64::try_from(status.time.0.saturating_sub(time.0)).unwrap_or(0));
        format!("{} ({ago} ago)", style.time_in_zone(time))
    };
    let Some(recorder) = &status.recorder else {
        let word = style.paint("31", "NOT RECORDING");
        let last = before.map(|seen| format!("; the last one was there until {}", since(seen)));
        return match of {
            Some(of) => format!(
                "{word}: this is a copied history, of {of}; whether a recorder runs there, `whybus status` says there\n"
            ),
            None => format!("{word}: no recorder is running{}\n", last.unwrap_or_default()),
        };
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

fn history(status: &Status, of: Option<&str>, style: &Style) -> String {
    let file = format!("{}, {}", escape(&status.path.0), size(status.size));
    match status.first {
        None => format!("{file}: nothing yet"),
        // Nobody adds to a copy: what came last is no sign that all is well.
        Some(first) if of.is_some() => format!(
            "{file}: {} from {} to {}",
            counted(status.incidents, "incident"),
            style.time(first),
            style.time_in_zone(status.last.unwrap_or(first)),
        ),
        Some(first) => format!(
            "{file}: {} since {}, {} in the last 24 hours",
            counted(status.incidents, "incident"),
            style.time_in_zone(first),
            grouped(status.last_day),
        ),
    }
}

/// What was lost in the last 24 hours, and why.
fn lost(status: &Status, style: &Style) -> String {
    /// Ns: 24 hours.
    const DAY: i64 = 86_400_000_000_000;
    let Some(began) = status.began else {
        let why = status.lost_unknown.as_ref().map(|why| escape(why.as_bytes()));
        return why.map_or_else(|| "not known".to_owned(), |why| format!("not known: {why}"));
    };
    let loss = |one: &Lost| format!("{} {}", grouped(one.lost), escape(one.why.as_bytes()));
    let mut parts: Vec<String> = status.losses.iter().map(loss).collect();
    if let Some(unwatched) = status.unwatched_ns.filter(|ns| *ns != 0) {
        let span = duration(unwatched);
        parts.push(format!("whatever happened in {span} without a recorder"));
    }
    let lost = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    match began.0 > status.time.0.saturating_sub(DAY) {
        true => format!("{lost}, since recording began at {}", style.time_in_zone(began)),
        false => format!("{lost}, in the last 24 hours"),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::contract::{
        Record, Recorder, Untrusted,
        samples::{every_kind, full_incident},
    };

    fn sample() -> Status {
        let found = every_kind().into_iter().find_map(|record| match record {
            Record::Status(status) => Some(*status),
            _ => None,
        });
        let path = Untrusted(b"/var/lib/whybus/history.db".to_vec());
        Status {
            path,
            gaps: Vec::new(),
            lost: Some(0),
            losses: Vec::new(),
            unwatched_ns: Some(0),
            ..found.expect("a sample")
        }
    }

    fn shown(status: &Status, format: Format) -> String {
        let latest = full_incident();
        let style = Style::plain(true, false);
        let text = text(status, Some(&latest), Some(Time(2)), None, format, &style);
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn the_verdict_is_the_first_word() {
        let mut status = sample();
        let human = shown(&status, Format::Human);
        assert!(human.starts_with("DEGRADED: not everything\n  recording since "), "{human}");
        assert!(human.contains("history.db, 4 KiB: 1 incident since "), "{human}");
        assert!(human.contains("\n  lost     nothing, since recording began at "), "{human}");
        let recorder = status.recorder.take().expect("one runs");
        let human = shown(&status, Format::Human);
        assert!(
            human.starts_with("NOT RECORDING: no recorder is running; the last one"),
            "{human}"
        );
        assert!(human.contains("\n  fix      "), "{human}");
        status.recorder = Some(Recorder { verdict: Some(Readiness::Ready.into()), ..recorder });
        assert!(!shown(&status, Format::Human).contains("doctor"));
        let mut blind = status.clone();
        blind.recorder.iter_mut().for_each(|one| one.verdict = Some(Readiness::NotReady.into()));
        let human = shown(&blind, Format::Human);
        assert!(human.contains("\n  fix      `sudo whybus doctor` says "), "{human}");
        let line = shown(&status, Format::Oneline);
        assert!(line.starts_with("READY: recording since ") && line.lines().count() == 1, "{line}");
    }

    #[test]
    fn what_nobody_watched_is_not_said_to_be_whole() {
        const DAY: i64 = 86_400_000_000_000;
        let style = Style::plain(true, false);
        let loss = |lost, why: &str| Lost { lost, why: why.into() };
        let losses = vec![loss(1_000, "incidents on their way to the disk"), loss(12, "events")];
        let status = Status {
            time: Time(2 * DAY),
            losses,
            unwatched_ns: Some(60_000_000_000),
            began: Some(Time(1)),
            ..sample()
        };
        assert_eq!(
            lost(&status, &style),
            "1,000 incidents on their way to the disk, 12 events, whatever happened in 1 min 0 s \
             without a recorder, in the last 24 hours"
        );
        let young = Status {
            losses: Vec::new(),
            unwatched_ns: Some(0),
            began: Some(Time(2 * DAY - 1)),
            ..status.clone()
        };
        let said = lost(&young, &style);
        assert!(said.starts_with("nothing, since recording began at 1970-01-02 "), "{said}");
        let unknown = |why: &str| Status {
            began: None,
            lost: None,
            lost_unknown: Some(why.into()),
            unwatched_ns: None,
            ..young.clone()
        };
        assert_eq!(lost(&unknown("nobody counted"), &style), "not known: nobody counted");
        assert_eq!(
            lost(&unknown("a copied history does not say"), &style),
            "not known: a copied history does not say"
        );
    }
}

//! `whybus status`: whether a recorder runs, and what its history holds; for people and health checks.
use std::collections::BTreeMap;

use anyhow::Result;

use crate::{
    cli::Status as Args,
    cmd::exit_status::ExitStatus,
    contract::{Gap, GapReason, Lost, Named, Record, Recorder, Status, Time, Untrusted},
    host::clock,
    model::observe::Readiness,
    render::{Format, json, status, style::Style},
    select::selection::Selection,
    sink::{speak::put, stdout::history_style},
    store::{
        lock::{Heartbeat, last_heartbeat, running_recorder},
        sqlite::read::Reader,
        state_dir as dir,
    },
};

/// What is counted lies within this, ns: 24 hours.
const DAY: i64 = 86_400_000_000_000;
/// Gaps that are listed.
const GAPS: usize = 100;

/// # Errors
/// Where there is no history to read.
pub fn run(args: &Args) -> Result<ExitStatus> {
    let state = &args.state.state_dir;
    let reader = Reader::open(state)?;
    let now = clock::boot_to_realtime().realtime(clock::boot_time());
    let (incidents, first, last) = reader.extent()?;
    let since = now.saturating_sub(DAY);
    let day = Selection { since: Some(since), ..Selection::default() };
    let latest = reader.select(&Selection::default(), 1)?.pop();
    let mut gaps = reader.gaps(since, now, 0)?;
    // Of calls that were missed few matter, and the incidents that they concern say so.
    gaps.retain(|gap| !matches!(gap.reason, GapReason::Calls { .. }));
    let style = history_style(args.output.utc, reader.hosts()?);
    let of = style.here.as_ref().map_or(Ok(None), |here| reader.elsewhere(here))?;
    let before = last_heartbeat(state);
    let running = running_recorder(state, now);
    // Since the last one was there nobody has noted anything, that it is gone the least.
    let gone = before.as_ref().filter(|_| running.is_none());
    let gone = gone.map_or(0, |beat| now.saturating_sub(beat.seen.max(since)).max(0));
    let began = reader.began()?.filter(|_| of.is_none());
    let unwatched = gaps.iter().map(|gap| unwatched(gap, since)).sum::<u64>() + gone.unsigned_abs();
    let found = Status {
        time: Time(now),
        recorder: running.map(recorder),
        path: Untrusted(dir::history(state).into_os_string().into_encoded_bytes()),
        size: dir::size(state),
        incidents,
        last_day: reader.newest(&day, usize::MAX)?.len() as u64,
        first: first.map(Time),
        last: last.map(Time),
        last_id: latest.as_ref().map(|latest| latest.id.clone()),
        began: began.map(Time),
        // No 0 stands where nobody counted: a monitor would read that all is well.
        lost: began.map(|_| gaps.iter().filter_map(|gap| gap.lost).sum()),
        lost_unknown: match (began, &of) {
            (Some(_), _) => None,
            (None, Some(_)) => Some("a copied history does not say".into()),
            (None, None) => Some("no recorder wrote this file, it was imported".into()),
        },
        losses: losses(&gaps),
        unwatched_ns: began.map(|_| unwatched),
        gaps: gaps.into_iter().take(GAPS).collect(),
    };
    let ended = health(&found);
    match args.output.output {
        Format::Json => put(&json(&Record::Status(Box::new(found))))?,
        format => {
            let ids = reader.long_ids(latest.iter().map(|latest| &*latest.id))?;
            let (style, before) = (Style { ids, ..style }, before.map(|beat| Time(beat.seen)));
            put(&status::text(&found, latest.as_ref(), before, of.as_deref(), format, &style))?;
        }
    }
    Ok(ended)
}

fn recorder(beat: Heartbeat) -> Recorder {
    let (readiness, summary) =
        beat.verdict.map(|verdict| (verdict.readiness, verdict.summary)).unzip();
    Recorder {
        pid: beat.pid,
        since: Time(beat.since),
        seen: Time(beat.seen),
        verdict: readiness,
        summary: summary.flatten(),
    }
}

/// What was lost, by why; of events it does not matter on which CPU.
fn losses(gaps: &[Gap]) -> Vec<Lost> {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for gap in gaps {
        let reason = match &gap.reason {
            GapReason::Events { .. } => "events before they were read".to_owned(),
            GapReason::QueueFull => "incidents before they reached the disk".to_owned(),
            other => other.to_string(),
        };
        *reasons.entry(reason).or_default() += gap.lost.unwrap_or(0);
    }
    reasons.retain(|_, lost| *lost != 0);
    let lost = |(why, lost): (String, u64)| Lost { why: why.into(), lost };
    let mut losses: Vec<Lost> = reasons.into_iter().map(lost).collect();
    losses.sort_by_key(|one| std::cmp::Reverse(one.lost));
    losses
}

/// How much of the time after `since` nobody was watching, ns.
fn unwatched(gap: &Gap, since: i64) -> u64 {
    match gap.reason {
        GapReason::Stopped | GapReason::Rebooted | GapReason::Killed => {
            u64::try_from(gap.until.0.saturating_sub(gap.since.0.max(since))).unwrap_or(0)
        }
        _ => 0,
    }
}

/// As a health check has it. What was lost a day ago is no reason to wake somebody now.
fn health(status: &Status) -> ExitStatus {
    let Some(recorder) = &status.recorder else { return ExitStatus::NotFound };
    match recorder.verdict.as_ref().map(Named::known) {
        Some(Readiness::NotReady) => ExitStatus::Unavailable,
        Some(Readiness::Degraded) => ExitStatus::Partly,
        Some(Readiness::Ready) | None => ExitStatus::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_within_the_day_was_unwatched() {
        let gap = |reason| Gap {
            host: "host".into(),
            boot_id: "boot".into(),
            since: Time(10),
            until: Time(50),
            reason,
            lost: None,
        };
        assert_eq!(unwatched(&gap(GapReason::Killed), 0), 40);
        assert_eq!(unwatched(&gap(GapReason::Rebooted), 30), 20);
        assert_eq!(unwatched(&gap(GapReason::Stopped), 60), 0);
        assert_eq!(unwatched(&gap(GapReason::QueueFull), 0), 0);
    }

    #[test]
    fn losses_are_added_up_by_their_reasons() {
        let gap = |reason| Gap {
            host: "host".into(),
            boot_id: "boot".into(),
            since: Time(1),
            until: Time(2),
            reason,
            lost: Some(7),
        };
        let mut gaps: Vec<Gap> = (0..500).map(|cpu| gap(GapReason::Events { cpu })).collect();
        gaps.extend([gap(GapReason::QueueFull), Gap { lost: None, ..gap(GapReason::Killed) }]);
        let lost: Vec<u64> = losses(&gaps).iter().map(|one| one.lost).collect();
        assert_eq!(lost, [3_500, 7]);
    }
}

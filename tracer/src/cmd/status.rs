//! `whybus status`: whether a recorder runs, and what its history holds; for people and health checks.
use anyhow::Result;

use crate::{
    cli::Status as Args,
    cmd::exit_status::ExitStatus,
    contract::{Gap, GapReason, Named, Record, Recorder, Status, Time, Untrusted},
    host::clock,
    model::observe::Readiness,
    render::{Format, json, status},
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
    let found = Status {
        time: Time(now),
        recorder: running_recorder(state, now).map(recorder),
        path: Untrusted(dir::history(state).into_os_string().into_encoded_bytes()),
        size: dir::size(state),
        incidents,
        last_day: reader.number(&day)?,
        first: first.map(Time),
        last: last.map(Time),
        last_id: latest.as_ref().map(|latest| latest.id.clone()),
        lost: gaps.iter().filter_map(|gap| gap.lost).sum(),
        unwatched_ns: gaps.iter().map(|gap| unwatched(gap, since)).sum(),
        gaps: gaps.into_iter().take(GAPS).collect(),
    };
    let ended = health(&found);
    match args.output.output {
        Format::Json => put(&json(&Record::Status(Box::new(found))))?,
        format => {
            let style = history_style(args.output.utc, reader.hosts()?);
            let before = last_heartbeat(state).map(|beat| Time(beat.seen));
            put(&status::text(&found, latest.as_ref(), before, format, &style))?;
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
}

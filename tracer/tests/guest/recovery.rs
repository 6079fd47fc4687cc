//! What befalls a recorder: afterwards it works, its history is whole, and what it missed is told (xtask/guest/jobs/recovery.sh).
use anyhow::{Context as _, Result, bail, ensure};
use whybus::contract::{Gap, GapReason, Record};

use crate::{
    Check, Job,
    record::{incidents_of, plain, records},
};

pub const CHECKS: [(&str, Check); 8] = [
    ("each_ends_well", each_ends_well),
    ("one_that_was_stopped_goes_on", one_that_was_stopped),
    ("a_directory_that_is_removed_is_made_anew", a_removed_directory),
    ("an_oom_kill_loses_nothing_but_time", an_oom_kill),
    ("nobody_who_does_not_read_holds_it_up", nobody_holds_it_up),
    ("a_clock_a_year_ahead_has_nothing_forgotten", a_clock_a_year_ahead),
    ("a_clock_set_back_between_two_runs_leaves_a_gap", a_clock_set_back),
    ("a_stream_is_nobody_elses_to_read", a_stream_is_private),
];

/// Every recorder but those that are killed ends on SIGTERM with status 0.
fn each_ends_well(job: &Job) -> Result<()> {
    let statuses = job.text("statuses")?;
    let expected = "removed 0\noom 0\nstalled 0\nstopped 0\nclock 0\nclock 0\nclock 0\nclock 0\n";
    ensure!(statuses == expected, "{statuses}");
    Ok(())
}

/// Who of these is in a history, in the order they were written, and its gaps.
fn history(job: &Job, name: &str) -> Result<(Vec<String>, Vec<Gap>)> {
    let text = job.text(&format!("{name}.json"))?;
    let dead = incidents_of(&text)?.iter().map(|incident| plain(&incident.victim.comm)).collect();
    let gap = |record| if let Record::Gap(gap) = record { Some(gap) } else { None };
    Ok((dead, records(&text)?.into_iter().filter_map(gap).collect()))
}

fn has(dead: &[String], names: &[&str]) -> Result<()> {
    let missing: Vec<&&str> =
        names.iter().filter(|name| dead.iter().filter(|dead| dead == name).count() != 1).collect();
    ensure!(missing.is_empty(), "not told once: {missing:?}, of {dead:?}");
    Ok(())
}

fn one_that_was_stopped(job: &Job) -> Result<()> {
    let (dead, gaps) = history(job, "stopped")?;
    has(&dead, &["stop-before", "stop-during", "stop-after"])?;
    // More crashed in the end than found room.
    let times = job.text("stopped.times")?;
    let times: Vec<i64> = times.lines().map(str::parse).collect::<Result<_, _>>()?;
    let [from, to] = times.as_slice() else { bail!("{times:?}") };
    ensure!(to - from >= 60, "it was stopped for {} s", to - from);
    let second = 1_000_000_000;
    let told = gaps.iter().any(|gap| {
        matches!(gap.reason, GapReason::Events { .. })
            && gap.lost.is_some_and(|lost| lost > 0)
            && gap.since.0 >= from * second
            && gap.until.0 <= (to + 10) * second
    });
    ensure!(told, "no gap within {from} and {to}: {gaps:?}");
    let said = job.text("stopped.status")?;
    ensure!(said.contains("NOT RECORDING"), "{said}");
    Ok(())
}

fn a_removed_directory(job: &Job) -> Result<()> {
    let (dead, gaps) = history(job, "removed")?;
    has(&dead, &["removed-after"])?;
    let said = job.text("removed.err")?;
    ensure!(said.contains("was removed"), "{said}");
    let status = job.text("removed.status")?;
    ensure!(!status.contains("NOT RECORDING"), "{status}");
    let files = job.text("removed.ls")?;
    ensure!(["history.db", "lock", "recorder"].iter().all(|name| files.contains(name)), "{files}");
    let _ = gaps;
    Ok(())
}

fn an_oom_kill(job: &Job) -> Result<()> {
    ensure!(job.word("oom.status")? == "137" && job.word("oom.kills")? != "0", "it was not killed");
    let (dead, gaps) = history(job, "oom")?;
    has(&dead, &["oom-before", "oom-after"])?;
    let killed = gaps.iter().filter(|gap| gap.reason == GapReason::Killed).count();
    ensure!(killed == 1, "{gaps:?}");
    Ok(())
}

/// Neither of what it prints, nor of the journal.
fn nobody_holds_it_up(job: &Job) -> Result<()> {
    let (dead, _) = history(job, "stalled")?;
    let names: Vec<String> = (1..=8).map(|number| format!("stalled-{number}")).collect();
    has(&dead, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let said = job.text("stalled.err")?;
    let said = said + &job.text("removed.err")?;
    ensure!(said.contains("the journal did not take a record"), "{said}");
    Ok(())
}

fn a_clock_a_year_ahead(job: &Job) -> Result<()> {
    let (dead, gaps) = history(job, "clock")?;
    has(&dead, &["clock-1", "clock-2", "clock-3", "clock-4", "clock-5"])?;
    ensure!(gaps.iter().all(|gap| gap.reason != GapReason::Room), "{gaps:?}");
    Ok(())
}

fn a_clock_set_back(job: &Job) -> Result<()> {
    let (_, gaps) = history(job, "clock")?;
    let (stopped, others): (Vec<&Gap>, Vec<&Gap>) =
        gaps.iter().partition(|gap| gap.reason == GapReason::Stopped);
    ensure!(stopped.len() == 3, "of three starts anew: {gaps:?}");
    // What is missed within a run is as long as the run, whatever the clock does.
    let hour = 3_600_000_000_000;
    let wrong = stopped.iter().find(|gap| gap.since.0 > gap.until.0);
    let wrong =
        wrong.or_else(|| others.iter().find(|gap| gap.since.0.abs_diff(gap.until.0) > hour));
    ensure!(wrong.is_none(), "{wrong:?}");
    Ok(())
}

fn a_stream_is_private(job: &Job) -> Result<()> {
    let mode = job.word("saved").context("the mode of a new file")?;
    ensure!(mode == "600", "{mode}");
    Ok(())
}

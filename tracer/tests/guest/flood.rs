//! A user floods the recorder with signals: nobody else's answer suffers from it.
use anyhow::{Result, ensure};
use whybus::contract::Incident;

use crate::{
    Check, Job,
    record::{end, incidents_of, plain, records},
};

pub const CHECKS: [(&str, Check); 5] = [
    ("it_floods", it_floods),
    ("every_truncation_is_told", every_truncation_is_told),
    ("every_sender_is_named", every_sender_is_named),
    ("who_dies_of_one_of_too_many_is_told", who_dies_of_one_of_too_many_is_told),
    ("who_handles_a_bus_error_among_many_is_told", who_handles_a_bus_error_among_many_is_told),
];

fn it_floods(job: &Job) -> Result<()> {
    let sent: u64 = job.word("sent")?.parse()?;
    ensure!(sent > 20_000, "only {sent} signals were sent");
    let lines = records(&job.text("out.json")?)?;
    let end = end(&lines)?;
    ensure!(end.lost == 0, "of {sent} signals, {} events were lost", end.lost);
    Ok(())
}

/// Those of a program, of which this class is told.
fn told(job: &Job, victim: &str, class: &str) -> Result<Vec<Incident>> {
    let mut all = incidents_of(&job.text("out.json")?)?;
    all.retain(|incident| {
        plain(&incident.victim.comm) == victim && incident.cause.class.name() == class
    });
    Ok(all)
}

/// Each is proven and complete, and names who did it.
fn by(incidents: &[Incident], count: usize, culprit: &str) -> Result<()> {
    let sure = |incident: &&Incident| {
        let by = incident.cause.culprit.as_ref().map(|culprit| plain(&culprit.comm));
        incident.complete
            && incident.cause.confidence.name() == "proven"
            && by.as_deref() == Some(culprit)
    };
    let good = incidents.iter().filter(sure).count();
    let seen = incidents.len();
    ensure!(
        (good, seen) == (count, count),
        "{good} of {count} planted victims are told wholly, of {seen} that are told: {incidents:?}"
    );
    Ok(())
}

fn every_truncation_is_told(job: &Job) -> Result<()> {
    by(&told(job, "reader", "truncated")?, 10, "truncate")
}

/// The shell of the job is the guest's first process, or one it has forked. Of the last, somebody else has signalled
/// processes whose pids end alike.
fn every_sender_is_named(job: &Job) -> Result<()> {
    ensure!(job.text("shares")? == "0\n0\n0\n", "the shares were not used up");
    by(&told(job, "worker", "sent")?, 11, "init")
}

/// The last after more ended processes were signalled than its user may have signals kept for.
fn who_dies_of_one_of_too_many_is_told(job: &Job) -> Result<()> {
    let mut dead = told(job, "flood", "sent")?;
    dead.retain(|incident| incident.signal.as_ref().is_some_and(|signal| signal.number == 15));
    by(&dead, 4, "flood")
}

/// Its own user handles more SIGBUS than are told.
fn who_handles_a_bus_error_among_many_is_told(job: &Job) -> Result<()> {
    let mut rescued = incidents_of(&job.text("out.json")?)?;
    rescued.retain(|incident| plain(&incident.victim.comm) == "rescued");
    let handled = rescued.iter().filter(|incident| {
        let signal = incident.signal.as_ref();
        signal.and_then(|signal| signal.disposition.as_deref()) == Some("handler")
    });
    let handled = handled.count();
    ensure!((handled, rescued.len()) == (5, 5), "{handled} of 5 are told as handled: {rescued:?}");
    Ok(())
}

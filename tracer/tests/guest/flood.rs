//! A user floods the recorder with signals: nobody else's answer suffers from it.
use anyhow::{Context as _, Result, bail, ensure};
use whybus::contract::{Incident, Record};

use crate::{
    Check, Job,
    record::{end, incidents_of, plain, records},
};

pub const CHECKS: [(&str, Check); 7] = [
    ("it_floods", it_floods),
    ("the_capabilities_that_are_listed_do", those_that_are_listed_do),
    ("the_capability_that_is_missing_is_named", the_missing_one_is_named),
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
    // Else khugepaged, which hardly ever runs here, may hold up the reading of events for seconds.
    let huge_pages = job.text("huge-pages")?;
    ensure!(huge_pages.trim().ends_with('0'), "{huge_pages}");
    Ok(())
}

/// All else of this job was told with them alone.
fn those_that_are_listed_do(job: &Job) -> Result<()> {
    let lines = records(&job.text("out.json")?)?;
    let Some(Record::Watching(watching)) = lines.first() else { bail!("it begins otherwise") };
    let verdict = watching.verdict.as_ref().map(|verdict| verdict.name().to_owned());
    // 5.10 has not all hooks that there are.
    let expected = if job.kernel == "5.10" { "degraded" } else { "ready" };
    ensure!(verdict.as_deref() == Some(expected), "{watching:?}");
    let said = job.text("err")?;
    ensure!(!said.contains("CAP_"), "{said}");
    Ok(())
}

/// With one fewer, that one; where it does not watch then, by its exit status, and else it was killed.
fn the_missing_one_is_named(job: &Job) -> Result<()> {
    let told = job.text("without")?;
    // Before 5.11 one more.
    ensure!(told.lines().count() == if job.kernel == "5.10" { 8 } else { 7 }, "{told}");
    for line in told.lines() {
        let (what, said) = line.split_once(':').with_context(|| line.to_owned())?;
        let mut words = what.split_whitespace();
        let status = words.next();
        let missing: Vec<String> =
            words.map(|name| format!("CAP_{}", name.to_uppercase())).collect();
        ensure!(missing.iter().all(|name| said.contains(name)), "{line}");
        let watches = !matches!(&*missing[0], "CAP_BPF" | "CAP_PERFMON" | "CAP_SYS_RESOURCE");
        ensure!(status == Some(if watches { "137" } else { "77" }), "{line}");
        let others = ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "CHOWN"];
        let others = others.iter().filter(|name| !missing.contains(&format!("CAP_{name}")));
        ensure!(!others.into_iter().any(|name| said.contains(&format!("CAP_{name}"))), "{line}");
    }
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

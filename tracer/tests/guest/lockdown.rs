//! `lockdown=confidentiality`: everything attaches, and the answers are the same.
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::contract::Record;

use crate::{
    Check, Job, checks, matrix,
    record::{incidents_of, plain, records},
    scenario,
};

pub const CHECKS: [(&str, Check); 3] = [
    ("everything_attaches", everything_attaches),
    ("an_oom_kill_names_the_limit", an_oom_kill_names_the_limit),
    ("lockdown_is_on", lockdown_is_on),
];

pub fn trials(job: &Arc<Job>) -> Vec<Trial> {
    let mut trials = scenario::trials(job, "lockdown::", "lockdown");
    trials.extend(checks(job, "lockdown", &CHECKS));
    trials
}

fn everything_attaches(job: &Job) -> Result<()> {
    attaches(&job.text("out.json")?)?;
    attaches(&job.text("oom.json")?)
}

/// All that one watch was to attach.
fn attaches(told: &str) -> Result<()> {
    let lines = records(told)?;
    let Some(Record::Watching(watching)) = lines.first() else {
        bail!("the first line is {:?}", lines.first());
    };
    let mut known = matrix::known_to_be_missing(&watching.kernel);
    // Lockdown refuses kprobes (security/lockdown, LOCKDOWN_KPROBES).
    known.push("kprobe quota_send_warning");
    known.push("kretprobe shmem_swapin_folio");
    matrix::nothing_else_is_missing(&watching.blind, &known)
}

fn an_oom_kill_names_the_limit(job: &Job) -> Result<()> {
    let told = incidents_of(&job.text("oom.json")?)?;
    let kill = told.iter().find(|incident| incident.cause.class.name() == "oom-killed");
    let cause = &kill.context("no OOM kill was told")?.cause;
    let memory = cause.memory.as_ref().context("no limit")?;
    ensure!(memory.limit == 8 << 20 && plain(&memory.cgroup) == "/small", "{memory:?}");
    ensure!(memory.used.is_some() && cause.confidence.name() == "proven", "{cause:?}");
    Ok(())
}

fn lockdown_is_on(job: &Job) -> Result<()> {
    let mode = job.text("lockdown")?;
    ensure!(mode.contains("[confidentiality]"), "lockdown is {mode}");
    Ok(())
}

//! `lockdown=confidentiality`: everything attaches, and the answers are the same. Without trampolines (arm64 before 6.4) only
//! tracepoints are left, and that is what is said.
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::{
    contract::{Record, Watching},
    model::observe::Readiness,
};

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

/// Whether neither trampolines nor kprobes are to be had.
fn signal_alone(job: &Job) -> Result<bool> {
    Ok(job.text("facts")?.lines().any(|fact| fact == "signal-alone"))
}

fn everything_attaches(job: &Job) -> Result<()> {
    let alone = signal_alone(job)?;
    for (name, deaths) in [("out.json", false), ("oom.json", true)] {
        let lines = records(&job.text(name)?)?;
        let Some(Record::Watching(watching)) = lines.first() else {
            bail!("the first line is {:?}", lines.first());
        };
        match alone {
            true => tracepoints(watching, deaths)?,
            false => attaches(watching)?,
        }
    }
    Ok(())
}

/// The hooks that need neither, and that this is not enough.
fn tracepoints(watching: &Watching, deaths: bool) -> Result<()> {
    // The second one looks the mapping up.
    let mut expected = vec!["signal_generate", "signal_generate", "signal_deliver"];
    expected.push("sched_process_exit");
    if deaths {
        expected.extend(["sched_process_exec", "sched_process_fork"]);
    }
    expected.extend(["cgroup_mkdir", "cgroup_rename"]);
    let hooks: Vec<&str> =
        watching.hooks.iter().map(|hook| hook.trim_start_matches("tp_btf ")).collect();
    ensure!(hooks == expected, "{hooks:?}");
    let verdict = watching.verdict.as_ref().map(|verdict| verdict.known());
    let summary = watching.summary.as_deref().unwrap_or_default();
    let said = "cannot tell who truncated a file";
    ensure!(verdict == Some(Readiness::NotReady) && summary.contains(said), "{watching:?}");
    Ok(())
}

/// All that a watch was to attach.
fn attaches(watching: &Watching) -> Result<()> {
    let mut known = matrix::known_to_be_missing(&watching.kernel);
    // Lockdown refuses kprobes (security/lockdown, LOCKDOWN_KPROBES).
    known.push("kprobe quota_send_warning");
    known.push("kretprobe shmem_swapin_folio");
    matrix::nothing_else_is_missing(&watching.blind, &known)
}

fn an_oom_kill_names_the_limit(job: &Job) -> Result<()> {
    let told = incidents_of(&job.text("oom.json")?)?;
    let kill = told.iter().find(|incident| incident.cause.class.name() == "oom-killed");
    let kill = kill.context("no OOM kill was told")?;
    let cause = &kill.cause;
    if signal_alone(job)? {
        let blind: Vec<&str> = kill.blind.iter().map(|hook| &**hook).collect();
        let likely = cause.confidence.name() == "likely" && cause.memory.is_none();
        ensure!(likely && blind == ["fentry oom_kill_process"], "{kill:?}");
        let cgroup = kill.victim.cgroup.as_ref().map(plain);
        ensure!(cgroup.as_deref() == Some("/small"), "{kill:?}");
        return Ok(());
    }
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

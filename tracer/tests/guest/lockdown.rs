//! `lockdown=confidentiality`: everything attaches, and the answers are the same.
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::contract::Record;

use crate::{Check, Job, checks, matrix, record::records, scenario};

pub const CHECKS: [(&str, Check); 2] =
    [("everything_attaches", everything_attaches), ("lockdown_is_on", lockdown_is_on)];

pub fn trials(job: &Arc<Job>) -> Vec<Trial> {
    let mut trials = scenario::trials(job, "lockdown::", "lockdown");
    trials.extend(checks(job, "lockdown", &CHECKS));
    trials
}

fn everything_attaches(job: &Job) -> Result<()> {
    let lines = records(&job.text("out.json")?)?;
    let Some(Record::Watching(watching)) = lines.first() else {
        bail!("the first line is {:?}", lines.first());
    };
    let known = matrix::known_to_be_missing(&watching.kernel);
    matrix::nothing_else_is_missing(&watching.blind, &known)
}

fn lockdown_is_on(job: &Job) -> Result<()> {
    let mode = job.text("lockdown")?;
    ensure!(mode.contains("[confidentiality]"), "lockdown is {mode}");
    Ok(())
}

//! Hosts with v1 hierarchies of cgroups: who was where, though cgroup and process are gone at once.
use anyhow::{Result, ensure};

use crate::{
    Check, Job,
    record::{incidents_of, plain},
};

pub const CHECKS: [(&str, Check); 2] =
    [("v1", |job| everybody_was(job, "v1")), ("hybrid", |job| everybody_was(job, "hybrid"))];

fn everybody_was(job: &Job, host: &str) -> Result<()> {
    let incidents = incidents_of(&job.text(&format!("{host}.json"))?)?;
    let cgroups: Vec<Option<String>> =
        incidents.iter().map(|incident| incident.victim.cgroup.as_ref().map(plain)).collect();
    let unit = || Some("/system.slice/geo.service".to_owned());
    let expected = [unit(), unit(), unit(), Some("/new".to_owned())];
    ensure!(cgroups == expected, "{cgroups:?} instead of {expected:?}");
    Ok(())
}

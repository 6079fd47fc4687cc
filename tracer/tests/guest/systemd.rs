//! What the recorder must have kept as a service of a real systemd: xtask/guest/systemd/cases/run.sh.
//! Every incident is one of these, and each of these is there.
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::contract::{Incident, Record};

use crate::{
    Check, Job, checks,
    record::{incidents_of, plain, records, valid},
    trial,
};

/// Something that dies, and what must be told of it.
pub struct Case {
    name: &'static str,
    victim: &'static str,
    deaths: usize,
    class: &'static str,
    /// How a shell has its status; 0 where it lives on.
    status: u32,
    culprit: Option<&'static str>,
}

const fn case(name: &'static str, victim: &'static str, class: &'static str, status: u32) -> Case {
    Case { name, victim, deaths: 1, class, status, culprit: None }
}

impl Case {
    const fn by(self, culprit: &'static str) -> Self {
        Self { culprit: Some(culprit), ..self }
    }

    const fn times(self, deaths: usize) -> Self {
        Self { deaths, ..self }
    }
}

static CASES: [Case; 16] = [
    case("kill_9", "killed", "sent", 137).by("sh"),
    case("memory_max", "hog", "oom-killed", 137),
    case("the_units_watchdog", "silent", "sent", 134).by("systemd"),
    case("systemctl_kill", "commanded", "sent", 137).by("systemd"),
    case("a_stop_timeout", "deaf", "sent", 137).by("systemd"),
    case("sigsegv_at_once", "segv", "signal", 139),
    case("sigbus_at_once", "bus", "mapped-past-end", 135),
    case("a_loop_until_the_start_limit", "loop", "exited", 3).times(4),
    case("a_script_as_a_service", "sh", "exited", 4),
    case("journald_lives_on", "systemd-journal", "truncated", 0).by("truncate"),
    case("a_job_of_cron", "served", "truncated", 135).by("truncate"),
    case("a_timers_service", "rotated", "truncated", 135).by("truncate"),
    case("a_container_as_victim", "reader", "truncated", 135).by("truncate"),
    case("a_container_as_culprit", "reader", "truncated", 135).by("busybox"),
    case("a_container_of_a_millisecond", "victim", "signal", 139),
    case("a_pod_that_is_removed_at_once", "instant", "signal", 139),
];

pub const CHECKS: [(&str, Check); 7] = [
    ("it_is_a_service", it_is_a_service),
    ("nothing_else_is_recorded", nothing_else),
    ("an_orderly_stop_is_no_incident", an_orderly_stop),
    ("commands_of_a_shell_are_no_incidents", commands_of_a_shell),
    ("why_systemd_kills_is_told", why_systemd_kills),
    ("a_warning_is_kept", a_warning_is_kept),
    ("every_line_is_valid", every_line_is_valid),
];

pub fn trials(job: &Arc<Job>) -> Vec<Trial> {
    let mut trials = checks(job, "systemd", &CHECKS);
    for case in &CASES {
        for (what, check) in WAYS {
            let (job, name) = (job.clone(), format!("systemd::{}::{what}", case.name));
            trials.push(trial(&job.kernel.clone(), &name, move || check(case, &job)));
        }
    }
    trials
}

/// Nothing passes where the guest left nothing.
///
/// # Errors
/// Where something does.
pub fn passes_on_nothing(job: &Job) -> Result<()> {
    for case in &CASES {
        for (what, check) in WAYS {
            ensure!(check(case, job).is_err(), "{}::{what} passes", case.name);
        }
    }
    Ok(())
}

/// How people ask for a death.
type Way = fn(&Case, &Job) -> Result<()>;
const WAYS: [(&str, Way); 2] = [("cause", cause), ("list", in_the_table)];

fn of(case: &Case, job: &Job) -> Result<Vec<Incident>> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found: Vec<Incident> = all.into_iter().filter(|one| is(case, one)).collect();
    ensure!(found.len() == case.deaths, "{} incidents, not {}", found.len(), case.deaths);
    Ok(found)
}

/// Whether an incident is of a case: by what whoever looks at the host knows, a name and a status.
fn is(case: &Case, incident: &Incident) -> bool {
    let named = plain(&incident.victim.comm) == case.victim;
    // Two are called `reader`.
    let culprit = incident.cause.culprit.as_ref().map(|culprit| plain(&culprit.comm));
    let by = case.victim != "reader" || culprit.as_deref() == case.culprit;
    named && by && incident.status().unwrap_or(0) == case.status
}

fn cause(case: &Case, job: &Job) -> Result<()> {
    for incident in of(case, job)? {
        let cause = &incident.cause;
        ensure!(cause.class.name() == case.class, "{cause:?}");
        // Whom the OOM killer names is a matter of the memory of all.
        if case.class != "oom-killed" {
            let culprit = cause.culprit.as_ref().map(|culprit| plain(&culprit.comm));
            ensure!(culprit.as_deref() == case.culprit, "by {culprit:?}");
        }
    }
    Ok(())
}

fn in_the_table(case: &Case, job: &Job) -> Result<()> {
    let table = job.text("list.txt")?;
    let name = format!(" {}[", case.victim);
    for incident in of(case, job)? {
        let id = incident.id.to_string();
        let short = &id[id.rfind('-').map_or(0, |dash| dash + 1)..];
        let line = table.lines().find(|line| line.ends_with(short));
        let line = line.with_context(|| format!("no line of {id}"))?;
        ensure!(line.contains(&name) && line.contains(case.class), "{line}");
        if let Some(culprit) = case.culprit {
            ensure!(line.contains(&format!("by {culprit}[")), "{line}");
        }
    }
    Ok(())
}

fn it_is_a_service(job: &Job) -> Result<()> {
    ensure!(job.word("active")? == "active", "{}", job.text("enable.err")?);
    let stopped = job.text("stopped")?;
    ensure!(stopped.contains("Result=success") && stopped.contains("Status=0"), "{stopped}");
    let said = job.text("whybus.journal")?;
    ensure!(said.contains("nothing lost"), "{said}");
    Ok(())
}

/// An incident that no case expects is noise, or a bug. One is the host's own doing: `podman import`
/// ends the process that unpacked the archive for it by SIGKILL.
fn nothing_else(job: &Job) -> Result<()> {
    let podman = |one: &Incident| plain(&one.victim.comm) == "podman" && one.status() == Some(137);
    let all = incidents_of(&job.text("list.json")?)?;
    let (helpers, others): (Vec<&Incident>, Vec<&Incident>) =
        all.iter().partition(|one| podman(one));
    ensure!(helpers.len() <= 1, "{} helpers of podman", helpers.len());
    let strange = others.iter().filter(|one| !CASES.iter().any(|case| is(case, one)));
    let told: Vec<String> = strange
        .map(|one| {
            let (comm, class) = (plain(&one.victim.comm), one.cause.class.name());
            format!("{comm}[{}] {class}, status {:?}", one.victim.pid, one.status())
        })
        .collect();
    ensure!(told.is_empty(), "nobody expects\n{}", told.join("\n"));
    Ok(())
}

fn named<'a>(all: &'a [Incident], names: &[&str]) -> Vec<&'a Incident> {
    all.iter().filter(|one| names.contains(&&*plain(&one.victim.comm))).collect()
}

fn an_orderly_stop(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let told = named(&all, &["orderly"]);
    ensure!(told.is_empty(), "{told:?}");
    let said = job.text("why-orderly.err")?;
    ensure!(said.contains("none of the recorded incidents matches"), "{said}");
    Ok(())
}

fn commands_of_a_shell(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let told = named(&all, &["grep", "ls", "test", "false", "bash", "conmon"]);
    ensure!(told.is_empty(), "{} of them: {:?}", told.len(), told.first());
    Ok(())
}

/// A watchdog and a stop timeout are no stranger's kill(2).
fn why_systemd_kills(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    for (name, setting) in [("silent", "WatchdogSec="), ("deaf", "TimeoutStopSec=")] {
        let told = named(&all, &[name]);
        ensure!(told.len() == 1, "{} incidents of {name}", told.len());
        let summary = &told[0].cause.summary;
        ensure!(summary.contains(setting), "{name}: {summary}");
    }
    Ok(())
}

/// Of a service that maps a shrunk file, and is stopped before it touches it.
fn a_warning_is_kept(job: &Job) -> Result<()> {
    let pid: u32 = job.word("warned.pid")?.parse()?;
    let mut found = 0;
    for record in records(&job.text("warnings.json")?)? {
        let Record::Truncation(warning) = record else { bail!("no warning: {record:?}") };
        if warning.file.path.as_ref().map(plain).as_deref() == Some("/srv/warned") {
            let culprit = warning.culprit.as_ref().map(|culprit| plain(&culprit.comm));
            ensure!(culprit.as_deref() == Some("truncate"), "{warning:?}");
            ensure!(warning.at_risk.iter().any(|mapper| mapper.pid == pid), "{warning:?}");
            found += 1;
        }
    }
    ensure!(found == 1, "{found} warnings of it");
    Ok(())
}

fn every_line_is_valid(job: &Job) -> Result<()> {
    valid(&job.text("list.json")?)?;
    valid(&job.text("export.json")?)
}

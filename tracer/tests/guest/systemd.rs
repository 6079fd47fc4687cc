//! What the recorder must have kept as a service of a real systemd: xtask/guest/systemd/cases/run.sh.
//! Every incident is one of these, and each of these is there.
mod case;

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::contract::{Incident, Process, Record};

use case::{CASES, Case, JOURNALD, MISSING, Origin, Place, Pod, TWIN, Who};

use crate::{
    Check, Job, checks,
    confined::{KEPT, threads},
    normal,
    record::{incidents_of, plain, records, valid},
    trial,
};

pub const CHECKS: [(&str, Check); 13] = [
    ("whoever_is_called_so_is_found", found_by_name),
    ("it_is_a_service", it_is_a_service),
    ("it_may_no_more_than_its_unit_says", it_may_no_more),
    ("nothing_else_is_recorded", nothing_else),
    ("an_orderly_stop_is_no_incident", an_orderly_stop),
    ("a_stop_that_takes_its_time_is_told_as_one", a_long_stop),
    ("commands_of_a_shell_are_no_incidents", commands_of_a_shell),
    ("journald_lives_on", journald_lives_on),
    ("why_systemd_kills_is_told", why_systemd_kills),
    ("units_of_one_command_are_kept_apart", units_of_one_command),
    ("a_missing_program_is_told", a_missing_program),
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
const WAYS: [(&str, Way); 7] = [
    ("cause", cause),
    ("where", place),
    ("from", origin),
    ("program", program),
    ("list", in_the_table),
    ("why", by_unit),
    ("output", output),
];

fn of(case: &Case, job: &Job) -> Result<Vec<Incident>> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found: Vec<Incident> = all.into_iter().filter(|one| is(case, one)).collect();
    ensure!(found.len() == case.deaths, "{} incidents, not {}", found.len(), case.deaths);
    Ok(found)
}

/// Whether an incident is of a case: by what whoever looks at the host knows, a name and a status.
fn is(case: &Case, incident: &Incident) -> bool {
    let named = plain(&incident.victim.comm) == case.victim.comm;
    // Two are called `reader`.
    let culprit = incident.cause.culprit.as_ref().map(|culprit| plain(&culprit.comm));
    let by = case.victim.comm != "reader" || culprit.as_deref() == case.culprit_name();
    named && by && incident.status() == Some(case.status)
}

fn cause(case: &Case, job: &Job) -> Result<()> {
    for incident in of(case, job)? {
        let cause = &incident.cause;
        ensure!(cause.class.name() == case.class, "{cause:?}");
        if case.class == "oom-killed" {
            // Its unit's cgroup is gone with it.
            let memory = cause.memory.as_ref().context("no limit")?;
            let unit = plain(&memory.cgroup).ends_with("/hog.service");
            ensure!(memory.limit == 24 << 20 && memory.used.is_some() && unit, "{memory:?}");
        } else {
            let culprit = cause.culprit.as_ref().map(|culprit| plain(&culprit.comm));
            ensure!(culprit.as_deref() == case.culprit_name(), "by {culprit:?}");
        }
    }
    Ok(())
}

fn place(case: &Case, job: &Job) -> Result<()> {
    both(case, job, |who, process| same_place(who, process, job))
}

/// Who logged in for it, on which terminal, and what starts its service: of nobody else is any of it said.
fn origin(case: &Case, job: &Job) -> Result<()> {
    let Origin { login, tty, timers } = case.origin;
    for incident in of(case, job)? {
        let victim = &incident.victim;
        ensure!(victim.login_uid.is_none() && victim.tty.is_none(), "{victim:?}");
        let Some(culprit) = &incident.cause.culprit else { continue };
        let name = culprit.login_user.as_ref().map(plain);
        let found = culprit.login_uid.map(|uid| (uid, name.as_deref().unwrap_or_default()));
        ensure!(found == login, "{found:?} logged in");
        ensure!(culprit.audit_session.is_some() == login.is_some(), "{:?}", culprit.audit_session);
        let found = culprit.tty.as_ref().map(plain);
        ensure!(found.as_deref() == tty, "its terminal is {found:?}");
        let found: Vec<String> = culprit.unit_timers.iter().map(plain).collect();
        ensure!(found == timers, "its timers are {found:?}");
    }
    Ok(())
}

/// Where it spoke to, and whether the command that is told finds its last words there.
fn output(case: &Case, job: &Job) -> Result<()> {
    for incident in of(case, job)? {
        let Some((to, said)) = case.spoke else { continue };
        let told = incident.victim.output.as_ref().context("nothing is known")?;
        let stderr = told.stderr.as_ref().map(normal::output).unwrap_or_default();
        ensure!(stderr.starts_with(to), "it spoke to {stderr}");
        let said = job.text(said)?;
        ensure!(said.contains("cannot read the database"), "the command printed {said:?}");
    }
    Ok(())
}

fn program(case: &Case, job: &Job) -> Result<()> {
    both(case, job, |who, process| {
        let exe = process.exe.as_ref().map(plain);
        ensure!(exe.as_deref() == Some(who.exe), "its program is {exe:?}");
        Ok(())
    })
}

/// Holds victims and culprits against what they are.
fn both(case: &Case, job: &Job, same: impl Fn(&Who, &Process) -> Result<()>) -> Result<()> {
    for incident in of(case, job)? {
        same(&case.victim, &incident.victim).context("the victim")?;
        if let (Some(who), Some(culprit)) = (&case.culprit, &incident.cause.culprit) {
            same(who, culprit).context("the culprit")?;
        }
    }
    Ok(())
}

fn same_place(who: &Who, process: &Process, job: &Job) -> Result<()> {
    let cgroup = process.cgroup.as_ref().map(plain).context("no cgroup")?;
    let unit = process.unit.as_ref().map(plain);
    let container = process.container.as_ref().map(|container| container.id.to_string());
    match who.place {
        Place::Unit(name) => {
            ensure!(unit.as_deref() == Some(name), "its unit is {unit:?}, its cgroup {cgroup}");
            ensure!(container.is_none(), "it is in container {container:?}");
        }
        Place::Session => {
            let number = unit.as_deref().and_then(|unit| unit.strip_prefix("session-"));
            let number = number.and_then(|unit| unit.strip_suffix(".scope")?.parse().ok());
            ensure!(number.is_some() && number == process.audit_session, "its unit is {unit:?}");
        }
        Place::Container(file, name) => {
            let id = job.word(file)?;
            ensure!(container.as_deref() == Some(&id), "its container is {container:?}, not {id}");
            ensure!(cgroup.contains(&id), "its cgroup is {cgroup}");
            called(process, "podman", Some((name, "localhost/case:latest")))?;
        }
        Place::Named(name) => called(process, "podman", Some((name, "localhost/case:latest")))?,
        Place::Ctr(name) => {
            ensure!(container.as_deref() == Some(name), "its container is {container:?}");
            called(process, "containerd", Some((name, "localhost/case:latest")))?;
        }
        Place::Pod(Pod { id, uid, name, container: inner }) => {
            ensure!(container.as_deref() == Some(*id), "its container is {container:?}");
            ensure!(cgroup.contains(&uid.replace('-', "_")), "its cgroup is {cgroup}");
            let pod = process.pod.as_ref().context("no pod")?;
            let qos = pod.qos.as_deref() == Some("burstable");
            ensure!(*pod.uid == **uid && qos, "{pod:?}");
            let names = [&pod.namespace, &pod.name].map(|name| name.as_ref().map(plain));
            ensure!(names == [Some("shop".to_owned()), Some((*name).to_owned())], "{pod:?}");
            called(process, "containerd", *inner)?;
        }
    }
    Ok(())
}

/// Whether a container is told with name and image.
fn called(process: &Process, runtime: &str, names: Option<(&str, &str)>) -> Result<()> {
    let container = process.container.as_ref().context("no container")?;
    let (name, image) = (container.name.as_ref().map(plain), container.image.as_ref().map(plain));
    ensure!(container.runtime.as_deref() == Some(runtime), "{container:?}");
    let expected = (names.map(|(name, _)| name), names.map(|(_, image)| image));
    ensure!((name.as_deref(), image.as_deref()) == expected, "{container:?}");
    Ok(())
}

/// By the names of containers, pods, images and namespaces, and by an id as kubectl prints it.
fn found_by_name(job: &Job) -> Result<()> {
    let asked = [
        ("geo-reader", "reader"),
        ("geo-instant", "victim"),
        ("geo-named", "named"),
        ("geo-api-7d9f", "podded"),
        ("image", "reader"),
        ("namespace", "instant"),
        ("copied", "podded"),
    ];
    for (file, comm) in asked {
        let error = job.text(&format!("why-{file}.err"))?;
        ensure!(error.is_empty(), "{file}: {error}");
        let lines = records(&job.text(&format!("why-{file}.json"))?)?;
        let [Record::Story(story)] = lines.as_slice() else { bail!("{file}: {lines:?}") };
        let victim = plain(&story.incident.victim.comm);
        ensure!(victim == comm, "{file} is about {victim}");
    }
    Ok(())
}

fn in_the_table(case: &Case, job: &Job) -> Result<()> {
    let table = job.text("list.txt")?;
    let name = format!(" {}[", case.victim.comm);
    for incident in of(case, job)? {
        let id = incident.id.to_string();
        let short = &id[..13];
        let line = table.lines().find(|line| line.ends_with(short));
        let line = line.with_context(|| format!("no line of {id}"))?;
        ensure!(line.contains(&name) && line.contains(case.class), "{line}");
        if let Some(culprit) = case.culprit_name() {
            ensure!(line.contains(&format!("by {culprit}[")), "{line}");
        }
    }
    Ok(())
}

/// `whybus why UNIT`, as somebody asks who has seen in `systemctl` that it failed.
fn by_unit(case: &Case, job: &Job) -> Result<()> {
    // Those whose names only the run knows are asked for by them.
    let asked = match case.victim.place {
        Place::Unit("cases.service") => return by_other(case, job, "cases"),
        Place::Unit(name) => name.trim_end_matches(".service"),
        Place::Session => bail!("nobody asks for who did it"),
        Place::Container(file, _) => file,
        Place::Ctr(name) | Place::Named(name) => name,
        Place::Pod(pod) if pod.container.is_some() => pod.name,
        Place::Pod(_) => "pod",
    };
    by_other(case, job, asked)
}

fn by_other(case: &Case, job: &Job, asked: &str) -> Result<()> {
    let error = job.text(&format!("why-{asked}.err"))?;
    ensure!(error.is_empty(), "{error}");
    let lines = records(&job.text(&format!("why-{asked}.json"))?)?;
    let [Record::Story(story)] = lines.as_slice() else { bail!("it printed {lines:?}") };
    ensure!(is(case, &story.incident), "it is about {:?}", story.incident.victim);
    ensure!(story.deaths == case.deaths as u64, "{} deaths", story.deaths);
    Ok(())
}

fn it_is_a_service(job: &Job) -> Result<()> {
    ensure!(job.word("active")? == "active", "{}", job.text("enable.err")?);
    let stopped = job.text("stopped")?;
    ensure!(stopped.contains("Result=success") && stopped.contains("Status=0"), "{stopped}");
    let said = job.text("whybus.journal")?;
    ensure!(said.contains("no events lost"), "{said}");
    Ok(())
}

/// What packaging/whybus.service leaves it, and what it lets go of by itself.
fn it_may_no_more(job: &Job) -> Result<()> {
    // Beside those that watching takes: CAP_DAC_OVERRIDE 1, CAP_KILL 5, CAP_SETGID 6 and CAP_SETUID 7.
    const BOUND: u64 = KEPT | 0xe2;
    let found = job.text("confined")?;
    let threads = threads(&found, |bound| bound == BOUND)?;
    ensure!(threads.len() >= 4, "{found}");
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
    let expected = |one: &Incident| {
        [JOURNALD.comm, MISSING, TWIN].contains(&&*plain(&one.victim.comm))
            || CASES.iter().any(|case| is(case, one))
    };
    let strange = others.iter().filter(|one| !expected(one));
    let names: Vec<String> = strange
        .map(|one| {
            let (comm, class) = (plain(&one.victim.comm), one.cause.class.name());
            format!("{comm}[{}] {class}, status {:?}", one.victim.pid, one.status())
        })
        .collect();
    ensure!(names.is_empty(), "nobody expects\n{}", names.join("\n"));
    Ok(())
}

fn named<'a>(all: &'a [Incident], names: &[&str]) -> Vec<&'a Incident> {
    all.iter().filter(|one| names.contains(&&*plain(&one.victim.comm))).collect()
}

fn an_orderly_stop(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found = named(&all, &["orderly", "interrupted"]);
    ensure!(found.is_empty(), "{found:?}");
    let said = job.text("why-orderly.err")?;
    ensure!(said.contains("no matching incidents (of "), "{said}");
    Ok(())
}

/// Longer ago than a handler takes, somebody asked it to end.
fn a_long_stop(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found = named(&all, &["drained"]);
    let [one] = found.as_slice() else { bail!("{} incidents", found.len()) };
    let cause = &one.cause;
    let asked = "most likely as it was asked to end: ";
    ensure!(cause.confidence.name() == "likely" && cause.summary.contains(asked), "{cause:?}");
    ensure!(
        cause.summary.ends_with(" earlier it was sent SIGTERM by its parent, pid 1"),
        "{cause:?}"
    );
    Ok(())
}

fn commands_of_a_shell(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found = named(&all, &["grep", "ls", "test", "false", "bash", "conmon"]);
    ensure!(found.is_empty(), "{} of them: {:?}", found.len(), found.first());
    Ok(())
}

/// Its file was cut short under it. It makes room again and, as the file is damaged, cuts it short itself:
/// which of the two took the page it touched next differs from version to version.
fn journald_lives_on(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found = named(&all, &[JOURNALD.comm]);
    let [one] = found.as_slice() else { bail!("{} incidents", found.len()) };
    ensure!(one.status().is_none() && one.outcome.name() == "survived", "{:?}", one.outcome);
    let (cause, victim) = (&one.cause, &one.victim);
    ensure!(cause.class.name().starts_with("truncated"), "{cause:?}");
    let others = cause.others.iter().map(|other| plain(&other.comm));
    let mut who = cause.culprit.iter().map(|culprit| plain(&culprit.comm)).chain(others);
    ensure!(who.any(|comm| comm == "truncate"), "{cause:?}");
    let (exe, unit) = (victim.exe.as_ref().map(plain), victim.unit.as_ref().map(plain));
    ensure!(exe.as_deref() == Some("/usr/lib/systemd/systemd-journald"), "{exe:?}");
    ensure!(unit.as_deref() == Some("systemd-journald.service"), "{unit:?}");
    let story = records(&job.text("why-systemd-journald.json")?)?;
    let [Record::Story(story)] = story.as_slice() else { bail!("it printed {story:?}") };
    ensure!(story.incident.id == one.id, "it is about {:?}", story.incident.victim);
    Ok(())
}

/// A watchdog, a stop timeout and a limit are no stranger's kill(2).
fn why_systemd_kills(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let settings =
        [("silent", "WatchdogSec="), ("deaf", "TimeoutStopSec="), ("spinner", "LimitCPU=")];
    for (name, setting) in settings {
        let found = named(&all, &[name]);
        ensure!(found.len() == 1, "{} incidents of {name}", found.len());
        let summary = &found[0].cause.summary;
        ensure!(summary.contains(setting), "{name}: {summary}");
    }
    Ok(())
}

/// Both were sent a signal by `systemctl kill`, one after the other.
fn units_of_one_command(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found = named(&all, &[TWIN]);
    let told: BTreeSet<(String, u32)> = found
        .iter()
        .map(|one| {
            (one.victim.unit.as_ref().map(plain).unwrap_or_default(), one.status().unwrap_or(0))
        })
        .collect();
    let expected = [("twin-BUS.service", 135), ("twin-USR1.service", 138)];
    let expected = expected.map(|(unit, status)| (unit.to_owned(), status));
    ensure!(found.len() == 2 && told == expected.into(), "{told:?}");
    for one in found {
        let asked = format!("systemctl kill --signal={}", one.signal_name());
        ensure!(one.cause.summary.contains(&asked), "{}", one.cause.summary);
        ensure!(one.restart.is_none(), "{:?}", one.restart);
    }
    Ok(())
}

/// systemd's child fails before it is the unit's program, and no other unit's start is a restart of it.
fn a_missing_program(job: &Job) -> Result<()> {
    let all = incidents_of(&job.text("list.json")?)?;
    let found = named(&all, &[MISSING]);
    let [one] = found.as_slice() else { bail!("{} incidents", found.len()) };
    let unit = one.victim.unit.as_ref().map(plain);
    ensure!(unit.as_deref() == Some("missing.service"), "its unit is {unit:?}");
    ensure!(one.cause.summary.contains("203 (EXEC)"), "{}", one.cause.summary);
    ensure!(one.restart.is_none(), "{:?}", one.restart);
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

//! What the recorder must have kept as a service of a real systemd: xtask/guest/systemd/cases/run.sh.
//! Every incident is one of these, and each of these is there.
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::contract::{Incident, Process, Record};

use crate::{
    Check, Job, checks,
    record::{incidents_of, plain, records, valid},
    trial,
};

/// Something that dies, and what must be told of it.
pub struct Case {
    name: &'static str,
    victim: Who,
    deaths: usize,
    class: &'static str,
    /// How a shell has its status.
    status: u32,
    culprit: Option<Who>,
}

/// A process, as people ask for it.
struct Who {
    comm: &'static str,
    exe: &'static str,
    place: Place,
}

/// Where it ran.
enum Place {
    Unit(&'static str),
    /// The file with the id of podman's container, and its name.
    Container(&'static str, &'static str),
    /// The name of a container that ctr has made.
    Ctr(&'static str),
    Pod(&'static Pod),
}

/// A pod of one container.
struct Pod {
    id: &'static str,
    uid: &'static str,
    name: &'static str,
    /// Name and image of the container, where its runtime tells them.
    container: Option<(&'static str, &'static str)>,
}

const fn who(comm: &'static str, exe: &'static str, place: Place) -> Who {
    Who { comm, exe, place }
}

const fn unit(comm: &'static str, exe: &'static str, unit: &'static str) -> Who {
    who(comm, exe, Place::Unit(unit))
}

const fn case(name: &'static str, victim: Who, class: &'static str, status: u32) -> Case {
    Case { name, victim, deaths: 1, class, status, culprit: None }
}

impl Case {
    const fn by(self, culprit: Who) -> Self {
        Self { culprit: Some(culprit), ..self }
    }

    const fn times(self, deaths: usize) -> Self {
        Self { deaths, ..self }
    }
}

const SYSTEMD: Who = unit("systemd", "/usr/lib/systemd/systemd", "init.scope");
const SHELL: Who = unit("sh", "/usr/bin/dash", "cases.service");
const JOURNALD: Who =
    unit("systemd-journal", "/usr/lib/systemd/systemd-journald", "systemd-journald.service");
/// The kernel kills it while it runs.
const SPINNER: Who = unit("spinner", "/usr/local/bin/spinner", "cpu.service");
/// What is to become a unit's program is called so until then.
const MISSING: &str = "(missing)";
const TRUNCATE: &str = "/usr/bin/truncate";

macro_rules! service {
    ($name:literal) => {
        unit($name, concat!("/usr/local/bin/", $name), concat!($name, ".service"))
    };
}

static CASES: [Case; 18] = [
    case("kill_9", service!("killed"), "sent", 137).by(SHELL),
    case("memory_max", service!("hog"), "oom-killed", 137),
    case("the_units_watchdog", service!("silent"), "sent", 134).by(SYSTEMD),
    case("systemctl_kill", service!("commanded"), "sent", 137).by(SYSTEMD),
    case("a_stop_timeout", service!("deaf"), "sent", 137).by(SYSTEMD),
    case("sigsegv_at_once", service!("segv"), "signal", 139),
    case("sigbus_at_once", service!("bus"), "mapped-past-end", 135),
    case("a_loop_until_the_start_limit", service!("loop"), "exited", 3).times(4),
    case("a_script_as_a_service", unit("sh", "/usr/bin/dash", "shell.service"), "exited", 4),
    case("a_limit_of_cpu_time", SPINNER, "sent", 137).by(SPINNER),
    case("a_job_of_cron", service!("served"), "truncated", 135).by(unit(
        "truncate",
        TRUNCATE,
        "cron.service",
    )),
    case("a_timers_service", service!("rotated"), "truncated", 135).by(unit(
        "truncate",
        TRUNCATE,
        "rotate.service",
    )),
    case(
        "a_container_as_victim",
        who("reader", "/reader", Place::Container("victim.cid", "geo-reader")),
        "truncated",
        135,
    )
    .by(unit("truncate", TRUNCATE, "cases.service")),
    case(
        "a_container_as_culprit",
        unit("reader", "/usr/local/bin/reader", "cases.service"),
        "truncated",
        135,
    )
    .by(who("busybox", "/busybox", Place::Container("culprit.cid", "geo-updater"))),
    case(
        "a_container_of_a_millisecond",
        who("victim", "/victim", Place::Container("instant.cid", "geo-instant")),
        "signal",
        139,
    ),
    case(
        "a_pod_that_is_removed_at_once",
        who("instant", "/usr/local/bin/instant", Place::Pod(&LAID_OUT)),
        "signal",
        139,
    ),
    case(
        "a_container_of_containerd",
        who("named", "/named", Place::Ctr("geo-named")),
        "signal",
        139,
    ),
    case("a_container_of_a_pod", who("podded", "/podded", Place::Pod(&BY_CRI)), "signal", 139),
];
/// By the directory of its logs alone.
static LAID_OUT: Pod = Pod {
    id: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    uid: "d3b07384-d9a0-4c8e-9f6d-1c2a3b4c5d6e",
    name: "laid-out",
    container: None,
};
static BY_CRI: Pod = Pod {
    id: "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
    uid: "5f0c9f7e-43a1-4b53-8b5e-0a7b5f2f1d10",
    name: "geo-api-7d9f",
    container: Some(("api", "registry.example/shop/geo-api:1.2")),
};

pub const CHECKS: [(&str, Check); 10] = [
    ("whoever_is_called_so_is_found", found_by_name),
    ("it_is_a_service", it_is_a_service),
    ("nothing_else_is_recorded", nothing_else),
    ("an_orderly_stop_is_no_incident", an_orderly_stop),
    ("commands_of_a_shell_are_no_incidents", commands_of_a_shell),
    ("journald_lives_on", journald_lives_on),
    ("why_systemd_kills_is_told", why_systemd_kills),
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
const WAYS: [(&str, Way); 5] = [
    ("cause", cause),
    ("where", place),
    ("program", program),
    ("list", in_the_table),
    ("why", by_unit),
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

impl Case {
    fn culprit_name(&self) -> Option<&'static str> {
        self.culprit.as_ref().map(|culprit| culprit.comm)
    }
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
        Place::Container(file, name) => {
            let id = job.word(file)?;
            ensure!(container.as_deref() == Some(&id), "its container is {container:?}, not {id}");
            ensure!(cgroup.contains(&id), "its cgroup is {cgroup}");
            called(process, "podman", Some((name, "localhost/case:latest")))?;
        }
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
        Place::Container(file, _) => file,
        Place::Ctr(name) => name,
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

/// An incident that no case expects is noise, or a bug. One is the host's own doing: `podman import`
/// ends the process that unpacked the archive for it by SIGKILL.
fn nothing_else(job: &Job) -> Result<()> {
    let podman = |one: &Incident| plain(&one.victim.comm) == "podman" && one.status() == Some(137);
    let all = incidents_of(&job.text("list.json")?)?;
    let (helpers, others): (Vec<&Incident>, Vec<&Incident>) =
        all.iter().partition(|one| podman(one));
    ensure!(helpers.len() <= 1, "{} helpers of podman", helpers.len());
    let expected = |one: &Incident| {
        [JOURNALD.comm, MISSING].contains(&&*plain(&one.victim.comm))
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
    let found = named(&all, &["orderly"]);
    ensure!(found.is_empty(), "{found:?}");
    let said = job.text("why-orderly.err")?;
    ensure!(said.contains("no matching incidents (of "), "{said}");
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

//! Processes: what the kernel told, and what /proc added.
use super::{at, text};
use crate::{
    contract::{self, Container, Label},
    correlate::incident::Truncation,
    model::{
        cgroup::unit,
        container::{container, pod},
        fact::{Mapper, Process, Unasked, ancestors, cmdline},
        job::job,
        names::ContainerNames,
        task::{Actor, Ancestor, Task},
        time::ClockOffset,
    },
};

/// What every process is shown with.
pub(super) fn process(
    actor: &Actor,
    process: Option<&Process>,
    clock: ClockOffset,
) -> contract::Process {
    let Task { id, uid, ns_tgid, kthread, comm, cgroup, .. } = &actor.task;
    let login = &actor.login;
    let word = |word: &String| text(word.as_bytes());
    let parents = ancestors(actor, process);
    let args = cmdline(actor, process);
    let why = || -> Label {
        let unasked = process.and_then(|process| process.unasked);
        if *kthread {
            "a kernel thread has none".into()
        } else if let Some(Unasked::User) = unasked {
            format!("not looked up: other processes of uid {uid} do not answer").into()
        } else if let Some(Unasked::Others) = unasked {
            "not looked up: too many processes do not answer".into()
        } else if process.is_some_and(|process| process.late) {
            "not resident in its memory, and /proc did not answer in time".into()
        } else {
            "not readable in the kernel (lockdown), and the process was gone before /proc was read"
                .into()
        }
    };
    let path = process.and_then(|process| process.cgroup.as_deref());
    let names = process.and_then(|process| process.names.as_deref());
    contract::Process {
        pid: id.tgid,
        ns_pid: *ns_tgid,
        ppid: parents.first().map(|parent| parent.id.tgid),
        start_time: (id.start != 0).then(|| at(clock, id.start)),
        comm: text(comm),
        exe: process.and_then(|process| process.exe.as_deref()).map(text),
        cmdline: args.map(|args| args.iter().map(|arg| text(arg)).collect()),
        cmdline_why: args.is_none().then(why),
        uid: *uid,
        login_uid: login.uid,
        login_user: process.and_then(|process| process.login_user.as_ref()).map(word),
        audit_session: login.session,
        tty: login.tty.as_deref().map(text),
        cgroup: path.map(text),
        cgroup_why: path.is_none().then(|| cgroup_why(*cgroup).into()),
        container: container_of(path, names),
        pod: pod_of(path, names),
        slurm: path
            .and_then(job)
            .map(|job| contract::SlurmJob { job: job.id, step: job.step.map(Into::into) }),
        unit: path.and_then(unit).map(text),
        unit_timers: process.map_or(&[][..], |process| &process.timers).iter().map(word).collect(),
        cgroup_id: *cgroup,
        ancestors: parents.iter().map(ancestor).collect(),
        thread_comm: None,
        tid: None,
        output: None,
    }
}

/// The container, by the path, or by its runtime, which alone knows of some that they are any.
fn container_of(path: Option<&[u8]>, names: Option<&ContainerNames>) -> Option<Container> {
    let inside = path.and_then(container);
    let known = names.and_then(|names| names.id.as_deref());
    let id = inside.as_ref().map(|inside| &*inside.id).or(known)?;
    let runtime = inside.as_ref().and_then(|inside| inside.runtime);
    let runtime = runtime.or_else(|| names?.runtime.as_deref());
    let word = |name: Option<&String>| name.map(|name| text(name.as_bytes()));
    Some(Container {
        id: id.into(),
        runtime: runtime.map(Into::into),
        name: word(names.and_then(|names| names.name.as_ref())),
        image: word(names.and_then(|names| names.image.as_ref())),
    })
}

fn pod_of(path: Option<&[u8]>, names: Option<&ContainerNames>) -> Option<contract::Pod> {
    let pod = path.and_then(pod)?;
    let word = |name: Option<&String>| name.map(|name| text(name.as_bytes()));
    Some(contract::Pod {
        uid: (&*pod.uid).into(),
        qos: Some(pod.qos.into()),
        name: word(names.and_then(|names| names.pod.as_ref())),
        namespace: word(names.and_then(|names| names.namespace.as_ref())),
    })
}

/// Why nothing tells what a process' cgroup is called.
fn cgroup_why(id: Option<u64>) -> &'static str {
    match id {
        Some(_) => {
            "removed before its name was read, and not known from when it was made (lockdown, or \
             the event was lost or evicted)"
        }
        None => "the kernel did not give the id of its cgroup (5.10 locked down, or no cgroups)",
    }
}

pub(super) fn ancestor(ancestor: &Ancestor) -> contract::Ancestor {
    contract::Ancestor { pid: ancestor.id.tgid, comm: text(&ancestor.comm) }
}

/// Who maps a file, without the one process that is told of anyway.
pub(super) fn mappers(
    truncation: &Truncation,
    but: Option<u32>,
    clock: ClockOffset,
) -> Vec<contract::Mapper> {
    let others = truncation.at_risk.iter().filter(|mapper| Some(mapper.id.tgid) != but);
    others
        .map(|Mapper { id, comm, .. }| contract::Mapper {
            pid: id.tgid,
            start_time: at(clock, id.start),
            comm: text(comm),
        })
        .collect()
}

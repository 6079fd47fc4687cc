//! What of an incident can be asked for, borrowed from wherever it is: one predicate serves the engine's
//! type and the contract's. Pure.
use crate::{
    contract,
    correlate::incident::{Incident, Truncation},
    model::{cause::CauseKind, names::ContainerNames},
};

/// What can be asked for of one incident, or of an early warning.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Facets<'a> {
    /// Victims: one of an incident, those at risk of a warning.
    pub pids: Vec<u32>,
    /// Their names, of the process and of the thread.
    pub comms: Vec<&'a [u8]>,
    pub uid: Option<u32>,
    /// Of the victim; its unit, its container and its pod are parts of it.
    pub cgroup: Option<&'a [u8]>,
    /// What these are called beside: name and id of its container, its image, name and namespace of its pod.
    pub container: Option<&'a [u8]>,
    pub container_id: Option<&'a [u8]>,
    pub image: Option<&'a [u8]>,
    pub pod: Option<&'a [u8]>,
    pub namespace: Option<&'a [u8]>,
    /// The file.
    pub path: Option<&'a [u8]>,
    /// The culprit.
    pub by_pid: Option<u32>,
    pub by_comm: Option<&'a [u8]>,
    /// The cause, as the JSON names it.
    pub class: Option<&'a [u8]>,
    /// How the victim ended as a shell has it, of this or of something later: its status, or 128 and the signal.
    pub status: Option<u32>,
    /// What failed, where, and in which build.
    pub signature: Option<&'a [u8]>,
    /// The host, where incidents of several come together.
    pub host: Option<&'a [u8]>,
    /// Ns since the epoch, where the time is known by that.
    pub time: Option<i64>,
}

impl<'a> From<&'a Incident> for Facets<'a> {
    fn from(incident: &'a Incident) -> Self {
        let victim = &incident.victim.task;
        let culprit = incident.culprit().map(|culprit| &culprit.task);
        let process = incident.victim_process.as_ref();
        let names = process.and_then(|process| process.names.as_deref());
        let called = |of: fn(&ContainerNames) -> &Option<String>| {
            names.and_then(|names| of(names).as_deref()).map(str::as_bytes)
        };
        Self {
            pids: vec![victim.id.tgid],
            comms: vec![&victim.comm, &victim.thread_comm],
            uid: Some(victim.uid),
            cgroup: process.and_then(|process| process.cgroup.as_deref()),
            container: called(|names| &names.name),
            container_id: called(|names| &names.id),
            image: called(|names| &names.image),
            pod: called(|names| &names.pod),
            namespace: called(|names| &names.namespace),
            path: incident.path(),
            by_pid: culprit.map(|culprit| culprit.id.tgid),
            by_comm: culprit.map(|culprit| &culprit.comm[..]),
            class: Some(incident.cause.class.name().as_bytes()),
            status: incident.exit.map(|exit| match exit.code & 0x7f {
                0 => exit.code >> 8 & 0xff,
                signal => 128 + signal,
            }),
            signature: None,
            host: None,
            time: None,
        }
    }
}

/// Of those at risk neither user nor cgroup is known, and nothing has happened to them yet.
impl<'a> From<&'a Truncation> for Facets<'a> {
    fn from(truncation: &'a Truncation) -> Self {
        let culprit = &truncation.shrink.actor.task;
        Self {
            pids: truncation.at_risk.iter().map(|mapper| mapper.id.tgid).collect(),
            comms: truncation.at_risk.iter().map(|mapper| &mapper.comm[..]).collect(),
            path: truncation.path.as_deref(),
            by_pid: Some(culprit.id.tgid),
            by_comm: Some(&culprit.comm),
            // What it warns of.
            class: Some(CauseKind::Truncated.name().as_bytes()),
            ..Self::default()
        }
    }
}

impl<'a> From<&'a contract::Incident> for Facets<'a> {
    fn from(incident: &'a contract::Incident) -> Self {
        let victim = &incident.victim;
        let culprit = incident.cause.culprit.as_ref();
        let thread = victim.thread_comm.as_ref().map(|comm| &comm.0[..]);
        let (container, pod) = (victim.container.as_ref(), victim.pod.as_ref());
        let bytes = |name: &'a Option<contract::Untrusted>| Some(&name.as_ref()?.0[..]);
        Self {
            pids: vec![victim.pid],
            comms: [&victim.comm.0[..]].into_iter().chain(thread).collect(),
            uid: Some(victim.uid),
            cgroup: victim.cgroup.as_ref().map(|cgroup| &cgroup.0[..]),
            container: container.and_then(|container| bytes(&container.name)),
            container_id: container.map(|container| container.id.as_bytes()),
            image: container.and_then(|container| bytes(&container.image)),
            pod: pod.and_then(|pod| bytes(&pod.name)),
            namespace: pod.and_then(|pod| bytes(&pod.namespace)),
            path: incident.path().map(|path| &path.0[..]),
            by_pid: culprit.map(|culprit| culprit.pid),
            by_comm: culprit.map(|culprit| &culprit.comm.0[..]),
            class: Some(incident.cause.class.name().as_bytes()),
            status: incident.status(),
            signature: bytes(&incident.signature),
            host: Some(incident.host.as_bytes()),
            time: Some(incident.time.0),
        }
    }
}

impl<'a> From<&'a contract::Truncation> for Facets<'a> {
    fn from(truncation: &'a contract::Truncation) -> Self {
        let culprit = truncation.culprit.as_ref();
        Self {
            pids: truncation.at_risk.iter().map(|mapper| mapper.pid).collect(),
            comms: truncation.at_risk.iter().map(|mapper| &mapper.comm.0[..]).collect(),
            path: truncation.file.path.as_ref().map(|path| &path.0[..]),
            by_pid: culprit.map(|culprit| culprit.pid),
            by_comm: culprit.map(|culprit| &culprit.comm.0[..]),
            host: Some(truncation.host.as_bytes()),
            time: Some(truncation.time.0),
            ..Self::default()
        }
    }
}

//! Which incidents are wanted. Pure.
use wildmatch::WildMatch;

use crate::{
    cli::Filter,
    correlate::{
        incident::{Incident, Truncation},
        update::Update,
    },
    model::cgroup::container,
};

impl Filter {
    /// Whether an update is about something that is wanted; losses always are.
    pub fn passes(&self, update: &Update) -> bool {
        match update {
            Update::Incident(incident) | Update::Change(incident) => self.wants(incident),
            Update::Truncation(truncation) => self.wants_truncation(truncation),
            Update::Loss(_) | Update::Missed { .. } => true,
        }
    }

    /// Whether an early warning may concern a victim that is wanted.
    fn wants_truncation(&self, truncation: &Truncation) -> bool {
        let actor = &truncation.shrink.actor.task;
        let path = truncation.path.as_deref();
        let at_risk = &truncation.at_risk;
        // Of those at risk neither uid nor cgroup is known yet.
        !self.no_warnings
            && self.uid.is_empty()
            && self.cgroup.is_empty()
            && self.container.is_empty()
            && any(&self.pid, |pid| at_risk.iter().any(|mapper| mapper.id.tgid == *pid))
            && any(&self.comm, |pattern| at_risk.iter().any(|m| glob(pattern, &m.comm)))
            && any(&self.path, |pattern| path.is_some_and(|path| below(path, pattern)))
            && any(&self.by_pid, |pid| actor.id.tgid == *pid)
            && any(&self.by_comm, |pattern| glob(pattern, &actor.comm))
    }

    /// Whether `incident` passes every filter given.
    fn wants(&self, incident: &Incident) -> bool {
        let victim = &incident.victim.task;
        let culprit = incident.culprit();
        let process = incident.victim_process.as_ref();
        let cgroup = process.and_then(|process| process.cgroup.as_deref());
        let path = incident.file.as_ref().and_then(|file| file.path.as_deref());
        any(&self.pid, |pid| *pid == victim.id.tgid)
            && any(&self.comm, |pattern| {
                glob(pattern, &victim.comm) || glob(pattern, &victim.thread_comm)
            })
            && any(&self.uid, |uid| *uid == victim.uid)
            && any(&self.cgroup, |pattern| {
                cgroup.is_some_and(|path| glob(pattern, path) || contains(path, pattern))
            })
            && any(&self.container, |id| cgroup.is_some_and(|path| in_container(path, id)))
            && any(&self.path, |pattern| path.is_some_and(|path| below(path, pattern)))
            && any(&self.by_pid, |pid| culprit.is_some_and(|by| by.task.id.tgid == *pid))
            && any(&self.by_comm, |pattern| culprit.is_some_and(|by| glob(pattern, &by.task.comm)))
    }
}

fn any<T>(wanted: &[T], matches: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(matches)
}

pub fn glob(pattern: &str, bytes: &[u8]) -> bool {
    WildMatch::new(pattern).matches(&String::from_utf8_lossy(bytes))
}

pub fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

/// The file itself, a pattern for it, or a directory above it.
pub fn below(path: &[u8], pattern: &str) -> bool {
    let dir = pattern.strip_suffix('/').unwrap_or(pattern).as_bytes();
    let inside = path.strip_prefix(dir).is_some_and(|rest| rest.starts_with(b"/"));
    inside || glob(pattern, path)
}

pub fn in_container(cgroup: &[u8], id: &str) -> bool {
    !id.is_empty() && container(cgroup).is_some_and(|container| container.id.starts_with(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_hold_their_files() {
        assert!(below(b"/efs/geo/x", "/efs"));
        assert!(below(b"/efs/geo/x", "/efs/geo/"));
        assert!(below(b"/efs/geo/x", "/efs/*/x"));
        assert!(!below(b"/efs2/x", "/efs"));
    }

    #[test]
    fn containers_by_the_start_of_their_id() {
        let id = "0123456789abcdef".repeat(4);
        let path = format!("/system.slice/docker-{id}.scope");
        assert!(in_container(path.as_bytes(), "0123456"));
        assert!(!in_container(path.as_bytes(), "123"));
        assert!(!in_container(path.as_bytes(), ""));
        assert!(!in_container(b"/user.slice/deadbeef", "dead"));
    }
}

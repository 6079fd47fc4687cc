//! What user space looked up, by whom it is about.
use crate::{
    correlate::bounded::BoundedMap,
    model::{
        fact::{Process, View},
        file::Mount,
        task::ProcessId,
    },
};

/// Processes of which it is remembered what /proc told.
const PROCESSES: usize = 2_048;
/// Victims whose mounts are remembered, where they are not ours.
const VIEWS: usize = 64;

/// Facts that outlive the question they answer.
pub struct FactCache {
    processes: BoundedMap<ProcessId, Process>,
    views: BoundedMap<ProcessId, View>,
    mounts: Vec<Mount>,
}

impl Default for FactCache {
    fn default() -> Self {
        let (processes, views) = (BoundedMap::new(PROCESSES), BoundedMap::new(VIEWS));
        Self { processes, views, mounts: Vec::new() }
    }
}

impl FactCache {
    /// What /proc told of a process. Asked twice, it may be gone the second time: what was known
    /// stays.
    pub fn process_seen(&mut self, process: Process) {
        match self.processes.get_mut(&process.id) {
            Some(known) => known.learn(process),
            None => self.processes.insert(process.id, process),
        }
    }

    pub fn view_seen(&mut self, view: View) {
        self.views.insert(view.victim, view);
    }

    pub fn mounts_seen(&mut self, mounts: Vec<Mount>) {
        self.mounts = mounts;
    }

    /// What is known of a process that an answer is about.
    pub fn process(&mut self, id: ProcessId) -> Option<&Process> {
        self.processes.get(&id)
    }

    /// The path of a process' cgroup, where many are looked through: it does not keep any of them.
    pub fn cgroup(&self, id: ProcessId) -> Option<&[u8]> {
        self.processes.peek(&id)?.cgroup.as_deref()
    }

    /// How a victim sees its mounts, where they are not ours.
    pub fn view(&self, victim: ProcessId) -> Option<&View> {
        self.views.peek(&victim)
    }

    /// Our own mounts.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// How many processes and views were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        self.processes.evicted() + self.views.evicted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(tgid: u32, cgroup: Option<&[u8]>) -> Process {
        Process {
            id: ProcessId { tgid, start: 1 },
            exe: None,
            cgroup: cgroup.map(<[u8]>::to_vec),
            cmdline: None,
            ancestors: Vec::new(),
            late: false,
        }
    }

    #[test]
    fn a_process_asked_for_again_and_again_keeps_its_facts() {
        let mut facts = FactCache::default();
        let hot = process(1, Some(b"/hot"));
        facts.process_seen(hot.clone());
        for tgid in 2..2 + PROCESSES as u32 {
            facts.process_seen(process(tgid, None));
            assert_eq!(facts.process(hot.id), Some(&hot), "after {tgid}");
        }
        assert_eq!(facts.process(process(2, None).id), None, "who was asked for longest ago goes");
        assert_eq!(facts.evicted(), 1);
    }

    #[test]
    fn what_was_known_of_a_process_stays() {
        let mut facts = FactCache::default();
        facts.process_seen(process(1, Some(b"/pod")));
        facts.process_seen(process(1, None));
        assert_eq!(facts.cgroup(process(1, None).id), Some(&b"/pod"[..]));
    }

    #[test]
    fn to_be_looked_through_keeps_nobody() {
        let mut facts = FactCache::default();
        for tgid in 1..=PROCESSES as u32 {
            facts.process_seen(process(tgid, Some(b"/")));
        }
        let first = process(1, None).id;
        assert!(facts.cgroup(first).is_some());
        facts.process_seen(process(0, None));
        assert_eq!(facts.cgroup(first), None);
    }
}

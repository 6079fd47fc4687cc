//! Whom the OOM killer kills, and what ran out. Amounts are in pages.
use crate::model::task::{ProcessId, Task};

/// The OOM killer kills a process; whoever sends the signal asked for memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomKill {
    pub victim: ProcessId,
    /// Whom it chose: the victim, or somebody who takes it along.
    pub chosen: Task,
    pub ran_out: RanOut,
    /// The memory and swap there is in all for who asked.
    pub total: u64,
}

/// What there is no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RanOut {
    /// The host's memory.
    Host,
    /// The memory nodes of the cpuset of who asked.
    Cpuset,
    /// Those of its memory policy.
    MemoryPolicy,
    /// What a memory cgroup may use.
    Cgroup(MemoryCgroup),
    /// Nothing: somebody asked for the kill (SysRq f).
    Nothing,
}

/// A memory cgroup that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryCgroup {
    /// As `Task::cgroup`; `None` in another hierarchy.
    pub id: Option<u64>,
    pub memory: Counter,
    /// Memory and swap together, where they have a limit (v1).
    pub memsw: Option<Counter>,
}

/// What is counted against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    pub limit: u64,
    pub used: u64,
}

impl MemoryCgroup {
    /// The counter that is nearer to its limit, and whether it is that of memory and swap together.
    pub fn reached(&self) -> (Counter, bool) {
        let left = |counter: &Counter| counter.limit.saturating_sub(counter.used);
        match self.memsw.filter(|memsw| left(memsw) < left(&self.memory)) {
            Some(memsw) => (memsw, true),
            None => (self.memory, false),
        }
    }
}

//! Whom the OOM killer kills, and what ran out.
use crate::event::{Header, Task};

/// What ran out (`OomKill::constraint`): `enum oom_constraint` (include/linux/oom.h).
pub mod constraint {
    /// The host.
    pub const NONE: u32 = 0;
    /// The memory nodes of the cpuset of who asked for memory.
    pub const CPUSET: u32 = 1;
    /// Those of its memory policy.
    pub const MEMORY_POLICY: u32 = 2;
    /// A memory cgroup.
    pub const MEMCG: u32 = 3;
}

/// The OOM killer is about to send SIGKILL to a process (mm/oom_kill.c oom_kill_process), and this is how things
/// were as it chose. The current thread is who asked for memory: the sender of the signal.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OomKill {
    pub header: Header,
    /// As [`Task::start_time`], of who is killed.
    pub start_time: u64,
    /// Id of the memory cgroup that ran out; 0 if none did, or if [`Task::cgroup`] counts in another hierarchy.
    pub cgroup: u64,
    /// `mem_cgroup.memory.max` of it, in pages; 0 if none ran out.
    pub limit: u64,
    /// `mem_cgroup.memory.usage`, in pages.
    pub used: u64,
    /// `mem_cgroup.memsw`, memory and swap together: its limit, in pages; 0 but in a v1 hierarchy.
    pub memsw_limit: u64,
    /// Its use, in pages.
    pub memsw_used: u64,
    /// `oom_control.totalpages`: the memory and swap there is in all for who asked, in pages.
    pub total: u64,
    /// Whom it chose (`oom_control.chosen`): who is killed, or somebody who takes it along.
    pub chosen: Task,
    /// Who is killed.
    pub tgid: u32,
    /// One of [`constraint`].
    pub constraint: u32,
    /// `oom_control.order`, of two pages asked for; -1 where somebody asked for the kill itself (SysRq f).
    pub order: i32,
    pub pad: u32,
}

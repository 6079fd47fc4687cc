//! Tasks, as every event names them.

/// Bytes of `task_struct.comm`.
pub const COMM: usize = 16;
/// Bytes of the command line that travel with an event; longer ones are cut and flagged.
pub const CMDLINE: usize = 256;
/// Ancestors that travel with an event, nearest first.
pub const ANCESTORS: usize = 8;

/// A task as it is named: (tgid, start_time) is its identity, the rest is how it is shown.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Task {
    /// `group_leader->start_boottime`; 0 where the kernel gives no typed task (5.10 locked down).
    pub start_time: u64,
    /// Id of its cgroup (`kernfs_node.id`, the inode number of its directory) in the hierarchy that
    /// [`crate::config::Config::cgroup_controller`] names; 0 unknown.
    pub cgroup: u64,
    pub tgid: u32,
    pub tid: u32,
    pub uid: u32,
    /// tgid in its own PID namespace; 0 unknown.
    pub ns_tgid: u32,
    /// `task_struct.flags` (PF_KTHREAD is 0x200000).
    pub flags: u32,
    pub pad: u32,
    /// Name of the process (its group leader); may hold stale bytes after the first NUL.
    pub comm: [u8; COMM],
    /// Name of the thread itself.
    pub thread_comm: [u8; COMM],
}

/// One ancestor of an actor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ancestor {
    pub start_time: u64,
    pub tgid: u32,
    pub pad: u32,
    pub comm: [u8; COMM],
}

/// `Actor::flags`: the kernel could not be asked for more than the helpers tell
/// (no ancestors, no start time).
pub const ACTOR_PARTIAL: u32 = 1;
/// `Actor::flags`: the command line was not read (lockdown, kernel thread, page not resident).
pub const ACTOR_NO_CMDLINE: u32 = 2;

/// A task with what is needed to name it after it is gone.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Actor {
    pub task: Task,
    pub ancestors: [Ancestor; ANCESTORS],
    pub ancestor_count: u32,
    pub flags: u32,
    /// Bytes of `cmdline` in use.
    pub cmdline_len: u32,
    /// Bytes the command line really has.
    pub cmdline_full: u32,
    /// NUL-separated, as it stands in the actor's memory.
    pub cmdline: [u8; CMDLINE],
}

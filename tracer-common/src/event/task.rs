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
    /// Those of its group leader, which alone has no PF_FORKNOEXEC (0x40) once the process has called exec(2); 0 in older
    /// streams.
    pub leader_flags: u32,
    /// Name of the process (its group leader); may hold stale bytes after the first NUL.
    pub comm: [u8; COMM],
    /// Name of the thread itself.
    pub thread_comm: [u8; COMM],
}

/// Words of `tty_struct.name` that travel with an event.
pub const TTY: usize = 2;

/// `Login::known`: `uid` and `session` were read (CONFIG_AUDIT).
pub const LOGIN_AUDIT: u32 = 1;

/// Out of which login session a task came, and its terminal: all of it is inherited over fork(2) and exec(2), and su(1)
/// and sudo(8) leave it. All zero where nothing could be read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Login {
    /// LOGIN_* bits.
    pub known: u32,
    /// `task_struct.loginuid`; u32::MAX: nobody did.
    pub uid: u32,
    /// `task_struct.sessionid`; u32::MAX as above.
    pub session: u32,
    pub pad: u32,
    /// The controlling terminal by the kernel's name (`pts3`), its bytes as they lie in memory; all zero without one.
    pub tty: [u64; TTY],
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

//! Processes and threads as they are named.
use serde::{Deserialize, Serialize};

use crate::{model::Bytes, text::base64};

/// Identity of a process: a pid alone is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    pub tgid: u32,
    /// `group_leader->start_boottime`; 0 where the kernel would not tell.
    pub start: u64,
}

impl ProcessId {
    /// Whether both name the same process, a start time of 0 meaning "not known".
    pub fn same(self, other: Self) -> bool {
        self.tgid == other.tgid
            && (self.start == other.start || self.start == 0 || other.start == 0)
    }
}

/// A task as it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub id: ProcessId,
    pub tid: u32,
    pub uid: u32,
    /// tgid in its own PID namespace, if known.
    pub ns_tgid: Option<u32>,
    /// Id of its cgroup as it was then, if known: in the v2 hierarchy, or, where the host has controllers in
    /// v1 ones, in that of `pids` or `memory`.
    pub cgroup: Option<u64>,
    /// Its program as it was then, as /proc/PID/exe would have named it; `None` where the kernel did not tell it.
    pub exe: Option<Bytes>,
    /// A kernel thread: it has no command line.
    pub kthread: bool,
    /// A signal has killed it, or it exits: what it does now is the kernel's doing.
    pub ending: bool,
    /// Its process has not called exec(2) since it was forked: it maps what its parent mapped. (Of a thread the kernel says so of
    /// its own: that of the process is its first thread's.) Older streams do not tell.
    pub forked: bool,
    /// Name of the process.
    pub comm: Bytes,
    /// Name of the thread.
    pub thread_comm: Bytes,
}

/// A process named by its child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    pub id: ProcessId,
    #[serde(with = "base64")]
    pub comm: Bytes,
}

/// A task with what is needed to name it after it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub task: Task,
    /// Nearest first.
    pub ancestors: Vec<Ancestor>,
    /// `None` where it could not be read.
    pub cmdline: Option<Vec<Bytes>>,
    /// The command line is longer than what was kept.
    pub cmdline_cut: bool,
    /// The kernel told only what helpers know; /proc may tell the rest.
    pub partial: bool,
    /// Nothing but of who shrinks a file or sends a signal.
    pub login: Login,
}

/// Out of which login session a task came, and its terminal: inherited over fork(2) and exec(2), and su(1) and sudo(8)
/// leave it. `None` where there is none, or that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The audit login uid.
    pub uid: Option<u32>,
    /// The audit session.
    pub session: Option<u32>,
    /// Its controlling terminal, as it is called below /dev.
    pub tty: Option<Bytes>,
}

impl Actor {
    /// Whether its command line is not known whole.
    pub fn lacks_cmdline(&self) -> bool {
        !self.task.kthread && (self.cmdline.is_none() || self.cmdline_cut)
    }
}

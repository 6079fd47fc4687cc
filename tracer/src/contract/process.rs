//! Processes, as they were at the act.
use serde::{Deserialize, Serialize};

use crate::contract::{Label, Outputs, Time, Untrusted};

/// A process, as it was at the act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Process {
    /// tgid in the host's PID namespace. OpenTelemetry: `process.pid`.
    pub pid: u32,
    /// tgid in its own PID namespace. OpenTelemetry: `process.vpid`.
    pub ns_pid: Option<u32>,
    /// tgid of its parent in the host's PID namespace. OpenTelemetry: `process.parent_pid`.
    pub ppid: Option<u32>,
    /// Start of the process (`group_leader->start_boottime`); with pid its identity. OpenTelemetry:
    /// `process.creation.time`.
    pub start_time: Option<Time>,
    /// Name of the process (`comm` of its thread group leader, up to 15 bytes).
    pub comm: Untrusted,
    /// Its program at the act, called as /proc/PID/exe calls it. OpenTelemetry: `process.executable.path`.
    pub exe: Option<Untrusted>,
    /// Its arguments, as they stood in its memory. OpenTelemetry: `process.command_args`.
    pub cmdline: Option<Vec<Untrusted>>,
    /// Why there are no arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline_why: Option<Label>,
    /// Its real user id. OpenTelemetry: `process.real_user.id`.
    pub uid: u32,
    /// The audit login uid: for whom a login, cron, at(1) or a user's manager opened the session that it came out of. su(1)
    /// and sudo(8) leave it, and a daemon that was started by hand keeps it. A process without one may give itself any:
    /// believe it of one in that user's slice (`/user.slice/user-1000.slice/…` of `cgroup`). Absent where there is none (what
    /// audit calls unset, 4294967295), or the kernel keeps none (CONFIG_AUDIT); of whoever cut a file short or sent a
    /// signal only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// What its host calls that user (/etc/passwd).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_user: Option<Untrusted>,
    /// The audit session, as `login_uid`; logind counts sessions the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_session: Option<u32>,
    /// Its controlling terminal as it is called below /dev (`pts/3`), of whom `login_uid` is told; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<Untrusted>,
    /// Path of its cgroup, from the root of the hierarchy: of v2, or, where the host has controllers in
    /// v1 hierarchies, of that of `pids`, or else `memory`. OpenTelemetry: `process.linux.cgroup`.
    pub cgroup: Option<Untrusted>,
    /// Why its path is not known, and with it neither container nor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_why: Option<Label>,
    /// The container it is in, by the cgroup.
    pub container: Option<Container>,
    /// The Kubernetes pod it is in, by the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// The job of Slurm it belongs to, by the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<SlurmJob>,
    /// The systemd unit it is in, by the cgroup.
    pub unit: Option<Untrusted>,
    /// Timers that are set up to start that unit, by its host's unit files: which of them did, if any, is not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit_timers: Vec<Untrusted>,
    /// Inode number of the cgroup's directory.
    pub cgroup_id: Option<u64>,
    /// Parents, nearest first, at most 8.
    #[serde(default)]
    pub ancestors: Vec<Ancestor>,
    /// Name of the thread (`comm`); of victims only. OpenTelemetry: `thread.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_comm: Option<Untrusted>,
    /// The thread, in the host's PID namespace; of victims only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// Where its standard output and standard error led, by /proc/PID/fd as it faulted or ended; of victims only, and absent
    /// where they were gone by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<Outputs>>,
}

/// A container, as its runtime names it in the cgroup path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Container {
    /// 64 hex digits, as a rule; of LXC and systemd-nspawn the name. OpenTelemetry: `container.id`.
    pub id: Label,
    /// `docker`, `containerd`, `podman`, `cri-o`, `lxc` or `systemd-nspawn`; null where the path does not tell.
    /// OpenTelemetry: `container.runtime.name`.
    pub runtime: Option<Label>,
    /// What people call it, by its runtime's state files as its cgroup was made; absent where they do not tell.
    /// OpenTelemetry: `container.name`, `k8s.container.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Untrusted>,
    /// Its image, by the same. OpenTelemetry: `container.image.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Untrusted>,
}

/// A Kubernetes pod, as the kubelet names its cgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pod {
    /// `metadata.uid`; of a static pod the hash of its manifest. OpenTelemetry: `k8s.pod.uid`.
    pub uid: Label,
    /// Its class: `guaranteed`, `burstable` or `besteffort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Label>,
    /// Its name, by the state files of its runtime, or the directory of its logs; absent where neither tells.
    /// OpenTelemetry: `k8s.pod.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Untrusted>,
    /// Its namespace, by the same. OpenTelemetry: `k8s.namespace.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Untrusted>,
}

/// A job of Slurm, as slurmd names its cgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SlurmJob {
    /// `SLURM_JOB_ID`.
    pub job: u64,
    /// A number, `batch`, `extern` or `interactive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Label>,
}

/// A parent, or a parent's parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ancestor {
    /// tgid in the host's PID namespace.
    pub pid: u32,
    /// Its name.
    pub comm: Untrusted,
}

/// A process that maps a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mapper {
    /// tgid in the host's PID namespace.
    pub pid: u32,
    /// Its start by /proc/PID/stat, to 10 ms.
    pub start_time: Time,
    /// Its name.
    pub comm: Untrusted,
}

//! What did it, and how sure we are of it.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Label, Mapper, Named, Process, Stack, Time, Untrusted, Vocabulary},
    model::cause::{CauseKind, Confidence},
};

/// What did it. The fields between `how` and `culprit` are of the shrink that removed the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cause {
    /// Its name; docs/causes.md has them all.
    pub class: Named<CauseKind>,
    /// Proven: the act was seen. Likely: the state at the fault says so. Unknown: the summary has the
    /// reason.
    pub confidence: Named<Confidence>,
    /// One sentence, of numbers and our own words only.
    pub summary: Label,
    /// The act that shrank the file.
    #[cfg_attr(test, schemars(extend("x-words" = ["truncate", "ftruncate", "open(O_TRUNC)", "fallocate(FALLOC_FL_COLLAPSE_RANGE)", "an attribute update", "open(2) for writing", "an unknown call"])))]
    pub how: Option<Label>,
    /// Size of the file before the act, bytes.
    pub old_size: Option<u64>,
    /// Size of the file after it, bytes.
    pub new_size: Option<u64>,
    /// Of the act.
    pub time: Option<Time>,
    /// From the act to the fault, ns.
    pub before_ns: Option<u64>,
    /// What the culprit called the file: another name of a hard link, the other side of a bind mount or of
    /// overlayfs.
    pub path: Option<Untrusted>,
    /// Whether anybody mapped the file at the act.
    pub mapped: Option<bool>,
    /// Who did it; of an OOM kill, who asked for memory as there was none.
    pub culprit: Option<Process>,
    /// The stack of who shrank the file, as that began; left out where it was not captured, as of a file that nobody
    /// mapped yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub culprit_stack: Option<Stack>,
    /// What /proc said is mapped at the signal's address, where no fault was seen.
    pub mapping: Option<Untrusted>,
    /// Id of the early warning, if there was one.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    pub truncation: Option<Label>,
    /// Other processes that mapped the file when it was shrunk.
    pub at_risk: Option<Vec<Mapper>>,
    /// Other shrinks of the file, latest first.
    #[serde(default)]
    pub others: Vec<Other>,
    /// The memory cgroup whose limit was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// What the OOM killer decided, as it was seen (mm/oom_kill.c oom_kill_process).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom: Option<Oom>,
}

/// A memory cgroup at its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Memory {
    /// Its path, from the root of the hierarchy.
    pub cgroup: Untrusted,
    /// `memory.max`, bytes; in a v1 hierarchy that of memory and swap together, where it is nearer.
    pub limit: u64,
    /// Bytes that counted against it as the OOM killer chose; absent if the limit was looked up after the kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
}

/// What the OOM killer decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Oom {
    /// What ran out: what a memory cgroup may use, the host's memory, or that of the nodes of a cpuset or a memory
    /// policy; or nothing, and somebody asked for a kill.
    #[cfg_attr(test, schemars(extend("x-words" = ["cgroup", "host", "cpuset", "mempolicy", "sysrq"])))]
    pub ran_out: Label,
    /// The memory and swap there is in all for who asked, bytes.
    pub total: u64,
    /// Whom it chose: the victim, or a process that takes it along.
    pub chosen: Chosen,
}

/// Whom the OOM killer chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Chosen {
    /// tgid in the host's PID namespace.
    pub pid: u32,
    /// Its name.
    pub comm: Untrusted,
}

/// A shrink that did not remove the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Other {
    /// Who did it: tgid in the host's PID namespace.
    pub pid: u32,
    /// Its name.
    pub comm: Untrusted,
    /// The act.
    #[cfg_attr(test, schemars(extend("x-words" = ["truncate", "ftruncate", "open(O_TRUNC)", "fallocate(FALLOC_FL_COLLAPSE_RANGE)", "an attribute update", "open(2) for writing", "an unknown call"])))]
    pub how: Label,
    /// Size before the act, bytes.
    pub old_size: u64,
    /// Size after it, bytes.
    pub new_size: u64,
    /// Of the act.
    pub time: Time,
}

impl Vocabulary for CauseKind {
    const FALLBACK: Self = Self::Unknown;

    fn words() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn word(self) -> &'static str {
        self.name()
    }
}

impl Vocabulary for Confidence {
    const FALLBACK: Self = Self::Unknown;

    fn words() -> Vec<Self> {
        vec![Self::Proven, Self::Likely, Self::Unknown]
    }

    fn word(self) -> &'static str {
        self.name()
    }
}

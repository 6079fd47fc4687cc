//! What the history of another host, or of an earlier time, has to say of an incident.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Label, Named, Process, Remote, Time, Untrusted},
    model::cause::Confidence,
};

/// A shrink of the same file on another host, or on the same one before its recorder or itself was started again:
/// joined when it is asked for, by server, export and number of the inode. Recorded as a `truncation` there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Elsewhere {
    /// Of the `truncation`.
    pub id: Label,
    /// Where it was done. OpenTelemetry: `host.name`.
    pub host: Label,
    /// /proc/sys/kernel/random/boot_id of that host.
    pub boot_id: Label,
    /// Likely at most: the clocks of two hosts differ.
    pub confidence: Named<Confidence>,
    /// One sentence, of numbers and our own words only.
    pub summary: Label,
    /// The act.
    #[cfg_attr(test, schemars(extend("x-words" = ["truncate", "ftruncate", "open(O_TRUNC)", "fallocate(FALLOC_FL_COLLAPSE_RANGE)", "an attribute update", "an unknown call"])))]
    pub how: Label,
    /// Size before the act, bytes.
    pub old_size: u64,
    /// Size after it, bytes.
    pub new_size: u64,
    /// Of the act, by the clock of that host.
    pub time: Time,
    /// From the act to the fault, ns, by the clocks of two hosts: below zero if those say that it came after it.
    pub before_ns: i64,
    /// What that host calls the file.
    pub path: Option<Untrusted>,
    /// The server, as that host has it mounted.
    pub remote: Remote,
    /// Who did it.
    pub culprit: Process,
}

//! The early warning.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Label, Mapper, Process, Remote, Server, Time, Untrusted},
    model::fact::is_warning,
};

/// A mapped file was shrunk: told before anybody has crashed. Or, in a history, a file that other hosts may map: then
/// `at_risk` is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Truncation {
    /// Unique across hosts and boots (a UUID of version 7).
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    pub id: Label,
    /// Of the act.
    pub time: Time,
    /// Host name. OpenTelemetry: `host.name`.
    pub host: Label,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: Label,
    /// The file.
    pub file: ShrunkFile,
    /// The act.
    #[cfg_attr(test, schemars(extend("x-words" = ["truncate", "ftruncate", "open(O_TRUNC)", "fallocate(FALLOC_FL_COLLAPSE_RANGE)", "an attribute update", "an unknown call"])))]
    pub how: Label,
    /// Size before the act, bytes.
    pub old_size: u64,
    /// Size after it, bytes.
    pub new_size: u64,
    /// Who did it; null where it was done on another machine, or by a server in user space.
    pub culprit: Option<Process>,
    /// Processes that mapped what was cut off.
    pub at_risk: Vec<Mapper>,
    /// Why the list may be incomplete.
    pub at_risk_why: Option<Label>,
}

/// The file of a warning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShrunkFile {
    /// As one of those who map it sees it, or whoever shrank it. OpenTelemetry: `file.path`.
    pub path: Option<Untrusted>,
    /// Device of its file system (`s_dev`), `major:minor`.
    #[cfg_attr(test, schemars(extend("pattern" = "^[0-9]+:[0-9]+$")))]
    pub dev: Label,
    /// Number of its inode. OpenTelemetry: `file.inode`.
    pub inode: u64,
    /// `i_generation`: tells uses of one inode number apart.
    pub generation: u32,
    /// Type of its file system, if other hosts may have that mounted too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fstype: Option<Untrusted>,
    /// Who has it, if a server on the network does: with the number of its inode that names the file on
    /// every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// Which process serves it, if it is on FUSE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// Why none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_why: Option<Label>,
}

impl Truncation {
    /// Whether anybody here is known to be at risk, or may be although somebody looked. Otherwise it is kept for the
    /// readers of other hosts.
    pub fn is_warning(&self) -> bool {
        is_warning(!self.at_risk.is_empty(), self.at_risk_why.as_deref())
    }
}

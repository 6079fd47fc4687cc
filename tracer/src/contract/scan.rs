//! What `whybus scan` finds.
use serde::{Deserialize, Serialize};

use crate::contract::{Hex, Label, Untrusted};

/// `whybus scan`: a mapping that is a bus error, or a surprise, waiting to happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// Past-end: the mapping reaches past the end of its file. Deleted: an executable or library in no
    /// directory any more. Replaced: the same, and another file stands in its place.
    #[cfg_attr(test, schemars(extend("x-words" = ["past-end", "deleted", "replaced"])))]
    pub what: Label,
    /// Who maps it.
    pub process: FoundProcess,
    /// The file.
    pub file: FoundFile,
    /// The mapping.
    pub mapping: FoundMapping,
}

/// Who has the mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FoundProcess {
    /// Its pid, in our PID namespace. OpenTelemetry: `process.pid`.
    pub pid: u32,
    /// Its name.
    pub comm: Untrusted,
}

/// The file that is mapped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FoundFile {
    /// As /proc/PID/maps has it. OpenTelemetry: `file.path`.
    pub path: Untrusted,
    /// Device as /proc/PID/maps has it, `major:minor`.
    #[cfg_attr(test, schemars(extend("pattern" = "^[0-9]+:[0-9]+$")))]
    pub dev: Label,
    /// Number of its inode. OpenTelemetry: `file.inode`.
    pub inode: u64,
    /// Bytes. OpenTelemetry: `file.size`.
    pub size: u64,
    /// The name it was opened by is gone.
    pub deleted: bool,
}

/// The mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FoundMapping {
    /// First address.
    pub start: Hex,
    /// Address behind the last.
    pub end: Hex,
    /// What is mapped at `start`, bytes from the start of the file.
    pub file_offset: u64,
    /// Bytes of the mapping beyond the last page of the file; null where there are none.
    pub past_end: Option<u64>,
}

/// `whybus scan`, its last line: what was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Scan {
    /// Processes looked at.
    pub processes: u64,
    /// Mappings of files looked at.
    pub mappings: u64,
    /// Findings told.
    pub findings: u64,
    /// Processes that do not show their mappings.
    pub denied: u64,
    /// Mappings whose file could not be looked at.
    pub unknown: u64,
    /// How long it took, ns.
    pub took_ns: u64,
}

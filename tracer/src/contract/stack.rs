//! Where in its program the victim failed.
use serde::{Deserialize, Serialize};

use crate::contract::{Hex, Label, Time, Untrusted};

/// The stack of a thread that died of its own fault or abort(3), as it ended, or that shrank a file, as that began; of a
/// process that survived, its innermost frame alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stack {
    /// Frames of user mode, innermost first.
    pub user: Vec<Frame>,
    /// Why there are no more frames, for people; null if the last one is the outermost.
    pub cut: Option<Label>,
}

/// One frame.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Frame {
    /// Address of the instruction; of a caller, of the one that is returned to. Null of who
    /// shrank a file, where `module_offset` says it: that process may live, and where its files lie is its own.
    pub ip: Option<Hex>,
    /// The function, by the symbol tables of its module, or else by its debug information; `<signal handler called>` where a handler
    /// returns to what the signal came upon. OpenTelemetry: `code.function.name`.
    pub symbol: Option<Untrusted>,
    /// Bytes from the symbol's start; null where debug information says the name.
    pub symbol_offset: Option<u64>,
    /// The file that holds the instruction.
    pub module: Option<Untrusted>,
    /// Of the instruction in the module's file, bytes.
    pub module_offset: Option<u64>,
    /// The build id of the module's file (`NT_GNU_BUILD_ID`), in hex; null if it has none, or was not read.
    /// OpenTelemetry: `process.executable.build_id.gnu`.
    pub build_id: Option<Label>,
    /// Of the instruction in the module as its symbol tables and debug information count: what addr2line(1) takes. Left out
    /// where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_address: Option<Hex>,
    /// The file of the source, by the path that the compiler was told; left out where no debug information says it.
    /// OpenTelemetry: `code.file.path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Untrusted>,
    /// The line in it; of a caller, of the call. Left out where it is not known. OpenTelemetry: `code.line.number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Whether the function was inlined in that of the next frame: both are one on the stack. Left out where it was not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

/// A file that the victim's stack ran through, as it was when the victim died.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Module {
    /// As `module` of a frame.
    pub path: Untrusted,
    /// It is the victim's program. Left out of libraries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub program: bool,
    /// As `build_id` of a frame.
    pub build_id: Option<Label>,
    /// When its contents, its name or its attributes changed last (`st_ctime`); of a file that is `removed`, when that was
    /// done, as a rule.
    pub changed: Time,
    /// When its contents did (`st_mtime`), which whoever copies a file may set; null if it could not be looked at.
    pub written: Option<Time>,
    /// Its path no longer led to it: another file had taken its place, or none. Left out where it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// What its path led to just after the victim's end; left out where that is not certain, or there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Replacement>,
}

/// The file that took the place of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Replacement {
    /// As `build_id` of a frame.
    pub build_id: Option<Label>,
    /// When its contents, its name or its attributes changed last (`st_ctime`): rename(2) is such a change.
    pub changed: Time,
}

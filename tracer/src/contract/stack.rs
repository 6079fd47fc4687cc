//! Where in its program the victim failed.
use serde::{Deserialize, Serialize};

use crate::contract::{Hex, Label, Untrusted};

/// Where it failed; so far only the innermost frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stack {
    /// Frames of user mode, innermost first.
    pub user: Vec<Frame>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Frame {
    /// Address of the instruction.
    pub ip: Hex,
    /// The function, by the symbol tables of its module. OpenTelemetry: `code.function.name`.
    pub symbol: Option<Untrusted>,
    /// Bytes from the symbol's start.
    pub symbol_offset: Option<u64>,
    /// The file that holds the instruction.
    pub module: Option<Untrusted>,
    /// Of the instruction in the module's file, bytes.
    pub module_offset: Option<u64>,
    /// The build id of the module's file (`NT_GNU_BUILD_ID`), in hex; null if it has none, and of signals other than
    /// SIGBUS. OpenTelemetry: `process.executable.build_id.gnu`.
    pub build_id: Option<Label>,
}

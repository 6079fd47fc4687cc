//! When a recorder ran.
use serde::{Deserialize, Serialize};

use crate::contract::{Label, Time};

/// A run of a recorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Run {
    /// Host name. OpenTelemetry: `host.name`.
    pub host: Label,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: Label,
    /// The recorder's pid.
    pub pid: u32,
    /// When watching was complete.
    pub since: Time,
    /// Null while it runs, and if it never got to say so.
    pub until: Option<Time>,
}

//! Recorded incidents, counted.
use serde::{Deserialize, Serialize};

use crate::contract::{Label, Time, Untrusted};

/// `whybus stats`: how many incidents have something in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Count {
    /// What they have in common.
    #[cfg_attr(test, schemars(extend("x-words" = ["cause", "file", "culprit", "victim", "signature", "unit", "container", "pod", "image", "time"])))]
    pub by: Label,
    /// What it is: the name of a cause, a file …, or the start of a span of time.
    pub name: Untrusted,
    /// How many.
    pub incidents: u64,
    /// Of the first of them.
    pub first: Time,
    /// Of the last.
    pub last: Time,
    /// How long the span of time is, ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_ns: Option<u64>,
}

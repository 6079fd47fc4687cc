//! How a recorder and its history are.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Gap, Label, Named, Time, Untrusted, record::whole_gaps},
    model::observe::Readiness,
};

/// `whybus status`: whether a recorder runs, and what its history holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// When this was read.
    pub time: Time,
    /// The recorder that runs; null where none does.
    pub recorder: Option<Recorder>,
    /// The history.
    pub path: Untrusted,
    /// What it takes on the disk, bytes.
    pub size: u64,
    /// Incidents in it.
    pub incidents: u64,
    /// Of them, in the last 24 hours.
    pub last_day: u64,
    /// Time of the first incident in it; null where there is none.
    pub first: Option<Time>,
    /// Time of the last.
    pub last: Option<Time>,
    /// The id of the last, for `whybus show`.
    pub last_id: Option<Label>,
    /// When a recorder began to write to it, for the first time; null where none ever did, and of a history of other hosts,
    /// of which it is not known what was lost.
    #[serde(default)]
    pub began: Option<Time>,
    /// Events and incidents lost in the last 24 hours; null where that is not known.
    pub lost: Option<u64>,
    /// Why it is not known what was lost, nor how long no recorder ran; null where it is.
    #[serde(default)]
    pub lost_unknown: Option<Label>,
    /// The same, by why they were, the most first.
    #[serde(default)]
    pub losses: Vec<Lost>,
    /// How long no recorder ran in the last 24 hours, after one had, ns; null where that is not known.
    pub unwatched_ns: Option<u64>,
    /// Times in the last 24 hours when no recorder ran, or something was lost; the latest first, at most 100.
    #[serde(with = "whole_gaps")]
    #[cfg_attr(test, schemars(with = "Vec<super::schema::Whole<Gap>>"))]
    pub gaps: Vec<Gap>,
}

/// What was lost for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lost {
    /// What, and why.
    pub why: Label,
    /// How many.
    pub lost: u64,
}

/// A recorder that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recorder {
    /// Its pid.
    pub pid: u32,
    /// Since when it watches.
    pub since: Time,
    /// When it said that it is there, last.
    pub seen: Time,
    /// Whether what decides bus errors is watched; null where an older whybus runs.
    pub verdict: Option<Named<Readiness>>,
    /// What cannot be detected there, and why; null where everything can.
    pub summary: Option<Label>,
}

//! The story of one series of deaths.
use serde::{Deserialize, Serialize};

use crate::contract::{
    Before, Elsewhere, Gap, Incident, Label, Time,
    record::{whole, whole_gaps},
};

/// `whybus why`: one restart loop, and the last of its deaths that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Story {
    /// Incidents in it.
    pub incidents: u64,
    /// Ends of processes they stand for.
    pub deaths: u64,
    /// Of the first that was looked at.
    pub first: Time,
    /// Of the last.
    pub last: Time,
    /// More happened than was looked at for restarts and causes.
    pub partial: bool,
    /// How long after its end the program was started again; null where that was never seen.
    pub restarts: Option<RestartSpread>,
    /// For how long it was watched after the last end, ns, if that is known to be less than the 10 minutes in which a restart
    /// is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_after_ns: Option<u64>,
    /// How often each cause, the most frequent first.
    pub causes: Vec<CauseCount>,
    /// In what else the latest deaths of the loop differ, a sentence each; names are escaped. Absent where they are alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Label>,
    /// The incident that is told in full.
    #[serde(with = "whole")]
    #[cfg_attr(test, schemars(with = "super::schema::Whole<Incident>"))]
    pub incident: Incident,
    /// Who may have done it on another host, whose history is in this one too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Box<Elsewhere>>,
    /// What the history holds of its host from before it: whether it is the first of its kind, and of its build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Before>>,
    /// What happened in it, oldest first.
    pub timeline: Vec<Step>,
    /// What it was not.
    pub ruled_out: Vec<RuledOut>,
    /// When nobody was watching near it, or what was seen was lost.
    #[serde(with = "whole_gaps")]
    #[cfg_attr(test, schemars(with = "Vec<super::schema::Whole<Gap>>"))]
    pub gaps: Vec<Gap>,
    /// What to do against it, one sentence.
    pub advice: Label,
    /// The pids of its victims, where all of them are known and few: they tell it from others of the time.
    #[serde(skip)]
    pub pids: Vec<u32>,
}

/// Delays from end to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RestartSpread {
    /// Restarts that were seen.
    pub count: u64,
    /// The shortest delay, ns.
    pub min_ns: u64,
    /// The one in the middle, ns.
    pub median_ns: u64,
    /// The longest, ns.
    pub max_ns: u64,
}

/// How often a cause ended in a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CauseCount {
    /// Its name.
    pub class: Label,
    /// As a shell has it: the status, or 128 and the signal; null where no end was seen.
    pub status: Option<u32>,
    /// Of a cause of class `signal` that signal, where the status does not say so: a handler ended the process otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Label>,
    /// Incidents.
    pub count: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    /// Of the act.
    pub time: Time,
    /// From the step before, ns.
    pub after_ns: u64,
    /// What kind of thing.
    #[cfg_attr(test, schemars(extend("x-words" = ["start", "shrink", "fault", "signal", "exit", "restart"])))]
    pub what: Label,
    /// A sentence; names are escaped.
    pub text: Label,
}

/// A theory that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RuledOut {
    /// The theory.
    pub theory: Label,
    /// The evidence against it.
    pub because: Label,
}

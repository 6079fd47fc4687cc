//! What is told of the watch itself.
use serde::{Deserialize, Serialize};

use crate::{
    contract::{Label, Named, Time, Vocabulary},
    model::observe::Readiness,
};

/// All is watched that can be, or what is watched has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Watching {
    /// Since when all is watched that can be.
    pub time: Time,
    /// Whether what decides bus errors is watched; null in what an older whybus wrote.
    #[serde(default)]
    pub verdict: Option<Named<Readiness>>,
    /// What cannot be told here, and why; null where all can.
    #[serde(default)]
    pub summary: Option<Label>,
    /// Host name. OpenTelemetry: `host.name`.
    pub host: Label,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: Label,
    /// Release of the kernel (`uname -r`).
    pub kernel: Label,
    /// What is attached, each as form and function: `fexit filemap_fault`.
    pub hooks: Vec<Label>,
    /// What could not be attached.
    pub blind: Vec<Blind>,
}

/// A hook that is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Blind {
    /// Form and function.
    pub hook: Label,
    /// Why it is not there.
    pub reason: Label,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Label>,
    /// What is not known without it.
    pub causes: Label,
}

impl Vocabulary for Readiness {
    const FALLBACK: Self = Self::Degraded;

    fn words() -> Vec<Self> {
        vec![Self::Ready, Self::Degraded, Self::NotReady]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not-ready",
        }
    }
}

/// Events are missing from a CPU's numbering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Loss {
    /// The events lie before this time.
    pub time: Time,
    /// The events lie after this time.
    pub from: Time,
    /// The CPU.
    pub cpu: u32,
    /// The ring they did not fit into.
    #[cfg_attr(test, schemars(extend("x-words" = ["decisive", "chatty"])))]
    pub ring: Label,
    /// How many.
    pub lost: u64,
}

/// The kernel did not run a program of ours, because it was running already on that CPU
/// (`recursion_misses` of bpf_prog_info); most such calls would not have been worth an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Missed {
    /// When that was learnt.
    pub time: Time,
    /// Form and function.
    pub hook: Label,
    /// Calls since it was told last.
    pub calls: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// There will be no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct End {
    /// Of the end of the watch, or of the last record of a stream.
    pub time: Time,
    /// What ended it.
    pub reason: Label,
    /// From when watching was complete, ns.
    pub watched_ns: u64,
    /// Incidents, filters aside.
    pub incidents: u64,
    /// Incidents whose cause is not `unknown`.
    pub explained: u64,
    /// Of these, those whose cause is only likely; the others' is proven.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub likely: u64,
    /// Of those whose cause is proven, those that are not `complete`: something that is missing might tell otherwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incomplete: u64,
    /// Events of the kernel that were read.
    pub events: u64,
    /// Events that are missing.
    pub lost: u64,
    /// Calls of hooks that nobody looked at: see `missed`.
    pub missed: u64,
    /// Shrinks of mapped files of which somebody was warned.
    pub truncations: u64,
    /// Shrinks of mapped files of which nobody was warned, because there were too many at once.
    pub not_warned: u64,
    /// Shrinks of files on network file systems that are not in the history, because there were too many at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_recorded: u64,
    /// Signals between processes that were not told as they were sent, because there were too many. Of who ended a
    /// process the last one is told all the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub signals_kept: u64,
    /// Of these, those that are not known of at all: incidents that they may concern are not complete.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub signals_left: u64,
    /// SIGBUS that their process handled or ignored, of which only the first of a second are told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub signals_handled: u64,
    /// Stacks of victims and culprits, and paths of their files, that were not captured: too many of one user, or no room
    /// in the ring.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stacks_lost: u64,
    /// Files of programs that could not be read: the process that reads them took too long, or was ended by what they hold. Functions,
    /// lines and frames are missing where they were needed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_unread: u64,
    /// What could not be told for want of hooks, as the watch ended; absent where all were there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_told: Option<Label>,
    /// Nothing but bus errors was asked for: what people read calls them so. Not written.
    #[serde(skip)]
    pub only_bus_errors: bool,
}

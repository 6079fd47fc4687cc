//! What the engine gives out.
use crate::{
    correlate::incident::{Incident, Truncation},
    model::{observe::Observe, signal::SignalsUntold},
};

/// Events missing from one CPU's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    pub cpu: u32,
    pub ring: u16,
    pub count: u64,
    /// The events lie between these times.
    pub from: u64,
    pub to: u64,
}

/// What the engine has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A new incident.
    Incident(Box<Incident>),
    /// More is known of an incident that was told.
    Change(Box<Incident>),
    /// A mapped file was shrunk; nobody has crashed of it yet.
    Truncation(Box<Truncation>),
    Loss(Loss),
    /// A hook's program was not run, because it was running already on that CPU; most such calls
    /// would not have been worth an event.
    Missed {
        time: u64,
        observe: Observe,
        /// For people.
        hook: String,
        calls: u64,
    },
}

/// What the engine has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub incidents: u64,
    /// Incidents whose cause is not `unknown`.
    pub explained: u64,
    /// Of these, those whose cause is only likely.
    pub likely: u64,
    /// Of those that are proven, those for which something is missing that might tell otherwise.
    pub incomplete: u64,
    pub events: u64,
    pub lost: u64,
    pub truncations: u64,
    /// Calls of hooks that nobody looked at, because their program was running already.
    pub missed: u64,
    /// Shrinks of mapped files of which nobody was warned, because there were too many at once.
    pub not_warned: u64,
    /// Shrinks on shared file systems that the kernel did not send, because there were too many.
    pub not_recorded: u64,
    /// Signals that were too many to be told as they were sent.
    pub signals: SignalsUntold,
    /// Stacks that were too many to be captured.
    pub stacks_lost: u64,
    /// Files of programs that could not be read.
    pub files_unread: u64,
    /// What was forgotten for want of room.
    pub evicted: Evicted,
}

/// How much was forgotten because there was too much of it: answers that needed it lack it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Processes and mount namespaces that were looked up.
    pub facts: u64,
    /// Inodes with their shrinks.
    pub inodes: u64,
    /// Processes that were sent signals, and crash loops.
    pub exits: u64,
    /// Ends and starts that may have been a restart.
    pub restarts: u64,
    /// Incidents that were reported early.
    pub incidents: u64,
}

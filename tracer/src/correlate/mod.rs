//! From events to incidents: who lost which page of which file, why, and what became of it. Pure.
mod blindness;
mod bounded;
pub mod cause;
mod crash_loop;
mod ending;
pub mod engine;
mod errno;
pub mod evidence;
mod exits;
mod facts;
mod forgotten;
mod id;
pub mod incident;
mod instruction;
mod last_outputs;
mod lookups;
mod loss;
mod no_incident;
mod open;
mod open_incidents;
mod overwrites;
mod programs;
mod questions;
pub mod readiness;
pub mod registers;
mod reorder;
#[cfg(test)]
mod replayed;
mod report;
mod restart;
pub mod rules;
mod sameness;
mod shrinks;
mod supervisor;
pub mod update;

pub use open::REPORT_DELAY;

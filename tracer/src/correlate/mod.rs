//! From events to incidents: who lost which page of which file, why, and what became of it. Pure.
mod bounded;
mod crash_loop;
pub mod engine;
pub mod exits;
mod id;
pub mod incident;
mod loss;
mod reorder;
#[cfg(test)]
mod replayed;
mod restart;
pub mod rules;
pub mod update;

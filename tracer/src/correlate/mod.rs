//! From events to incidents: who lost which page of which file, why, and what became of it. Pure.
pub mod death;
pub mod engine;
mod failing;
pub mod incident;
mod recent;
#[cfg(test)]
mod replayed;
mod restart;
pub mod rules;

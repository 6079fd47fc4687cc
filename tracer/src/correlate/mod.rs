//! From events to incidents: who lost which page of which file, why, and what became of it. Pure.
pub mod engine;
pub mod incident;
mod recent;
#[cfg(test)]
mod replayed;
pub mod rules;

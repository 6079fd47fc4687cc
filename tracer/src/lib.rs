//! whybus: why did this process get a bus error?
//!
//! The floors, from the ground. A folder imports only from those above it in this list;
//! `tests/floors.rs` reads the `use` lines and fails otherwise.
pub mod cli;
pub mod cmd;
pub mod contract;
pub mod correlate;
pub mod enrich;
pub mod error;
pub mod explain;
pub mod host;
pub mod model;
pub mod probe;
pub mod render;
pub mod scan;
pub mod select;
pub mod sink;
pub mod store;
#[cfg(test)]
pub mod testing;
pub mod text;
pub mod watch;
pub mod wire;

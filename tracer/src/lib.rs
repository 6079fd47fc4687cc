//! whybus: why did this process get a bus error?
//!
//! The floors, from the ground: a folder imports only from those that come earlier in this list.
//! `tests/floors.rs` reads the list and every `use`, and fails with both names otherwise.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

/// What may go wrong, by what can be done about it.
pub mod error;

/// Strings: what is safe to print, numbers for people, base64.
pub mod text;

/// Nouns: values without behaviour beyond their identity.
pub mod model;

/// This machine without eBPF: clocks, memory, file systems, cgroups, /proc.
pub mod host;

/// Bytes: events as the ring buffers give them, and the saved stream.
pub mod wire;

/// From this kernel to attached programs.
pub mod probe;

/// Inputs to incidents; pure.
pub mod correlate;

/// What leaves the process, and its schema.
pub mod contract;

/// Which incidents are asked for.
pub mod select;

/// Mappings that reach past the end of their files; no eBPF.
pub mod scan;

/// Files of other programs, read by a process that may do nothing else.
pub mod parse;

/// Questions about one event, and their answers.
pub mod enrich;

/// From incidents to words and stories; pure.
pub mod explain;

/// Histories.
pub mod store;

/// From the contract to bytes; pure.
pub mod render;

/// Where records go: standard output, history, journal.
pub mod sink;

/// The one driver, live and replayed.
pub mod watch;

/// The command line.
pub mod cli;

/// One verb a file: call, render, status.
pub mod cmd;

#[cfg(test)]
mod testing;

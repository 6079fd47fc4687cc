//! From this kernel's facts to attached probes: facts → plan → globals → load → rings and counters.
pub mod attach;
pub mod btf;
pub mod config;
pub mod cost;
pub mod counters;
pub mod forced_refusal;
pub mod form;
pub mod heard;
pub mod kernel;
pub mod kretprobes;
pub mod object;
pub mod offsets;
pub mod options;
pub mod plan;
pub mod refusal;
pub mod ring;
pub mod table;

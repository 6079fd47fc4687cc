//! From this kernel's facts to attached probes: facts → plan → globals → load → reader.
pub mod attach;
pub mod btf;
pub mod kernel;
pub mod offsets;
pub mod plan;
pub mod ring;

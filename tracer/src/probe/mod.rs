//! From this kernel's facts to attached probes: facts → plan → globals → load → reader.
pub mod btf;
pub mod facts;
pub mod load;
pub mod offsets;
pub mod plan;
pub mod privilege;
pub mod reader;

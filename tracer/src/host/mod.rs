//! This machine, without eBPF: clocks, memory, file systems, cgroups, containers, /proc. Parsers take bytes.
pub mod bolt;
pub mod cgroup;
pub mod clock;
pub mod fs;
pub mod here;
pub mod huge_pages;
pub mod memory;
pub mod privilege;
pub mod proc;
pub mod restrictions;
pub mod runtime_state;
pub mod runtimes;
pub mod state_file;
pub mod stderr;
pub mod symbols;
pub mod timers;
pub mod users;

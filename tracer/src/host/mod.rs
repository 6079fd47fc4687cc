//! This machine, without eBPF: clocks, memory, file systems, cgroups, /proc. Parsers take bytes.
pub mod cgroup;
pub mod clock;
pub mod fs;
pub mod huge_pages;
pub mod memory;
pub mod privilege;
pub mod proc;
pub mod restrictions;
pub mod stderr;
pub mod symbols;

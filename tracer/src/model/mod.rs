//! The nouns: values without behaviour beyond their identity. Names stay bytes; nothing here can be
//! printed as it is.
//!
//! Times are ns since boot (CLOCK_BOOTTIME), sizes and offsets bytes, unless a field says pages.
pub mod cause;
pub mod cgroup;
pub mod container;
pub mod crash;
pub mod fact;
pub mod fault;
pub mod file;
pub mod host;
pub mod input;
pub mod job;
pub mod log;
pub mod magic;
pub mod names;
pub mod observe;
pub mod oom;
pub mod output;
pub mod pod;
pub mod process;
pub mod remote;
pub mod server;
pub mod shrink;
pub mod signal;
pub mod signal_name;
pub mod stack;
pub mod task;
pub mod time;
pub mod volume;

/// Bytes of unknown origin: names, paths, arguments. Printed only by `output::escape`.
pub type Bytes = Vec<u8>;

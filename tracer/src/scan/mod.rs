//! Bus errors waiting to happen: every mapping on the host that already reaches past the end of
//! its file, and executables and libraries that were deleted or replaced under their processes.
//!
//! Needs no eBPF. `maps` and `judge` are pure; `host` reads /proc.
pub mod finding;
pub mod walk;

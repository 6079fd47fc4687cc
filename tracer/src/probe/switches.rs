//! What stops hooks of functions at any time, and tells nobody who has them attached. They stay attached, are called no
//! more, and are called again once it is taken back.
use std::fs;

/// kernel/trace/ftrace.c ftrace_enable_sysctl: refused while trampolines are attached until 5.19 (`direct_ops` is
/// FTRACE_OPS_FL_PERMANENT), but not from 6.0 on, and never for kprobes.
const FTRACE: &str = "/proc/sys/kernel/ftrace_enabled";
/// kernel/kprobes.c disarm_all_kprobes. Where debugfs is not mounted it was most likely not written to either.
const KPROBES: &str = "/sys/kernel/debug/kprobes/enabled";

/// Which hooks of functions the kernel calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// `kernel.ftrace_enabled`.
    pub ftrace: bool,
    /// `kprobes/enabled` of debugfs.
    pub kprobes: bool,
}

impl Switches {
    /// As on every host that nobody has changed.
    pub const ON: Self = Self { ftrace: true, kprobes: true };

    /// As they are now; what cannot be read is taken to be on.
    pub fn now() -> Self {
        let on = |path| fs::read_to_string(path).map_or(true, |text| text.trim() != "0");
        Self { ftrace: on(FTRACE), kprobes: on(KPROBES) }
    }
}

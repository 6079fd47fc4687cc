//! Whether we may load and attach programs at all.
use std::fs;

use crate::error::Failure;

/// Capabilities by number (include/uapi/linux/capability.h).
const NEEDED: [(u32, &str); 2] = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")];
pub const CAP_SYS_ADMIN: u32 = 21;
pub const CAP_PERFMON: u32 = 38;
pub const CAP_BPF: u32 = 39;

/// What to do about it.
pub const AS_ROOT: &str = "; run it as root: sudo whybus …";

/// # Errors
/// Where a capability is missing.
pub fn check() -> Result<(), Failure> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing(effective(&status));
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Privilege(format!(
        "watching the kernel needs {} (or CAP_SYS_ADMIN), which this process lacks{AS_ROOT}",
        missing.join(" and ")
    )))
}

/// The effective capabilities, by `/proc/PID/status`.
pub fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

fn missing(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| effective >> bit & 1 != 0;
    if has(CAP_SYS_ADMIN) {
        return Vec::new();
    }
    NEEDED.iter().filter(|(bit, _)| !has(*bit)).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing() {
        assert_eq!(missing(0), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing(1 << 39), ["CAP_PERFMON"]);
        assert!(missing(1 << 39 | 1 << 38).is_empty());
        assert!(missing(1 << 21).is_empty());
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), 0x1ff_ffff_ffff);
    }
}

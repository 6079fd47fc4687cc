//! What a process may still do while it watches, as /proc/PID/task/TID/status says it, a line a thread.
use anyhow::{Result, bail, ensure};

/// What decision 26 lists: CAP_CHOWN 0, CAP_DAC_READ_SEARCH 2, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21, CAP_PERFMON 38,
/// CAP_BPF 39 and CAP_CHECKPOINT_RESTORE 40.
pub const KEPT: u64 = 0x1c0_0028_0005;

/// Names of threads, none of which has more than that of what it may have (`bound`), all with no_new_privs and a filter of
/// system calls.
///
/// # Errors
/// Where one has.
pub fn threads(text: &str, bound: impl Fn(u64) -> bool) -> Result<Vec<&str>> {
    let mut names = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, permitted, effective, bounding, no_new, filter] = words[..] else {
            bail!("{line}")
        };
        let of = |hex: &str| u64::from_str_radix(hex, 16);
        ensure!((of(permitted)?, of(effective)?) == (KEPT, KEPT), "{line}");
        ensure!(bound(of(bounding)?), "{line}");
        ensure!((no_new, filter) == ("1", "2"), "{line}");
        names.push(name);
    }
    Ok(names)
}

//! What this host forbids a process of ours: capabilities, lockdown, seccomp, sysctls.
use std::{fs, path::Path};

use rustix::process::{Resource, getrlimit};

use crate::host::{confine, privilege};

/// Where the kernel lists what perf events may be opened on.
const EVENT_SOURCES: &str = "/sys/bus/event_source";

/// What may be why the kernel refuses a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// The effective capabilities, a bit each.
    pub capabilities: u64,
    /// In a user namespace of its own: the kernel asks for capabilities of the first one (`capable()`).
    pub user_namespace: bool,
    /// A seccomp filter that is not our own looks at its system calls.
    pub seccomp: bool,
    /// `none`, `integrity` or `confidentiality`; `None` where securityfs does not tell.
    pub lockdown: Option<String>,
    pub perf_event_paranoid: Option<i64>,
    pub unprivileged_bpf_disabled: Option<i64>,
    /// `net.core.bpf_jit_enable`
    pub jit: Option<i64>,
    /// `kernel.ftrace_enabled`
    pub ftrace: Option<i64>,
    /// /sys is there.
    pub sysfs: bool,
    /// Perf events may be opened on kprobes (CONFIG_KPROBE_EVENTS), as sysfs says.
    pub kprobes: bool,
    /// SELinux enforces its policy.
    pub selinux: bool,
    /// Locked memory is limited, and maps of programs count as that.
    pub locked_memory: bool,
    /// The kernel is one of Ubuntu's, with its patches.
    pub ubuntu: bool,
}

impl Restrictions {
    /// As they are now.
    pub fn gather() -> Self {
        let sysctl = |name: &str| {
            let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
            text.trim().parse().ok()
        };
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            lockdown: lockdown(),
            perf_event_paranoid: sysctl("kernel/perf_event_paranoid"),
            unprivileged_bpf_disabled: sysctl("kernel/unprivileged_bpf_disabled"),
            jit: sysctl("net/core/bpf_jit_enable"),
            ftrace: sysctl("kernel/ftrace_enabled"),
            sysfs: Path::new(EVENT_SOURCES).exists(),
            kprobes: Path::new(EVENT_SOURCES).join("devices/kprobe/type").exists(),
            selinux: read("/sys/fs/selinux/enforce").trim() == "1",
            locked_memory: counts_maps(&read("/proc/version"))
                && getrlimit(Resource::Memlock).current.is_some(),
            ubuntu: is_of_ubuntu(&read("/proc/version")),
            ..Self::of_process(
                &read("/proc/self/status"),
                &read("/proc/self/uid_map"),
                confine::own_filters(),
            )
        }
    }

    /// What /proc says of a process: its `status` and its `uid_map`; `own` filters are its own. Pure.
    fn of_process(status: &str, uid_map: &str, own: u64) -> Self {
        let number = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name));
            value.and_then(|value| value.trim().parse::<u64>().ok())
        };
        // include/linux/uidgid.h: the first namespace maps every id to itself.
        let whole = ["0", "0", "4294967295"];
        Self {
            capabilities: privilege::effective(status),
            user_namespace: !uid_map.is_empty() && !uid_map.split_whitespace().eq(whole),
            // include/uapi/linux/seccomp.h SECCOMP_MODE_FILTER
            seccomp: number("Seccomp:") == Some(2)
                && number("Seccomp_filters:").is_none_or(|filters| filters > own),
            ..Self::default()
        }
    }

    /// Whether the process has the capability of this number.
    pub fn may(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 != 0
    }
}

/// By how a `/proc/version` numbers the build: `#46-Ubuntu SMP`. A compiler of Ubuntu's makes other kernels, too.
fn is_of_ubuntu(version: &str) -> bool {
    let mut words = version.split_whitespace();
    words.any(|word| word.starts_with('#') && word.ends_with("-Ubuntu"))
}

/// Whether a kernel of this `/proc/version` counts maps and programs against RLIMIT_MEMLOCK: before 5.11.
fn counts_maps(version: &str) -> bool {
    let release = version.strip_prefix("Linux version ").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let Some(major) = numbers.next() else { return false };
    (major, numbers.next().unwrap_or(0)) < (5, 11)
}

/// How far the kernel is locked down, as far as it says so.
pub fn lockdown() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    chosen(&text).map(str::to_owned)
}

/// The word in brackets: `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<&str> {
    let mode = text.split_whitespace().find_map(|word| word.strip_prefix('['))?;
    Some(mode.trim_end_matches(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_from_the_host() {
        let status = "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let host = Restrictions::of_process(status, "         0          0 4294967295\n", 0);
        assert!(host.seccomp && !host.user_namespace && host.may(39) && !host.may(41));
        let own = |filters| Restrictions::of_process(status, "", filters).seccomp;
        assert!(own(0) && !own(1));
        let status = "CapEff:\t0000000000000000\nSeccomp:\t0\n";
        let inside = Restrictions::of_process(status, "         0     100000      65536\n", 0);
        assert!(!inside.seccomp && inside.user_namespace && !inside.may(39));
        // Without /proc nothing is known of it.
        assert_eq!(Restrictions::of_process("", "", 0), Restrictions::default());
    }

    #[test]
    fn a_kernel_of_ubuntu_is_told_by_its_build() {
        let of = |number: &str| {
            format!(
                "Linux version 6.8.0 (a@b) (gcc (Ubuntu 11.2.0-19ubuntu1) 11.2.0) {number} SMP x"
            )
        };
        assert!(is_of_ubuntu(&of("#46-Ubuntu")) && is_of_ubuntu(&of("#52~22.04.1-Ubuntu")));
        assert!(!is_of_ubuntu(&of("#1")));
    }

    #[test]
    fn maps_are_locked_memory_before_5_11() {
        let of = |release: &str| counts_maps(&format!("Linux version {release} (a@b) #1"));
        assert!(of("5.10.0-36-amd64") && of("4.18.0-553.el8.x86_64"));
        assert!(!of("5.11.0") && !of("6.1.0-42-amd64") && !counts_maps(""));
    }

    #[test]
    fn the_word_in_brackets_is_the_mode() {
        assert_eq!(chosen("none [integrity] confidentiality\n"), Some("integrity"));
        assert_eq!(chosen("[none] integrity confidentiality\n"), Some("none"));
        assert_eq!(chosen(""), None);
    }
}

//! Whether we may load and attach programs at all, and what a thread of ours may do beside that.
use std::{
    fs, io,
    thread::{self, JoinHandle},
};

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::error::Failure;

pub const CAP_SYS_ADMIN: u32 = 21;
pub const CAP_PERFMON: u32 = 38;
pub const CAP_BPF: u32 = 39;

/// What to do about it.
pub const AS_ROOT: &str = "; run it as root: sudo whybus …";

/// The same where it is root already.
const TAKEN: &str = " although it is root: its container or unit took that away; give it back (docker run --cap-add, \
     CapabilityBoundingSet=)";

/// What a capability is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing is told without it.
    Watching,
    /// Something of somebody.
    Facts,
    /// A history.
    History,
}

/// A capability that watching takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its number (include/uapi/linux/capability.h).
    number: u32,
    pub name: &'static str,
    /// Whether CAP_SYS_ADMIN does as well.
    or_admin: bool,
    pub need: Need,
    /// What follows where it is not there.
    pub without: &'static str,
}

/// Every other one is let go once watching has begun (decision 26).
pub const CAPABILITIES: [Capability; 7] = [
    Capability {
        number: CAP_BPF,
        name: "CAP_BPF",
        or_admin: true,
        need: Need::Watching,
        without: "nothing can be watched",
    },
    Capability {
        number: CAP_PERFMON,
        name: "CAP_PERFMON",
        or_admin: true,
        need: Need::Watching,
        without: "nothing can be watched",
    },
    Capability {
        number: 19,
        name: "CAP_SYS_PTRACE",
        or_admin: false,
        need: Need::Facts,
        without: "mappings, functions and long command lines of processes are not reported, nor who maps a file",
    },
    Capability {
        number: 2,
        name: "CAP_DAC_READ_SEARCH",
        or_admin: false,
        need: Need::Facts,
        without: "files that only their owner may read cannot be looked into, and cgroups that were there before have no name",
    },
    Capability {
        number: 40,
        name: "CAP_CHECKPOINT_RESTORE",
        or_admin: true,
        need: Need::Facts,
        without: "functions in files that were replaced since are not named",
    },
    Capability {
        number: CAP_SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        or_admin: false,
        need: Need::Facts,
        without: "quotas of others are not reported; on Debian and Ubuntu no kprobe attaches unless kernel.perf_event_paranoid is 2",
    },
    Capability {
        number: 0,
        name: "CAP_CHOWN",
        or_admin: false,
        need: Need::History,
        without: "nobody but its owner can read the history",
    },
];

/// # Errors
/// Where a capability is missing.
pub fn check() -> Result<(), Failure> {
    let missing: Vec<&str> = lacking(own(), Need::Watching).map(|one| one.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let fix = if rustix::process::geteuid().is_root() { TAKEN } else { AS_ROOT };
    Err(Failure::Privilege(format!(
        "watching the kernel needs {} (or CAP_SYS_ADMIN), which this process lacks{fix}",
        missing.join(" and ")
    )))
}

/// The effective capabilities of this process.
pub fn own() -> u64 {
    effective(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

impl Capability {
    /// Whether it is among these, or one that does as well is.
    pub fn is_in(&self, effective: u64) -> bool {
        let has = |number: u32| effective >> number & 1 != 0;
        has(self.number) || self.or_admin && has(CAP_SYS_ADMIN)
    }
}

/// What is needed so and is not among these.
pub fn lacking(effective: u64, need: Need) -> impl Iterator<Item = &'static Capability> {
    CAPABILITIES.iter().filter(move |one| one.need == need && !one.is_in(effective))
}

/// Lets go of every capability that watching does not take. The kernel knows capabilities of threads only: of this one,
/// and of those it starts.
///
/// # Errors
/// Where the kernel refuses it.
pub fn shed() -> io::Result<()> {
    shed_to(kept())
}

fn shed_to(kept: CapabilitySet) -> io::Result<()> {
    let permitted = capabilities(None)?.permitted.intersection(kept);
    let inheritable = CapabilitySet::empty();
    let effective = permitted;
    Ok(set_capabilities(None, CapabilitySets { effective, permitted, inheritable })?)
}

fn kept() -> CapabilitySet {
    CapabilitySet::from_bits_retain(CAPABILITIES.iter().map(|one| 1 << one.number).sum())
}

/// What telling somebody takes: files, spools and terminals of others, and a user of one's own. With no_new_privs no
/// program that is run has more (security/commoncap.c `cap_bprm_creds_from_file`). Of the seven above only those of files
/// are among them: a command neither loads programs nor looks into processes.
const FOR_COMMANDS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::AUDIT_WRITE);

/// A thread with no more capabilities than watching takes.
///
/// # Errors
/// Where none can be started.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    spawn_with(kept(), name, work)
}

/// A thread that runs commands of the host's owner, which have its capabilities: fewer than root has.
///
/// # Errors
/// Where none can be started.
pub fn spawn_for_commands<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    spawn_with(FOR_COMMANDS, name, work)
}

fn spawn_with<T: Send + 'static>(
    kept: CapabilitySet,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let confined = move || {
        // What is refused here is refused to the first thread as well, which says so.
        let _ = shed_to(kept);
        work()
    };
    thread::Builder::new().name(name.to_owned()).spawn(confined)
}

/// The effective capabilities, by `/proc/PID/status`.
pub fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        let names = |effective| -> Vec<&str> {
            let of = |need| lacking(effective, need).map(|one| one.name);
            [Need::Watching, Need::Facts, Need::History].into_iter().flat_map(of).collect()
        };
        assert_eq!(names(kept().bits()), [""; 0]);
        assert_eq!(names(0).len(), CAPABILITIES.len());
        for one in &CAPABILITIES {
            let others = kept().bits() & !(1 << one.number);
            assert_eq!(names(others), if one.or_admin { vec![] } else { vec![one.name] });
            assert!(names(others & !(1 << CAP_SYS_ADMIN)).contains(&one.name));
        }
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), 0x1ff_ffff_ffff);
    }

    #[test]
    fn a_thread_has_what_it_needs_and_not_more() {
        let before = capabilities(None).expect("of this thread").permitted;
        let inside = spawn("whybus-test", || capabilities(None).expect("of this thread"));
        let inside = inside.and_then(|thread| thread.join().map_err(|_| io::Error::other("panic")));
        let expected = before.intersection(kept());
        let sets = inside.expect("a thread");
        assert_eq!((sets.permitted, sets.effective), (expected, expected));
        assert_eq!(capabilities(None).expect("of this thread").permitted, before);
    }

    #[test]
    fn a_command_has_neither_what_loads_programs_nor_what_looks_into_processes() {
        let before = capabilities(None).expect("of this thread").permitted;
        let inside = spawn_for_commands("whybus-test", || capabilities(None).expect("its own"));
        let inside = inside.and_then(|thread| thread.join().map_err(|_| io::Error::other("panic")));
        let permitted = inside.expect("a thread").permitted;
        assert_eq!(permitted, before.intersection(FOR_COMMANDS));
        for need in [Need::Watching, Need::Facts] {
            let names: Vec<&str> = lacking(permitted.bits(), need).map(|one| one.name).collect();
            let files = "CAP_DAC_READ_SEARCH";
            let all = CAPABILITIES.iter().filter(|one| one.need == need && one.name != files);
            assert!(all.map(|one| one.name).all(|name| names.contains(&name)), "{names:?}");
        }
    }
}

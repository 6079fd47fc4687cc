//! The table of probes, and which of them this kernel can run. Pure: facts in, plan out.
use super::{btf::Param, facts::Facts};

/// Where a probe attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Fentry(&'static str),
    Fexit(&'static str),
    Tracepoint(&'static str),
}

impl Hook {
    /// The kernel function, where it is one.
    pub fn function(self) -> Option<&'static str> {
        match self {
            Self::Fentry(name) | Self::Fexit(name) => Some(name),
            Self::Tracepoint(_) => None,
        }
    }
}

impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fentry(name) => write!(f, "fentry {name}"),
            Self::Fexit(name) => write!(f, "fexit {name}"),
            Self::Tracepoint(name) => write!(f, "tp_btf {name}"),
        }
    }
}

/// One program of the object.
#[derive(Debug)]
pub struct Probe {
    /// Its name in the object.
    pub program: &'static str,
    pub hook: Hook,
    /// The prototype it was written for: parameters, and which of them is the first that counts.
    prototype: Option<Prototype>,
    /// What is unknown without it.
    pub blind: &'static str,
}

/// Which prototype a program reads its arguments by.
#[derive(Debug)]
struct Prototype {
    params: usize,
    /// (index, struct the parameter points to).
    key: (usize, &'static str),
}

const VM_FAULT: Option<Prototype> = Some(Prototype { params: 1, key: (0, "vm_fault") });
const NOTIFY_CHANGE_0: Option<Prototype> = Some(Prototype { params: 3, key: (0, "dentry") });
const NOTIFY_CHANGE_1: Option<Prototype> = Some(Prototype { params: 4, key: (1, "dentry") });
const SHRINKS: &str = "truncated, truncated-by-self: who shrank a file";

/// Every probe. Programs for several prototypes of one hook stand side by side; at most one
/// matches a kernel.
pub const PROBES: &[Probe] = &[
    Probe {
        program: "filemap_fault",
        hook: Hook::Fexit("filemap_fault"),
        prototype: VM_FAULT,
        blind: "faults on ext4, xfs, btrfs, NFS and FUSE files",
    },
    Probe {
        program: "shmem_fault",
        hook: Hook::Fexit("shmem_fault"),
        prototype: VM_FAULT,
        blind: "faults on tmpfs, memfd and shared memory",
    },
    Probe {
        program: "notify_change_enter_0",
        hook: Hook::Fentry("notify_change"),
        prototype: NOTIFY_CHANGE_0,
        blind: SHRINKS,
    },
    Probe {
        program: "notify_change_enter_1",
        hook: Hook::Fentry("notify_change"),
        prototype: NOTIFY_CHANGE_1,
        blind: SHRINKS,
    },
    Probe {
        program: "notify_change_exit_0",
        hook: Hook::Fexit("notify_change"),
        prototype: NOTIFY_CHANGE_0,
        blind: SHRINKS,
    },
    Probe {
        program: "notify_change_exit_1",
        hook: Hook::Fexit("notify_change"),
        prototype: NOTIFY_CHANGE_1,
        blind: SHRINKS,
    },
    Probe {
        program: "signal_generate",
        hook: Hook::Tracepoint("signal_generate"),
        prototype: None,
        blind: "sent, and every bus error that no file fault caused",
    },
    Probe {
        program: "signal_deliver",
        hook: Hook::Tracepoint("signal_deliver"),
        prototype: None,
        blind: "whether a handler ran (outcomes exited and survived)",
    },
    Probe {
        program: "sched_process_exit",
        hook: Hook::Tracepoint("sched_process_exit"),
        prototype: None,
        blind: "how the victim ended (exit status, core dump)",
    },
];

/// A probe that cannot run here.
#[derive(Debug, Clone)]
pub struct Missing {
    pub probe: &'static Probe,
    pub reason: String,
}

/// What to attach, and what cannot be.
#[derive(Debug, Default)]
pub struct Plan {
    pub attach: Vec<&'static Probe>,
    pub missing: Vec<Missing>,
}

/// Chooses by what BTF says: a program for another prototype may well load.
pub fn choose(facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    for probe in PROBES {
        match fits(probe, facts) {
            Fit::Yes => plan.attach.push(probe),
            Fit::No(reason) => {
                // A sibling for another prototype of the same hook may fit.
                let sibling = PROBES.iter().any(|other| {
                    other.hook == probe.hook && matches!(fits(other, facts), Fit::Yes)
                });
                let told = plan.missing.iter().any(|missing| missing.probe.hook == probe.hook);
                if !sibling && !told {
                    plan.missing.push(Missing { probe, reason });
                }
            }
        }
    }
    plan
}

enum Fit {
    Yes,
    No(String),
}

fn fits(probe: &Probe, facts: &Facts) -> Fit {
    let Some(name) = probe.hook.function() else {
        return Fit::Yes;
    };
    let Some((_, params)) = facts.functions.iter().find(|(known, _)| *known == name) else {
        return Fit::No(format!("this kernel has no function {name} in its BTF"));
    };
    match &probe.prototype {
        Some(wanted) if !matches(wanted, params) => {
            let got: Vec<String> = params
                .iter()
                .map(|param| match &param.points_to {
                    Some(target) => format!("struct {target} *{}", param.name),
                    None => param.name.clone(),
                })
                .collect();
            Fit::No(format!("the prototype {name}({}) is not one we know", got.join(", ")))
        }
        _ => Fit::Yes,
    }
}

fn matches(wanted: &Prototype, params: &[Param]) -> bool {
    let (index, target) = wanted.key;
    params.len() == wanted.params
        && params.get(index).and_then(|param| param.points_to.as_deref()) == Some(target)
}

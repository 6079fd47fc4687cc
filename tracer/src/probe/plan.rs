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
    /// What it is for. Of the programs with one role, the first that fits a kernel is attached.
    pub role: &'static str,
    needs: Needs,
    /// What is unknown without it.
    pub blind: &'static str,
}

/// What a program was written for.
#[derive(Debug)]
enum Needs {
    /// Nothing beyond its hook.
    Hook,
    /// Parameters, and at which index a pointer to which struct.
    Prototype { params: usize, key: (usize, &'static str) },
    /// `bpf_probe_read_kernel`.
    ReadKernel,
}

const VM_FAULT: Needs = Needs::Prototype { params: 1, key: (0, "vm_fault") };
const VM_FAULT_2: Needs = Needs::Prototype { params: 2, key: (0, "vm_fault") };
const NOTIFY_CHANGE_0: Needs = Needs::Prototype { params: 3, key: (0, "dentry") };
const NOTIFY_CHANGE_1: Needs = Needs::Prototype { params: 4, key: (1, "dentry") };
const SEND_SIGNAL: Needs = Needs::Prototype { params: 5, key: (1, "kernel_siginfo") };
const SHRINKS: &str = "truncated, truncated-by-self: who shrank a file";
const SIGNALS: &str = "sent, and every bus error that no file fault caused";

/// Every probe.
pub const PROBES: &[Probe] = &[
    Probe {
        program: "filemap_fault",
        hook: Hook::Fexit("filemap_fault"),
        role: "faults on files",
        needs: VM_FAULT,
        blind: "faults on ext4, xfs, btrfs, NFS and FUSE files",
    },
    Probe {
        program: "shmem_fault",
        hook: Hook::Fexit("shmem_fault"),
        role: "faults on shared memory",
        needs: VM_FAULT,
        blind: "faults on tmpfs, memfd and shared memory",
    },
    Probe {
        program: "page_mkwrite_1",
        hook: Hook::Fexit("do_page_mkwrite"),
        role: "writes without room",
        needs: VM_FAULT,
        blind: "no-space: writes to a hole of a full file system",
    },
    Probe {
        program: "page_mkwrite_2",
        hook: Hook::Fexit("do_page_mkwrite"),
        role: "writes without room",
        needs: VM_FAULT_2,
        blind: "no-space: writes to a hole of a full file system",
    },
    Probe {
        program: "hugetlb_fault",
        hook: Hook::Fexit("hugetlb_fault"),
        role: "faults on huge pages",
        needs: Needs::Prototype { params: 4, key: (1, "vm_area_struct") },
        blind: "hugepages",
    },
    Probe {
        program: "special_mapping_fault",
        hook: Hook::Fexit("special_mapping_fault"),
        role: "faults on special mappings",
        needs: VM_FAULT,
        blind: "special-mapping: vdso, vvar",
    },
    Probe {
        program: "handle_userfault",
        hook: Hook::Fexit("handle_userfault"),
        role: "userfaultfd",
        needs: VM_FAULT_2,
        blind: "userfaultfd",
    },
    Probe {
        program: "filemap_read_folio",
        hook: Hook::Fexit("filemap_read_folio"),
        role: "errors of reads",
        needs: Needs::Prototype { params: 3, key: (0, "file") },
        blind: "which errno a failed read returned (before 5.16)",
    },
    Probe {
        program: "notify_change_enter_0",
        hook: Hook::Fentry("notify_change"),
        role: "shrinks",
        needs: NOTIFY_CHANGE_0,
        blind: SHRINKS,
    },
    Probe {
        program: "notify_change_enter_1",
        hook: Hook::Fentry("notify_change"),
        role: "shrinks",
        needs: NOTIFY_CHANGE_1,
        blind: SHRINKS,
    },
    Probe {
        program: "notify_change_exit_0",
        hook: Hook::Fexit("notify_change"),
        role: "results of shrinks",
        needs: NOTIFY_CHANGE_0,
        blind: "whether a shrink succeeded",
    },
    Probe {
        program: "notify_change_exit_1",
        hook: Hook::Fexit("notify_change"),
        role: "results of shrinks",
        needs: NOTIFY_CHANGE_1,
        blind: "whether a shrink succeeded",
    },
    Probe {
        program: "signal_generate",
        hook: Hook::Tracepoint("signal_generate"),
        role: "signals",
        needs: Needs::ReadKernel,
        blind: SIGNALS,
    },
    Probe {
        program: "send_signal",
        hook: Hook::Fentry("__send_signal_locked"),
        role: "signals",
        needs: SEND_SIGNAL,
        blind: SIGNALS,
    },
    Probe {
        program: "send_signal",
        hook: Hook::Fentry("__send_signal"),
        role: "signals",
        needs: SEND_SIGNAL,
        blind: SIGNALS,
    },
    Probe {
        program: "signal_deliver",
        hook: Hook::Tracepoint("signal_deliver"),
        role: "dispositions",
        needs: Needs::Hook,
        blind: "whether a handler ran (outcomes exited and survived)",
    },
    Probe {
        program: "sched_process_exit",
        hook: Hook::Tracepoint("sched_process_exit"),
        role: "exits",
        needs: Needs::Hook,
        blind: "how the victim ended (exit status, core dump)",
    },
];

/// The functions that any probe hooks.
pub fn functions() -> Vec<&'static str> {
    let mut names: Vec<_> = PROBES.iter().filter_map(|probe| probe.hook.function()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

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
        let filled = plan.attach.iter().any(|chosen| chosen.role == probe.role);
        if filled {
            continue;
        }
        match unfit(probe, facts) {
            None => {
                plan.missing.retain(|missing| missing.probe.role != probe.role);
                plan.attach.push(probe);
            }
            Some(reason) => {
                if plan.missing.iter().all(|missing| missing.probe.role != probe.role) {
                    plan.missing.push(Missing { probe, reason });
                }
            }
        }
    }
    plan
}

/// Why `probe` cannot run here, if it cannot.
fn unfit(probe: &Probe, facts: &Facts) -> Option<String> {
    let mut params: &[Param] = &[];
    if let Some(name) = probe.hook.function() {
        if !facts.ftrace {
            return Some("kernel.ftrace_enabled is 0; sysctl kernel.ftrace_enabled=1".to_owned());
        }
        match facts.functions.iter().find(|(known, _)| *known == name) {
            Some((_, known)) => params = known,
            None => return Some(format!("this kernel has no function {name} in its BTF")),
        }
    }
    match probe.needs {
        Needs::Hook => None,
        Needs::ReadKernel if facts.allowed.read_kernel => None,
        Needs::ReadKernel => Some("lockdown forbids bpf_probe_read_kernel".to_owned()),
        Needs::Prototype { params: count, key: (index, target) } => {
            let points_to = params.get(index).and_then(|param| param.points_to.as_deref());
            if params.len() == count && points_to == Some(target) {
                return None;
            }
            let got: Vec<String> = params
                .iter()
                .map(|param| match &param.points_to {
                    Some(target) => format!("struct {target} *{}", param.name),
                    None => param.name.clone(),
                })
                .collect();
            Some(format!("the prototype {}({}) is not one we know", probe.hook, got.join(", ")))
        }
    }
}

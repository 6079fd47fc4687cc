//! The table of probes, and which of them this kernel can run. Pure: facts in, plan out.
use crate::{
    model::observe::Observe,
    probe::{btf::Param, kernel::KernelInfo},
};

/// Where a probe attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Fentry(&'static str),
    Fexit(&'static str),
    Tracepoint(&'static str),
    /// Of a module: its arguments have no types.
    RawTracepoint(&'static str),
}

impl Hook {
    /// The function or tracepoint.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry(name)
            | Self::Fexit(name)
            | Self::Tracepoint(name)
            | Self::RawTracepoint(name) => name,
        }
    }

    /// The kernel function, where it is one.
    pub fn function(self) -> Option<&'static str> {
        match self {
            Self::Fentry(name) | Self::Fexit(name) => Some(name),
            Self::Tracepoint(_) | Self::RawTracepoint(_) => None,
        }
    }
}

impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fentry(name) => write!(f, "fentry {name}"),
            Self::Fexit(name) => write!(f, "fexit {name}"),
            Self::Tracepoint(name) => write!(f, "tp_btf {name}"),
            Self::RawTracepoint(name) => write!(f, "raw_tp {name}"),
        }
    }
}

/// One program of the object.
#[derive(Debug)]
pub struct Probe {
    /// Its name in the object.
    pub program: &'static str,
    pub hook: Hook,
    /// What it sees. Of the programs that see one thing, the first that fits a kernel is attached.
    pub observe: Observe,
    /// A second program on one hook, for the calls that the first was not run for because it was
    /// running already on that CPU. A kernel that does not preempt needs none.
    pub backup: bool,
    needs: Needs,
    /// Attached only once this module is there; without it there is nothing to see.
    pub module: Option<&'static str>,
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
    /// Pointers to which structs stand first; what follows does not matter.
    First(&'static [&'static str]),
    /// As many parameters.
    Count(usize),
    /// `bpf_probe_read_kernel`.
    ReadKernel,
    /// A kernel that preempts, and a prototype.
    Preempting { params: usize, key: (usize, &'static str) },
    /// A kernel that preempts.
    Preemption,
    /// `bpf_find_vma`, and as many parameters.
    FindVma(usize),
}

const VM_FAULT: Needs = Needs::Prototype { params: 1, key: (0, "vm_fault") };
const VM_FAULT_2: Needs = Needs::Prototype { params: 2, key: (0, "vm_fault") };
const NOTIFY_CHANGE_0: Needs = Needs::Prototype { params: 3, key: (0, "dentry") };
const NOTIFY_CHANGE_1: Needs = Needs::Prototype { params: 4, key: (1, "dentry") };
const FORCE_SIG_FAULT: Needs = Needs::Count(3);
const FALLOCATE: Needs = Needs::Prototype { params: 4, key: (0, "file") };
const SEND_SIGNAL: Needs = Needs::Prototype { params: 5, key: (1, "kernel_siginfo") };
const SHRINKS: &str = "truncated, truncated-by-self: who shrank a file";
const DEVICES: &str = "device-mapping, and every fault whose handler is not hooked";
const COLLAPSES: &str = "truncated by fallocate(FALLOC_FL_COLLAPSE_RANGE)";
const FUSE: &str = "that a FUSE server shrank a file is likely only, never proven";
const FUSE_OPEN: &str = "truncated by open(O_TRUNC) on FUSE (taken for shrunk-elsewhere)";
const NFS: &str = "that an NFS file was shrunk elsewhere is likely only, never proven";
const FUSE_INODE: Needs = Needs::First(&["inode", "file"]);
const EXITS: &str = "how the victim ended (exit status, core dump)";
const SIGNALS: &str = "sent, and every bus error that no file fault caused";

impl Probe {
    /// Whether it must be attached before all others: of two programs in front of one function, the one
    /// that was attached last runs first.
    pub fn first(&self) -> bool {
        self.backup && self.observe == Observe::Shrink
    }

    /// Whether only who asks for restarts needs it.
    fn tells_starts(&self) -> bool {
        matches!(self.observe, Observe::Exec | Observe::Fork)
    }

    /// Whether it does what `other` is for.
    fn replaces(&self, other: &Self) -> bool {
        self.observe == other.observe && self.backup == other.backup
    }

    /// Whether it does what `other` was not run for.
    pub fn stands_in_for(&self, other: &Self) -> bool {
        self.observe == other.observe && self.backup && !other.backup
    }
}

/// Every probe.
pub const PROBES: &[Probe] = &[
    Probe {
        program: "filemap_fault",
        hook: Hook::Fexit("filemap_fault"),
        observe: Observe::FileFault,
        backup: false,
        needs: VM_FAULT,
        module: None,
        blind: "faults on ext4, xfs, btrfs, NFS and FUSE files",
    },
    Probe {
        program: "shmem_fault",
        hook: Hook::Fexit("shmem_fault"),
        observe: Observe::ShmemFault,
        backup: false,
        needs: VM_FAULT,
        module: None,
        blind: "faults on tmpfs, memfd and shared memory",
    },
    Probe {
        program: "page_mkwrite_1",
        hook: Hook::Fexit("do_page_mkwrite"),
        observe: Observe::PageMkwrite,
        backup: false,
        needs: VM_FAULT,
        module: None,
        blind: "no-space: writes to a hole of a full file system",
    },
    Probe {
        program: "page_mkwrite_2",
        hook: Hook::Fexit("do_page_mkwrite"),
        observe: Observe::PageMkwrite,
        backup: false,
        needs: VM_FAULT_2,
        module: None,
        blind: "no-space: writes to a hole of a full file system",
    },
    Probe {
        program: "hugetlb_fault",
        hook: Hook::Fexit("hugetlb_fault"),
        observe: Observe::HugetlbFault,
        backup: false,
        needs: Needs::Prototype { params: 4, key: (1, "vm_area_struct") },
        module: None,
        blind: "hugepages",
    },
    Probe {
        program: "special_mapping_fault",
        hook: Hook::Fexit("special_mapping_fault"),
        observe: Observe::SpecialMappingFault,
        backup: false,
        needs: VM_FAULT,
        module: None,
        blind: "special-mapping: vdso, vvar",
    },
    Probe {
        program: "handle_userfault",
        hook: Hook::Fexit("handle_userfault"),
        observe: Observe::UserfaultFault,
        backup: false,
        needs: VM_FAULT_2,
        module: None,
        blind: "userfaultfd",
    },
    Probe {
        program: "filemap_read_folio",
        hook: Hook::Fexit("filemap_read_folio"),
        observe: Observe::ReadError,
        backup: false,
        needs: Needs::Prototype { params: 3, key: (0, "file") },
        module: None,
        blind: "which errno a failed read returned (before 5.16)",
    },
    Probe {
        program: "dax_iomap_fault",
        hook: Hook::Fexit("dax_iomap_fault"),
        observe: Observe::DaxFault,
        backup: false,
        needs: Needs::Prototype { params: 5, key: (0, "vm_fault") },
        module: Some("nd_pmem"),
        blind: "faults on DAX files of system calls (those with a signal are seen as it is raised)",
    },
    Probe {
        program: "force_sig_fault",
        hook: Hook::Fentry("force_sig_fault"),
        observe: Observe::ForcedSignal,
        backup: false,
        needs: Needs::FindVma(3),
        module: None,
        blind: DEVICES,
    },
    Probe {
        program: "force_sig_fault_cached",
        hook: Hook::Fentry("force_sig_fault"),
        observe: Observe::ForcedSignal,
        backup: false,
        needs: FORCE_SIG_FAULT,
        module: None,
        blind: DEVICES,
    },
    Probe {
        program: "vfs_fallocate_enter",
        hook: Hook::Fentry("vfs_fallocate"),
        observe: Observe::Collapse,
        backup: false,
        needs: FALLOCATE,
        module: None,
        blind: COLLAPSES,
    },
    Probe {
        program: "vfs_fallocate_exit",
        hook: Hook::Fexit("vfs_fallocate"),
        observe: Observe::CollapseResult,
        backup: false,
        needs: FALLOCATE,
        module: None,
        blind: "whether a collapse succeeded",
    },
    Probe {
        program: "fuse_attributes_enter",
        hook: Hook::Fentry("fuse_change_attributes"),
        observe: Observe::FuseSize,
        backup: false,
        needs: Needs::First(&["inode", "fuse_attr"]),
        module: Some("fuse"),
        blind: FUSE,
    },
    Probe {
        program: "fuse_attributes_exit",
        hook: Hook::Fexit("fuse_change_attributes"),
        observe: Observe::FuseSizeResult,
        backup: false,
        needs: Needs::First(&["inode", "fuse_attr"]),
        module: Some("fuse"),
        blind: FUSE,
    },
    Probe {
        program: "fuse_open_enter",
        hook: Hook::Fentry("fuse_open"),
        observe: Observe::FuseOpen,
        backup: false,
        needs: FUSE_INODE,
        module: Some("fuse"),
        blind: FUSE_OPEN,
    },
    Probe {
        program: "fuse_open_exit",
        hook: Hook::Fexit("fuse_open"),
        observe: Observe::FuseOpenResult,
        backup: false,
        needs: FUSE_INODE,
        module: Some("fuse"),
        blind: FUSE_OPEN,
    },
    Probe {
        program: "nfs_size",
        hook: Hook::RawTracepoint("nfs_size_update"),
        observe: Observe::NfsSize,
        backup: false,
        needs: Needs::ReadKernel,
        module: Some("nfs"),
        blind: NFS,
    },
    Probe {
        program: "nfs_size",
        hook: Hook::RawTracepoint("nfs_size_wcc"),
        observe: Observe::NfsSizeReply,
        backup: false,
        needs: Needs::ReadKernel,
        module: Some("nfs"),
        blind: NFS,
    },
    Probe {
        program: "nfs_stale",
        hook: Hook::RawTracepoint("nfs_set_inode_stale"),
        observe: Observe::NfsStale,
        backup: false,
        needs: Needs::ReadKernel,
        module: Some("nfs"),
        blind: "stale-handle, where the kernel makes EIO of it",
    },
    Probe {
        program: "notify_change_again",
        hook: Hook::Fentry("notify_change"),
        observe: Observe::Shrink,
        backup: true,
        needs: Needs::Preempting { params: 4, key: (1, "dentry") },
        module: None,
        blind: "shrinks that a preempted program was not run for",
    },
    Probe {
        program: "notify_change_enter_0",
        hook: Hook::Fentry("notify_change"),
        observe: Observe::Shrink,
        backup: false,
        needs: NOTIFY_CHANGE_0,
        module: None,
        blind: SHRINKS,
    },
    Probe {
        program: "notify_change_enter_1",
        hook: Hook::Fentry("notify_change"),
        observe: Observe::Shrink,
        backup: false,
        needs: NOTIFY_CHANGE_1,
        module: None,
        blind: SHRINKS,
    },
    Probe {
        program: "notify_change_exit_0",
        hook: Hook::Fexit("notify_change"),
        observe: Observe::ShrinkResult,
        backup: false,
        needs: NOTIFY_CHANGE_0,
        module: None,
        blind: "whether a shrink succeeded",
    },
    Probe {
        program: "notify_change_exit_1",
        hook: Hook::Fexit("notify_change"),
        observe: Observe::ShrinkResult,
        backup: false,
        needs: NOTIFY_CHANGE_1,
        module: None,
        blind: "whether a shrink succeeded",
    },
    Probe {
        program: "signal_generate",
        hook: Hook::Tracepoint("signal_generate"),
        observe: Observe::SignalGenerated,
        backup: false,
        needs: Needs::ReadKernel,
        module: None,
        blind: SIGNALS,
    },
    Probe {
        program: "send_signal",
        hook: Hook::Fentry("__send_signal_locked"),
        observe: Observe::SignalGenerated,
        backup: false,
        needs: SEND_SIGNAL,
        module: None,
        blind: SIGNALS,
    },
    Probe {
        program: "send_signal",
        hook: Hook::Fentry("__send_signal"),
        observe: Observe::SignalGenerated,
        backup: false,
        needs: SEND_SIGNAL,
        module: None,
        blind: SIGNALS,
    },
    Probe {
        program: "signal_deliver",
        hook: Hook::Tracepoint("signal_deliver"),
        observe: Observe::SignalDelivered,
        backup: false,
        needs: Needs::Hook,
        module: None,
        blind: "whether a handler ran (outcomes exited and survived)",
    },
    Probe {
        program: "taskstats_exit",
        hook: Hook::Fentry("taskstats_exit"),
        observe: Observe::Exit,
        backup: false,
        needs: Needs::FindVma(2),
        module: None,
        blind: EXITS,
    },
    Probe {
        program: "taskstats_exit_list",
        hook: Hook::Fentry("taskstats_exit"),
        observe: Observe::Exit,
        backup: false,
        needs: Needs::Count(2),
        module: None,
        blind: EXITS,
    },
    Probe {
        program: "sched_process_exit",
        hook: Hook::Tracepoint("sched_process_exit"),
        observe: Observe::Exit,
        backup: false,
        needs: Needs::Hook,
        module: None,
        blind: EXITS,
    },
    Probe {
        program: "sched_process_exit",
        hook: Hook::Tracepoint("sched_process_exit"),
        observe: Observe::Exit,
        backup: true,
        needs: Needs::Preemption,
        module: None,
        blind: "ends that a preempted program was not run for",
    },
    Probe {
        program: "sched_process_exec",
        hook: Hook::Tracepoint("sched_process_exec"),
        observe: Observe::Exec,
        backup: false,
        needs: Needs::Hook,
        module: None,
        blind: "as which process a victim was started again",
    },
    Probe {
        program: "sched_process_fork",
        hook: Hook::Tracepoint("sched_process_fork"),
        observe: Observe::Fork,
        backup: false,
        needs: Needs::Hook,
        module: None,
        blind: "as which process a forked worker was replaced",
    },
    Probe {
        program: "sched_process_exec_again",
        hook: Hook::Tracepoint("sched_process_exec"),
        observe: Observe::Exec,
        backup: true,
        needs: Needs::Preemption,
        module: None,
        blind: "restarts that a preempted program was not run for",
    },
    Probe {
        program: "sched_process_fork_again",
        hook: Hook::Tracepoint("sched_process_fork"),
        observe: Observe::Fork,
        backup: true,
        needs: Needs::Preemption,
        module: None,
        blind: "forked workers that a preempted program was not run for",
    },
];

/// The functions that any probe hooks.
pub fn functions() -> Vec<&'static str> {
    let mut names: Vec<_> = PROBES.iter().filter_map(|probe| probe.hook.function()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The modules that any probe waits for.
pub fn modules() -> Vec<&'static str> {
    let mut names: Vec<_> = PROBES.iter().filter_map(|probe| probe.module).collect();
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
    /// To attach once their modules are there.
    pub pending: Vec<&'static Probe>,
    pub missing: Vec<Missing>,
}

/// Chooses by what BTF says: a program for another prototype may well load. Who starts again is
/// asked for `restarts` only.
pub fn choose(facts: &KernelInfo, restarts: bool) -> Plan {
    let mut plan = Plan::default();
    for probe in PROBES {
        let filled = plan.attach.iter().any(|chosen| chosen.replaces(probe));
        // A program attaches to one place only.
        let taken = plan
            .attach
            .iter()
            .any(|chosen| chosen.program == probe.program && chosen.hook == probe.hook);
        if probe.backup && (taken || !facts.preempts) {
            continue;
        }
        if filled || !restarts && probe.tells_starts() {
            continue;
        }
        if probe.module.is_some_and(|module| !facts.modules.contains(&module)) {
            plan.pending.push(probe);
            continue;
        }
        match unfit(probe, facts) {
            None => {
                plan.missing.retain(|missing| !missing.probe.replaces(probe));
                plan.attach.push(probe);
            }
            Some(reason) => {
                if !plan.missing.iter().any(|missing| missing.probe.replaces(probe)) {
                    plan.missing.push(Missing { probe, reason });
                }
            }
        }
    }
    plan
}

/// Why `probe` cannot run here, if it cannot.
fn unfit(probe: &Probe, facts: &KernelInfo) -> Option<String> {
    let mut params: &[Param] = &[];
    if let Some(name) = probe.hook.function() {
        if !facts.ftrace {
            return Some("kernel.ftrace_enabled is 0; sysctl kernel.ftrace_enabled=1".to_owned());
        }
        match facts.functions.iter().find(|(known, _)| *known == name) {
            Some((_, known)) => params = known,
            None if probe.module.is_some() => {
                return Some(format!("{name} is in a module here, whose functions are not hooked"));
            }
            None => return Some(format!("this kernel has no function {name} in its BTF")),
        }
    }
    match probe.needs {
        Needs::Hook | Needs::Preemption => None,
        Needs::First(targets) => {
            let known = targets.iter().enumerate().all(|(index, target)| {
                params.get(index).and_then(|param| param.points_to.as_deref()) == Some(target)
            });
            (!known).then(|| foreign(probe, params))
        }
        Needs::FindVma(_) if !facts.allowed.find_vma => {
            Some("this kernel has no bpf_find_vma (before 5.17)".to_owned())
        }
        Needs::Count(count) | Needs::FindVma(count) => {
            (params.len() != count).then(|| foreign(probe, params))
        }
        Needs::ReadKernel if facts.allowed.read_kernel => None,
        Needs::ReadKernel => Some("lockdown forbids bpf_probe_read_kernel".to_owned()),
        Needs::Prototype { params: count, key: (index, target) }
        | Needs::Preempting { params: count, key: (index, target) } => {
            let points_to = params.get(index).and_then(|param| param.points_to.as_deref());
            if params.len() == count && points_to == Some(target) {
                return None;
            }
            Some(foreign(probe, params))
        }
    }
}

fn foreign(probe: &Probe, params: &[Param]) -> String {
    let got: Vec<String> = params
        .iter()
        .map(|param| match &param.points_to {
            Some(target) => format!("struct {target} *{}", param.name),
            None => param.name.clone(),
        })
        .collect();
    format!("the prototype {}({}) is not one we know", probe.hook, got.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observe::observe_of_hook;

    /// Streams of the past name hooks only, and must mean the same today.
    #[test]
    fn a_hook_of_an_old_stream_is_what_its_probe_sees() {
        for probe in PROBES {
            let hook = probe.hook.to_string();
            assert_eq!(observe_of_hook(&hook), Some(probe.observe), "{hook}");
        }
    }
}

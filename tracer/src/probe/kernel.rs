//! What this kernel has and allows, gathered once at start-up.
use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use aya::{
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};
use tracer_common::{
    config::{read_user, task},
    offsets::Offsets,
};

use crate::{
    host::{
        cgroup,
        restrictions::{Restrictions, lockdown},
    },
    model::observe::Observe,
    probe::{
        btf::{Btf, Param, Types},
        offsets,
        options::{self, BuildOption},
        switches::Switches,
    },
};

/// Where the running kernel publishes its types.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The enum that numbers the controllers of cgroups.
pub const CONTROLLERS: &str = "cgroup_subsys_id";

/// The enum that numbers the kinds of maps.
pub const MAPS: &str = "bpf_map_type";

/// The enum that numbers the helpers of programs.
const HELPERS: &str = "bpf_func_id";

/// A member that came with the count of kprobes that were not run (kernel/trace/bpf_trace.c trace_call_bpf), which has none
/// of its own.
const SINCE_6_7: (&str, &str) = ("bpf_prog_aux", "bpf_exception_cb");

/// Everything the plan is chosen by.
#[derive(Debug, Clone)]
pub struct KernelInfo {
    /// `uname -r`.
    pub release: String,
    pub offsets: Offsets,
    /// Struct fields the probes need and this kernel has not.
    pub missing_fields: Vec<String>,
    /// It has ring buffers for programs (5.8; RHEL 8.4).
    pub ring_buffer: bool,
    /// What it was built without.
    pub not_built: Vec<&'static BuildOption>,
    /// Hook functions that exist, with what they take.
    pub functions: Vec<(&'static str, Vec<Param>)>,
    /// Modules that probes wait for, those that are loaded or built in.
    pub modules: Vec<&'static str>,
    pub allowed: Allowed,
    /// The kernel may be preempted in a program (CONFIG_PREEMPT_DYNAMIC, lazy or full preemption).
    pub preempts: bool,
    /// Kprobes that were not run are counted, as trampolines are (6.7); and no user can make the kernel skip them, as who reads a
    /// map by bpf(2) in a loop, and is preempted there, does (`bpf_prog_active`).
    pub trusts_kprobes: bool,
    pub switches: Switches,
    /// The v1 hierarchy that names cgroups; `None` if that is the v2 one.
    pub cgroup_v1: Option<CgroupV1>,
}

/// A v1 hierarchy of cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupV1 {
    /// Where its controller stands in `enum cgroup_subsys_id`.
    pub controller: u32,
    /// `cgroup_root.hierarchy_id`
    pub hierarchy: u32,
}

/// What the verifier lets a program do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// `bpf_probe_read_kernel`: refused under confidentiality lockdown.
    pub read_kernel: bool,
    /// `bpf_get_current_task_btf`: since 5.11.
    pub task_btf: bool,
    /// `bpf_snprintf`: since 5.13.
    pub snprintf: bool,
    /// `bpf_find_vma`: since 5.17.
    pub find_vma: bool,
    /// `bpf_task_pt_regs`: since 5.15.
    pub task_regs: bool,
}

impl Allowed {
    fn by_trying() -> Self {
        Self {
            read_kernel: helper(BpfHelper::BPF_FUNC_probe_read_kernel),
            task_btf: helper(BpfHelper::BPF_FUNC_get_current_task_btf),
            snprintf: helper(BpfHelper::BPF_FUNC_snprintf),
            find_vma: helper(BpfHelper::BPF_FUNC_find_vma),
            task_regs: helper(BpfHelper::BPF_FUNC_task_pt_regs),
        }
    }

    /// By the helpers that the kernel knows, for who may not try: what lockdown forbids of them is known.
    fn by_types(types: &impl Types) -> Self {
        let knows = |name: &str| types.enumerator(HELPERS, &format!("BPF_FUNC_{name}")).is_some();
        let locked = lockdown().is_some_and(|mode| mode == "confidentiality");
        Self {
            read_kernel: knows("probe_read_kernel") && !locked,
            task_btf: knows("get_current_task_btf"),
            snprintf: knows("snprintf"),
            find_vma: knows("find_vma"),
            task_regs: knows("task_pt_regs"),
        }
    }

    /// How programs read the current task (`tracer_common::config::task`).
    pub fn task(self) -> u32 {
        match (self.task_btf, self.read_kernel) {
            (true, _) => task::TYPED,
            (false, true) => task::PROBE,
            (false, false) => task::HELPERS,
        }
    }
}

impl Allowed {
    /// How programs read a command line (`tracer_common::config::read_user`).
    pub fn read_user(self) -> u32 {
        match (self.read_kernel, self.snprintf) {
            (true, _) => read_user::PROBE,
            // aya rewrites bpf_probe_read_user to bpf_probe_read where its probe for
            // bpf_probe_read_kernel fails (aya-obj Function::sanitize), and that is refused.
            (false, true) => read_user::SNPRINTF,
            (false, false) => read_user::NONE,
        }
    }
}

/// What is learnt of a kernel elsewhere than in its types.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `uname -r`.
    pub release: String,
    /// Modules that probes wait for, those that are loaded or built in.
    pub modules: Vec<&'static str>,
    pub allowed: Allowed,
    pub preempts: bool,
    pub trusts_kprobes: bool,
    pub switches: Switches,
    /// The controller whose v1 hierarchy names cgroups, and that hierarchy's number.
    pub cgroup_v1: Option<(&'static str, u32)>,
}

impl KernelInfo {
    /// Reads this kernel's BTF, also for the functions named in `hooks`, and looks which of `modules`
    /// are there. Only who may load programs (`may_try`) can ask the verifier whether they may call a helper.
    ///
    /// # Errors
    /// Where the kernel publishes none, or it cannot be read.
    pub fn gather(hooks: &[&'static str], modules: &[&'static str], may_try: bool) -> Result<Self> {
        let data = fs::read(BTF).map_err(|error| no_btf(&error))?;
        let mut asked: Vec<&str> = offsets::wanted().collect();
        asked.extend(hooks);
        asked.extend(options::wanted());
        asked.extend([CONTROLLERS, HELPERS, MAPS, SINCE_6_7.0]);
        let btf = Btf::parse(data, &asked).with_context(|| format!("reading {BTF}"))?;
        let setting = Setting {
            release: release(),
            preempts: fs::read_to_string("/proc/version").is_ok_and(|version| preempts(&version)),
            trusts_kprobes: btf.offset(SINCE_6_7.0, SINCE_6_7.1).is_some()
                && Restrictions::gather().unprivileged_bpf_disabled.is_some_and(|mode| mode != 0),
            switches: Switches::now(),
            modules: modules.iter().copied().filter(|name| module(name)).collect(),
            allowed: if may_try { Allowed::by_trying() } else { Allowed::by_types(&btf) },
            cgroup_v1: cgroup::v1_hierarchy(),
        };
        Ok(Self::of(&btf, hooks, setting))
    }

    /// Why nothing at all can be watched on it, if that is so.
    pub fn unusable(&self) -> Option<String> {
        let Self { release, missing_fields, .. } = self;
        if !self.ring_buffer {
            return Some(format!(
                "Linux {release} has no BPF ring buffer, which whybus needs (Linux 5.8, RHEL 8.4)"
            ));
        }
        (!missing_fields.is_empty()).then(|| {
            format!(
                "Linux {release} has no {}: its structs are not those whybus knows (5.10 to 7.3); please \
                 report this, with the file {BTF}",
                missing_fields.join(", ")
            )
        })
    }

    /// Whether it was built without what there is to see there.
    pub fn is_built_without(&self, observe: Observe) -> bool {
        self.not_built.iter().any(|option| option.observe == observe)
    }

    /// What `types` say of the fields that probes read and of the functions named in `hooks`. Pure.
    pub fn of(types: &impl Types, hooks: &[&'static str], setting: Setting) -> Self {
        let Setting { release, modules, allowed, preempts, trusts_kprobes, switches, cgroup_v1 } =
            setting;
        let cgroup_v1 = cgroup_v1.and_then(|(controller, hierarchy)| {
            let word = format!("{controller}_cgrp_id");
            let controller = types.enumerator(CONTROLLERS, &word)?;
            Some(CgroupV1 { controller, hierarchy })
        });
        let (offsets, missing_fields) = offsets::resolve(types);
        let functions = hooks.iter().filter_map(|name| Some((*name, types.params(name)?)));
        let functions = functions.collect();
        Self {
            release,
            offsets,
            missing_fields,
            ring_buffer: types.enumerator(MAPS, "BPF_MAP_TYPE_RINGBUF").is_some(),
            not_built: options::not_built(types),
            functions,
            modules,
            allowed,
            preempts,
            trusts_kprobes,
            switches,
            cgroup_v1,
        }
    }
}

/// Whether a kernel of this `/proc/version` may preempt a program (init/version-timestamp.c:
/// `SMP PREEMPT_DYNAMIC`).
pub fn preempts(version: &str) -> bool {
    version.contains("PREEMPT")
}

fn helper(helper: BpfHelper) -> bool {
    // Tracing programs cannot be probed without a target; raw tracepoints share their helpers
    // (kernel/trace/bpf_trace.c bpf_tracing_func_proto).
    is_helper_supported(ProgramType::RawTracePoint, helper).unwrap_or(false)
}

fn no_btf(error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "this kernel publishes no types: reading {BTF}: {error}; whybus needs a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y (that of Debian 11, RHEL 8.4, Ubuntu 22.04, or later) and /sys mounted"
    )
}

/// Whether a module is loaded, or built in. One that is built in and takes no parameters has no directory of its
/// own under /sys/module, but a file system may have one under /sys/fs.
pub fn module(name: &str) -> bool {
    ["/sys/module", "/sys/fs"].iter().any(|place| Path::new(place).join(name).exists())
}

/// `uname -r`.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RHEL 8.2 and Ubuntu 20.04 publish types, too, and whybus cannot be run there all the same.
    #[test]
    fn who_has_no_types_is_sent_to_a_kernel_that_does() {
        let said = no_btf(&io::ErrorKind::NotFound.into()).to_string();
        assert!(said.contains("Debian 11, RHEL 8.4, Ubuntu 22.04, or later"), "{said}");
        assert!(!said.contains("8.2") && !said.contains("20.10"), "{said}");
    }
}

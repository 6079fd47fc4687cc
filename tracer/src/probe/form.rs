//! The forms a probe has: where a program attaches, and what it was written for.
use tracer_common::offsets::ABSENT;

use crate::{
    host::restrictions::Restrictions,
    probe::{
        btf::Param,
        kernel::KernelInfo,
        refusal::{FTRACE_OFF, KPROBES_OFF, NO_TRAMPOLINES, Why, no_kprobes},
        switches::Switches,
    },
};

/// Where a program attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Fentry(&'static str),
    Fexit(&'static str),
    TpBtf(&'static str),
    /// Of a module: its arguments have no types.
    RawTp(&'static str),
    /// Of a function by its name, also of a module: its arguments have no types.
    Kprobe(&'static str),
    /// As it returns, by when its arguments are gone, but for those that a kprobe has kept.
    Kretprobe(&'static str),
}

/// Whether kprobes at the entry of a function need ftrace, too (CONFIG_KPROBES_ON_FTRACE, which arm64 has not): where
/// that is off they are attached and never fire.
const KPROBES_ON_FTRACE: bool = cfg!(target_arch = "x86_64");

/// Whether programs know where a thread's registers of user mode stand, without being told.
fn finds_registers(kernel: &KernelInfo) -> bool {
    let known = kernel.offsets.task_stack != ABSENT && kernel.offsets.regs_call != ABSENT;
    cfg!(target_arch = "x86_64") && known
}

impl Form {
    /// The kernel function.
    pub fn function(self) -> Option<&'static str> {
        match self {
            Self::Fentry(function)
            | Self::Fexit(function)
            | Self::Kprobe(function)
            | Self::Kretprobe(function) => Some(function),
            Self::TpBtf(_) | Self::RawTp(_) => None,
        }
    }

    /// Whether it hooks a function by a trampoline, which not every kernel attaches.
    pub fn is_trampoline(self) -> bool {
        matches!(self, Self::Fentry(_) | Self::Fexit(_))
    }

    /// Whether it is dead where `kernel.ftrace_enabled` is 0.
    pub fn needs_ftrace(self) -> bool {
        self.is_trampoline() || self.function().is_some() && KPROBES_ON_FTRACE
    }

    /// Whether it is a kprobe, at the entry of a function or at its return.
    pub fn is_kprobe(self) -> bool {
        matches!(self, Self::Kprobe(_) | Self::Kretprobe(_))
    }

    /// Why such a hook is not called, if something that it needs is switched off.
    pub fn silenced_by(self, switches: Switches) -> Option<&'static Why> {
        if self.needs_ftrace() && !switches.ftrace {
            return Some(&FTRACE_OFF);
        }
        (self.is_kprobe() && !switches.kprobes).then_some(&KPROBES_OFF)
    }

    /// Why no such hook attaches, if the host is known to lack what it takes. Whether it does where nothing is lacking only
    /// an attempt tells.
    pub fn lacked_by(self, host: &Restrictions) -> Option<&'static Why> {
        // Without CONFIG_DYNAMIC_FTRACE the sysctl is not there, and no function begins with room for a call.
        if self.is_trampoline() && host.ftrace.is_none() {
            return Some(&NO_TRAMPOLINES);
        }
        (self.is_kprobe() && !host.kprobes).then(|| no_kprobes(host))
    }

    /// Whether the kernel's types must be at hand to attach it.
    pub fn is_typed(self) -> bool {
        !matches!(self, Self::RawTp(_) | Self::Kprobe(_) | Self::Kretprobe(_))
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fentry(function) => write!(f, "fentry {function}"),
            Self::Fexit(function) => write!(f, "fexit {function}"),
            Self::TpBtf(tracepoint) => write!(f, "tp_btf {tracepoint}"),
            Self::RawTp(tracepoint) => write!(f, "raw_tp {tracepoint}"),
            Self::Kprobe(function) => write!(f, "kprobe {function}"),
            Self::Kretprobe(function) => write!(f, "kretprobe {function}"),
        }
    }
}

/// One program of the object.
#[derive(Debug)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    pub form: Form,
    pub needs: Needs,
    /// Of a kretprobe: what keeps the arguments of its function.
    pub kept: Option<Kept>,
}

/// How the arguments of a function are kept until it returns.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// The program at its entry.
    pub by: &'static str,
    /// One of [`tracer_common::maps::call`].
    pub call: u32,
}

/// What a program was written for.
#[derive(Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing beyond its hook.
    Hook,
    /// So many parameters, and at which index a pointer to which struct.
    Prototype { params: usize, key: (usize, &'static str) },
    /// Pointers to which structs stand first; what follows does not matter.
    First(&'static [&'static str]),
    /// As many parameters.
    Count(usize),
    /// `bpf_probe_read_kernel`.
    ReadKernel,
    /// That the kernel's own types know the function.
    Known(&'static str),
    /// `bpf_find_vma`, and as many parameters.
    FindVma(usize),
    /// `bpf_find_vma` and `bpf_probe_read_kernel`.
    Vma,
    /// `bpf_find_vma` alone.
    TypedVma,
    /// The VMAs that a thread has looked up last, on its task until 6.0, and `bpf_probe_read_kernel`.
    VmaCache,
}

impl Program {
    /// The kernel function that is looked for among its own types.
    pub fn function(&self) -> Option<&'static str> {
        match self.needs {
            Needs::Known(function) => Some(function),
            Needs::Hook | Needs::ReadKernel | Needs::Vma | Needs::TypedVma | Needs::VmaCache
                if !self.form.is_trampoline() =>
            {
                None
            }
            _ => self.form.function(),
        }
    }

    /// Why it cannot run on `kernel`, if it cannot. A function of a module is no function of the
    /// kernel's own BTF.
    pub fn unfit(&self, kernel: &KernelInfo, module: Option<&str>) -> Option<String> {
        if let Some(off) = self.form.silenced_by(kernel.switches) {
            return Some(format!("{}; {}", off.why, off.fix));
        }
        let mut params: &[Param] = &[];
        if let Some(function) = self.function() {
            match kernel.functions.iter().find(|(known, _)| *known == function) {
                Some((_, known)) => params = known,
                None if module.is_some() => {
                    return Some(format!(
                        "{function} is in a module here, whose types are not read"
                    ));
                }
                None => return Some(format!("this kernel has no function {function} in its BTF")),
            }
        }
        if !self.form.is_typed() && !kernel.allowed.read_kernel {
            return Some("lockdown forbids bpf_probe_read_kernel".to_owned());
        }
        let points_to =
            |index: usize| params.get(index).and_then(|param| param.points_to.as_deref());
        let fits = match self.needs {
            Needs::Hook => true,
            Needs::First(targets) => {
                targets.iter().enumerate().all(|(index, target)| points_to(index) == Some(*target))
            }
            Needs::FindVma(_) | Needs::Vma | Needs::TypedVma if !kernel.allowed.find_vma => {
                return Some("this kernel has no bpf_find_vma (before 5.17)".to_owned());
            }
            Needs::Count(count) | Needs::FindVma(count) => params.len() == count,
            Needs::ReadKernel | Needs::Vma | Needs::VmaCache if !kernel.allowed.read_kernel => {
                return Some("lockdown forbids bpf_probe_read_kernel".to_owned());
            }
            Needs::VmaCache if kernel.offsets.task_vmacache == ABSENT => {
                return Some("this kernel caches no VMAs by thread (from 6.1 on)".to_owned());
            }
            Needs::VmaCache if !kernel.allowed.task_regs && !finds_registers(kernel) => {
                return Some("this kernel has no bpf_task_pt_regs (before 5.15)".to_owned());
            }
            Needs::ReadKernel
            | Needs::Known(_)
            | Needs::Vma
            | Needs::TypedVma
            | Needs::VmaCache => true,
            Needs::Prototype { params: count, key: (index, target) } => {
                params.len() == count && points_to(index) == Some(target)
            }
        };
        (!fits).then(|| foreign(self.form, params))
    }
}

fn foreign(form: Form, params: &[Param]) -> String {
    let got: Vec<String> = params
        .iter()
        .map(|param| match &param.points_to {
            Some(target) => format!("struct {target} *{}", param.name),
            None => param.name.clone(),
        })
        .collect();
    format!("the prototype {form}({}) is not one we know", got.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_silences_its_forms() {
        let forms = [Form::Fexit("f"), Form::Kprobe("f"), Form::TpBtf("t"), Form::RawTp("t")];
        let silent = |switches: Switches| forms.map(|form| form.silenced_by(switches).is_some());
        assert_eq!(silent(Switches::ON), [false; 4]);
        let kprobes = Switches { kprobes: false, ..Switches::ON };
        assert_eq!(silent(kprobes), [false, true, false, false]);
        let ftrace = Switches { ftrace: false, ..Switches::ON };
        assert_eq!(silent(ftrace), [true, cfg!(target_arch = "x86_64"), false, false]);
    }
}

//! Why the kernel refuses a program, and what to do about it. Pure: what it answered and what is known of the host in,
//! a row of a table out.
use crate::host::{
    privilege::{CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN},
    restrictions::Restrictions,
};

/// include/linux/errno.h: the kernel's own, which no header of user space has.
pub const ENOTSUPP: i32 = 524;

/// What was asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Maps, or a program: bpf(2).
    Load,
    /// A program that is loaded, to a function or tracepoint: bpf(2).
    Attach,
    /// A program that is loaded, to a kprobe: perf_event_open(2).
    Kprobe,
}

/// Why something is refused, and what would help. The sentence is what a saved stream has of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Why {
    pub why: &'static str,
    pub fix: &'static str,
}

pub const FTRACE_OFF: Why =
    Why { why: "kernel.ftrace_enabled is 0", fix: "sysctl kernel.ftrace_enabled=1" };
pub const KPROBES_OFF: Why = Why {
    why: "kprobes are switched off: /sys/kernel/debug/kprobes/enabled is 0",
    fix: "echo 1 > /sys/kernel/debug/kprobes/enabled",
};
/// Of what was not attached for one of these two.
pub const SWITCHED_ON: Why = Why {
    why: "hooks of functions were switched off when this watch began",
    fix: "they are on again: start whybus anew",
};
pub const USER_NAMESPACE: Why = Why {
    why: "this process is in a user namespace, where no capability counts for bpf(2)",
    fix: "run it as root of the host, or in a container without a user namespace (not a rootless one)",
};
pub const NO_CAPABILITY: Why = Why {
    why: "this process lacks CAP_BPF or CAP_PERFMON, and has no CAP_SYS_ADMIN",
    fix: "run it as root; of a container: --cap-add BPF --cap-add PERFMON, or --privileged",
};
pub const NO_PERFMON: Why = Why {
    why: "this process lacks CAP_PERFMON, and kernel.perf_event_paranoid asks for it",
    fix: "run it as root; of a container: --cap-add PERFMON, or --privileged",
};
pub const LOCKED_MEMORY: Why = Why {
    why: "locked memory is limited, which counts maps before Linux 5.11, and this process lacks CAP_SYS_RESOURCE to raise that",
    fix: "`ulimit -l unlimited`, of a unit LimitMEMLOCK=infinity; or give it CAP_SYS_RESOURCE",
};
pub const PARANOID: Why = Why {
    why: "kernel.perf_event_paranoid is above 2, which leaves perf events to CAP_SYS_ADMIN on this kernel",
    fix: "sysctl kernel.perf_event_paranoid=2, or give it CAP_SYS_ADMIN",
};
pub const LOCKED_DOWN: Why = Why {
    why: "the kernel is locked down (confidentiality), which forbids kprobes and reads of kernel memory by helpers",
    fix: "lockdown=integrity is enough for Secure Boot, and forbids neither",
};
pub const LOCKED_DOWN_BPF: Why = Why {
    why: "the kernel is locked down (integrity), which some distributions' kernels let forbid bpf(2)",
    fix: "switch Secure Boot off, or boot a kernel whose lockdown allows it (Linux 5.4 and later do)",
};
pub const SECCOMP: Why = Why {
    why: "a seccomp filter forbids the call, bpf(2) or perf_event_open(2)",
    fix: "of a container: --security-opt seccomp=unconfined, in Kubernetes seccompProfile type Unconfined; of a unit: \
          SystemCallFilter=",
};
pub const SELINUX: Why = Why {
    why: "SELinux enforces a policy that does not allow it, most likely",
    fix: "`ausearch -m avc -c whybus` shows what it denied",
};
pub const POLICY: Why = Why {
    why: "the kernel or a security module forbids it (EPERM)",
    fix: "see dmesg and the audit log, or ask who provides the kernel: capabilities, lockdown, seccomp and sysctls \
          allow it",
};
/// The same where securityfs does not tell whether the kernel is locked down.
pub const POLICY_OR_LOCKDOWN: Why = Why {
    why: "the kernel, its lockdown or a security module forbids it (EPERM)",
    fix: "see dmesg and the audit log, or ask who provides the kernel: capabilities, seccomp and sysctls allow it; of lockdown \
          that is not known without securityfs",
};
pub const NO_TRAMPOLINES: Why = Why {
    why: "this kernel attaches no program to a function: it has no CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, or no BPF JIT",
    fix: "it takes a kernel built with both, on arm64 of Linux 6.4 or later (Debian 13, Ubuntu 24.04, RHEL 10), or one \
          that allows kprobes",
};
/// As [`NO_TRAMPOLINES`] was told in older streams.
const NO_TRAMPOLINES_THEN: &str = "attaches no program to a function (error 524";
pub const NO_JIT: Why = Why {
    why: "net.core.bpf_jit_enable is 0, and programs on functions need the JIT",
    fix: "sysctl net.core.bpf_jit_enable=1",
};
pub const NO_KPROBES: Why = Why {
    why: "this kernel has no kprobes for perf events (CONFIG_KPROBE_EVENTS)",
    fix: "it takes a kernel built with CONFIG_KPROBE_EVENTS",
};
pub const NO_SYSFS: Why = Why {
    why: "perf events on kprobes are found in /sys, which is not there",
    fix: "mount sysfs at /sys",
};
/// As either was told in older streams.
const NO_KPROBES_THEN: &str = "no kprobes for perf events here";
pub const TAKEN: Why = Why {
    why: "the function is already hooked: by a live patch, or by a tracer that does not share it",
    fix: "see /sys/kernel/tracing/enabled_functions and /sys/kernel/livepatch for who has it",
};
pub const CROWDED: Why = Why {
    why: "as many programs as may be are attached to the function already",
    fix: "`bpftool link` lists them; another tracer may have to go",
};
pub const NOT_THERE: Why = Why {
    why: "this kernel has no such function or tracepoint",
    fix: "it takes another kernel: docs/kernels.md says which has what",
};

/// kernel/trace/trace_kprobe.c number_of_same_symbols counted no functions of modules at first: in 6.6, and in the
/// stable releases it was put into, 6.1.60 to 6.1.70 among them.
pub const MODULES_UNSEEN: Why = Why {
    why: "this kernel finds no function of a module by its name, though /proc/kallsyms lists it",
    fix: "update the kernel: Linux 6.1.60 to 6.1.70 and others of late 2023 have this fault",
};
pub const AMBIGUOUS: Why = Why {
    why: "several functions of this kernel have that name, and it puts a kprobe on none of them",
    fix: "/proc/kallsyms lists them; please report this, with the kernel's release",
};

/// Every row, the most telling first: a reason may name several.
const ALL: [&Why; 23] = [
    &FTRACE_OFF,
    &KPROBES_OFF,
    &SWITCHED_ON,
    &USER_NAMESPACE,
    &NO_CAPABILITY,
    &NO_PERFMON,
    &LOCKED_MEMORY,
    &PARANOID,
    &LOCKED_DOWN,
    &LOCKED_DOWN_BPF,
    &SECCOMP,
    &SELINUX,
    &NO_TRAMPOLINES,
    &NO_JIT,
    &POLICY,
    &POLICY_OR_LOCKDOWN,
    &NO_KPROBES,
    &NO_SYSFS,
    &TAKEN,
    &CROWDED,
    &MODULES_UNSEEN,
    &AMBIGUOUS,
    &NOT_THERE,
];

/// Why the kernel refuses `step` with `errno` on this host, if that can be said; `is_listed` asks whether it or a
/// module of it has the function.
pub fn why(
    step: Step,
    errno: i32,
    host: &Restrictions,
    is_listed: impl FnOnce() -> bool,
) -> Option<&'static Why> {
    match errno {
        libc::EPERM | libc::EACCES => Some(forbidden(step, host)),
        // Docker's default filter of before 20.10 answers so to what it does not know.
        libc::ENOSYS if host.seccomp => Some(&SECCOMP),
        // Of a name that is not found it is not why.
        _ if step != Step::Load
            && host.ftrace == Some(0)
            && !matches!(errno, libc::ENOENT | libc::EADDRNOTAVAIL) =>
        {
            Some(&FTRACE_OFF)
        }
        ENOTSUPP | libc::EOPNOTSUPP if host.jit == Some(0) => Some(&NO_JIT),
        ENOTSUPP if step == Step::Attach => Some(&NO_TRAMPOLINES),
        // Without CONFIG_FUNCTION_TRACER no function begins with room for a call (arch/x86/net/bpf_jit_comp.c
        // __bpf_arch_text_poke), and the sysctl is not there.
        libc::EBUSY if step == Step::Attach && host.ftrace.is_none() => Some(&NO_TRAMPOLINES),
        libc::EBUSY if step == Step::Attach => Some(&TAKEN),
        // kernel/bpf/trampoline.c BPF_MAX_TRAMP_LINKS
        libc::E2BIG if step == Step::Attach => Some(&CROWDED),
        libc::ENOENT if step == Step::Kprobe && !host.kprobes => Some(no_kprobes(host)),
        libc::ENOENT if step == Step::Kprobe && is_listed() => Some(&MODULES_UNSEEN),
        libc::EADDRNOTAVAIL if step == Step::Kprobe => Some(&AMBIGUOUS),
        libc::ENOENT if step != Step::Load => Some(&NOT_THERE),
        _ => None,
    }
}

/// What stands in the way first: capabilities are asked for before a security module is (kernel/bpf/syscall.c
/// bpf_prog_load, kernel/events/core.c perf_kprobe_event_init).
fn forbidden(step: Step, host: &Restrictions) -> &'static Why {
    let may = |capability| host.may(capability) || host.may(CAP_SYS_ADMIN);
    let locked = host.lockdown.as_deref();
    let kprobe = step == Step::Kprobe;
    if host.user_namespace {
        return &USER_NAMESPACE;
    }
    if kprobe && !may(CAP_PERFMON) {
        return &NO_PERFMON;
    }
    if !kprobe && (!may(CAP_BPF) || !may(CAP_PERFMON)) {
        return &NO_CAPABILITY;
    }
    if step == Step::Load && host.locked_memory {
        return &LOCKED_MEMORY;
    }
    if kprobe && locked == Some("confidentiality") {
        return &LOCKED_DOWN;
    }
    // Patches of theirs: Debian's kernels ask for CAP_SYS_ADMIN from 3 on, Ubuntu's from 4 on (include/linux/perf_event.h
    // PERF_SECURITY_MAX).
    let most = if host.ubuntu { 3 } else { 2 };
    let paranoid = host.perf_event_paranoid.is_some_and(|level| level > most);
    if kprobe && paranoid && !host.may(CAP_SYS_ADMIN) {
        return &PARANOID;
    }
    if host.seccomp {
        return &SECCOMP;
    }
    if host.selinux {
        return &SELINUX;
    }
    match locked {
        Some("integrity") => &LOCKED_DOWN_BPF,
        Some("confidentiality") => &LOCKED_DOWN,
        Some(_) => &POLICY,
        None => &POLICY_OR_LOCKDOWN,
    }
}

/// Why perf events cannot be opened on kprobes, of a host that lists none.
pub fn no_kprobes(host: &Restrictions) -> &'static Why {
    if host.sysfs { &NO_KPROBES } else { &NO_SYSFS }
}

/// What to do about a reason, by its words, which may come from a saved stream.
pub fn fix(reason: &str) -> Option<&'static str> {
    // What else is said of helpers under lockdown is said by the plan.
    let named = |row: &&&Why| reason.contains(row.why);
    let lockdown = || reason.contains("lockdown forbids").then_some(LOCKED_DOWN.fix);
    let then = [(NO_TRAMPOLINES_THEN, NO_TRAMPOLINES.fix), (NO_KPROBES_THEN, NO_KPROBES.fix)];
    let then = || then.iter().find(|(why, _)| reason.contains(why)).map(|(_, fix)| *fix);
    ALL.iter().find(named).map(|row| row.fix).or_else(lockdown).or_else(then)
}

/// Whether it is this process that may not, and not the kernel that cannot.
pub fn is_privilege(reason: &str) -> bool {
    [&USER_NAMESPACE, &NO_CAPABILITY, &LOCKED_MEMORY, &SECCOMP]
        .iter()
        .any(|row| reason.contains(row.why))
}

/// A reason without what to do about it, and that.
pub fn split(reason: &str) -> (String, Option<&'static str>) {
    match fix(reason) {
        // The plan says both in one sentence, as older streams do.
        Some(fix) => (reason.replace(&format!("; {fix}"), ""), Some(fix)),
        None => (reason.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root of a host that forbids nothing.
    fn root() -> Restrictions {
        Restrictions {
            capabilities: u64::MAX,
            perf_event_paranoid: Some(2),
            unprivileged_bpf_disabled: Some(2),
            jit: Some(1),
            ftrace: Some(1),
            sysfs: true,
            kprobes: true,
            lockdown: Some("none".to_owned()),
            ..Restrictions::default()
        }
    }

    fn told(step: Step, errno: i32, host: &Restrictions) -> Option<&'static str> {
        why(step, errno, host, || false).map(|row| row.why)
    }

    #[test]
    fn what_forbids_it_is_named() {
        use Step::{Attach, Kprobe, Load};
        let locked = |mode: &str| Restrictions { lockdown: Some(mode.to_owned()), ..root() };
        let only = |capabilities: &[u32]| Restrictions {
            capabilities: capabilities.iter().map(|bit| 1 << bit).sum(),
            ..root()
        };
        let paranoid =
            Restrictions { perf_event_paranoid: Some(3), ..only(&[CAP_BPF, CAP_PERFMON]) };
        let cases = [
            (Load, root(), &POLICY),
            (Attach, root(), &POLICY),
            (Load, Restrictions { lockdown: None, ..root() }, &POLICY_OR_LOCKDOWN),
            (Load, only(&[]), &NO_CAPABILITY),
            (Load, only(&[CAP_BPF]), &NO_CAPABILITY),
            (Load, only(&[CAP_PERFMON]), &NO_CAPABILITY),
            (Load, only(&[CAP_BPF, CAP_PERFMON]), &POLICY),
            (Load, only(&[CAP_SYS_ADMIN]), &POLICY),
            (Load, Restrictions { locked_memory: true, ..root() }, &LOCKED_MEMORY),
            (Load, Restrictions { locked_memory: true, ..only(&[]) }, &NO_CAPABILITY),
            (Attach, Restrictions { locked_memory: true, ..root() }, &POLICY),
            (Kprobe, only(&[CAP_BPF]), &NO_PERFMON),
            (Kprobe, paranoid.clone(), &PARANOID),
            (Load, paranoid.clone(), &POLICY),
            (Kprobe, Restrictions { perf_event_paranoid: Some(4), ..root() }, &POLICY),
            // At 3 Ubuntu's kernel asks for no more than at 2.
            (Kprobe, Restrictions { ubuntu: true, ..paranoid.clone() }, &POLICY),
            (
                Kprobe,
                Restrictions { ubuntu: true, perf_event_paranoid: Some(4), ..paranoid.clone() },
                &PARANOID,
            ),
            (Kprobe, locked("confidentiality"), &LOCKED_DOWN),
            (Kprobe, locked("integrity"), &LOCKED_DOWN_BPF),
            (Load, locked("integrity"), &LOCKED_DOWN_BPF),
            (Load, Restrictions { seccomp: true, ..root() }, &SECCOMP),
            (Kprobe, Restrictions { seccomp: true, ..root() }, &SECCOMP),
            (Load, Restrictions { selinux: true, ..root() }, &SELINUX),
            // Its capabilities look whole from inside.
            (Load, Restrictions { user_namespace: true, seccomp: true, ..root() }, &USER_NAMESPACE),
        ];
        for (step, host, expected) in cases {
            for errno in [libc::EPERM, libc::EACCES] {
                assert_eq!(told(step, errno, &host), Some(expected.why), "{step:?} {host:?}");
            }
        }
    }

    #[test]
    fn what_the_kernel_cannot_do_is_named() {
        use Step::{Attach, Kprobe, Load};
        let off = Restrictions { ftrace: Some(0), ..root() };
        let interpreted = Restrictions { jit: Some(0), ..root() };
        let bare = Restrictions { kprobes: false, ..root() };
        // No CONFIG_FUNCTION_TRACER: the sysctl is not there either.
        let untraced = Restrictions { ftrace: None, ..root() };
        let cases = [
            (Attach, ENOTSUPP, root(), Some(&NO_TRAMPOLINES)),
            (Attach, ENOTSUPP, interpreted, Some(&NO_JIT)),
            (Attach, libc::EBUSY, off.clone(), Some(&FTRACE_OFF)),
            (Kprobe, libc::EOPNOTSUPP, off.clone(), Some(&FTRACE_OFF)),
            (Load, libc::EINVAL, off.clone(), None),
            // On arm64 kprobes do without ftrace, and tracepoints everywhere.
            (Kprobe, libc::ENOENT, off.clone(), Some(&NOT_THERE)),
            (Kprobe, libc::EADDRNOTAVAIL, off.clone(), Some(&AMBIGUOUS)),
            (Attach, libc::ENOENT, off, Some(&NOT_THERE)),
            (Attach, libc::EBUSY, root(), Some(&TAKEN)),
            (Attach, libc::EBUSY, untraced, Some(&NO_TRAMPOLINES)),
            (Kprobe, libc::EADDRNOTAVAIL, root(), Some(&AMBIGUOUS)),
            (Attach, libc::EADDRNOTAVAIL, root(), None),
            (Attach, libc::E2BIG, root(), Some(&CROWDED)),
            (Kprobe, libc::ENOENT, bare.clone(), Some(&NO_KPROBES)),
            (Kprobe, libc::ENOENT, Restrictions { sysfs: false, ..bare }, Some(&NO_SYSFS)),
            (Kprobe, libc::ENOENT, root(), Some(&NOT_THERE)),
            (Attach, libc::ENOENT, root(), Some(&NOT_THERE)),
            (Load, libc::ENOSYS, Restrictions { seccomp: true, ..root() }, Some(&SECCOMP)),
            (Load, libc::EINVAL, root(), None),
            (Load, libc::E2BIG, root(), None),
        ];
        for (step, errno, host, expected) in cases {
            assert_eq!(told(step, errno, &host), expected.map(|row| row.why), "{step:?} {errno}");
        }
    }

    /// Amazon Linux 2023's 6.1.61 and others of that time look for functions in the kernel alone.
    #[test]
    fn a_function_that_is_there_is_not_told_as_absent() {
        let listed = |step| why(step, libc::ENOENT, &root(), || true).map(|row| row.why);
        assert_eq!(listed(Step::Kprobe), Some(MODULES_UNSEEN.why));
        assert_eq!(listed(Step::Attach), Some(NOT_THERE.why));
        let bare = Restrictions { kprobes: false, ..root() };
        assert_eq!(why(Step::Kprobe, libc::ENOENT, &bare, || true), Some(&NO_KPROBES));
    }

    /// Flatcar on arm64 has no tracer of functions, RHEL 9 on arm64 no trampolines: neither is old.
    #[test]
    fn a_kernel_without_trampolines_is_not_called_old() {
        assert!(NO_TRAMPOLINES.why.contains("CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"));
        assert!(!NO_TRAMPOLINES.why.contains("6.4"));
        // As streams of the past have it.
        let old = "this kernel attaches no program to a function (error 524: arm64 before 6.4, or no BPF JIT)";
        assert_eq!(fix(old), Some(NO_TRAMPOLINES.fix));
        let old = "no kprobes for perf events here (CONFIG_KPROBE_EVENTS, or no /sys)";
        assert_eq!(fix(old), Some(NO_KPROBES.fix));
    }

    #[test]
    fn a_reason_leads_to_its_remedy_whatever_stands_beside_it() {
        for row in ALL {
            assert_eq!(fix(&format!("fexit f: {}; and more", row.why)), Some(row.fix));
            assert!(row.why.len() < 120, "{}", row.why);
        }
        let old = "kernel.ftrace_enabled is 0; sysctl kernel.ftrace_enabled=1";
        assert_eq!(split(old), (FTRACE_OFF.why.to_owned(), Some(FTRACE_OFF.fix)));
        assert_eq!(fix("lockdown forbids bpf_probe_read_kernel"), Some(LOCKED_DOWN.fix));
        assert!(is_privilege(SECCOMP.why) && !is_privilege(POLICY.why));
        assert_eq!(fix("the prototype fexit f(a) is not one we know"), None);
    }
}

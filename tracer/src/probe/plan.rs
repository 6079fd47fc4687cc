//! Which probes this kernel can run. Pure: facts in, plan out.
use crate::{
    host::restrictions::Restrictions,
    model::observe::Observe,
    probe::{
        form::Program,
        kernel::KernelInfo,
        refusal::{FTRACE_OFF, KPROBES_OFF, SWITCHED_ON, Why},
        switches::Switches,
        table::{Row, TABLE},
    },
};

/// A row, and the program that is to see for it.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    pub row: &'static Row,
    pub program: &'static Program,
}

/// A probe that cannot run here.
#[derive(Debug, Clone)]
pub struct Missing {
    pub probe: Probe,
    pub reason: String,
}

/// What to attach, and what cannot be.
#[derive(Debug, Default)]
pub struct Plan {
    pub attach: Vec<Probe>,
    /// To attach once their modules are there.
    pub pending: Vec<Probe>,
    pub missing: Vec<Missing>,
    /// What there is nothing of to see, because the kernel was built without.
    pub not_built: Vec<Probe>,
}

impl Plan {
    /// Whether `program` is to be attached to its place already; it attaches there once only.
    fn holds(&self, program: &Program) -> bool {
        self.attach.iter().any(|chosen| {
            chosen.program.name == program.name && chosen.program.form == program.form
        })
    }

    /// The same without what `host` is known not to attach in any form, for who may not try.
    pub fn where_it_may(mut self, kernel: &KernelInfo, host: &Restrictions) -> Self {
        for probe in std::mem::take(&mut self.attach) {
            let mut forms = std::iter::successors(Some(probe), |form| form.next(kernel));
            match (forms.find(|form| form.lacked_by(host).is_none()), probe.lacked_by(host)) {
                (None, Some(why)) => {
                    self.missing.push(Missing { probe, reason: why.why.to_owned() })
                }
                (fit, _) => self.attach.push(fit.unwrap_or(probe)),
            }
        }
        self.missing.extend(take_lone(&mut self.attach));
        self
    }
}

impl Probe {
    /// The next form in which the same may be seen, where this one is not to be had.
    pub fn next(self, kernel: &KernelInfo) -> Option<Self> {
        let programs = self.row.programs(kernel).into_iter();
        let after = programs.skip_while(|program| !std::ptr::eq(*program, self.program));
        let mut fit =
            after.skip(1).filter(|program| program.unfit(kernel, self.row.module).is_none());
        fit.next().map(|program| Self { program, ..self })
    }

    /// Why it does not attach, if the host is known to lack what it takes.
    fn lacked_by(&self, host: &Restrictions) -> Option<&'static Why> {
        self.program.form.lacked_by(host)
    }

    /// Whether it is that program at that place.
    pub fn is_same(self, other: Self) -> bool {
        self.program.name == other.program.name && self.program.form == other.program.form
    }
}

/// Takes out of `attach` what is of no use without another one that is not there.
pub fn take_lone(attach: &mut Vec<Probe>) -> Vec<Missing> {
    let seen: Vec<_> = attach.iter().map(|probe| probe.row.observe).collect();
    let lone = |probe: &mut Probe| probe.row.partner().is_some_and(|other| !seen.contains(&other));
    let reason = |probe: Probe| {
        let other = probe.row.partner().map_or("", Observe::word);
        Missing { probe, reason: format!("of no use without {other}") }
    };
    attach.extract_if(.., lone).map(reason).collect()
}

/// Chooses by what BTF says: a program for another prototype may well load. Who starts again is
/// asked for `ends` of processes only.
pub fn choose(kernel: &KernelInfo, ends: bool) -> Plan {
    let mut plan = Plan::default();
    for row in TABLE {
        if row.only_for_ends() && !ends || row.backup && !kernel.preempts {
            continue;
        }
        let free = |program: &&Program| !(row.backup && plan.holds(program));
        let programs: Vec<&Program> = row.programs(kernel).into_iter().filter(free).collect();
        let Some(preferred) = programs.first() else { continue };
        let fit = programs.iter().find(|program| program.unfit(kernel, row.module).is_none());
        let probe = Probe { row, program: fit.unwrap_or(preferred) };
        if row.module.is_some_and(|module| !kernel.modules.contains(&module)) {
            plan.pending.push(probe);
            continue;
        }
        if fit.is_none() && kernel.is_built_without(row.observe) {
            plan.not_built.push(probe);
            continue;
        }
        match (fit, preferred.unfit(kernel, row.module)) {
            (None, Some(reason)) => plan.missing.push(Missing { probe, reason }),
            _ => plan.attach.push(probe),
        }
    }
    plan.missing.extend(take_lone(&mut plan.attach));
    plan
}

/// Takes out of `attached` what sees nothing while something is switched off. It stays attached, and sees again once that
/// is on (kernel/trace/ftrace.c ftrace_startup_sysctl, kernel/kprobes.c arm_all_kprobes).
pub fn take_silent(attached: &mut Vec<Probe>, switches: Switches) -> Vec<Missing> {
    let off = |probe: &Probe| probe.program.form.silenced_by(switches);
    attached
        .extract_if(.., |probe| off(probe).is_some())
        .filter_map(|probe| Some(Missing { probe, reason: off(&probe)?.why.to_owned() }))
        .collect()
}

/// Says of what was not attached because something was switched off that it is on now.
pub fn tell_switched_on(missing: &mut [Missing], switches: Switches) {
    let on = [(&FTRACE_OFF, switches.ftrace), (&KPROBES_OFF, switches.kprobes)];
    for one in missing {
        if on.iter().any(|(off, on)| *on && one.reason.contains(off.why)) {
            SWITCHED_ON.why.clone_into(&mut one.reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(observe: Observe) -> Probe {
        let row = TABLE.iter().find(|row| row.observe == observe).expect("a row");
        Probe { row, program: &row.programs[0] }
    }

    #[test]
    fn what_hooks_functions_is_silent_without_ftrace() {
        let mut attached =
            [Observe::FileFault, Observe::SignalGenerated, Observe::QuotaLimit].map(probe).to_vec();
        let silent = take_silent(&mut attached, Switches { ftrace: false, ..Switches::ON });
        let seen: Vec<_> = silent.iter().map(|missing| missing.probe.row.observe).collect();
        let left: Vec<_> = attached.iter().map(|probe| probe.row.observe).collect();
        // Where kprobes are breakpoints they still fire.
        let kprobes = cfg!(target_arch = "x86_64");
        assert_eq!(seen.contains(&Observe::QuotaLimit), kprobes);
        assert!(seen.contains(&Observe::FileFault) && left.contains(&Observe::SignalGenerated));
        assert_eq!(seen.len() + left.len(), 3);
        assert_eq!(silent[0].reason, FTRACE_OFF.why);
    }

    #[test]
    fn what_was_off_at_the_start_is_not_told_to_be_off_for_ever() {
        let of = |reason: &str| Missing { probe: probe(Observe::Shrink), reason: reason.into() };
        let mut missing = [of("kernel.ftrace_enabled is 0; sysctl"), of("no such function")];
        let told = missing.clone().map(|one| one.reason);
        tell_switched_on(&mut missing, Switches { ftrace: false, ..Switches::ON });
        assert_eq!(missing.clone().map(|one| one.reason), told);
        tell_switched_on(&mut missing, Switches::ON);
        assert_eq!(missing.map(|one| one.reason), [SWITCHED_ON.why, "no such function"]);
    }

    /// One that begins and never ends would name every kill(2) after it an OOM kill.
    #[test]
    fn neither_half_of_an_oom_kill_is_hooked_alone() {
        let halves = [Observe::OomKill, Observe::OomKillEnd];
        for one in halves {
            let mut attach = vec![probe(Observe::Exit), probe(one)];
            let missing = take_lone(&mut attach);
            assert_eq!(
                missing.iter().map(|lone| lone.probe.row.observe).collect::<Vec<_>>(),
                [one]
            );
            assert!(missing[0].reason.starts_with("of no use without oom-kill"));
            assert_eq!(attach.len(), 1);
        }
        let mut attach = halves.map(probe).to_vec();
        assert!(take_lone(&mut attach).is_empty());
        assert_eq!(attach.len(), 2);
    }
}

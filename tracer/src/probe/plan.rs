//! Which probes this kernel can run. Pure: facts in, plan out.
use crate::probe::{
    form::Program,
    kernel::KernelInfo,
    table::{Row, TABLE},
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
}

impl Plan {
    /// Whether `program` is to be attached to its place already; it attaches there once only.
    fn holds(&self, program: &Program) -> bool {
        self.attach.iter().any(|chosen| {
            chosen.program.name == program.name && chosen.program.form == program.form
        })
    }
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
        let programs: Vec<&Program> = row.programs.iter().filter(free).collect();
        let Some(preferred) = programs.first() else { continue };
        let fit = programs.iter().find(|program| program.unfit(kernel, row.module).is_none());
        let probe = Probe { row, program: fit.unwrap_or(preferred) };
        if row.module.is_some_and(|module| !kernel.modules.contains(&module)) {
            plan.pending.push(probe);
            continue;
        }
        match (fit, preferred.unfit(kernel, row.module)) {
            (None, Some(reason)) => plan.missing.push(Missing { probe, reason }),
            _ => plan.attach.push(probe),
        }
    }
    plan
}

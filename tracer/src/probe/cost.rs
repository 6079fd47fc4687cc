//! What a form costs a healthy host, and what it cannot detect. Pure.
use tracer_common::maps::call;

use crate::{
    model::observe::Observe,
    probe::{form::Form, plan::Probe},
};

/// Why a kretprobe may not see a call return: kernel/trace/trace_kprobe.c alloc_trace_kprobe leaves `maxactive` to
/// kernel/kprobes.c register_kretprobe.
const POOL: &str = "returns of more calls at a time than 10 or twice the CPUs";
/// Neither in the siginfo nor in the mapping.
const SIGNAL: &str = "faults without a signal (EFAULT), errnos, who shrank a file";
/// By then the thread may have no memory any more.
const ENDS: &str = "stacks and instructions of crashes, and command lines that /proc has no more";

/// What `cargo xtask bench` counts, rounded up, of the kernel that has most (docs/overhead.md).
struct Added {
    trampoline: u64,
    tracepoint: u64,
    kprobe: u64,
    kretprobe: u64,
    /// A kprobe that keeps the arguments, and a kretprobe.
    kept: u64,
    /// The same where a thread may be in the function twice.
    nested: u64,
}

const X86_64: Added = Added {
    trampoline: 200,
    tracepoint: 150,
    kprobe: 600,
    kretprobe: 700,
    kept: 1_200,
    nested: 1_900,
};
/// Of faults (trampolines, kept) and of an empty kretprobe; the others have not been counted, and stand in proportion to x86.
const AARCH64: Added = Added {
    trampoline: 200,
    tracepoint: 150,
    kprobe: 1_200,
    kretprobe: 1_300,
    kept: 1_900,
    nested: 2_600,
};
const ADDED: Added = if cfg!(target_arch = "aarch64") { AARCH64 } else { X86_64 };

impl Probe {
    /// Instructions that it adds to a call that is of no interest, about.
    pub fn adds(self) -> u64 {
        match (self.program.form, self.program.kept) {
            (Form::Fentry(_) | Form::Fexit(_), _) => ADDED.trampoline,
            (Form::TpBtf(_) | Form::RawTp(_), _) => ADDED.tracepoint,
            (Form::Kprobe(_), _) => ADDED.kprobe,
            (Form::Kretprobe(_), None) => ADDED.kretprobe,
            (Form::Kretprobe(_), Some(kept)) if call::nests(kept.call) => ADDED.nested,
            (Form::Kretprobe(_), Some(_)) => ADDED.kept,
        }
    }

    /// What of the thing it cannot detect in its form.
    pub fn undetected(self) -> Option<&'static str> {
        match (self.program.form, self.row.observe) {
            (Form::Kretprobe(_), _) => Some(POOL),
            (Form::TpBtf(_), Observe::ForcedSignal) => Some(SIGNAL),
            (Form::TpBtf(_), Observe::Exit) if !self.row.backup => Some(ENDS),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::table::TABLE;

    /// Every form that the plan may come to, of one thing to see.
    fn forms(observe: Observe) -> Vec<Probe> {
        let row = TABLE.iter().find(|row| row.observe == observe).expect("a row");
        row.programs.iter().map(|program| Probe { row, program }).collect()
    }

    #[test]
    fn what_sees_less_says_so_and_costs_more_or_nothing_of_a_fault() {
        let [trampoline, kprobes] = forms(Observe::FileFault)[..] else { panic!("two forms") };
        assert_eq!(trampoline.undetected(), None);
        assert_eq!(kprobes.undetected(), Some(POOL));
        assert!(trampoline.adds() < kprobes.adds());
        let said: Vec<_> =
            forms(Observe::ForcedSignal).iter().map(|form| form.undetected()).collect();
        assert_eq!(said.first(), Some(&None));
        assert_eq!(said.last(), Some(&Some(SIGNAL)));
        let said: Vec<_> = forms(Observe::Exit).iter().map(|form| form.undetected()).collect();
        assert_eq!((said.first(), said.last()), (Some(&None), Some(&Some(ENDS))));
        let second = TABLE.iter().find(|row| row.backup && row.observe == Observe::Exit);
        let row = second.expect("a second one");
        assert_eq!(Probe { row, program: &row.programs[0] }.undetected(), None);
    }
}

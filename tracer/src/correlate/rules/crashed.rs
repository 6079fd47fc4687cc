//! A signal that the process brought upon itself by what it executed: SIGSEGV and its kin.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        signal::Signal,
        signal_name::{SIGKILL, SIGXCPU},
    },
    text::format::duration,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Signal,
    observes: &[Observe::Exit],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "the function and library named are where it failed; a core dump (coredumpctl, or \
             ulimit -c unlimited) has the whole stack",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.death?;
    // Those two the kernel sends by its own decision.
    let by_fault = |signal: &&Signal| signal.forced && ![SIGKILL, SIGXCPU].contains(&signal.number);
    let signal = evidence.signal.filter(by_fault)?;
    // A general protection fault has many reasons, and force_sigsegv() tells none.
    let told = (signal.number, signal.code) != (11, 0x80);
    let confidence = if told { Confidence::Proven } else { Confidence::Likely };
    let mut summary = what(signal);
    if let Some(lost) = evidence.code_lost {
        summary.push_str(&format!(
            "; a library that it has loaded was written over {} earlier, by pid {}",
            duration(evidence.time.saturating_sub(lost.begin)),
            lost.actor.task.id.tgid
        ));
    }
    Some(CAUSE.verdict(confidence, summary))
}

/// What it did that brought it the signal.
pub fn what(signal: &Signal) -> String {
    let address = signal.address;
    match (signal.number, signal.code) {
        (11, 1) if address < 4096 => {
            format!("it used address {address:#x}: a null pointer, most likely")
        }
        (11, 1) => format!("it used address {address:#x}, where nothing is mapped"),
        (11, 2) => format!(
            "it used address {address:#x} in a way its mapping forbids: read-only, not executable, \
             or a guard page (a stack that overflowed)"
        ),
        (11, 0x80) => "the CPU does not say at which address: most likely a damaged pointer (an address that \
                       cannot be); or a misaligned vector instruction, a privileged instruction, or a stack \
                       without room for a signal's frame"
            .to_owned(),
        (11, code) => format!("a memory access failed at address {address:#x}, si_code {code}"),
        (4, _) => format!(
            "the CPU refused the instruction at {address:#x}: a trap on purpose, most likely (ud2, by which \
             compilers and runtimes abort), or code that is damaged or for another CPU"
        ),
        (8, 1) => "it divided an integer by zero".to_owned(),
        (8, code) => format!("an arithmetic operation failed, si_code {code}"),
        (31, _) => "its seccomp filter forbids the system call it made".to_owned(),
        (5, _) => "it ran into a breakpoint or trap instruction, and nobody debugs it".to_owned(),
        (number, code) => {
            format!("signal {number} with si_code {code}, raised by what it executed")
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn a_fault_of_its_own_is_no_kill() {
        let death = exit(9, 11);
        let signal = Signal { number: 11, forced: true, ..signal(1) };
        let verdict = evaluate(&of_death(&death, Some(&signal)));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Signal, Confidence::Proven));
        assert!(verdict.summary.contains("null pointer"), "{}", verdict.summary);
    }
}

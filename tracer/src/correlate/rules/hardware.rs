//! What the si_code alone tells: poisoned memory, misaligned access, machine checks.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::Handler,
        observe::Observe,
    },
};

const MEMORY_FAILURE: Cause = Cause {
    kind: CauseKind::MemoryFailure,
    observes: &[Observe::SignalGenerated],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "a memory module may be failing (of a virtual machine the host's): look at dmesg and the machine's event log, and \
             replace it if that comes again",
};
const MISALIGNED: Cause = Cause {
    kind: CauseKind::Misaligned,
    observes: &[Observe::SignalGenerated],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "align the access: EFLAGS.AC and split-lock detection forbid it on x86, exclusive loads and atomic \
             instructions on arm64",
};
const OTHER_KERNEL: Cause = Cause {
    kind: CauseKind::OtherKernel,
    observes: &[Observe::SignalGenerated],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "look at dmesg: stack segment faults, machine checks and the like",
};

pub const RULE: Rule = Rule { causes: &[MEMORY_FAILURE, MISALIGNED, OTHER_KERNEL], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let poisoned = evidence.fault.is_some_and(|fault| fault.poisoned);
    let code = evidence.signal.map(|signal| signal.code);
    // A process may send itself what looks like a fault (kernel/signal.c do_rt_sigqueueinfo).
    let forced = match evidence.lacks(Observe::ForcedSignal) {
        true => Confidence::Likely,
        false => Confidence::Proven,
    };
    // Of what may be made up the sender is told: the process itself, in a system call that sends signals.
    let made_up = evidence.signal.filter(|signal| signal.sender.task.id.same(signal.target.id));
    let (cause, confidence, summary) = match (evidence.fault, code) {
        (_, Some(4 | 5)) if made_up.is_some() && !poisoned => (
            &MEMORY_FAILURE,
            Confidence::Likely,
            "by its si_code memory is poisoned (BUS_MCEERR_AR or BUS_MCEERR_AO), but the process may have sent itself \
             that; dmesg tells (\"Memory failure\")",
        ),
        (_, Some(4)) => (
            &MEMORY_FAILURE,
            Confidence::Proven,
            "the memory at that address is poisoned: its content is lost (BUS_MCEERR_AR)",
        ),
        (_, Some(5)) => (
            &MEMORY_FAILURE,
            Confidence::Proven,
            "memory of the process is poisoned, not yet touched (BUS_MCEERR_AO)",
        ),
        (Some(_), _) if poisoned => (&MEMORY_FAILURE, Confidence::Proven, "the page is poisoned"),
        (None, Some(1)) => {
            (&MISALIGNED, forced, "misaligned access (BUS_ADRALN); no file is involved")
        }
        // On arm64 the signal has an address, and what is mapped there was looked up. Of a device it is the device that
        // wants it aligned.
        (Some(fault), Some(1)) if fault.handler == Handler::Unattributed && !fault.of_driver() => {
            let file = fault.inode.ptr != 0;
            let summary = match file {
                true => "misaligned access (BUS_ADRALN); its file is not to blame",
                false => "misaligned access (BUS_ADRALN); no file is involved",
            };
            (&MISALIGNED, Confidence::Proven, summary)
        }
        (None, Some(3 | 0x80)) => (
            &OTHER_KERNEL,
            Confidence::Likely,
            "raised by the kernel without a page fault (BUS_OBJERR or SI_KERNEL)",
        ),
        _ => return None,
    };
    Some(cause.verdict(confidence, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn the_code_names_the_class() {
        let cases = [
            (1, CauseKind::Misaligned),
            (3, CauseKind::OtherKernel),
            (4, CauseKind::MemoryFailure),
            (5, CauseKind::MemoryFailure),
            (0x80, CauseKind::OtherKernel),
        ];
        for (code, class) in cases {
            assert_eq!(evaluate(&without_fault(&signal(code))).class, class);
        }
    }

    #[test]
    fn what_a_process_may_send_itself_proves_nothing() {
        for code in [4, 5] {
            let mut signal = signal(code);
            assert_eq!(evaluate(&without_fault(&signal)).confidence, Confidence::Proven);
            signal.sender.task.id = signal.target.id;
            let verdict = evaluate(&without_fault(&signal));
            assert_eq!(verdict.class, CauseKind::MemoryFailure);
            assert_eq!(verdict.confidence, Confidence::Likely);
        }
    }

    #[test]
    fn memory_without_a_file_has_none_to_blame() {
        let misaligned = signal(1);
        let said = |ptr| {
            let mut fault = Fault { handler: Handler::Unattributed, ..fault(1, 4_096) };
            fault.inode.ptr = ptr;
            let signal = Some(&misaligned);
            evaluate(&Evidence { signal, ..evidence(&fault, &[]) }).summary
        };
        assert!(said(7).ends_with("its file is not to blame"), "{}", said(7));
        assert!(said(0).ends_with("no file is involved"), "{}", said(0));
    }

    /// On arm64, where the fault of such an access is looked up.
    #[test]
    fn a_misaligned_access_to_a_device_is_the_devices() {
        let misaligned = signal(1);
        let class = |mode| {
            let mut fault = Fault { handler: Handler::Unattributed, ..fault(1, 4_096) };
            fault.inode.mode = mode;
            let signal = Some(&misaligned);
            evaluate(&Evidence { signal, ..evidence(&fault, &[]) }).class
        };
        assert_eq!(class(0o100_644), CauseKind::Misaligned);
        assert_eq!(class(0o020_600), CauseKind::DeviceMapping);
    }
}

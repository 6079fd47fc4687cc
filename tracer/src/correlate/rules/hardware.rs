//! What the si_code alone tells: poisoned memory, misaligned access, machine checks.
use crate::{
    correlate::rules::{Evidence, Verdict},
    model::cause::{CauseKind, Confidence},
};

const ADVICE_MEMORY: &str = "a memory module fails: look at dmesg and the machine's event log, and \
                             replace it";
const ADVICE_ALIGN: &str = "align the access; EFLAGS.AC and split-lock detection forbid it on x86";
const ADVICE_OTHER: &str = "look at dmesg: stack segment faults, machine checks and the like";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    let poisoned = evidence.fault.is_some_and(|fault| fault.poisoned);
    let code = evidence.signal.map(|signal| signal.code);
    let (class, confidence, summary, advice) = match (evidence.fault, code) {
        (_, Some(4)) => (
            CauseKind::MemoryFailure,
            Confidence::Proven,
            "the memory at that address is poisoned: its content is lost (BUS_MCEERR_AR)",
            ADVICE_MEMORY,
        ),
        (_, Some(5)) => (
            CauseKind::MemoryFailure,
            Confidence::Proven,
            "memory of the process is poisoned, not yet touched (BUS_MCEERR_AO)",
            ADVICE_MEMORY,
        ),
        (Some(_), _) if poisoned => {
            (CauseKind::MemoryFailure, Confidence::Proven, "the page is poisoned", ADVICE_MEMORY)
        }
        (None, Some(1)) => (
            CauseKind::Misaligned,
            Confidence::Proven,
            "misaligned access (BUS_ADRALN); no file is involved",
            ADVICE_ALIGN,
        ),
        (None, Some(3 | 0x80)) => (
            CauseKind::OtherKernel,
            Confidence::Likely,
            "raised by the kernel without a page fault (BUS_OBJERR or SI_KERNEL)",
            ADVICE_OTHER,
        ),
        _ => return None,
    };
    Some(Verdict::new(class, confidence, summary, advice))
}

#[cfg(test)]
mod tests {
    use crate::{correlate::rules::*, testing::*};

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
            assert_eq!(judge(&without_fault(&signal(code))).class, class);
        }
    }
}

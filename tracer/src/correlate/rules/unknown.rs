//! What no rule claims. Says what is missing.
use super::{Class, Confidence, Evidence, Verdict};
use crate::output::format::size;

const ADVICE: &str = "see docs/causes.md for what whybus cannot tell apart yet";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    let reason = match (evidence.fault, evidence.signal) {
        (Some(fault), _) if fault.poisoned => {
            "the page is poisoned (memory failure); this version does not follow it up".to_owned()
        }
        (Some(fault), _) if evidence.past_end().is_some() => format!(
            "past the end of a file of {} that may be changed from elsewhere (network or FUSE); no \
             local truncation was seen",
            size(fault.inode.size)
        ),
        (Some(fault), _) => format!(
            "inside the file ({}): the page could not be read or there was no room for it; this \
             version does not tell which",
            size(fault.inode.size)
        ),
        (None, Some(signal)) => match signal.code {
            1 => "misaligned access (BUS_ADRALN); no file is involved".to_owned(),
            2 if !evidence.host.blind.is_empty() => format!(
                "{} hooks are missing on this host, the first of them {}: see `whybus doctor`",
                evidence.host.blind.len(),
                evidence.host.blind[0].hook
            ),
            2 => {
                "no handler we watch saw the fault: not a fault on a regular file or on tmpfs, or \
                  its event was lost"
                    .to_owned()
            }
            4 | 5 => "memory failure reported by the hardware (BUS_MCEERR)".to_owned(),
            code => {
                format!("raised by the kernel with si_code {code}, without a page fault we saw")
            }
        },
        (None, None) => "neither fault nor signal was recorded".to_owned(),
    };
    Some(because(reason))
}

/// An unknown cause, with what is missing.
pub fn because(reason: impl Into<String>) -> Verdict {
    Verdict::new(Class::Unknown, Confidence::Unknown, reason, ADVICE)
}

#[cfg(test)]
mod tests {
    use super::super::{samples::*, *};

    #[test]
    fn every_unknown_names_its_reason() {
        let inside = fault(0, 4_096);
        let verdict = judge(&evidence(&inside, &[]));
        assert_eq!(verdict.class, Class::Unknown);
        assert!(verdict.summary.contains("inside the file"));
        for code in [1, 2, 3, 4, 5, 128, 77] {
            let signal = signal(code);
            let verdict = judge(&without_fault(&signal));
            assert_eq!(verdict.class, Class::Unknown);
            assert!(!verdict.summary.is_empty());
        }
    }
}

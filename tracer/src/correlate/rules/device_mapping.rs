//! A driver had nothing to map there.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Fault, Handler},
        observe::Observe,
    },
};

const CAUSE: Cause = Cause {
    kind: CauseKind::DeviceMapping,
    observes: &[Observe::ForcedSignal],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "ask the driver's documentation what may be touched, and when: part of the \
             mapping has nothing behind it, must not be written, or its device is gone",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// include/linux/mm.h
const VM_PFNMAP: u64 = 0x400;
const VM_IO: u64 = 0x4000;
/// include/uapi/linux/magic.h: anon_inode, dma-buf. Files of drivers that are no devices.
const DRIVERS: [u64; 2] = [0x0904_1934, 0x444d_4142];

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let seen = match (evidence.fault, evidence.mapped) {
        (Some(fault), _) => is_driver(fault),
        // The second try, by /proc.
        (None, Some(mapped)) => {
            mapped.path.starts_with(b"/dev/") && !mapped.path.starts_with(b"/dev/shm/")
                || mapped.path.starts_with(b"anon_inode:")
        }
        (None, None) => false,
    };
    if !seen {
        return None;
    }
    let summary = "a mapping of a driver, not of a file with an end: the driver refused the page, or \
                   has nothing there";
    Some(CAUSE.verdict(Confidence::Likely, summary))
}

fn is_driver(fault: &Fault) -> bool {
    let driver = fault.inode.device() || DRIVERS.contains(&fault.inode.magic);
    let pages = fault.vm_flags & (VM_PFNMAP | VM_IO) != 0;
    (fault.inode.ptr != 0 && driver) || (fault.handler == Handler::Unattributed && pages)
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn a_device_has_no_end() {
        let mut fault = fault(7, 0);
        fault.inode.mode = 0o020_600;
        fault.handler = Handler::Unattributed;
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(verdict.class, CauseKind::DeviceMapping);
        assert_eq!(verdict.confidence, Confidence::Likely);
    }

    #[test]
    fn a_name_from_proc_does_too() {
        let signal = signal(2);
        let victim = ProcessId { tgid: VICTIM, start: STARTED };
        let class = |path: &[u8]| {
            let mapped = Mapped { victim, address: 0, path: path.to_vec() };
            evaluate(&Evidence { mapped: Some(&mapped), ..without_fault(&signal) }).class
        };
        assert_eq!(class(b"/dev/dri/card0"), CauseKind::DeviceMapping);
        assert_eq!(class(b"/dev/shm/x"), CauseKind::Unknown);
    }

    #[test]
    fn a_file_is_none() {
        let mut fault = fault(7, 0);
        fault.handler = Handler::Unattributed;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::MappedPastEnd);
    }
}

//! A mapping the kernel made itself: vdso, vvar.
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
    kind: CauseKind::SpecialMapping,
    observes: &[Observe::SpecialMappingFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "do not walk over every mapping of /proc/self/maps: [vvar] has pages that are \
             there only with some clock sources",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.fault?;
    let confidence = match fault.handler {
        Handler::SpecialMappingFault => Confidence::Proven,
        Handler::Unattributed => unattributed(fault)?,
        _ => return None,
    };
    Some(
        CAUSE.verdict(
            confidence,
            "a page of a mapping that the kernel made, with nothing behind it",
        ),
    )
}

/// Where its handler is not hooked: by the name of that, which is looked up as the signal is raised; or because there is no
/// file, by which a device is mapped.
fn unattributed(fault: &Fault) -> Option<Confidence> {
    match &fault.mapper.function {
        Some(function) if function.name == b"special_mapping_fault" => Some(Confidence::Proven),
        None if fault.inode.ptr == 0 && fault.of_driver() => Some(Confidence::Likely),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{model::fault::KernelSymbol, testing::*};

    #[test]
    fn the_handler_proves_it() {
        let mut fault = fault(0, 0);
        fault.handler = Handler::SpecialMappingFault;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::SpecialMapping);
    }

    /// Without names of functions (before 5.17): a device is mapped by a file.
    #[test]
    fn frames_without_a_file_are_likely_the_kernels() {
        let mut fault = fault(0, 0);
        // VM_PFNMAP
        (fault.handler, fault.inode.ptr, fault.vm_flags) = (Handler::Unattributed, 0, 0x400);
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(
            (verdict.class, verdict.confidence),
            (CauseKind::SpecialMapping, Confidence::Likely)
        );
        fault.inode.ptr = 7;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::DeviceMapping);
    }

    /// Where no function is hooked the signal tells which one refused the page: it is no driver's.
    #[test]
    fn its_name_proves_it_too() {
        let mut fault = fault(0, 0);
        (fault.handler, fault.inode.ptr) = (Handler::Unattributed, 0);
        let name = b"special_mapping_fault".to_vec();
        fault.mapper.function = Some(KernelSymbol { name, module: None });
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(verdict.class, CauseKind::SpecialMapping);
        assert_eq!(verdict.confidence, Confidence::Proven);
    }
}

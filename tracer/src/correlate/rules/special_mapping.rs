//! A mapping the kernel made itself: vdso, vvar.
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
    evidence.fault.filter(|fault| fault.handler == Handler::SpecialMappingFault)?;
    let summary = "a page of a mapping that the kernel made, with nothing behind it";
    Some(CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn the_handler_proves_it() {
        let mut fault = fault(0, 0);
        fault.handler = Handler::SpecialMappingFault;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::SpecialMapping);
    }
}

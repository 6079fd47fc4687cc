//! A page that userfaultfd was to fill, with UFFD_FEATURE_SIGBUS: nobody is asked, SIGBUS is sent.
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
    kind: CauseKind::Userfaultfd,
    observes: &[Observe::UserfaultFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "fill the page (UFFDIO_COPY, UFFDIO_ZEROPAGE) before it is touched, or register \
             without UFFD_FEATURE_SIGBUS",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.fault.filter(|fault| fault.handler == Handler::Userfault)?;
    let summary = "a page registered with userfaultfd was touched before it was filled";
    Some(CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn the_handler_proves_it() {
        let mut fault = fault(0, 0);
        fault.handler = Handler::Userfault;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::Userfaultfd);
    }
}

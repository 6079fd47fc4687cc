//! A mapping the kernel made itself: vdso, vvar.
use crate::{
    correlate::rules::{Evidence, Verdict},
    model::{
        cause::{CauseKind, Confidence},
        fault::Handler,
    },
};

const ADVICE: &str = "do not walk over every mapping of /proc/self/maps: [vvar] has pages that are \
                      there only with some clock sources";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.fault.filter(|fault| fault.handler == Handler::SpecialMappingFault)?;
    let summary = "a page of a mapping the kernel made, and has nothing to show for";
    Some(Verdict::new(CauseKind::SpecialMapping, Confidence::Proven, summary, ADVICE))
}

#[cfg(test)]
mod tests {
    use crate::{correlate::rules::*, testing::*};

    #[test]
    fn the_handler_proves_it() {
        let mut fault = fault(0, 0);
        fault.handler = Handler::SpecialMappingFault;
        assert_eq!(judge(&evidence(&fault, &[])).class, CauseKind::SpecialMapping);
    }
}

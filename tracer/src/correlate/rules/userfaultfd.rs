//! A page that userfaultfd was to fill, with UFFD_FEATURE_SIGBUS: nobody is asked, SIGBUS is sent.
use crate::{
    correlate::rules::{Evidence, Verdict},
    model::{
        cause::{CauseKind, Confidence},
        fault::Handler,
    },
};

const ADVICE: &str = "fill the page (UFFDIO_COPY, UFFDIO_ZEROPAGE) before it is touched, or register \
                      without UFFD_FEATURE_SIGBUS";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.fault.filter(|fault| fault.handler == Handler::Userfault)?;
    let summary = "a page registered with userfaultfd was touched before it was filled";
    Some(Verdict::new(CauseKind::Userfaultfd, Confidence::Proven, summary, ADVICE))
}

#[cfg(test)]
mod tests {
    use crate::{correlate::rules::*, testing::*};

    #[test]
    fn the_handler_proves_it() {
        let mut fault = fault(0, 0);
        fault.handler = Handler::Userfault;
        assert_eq!(judge(&evidence(&fault, &[])).class, CauseKind::Userfaultfd);
    }
}

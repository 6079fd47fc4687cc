//! The file system had no room for a page that was written: a hole, or a page that is copied when it is written.
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
    text::format::size,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::NoSpace,
    observes: &[Observe::PageMkwrite],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "free space on that file system; or reserve the blocks before mapping, with \
             posix_fallocate(3), which fails with ENOSPC instead",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// Bytes a full file system may keep for itself.
const SPARE: u64 = 256 << 10;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.inside(Handler::PageMkwrite)?;
    let space = evidence.space.filter(|space| space.errno.is_none())?;
    let page = evidence.host.page_size;
    // Every inode gone while blocks are left fails no write to an open file. What is left may be
    // set aside for the file system's own records: xfs gives up with some blocks to spare.
    let confidence = match space.free {
        free if free < page => Confidence::Proven,
        free if free < SPARE => Confidence::Likely,
        _ => return None,
    };
    let summary = format!(
        "no room for the page, which was to be written: the file system of {} has {} left",
        size(space.total),
        size(space.free),
    );
    Some(CAUSE.verdict(confidence, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn a_full_file_system_proves_it() {
        let mut fault = fault(0, 8_192);
        fault.handler = Handler::PageMkwrite;
        let mut evidence = evidence(&fault, &[]);
        evidence.space = Some(space(0));
        assert_eq!(evaluate(&evidence).class, CauseKind::NoSpace);
        evidence.space = Some(space(20 << 10));
        assert_eq!(evaluate(&evidence).confidence, Confidence::Likely);
        // Room is left: a quota, or an error of the device.
        evidence.space = Some(space(1 << 20));
        assert_eq!(evaluate(&evidence).class, CauseKind::Unknown);
        evidence.space = None;
        assert_eq!(evaluate(&evidence).class, CauseKind::Unknown);
    }
}

//! Past the end, and nobody shrank the file: it was mapped longer than it is.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
    },
    text::format::size,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::MappedPastEnd,
    observes: &[Observe::FileFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "compare st_size with the mapped length before touching the mapping; grow the \
             file with ftruncate(2) or posix_fallocate(3) first",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// How long a shrink may take between its start and the new ctime. Ns.
const UNDER_WAY: u64 = 10_000_000_000;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.past_end()?;
    let started = evidence.victim.start;
    let unchanged = evidence.changed_since_start(fault) == Some(false);
    let watched = started > evidence.host.since;
    // A shrink unmaps its pages before it changes ctime (fs/ext4/inode.c ext4_setattr: first
    // truncate_pagecache, then ext4_truncate): while one may be under way, an old ctime proves nothing.
    let under_way = evidence.lossy_since(evidence.time.saturating_sub(UNDER_WAY));
    let (confidence, ground) = if unchanged && !under_way {
        (Confidence::Proven, "the inode has not changed since before the process started")
    } else if watched && !evidence.lossy() {
        (Confidence::Proven, "no truncation since before the process started")
    } else if under_way || watched {
        (Confidence::Likely, "no truncation seen, but events were lost")
    } else {
        (Confidence::Likely, "no truncation seen, but the process is older than the watch")
    };
    let mapped = fault.vm_end.saturating_sub(fault.vm_start);
    let summary = format!(
        "mapped past the end: {} mapped from offset {}, the file has {}; {ground}",
        size(mapped),
        size(fault.vm_pgoff.saturating_mul(evidence.host.page_size)),
        size(fault.inode.size),
    );
    Some(CAUSE.verdict(confidence, summary))
}

#[cfg(test)]
mod tests {
    use super::UNDER_WAY;
    use crate::testing::*;

    #[test]
    fn an_inode_older_than_the_process_proves_it() {
        let verdict = evaluate(&evidence(&fault(1, 0), &[]));
        assert_eq!(verdict.class, CauseKind::MappedPastEnd);
        assert_eq!(verdict.confidence, Confidence::Proven);
    }

    #[test]
    fn a_shrink_under_way_may_have_left_an_old_ctime() {
        let fault = fault(1, 0);
        let mut evidence = evidence(&fault, &[]);
        evidence.time = UNDER_WAY + 2;
        evidence.lost = 1;
        assert_eq!(evaluate(&evidence).confidence, Confidence::Proven);
        evidence.lost = 2;
        assert_eq!(evaluate(&evidence).class, CauseKind::MappedPastEnd);
        assert_eq!(evaluate(&evidence).confidence, Confidence::Likely);
    }

    #[test]
    fn losses_make_it_likely() {
        let mut fault = fault(1, 0);
        fault.inode.ctime = WALL + SINCE as i64 + 5;
        let mut evidence = evidence(&fault, &[]);
        evidence.victim.start = SINCE + 1;
        assert_eq!(evaluate(&evidence).confidence, Confidence::Proven);
        evidence.lost = SINCE;
        assert_eq!(evaluate(&evidence).confidence, Confidence::Proven);
        evidence.lost = SINCE + 1;
        assert_eq!(evaluate(&evidence).confidence, Confidence::Likely);
    }
}

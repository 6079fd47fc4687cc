//! The file system had no room for a page that was written: a hole, or a page that is copied when it is written.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, SPARE, Verdict},
        rules::shm_full::has_room,
    },
    model::{
        cause::{CauseKind, Confidence},
        fact::Space,
        fault::{Fault, Handler},
        magic::XFS_SUPER_MAGIC,
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

/// What filled it is gone: whoever looks on now sees room.
const AGAIN_ADVICE: &str = "there was room again a moment later: find what fills it for a while (builds, dumps, logs), or make \
                            it larger; or reserve the blocks before mapping, with posix_fallocate(3), which fails with \
                            ENOSPC instead";

const COMMIT_ADVICE: &str = "find what commits so much (VmData of /proc/*/status), add swap, or raise vm.overcommit_ratio or \
                             vm.overcommit_kbytes; vm.overcommit_memory=0 only if nobody set 2 on purpose";

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    if let Some(fault) = evidence.inside(Handler::ShmemFault) {
        return overcommitted(fault, evidence);
    }
    let fault = evidence.inside(Handler::PageMkwrite)?;
    let refusal = fault.refusal;
    // fs/xfs/xfs_trans_dquot.c xfs_trans_dqresv: a project's quota is ENOSPC, too.
    let may_be_quota = fault.inode.magic == XFS_SUPER_MAGIC && evidence.lacks(Observe::QuotaLimit);
    let space = evidence.space.filter(|space| space.errno.is_none());
    let (confidence, word) = match (refusal.errno.map(i32::wrapping_neg), space) {
        (Some(libc::ENOSPC), _) if refusal.is_certain() && !may_be_quota => {
            (Confidence::Proven, " (ENOSPC)")
        }
        (Some(libc::ENOSPC), _) => (Confidence::Likely, " (ENOSPC)"),
        // Looked at afterwards: the file system may have been full for another reason, and read-only for one of its
        // own. Every inode gone while blocks are left fails no write to an open file. What is left may be set aside
        // for the file system's own records: xfs gives up with some blocks to spare.
        (None, Some(space)) if space.free < SPARE && !evidence.refused_otherwise() => {
            (Confidence::Likely, "")
        }
        _ => return None,
    };
    let again = space.is_some_and(|space| space.free >= SPARE);
    let left = space.map_or(String::new(), |Space { total, free, .. }| {
        let again = if again { " again, a moment later" } else { "" };
        format!(": the file system of {} has {} left{again}", size(total), size(free))
    });
    let summary = format!("no room for the page, which was to be written{word}{left}");
    let verdict = CAUSE.verdict(confidence, summary);
    Some(if again { Verdict { advice: AGAIN_ADVICE, ..verdict } } else { verdict })
}

/// A page of a tmpfs that has room, on a host that promises no more memory than it has: each page of such a file is
/// promised as it is touched (mm/shmem.c shmem_acct_blocks). By what is found a moment later.
fn overcommitted(fault: &Fault, evidence: &Evidence<'_>) -> Option<Verdict> {
    let commit = evidence.commit.filter(|commit| commit.strict)?;
    let silent = fault.refusal.errno.is_none() && evidence.shmem_would_have_said_no_room();
    if fault.read_errno.is_some() || silent || !has_room(fault, evidence) {
        return None;
    }
    let (committed, limit) = (size(commit.committed), size(commit.limit));
    let summary = format!(
        "no room for a page of shared memory: vm.overcommit_memory is 2 and the commit limit was reached; {committed} of \
         {limit} (CommitLimit) are committed a moment later, and a part is kept for root (vm.admin_reserve_kbytes)"
    );
    let mut verdict = CAUSE.verdict(Confidence::Likely, summary);
    verdict.advice = COMMIT_ADVICE;
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    fn verdict(
        errno: Option<i32>,
        doubt: bool,
        free: Option<u64>,
    ) -> (CauseKind, Confidence, String) {
        let fault = refused(Refusal { errno, doubt, ..Refusal::default() });
        let mut evidence = evidence(&fault, &[]);
        evidence.space = free.map(space);
        let verdict = evaluate(&evidence);
        (verdict.class, verdict.confidence, verdict.summary)
    }

    #[test]
    fn what_the_file_system_says_proves_it() {
        let (class, confidence, summary) = verdict(Some(-28), false, Some(8 << 20));
        assert_eq!((class, confidence), (CauseKind::NoSpace, Confidence::Proven));
        assert!(summary.contains("(ENOSPC)") && summary.contains("8 MiB left again"), "{summary}");
        let fault = refused(Refusal { errno: Some(-28), ..Refusal::default() });
        let advice = |free| {
            let evidence = Evidence { space: Some(space(free)), ..evidence(&fault, &[]) };
            evaluate(&evidence).advice
        };
        assert!(advice(0).starts_with("free space"), "{}", advice(0));
        assert!(advice(8 << 20).starts_with("there was room again"), "{}", advice(8 << 20));
        let (class, confidence, summary) = verdict(Some(-28), false, None);
        assert_eq!((class, confidence), (CauseKind::NoSpace, Confidence::Proven));
        assert!(summary.ends_with("(ENOSPC)"), "{summary}");
        // Perhaps it said so to a write(2) before.
        let (class, confidence, _) = verdict(Some(-28), true, Some(0));
        assert_eq!((class, confidence), (CauseKind::NoSpace, Confidence::Likely));
    }

    #[test]
    fn a_full_file_system_that_said_nothing_is_likely() {
        for (free, class) in [
            (Some(0), CauseKind::NoSpace),
            (Some(20 << 10), CauseKind::NoSpace),
            // Room is left: a quota, or an error of the device.
            (Some(1 << 20), CauseKind::Unknown),
            (None, CauseKind::Unknown),
        ] {
            let (told, confidence, _) = verdict(None, false, free);
            assert_eq!(told, class, "{free:?}");
            assert_ne!(confidence, Confidence::Proven);
        }
    }

    /// ext4 refuses before it looks for room then (ext4_journal_check_start): what it said may have been said before.
    #[test]
    fn one_that_is_stopped_may_have_said_so_before() {
        for (read_only, shut_down) in [(true, false), (false, true)] {
            let refusal = Refusal { errno: Some(-28), read_only, shut_down, ..Refusal::default() };
            let fault = refused(refusal);
            let verdict = evaluate(&evidence(&fault, &[]));
            let told = (verdict.class, verdict.confidence);
            assert_eq!(told, (CauseKind::NoSpace, Confidence::Likely), "{refusal:?}");
        }
    }

    #[test]
    fn one_that_is_full_and_said_something_else_is_not_full_for_that() {
        assert_eq!(verdict(Some(-5), false, Some(0)).0, CauseKind::WriteError);
        let fault = refused(Refusal { read_only: true, ..Refusal::default() });
        let mut evidence = evidence(&fault, &[]);
        evidence.space = Some(space(0));
        assert_eq!(evaluate(&evidence).class, CauseKind::WriteError);
    }
}

//! The file system has room, but its owner may not have more of it.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
        rules::shm_full::has_room,
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Handler, QuotaId},
        magic::{TMPFS_MAGIC, XFS_SUPER_MAGIC},
        observe::Observe,
    },
    text::format::size,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Quota,
    observes: &[Observe::PageMkwrite],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "raise the quota (setquota, edquota, xfs_quota) or remove files that count against it; to fail \
             earlier, reserve the blocks with posix_fallocate(3) before mapping",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault =
        evidence.inside(Handler::PageMkwrite).or_else(|| evidence.inside(Handler::ShmemFault))?;
    let refusal = fault.refusal;
    let asked = evidence.quota;
    let said = match refusal.errno.map(i32::wrapping_neg) {
        Some(libc::EDQUOT) => true,
        // fs/xfs/xfs_trace.h xfs_delalloc_enospc stands for both, and a project's quota is ENOSPC there
        // (fs/xfs/xfs_trans_dquot.c xfs_trans_dqresv). So does mm/shmem.c shmem_unused_huge_shrink.
        Some(libc::ENOSPC)
            if matches!(fault.inode.magic, XFS_SUPER_MAGIC | TMPFS_MAGIC)
                && refusal.quota.is_some() =>
        {
            true
        }
        None if refusal.quota.is_some() => true,
        _ if fault.handler == Handler::ShmemFault => {
            let blamed = asked.is_some() && has_room(fault, evidence);
            if !blamed || fault.read_errno.is_some() {
                return None;
            }
            false
        }
        None if asked.is_some() && !evidence.refused_otherwise() => false,
        _ => return None,
    };
    let confidence = match said && refusal.is_certain() {
        true => Confidence::Proven,
        false => Confidence::Likely,
    };
    let of = |known: QuotaId| match known.kind {
        0 => format!("user {}", known.id),
        1 => format!("group {}", known.id),
        _ => format!("project {}", known.id),
    };
    let whose = asked.map(|quota| QuotaId { kind: quota.kind, id: quota.id });
    let quota = match (asked, refusal.quota.or(whose)) {
        (Some(quota), Some(known)) if Some(known) == whose => format!(
            "the quota of {}: {} of {} are used on this file system",
            of(known),
            size(quota.used),
            size(quota.limit),
        ),
        (_, Some(known)) => format!("the quota of {}", of(known)),
        (_, None) => "a quota (EDQUOT)".to_owned(),
    };
    Some(CAUSE.verdict(confidence, format!("no room for the page within {quota}")))
}

#[cfg(test)]
mod tests {
    use crate::{
        model::magic::{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC},
        testing::*,
    };

    /// The verdict on what the file system said and what quotactl(2) said of user 1000 afterwards.
    fn verdict(
        errno: Option<i32>,
        quota: Option<QuotaId>,
        asked: bool,
    ) -> (CauseKind, Confidence, String) {
        told(refused(Refusal { errno, quota, ..Refusal::default() }), asked)
    }

    fn told(mut fault: Fault, asked: bool) -> (CauseKind, Confidence, String) {
        if fault.refusal.errno == Some(-28) {
            fault.inode.magic = XFS_SUPER_MAGIC;
        }
        let mut evidence = evidence(&fault, &[]);
        evidence.space = Some(space(0));
        let victim = evidence.victim;
        let used_up = Quota { victim, kind: 0, id: 1000, used: 4_096, limit: 4_096 };
        evidence.quota = asked.then_some(used_up);
        let verdict = evaluate(&evidence);
        (verdict.class, verdict.confidence, verdict.summary)
    }

    #[test]
    fn what_the_file_system_says_proves_it() {
        let project = Some(QuotaId { kind: 2, id: 77 });
        for (errno, quota, asked, whose) in [
            (Some(-122), None, false, "(EDQUOT)"),
            (Some(-122), None, true, "the quota of user 1000: 4 KiB of 4 KiB are used"),
            (Some(-122), Some(QuotaId { kind: 0, id: 1000 }), true, "user 1000: 4 KiB"),
            (Some(-122), Some(QuotaId { kind: 1, id: 5 }), false, "the quota of group 5"),
            // The quota that was hit is not the one that is asked for.
            (Some(-28), project, true, "the quota of project 77"),
            (None, project, false, "the quota of project 77"),
        ] {
            let (class, confidence, summary) = verdict(errno, quota, asked);
            assert_eq!((class, confidence), (CauseKind::Quota, Confidence::Proven), "{summary}");
            assert!(summary.contains(whose), "{summary}");
        }
    }

    #[test]
    fn one_that_is_stopped_may_have_said_so_before() {
        for (read_only, shut_down) in [(true, false), (false, true)] {
            let quota = Some(QuotaId { kind: 0, id: 1000 });
            let refusal = Refusal { errno: Some(-122), quota, read_only, shut_down, doubt: false };
            let (class, confidence, summary) = told(refused(refusal), false);
            assert_eq!((class, confidence), (CauseKind::Quota, Confidence::Likely), "{summary}");
        }
    }

    /// ext4 has an errno for either.
    #[test]
    fn a_limit_that_was_hit_before_is_not_to_blame_where_there_is_no_room() {
        let quota = Some(QuotaId { kind: 0, id: 1000 });
        let mut fault = refused(Refusal { errno: Some(-28), quota, ..Refusal::default() });
        fault.inode.magic = EXT4_SUPER_MAGIC;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::NoSpace);
    }

    #[test]
    fn a_used_up_quota_comes_before_a_full_disk_but_is_likely() {
        let (class, confidence, summary) = verdict(None, None, true);
        assert_eq!((class, confidence), (CauseKind::Quota, Confidence::Likely));
        assert!(summary.contains("user 1000"), "{summary}");
    }

    #[test]
    fn a_used_up_quota_is_not_to_blame_for_another_errno() {
        assert_eq!(verdict(Some(-28), None, true).0, CauseKind::NoSpace);
        assert_eq!(verdict(Some(-5), None, true).0, CauseKind::WriteError);
    }
}

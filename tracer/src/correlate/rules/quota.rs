//! The file system has room, but its owner may not have more of it.
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
    kind: CauseKind::Quota,
    observes: &[Observe::PageMkwrite],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "raise the quota (setquota, edquota) or remove files of that owner; to fail \
             earlier, reserve the blocks with posix_fallocate(3) before mapping",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.inside(Handler::PageMkwrite)?;
    let quota = evidence.quota?;
    let whose = match quota.kind {
        0 => format!("user {}", quota.id),
        1 => format!("group {}", quota.id),
        _ => format!("project {}", quota.id),
    };
    let summary = format!(
        "no room for the page within a quota: {whose} has used {} of {} on this file system",
        size(quota.used),
        size(quota.limit),
    );
    Some(CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn a_used_up_quota_comes_before_a_full_disk() {
        let mut fault = fault(0, 8_192);
        fault.handler = Handler::PageMkwrite;
        let mut evidence = evidence(&fault, &[]);
        evidence.space = Some(space(0));
        let victim = evidence.victim;
        evidence.quota = Some(Quota { victim, kind: 0, id: 1000, used: 4_096, limit: 4_096 });
        let verdict = evaluate(&evidence);
        assert_eq!(verdict.class, CauseKind::Quota);
        assert!(verdict.summary.contains("user 1000"), "{}", verdict.summary);
    }
}

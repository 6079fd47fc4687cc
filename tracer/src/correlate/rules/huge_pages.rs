//! No huge page was to be had for a page inside the mapping.
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
    kind: CauseKind::HugePages,
    observes: &[Observe::HugetlbFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "raise vm.nr_hugepages (or the cgroup's hugetlb limit), or map without \
             MAP_NORESERVE, so that mmap(2) fails instead",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

const ADVICE_LIMIT: &str = "raise the cgroup's hugetlb limit (hugetlb.*.max; in Kubernetes the \
                            hugepages-* resource of the container)";

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.inside(Handler::HugetlbFault)?;
    if let Some(limit) = evidence.huge_limit {
        let summary = format!(
            "no huge page was given: the cgroup's hugetlb limit is {}, and {} are in use",
            size(limit.limit),
            size(limit.used),
        );
        let verdict = CAUSE.verdict(Confidence::Proven, summary);
        return Some(Verdict { advice: ADVICE_LIMIT, ..verdict });
    }
    let summary = match evidence.huge_pages {
        Some(pool) if pool.free <= pool.reserved => format!(
            "no huge page free: the pool has {} of {}, {} free, {} of them promised to others",
            pool.total,
            size(pool.size),
            pool.free,
            pool.reserved,
        ),
        Some(pool) => format!(
            "no huge page was given, although the pool of {} pages of {} has {} free: a cgroup's \
             hugetlb limit, or pages of another size",
            pool.total,
            size(pool.size),
            pool.free,
        ),
        None => "no huge page was given".to_owned(),
    };
    Some(CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn the_state_of_the_pool_tells_which_limit() {
        let mut fault = fault(0, 2 << 20);
        fault.handler = Handler::HugetlbFault;
        let mut evidence = evidence(&fault, &[]);
        let pool = |free| HugePages { total: 4, free, reserved: 0, size: 2 << 20 };
        evidence.huge_pages = Some(pool(0));
        assert!(evaluate(&evidence).summary.contains("no huge page free"));
        let limit =
            HugeLimit { victim: evidence.victim, cgroup: b"/pod".to_vec(), used: 0, limit: 0 };
        evidence.huge_limit = Some(&limit);
        assert!(evaluate(&evidence).summary.contains("hugetlb limit is 0 B"));
        evidence.huge_limit = None;
        evidence.huge_pages = Some(pool(3));
        let verdict = evaluate(&evidence);
        assert_eq!(verdict.class, CauseKind::HugePages);
        assert!(verdict.summary.contains("cgroup"));
    }
}

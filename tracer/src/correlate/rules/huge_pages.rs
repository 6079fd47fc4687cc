//! No huge page was to be had for a page inside the mapping.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fact::HugePages,
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
    advice: "raise vm.nr_hugepages (of pages of another size than the default nr_hugepages in \
             /sys/kernel/mm/hugepages) or the cgroup's hugetlb limit, or map without MAP_NORESERVE, so that \
             mmap(2) fails instead",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// Which of the two it was is not known.
const ADVICE_ROOM: &str = "compare how much it maps with the pool (HugePages_Total in /proc/meminfo, of each NUMA node \
                           /sys/devices/system/node/node*/hugepages), with hugetlb.*.max of its cgroup and of those above, \
                           and with size= of its hugetlbfs";
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
    let Some(pool) = evidence.huge_pages else {
        return Some(CAUSE.verdict(Confidence::Proven, "no huge page was given"));
    };
    let HugePages { total, free, reserved, .. } = pool;
    let pool = format!("the pool of {} pages", size(pool.size));
    if free > reserved {
        let summary = format!(
            "no huge page was given; a moment later {pool} had {free} of {total} free: what it had taken itself and gave \
             back as it ended, or pages that it may not have (a cgroup's hugetlb limit, the size= of its hugetlbfs, another \
             NUMA node's)"
        );
        let verdict = CAUSE.verdict(Confidence::Proven, summary);
        return Some(Verdict { advice: ADVICE_ROOM, ..verdict });
    }
    let state = match (total, free) {
        (0, _) => "is empty".to_owned(),
        (_, 0) => format!("has none of {total} free"),
        _ => format!("has {free} of {total} free, but reserved for other mappings"),
    };
    Some(CAUSE.verdict(Confidence::Proven, format!("no huge page was free: {pool} {state}")))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn the_state_of_the_pool_tells_which_limit() {
        let mut fault = fault(0, 2 << 20);
        fault.handler = Handler::HugetlbFault;
        let mut evidence = evidence(&fault, &[]);
        let pool = |free| HugePages { victim: None, total: 4, free, reserved: 0, size: 2 << 20 };
        evidence.huge_pages = Some(pool(0));
        assert_eq!(
            evaluate(&evidence).summary,
            "no huge page was free: the pool of 2 MiB pages has none of 4 free"
        );
        assert!(evaluate(&evidence).advice.contains("nr_hugepages"));
        let limit =
            HugeLimit { victim: evidence.victim, cgroup: b"/pod".to_vec(), used: 0, limit: 0 };
        evidence.huge_limit = Some(&limit);
        assert!(evaluate(&evidence).summary.contains("hugetlb limit is 0 B"));
        evidence.huge_limit = None;
        evidence.huge_pages = Some(pool(3));
        let verdict = evaluate(&evidence);
        assert_eq!(verdict.class, CauseKind::HugePages);
        assert!(verdict.summary.contains("cgroup"));
        assert!(verdict.summary.contains("gave back as it ended"), "{}", verdict.summary);
        assert!(verdict.advice.starts_with("compare how much it maps"), "{}", verdict.advice);
    }
}

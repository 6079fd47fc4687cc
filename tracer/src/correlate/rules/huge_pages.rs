//! No huge page was to be had for a page inside the mapping.
use crate::{
    correlate::rules::{Evidence, Verdict},
    model::{
        cause::{CauseKind, Confidence},
        fault::Handler,
    },
    text::format::size,
};

const ADVICE: &str = "raise vm.nr_hugepages (or the cgroup's hugetlb limit), or map without \
                      MAP_NORESERVE, so that mmap(2) fails instead";

const ADVICE_LIMIT: &str = "raise the cgroup's hugetlb limit (hugetlb.*.max; in Kubernetes the \
                            hugepages-* resource of the container)";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    evidence.inside(Handler::HugetlbFault)?;
    if let Some(limit) = evidence.huge_limit {
        let summary = format!(
            "no huge page was given: the cgroup's hugetlb limit is {}, and {} are in use",
            size(limit.limit),
            size(limit.used),
        );
        return Some(Verdict::new(CauseKind::HugePages, Confidence::Proven, summary, ADVICE_LIMIT));
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
    Some(Verdict::new(CauseKind::HugePages, Confidence::Proven, summary, ADVICE))
}

#[cfg(test)]
mod tests {
    use crate::{correlate::rules::*, testing::*};

    #[test]
    fn the_state_of_the_pool_tells_which_limit() {
        let mut fault = fault(0, 2 << 20);
        fault.handler = Handler::HugetlbFault;
        let mut evidence = evidence(&fault, &[]);
        let pool = |free| HugePages { total: 4, free, reserved: 0, size: 2 << 20 };
        evidence.huge_pages = Some(pool(0));
        assert!(judge(&evidence).summary.contains("no huge page free"));
        let limit =
            HugeLimit { victim: evidence.victim, cgroup: b"/pod".to_vec(), used: 0, limit: 0 };
        evidence.huge_limit = Some(&limit);
        assert!(judge(&evidence).summary.contains("hugetlb limit is 0 B"));
        evidence.huge_limit = None;
        evidence.huge_pages = Some(pool(3));
        let verdict = judge(&evidence);
        assert_eq!(verdict.class, CauseKind::HugePages);
        assert!(verdict.summary.contains("cgroup"));
    }
}

//! tmpfs had no room for a page inside the file: /dev/shm of a container, most often.
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
    kind: CauseKind::ShmFull,
    observes: &[Observe::ShmemFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "make the tmpfs larger (docker run --shm-size, an emptyDir with medium Memory \
             and a sizeLimit, mount -o remount,size=), or remove what fills it",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// Pages that CPUs may have counted only for themselves, each less than a batch (lib/percpu_counter.c
/// compute_batch_value: 32, and more on large machines). Without their number as on a host with one.
fn kept(cpus: Option<u64>) -> u64 {
    let cpus = cpus.unwrap_or(1);
    cpus.saturating_mul(cpus.saturating_mul(2).max(32) - 1)
}

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.inside(Handler::ShmemFault)?;
    let page = evidence.host.page_size;
    let kept = kept(evidence.host.cpus);
    // A moment later, but exact (mm/shmem.c shmem_statfs).
    let found = evidence.space.filter(|space| space.errno.is_none() && space.free < page);
    // At that very moment, if the kernel told it.
    let told = fault.shm.filter(|shm| shm.used.saturating_add(kept) >= shm.max);
    let (used, total, proven) = match (told, found) {
        // What may be missing in the count is little against it, or it is not missing.
        (Some(shm), found) => (shm.max, shm.max, found.is_some() || kept <= shm.max / 4),
        (None, Some(space)) => {
            ((space.total - space.free.min(space.total)) / page, space.total / page, false)
        }
        (None, None) => return None,
    };
    let bytes = |pages: u64| size(pages.saturating_mul(page));
    let summary = format!("the tmpfs is full: {} in use of {}", bytes(used), bytes(total));
    let confidence = if proven { Confidence::Proven } else { Confidence::Likely };
    Some(CAUSE.verdict(confidence, summary))
}

#[cfg(test)]
mod tests {
    use super::kept;
    use crate::model::fault::Shm;
    use crate::testing::*;

    #[test]
    fn a_full_tmpfs_proves_it() {
        let mut fault = fault(0, 8_192);
        fault.handler = Handler::ShmemFault;
        let mut evidence = evidence(&fault, &[]);
        evidence.space = Some(space(0));
        let verdict = evaluate(&evidence);
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::ShmFull, Confidence::Likely));
        let mut told = fault.clone();
        told.shm = Some(Shm { max: 256, used: 250 });
        evidence.fault = Some(&told);
        evidence.space = None;
        let verdict = evaluate(&evidence);
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::ShmFull, Confidence::Proven));
        evidence.fault = Some(&fault);
        evidence.space = Some(space(1 << 20));
        let verdict = evaluate(&evidence);
        assert_eq!(verdict.class, CauseKind::Unknown);
        assert!(verdict.summary.contains("overcommit"), "{}", verdict.summary);
    }

    #[test]
    fn what_cpus_keep_to_themselves_grows_with_their_square() {
        assert_eq!([None, Some(1), Some(2), Some(16)].map(kept), [31, 31, 62, 496]);
        assert_eq!(kept(Some(64)), 64 * 127);
        assert_eq!(kept(Some(u64::MAX)), u64::MAX);
    }

    /// 64 MiB, as docker gives it, on 128 CPUs: the count may be short by more than that.
    #[test]
    fn a_count_that_may_be_short_by_all_of_it_proves_nothing() {
        let host = Host { cpus: Some(128), ..host() };
        let mut fault = fault(0, 8_192);
        (fault.handler, fault.shm) = (Handler::ShmemFault, Some(Shm { max: 16_384, used: 9_000 }));
        let mut evidence = Evidence { host: &host, ..evidence(&fault, &[]) };
        assert_eq!(evaluate(&evidence).confidence, Confidence::Likely);
        evidence.space = Some(space(0));
        assert_eq!(evaluate(&evidence).confidence, Confidence::Proven);
    }
}

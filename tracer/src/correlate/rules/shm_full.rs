//! tmpfs had no room for a page inside the file: /dev/shm of a container, most often.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Fault, Handler},
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
    if fault.read_errno.is_some() {
        return None;
    }
    let page = evidence.host.page_size;
    // A moment later, but exact (mm/shmem.c shmem_statfs).
    let room = evidence.room();
    let found_full = room.is_some_and(|free| free < page);
    let left_again = room.filter(|free| *free >= page);
    // At that very moment, if the kernel told it; but for what CPUs keep to themselves.
    let kept = kept(evidence.host.cpus);
    let told = fault.shm.filter(|shm| shm.used.saturating_add(kept) >= shm.max);
    let counted_full = fault.shm.is_some_and(|shm| shm.used >= shm.max);
    let said = fault.refusal.errno.is_some();
    let silent = !said && evidence.shmem_would_have_said_no_room();
    let total = match (told, evidence.space) {
        (Some(_), _) if silent && !counted_full && !found_full => return None,
        // Whatever was counted, it is not known to have been full then, and is not now.
        (Some(_), _) if left_again.is_some() && !counted_full && !said => return None,
        (Some(shm), _) => shm.max.saturating_mul(page),
        (None, Some(space)) if found_full => space.total,
        (None, _) => return None,
    };
    // It was heard to look for room in vain, and nothing but its size keeps a page from it: make has removed what
    // filled it since.
    let by_size = said
        && fault.refusal.quota.is_none()
        && evidence.commit.is_some_and(|commit| !commit.strict);
    // A page that does not come back from swap fails in the same way.
    let swapped = !said && evidence.lacks(Observe::SwapIn);
    let proven = told.is_some() && (counted_full || found_full || by_size) && !silent && !swapped;
    let confidence = if proven { Confidence::Proven } else { Confidence::Likely };
    let full = match left_again {
        Some(free) => format!("was full, and has {} free again a moment later", size(free)),
        None => "is full".to_owned(),
    };
    // The mount comes behind it.
    let total = size(total);
    let summary = format!("the tmpfs {full}: {total} in use of {total}");
    Some(CAUSE.verdict(confidence, summary))
}

/// Whether the tmpfs of a fault has room: by what it counted then, and by what statfs(2) says a moment later, or if
/// that says nothing by a count that cannot be short by as much.
pub fn has_room(fault: &Fault, evidence: &Evidence<'_>) -> bool {
    let fits = |slack| fault.shm.is_none_or(|shm| shm.used.saturating_add(slack) < shm.max);
    match evidence.room() {
        Some(free) => fits(0) && free >= evidence.host.page_size,
        None => fits(kept(evidence.host.cpus)),
    }
}

#[cfg(test)]
mod tests {
    use super::kept;
    use crate::{
        model::{fault::Shm, magic::TMPFS_MAGIC},
        testing::*,
    };

    /// A fault on a tmpfs of 256 pages that failed inside its file.
    fn failed(used: u64, errno: Option<i32>) -> Fault {
        let mut fault = Fault { handler: Handler::ShmemFault, ..fault(0, 8_192) };
        (fault.inode.magic, fault.refusal.errno) = (TMPFS_MAGIC, errno);
        Fault { shm: Some(Shm { max: 256, used }), ..fault }
    }

    fn judge(fault: &Fault, free: Option<u64>) -> (CauseKind, Confidence, String) {
        let evidence = Evidence { space: free.map(space), ..evidence(fault, &[]) };
        let verdict = evaluate(&evidence);
        (verdict.class, verdict.confidence, verdict.summary)
    }

    #[test]
    fn it_is_proven_by_the_count_or_by_statfs() {
        use Confidence::{Likely, Proven};
        for (used, free, confidence) in [
            (256, None, Proven),
            (256, Some(1 << 20), Proven),
            (250, Some(0), Proven),
            // Six pages may have been left, or counted by a CPU for itself.
            (250, None, Likely),
        ] {
            let (class, told, summary) = judge(&failed(used, None), free);
            assert_eq!((class, told), (CauseKind::ShmFull, confidence), "{used}, {free:?}");
            assert!(summary.ends_with(": 1 MiB in use of 1 MiB"), "{summary}");
        }
        let full = Fault { shm: None, ..failed(0, None) };
        assert_eq!(judge(&full, Some(0)).1, Likely);
    }

    #[test]
    fn what_statfs_says_against_it_counts() {
        let (class, _, summary) = judge(&failed(250, None), Some(1 << 20));
        assert_eq!(class, CauseKind::Unknown, "{summary}");
        assert!(summary.contains("overcommit"), "{summary}");
        // It had no room all the same.
        let (class, confidence, summary) = judge(&failed(250, Some(-28)), Some(1 << 20));
        assert_eq!((class, confidence), (CauseKind::ShmFull, Confidence::Likely));
        assert!(summary.contains("was full, and has 1 MiB free again"), "{summary}");
        // Nothing else could have refused it.
        let removed = failed(250, Some(-28));
        let judge = |strict| {
            let commit = Some(Commit { strict, limit: 1 << 30, committed: 1 << 20 });
            let space = Some(space(1 << 20));
            evaluate(&Evidence { commit, space, ..evidence(&removed, &[]) })
        };
        assert_eq!(judge(false).confidence, Confidence::Proven);
        assert_ne!(judge(true).confidence, Confidence::Proven);
        // Nor is one full that has no limit.
        let unlimited = Fault { shm: None, ..failed(0, Some(-28)) };
        let space = Some(Space { total: 0, ..space(0) });
        let evidence = Evidence { space, ..evidence(&unlimited, &[]) };
        assert_eq!(evaluate(&evidence).class, CauseKind::Unknown);
    }

    /// It would have been heard to look for room.
    #[test]
    fn one_that_looked_for_no_room_is_not_proven_full() {
        let hook = AttachedHook {
            observe: Some(Observe::ShmemRefusal),
            hook: "fentry shmem_unused_huge_shrink".to_owned(),
        };
        let mut host = host();
        host.coverage.hooks.push(hook);
        let judge = |used, errno, free: Option<u64>| {
            let fault = failed(used, errno);
            let space = free.map(space);
            let evidence = Evidence { host: &host, space, ..evidence(&fault, &[]) };
            let verdict = evaluate(&evidence);
            (verdict.class, verdict.confidence)
        };
        assert_eq!(judge(250, None, None).0, CauseKind::Unknown);
        assert_eq!(judge(256, None, None), (CauseKind::ShmFull, Confidence::Likely));
        assert_eq!(judge(250, Some(-28), Some(0)), (CauseKind::ShmFull, Confidence::Proven));
    }

    #[test]
    fn a_page_that_does_not_come_back_from_swap_is_a_read_error() {
        let lost = Fault { read_errno: Some(-5), ..failed(256, None) };
        let (class, confidence, summary) = judge(&lost, Some(0));
        assert_eq!((class, confidence), (CauseKind::ReadError, Confidence::Proven));
        assert!(summary.contains("swap") && summary.contains("(EIO)"), "{summary}");
        let refusal = Refusal { doubt: true, ..Refusal::default() };
        let doubted = Fault { refusal, ..lost };
        assert_eq!(judge(&doubted, None).1, Confidence::Likely);
    }

    #[test]
    fn a_quota_of_a_tmpfs_with_room_comes_before_its_size() {
        let quota = Some(QuotaId { kind: 0, id: 65_534 });
        let mut over = failed(256, Some(-28));
        over.refusal.quota = quota;
        let (class, confidence, summary) = judge(&over, Some(1 << 20));
        assert_eq!((class, confidence), (CauseKind::Quota, Confidence::Proven), "{summary}");
        // The kernel tells of a limit once; a second victim is told by what quotactl(2) says afterwards.
        let second = failed(100, Some(-28));
        let mut evidence = Evidence { space: Some(space(1 << 20)), ..evidence(&second, &[]) };
        let victim = evidence.victim;
        evidence.quota = Some(Quota { victim, kind: 0, id: 65_534, used: 4_096, limit: 4_096 });
        let verdict = evaluate(&evidence);
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Quota, Confidence::Likely));
        // The size of the file system is looked at first (mm/shmem.c shmem_inode_acct_blocks).
        evidence.space = Some(space(0));
        assert_eq!(evaluate(&evidence).class, CauseKind::ShmFull);
    }

    #[test]
    fn a_host_that_promises_no_more_than_it_has_may_be_why() {
        let commit = Some(Commit { strict: true, limit: 1 << 30, committed: 1_000 << 20 });
        let judge = |fault: &Fault, free| {
            let space = Some(space(free));
            evaluate(&Evidence { commit, space, ..evidence(fault, &[]) })
        };
        let verdict = judge(&failed(100, Some(-28)), 1 << 20);
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::NoSpace, Confidence::Likely));
        assert!(verdict.summary.contains("1000 MiB of 1 GiB"), "{}", verdict.summary);
        assert!(verdict.advice.contains("vm.overcommit"), "{}", verdict.advice);
        assert_eq!(judge(&failed(256, Some(-28)), 0).class, CauseKind::ShmFull);
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

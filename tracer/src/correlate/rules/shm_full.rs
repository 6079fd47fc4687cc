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

/// Pages that CPUs have counted only for themselves (lib/percpu_counter.c: a batch of 32 each, and
/// more on large machines).
const KEPT: u64 = 32;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.inside(Handler::ShmemFault)?;
    let page = evidence.host.page_size;
    // At that very moment, if the kernel told it; or a moment later.
    let (used, total) = match (fault.shm, evidence.space) {
        (Some(shm), _) if shm.used.saturating_add(KEPT) >= shm.max => (shm.max, shm.max),
        (_, Some(space)) if space.errno.is_none() && space.free < page => {
            ((space.total - space.free.min(space.total)) / page, space.total / page)
        }
        _ => return None,
    };
    let summary =
        format!("the tmpfs is full: {} in use of {}", size(used * page), size(total * page));
    Some(CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::model::fault::Shm;
    use crate::testing::*;

    #[test]
    fn a_full_tmpfs_proves_it() {
        let mut fault = fault(0, 8_192);
        fault.handler = Handler::ShmemFault;
        let mut evidence = evidence(&fault, &[]);
        evidence.space = Some(space(0));
        assert_eq!(evaluate(&evidence).class, CauseKind::ShmFull);
        let mut told = fault.clone();
        told.shm = Some(Shm { max: 256, used: 250 });
        evidence.fault = Some(&told);
        evidence.space = None;
        assert_eq!(evaluate(&evidence).class, CauseKind::ShmFull);
        evidence.fault = Some(&fault);
        evidence.space = Some(space(1 << 20));
        let verdict = evaluate(&evidence);
        assert_eq!(verdict.class, CauseKind::Unknown);
        assert!(verdict.summary.contains("memory cgroup"), "{}", verdict.summary);
    }
}

//! Which hook, missing on this host, might have decided an answer. Pure.
use crate::{
    correlate::{
        evidence::{Evidence, FAULTS, Verdict},
        rules::by_pointer,
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Fault, Handler},
        magic::{
            BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC, XFS_SUPER_MAGIC,
        },
        observe::{Observe, Uncovered},
        remote::is_shared,
        shrink::ShrinkKind,
    },
};

/// Hooks that are not there and might have changed `verdict`, by name.
pub fn blind(evidence: &Evidence<'_>, verdict: &Verdict) -> Vec<String> {
    let coverage = &evidence.host.coverage;
    let deciding = deciding(evidence, verdict);
    let missing: Vec<&Uncovered> =
        deciding.iter().filter_map(|observe| coverage.lacking(*observe)).collect();
    missing.into_iter().map(|missing| missing.hook.clone()).collect()
}

/// What `verdict` rests on not having been seen.
fn deciding(evidence: &Evidence<'_>, verdict: &Verdict) -> Vec<Observe> {
    use CauseKind as Kind;
    let magic = evidence.fault.map_or(0, |fault| fault.inode.magic);
    let errno = evidence.fault.and_then(|fault| fault.read_errno.or(fault.refusal.errno));
    match verdict.class {
        Kind::Unknown => of_unknown(evidence),
        Kind::MappedPastEnd | Kind::TruncatedBeforeWatch | Kind::ShrunkElsewhere => shrinks(magic),
        // Without an act it is by the state of the file alone.
        Kind::Truncated | Kind::TruncatedBySelf if verdict.shrink.is_none() => shrinks(magic),
        Kind::Truncated | Kind::TruncatedBySelf => result(verdict).into_iter().collect(),
        Kind::ReadError | Kind::FuseGone => match (errno, magic) {
            (None, _) => vec![Observe::ReadError],
            (Some(_), NFS_SUPER_MAGIC) => vec![Observe::NfsStale],
            _ => Vec::new(),
        },
        Kind::NoSpace | Kind::Quota | Kind::WriteError | Kind::ShmFull => {
            evidence.fault.map(refusals).unwrap_or_default()
        }
        Kind::Misaligned | Kind::OtherKernel => vec![Observe::ForcedSignal],
        Kind::Exited => vec![Observe::SignalGenerated],
        Kind::StaleHandle if verdict.confidence == Confidence::Likely => vec![Observe::FileFault],
        Kind::Sent if verdict.confidence == Confidence::Likely => vec![Observe::OomKill],
        Kind::SpecialMapping if verdict.confidence == Confidence::Likely => {
            vec![Observe::SpecialMappingFault]
        }
        Kind::OomKilled if evidence.oom.is_none() => vec![Observe::OomKill],
        Kind::Signal if is_code_in_doubt(evidence) => {
            vec![Observe::Shrink, Observe::OpenTruncate]
        }
        _ => Vec::new(),
    }
}

fn of_unknown(evidence: &Evidence<'_>) -> Vec<Observe> {
    match (evidence.fault, evidence.signal) {
        (Some(Fault { handler: Handler::Unattributed, .. }), _) => FAULTS.to_vec(),
        (Some(fault), _) => refusals(fault),
        (None, _) if evidence.death.is_some() => vec![Observe::SignalGenerated],
        // BUS_ADRERR
        (None, Some(signal)) if signal.code == 2 => FAULTS.to_vec(),
        (None, Some(_)) => vec![Observe::ForcedSignal],
        (None, None) => vec![Observe::SignalGenerated],
    }
}

/// Every way in which a file of this file system loses its end.
fn shrinks(magic: u64) -> Vec<Observe> {
    let mut ways = vec![Observe::Shrink, Observe::Collapse];
    if is_shared(magic) {
        ways.push(Observe::OpenTruncate);
    }
    match magic {
        FUSE_SUPER_MAGIC => ways.push(Observe::FuseSize),
        NFS_SUPER_MAGIC => ways.extend([Observe::NfsSize, Observe::NfsSizeReply]),
        _ => {}
    }
    ways
}

/// What would say whether the act succeeded that is blamed, where nothing has said so.
fn result(verdict: &Verdict) -> Option<Observe> {
    let shrink = verdict.shrink.as_ref().filter(|shrink| shrink.end.is_none())?;
    Some(match shrink.how {
        ShrinkKind::CollapseRange => Observe::CollapseResult,
        _ => Observe::ShrinkResult,
    })
}

/// What would say why a page was refused, where nothing has said so.
fn refusals(fault: &Fault) -> Vec<Observe> {
    if fault.read_errno.is_some() {
        return Vec::new();
    }
    let said = fault.refusal.errno.is_some();
    match (fault.handler, fault.inode.magic) {
        (Handler::FilemapFault, _) => vec![Observe::ReadError],
        (Handler::ShmemFault, _) if said => vec![Observe::QuotaLimit],
        (Handler::ShmemFault, _) => vec![Observe::ShmemRefusal, Observe::SwapIn],
        (Handler::PageMkwrite, XFS_SUPER_MAGIC) => vec![Observe::XfsRefusal, Observe::QuotaLimit],
        (Handler::PageMkwrite, _) if said => Vec::new(),
        (Handler::PageMkwrite, EXT4_SUPER_MAGIC) => {
            vec![Observe::MkwriteErrno, Observe::Ext4Refusal, Observe::QuotaLimit]
        }
        (Handler::PageMkwrite, BTRFS_SUPER_MAGIC) => {
            vec![Observe::BtrfsRefusal, Observe::QuotaLimit]
        }
        (Handler::PageMkwrite, _) => vec![Observe::MkwriteErrno, Observe::QuotaLimit],
        _ => Vec::new(),
    }
}

/// Whether it failed at an instruction of a file, in a way that changed code may be why of.
fn is_code_in_doubt(evidence: &Evidence<'_>) -> bool {
    evidence.death.zip(evidence.signal).is_some_and(|(death, signal)| {
        let in_file = death.crash.as_ref().is_some_and(|crash| crash.module.is_some());
        in_file && !by_pointer(signal, death)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{correlate::rules, testing::*};

    fn judged(evidence: &Evidence<'_>) -> (CauseKind, Confidence, Vec<String>, String) {
        let verdict = rules::evaluate(evidence);
        let blind = blind(evidence, &verdict);
        (verdict.class, verdict.confidence, blind, verdict.summary)
    }

    /// The same evidence on a host that lacks the hook, and on one that lacks nothing.
    fn both(
        evidence: &dyn Fn(&Host) -> (CauseKind, Confidence, Vec<String>, String),
        missing: Observe,
        class: CauseKind,
    ) {
        let (whole, whole_confidence, none, _) = evidence(&lacking(&[]));
        assert_eq!((whole, whole_confidence, none.len()), (class, Confidence::Proven, 0));
        let (told, confidence, blind, _) = evidence(&lacking(&[missing]));
        assert_eq!((told, confidence), (class, Confidence::Likely), "{missing:?}");
        assert_eq!(blind, [missing.word()]);
    }

    #[test]
    fn a_shrink_whose_result_nobody_sees_is_likely() {
        let fault = fault(20, 0);
        let at = |host: &Host| {
            let shrinks = [Shrink { end: None, ..shrink(10, 100, 102_400, 0) }];
            judged(&Evidence { host, ..evidence(&fault, &shrinks) })
        };
        both(&at, Observe::ShrinkResult, CauseKind::Truncated);
        // It was seen to end.
        let shrinks = [Shrink { end: Some(200), ..shrink(10, 100, 102_400, 0) }];
        let host = lacking(&[Observe::ShrinkResult, Observe::Collapse]);
        let (_, confidence, blind, _) =
            judged(&Evidence { host: &host, ..evidence(&fault, &shrinks) });
        assert_eq!((confidence, blind.len()), (Confidence::Proven, 0));
    }

    #[test]
    fn a_truncation_that_is_told_without_an_act_rests_on_nobody_looking() {
        let fault = fault(20, 0);
        let host = lacking(&[Observe::Shrink, Observe::ShrinkResult]);
        let evidence = Evidence { host: &host, ..evidence(&fault, &[]) };
        let verdict = Verdict::new(CauseKind::Truncated, Confidence::Likely, "by its state", "");
        assert_eq!(blind(&evidence, &verdict), ["shrink"]);
    }

    /// By the signal alone.
    #[test]
    fn what_is_likely_only_because_a_hook_is_missing_names_it() {
        let mut inside = Fault { handler: Handler::Unattributed, ..fault(0, 4_096) };
        let host = lacking(&[Observe::FileFault, Observe::SpecialMappingFault, Observe::OomKill]);
        let told = |evidence: Evidence<'_>| {
            let (class, confidence, blind, _) = judged(&Evidence { host: &host, ..evidence });
            assert_eq!(confidence, Confidence::Likely, "{class:?}");
            (class, blind)
        };
        let (class, blind) = told(Evidence { stale: true, ..evidence(&inside, &[]) });
        assert_eq!((class, &*blind[0]), (CauseKind::StaleHandle, "file-fault"));
        // VM_PFNMAP
        (inside.inode.ptr, inside.vm_flags) = (0, 0x400);
        let (class, blind) = told(evidence(&inside, &[]));
        assert_eq!((class, &*blind[0]), (CauseKind::SpecialMapping, "special-mapping-fault"));
        let death = exit(9, 9);
        let kill = Signal { number: 9, sender: actor(VICTIM), forced: true, ..signal(0x80) };
        let (class, blind) = told(of_death(&death, Some(&kill)));
        assert_eq!((class, &*blind[0]), (CauseKind::Sent, "oom-kill"));
    }

    #[test]
    fn what_a_process_may_have_made_up_is_likely() {
        let misaligned = Signal { forced: true, ..signal(1) };
        let at = |host: &Host| judged(&Evidence { host, ..without_fault(&misaligned) });
        both(&at, Observe::ForcedSignal, CauseKind::Misaligned);
    }

    #[test]
    fn who_may_have_got_a_signal_did_not_surely_exit_by_itself() {
        let death = exit(100 * SINCE, 1 << 8);
        let at = |host: &Host| judged(&Evidence { host, ..of_death(&death, None) });
        both(&at, Observe::SignalGenerated, CauseKind::Exited);
    }

    #[test]
    fn a_tmpfs_that_may_have_lost_a_page_to_swap_is_likely_full() {
        let mut full = Fault { handler: Handler::ShmemFault, ..fault(0, 8_192) };
        full.shm = Some(Shm { max: 256, used: 256 });
        // Where nobody hears it look for room.
        let judge = |missing: &[Observe]| {
            let host = lacking(missing);
            judged(&Evidence { host: &host, space: Some(space(0)), ..evidence(&full, &[]) })
        };
        let (class, confidence, blind, _) = judge(&[Observe::ShmemRefusal]);
        assert_eq!((class, confidence), (CauseKind::ShmFull, Confidence::Proven));
        assert_eq!(blind, ["shmem-refusal"]);
        let (class, confidence, blind, _) = judge(&[Observe::ShmemRefusal, Observe::SwapIn]);
        assert_eq!((class, confidence), (CauseKind::ShmFull, Confidence::Likely));
        assert_eq!(blind, ["shmem-refusal", "swap-in"]);
    }

    #[test]
    fn nothing_is_proven_by_nobody_having_been_seen_where_nobody_looks() {
        let fault = fault(1, 0);
        for missing in [Observe::Shrink, Observe::Collapse] {
            let host = lacking(&[missing]);
            let mut evidence = Evidence { host: &host, ..evidence(&fault, &[]) };
            (evidence.victim.start, evidence.covered) = (SINCE + 1, u64::MAX);
            let (class, confidence, blind, _) = judged(&evidence);
            assert_eq!((class, confidence), (CauseKind::MappedPastEnd, Confidence::Likely));
            assert_eq!(blind, [missing.word()]);
        }
    }

    #[test]
    fn a_fault_that_was_not_seen_names_the_hooks_that_would_have() {
        let signal = Signal { forced: true, ..signal(2) };
        let host = lacking(&[Observe::FileFault, Observe::ShmemFault, Observe::ReadError]);
        let evidence = Evidence { host: &host, ..without_fault(&signal) };
        let (class, _, blind, summary) = judged(&evidence);
        assert_eq!((class, blind.len()), (CauseKind::Unknown, 2));
        assert_eq!(
            summary,
            "the fault was not seen: file-fault and one more hook of faults are missing on this host \
             (kernel.ftrace_enabled is 0)"
        );
        // Who was seen sending it, was.
        let (sent, confidence, blind, _) = {
            let signal = Signal { code: 0, ..signal };
            judged(&Evidence { host: &host, ..without_fault(&signal) })
        };
        assert_eq!((sent, confidence, blind.len()), (CauseKind::Sent, Confidence::Proven, 0));
    }

    #[test]
    fn a_page_that_was_refused_for_a_reason_nobody_heard_says_so() {
        let unread = fault(0, 8_192);
        let host = lacking(&[Observe::ReadError, Observe::Shrink]);
        let (class, _, blind, _) = judged(&Evidence { host: &host, ..evidence(&unread, &[]) });
        assert_eq!((class, blind), (CauseKind::ReadError, vec!["read-error".to_owned()]));
        let read = Fault { read_errno: Some(-5), ..unread };
        let (_, confidence, blind, _) = judged(&Evidence { host: &host, ..evidence(&read, &[]) });
        assert_eq!((confidence, blind.len()), (Confidence::Proven, 0));
    }

    #[test]
    fn what_a_server_said_is_likely_where_a_process_of_this_host_may_have_done_it() {
        let mut fault = fault(20, 0);
        fault.inode.magic = FUSE_SUPER_MAGIC;
        let at = |host: &Host| {
            let mut told = shrink(10, 100, 102_400, 0);
            (told.how, told.inode.magic) = (ShrinkKind::Remote, FUSE_SUPER_MAGIC);
            let shrinks = [told];
            judged(&Evidence { host, ..evidence(&fault, &shrinks) })
        };
        both(&at, Observe::OpenTruncate, CauseKind::ShrunkElsewhere);
        both(&at, Observe::Shrink, CauseKind::ShrunkElsewhere);
    }
}

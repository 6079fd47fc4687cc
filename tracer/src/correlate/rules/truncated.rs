//! A shrink we saw removed the very page that was touched.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        evidence::{Evidence, UNDER_WAY, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::Handler,
        observe::Observe,
        shrink::{ShrinkKind, how},
    },
    text::format::{duration, size},
};

const TRUNCATED: Cause = Cause {
    kind: CauseKind::Truncated,
    observes: &[Observe::Shrink, Observe::ShrinkResult],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "write the new file beside the old one and rename(2) it into place; never \
             write over a mapped file",
};
const BY_SELF: Cause = Cause {
    kind: CauseKind::TruncatedBySelf,
    observes: &[Observe::Shrink, Observe::ShrinkResult],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "unmap the file, or stop every reader of the mapping, before shrinking it",
};

/// Nothing can be renamed into its place.
const MEMFD: &str = "whoever hands out shared memory should seal it (fcntl(2) F_ADD_SEALS with F_SEAL_SHRINK); whoever \
                     gets some from others should look for that seal before mapping it, or handle SIGBUS";

pub const RULE: Rule = Rule { causes: &[TRUNCATED, BY_SELF], evaluate };

/// For so long a client takes a length for right before it asks its server again (actimeo= of CIFS; acregmin= of NFS is 3 s). Ns.
const CACHED: u64 = 1_000_000_000;

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let removal = evidence.removal().filter(|(_, shrink)| shrink.how != ShrinkKind::Remote);
    let Some((fault, shrink)) = removal else { return unwatched(evidence) };
    let by_self = shrink.actor.task.id.same(evidence.victim);
    let before = evidence.time.saturating_sub(shrink.begin);
    let mut summary = format!(
        "truncated {}, {} earlier: {} → {} by {}",
        if shrink.mapped { "under the mapping" } else { "while it was not mapped" },
        duration(before),
        size(shrink.inode.size),
        size(shrink.new_size),
        how(shrink.how),
    );
    if by_self {
        if shrink.actor.task.tid == fault.actor.task.tid {
            summary.push_str(", by the same thread");
        } else {
            summary.push_str(&format!(", by another thread (tid {})", shrink.actor.task.tid));
        }
    }
    if fault.inode.size > shrink.new_size {
        summary.push_str(&format!("; later grown back to {}", size(fault.inode.size)));
    }
    // Nobody mapped the file then, and this process did not exist: it has mapped more than it saw.
    let start = evidence.victim.start;
    let over = !shrink.mapped && start != 0 && shrink.end.is_some_and(|end| end < start);
    if over {
        summary.push_str(
            "; that was over before this process started: it maps more than the file has had since",
        );
    }
    let page = evidence.host.page_size;
    let forgotten = evidence
        .dropped
        .is_some_and(|dropped| dropped.may_have_removed(fault.pgoff, page, shrink.begin));
    if forgotten {
        summary.push_str("; it was shrunk too often since to remember each time");
    }
    // It was begun: whether it went well would have been seen as it returned.
    let unwatched = evidence.lacks(match shrink.how {
        ShrinkKind::CollapseRange => Observe::CollapseResult,
        _ => Observe::ShrinkResult,
    });
    let unseen = shrink.end.is_none() && (unwatched || before > UNDER_WAY);
    if unseen {
        summary.push_str(match unwatched {
            true => "; whether that went well is not watched on this host",
            false => "; whether that went well was not seen",
        });
    }
    // It is not as long as that left it: whoever gave it another length elsewhere may have taken the page, too.
    let elsewhere =
        before > CACHED && evidence.may_shrink_unseen(fault) && fault.inode.size != shrink.new_size;
    if elsewhere {
        summary.push_str(
            "; or it was shrunk from another machine since, which is not watched on this file system",
        );
    }
    // Tmpfs may also have been short of memory.
    let inside = evidence.past_end().is_none();
    let doubtful = inside && (fault.handler != Handler::FilemapFault || evidence.lossy());
    let doubtful = doubtful || over || forgotten || unseen || elsewhere;
    let confidence = if doubtful { Confidence::Likely } else { Confidence::Proven };
    let cause = if by_self { &BY_SELF } else { &TRUNCATED };
    let mut verdict = cause.verdict(confidence, summary);
    if !by_self && Evidence::is_memfd(fault) {
        verdict.advice = MEMFD;
    }
    if over {
        verdict.advice = "map no more than fstat(2) says the file has now: its length was taken from elsewhere, or \
                          from before it was shrunk";
    }
    verdict.shrink = Some(shrink.clone());
    Some(verdict)
}

/// Past the end of a file that has changed since its process started and since the watch began, where no hook sees who
/// shrinks files.
fn unwatched(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.past_end()?;
    let ctime = fault.inode.ctime;
    let changed = evidence.changed_since_start(fault) == Some(true);
    if !evidence.lacks(Observe::Shrink)
        || !changed
        || ctime < evidence.realtime(evidence.host.since)
        || Evidence::changed_elsewhere(fault)
    {
        return None;
    }
    let before = evidence.realtime(evidence.time).saturating_sub(ctime);
    let summary = format!(
        "past the end of a file of {}, which changed {} earlier, after the process started: most likely it was \
         shrunk then, or it never was as long as its mapping; who shrinks files is not watched on this host",
        size(fault.inode.size),
        duration(u64::try_from(before).unwrap_or(0)),
    );
    Some(TRUNCATED.verdict(Confidence::Likely, summary))
}

#[cfg(test)]
mod tests {
    use super::CACHED;
    use crate::testing::*;

    #[test]
    fn where_nobody_watches_who_shrinks_files_a_change_is_the_likely_shrink() {
        let mut fault = fault(20, 0);
        fault.inode.ctime = WALL + SINCE as i64 + 5;
        let judge = |host: &Host| evaluate(&Evidence { host, ..evidence(&fault, &[]) });
        let verdict = judge(&lacking(&[Observe::Shrink]));
        assert_eq!((verdict.class, verdict.confidence), (CauseKind::Truncated, Confidence::Likely));
        // What has just been made changed, too.
        assert!(
            verdict.summary.contains("or it never was as long as its mapping"),
            "{}",
            verdict.summary
        );
        assert_eq!(judge(&lacking(&[])).class, CauseKind::MappedPastEnd);
    }

    #[test]
    fn the_latest_shrink_that_removed_the_page_did_it() {
        // 100 KiB → 40 KiB by 10, → 4 KiB by 11; page 20 went with the first.
        let shrinks = [shrink(10, 100, 102_400, 40_960), shrink(11, 200, 40_960, 4_096)];
        let verdict = evaluate(&evidence(&fault(20, 4_096), &shrinks));
        assert_eq!(verdict.class, CauseKind::Truncated);
        assert_eq!(verdict.confidence, Confidence::Proven);
        assert_eq!(verdict.shrink.as_ref().map(|shrink| shrink.begin), Some(100));
        assert_eq!(verdict.others.len(), 1);
    }

    #[test]
    fn a_large_page_goes_only_whole() {
        let host = Host { page_size: 1 << 16, ..host() };
        // Of its four pages of 64 KiB the second is cut in the middle, and stays.
        let shrinks = [shrink(10, 100, 200_000, 70_000)];
        let class = |pgoff| {
            let fault = fault(pgoff, 70_000);
            evaluate(&Evidence { host: &host, ..evidence(&fault, &shrinks) }).class
        };
        assert_eq!((class(2), class(3)), (CauseKind::Truncated, CauseKind::Truncated));
        assert_ne!(class(1), CauseKind::Truncated);
        assert_eq!(class(4), CauseKind::MappedPastEnd);
    }

    #[test]
    fn one_that_was_over_before_the_process_started_is_likely() {
        let fault = fault(20, 0);
        let mut old = shrink(10, STARTED - 9, 102_400, 0);
        (old.end, old.mapped) = (Some(STARTED - 5), false);
        let confidence = |old: &Shrink| {
            let shrinks = [old.clone()];
            let verdict = evaluate(&evidence(&fault, &shrinks));
            assert_eq!(verdict.class, CauseKind::Truncated);
            verdict.confidence
        };
        assert_eq!(confidence(&old), Confidence::Likely);
        // Its parent may have mapped it before it was forked.
        assert_eq!(confidence(&Shrink { mapped: true, ..old.clone() }), Confidence::Proven);
        assert_eq!(confidence(&Shrink { end: Some(STARTED + 5), ..old }), Confidence::Proven);
    }

    /// A kretprobe follows only so many calls at once.
    #[test]
    fn one_that_was_not_seen_to_return_may_have_failed() {
        let told = |before: u64, end: Option<u64>| {
            let shrinks = [Shrink { end, ..shrink(10, 100, 102_400, 0) }];
            let fault = fault(20, 0);
            let verdict = evaluate(&Evidence { time: 100 + before, ..evidence(&fault, &shrinks) });
            assert_eq!(verdict.class, CauseKind::Truncated);
            (verdict.confidence, verdict.summary.ends_with("was not seen"))
        };
        assert_eq!(told(super::UNDER_WAY, None), (Confidence::Proven, false), "it is under way");
        assert_eq!(told(super::UNDER_WAY + 1, None), (Confidence::Likely, true));
        assert_eq!(told(super::UNDER_WAY + 1, Some(200)), (Confidence::Proven, false));
    }

    #[test]
    fn regrowth_does_not_hide_it() {
        let verdict = evaluate(&evidence(&fault(20, 40_960), &[shrink(10, 100, 102_400, 0)]));
        assert_eq!(verdict.class, CauseKind::Truncated);
        assert!(verdict.summary.contains("grown back to 40 KiB"), "{}", verdict.summary);
    }

    /// CIFS, Ceph, 9p: nobody hears of another client.
    #[test]
    fn what_has_another_length_since_may_have_been_shrunk_elsewhere() {
        let judged = |magic: u64, size: u64, missing: &[Observe]| {
            let mut fault = fault(20, size);
            fault.inode.magic = magic;
            let host = lacking(missing);
            let shrinks = [shrink(10, 100, 102_400, 0)];
            let soon = Evidence { host: &host, time: 200, ..evidence(&fault, &shrinks) };
            assert_eq!(evaluate(&soon).confidence, Confidence::Proven, "still being written");
            let verdict = evaluate(&Evidence { time: 10 * CACHED, ..soon });
            assert_eq!(verdict.class, CauseKind::Truncated);
            verdict.confidence
        };
        let (cifs, nfs, ext4) = (0xfe53_4d42, 0x6969, 0xef53);
        assert_eq!(judged(cifs, 40_960, &[]), Confidence::Likely);
        assert_eq!(judged(cifs, 0, &[]), Confidence::Proven, "as it was left");
        assert_eq!(judged(ext4, 40_960, &[]), Confidence::Proven);
        assert_eq!(judged(nfs, 40_960, &[]), Confidence::Proven, "its server would be heard");
        assert_eq!(judged(nfs, 40_960, &[Observe::NfsSize]), Confidence::Likely);
    }

    #[test]
    fn a_file_that_has_regrown_over_the_page_by_now_hides_nothing() {
        let now = 10_000_000_000;
        let judged = |fault: &Fault, begin: u64, host: &Host| {
            let mut shrink = shrink(10, begin, 102_400, 0);
            shrink.end = Some(begin + 1_000);
            let shrinks = [shrink];
            let evidence = Evidence { time: now, host, ..evidence(fault, &shrinks) };
            let verdict = evaluate(&evidence);
            (verdict.class, verdict.confidence)
        };
        let hooks = [Observe::Shrink, Observe::Collapse, Observe::ReadError].map(|observe| {
            AttachedHook { observe: Some(observe), hook: observe.word().to_owned() }
        });
        let sees =
            Host { coverage: Coverage { hooks: hooks.into(), ..Coverage::default() }, ..host() };
        let (truncated, read) = (CauseKind::Truncated, CauseKind::ReadError);
        let mut fault = fault(20, 102_400);
        assert_eq!(judged(&fault, now - 5_000, &sees), (truncated, Confidence::Proven));
        // Nobody would have seen the errno of a read.
        assert_eq!(judged(&fault, now - 5_000, &host()), (read, Confidence::Likely));
        // It was read since then.
        assert_eq!(judged(&fault, now - 5_000_000_000, &sees).0, read);
        fault.read_errno = Some(-5);
        assert_eq!(judged(&fault, now - 5_000, &sees), (read, Confidence::Proven));
        (fault.handler, fault.read_errno) = (Handler::ShmemFault, None);
        assert_ne!(judged(&fault, now - 5_000, &sees).0, truncated, "it may be full");
        fault.shm = Some(Shm { max: 100, used: 9 });
        assert_eq!(judged(&fault, now - 5_000, &sees), (truncated, Confidence::Likely));
        fault.shm = Some(Shm { max: 100, used: 99 });
        assert_ne!(judged(&fault, now - 5_000, &sees).0, truncated);
    }

    #[test]
    fn the_tail_of_the_last_page_is_not_removed() {
        // Page 1 still holds byte 5000.
        let verdict = evaluate(&evidence(&fault(2, 5_001), &[shrink(10, 100, 8_192, 5_001)]));
        assert_ne!(verdict.class, CauseKind::Truncated);
    }

    #[test]
    fn a_thread_of_the_victim_is_the_victim() {
        let verdict = evaluate(&evidence(&fault(20, 0), &[shrink(VICTIM, 100, 102_400, 0)]));
        assert_eq!(verdict.class, CauseKind::TruncatedBySelf);
    }
}

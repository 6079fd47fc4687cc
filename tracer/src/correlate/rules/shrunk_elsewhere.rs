//! The file lost its end on another machine, or by a server in user space.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::Fault,
        magic::FUSE_SUPER_MAGIC,
        observe::Observe,
        shrink::Shrink,
    },
    text::format::{duration, size},
};

const CAUSE: Cause = Cause {
    kind: CauseKind::ShrunkElsewhere,
    observes: &[Observe::FileFault, Observe::ForcedSignal],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "find out who writes this file on the other machines: there too it must be \
             replaced by rename(2), never written over",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// Of FUSE, whose server is a program of this host, as a rule.
const ADVICE_FUSE: &str = "find out what its server makes of this file, and who changes what is behind the server: \
                           it must be replaced by rename(2), never written over";

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let (confidence, summary, shrink) = match evidence.removal() {
        Some((_, shrink)) => {
            let confidence =
                if unwatched(evidence) { Confidence::Likely } else { Confidence::Proven };
            (confidence, told(evidence, shrink), Some(shrink))
        }
        None => {
            let fault = evidence.past_end().filter(|fault| Evidence::changed_elsewhere(fault))?;
            (Confidence::Likely, untold(evidence, fault), None)
        }
    };
    let mut verdict = CAUSE.verdict(confidence, summary);
    if evidence.fault.is_some_and(on_fuse) {
        verdict.advice = ADVICE_FUSE;
    }
    verdict.shrink = shrink.cloned();
    Some(verdict)
}

/// Whether a process of this host may have done it unseen.
fn unwatched(evidence: &Evidence<'_>) -> bool {
    [Observe::Shrink, Observe::OpenTruncate].iter().any(|observe| evidence.lacks(*observe))
}

/// The server said so.
fn told(evidence: &Evidence<'_>, shrink: &Shrink) -> String {
    let task = &shrink.actor.task;
    // Whoever happened to ask: by stat(2), by opening it, or by reading ahead.
    let asked = match task.id {
        _ if task.kthread => ", when the kernel asked".to_owned(),
        id if id.same(evidence.victim) => ", when the victim asked".to_owned(),
        id if id.tgid != 0 => format!(", when process {} asked", id.tgid),
        _ => String::new(),
    };
    // What is behind a FUSE server may be a file of this host as well.
    let (server, by) = match evidence.fault.is_some_and(on_fuse) {
        true => (
            "FUSE server",
            "nobody shrank it through this mount, so it was shrunk behind the server, or that reported a wrong size",
        ),
        false => ("server", "no process of the victim's host did it"),
    };
    let by = match unwatched(evidence) {
        true => "who shrinks files on that host is not watched",
        false => by,
    };
    format!(
        "shrunk elsewhere: its {server} reported {} instead of {}, {} earlier{asked}; {by}",
        size(shrink.new_size),
        size(shrink.inode.size),
        duration(evidence.time.saturating_sub(shrink.begin)),
    )
}

/// Nobody said so, but the page lies past the end.
fn untold(evidence: &Evidence<'_>, fault: &Fault) -> String {
    if evidence.lacks(Observe::Shrink) {
        return format!(
            "past the end of a file of {} on a file system that others change, too; who shrinks files is not watched on \
             this host: shrunk here or elsewhere, or mapped too long from the start",
            size(fault.inode.size),
        );
    }
    let watched = evidence.maps_since() > evidence.covered && !evidence.lossy();
    let wrong = if on_fuse(fault) { ", or its FUSE server reported a wrong size" } else { "" };
    format!(
        "past the end of a file of {} on a file system that others change; no process of the victim's host \
         was seen to shrink it{}: shrunk elsewhere, or mapped too long from the start{wrong}",
        size(fault.inode.size),
        if watched { "" } else { " since whybus watches" },
    )
}

fn on_fuse(fault: &Fault) -> bool {
    fault.inode.magic == FUSE_SUPER_MAGIC
}

#[cfg(test)]
mod tests {
    use crate::{correlate::evidence::UNDER_WAY, testing::*};

    #[test]
    fn what_the_server_said_proves_it() {
        let mut remote = shrink(10, 100, 102_400, 0);
        remote.how = ShrinkKind::Remote;
        let verdict = evaluate(&evidence(&fault(20, 0), &[remote]));
        assert_eq!(verdict.class, CauseKind::ShrunkElsewhere);
        assert_eq!(verdict.confidence, Confidence::Proven);
    }

    #[test]
    fn an_echo_of_what_is_done_here_is_not_elsewhere() {
        let mut remote = shrink(10, 200, 102_400, 0);
        remote.how = ShrinkKind::Remote;
        let mut local = shrink(11, 100, 102_400, 0);
        local.end = Some(300);
        let verdict =
            |local: Shrink| evaluate(&evidence(&fault(20, 0), &[local, remote.clone()])).class;
        assert_eq!(verdict(local.clone()), CauseKind::Truncated);
        // Over before the server said so: the file had grown again, and then shrank elsewhere.
        local.end = Some(150);
        assert_eq!(verdict(local), CauseKind::ShrunkElsewhere);
    }

    /// A kretprobe follows only so many calls at once: what it missed is not under way for ever.
    #[test]
    fn what_was_never_seen_to_return_is_no_echo_of_later() {
        let class = |later: u64| {
            let local = shrink(11, 100, 102_400, 0);
            let mut remote = shrink(10, 100 + later, 102_400, 0);
            remote.how = ShrinkKind::Remote;
            let (fault, shrinks) = (fault(20, 0), [local, remote]);
            evaluate(&Evidence { time: 200 + later, ..evidence(&fault, &shrinks) }).class
        };
        assert_eq!(class(UNDER_WAY), CauseKind::Truncated);
        assert_eq!(class(UNDER_WAY + 1), CauseKind::ShrunkElsewhere);
    }

    /// It may have been shrunk here as well.
    #[test]
    fn nobody_is_said_not_to_have_done_it_where_nobody_looks() {
        let mut fault = fault(1, 0);
        fault.inode.magic = 0x6969;
        let host = lacking(&[Observe::Shrink]);
        let verdict = evaluate(&Evidence { host: &host, ..evidence(&fault, &[]) });
        assert_eq!(verdict.class, CauseKind::ShrunkElsewhere);
        let summary = verdict.summary;
        assert!(summary.contains("who shrinks files is not watched on this host"), "{summary}");
        assert!(summary.contains("here or elsewhere"), "{summary}");
        assert!(!summary.contains("was seen"), "{summary}");
    }

    #[test]
    fn on_a_network_file_system_it_is_likely() {
        let mut fault = fault(1, 0);
        fault.inode.magic = 0x6969;
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(verdict.class, CauseKind::ShrunkElsewhere);
        assert_eq!(verdict.confidence, Confidence::Likely);
    }

    #[test]
    fn a_server_of_this_host_may_be_wrong() {
        let told = |magic, shrinks: &[Shrink]| {
            let mut fault = fault(20, 0);
            fault.inode.magic = magic;
            let verdict = evaluate(&evidence(&fault, shrinks));
            let wrong = verdict.summary.contains("reported a wrong size");
            (wrong, verdict.advice == super::ADVICE_FUSE, verdict.confidence)
        };
        let mut remote = shrink(10, 100, 102_400, 0);
        remote.how = ShrinkKind::Remote;
        use Confidence::{Likely, Proven};
        let shrinks = std::slice::from_ref(&remote);
        assert_eq!(told(0x6573_5546, shrinks), (true, true, Proven));
        assert_eq!(told(0x6573_5546, &[]), (true, true, Likely));
        assert_eq!(told(0x6969, shrinks), (false, false, Proven));
        assert_eq!(told(0x6969, &[]), (false, false, Likely));
    }

    #[test]
    fn whoever_was_told_is_not_who_did_it() {
        let told = |tgid, kthread| {
            let mut remote = shrink(tgid, 100, 102_400, 0);
            (remote.how, remote.actor.task.kthread) = (ShrinkKind::Remote, kthread);
            evaluate(&evidence(&fault(20, 0), &[remote])).summary
        };
        assert!(told(10, false).contains(" earlier, when process 10 asked; no process"));
        assert!(told(10, true).contains("when the kernel asked"));
        assert!(told(VICTIM, false).contains("when the victim asked"));
    }
}

//! The file lost its end on another machine, or by a server in user space.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
    },
    text::format::{duration, size},
};

const CAUSE: Cause = Cause {
    kind: CauseKind::ShrunkElsewhere,
    observes: &[Observe::FileFault],
    rests_on: Some(Absence::OfAct),
    shows_mount: true,
    signal_from: SignalFrom::Fault,
    advice: "find out who writes this file on the other machines: there too it must be \
             replaced by rename(2), never written over",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    if let Some((_, shrink)) = evidence.removal() {
        let summary = format!(
            "shrunk elsewhere: the victim's host learnt {} earlier that the server has it {} long instead \
             of {}; no process on that host did it",
            duration(evidence.time.saturating_sub(shrink.begin)),
            size(shrink.new_size),
            size(shrink.inode.size),
        );
        let mut verdict = CAUSE.verdict(Confidence::Proven, summary);
        verdict.shrink = Some(shrink.clone());
        return Some(verdict);
    }
    let fault = evidence.past_end().filter(|fault| Evidence::changed_elsewhere(fault))?;
    let watched = evidence.victim.start > evidence.covered && !evidence.lossy();
    let summary = format!(
        "past the end of a file of {} on a file system that others change; no process of the victim's host \
         was seen to shrink it{}: shrunk elsewhere, or mapped too long from the start",
        size(fault.inode.size),
        if watched { "" } else { " since whybus watches" },
    );
    Some(CAUSE.verdict(Confidence::Likely, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

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

    #[test]
    fn on_a_network_file_system_it_is_likely() {
        let mut fault = fault(1, 0);
        fault.inode.magic = 0x6969;
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(verdict.class, CauseKind::ShrunkElsewhere);
        assert_eq!(verdict.confidence, Confidence::Likely);
    }
}

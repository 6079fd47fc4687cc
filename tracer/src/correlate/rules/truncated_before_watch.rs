//! Past the end, no shrink seen, but the inode changed after its process started and before
//! anybody watched.
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
    kind: CauseKind::TruncatedBeforeWatch,
    observes: &[Observe::FileFault, Observe::ForcedSignal],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "run `whybus record` so that the next one is caught",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let fault = evidence.past_end()?;
    let ctime = fault.inode.ctime;
    let started = evidence.realtime(evidence.maps_since());
    let process = match evidence.forked_since {
        Some(_) => "process that its process was forked by",
        None => "process",
    };
    let watching = evidence.realtime(evidence.host.since);
    if Evidence::changed_elsewhere(fault)
        || evidence.changed_since_start(fault) != Some(true)
        || ctime >= watching
    {
        return None;
    }
    let summary = format!(
        "past the end of a file of {}, and no truncation was seen: the inode last changed {} after \
         the {process} started and {} before whybus was watching",
        size(fault.inode.size),
        duration(u64::try_from(ctime.saturating_sub(started)).unwrap_or(0)),
        duration(watching.abs_diff(ctime)),
    );
    Some(CAUSE.verdict(Confidence::Likely, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn a_change_between_start_and_watch_is_the_likely_one() {
        let mut fault = fault(1, 0);
        fault.inode.ctime = WALL + STARTED as i64 + 5;
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(verdict.class, CauseKind::TruncatedBeforeWatch);
        assert_eq!(verdict.confidence, Confidence::Likely);
    }

    #[test]
    fn not_on_a_file_system_that_others_change() {
        let mut fault = fault(1, 0);
        fault.inode.ctime = WALL + STARTED as i64 + 5;
        fault.inode.magic = 0x6969;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::ShrunkElsewhere);
    }
}

//! No signal at all: it ended itself with a status other than 0.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
    },
    text::format::duration,
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Exited,
    observes: &[Observe::Exit],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::NoSignal,
    advice: "no signal was involved: its own output says why, or strace(1) of its last system \
             calls",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death?;
    if evidence.signal.is_some() || death.exit.code & 0x7f != 0 {
        return None;
    }
    let status = death.exit.code >> 8 & 0xff;
    let after = match death.exit.id.start {
        0 => String::new(),
        start => format!(", {} after its start", duration(death.exit.time.saturating_sub(start))),
    };
    let summary = format!("it called exit({status}) by itself{after}");
    Some(CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn a_status_is_no_signal() {
        let verdict = evaluate(&of_death(&exit(3_000_000_000, 1 << 8), None));
        assert_eq!(verdict.class, CauseKind::Exited);
        assert_eq!(verdict.summary, "it called exit(1) by itself, 2.0 s after its start");
    }
}

//! It raised SIGABRT itself: abort(3), a failed assert(3), an uncaught C++ exception.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        signal_name::SIGABRT,
    },
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Aborted,
    observes: &[Observe::Exit],
    rests_on: None,
    shows_mount: false,
    signal_from: SignalFrom::Itself,
    advice: "its last lines on standard error say why (assert, malloc and uncaught exceptions \
             write there before they abort); a core dump has variables, memory and all threads",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let death = evidence.death?;
    let signal = evidence.signal.filter(|signal| signal.number == SIGABRT)?;
    let own = signal.sender.task.id.same(death.exit.id);
    let summary = "called abort(3) (failed assert, malloc corruption, uncaught exception)";
    own.then(|| CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn only_its_own_abort_is_one() {
        let death = exit(9, 6);
        let mut signal = Signal { number: 6, ..signal(-6) };
        assert_eq!(evaluate(&of_death(&death, Some(&signal))).class, CauseKind::Sent);
        signal.sender = death.actor.clone();
        assert_eq!(evaluate(&of_death(&death, Some(&signal))).class, CauseKind::Aborted);
    }
}

//! It raised SIGABRT itself: abort(3), a failed assert(3), an uncaught C++ exception.
use crate::{
    correlate::{
        cause::{Cause, Rule, SignalFrom},
        ending::HANDLING,
        evidence::{Evidence, Verdict},
        rules::sent::by_whom,
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
        process::ProcessExit,
        signal_name::{self as signals, CRASHES, SIGABRT},
    },
    text::format::duration,
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
    // Whoever handles a signal may call it for that.
    let earlier = |time: u64| duration(evidence.time.saturating_sub(time));
    let parent = death.actor.ancestors.first().map(|parent| parent.id);
    let sent = evidence.prompt.map(|(sent, signal)| {
        let (name, (by, _)) = (signals::name(signal.number), by_whom(signal, parent));
        format!("{} earlier it was sent {name} {by}, which may be why", earlier(*sent))
    });
    let took = || {
        let (time, number) = fault(death, evidence.time)?;
        Some(format!(
            "{} earlier it took {}, which may be why",
            earlier(time),
            signals::name(number)
        ))
    };
    let unseen = || evidence.signals_unseen(death).map(str::to_owned);
    own.then(|| match sent.or_else(took).or_else(unseen) {
        Some(why) => CAUSE.verdict(Confidence::Likely, format!("{summary}; {why}")),
        None => CAUSE.verdict(Confidence::Proven, summary),
    })
}

/// The last fault or trap that a handler of it may have been at work on until `time`, and when: a report of a crash takes its
/// time.
fn fault(death: &ProcessExit, time: u64) -> Option<(u64, i32)> {
    let fault = death.fault.filter(|fault| {
        CRASHES.contains(&fault.signal)
            && time.checked_sub(fault.time).is_some_and(|ago| ago <= HANDLING)
    })?;
    Some((fault.time, fault.signal))
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
        let proven = evaluate(&of_death(&death, Some(&signal)));
        assert_eq!((proven.class, proven.confidence), (CauseKind::Aborted, Confidence::Proven));
    }

    /// GOTRACEBACK=crash and SIGQUIT; the report of a JVM that crashed.
    #[test]
    fn what_it_may_have_aborted_for_is_told() {
        let at = 20_000_000_000;
        let mut death = exit(at, 6);
        let own = Signal { number: 6, sender: death.actor.clone(), ..signal(-6) };
        let judged = |death: &ProcessExit, prompt: Option<&(u64, Signal)>| {
            let evidence = Evidence { prompt, time: at, ..of_death(death, Some(&own)) };
            let verdict = evaluate(&evidence);
            assert_eq!(verdict.class, CauseKind::Aborted);
            (verdict.confidence, verdict.summary)
        };
        let quit = (at - 5_000_000, Signal { number: 3, ..signal(0) });
        let (likely, said) = judged(&death, Some(&quit));
        assert_eq!(likely, Confidence::Likely);
        assert!(said.contains("; 5 ms earlier it was sent SIGQUIT by pid "), "{said}");
        death.fault = Some(raised(at - 5_000_000_000, 11, 1));
        let (likely, said) = judged(&death, None);
        assert!(
            likely == Confidence::Likely && said.contains("5.0 s earlier it took SIGSEGV"),
            "{said}"
        );
        death.fault = Some(raised(at - 5_000_000_000, 14, 0x80));
        assert_eq!(judged(&death, None).0, Confidence::Proven, "a timer");
    }
}

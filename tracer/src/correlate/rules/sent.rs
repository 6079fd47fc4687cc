//! Somebody sent the signal: kill(2), tgkill(2), sigqueue(3).
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Observe,
    },
};

const CAUSE: Cause = Cause {
    kind: CauseKind::Sent,
    observes: &[Observe::SignalGenerated],
    rests_on: Some(Absence::OfFault),
    shows_mount: false,
    signal_from: SignalFrom::Process,
    advice: "no memory access failed: ask whoever sent the signal",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let signal = evidence.signal?;
    if evidence.fault.is_some() {
        return None;
    }
    let own = signal.sender.task.id.same(signal.target.id);
    if signal.code > 0 && evidence.death.is_none() {
        // Only to itself may a process send what looks like a fault (kernel/signal.c
        // do_rt_sigqueueinfo).
        let watched = evidence.host.coverage.sees(Observe::ForcedSignal);
        let by_fault = signal.forced || !(1..=3).contains(&signal.code);
        if by_fault || !watched || evidence.lossy() {
            return None;
        }
        let summary = format!(
            "sent by the process to itself with a made-up si_code of {}: no fault raised it",
            signal.code
        );
        return Some(CAUSE.verdict(Confidence::Proven, summary));
    }
    let call = match signal.code {
        // SEND_SIG_PRIV: nobody's call.
        0x80 => "the kernel",
        0 => "kill(2)",
        -1 => "sigqueue(3)",
        -6 => "tgkill(2)",
        _ => "another process",
    };
    let parents = evidence.death.map(|death| death.actor.ancestors.as_slice()).unwrap_or_default();
    let ancestor = parents.iter().position(|parent| parent.id.same(signal.sender.task.id));
    let who = match (own, ancestor) {
        (true, _) => ", by the process to itself",
        (_, Some(0)) => ", by its parent",
        (_, Some(_)) => ", by an ancestor",
        _ if !parents.is_empty() => ", by a process that is no ancestor of it",
        _ => "",
    };
    let who = match signal.code {
        0x80 => who.replace(", by", " on behalf of"),
        _ => who.to_owned(),
    };
    let summary = format!("sent by {call}{who}");
    Some(CAUSE.verdict(Confidence::Proven, summary))
}

#[cfg(test)]
mod tests {
    use crate::{
        model::observe::{AttachedHook, Coverage, Observe},
        testing::*,
    };

    fn hooked(hook: &str, observe: Observe) -> Host {
        let hooks = vec![AttachedHook { observe: Some(observe), hook: hook.to_owned() }];
        let coverage = Coverage { hooks, uncovered: Vec::new() };
        Host { coverage, ..without_fault(&signal(2)).host.clone() }
    }

    #[test]
    fn a_fault_that_nothing_forced_is_made_up() {
        let signal = signal(2);
        let host = hooked("fentry force_sig_fault", Observe::ForcedSignal);
        let watched = |signal| Evidence { host: &host, ..without_fault(signal) };
        assert_eq!(evaluate(&watched(&signal)).class, CauseKind::Sent);
        assert_eq!(evaluate(&without_fault(&signal)).class, CauseKind::Unknown);
        let forced = Signal { forced: true, ..signal.clone() };
        assert_eq!(evaluate(&watched(&forced)).class, CauseKind::Unknown);
    }

    /// Today's form and one that is to come.
    #[test]
    fn in_what_form_signals_are_watched_does_not_matter() {
        let signal = signal(2);
        let seen = |hook: &str, observe| {
            let host = hooked(hook, observe);
            evaluate(&Evidence { host: &host, ..without_fault(&signal) }).class
        };
        assert_eq!(seen("fentry force_sig_fault", Observe::ForcedSignal), CauseKind::Sent);
        assert_eq!(seen("kprobe force_sig_fault", Observe::ForcedSignal), CauseKind::Sent);
        assert_eq!(seen("fentry force_sig_fault", Observe::Shrink), CauseKind::Unknown);
    }

    #[test]
    fn a_code_of_zero_or_less_was_sent() {
        for (code, call) in [(0, "kill(2)"), (-1, "sigqueue(3)"), (-6, "tgkill(2)")] {
            let signal = signal(code);
            let verdict = evaluate(&without_fault(&signal));
            assert_eq!(verdict.class, CauseKind::Sent);
            assert!(verdict.summary.contains(call));
        }
    }
}

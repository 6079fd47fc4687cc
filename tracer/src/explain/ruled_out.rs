//! What it was not, and by which evidence: theories cost more time than causes.
use crate::{
    contract::{Incident, RuledOut},
    correlate::cause::SignalFrom,
    explain::phrase::{by_kernel, is_raised, who},
    model::{
        cause::{CauseKind, Confidence, Outcome},
        process::JAVA,
        signal_name::{SI_KERNEL, SIGHUP, SIGINT, SIGKILL, SIGQUIT},
    },
};

/// Every usual theory that the evidence speaks against; none where the incident is incomplete in a
/// way that may hide it. Long: one theory after the other, none with another in common.
pub fn ruled_out(incident: &Incident) -> Vec<RuledOut> {
    let class = incident.cause.class.known();
    let from = class.cause().signal_from;
    let outcome = incident.outcome.known();
    // What ended a process that lived through this is not told here.
    let survived = outcome == Outcome::Survived;
    let ended = incident.exit.is_some() && !survived;
    let mut out = Vec::new();
    let mut not = |theory: &str, because: String| {
        out.push(RuledOut { theory: theory.into(), because: because.into() });
    };
    let proven = incident.cause.confidence.known() == Confidence::Proven;
    let number = incident.signal.as_ref().map_or(0, |signal| signal.number);
    let marked = incident.signal.as_ref().is_some_and(|signal| signal.code == SI_KERNEL);
    // It kills so, where its decisions are not watched.
    let may_be_oom = class == CauseKind::Sent && !proven && marked && number == SIGKILL;
    let no_kill = incident.oom_kills == Some(0);
    if ended && from != SignalFrom::OomKiller && (no_kill || !may_be_oom) {
        not(
            "the OOM killer",
            match incident.oom_kills {
                Some(0) => "no OOM kill in this boot until then".to_owned(),
                Some(1) => "the OOM kill of this boot hit another process".to_owned(),
                Some(count) => {
                    format!("the {count} OOM kills of this boot so far hit other processes")
                }
                None => "no OOM kill of this process was seen".to_owned(),
            },
        );
    }
    let sender = incident.cause.culprit.as_ref().filter(|_| from == SignalFrom::Process);
    let own = sender.is_some_and(|by| by.pid == incident.victim.pid);
    let parent = incident.victim.ancestors.first();
    let of_kernel = by_kernel(incident);
    let by_parent =
        !of_kernel && sender.zip(parent).is_some_and(|(by, parent)| by.pid == parent.pid);
    // Who is below the process that is its parent now may have been its parent: of who ends, an ancestor adopts the children.
    let may_have_been = !of_kernel
        && sender
            .zip(parent)
            .is_some_and(|(by, parent)| by.ancestors.iter().any(|one| one.pid == parent.pid));
    // Whoever holds the other side of a terminal, its parent perhaps, may have typed there or closed it.
    let of_terminal = marked && matches!(number, SIGHUP | SIGINT | SIGQUIT);
    let source = match from {
        _ if survived => None,
        SignalFrom::Process if !proven || of_terminal => None,
        SignalFrom::OomKiller => Some("the kernel sent the signal on its own".to_owned()),
        // Of a signal that came just before its end a handler may have been why.
        SignalFrom::NoSignal | SignalFrom::Itself if !proven => None,
        SignalFrom::NoSignal => Some("no signal ended it".to_owned()),
        SignalFrom::Itself => Some("it sent itself the signal".to_owned()),
        SignalFrom::Process if of_kernel || own && marked => {
            Some("the kernel sent the signal on its own".to_owned())
        }
        SignalFrom::Process if is_raised(incident) => {
            Some("the kernel raised it, or it did so itself".to_owned())
        }
        SignalFrom::Process if own => Some("it sent itself the signal".to_owned()),
        SignalFrom::Process => sender.map(|by| format!("the signal came from {}", who(by))),
        SignalFrom::Unknown => None,
        SignalFrom::Fault if outcome == Outcome::Efault => None,
        SignalFrom::Fault => Some("the signal came from its own fault".to_owned()),
    };
    if let Some(source) = &source {
        if !by_parent && !may_have_been {
            let theory = match parent {
                Some(_) => "killed by its parent",
                None => "killed by another process",
            };
            not(theory, source.clone());
        }
        if parent.is_some() && (from != SignalFrom::Process || own || of_kernel) {
            not("killed by another process", source.clone());
        }
    }
    if ended && !matches!(from, SignalFrom::NoSignal | SignalFrom::Itself) {
        let signal = incident.exit.as_ref().and_then(|exit| exit.signal);
        match (signal, outcome) {
            (Some(_), _) => {
                not("a call of exit(3), by itself or a library", "a signal ended it".to_owned())
            }
            // Of other faults that is likely only: runtimes have uses for them.
            (None, Outcome::Exited) if class != CauseKind::Signal => not(
                "a plain exit(3)",
                format!("a handler called it because of {}", incident.signal_name()),
            ),
            _ => {}
        }
    }
    let other = !matches!(from, SignalFrom::Fault | SignalFrom::Unknown);
    // Of a JVM's faults nothing is told when it exits: it handles them by the dozen.
    let jvm = from == SignalFrom::NoSignal && incident.victim.comm.0 == JAVA;
    // Where a handler may have been why, it may have been one of those.
    let by_itself = matches!(from, SignalFrom::NoSignal | SignalFrom::Itself);
    if ended && other && !own && !jvm && (proven || !by_itself) && incident.blind.is_empty() {
        not("a crash (SIGSEGV, SIGBUS, SIGILL, SIGFPE)", "none in the 2 s before".to_owned());
    }
    if from == SignalFrom::NoSignal {
        not("SIGPIPE", "no signal ended it (EPIPE may be why it exited)".to_owned());
    }
    if class == CauseKind::MappedPastEnd && proven && incident.complete {
        not("truncated by somebody", "nobody shrank the file while it was watched".to_owned());
    }
    out.extend(by_the_fault(incident));
    out
}

/// What a bus error is taken for first, where the kernel's answer to the fault speaks against it.
fn by_the_fault(incident: &Incident) -> Vec<RuledOut> {
    let past_end = matches!(
        incident.cause.class.known(),
        CauseKind::Truncated
            | CauseKind::TruncatedBySelf
            | CauseKind::ShrunkElsewhere
            | CauseKind::TruncatedBeforeWatch
            | CauseKind::MappedPastEnd
    );
    if incident.fault.is_none() || !past_end {
        return Vec::new();
    }
    let mut out = vec![
        RuledOut {
            theory: "memory pressure".into(),
            because: "the fault reported no lack of memory".into(),
        },
        RuledOut {
            theory: "a full or failing disk".into(),
            because: "the page lay past the end of the file".into(),
        },
    ];
    let code = incident.signal.as_ref().and_then(|signal| signal.code_name.as_deref());
    if code == Some("BUS_ADRERR") {
        out.push(RuledOut {
            theory: "faulty memory or a misaligned access".into(),
            because: "the signal says BUS_ADRERR".into(),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::samples::{full_incident, incident},
        correlate::cause::{BY_KERNEL, ON_BEHALF},
    };

    /// In 80 columns, but for names.
    #[test]
    fn each_takes_a_line() {
        const ROOM: usize = 80 - 12;
        let mut seen = 0;
        for kind in CauseKind::ALL {
            for outcome in [Outcome::Killed, Outcome::Exited, Outcome::Survived, Outcome::Efault] {
                let mut one = incident(*kind, 7);
                one.outcome = outcome.into();
                let named = one.cause.culprit.as_ref().map(who).unwrap_or_default();
                for out in ruled_out(&one).into_iter().chain(by_the_fault(&full_incident())) {
                    let line = format!("{}: {}", out.theory, out.because).replace(&named, "");
                    assert!(line.chars().count() <= ROOM, "{line}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 100, "{seen}");
    }

    fn rules_out(incident: &Incident, theory: &str) -> bool {
        ruled_out(incident).iter().any(|out| out.theory == theory)
    }

    #[test]
    fn what_happened_is_not_ruled_out() {
        let sent = incident(CauseKind::Sent, 9);
        assert!(!rules_out(&sent, "killed by its parent"), "the parent did it");
        let oom = incident(CauseKind::OomKilled, 9);
        assert!(!rules_out(&oom, "the OOM killer"));
        let exited = incident(CauseKind::Exited, 0);
        assert!(!rules_out(&exited, "a call of exit(3), by itself or a library"));
    }

    /// A handler coped with it; what killed the process an hour later is another story.
    #[test]
    fn what_ended_a_survivor_later_is_not_ruled_out() {
        let mut one = incident(CauseKind::Truncated, 9);
        one.outcome = Outcome::Survived.into();
        let killers = |one: &Incident| {
            let out = ruled_out(one);
            let by = |theory: &str| theory.starts_with("killed") || theory == "the OOM killer";
            out.into_iter().filter(|out| by(&out.theory)).count()
        };
        assert_eq!(killers(&one), 0, "{:?}", ruled_out(&one));
        one.outcome = Outcome::Killed.into();
        assert_eq!(killers(&one), 3, "by its own fault");
    }

    #[test]
    fn whose_signal_may_have_been_why_is_not_ruled_out() {
        let mut exited = incident(CauseKind::Exited, 0);
        exited.cause.confidence = Confidence::Proven.into();
        assert!(ruled_out(&exited).iter().any(|out| out.theory.starts_with("killed")));
        exited.cause.confidence = Confidence::Likely.into();
        assert!(!ruled_out(&exited).iter().any(|out| out.theory.starts_with("killed")));
    }

    #[test]
    fn a_limit_is_the_kernels_doing() {
        let mut limit = incident(CauseKind::Sent, 9);
        limit.cause.culprit = Some(limit.victim.clone());
        let because = |incident: &Incident| {
            let out = ruled_out(incident);
            out.into_iter()
                .find(|out| out.theory.starts_with("killed"))
                .map(|out| out.because.to_string())
        };
        assert_eq!(because(&limit).as_deref(), Some("it sent itself the signal"));
        limit.signal.as_mut().expect("one").code = SI_KERNEL;
        assert_eq!(because(&limit).as_deref(), Some("the kernel sent the signal on its own"));
    }

    /// PR_SET_PDEATHSIG: si_code is SI_USER, and the parent that ended is whom the kernel names.
    #[test]
    fn a_parent_that_ended_killed_nobody() {
        let mut followed = incident(CauseKind::Sent, 15);
        followed.cause.summary = format!("{BY_KERNEL} because its parent ended").into();
        let out = ruled_out(&followed);
        let killed: Vec<_> = out.iter().filter(|out| out.theory.starts_with("killed")).collect();
        assert_eq!(killed.len(), 2, "{out:?}");
        assert!(killed.iter().all(|out| out.because == "the kernel sent the signal on its own"));
        followed.cause.summary = format!("{BY_KERNEL}{ON_BEHALF} its parent").into();
        assert!(!rules_out(&followed, "killed by its parent"));
    }

    #[test]
    fn what_is_not_known_is_not_ruled_out() {
        let unknown = incident(CauseKind::Unknown, 9);
        assert!(!ruled_out(&unknown).iter().any(|out| out.theory.starts_with("killed")));
    }

    #[test]
    fn what_the_kernel_answered_rules_out_what_a_bus_error_is_taken_for() {
        let theories =
            ["memory pressure", "a full or failing disk", "faulty memory or a misaligned access"];
        let ruled_out = |incident: &Incident| theories.map(|theory| rules_out(incident, theory));
        let mut one = full_incident();
        one.signal.as_mut().expect("a signal").code_name = Some("BUS_ADRERR".into());
        assert_eq!(ruled_out(&one), [true, true, true]);
        one.signal = None;
        assert_eq!(ruled_out(&one), [true, true, false]);
        one.cause.class = CauseKind::NoSpace.into();
        assert_eq!(ruled_out(&one), [false, false, false]);
    }

    #[test]
    fn the_count_of_oom_kills_is_the_evidence() {
        let mut crash = incident(CauseKind::Signal, 11);
        crash.oom_kills = Some(0);
        assert_eq!(ruled_out(&crash)[0].because, "no OOM kill in this boot until then");
        crash.oom_kills = Some(3);
        assert!(ruled_out(&crash)[0].because.contains("3 OOM kills"));
    }
}

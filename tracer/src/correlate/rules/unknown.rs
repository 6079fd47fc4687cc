//! What no rule claims. Says what is missing.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, FAULTS, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fact::Space,
        fault::{Fault, Handler},
        observe::{Observe, Uncovered},
    },
    probe::refusal::split,
    text::format::size,
};

pub const CAUSE: Cause = Cause {
    kind: CauseKind::Unknown,
    observes: &[],
    rests_on: Some(Absence::OfFault),
    shows_mount: true,
    signal_from: SignalFrom::Unknown,
    advice: "docs/causes.md says what cannot be distinguished yet; to have it explained, save a stream (`whybus trace --save FILE`) \
             and file an issue",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    if evidence.death.is_some_and(|death| death.signals_left) {
        return Some(because("sender unknown: too many signals were sent here to report each"));
    }
    if evidence.death.is_some() {
        return Some(because(
            "nobody was seen sending the signal: the kernel itself (a seccomp filter, the end of its \
             PID namespace), or the event was lost",
        ));
    }
    let reason = match (evidence.fault, evidence.signal) {
        (Some(Fault { handler: Handler::ShmemFault, refusal, .. }), _)
            if refusal.is_silent() && evidence.shmem_would_have_said_no_room() =>
        {
            "a page of shared memory could not be had, and a lack of room would have been seen (dmesg may tell)"
                .to_owned()
        }
        (Some(Fault { handler: Handler::ShmemFault, .. }), _) => format!(
            "a page of shared memory could not be had; {}: no room at that moment, a quota of the tmpfs, vm.overcommit_memory=2, or \
             swap that could not be read (dmesg tells)",
            left(evidence)
        ),
        (Some(Fault { handler: Handler::PageMkwrite, .. }), _) => format!(
            "a page could not be made writable, and why is not seen on this kernel; {}: no room at that moment, a quota, or an error of \
             the file system or its device (dmesg tells)",
            left(evidence)
        ),
        (Some(Fault { handler: Handler::Unattributed, inode, .. }), _) if inode.ptr == 0 => {
            let unseen = if evidence.lacks(Observe::UserfaultFault) {
                "; or a userfaultfd refused it, which is not watched on this host"
            } else {
                ""
            };
            format!(
                "a page of anonymous memory could not be had: swap could not be read, or the page table \
                 is damaged (dmesg tells){unseen}"
            )
        }
        (Some(Fault { handler: Handler::DaxIomapFault, .. }), _) => {
            "a page of persistent memory could not be had inside the file: no room, or bad memory; \
             this is not told apart yet"
                .to_owned()
        }
        (Some(Fault { handler: Handler::Unattributed, .. }), _)
            if missing(evidence).is_some() =>
        {
            "the page lies inside the file, and why it could not be had is not watched on this host: it could not be \
             read, there was no room or no quota left for it, or whoever was to fill it did not (dmesg may tell)"
                .to_owned()
        }
        (Some(_), _) => "a handler we do not know failed the fault".to_owned(),
        (None, Some(signal)) if signal.code == 2 && evidence.mapped.is_some() => {
            "no handler we watch saw the fault; by /proc a file is mapped at that address, but \
             that does not tell what was wrong with it"
                .to_owned()
        }
        (None, Some(signal)) if signal.code == 2 && evidence.time < evidence.host.since => {
            "the fault was not seen: it happened while whybus was still attaching its hooks".to_owned()
        }
        (None, Some(signal)) if signal.code == 2 && unseen(evidence).is_some() => {
            unseen(evidence).unwrap_or_default()
        }
        (None, Some(signal)) if signal.code == 2 => {
            "no handler we watch saw the fault, and its mapping could not be looked up as the signal \
             was raised; or its event was lost"
                .to_owned()
        }
        (None, Some(signal)) => {
            format!("raised with si_code {}, without a page fault we saw", signal.code)
        }
        (None, None) => "neither fault nor signal was recorded".to_owned(),
    };
    Some(because(reason))
}

/// That the fault was not seen, and why.
fn unseen(evidence: &Evidence<'_>) -> Option<String> {
    Some(format!("the fault was not seen: {}", missing(evidence)?))
}

/// Which hooks are missing that see faults, and why.
fn missing(evidence: &Evidence<'_>) -> Option<String> {
    let coverage = &evidence.host.coverage;
    let missing = FAULTS.iter().filter_map(|observe| coverage.lacking(*observe));
    let missing: Vec<&Uncovered> = missing.collect();
    let first = missing.first()?;
    let others = match missing.len() {
        1 => " is".to_owned(),
        2 => " and one more hook of faults are".to_owned(),
        count => format!(" and {} more hooks of faults are", count - 1),
    };
    Some(format!("{}{others} missing on this host ({})", first.hook, split(&first.reason).0))
}

fn left(evidence: &Evidence<'_>) -> String {
    match evidence.space {
        Some(Space { errno: Some(libc::ETIMEDOUT), .. }) => {
            "whether the file system is full is not known (it did not answer in time)".to_owned()
        }
        Some(Space { errno: Some(errno), .. }) => {
            format!("whether the file system is full is not known (statfs: errno {errno})")
        }
        Some(space) => format!("the file system has {} left a moment later", size(space.free)),
        None => {
            "whether the file system is full is not known (its mount is not ours to see)".to_owned()
        }
    }
}

/// An unknown cause, with what is missing.
pub fn because(reason: impl Into<String>) -> Verdict {
    CAUSE.verdict(Confidence::Unknown, reason)
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn anonymous_memory_has_no_end_to_be_past() {
        let mut fault = Fault { handler: Handler::Unattributed, ..fault(20, 0) };
        (fault.inode.ptr, fault.inode.magic) = (0, 0);
        let verdict = evaluate(&evidence(&fault, &[]));
        assert_eq!(verdict.class, CauseKind::Unknown);
        assert!(verdict.summary.contains("anonymous memory"), "{}", verdict.summary);
    }

    /// The signal alone, as it is raised, says which page of which file; whoever refused it was not hooked.
    #[test]
    fn a_page_inside_the_file_whose_handler_nobody_hooks_says_what_is_not_watched() {
        let fault = Fault { handler: Handler::Unattributed, ..fault(0, 4_096) };
        let host = lacking(&[Observe::FileFault, Observe::ShmemFault, Observe::PageMkwrite]);
        let summary = evaluate(&Evidence { host: &host, ..evidence(&fault, &[]) }).summary;
        assert!(summary.contains("the page lies inside the file"), "{summary}");
        assert!(summary.contains("not watched on this host"), "{summary}");
        assert!(summary.contains("no room") && summary.contains("read"), "{summary}");
        let whole = evaluate(&evidence(&fault, &[])).summary;
        assert_eq!(whole, "a handler we do not know failed the fault");
    }

    #[test]
    fn what_happened_before_all_hooks_were_there_is_told_so() {
        let signal = signal(2);
        let at = |time| evaluate(&Evidence { time, ..without_fault(&signal) }).summary;
        assert!(at(SINCE - 1).contains("still attaching"), "{}", at(SINCE - 1));
        assert!(!at(SINCE).contains("still attaching"), "{}", at(SINCE));
    }

    #[test]
    fn every_unknown_names_its_reason() {
        let mut inside = fault(0, 4_096);
        for (handler, reason) in [
            (Handler::ShmemFault, "a page of shared memory could not be had"),
            (Handler::PageMkwrite, "a page could not be made writable"),
            (Handler::DaxIomapFault, "a page of persistent memory"),
            (Handler::Other(99), "a handler we do not know"),
        ] {
            inside.handler = handler;
            let verdict = evaluate(&evidence(&inside, &[]));
            assert_eq!(verdict.class, CauseKind::Unknown, "{handler:?}");
            assert!(verdict.summary.starts_with(reason), "{handler:?}: {}", verdict.summary);
        }
        for (code, reason) in
            [(2, "no handler we watch saw the fault"), (77, "raised with si_code 77")]
        {
            let signal = signal(code);
            let verdict = evaluate(&without_fault(&signal));
            assert_eq!(verdict.class, CauseKind::Unknown, "{code}");
            assert!(verdict.summary.starts_with(reason), "{code}: {}", verdict.summary);
        }
    }
}

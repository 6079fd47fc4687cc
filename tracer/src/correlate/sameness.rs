//! What is one more of the same: which faults and signals belong to an incident. Pure.
use crate::{
    correlate::{ending::HANDLING, incident::Incident},
    model::{
        fault::{Fault, Handler, Mode},
        signal::{Disposition, Signal},
    },
};

/// How long an incident takes in further faults of the same kind after the last. Ns.
pub const MERGE_WINDOW: u64 = 5_000_000_000;

/// Whether a fault is one more of the incident's. `newest_shrink` is when the last known shrink of its inode began.
pub fn is_same_fault(
    incident: &Incident,
    time: u64,
    fault: &Fault,
    newest_shrink: Option<u64>,
) -> bool {
    let Some(first) = &incident.fault else { return false };
    incident.victim.task.id.same(fault.actor.task.id)
        && first.inode.id == fault.inode.id
        && (fault.inode.ptr != 0 || first.handler == fault.handler)
        && (first.mode == Mode::User) == (fault.mode == Mode::User)
        && time.saturating_sub(incident.last) <= MERGE_WINDOW
        // A shrink in between is another cause.
        && newest_shrink.is_none_or(|begin| begin <= incident.first || begin > time)
}

/// Whether a fault raises this si_code: BUS_ADRERR, or of poisoned memory BUS_MCEERR_AR (arch/x86/mm/fault.c do_sigbus,
/// arch/arm64/mm/fault.c do_page_fault). Where no handler told of it, also that of an access that is not aligned.
fn raises(fault: &Fault, code: i32) -> bool {
    match code {
        1 => fault.handler == Handler::Unattributed,
        4 => fault.poisoned,
        2 => !fault.poisoned,
        _ => false,
    }
}

/// Whether a SIGBUS, of a fault or not (`of_fault`), is what became of the incident's fault, or one more of the same.
pub fn is_its_signal(
    incident: &Incident,
    time: u64,
    signal: &Signal,
    of_fault: bool,
    page_size: u64,
) -> bool {
    if !incident.victim.task.id.same(signal.target.id) {
        return false;
    }
    let page = !(page_size - 1);
    match (&incident.fault, signal.code > 0) {
        // The same thread, the same page, nothing in between (arch/x86/mm/fault.c do_sigbus).
        (Some(first), true) => {
            of_fault
                && first.mode == Mode::User
                && raises(first, signal.code)
                && incident.signal.as_ref().is_none_or(|known| known.code == signal.code)
                && incident.threads.contains(&signal.target.tid)
                && (incident.count > 1 || first.address & page == signal.address & page)
        }
        (Some(_), false) => is_raised_again(incident, time, signal),
        (None, _) => {
            is_raised_again(incident, time, signal)
                || incident.signal.as_ref().is_some_and(|first| {
                    first.code == signal.code
                        && first.sender.task.id == signal.sender.task.id
                        && first.address & page == signal.address & page
                })
        }
    }
}

/// Whether a handler raises the signal that it took again, to die of it.
pub fn is_raised_again(incident: &Incident, time: u64, signal: &Signal) -> bool {
    signal.code <= 0
        && signal.sender.task.id.same(signal.target.id)
        && incident.disposition == Some(Disposition::Handler)
        && time.saturating_sub(incident.last) <= HANDLING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::time::ClockOffset,
        testing::{fault, signal},
    };

    const S: u64 = 1_000_000_000;
    const AT: u64 = 10 * S;

    /// One whose fault has looped.
    fn looped() -> Incident {
        let fault = fault(1, 0);
        let mut incident = Incident::new("a".into(), AT, fault.actor.clone(), ClockOffset(0));
        (incident.fault, incident.count) = (Some(fault), 2);
        incident
    }

    fn takes(incident: &Incident, code: i32) -> bool {
        is_its_signal(incident, AT, &signal(code), true, 4_096)
    }

    #[test]
    fn another_cause_is_another_incident() {
        let incident = Incident { count: 1, ..looped() };
        let takes = |fault: &Fault, newest| is_same_fault(&incident, AT + S, fault, newest);
        assert!(takes(&fault(1, 0), Some(AT)));
        assert!(!takes(&fault(1, 0), Some(AT + 1)), "a shrink in between");
        assert!(takes(&fault(1, 0), Some(AT + 2 * S)), "a shrink that comes later");
        let mut other = fault(1, 0);
        other.inode.id.ino += 1;
        assert!(!takes(&other, None), "another file");
        let mut other = fault(1, 0);
        other.actor.task.id.start += 1;
        assert!(!takes(&other, None), "another process of that pid");
        assert!(!takes(&Fault { mode: Mode::Kernel, ..fault(1, 0) }, None), "another end");
        assert!(takes(&Fault { handler: Handler::PageMkwrite, ..fault(1, 0) }, None));
    }

    /// Redis tests its memory before it goes.
    #[test]
    fn a_handler_raises_its_signal_again() {
        let raised = |incident: &Incident, after: u64| {
            let mut signal = signal(0);
            signal.sender.task.id = signal.target.id;
            is_its_signal(incident, AT + after, &signal, false, 4_096)
        };
        let disposition = Some(Disposition::Handler);
        let failed = Incident { disposition, ..looped() };
        let sent = Incident { fault: None, signal: Some(signal(0)), disposition, ..looped() };
        for incident in [failed, sent] {
            assert!(raised(&incident, 3 * S) && !raised(&incident, 91 * S));
            assert!(!raised(&Incident { disposition: None, ..incident }, 3 * S), "it took none");
        }
    }

    #[test]
    fn poisoned_memory_is_no_truncated_files() {
        let mut incident = looped();
        assert_eq!([2, 4, 5, 0x80].map(|code| takes(&incident, code)), [true, false, false, false]);
        incident.fault.as_mut().unwrap().poisoned = true;
        assert_eq!([2, 4].map(|code| takes(&incident, code)), [false, true]);
    }

    /// On arm64, where force_sig_fault is told of such an access with its address.
    #[test]
    fn the_signal_of_a_misaligned_access_belongs_to_the_fault_that_no_handler_told_of() {
        let mut incident = looped();
        assert!(!takes(&incident, 1), "a handler's");
        incident.fault.as_mut().unwrap().handler = Handler::Unattributed;
        assert!(takes(&incident, 1));
        incident.signal = Some(signal(2));
        assert!(!takes(&incident, 1), "another failure");
    }
}

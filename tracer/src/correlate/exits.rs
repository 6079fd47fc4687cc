//! How a process ended, beside bus errors: which signal its end is to be blamed on. Pure.
use crate::model::{
    process::{ProcessExit, SelfSignal},
    signal::Signal,
    signal_name::SIGKILL,
    task::{Actor, Task},
};

/// A process that ends this soon after its handler took a fault was ended by it. Ns.
pub const CONSEQUENCE: u64 = 2_000_000_000;

/// The signal a death is to be blamed on, and when it was generated. Of what others `sent` the
/// latest counts; a handler's own abort(3) is only how it gave up.
pub fn blamed(death: &ProcessExit, sent: &[(u64, Signal)]) -> Option<(u64, Signal)> {
    let number = (death.exit.code & 0x7f) as i32;
    let soon = |raised: &SelfSignal| death.exit.time.saturating_sub(raised.time) <= CONSEQUENCE;
    let of = |raised: SelfSignal| (raised.time, signal(death, raised));
    if number == 0 {
        return death.fault.filter(soon).map(of);
    }
    let fault = death.fault.filter(|raised| raised.signal == number).map(of);
    let own = death.own.filter(|raised| raised.signal == number).map(of);
    let others = sent.iter().filter(|(_, signal)| signal.number == number).cloned();
    let latest = others.chain(fault).chain(own.clone()).max_by_key(|(time, _)| *time);
    let gave_up = |raised: &SelfSignal| {
        let at = own.as_ref().map_or(0, |(time, _)| *time);
        own == latest
            && raised.time <= at
            && at - raised.time <= CONSEQUENCE
            && raised.signal != SIGKILL
    };
    death.fault.filter(gave_up).map(of).or(latest)
}

/// In the form of a signal that was told: the process is its own sender.
fn signal(death: &ProcessExit, raised: SelfSignal) -> Signal {
    let SelfSignal { address, signal, code, tid, .. } = raised;
    let Actor { task, ancestors, .. } = &death.actor;
    let target = Task { tid, ..task.clone() };
    let sender = Actor {
        task: target.clone(),
        ancestors: ancestors.clone(),
        cmdline: death.actor.cmdline.clone(),
        cmdline_cut: death.actor.cmdline_cut,
        partial: death.actor.partial,
    };
    Signal { target, sender, number: signal, code, address, result: 0, forced: code > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{death, raised, signal as sent};

    fn number(death: &ProcessExit, sent: &[(u64, Signal)]) -> Option<i32> {
        blamed(death, sent).map(|(_, signal)| signal.number)
    }

    #[test]
    fn a_handler_that_gives_up_does_not_hide_its_fault() {
        let at = 10 * CONSEQUENCE;
        // The Go runtime: SIGSEGV, then exit(2).
        let go = ProcessExit { fault: Some(raised(at - 5, 11, 1)), ..death(at, 2 << 8) };
        assert_eq!(number(&go, &[]), Some(11));
        // A handler that calls abort(3).
        let fault = Some(raised(at - 9, 11, 1));
        let abort = ProcessExit { fault, own: Some(raised(at - 5, 6, -6)), ..death(at, 6) };
        assert_eq!(number(&abort, &[]), Some(11));
    }

    #[test]
    fn what_was_handled_long_ago_is_over() {
        let at = 10 * CONSEQUENCE;
        let old = Some(raised(at - 2 * CONSEQUENCE, 11, 1));
        assert_eq!(number(&ProcessExit { fault: old, ..death(at, 1 << 8) }, &[]), None);
        let abort = ProcessExit { fault: old, own: Some(raised(at - 5, 6, -6)), ..death(at, 6) };
        assert_eq!(number(&abort, &[]), Some(6));
    }

    #[test]
    fn the_latest_of_its_number_counts() {
        let at = 10 * CONSEQUENCE;
        let mut kill = sent(0);
        kill.number = 11;
        let old = ProcessExit { fault: Some(raised(at - 9, 11, 1)), ..death(at, 11) };
        assert_eq!(blamed(&old, &[(at - 5, kill)]).map(|(_, s)| s.code), Some(0));
        assert_eq!(blamed(&old, &[]).map(|(_, s)| s.code), Some(1));
    }
}

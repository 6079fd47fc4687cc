//! How a process ended: by which signal, and whether it gave up by itself.
use crate::model::{
    process::{ProcessExit, SelfSignal},
    signal::{Origin, Signal},
    signal_name::SIGKILL,
    task::{Actor, Login, Task},
};

/// A process that ends this soon after its handler took a fault was ended by it. Ns.
pub const CONSEQUENCE: u64 = 2_000_000_000;

/// Whether a process gave up because of what a handler of it took at `time`: it exited soon after, or raised the
/// signal it died of, however long its core took. A second fault on the way, as in a handler that reports the first,
/// counts for time.
pub fn gave_up(death: &ProcessExit, time: u64) -> bool {
    let number = (death.exit.code & 0x7f) as i32;
    let own = death.own.filter(|raised| raised.signal == number && raised.time >= time);
    let ended = own.map_or(death.exit.time, |raised| raised.time);
    let soon = |from: u64, to: u64| to.saturating_sub(from) <= CONSEQUENCE;
    let second = death.fault.map(|raised| raised.time);
    let second = second.filter(|at| (time..=ended).contains(at) && soon(time, *at));
    soon(second.unwrap_or(time), ended)
}

/// Whether a process ended of its own doing: a status other than success, or a signal that one
/// raises oneself, as abort(3) does. Not one that others send to end it.
pub fn ended_itself(code: u32) -> bool {
    const SENT: [u32; 5] = [1, 2, 3, 9, 15];
    code != 0 && !SENT.contains(&(code & 0x7f))
}

/// The signal that ended a process, and when it was generated. Of what others `sent` the latest
/// counts, but of SIGKILL, which nothing survives, the first; a handler's own abort(3) is only how it gave up.
pub fn terminating_signal(death: &ProcessExit, sent: &[(u64, Signal)]) -> Option<(u64, Signal)> {
    let number = (death.exit.code & 0x7f) as i32;
    let soon = |raised: &SelfSignal| death.exit.time.saturating_sub(raised.time) <= CONSEQUENCE;
    let of = |raised: SelfSignal| (raised.time, signal(death, raised));
    if number == 0 {
        return death.fault.filter(soon).map(of);
    }
    let fault = death.fault.filter(|raised| raised.signal == number).map(of);
    let own = death.own.filter(|raised| raised.signal == number).map(of);
    let others = sent.iter().filter(|(_, signal)| signal.number == number).cloned();
    let all = others.chain(fault).chain(own.clone());
    if number == SIGKILL {
        return all.min_by_key(|(time, _)| *time);
    }
    let latest = all.max_by_key(|(time, _)| *time);
    let given_up = |raised: &SelfSignal| {
        let at = own.as_ref().map_or(0, |(time, _)| *time);
        own == latest && raised.time <= at && at - raised.time <= CONSEQUENCE
    };
    death.fault.filter(given_up).map(of).or(latest)
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
        login: Login::default(),
    };
    let (result, forced, origin) = (0, code > 0, Origin::Unknown);
    let generated = None;
    Signal { target, sender, number: signal, code, address, generated, result, forced, origin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{exit, raised, signal as sent};

    fn number(exit: &ProcessExit, sent: &[(u64, Signal)]) -> Option<i32> {
        terminating_signal(exit, sent).map(|(_, signal)| signal.number)
    }

    #[test]
    fn a_handler_that_gives_up_does_not_hide_its_fault() {
        let at = 10 * CONSEQUENCE;
        // The Go runtime: SIGSEGV, then exit(2).
        let go = ProcessExit { fault: Some(raised(at - 5, 11, 1)), ..exit(at, 2 << 8) };
        assert_eq!(number(&go, &[]), Some(11));
        // A handler that calls abort(3).
        let fault = Some(raised(at - 9, 11, 1));
        let abort = ProcessExit { fault, own: Some(raised(at - 5, 6, -6)), ..exit(at, 6) };
        assert_eq!(number(&abort, &[]), Some(11));
    }

    #[test]
    fn what_was_handled_long_ago_is_over() {
        let at = 10 * CONSEQUENCE;
        let old = Some(raised(at - 2 * CONSEQUENCE, 11, 1));
        assert_eq!(number(&ProcessExit { fault: old, ..exit(at, 1 << 8) }, &[]), None);
        let abort = ProcessExit { fault: old, own: Some(raised(at - 5, 6, -6)), ..exit(at, 6) };
        assert_eq!(number(&abort, &[]), Some(6));
    }

    #[test]
    fn the_latest_of_its_number_counts() {
        let at = 10 * CONSEQUENCE;
        let mut kill = sent(0);
        kill.number = 11;
        let old = ProcessExit { fault: Some(raised(at - 9, 11, 1)), ..exit(at, 11) };
        let code = |sent: &[_]| terminating_signal(&old, sent).map(|(_, signal)| signal.code);
        assert_eq!(code(&[(at - 5, kill)]), Some(0));
        assert_eq!(code(&[]), Some(1));
    }

    #[test]
    fn a_handler_gives_up_when_it_raises_its_signal() {
        let (at, s) = (10 * CONSEQUENCE, CONSEQUENCE / 2);
        let end = |own, fault| ProcessExit { own, fault, ..exit(at + 60 * s, 6 | 0x80) };
        let raised =
            |after: u64, number| Some(raised(at + after, number, if number == 6 { -6 } else { 1 }));
        assert!(gave_up(&end(raised(s, 6), None), at), "then it dumps core");
        assert!(gave_up(&end(raised(3 * s, 6), raised(s, 11)), at), "a fault in the handler");
        assert!(!gave_up(&end(raised(5 * s, 6), None), at), "for another reason");
        assert!(!gave_up(&end(raised(9 * s, 6), raised(s, 11)), at));
        assert!(!gave_up(&end(None, None), at));
    }

    #[test]
    fn who_is_killed_did_not_end_itself() {
        assert_eq!([0, 1 << 8, 6, 9, 15].map(ended_itself), [false, true, true, false, false]);
    }

    /// kill -9, and then the OOM killer.
    #[test]
    fn nothing_survives_the_first_sigkill() {
        let kill = |code| Signal { number: 9, ..sent(code) };
        let killed = exit(9, 9);
        let code = |sent: &[_]| terminating_signal(&killed, sent).map(|(_, signal)| signal.code);
        assert_eq!(code(&[(5, kill(0)), (6, kill(0x80))]), Some(0));
        let own = ProcessExit { fault: Some(raised(4, 9, 0x80)), ..exit(9, 9) };
        let first = terminating_signal(&own, &[(5, kill(0))]).map(|(_, signal)| signal.code);
        assert_eq!(first, Some(0x80), "of its own allocation");
    }
}

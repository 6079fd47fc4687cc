//! How a process ended: by which signal, and whether it gave up by itself.
use crate::{
    correlate::supervisor::stops,
    model::{
        process::{JAVA, ProcessExit, SelfSignal},
        signal::{Origin, Signal},
        signal_name::{CRASHES, SIGINT, SIGKILL, SIGQUIT, SIGSEGV, SIGTERM},
        task::{Actor, Login, Task},
    },
};

/// A process that ends this soon after its handler took a fault was ended by it. Ns.
pub const CONSEQUENCE: u64 = 2_000_000_000;

/// How long a handler may be at work before it raises its own signal again, to die of it: Redis tests its memory first, and
/// who is stopped has as long as systemd waits (DefaultTimeoutStopSec=). Ns.
pub const HANDLING: u64 = 90_000_000_000;

/// `Signal::result` of one that its target ignored (include/trace/events/signal.h TRACE_SIGNAL_IGNORED).
pub const IGNORED: i32 = 1;

/// Whether a signal is how somebody asks a process to end. By SIGINT and SIGQUIT only whoever does so as its work: they cancel a
/// statement (PostgreSQL), and have a JVM print its threads.
pub fn asks_to_end(signal: &Signal) -> bool {
    let by_its_work = || stops(&signal.sender.task, &signal.target);
    signal.result != IGNORED
        && match signal.number {
            SIGTERM => true,
            SIGINT => by_its_work(),
            SIGQUIT => by_its_work() && signal.target.comm != JAVA,
            _ => false,
        }
}

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
/// counts, but of SIGKILL, which nothing survives, the first; what a handler raises is only how it gave up.
pub fn terminating_signal(death: &ProcessExit, sent: &[(u64, Signal)]) -> Option<(u64, Signal)> {
    let number = (death.exit.code & 0x7f) as i32;
    let soon = |raised: &SelfSignal| death.exit.time.saturating_sub(raised.time) <= CONSEQUENCE;
    let of = |raised: SelfSignal| (raised.time, signal(death, raised, true));
    let sent_itself = |raised: SelfSignal| (raised.time, signal(death, raised, false));
    if number == 0 {
        // A timer that ran out is no fault, although it is noted as one: who handles it may exit for anything. And whose status is
        // that of a signal which came after its fault has lived through the fault.
        let status = death.exit.code >> 8 & 0xff;
        let exits_for = |raised: &SelfSignal| {
            soon(raised)
                && !sent.iter().any(|(time, signal)| {
                    *time > raised.time
                        && signal.result != IGNORED
                        && status == 128 + signal.number.unsigned_abs()
                })
                && !handles_null(death, raised)
                && !signal(death, *raised, true).is_of_interval_timer()
        };
        return death.fault.filter(exits_for).map(of);
    }
    let fault = death.fault.filter(|raised| raised.signal == number).map(of);
    let own = death.own.filter(|raised| raised.signal == number).map(sent_itself);
    let others = sent.iter().filter(|(_, signal)| signal.number == number).cloned();
    let all = others.chain(fault).chain(own.clone());
    if number == SIGKILL {
        return all.min_by_key(|(time, _)| *time);
    }
    let latest = all.max_by_key(|(time, _)| *time);
    let Some((raised, _)) = own.filter(|own| latest.as_ref() == Some(own)) else { return latest };
    let fault = death.fault.map(of).filter(|(_, signal)| signal.number != number || signal.forced);
    let handled = sent.iter().cloned().chain(fault).filter(|(time, signal)| {
        // One that was ignored had no handler.
        signal.result != IGNORED
            && raised.checked_sub(*time).is_some_and(|ago| ago <= handled_for(signal, number))
    });
    handled.max_by_key(|(time, _)| *time).or(latest)
}

/// How long after the signal at `time` that is taken for the reason of a process' end it raised the same, or called abort(3),
/// by itself, if that is too long to be sure of it. Ns.
pub fn raised_late(death: &ProcessExit, time: u64) -> Option<u64> {
    let own = death.own.filter(|own| death.exit.code & 0x7f == own.signal.unsigned_abs())?;
    own.time.checked_sub(time).filter(|later| *later > CONSEQUENCE)
}

/// For how long a handler of `signal` may be at work before it raises `number`, the same again or abort(3). Ns.
fn handled_for(signal: &Signal, number: i32) -> u64 {
    match signal.number {
        same if same == number => HANDLING,
        other if CRASHES.contains(&other) => CONSEQUENCE,
        _ => 0,
    }
}

/// Whether a SIGSEGV says nothing of why a process exited: the JVM raises one as it starts, to see what the kernel keeps of
/// vector registers (vm_version_x86.cpp), and makes a NullPointerException of others. When it gives up it calls abort(3).
fn handles_null(death: &ProcessExit, raised: &SelfSignal) -> bool {
    raised.signal == SIGSEGV && death.actor.task.comm == JAVA
}

/// In the form of a signal that was told: the process is its own sender, unless the kernel `forced` it.
fn signal(death: &ProcessExit, raised: SelfSignal, forced: bool) -> Signal {
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
    let (result, origin) = (0, Origin::Unknown);
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
    fn who_exits_after_a_timer_has_not_crashed() {
        let at = 10 * CONSEQUENCE;
        let alarm = ProcessExit { fault: Some(raised(at - 5, 14, 0x80)), ..exit(at, 1 << 8) };
        assert_eq!(number(&alarm, &[]), None);
        let unhandled = ProcessExit { fault: Some(raised(at - 5, 14, 0x80)), ..exit(at, 14) };
        assert_eq!(number(&unhandled, &[]), Some(14));
    }

    #[test]
    fn a_fault_that_is_made_up_is_sent() {
        let at = 10 * CONSEQUENCE;
        let forged = Some(raised(at - 5, 11, 1));
        let told = |death: &ProcessExit| {
            terminating_signal(death, &[]).map(|(time, signal)| (time, signal.forced))
        };
        let alone = ProcessExit { own: forged, ..exit(at, 11) };
        assert_eq!(told(&alone), Some((at - 5, false)));
        // A handler raises what it was given again, with all that came with it (Breakpad).
        let fault = Some(raised(at - 9, 11, 1));
        assert_eq!(told(&ProcessExit { fault, ..alone }), Some((at - 9, true)));
        // Nobody exits for one that it has sent itself.
        assert_eq!(told(&ProcessExit { own: forged, ..exit(at, 1 << 8) }), None);
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

    /// GNU make, git and many more end like that; the JVM and Redis report a crash first.
    #[test]
    fn what_a_handler_raises_is_what_it_was_sent() {
        let (at, s) = (100 * CONSEQUENCE, CONSEQUENCE / 2);
        let told = |number: i32, first: u64, of: i32, raised_as: i32| {
            let own = Some(raised(at - 1, raised_as, -6));
            let death = ProcessExit { own, ..exit(at, raised_as as u32) };
            let signal = Signal { number, ..sent(of) };
            terminating_signal(&death, &[(at - first, signal)])
                .map(|(time, signal)| (at - time, signal.number))
        };
        assert_eq!(told(15, 5 * s, 0, 15), Some((5 * s, 15)), "it cleans up first");
        assert_eq!(told(15, 91 * s, 0, 15), Some((1, 15)), "of its own accord");
        assert_eq!(told(11, 5 * s, 0, 11), Some((5 * s, 11)));
        assert_eq!(told(11, s, 0, 6), Some((s, 11)));
        assert_eq!(told(11, 5 * s, 0, 6), Some((1, 6)));
        assert_eq!(
            told(15, s, 0, 6),
            Some((1, 6)),
            "it was asked to end, and aborts for another reason"
        );
        // Nobody can be sure of what was asked for long before, and what was ignored had no handler.
        let own = |ago| ProcessExit { own: Some(raised(at - 1, 15, -6)), ..exit(at - ago, 15) };
        assert_eq!(raised_late(&own(0), at - 5 * s), Some(5 * s - 1));
        assert_eq!([at - s, at].map(|time| raised_late(&own(0), time)), [None, None]);
        let ignored = Signal { number: 15, result: 1, ..sent(0) };
        let found = terminating_signal(&own(0), &[(at - s, ignored)]).map(|(time, _)| at - time);
        assert_eq!(found, Some(1));
        let later = ProcessExit { own: Some(raised(at - 9, 15, 0)), ..exit(at, 15) };
        let other = Signal { number: 15, ..sent(0) };
        let found = terminating_signal(&later, &[(at - 5, other)]).map(|(time, _)| at - time);
        assert_eq!(found, Some(5), "sent after it had raised it, which it survived");
    }

    #[test]
    fn a_jvm_exits_for_another_reason_than_its_null_pointers() {
        let at = 10 * CONSEQUENCE;
        let of = |comm: &[u8], fault| {
            let mut death = ProcessExit { fault: Some(fault), ..exit(at, 1 << 8) };
            death.actor.task.comm = comm.to_vec();
            number(&death, &[])
        };
        assert_eq!(of(b"java", raised(at - 5, 11, 1)), None);
        assert_eq!(of(b"java", raised(at - 5, 4, 2)), Some(4));
        assert_eq!(of(b"geo", raised(at - 5, 11, 1)), Some(11));
        let crashed = ProcessExit {
            fault: Some(raised(at - 9, 11, 1)),
            own: Some(raised(at - 5, 6, -6)),
            ..exit(at, 6)
        };
        assert_eq!(number(&crashed, &[]), Some(11));
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

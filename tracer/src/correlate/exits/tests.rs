use super::*;
use crate::{
    model::{oom::RanOut, signal_name::mask},
    testing::{STARTED, VICTIM, crash, exit, raised, signal as sent},
};

#[test]
fn an_oom_kill_is_told_of_the_process_it_killed() {
    let mut policy = policy(&[9], ExitFilter::None);
    let kill = |total, start| OomKill {
        victim: ProcessId { tgid: VICTIM, start },
        chosen: exit(9, 9).actor.task,
        ran_out: RanOut::Host,
        total,
    };
    policy.oom_kill(kill(1, STARTED));
    policy.oom_kill(kill(2, STARTED));
    policy.oom_kill(kill(3, STARTED + 1));
    let ended = exit(9, 9);
    let oom = policy.take_oom_kill(ended.exit.id);
    match policy.classify(ended, oom) {
        ExitKind::Signal(reported) => assert_eq!(reported.oom, Some(kill(1, STARTED))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_was_never_asked_for_is_forgotten() {
    let mut policy = policy(&[9], ExitFilter::None);
    let kill = |start| OomKill {
        victim: ProcessId { tgid: VICTIM, start },
        chosen: exit(9, 9).actor.task,
        ran_out: RanOut::Host,
        total: 1,
    };
    for start in 0..2 * OOM_KILLS as u64 {
        policy.oom_kill(kill(start));
        assert!(policy.take_oom_kill(kill(start).victim).is_some());
    }
    assert_eq!(policy.evicted(), 0);
    for start in 0..=OOM_KILLS as u64 {
        policy.oom_kill(kill(start));
    }
    assert_eq!(policy.evicted(), 1);
    for tgid in 0..=CRASHES as u32 {
        policy.crashed(Crash { id: ProcessId { tgid, start: 1 }, ..crash() });
    }
    assert_eq!(policy.evicted(), 2);
}

fn policy(signals: &[i32], exits: ExitFilter) -> ExitPolicy {
    ExitPolicy::new(ExitScope { signals: mask(signals), exits })
}

#[test]
fn only_what_is_asked_for_is_an_incident() {
    let is = |policy: &ExitPolicy, code| match policy.classify(exit(9, code), None) {
        ExitKind::Signal(_) => "signal",
        ExitKind::Failure(_) => "failure",
        ExitKind::Unasked => "unasked",
    };
    let kinds = |policy: &ExitPolicy| [0, 1 << 8, 9, 11].map(|code| is(policy, code));
    let none = policy(&[], ExitFilter::None);
    assert_eq!(kinds(&none), ["unasked"; 4]);
    let killed = policy(&[9], ExitFilter::None);
    assert_eq!(kinds(&killed), ["unasked", "unasked", "signal", "unasked"]);
    let all = policy(&[9, 11], ExitFilter::All);
    assert_eq!(kinds(&all), ["unasked", "failure", "signal", "signal"]);
}

#[test]
fn a_signal_counts_for_the_process_it_was_sent_to_only() {
    let mut policy = policy(&[9], ExitFilter::None);
    let kill = |start| {
        let mut signal = Signal { number: 9, ..sent(0) };
        signal.target.id = ProcessId { tgid: VICTIM, start };
        signal
    };
    // An earlier process of the same pid.
    policy.signal_sent(5, kill(STARTED - 1));
    let sender = |policy: &ExitPolicy| match policy.classify(exit(9, 9), None) {
        ExitKind::Signal(reported) => reported.signal.map(|(time, _)| time),
        other => panic!("{other:?}"),
    };
    assert_eq!(sender(&policy), None);
    policy.signal_sent(6, kill(STARTED));
    assert_eq!(sender(&policy), Some(6));
    for time in 10..10 + SENT as u64 {
        policy.signal_sent(time, kill(STARTED - 1));
    }
    assert_eq!(sender(&policy), None, "only the last few are remembered");
}

#[test]
fn whose_signals_had_to_be_forgotten_is_marked() {
    let mut policy = policy(&[9], ExitFilter::None);
    let left = |policy: &ExitPolicy, uid, start| {
        let mut death = exit(9, 9);
        (death.exit.id.start, death.actor.task.uid) = (start, uid);
        match policy.classify(death, None) {
            ExitKind::Signal(reported) => reported.exit.signals_left,
            other => panic!("{other:?}"),
        }
    };
    for tgid in 0..=TARGETS as u32 {
        assert!(!left(&policy, 1000, STARTED));
        let mut signal = Signal { number: 9, ..sent(0) };
        // They share the slot of the one that is asked about.
        let tgid = exit(9, 9).exit.id.tgid + (tgid + 1) * FORGOTTEN as u32;
        signal.target.id = ProcessId { tgid, start: STARTED };
        signal.target.uid = 1000;
        policy.signal_sent(STARTED + 9, signal);
    }
    assert!(left(&policy, 1000, STARTED));
    assert!(!left(&policy, 1000, STARTED + 9), "it began after what was forgotten");
    assert!(!left(&policy, 0, STARTED), "whom these senders may not signal");
}

/// Old streams do not tell it.
#[test]
fn a_forgotten_signal_to_an_unknown_user_concerns_everybody() {
    let mut policy = policy(&[9], ExitFilter::None);
    let victim = exit(9, 9).exit.id.tgid;
    for nth in 1..=TARGETS as u32 + 1 {
        let mut signal = Signal { number: 9, ..sent(0) };
        let tgid = victim + nth * FORGOTTEN as u32;
        signal.target.id = ProcessId { tgid, start: STARTED };
        signal.target.uid = UNKNOWN_USER;
        policy.signal_sent(STARTED + 9, signal);
    }
    for uid in [0, 1000] {
        let mut death = exit(9, 9);
        (death.exit.id.start, death.actor.task.uid) = (STARTED, uid);
        let ExitKind::Signal(reported) = policy.classify(death, None) else { panic!() };
        assert!(reported.exit.signals_left, "user {uid}");
    }
}

/// What was kept in the kernel comes last, and has its own time.
#[test]
fn a_signal_that_was_told_late_counts_for_when_it_was_generated() {
    let mut policy = policy(&[9], ExitFilter::None);
    let kill = |by| {
        let mut signal = Signal { number: 9, ..sent(0) };
        (signal.target.id, signal.sender.task.id.tgid) =
            (ProcessId { tgid: VICTIM, start: STARTED }, by);
        signal
    };
    policy.signal_sent(7, kill(2));
    policy.signal_sent(9, Signal { generated: Some(6), ..kill(3) });
    match policy.classify(exit(9, 9), None) {
        ExitKind::Signal(reported) => {
            let (time, signal) = reported.signal.expect("a sender");
            assert_eq!((time, signal.sender.task.id.tgid), (6, 3), "nothing survives the first");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_orderly_stop_is_no_incident() {
    let end = |number: i32, sender: u32, code: u32, exits| {
        let mut policy = policy(&[9, 15], exits);
        let mut signal = Signal { number, ..sent(0) };
        signal.target.id = ProcessId { tgid: VICTIM, start: STARTED };
        signal.sender.task.id.tgid = sender;
        signal.sender.task.comm = b"sh".to_vec();
        policy.signal_sent(5, signal);
        policy.classify(exit(9, code), None) != ExitKind::Unasked
    };
    assert!(!end(15, 1, 15, ExitFilter::Lasting), "systemctl stop");
    assert!(!end(15, 1, 143 << 8, ExitFilter::Lasting), "and a handler for it");
    assert!(end(15, 1, 1 << 8, ExitFilter::Lasting), "it failed on its way");
    assert!(end(9, 1, 9, ExitFilter::Lasting), "after the stop timeout");
    assert!(end(15, 77, 15, ExitFilter::Lasting), "somebody's kill");
    assert!(end(15, 1, 15, ExitFilter::All));
}

/// The end of `comm` by a SIGKILL that `of` makes.
fn told(comm: &str, of: impl Fn(&mut Signal), exits: ExitFilter) -> bool {
    let mut policy = policy(&[9], exits);
    let mut signal = Signal { number: 9, ..sent(0) };
    signal.target.id = ProcessId { tgid: VICTIM, start: STARTED };
    of(&mut signal);
    policy.signal_sent(5, signal);
    let mut death = exit(9, 9);
    death.actor.task.comm = comm.as_bytes().to_vec();
    policy.classify(death, None) != ExitKind::Unasked
}

#[test]
fn what_a_logout_leaves_behind_is_no_incident() {
    let end = |comm: &str, sender, exits| {
        let of = |signal: &mut Signal| {
            signal.target.comm = comm.as_bytes().to_vec();
            signal.sender.task.id.tgid = sender;
        };
        told(comm, of, exits)
    };
    assert!(!end("(sd-pam)", 1, ExitFilter::Lasting));
    assert!(end("(sd-pam)", 77, ExitFilter::Lasting), "somebody's kill");
    assert!(end("sd-pam", 1, ExitFilter::Lasting));
    assert!(end("(sd-pam)", 1, ExitFilter::All));
}

/// What a failure is told to have been sent before.
fn prompted(policy: &mut ExitPolicy, end: ProcessExit) -> Option<(u64, Signal)> {
    let ExitKind::Failure(failure) = policy.classify(end, None) else { panic!("no failure") };
    // Others push it out until it is told.
    for tgid in 0..2 * TARGETS as u32 {
        let mut other = sent(0);
        other.target.id.tgid = 1_000_000 + tgid;
        policy.signal_sent(1, other);
    }
    policy.failed(*failure).remove(0).exit.prompt.map(|prompt| *prompt)
}

/// gunicorn aborts a worker that takes too long; the worker handles that and exits with 1.
#[test]
fn what_a_master_sent_its_worker_before_its_end_is_kept() {
    let at = 10 * CONSEQUENCE;
    let prompt = |sent_at, start| {
        let mut policy = policy(&[6], ExitFilter::All);
        let mut abort = Signal { number: 6, ..sent(0) };
        abort.target.id = ProcessId { tgid: VICTIM, start };
        policy.signal_sent(sent_at, abort);
        prompted(&mut policy, exit(at, 1 << 8)).map(|(time, _)| time)
    };
    assert_eq!(prompt(at - 5, STARTED), Some(at - 5));
    assert_eq!(prompt(at - CONSEQUENCE - 1, STARTED), None);
    assert_eq!(prompt(at - 5, STARTED - 1), None, "an earlier process of the same pid");
}

/// A server that lets its connections end first.
#[test]
fn who_is_asked_to_end_may_take_its_time() {
    let (at, s) = (100 * CONSEQUENCE, CONSEQUENCE / 2);
    let prompt = |number: i32, before: u64, result: i32| {
        let mut policy = policy(&[15], ExitFilter::All);
        policy.signal_sent(at - before, Signal { number, result, ..sent(0) });
        prompted(&mut policy, exit(at, 1 << 8)).map(|(time, _)| at - time)
    };
    assert_eq!(prompt(15, 30 * s, 0), Some(30 * s));
    assert_eq!(prompt(15, 91 * s, 0), None, "systemd would have killed it");
    assert_eq!(prompt(15, s, 1), None, "it ignores that");
    assert_eq!(prompt(10, 30 * s, 0), None, "not to end");
    assert_eq!(prompt(2, 30 * s, 0), None, "a statement that is cancelled");
    // Nobody else can know of signals that are not asked for.
    let heard = ExitScope { signals: mask(&[11]), exits: ExitFilter::Lasting }.heard();
    assert_eq!(heard & mask(&[15, 2, 1, 11]), mask(&[15, 2, 1, 11]));
    assert_eq!(ExitScope { signals: mask(&[11]), exits: ExitFilter::None }.heard(), mask(&[11]));
}

/// SBCL, Julia, jsvc: faults by the hundred, and SIGTERM.
#[test]
fn who_lives_on_faults_and_is_stopped_has_not_crashed() {
    let at = 10 * CONSEQUENCE;
    let told = |exits, code: u32, stopped_before: u64| {
        let mut policy = policy(&[11, 15], exits);
        let mut stop = Signal { number: 15, ..sent(0) };
        stop.sender.task.id.tgid = 1;
        policy.signal_sent(at - stopped_before, stop);
        let end = ProcessExit { fault: Some(raised(at - 20, 11, 1)), ..exit(at, code << 8) };
        match policy.classify(end, None) {
            ExitKind::Signal(reported) => reported.signal.map(|(_, signal)| signal.number),
            ExitKind::Failure(_) => Some(0),
            ExitKind::Unasked => None,
        }
    };
    assert_eq!(told(ExitFilter::Lasting, 143, 9), None);
    assert_eq!(told(ExitFilter::Lasting, 143, 30), None, "whichever was first");
    assert_eq!(told(ExitFilter::All, 143, 9), Some(0), "for what it was asked");
    assert_eq!(told(ExitFilter::Lasting, 2, 9), Some(11), "stopped while it reports its crash");
    assert_eq!(told(ExitFilter::Lasting, 2, 30), Some(11), "it failed as it was stopped");
}

/// Whoever asks for exits alone is told of a handler that exits, too.
#[test]
fn who_exits_for_a_fault_is_told_by_its_exit() {
    let at = 10 * CONSEQUENCE;
    let told = |exits| {
        let end = ProcessExit { fault: Some(raised(at - 20, 11, 1)), ..exit(at, 2 << 8) };
        matches!(policy(&[], exits).classify(end, None), ExitKind::Signal(_))
    };
    assert!(told(ExitFilter::All) && told(ExitFilter::Lasting) && !told(ExitFilter::None));
}

/// GOTRACEBACK=crash: abort(3) in a handler of SIGQUIT.
#[test]
fn what_somebody_sent_before_it_aborted_is_kept() {
    let at = 10 * CONSEQUENCE;
    let scope = ExitScope { signals: mask(&[6]), exits: ExitFilter::None };
    assert_eq!(scope.heard() & mask(&[3, 11, 15]), mask(&[3, 11, 15]), "whatever is asked for");
    let mut policy = ExitPolicy::new(scope);
    policy.signal_sent(at - 50, Signal { number: 3, ..sent(0) });
    let end = ProcessExit { own: Some(raised(at - 20, 6, -6)), ..exit(at, 6) };
    let ExitKind::Signal(reported) = policy.classify(end, None) else { panic!("unasked") };
    let prompt = reported.exit.prompt.map(|sent| (at - sent.0, sent.1.number));
    assert_eq!(prompt, Some((50, 3)));
}

#[test]
fn what_ends_with_its_container_is_no_incident() {
    let of_first = |ending, ns_tgid| {
        move |signal: &mut Signal| {
            signal.code = SI_KERNEL;
            (signal.sender.task.ending, signal.sender.task.ns_tgid) = (ending, ns_tgid);
        }
    };
    assert!(!told("worker", of_first(true, Some(1)), ExitFilter::Lasting));
    assert!(told("worker", of_first(true, Some(1)), ExitFilter::All));
    assert!(told("worker", of_first(true, Some(7)), ExitFilter::Lasting));
    assert!(told("worker", of_first(false, Some(1)), ExitFilter::Lasting));
}

/// `timeout -s KILL 1 sleep 9`
#[test]
fn a_signal_that_is_passed_on_is_told_of_whom_it_ended() {
    let policy = policy(&[9], ExitFilter::Lasting);
    let death = |comm: &str, code| {
        let own = Some(raised(8, 9, code));
        let mut death = ProcessExit { own, ..exit(9, 9) };
        death.actor.task.comm = comm.as_bytes().to_vec();
        policy.classify(death, None) != ExitKind::Unasked
    };
    assert_eq!([death("timeout", 0), death("sudo", 0), death("geo", 0)], [false, false, true]);
    assert!(death("timeout", SI_KERNEL), "its own limit");
    assert!(told("timeout", |_| (), ExitFilter::Lasting), "somebody's kill");
}

/// Its background workers exit with 1 at each stop; all others with 2 where one has crashed.
#[test]
fn a_worker_of_postgres_that_is_stopped_is_no_incident() {
    let end = |comm: &str, by: u32, number: i32, status: u32| {
        let mut policy = policy(&[], ExitFilter::Lasting);
        let mut signal = Signal { number, ..sent(0) };
        signal.target.id = ProcessId { tgid: VICTIM, start: STARTED };
        let mut death = exit(9, status << 8);
        death.actor.ancestors = crate::testing::child_of(50);
        signal.sender.task.id = ProcessId { tgid: by, ..death.actor.ancestors[0].id };
        signal.sender.task.comm = comm.as_bytes().to_vec();
        policy.signal_sent(5, signal);
        policy.classify(death, None) != ExitKind::Unasked
    };
    assert!(!end("postgres", 50, 15, 1) && !end("postmaster", 50, 3, 2));
    assert!(end("postgres", 51, 15, 1), "pg_terminate_backend()");
    assert!(end("postgres", 50, 15, 2) && end("geo", 50, 15, 1));
}

/// `timeout 9 geo`, which dies of a bus error.
#[test]
fn a_bus_error_is_that_of_the_command_alone() {
    let told = |comm: &str, code, exits| {
        let mut signal = Signal { number: 7, ..sent(code) };
        signal.sender.task.id = signal.target.id;
        signal.sender.task.comm = comm.as_bytes().to_vec();
        !policy(&[], exits).is_told_of_another(&signal)
    };
    assert!(!told("timeout", 0, ExitFilter::Lasting) && !told("sudo", -6, ExitFilter::None));
    assert!(told("timeout", 0, ExitFilter::All), "who wants all");
    assert!(told("geo", 0, ExitFilter::Lasting) && told("timeout", 2, ExitFilter::Lasting));
}

#[test]
fn every_failure_counts_where_all_are_asked_for() {
    let mut all = policy(&[], ExitFilter::All);
    assert_eq!(all.failed(exit(9, 1 << 8)).len(), 1);
    let mut lasting = policy(&[], ExitFilter::Lasting);
    let mut helper = exit(STARTED + 1, 1 << 8);
    helper.actor.ancestors = crate::testing::child_of(50);
    assert_eq!(lasting.failed(helper), []);
}

#[test]
fn a_crash_is_that_of_the_process_that_ends() {
    let mut policy = policy(&[11], ExitFilter::None);
    let (told, id) = (crash(), exit(9, 11).exit.id);
    policy.crashed(told.clone());
    assert_eq!(policy.take_crash(id), Some(told.clone()));
    assert_eq!(policy.take_crash(id), None, "asked once");
    policy.crashed(told);
    assert_eq!(policy.take_crash(ProcessId { start: STARTED + 1, ..id }), None);
}

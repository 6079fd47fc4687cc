//! Which ends of processes are incidents, beside bus errors.
use std::collections::VecDeque;

use tracer_common::maps::Forgotten;

use crate::{
    correlate::{
        bounded::BoundedMap,
        crash_loop::CrashLoops,
        ending::{CONSEQUENCE, terminating_signal},
        supervisor::{ends_session, raises, stops},
    },
    model::{
        crash::Crash,
        oom::OomKill,
        process::{ExitFilter, ExitScope, ProcessExit},
        signal::Signal,
        signal_name::{SI_KERNEL, SIGHUP, SIGINT, SIGKILL, SIGTERM},
        task::ProcessId,
    },
};

/// Processes that were sent signals, and signals remembered of each.
const TARGETS: usize = 1_024;
const SENT: usize = 4;
/// Slots by tgid for when signals had to be forgotten, and whose processes they were sent to.
const FORGOTTEN: usize = 8_192;
/// Processes that the OOM killer killed and whose end was not told yet.
const OOM_KILLS: usize = 1_024;
/// Processes with a thread that crashed.
const CRASHES: usize = 256;

/// An end that is an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedExit {
    pub exit: ProcessExit,
    /// The signal that ended it and when it was generated, ns since boot; `None` where nobody was
    /// seen sending one.
    pub signal: Option<(u64, Signal)>,
    /// Of one that ended without a signal: what somebody sent it just before, and when.
    pub prompt: Option<(u64, Signal)>,
    /// Why the OOM killer killed it, where that was told.
    pub oom: Option<OomKill>,
    /// How many exits it stands for.
    pub count: u64,
}

impl ReportedExit {
    /// One that no signal caused.
    pub fn failure(exit: ProcessExit, count: u64) -> Self {
        Self { exit, signal: None, oom: None, prompt: None, count }
    }
}

/// What an end is, by what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitKind {
    /// A signal ended it, of a kind that is asked for.
    Signal(Box<ReportedExit>),
    /// It exited with a status other than 0; whether that is reported depends on what comes.
    Failure(Box<ProcessExit>),
    Unasked,
}

/// Where [`ExitPolicy::forgotten`] has the time of a process.
fn slot(tgid: u32) -> usize {
    tgid as usize % FORGOTTEN
}

/// Decides which ends are incidents.
pub struct ExitPolicy {
    scope: ExitScope,
    /// By tgid: signals other than SIGBUS that others sent it, with their times.
    sent: BoundedMap<u32, VecDeque<(u64, Signal)>>,
    /// By tgid, some sharing a slot: when the youngest of these was sent that had to be forgotten.
    forgotten: Box<[Forgotten]>,
    oom_kills: BoundedMap<ProcessId, OomKill>,
    loops: CrashLoops,
    /// By tgid: what threads failed at whose process has not ended yet.
    crashes: BoundedMap<u32, Crash>,
}

impl ExitPolicy {
    pub fn new(scope: ExitScope) -> Self {
        let (sent, crashes) = (BoundedMap::new(TARGETS), BoundedMap::new(CRASHES));
        let oom_kills = BoundedMap::new(OOM_KILLS);
        let forgotten = vec![Forgotten::default(); FORGOTTEN].into();
        Self { scope, sent, forgotten, oom_kills, loops: CrashLoops::default(), crashes }
    }

    /// Takes note of what a thread failed at: it matters once its process ends.
    pub fn crashed(&mut self, crash: Crash) {
        self.crashes.insert(crash.id.tgid, crash);
    }

    /// What a thread of a process failed at that ends now; asked once.
    pub fn take_crash(&mut self, process: ProcessId) -> Option<Crash> {
        self.crashes.remove(&process.tgid).filter(|crash| crash.id.same(process))
    }

    /// Takes note of a signal other than SIGBUS: it matters once its target ends.
    pub fn signal_sent(&mut self, time: u64, signal: Signal) {
        let tgid = signal.target.id.tgid;
        let gone = self.sent.make_room(&tgid).and_then(|mut list| list.pop_back());
        let list = self.sent.entry(tgid);
        list.push_back((signal.generated.unwrap_or(time), signal));
        list.make_contiguous().sort_by_key(|(time, _)| *time);
        let crowded = if list.len() > SENT { list.pop_front() } else { None };
        for (time, signal) in gone.into_iter().chain(crowded) {
            self.forgotten[slot(signal.target.id.tgid)].note(time, signal.target.uid);
        }
    }

    /// Takes note of an OOM kill. Told again of one process, as it is of whom it chose and of its whole cgroup, it
    /// is the same.
    pub fn oom_kill(&mut self, kill: OomKill) {
        if self.oom_kills.peek(&kill.victim).is_none() {
            self.oom_kills.insert(kill.victim, kill);
        }
    }

    /// Why the OOM killer killed a process that ends now, where that was told; asked once.
    pub fn take_oom_kill(&mut self, process: ProcessId) -> Option<OomKill> {
        self.oom_kills.remove(&process)
    }

    /// What the end of a process is that had no bus error; `oom` is why the OOM killer killed it.
    pub fn classify(&self, mut exit: ProcessExit, oom: Option<OomKill>) -> ExitKind {
        let code = exit.exit.code;
        let signal = self.terminating_signal(&exit);
        let by_code = code & 0x7f;
        // Whoever exits by itself may only have been asked to just before.
        let began = exit.exit.id.start;
        let since = match by_code {
            0 => began.max(exit.exit.time.saturating_sub(CONSEQUENCE)),
            _ => began,
        };
        let forgotten = &self.forgotten[slot(exit.exit.id.tgid)];
        exit.signals_left |= signal.is_none() && forgotten.concerns(exit.actor.task.uid, since);
        if by_code != 0 || signal.is_some() {
            let number = signal.as_ref().map_or(by_code, |(_, signal)| signal.number as u32);
            let asked = code != 0 && self.scope.signals >> (number & 31) & 1 != 0;
            // A stop as it should be, or what follows from another end: told only to who wants all.
            let follows = |signal: &Signal| orderly(signal) || with_namespace(signal) && !exit.oom;
            let stop =
                signal.as_ref().is_some_and(|(_, signal)| follows(signal) || passed_on(signal));
            return match asked && !(stop && self.scope.exits == ExitFilter::Lasting) {
                true => {
                    let reported = ReportedExit { exit, signal, oom, prompt: None, count: 1 };
                    ExitKind::Signal(Box::new(reported))
                }
                false => ExitKind::Unasked,
            };
        }
        if code == 0 || self.scope.exits == ExitFilter::None {
            return ExitKind::Unasked;
        }
        if self.scope.exits == ExitFilter::Lasting && self.stopped(&exit) {
            return ExitKind::Unasked;
        }
        ExitKind::Failure(Box::new(exit))
    }

    /// A process failed; gives what is to be reported, earlier ones of a crash loop among it.
    pub fn failed(&mut self, exit: ProcessExit) -> Vec<ReportedExit> {
        let due = match self.scope.exits {
            ExitFilter::None => Vec::new(),
            ExitFilter::All => vec![(exit, 1)],
            ExitFilter::Lasting => self.loops.failed(exit),
        };
        let reported = |(exit, count)| {
            let prompt = self.prompt(&exit);
            ReportedExit { prompt, ..ReportedExit::failure(exit, count) }
        };
        due.into_iter().map(reported).collect()
    }

    /// How many targets of signals, OOM kills, crashes and crash loops were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        let Self { sent, oom_kills, crashes, loops, .. } = self;
        sent.evicted() + oom_kills.evicted() + crashes.evicted() + loops.evicted()
    }

    /// Whether it was asked to end, and did so with the status that a shell gives that signal: a handler
    /// that cleans up, as the JVM's does.
    fn stopped(&self, exit: &ProcessExit) -> bool {
        let asked = |(_, signal): &(u64, Signal)| {
            orderly(signal)
                && signal.target.id.same(exit.exit.id)
                && exit.exit.code >> 8 & 0xff == 128 + signal.number as u32
        };
        self.sent.peek(&exit.exit.id.tgid).is_some_and(|list| list.iter().any(asked))
    }

    /// The latest signal that others sent a process just before it ended: a handler of it may have ended it.
    fn prompt(&self, exit: &ProcessExit) -> Option<(u64, Signal)> {
        let just_before = |(time, signal): &&(u64, Signal)| {
            let ago = exit.exit.time.checked_sub(*time);
            signal.target.id.same(exit.exit.id) && ago.is_some_and(|ago| ago <= CONSEQUENCE)
        };
        self.sent.peek(&exit.exit.id.tgid)?.iter().rev().find(just_before).cloned()
    }

    fn terminating_signal(&self, exit: &ProcessExit) -> Option<(u64, Signal)> {
        let target = exit.exit.id;
        let list = self.sent.peek(&target.tgid);
        let same = |(_, signal): &&(u64, Signal)| signal.target.id.same(target);
        let sent: Vec<_> = list.into_iter().flatten().filter(same).cloned().collect();
        terminating_signal(exit, &sent)
    }
}

/// Whether a signal is how a service manager, a supervisor or a runtime stops a process that is not
/// wanted any more.
fn orderly(signal: &Signal) -> bool {
    let (sender, target) = (&signal.sender.task, &signal.target);
    match signal.number {
        SIGHUP | SIGINT | SIGTERM => stops(sender, target),
        SIGKILL => ends_session(sender, target),
        _ => false,
    }
}

/// Whether the kernel kills what is left in a PID namespace whose first process has ended, as a container's main
/// process (kernel/pid_namespace.c zap_pid_ns_processes).
pub fn with_namespace(signal: &Signal) -> bool {
    let first = &signal.sender.task;
    let by_kernel = signal.number == SIGKILL && signal.code == SI_KERNEL;
    by_kernel && first.ending && first.ns_tgid == Some(1) && !first.id.same(signal.target.id)
}

/// Whether a process sends itself the signal that ended the command it ran, to end like that.
fn passed_on(signal: &Signal) -> bool {
    let sender = &signal.sender.task;
    signal.code <= 0 && sender.id.same(signal.target.id) && raises(&sender.comm)
}

#[cfg(test)]
mod tests {
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
                assert_eq!(
                    (time, signal.sender.task.id.tgid),
                    (6, 3),
                    "nothing survives the first"
                );
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

    /// gunicorn aborts a worker that takes too long; the worker handles that and exits with 1.
    #[test]
    fn what_a_master_sent_its_worker_before_its_end_is_kept() {
        let at = 10 * CONSEQUENCE;
        let prompt = |sent_at, start| {
            let mut policy = policy(&[6], ExitFilter::All);
            let mut abort = Signal { number: 6, ..sent(0) };
            abort.target.id = ProcessId { tgid: VICTIM, start };
            policy.signal_sent(sent_at, abort);
            policy.failed(exit(at, 1 << 8)).remove(0).prompt.map(|(time, _)| time)
        };
        assert_eq!(prompt(at - 5, STARTED), Some(at - 5));
        assert_eq!(prompt(at - CONSEQUENCE - 1, STARTED), None);
        assert_eq!(prompt(at - 5, STARTED - 1), None, "an earlier process of the same pid");
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
}

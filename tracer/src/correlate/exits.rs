//! Which ends of processes are incidents, beside bus errors.
use std::collections::VecDeque;

use tracer_common::maps::Forgotten;

use crate::{
    correlate::{
        bounded::BoundedMap,
        crash_loop::CrashLoops,
        ending::{CONSEQUENCE, HANDLING, IGNORED, asks_to_end, terminating_signal},
        supervisor::{ends_parser, ends_session, is_stopped_worker, raises, stops},
    },
    model::{
        crash::Crash,
        oom::OomKill,
        process::{ExitFilter, ExitScope, ProcessExit},
        signal::{Signal, UNKNOWN_USER},
        signal_name::{SI_KERNEL, SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGTERM},
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
    /// Why the OOM killer killed it, where that was told.
    pub oom: Option<OomKill>,
    /// How many exits it stands for.
    pub count: u64,
}

impl ReportedExit {
    /// One that no signal caused.
    pub fn failure(exit: ProcessExit, count: u64) -> Self {
        Self { exit, signal: None, oom: None, count }
    }
}

/// The end by abort(3), as wait(2) gives it.
const ABORTED: u32 = SIGABRT.unsigned_abs();

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

    /// Takes note of a signal that is no incident by itself, as SIGBUS is: it matters once its target ends.
    pub fn signal_sent(&mut self, time: u64, signal: Signal) {
        let tgid = signal.target.id.tgid;
        let gone = self.sent.make_room(&tgid).and_then(|mut list| list.pop_back());
        let list = self.sent.entry(tgid);
        list.push_back((signal.generated.unwrap_or(time), signal));
        list.make_contiguous().sort_by_key(|(time, _)| *time);
        let crowded = if list.len() > SENT { list.pop_front() } else { None };
        for (time, signal) in gone.into_iter().chain(crowded) {
            let forgotten = &mut self.forgotten[slot(signal.target.id.tgid)];
            forgotten.note(time, signal.target.uid);
            if signal.target.uid == UNKNOWN_USER {
                // What is noted of two users concerns all.
                forgotten.note(time, 0);
            }
        }
    }

    /// Whether only what somebody answers for is asked for.
    pub fn are_lasting(&self) -> bool {
        self.scope.exits == ExitFilter::Lasting
    }

    /// Whether a signal is only what ended the command that its sender ran, which is told already.
    pub fn is_told_of_another(&self, signal: &Signal) -> bool {
        self.scope.exits != ExitFilter::All && passed_on(signal)
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
            0 | ABORTED => began.max(exit.exit.time.saturating_sub(HANDLING)),
            _ => began,
        };
        let forgotten = &self.forgotten[slot(exit.exit.id.tgid)];
        let matters = signal.is_none() || by_code == ABORTED;
        exit.signals_left |= matters && forgotten.concerns(exit.actor.task.uid, since);
        // What it lived on (null checks of runtimes) is not why it ends as it was asked to.
        if by_code == 0 && self.scope.exits != ExitFilter::All && self.stopped(&exit) {
            return ExitKind::Unasked;
        }
        if by_code != 0 || signal.is_some() {
            let number = signal.as_ref().map_or(by_code, |(_, signal)| signal.number as u32);
            let of_signal = self.scope.signals >> (number & 31) & 1 != 0;
            let of_exit = by_code == 0 && self.scope.exits != ExitFilter::None;
            let asked = code != 0 && (of_signal || of_exit);
            // A stop as it should be, or what follows from another end: told only to who wants all.
            let follows = |signal: &Signal| orderly(signal) || with_namespace(signal) && !exit.oom;
            let lasting = self.scope.exits == ExitFilter::Lasting;
            let stop = signal.as_ref().is_some_and(|(_, signal)| {
                lasting && follows(signal) || self.is_told_of_another(signal)
            });
            return match asked && !stop {
                true => {
                    let aborted =
                        signal.as_ref().is_some_and(|(_, signal)| signal.number == SIGABRT);
                    if aborted {
                        exit.prompt = self.prompt(&exit);
                    }
                    let reported = ReportedExit { exit, signal, oom, count: 1 };
                    ExitKind::Signal(Box::new(reported))
                }
                false => ExitKind::Unasked,
            };
        }
        if code == 0 || self.scope.exits == ExitFilter::None {
            return ExitKind::Unasked;
        }
        // Now: whether it is told may be known only after others have pushed that out.
        exit.prompt = self.prompt(&exit);
        ExitKind::Failure(Box::new(exit))
    }

    /// A process failed; gives what is to be reported, earlier ones of a crash loop among it.
    pub fn failed(&mut self, exit: ProcessExit) -> Vec<ReportedExit> {
        let due = match self.scope.exits {
            ExitFilter::None => Vec::new(),
            ExitFilter::All => vec![(exit, 1)],
            ExitFilter::Lasting => self.loops.failed(exit),
        };
        due.into_iter().map(|(exit, count)| ReportedExit::failure(exit, count)).collect()
    }

    /// How many targets of signals, OOM kills, crashes and crash loops were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        let Self { sent, oom_kills, crashes, loops, .. } = self;
        sent.evicted() + oom_kills.evicted() + crashes.evicted() + loops.evicted()
    }

    /// Whether it was asked to end, and did so with the status that a shell gives that signal: a handler
    /// that cleans up, as the JVM's does. Or with the one that its master expects.
    fn stopped(&self, exit: &ProcessExit) -> bool {
        let status = exit.exit.code >> 8 & 0xff;
        let asked = |(_, signal): &(u64, Signal)| {
            let sender = &signal.sender.task;
            let worker = |parent| is_stopped_worker(sender, parent, signal.number, status);
            signal.target.id.same(exit.exit.id)
                && (orderly(signal) && status == 128 + signal.number as u32
                    || exit.actor.ancestors.first().is_some_and(worker))
        };
        self.sent.peek(&exit.exit.id.tgid).is_some_and(|list| list.iter().any(asked))
    }

    /// The latest signal that others sent a process just before it ended, or that asked it to end: a handler of it may have
    /// ended it, and whoever is stopped has as long as systemd waits.
    fn prompt(&self, exit: &ProcessExit) -> Option<Box<(u64, Signal)>> {
        let raised = exit.own.filter(|own| own.signal.unsigned_abs() == exit.exit.code & 0x7f);
        let ended = raised.map_or(exit.exit.time, |own| own.time);
        let just_before = |(time, signal): &&(u64, Signal)| {
            let within = if asks_to_end(signal) { HANDLING } else { CONSEQUENCE };
            signal.target.id.same(exit.exit.id)
                && signal.result != IGNORED
                && ended.checked_sub(*time).is_some_and(|ago| ago <= within)
        };
        self.sent.peek(&exit.exit.id.tgid)?.iter().rev().find(just_before).cloned().map(Box::new)
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
        SIGKILL => ends_session(sender, target) || ends_parser(sender, target),
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
mod tests;

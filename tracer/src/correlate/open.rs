//! Incidents that are not finished: what each takes in, and when it is due.
use std::ops::ControlFlow;

use tracer_common::maps::BURST_FIRST;

use crate::{
    correlate::{
        ending::{ended_itself, gave_up},
        exits::ReportedExit,
        incident::Incident,
        lookups::Lookups,
        reorder::REORDER_WINDOW,
        sameness::{MERGE_WINDOW, is_its_signal, is_raised_again, is_same_fault},
    },
    model::{
        cause::Outcome,
        fact::Fact,
        fault::{Burst, BurstKey, Fault, Mode},
        process::{Exit, ProcessExit},
        signal::{Deliver, Disposition, Signal},
        task::{Actor, Login, ProcessId},
        time::ClockOffset,
    },
};

const MS: u64 = 1_000_000;
/// How long an incident waits for what belongs to it before it is reported. Ns.
pub const REPORT_DELAY: u64 = 250 * MS;
/// How long it then still waits for what was asked: a question may wait for a thread, and the thread for its
/// answer (`enrich::deadline`). Ns.
const ANSWERS: u64 = 1_200 * MS;
/// How long a process may take to die: it dumps core first. Ns.
const EXIT_TIMEOUT: u64 = 600_000 * MS;
/// Threads named of each.
const THREADS: usize = 64;

/// An incident that is not finished.
pub struct OpenIncident {
    pub incident: Incident,
    pub lookups: Lookups,
    reported: bool,
    /// Something worth an update happened since it was reported.
    changed: bool,
    /// Its victim ended, or nothing more can come of it.
    done: bool,
    /// Its victim handled it and may dump core all the same: nothing but its end is waited for.
    outlived: bool,
    /// Faults of it that were sent; the kernel only counts the rest of a burst.
    faults: u64,
    /// When the kernel's count of them was read last, ns since boot.
    counted: u64,
}

impl OpenIncident {
    /// One that begins with a fault.
    pub fn of_fault(id: String, time: u64, fault: Fault, clock: ClockOffset) -> Self {
        let mut incident = Incident::new(id, time, fault.actor.clone(), clock);
        if fault.mode != Mode::User {
            incident.outcome = Outcome::Efault;
        }
        incident.fault = Some(fault);
        Self::of(incident)
    }

    /// One that begins with a signal, whose fault nobody saw or that somebody sent.
    pub fn of_signal(id: String, time: u64, signal: Signal, clock: ClockOffset) -> Self {
        let victim = Actor {
            task: signal.target.clone(),
            ancestors: Vec::new(),
            cmdline: None,
            cmdline_cut: false,
            partial: true,
            login: Login::default(),
        };
        let mut incident = Incident::new(id, time, victim, clock);
        if signal.result == 1 {
            incident.outcome = Outcome::Survived;
            incident.disposition = Some(Disposition::Ignore);
        }
        incident.signal = Some(signal);
        Self::of(incident)
    }

    /// One that is all about how its victim ended.
    pub fn of_exit(id: String, reported: ReportedExit, clock: ClockOffset) -> Self {
        let ReportedExit { exit: ended, signal, oom, count } = reported;
        let exit = ended.exit;
        let (time, signal) = signal.map_or((exit.time, None), |(time, s)| (time, Some(s)));
        let mut incident = Incident::new(id, time, ended.actor.clone(), clock);
        incident.last = exit.time;
        (incident.count, incident.oom) = (count, oom);
        incident.outcome = if exit.code & 0x7f == 0 { Outcome::Exited } else { Outcome::Killed };
        if let Some(signal) = &signal {
            // Of a timer that expired on a thread that was exiting it is not known.
            if signal.target.tid != 0 {
                incident.victim.task.tid = signal.target.tid;
                incident.threads = vec![signal.target.tid];
            }
            // A handler took the signal and gave up in its own way.
            let handled = signal.number as u32 != exit.code & 0x7f;
            incident.disposition = Some(match handled {
                true => Disposition::Handler,
                false => Disposition::Default,
            });
            if handled {
                incident.outcome = Outcome::Exited;
            }
        }
        (incident.exit, incident.signal, incident.death) = (Some(exit), signal, Some(ended));
        Self { done: true, ..Self::of(incident) }
    }

    fn of(incident: Incident) -> Self {
        Self {
            incident,
            lookups: Lookups::default(),
            reported: false,
            changed: false,
            done: false,
            outlived: false,
            faults: 1,
            counted: 0,
        }
    }

    fn concerns(&self, victim: ProcessId) -> bool {
        self.incident.victim.task.id.same(victim)
    }

    /// Whether its victim is on its way out, and nothing but its end is missing.
    fn dying(&self) -> bool {
        self.incident.outcome == Outcome::Killed && !self.done
    }

    /// Whether a fault is one more of the same. `newest_shrink` is when the last known shrink of its
    /// inode began.
    pub fn takes_fault(&self, time: u64, fault: &Fault, newest_shrink: Option<u64>) -> bool {
        !self.done && is_same_fault(&self.incident, time, fault, newest_shrink)
    }

    /// Takes in one more fault of the same kind.
    pub fn fault(&mut self, time: u64, fault: &Fault) {
        let incident = &mut self.incident;
        self.faults += 1;
        let first = incident.fault.as_ref().map_or(fault.nth, |first| first.nth);
        // In a loop the kernel sends only some, but counts all.
        let counted = fault.nth.saturating_sub(first).saturating_add(1);
        incident.count = incident.count.max(self.faults).max(counted);
        incident.last = incident.last.max(time);
        let tid = fault.actor.task.tid;
        if !incident.threads.contains(&tid) && incident.threads.len() < THREADS {
            incident.threads.push(tid);
        }
        self.changed = true;
    }

    /// What the kernel counts its faults under, if they loop.
    pub fn burst_key(&self) -> Option<BurstKey> {
        let fault = self.incident.fault.as_ref()?;
        (self.faults >= BURST_FIRST && !self.outlived).then(|| fault.storm())
    }

    /// Takes in how often the kernel has counted its fault, as read at `time`.
    pub fn burst(&mut self, time: u64, burst: &Burst) {
        self.counted = time;
        let first = self.incident.fault.as_ref().map_or(0, |fault| fault.nth);
        let counted = burst.count.saturating_sub(first).saturating_add(1);
        if counted > self.incident.count {
            self.incident.count = counted;
            self.changed = true;
            if !self.done {
                self.incident.last = self.incident.last.max(time);
            }
        }
    }

    /// Whether a SIGBUS, of a fault or not (`of_fault`), is what became of its fault, or one more of the same.
    pub fn takes_signal(&self, time: u64, signal: &Signal, of_fault: bool, page: u64) -> bool {
        !self.done && is_its_signal(&self.incident, time, signal, of_fault, page)
    }

    /// Takes in a SIGBUS that belongs to it.
    pub fn signal(&mut self, time: u64, signal: Signal) {
        let incident = &mut self.incident;
        if incident.fault.is_none() && !is_raised_again(incident, time, &signal) {
            incident.count += 1;
            incident.last = time;
            self.changed = true;
        }
        incident.signal.get_or_insert(signal);
    }

    /// Whether a SIGBUS that reaches `target` is its own.
    pub fn takes_delivery(&self, target: ProcessId) -> bool {
        !self.done && self.concerns(target) && self.incident.outcome != Outcome::Efault
    }

    /// Whether its signal may be the one that reaches this thread: that of a fault reaches the thread that failed, what
    /// others send may reach any.
    pub fn is_on_its_way_to(&self, tid: u32) -> bool {
        let its = |signal: &Signal| signal.code <= 0 || signal.target.tid == tid;
        self.incident.outcome == Outcome::Pending && self.incident.signal.as_ref().is_some_and(its)
    }

    /// Takes in what the victim does with its signal.
    pub fn delivery(&mut self, time: u64, delivery: &Deliver) {
        let incident = &mut self.incident;
        incident.disposition = Some(delivery.disposition);
        // Whom a signal was sent to is known by name only where it arrives.
        if incident.fault.is_none() && incident.victim.partial {
            let known = incident.victim.task.id;
            incident.victim = delivery.target.clone();
            // 5.10 locked down does not tell the receiver its own start.
            incident.victim.task.id.start = known.start.max(delivery.target.task.id.start);
        }
        let outcome = match delivery.disposition {
            // force_sig_fault() resets an ignored or blocked signal to the default
            // (kernel/signal.c force_sig_info_to_task).
            Disposition::Default => Outcome::Killed,
            Disposition::Ignore | Disposition::Handler => Outcome::Survived,
        };
        self.changed |= incident.outcome != outcome;
        incident.outcome = outcome;
        incident.last = incident.last.max(time);
    }

    /// Whether an end is its victim's.
    pub fn takes_exit(&self, exit: &Exit) -> bool {
        !self.done
            && self.concerns(exit.id)
            && exit.time >= self.incident.first
            && self.incident.outcome != Outcome::Efault
    }

    /// Whether its signal was delivered to kill.
    pub fn is_killed(&self) -> bool {
        self.incident.outcome == Outcome::Killed
    }

    /// Takes in its victim's end, which a bus error that killed led to or not (`killed`); whether this one did.
    pub fn exit(&mut self, ended: &ProcessExit, killed: bool) -> bool {
        let (incident, exit) = (&mut self.incident, ended.exit);
        if killed && incident.outcome == Outcome::Survived {
            self.done = true;
            return false;
        }
        // A handler that gives up ends its process soon, and not with success.
        let soon = gave_up(ended, incident.last);
        if exit.code & 0x7f == 7 || incident.outcome == Outcome::Killed {
            incident.outcome = Outcome::Killed;
        } else if soon && ended_itself(exit.code) {
            incident.outcome = Outcome::Exited;
        }
        if soon || incident.outcome == Outcome::Killed {
            incident.exit = Some(exit);
            self.changed = true;
        }
        let led = matches!(incident.outcome, Outcome::Killed | Outcome::Exited);
        if led {
            incident.death = Some(ended.clone());
        }
        self.done = true;
        led
    }

    /// Takes in what was looked up, if it is about this one. `Break` if it is about no other.
    pub fn fact(&mut self, fact: &Fact) -> ControlFlow<()> {
        let taken = self.lookups.learn(&mut self.incident, fact);
        self.changed |= taken.is_break() && matches!(fact, Fact::Stack(_));
        taken
    }

    /// Whether it is to be reported at `now` for the first time.
    pub fn report_due(&self, now: u64) -> bool {
        !self.reported && self.reported_after(REPORT_DELAY) <= now
    }

    /// Whether its signal was raised and is still to reach its victim, which on a busy host may be long off the
    /// CPU in between. Only a forced one is never blocked (kernel/signal.c force_sig_info_to_task).
    pub fn awaits_delivery(&self) -> bool {
        let forced = self.incident.signal.as_ref().is_some_and(|signal| signal.code > 0);
        forced && self.incident.outcome == Outcome::Pending
    }

    /// Whether it has waited for answers as long as a report may: somebody may be asked about again and again.
    pub fn overdue(&self, now: u64) -> bool {
        self.reported_after(REPORT_DELAY + ANSWERS) <= now
    }

    fn reported_after(&self, delay: u64) -> u64 {
        self.decided_at().saturating_add(delay + REORDER_WINDOW)
    }

    /// The time of the event that it is about, ns since boot: its first fault or signal; or its end, where it is
    /// about that, which may be some time after its signal.
    pub fn decided_at(&self) -> u64 {
        let incident = &self.incident;
        let ended = incident.fault.is_none() && incident.death.is_some();
        if ended { incident.last } else { incident.first }
    }

    /// Takes note that it is `now`: no more faults of the same kind may be waited for.
    pub fn pass(&mut self, now: u64) {
        let handled = self.incident.fault.is_some() && self.incident.outcome == Outcome::Survived;
        self.outlived = handled && !self.done && self.quiet_for(MERGE_WINDOW, now);
    }

    /// Whether nothing more is waited for at `now`, and all was reported that was to be.
    pub fn over(&self, now: u64) -> bool {
        let exit = self.incident.exit.map_or(self.incident.last, |exit| exit.time);
        // Longer, if what was only counted is still to be read: on a busy host much time may pass at once.
        let uncounted = self.burst_key().is_some() && self.counted < exit;
        let delay = if uncounted { MERGE_WINDOW } else { REPORT_DELAY };
        let done = self.done && exit.saturating_add(delay) <= now;
        let wait = if self.dying() || self.outlived { EXIT_TIMEOUT } else { MERGE_WINDOW };
        self.reported && (done || self.quiet_for(wait, now))
    }

    fn quiet_for(&self, wait: u64, now: u64) -> bool {
        self.incident.last.saturating_add(wait + REORDER_WINDOW) <= now
    }

    /// Whether its victim handled it, and only its end is waited for.
    pub fn is_outlived(&self) -> bool {
        self.outlived
    }

    /// Whether more is known than was reported.
    pub fn update_due(&self) -> bool {
        self.reported && self.changed
    }

    /// Takes note of something worth an update.
    pub fn mark_changed(&mut self) {
        self.changed |= !self.outlived;
    }

    /// Takes note that all that is known was reported.
    pub fn mark_reported(&mut self) {
        (self.reported, self.changed) = (true, false);
    }

    pub fn is_reported(&self) -> bool {
        self.reported
    }

    /// Whether nothing becomes due without another event.
    pub fn idle(&self) -> bool {
        self.reported && !self.changed && (self.dying() || self.outlived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::ending::HANDLING,
        testing::{STARTED, exit, fault, raised, signal},
    };

    const S: u64 = 1_000 * MS;
    const AT: u64 = 10 * S;

    fn open() -> OpenIncident {
        OpenIncident::of_fault("a".into(), AT, fault(1, 0), ClockOffset(0))
    }

    fn delivery(disposition: Disposition) -> Deliver {
        Deliver { target: fault(1, 0).actor, disposition }
    }

    #[test]
    fn a_loop_is_one_incident() {
        let mut open = open();
        let again = Fault { nth: 40, ..fault(2, 0) };
        assert!(open.takes_fault(AT + MERGE_WINDOW, &again, None));
        open.fault(AT + S, &again);
        assert_eq!((open.incident.count, open.incident.last), (40, AT + S));
        assert!(!open.takes_fault(AT + S + MERGE_WINDOW + 1, &again, None));
    }

    #[test]
    fn the_signal_of_a_fault_belongs_to_it() {
        let mut open = open();
        assert!(open.takes_signal(AT, &signal(2), true, 4_096));
        let elsewhere = Signal { address: 8_192, ..signal(2) };
        assert!(!open.takes_signal(AT, &elsewhere, true, 4_096), "another page");
        assert!(!open.takes_signal(AT, &signal(2), false, 4_096), "made up");
        assert!(!open.takes_signal(AT, &signal(0), false, 4_096), "sent by somebody else");
        open.delivery(AT, &delivery(Disposition::Handler));
        let mut own = signal(-6);
        own.sender = fault(1, 0).actor;
        assert!(open.takes_signal(AT + HANDLING, &own, true, 4_096), "raised again to die of it");
        assert!(!open.takes_signal(AT + HANDLING + 1, &own, true, 4_096));
    }

    #[test]
    fn a_failed_system_call_gets_no_signal() {
        let kernel = Fault { mode: Mode::Kernel, ..fault(1, 0) };
        let open = OpenIncident::of_fault("a".into(), AT, kernel, ClockOffset(0));
        assert_eq!(open.incident.outcome, Outcome::Efault);
        assert!(!open.takes_signal(AT, &signal(2), true, 4_096));
        assert!(!open.takes_delivery(open.incident.victim.task.id));
        assert!(!open.takes_exit(&exit(AT + 1, 7).exit));
    }

    #[test]
    fn what_became_of_the_victim() {
        let ended = |disposition, after, code| {
            let mut open = open();
            open.delivery(AT, &delivery(disposition));
            let led = open.exit(&exit(AT + after, code), false);
            (open.incident.outcome, led, open.incident.exit.is_some())
        };
        use Disposition::{Default, Handler};
        assert_eq!(ended(Default, 60 * S, 7), (Outcome::Killed, true, true), "a slow core dump");
        assert_eq!(ended(Handler, S, 2 << 8), (Outcome::Exited, true, true), "it gave up");
        assert_eq!(ended(Handler, S, 0), (Outcome::Survived, false, true), "it went well");
        assert_eq!(ended(Handler, S, 15), (Outcome::Survived, false, true), "it was stopped");
        assert_eq!(ended(Handler, 60 * S, 2 << 8), (Outcome::Survived, false, false), "later");
    }

    #[test]
    fn who_outlived_one_bus_error_may_die_of_another() {
        let ended = |disposition, killed| {
            let mut open = open();
            open.delivery(AT, &delivery(disposition));
            (open.exit(&exit(AT + S, 7), killed), open.incident.outcome)
        };
        use Disposition::{Default, Handler};
        assert_eq!(ended(Handler, true), (false, Outcome::Survived));
        assert_eq!(ended(Handler, false), (true, Outcome::Killed), "of one that was counted only");
        assert_eq!(ended(Default, true), (true, Outcome::Killed));
    }

    /// The JVM handles SIGBUS, writes its report, aborts, and dumps a large core.
    #[test]
    fn who_gives_up_is_awaited_however_long_its_core_takes() {
        let mut open = open();
        open.delivery(AT, &delivery(Disposition::Handler));
        open.mark_reported();
        let late = AT + MERGE_WINDOW + REORDER_WINDOW;
        open.pass(late - 1);
        assert!(!open.idle());
        open.pass(late);
        assert!(open.idle() && !open.over(late));
        let end = ProcessExit { own: Some(raised(AT + S, 6, -6)), ..exit(AT + 60 * S, 6) };
        assert!(open.exit(&end, false) && open.update_due());
        assert_eq!(open.incident.outcome, Outcome::Exited);
    }

    #[test]
    fn whom_a_signal_reached_is_known_where_it_arrives() {
        let mut open = OpenIncident::of_signal("a".into(), AT, signal(0), ClockOffset(0));
        let mut arrived = delivery(Disposition::Default);
        arrived.target.task.comm = b"whole".to_vec();
        arrived.target.task.id.start = 0;
        open.delivery(AT, &arrived);
        assert_eq!(open.incident.victim.task.comm, b"whole");
        assert_eq!(open.incident.victim.task.id.start, STARTED);
    }

    #[test]
    fn an_ignored_signal_is_handled_by_nobody() {
        let ignored = Signal { result: 1, ..signal(0) };
        let open = OpenIncident::of_signal("a".into(), AT, ignored, ClockOffset(0));
        assert_eq!(open.incident.outcome, Outcome::Survived);
        assert_eq!(open.incident.disposition, Some(Disposition::Ignore));
    }

    #[test]
    fn a_forced_signal_is_awaited_until_it_is_delivered() {
        let mut open = open();
        assert!(!open.awaits_delivery(), "no signal was seen");
        open.signal(AT, signal(2));
        assert!(open.awaits_delivery());
        open.delivery(AT + S, &delivery(Disposition::Default));
        assert!(!open.awaits_delivery());
        assert!(
            !OpenIncident::of_signal("a".into(), AT, signal(0), ClockOffset(0)).awaits_delivery()
        );
    }

    #[test]
    fn an_incident_waits_for_what_belongs_to_it_and_no_longer() {
        let mut open = open();
        let due = AT + REPORT_DELAY + REORDER_WINDOW;
        assert_eq!((open.report_due(due - 1), open.report_due(due)), (false, true));
        open.mark_reported();
        assert!(!open.report_due(due) && !open.update_due());
        let late = AT + MERGE_WINDOW + REORDER_WINDOW;
        assert_eq!((open.over(late - 1), open.over(late)), (false, true));
        open.delivery(AT, &delivery(Disposition::Default));
        assert!(open.update_due());
        assert!(!open.over(late), "its victim dumps core");
        open.exit(&exit(AT + S, 7), false);
        let after = AT + S + REPORT_DELAY;
        assert_eq!((open.over(after - 1), open.over(after)), (false, true));
    }
}

//! The engine: events in, incidents out. Pure: time is an argument, nothing is read or printed.
//!
//! It says who hears what, in which order; what each part makes of it stands in the part's file. CPUs deliver in no
//! common order, so events wait [`REORDER_WINDOW`]; an incident is reported after [`REPORT_DELAY`]. All is bounded.
use crate::{
    correlate::{
        exits::{ExitKind, ExitPolicy, ReportedExit},
        facts::FactCache,
        id::stable_id,
        incident::{Restart, Truncation},
        last_outputs::EndingOutputs,
        loss::LossTracker,
        open::OpenIncident,
        open_incidents::OpenIncidents,
        programs::ProgramLog,
        questions::OpenQuestions,
        reorder::{REORDER_WINDOW, Reorder},
        report::Reporter,
        restart::RestartMatcher,
        shrinks::ShrinkLog,
        update::{Counts, Evicted, Update},
    },
    model::{
        fact::{Fact, GONE, Mappers},
        fault::{BurstKey, Fault, Mode},
        file::{Mount, mount_of, name, on},
        host::Host,
        input::{Input, KernelEvent, Stamp, WatchNote},
        observe::Observe,
        process::ProcessExit,
        remote::is_shared,
        signal::Signal,
        signal_name::SIGBUS,
    },
};

/// Its parts, none of which knows another.
pub struct Engine {
    host: Host,
    order: Reorder<Input>,
    loss: LossTracker,
    shrinks: ShrinkLog,
    facts: FactCache,
    last_outputs: EndingOutputs,
    programs: ProgramLog,
    open: OpenIncidents,
    exits: ExitPolicy,
    restarts: RestartMatcher,
    questions: OpenQuestions,
    counts: Counts,
    updates: Vec<Update>,
}

impl Engine {
    pub fn new(host: Host) -> Self {
        let mut loss = LossTracker::new(host.since);
        loss.watched(&host.coverage, host.since);
        Self {
            order: Reorder::default(),
            loss,
            shrinks: ShrinkLog::default(),
            facts: FactCache::default(),
            last_outputs: EndingOutputs::default(),
            programs: ProgramLog::default(),
            open: OpenIncidents::default(),
            exits: ExitPolicy::new(host.deaths),
            restarts: RestartMatcher::new(host.coverage.sees(Observe::Exec)),
            questions: OpenQuestions::default(),
            counts: Counts::default(),
            updates: Vec::new(),
            host,
        }
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn counts(&self) -> Counts {
        let evicted = Evicted {
            facts: self.facts.evicted() + self.programs.evicted(),
            inodes: self.shrinks.evicted(),
            exits: self.exits.evicted(),
            restarts: self.restarts.evicted(),
            incidents: self.open.evicted(),
        };
        Counts { evicted, ..self.counts }
    }

    /// Whether nothing becomes due without another event.
    pub fn idle(&self) -> bool {
        self.order.is_empty() && self.open.idle() && self.restarts.settled() && !self.loss.waits()
    }

    /// Faults that loop, whose counts are to be read.
    pub fn bursts(&self) -> Vec<BurstKey> {
        self.open.bursts()
    }

    /// Whether time has anything to decide: without, it need not be moved.
    pub fn holds_anything(&self) -> bool {
        self.loss.waits()
            || !(self.order.is_empty() && self.open.is_empty() && self.restarts.is_empty())
    }

    /// Takes one input in: events of one CPU and ring in the order of their numbers, as the ring
    /// buffer gives them, otherwise in any order.
    pub fn push(&mut self, stamp: Stamp, input: Input) {
        let missing = match &input {
            Input::Kernel(_) => {
                self.counts.events += 1;
                self.loss.event(stamp)
            }
            Input::Watch(WatchNote::SeqCheckpoint { cpu, ring, seq }) => {
                self.loss.checkpoint(Stamp { cpu: *cpu, ring: *ring, seq: *seq, time: stamp.time })
            }
            Input::Fact(_) | Input::Watch(_) => false,
        };
        if missing {
            self.open.lost();
        }
        if let Some((stamp, input)) = self.order.push(stamp, input) {
            self.take(stamp.time, input);
        }
    }

    /// Moves time forward to `now` and returns what has become due. In how many steps does not matter:
    /// what is due before an event is reported without it.
    pub fn advance(&mut self, now: u64) -> Vec<Update> {
        while let Some((stamp, input)) = self.order.due(now) {
            self.due(stamp.time.saturating_add(REORDER_WINDOW));
            self.take(stamp.time, input);
        }
        self.due(now);
        std::mem::take(&mut self.updates)
    }

    /// Tells what is due at `now`: what was lost, and then incidents.
    fn due(&mut self, now: u64) {
        for loss in self.loss.due(now) {
            self.counts.lost = self.counts.lost.saturating_add(loss.count);
            self.updates.push(Update::Loss(loss));
        }
        self.report_due(now);
    }

    /// Reports everything that is still open: there will be no further event.
    pub fn finish(&mut self) -> Vec<Update> {
        // First with all answers that are there, and only then without those that are not.
        let mut updates = self.advance(u64::MAX);
        self.questions.give_up();
        updates.extend(self.advance(u64::MAX));
        updates
    }

    fn take(&mut self, time: u64, input: Input) {
        match input {
            Input::Kernel(event) => self.kernel(time, event),
            Input::Fact(fact) => self.fact(fact),
            Input::Watch(note) => self.note(time, note),
        }
    }

    fn kernel(&mut self, time: u64, mut event: KernelEvent) {
        self.programs.name(time, &mut event);
        match event {
            KernelEvent::Fault(fault) => self.fault(time, *fault),
            KernelEvent::Shrink(shrink) => self.shrinks.begin(*shrink),
            KernelEvent::ShrinkEnd(end) => self.shrinks.end(end),
            KernelEvent::Stale(stale) => self.shrinks.forgotten_by_server(stale),
            KernelEvent::Signal(signal)
                if signal.number == SIGBUS && !self.exits.is_told_of_another(&signal) =>
            {
                self.signal(time, *signal);
            }
            KernelEvent::Signal(signal) => self.exits.signal_sent(time, *signal),
            KernelEvent::Deliver(delivery) => {
                if let Some(open) = self.open.delivered(&delivery.target.task) {
                    open.delivery(time, &delivery);
                }
            }
            KernelEvent::Crash(crash) => self.exits.crashed(*crash),
            KernelEvent::ProcessExit(exit) => self.exit(*exit),
            KernelEvent::ProcessStart(start) => {
                self.programs.started(time, &start);
                self.restarts.start(time, *start);
            }
            KernelEvent::Cgroup(made) => self.facts.cgroup_made(made),
            KernelEvent::OomKill(kill) => self.exits.oom_kill(*kill),
            KernelEvent::Program(program) => self.programs.told(time, &program),
            KernelEvent::Output(output) => self.last_outputs.told(*output),
        }
    }

    fn fact(&mut self, fact: Fact) {
        match self.facts.learn(fact) {
            Some(Fact::Mappers(mappers)) => self.warn(mappers),
            Some(fact) => self.open.fact(&fact),
            None => {}
        }
    }

    fn note(&mut self, time: u64, note: WatchNote) {
        match note {
            WatchNote::Clock(clock) => self.host.clock = clock,
            WatchNote::Coverage(coverage) => {
                self.loss.watched(&coverage, time);
                self.host.coverage = coverage;
            }
            WatchNote::RecursionMiss { observe, hook, count } => {
                if let Some(calls) = self.loss.recursion_misses(observe, count, time) {
                    self.counts.missed += calls;
                    self.updates.push(Update::Missed { time, observe, hook, calls });
                }
            }
            WatchNote::Burst(burst) => {
                let same = |open: &OpenIncident| open.burst_key() == Some(burst.key);
                if let Some(open) = self.open.latest(same) {
                    open.burst(time, &burst);
                }
            }
            WatchNote::ShrinksEvicted { until } => self.shrinks.evicted_until(until),
            WatchNote::SharedSuppressed { count } => self.counts.not_recorded = count,
            WatchNote::SignalsUntold(signals) => self.counts.signals = signals,
            WatchNote::StacksLost { count } => {
                self.counts.stacks_lost = count;
                self.loss.stacks_lost(time);
            }
            WatchNote::FilesUnread { count } => self.counts.files_unread = count,
            WatchNote::NotWarned => self.counts.not_warned += 1,
            WatchNote::Asked(id) => self.questions.asked(id, time),
            WatchNote::Answered(id) => self.questions.answered(id, time),
            // The first is for the loss tracker alone, the others are for the driver.
            WatchNote::SeqCheckpoint { .. }
            | WatchNote::Command { .. }
            | WatchNote::Parser { .. }
            | WatchNote::Advanced
            | WatchNote::Ended { .. } => {}
        }
    }

    fn fault(&mut self, time: u64, fault: Fault) {
        let task = &fault.actor.task;
        // We asked /proc for a page that is not to be had, or a core dump reads the first page of every
        // mapping (fs/coredump.c vma_dump_size): nobody else noticed.
        if fault.mode != Mode::User && (task.id.tgid == self.host.pid || task.ending) {
            return;
        }
        let newest = self.shrinks.latest(fault.inode.ptr);
        match self.open.latest(|open| open.takes_fault(time, &fault, newest)) {
            Some(open) => open.fault(time, &fault),
            None => {
                let id = stable_id(&self.host, time, task, fault.inode.id.ino);
                self.add(OpenIncident::of_fault(id, time, fault, self.host.clock));
            }
        }
    }

    fn signal(&mut self, time: u64, signal: Signal) {
        let page_size = self.host.page_size;
        let watched = self.host.coverage.sees(Observe::ForcedSignal);
        let of_fault = signal.may_be_of_fault(!watched);
        match self.open.latest(|open| open.takes_signal(time, &signal, of_fault, page_size)) {
            Some(open) => open.signal(time, signal),
            None => {
                let id = stable_id(&self.host, time, &signal.target, signal.address);
                self.add(OpenIncident::of_signal(id, time, signal, self.host.clock));
            }
        }
    }

    fn exit(&mut self, mut ended: ProcessExit) {
        if let Some(process) = self.last_outputs.ended(ended.exit) {
            self.facts.learn(Fact::Process(Box::new(process)));
        }
        ended.crash = self.exits.take_crash(ended.exit.id);
        let oom = self.exits.take_oom_kill(ended.exit.id);
        let mut explained = false;
        let killed = self.open.ended(ended.exit).any(|open| open.is_killed());
        for open in self.open.ended(ended.exit) {
            if open.exit(&ended, killed) {
                explained = true;
                self.restarts.ended(&open.incident.id, &ended);
            }
        }
        if explained {
            return;
        }
        match self.exits.classify(ended, oom) {
            ExitKind::Signal(reported) => {
                self.restarts.ended(&self.exit_id(&reported), &reported.exit);
                self.report_exit(*reported);
            }
            ExitKind::Failure(ended) => {
                // Also of those that are reported only once they go on.
                let first = ReportedExit::failure((*ended).clone(), 1);
                self.restarts.ended(&self.exit_id(&first), &ended);
                for reported in self.exits.failed(*ended) {
                    self.report_exit(reported);
                }
            }
            ExitKind::Unasked => {}
        }
    }

    /// The id of an end, which may be reported later.
    fn exit_id(&self, reported: &ReportedExit) -> String {
        let exit = &reported.exit;
        let time = reported.signal.as_ref().map_or(exit.exit.time, |(time, _)| *time);
        stable_id(&self.host, time, &exit.actor.task, u64::from(exit.exit.code))
    }

    fn report_exit(&mut self, reported: ReportedExit) {
        let id = self.exit_id(&reported);
        let mut open = OpenIncident::of_exit(id, reported, self.host.clock);
        open.incident.restart = self.restarts.of(&open.incident.id);
        self.add(open);
    }

    /// Somebody has looked who maps a file that was shrunk.
    fn warn(&mut self, mappers: Mappers) {
        let Mappers { inode, begin, processes, path, mut why } = mappers;
        let Some(shrink) = self.shrinks.take(inode, begin) else { return };
        if processes.is_empty() && why.is_none() && !is_shared(shrink.inode.magic) {
            return;
        }
        if shrink.mapped && processes.is_empty() {
            why.get_or_insert_with(|| GONE.to_owned());
        }
        let mounts = on(shrink.inode.id.dev, self.facts.mounts());
        let (walked, _) = name(&shrink.path, &mounts);
        let path = walked.or(path);
        let mount = mount_of(path.as_deref().unwrap_or_default(), &mounts).cloned();
        let warning = Truncation {
            path,
            mount,
            id: stable_id(&self.host, begin, &shrink.actor.task, shrink.inode.id.ino),
            process: self.facts.actor(&shrink.actor),
            server: self.facts.server(shrink.inode.id.dev, begin).cloned(),
            at_risk: processes,
            why,
            shrink,
        };
        if warning.is_warning() {
            self.shrinks.warned(warning.clone());
            self.counts.truncations += 1;
        } else if warning.mount.as_ref().is_some_and(is_local_disk) {
            return;
        }
        self.updates.push(Update::Truncation(Box::new(warning)));
    }

    fn add(&mut self, incident: OpenIncident) {
        let (open, mut reporter) = self.reporter();
        if let Some(mut oldest) = open.add(incident) {
            reporter.report(&mut oldest);
        }
    }

    /// Reports what is due at `now` and forgets what is over.
    fn report_due(&mut self, now: u64) {
        let lasting = self.exits.are_lasting();
        let (open, mut reporter) = self.reporter();
        open.retain(|open| {
            if open.report_due(now) && (open.overdue(now) || !reporter.awaits_answers(open)) {
                if reporter.came_to_nothing(open) || lasting && reporter.is_of_journald(open) {
                    return false;
                }
                reporter.report(open);
            }
            open.pass(now);
            let over = reporter.is_over(open, now);
            if over || open.is_outlived() {
                reporter.report(open);
            }
            !over
        });
        let facts = &self.facts;
        for (id, restart) in self.restarts.due(now, |task| facts.cgroup(task)) {
            self.restarted(&id, restart);
        }
    }

    /// An incident's victim was started again.
    fn restarted(&mut self, id: &str, restart: Restart) {
        if self.open.restarted(id, &restart) {
            return;
        }
        if let Some(mut incident) = self.restarts.last_report(id) {
            incident.restart = Some(restart);
            self.updates.push(Update::Change(incident));
        }
    }

    fn reporter(&mut self) -> (&mut OpenIncidents, Reporter<'_>) {
        let reporter = Reporter {
            host: &self.host,
            loss: &self.loss,
            shrinks: &self.shrinks,
            facts: &mut self.facts,
            programs: &self.programs,
            restarts: &mut self.restarts,
            questions: &self.questions,
            counts: &mut self.counts,
            updates: &mut self.updates,
        };
        (&mut self.open, reporter)
    }
}

/// Whether only this host changes what is mounted there, although the magic number is that of FUSE.
fn is_local_disk(mount: &Mount) -> bool {
    mount.fstype == b"fuseblk"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            fact::Process,
            signal::{Deliver, Disposition},
            task::ProcessId,
        },
        testing::{SINCE, VICTIM, fault, host, program, shrink},
    };

    #[test]
    fn an_incident_that_makes_room_is_not_reported_again() {
        let mut engine = Engine::new(host());
        let mut updates = Vec::new();
        let most = 4_096_u32;
        for tgid in 0..=most {
            let (time, mut fault) = (1_000_000 * u64::from(tgid), fault(1, 0));
            fault.actor.task.id = ProcessId { tgid: 1_000 + tgid, start: 1 };
            let target = fault.actor.clone();
            let stamp = |seq| Stamp { cpu: 0, ring: 0, seq, time };
            engine.push(stamp(2 * u64::from(tgid) + 1), KernelEvent::Fault(Box::new(fault)).into());
            // Its victim dumps core: it stays open.
            let delivery = Deliver { target, disposition: Disposition::Default };
            engine.push(
                stamp(2 * u64::from(tgid) + 2),
                KernelEvent::Deliver(Box::new(delivery)).into(),
            );
            updates.extend(engine.advance(time));
        }
        updates.extend(engine.finish());
        let new = |update: &&Update| matches!(update, Update::Incident(_));
        assert_eq!(updates.iter().filter(new).count(), most as usize + 1);
        let counts = engine.counts();
        assert_eq!((counts.incidents, counts.evicted.incidents), (u64::from(most) + 1, 1));
    }

    #[test]
    fn a_question_without_an_answer_holds_no_incident_for_ever() {
        let mut engine = Engine::new(host());
        let fault = fault(1, 0);
        let (id, ms) = (fault.actor.task.id, 1_000_000);
        engine.push(
            Stamp { cpu: 0, ring: 0, seq: 1, time: ms },
            KernelEvent::Fault(Box::new(fault)).into(),
        );
        let mut reported = None;
        // Asked with the fault, and never answered.
        engine.push(Stamp::unnumbered(ms + 1), WatchNote::Asked(id).into());
        for now in (0..3_000).step_by(10).map(|step| (1 + step) * ms) {
            if !engine.advance(now).is_empty() {
                reported.get_or_insert(now / ms);
            }
        }
        assert!(reported.is_some_and(|at| (1_400..1_600).contains(&at)), "{reported:?}");
    }

    /// Of different CPUs: each program was told before its act, and arrives after it.
    #[test]
    fn programs_are_those_of_the_acts_in_whatever_order_they_arrive() {
        let mut engine = Engine::new(host());
        let program = |tgid, name| KernelEvent::Program(Box::new(program(tgid, name)));
        let events = [
            // Its culprit execs after the act, which is told only as a fault needs it.
            (40, KernelEvent::Shrink(Box::new(shrink(2, SINCE + 20, 8192, 0)))),
            (50, KernelEvent::Fault(Box::new(fault(1, 0)))),
            (45, program(VICTIM, b"victim")),
            (60, program(VICTIM, b"later")),
            (10, program(2, b"culprit")),
            (30, program(2, b"later")),
        ];
        for (cpu, (time, event)) in (0..).zip(events) {
            let stamp = Stamp { cpu, ring: 0, seq: 1, time: SINCE + time };
            engine.push(stamp, event.into());
        }
        let updates = engine.finish();
        let [Update::Incident(incident)] = &updates[..] else { panic!("{updates:?}") };
        let exe = |process: &Option<Process>| process.clone()?.exe;
        assert_eq!(exe(&incident.victim_process), Some(b"/victim".to_vec()));
        assert_eq!(exe(&incident.culprit_process), Some(b"/culprit".to_vec()));
    }
}

//! The engine: events in, incidents out. Pure: time is an argument, nothing is read or printed.
//!
//! It says who hears what, in which order; what each part makes of it stands in the part's file.
//! CPUs deliver in no common order, so events wait [`REORDER_WINDOW`] to be put in order, and an
//! incident stays open for [`REPORT_DELAY`] before it is reported. Everything held is bounded.
use crate::{
    correlate::{
        exits::{ExitKind, ExitPolicy, ReportedExit},
        facts::FactCache,
        id::stable_id,
        incident::{Restart, Truncation},
        loss::LossTracker,
        open::{OpenIncident, OpenIncidents},
        reorder::{REORDER_WINDOW, Reorder},
        report::Reporter,
        restart::RestartMatcher,
        shrinks::ShrinkLog,
        update::{Counts, Evicted, Loss, Update},
    },
    model::{
        fact::Mappers,
        fault::{BurstKey, Fault, Mode},
        file::{name, on},
        host::Host,
        input::{Event, Stamp},
        observe::{Coverage, Observe},
        process::ProcessExit,
        signal::Signal,
        signal_name::SIGBUS,
    },
};

/// Its parts, none of which knows another.
pub struct Engine {
    host: Host,
    order: Reorder<Event>,
    loss: LossTracker,
    shrinks: ShrinkLog,
    facts: FactCache,
    open: OpenIncidents,
    exits: ExitPolicy,
    restarts: RestartMatcher,
    counts: Counts,
    updates: Vec<Update>,
}

impl Engine {
    pub fn new(host: Host) -> Self {
        Self {
            order: Reorder::default(),
            loss: LossTracker::new(host.since),
            shrinks: ShrinkLog::default(),
            facts: FactCache::default(),
            open: OpenIncidents::default(),
            exits: ExitPolicy::new(host.deaths),
            restarts: RestartMatcher::new(host.coverage.sees(Observe::Exec)),
            counts: Counts::default(),
            updates: Vec::new(),
            host,
        }
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Takes note that what is hooked has changed.
    pub fn rehook(&mut self, coverage: Coverage) {
        self.host.coverage = coverage;
    }

    /// Counts a shrink of a mapped file of which nobody will be warned.
    pub fn not_warned(&mut self) {
        self.counts.not_warned += 1;
    }

    pub fn counts(&self) -> Counts {
        let evicted = Evicted {
            facts: self.facts.evicted(),
            inodes: self.shrinks.evicted(),
            exits: self.exits.evicted(),
            restarts: self.restarts.evicted(),
            incidents: self.open.evicted(),
        };
        Counts { evicted, ..self.counts }
    }

    /// Whether nothing becomes due without another event.
    pub fn idle(&self) -> bool {
        self.order.is_empty() && self.open.idle() && self.restarts.settled()
    }

    /// Faults that loop, whose counts are to be read.
    pub fn storms(&self) -> Vec<BurstKey> {
        self.open.bursts()
    }

    /// Takes one event in: those of one CPU and ring in the order of their numbers, as the ring
    /// buffer gives them, otherwise in any order.
    pub fn push(&mut self, stamp: Stamp, event: Event) {
        let loss = match event {
            Event::Account { cpu, ring, seq } => {
                self.loss.checkpoint(Stamp { cpu, ring, seq, time: stamp.time })
            }
            // What user space learnt.
            _ if stamp.seq == 0 => None,
            _ => {
                self.counts.events += 1;
                self.loss.event(stamp)
            }
        };
        if let Some(loss) = loss {
            self.lost(loss);
        }
        if let Some((stamp, event)) = self.order.push(stamp, event) {
            self.take(stamp, event);
        }
    }

    /// Moves time forward to `now` and returns what has become due. In how many steps does not matter:
    /// what is due before an event is reported without it.
    pub fn advance(&mut self, now: u64) -> Vec<Update> {
        while let Some((stamp, event)) = self.order.due(now) {
            self.report_due(stamp.time.saturating_add(REORDER_WINDOW));
            self.take(stamp, event);
        }
        self.report_due(now);
        std::mem::take(&mut self.updates)
    }

    /// Reports everything that is still open: there will be no further event.
    pub fn finish(&mut self) -> Vec<Update> {
        self.advance(u64::MAX)
    }

    fn take(&mut self, stamp: Stamp, event: Event) {
        let time = stamp.time;
        match event {
            Event::Fault(fault) => self.fault(time, *fault),
            Event::Shrink(shrink) => self.shrinks.begin(*shrink),
            Event::ShrinkEnd(end) => self.shrinks.end(end),
            Event::Stale(stale) => self.shrinks.forgotten_by_server(stale),
            Event::Signal(signal) if signal.number == SIGBUS => self.signal(time, *signal),
            Event::Signal(signal) => self.exits.signal_sent(time, *signal),
            Event::Deliver(delivery) => {
                let target = delivery.target.task.id;
                if let Some(open) = self.open.latest(|open| open.takes_delivery(target)) {
                    open.delivery(time, &delivery);
                }
            }
            Event::ProcessExit(exit) => self.exit(*exit),
            Event::ProcessStart(start) => self.restarts.start(time, *start),
            Event::Process(process) => self.facts.process_seen(*process),
            Event::View(view) => self.facts.view_seen(view),
            Event::Mounts(mounts) => self.facts.mounts_seen(mounts),
            Event::Mappers(mappers) => self.warn(mappers),
            Event::Space(_)
            | Event::Quota(_)
            | Event::HugePages(_)
            | Event::HugeLimit(_)
            | Event::MemoryLimit(_)
            | Event::OomKills { .. }
            | Event::Mapped(_)
            | Event::Symbol(_) => self.open.fact(&event),
            Event::Clock(clock) => self.host.clock = clock,
            Event::Missed { observe, hook, count } => {
                if let Some(calls) = self.loss.recursion_misses(observe, count, time) {
                    self.counts.missed += calls;
                    self.updates.push(Update::Missed { time, observe, hook, calls });
                }
            }
            Event::Burst(burst) => {
                let same = |open: &OpenIncident| open.burst_key() == Some(burst.key);
                if let Some(open) = self.open.latest(same) {
                    open.burst(time, &burst);
                }
            }
            Event::Account { .. } => {}
        }
    }

    fn lost(&mut self, loss: Loss) {
        self.counts.lost = self.counts.lost.saturating_add(loss.count);
        self.open.lost();
        self.updates.push(Update::Loss(loss));
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
        match self.open.latest(|open| open.takes_signal(time, &signal, page_size)) {
            Some(open) => open.signal(time, signal),
            None => {
                let id = stable_id(&self.host, time, &signal.target, signal.address);
                self.add(OpenIncident::of_signal(id, time, signal, self.host.clock));
            }
        }
    }

    fn exit(&mut self, ended: ProcessExit) {
        let mut explained = false;
        for open in self.open.ended(ended.exit) {
            if open.exit(&ended) {
                explained = true;
                self.restarts.ended(&open.incident.id, &ended);
            }
        }
        if explained {
            return;
        }
        match self.exits.classify(ended) {
            ExitKind::Signal(reported) => {
                self.restarts.ended(&self.exit_id(&reported), &reported.exit);
                self.report_exit(*reported);
            }
            ExitKind::Failure(ended) => {
                // Also of those that are reported only once they go on.
                let first = ReportedExit { exit: (*ended).clone(), signal: None, count: 1 };
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
        let Mappers { inode, begin, processes, path, why } = mappers;
        let Some(shrink) = self.shrinks.find(inode, begin).cloned() else { return };
        if processes.is_empty() && why.is_none() {
            return;
        }
        let (walked, _) = name(&shrink.path, &on(shrink.inode.id.dev, self.facts.mounts()));
        let warning = Truncation {
            id: stable_id(&self.host, begin, &shrink.actor.task, shrink.inode.id.ino),
            path: walked.or(path),
            process: self.facts.process(shrink.actor.task.id).cloned(),
            at_risk: processes,
            why,
            shrink,
        };
        self.shrinks.warned(warning.clone());
        self.counts.truncations += 1;
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
        let (open, mut reporter) = self.reporter();
        open.retain(|open| {
            if open.report_due(now) {
                reporter.report(open);
            }
            let over = open.over(now);
            if over {
                reporter.report(open);
            }
            !over
        });
        let facts = &self.facts;
        for (id, restart) in self.restarts.due(now, |id| facts.cgroup(id)) {
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
        let Self { host, loss, shrinks, facts, open, restarts, counts, updates, .. } = self;
        (open, Reporter { host, loss, shrinks, facts, restarts, counts, updates })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            signal::{Deliver, Disposition},
            task::ProcessId,
        },
        testing::{fault, host},
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
            engine.push(stamp(2 * u64::from(tgid) + 1), Event::Fault(Box::new(fault)));
            // Its victim dumps core: it stays open.
            let delivery = Deliver { target, disposition: Disposition::Default };
            engine.push(stamp(2 * u64::from(tgid) + 2), Event::Deliver(Box::new(delivery)));
            updates.extend(engine.advance(time));
        }
        updates.extend(engine.finish());
        let new = |update: &&Update| matches!(update, Update::Incident(_));
        assert_eq!(updates.iter().filter(new).count(), most as usize + 1);
        let counts = engine.counts();
        assert_eq!((counts.incidents, counts.evicted.incidents), (u64::from(most) + 1, 1));
    }
}

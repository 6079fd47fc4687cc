//! The engine: events in, incidents out. Pure: time is an argument, nothing is read or printed.
//!
//! CPUs deliver in no common order, so events wait [`REORDER_WINDOW`] to be put in order, and an
//! incident stays open for [`REPORT_DELAY`] before it is told. Everything held is bounded.
use std::collections::VecDeque;

use crate::{
    correlate::{
        bounded::BoundedMap,
        crash_loop::CrashLoops,
        exits::{CONSEQUENCE, blamed},
        id::stable_id,
        incident::{File, Incident, Restart, Truncation},
        loss::LossTracker,
        reorder::{REORDER_WINDOW, Reorder},
        restart::RestartMatcher,
        rules::{Evidence, judge, unknown},
        update::{Counts, Loss, Update},
    },
    model::{
        cause::{CauseKind, Outcome},
        fact::{HugeLimit, HugePages, Mapped, Mappers, Process, Quota, Space, View},
        fault::{Burst, BurstKey, Fault, Mode},
        file::{Dev, Mount, name, on},
        host::Host,
        input::{Event, Stamp},
        observe::{Coverage, Observe},
        process::{ExitFilter, ProcessExit},
        shrink::{Shrink, ShrinkEnd, Stale},
        signal::{Deliver, Disposition, Signal},
        signal_name::SIGBUS,
        task::{Actor, ProcessId},
    },
};
use tracer_common::event::STORM_FIRST;

const MS: u64 = 1_000_000;
/// How long an incident waits for what belongs to it before it is told.
pub const REPORT_DELAY: u64 = 250 * MS;
/// How long an incident takes in further faults of the same kind after the last.
const MERGE_WINDOW: u64 = 5_000 * MS;
/// How long a process may take to die: it dumps core first.
const EXIT_TIMEOUT: u64 = 600_000 * MS;

const INCIDENTS: usize = 4_096;
const INODES: usize = 1_024;
const SHRINKS: usize = 8;
const PROCESSES: usize = 2_048;
const VIEWS: usize = 64;
const TRUNCATIONS: usize = 256;
const THREADS: usize = 64;
/// Processes that were sent signals, and signals kept of each.
const TARGETS: usize = 1_024;
const SENT: usize = 4;

/// An incident that is not finished.
struct Open {
    incident: Incident,
    told: bool,
    /// Something worth an update happened since it was told.
    changed: bool,
    /// Ended, or nothing more can come of it.
    done: bool,
    /// Faults that were told, not only counted.
    seen: u64,
    /// What was looked at first after its fault.
    space: Option<Space>,
    quota: Option<Quota>,
    huge_pages: Option<HugePages>,
    huge_limit: Option<HugeLimit>,
    mapped: Option<Mapped>,
}

impl Open {
    /// Whether its victim is on its way out, and nothing but its end is missing.
    fn dying(&self) -> bool {
        self.incident.outcome == Outcome::Killed && !self.done
    }

    fn of(&self, victim: ProcessId) -> bool {
        self.incident.victim.task.id.same(victim)
    }

    fn device(&self) -> Option<Dev> {
        self.incident.fault.as_ref().map(|fault| fault.inode.id.dev)
    }

    /// What the kernel counts its faults under, if they loop.
    fn storm(&self) -> Option<BurstKey> {
        let fault = self.incident.fault.as_ref()?;
        (self.seen >= STORM_FIRST).then(|| fault.storm())
    }
}

/// See the module.
pub struct Engine {
    host: Host,
    order: Reorder<Event>,
    open: VecDeque<Open>,
    shrinks: BoundedMap<u64, VecDeque<Shrink>>,
    truncations: VecDeque<Truncation>,
    /// When the server last said that it does not know an inode.
    stale: BoundedMap<u64, Stale>,
    /// Signals other than SIGBUS that others sent, with their times.
    sent: BoundedMap<u32, VecDeque<(u64, Signal)>>,
    failing: CrashLoops,
    restarts: RestartMatcher,
    processes: BoundedMap<ProcessId, Process>,
    views: BoundedMap<ProcessId, View>,
    mounts: Vec<Mount>,
    loss: LossTracker,
    counts: Counts,
    updates: Vec<Update>,
}

impl Engine {
    pub fn new(host: Host) -> Self {
        let restarts = RestartMatcher::new(host.coverage.sees(Observe::Exec));
        let loss = LossTracker::new(host.since);
        Self {
            host,
            order: Reorder::default(),
            open: VecDeque::new(),
            shrinks: BoundedMap::new(INODES),
            truncations: VecDeque::new(),
            stale: BoundedMap::new(INODES),
            sent: BoundedMap::new(TARGETS),
            failing: CrashLoops::default(),
            restarts,
            processes: BoundedMap::new(PROCESSES),
            views: BoundedMap::new(VIEWS),
            mounts: Vec::new(),
            loss,
            counts: Counts::default(),
            updates: Vec::new(),
        }
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Takes note that what is hooked has changed.
    pub fn rehook(&mut self, coverage: Coverage) {
        self.host.coverage = coverage;
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether nothing becomes due without another event.
    pub fn idle(&self) -> bool {
        let waits = |open: &Open| open.told && !open.changed && open.dying();
        self.order.is_empty() && self.open.iter().all(waits) && self.restarts.settled()
    }

    /// Faults that loop, whose counts are to be read.
    pub fn storms(&self) -> Vec<BurstKey> {
        self.open.iter().filter_map(Open::storm).collect()
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
    /// what is due before an event is told without it.
    pub fn advance(&mut self, now: u64) -> Vec<Update> {
        while let Some((stamp, event)) = self.order.due(now) {
            self.tell(stamp.time.saturating_add(REORDER_WINDOW));
            self.take(stamp, event);
        }
        self.tell(now);
        std::mem::take(&mut self.updates)
    }

    /// Tells everything that is still open: there will be no further event.
    pub fn finish(&mut self) -> Vec<Update> {
        self.advance(u64::MAX)
    }

    fn take(&mut self, stamp: Stamp, event: Event) {
        match event {
            Event::Fault(fault) => self.fault(stamp.time, *fault),
            Event::Shrink(shrink) => self.shrink(*shrink),
            Event::ShrinkEnd(end) => self.shrink_end(end),
            Event::Signal(signal) => self.signal(stamp.time, *signal),
            Event::Deliver(deliver) => self.deliver(stamp.time, &deliver),
            Event::ProcessExit(death) => self.death(*death),
            Event::ProcessStart(start) => self.restarts.start(stamp.time, *start),
            Event::Process(process) => {
                // Asked twice, the second time it may be gone.
                match self.processes.get_mut(&process.id) {
                    Some(known) => known.learn(*process),
                    None => self.processes.insert(process.id, *process),
                }
            }
            Event::Mapped(mapped) => {
                let of_it = |open: &&mut Open| {
                    let incident = &open.incident;
                    let address = incident.signal.as_ref().map(|signal| signal.address);
                    incident.fault.is_none()
                        && incident.victim.task.id.same(mapped.victim)
                        && address == Some(mapped.address)
                };
                if let Some(open) = self.open.iter_mut().rev().find(of_it) {
                    open.mapped = Some(mapped);
                }
            }
            Event::Symbol(symbol) => {
                let victim = symbol.victim;
                if let Some(open) = self.open.iter_mut().rev().find(|open| open.of(victim)) {
                    open.incident.symbol = Some(symbol);
                }
            }
            Event::MemoryLimit(limit) => {
                let victim = limit.victim;
                if let Some(open) = self.open.iter_mut().rev().find(|open| open.of(victim)) {
                    open.incident.memory = Some(limit);
                }
            }
            Event::OomKills { victim, count } => {
                for open in self.open.iter_mut().filter(|open| open.of(victim)) {
                    open.incident.oom_kills.get_or_insert(count);
                }
            }
            Event::Clock(clock) => self.host.clock = clock,
            Event::View(view) => self.views.insert(view.victim, view),
            Event::Mappers(mappers) => self.warn(mappers),
            Event::Stale(stale) => self.stale.insert(stale.ptr, stale),
            Event::Mounts(mounts) => self.mounts = mounts,
            Event::Space(space) => {
                for open in self.open.iter_mut().filter(|open| open.device() == Some(space.dev)) {
                    open.space.get_or_insert(space);
                }
            }
            Event::Quota(quota) => {
                for open in self.open.iter_mut().filter(|open| open.of(quota.victim)) {
                    open.quota.get_or_insert(quota);
                }
            }
            Event::HugePages(pages) => {
                for open in &mut self.open {
                    open.huge_pages.get_or_insert(pages);
                }
            }
            Event::HugeLimit(limit) => {
                for open in self.open.iter_mut().filter(|open| open.of(limit.victim)) {
                    open.huge_limit.get_or_insert_with(|| limit.clone());
                }
            }
            Event::Missed { observe, hook, count } => {
                let time = stamp.time;
                if let Some(calls) = self.loss.recursion_misses(observe, count, time) {
                    self.counts.missed += calls;
                    self.updates.push(Update::Missed { time, observe, hook, calls });
                }
            }
            Event::Burst(storm) => self.storm(stamp.time, storm),
            Event::Account { .. } => {}
        }
    }

    fn lost(&mut self, loss: Loss) {
        self.counts.lost += loss.count;
        for open in &mut self.open {
            open.changed = true;
        }
        self.updates.push(Update::Loss(loss));
    }

    fn fault(&mut self, time: u64, fault: Fault) {
        let task = &fault.actor.task;
        // We asked /proc for a page that is not to be had, or a core dump reads the first page of every
        // mapping (fs/coredump.c vma_dump_size): nobody else noticed.
        if fault.mode != Mode::User && (task.id.tgid == self.host.pid || task.ending) {
            return;
        }
        let newer = self.shrinks.peek(&fault.inode.ptr).and_then(VecDeque::back);
        let newer = newer.map(|shrink| shrink.begin);
        let known = self.open.iter_mut().rev().find(|open| {
            let incident = &open.incident;
            let Some(first) = &incident.fault else { return false };
            !open.done
                && incident.victim.task.id.same(task.id)
                && first.inode.id == fault.inode.id
                && (fault.inode.ptr != 0 || first.handler == fault.handler)
                && (first.mode == Mode::User) == (fault.mode == Mode::User)
                && time.saturating_sub(incident.last) <= MERGE_WINDOW
                // A shrink in between is another cause.
                && newer.is_none_or(|begin| begin <= incident.first || begin > time)
        });
        if let Some(open) = known {
            let incident = &mut open.incident;
            open.seen += 1;
            let first = incident.fault.as_ref().map_or(fault.nth, |first| first.nth);
            // In a loop the kernel tells only some, but counts all.
            let counted = fault.nth.saturating_sub(first) + 1;
            incident.count = incident.count.max(open.seen).max(counted);
            incident.last = incident.last.max(time);
            if !incident.threads.contains(&task.tid) && incident.threads.len() < THREADS {
                incident.threads.push(task.tid);
            }
            open.changed = true;
            return;
        }
        let outcome = if fault.mode == Mode::User { Outcome::Pending } else { Outcome::Efault };
        let mut incident = self.incident(time, fault.actor.clone());
        incident.outcome = outcome;
        incident.id = stable_id(&self.host, time, task, fault.inode.id.ino);
        incident.fault = Some(fault);
        self.add(incident);
    }

    fn storm(&mut self, time: u64, storm: Burst) {
        let same = |open: &&mut Open| open.storm() == Some(storm.key);
        let Some(open) = self.open.iter_mut().rev().find(same) else { return };
        let first = open.incident.fault.as_ref().map_or(0, |fault| fault.nth);
        let counted = storm.count.saturating_sub(first) + 1;
        if counted > open.incident.count {
            open.incident.count = counted;
            open.changed = true;
            if !open.done {
                open.incident.last = open.incident.last.max(time);
            }
        }
    }

    fn shrink(&mut self, shrink: Shrink) {
        let ptr = shrink.inode.ptr;
        let list = self.shrinks.entry(ptr);
        // A shrink is sent again with the fault that needs it, and may have been sent before.
        if let Some(known) = list.iter_mut().find(|known| known.begin == shrink.begin) {
            known.end = known.end.or(shrink.end);
            known.ret = known.ret.or(shrink.ret);
            return;
        }
        if list.len() == SHRINKS {
            list.pop_front();
        }
        list.push_back(shrink);
        list.make_contiguous().sort_by_key(|shrink| shrink.begin);
    }

    /// Somebody has looked who maps a file that was shrunk.
    fn warn(&mut self, mappers: Mappers) {
        let Mappers { inode, begin, processes, path, why } = mappers;
        let list = self.shrinks.peek(&inode);
        let shrink = list.and_then(|list| list.iter().find(|shrink| shrink.begin == begin));
        let Some(shrink) = shrink.filter(|shrink| shrink.ret.is_none_or(|ret| ret >= 0)) else {
            return;
        };
        if processes.is_empty() && why.is_none() {
            return;
        }
        let shrink = shrink.clone();
        let (walked, _) = name(&shrink.path, &on(shrink.inode.id.dev, &self.mounts));
        let truncation = Truncation {
            id: stable_id(&self.host, begin, &shrink.actor.task, shrink.inode.id.ino),
            path: walked.or(path),
            process: self.processes.peek(&shrink.actor.task.id).cloned(),
            at_risk: processes,
            why,
            shrink,
        };
        if self.truncations.len() == TRUNCATIONS {
            self.truncations.pop_front();
        }
        self.truncations.push_back(truncation.clone());
        self.counts.truncations += 1;
        self.updates.push(Update::Truncation(Box::new(truncation)));
    }

    /// Counts a shrink of a mapped file of which nobody will be warned.
    pub fn not_warned(&mut self) {
        self.counts.not_warned += 1;
    }

    fn shrink_end(&mut self, end: ShrinkEnd) {
        if let Some(list) = self.shrinks.get_mut(&end.inode)
            && let Some(shrink) = list.iter_mut().find(|shrink| shrink.begin == end.begin)
        {
            shrink.end = Some(end.time);
            shrink.ret = Some(end.ret);
        }
    }

    fn signal(&mut self, time: u64, signal: Signal) {
        let target = signal.target.id;
        if signal.number != SIGBUS {
            // It matters once the target ends.
            let list = self.sent.entry(target.tgid);
            if list.len() == SENT {
                list.pop_front();
            }
            list.push_back((time, signal));
            return;
        }
        let page = !(self.host.page_size - 1);
        let fault = signal.code > 0;
        let known = self.open.iter_mut().rev().find(|open| {
            let incident = &open.incident;
            if open.done || !incident.victim.task.id.same(target) {
                return false;
            }
            match (&incident.fault, fault) {
                // The same thread, the same page, nothing in between (arch/x86/mm/fault.c
                // do_sigbus).
                (Some(first), true) => {
                    first.mode == Mode::User
                        && incident.threads.contains(&signal.target.tid)
                        && (incident.count > 1 || first.address & page == signal.address & page)
                }
                // A handler that raises the signal again to die of it.
                (Some(_), false) => {
                    signal.sender.task.id.same(target)
                        && incident.disposition == Some(Disposition::Handler)
                        && time.saturating_sub(incident.last) <= CONSEQUENCE
                }
                (None, _) => incident.signal.as_ref().is_some_and(|first| {
                    first.code == signal.code
                        && first.sender.task.id == signal.sender.task.id
                        && first.address & page == signal.address & page
                }),
            }
        });
        if let Some(open) = known {
            if open.incident.fault.is_none() {
                open.incident.count += 1;
                open.incident.last = time;
                open.changed = true;
            }
            if open.incident.signal.is_none() {
                open.incident.signal = Some(signal);
            }
            return;
        }
        let actor = Actor {
            task: signal.target.clone(),
            ancestors: Vec::new(),
            cmdline: None,
            cmdline_cut: false,
            partial: true,
        };
        let mut incident = self.incident(time, actor);
        incident.id = stable_id(&self.host, time, &signal.target, signal.address);
        if signal.result == 1 {
            incident.outcome = Outcome::Survived;
        }
        incident.signal = Some(signal);
        self.add(incident);
    }

    fn deliver(&mut self, time: u64, deliver: &Deliver) {
        let target = deliver.target.task.id;
        let waits = |open: &&mut Open| {
            !open.done
                && open.incident.victim.task.id.same(target)
                && open.incident.outcome != Outcome::Efault
        };
        if let Some(open) = self.open.iter_mut().rev().find(waits) {
            let incident = &mut open.incident;
            incident.disposition = Some(deliver.disposition);
            // Whom a signal was sent to is known by name only where it arrives.
            if incident.fault.is_none() && incident.victim.partial {
                let known = incident.victim.task.id;
                incident.victim = deliver.target.clone();
                // 5.10 locked down does not tell the receiver its own start.
                incident.victim.task.id.start = known.start.max(deliver.target.task.id.start);
            }
            let outcome = match deliver.disposition {
                // force_sig_fault() resets an ignored or blocked signal to the default
                // (kernel/signal.c force_sig_info_to_task).
                Disposition::Default => Outcome::Killed,
                Disposition::Ignore => Outcome::Survived,
                Disposition::Handler => Outcome::Survived,
            };
            if incident.outcome != outcome {
                incident.outcome = outcome;
                open.changed = true;
            }
            incident.last = incident.last.max(time);
        }
    }

    fn death(&mut self, death: ProcessExit) {
        let exit = death.exit;
        let mut claimed = false;
        for open in &mut self.open {
            let incident = &mut open.incident;
            if open.done
                || !incident.victim.task.id.same(exit.id)
                || exit.time < incident.first
                || incident.outcome == Outcome::Efault
            {
                continue;
            }
            // A handler that gives up ends its process soon, and not with success.
            let soon = exit.time.saturating_sub(incident.last) <= CONSEQUENCE;
            if exit.code & 0x7f == 7 || incident.outcome == Outcome::Killed {
                incident.outcome = Outcome::Killed;
            } else if soon && ended_itself(exit.code) {
                incident.outcome = Outcome::Exited;
            }
            if soon || incident.outcome == Outcome::Killed {
                incident.exit = Some(exit);
                open.changed = true;
            }
            if matches!(incident.outcome, Outcome::Killed | Outcome::Exited) {
                claimed = true;
                self.restarts.ended(&incident.id, &death);
                incident.death = Some(death.clone());
            }
            open.done = true;
        }
        if !claimed {
            self.died(death);
        }
    }

    /// A process ended for another reason than a bus error: tells it if that is asked for.
    fn died(&mut self, death: ProcessExit) {
        let target = death.exit.id;
        let list = self.sent.peek(&target.tgid);
        let same = |(_, signal): &&(u64, Signal)| signal.target.id.same(target);
        let sent: Vec<_> = list.iter().flat_map(|list| list.iter()).filter(same).cloned().collect();
        let blamed = blamed(&death, &sent);
        let number = death.exit.code & 0x7f;
        if number != 0 || blamed.is_some() {
            let number = blamed.as_ref().map_or(number, |(_, signal)| signal.number as u32);
            if death.exit.code != 0 && self.host.deaths.signals >> (number & 31) & 1 != 0 {
                self.tell_of(death, blamed, 1);
            }
            return;
        }
        if death.exit.code == 0 || self.host.deaths.exits == ExitFilter::None {
            return;
        }
        // Also of those that are told only once they go on.
        self.restarts.ended(&id_of(&self.host, death.exit.time, &death), &death);
        let due = match self.host.deaths.exits {
            ExitFilter::None => Vec::new(),
            ExitFilter::All => vec![(death, 1)],
            ExitFilter::Lasting => self.failing.ended(death),
        };
        for (death, count) in due {
            self.tell_of(death, None, count);
        }
    }

    fn tell_of(&mut self, death: ProcessExit, blamed: Option<(u64, Signal)>, count: u64) {
        let exit = death.exit;
        let (time, signal) = match blamed {
            Some((time, signal)) => (time, Some(signal)),
            None => (exit.time, None),
        };
        let mut incident = self.incident(time, death.actor.clone());
        incident.id = id_of(&self.host, time, &death);
        incident.last = exit.time;
        incident.count = count;
        incident.outcome = if exit.code & 0x7f == 0 { Outcome::Exited } else { Outcome::Killed };
        if let Some(signal) = &signal {
            incident.victim.task.tid = signal.target.tid;
            incident.threads = vec![signal.target.tid];
            let gave_up = signal.number as u32 != exit.code & 0x7f;
            incident.disposition = Some(match gave_up {
                true => Disposition::Handler,
                false => Disposition::Default,
            });
            if gave_up {
                incident.outcome = Outcome::Exited;
            }
        }
        if signal.is_some() || exit.code & 0x7f != 0 {
            self.restarts.ended(&incident.id, &death);
        }
        incident.restart = self.restarts.of(&incident.id);
        (incident.exit, incident.signal, incident.death) = (Some(exit), signal, Some(death));
        self.add(incident);
        if let Some(open) = self.open.back_mut() {
            open.done = true;
        }
    }

    fn incident(&mut self, time: u64, victim: Actor) -> Incident {
        Incident {
            number: 0,
            id: String::new(),
            first: time,
            last: time,
            count: 1,
            threads: vec![victim.task.tid],
            victim,
            victim_process: None,
            fault: None,
            file: None,
            signal: None,
            disposition: None,
            outcome: Outcome::Pending,
            exit: None,
            death: None,
            symbol: None,
            memory: None,
            oom_kills: None,
            restart: None,
            clock: self.host.clock,
            cause: unknown::because("not judged yet"),
            culprit_process: None,
            truncation: None,
            culprit_path: None,
            mapped: None,
            lost: 0,
        }
    }

    fn add(&mut self, incident: Incident) {
        if self.open.len() == INCIDENTS
            && let Some(mut oldest) = self.open.pop_front()
        {
            self.judge(&mut oldest);
        }
        self.open.push_back(Open {
            incident,
            told: false,
            changed: false,
            done: false,
            seen: 1,
            space: None,
            quota: None,
            huge_pages: None,
            huge_limit: None,
            mapped: None,
        });
    }

    /// Tells what is due at `now` and forgets what is over.
    fn tell(&mut self, now: u64) {
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|open| {
            // A death is told as it ends, which may be some time after its signal.
            let ended = open.incident.fault.is_none() && open.incident.death.is_some();
            let from = if ended { open.incident.last } else { open.incident.first };
            let due = from.saturating_add(REPORT_DELAY + REORDER_WINDOW) <= now;
            if !open.told && due {
                self.judge(open);
            }
            // A little longer, for counts that are read only now.
            let exit = open.incident.exit.map_or(open.incident.last, |exit| exit.time);
            let done = open.done && exit.saturating_add(REPORT_DELAY) <= now;
            if open.told && open.changed && done {
                self.update(open);
            }
            let wait = if open.dying() { EXIT_TIMEOUT } else { MERGE_WINDOW };
            let over = open.incident.last.saturating_add(wait + REORDER_WINDOW) <= now;
            if over && open.told && open.changed {
                self.update(open);
            }
            !(open.told && (done || over))
        });
        self.open = open;
        let processes = &self.processes;
        let cgroup = |id: ProcessId| processes.peek(&id)?.cgroup.as_deref();
        for (id, restart) in self.restarts.due(now, cgroup) {
            self.restarted(&id, restart);
        }
    }

    /// An incident's victim was started again.
    fn restarted(&mut self, id: &str, restart: Restart) {
        if let Some(open) = self.open.iter_mut().find(|open| open.incident.id == id) {
            open.incident.restart = Some(restart);
            open.changed = true;
        } else if let Some(mut incident) = self.restarts.told(id) {
            incident.restart = Some(restart);
            self.updates.push(Update::Change(incident));
        }
    }

    /// Names the cause and tells the incident for the first time.
    fn judge(&mut self, open: &mut Open) {
        let Self { host, shrinks, loss, counts, processes, mounts, stale, .. } = self;
        let incident = &mut open.incident;
        let fault = incident.fault.as_ref();
        incident.file = fault.filter(|fault| fault.inode.ptr != 0).map(|fault| {
            let view = self.views.peek(&incident.victim.task.id);
            File::of(fault, mounts, host.mnt_ns, view)
        });
        let of_fault = |stale: &&Stale| fault.is_some_and(|fault| fault.inode.id == stale.inode);
        let stale = fault.and_then(|fault| stale.peek(&fault.inode.ptr)).filter(of_fault);
        let of_inode: Vec<Shrink> = fault
            .and_then(|fault| Some((fault, shrinks.peek(&fault.inode.ptr)?)))
            .map(|(fault, list)| {
                let concerns = |shrink: &&Shrink| {
                    shrink.inode.id == fault.inode.id
                        && shrink.begin <= incident.first
                        && shrink.ret.is_none_or(|ret| ret >= 0)
                };
                list.iter().filter(concerns).cloned().collect()
            })
            .unwrap_or_default();
        let evidence = Evidence {
            victim: incident.victim.task.id,
            fault,
            signal: incident.signal.as_ref(),
            death: incident.death.as_ref().filter(|_| fault.is_none() && ended(incident)),
            memory: incident.memory.as_ref(),
            shrinks: &of_inode,
            time: incident.first,
            space: open.space,
            quota: open.quota,
            huge_pages: open.huge_pages,
            huge_limit: open.huge_limit.as_ref(),
            mapped: open.mapped.as_ref(),
            stale: stale.is_some(),
            host,
            lost: loss.until(),
        };
        incident.cause = judge(&evidence);
        incident.mapped = open.mapped.as_ref().map(|mapped| mapped.path.clone());
        counts.incidents += 1;
        counts.explained += u64::from(incident.cause.class != CauseKind::Unknown);
        incident.number = counts.incidents;
        let culprit = incident.culprit().map(|culprit| culprit.task.id);
        incident.culprit_path = incident.cause.shrink.as_ref().and_then(|shrink| {
            let (path, _) = name(&shrink.path, &on(shrink.inode.id.dev, mounts));
            path
        });
        incident.culprit_process = culprit.and_then(|id| processes.peek(&id).cloned());
        self.refresh(&mut open.incident);
        open.told = true;
        open.changed = false;
        self.restarts.tell(&open.incident);
        self.updates.push(Update::Incident(Box::new(open.incident.clone())));
    }

    fn update(&mut self, open: &mut Open) {
        self.refresh(&mut open.incident);
        open.changed = false;
        self.restarts.tell(&open.incident);
        self.updates.push(Update::Change(Box::new(open.incident.clone())));
    }

    /// Fills in what may have been learnt since.
    fn refresh(&self, incident: &mut Incident) {
        incident.victim_process = self.processes.peek(&incident.victim.task.id).cloned();
        incident.truncation = incident.cause.shrink.as_ref().and_then(|shrink| {
            let same = |truncation: &&Truncation| {
                truncation.shrink.begin == shrink.begin
                    && truncation.shrink.inode.ptr == shrink.inode.ptr
            };
            self.truncations.iter().rev().find(same).cloned()
        });
        // What was lost concerns an incident if it lies between its cause and its end; for an
        // answer that rests on nothing having happened, anything lost in the victim's life does.
        let by_others = incident.signal.as_ref().is_some_and(|signal| {
            signal.code <= 0 && !signal.sender.task.id.same(signal.target.id)
        });
        let rests_on_absence = incident.cause.shrink.is_none()
            && match incident.cause.class {
                // That no fault was seen before: a handler may raise its signal again.
                CauseKind::Sent | CauseKind::Unknown => !by_others,
                _ => incident.fault.is_some(),
            };
        let from = match &incident.cause.shrink {
            Some(shrink) => shrink.begin,
            None if rests_on_absence => incident.victim.task.id.start,
            None => incident.first,
        };
        let to = incident.last.saturating_add(REPORT_DELAY);
        incident.lost = self.loss.lost_between(from, to);
    }
}

/// Whether an incident is about how its victim ended, not about a SIGBUS.
fn ended(incident: &Incident) -> bool {
    incident.signal.as_ref().is_none_or(|signal| signal.number != SIGBUS)
}

/// Whether a process ended of its own doing: a status other than success, or a signal that one
/// raises oneself, as abort(3) does. Not one that others send to end it.
fn ended_itself(code: u32) -> bool {
    const SENT: [u32; 5] = [1, 2, 3, 9, 15];
    code != 0 && !SENT.contains(&(code & 0x7f))
}

/// The id of an end, which may be told later.
fn id_of(host: &Host, time: u64, death: &ProcessExit) -> String {
    stable_id(host, time, &death.actor.task, u64::from(death.exit.code))
}

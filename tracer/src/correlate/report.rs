//! From an open incident to its answer: gathers what the engine's parts know of it and reports it.
use crate::{
    correlate::{
        blindness,
        cause::Absence,
        evidence::Evidence,
        facts::FactCache,
        incident::{File, Incident, Memory},
        loss::LossTracker,
        open::{OpenIncident, REPORT_DELAY},
        overwrites::{self, Image},
        programs::ProgramLog,
        questions::OpenQuestions,
        restart::RestartMatcher,
        rules,
        shrinks::ShrinkLog,
        update::{Counts, Update},
    },
    model::{
        cause::CauseKind,
        file::{name, on},
        host::Host,
        magic::FUSE_SUPER_MAGIC,
        oom::RanOut,
        signal_name::{SIGBUS, SIGKILL},
    },
};

/// How long after what decides it an incident takes in answers, ns: a stack takes up to 3 s (`enrich::deadline`), and may
/// wait for others.
const ANSWERS: u64 = 6_000_000_000;

/// All parts but the open incidents, as the report of one of these needs them.
pub struct Reporter<'a> {
    pub host: &'a Host,
    pub loss: &'a LossTracker,
    pub shrinks: &'a ShrinkLog,
    pub facts: &'a mut FactCache,
    pub programs: &'a ProgramLog,
    pub restarts: &'a mut RestartMatcher,
    pub questions: &'a OpenQuestions,
    pub counts: &'a mut Counts,
    pub updates: &'a mut Vec<Update>,
}

impl Reporter<'_> {
    /// Reports an incident for the first time, or what is new of it since.
    pub fn report(&mut self, open: &mut OpenIncident) {
        let first = !open.is_reported();
        if !first && self.knows_the_culprits_stack(&open.incident) {
            open.mark_changed();
        }
        if !first && !open.update_due() {
            return;
        }
        if first {
            self.judge(open);
            self.counts.incidents += 1;
            let cause = &open.incident.cause;
            self.counts.explained += u64::from(cause.class != CauseKind::Unknown);
            self.counts.likely += u64::from(cause.is_likely());
            open.incident.number = self.counts.incidents;
        }
        self.refresh(&mut open.incident);
        self.counts.incomplete += u64::from(first && open.incident.is_proven_in_part());
        open.mark_reported();
        self.restarts.reported(&open.incident);
        let incident = Box::new(open.incident.clone());
        self.updates.push(if first {
            Update::Incident(incident)
        } else {
            Update::Change(incident)
        });
    }

    /// Whether nothing more is waited for. A stack whose files are on a slow disk comes later than what it is of is
    /// reported.
    pub fn is_over(&self, open: &OpenIncident, now: u64) -> bool {
        let late = open.decided_at().saturating_add(ANSWERS) <= now;
        open.over(now) && (late || !self.awaits_answers(open))
    }

    /// Whether the stack of who did it came after the incident was reported.
    fn knows_the_culprits_stack(&mut self, incident: &Incident) -> bool {
        let shrink = incident.cause.shrink.as_ref().filter(|_| incident.culprit_stack.is_none());
        shrink.is_some_and(|shrink| self.facts.act(shrink).is_some())
    }

    /// Whether its signal is still to be delivered, or something was asked that the answer may rest on: about the victim,
    /// whoever sent the signal, or whoever may have shrunk the file.
    pub fn awaits_answers(&self, open: &OpenIncident) -> bool {
        let incident = &open.incident;
        let sender = incident.signal.iter().map(|signal| signal.sender.task.id);
        let shrinks = incident.fault.iter().flat_map(|fault| self.shrinks.actors(fault));
        let until = open.decided_at().saturating_add(1);
        // Its stack is asked for as it ends, which may be after what decides the answer.
        let ended = incident.exit.map_or(until, |exit| until.max(exit.time.saturating_add(1)));
        open.awaits_delivery()
            || self.questions.is_open(incident.victim.task.id, ended)
            || sender.chain(shrinks).any(|id| self.questions.is_open(id, until))
    }

    /// Names the cause of an incident, who did it, and which file it is about.
    fn judge(&mut self, open: &mut OpenIncident) {
        let Self { host, loss, shrinks, facts, programs, .. } = self;
        let (incident, lookups) = (&mut open.incident, &open.lookups);
        let (fault, time) = (incident.fault.as_ref(), incident.first);
        let of_fault = fault.map(|fault| shrinks.before(fault, time)).unwrap_or_default();
        let death = incident.death.as_ref().filter(|_| fault.is_none() && is_end(incident));
        let image = death.map(|death| Image::of(&death.actor, programs));
        let image = image.as_ref();
        let overwrites = death
            .zip(image)
            .map(|(death, image)| overwrites::of_death(shrinks, death, image, time));
        let code_lost = image.and_then(|image| overwrites::of_process(shrinks, image, time));
        let evidence = Evidence {
            victim: incident.victim.task.id,
            forked_since: Image::of(&incident.victim, programs).forked_since(),
            fault,
            signal: incident.signal.as_ref(),
            death,
            stack: incident.stack.as_deref(),
            prompt: death.and_then(|death| death.prompt.as_deref()),
            oom: incident.oom.as_ref(),
            memory: lookups.memory.as_ref(),
            shrinks: &of_fault,
            overwrites: overwrites.as_deref().unwrap_or_default(),
            code_lost: code_lost.as_ref(),
            time,
            space: lookups.space,
            quota: lookups.quota,
            huge_pages: lookups.huge_pages,
            commit: lookups.commit,
            huge_limit: lookups.huge_limit.as_ref(),
            mapped: lookups.mapped.as_ref(),
            stale: fault.is_some_and(|fault| shrinks.is_stale(fault)),
            host,
            covered: loss.covered().max(shrinks.complete_since(time)),
            dropped: fault.and_then(|fault| shrinks.dropped(fault, time)),
            lost: loss.until(),
            shrinks_lost: loss.local_shrinks_until(),
            forced_lost: loss.forced_until(),
        };
        let cause = rules::evaluate(&evidence);
        incident.blind = blindness::blind(&evidence, &cause);
        let of_oom = cause.class == CauseKind::OomKilled;
        incident.memory = of_oom.then(|| memory(&evidence, facts)).flatten();
        incident.file = fault.filter(|fault| fault.inode.ptr != 0).map(|fault| {
            let view = facts.view(incident.victim.task.id);
            File::of(fault, facts.mounts(), host, view)
        });
        let on_fuse = fault.filter(|fault| fault.inode.magic == FUSE_SUPER_MAGIC);
        let server = on_fuse.and_then(|fault| facts.server(fault.inode.id.dev, time));
        // Of one that is gone nobody is named who has the device open now.
        let gone = cause.class == CauseKind::FuseGone;
        incident.server = server.filter(|found| !gone || found.process.is_none()).cloned();
        incident.module_path = death.and_then(|death| death.module.as_ref()).and_then(|module| {
            let (path, _) = name(&module.path, &on(module.id.dev, facts.mounts()));
            path
        });
        let sized = fault.and_then(|fault| shrinks.sized(fault, time));
        incident.sized = sized.filter(|_| cause.class == CauseKind::MappedPastEnd).cloned();
        incident.cause = cause;
        incident.mapped = lookups.mapped.as_ref().map(|mapped| mapped.path.clone());
        incident.culprit_path = incident.cause.shrink.as_ref().and_then(|shrink| {
            let (path, _) = name(&shrink.path, &on(shrink.inode.id.dev, facts.mounts()));
            path
        });
        let culprit = incident.culprit();
        incident.culprit_process = culprit.and_then(|culprit| facts.actor(culprit));
    }

    /// Fills in what may have been learnt of an incident since it was judged.
    fn refresh(&mut self, incident: &mut Incident) {
        let shrink = incident.cause.shrink.as_ref();
        incident.victim_process = self.facts.process(&incident.victim.task);
        if let Some(stack) = shrink.and_then(|shrink| self.facts.act(shrink)) {
            incident.culprit_stack = Some(stack.clone());
        }
        incident.truncation = shrink.and_then(|shrink| self.shrinks.warning_of(shrink)).cloned();
        // What was lost concerns an incident if it lies between its cause and its end; for an
        // answer that rests on nothing having happened, anything lost in the victim's life does.
        let from = match shrink {
            Some(shrink) => shrink.begin,
            None if rests_on_absence(incident) => incident.victim.task.id.start,
            None => incident.first,
        };
        let to = incident.last.saturating_add(REPORT_DELAY);
        incident.lost = self.loss.lost_between(from, to);
        let may_lack = |ended| self.loss.may_lack_stack(ended);
        incident.stack_lost =
            incident.stack.is_none() && incident.ended_itself().is_some_and(may_lack);
        if incident.death.is_some() && sender_unsure(incident) {
            incident.lost = incident.lost.max(1);
        }
    }
}

/// The memory cgroup that the OOM killer acted for: as it was told, or else as it was looked up.
fn memory(evidence: &Evidence<'_>, facts: &mut FactCache) -> Option<Memory> {
    let page = evidence.host.page_size;
    let Some(kill) = evidence.oom else {
        let looked_up = evidence.memory?;
        return Some(Memory {
            cgroup: looked_up.cgroup.clone(),
            limit: looked_up.limit,
            used: None,
        });
    };
    let RanOut::Cgroup(ran_out) = &kill.ran_out else { return None };
    let (counter, _) = ran_out.reached();
    Some(Memory {
        cgroup: facts.cgroup_path(ran_out.id?)?,
        limit: counter.limit.saturating_mul(page),
        used: Some(counter.used.saturating_mul(page)),
    })
}

/// Whether an incident is about how its victim ended, not about a SIGBUS.
fn is_end(incident: &Incident) -> bool {
    incident.signal.as_ref().is_none_or(|signal| signal.number != SIGBUS)
}

/// Whether another signal than the one that is known may have ended a process, because some were too many to be told.
fn sender_unsure(incident: &Incident) -> bool {
    let signal = incident.signal.as_ref();
    let left = incident.death.as_ref().is_some_and(|death| death.signals_left);
    // Nothing survives SIGKILL, and a fault is the process's own.
    left && signal.is_none_or(|signal| signal.number != SIGKILL && !signal.forced)
}

/// Whether an answer without an act rests on nothing else having happened.
fn rests_on_absence(incident: &Incident) -> bool {
    let by_others = incident
        .signal
        .as_ref()
        .is_some_and(|signal| signal.code <= 0 && !signal.sender.task.id.same(signal.target.id));
    match incident.cause.class.cause().rests_on {
        None => false,
        Some(Absence::OfAct) => incident.fault.is_some(),
        Some(Absence::OfFault) => !by_others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        correlate::{engine::Engine, update::Update},
        model::{
            fact::Fact,
            input::{Input, KernelEvent, Stamp, WatchNote},
            server::{FuseServer, ServedBy, Server},
            stack::{Frame, Stack},
        },
        testing::*,
    };

    /// A death whose stack takes longer than anybody waits for with the report.
    #[test]
    fn a_stack_that_comes_late_is_an_update() {
        let mut engine = Engine::new(host());
        let (time, id) = (SINCE + 1, fault(0, 0).actor.task.id);
        let mut fault = fault(20, 0);
        fault.ip = Some(7);
        let tid = fault.actor.task.tid;
        let mut events = (1..).zip([
            KernelEvent::Fault(Box::new(fault)),
            KernelEvent::Signal(Box::new(signal(2))),
            KernelEvent::ProcessExit(Box::new(exit(time + 2, 7))),
        ]);
        events.by_ref().for_each(|(seq, event)| {
            engine.push(Stamp { cpu: 0, ring: 0, seq, time: time + seq - 1 }, event.into());
        });
        let note = |note: WatchNote| Input::Watch(note);
        let at = |time| Stamp { cpu: 0, ring: 1, seq: 0, time };
        engine.push(at(time + 2), note(WatchNote::Asked(id)));
        let second = 1_000_000_000;
        let first = engine.advance(time + 2 * second);
        let [Update::Incident(incident)] = &first[..] else { panic!("{first:?}") };
        assert_eq!(incident.stack, None);
        assert_eq!(engine.advance(time + 3 * second), []);
        let frames = vec![Frame { ip: 7, ..Frame::default() }];
        let stack = Stack { process: id, tid, act: None, frames, modules: Vec::new(), cut: None };
        engine.push(at(time + 2), Input::Fact(Fact::Stack(Box::new(stack.clone()))));
        engine.push(at(time + 2), note(WatchNote::Answered(id)));
        let then = engine.advance(time + 4 * second);
        let [Update::Change(incident)] = &then[..] else { panic!("{then:?}") };
        assert_eq!(incident.stack.as_deref(), Some(&stack));
    }

    /// A master that mapped the file before anybody watched, and a worker that it has forked since.
    #[test]
    fn what_a_worker_was_forked_with_may_have_been_shrunk_before_the_watch() {
        let told = |parent: &[u8], parent_start: u64, ctime: i64| {
            let mut engine = Engine::new(host());
            let (mut fault, time) = (fault(20, 0), SINCE + 9);
            fault.inode.ctime = ctime;
            fault.actor.task.id.start = SINCE + 5;
            let id = ProcessId { tgid: 50, start: parent_start };
            fault.actor.ancestors = vec![Ancestor { id, comm: parent.to_vec() }];
            let event = KernelEvent::Fault(Box::new(fault));
            engine.push(Stamp { cpu: 0, ring: 0, seq: 1, time }, event.into());
            let updates = engine.finish();
            let [Update::Incident(incident)] = &updates[..] else { panic!("{updates:?}") };
            (incident.cause.class, incident.cause.confidence)
        };
        use CauseKind::{MappedPastEnd, TruncatedBeforeWatch};
        let name = actor(VICTIM).task.comm;
        let (old, between) = (WALL - 1_000_000_000, WALL + STARTED as i64 + 5);
        assert_eq!(told(b"sh", STARTED, old), (MappedPastEnd, Confidence::Proven));
        assert_eq!(told(b"sh", STARTED, between), (MappedPastEnd, Confidence::Proven));
        assert_eq!(told(&name, STARTED, old), (MappedPastEnd, Confidence::Likely));
        assert_eq!(told(&name, STARTED, between), (TruncatedBeforeWatch, Confidence::Likely));
        assert_eq!(told(&name, SINCE + 1, old), (MappedPastEnd, Confidence::Proven));
    }

    #[test]
    fn who_serves_a_file_on_fuse_is_told() {
        let told = |magic, looked_at: u64| {
            let (mut engine, time) = (Engine::new(host()), SINCE + 1);
            let mut fault = fault(20, 0);
            fault.inode.magic = magic;
            let (dev, id) = (fault.inode.id.dev, fault.actor.task.id);
            let process = Server { id, comm: b"sshfs".to_vec(), exe: None, by: ServedBy::Alone };
            let found = FuseServer { dev, time: looked_at, process: Some(process) };
            let event = KernelEvent::Fault(Box::new(fault));
            engine.push(Stamp { cpu: 0, ring: 0, seq: 1, time }, event.into());
            engine.push(Stamp::unnumbered(time + 1), Fact::FuseServer(found).into());
            let updates = engine.finish();
            let [Update::Incident(incident)] = &updates[..] else { panic!("{updates:?}") };
            incident.server.as_ref().and_then(|found| found.process.clone()).is_some()
        };
        assert!(told(FUSE_SUPER_MAGIC, SINCE + 1));
        assert!(!told(FUSE_SUPER_MAGIC, SINCE + 1_000_000_000), "at another time");
        assert!(!told(0xef53, SINCE + 1), "another file system of that number");
    }
}

//! Which questions an event of the kernel asks of /proc and the file systems, and their answers.
mod files;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    enrich::{
        cgroups::CgroupNames,
        containers::Containers,
        deadline::DeadlineExecutor,
        lookup,
        mappers::MapperScanner,
        mount_table::MountTable,
        origin::Origins,
        outputs::{Ending, Outlets, Victim},
        parser::Parser,
        place,
        samples::Samples,
        server::Servers,
        shares::{About, Subject},
        target::Target,
        throttle::{LookupThrottle, Wanted},
    },
    model::{
        cgroup::{CgroupMade, ROOT_CGROUP},
        fact::{Fact, Mappers, Unasked},
        file::Mount,
        host::Host,
        input::{Input, KernelEvent, WatchNote},
        magic::FUSE_SUPER_MAGIC,
        oom::{MemoryCgroup, RanOut},
        output::LastOutput,
        process::{ExitScope, ProcessExit, ProcessStart},
        remote::is_shared,
        signal::Signal,
        task::{Actor, ProcessId, Task},
    },
};

/// include/uapi/asm-generic/siginfo.h
const BUS_ADRERR: i32 = 2;
/// Shrinks may be many: for their sake mounts are read no more often than this.
const MOUNTS: Duration = Duration::from_secs(1);

/// What is learnt of one event.
struct Answer {
    /// The event's time, ns since boot.
    time: u64,
    /// The process that was asked about, where somebody waits for the answer.
    about: Option<ProcessId>,
    facts: Vec<Fact>,
}

impl Answer {
    /// One to a question that nobody asked.
    fn unasked(mut self, why: Unasked) -> Self {
        for fact in &mut self.facts {
            if let Fact::Process(process) = fact {
                process.unasked = Some(why);
            }
        }
        self
    }
}

/// Asks questions, and hands on what is answered.
pub struct Enricher {
    executor: DeadlineExecutor<Answer>,
    scanner: MapperScanner,
    servers: Servers,
    mounts: MountTable,
    cgroups: CgroupNames,
    containers: Containers,
    origins: Origins,
    outlets: Outlets,
    ending: Ending,
    samples: Samples,
    parser: Parser,
    /// Who sent signals, or got them.
    throttle: LookupThrottle,
    /// The mounts that were told last.
    told: Arc<Vec<Mount>>,
    mounts_read: Instant,
    /// Thread and page of the fault that was told last.
    faulted: Option<(u32, u64)>,
    /// Whether what is asked for now is about to go away.
    urgent: bool,
    exits: ExitScope,
    warn: bool,
    mnt_ns: Option<u32>,
    page_size: u64,
}

impl Enricher {
    /// Starts without a question; `warn` says whether anybody wants to know who maps what is shrunk.
    pub fn new(host: &Host, warn: bool, parser: Parser) -> Self {
        Self {
            executor: DeadlineExecutor::new(Answer::unasked),
            scanner: MapperScanner::start(),
            servers: Servers::default(),
            mounts: MountTable::default(),
            cgroups: CgroupNames::start(),
            containers: Containers::default(),
            origins: Origins::default(),
            outlets: Outlets::start(),
            ending: Ending::default(),
            samples: Samples::default(),
            parser,
            throttle: LookupThrottle::default(),
            told: Arc::default(),
            mounts_read: Instant::now(),
            faulted: None,
            urgent: true,
            exits: host.deaths,
            warn,
            mnt_ns: host.mnt_ns,
            page_size: host.page_size,
        }
    }

    /// The process that starts those that parse files of programs.
    pub fn parser(&self) -> Option<u32> {
        self.parser.pid()
    }

    /// The mounts as they are now, where that has not been told yet.
    pub fn mounts(&mut self) -> Option<Fact> {
        let mounts = self.mounts.current();
        if Arc::ptr_eq(&mounts, &self.told) {
            return None;
        }
        self.told = Arc::clone(&mounts);
        Some(Fact::Mounts(mounts.to_vec()))
    }

    /// Reads the mounts at once.
    pub fn read_mounts(&mut self) {
        self.mounts.refresh();
    }

    /// Asks what there is to ask about an event: at once, because the process may be gone a moment later.
    /// Gives what the engine has to know of that.
    pub fn on_event(&mut self, time: u64, event: &KernelEvent) -> Vec<WatchNote> {
        self.urgent = true;
        match event {
            KernelEvent::Program(program) => self.throttle.forget(program.id),
            KernelEvent::ProcessStart(start) => self.throttle.forget(start.actor.task.id),
            _ => {}
        }
        let mut notes = self.on_processes(time, event);
        for task in self.tasks_to_name(event) {
            notes.extend(self.container_of(task, time));
        }
        if let KernelEvent::Shrink(shrink) = event {
            notes.push(self.origin(&shrink.actor, time));
        }
        notes
    }

    fn on_processes(&mut self, time: u64, event: &KernelEvent) -> Vec<WatchNote> {
        match event {
            KernelEvent::Fault(fault) => {
                let page = !(self.page_size - 1);
                self.faulted = Some((fault.actor.task.tid, fault.address & page));
                // First of all: its mappings go when it goes.
                let place = self.place(fault, time);
                // Of several of one kind the first.
                let victim = (fault.nth == 1).then(|| self.victim(&fault.actor)).flatten();
                let (task, wanted) = (&fault.actor.task, fault.actor.lacks_cmdline());
                let process = self.process(task, wanted, true, time, None, victim);
                let server =
                    (fault.inode.magic == FUSE_SUPER_MAGIC).then(|| self.server(fault, time));
                let view = self.view(fault, time);
                [place, view, Some(process), Some(self.fault(fault, time)), server]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            KernelEvent::Shrink(shrink) if !shrink.replayed => {
                let refresh =
                    (shrink.mapped || shrink.shared) && self.mounts_read.elapsed() > MOUNTS;
                let (inode, begin) = (shrink.inode.ptr, shrink.begin);
                // Where nobody looks who maps it, it is told as soon as its actor is known.
                let mut mappers = shrink.shared.then(|| Mappers::none(inode, begin));
                let mut notes = self.stacks(&shrink.actor, Some(begin), time);
                if shrink.mapped && self.warn && !self.scanner.ask(shrink) {
                    notes.push(WatchNote::NotWarned);
                    let shared = is_shared(shrink.inode.magic);
                    mappers = shared.then(|| Mappers::not_looked_for(inode, begin));
                }
                let mappers = mappers.map(Fact::Mappers);
                let actor = &shrink.actor;
                let wanted = actor.lacks_cmdline();
                notes.push(self.process(&actor.task, wanted, refresh, time, mappers, None));
                notes
            }
            KernelEvent::Signal(signal) => self.signal(signal, time),
            KernelEvent::ProcessExit(exit) => self.exit(exit, time),
            // It has just begun to live, and there may be many.
            KernelEvent::ProcessStart(start) => {
                self.urgent = false;
                vec![self.start(start, time)]
            }
            KernelEvent::OomKill(kill) => match kill.ran_out {
                RanOut::Cgroup(MemoryCgroup { id, .. }) => {
                    vec![self.cgroup_of(kill.victim.into(), id, time)]
                }
                _ => Vec::new(),
            },
            KernelEvent::Cgroup(CgroupMade { id, path: None }) => {
                self.cgroup(*id, time);
                self.container_made(*id, time);
                Vec::new()
            }
            KernelEvent::Cgroup(CgroupMade { id, path: Some(path) }) => {
                self.origins.made(*id, path);
                if self.containers.made(*id, path) {
                    self.container_made(*id, time);
                }
                Vec::new()
            }
            KernelEvent::Output(output) => {
                self.ending.add(LastOutput::clone(output));
                Vec::new()
            }
            KernelEvent::Program(_)
            | KernelEvent::Crash(_)
            | KernelEvent::Shrink(_)
            | KernelEvent::ShrinkEnd(_)
            | KernelEvent::Deliver(_)
            | KernelEvent::Stale(_) => Vec::new(),
        }
    }

    /// What /proc tells of a child before its exec(2) is about its parent's program.
    fn start(&mut self, start: &ProcessStart, time: u64) -> WatchNote {
        let Actor { task, ancestors, .. } = &start.actor;
        if start.forked {
            return self.cgroup_of(task.into(), task.cgroup, time);
        }
        let victim = self.outlets.admit((task, ancestors), true);
        self.process(task, false, false, time, None, victim)
    }

    /// Takes in a stack that the kernel has captured, before what it is about is told.
    pub fn captured(&mut self, record: &[u8]) {
        self.samples.add(record);
    }

    /// Whether an answer is still to come.
    pub fn is_busy(&self) -> bool {
        self.executor.is_busy()
    }

    /// What was learnt next, and the time it belongs to, if it belongs to an event; never ends.
    pub async fn next(&mut self) -> (Option<u64>, Vec<Input>) {
        tokio::select! {
            answer = self.executor.next() => self.inputs(answer),
            (server, mappers) = self.scanner.next() => {
                let facts = server.map(Fact::FuseServer).into_iter().chain([Fact::Mappers(mappers)]);
                (None, facts.map(Input::Fact).collect())
            }
        }
    }

    /// The same, if an answer is there already: where events come fast, answers must not stay behind.
    pub fn try_next(&mut self) -> Option<(Option<u64>, Vec<Input>)> {
        let answer = self.executor.try_next()?;
        Some(self.inputs(answer))
    }

    fn inputs(&mut self, answer: Answer) -> (Option<u64>, Vec<Input>) {
        let late = |fact: &Fact| matches!(fact, Fact::Process(process) if process.late);
        if let Some(id) = answer.about.filter(|_| answer.facts.iter().any(late)) {
            self.throttle.forget(id);
        }
        let mounts = self.mounts();
        let facts = mounts.into_iter().chain(answer.facts).map(Input::Fact);
        let answered = answer.about.map(|id| Input::Watch(WatchNote::Answered(id)));
        (Some(answer.time), facts.chain(answered).collect())
    }

    fn signal(&mut self, signal: &Signal, time: u64) -> Vec<WatchNote> {
        let page = !(self.page_size - 1);
        let id = signal.target.id;
        if signal.forced
            && signal.code == BUS_ADRERR
            // Its fault comes before it, by the same CPU, unless nobody saw it.
            && self.faulted != Some((signal.target.tid, signal.address & page))
        {
            let victim = self.outlets.admit((&signal.target, &[]), false);
            let process = self.process(&signal.target, true, false, time, None, victim);
            let address = signal.address;
            let ask = move || lookup::mapped(id, address);
            return vec![
                process,
                self.ask(Target::Process(id), &signal.target, time, ask, Vec::new()),
            ];
        }
        if signal.code > 0 {
            return Vec::new();
        }
        let mut notes = Vec::new();
        if self.throttle.admits(&signal.target, Wanted { cmdline: true, origin: false }, time) {
            notes.push(self.process(&signal.target, true, false, time, None, None));
        }
        let sender = &signal.sender;
        let cmdline = sender.lacks_cmdline();
        let wanted = Wanted { cmdline, origin: true };
        if sender.task.id != id && self.throttle.admits(&sender.task, wanted, time) {
            notes.push(self.process(&sender.task, cmdline, false, time, None, None));
            notes.push(self.origin(sender, time));
        }
        notes
    }

    /// What is left to ask once a process has ended: its cgroup outlives it, and so does its file.
    fn exit(&mut self, exit: &ProcessExit, time: u64) -> Vec<WatchNote> {
        let stacks = self.stacks(&exit.actor, None, time);
        let victim = self.outlets.ended(exit, &mut self.ending);
        let task = &exit.actor.task;
        if self.exits == ExitScope::default() {
            let told = victim.filter(|victim| victim.known().is_some());
            let told =
                told.map(|victim| self.process(task, false, false, time, None, Some(victim)));
            return stacks.into_iter().chain(told).collect();
        }
        let wanted = exit.actor.lacks_cmdline();
        let process = self.process(task, wanted, false, time, None, victim);
        let (asked, mounts, id) = (exit.clone(), self.mounts.clone(), exit.exit.id);
        let (cgroups, parser) = (self.cgroups.clone(), self.parser.clone());
        let ask = move || lookup::of_death(&asked, &mounts.current(), &cgroups);
        let death = self.ask(Target::Process(id), task, time, ask, Vec::new());
        let asked = exit.module.is_some().then(|| exit.clone());
        let function = asked.map(|asked| {
            let ask =
                move || place::of_death(&asked, &parser).map(Fact::Symbol).into_iter().collect();
            self.ask(Target::Code(id), task, time, ask, Vec::new())
        });
        stacks.into_iter().chain([process, death]).chain(function).collect()
    }

    /// Who dies, if where its output led is looked at.
    fn victim(&self, actor: &Actor) -> Option<Victim> {
        self.outlets.admit((&actor.task, &actor.ancestors), false)
    }

    /// Asks /proc about a process, for its command line if that is `wanted`, and where its output led if it is a `victim`;
    /// what is known already is told `then`.
    fn process(
        &mut self,
        task: &Task,
        wanted: bool,
        refresh: bool,
        time: u64,
        then: Option<Fact>,
        victim: Option<Victim>,
    ) -> WatchNote {
        if refresh {
            self.mounts_read = Instant::now();
        }
        // A host that is too busy to answer in time still knows what it knew before.
        let outputs = victim.as_ref().and_then(Victim::known);
        let late = lookup::late(task.id, outputs);
        let otherwise = [late].into_iter().chain(self.cgroups.known(task.cgroup));
        let otherwise = otherwise.chain(then.clone()).collect();
        let (about, mounts) = (About::from(task), self.mounts.clone());
        let task = task.clone();
        let cgroups = self.cgroups.clone();
        let victim = victim.map(|victim| (self.outlets.clone(), victim));
        let ask = move || {
            let found = lookup::of_process(&task, wanted, &cgroups, victim);
            if refresh {
                mounts.refresh();
            }
            found.into_iter().chain(then).collect()
        };
        self.ask(Target::Process(about.id), about, time, ask, otherwise)
    }

    /// Asks what a cgroup is called that matters to a process.
    fn cgroup_of(&mut self, about: About, cgroup: Option<u64>, time: u64) -> WatchNote {
        let cgroups = self.cgroups.clone();
        let otherwise = cgroups.known(cgroup).into_iter().collect();
        let ask = move || cgroups.fact(cgroup).into_iter().collect();
        self.ask(Target::Process(about.id), about, time, ask, otherwise)
    }

    /// The tasks of an event whose containers are to be named.
    fn tasks_to_name<'a>(&self, event: &'a KernelEvent) -> Vec<&'a Task> {
        match event {
            KernelEvent::Fault(fault) => vec![&fault.actor.task],
            KernelEvent::Shrink(shrink) if !shrink.replayed => vec![&shrink.actor.task],
            KernelEvent::Signal(signal) if signal.code <= 0 => {
                vec![&signal.target, &signal.sender.task]
            }
            KernelEvent::ProcessExit(exit) if self.exits != ExitScope::default() => {
                vec![&exit.actor.task]
            }
            _ => Vec::new(),
        }
    }

    /// Asks what the container of a task is called, where that is not complete yet.
    fn container_of(&mut self, task: &Task, time: u64) -> Option<WatchNote> {
        let id = task.cgroup.filter(|id| *id != ROOT_CGROUP && self.containers.wants(*id))?;
        let (containers, cgroups) = (self.containers.clone(), self.cgroups.clone());
        let ask = move || containers.fact(id, &cgroups).into_iter().collect();
        Some(self.ask(Target::Containers, task.id, time, ask, Vec::new()))
    }

    /// Asks who logged in for an act, and what starts its service.
    fn origin(&mut self, actor: &Actor, time: u64) -> WatchNote {
        let (origins, cgroups, asked) = (self.origins.clone(), self.cgroups.clone(), actor.clone());
        let ask = move || origins.facts(&asked, &cgroups);
        self.ask(Target::Origins, actor.task.id, time, ask, Vec::new())
    }

    /// Asks what a container is called as its cgroup is made: its runtime has written that down by then.
    fn container_made(&mut self, id: u64, time: u64) {
        let Some(turn) = self.containers.turn() else { return };
        let (containers, cgroups) = (self.containers.clone(), self.cgroups.clone());
        let answer = move |facts| Answer { time, about: None, facts };
        let ask = move || {
            let _turn = turn;
            answer(containers.fact(id, &cgroups).into_iter().collect())
        };
        self.executor.request(Target::Containers, true, ask, answer(Vec::new()));
    }

    fn ask(
        &mut self,
        target: Target,
        about: impl Into<About>,
        time: u64,
        ask: impl FnOnce() -> Vec<Fact> + Send + 'static,
        otherwise: Vec<Fact>,
    ) -> WatchNote {
        let About { id: about, uid } = about.into();
        let ask = move || Answer { time, about: Some(about), facts: ask() };
        let otherwise = Answer { time, about: Some(about), facts: otherwise };
        self.executor.request(Subject { target, uid }, self.urgent, ask, otherwise);
        WatchNote::Asked(about)
    }

    /// Asks what a cgroup is called whose name the kernel did not tell as it was made.
    fn cgroup(&mut self, id: u64, time: u64) {
        let cgroups = self.cgroups.clone();
        let answer = move |facts| Answer { time, about: None, facts };
        let ask = move || answer(cgroups.fact(Some(id)).into_iter().collect());
        self.executor.request(Target::Cgroups, true, ask, answer(Vec::new()));
    }
}

#[cfg(test)]
mod tests;

//! The wiring of a live watch: rings → decode → enrich → engine → filter → outlet.
use std::{
    collections::HashMap, ffi::OsString, fs::File, io::Write as _,
    os::unix::process::ExitStatusExt as _, path::Path, process::ExitCode, sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use tracer_common::{event, globals::RingState};

use crate::{
    correlate::{REPORT_DELAY, engine::Engine, incident::Incident, update::Update},
    enrich::{
        deadline::{DeadlineExecutor, Target},
        lookup as facts,
        lookup::{DEADLINE, Here},
        mappers::MapperScanner,
        symbolize, view,
    },
    error::Failure,
    host::{
        clock::{boot_time, boot_to_realtime},
        memory::{self, page_size},
        privilege,
        proc::mountinfo as mount,
    },
    model::{
        fault::{Burst, BurstKey, Fault},
        file::Mount,
        host::Host,
        input::{Event, Stamp},
        observe::{AttachedHook, Coverage, Observe, Uncovered},
        process::{ExitScope, ProcessExit},
        task::{Actor, Task},
    },
    probe::{
        attach as load,
        attach::Attached,
        counters::{Counters, recursion_misses},
        kernel::KernelInfo,
        plan::{self, Missing},
        ring::RingReader,
        table,
    },
    select::selection::Selection,
    sink::Sink,
    wire::{decode::decode, stream},
};

/// How often time moves forward while something is open.
const TICK: Duration = Duration::from_millis(100);
/// include/uapi/asm-generic/siginfo.h
const BUS_ADRERR: i32 = 2;
/// The page of an address.
const PAGE: u64 = !0xfff;
/// How often lost events are looked for while nothing is open.
const ACCOUNTS: Duration = Duration::from_secs(1);

/// The clock may differ by as much before its being set is taken note of. Ns.
const STEP: u64 = 10_000_000;

/// What is watched for, and how long.
pub struct WatchOptions<'a> {
    pub selection: Selection,
    pub deaths: ExitScope,
    /// Whether it matters who is started again.
    pub restarts: bool,
    pub duration: Option<Duration>,
    pub count: Option<u64>,
    /// Where the raw events are kept.
    pub save: Option<&'a Path>,
    pub fail_every: u32,
    /// Run, and watched alone with its children; none if empty.
    pub command: &'a [OsString],
}

/// Watches until told to stop; gives the status to exit with.
///
/// # Errors
/// Where nothing can be attached, the command cannot be started, or nobody reads any more.
pub fn watch(wanted: &WatchOptions<'_>, outlet: &mut dyn Sink) -> Result<ExitCode> {
    let armed = arm(wanted.deaths, wanted.restarts, wanted.fail_every)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Watch::start(wanted, outlet, armed)?.run().await })
}

/// Attaches everything this kernel can run.
///
/// # Errors
/// Where privilege is missing, or no fault and no signal could be seen.
pub fn arm(deaths: ExitScope, restarts: bool, fail_every: u32) -> Result<(KernelInfo, Attached)> {
    privilege::check()?;
    let facts = KernelInfo::gather(&table::functions(), &table::modules())
        .map_err(|error| Failure::unavailable(format!("{error:#}")))?;
    if !facts.missing_fields.is_empty() {
        return Err(Failure::unavailable(format!(
            "Linux {} has no {}: its structs are not those whybus knows (5.10 to 7.3); please \
             report this with the output of `whybus doctor`",
            facts.release,
            facts.missing_fields.join(", ")
        )));
    }
    let armed = load::attach(&facts, plan::choose(&facts, restarts), deaths, fail_every)
        .map_err(|error| Failure::unavailable(format!("{error:#}")))?;
    if armed.attached.is_empty() {
        let why: Vec<String> = armed.missing.iter().map(reason).collect();
        return Err(Failure::unavailable(format!(
            "no hook could be attached on Linux {}: {}; run `whybus doctor` for what to do",
            facts.release,
            why.join("; ")
        )));
    }
    Ok((facts, armed))
}

fn reason(missing: &Missing) -> String {
    format!("{}: {}", missing.probe.program.form, missing.reason)
}

/// Describes this host and what is attached.
pub fn host(facts: &KernelInfo, armed: &Attached, deaths: ExitScope) -> Host {
    let read = |path: &str| {
        std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    Host {
        name: read("/proc/sys/kernel/hostname"),
        boot_id: read("/proc/sys/kernel/random/boot_id"),
        release: facts.release.clone(),
        since: boot_time(),
        clock: boot_to_realtime(),
        page_size: page_size(),
        pid: std::process::id(),
        mnt_ns: view::own(),
        deaths,
        coverage: coverage(armed),
    }
}

/// What is attached, and what is not.
fn coverage(armed: &Attached) -> Coverage {
    let uncovered = armed.missing.iter().map(|missing| Uncovered {
        hook: missing.probe.program.form.to_string(),
        reason: missing.reason.clone(),
        causes: missing.probe.row.blind.to_owned(),
    });
    let hooks = armed.attached.iter().map(|probe| AttachedHook {
        observe: Some(probe.row.observe),
        hook: probe.program.form.to_string(),
    });
    Coverage { hooks: hooks.collect(), uncovered: uncovered.collect() }
}

struct Watch<'a> {
    reader: RingReader,
    counters: Counters,
    /// Holds the programs in the kernel.
    armed: Attached,
    sink: Downstream<'a>,
    child: Option<Child>,
    /// How far each (cpu, ring) had numbered when last looked at.
    numbered: Vec<(u32, u16, RingState)>,
    /// How often the program of each was not run, as last told.
    misses: HashMap<Observe, u64>,
    /// How far the engine was told so.
    told: HashMap<(u32, u16), u64>,
}

/// Everything behind the rings.
struct Downstream<'a> {
    wanted: &'a WatchOptions<'a>,
    engine: Engine,
    outlet: &'a mut dyn Sink,
    save: Option<File>,
    /// As they were read last, and when.
    mounts: Arc<Vec<Mount>>,
    mounted: Instant,
    /// The command of `trace -- CMD`.
    root: Option<u32>,
    /// Thread and page of the fault that was told last.
    faulted: Option<(u32, u64)>,
    patience: DeadlineExecutor,
    lookout: MapperScanner,
    /// Incidents that passed the filter.
    told: u64,
    undecodable: u64,
    /// Something came since memory was given back.
    worked: bool,
}

impl<'a> Watch<'a> {
    fn start(
        wanted: &'a WatchOptions<'a>,
        outlet: &'a mut dyn Sink,
        (facts, mut armed): (KernelInfo, Attached),
    ) -> Result<Self> {
        let host = host(&facts, &armed, wanted.deaths);
        let save = match wanted.save {
            Some(path) => {
                let mut file = File::create(path).map_err(|error| {
                    Failure::usage(format!("cannot save to {}: {error}", path.display()))
                })?;
                file.write_all(&stream::head(&host))?;
                Some(file)
            }
            None => None,
        };
        let reader = RingReader::new(&mut armed.ebpf)?;
        let counters = Counters::new(&mut armed.ebpf)?;
        let sink = Downstream {
            wanted,
            engine: Engine::new(host),
            outlet,
            save,
            mounts: Arc::default(),
            mounted: Instant::now(),
            root: None,
            faulted: None,
            patience: DeadlineExecutor::default(),
            lookout: MapperScanner::start(),
            told: 0,
            undecodable: 0,
            worked: false,
        };
        Ok(Self {
            reader,
            counters,
            armed,
            sink,
            child: None,
            numbered: Vec::new(),
            misses: HashMap::new(),
            told: HashMap::new(),
        })
    }

    async fn run(mut self) -> Result<ExitCode> {
        let wanted = self.sink.wanted;
        self.sink.mounts(boot_time())?;
        self.sink.outlet.watching(self.sink.engine.host())?;
        if !wanted.command.is_empty() {
            let child = spawn(wanted.command)?;
            self.sink.root = child.id();
            self.child = Some(child);
        }
        let ended = self.until_stopped(wanted).await;
        let status = self.stop(ended)?;
        Ok(status)
    }

    /// Reads and tells until something says stop.
    async fn until_stopped(&mut self, wanted: &WatchOptions<'_>) -> Result<Ended> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut accounts = interval(ACCOUNTS);
        let deadline = wanted.duration.map(|duration| Instant::now() + duration);
        loop {
            let busy = !self.sink.engine.idle();
            tokio::select! {
                ready = self.reader.ready() => ready?,
                _ = tick.tick(), if busy => self.account()?,
                _ = accounts.tick() => {
                    self.account()?;
                    self.missed()?;
                    self.modules()?;
                    self.clock()?;
                    self.rest();
                    self.sink.outlet.tick(boot_time(), self.sink.engine.host());
                }
                mappers = self.sink.lookout.next() => self.sink.note(Event::Mappers(mappers), boot_time())?,
                _ = interrupt.recv() => return Ok(Ended::Because("interrupted")),
                _ = terminate.recv() => return Ok(Ended::Because("terminated")),
                _ = hangup.recv() => return Ok(Ended::Because("hung up")),
                () = until(deadline) => return Ok(Ended::Because("time is up")),
                status = exited(&mut self.child) => return Ok(Ended::Command(status?)),
            }
            while self.drain()? {}
            if wanted.count.is_some_and(|count| self.sink.told >= count) {
                return Ok(Ended::Because("enough seen"));
            }
        }
    }

    /// Tells the engine which programs the kernel did not run, because they were running already.
    fn missed(&mut self) -> Result<()> {
        for (probe, count) in recursion_misses(&self.armed.ebpf, &self.armed.attached) {
            let observe = probe.row.observe;
            if self.misses.insert(observe, count).unwrap_or(0) != count {
                let hook = probe.program.form.to_string();
                self.sink.note(Event::Missed { observe, hook, count }, boot_time())?;
            }
        }
        Ok(())
    }

    /// Once nothing is open any more: gives back the memory that took.
    fn rest(&mut self) {
        if self.sink.engine.idle() && std::mem::take(&mut self.sink.worked) {
            memory::trim();
        }
    }

    /// Notices that the wall clock was set, or has drifted.
    fn clock(&mut self) -> Result<()> {
        let clock = boot_to_realtime();
        if clock.0.abs_diff(self.sink.engine.host().clock.0) > STEP {
            self.sink.note(Event::Clock(clock), boot_time())?;
        }
        Ok(())
    }

    /// Attaches what belongs to modules that were loaded since, and says so.
    fn modules(&mut self) -> Result<()> {
        if self.armed.attach_new_modules()? {
            self.sink.engine.rehook(coverage(&self.armed));
            self.sink.outlet.watching(self.sink.engine.host())?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<bool> {
        let Self { reader, sink, .. } = self;
        let mut failed = None;
        let more = reader.drain(|bytes| {
            if let Err(error) = sink.take(bytes) {
                failed = Some(error);
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        self.sink.advance(boot_time())?;
        Ok(more)
    }

    /// Tells the engine how far each CPU had numbered the last time we looked, so that losses are
    /// known before an incident is told: what was numbered then is in the ring by now, or lost.
    fn account(&mut self) -> Result<()> {
        let latest = self.counters.ring_states();
        while self.drain()? {}
        let then = std::mem::replace(&mut self.numbered, latest);
        for (cpu, ring, state) in then {
            let told = self.told.insert((cpu, ring), state.seq).unwrap_or(0);
            if state.seq != told {
                self.sink.note(Event::Account { cpu, ring, seq: state.seq }, boot_time())?;
            }
        }
        for key in self.sink.engine.storms() {
            let BurstKey { tgid, inode, handler } = key;
            let count =
                self.counters.burst(event::StormKey { inode, tgid, handler: handler.number() });
            if let Some(count) = count {
                self.sink.note(Event::Burst(Burst { key, count }), boot_time())?;
            }
        }
        Ok(())
    }

    /// Drains what is left, tells what is open and the counts.
    fn stop(mut self, ended: Result<Ended>) -> Result<ExitCode> {
        let ended = ended?;
        // What belongs to the last fault may still be on its way.
        let patience = std::time::Instant::now() + Duration::from_nanos(REPORT_DELAY);
        while !self.sink.engine.idle() && std::time::Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(10));
            while self.drain()? {}
        }
        self.missed()?;
        // Twice: the second time tells what was numbered by the first.
        self.account()?;
        std::thread::sleep(Duration::from_millis(10));
        self.account()?;
        let updates = self.sink.engine.finish();
        self.sink.tell(&updates)?;
        if self.sink.undecodable != 0 {
            eprintln!("whybus: {} events could not be decoded", self.sink.undecodable);
        }
        let (reason, status) = match ended {
            Ended::Because(reason) => (reason, ExitCode::SUCCESS),
            Ended::Command(status) => ("the command ended", status),
        };
        let sink = &mut self.sink;
        sink.outlet.end(&sink.engine.counts(), sink.engine.host(), boot_time(), reason)?;
        Ok(status)
    }
}

enum Ended {
    Because(&'static str),
    Command(ExitCode),
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn exited(child: &mut Option<Child>) -> Result<ExitCode> {
    let Some(child) = child else { return std::future::pending().await };
    let status = child.wait().await?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn spawn(command: &[OsString]) -> Result<Child> {
    let (program, args) = command.split_first().context("an empty command")?;
    Command::new(program).args(args).spawn().map_err(|error| {
        Failure::usage(format!("cannot run {}: {error}", program.to_string_lossy()))
    })
}

impl Downstream<'_> {
    /// One event of the kernel: saved, decoded, enriched, handed on.
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.keep(bytes);
        self.worked = true;
        let Ok((stamp, Some(event))) = decode(bytes) else {
            self.undecodable += 1;
            return Ok(());
        };
        // /proc is asked at once: the process may be gone a moment later.
        match &event {
            Event::Fault(fault) => {
                self.faulted = Some((fault.actor.task.tid, fault.address & PAGE));
                self.mounts(stamp.time)?;
                self.fault(fault, stamp.time)?;
            }
            Event::Shrink(shrink) if !shrink.replayed => {
                self.process(&shrink.actor.task, shrink.actor.lacks_cmdline(), stamp.time)?;
                // Shrinks may be many.
                if shrink.mapped && self.mounted.elapsed() > ACCOUNTS {
                    self.mounts(stamp.time)?;
                }
                let warns = shrink.mapped && !self.wanted.selection.without_warnings;
                if warns && !self.lookout.ask(shrink) {
                    self.engine.not_warned();
                }
            }
            // Its fault comes before it, by the same CPU, unless nobody saw it.
            Event::Signal(signal)
                if signal.forced
                    && signal.code == BUS_ADRERR
                    && self.faulted != Some((signal.target.tid, signal.address & PAGE)) =>
            {
                self.process(&signal.target, true, stamp.time)?;
                let (id, address) = (signal.target.id, signal.address);
                let ask = move || facts::mapped(id, address);
                let told = self.patience.within(Target::Process(id), DEADLINE, ask);
                self.notes(told.unwrap_or_default(), stamp.time)?;
            }
            Event::Signal(signal) if signal.code <= 0 => {
                self.process(&signal.target, true, stamp.time)?;
                if signal.sender.task.id != signal.target.id {
                    self.process(&signal.sender.task, signal.sender.lacks_cmdline(), stamp.time)?;
                }
            }
            Event::ProcessExit(death) => self.death(death, stamp.time)?,
            Event::ProcessStart(start) => self.process(&start.actor.task, false, stamp.time)?,
            _ => {}
        }
        self.engine.push(stamp, event);
        Ok(())
    }

    /// Adds a record to the saved stream; watching goes on if that fails.
    fn keep(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.save else { return };
        if let Err(error) = file.write_all(&stream::record(bytes)) {
            eprintln!("whybus: saving the event stream: {error}; watching goes on without");
            self.save = None;
        }
    }

    fn process(&mut self, task: &Task, wanted: bool, time: u64) -> Result<()> {
        let (asked, mounts, id) = (task.clone(), Arc::clone(&self.mounts), task.id);
        let ask = move || facts::of_process(&asked, wanted, &mounts);
        let told = self.patience.within(Target::Process(id), DEADLINE, ask);
        self.notes(told.unwrap_or_else(|| vec![facts::late(id)]), time)
    }

    /// What is left to ask once a process has ended: its cgroup outlives it, and so does its file.
    fn death(&mut self, death: &ProcessExit, time: u64) -> Result<()> {
        if self.wanted.deaths == ExitScope::default() {
            return Ok(());
        }
        self.process(&death.actor.task, death.actor.lacks_cmdline(), time)?;
        let (asked, mounts) = (death.clone(), Arc::clone(&self.mounts));
        let ask = move || {
            let symbol = symbolize::of_death(&asked).map(Event::Symbol);
            symbol.into_iter().chain(facts::of_death(&asked, &mounts)).collect::<Vec<_>>()
        };
        let told = self.patience.within(Target::Process(death.exit.id), DEADLINE, ask);
        self.notes(told.unwrap_or_default(), time)
    }

    fn fault(&mut self, fault: &Fault, time: u64) -> Result<()> {
        self.process(&fault.actor.task, fault.actor.lacks_cmdline(), time)?;
        let Host { mnt_ns: own, page_size, .. } = *self.engine.host();
        let here = Here { own, page_size, mounts: Arc::clone(&self.mounts) };
        let asked = fault.clone();
        let subject = Target::FileSystem(fault.inode.id.dev);
        let told = self.patience.within(subject, DEADLINE, move || facts::of_fault(&asked, &here));
        self.notes(told.unwrap_or_else(|| facts::unanswered(fault).into_iter().collect()), time)
    }

    /// Notes what was learnt of an event of `time`, right behind it: however late we are, it must be
    /// there when the event is judged.
    fn notes(&mut self, events: Vec<Event>, time: u64) -> Result<()> {
        events.into_iter().try_for_each(|event| self.note(event, time + 1))
    }

    /// Notes what has been mounted since: a device number alone is reused.
    fn mounts(&mut self, time: u64) -> Result<()> {
        let mounts = mount::read();
        self.mounted = Instant::now();
        if mounts == *self.mounts {
            return Ok(());
        }
        self.mounts = Arc::new(mounts.clone());
        self.note(Event::Mounts(mounts), time)
    }

    /// Hands on what user space found out itself; a saved stream needs it as much as we do.
    fn note(&mut self, event: Event, time: u64) -> Result<()> {
        if let Some(bytes) = stream::note(&event, time) {
            self.keep(&bytes);
        }
        self.engine.push(Stamp { cpu: 0, ring: 0, seq: 0, time }, event);
        Ok(())
    }

    fn advance(&mut self, now: u64) -> Result<()> {
        let updates = self.engine.advance(now);
        self.tell(&updates)
    }

    fn tell(&mut self, updates: &[Update]) -> Result<()> {
        for update in updates {
            let ours = match update {
                Update::Incident(incident) | Update::Change(incident) => self.ours(incident),
                Update::Truncation(_) => self.root.is_none(),
                Update::Loss(_) | Update::Missed { .. } => true,
            };
            if ours && self.wanted.selection.passes(update) {
                self.told += u64::from(matches!(update, Update::Incident(_)));
                self.outlet.update(update, self.engine.host())?;
            }
        }
        Ok(())
    }

    /// Whether the victim is the traced command or descends from it.
    fn ours(&self, incident: &Incident) -> bool {
        let Some(root) = self.root else { return true };
        let Actor { task, ancestors, .. } = &incident.victim;
        let process = incident.victim_process.as_ref();
        let told = process.map(|process| process.ancestors.as_slice()).unwrap_or_default();
        task.id.tgid == root
            || ancestors.iter().chain(told).any(|ancestor| ancestor.id.tgid == root)
    }
}

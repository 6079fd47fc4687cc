//! A live watch: rings, look-ups, clocks and modules are the inputs; the driver does the rest.
use std::{collections::HashMap, ffi::OsString, path::Path, time::Duration};

use anyhow::Result;
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tracer_common::maps;

use crate::{
    correlate::{REPORT_DELAY, readiness::Requirement},
    enrich::{enricher::Enricher, parser::Parser, samples},
    error::Failure,
    host::{
        clock::{boot_time, boot_to_realtime},
        confine::{Needs, confine},
        memory::{self, Used},
        privilege::{self, Need},
    },
    model::{
        fault::{Burst, BurstKey},
        input::{Input, Stamp, WatchNote},
        observe::Coverage,
        observe::Observe,
        process::ExitScope,
    },
    probe::{
        attach::Attached,
        counters::{Counters, recursion_misses},
        kernel::KernelInfo,
        log::ProbeLog,
        ring::RingReader,
        stacks::StackRing,
    },
    render::style::Style,
    select::selection::Selection,
    sink::{Sink, speak::say},
    text::secrets::Secrets,
    watch::{
        arm::{arm, coverage, host, require},
        child::{CommandEnd, exited, reap, spawn},
        driver::Driver,
        evictions::Evictions,
        left_out::LeftOut,
        log::Listener,
        save::StreamFile,
        seq_checkpoints::SeqCheckpoints,
        stop::StopSignals,
    },
    wire::{decode::decode, secrets},
};

/// How often time moves forward while something is open.
const TICK: Duration = Duration::from_millis(100);
/// How often lost events are looked for while nothing is open.
const CHECKPOINTS: Duration = Duration::from_secs(1);
/// Batches that are read before we look at anything else.
const DRAINS: u32 = 2;
/// How far time stays behind the oldest event that waits, while more comes than we read. Ns.
const LATE: u64 = 1_000_000_000;
/// How long what waits is processed after the end.
const LAST: Duration = Duration::from_secs(10);
/// How long time waits for what was lost to be known, while more comes than there is room for. Ns.
const HELD: u64 = 5_000_000_000;
/// The clock may differ by as much before its being set is taken note of. Ns.
const STEP: u64 = 10_000_000;

/// What is watched for, and how long.
pub struct WatchOptions<'a> {
    pub selection: Selection,
    pub deaths: ExitScope,
    /// Whether it matters who is started again.
    pub restarts: bool,
    /// Whether shrinks matter that only processes of other hosts may suffer from.
    pub shared_shrinks: bool,
    pub duration: Option<Duration>,
    pub count: Option<u64>,
    /// What must be told, or nothing is watched.
    pub required: &'a [Requirement],
    /// What of command lines is neither kept nor told.
    pub secrets: Secrets,
    /// Where all inputs are saved.
    pub save: Option<&'a Path>,
    /// Every n-th event is dropped in the kernel (tests of loss); 0 for none.
    pub fail_every: u32,
    /// How to print what the probes say of themselves; they say nothing without.
    pub verbose: Option<Style>,
    /// Whether the sink runs commands.
    pub runs_commands: bool,
    /// Run, and watched alone with its children; none if empty.
    pub command: &'a [OsString],
}

/// How a watch ended.
#[derive(Debug)]
pub struct Watched {
    /// Incidents that were reported.
    pub incidents: u64,
    /// How the command ended that was watched, if that was the end.
    pub command: Option<CommandEnd>,
    /// A signal to us was the end.
    pub stopped: bool,
    /// What was watched in the end.
    pub coverage: Coverage,
}

/// Watches until told to stop.
///
/// # Errors
/// Where nothing can be attached, the command cannot be started, or nobody reads any more.
pub fn watch(options: &WatchOptions<'_>, sink: &mut dyn Sink) -> Result<Watched> {
    privilege::check()?;
    let mut lacking = privilege::lacking(privilege::own(), Need::Facts).peekable();
    let complete = lacking.peek().is_none();
    lacking.for_each(|one| say(format_args!("whybus: without {} {}", one.name, one.without)));
    if !complete {
        say(
            "whybus: sudo gives them, or CapabilityBoundingSet= of the unit (as packaging/whybus.service has it)",
        );
    }
    let attached = arm(
        options.deaths,
        options.restarts,
        options.shared_shrinks,
        options.fail_every,
        options.verbose.is_some(),
    )?;
    require(options.required, &coverage(&attached.1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { Watch::start(options, sink, attached)?.run().await })
}

struct Watch<'a> {
    options: &'a WatchOptions<'a>,
    stop: StopSignals,
    reader: RingReader,
    counters: Counters,
    stacks: StackRing,
    evictions: Evictions,
    /// Holds the programs in the kernel.
    attached: Attached,
    /// Prints what they say.
    _listener: Option<Listener>,
    enricher: Enricher,
    driver: Driver<'a>,
    save: StreamFile,
    child: Option<Child>,
    checkpoints: SeqCheckpoints,
    /// How often the program of each was not run, as the driver knows.
    misses: HashMap<Observe, u64>,
    left_out: LeftOut,
    undecodable: u64,
    used: Used,
}

impl<'a> Watch<'a> {
    fn start(
        options: &'a WatchOptions<'a>,
        sink: &'a mut dyn Sink,
        (kernel, mut attached): (KernelInfo, Attached),
    ) -> Result<Self> {
        let host = host(&kernel, &attached, options.deaths);
        let save = match options.save {
            Some(path) => StreamFile::create(path, &host).map_err(|error| {
                Failure::usage(format!("cannot save to {}: {error}", path.display()))
            })?,
            None => StreamFile::none(),
        };
        // Before anybody is told that we watch: whoever then stops us must be heard.
        let stop = StopSignals::install()?;
        let log = ProbeLog::take(&mut attached.ebpf)?;
        // As long as a program may be run, and as its user may be chosen.
        let parser = Parser::start();
        let listener =
            log.zip(options.verbose.clone()).map(|(log, style)| Listener::start(log, style));
        Ok(Self {
            options,
            stop,
            reader: RingReader::new(&mut attached.ebpf)?,
            counters: Counters::new(&mut attached.ebpf)?,
            stacks: StackRing::take(&mut attached.ebpf)?,
            evictions: Evictions::default(),
            attached,
            _listener: listener,
            enricher: Enricher::new(&host, !options.selection.without_warnings, parser.clone()),
            driver: Driver::start(host, &options.selection, sink)?,
            save,
            child: None,
            checkpoints: SeqCheckpoints::default(),
            misses: HashMap::new(),
            left_out: LeftOut::by(parser),
            undecodable: 0,
            used: Used::default(),
        })
    }

    async fn run(mut self) -> Result<Watched> {
        self.switches()?;
        self.enricher.read_mounts();
        if let Some(mounts) = self.enricher.mounts() {
            self.push(boot_time(), mounts)?;
        }
        if !self.options.command.is_empty() {
            let (child, reaper) = spawn(self.options.command)?;
            if let Some(tgid) = child.id() {
                self.push(boot_time(), WatchNote::Command { tgid, reaper })?;
            }
            self.child = Some(child);
        }
        if let Some(tgid) = self.enricher.parser() {
            self.push(boot_time(), WatchNote::Parser { tgid })?;
        }
        self.confine();
        memory::forget_code();
        let ended = self.until_stopped().await?;
        self.stop(ended).await
    }

    /// Lets go of what is not needed any more. The command, which has begun, keeps what it was given.
    fn confine(&self) {
        let attach = !self.attached.pending.is_empty();
        let needs = Needs { attach, commands: self.options.runs_commands };
        let done = privilege::shed().map_err(|error| format!("all its capabilities: {error}"));
        let filtered =
            confine(needs).map_err(|error| format!("every system call allowed: {error:#}"));
        for what in [done, filtered].into_iter().filter_map(Result::err) {
            say(format_args!("whybus: goes on with {what}"));
        }
    }

    /// Reads and reports until something says stop.
    async fn until_stopped(&mut self) -> Result<Ended> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut checkpoints = interval(CHECKPOINTS);
        checkpoints.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = self.options.duration.map(|duration| Instant::now() + duration);
        let mut ended_children = signal(SignalKind::child())?;
        let mut all_read = true;
        loop {
            let busy = !(all_read && self.driver.is_idle());
            if !all_read {
                // Timers and signals come from the runtime: as long as something is ready, nobody else lets it look.
                tokio::task::yield_now().await;
            }
            tokio::select! {
                // Whatever comes without end stands last: what is read and learnt is taken in below, too.
                biased;
                reason = self.stop.recv() => return Ok(Ended::Stopped(reason)),
                () = until(deadline) => return Ok(Ended::Because("time is up")),
                status = exited(&mut self.child) => return Ok(Ended::Command(status?)),
                _ = ended_children.recv() => reap(self.child.as_ref(), self.enricher.parser()),
                _ = checkpoints.tick() => {
                    self.checkpoint()?;
                    self.recursion_misses()?;
                    self.modules()?;
                    self.clock()?;
                    self.release_memory();
                    reap(self.child.as_ref(), self.enricher.parser());
                    self.driver.tick(boot_time());
                }
                _ = tick.tick(), if busy => self.checkpoint()?,
                (time, learnt) = self.enricher.next() => self.learnt(time, learnt)?,
                ready = self.reader.ready(), if all_read => ready?,
                () = std::future::ready(()), if !all_read => {}
            }
            self.answers()?;
            all_read = self.drain_all()?;
            if self.options.count.is_some_and(|count| self.driver.reported() >= count) {
                return Ok(Ended::Because("enough seen"));
            }
        }
    }

    /// Takes in what user space found out; a saved stream needs it as much as the driver does.
    fn push(&mut self, time: u64, input: impl Into<Input>) -> Result<()> {
        let mut input = input.into();
        secrets::input(&self.options.secrets, &mut input);
        self.save.unnumbered(&input, time);
        self.driver.push(Stamp::unnumbered(time), input)
    }

    /// Takes in what was learnt of an event, right behind it: however late it comes, its place is there.
    fn learnt(&mut self, time: Option<u64>, learnt: Vec<Input>) -> Result<()> {
        self.used.touch();
        let time = time.map_or_else(boot_time, |time| time.saturating_add(1));
        learnt.into_iter().try_for_each(|input| self.push(time, input))
    }

    /// Takes in all answers there are.
    fn answers(&mut self) -> Result<()> {
        while let Some((time, learnt)) = self.enricher.try_next() {
            self.learnt(time, learnt)?;
        }
        Ok(())
    }

    /// Reads a batch of each ring; true if there is more. Time moves on to when reading began, not to when it
    /// ended: all that happened until then was in the rings and has been read, whereas a shrink that is put
    /// into one ring while the other is read comes with the next batch.
    fn drain(&mut self) -> Result<bool> {
        let before = boot_time();
        let Self { options, reader, stacks, save, driver, enricher, undecodable, used, .. } = self;
        let mut failed = None;
        let more = reader.drain(|bytes| {
            used.touch();
            let bytes = secrets::event(&options.secrets, bytes);
            save.event(&bytes);
            let Ok((stamp, Some(event))) = decode(&bytes) else {
                *undecodable += 1;
                return;
            };
            if samples::may_belong_to(&event) {
                // The kernel puts the stack into its ring before it sends this event.
                let _ = stacks.drain(|record| enricher.captured(record));
            }
            let notes = enricher.on_event(stamp.time, &event);
            let mut pushed = driver.push(stamp, Input::Kernel(event));
            for note in notes.into_iter().map(Input::Watch) {
                let time = stamp.time.saturating_add(1);
                save.unnumbered(&note, time);
                pushed = pushed.and_then(|()| driver.push(Stamp::unnumbered(time), note));
            }
            if let Err(error) = pushed {
                failed = Some(error);
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if !more {
            self.advance(before)?;
        }
        Ok(more)
    }

    /// Reads all there is, if that has an end; false if events keep coming.
    fn drain_all(&mut self) -> Result<bool> {
        let before = boot_time();
        for _ in 0..DRAINS {
            if !self.drain()? {
                return Ok(true);
            }
        }
        // More comes than we read. Time must move all the same, if behind: what waits has the order of the rings.
        let times = self.reader.oldest().filter_map(|event| Some(decode(event).ok()?.0.time));
        let oldest = times.fold(before, u64::min);
        self.report_processed()?;
        // Not past what is known of losses, unless that does not come: then a hole in the numbers alone tells of them.
        let known = self.checkpoints.known_until().max(before.saturating_sub(HELD));
        self.advance(oldest.saturating_sub(LATE).min(known))?;
        Ok(false)
    }

    fn advance(&mut self, now: u64) -> Result<()> {
        if self.driver.holds_anything() {
            self.save.unnumbered(&WatchNote::Advanced.into(), now);
        }
        self.save.flush();
        self.driver.advance(now)
    }

    /// Says how far each CPU had numbered the last time we looked, so that losses are known before an
    /// incident is reported: what was numbered then is in the ring by now, or lost.
    fn checkpoint(&mut self) -> Result<()> {
        self.switches()?;
        let (time, latest) = (boot_time(), self.counters.ring_states());
        self.checkpoints.sample(time, latest, self.reader.fetch());
        self.drain_all()?;
        self.report_processed()?;
        if let Some(count) = self.counters.shrinks_recorded()
            && let Some(until) = self.evictions.sample(boot_time(), count)
        {
            self.push(boot_time(), WatchNote::ShrinksEvicted { until })?;
        }
        for note in self.left_out.news(&self.counters, &self.stacks) {
            self.push(boot_time(), note)?;
        }
        for key in self.driver.bursts() {
            let BurstKey { tgid, inode, handler } = key;
            let handler = handler.number();
            if let Some(count) = self.counters.burst(maps::BurstKey { inode, tgid, handler }) {
                self.push(boot_time(), WatchNote::Burst(Burst { key, count }))?;
            }
        }
        Ok(())
    }

    /// Reports how far events were numbered of which all that arrived have been processed.
    fn report_processed(&mut self) -> Result<()> {
        let notes = self.checkpoints.report_processed(|fetched| self.reader.has_delivered(fetched));
        notes.into_iter().try_for_each(|note| self.push(boot_time(), note))
    }

    /// Says which programs the kernel did not run, because they were running already.
    fn recursion_misses(&mut self) -> Result<()> {
        for (probe, count) in recursion_misses(&self.attached) {
            let observe = probe.row.observe;
            if self.misses.insert(observe, count).unwrap_or(0) != count {
                let hook = probe.program.form.to_string();
                self.push(boot_time(), WatchNote::RecursionMiss { observe, hook, count })?;
            }
        }
        Ok(())
    }

    /// Attaches what belongs to modules that were loaded since, and says so.
    fn modules(&mut self) -> Result<()> {
        if self.attached.attach_new_modules()? {
            let coverage = coverage(&self.attached);
            self.push(boot_time(), WatchNote::Coverage(coverage))?;
        }
        Ok(())
    }

    /// Notices that hooks of functions were switched on or off, and says what is seen now. While an incident is open this is
    /// looked at more often than its report is held back: none is told as if its hooks had been there.
    fn switches(&mut self) -> Result<()> {
        if self.attached.is_switched() {
            let coverage = coverage(&self.attached);
            self.push(boot_time(), WatchNote::Coverage(coverage))?;
        }
        Ok(())
    }

    /// Notices that the wall clock was set, or has drifted.
    fn clock(&mut self) -> Result<()> {
        let clock = boot_to_realtime();
        if clock.0.abs_diff(self.driver.host().clock.0) > STEP {
            self.push(boot_time(), WatchNote::Clock(clock))?;
        }
        Ok(())
    }

    fn release_memory(&mut self) {
        let idle = self.driver.is_idle();
        self.used.give_back(idle);
        if idle {
            self.stacks.rest();
        }
    }

    /// Drains what is left, waits for answers, reports what is open and the end.
    async fn stop(mut self, ended: Ended) -> Result<Watched> {
        let deadline = Instant::now() + Duration::from_nanos(REPORT_DELAY);
        while (!self.driver.is_idle() || self.enricher.is_busy()) && Instant::now() < deadline {
            tokio::select! {
                (time, learnt) = self.enricher.next() => self.learnt(time, learnt)?,
                () = sleep(Duration::from_millis(10)) => {}
            }
            self.drain_all()?;
        }
        let deadline = Instant::now() + LAST;
        while !self.drain_all()? && Instant::now() < deadline {
            self.answers()?;
        }
        self.answers()?;
        self.recursion_misses()?;
        self.checkpoint()?;
        let latest = self.counters.ring_states();
        sleep(Duration::from_millis(10)).await;
        self.checkpoint()?;
        // What was numbered by then is here, or lost; so is what waits all the same.
        let notes = self.checkpoints.report(latest);
        notes.into_iter().try_for_each(|note| self.push(boot_time(), note))?;
        if self.undecodable != 0 {
            say(format_args!("whybus: {} events could not be decoded", self.undecodable));
        }
        let (reason, command) = match ended {
            Ended::Because(reason) | Ended::Stopped(reason) => (reason, None),
            Ended::Command(end) => ("the command ended", Some(end)),
        };
        let stopped = matches!(ended, Ended::Stopped(_));
        let now = boot_time();
        self.save.unnumbered(&WatchNote::Ended { reason: reason.to_owned() }.into(), now);
        self.save.flush();
        self.driver.end(now, reason)?;
        let coverage = self.driver.host().coverage.clone();
        Ok(Watched { incidents: self.driver.reported(), command, stopped, coverage })
    }
}

enum Ended {
    Because(&'static str),
    /// By a signal.
    Stopped(&'static str),
    Command(CommandEnd),
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

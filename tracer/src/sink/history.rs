//! The recorder: what is told goes to the history, by a thread of its own, so that a slow disk never
//! holds up the rings. What the disk does not take waits in memory, and is counted if that is full.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc::{self, SyncSender},
    thread::JoinHandle,
};

use anyhow::Result;
use sd_notify::NotifyState;

use crate::{
    contract::{
        Gap, GapReason, Incident, Record, Time,
        convert::{end_record, update_record, watching_record},
    },
    correlate::{
        readiness::{readiness, summary},
        update::{Counts, Update},
    },
    host::{clock::boot_time, privilege},
    model::{host::Host, observe::Observe},
    render::{Format, watching::verdict},
    sink::{
        Sink,
        exec::Exec,
        history_writer::{HistoryOptions, HistoryWriter, Message},
        journal::Journal,
        losses::Losses,
        speak::say,
        stdout::StdoutSink,
    },
    store::{lock::Verdict, sqlite::write::Entry, state_dir as dir},
};

/// Entries on their way to the thread.
const QUEUE: usize = 1_024;
/// How often the outlet ticks, ns.
const TICK: i64 = 1_000_000_000;
/// How often calls that nobody looked at are noted, ns: an hour.
const MISSED: u64 = 3_600_000_000_000;

/// Where incidents go beside the history.
#[derive(Default)]
pub struct Beside {
    /// They are printed.
    pub print: Option<StdoutSink>,
    /// They are sent to the journal.
    pub journal: bool,
    /// This command is run for each.
    pub exec: Option<String>,
}

/// See the module.
pub struct HistorySink {
    /// The file, for people.
    history: PathBuf,
    sender: Option<SyncSender<Message>>,
    keeper: Option<JoinHandle<()>>,
    /// Entries that found no room on their way.
    overflowed: u64,
    /// Events that were lost, since that was noted last.
    losses: Losses,
    /// Calls of hooks that nobody looked at, since they were noted last (ns since boot: the clock may be set).
    missed: BTreeMap<(String, Observe), u64>,
    noted: u64,
    /// Shrinks that were too many to be kept, as noted last.
    suppressed: u64,
    writer: Option<StdoutSink>,
    journal: Option<Journal>,
    exec: Option<Exec>,
    /// Whether the disk took the first things.
    writable: bool,
    /// Watching is complete, and the history knows.
    begun: bool,
    watchdog: bool,
}

impl HistorySink {
    /// Takes the state directory.
    ///
    /// # Errors
    /// Where it is not fit to write to: somebody else's, taken, of a newer version. A disk that is
    /// full or read-only is none: it may recover.
    pub fn start(options: HistoryOptions, beside: Beside) -> Result<Self> {
        let history = dir::history(&options.state_dir);
        let mut home = HistoryWriter::new(options);
        let mut writable = true;
        if let Err(error) = home.open() {
            if !error.may_pass() {
                return Err(error.into());
            }
            home.failed(&error);
            writable = false;
        }
        let journal = if beside.journal { Some(Journal::open()?) } else { None };
        let exec = beside.exec.as_deref().map(Exec::start).transpose()?;
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let keeper = privilege::spawn("whybus-keep", move || home.keep(&receiver))?;
        Ok(Self {
            history,
            sender: Some(sender),
            keeper: Some(keeper),
            overflowed: 0,
            losses: Losses::default(),
            missed: BTreeMap::new(),
            noted: boot_time(),
            suppressed: 0,
            writable,
            writer: beside.print,
            journal,
            exec,
            begun: false,
            watchdog: sd_notify::watchdog_enabled().is_some(),
        })
    }

    fn send(&mut self, message: Message) {
        let Some(sender) = &self.sender else { return };
        if sender.try_send(message).is_err() {
            self.overflowed += 1;
        }
    }

    /// Keeps the incident as it is known now.
    fn keep(&mut self, incident: Box<Incident>) {
        if let Some(journal) = self.journal.as_mut().filter(|_| !incident.updated) {
            journal.send(&incident);
        }
        if let Some(exec) = self.exec.as_mut().filter(|_| !incident.updated) {
            exec.tell(&incident);
        }
        self.send(Message::Keep(Entry::Incident(incident)));
    }

    /// Notes the calls that nobody looked at since this was done last, and the shrinks that were too many.
    fn note_missed(&mut self, until: u64, counts: &Counts, host: &Host) {
        let since = host.clock.realtime(std::mem::replace(&mut self.noted, until));
        let until = host.clock.realtime(until);
        let before = std::mem::replace(&mut self.suppressed, counts.not_recorded);
        let suppressed = counts.not_recorded.saturating_sub(before);
        if suppressed != 0 {
            let gap = gap(host, Time(since), Time(until), GapReason::Shrinks, suppressed);
            self.send(Message::Keep(Entry::Gap(gap)));
        }
        for ((hook, observe), calls) in std::mem::take(&mut self.missed) {
            let reason = GapReason::Calls { hook: hook.into(), observe: Some(observe) };
            let gap = gap(host, Time(since), Time(until), reason, calls);
            self.send(Message::Keep(Entry::Gap(gap)));
        }
    }
}

fn gap(host: &Host, since: Time, until: Time, reason: GapReason, lost: u64) -> Gap {
    Gap {
        host: host.name.as_str().into(),
        boot_id: host.boot_id.as_str().into(),
        since,
        until,
        reason,
        lost: Some(lost),
    }
}

impl Sink for HistorySink {
    fn watching(&mut self, host: &Host) -> Result<()> {
        let beside = StdoutSink::new(Format::Oneline, false);
        self.writer.as_ref().unwrap_or(&beside).print(&watching_record(host))?;
        // What `whybus status` and `systemctl status` show.
        let (readiness, summary) = (readiness(&host.coverage), summary(&host.coverage));
        self.send(Message::Verdict(Verdict::new(readiness, summary.as_deref())));
        let status = match summary {
            Some(said) => format!("{}: {said}", verdict(readiness)),
            None => verdict(readiness).to_owned(),
        };
        // Without a service manager there is nobody to tell.
        let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let since = host.clock.realtime(host.since);
        let (host, boot_id) = (host.name.clone(), host.boot_id.clone());
        self.send(Message::Begin { host, boot_id, since });
        let history = &self.history;
        match self.writable {
            true => say(format_args!("recording to {}", history.display())),
            false => say(format_args!(
                "recording in memory, until {} can be written to",
                history.display()
            )),
        }
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        Ok(())
    }

    fn update(&mut self, update: &Update, host: &Host) -> Result<()> {
        let record = update_record(update, host);
        if let Some(writer) = &self.writer {
            writer.print(&record)?;
        }
        match record {
            Record::Incident(incident) | Record::Update(incident) => self.keep(incident),
            Record::Truncation(warning) => self.send(Message::Keep(Entry::Warning(warning))),
            Record::Loss(loss) => {
                let reason = GapReason::Events { cpu: loss.cpu };
                self.losses.add(&loss, gap(host, loss.from, loss.time, reason, loss.lost));
            }
            _ => {}
        }
        if let Update::Missed { hook, observe, calls, .. } = update {
            *self.missed.entry((hook.clone(), *observe)).or_default() += calls;
        }
        Ok(())
    }

    fn end(&mut self, counts: &Counts, host: &Host, now: u64, reason: &str) -> Result<()> {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        let until = host.clock.realtime(now);
        for gap in self.losses.all() {
            self.send(Message::Keep(Entry::Gap(gap)));
        }
        self.note_missed(now, counts, host);
        if let Some(sender) = self.sender.take() {
            // Behind everything else, however long that takes.
            let _ = sender.send(Message::End(until));
        }
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        if let Some(exec) = &mut self.exec {
            exec.end();
        }
        if self.overflowed != 0 {
            say(format_args!(
                "whybus: {} records were lost on their way to the disk",
                self.overflowed
            ));
        }
        StdoutSink::new(Format::Oneline, false).print(&end_record(counts, host, now, reason))
    }

    fn tick(&mut self, now: u64, counts: &Counts, host: &Host) {
        if now.saturating_sub(self.noted) > MISSED {
            self.note_missed(now, counts, host);
        }
        let now = host.clock.realtime(now);
        self.send(Message::Beat(now));
        for gap in self.losses.due(Time(now)) {
            self.send(Message::Keep(Entry::Gap(gap)));
        }
        if self.overflowed != 0 {
            let (since, until) = (Time(now - TICK), Time(now));
            let gap = gap(host, since, until, GapReason::QueueFull, self.overflowed);
            let sender = self.sender.as_ref();
            if sender.is_some_and(|s| s.try_send(Message::Keep(Entry::Gap(gap))).is_ok()) {
                self.overflowed = 0;
            }
        }
        if self.watchdog {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}

//! The recorder: what is told goes to the history, by a thread of its own, so that a slow disk never
//! holds up the rings. What the disk does not take waits in memory, and is counted if that is full.
use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use sd_notify::NotifyState;

use crate::{
    cli::Record,
    contract::Incident,
    correlate::engine::{Counts, Gap as Lost, Update},
    event::model::Host,
    failure::{self, Failure},
    journal::Journal,
    output::json,
    pipeline::{self, Outlet},
    store::{
        dir::{self, Beat, Lock},
        write::{Entry, Gap, Store, damaged},
    },
    writer::Writer,
};

/// Entries on their way to the thread.
const QUEUE: usize = 1_024;
/// Entries that wait for the disk.
const WAITING: usize = 4_096;
/// Entries in one transaction.
const BATCH: usize = 1_000;
/// How soon a disk that did not take something is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often the outlet ticks, ns.
const TICK: i64 = 1_000_000_000;
/// How often calls that nobody looked at are noted, ns: an hour.
const MISSED: i64 = 3_600_000_000_000;
/// How often old incidents are forgotten.
const RETENTION: Duration = Duration::from_secs(600);

/// See the module.
pub struct Recorder<'a> {
    args: &'a Record,
    sender: Option<SyncSender<Message>>,
    keeper: Option<JoinHandle<()>>,
    /// Entries that found no room on their way.
    overflowed: u64,
    /// Calls of hooks that nobody looked at, since they were noted last (ns since the epoch).
    missed: BTreeMap<String, u64>,
    noted: i64,
    writer: Option<Writer>,
    journal: Option<Journal>,
    /// Whether the disk took the first things.
    writable: bool,
    /// Watching is complete, and the history knows.
    begun: bool,
    watchdog: bool,
}

enum Message {
    Begin { host: String, boot_id: String, since: i64 },
    Keep(Entry),
    Beat(i64),
    End(i64),
}

impl<'a> Recorder<'a> {
    /// Takes the state directory.
    ///
    /// # Errors
    /// Where it is not fit to write to: somebody else's, taken, of a newer version. A disk that is
    /// full or read-only is none: it may recover.
    pub fn start(args: &'a Record) -> Result<Self> {
        let mut home = Home::new(args);
        let mut writable = true;
        if let Err(error) = home.open() {
            if !disk(&error) {
                return Err(error);
            }
            home.failed(&error);
            writable = false;
        }
        let journal = if args.journal { Some(Journal::open()?) } else { None };
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let keeper = thread::Builder::new()
            .name("whybus-keep".to_owned())
            .spawn(move || home.keep(&receiver))?;
        Ok(Self {
            args,
            sender: Some(sender),
            keeper: Some(keeper),
            overflowed: 0,
            missed: BTreeMap::new(),
            noted: now(),
            writable,
            writer: args.print.map(Writer::of),
            journal,
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
    fn keep(&mut self, incident: Incident, first: bool) {
        if let Some(journal) = self.journal.as_mut().filter(|_| first) {
            journal.send(&incident);
        }
        self.send(Message::Keep(Entry::Incident(Box::new(incident))));
    }

    /// Notes the calls that nobody looked at since this was done last.
    fn note_missed(&mut self, until: i64, host: &Host) {
        let since = std::mem::replace(&mut self.noted, until);
        for (hook, calls) in std::mem::take(&mut self.missed) {
            self.send(Message::Keep(Entry::Gap(Gap {
                host: host.name.clone(),
                boot_id: host.boot_id.clone(),
                since,
                until,
                why: Gap::calls(&hook),
                lost: Some(calls),
            })));
        }
    }

    fn lost(&mut self, lost: &Lost, host: &Host) {
        let wall = |ns: u64| host.wall.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX));
        self.send(Message::Keep(Entry::Gap(Gap {
            host: host.name.clone(),
            boot_id: host.boot_id.clone(),
            since: wall(lost.from),
            until: wall(lost.to),
            why: format!("events of CPU {}", lost.cpu),
            lost: Some(lost.count),
        })));
    }
}

impl Outlet for Recorder<'_> {
    fn watching(&mut self, host: &Host) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.watching(host)?;
        } else {
            Writer::of(crate::cli::Format::Oneline).watching(host)?;
        }
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let since = host.wall.saturating_add(i64::try_from(host.since).unwrap_or(i64::MAX));
        let (host, boot_id) = (host.name.clone(), host.boot_id.clone());
        self.send(Message::Begin { host, boot_id, since });
        let history = dir::history(&self.args.state.state_dir);
        match self.writable {
            true => eprintln!("recording to {}", history.display()),
            false => {
                eprintln!("recording in memory, until {} can be written to", history.display())
            }
        }
        // Without a service manager there is nobody to tell.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        Ok(())
    }

    fn update(&mut self, update: &Update, host: &Host) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.update(update, host)?;
        }
        match update {
            Update::Incident(incident) => self.keep(json::told(incident, host, false), true),
            Update::Change(incident) => self.keep(json::told(incident, host, true), false),
            Update::Loss(gap) => self.lost(gap, host),
            Update::Missed { hook, calls, .. } => {
                *self.missed.entry(hook.clone()).or_default() += calls;
            }
            Update::Truncation(_) => {}
        }
        Ok(())
    }

    fn end(&mut self, counts: &Counts, host: &Host, now: u64, reason: &str) -> Result<()> {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        let until = host.wall.saturating_add(i64::try_from(now).unwrap_or(i64::MAX));
        self.note_missed(until, host);
        if let Some(sender) = self.sender.take() {
            // Behind everything else, however long that takes.
            let _ = sender.send(Message::End(until));
        }
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        if self.overflowed != 0 {
            eprintln!("whybus: {} records were lost on their way to the disk", self.overflowed);
        }
        Writer::of(crate::cli::Format::Oneline).end(counts, host, now, reason)
    }

    fn tick(&mut self, now: u64, host: &Host) {
        let now = host.wall.saturating_add(i64::try_from(now).unwrap_or(i64::MAX));
        self.send(Message::Beat(now));
        if now - self.noted > MISSED {
            self.note_missed(now, host);
        }
        if self.overflowed != 0 {
            let gap = Gap {
                host: host.name.clone(),
                boot_id: host.boot_id.clone(),
                since: now - TICK,
                until: now,
                why: "incidents on their way to the disk".to_owned(),
                lost: Some(self.overflowed),
            };
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

/// The state directory, as far as it can be had.
struct Home {
    dir: PathBuf,
    group: Option<String>,
    keep: Duration,
    keep_size: u64,
    lock: Option<Lock>,
    store: Option<Store>,
    begun: Option<Begun>,
    waiting: VecDeque<Entry>,
    /// Entries that found no room in `waiting`.
    dropped: u64,
    /// Since when the disk takes nothing (ns since the epoch), and when it is tried again.
    failing: Option<(i64, Instant)>,
    /// When old incidents were forgotten last.
    retained: Option<Instant>,
}

/// The run of this recorder.
struct Begun {
    host: String,
    boot_id: String,
    since: i64,
    /// Since the run before it.
    gap: Option<Gap>,
    /// The history knows of it.
    noted: bool,
}

impl Home {
    fn new(args: &Record) -> Self {
        Self {
            dir: args.state.state_dir.clone(),
            group: args.group.clone(),
            keep: args.keep,
            keep_size: args.keep_size,
            lock: None,
            store: None,
            begun: None,
            waiting: VecDeque::new(),
            dropped: 0,
            failing: None,
            retained: None,
        }
    }

    /// Takes the directory and opens the history, as far as that is not done yet.
    fn open(&mut self) -> Result<()> {
        if self.lock.is_none() {
            dir::prepare(&self.dir, self.group.as_deref())?;
            self.lock = Some(Lock::take(&self.dir)?);
        }
        if self.store.is_none() {
            // After one that did not end as it was told to, all of the history is looked at.
            let before = self.lock.as_ref().and_then(|lock| lock.before.as_ref());
            let check = before.is_none_or(|beat| !beat.stopped);
            let (store, aside) = Store::open(&self.dir, check)
                .map_err(|error| explain(error, &dir::history(&self.dir)))?;
            if let Some(aside) = aside {
                eprintln!("{}", damaged(&dir::history(&self.dir), &aside));
            }
            self.store = Some(store);
        }
        Ok(())
    }

    /// The thread: keeps what comes until the end.
    fn keep(mut self, receiver: &Receiver<Message>) {
        let mut end = None;
        while end.is_none() {
            let patience = if self.waiting.is_empty() { RETENTION } else { AGAIN };
            match receiver.recv_timeout(patience) {
                Ok(message) => end = self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => end = Some(now()),
            }
            while end.is_none()
                && self.waiting.len() < BATCH
                && let Ok(message) = receiver.try_recv()
            {
                end = self.take(message);
            }
            self.flush(end.is_some());
            self.retain();
        }
        self.end(end.unwrap_or_else(now));
    }

    /// One message; gives the time if it was the last.
    fn take(&mut self, message: Message) -> Option<i64> {
        match message {
            Message::Begin { host, boot_id, since } => {
                let gap = self.gap(&host, &boot_id, since);
                self.begun = Some(Begun { host, boot_id, since, gap, noted: false });
            }
            Message::Keep(entry) => self.wait(entry),
            Message::Beat(now) => self.beat(now, false),
            Message::End(until) => return Some(until),
        }
        None
    }

    fn wait(&mut self, entry: Entry) {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(entry);
    }

    /// When nobody was watching before.
    fn gap(&self, host: &str, boot_id: &str, since: i64) -> Option<Gap> {
        let before = self.lock.as_ref().and_then(|lock| lock.before.as_ref());
        let before = before.filter(|before| before.seen < since)?;
        Some(Gap {
            host: host.to_owned(),
            boot_id: boot_id.to_owned(),
            since: before.seen,
            until: since,
            why: absence(before, boot_id).to_owned(),
            lost: None,
        })
    }

    fn beat(&mut self, seen: i64, stopped: bool) {
        // What stands there is what the next gap is counted from: not before this run is noted.
        let begun = self.begun.as_ref().filter(|begun| begun.noted);
        let (Some(lock), Some(begun)) = (&self.lock, begun) else { return };
        let Begun { boot_id, since, .. } = begun;
        let pid = std::process::id();
        let beat = Beat { pid, boot_id: boot_id.clone(), since: *since, seen, stopped };
        // A full disk is told of where incidents are kept.
        let _ = lock.beat(&beat);
    }

    /// Hands what waits to the disk, unless that has just failed. At the `end` it is tried anyway.
    fn flush(&mut self, end: bool) {
        let due = self.failing.is_none_or(|(_, again)| Instant::now() >= again);
        let new = self.begun.as_ref().is_some_and(|begun| !begun.noted);
        if !(due || end) || self.waiting.is_empty() && !new {
            return;
        }
        match self.try_flush() {
            Ok(()) => self.recovered(),
            Err(error) => self.failed(&error),
        }
    }

    fn try_flush(&mut self) -> Result<()> {
        self.open()?;
        let Some(store) = &mut self.store else { return Ok(()) };
        if let Some(begun) = self.begun.as_mut().filter(|begun| !begun.noted) {
            let pid = std::process::id();
            store.begin(&begun.host, &begun.boot_id, pid, begun.since, begun.gap.as_ref())?;
            begun.noted = true;
            let since = begun.since;
            self.beat(since, false);
        }
        let Some(store) = &mut self.store else { return Ok(()) };
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(BATCH);
            store.put(self.waiting.iter().take(count).cloned().map(Ok))?;
            self.waiting.drain(..count);
        }
        Ok(())
    }

    /// The disk did not take it: says so once, and when it is tried again.
    fn failed(&mut self, error: &anyhow::Error) {
        let again = Instant::now() + AGAIN;
        if let Some((_, due)) = &mut self.failing {
            *due = again;
            return;
        }
        self.failing = Some((now(), again));
        // SQLite says it twice.
        let text = match error.downcast_ref::<rusqlite::Error>() {
            Some(error) => error.to_string(),
            None => format!("{error:#}"),
        };
        eprintln!(
            "whybus: cannot write to {}: {text}; watching goes on, the last {WAITING} incidents are \
             kept in memory, and writing is tried again every {} s",
            self.dir.display(),
            AGAIN.as_secs()
        );
    }

    /// The disk takes things again: says so, and what was lost meanwhile.
    fn recovered(&mut self) {
        let Some((since, _)) = self.failing.take() else { return };
        let lost = std::mem::take(&mut self.dropped);
        eprintln!("whybus: {} is written to again; {lost} incidents were lost", self.dir.display());
        if let Some(begun) = self.begun.as_ref().filter(|_| lost != 0) {
            let gap = Gap {
                host: begun.host.clone(),
                boot_id: begun.boot_id.clone(),
                since,
                until: now(),
                why: "incidents, while the disk took nothing and memory was full".to_owned(),
                lost: Some(lost),
            };
            self.wait(Entry::Gap(gap));
        }
    }

    /// Forgets what is too old or too much, now and then.
    fn retain(&mut self) {
        if self.retained.is_some_and(|at| at.elapsed() < RETENTION) {
            return;
        }
        let Some(store) = &mut self.store else { return };
        let oldest = now().saturating_sub(i64::try_from(self.keep.as_nanos()).unwrap_or(i64::MAX));
        match store.retain(oldest, self.keep_size) {
            // The rest when there is nothing better to do.
            Ok(true) => {}
            Ok(false) => self.retained = Some(Instant::now()),
            Err(_) => self.retained = Some(Instant::now()),
        }
    }

    fn end(&mut self, until: i64) {
        if !self.waiting.is_empty() {
            eprintln!(
                "whybus: {} incidents were in memory only and are lost: the disk did not take them",
                self.waiting.len()
            );
        }
        if let Some(store) = &mut self.store
            && let Err(error) = store.end(until)
        {
            eprintln!("whybus: writing to {}: {error}", self.dir.display());
        }
        self.beat(until, true);
    }
}

/// Why nobody was watching after the recorder that said this last.
fn absence(before: &Beat, boot_id: &str) -> &'static str {
    match (before.stopped, before.boot_id == boot_id) {
        (true, _) => "the recorder was stopped",
        (false, false) => "the host was started anew",
        (false, true) => "the recorder was killed",
    }
}

/// Whether it is the disk that does not take it, which may pass.
fn disk(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kind = |kind| matches!(kind, StorageFull | ReadOnlyFilesystem | QuotaExceeded);
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| kind(error.kind()))
            || cause.downcast_ref::<Failure>().and_then(failure::Failure::io).is_some_and(kind)
            || cause.downcast_ref::<rusqlite::Error>().is_some_and(|error| {
                use rusqlite::ErrorCode::{DiskFull, ReadOnly, SystemIoFailure};
                matches!(error.sqlite_error_code(), Some(DiskFull | ReadOnly | SystemIoFailure))
            })
    })
}

/// Says which file it is about.
fn explain(error: anyhow::Error, path: &Path) -> anyhow::Error {
    if error.downcast_ref::<Failure>().is_some() {
        return error;
    }
    error.context(format!("opening {}", path.display()))
}

/// Ns since the epoch.
fn now() -> i64 {
    pipeline::wall().saturating_add(i64::try_from(pipeline::now()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_nobody_was_watching() {
        let beat = |stopped| Beat { pid: 1, boot_id: "a".into(), since: 0, seen: 1, stopped };
        assert_eq!(absence(&beat(true), "b"), "the recorder was stopped");
        assert_eq!(absence(&beat(false), "b"), "the host was started anew");
        assert_eq!(absence(&beat(false), "a"), "the recorder was killed");
    }

    #[test]
    fn a_disk_may_recover_and_a_mistake_does_not() {
        assert!(disk(&std::io::Error::from_raw_os_error(libc::ENOSPC).into()));
        assert!(disk(&std::io::Error::from_raw_os_error(libc::EROFS).into()));
        assert!(!disk(&std::io::Error::from_raw_os_error(libc::EACCES).into()));
        assert!(!disk(&Failure::usage("a newer version")));
        let rofs = std::io::ErrorKind::ReadOnlyFilesystem;
        assert!(disk(&Failure::file("cannot make it", rofs)));
    }
}

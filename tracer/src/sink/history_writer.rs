//! The thread that keeps what a recorder is told: takes the state directory, writes in batches, and
//! holds in memory what the disk does not take.
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use crate::{
    contract::{Gap, GapReason, Time},
    host::{clock, memory},
    model::observe::Readiness,
    sink::speak::say,
    store::{
        Error, Result,
        lock::{self, Heartbeat, RecorderLock, Verdict},
        placed::Placed,
        sqlite::{
            recover::damaged,
            write::{Entry, Store},
        },
        state_dir as dir,
        steady::Steady,
    },
};

/// Entries that wait for the disk.
const WAITING: usize = 4_096;
/// Entries in one transaction.
const BATCH: usize = 1_000;
/// How soon a disk that did not take something is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How soon more of an older history is counted: it takes a few ms at a time.
const PAUSE: Duration = Duration::from_millis(50);
/// How often old incidents are forgotten.
const RETENTION: Duration = Duration::from_secs(600);

/// What the thread is told.
pub enum Message {
    /// Watching is complete (ns since the epoch).
    Begin {
        host: String,
        boot_id: String,
        since: i64,
    },
    /// What can be detected, from now on.
    Verdict(Verdict),
    Keep(Entry),
    /// We are still there.
    Beat(i64),
    /// There will be no more.
    End(i64),
}

/// Which history is written, and how much of it stays.
#[derive(Debug, Clone)]
pub struct HistoryOptions {
    pub state_dir: PathBuf,
    /// Who may read it; who reads logs, if not given.
    pub group: Option<String>,
    /// Older incidents are forgotten.
    pub keep: Duration,
    /// The oldest are forgotten while the history takes more. Bytes.
    pub keep_size: u64,
}

/// The state directory, as far as it can be had.
pub struct HistoryWriter {
    options: HistoryOptions,
    lock: Option<RecorderLock>,
    store: Option<Store>,
    /// The lock, the heartbeat and the history, as they were opened.
    files: Vec<Placed>,
    begun: Option<Begun>,
    verdict: Option<Verdict>,
    /// Whether what the clock calls old is old.
    steady: Steady,
    waiting: VecDeque<Entry>,
    /// Entries that found no room in `waiting`.
    dropped: u64,
    /// The disk takes nothing.
    failing: Option<Failing>,
    /// When old incidents were forgotten last.
    retained: Option<Instant>,
    /// When more of an older history is to be counted.
    count: Option<Instant>,
    /// Something was written since the last beat.
    wrote: bool,
    /// Memory that writing took has not been given back.
    tired: bool,
}

/// That the disk takes nothing.
struct Failing {
    /// Ns since the epoch.
    since: i64,
    again: Instant,
    why: String,
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

impl HistoryWriter {
    /// Nothing is opened yet.
    pub fn new(options: HistoryOptions) -> Self {
        Self {
            options,
            lock: None,
            store: None,
            files: Vec::new(),
            begun: None,
            verdict: None,
            steady: Steady::default(),
            waiting: VecDeque::new(),
            dropped: 0,
            failing: None,
            retained: None,
            count: None,
            wrote: false,
            tired: false,
        }
    }

    /// Takes the directory and opens the history, as far as that is not done yet.
    ///
    /// # Errors
    /// Where it is not fit to write to, or the disk does not take it ([`Error::may_pass`]).
    pub fn open(&mut self) -> Result<()> {
        if self.lock.is_none() {
            dir::prepare(&self.options.state_dir, self.options.group.as_deref())?;
            let lock = RecorderLock::acquire(&self.options.state_dir)?;
            if let Some(before) = &lock.previous {
                self.steady = Steady::after(before.steady_ns, before.seen, now());
            }
            self.lock = Some(lock);
        }
        if self.store.is_none() {
            // After one that did not end as it was told to, all of the history is looked at.
            let before = self.lock.as_ref().and_then(|lock| lock.previous.as_ref());
            let check = before.is_none_or(|beat| !beat.stopped);
            let (store, aside) = Store::open(&self.options.state_dir, check)?;
            if let Some(aside) = aside {
                say(format_args!("{}", damaged(&dir::history(&self.options.state_dir), &aside)));
            }
            self.store = Some(store);
            self.count = Some(Instant::now());
            let dir = &self.options.state_dir;
            let files = lock::files(dir).into_iter().chain([dir::history(dir)]);
            self.files = files.map(Placed::of).collect();
        }
        Ok(())
    }

    /// The thread: keeps what comes until the end.
    pub fn keep(mut self, receiver: &Receiver<Message>) {
        let mut end = None;
        while end.is_none() {
            let patience = if self.waiting.is_empty() { RETENTION } else { AGAIN };
            let count = self.count.map(|at| at.saturating_duration_since(Instant::now()));
            match receiver.recv_timeout(count.map_or(patience, |count| count.min(patience))) {
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
            match end {
                Some(_) => self.flush_at_end(),
                None => self.flush(false),
            }
            self.retain();
            self.count();
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
            Message::Verdict(verdict) => self.verdict = Some(verdict),
            Message::Keep(entry) => self.wait(entry),
            Message::Beat(now) => {
                self.steady.see(now, clock::boot_time());
                self.look(now);
                self.beat(now, false);
                self.rest();
            }
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
        let before = self.lock.as_ref().and_then(|lock| lock.previous.as_ref());
        let before = before?;
        Some(Gap {
            host: host.into(),
            boot_id: boot_id.into(),
            // Where the clock was set back nobody knows for how long.
            since: Time(before.seen.min(since)),
            until: Time(since),
            reason: absence(before, boot_id),
            lost: None,
        })
    }

    /// Whether what is written to is still what others find there: a directory that was removed takes everything, and nobody
    /// reads it. Then all is begun anew; in a history that is new the gap is as long as this run.
    fn look(&mut self, now: i64) {
        let Some(gone) = self.files.iter().find(|file| !file.is_there()) else { return };
        say(format_args!("whybus: {} was removed; it is made anew", gone.path.display()));
        let history = dir::history(&self.options.state_dir);
        let anew = self.files.iter().any(|file| file.path == history && !file.is_there());
        if let Some(store) = &mut self.store {
            // Of one that nobody finds it does not matter whether this is written.
            let _ = store.end(now);
        }
        (self.lock, self.store) = (None, None);
        self.files.clear();
        let Some(begun) = &mut self.begun else { return };
        begun.gap = anew.then(|| Gap {
            host: begun.host.as_str().into(),
            boot_id: begun.boot_id.as_str().into(),
            since: Time(begun.since.min(now)),
            until: Time(now),
            reason: GapReason::Removed,
            lost: None,
        });
        (begun.since, begun.noted) = (now, false);
    }

    fn beat(&mut self, seen: i64, stopped: bool) {
        // What stands there is what the next gap is counted from: not before this run is noted.
        let begun = self.begun.as_ref().filter(|begun| begun.noted);
        let (Some(lock), Some(begun)) = (&self.lock, begun) else { return };
        let beat = Heartbeat {
            pid: std::process::id(),
            boot_id: begun.boot_id.clone(),
            since: begun.since,
            seen,
            stopped,
            steady_ns: self.steady.ns(),
            verdict: match &self.failing {
                Some(Failing { why, .. }) => Some(Verdict::new(
                    Readiness::NotReady,
                    Some(&format!(
                        "the history takes nothing, and incidents wait in memory: {why}"
                    )),
                )),
                None => self.verdict.clone(),
            },
        };
        // A full disk is told of where incidents are kept.
        let _ = lock.beat(&beat);
    }

    /// Gives back what writing took, once nothing has been written since the last beat.
    fn rest(&mut self) {
        if std::mem::take(&mut self.wrote) {
            self.tired = true;
        } else if std::mem::take(&mut self.tired)
            && let Some(store) = &self.store
        {
            // What it does not give back it uses again.
            let _ = store.rest();
            memory::trim();
        }
    }

    /// Hands everything to the disk. What was lost while it was full is known only once it takes something again.
    fn flush_at_end(&mut self) {
        self.flush(true);
        if !self.waiting.is_empty() {
            self.flush(true);
        }
    }

    /// Hands what waits to the disk, unless that has just failed. At the `end` it is tried anyway.
    fn flush(&mut self, end: bool) {
        let due = self.failing.as_ref().is_none_or(|failing| Instant::now() >= failing.again);
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
            store.put(self.waiting.iter().take(count).map(Ok::<_, Error>))?;
            self.waiting.drain(..count);
            self.wrote = true;
        }
        Ok(())
    }

    /// The disk did not take it: says so once, and when it is tried again.
    pub fn failed(&mut self, error: &Error) {
        let again = Instant::now() + AGAIN;
        if let Some(failing) = &mut self.failing {
            failing.again = again;
            return;
        }
        self.failing = Some(Failing { since: now(), again, why: error.to_string() });
        say(format_args!(
            "whybus: cannot write to {}: {error}; watching goes on, the last {WAITING} incidents are \
             kept in memory, and writing is tried again every {} s",
            self.options.state_dir.display(),
            AGAIN.as_secs()
        ));
    }

    /// The disk takes things again: says so, and what was lost meanwhile.
    fn recovered(&mut self) {
        let Some(Failing { since, .. }) = self.failing.take() else { return };
        let lost = std::mem::take(&mut self.dropped);
        say(format_args!(
            "whybus: {} is written to again; meanwhile {} lost",
            self.options.state_dir.display(),
            match lost {
                0 => "nothing was".to_owned(),
                1 => "1 incident was".to_owned(),
                lost => format!("{lost} incidents were"),
            }
        ));
        if let Some(begun) = self.begun.as_ref().filter(|_| lost != 0) {
            let gap = Gap {
                host: begun.host.as_str().into(),
                boot_id: begun.boot_id.as_str().into(),
                since: Time(since),
                until: Time(now()),
                reason: GapReason::DiskFull,
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
        let keep = i64::try_from(self.options.keep.as_nanos()).unwrap_or(i64::MAX);
        let oldest = if self.steady.is_confirmed() { now().saturating_sub(keep) } else { i64::MIN };
        match store.retain(oldest, self.options.keep_size) {
            // The rest when there is nothing better to do.
            Ok(true) => {}
            Ok(false) => self.retained = Some(Instant::now()),
            Err(error) => {
                self.retained = Some(Instant::now());
                say(format_args!(
                    "whybus: cannot forget old incidents in {}: {error}; tried again in {} s",
                    self.options.state_dir.display(),
                    RETENTION.as_secs()
                ));
            }
        }
    }

    /// Counts some of what was there before counts were kept, where that is due.
    fn count(&mut self) {
        let Some(store) =
            self.store.as_mut().filter(|_| self.count.is_some_and(|at| at <= Instant::now()))
        else {
            return;
        };
        self.count = match store.count_more() {
            Ok(more) => more.then(|| Instant::now() + PAUSE),
            Err(error) => {
                say(format_args!(
                    "whybus: cannot count what is in {}: {error}; tried again in {} s",
                    self.options.state_dir.display(),
                    RETENTION.as_secs()
                ));
                Some(Instant::now() + RETENTION)
            }
        };
    }

    fn end(&mut self, until: i64) {
        if !self.waiting.is_empty() {
            say(format_args!(
                "whybus: {} incidents were in memory only and are lost: the disk did not take them",
                self.waiting.len()
            ));
        }
        if let Some(store) = &mut self.store
            && let Err(error) = store.end(until)
        {
            say(format_args!("whybus: writing to {}: {error}", self.options.state_dir.display()));
        }
        self.beat(until, true);
    }
}

/// Why nobody was watching after the recorder that said this last.
fn absence(before: &Heartbeat, boot_id: &str) -> GapReason {
    match (before.stopped, before.boot_id == boot_id) {
        (true, _) => GapReason::Stopped,
        (false, false) => GapReason::Rebooted,
        (false, true) => GapReason::Killed,
    }
}

/// Ns since the epoch.
pub fn now() -> i64 {
    clock::boot_to_realtime().realtime(clock::boot_time())
}

#[cfg(test)]
mod tests;

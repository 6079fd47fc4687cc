//! A thread that asks, and whether it hangs.
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, SyncSender},
    },
};

use tokio::sync::mpsc::UnboundedSender;

use crate::{enrich::process::Stat, host::privilege};

pub(super) type Ask<T> = Box<dyn FnOnce() -> T + Send>;

thread_local! {
    /// Who works in place of this thread.
    static AT_WORK: RefCell<Option<Arc<AtomicU32>>> = const { RefCell::new(None) };
}

/// While it is there, another process does what this thread waits for: whether it gets on is seen by that one.
pub(super) struct Delegated {
    at_work: Arc<AtomicU32>,
    /// Who did so before: one question may be asked within another.
    before: u32,
}

impl Delegated {
    pub fn to(pid: u32) -> Option<Self> {
        let at_work = AT_WORK.with_borrow(Clone::clone)?;
        let before = at_work.swap(pid, Ordering::Relaxed);
        Some(Self { at_work, before })
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        self.at_work.store(self.before, Ordering::Relaxed);
    }
}

fn own() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// The way to a thread, which ends when this is dropped.
pub(super) struct Worker<T> {
    jobs: SyncSender<(u64, Ask<T>)>,
    /// Its tid; 0 until it runs for the first time.
    tid: Arc<AtomicU32>,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts one that reports what it is answered.
    pub fn start(report: &UnboundedSender<(u64, T)>) -> Option<Self> {
        let (sender, jobs) = mpsc::sync_channel::<(u64, Ask<T>)>(1);
        let worker = Self { jobs: sender, tid: Arc::default() };
        let (report, tid) = (report.clone(), Arc::clone(&worker.tid));
        let work = move || {
            tid.store(own(), Ordering::Relaxed);
            AT_WORK.set(Some(tid));
            for (job, ask) in jobs {
                if report.send((job, ask())).is_err() {
                    return;
                }
            }
        };
        privilege::spawn("whybus-ask", work).ok()?;
        Some(worker)
    }

    /// Gives it a question to ask; whether it is there to ask it.
    pub fn ask(&self, job: u64, ask: Ask<T>) -> bool {
        self.jobs.send((job, ask)).is_ok()
    }
}

impl<T> Worker<T> {
    /// Whether it does not sleep: nobody makes it hang, it only waits for the CPU.
    pub fn is_runnable(&self) -> bool {
        let tid = self.tid.load(Ordering::Relaxed);
        // /proc has every thread by its tid, though it lists processes only.
        tid == 0 || Stat::read(tid).is_some_and(|stat| stat.state == b'R')
    }

    /// How often it has gone to sleep.
    pub fn sleeps(&self) -> Option<u64> {
        let tid = self.tid.load(Ordering::Relaxed);
        let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        let count = |line: &str| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok();
        status.lines().find_map(count)
    }
}

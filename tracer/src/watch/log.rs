//! Prints what the probes say of themselves, in a thread of its own: who does not read it holds nobody up.
use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::Duration,
};

use crate::{
    host::{
        clock::{boot_time, boot_to_realtime},
        privilege,
    },
    model::log::LogLine,
    probe::log::ProbeLog,
    render::{
        log::{left_out, line},
        style::Style,
    },
    sink::speak::offer,
};

/// How often the log is looked into.
const EVERY: Duration = Duration::from_millis(100);
/// What is left out is told so often at most, in looks.
const TELL: u32 = 10;
/// How long a line may wait for a terminal that is busy, ns.
const BUSY: u32 = 50_000_000;
/// How long the last lines may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The thread; it is stopped when this is dropped.
pub struct Listener {
    stop: Option<Sender<()>>,
    stopped: Receiver<()>,
}

impl Listener {
    /// Prints on standard error from now on.
    pub fn start(log: ProbeLog, style: Style) -> Self {
        let (stop, asked) = mpsc::channel();
        let (done, stopped) = mpsc::channel();
        let mut printer = Printer { log, style, shown: 0, left_out: 0 };
        let listen = move || {
            let mut looks = 0;
            while asked.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                looks += 1;
                printer.look(looks % TELL == 0);
            }
            printer.look(true);
            drop(done);
        };
        // Without the thread the probes are heard by nobody; all else is as it was.
        let _ = privilege::spawn("whybus-log", listen);
        Self { stop: Some(stop), stopped }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.stopped.recv_timeout(TIMEOUT);
    }
}

struct Printer {
    log: ProbeLog,
    style: Style,
    /// Lines that were printed.
    shown: u64,
    /// Lines that were not, as far as that was told.
    left_out: u64,
}

impl Printer {
    fn look(&mut self, tell: bool) {
        // Before the log is read: what is said meanwhile is counted by the next look.
        let sent = self.log.sent();
        let clock = boot_to_realtime();
        let logged: Vec<LogLine> = self.log.read();
        // Of a reader that took none all are left out, not each after a time.
        let printed = |logged: &&LogLine| offer(&line(logged, clock, &self.style), BUSY);
        self.shown += logged.iter().take_while(printed).count() as u64;
        let left = sent.saturating_sub(self.shown);
        if tell && left > self.left_out {
            offer(&left_out(left - self.left_out, boot_time(), clock, &self.style), BUSY);
            self.left_out = left;
        }
    }
}

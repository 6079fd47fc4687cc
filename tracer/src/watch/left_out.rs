//! What there was too much of, or could not be read: counted by others, told as it grows, and what went wrong said now and then.
use std::time::{Duration, Instant};

use crate::{
    enrich::parser::{Failures, Parser},
    model::{input::WatchNote, signal::SignalsUntold},
    probe::{counters::Counters, stacks::StackRing},
    sink::speak::say,
};

/// How often it is said that files could not be read.
const PACE: Duration = Duration::from_secs(60);

/// As the driver knows.
pub struct LeftOut {
    /// Shrinks that the kernel did not send.
    suppressed: u64,
    /// Signals that it did not send.
    signals: SignalsUntold,
    /// Stacks that it did not capture.
    stacks: u64,
    /// Files of programs that could not be read.
    files: u64,
    said: Option<Instant>,
    parser: Parser,
}

impl LeftOut {
    /// Nothing yet.
    pub fn by(parser: Parser) -> Self {
        let signals = SignalsUntold::default();
        Self { suppressed: 0, signals, stacks: 0, files: 0, said: None, parser }
    }

    /// What was left out since.
    pub fn news(&mut self, counters: &Counters, stacks: &StackRing) -> Vec<WatchNote> {
        let mut news = Vec::new();
        let count = counters.shared_suppressed().unwrap_or(self.suppressed);
        if std::mem::replace(&mut self.suppressed, count) != count {
            news.push(WatchNote::SharedSuppressed { count });
        }
        let signals = counters.signals_untold().unwrap_or(self.signals);
        if std::mem::replace(&mut self.signals, signals) != signals {
            news.push(WatchNote::SignalsUntold(signals));
        }
        let count = stacks.lost().unwrap_or(self.stacks);
        if std::mem::replace(&mut self.stacks, count) != count {
            news.push(WatchNote::StacksLost { count });
        }
        let Failures { count, last } = self.parser.failures();
        if std::mem::replace(&mut self.files, count) != count {
            news.push(WatchNote::FilesUnread { count });
            if self.said.is_none_or(|at| at.elapsed() >= PACE) {
                self.said = Some(Instant::now());
                say(format_args!(
                    "whybus: {last}; functions and lines may be missing ({count} so far)"
                ));
            }
        }
        news
    }
}

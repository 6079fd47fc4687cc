//! Files of programs that could not be read: counted, and said now and then.
use std::time::{Duration, Instant};

use crate::{
    enrich::parser::{Failures, Parser},
    model::input::WatchNote,
    sink::speak::say,
};

/// How often it is said.
const PACE: Duration = Duration::from_secs(60);

pub struct Unread {
    parser: Parser,
    /// How many there were, as the driver knows.
    known: u64,
    said: Option<Instant>,
}

impl Unread {
    pub fn of(parser: Parser) -> Self {
        Self { parser, known: 0, said: None }
    }

    /// Which process is not reported, whatever becomes of it: it is said here.
    pub fn whose(&self) -> Option<WatchNote> {
        self.parser.pid().map(|tgid| WatchNote::Parser { tgid })
    }

    /// What is new.
    pub fn news(&mut self) -> Option<WatchNote> {
        let Failures { count, last } = self.parser.failures();
        if std::mem::replace(&mut self.known, count) == count {
            return None;
        }
        if self.said.is_none_or(|at| at.elapsed() >= PACE) {
            self.said = Some(Instant::now());
            say(format_args!(
                "whybus: {last}; its functions and lines may be missing ({count} so far)"
            ));
        }
        Some(WatchNote::FilesUnread { count })
    }
}

//! The one writer: renders updates in the format asked for and puts them on standard output.
use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Result;
use jiff::tz::TimeZone;

use crate::{
    cli::{Format, Output},
    correlate::update::{Counts, Update},
    model::host::Host,
    render::{
        human::{self, Style},
        json, oneline,
    },
    sink::Sink,
};

/// Standard output in one format.
pub struct StdoutSink {
    format: Format,
    style: Style,
}

impl StdoutSink {
    pub fn new(output: &Output) -> Self {
        Self { format: output.output, style: style(output.utc) }
    }

    /// In local time.
    pub fn of(format: Format) -> Self {
        Self { format, style: style(false) }
    }
}

impl Sink for StdoutSink {
    /// Says what is watched. People read it beside the stream, not in it.
    fn watching(&mut self, host: &Host) -> Result<()> {
        match self.format {
            Format::Json => put(&json::watching(host)),
            Format::Human | Format::Oneline => tell(&human::watching(host, &self.style)),
        }
    }

    fn update(&mut self, update: &Update, host: &Host) -> Result<()> {
        let Self { style, .. } = self;
        let told = |incident, update| json::told(incident, host, update);
        let bytes = match (self.format, update) {
            (Format::Json, Update::Incident(incident)) => json::bytes(&told(incident, false)),
            (Format::Json, Update::Change(incident)) => json::bytes(&told(incident, true)),
            (Format::Json, Update::Truncation(truncation)) => json::truncation(truncation, host),
            (Format::Json, Update::Loss(loss)) => json::loss(loss, host),
            (Format::Json, Update::Missed { time, hook, calls, .. }) => {
                json::missed(*time, hook, *calls, host)
            }
            (Format::Human, Update::Incident(incident)) => {
                human::incident(&told(incident, false), style)
            }
            (Format::Human, Update::Change(incident)) => {
                human::update(&told(incident, true), style)
            }
            (Format::Human, Update::Truncation(truncation)) => {
                human::truncation(truncation, host, style)
            }
            (Format::Oneline, Update::Incident(incident)) => {
                oneline::incident(&told(incident, false), style)
            }
            (Format::Oneline, Update::Change(_)) => return Ok(()),
            (Format::Oneline, Update::Truncation(truncation)) => {
                oneline::truncation(truncation, host, style)
            }
            (Format::Human | Format::Oneline, Update::Missed { hook, calls, .. }) => {
                return tell(&human::missed(hook, *calls, style));
            }
            (Format::Human | Format::Oneline, Update::Loss(loss)) => {
                return tell(&human::loss(loss, host, style));
            }
        };
        put(&bytes)
    }

    fn end(&mut self, counts: &Counts, host: &Host, now: u64, reason: &str) -> Result<()> {
        match self.format {
            Format::Json => put(&json::end(counts, host, now, reason)),
            Format::Human | Format::Oneline => tell(&human::end(counts, host, now, reason)),
        }
    }
}

/// How to print to standard output, for a terminal or not.
pub fn style(utc: bool) -> Style {
    // https://no-color.org: any value but the empty one.
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
    Style { colour: io::stdout().is_terminal() && !plain, zone, history: false }
}

/// Writes bytes to standard output, at once.
///
/// # Errors
/// Where nobody reads any more.
pub fn put(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

fn tell(bytes: &[u8]) -> Result<()> {
    // A closed standard error is nobody's problem.
    let _ = io::stderr().lock().write_all(bytes);
    Ok(())
}

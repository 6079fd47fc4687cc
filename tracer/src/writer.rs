//! The one writer: renders updates in the format asked for and puts them on standard output.
use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Result;
use jiff::tz::TimeZone;

use crate::{
    cli::{Format, Output},
    correlate::engine::{Counts, Update},
    event::model::Host,
    output::{
        human::{self, Style},
        json, oneline,
    },
};

/// Standard output in one format.
pub struct Writer {
    format: Format,
    style: Style,
}

impl Writer {
    pub fn new(output: &Output) -> Self {
        // https://no-color.org: any value but the empty one.
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let zone = if output.utc { TimeZone::UTC } else { TimeZone::system() };
        let colour = io::stdout().is_terminal() && !plain;
        Self { format: output.output, style: Style { colour, zone } }
    }

    /// Says what is watched. People read it beside the stream, not in it.
    ///
    /// # Errors
    /// Where nobody reads any more.
    pub fn watching(&self, host: &Host) -> Result<()> {
        match self.format {
            Format::Json => put(&json::watching(host)),
            Format::Human | Format::Oneline => tell(&human::watching(host, &self.style)),
        }
    }

    /// # Errors
    /// Where nobody reads any more.
    pub fn update(&self, update: &Update, host: &Host) -> Result<()> {
        let Self { style, .. } = self;
        let bytes = match (self.format, update) {
            (Format::Json, Update::Incident(incident)) => json::incident(incident, host, false),
            (Format::Json, Update::Change(incident)) => json::incident(incident, host, true),
            (Format::Json, Update::Truncation(truncation)) => json::truncation(truncation, host),
            (Format::Human, Update::Truncation(truncation)) => {
                human::truncation(truncation, host, style)
            }
            (Format::Oneline, Update::Truncation(truncation)) => {
                oneline::truncation(truncation, host, &style.zone)
            }
            (Format::Json, Update::Loss(gap)) => json::loss(gap, host),
            (Format::Human, Update::Incident(incident)) => human::incident(incident, host, style),
            (Format::Human, Update::Change(incident)) => human::update(incident, host, style),
            (Format::Oneline, Update::Incident(incident)) => {
                oneline::incident(incident, host, &style.zone)
            }
            (Format::Oneline, Update::Change(_)) => return Ok(()),
            (Format::Json, Update::Missed { time, hook, calls }) => {
                json::missed(*time, hook, *calls, host)
            }
            (Format::Human | Format::Oneline, Update::Missed { hook, calls, .. }) => {
                return tell(&human::missed(hook, *calls, style));
            }
            (Format::Human | Format::Oneline, Update::Loss(gap)) => {
                return tell(&human::loss(gap, host, style));
            }
        };
        put(&bytes)
    }

    /// # Errors
    /// Where nobody reads any more.
    pub fn end(&self, counts: &Counts, host: &Host, now: u64, reason: &str) -> Result<()> {
        match self.format {
            Format::Json => put(&json::end(counts, host, now, reason)),
            Format::Human | Format::Oneline => tell(&human::end(counts, host, now, reason)),
        }
    }
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

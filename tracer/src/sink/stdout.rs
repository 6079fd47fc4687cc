//! The one writer: renders updates in the format asked for and puts them on standard output.
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env,
    sync::{Once, OnceLock},
};

use anyhow::Result;
use jiff::tz::TimeZone;

use crate::{
    contract::{
        End, Record,
        convert::{end_record, update_record, watching_record},
    },
    correlate::update::{Counts, Update},
    host::here::here,
    model::host::Host,
    render::{
        Format,
        human::{self, Style},
        json, oneline, warning, watching,
    },
    sink::{
        Sink,
        speak::{self, page_through, put, say},
        terminal,
    },
    text::escape::escape,
};

/// Standard output in one format.
pub struct StdoutSink {
    format: Format,
    style: Style,
    /// How to print what is said beside it.
    beside: Style,
    /// Nothing is said of the watch itself.
    quiet: bool,
    /// Not all that is watched was asked for.
    filtered: bool,
    /// Causes that were reported, each with how often.
    causes: RefCell<BTreeMap<String, u64>>,
    /// The last that was printed said what became of an incident.
    updates: Cell<bool>,
}

impl StdoutSink {
    /// Standard output in that format, times in UTC or local.
    pub fn new(format: Format, utc: bool) -> Self {
        let style = style(utc);
        let beside = Style { width: terminal::width_beside(), ..style.clone() };
        Self {
            format,
            style,
            beside,
            quiet: false,
            filtered: false,
            causes: RefCell::default(),
            updates: Cell::default(),
        }
    }

    /// The same of a recording: its day is named.
    pub fn recorded(mut self) -> Self {
        self.beside.dated = true;
        self
    }

    /// The same, and nothing of the watch itself where people read.
    pub fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }
}

impl StdoutSink {
    /// The same of a part of what is watched: what is counted of all of it is not said beside that.
    pub fn filtered(self, filtered: bool) -> Self {
        Self { filtered, ..self }
    }

    /// Prints one record. People read what is told of the watch itself beside the stream, not in it.
    ///
    /// # Errors
    /// Where nobody reads any more.
    pub fn print(&self, record: &Record) -> Result<()> {
        let Self { format, style, beside, .. } = self;
        // Nobody here has anything to fear: for the history alone.
        if matches!(record, Record::Truncation(told) if !told.is_warning()) {
            return Ok(());
        }
        if *format == Format::Json {
            return put(&json(record));
        }
        if let Record::Incident(incident) = record {
            let class = incident.cause.class.name().to_owned();
            *self.causes.borrow_mut().entry(class).or_default() += 1;
        }
        let is_update = matches!(record, Record::Update(_));
        let among_updates = self.updates.replace(is_update) && is_update;
        match (format, record) {
            (_, Record::Watching(_) | Record::Loss(_) | Record::Missed(_) | Record::End(_))
                if self.quiet =>
            {
                Ok(())
            }
            (_, Record::Watching(told)) => said(&watching::human(told, beside)),
            (_, Record::Loss(loss)) => said(&human::loss(loss, beside)),
            (_, Record::Missed(missed)) => said(&human::missed(missed, beside)),
            (_, Record::End(end)) if self.filtered => {
                let end = End { not_warned: 0, ..end.clone() };
                said(&human::end(&end, &self.causes.borrow(), beside))
            }
            (_, Record::End(end)) => said(&human::end(end, &self.causes.borrow(), beside)),
            (Format::Oneline, Record::Incident(incident)) => {
                put(&oneline::incident(incident, style))
            }
            (Format::Oneline, Record::Truncation(truncation)) => {
                put(&oneline::truncation(truncation, style))
            }
            (Format::Human, Record::Incident(incident)) => put(&human::incident(incident, style)),
            (Format::Human, Record::Update(incident)) => {
                // It is no part of the answer before it.
                let apart = if among_updates { &b""[..] } else { b"\n" };
                put(&[apart, &human::update(incident, style)].concat())
            }
            (Format::Oneline, Record::Update(incident)) => put(&oneline::update(incident, style)),
            (Format::Human, Record::Truncation(truncation)) => {
                put(&warning::truncation(truncation, style))
            }
            // What a watch does not report.
            _ => Ok(()),
        }
    }
}

impl Sink for StdoutSink {
    fn watching(&mut self, host: &Host) -> Result<()> {
        self.print(&watching_record(host))
    }

    fn update(&mut self, update: &Update, host: &Host) -> Result<()> {
        self.print(&update_record(update, host))
    }

    fn end(&mut self, counts: &Counts, host: &Host, now: u64, reason: &str) -> Result<()> {
        self.print(&end_record(counts, host, now, reason))
    }
}

/// How to print to standard output, for a terminal or not.
pub fn style(utc: bool) -> Style {
    let zone = if utc { TimeZone::UTC } else { local() };
    Style {
        colour: terminal::coloured(),
        zone,
        history: false,
        dated: false,
        hosts: false,
        width: terminal::width(),
        ids: BTreeMap::new(),
        flags: FLAGS.get().cloned().unwrap_or_default(),
        here: None,
    }
}

/// With what the commands that are offered are to be typed, a space before it.
static FLAGS: OnceLock<String> = OnceLock::new();

/// Keeps what was typed to ask another history than the usual one.
pub fn offer_with(flags: String) {
    // Only a second command line would differ.
    let _ = FLAGS.set(flags);
}

/// The zone of this host, or as TZ says.
fn local() -> TimeZone {
    static SAID: Once = Once::new();
    let zone = TimeZone::system();
    if let Some(asked) = env::var_os("TZ").filter(|asked| !asked.is_empty() && zone.is_unknown()) {
        let asked = escape(asked.as_encoded_bytes());
        SAID.call_once(|| {
            say(format_args!(
                "TZ={asked} is not a time zone that this host knows: times are in UTC"
            ));
        });
    }
    zone
}

/// The same for what a history has of so many hosts.
pub fn history_style(utc: bool, hosts: u64) -> Style {
    Style { history: true, hosts: hosts > 1, here: Some(here()), ..style(utc) }
}

/// Shows what comes through a pager, if a person reads it on a terminal.
pub fn page(format: Format) {
    page_from(format, false);
}

/// The same, its end first if that is what was asked for.
pub fn page_from(format: Format, at_end: bool) {
    let pager = terminal::pager().filter(|_| format != Format::Json && terminal::may_page());
    if let Some(pager) = pager {
        page_through(&pager, terminal::is_elevated(), at_end);
    }
}

fn said(bytes: &[u8]) -> Result<()> {
    speak::beside(bytes);
    Ok(())
}

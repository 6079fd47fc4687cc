//! How people are shown things: colours, times, hosts.
use jiff::tz::TimeZone;

use crate::{
    contract::{Incident, Time},
    explain::phrase::short_id,
    text::{
        escape::escape,
        format::{clock, date, zone_name},
    },
};

/// How to print.
#[derive(Clone)]
pub struct Style {
    pub colour: bool,
    pub zone: TimeZone,
    /// Of days gone by: times with their dates, incidents by the start of their id.
    pub history: bool,
    /// Of several hosts: each is named.
    pub hosts: bool,
}

impl Style {
    /// What `show` and `why` find an incident by.
    pub fn reference(&self, incident: &Incident) -> String {
        if self.history { short_id(&incident.id) } else { format!("#{}", incident.number) }
    }

    /// ` on host NAME`, where there are several.
    pub fn host(&self, name: &str) -> String {
        if self.hosts { format!(" on host {}", escape(name.as_bytes())) } else { String::new() }
    }

    pub fn time(&self, time: Time) -> String {
        if self.history { date(time.0, &self.zone) } else { clock(time.0, &self.zone) }
    }

    /// The time, and the name of its zone where it stands alone.
    pub fn time_in_zone(&self, time: Time) -> String {
        format!("{} {}", self.time(time), zone_name(time.0, &self.zone))
    }

    /// With its zone where it is of days gone by: a history may be read in another place. What is told live says it once.
    pub fn stamp(&self, time: Time) -> String {
        if self.history { self.time_in_zone(time) } else { self.time(time) }
    }

    pub fn paint(&self, sgr: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

//! How people are shown things: colours, times, hosts.
use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    contract::{Incident, Time},
    explain::phrase::short_id,
    model::host::Here,
    text::{
        escape::named,
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
    /// Of a recording: the day on which it begins is named.
    pub dated: bool,
    /// Of several hosts: each is named.
    pub hosts: bool,
    /// How wide a line may be, if that is known.
    pub width: Option<usize>,
    /// Characters that an id is shown by, where the usual ones are those of another, too.
    pub ids: BTreeMap<String, usize>,
    /// What a command of ours is to be typed with, a space before it, to ask the same history.
    pub flags: String,
    /// The host that this is shown on, where it may be another than the one it is of.
    pub here: Option<Here>,
}

impl Style {
    /// What `show` and `why` find an incident by.
    pub fn reference(&self, incident: &Incident) -> String {
        if self.history { self.id(&incident.id) } else { format!("#{}", incident.number) }
    }

    /// As much of the beginning of an id as tells it apart.
    pub fn id(&self, id: &str) -> String {
        short_id(id, self.ids.get(id).copied().unwrap_or_default())
    }

    /// ` on host NAME`, where there are several.
    pub fn host(&self, name: &str) -> String {
        match named(name) {
            _ if !self.hosts => String::new(),
            Some(name) => format!(" on host {name}"),
            None => " on a host without a name".to_owned(),
        }
    }

    /// For no terminal: without colours, in UTC, as wide as it comes.
    pub const fn plain(history: bool, hosts: bool) -> Self {
        Self {
            colour: false,
            zone: TimeZone::UTC,
            history,
            dated: false,
            hosts,
            width: None,
            ids: BTreeMap::new(),
            flags: String::new(),
            here: None,
        }
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

    /// Breaks a text that begins at column `start` between its words, where it is too wide; what follows begins there, too.
    pub fn wrap(&self, text: &str, start: usize) -> String {
        /// Narrower columns would only grow long.
        const NARROWEST: usize = 24;
        let Some(room) = self.width.map(|width| width.saturating_sub(start)) else {
            return text.to_owned();
        };
        if room < NARROWEST {
            return text.to_owned();
        }
        let (mut out, mut used) = (String::new(), 0);
        // A line was begun, and has nothing yet.
        let mut fresh = false;
        for (i, word) in words(text).into_iter().enumerate() {
            let long = visible(word);
            if i != 0 && !fresh && used + 1 + long > room {
                out.push('\n');
                out.push_str(&" ".repeat(start));
                (used, fresh) = (0, true);
            } else if i != 0 && !fresh {
                out.push(' ');
                used += 1;
            }
            // What stands apart by two spaces does not begin a line with one.
            if !(fresh && word.is_empty()) {
                out.push_str(word);
                used += long;
                fresh = false;
            }
        }
        out
    }

    /// A first line, and what has no room in it below, set in a little.
    pub fn heading(&self, text: &str) -> String {
        self.wrap(text, 2) + "\n"
    }

    pub fn paint(&self, sgr: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What a line may be broken between: at spaces, but not within a command, which is copied as it is.
fn words(text: &str) -> Vec<&str> {
    let odd = !text.matches('`').count().is_multiple_of(2);
    let mut quoted = false;
    let ends = |c| {
        quoted ^= c == '`' && !odd;
        c == ' ' && !quoted
    };
    text.split(ends).collect()
}

/// Columns that a word takes, without the colours in it.
fn visible(word: &str) -> usize {
    let mut parts = word.split("\x1b[");
    let first = parts.next().unwrap_or_default().width();
    let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text).width());
    first + rest.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_its_words() {
        let style = |width| Style { colour: true, width, ..Style::plain(true, false) };
        let text =
            "cp[5678]  cp /tmp/new.mmdb /efs/geo/GeoIP2.mmdb and what is longer than a line may be";
        assert_eq!(style(None).wrap(text, 10), text);
        assert_eq!(style(Some(30)).wrap(text, 10), text, "too narrow");
        let wrapped = style(Some(50)).wrap(text, 10);
        let lines: Vec<&str> = wrapped.lines().collect();
        assert_eq!(lines[0], "cp[5678]  cp /tmp/new.mmdb");
        assert!(lines[1..].iter().all(|line| line.starts_with("          ") && line.len() <= 50));
        let painted = style(Some(50)).wrap(&style(None).paint("1", "twenty-four columns here"), 10);
        assert_eq!(painted.lines().count(), 1, "colours take no room");
        let apart = format!("{}  (tmpfs 0:28)", "x".repeat(60));
        let wrapped = style(Some(50)).wrap(&apart, 10);
        assert_eq!(wrapped, format!("{}\n          (tmpfs 0:28)", "x".repeat(60)));
        let said = "nothing of that is here: `whybus list --comm geo-api` lists what is";
        let wrapped = style(Some(40)).wrap(said, 0);
        assert!(wrapped.contains("\n`whybus list --comm geo-api`"), "{wrapped}");
        assert_eq!(words("a `b c").len(), 3, "no command");
        assert_eq!(visible("\x1b[1mab\x1b[0mc"), 3);
    }
}

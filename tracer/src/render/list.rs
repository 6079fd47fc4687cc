//! `whybus list`: a row an incident, or a warning. Pure.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    contract::{Container, Incident, Process, Truncation, Untrusted},
    correlate::cause::SignalFrom,
    explain::phrase::{culprit, did_it, mapped_by, who},
    model::{
        cause::{Confidence, Outcome},
        container::{SHORT, is_id},
        signal_name as signals,
    },
    render::{
        columns::{Column, Keeps},
        csv,
        style::Style,
        table::Cell,
        warning::warned_path,
    },
    text::{
        apart::apart,
        escape::{UNKNOWN, escape, host_word},
        format::{age, date, duration, rfc3339, size, zone_name},
    },
};

/// What can be shown of an incident in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Id,
    Time,
    Age,
    Host,
    Victim,
    Unit,
    How,
    Cause,
    File,
    By,
    Uid,
    Cgroup,
    Container,
    Restart,
    Signature,
}

impl Shown {
    pub const ALL: [Self; 15] = [
        Self::Id,
        Self::Time,
        Self::Age,
        Self::Host,
        Self::Victim,
        Self::Unit,
        Self::How,
        Self::Cause,
        Self::File,
        Self::By,
        Self::Uid,
        Self::Cgroup,
        Self::Container,
        Self::Restart,
        Self::Signature,
    ];

    /// As `--columns` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Time => "time",
            Self::Age => "age",
            Self::Host => "host",
            Self::Victim => "victim",
            Self::Unit => "unit",
            Self::How => "how",
            Self::Cause => "cause",
            Self::File => "file",
            Self::By => "by",
            Self::Uid => "uid",
            Self::Cgroup => "cgroup",
            Self::Container => "container",
            Self::Restart => "restart",
            Self::Signature => "signature",
        }
    }

    /// Its column. The last that goes is what tells most.
    pub fn column(self) -> Column {
        match self {
            Self::Id => Column::fixed("ID").spills(),
            Self::Time => Column::flexible("TIME", 11).keep(Keeps::Clock).rank(1),
            Self::Age => Column::fixed("AGE").right().rank(1),
            Self::Host => Column::flexible("HOST", 8).keep(Keeps::Difference).rank(5),
            Self::Victim => Column::flexible("VICTIM", 10).keep(Keeps::From('[')),
            Self::Unit => Column::flexible("UNIT", 14).keep(Keeps::End).rank(6),
            Self::How => Column::flexible("HOW", 8).keep(Keeps::Items).rank(4).whole(),
            Self::Cause => Column::flexible("CAUSE", 9).keep(Keeps::From('?')).whole(),
            Self::File => Column::flexible("FILE", 6).keep(Keeps::End).rank(3),
            Self::By => Column::flexible("BY", 8).keep(Keeps::From('[')).rank(2),
            Self::Uid => Column::fixed("UID").right().rank(7),
            Self::Cgroup => Column::flexible("CGROUP", 12).keep(Keeps::End).rank(7),
            Self::Container => Column::flexible("CONTAINER", 12).keep(Keeps::End).rank(7),
            Self::Restart => Column::flexible("RESTART", 8).rank(7),
            Self::Signature => Column::flexible("SIGNATURE", 12).rank(7),
        }
    }

    /// How wide it usually is, or where there is little room: for rows that are not there yet.
    pub fn usual_width(self, narrow: bool) -> usize {
        match self {
            Self::Id if !narrow => 16,
            Self::Victim | Self::By if !narrow => 22,
            Self::How if !narrow => 16,
            Self::File if !narrow => 32,
            Self::Age => 3,
            Self::Uid => 5,
            Self::How => 7,
            Self::Host | Self::Container | Self::By => 12,
            Self::Id => 13,
            Self::Restart => 14,
            Self::Cause => 15,
            Self::Victim => 16,
            Self::Time => 19,
            Self::Unit => 20,
            Self::File | Self::Cgroup | Self::Signature => 24,
        }
    }

    /// What stands over it, where that is more than its name.
    pub fn head(self, style: &Style, now: i64) -> String {
        match self {
            Self::Time => format!("TIME ({})", zone_name(now, &style.zone)),
            _ => String::new(),
        }
    }
}

/// One incident, in these columns.
pub fn row(incident: &Incident, fields: &[Shown], style: &Style, now: i64) -> Vec<Cell> {
    fields.iter().map(|field| cell(incident, *field, style, now)).collect()
}

/// One incident for a spreadsheet: nothing is cut, times are RFC 3339, and what is not known is empty.
pub fn csv_row(incident: &Incident, fields: &[Shown], now: i64) -> String {
    let style = Style::plain(true, true);
    let text = |field: &Shown| match field {
        Shown::Id => escape(incident.id.as_bytes()),
        Shown::Time => rfc3339(incident.time.0),
        _ => match cell(incident, *field, &style, now).text {
            unknown if unknown == UNKNOWN => String::new(),
            known => known,
        },
    };
    let cells: Vec<String> = fields.iter().map(text).collect();
    csv::line(cells.iter().map(String::as_str))
}

/// One cell; what is not known is a dash, so that a column keeps its number for a script.
fn cell(incident: &Incident, field: Shown, style: &Style, now: i64) -> Cell {
    let victim = &incident.victim;
    let text = |known: Option<String>| Cell::plain(known.unwrap_or_else(|| UNKNOWN.to_owned()));
    match field {
        Shown::Id => Cell::painted("33", style.id(&incident.id)),
        Shown::Time => text(date(incident.time.0, &style.zone).get(..19).map(str::to_owned)),
        Shown::Age => text(Some(age(now.saturating_sub(incident.time.0).max(0).unsigned_abs()))),
        Shown::Host => text(Some(host_word(&incident.host))),
        Shown::Victim => Cell::painted("1", who(victim)),
        Shown::Unit => text(home(victim, style)),
        Shown::How => Cell::painted("31", ending(incident)),
        Shown::Cause => {
            let name = escape(incident.cause.class.name().as_bytes());
            match doubts(incident) {
                "" => Cell::plain(name),
                doubts => Cell::painted("33", name + doubts),
            }
        }
        Shown::File => text(incident.path().map(|path| escape(&path.0))),
        // Who only asked for memory did not kill it.
        Shown::By => text(culprit(incident).filter(|_| did_it(incident)).map(who)),
        Shown::Uid => text(Some(victim.uid.to_string())),
        Shown::Cgroup => text(victim.cgroup.as_ref().map(|path| escape(&path.0))),
        Shown::Container => text(victim.container.as_ref().map(|one| container(one, style))),
        Shown::Signature => text(incident.signature.as_ref().map(|one| escape(&one.0))),
        Shown::Restart => text(
            incident
                .restart
                .as_ref()
                .map(|restart| format!("{} after {}", restart.pid, duration(restart.after_ns))),
        ),
    }
}

/// What stands behind a cause that is only likely (`?`), or that more events, or other hooks, might have told otherwise (`*`).
pub fn doubts(incident: &Incident) -> &'static str {
    match (incident.cause.confidence.known(), incident.complete) {
        (Confidence::Likely, true) => "?",
        (Confidence::Likely, false) => "?*",
        (_, true) => "",
        (_, false) => "*",
    }
}

/// What it ran in, in a word: `pod/geo-api-7d9f`, of one without a name `pod/d3b07384`, `geo.service`.
pub fn home(victim: &Process, style: &Style) -> Option<String> {
    let job = victim.slurm.as_ref().map(|job| format!("slurm/{}", job.job));
    let digits = |uid: &str| style.ids.get(uid).copied().unwrap_or(POD);
    let pod = victim.pod.as_ref();
    let pod = pod.map(|pod| format!("pod/{}", name_or(&pod.name, &pod.uid, digits(&pod.uid))));
    let inside =
        victim.container.as_ref().map(|one| format!("container/{}", container(one, style)));
    let unit = || Some(escape(&victim.unit.as_ref()?.0));
    job.or(pod).or(inside).or_else(unit)
}

/// Of a pod without a name so much of its uid is shown, or as much as tells it apart.
pub const POD: usize = 8;

/// How much of the ids of their containers, and of the uids of their pods, tells these victims apart, where the usual is not
/// enough: for [`Style::ids`].
pub fn homes_apart<'a>(victims: impl Iterator<Item = &'a Process>) -> BTreeMap<String, usize> {
    let mut homes = Homes::default();
    homes.learn(victims);
    homes.apart()
}

/// Containers and pods without names that were shown: what comes later is told from them, too.
#[derive(Default)]
pub struct Homes {
    containers: BTreeSet<String>,
    pods: BTreeSet<String>,
}

impl Homes {
    /// Takes in where these ran.
    pub fn learn<'a>(&mut self, victims: impl Iterator<Item = &'a Process>) {
        /// What was shown so long ago is not compared any more.
        const KEPT: usize = 10_000;
        for victim in victims {
            let container = victim.container.as_ref();
            let container = container.filter(|one| one.name.is_none() && is_id(&one.id));
            let pod = victim.pod.as_ref().filter(|pod| pod.name.is_none());
            let ids = [
                (&mut self.containers, container.map(|one| &one.id)),
                (&mut self.pods, pod.map(|pod| &pod.uid)),
            ];
            for (known, id) in ids {
                if known.len() >= KEPT {
                    known.clear();
                }
                known.extend(id.map(|id| id.to_string()));
            }
        }
    }

    /// As [`homes_apart`].
    pub fn apart(&self) -> BTreeMap<String, usize> {
        let mut long = apart(self.pods.iter().map(String::as_str), POD);
        long.extend(apart(self.containers.iter().map(String::as_str), SHORT));
        long
    }
}

/// The name of a container, or else the beginning of its id.
fn container(container: &Container, style: &Style) -> String {
    let Container { id, name, .. } = container;
    let digits = || style.ids.get(&**id).copied().unwrap_or(SHORT);
    name_or(name, id, if is_id(id) { digits() } else { id.len() })
}

fn name_or(name: &Option<Untrusted>, id: &str, digits: usize) -> String {
    match name {
        Some(name) => escape(&name.0),
        None => escape(id.chars().take(digits).collect::<String>().as_bytes()),
    }
}

/// How it ended, in a word or two: `SIGBUS`, `SIGSEGV, exit 2`, `exit 1`, `EFAULT`.
pub fn ending(incident: &Incident) -> String {
    let exit = incident.exit.as_ref();
    let signal = || match exit.and_then(|exit| exit.signal) {
        Some(number) if incident.signal.is_none() && incident.fault.is_none() => {
            signals::name(number as i32)
        }
        _ => escape(incident.signal_name().as_bytes()),
    };
    let ended = exit.map(|exit| match exit.signal {
        Some(number) => signals::name(number as i32),
        None => format!("exit {}", exit.code.unwrap_or(0)),
    });
    let no_signal = incident.cause.class.known().cause().signal_from == SignalFrom::NoSignal;
    match incident.outcome.known() {
        Outcome::Efault => "EFAULT".to_owned(),
        Outcome::Killed if exit.is_some_and(|exit| exit.core) => format!("{}, core", signal()),
        Outcome::Killed => signal(),
        Outcome::Exited if no_signal => ended.unwrap_or_else(|| "exit".to_owned()),
        Outcome::Exited => format!("{}, {}", signal(), ended.unwrap_or_else(|| "exit".to_owned())),
        Outcome::Survived => format!("{}, survived", signal()),
        Outcome::Pending => format!("{}, not seen", signal()),
    }
}

/// Columns of warnings; the second stands in for the first where there is no room.
pub const WARNING: [Column; 7] = [
    Column::fixed("TIME"),
    Column::fixed("AGE").right(),
    Column::flexible("HOST", 8).keep(Keeps::Difference).rank(2),
    Column::flexible("FILE", 12).keep(Keeps::End),
    Column::fixed("SIZE").rank(1),
    Column::flexible("BY", 8).keep(Keeps::From('[')),
    Column::flexible("AT RISK", 14).keep(Keeps::Items),
];

/// One warning, in those.
pub fn warning(one: &Truncation, style: &Style, now: i64) -> Vec<Cell> {
    let time = date(one.time.0, &style.zone);
    let past = now.saturating_sub(one.time.0).max(0).unsigned_abs();
    let at_risk = match (one.is_warning(), &one.at_risk_why) {
        (true, _) => mapped_by(&one.at_risk),
        (false, Some(_)) => "not known".to_owned(),
        (false, None) => "other hosts".to_owned(),
    };
    vec![
        Cell::plain(time.get(..19).unwrap_or(&time)),
        Cell::plain(age(past)),
        Cell::plain(host_word(&one.host)),
        Cell::plain(warned_path(one)),
        Cell::plain(format!("{} → {}", size(one.old_size), size(one.new_size))),
        Cell::plain(one.culprit.as_ref().map_or_else(|| "elsewhere".to_owned(), who)),
        Cell::painted("33", at_risk),
    ]
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::contract::samples::{full_incident, incident};
    use crate::model::cause::CauseKind;

    #[test]
    fn an_incident_in_a_row() {
        let style = Style::plain(true, true);
        let mut one = incident(CauseKind::Sent, 9);
        one.id = "019aa4d2-6f31-7abc-8def-0123456789ab".into();
        one.cause.confidence = Confidence::Likely.into();
        let now = one.time.0 + 180_000_000_000;
        let cells = row(&one, &Shown::ALL, &style, now);
        let texts: Vec<&str> = cells.iter().map(|cell| &cell.text[..]).collect();
        assert_eq!(texts[0], "019aa4d2-6f31");
        assert_eq!(texts[2], "3m");
        assert_eq!(
            (texts[4], texts[6], texts[7], texts[9]),
            ("geo-api[10]", "SIGKILL", "sent?", "sv[5]")
        );
    }

    #[test]
    fn what_is_incomplete_has_a_mark() {
        let style = Style::plain(true, true);
        let mut one = incident(CauseKind::Sent, 9);
        let mut cause = |confidence: Confidence, complete| {
            (one.cause.confidence, one.complete) = (confidence.into(), complete);
            row(&one, &[Shown::Cause], &style, 0).remove(0).text
        };
        assert_eq!(cause(Confidence::Proven, false), "sent*");
        assert_eq!(cause(Confidence::Likely, false), "sent?*");
        assert_eq!(cause(Confidence::Proven, true), "sent");
    }

    #[test]
    fn hostile_names_stay_in_their_cells() {
        let style = Style::plain(true, true);
        for cell in row(&full_incident(), &Shown::ALL, &style, 0) {
            assert!(!cell.text.chars().any(char::is_control), "{cell:?}");
        }
    }
}

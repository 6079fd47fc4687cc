//! What is asked of a history: the filters of the command line as conditions on columns. Pure.
use wildmatch::WildMatch;

use crate::{
    cli::Select,
    model::cgroup as container,
    select::{filter, time as when},
};

/// What a name is of (`name.kind`). On disk: numbers stay what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Kind {
    Comm = 1,
    Cgroup = 2,
    Path = 3,
    CauseKind = 4,
}

/// Columns that incidents are found by; each has an index that goes on by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Pid,
    Uid,
    Comm,
    Cgroup,
    Path,
    ByPid,
    ByComm,
    CauseKind,
    Status,
    Boot,
    Story,
}

impl Column {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Uid => "uid",
            Self::Comm => "comm",
            Self::Cgroup => "cgroup",
            Self::Path => "path",
            Self::ByPid => "by_pid",
            Self::ByComm => "by_comm",
            Self::CauseKind => "class",
            Self::Status => "status",
            Self::Boot => "boot",
            Self::Story => "story",
        }
    }
}

/// How a name is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// With * and ?.
    Glob(String),
    /// The file itself, a pattern for it, or a directory above it.
    Below(String),
    /// A pattern for it, or a part of it.
    Contains(String),
    /// A cgroup of the container whose id starts so.
    Container(String),
    /// A cgroup of the unit, named with or without its ending.
    Unit(String),
}

impl Pattern {
    /// The only name it can match, if there is only one.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Glob(text) if !text.contains(['*', '?']) => Some(text),
            _ => None,
        }
    }

    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Glob(pattern) => filter::glob(pattern, name),
            Self::Below(pattern) => filter::below(name, pattern),
            Self::Contains(part) => filter::glob(part, name) || filter::contains(name, part),
            Self::Container(start) => filter::in_container(name, start),
            Self::Unit(pattern) => {
                let Some(unit) = container::unit(name) else { return false };
                let text = String::from_utf8_lossy(unit);
                let bare = text.rsplit_once('.').map_or(&text[..], |(bare, _)| bare);
                let pattern = WildMatch::new(pattern);
                pattern.matches(&text) || pattern.matches(bare)
            }
        }
    }
}

/// One of them must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Number(Column, i64),
    Name(Column, Kind, Pattern),
    Host(String),
}

/// All of them must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Ns since the epoch, both included.
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub conditions: Vec<Condition>,
}

impl Query {
    /// What the command line selects.
    ///
    /// # Errors
    /// Where a time is none.
    pub fn of(select: &Select) -> Result<Self, String> {
        let number = |column, value: Option<u32>| {
            value.map(|value| Condition::Number(column, i64::from(value)))
        };
        let name = |column, kind, pattern: Option<Pattern>| {
            pattern.map(|pattern| Condition::Name(column, kind, pattern))
        };
        let glob = |text: &Option<String>| text.clone().map(Pattern::Glob);
        let conditions = [
            number(Column::Pid, select.pid),
            number(Column::Uid, select.uid),
            number(Column::ByPid, select.by_pid),
            number(Column::Status, select.exit),
            name(Column::Comm, Kind::Comm, glob(&select.comm)),
            name(Column::ByComm, Kind::Comm, glob(&select.by_comm)),
            name(Column::CauseKind, Kind::CauseKind, glob(&select.class)),
            name(Column::Cgroup, Kind::Cgroup, select.unit.clone().map(Pattern::Unit)),
            name(Column::Cgroup, Kind::Cgroup, select.cgroup.clone().map(Pattern::Contains)),
            name(Column::Cgroup, Kind::Cgroup, select.container.clone().map(Pattern::Container)),
            name(Column::Path, Kind::Path, select.path.clone().map(Pattern::Below)),
            select.host.clone().map(Condition::Host),
        ];
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| when::parse(text, &when::now())).transpose()
        };
        Ok(Self {
            since: time(&select.since)?,
            until: time(&select.until)?,
            conditions: conditions.into_iter().flatten().collect(),
        })
    }

    /// This, and the condition as well.
    pub fn and(&self, condition: Condition) -> Self {
        let mut query = self.clone();
        query.conditions.push(condition);
        query
    }
}

/// What a selector of `whybus why` may be, most likely first.
pub fn selectors(text: &str) -> Vec<Condition> {
    let mut found = Vec::new();
    if let Ok(pid) = text.parse::<u32>() {
        found.push(Condition::Number(Column::Pid, i64::from(pid)));
    }
    if text.starts_with('/') {
        found.push(Condition::Name(Column::Path, Kind::Path, Pattern::Below(text.to_owned())));
    }
    // The kernel keeps 15 bytes of a name.
    let cut: String = text.chars().take(15).collect();
    let comm = if text.is_ascii() && text.len() > 15 { cut } else { text.to_owned() };
    found.push(Condition::Name(Column::Comm, Kind::Comm, Pattern::Glob(comm)));
    found.push(Condition::Name(Column::Cgroup, Kind::Cgroup, Pattern::Unit(text.to_owned())));
    if text.len() >= container::SHORT && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let start = Pattern::Container(text.to_ascii_lowercase());
        found.push(Condition::Name(Column::Cgroup, Kind::Cgroup, start));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_taken_for_what_it_looks_like() {
        let columns = |text: &str| -> Vec<Column> {
            selectors(text)
                .into_iter()
                .filter_map(|condition| match condition {
                    Condition::Number(column, _) | Condition::Name(column, ..) => Some(column),
                    Condition::Host(_) => None,
                })
                .collect()
        };
        assert_eq!(columns("1234"), [Column::Pid, Column::Comm, Column::Cgroup]);
        assert_eq!(columns("/efs/x"), [Column::Path, Column::Comm, Column::Cgroup]);
        assert_eq!(columns("geo.service"), [Column::Comm, Column::Cgroup]);
        assert_eq!(columns("0123456789ab"), [Column::Comm, Column::Cgroup, Column::Cgroup]);
    }

    #[test]
    fn patterns() {
        let unit = Pattern::Unit("geo".into());
        assert!(unit.matches(b"/system.slice/geo.service"));
        assert!(!unit.matches(b"/system.slice/geo2.service") && !unit.matches(b"/"));
        assert_eq!(Pattern::Glob("geo".into()).exact(), Some("geo"));
        assert_eq!(Pattern::Glob("geo*".into()).exact(), None);
    }
}

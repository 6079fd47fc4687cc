//! The table of what can be asked for: one row a filter. Pure.
use crate::select::{facets::Facets, pattern::Syntax};

/// What a filter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Pid,
    Comm,
    Uid,
    Unit,
    Cgroup,
    Container,
    Pod,
    Namespace,
    Image,
    Path,
    ByPid,
    ByComm,
    Class,
    Exit,
    Host,
    Signature,
}

impl Field {
    /// Whether it says anything of an early warning: nothing has happened to those at risk yet, and of them only
    /// pid and name are known.
    pub fn is_of_warnings(self) -> bool {
        use Field::{ByComm, ByPid, Comm, Host, Path, Pid};
        matches!(self, Pid | Comm | Path | ByPid | ByComm | Host)
    }
}

/// What a name is of (`name.kind`). On disk: numbers stay what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum NameKind {
    Comm = 1,
    Cgroup = 2,
    Path = 3,
    CauseKind = 4,
    /// These belong to a cgroup, and stand in `cgroup_name`.
    Container = 5,
    Pod = 6,
    Namespace = 7,
    Image = 8,
    Signature = 9,
}

impl NameKind {
    /// Whether it is of what is in a cgroup.
    pub fn is_of_cgroup(self) -> bool {
        matches!(self, Self::Container | Self::Pod | Self::Namespace | Self::Image)
    }
}

/// Columns that incidents of a history are found by; each has an index that goes on by time.
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
    /// The restart loop an incident belongs to.
    Story,
    Signature,
}

impl Column {
    /// As the table has it.
    pub fn sql_name(self) -> &'static str {
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
            Self::Signature => "signature",
        }
    }

    /// SQL for what it is called: the name that it holds the number of, or the host of its boot.
    pub fn sql_text(self) -> String {
        self.sql_text_of(self.sql_name())
    }

    /// The same of a value that stands elsewhere.
    pub fn sql_text_of(self, column: &str) -> String {
        match self {
            Self::Boot => {
                format!("(SELECT CAST(host AS BLOB) FROM boot AS of WHERE of.id = {column})")
            }
            _ => format!("(SELECT text FROM name WHERE id = {column})"),
        }
    }

    /// What its names are of, where it holds numbers of names.
    pub fn name_kind(self) -> Option<NameKind> {
        match self {
            Self::Comm | Self::ByComm => Some(NameKind::Comm),
            Self::Cgroup => Some(NameKind::Cgroup),
            Self::Path => Some(NameKind::Path),
            Self::CauseKind => Some(NameKind::CauseKind),
            Self::Signature => Some(NameKind::Signature),
            Self::Pid | Self::Uid | Self::ByPid | Self::Status | Self::Boot | Self::Story => None,
        }
    }
}

/// What of an incident a filter reads: one of the values must match.
#[derive(Clone, Copy)]
pub enum Reads {
    Numbers(fn(&Facets<'_>) -> Vec<u32>),
    Names(for<'a> fn(&Facets<'a>) -> Vec<&'a [u8]>, Syntax),
}

/// One filter.
pub struct Filter {
    pub field: Field,
    /// On the command line, without the dashes in front.
    pub flag: &'static str,
    pub reads: Reads,
    /// Where a history has it. Threads' names have no column: there `comm` is the process'.
    pub column: Column,
}

/// Every filter there is, in the order of [`Field`].
pub const FILTERS: [Filter; 16] = [
    Filter {
        field: Field::Pid,
        flag: "pid",
        reads: Reads::Numbers(|facets| facets.pids.clone()),
        column: Column::Pid,
    },
    Filter {
        field: Field::Comm,
        flag: "comm",
        reads: Reads::Names(|facets| facets.comms.clone(), Syntax::Glob),
        column: Column::Comm,
    },
    Filter {
        field: Field::Uid,
        flag: "uid",
        reads: Reads::Numbers(|facets| one(facets.uid)),
        column: Column::Uid,
    },
    Filter {
        field: Field::Unit,
        flag: "unit",
        reads: Reads::Names(|facets| one(facets.cgroup), Syntax::Unit),
        column: Column::Cgroup,
    },
    Filter {
        field: Field::Cgroup,
        flag: "cgroup",
        reads: Reads::Names(|facets| one(facets.cgroup), Syntax::Contains),
        column: Column::Cgroup,
    },
    Filter {
        field: Field::Container,
        flag: "container",
        reads: Reads::Names(
            |facets| {
                [facets.cgroup, facets.container, facets.container_id]
                    .into_iter()
                    .flatten()
                    .collect()
            },
            Syntax::Container,
        ),
        column: Column::Cgroup,
    },
    Filter {
        field: Field::Pod,
        flag: "pod",
        reads: Reads::Names(
            |facets| [facets.cgroup, facets.pod].into_iter().flatten().collect(),
            Syntax::Pod,
        ),
        column: Column::Cgroup,
    },
    Filter {
        field: Field::Namespace,
        flag: "namespace",
        reads: Reads::Names(|facets| one(facets.namespace), Syntax::Namespace),
        column: Column::Cgroup,
    },
    Filter {
        field: Field::Image,
        flag: "image",
        reads: Reads::Names(|facets| one(facets.image), Syntax::Image),
        column: Column::Cgroup,
    },
    Filter {
        field: Field::Path,
        flag: "path",
        reads: Reads::Names(|facets| one(facets.path), Syntax::Below),
        column: Column::Path,
    },
    Filter {
        field: Field::ByPid,
        flag: "by-pid",
        reads: Reads::Numbers(|facets| one(facets.by_pid)),
        column: Column::ByPid,
    },
    Filter {
        field: Field::ByComm,
        flag: "by-comm",
        reads: Reads::Names(|facets| one(facets.by_comm), Syntax::Glob),
        column: Column::ByComm,
    },
    Filter {
        field: Field::Class,
        flag: "class",
        reads: Reads::Names(|facets| one(facets.class), Syntax::Class),
        column: Column::CauseKind,
    },
    Filter {
        field: Field::Exit,
        flag: "exit",
        reads: Reads::Numbers(|facets| one(facets.status)),
        column: Column::Status,
    },
    Filter {
        field: Field::Host,
        flag: "host",
        reads: Reads::Names(|facets| one(facets.host), Syntax::Host),
        column: Column::Boot,
    },
    Filter {
        field: Field::Signature,
        flag: "signature",
        reads: Reads::Names(|facets| one(facets.signature), Syntax::Glob),
        column: Column::Signature,
    },
];

fn one<T>(value: Option<T>) -> Vec<T> {
    value.into_iter().collect()
}

impl Field {
    /// The names that a history keeps with a cgroup, and that it also means.
    pub fn of_cgroup(self) -> Option<NameKind> {
        match self {
            Self::Container => Some(NameKind::Container),
            Self::Pod => Some(NameKind::Pod),
            Self::Namespace => Some(NameKind::Namespace),
            Self::Image => Some(NameKind::Image),
            _ => None,
        }
    }

    /// Its row of the table.
    pub fn filter(self) -> &'static Filter {
        &FILTERS[self as usize]
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "--{}", self.flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_the_row_of_its_number() {
        for (number, filter) in FILTERS.iter().enumerate() {
            assert_eq!(filter.field as usize, number, "{filter:?}");
            let names = matches!(filter.reads, Reads::Names(..));
            let stored = filter.column.name_kind().is_some() || filter.column == Column::Boot;
            assert_eq!(names, stored, "{filter:?}");
        }
    }
}

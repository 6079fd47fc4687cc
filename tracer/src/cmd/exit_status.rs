//! Exit statuses, as `whybus --help` documents them: the one place that knows them.
use std::{io, process::ExitCode};

use crate::{
    error::Failure,
    sink::speak::{put, say},
    store,
};

/// How a command ended. What goes wrong has a status of its own ([`status_of`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done, found, ready.
    Done,
    /// Nothing found, or not enough.
    NotFound,
    /// `scan`: bus errors are waiting to happen.
    Findings,
    /// Flags, times or selectors that cannot be.
    Usage,
    /// An input cannot be read: no history, a damaged stream, a directory that is refused (EX_NOINPUT).
    Input,
    /// This kernel cannot do it (EX_UNAVAILABLE).
    Unavailable,
    /// Our own mistake, or a disk that does not write (EX_SOFTWARE).
    Internal,
    /// Looked, but not at everything (EX_TEMPFAIL).
    Partly,
    /// No privilege (EX_NOPERM).
    Privilege,
    /// That of the traced command: its own, 128 and the signal that ended it, or 126 and 127 where it cannot be run.
    Command(u8),
}

impl ExitStatus {
    /// As the shell sees it.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotFound | Self::Findings => 1,
            Self::Usage => 2,
            Self::Input => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Partly => 75,
            Self::Privilege => 77,
            Self::Command(status) => status,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.number())
    }
}

/// What went wrong, as far as it has a status.
enum Kind<'a> {
    Failure(&'a Failure),
    Store(&'a store::Error),
    /// Nobody reads any more.
    Closed,
    Other,
}

fn kind(error: &anyhow::Error) -> Kind<'_> {
    error.chain().find_map(known).unwrap_or(Kind::Other)
}

fn known<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<Kind<'a>> {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    let failure = cause.downcast_ref().map(Kind::Failure);
    failure
        .or_else(|| cause.downcast_ref().map(Kind::Store))
        .or_else(|| cause.downcast_ref().is_some_and(closed).then_some(Kind::Closed))
}

/// The status of what went wrong. A reader that went away is no failure.
pub fn status_of(error: &anyhow::Error) -> ExitStatus {
    use store::Error as Store;
    match kind(error) {
        Kind::Closed => ExitStatus::Done,
        Kind::Failure(Failure::Usage(_)) | Kind::Store(Store::NoGroup(_)) => ExitStatus::Usage,
        Kind::Failure(Failure::Input(_))
        | Kind::Store(
            Store::NotFound(_)
            | Store::NotWritten(_)
            | Store::Newer { .. }
            | Store::OtherProgram(_)
            | Store::NoFile(_)
            | Store::Damaged { .. }
            | Store::Corrupt(_)
            | Store::NoDirectory(_)
            | Store::NotOurs { .. }
            | Store::WritableByOthers { .. }
            | Store::Taken { .. }
            | Store::Busy(_)
            | Store::Io(_),
        ) => ExitStatus::Input,
        Kind::Failure(Failure::Unavailable(_)) => ExitStatus::Unavailable,
        Kind::Failure(Failure::Command(status, _)) => ExitStatus::Command(*status),
        Kind::Failure(Failure::Privilege(_)) | Kind::Store(Store::Denied(_)) => {
            ExitStatus::Privilege
        }
        Kind::Store(Store::Full(_) | Store::ReadOnly(_) | Store::Disk(_) | Store::Sqlite(_))
        | Kind::Other => ExitStatus::Internal,
    }
}

/// Says what went wrong, and gives the status to end with.
pub fn report(error: &anyhow::Error) -> ExitStatus {
    let status = status_of(error);
    if status != ExitStatus::Done {
        say(format_args!("whybus: {error:#}"));
    }
    status
}

/// Help that was asked for, or what is wrong with the command line.
pub fn usage(error: &clap::Error) -> ExitStatus {
    let text = error.render();
    if error.use_stderr() {
        say(text.to_string().trim_end());
        return ExitStatus::Usage;
    }
    put(text.to_string().as_bytes()).map_or_else(|error| report(&error), |()| ExitStatus::Done)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::Context as _;

    use super::*;
    use crate::cli::EXIT_STATUS;

    #[test]
    fn a_kind_keeps_its_status_under_any_context() {
        let full = store::Error::from(io::Error::from(io::ErrorKind::StorageFull));
        let denied = store::Error::from(io::Error::from(io::ErrorKind::PermissionDenied));
        let cases: [(anyhow::Error, ExitStatus); 9] = [
            (Failure::Command(127, "no command".into()).into(), ExitStatus::Command(127)),
            (Failure::usage("a flag"), ExitStatus::Usage),
            (Failure::input("a file"), ExitStatus::Input),
            (Failure::unavailable("a kernel"), ExitStatus::Unavailable),
            (store::Error::NotFound(PathBuf::from("/x")).into(), ExitStatus::Input),
            (denied.into(), ExitStatus::Privilege),
            (full.into(), ExitStatus::Internal),
            (anyhow::anyhow!("anything else"), ExitStatus::Internal),
            (io::Error::from(io::ErrorKind::BrokenPipe).into(), ExitStatus::Done),
        ];
        for (error, status) in cases {
            assert_eq!(status_of(&error), status, "{error:?}");
            let inside = Err::<(), _>(error).context("while trying").expect_err("it is one");
            assert_eq!(status_of(&inside), status, "{inside:?}");
        }
    }

    /// The help has a line for each, and none for any other.
    #[test]
    fn the_help_lists_them_all() {
        let all = [
            ExitStatus::Done,
            ExitStatus::NotFound,
            ExitStatus::Usage,
            ExitStatus::Input,
            ExitStatus::Unavailable,
            ExitStatus::Internal,
            ExitStatus::Partly,
            ExitStatus::Privilege,
        ];
        let numbers: Vec<u8> = EXIT_STATUS
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(numbers, all.map(ExitStatus::number));
        assert_eq!(ExitStatus::Findings.number(), ExitStatus::NotFound.number());
    }
}

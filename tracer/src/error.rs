//! Errors with an exit status of their own, as `whybus --help` documents them.
use std::{fmt, io, process::ExitCode};

/// A failure whose kind the caller can tell by the exit status.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    message: String,
    /// What the system said, where that matters to the caller.
    io: Option<io::ErrorKind>,
}

impl Failure {
    fn new(status: u8, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), io: None }
    }

    /// A file that cannot be used: 2.
    pub fn usage(message: impl Into<String>) -> anyhow::Error {
        Self::new(2, message).into()
    }

    /// The same, because of what the system said.
    pub fn file(message: impl Into<String>, kind: io::ErrorKind) -> anyhow::Error {
        Self { io: Some(kind), ..Self::new(2, message) }.into()
    }

    /// What the system said.
    pub fn io(&self) -> Option<io::ErrorKind> {
        self.io
    }

    /// This kernel cannot do it: 69 (EX_UNAVAILABLE).
    pub fn unavailable(message: impl Into<String>) -> anyhow::Error {
        Self::new(69, message).into()
    }

    /// No privilege: 77 (EX_NOPERM).
    pub fn privilege(message: impl Into<String>) -> anyhow::Error {
        Self::new(77, message).into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Prints the error and gives its status; a closed pipe is success.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(broken) {
        return ExitCode::SUCCESS;
    }
    eprintln!("whybus: {error:#}");
    let status = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    ExitCode::from(status.map_or(70, |failure| failure.status))
}

//! What may go wrong below the commands, by what can be done about it. What the caller is told by an
//! exit status is decided above (`cmd/status.rs`).

/// A failure whose kind matters to whoever called us.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something was asked for that cannot be.
    #[error("{0}")]
    Usage(String),
    /// An input cannot be read, or not to its end.
    #[error("{0}")]
    Input(String),
    /// This kernel cannot do it.
    #[error("{0}")]
    Unavailable(String),
    /// The command of `trace -- CMD` cannot be run; with the status that env(1) has for that.
    #[error("{1}")]
    Command(u8, String),
    /// This process may not do it.
    #[error("{0}")]
    Privilege(String),
}

impl Failure {
    /// [`Failure::Usage`], as the functions that mix kinds return it.
    pub fn usage(message: impl Into<String>) -> anyhow::Error {
        Self::Usage(message.into()).into()
    }

    /// [`Failure::Input`].
    pub fn input(message: impl Into<String>) -> anyhow::Error {
        Self::Input(message.into()).into()
    }

    /// [`Failure::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> anyhow::Error {
        Self::Unavailable(message.into()).into()
    }
}

//! The command of `trace -- CMD`.
use std::{ffi::OsString, os::unix::process::ExitStatusExt as _, process::ExitStatus};

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};

use crate::error::Failure;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    Status(u8),
    Signal(u8),
}

impl CommandEnd {
    /// As a shell has it: the status, or 128 and the signal.
    pub fn status(self) -> u8 {
        match self {
            Self::Status(status) => status,
            Self::Signal(signal) => signal.saturating_add(128),
        }
    }
}

impl From<ExitStatus> for CommandEnd {
    fn from(status: ExitStatus) -> Self {
        let small = |number: i32| u8::try_from(number).ok();
        let signal = status.signal().and_then(small).map(Self::Signal);
        signal.unwrap_or_else(|| Self::Status(status.code().and_then(small).unwrap_or(1)))
    }
}

/// Waits for the command to end; without one it waits for ever.
///
/// # Errors
/// Where it cannot be waited for.
pub async fn exited(child: &mut Option<Child>) -> Result<CommandEnd> {
    let Some(child) = child else { return std::future::pending().await };
    Ok(child.wait().await?.into())
}

/// Starts the command.
///
/// # Errors
/// Where it cannot be started.
pub fn spawn(command: &[OsString]) -> Result<Child> {
    let (program, args) = command.split_first().context("an empty command")?;
    Command::new(program).args(args).spawn().map_err(|error| {
        Failure::usage(format!("cannot run {}: {error}", program.to_string_lossy()))
    })
}

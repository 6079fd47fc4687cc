//! The command of `trace -- CMD`.
use std::{ffi::OsString, os::unix::process::ExitStatusExt as _};

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};

use crate::error::Failure;

/// Waits for the command to end and gives its status, 128 + signal if one ended it; without a command it
/// waits for ever.
///
/// # Errors
/// Where it cannot be waited for.
pub async fn exited(child: &mut Option<Child>) -> Result<u8> {
    let Some(child) = child else { return std::future::pending().await };
    let status = child.wait().await?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
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

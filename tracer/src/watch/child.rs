//! The command of `trace -- CMD`.
use std::{
    ffi::OsString, io::ErrorKind, os::unix::process::ExitStatusExt as _, process::ExitStatus,
};

use anyhow::{Context as _, Result};
use rustix::process::{getpid, set_child_subreaper};
use tokio::process::{Child, Command};

use crate::{error::Failure, host::memory::leaves_huge_pages, text::escape::escape};

/// As env(1), timeout(1) and the shells have it: there is no such command, and it is there and cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

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

/// Starts the command, and gives who adopts those of its descendants whose parents end: we do, or nobody would know any more
/// that they are its own.
///
/// # Errors
/// Where it cannot be started.
pub fn spawn(command: &[OsString]) -> Result<(Child, Option<u32>)> {
    let (program, args) = command.split_first().context("an empty command")?;
    let own = getpid();
    let reaper = set_child_subreaper(Some(own)).is_ok();
    let mut command = Command::new(program);
    leaves_huge_pages(command.args(args).as_std_mut());
    let child = command.spawn().map_err(|error| {
        let status = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
        let program = escape(program.as_encoded_bytes());
        Failure::Command(status, format!("cannot run {program}: {error}"))
    })?;
    Ok((child, reaper.then(|| own.as_raw_nonzero().get().unsigned_abs())))
}

/// Lets go those that were adopted for a command and have ended. It and the parser are waited for elsewhere: until that is
/// done, what ended after one of them stays, too.
pub fn reap(command: Option<&Child>, parser: Option<u32>) {
    let Some(command) = command.and_then(Child::id) else { return };
    const ENDED: i32 = libc::WEXITED | libc::WNOHANG;
    let wait = |kind: libc::idtype_t, pid: u32, options: i32| {
        // SAFETY: all zeroes are a siginfo_t, and it is one that waitid(2) may write to.
        let (done, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            (libc::waitid(kind, pid, &raw mut info, options), info)
        };
        // SAFETY: waitid(2) gives the pid of a child, or 0 where none has ended.
        (done == 0).then(|| unsafe { info.si_pid() }.unsigned_abs())
    };
    while let Some(pid) = wait(libc::P_ALL, 0, ENDED | libc::WNOWAIT)
        && pid != 0
        && pid != command
        && Some(pid) != parser
        && wait(libc::P_PID, pid, ENDED).is_some()
    {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_run_has_the_status_that_env_has() {
        for (command, status) in
            [("/nonexistent/cmd", 127), ("no-such-command", 127), ("/etc/passwd", 126)]
        {
            let error = spawn(&[command.into()]).expect_err("no command");
            let Some(Failure::Command(is, said)) = error.downcast_ref() else { panic!("{error}") };
            assert_eq!(*is, status, "{said}");
            assert!(said.contains(command), "{said}");
        }
    }
}

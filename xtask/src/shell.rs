//! Where things are, and how programs are called.
use std::{
    env,
    fmt::Display,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

/// The checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where things are built, as cargo has it.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Says what is being done, and how many seconds after the first of these lines.
pub fn say(what: impl Display) {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    println!("xtask: {:>4} s: {what}", STARTED.elapsed().as_secs());
}

/// Runs a command to its end.
///
/// # Errors
/// Where it cannot be started or fails.
pub fn call(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Runs a command and gives what it printed.
///
/// # Errors
/// Where it cannot be started or fails; the message carries its last error output.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.output().with_context(|| format!("starting {command:?}"))?;
    let error = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{command:?} ended with {}: {}", out.status, error.trim());
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

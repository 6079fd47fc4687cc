//! What is compiled: the probes, and the static whybus.
pub mod ebpf;

use std::{path::PathBuf, process::Command, sync::Once};

use anyhow::{Context as _, Result};

use crate::shell::{call, root, say, target};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The static whybus that is shipped, and tested.
///
/// # Errors
/// Where it does not compile.
pub fn whybus() -> Result<PathBuf> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| say("building whybus, static"));
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "--release", "--locked", "--package", "tracer"])
        .args(["--target", TARGET])
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    call(&mut cargo).context("building whybus")?;
    Ok(target().join(TARGET).join("release/whybus"))
}

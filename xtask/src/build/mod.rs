//! What is compiled: the probes, and the static whybus.
pub mod ebpf;

use std::{path::PathBuf, sync::Once};

use anyhow::{Context as _, Result};

use crate::{
    machine::Machine,
    shell::{call, root, say, target},
};

/// The static whybus that is shipped, and tested.
///
/// # Errors
/// Where it does not compile.
pub fn whybus(machine: Machine) -> Result<PathBuf> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| say("building whybus, static"));
    let mut cargo = machine.cargo()?;
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "--release", "--locked", "--package", "tracer"])
        .args(["--target", machine.target()]);
    call(&mut cargo).context("building whybus")?;
    Ok(target().join(machine.target()).join("release/whybus"))
}

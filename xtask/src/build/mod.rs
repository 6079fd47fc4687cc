//! What is compiled: the probes, and the static whybus.
pub mod ebpf;

use std::{path::PathBuf, sync::Once};

use anyhow::{Context as _, Result};

use crate::{
    machine::Machine,
    shell::{call, root, say, target},
};

/// The static whybus that guests run. For x86 it is what is shipped; for arm64 it is optimized less, which spares the gate
/// minutes.
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
    let mut target = target();
    if machine != Machine::X86_64 {
        // Cargo locks what is compiled for this machine, too: with a directory of its own one build does
        // not wait for the other.
        target.push(machine.debian());
        cargo.env("CARGO_TARGET_DIR", &target);
        for (setting, value) in [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "1")] {
            cargo.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
    }
    call(&mut cargo).context("building whybus")?;
    Ok(target.join(machine.target()).join("release/whybus"))
}

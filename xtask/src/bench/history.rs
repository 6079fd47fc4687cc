//! `cargo xtask bench history`: tracer/benches/history, on the static binary that is shipped.
use std::process::Command;

use anyhow::Result;

use crate::{
    build,
    machine::Machine,
    shell::{call, root},
};

/// # Errors
/// Where a budget does not hold.
pub fn run() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("WHYBUS", build::whybus(Machine::X86_64)?);
    call(cargo.args(["bench", "--quiet", "--package", "tracer", "--bench", "history"]))
}

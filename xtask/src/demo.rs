//! `cargo xtask demo`: one answer, natively or in a guest.
use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    build,
    guest::{kernels, tree::Tree, vm::Boot},
    machine::Machine,
    shell::say,
};

/// # Errors
/// Where neither this host nor a guest can give an answer.
pub fn run() -> Result<()> {
    let whybus = build::whybus(Machine::X86_64)?;
    match native(&whybus) {
        Ok(()) => {
            say("running on this host: its kernel and your privilege allow it");
            let status = Command::new(&whybus).arg("demo").status()?;
            ensure!(status.success(), "the demo ended with {status}");
            return Ok(());
        }
        Err(reason) => say(format_args!("not on this host ({reason}); in a throw-away guest")),
    }
    let tree = Tree::build(Machine::X86_64, None)?;
    let kernels = kernels::fetch(&["newest".to_owned()])?;
    let kernel = kernels.first().context("no kernel")?;
    say(format_args!("booting Linux {} under QEMU", kernel.release));
    let boot = Boot::new(kernel, tree.pack(kernel)?, "demo").timeout(Duration::from_secs(180));
    let console = boot.run()?.console;
    let shown = console.split("WHYBUS-DEMO").nth(1).context("the guest showed no demo")?;
    println!("{}", shown.trim().replace('\r', ""));
    ensure!(shown.contains("  by  "), "the demo named no culprit");
    Ok(())
}

/// Why whybus cannot trace here, in a few words, if it cannot.
fn native(whybus: &Path) -> Result<(), String> {
    let out = Command::new(whybus).args(["doctor", "-o", "json"]).output();
    let out = out.map_err(|error| error.to_string())?;
    // It says what is missing, and ends with another status than 0 if anything is.
    if out.stdout.is_empty() {
        let text = String::from_utf8_lossy(&out.stderr);
        let text = text.trim().trim_start_matches("whybus: ").trim_start_matches("NOT READY: ");
        return Err(text.split([';', ':']).next().unwrap_or(text).to_owned());
    }
    let report: Value = serde_json::from_slice(&out.stdout).map_err(|error| error.to_string())?;
    match report["verdict"].as_str() {
        Some("not-ready") => Err(report["summary"].as_str().unwrap_or("not ready").to_owned()),
        Some(_) => Ok(()),
        None => Err("without privilege it may not be tried".to_owned()),
    }
}

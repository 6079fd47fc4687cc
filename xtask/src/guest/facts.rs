//! `cargo xtask kernels`: stores what each kernel's types say, so that `cargo test` alone tells which
//! kernel a change breaks; `cargo xtask drift`: what has moved since in the kernels that Debian has today.
//! The images are only unpacked, not booted.
use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, bail, ensure};

use crate::{
    guest::kernels::{self, Kernel},
    shell::{call, root, say, target},
};

/// Modules that probes wait for (`tracer/src/probe/table.rs`).
const MODULES: [&str; 6] = ["btrfs", "ext4", "fuse", "nd_pmem", "nfs", "xfs"];

/// Writes tracer/tests/kernels for the kernels asked for, all of them if none is named.
///
/// # Errors
/// Where a kernel cannot be had, or has no types.
pub fn run(wanted: &[String]) -> Result<()> {
    let list = list(&kernels::fetch(wanted)?)?;
    say("reading the kernels' types");
    call(tests(&["--ignored", "--exact", "write_the_facts"]).env("WHYBUS_KERNELS", list))?;
    call(tests(&["--exact", "every_kernel_gives_the_plan_it_gave"]).env("WHYBUS_BLESS", "1"))?;
    say("tracer/tests/kernels is written: review the difference");
    Ok(())
}

/// Says what differs between the stored facts and plans and those of the newest packages, which are the kernels
/// that hosts are updated to next.
///
/// # Errors
/// Where a plan differs, a kernel cannot be had, or it has no types.
pub fn drift(wanted: &[String]) -> Result<()> {
    let stored = |kernel: &&Kernel| kernels::ALWAYS.contains(&&*kernel.series);
    let newest = kernels::fetch_newest(wanted)?;
    if let Some(other) = newest.iter().find(|kernel| !stored(kernel)) {
        bail!("of {} nothing is stored: {}", other.series, kernels::ALWAYS.join(", "));
    }
    let list = list(&newest)?;
    say("reading the kernels' types");
    let args = ["--ignored", "--exact", "say_what_moved", "--nocapture"];
    let same =
        tests(&args).env("WHYBUS_KERNELS", list).env("RUST_BACKTRACE", "0").status()?.success();
    ensure!(same, "a plan has moved: `cargo xtask kernels` stores it, once it is meant");
    Ok(())
}

/// The tests that read kernels.
fn tests(args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["test", "--quiet", "--locked", "-p", "tracer"]);
    cargo.args(["--test", "kernels", "--"]).args(args);
    cargo
}

/// The file that names images and modules for them.
fn list(kernels: &[Kernel]) -> Result<PathBuf> {
    let mut list = String::new();
    for kernel in kernels {
        list.push_str(&format!("kernel {} {}\n", kernel.series, kernel.image.display()));
        for module in MODULES {
            let mut files = kernel.on_demand.iter().flat_map(|(_, files)| files);
            let file = files.find(|file| file.file_stem().is_some_and(|stem| stem == module));
            list.push_str(&match file {
                Some(file) => format!("module {module} {}\n", file.display()),
                // Newer packages do not list what is built in (`kernels::load_order`).
                None => format!("built-in {module}\n"),
            });
        }
    }
    let dir = target().join("guest");
    fs::create_dir_all(&dir)?;
    let path = dir.join("kernels.list");
    fs::write(&path, list)?;
    Ok(path)
}

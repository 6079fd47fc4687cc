//! `cargo xtask kernels`: stores what each kernel's types say, so that `cargo test` alone tells which
//! kernel a change breaks. The images are only unpacked, not booted.
use std::{fs, process::Command};

use anyhow::Result;

use crate::{
    guest::kernels,
    shell::{call, root, say, target},
};

/// Modules that probes wait for (`tracer/src/probe/table.rs`).
const MODULES: [&str; 6] = ["btrfs", "ext4", "fuse", "nd_pmem", "nfs", "xfs"];

/// Writes tracer/tests/kernels for the kernels asked for, all of them if none is named.
///
/// # Errors
/// Where a kernel cannot be had, or has no types.
pub fn run(wanted: &[String]) -> Result<()> {
    let mut list = String::new();
    for kernel in kernels::fetch(wanted)? {
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
    say("reading the kernels' types");
    let test = |args: &[&str], variable: &str, value: &std::ffi::OsStr| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(root()).args(["test", "--quiet", "--locked", "-p", "tracer"]);
        call(cargo.args(["--test", "kernels", "--"]).args(args).env(variable, value))
    };
    test(&["--ignored", "--exact", "write_the_facts"], "WHYBUS_KERNELS", path.as_os_str())?;
    test(&["--exact", "every_kernel_gives_the_plan_it_gave"], "WHYBUS_BLESS", "1".as_ref())?;
    say("tracer/tests/kernels is written: review the difference");
    Ok(())
}

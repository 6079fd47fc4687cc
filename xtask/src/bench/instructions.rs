//! `cargo xtask bench`: what each probe adds to a call, in instructions. Under `-icount` one
//! instruction is one virtual nanosecond, so the figures are exact and repeatable, also on a
//! loaded machine.
use anyhow::{Result, ensure};

use crate::{
    bench::{budgets::broken, figures::Figures, table::print},
    guest::{kernels, packages, tree::Trees, vm::Boot},
    shell::say,
};

/// Of some kernels; only the faults among the workloads if those are asked for.
///
/// # Errors
/// Where a guest fails or a budget does not hold.
pub fn run(wanted: &[String], only_faults: bool) -> Result<()> {
    let kernels = kernels::fetch(wanted)?;
    let trees = Trees::of(kernels.iter(), None)?;
    let mut over = Vec::new();
    for kernel in kernels {
        let tree = trees.tree(&kernel)?;
        say(format_args!("counting instructions on Linux {}", kernel.release));
        let boot = Boot::new(&kernel, tree.pack(&kernel)?, "bench")
            .append("mitigations=off nokaslr norandmaps")
            .append(if only_faults { "whybus.bench=faults" } else { "" })
            .options(&["-icount", "shift=0,sleep=off"])
            .disk(packages::bpftrace(kernel.machine)?)
            .cpus(1)
            .slower(4);
        let left = boot.run()?;
        let figures = Figures::parse(&left.text("bench")?, &left.text("bench.json")?);
        print(&kernel, &figures);
        over.extend(broken(&kernel, &figures, !only_faults));
    }
    for what in &over {
        println!("OVER BUDGET: {what}");
    }
    ensure!(over.is_empty(), "{} budgets do not hold", over.len());
    Ok(())
}

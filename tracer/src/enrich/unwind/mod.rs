//! From a thread's registers and stack, as the kernel captured them, to the functions that were running.
//!
//! A frame that is missing is said to be missing; none is told that is not there. So an address counts as a return
//! address only where a call stands before it, and where nothing says how to go on the stack ends.
use std::cell::Cell;

use crate::model::{
    stack::{Cut, Sample, Stack},
    task::Ancestor,
};

mod cfi;
mod modules;
mod name;
mod registers;
#[cfg(test)]
mod tests;
mod walk;

use cfi::Work;
use modules::Module;
use registers::Machine;
use walk::Walk;

/// Of all files of one stack no more is read, in bytes.
const READ: u64 = 64 << 20;

/// The frames of a thread. Its files are looked for as we see them, as it did, and as its ancestors do.
pub fn frames(sample: &Sample, ancestors: &[Ancestor]) -> Stack {
    let Sample { process, tid, act, .. } = *sample;
    let Some(machine) = Machine::of(sample.machine) else {
        return Stack { process, tid, act, frames: Vec::new(), cut: Some(Cut::Unwind) };
    };
    let left = Cell::new(READ);
    // The victim is there a while longer, as a rule.
    let ancestors = ancestors.iter().map(|ancestor| ancestor.id.tgid);
    let roots: Vec<u32> = [process.tgid].into_iter().chain(ancestors).collect();
    let files = modules::open(sample, &roots, &left);
    let modules: Vec<Module<'_>> = files.iter().map(Module::new).collect();
    let walk = Walk { sample, machine, modules: &modules, work: Work::new() };
    let (found, cut) = walk.frames();
    Stack { process, tid, act, frames: name::frames(&found, &modules, &roots, &left), cut }
}

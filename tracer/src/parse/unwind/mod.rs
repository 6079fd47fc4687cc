//! From a thread's registers and stack, as the kernel captured them, to the functions that were running.
//!
//! A frame that is missing is said to be missing; none is told that is not there. So an address counts as a return
//! address only where a call stands before it, and where nothing says how to go on the stack ends.
use std::{cell::Cell, fs::File};

use crate::{
    model::stack::{Cut, Frame},
    parse::{
        elf::Source,
        protocol::{Bare, Thread},
    },
};

mod cfi;
mod modules;
mod name;
mod registers;
mod walk;

use cfi::Work;
use modules::Module;
pub use name::Find;
use registers::Machine;
use walk::Walk;

/// Of all files of one stack no more is read, in bytes.
const READ: u64 = 64 << 20;

/// What becomes known of a stack.
pub enum Known {
    Unwound(Vec<Bare>, Option<Cut>),
    /// Of the frame of that number, behind those inlined in it; several times, and the last one counts.
    Named(usize, Vec<Frame>),
}

/// Tells the frames of a thread, whose modules have these files, as they become known: whatever happens later, what was told
/// is known. `find` gets files with debug information of a module.
pub fn frames(
    thread: &Thread,
    files: Vec<Option<File>>,
    find: &Find<'_>,
    tell: &mut dyn FnMut(Known),
) {
    let Some(machine) = Machine::of(thread.machine) else {
        return tell(Known::Unwound(Vec::new(), Some(Cut::Unwind)));
    };
    let left = Cell::new(READ);
    let source = |file: Option<File>| file.map(|file| Source::new(file, &left));
    let sources: Vec<Option<Source<'_>>> = files.into_iter().map(source).collect();
    let modules = thread.modules.iter().zip(&sources);
    let modules: Vec<Module<'_>> =
        modules.map(|(module, file)| Module::new(&module.mappings, file.as_ref())).collect();
    let walk = Walk { thread, machine, modules: &modules, work: Work::new() };
    let (found, cut) = walk.frames();
    tell(Known::Unwound(name::bare(&found, &modules), cut));
    name::frames(&found, &modules, &left, find, &mut |at, frames| tell(Known::Named(at, frames)));
}

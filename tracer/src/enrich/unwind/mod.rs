//! From a thread's registers and stack, as the kernel captured them, to the functions that were running.
//!
//! A frame that is missing is said to be missing; none is told that is not there. So an address counts as a return
//! address only where a call stands before it, and where nothing says how to go on the stack ends.
use std::cell::Cell;

use crate::{
    enrich::symbolize,
    model::{
        Bytes, file,
        stack::{Cut, Frame, SIGNAL_FRAME, Sample, Stack},
        task::Ancestor,
    },
    text::demangle,
};

mod cfi;
mod modules;
mod registers;
#[cfg(test)]
mod tests;
mod walk;

use cfi::Work;
use modules::Module;
use registers::Machine;
use walk::{Found, Walk};

/// Of all files of one stack no more is read, in bytes.
const READ: u64 = 64 << 20;

/// Of a path of a file so much is told, in bytes: its end; of a function's name its beginning.
const PATH: usize = 512;
const NAME: usize = 256;
/// Longer symbols are not demangled.
const MANGLED: usize = 1_024;

/// The frames of a thread. Its files are looked for as we see them, as it did, and as its ancestors do.
pub fn frames(sample: &Sample, ancestors: &[Ancestor]) -> Stack {
    let Sample { process, tid, act, .. } = *sample;
    let Some(machine) = Machine::of(sample.machine) else {
        return Stack { process, tid, act, frames: Vec::new(), cut: Some(Cut::Unwind) };
    };
    let left = Cell::new(READ);
    let files = modules::open(sample, ancestors, &left);
    let modules: Vec<Module<'_>> = files.iter().map(Module::new).collect();
    let walk = Walk { sample, machine, modules: &modules, work: Work::new() };
    let (found, cut) = walk.frames();
    Stack { process, tid, act, frames: name(&found, &modules), cut }
}

/// The frames with their files and functions: each file's tables are read once.
fn name(found: &[Found], modules: &[Module<'_>]) -> Vec<Frame> {
    let bare = |found: &Found| Frame {
        ip: found.ip,
        module: None,
        offset: None,
        symbol: None,
        symbol_offset: None,
        build_id: None,
    };
    let mut frames: Vec<Frame> = found.iter().map(bare).collect();
    let mut nameless: Vec<usize> = (0..found.len()).collect();
    for module in modules {
        let mut inside = Vec::new();
        nameless.retain(|at| {
            let behind = u64::from(!found[*at].exact);
            let offset = module.offset(found[*at].ip.wrapping_sub(behind));
            inside.extend(offset.map(|offset| (*at, offset, behind)));
            offset.is_none()
        });
        if inside.is_empty() {
            continue;
        }
        let path = module.mappings.first().and_then(|mapping| file::name(&mapping.path, &[]).0);
        let path = path.map(|path| end(path, PATH));
        let offsets: Vec<u64> = inside.iter().map(|(_, offset, _)| *offset).collect();
        let told = module.file.map(|file| symbolize::functions(file, &offsets));
        let (functions, build_id) = told.unwrap_or_default();
        let functions = functions.into_iter().chain(std::iter::repeat(None));
        for ((at, offset, behind), function) in inside.into_iter().zip(functions) {
            let (symbol, symbol_offset) = function.unzip();
            let symbol = symbol.map(|symbol| name_of(&symbol));
            frames[at] = Frame {
                ip: found[at].ip,
                module: path.clone(),
                offset: Some(offset.saturating_add(behind)),
                symbol,
                symbol_offset: symbol_offset.map(|offset| offset.saturating_add(behind)),
                build_id: build_id.clone(),
            };
        }
    }
    // Only a signal interrupts a function at an instruction that is known.
    for (frame, caller) in frames.iter_mut().zip(found.iter().skip(1)) {
        if caller.exact {
            (frame.symbol, frame.symbol_offset) = (Some(SIGNAL_FRAME.to_vec()), None);
        }
    }
    frames
}

/// A function's name in its language.
fn name_of(symbol: &[u8]) -> Bytes {
    let mut name = match symbol.len() {
        0..=MANGLED => demangle::name(symbol),
        _ => symbol.to_vec(),
    };
    name.truncate(NAME);
    name
}

/// The last bytes of a path.
fn end(path: Bytes, most: usize) -> Bytes {
    match path.len().checked_sub(most) {
        None | Some(0) => path,
        Some(from) => [b"\xe2\x80\xa6", &path[from..]].concat(),
    }
}

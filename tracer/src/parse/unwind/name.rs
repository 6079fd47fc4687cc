//! Where frames are: their files, functions and lines of the source. The tables of each file are read once.
use std::{cell::Cell, fs::File};

use crate::{
    model::{
        Bytes,
        stack::{Frame, SIGNAL_FRAME},
    },
    parse::{
        elf::{Bounded, Source},
        lines::{self, Fuel, Site},
        protocol::Bare,
        symbolize::{self, Told},
        unwind::{modules::Module, walk::Found},
    },
    text::demangle,
};

/// Of a path of a file so much is told, in bytes: its end; of a function's name its beginning.
const PATH: usize = 512;
const NAME: usize = 256;

/// Files that may hold the debug information of a module, by its number, its build id, and what its file says.
pub type Find<'f> = dyn Fn(usize, &[u8], Option<&[u8]>) -> Vec<File> + 'f;

/// The frames of what was found, without names.
pub(super) fn bare(found: &[Found], modules: &[Module<'_>]) -> Vec<Bare> {
    let bare = |at: usize| {
        let Found { ip, exact } = found[at];
        let behind = u64::from(!exact);
        let place = modules.iter().enumerate().find_map(|(nth, module)| {
            Some((nth, module.offset(ip.wrapping_sub(behind))?.saturating_add(behind)))
        });
        let (module, offset) = place.unzip();
        Bare { ip, module, offset, signal: is_signal(found, at) }
    };
    (0..found.len()).map(bare).collect()
}

/// Whether a signal's handler returns there: only a signal interrupts a function at an instruction that is known.
fn is_signal(found: &[Found], at: usize) -> bool {
    found.get(at + 1).is_some_and(|caller| caller.exact)
}

/// Tells the frames of what was found, and of functions that were inlined there, by the number of each, as far as the files
/// of modules say more of it than [`bare`] does: functions first, and lines once they are known.
pub(super) fn frames(
    found: &[Found],
    modules: &[Module<'_>],
    left: &Cell<u64>,
    find: &Find<'_>,
    tell: &mut dyn FnMut(usize, Vec<Frame>),
) {
    let debug = Debug { find, left, most: Cell::new(lines::LIVE), fuel: lines::live() };
    let mut nameless: Vec<usize> = (0..found.len()).collect();
    for (nth, module) in modules.iter().enumerate() {
        let mut inside = Vec::new();
        nameless.retain(|at| {
            let behind = u64::from(!found[*at].exact);
            let offset = module.offset(found[*at].ip.wrapping_sub(behind));
            inside.extend(offset.map(|offset| (*at, offset, behind)));
            offset.is_none()
        });
        let Some(file) = module.file.filter(|_| !inside.is_empty()) else { continue };
        let offsets: Vec<u64> = inside.iter().map(|(_, offset, _)| *offset).collect();
        let mut told = symbolize::tell(file, &offsets);
        let mut named = Vec::new();
        for (nth, (at, offset, behind)) in inside.into_iter().enumerate() {
            let function = told.functions.get_mut(nth).and_then(Option::take);
            let (symbol, symbol_offset) = function.unzip();
            let address = told.addresses.get(nth).copied().flatten();
            let frame = Frame {
                ip: found[at].ip,
                offset: Some(offset.saturating_add(behind)),
                symbol: symbol.map(|symbol| name_of(&symbol)),
                symbol_offset: symbol_offset.map(|offset| offset.saturating_add(behind)),
                build_id: told.build_id.clone(),
                address: address.map(|address| address.saturating_add(behind)),
                ..Frame::default()
            };
            let signal = is_signal(found, at);
            let frame = if signal { signal_frame(frame) } else { frame };
            tell(at, vec![frame.clone()]);
            named.push((at, frame, signal));
        }
        let sites = debug.sites(nth, file, &told).unwrap_or_default();
        for ((at, frame, _), sites) in
            named.into_iter().zip(sites).filter(|((_, _, signal), _)| !signal)
        {
            if !sites.is_empty() {
                tell(at, with_sites(&frame, sites));
            }
        }
    }
}

fn signal_frame(frame: Frame) -> Frame {
    Frame { symbol: Some(SIGNAL_FRAME.to_vec()), symbol_offset: None, ..frame }
}

/// A frame of each site, innermost first: the last is the frame itself.
fn with_sites(frame: &Frame, mut sites: Vec<Site>) -> Vec<Frame> {
    let own = sites.pop();
    let located = |frame: Frame, site: Site, inlined: bool| {
        let source = site.file.map(|file| end(file, PATH));
        let by_site = || site.function.map(shortened);
        let symbol = frame.symbol.or_else(by_site);
        Frame { symbol, line: site.line.filter(|_| source.is_some()), source, inlined, ..frame }
    };
    let inlined = |site: Site| {
        let frame = Frame { symbol: None, symbol_offset: None, ..frame.clone() };
        located(frame, site, true)
    };
    let mut frames: Vec<Frame> = sites.into_iter().map(inlined).collect();
    let frame = frame.clone();
    frames.push(match own {
        Some(site) => located(frame, site, false),
        None => frame,
    });
    frames
}

/// What it takes to look for lines.
struct Debug<'t> {
    find: &'t Find<'t>,
    left: &'t Cell<u64>,
    /// Of debug information, in bytes.
    most: Cell<u64>,
    fuel: Fuel,
}

impl Debug<'_> {
    /// The sites of what a module's file told, by its own debug information or that in a file of its own.
    fn sites(&self, module: usize, file: Bounded<'_>, told: &Told) -> Option<Vec<Vec<Site>>> {
        lines::of(file, &told.addresses, &self.most, &self.fuel).or_else(|| {
            let build_id = told.build_id.as_deref()?;
            let find = || (self.find)(module, build_id, told.debug_link.as_deref());
            let files = self.fuel.wait(find);
            files.into_iter().find_map(|file| {
                let source = Source::new(file, self.left);
                let is_it = symbolize::build_id_of(source.bounded())? == build_id;
                is_it.then_some(())?;
                let sites = lines::of(source.bounded(), &told.addresses, &self.most, &self.fuel)?;
                // Its symbols know what has no lines, as code in assembly.
                let functions = symbolize::functions(source.bounded(), &told.addresses);
                let sites = sites.into_iter().zip(functions).map(|(sites, function)| {
                    let named = function.filter(|_| sites.is_empty()).map(|(name, _)| Site {
                        function: Some(name_of(&name)),
                        file: None,
                        line: None,
                    });
                    sites.into_iter().chain(named).collect()
                });
                Some(sites.collect())
            })
        })
    }
}

/// A function's name in its language.
fn name_of(symbol: &[u8]) -> Bytes {
    shortened(demangle::name(symbol))
}

fn shortened(mut name: Bytes) -> Bytes {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::parse::lines::testing::{compiled, outer, run, symbol};

    fn sites(program: &std::path::Path, addresses: &[Option<u64>]) -> Option<Vec<Vec<Site>>> {
        let left = Cell::new(64 << 20);
        let source = Source::new(fs::File::open(program).expect("the file"), &left);
        let mut told = symbolize::tell(source.bounded(), &[]);
        told.addresses = addresses.to_vec();
        let most = Cell::new(lines::LIVE);
        let directory = program.parent().expect("a directory");
        let find: &Find<'_> = &|module, _, link| {
            assert_eq!(module, 3);
            let link = std::str::from_utf8(link.expect("a link")).expect("a name");
            let places = [directory.join(link), directory.join(".debug").join(link)];
            places.iter().filter_map(|path| fs::File::open(path).ok()).collect()
        };
        let debug = Debug { find, left: &left, most, fuel: lines::live() };
        debug.sites(3, source.bounded(), &told)
    }

    #[test]
    fn a_stripped_program_has_the_lines_of_its_debug_file_and_of_no_other() {
        let (directory, program) = compiled(&["-Wl,--build-id"]);
        let unstripped = fs::read(&program).expect("the file");
        let addresses = outer(&unstripped);
        let whole = sites(&program, &addresses).expect("debug information");
        let run = |program, arguments: &[&str]| run(program, arguments, directory.path());
        run("objcopy", &["--only-keep-debug", "program", "program.debug"]);
        run("objcopy", &["-S", "--add-gnu-debuglink=program.debug", "program"]);
        assert_eq!(sites(&program, &addresses), Some(whole.clone()), "beside it");
        fs::create_dir(directory.path().join(".debug")).expect("room");
        run("mv", &["program.debug", ".debug"]);
        assert_eq!(sites(&program, &addresses), Some(whole), "in a directory beside it");
        let start = symbol("_start", &unstripped).map(Some);
        let by_symbol = sites(&program, &start.collect::<Vec<_>>()).expect("symbols");
        assert_eq!(by_symbol[0][0].function.as_deref(), Some(&b"_start"[..]));
        run("cc", &["-O1", "-g", "-Wl,--build-id", "program.c", "-o", "other"]);
        run("objcopy", &["--only-keep-debug", "other", ".debug/program.debug"]);
        assert_eq!(sites(&program, &addresses), None, "of another build");
    }
}

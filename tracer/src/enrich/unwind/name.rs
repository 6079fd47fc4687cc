//! Where frames are: their files, functions and lines of the source. The tables of each file are read once.
use std::cell::Cell;

use crate::{
    enrich::{
        elf::{Bounded, Source},
        lines::{self, Fuel, Site},
        symbolize::{self, Told},
        unwind::{modules::Module, walk::Found},
    },
    model::{
        Bytes, file,
        stack::{Frame, SIGNAL_FRAME},
    },
    text::demangle,
};

/// Of a path of a file so much is told, in bytes: its end; of a function's name its beginning.
const PATH: usize = 512;
const NAME: usize = 256;

/// The frames of what was found, and of functions that were inlined there. Files with debug information are looked for
/// as we see them, and as the processes of `roots` do.
pub(super) fn frames(
    found: &[Found],
    modules: &[Module<'_>],
    roots: &[u32],
    left: &Cell<u64>,
) -> Vec<Frame> {
    let bare = |found: &Found| vec![Frame { ip: found.ip, ..Frame::default() }];
    let mut frames: Vec<Vec<Frame>> = found.iter().map(bare).collect();
    let debug = Debug { roots, left, most: Cell::new(lines::LIVE), fuel: lines::live() };
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
        let offsets: Vec<u64> = inside.iter().map(|(_, offset, _)| *offset).collect();
        let mut told = module.file.map(|file| symbolize::tell(file, &offsets)).unwrap_or_default();
        let sites = module.file.and_then(|file| debug.sites(file, &told, path.as_deref()?));
        let mut sites = sites.unwrap_or_default().into_iter();
        let path = path.map(|path| end(path, PATH));
        for (nth, (at, offset, behind)) in inside.into_iter().enumerate() {
            let function = told.functions.get_mut(nth).and_then(Option::take);
            let (symbol, symbol_offset) = function.unzip();
            let address = told.addresses.get(nth).copied().flatten();
            let frame = Frame {
                ip: found[at].ip,
                module: path.clone(),
                offset: Some(offset.saturating_add(behind)),
                symbol: symbol.map(|symbol| name_of(&symbol)),
                symbol_offset: symbol_offset.map(|offset| offset.saturating_add(behind)),
                build_id: told.build_id.clone(),
                address: address.map(|address| address.saturating_add(behind)),
                ..Frame::default()
            };
            frames[at] = with_sites(&frame, sites.next().unwrap_or_default());
        }
    }
    // Only a signal interrupts a function at an instruction that is known.
    for (frames, caller) in frames.iter_mut().zip(found.iter().skip(1)) {
        if let Some(frame) = frames.pop_if(|_| caller.exact) {
            let symbol = Some(SIGNAL_FRAME.to_vec());
            *frames =
                vec![Frame { symbol, symbol_offset: None, source: None, line: None, ..frame }];
        }
    }
    frames.concat()
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
    roots: &'t [u32],
    left: &'t Cell<u64>,
    /// Of debug information, in bytes.
    most: Cell<u64>,
    fuel: Fuel,
}

impl Debug<'_> {
    /// The sites of what a file told, by its own debug information or that in a file of its own.
    fn sites(&self, file: Bounded<'_>, told: &Told, path: &[u8]) -> Option<Vec<Vec<Site>>> {
        lines::of(file, &told.addresses, &self.most, &self.fuel).or_else(|| {
            let build_id = told.build_id.as_deref()?;
            let beside = told.debug_link.as_deref().map(|link| (path, link));
            let paths = lines::paths(build_id, beside);
            paths.iter().find_map(|path| {
                let file = lines::open(path, self.roots)?;
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
    use crate::enrich::lines::testing::{compiled, outer, run, symbol};

    fn sites(program: &std::path::Path, addresses: &[Option<u64>]) -> Option<Vec<Vec<Site>>> {
        let left = Cell::new(64 << 20);
        let source = Source::new(fs::File::open(program).expect("the file"), &left);
        let mut told = symbolize::tell(source.bounded(), &[]);
        told.addresses = addresses.to_vec();
        let most = Cell::new(lines::LIVE);
        let debug = Debug { roots: &[], left: &left, most, fuel: lines::live() };
        debug.sites(source.bounded(), &told, program.as_os_str().as_encoded_bytes())
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

//! Stacks of recorded incidents, completed by files that are found by their build id, here or on another host.
use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    contract::{Frame, Hex, Stack, Untrusted},
    enrich::{
        debug_files::{by_build_id, open},
        parser::{self, Parser},
    },
    host::fs,
    model::{Bytes, stack::SIGNAL_FRAME},
    parse::{
        lines::Site,
        protocol::{ADDRESSES, Answer, Function, INLINED, Lines, Request, TEXT},
    },
    text::escape::escape,
};

/// Of all files no more is read, in bytes, and no more than a quarter of the memory that there is room in.
const LARGEST: u64 = 2 << 30;
/// So long all of them may take: somebody waits.
const TIME: Duration = Duration::from_secs(60);
/// Longest name of a function, in bytes.
const NAME: usize = 256;

/// Why a module's frames have no lines.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    NoBuildId,
    /// Nothing is there, or one is that has another build id, or none that can be read.
    NotFound {
        /// Where its debug file would be.
        wanted: Bytes,
        other: Option<Bytes>,
    },
    /// The file that was found, and is the one that was meant.
    SaysNothing(Bytes),
    /// That file, and why it was not read to its end.
    NotRead(Bytes, parser::Failed),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBuildId => {
                write!(f, "its build id was not recorded, so no file is known to be it")
            }
            Self::NotFound { wanted, other } => {
                write!(f, "no debug file of its build; looked for {}", escape(wanted))?;
                match other {
                    Some(other) => {
                        write!(f, " ({} is of another build, or damaged)", escape(other))
                    }
                    None => Ok(()),
                }
            }
            Self::SaysNothing(path) => {
                write!(f, "{} has no debug information for it that can be read", escape(path))
            }
            Self::NotRead(path, why) => {
                write!(f, "{} could not be read: {why}", escape(path))
            }
        }
    }
}

/// A frame of the stack, behind those of functions that were inlined in its own.
struct Group {
    frames: Vec<Frame>,
    /// From the instruction back to the call.
    behind: u64,
}

/// What the files of one answer may take.
struct Budget<'p> {
    parser: &'p Parser,
    bytes: u64,
    until: Instant,
}

/// Completes frames whose modules are found, below `directory` or, of a stack of this host, where they were, and says which were
/// not.
pub fn complete<'s>(
    stacks: impl Iterator<Item = &'s mut Stack>,
    directory: &Path,
    of_this_host: bool,
    parser: &Parser,
) -> Vec<(Bytes, Failed)> {
    let most = fs::memory_available().map_or(LARGEST, |bytes| LARGEST.min(bytes / 4));
    let mut budget = Budget { parser, bytes: most, until: Instant::now() + TIME };
    let mut failed = Vec::new();
    // Files are opened from the root.
    let directory = &std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    for stack in stacks {
        let mut groups = groups(std::mem::take(&mut stack.user));
        let modules = groups.iter().filter_map(|group| group.frames.last());
        let mut modules: Vec<_> =
            modules.map(|frame| (frame.module.clone(), frame.build_id.clone())).collect();
        modules.sort_unstable();
        modules.dedup();
        for (module, build_id) in modules {
            let Some(Untrusted(module)) = module else { continue };
            let of_module = |group: &&mut Group| {
                group.frames.last().is_some_and(|frame| {
                    frame.module.as_ref().is_some_and(|of| of.0 == module)
                        && frame.build_id == build_id
                })
            };
            let mut groups: Vec<&mut Group> = groups.iter_mut().filter(of_module).collect();
            let told = match build_id.as_deref().map(bytes) {
                Some(build_id) if !build_id.is_empty() => {
                    let own = of_this_host.then_some(&*module);
                    module_lines(own, &build_id, directory, &mut groups, &mut budget)
                }
                _ => Err(Failed::NoBuildId),
            };
            if let Err(why) = told
                && !failed.iter().any(|(of, known)| *of == module && *known == why)
            {
                failed.push((module, why));
            }
        }
        stack.user = groups.into_iter().flat_map(|group| group.frames).collect();
    }
    failed
}

fn groups(frames: Vec<Frame>) -> Vec<Group> {
    let (mut groups, mut inlined) = (Vec::new(), Vec::new());
    // Where a signal interrupted a function nothing was called.
    let mut behind = 0;
    for frame in frames {
        let (ends, signal) = (!frame.inlined, is_signal(&frame));
        inlined.push(frame);
        if ends {
            groups.push(Group { frames: std::mem::take(&mut inlined), behind });
            behind = u64::from(!signal);
        }
    }
    if !inlined.is_empty() {
        groups.push(Group { frames: inlined, behind });
    }
    groups
}

/// Whether a signal's handler returns there.
fn is_signal(frame: &Frame) -> bool {
    frame.symbol_offset.is_none()
        && frame.symbol.as_ref().is_some_and(|symbol| symbol.0 == SIGNAL_FRAME)
}

/// The bytes of a build id; none if it is none.
fn bytes(hex: &str) -> Bytes {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect::<Option<Bytes>>().unwrap_or_default()
}

/// Completes the frames of one module by the first of its files that says something.
fn module_lines(
    own: Option<&[u8]>,
    build_id: &[u8],
    directory: &Path,
    groups: &mut [&mut Group],
    budget: &mut Budget<'_>,
) -> Result<(), Failed> {
    let own = own.map(|path| Path::new(OsStr::from_bytes(path)).to_path_buf());
    let files = [".debug", ""].map(|suffix| by_build_id(directory, build_id, suffix));
    let wanted = files[0].as_os_str().as_bytes().to_vec();
    let (mut other, mut known) = (None, None);
    for path in files.into_iter().chain(own) {
        let Some(file) = open(&path, &[]) else { continue };
        let path = path.as_os_str().as_bytes().to_vec();
        let (mut any, mut is_it) = (false, true);
        for groups in groups.chunks_mut(ADDRESSES) {
            match budget.fill(&file, build_id, groups) {
                Ok(Said::Other) => is_it = false,
                Ok(Said::Lines(lines)) => any |= lines,
                Err(why) => known = Some(Failed::NotRead(path.clone(), why)),
            }
        }
        match (is_it, any) {
            (false, _) => other = other.or(Some(path)),
            (true, true) => return Ok(()),
            (true, false) => known = known.or(Some(Failed::SaysNothing(path))),
        }
    }
    Err(known.unwrap_or(Failed::NotFound { wanted, other }))
}

/// What a file said.
enum Said {
    /// It is of another build.
    Other,
    /// Of its build; whether it said any line.
    Lines(bool),
}

/// What is said of one frame.
#[derive(Default)]
struct Told {
    address: Option<u64>,
    function: Option<Function>,
    sites: Vec<Site>,
}

impl Budget<'_> {
    /// Has a file read, and fills in what it says.
    fn fill(
        &mut self,
        file: &File,
        build_id: &[u8],
        groups: &mut [&mut Group],
    ) -> Result<Said, parser::Failed> {
        let time = self.until.saturating_duration_since(Instant::now());
        let offset = |group: &&mut Group| {
            let frame = group.frames.last()?;
            frame.module_offset?.checked_sub(group.behind)
        };
        let address = |group: &&mut Group| {
            group.frames.last()?.module_address.as_ref()?.0.checked_sub(group.behind)
        };
        let request = Request::Lines(Lines {
            build_id: build_id.to_vec(),
            offsets: groups.iter().map(|group| offset(group).unwrap_or(u64::MAX)).collect(),
            addresses: groups.iter().map(address).collect(),
            most: self.bytes,
            time,
        });
        let file = file.try_clone().map_err(|_| parser::Failed::Ended)?;
        let mut told: Vec<Told> = groups.iter().map(|_| Told::default()).collect();
        let mut other = false;
        let mut take = |answer: Answer| match answer {
            Answer::Other => {
                other = true;
                true
            }
            Answer::Line { at, address, function, sites } if at < told.len() => {
                let sense = is_short(&function, &sites);
                told[at] = Told { address, function, sites };
                sense
            }
            _ => false,
        };
        let find = &mut |_: usize, _: &[u8], _: Option<&[u8]>| Vec::new();
        let asked = self.parser.ask(&request, &[file], time, find, &mut take);
        let left = asked.inspect_err(|_| self.bytes = 0)?;
        self.bytes = self.bytes.min(left);
        if other {
            return Ok(Said::Other);
        }
        Ok(Said::Lines(fill(groups, told)))
    }
}

/// Whether an answer is as long as one that is right may be.
fn is_short(function: &Option<Function>, sites: &[Site]) -> bool {
    let texts = sites.iter().flat_map(|site| [&site.function, &site.file]).flatten();
    let mut texts = texts.chain(function.as_ref().map(|function| &function.name));
    sites.len() <= INLINED && texts.all(|text| text.len() <= TEXT)
}

/// Fills in what a file says; whether it says any line.
fn fill(groups: &mut [&mut Group], told: Vec<Told>) -> bool {
    let mut any = false;
    for (group, Told { address, function, sites }) in groups.iter_mut().zip(told) {
        let Some(mut frame) = group.frames.pop() else { continue };
        if is_signal(&frame) {
            group.frames = vec![frame];
            continue;
        }
        if let Some(Function { name: symbol, offset }) =
            function.filter(|_| frame.symbol_offset.is_none())
        {
            frame.symbol = Some(name(symbol));
            frame.symbol_offset = Some(offset.saturating_add(group.behind));
        }
        frame.module_address = frame
            .module_address
            .or(address.map(|address| Hex(address.saturating_add(group.behind))));
        if !sites.is_empty() {
            any = true;
            group.frames = inlined(&frame, &sites);
            located(&mut frame, sites.last());
        }
        group.frames.push(frame);
    }
    any
}

/// Frames of the functions that were inlined at a frame.
fn inlined(frame: &Frame, sites: &[Site]) -> Vec<Frame> {
    let inlined = |site: &Site| {
        let mut frame = Frame { symbol: None, symbol_offset: None, inlined: true, ..frame.clone() };
        located(&mut frame, Some(site));
        frame
    };
    sites.iter().take(sites.len() - 1).map(inlined).collect()
}

fn located(frame: &mut Frame, site: Option<&Site>) {
    let Some(site) = site else { return };
    if frame.symbol.is_none() {
        frame.symbol = site.function.clone().map(name);
    }
    frame.source = site.file.clone().map(Untrusted);
    frame.line = site.line.filter(|_| frame.source.is_some());
}

fn name(mut name: Bytes) -> Untrusted {
    name.truncate(NAME);
    Untrusted(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use object::{Object as _, ObjectSegment as _};

    use super::*;
    use crate::{
        contract::Label,
        parse::lines::testing::{compiled, line, outer, run},
    };

    /// A program, the stack of a thread of its that is in `outer`, and where its debug file belongs below a directory.
    fn recorded() -> (tempfile::TempDir, std::path::PathBuf, Stack, std::path::PathBuf) {
        let (directory, program) = compiled(&["-Wl,--build-id"]);
        let file = fs::read(&program).expect("the file");
        let elf = object::File::parse(&*file).expect("ELF");
        let build_id = elf.build_id().expect("ELF").expect("a build id");
        let text = elf.segments().find(|segment| segment.address() == 0x1000).expect("code");
        let of = |address: u64, symbol: &str| Frame {
            module: Some(Untrusted(program.as_os_str().as_encoded_bytes().to_vec())),
            module_offset: Some(address - text.address() + text.file_range().0),
            module_address: Some(Hex(address)),
            symbol: Some(Untrusted(symbol.into())).filter(|symbol| !symbol.0.is_empty()),
            symbol_offset: (!symbol.is_empty()).then_some(3),
            build_id: Some(build_id.iter().map(|b| format!("{b:02x}")).collect::<String>().into()),
            ..Frame::default()
        };
        let addresses: Vec<u64> = outer(&file).into_iter().flatten().collect();
        let user = addresses.iter().map(|address| of(*address, "")).collect();
        let path = by_build_id(directory.path(), build_id, ".debug");
        (directory, program, Stack { user, cut: None }, path)
    }

    fn done(stack: &mut Stack, directory: &Path) -> Vec<Failed> {
        let failed = complete(std::iter::once(stack), directory, true, &Parser::here());
        failed.into_iter().map(|(_, why)| why).collect()
    }

    fn told(stack: &Stack) -> Vec<(String, u32, bool)> {
        let frames = stack.user.iter().filter_map(|frame| {
            let symbol = String::from_utf8_lossy(&frame.symbol.as_ref()?.0).into_owned();
            Some((symbol, frame.line?, frame.inlined))
        });
        frames.collect()
    }

    #[test]
    fn a_stack_is_completed_by_a_debug_file_of_its_build_and_by_no_other() {
        let (directory, program, stack, path) = recorded();
        let run = |program, arguments: &[&str]| run(program, arguments, directory.path());
        let debug = path.to_str().expect("text");
        fs::create_dir_all(path.parent().expect("a directory")).expect("room");
        run("objcopy", &["--only-keep-debug", "program", debug]);
        fs::rename(&program, directory.path().join("elsewhere")).expect("room");
        let mut here = stack.clone();
        assert_eq!(done(&mut here, directory.path()), []);
        let nested = [
            ("inlined".to_owned(), line("INLINED"), true),
            ("between".to_owned(), line("BETWEEN"), true),
            ("outer".to_owned(), line("OUTER"), false),
        ];
        assert!(told(&here).windows(3).any(|frames| frames == nested), "{here:#?}");
        let last = here.user.last().expect("a frame");
        assert_eq!(last.symbol_offset, Some(stack.user.len() as u64 - 1), "by its symbol table");
        let again = here.clone();
        assert_eq!(done(&mut here, directory.path()), []);
        assert_eq!(here, again, "nothing twice");
        run("cc", &["-O1", "-g", "-Wl,--build-id", "program.c", "-o", debug]);
        let mut other = stack.clone();
        let failed = done(&mut other, directory.path());
        assert!(matches!(failed[..], [Failed::NotFound { other: Some(_), .. }]), "{failed:?}");
        assert_eq!(other, stack);
        fs::remove_file(&path).expect("ours");
        let failed = done(&mut other, directory.path());
        assert!(matches!(failed[..], [Failed::NotFound { other: None, .. }]), "{failed:?}");
    }

    #[test]
    fn a_signal_is_no_call() {
        let (directory, _, mut stack, _) = recorded();
        let mut handler = stack.user[0].clone();
        handler.symbol = Some(Untrusted(SIGNAL_FRAME.to_vec()));
        let first = stack.user.swap_remove(0);
        stack.user = vec![first.clone(), handler.clone(), first.clone(), first];
        assert_eq!(done(&mut stack, directory.path()), []);
        stack.user.retain(|frame| !frame.inlined);
        assert_eq!(stack.user[1], handler);
        // The first instruction of a function was interrupted; nothing was called before it.
        let outer = |frame: &Frame| frame.symbol.as_ref().is_some_and(|name| name.0 == b"outer");
        assert_eq!(stack.user.iter().map(outer).collect::<Vec<_>>(), [true, false, true, false]);
    }

    #[test]
    fn the_file_itself_will_do_and_what_says_nothing_is_said() {
        let (directory, program, mut stack, _) = recorded();
        for frame in &mut stack.user {
            frame.module_address = None;
        }
        let mut here = stack.clone();
        assert_eq!(done(&mut here, directory.path()), []);
        assert!(told(&here).contains(&("inlined".to_owned(), line("INLINED"), true)));
        assert!(here.user.iter().all(|frame| frame.module_address.is_some()), "{here:#?}");
        run("strip", &["program"], directory.path());
        let path = program.as_os_str().as_encoded_bytes().to_vec();
        assert_eq!(done(&mut stack, directory.path()), [Failed::SaysNothing(path)]);
        for build_id in [None, Some(Label::from("no hex"))] {
            for frame in &mut stack.user {
                frame.build_id = build_id.clone();
            }
            assert_eq!(done(&mut stack, directory.path()), [Failed::NoBuildId]);
        }
    }
}

//! From a captured stack to its frames: the files are opened here, and read by the process that parses.
use std::{fs::File, os::unix::ffi::OsStrExt as _, path::PathBuf, time::Duration};

use crate::{
    enrich::{
        changed, debug_files,
        mapped_file::{MappedFile, path},
        open,
        parser::Parser,
        place,
    },
    model::{
        Bytes,
        stack::{Cut, Frame, Mapping, SIGNAL_FRAME, Sample, Stack},
        task::Ancestor,
    },
    parse::protocol::{Answer, Bare, FILES, FRAMES, INLINED, Request, TEXT, Thread},
};

/// More mappings of one stack are not looked at.
const MAPPINGS: usize = 256;
/// So long its files may be read.
const TIMEOUT: Duration = Duration::from_millis(2_500);
/// And so long whether one of them is of a build.
const LOOK: Duration = Duration::from_millis(300);

/// The frames of a thread. Its files are looked for as we see them, as it did, and as its ancestors do.
pub fn frames(sample: &Sample, ancestors: &[Ancestor], parser: &Parser) -> Stack {
    let Sample { process, tid, act, .. } = *sample;
    // The victim is there a while longer, as a rule.
    let ancestors = ancestors.iter().map(|ancestor| ancestor.id.tgid);
    let roots: Vec<u32> = [process.tgid].into_iter().chain(ancestors).collect();
    let (modules, files) = modules(sample, &roots);
    let thread = Thread {
        machine: sample.machine,
        registers: sample.registers,
        chain: sample.chain.clone(),
        bytes: sample.bytes.clone(),
        modules: modules.iter().map(MappedFile::module).collect(),
    };
    let mut known = Known::innermost(sample, &modules);
    let mut find = |module: usize, build_id: &[u8], link: Option<&[u8]>| {
        let path = modules.get(module).and_then(|module| module.path.as_deref());
        let beside = path.zip(link);
        let paths = debug_files::paths(build_id, beside);
        let of_build = |path: &PathBuf| {
            let file = debug_files::open(path, &roots)?;
            let path = path.as_os_str().as_bytes();
            let found = place::build_id(file.try_clone().ok()?, path, LOOK, parser);
            (found.as_deref() == Some(build_id)).then_some(file)
        };
        paths.iter().filter_map(of_build).collect()
    };
    let request = Request::Stack(Box::new(thread));
    let asked = parser
        .ask(&request, &files, TIMEOUT, &mut find, &mut |answer| known.take(answer, modules.len()));
    if let Err(why) = asked {
        parser.failed(modules.first().and_then(|module| module.path.as_deref()), &why);
    }
    let frames = known.frames(&modules);
    // Who only did something lives on, and may be anybody.
    let modules = match act {
        None => changed::modules(&modules, &frames, &roots, parser),
        Some(_) => Vec::new(),
    };
    Stack { process, tid, act, frames, modules, cut: known.cut }
}

/// The same, where no file is looked at in time: what the kernel captured of the innermost frame.
pub fn innermost_only(sample: &Sample) -> Stack {
    let mappings = sample.modules.iter().take(MAPPINGS);
    let modules: Vec<MappedFile> = mappings.map(|m| MappedFile::new(m, None)).collect();
    let mut known = Known::innermost(sample, &modules);
    let frames = known.frames(&modules);
    let Sample { process, tid, act, .. } = *sample;
    Stack { process, tid, act, frames, modules: Vec::new(), cut: known.cut }
}

/// The files behind the mappings, in their order, as we and the processes of `roots` see them, and those that can be had.
fn modules(sample: &Sample, roots: &[u32]) -> (Vec<MappedFile>, Vec<File>) {
    let (mut modules, mut files): (Vec<MappedFile>, Vec<File>) = (Vec::new(), Vec::new());
    for mapping in sample.modules.iter().take(MAPPINGS).filter(|m| m.start < m.end) {
        let same = |module: &&mut MappedFile| {
            module
                .mappings
                .first()
                .is_some_and(|m| m.inode == mapping.inode && m.path == mapping.path)
        };
        if let Some(module) = modules.iter_mut().find(same) {
            module.mappings.push(mapping.clone());
            continue;
        }
        let is_it = open::is(&mapping.inode);
        let roots = || roots.iter().copied();
        let by_path = || path(&mapping.path).and_then(|path| open::regular(&path, roots(), &is_it));
        let by_address = || open::mapped(mapping.start..mapping.end, roots(), &is_it);
        let room = files.len() < FILES;
        let file = room.then(|| by_path().or_else(by_address)).flatten();
        modules.push(MappedFile::new(mapping, file.as_ref()));
        files.extend(file);
    }
    (modules, files)
}

/// What is known of a stack by now.
struct Known {
    bare: Vec<Bare>,
    /// Of each of them, where more is known.
    named: Vec<Vec<Frame>>,
    cut: Option<Cut>,
    unwound: bool,
}

impl Known {
    /// What nobody has to read a file for.
    fn innermost(sample: &Sample, modules: &[MappedFile]) -> Self {
        let ip = sample.registers.map(|registers| registers.ip).or(sample.chain.first().copied());
        let frame = |ip: u64| {
            let place = modules.iter().enumerate().find_map(|(nth, module)| {
                let holds = |m: &&Mapping| (m.start..m.end).contains(&ip);
                let mapping = module.mappings.iter().find(holds)?;
                Some((nth, (ip - mapping.start).checked_add(mapping.offset)?))
            });
            let (module, offset) = place.unzip();
            Bare { ip, module, offset, signal: false }
        };
        let bare: Vec<Bare> = ip.map(frame).into_iter().collect();
        Self { named: vec![Vec::new(); bare.len()], bare, cut: Some(Cut::Parser), unwound: false }
    }

    /// Takes in part of an answer; whether it makes sense.
    fn take(&mut self, answer: Answer, modules: usize) -> bool {
        match answer {
            Answer::Unwound { frames, cut } => {
                let known = |frame: &Bare| frame.module.is_none_or(|module| module < modules);
                if self.unwound || frames.len() > FRAMES || !frames.iter().all(known) {
                    return false;
                }
                self.unwound = true;
                (self.named, self.bare, self.cut) = (vec![Vec::new(); frames.len()], frames, cut);
            }
            Answer::Named { at, frames } => {
                let short = |text: &Option<Bytes>| text.as_ref().is_none_or(|t| t.len() <= TEXT);
                let sense = |frame: &Frame| {
                    [&frame.symbol, &frame.source, &frame.build_id].into_iter().all(short)
                };
                let count = frames.len();
                let Some(named) = self.named.get_mut(at).filter(|_| self.unwound) else {
                    return false;
                };
                if count == 0 || count > INLINED || !frames.iter().all(sense) {
                    return false;
                }
                *named = frames;
            }
            _ => return false,
        }
        true
    }

    /// The frames: where each is was known before, and only names are not.
    fn frames(&mut self, modules: &[MappedFile]) -> Vec<Frame> {
        let named = std::mem::take(&mut self.named);
        let frames = self.bare.iter().zip(named).flat_map(|(bare, named)| {
            let module = bare.module.and_then(|at| modules.get(at)?.name());
            let named = match named.is_empty() {
                true => {
                    let symbol = bare.signal.then(|| SIGNAL_FRAME.to_vec());
                    vec![Frame { symbol, ..Frame::default() }]
                }
                false => named,
            };
            let (ip, offset) = (bare.ip, bare.offset);
            named.into_iter().map(move |frame| Frame {
                ip,
                offset,
                module: module.clone(),
                ..frame
            })
        });
        frames.collect()
    }
}

#[cfg(test)]
mod tests;

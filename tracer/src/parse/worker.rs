//! Answers one question: by a process that ends with it.
use std::{cell::Cell, fs::File, io, time::Duration};

use crate::{
    model::Bytes,
    parse::{
        elf::Source,
        lines::{self, Fuel},
        protocol::{Answer, Channel, Files, Function, Lines, Place, Request, Thread},
        symbolize,
        unwind::{self, Known},
    },
    text::demangle,
};

/// Steps of reading debug information that somebody waits for: time ends it as a rule.
const STEPS: u64 = 4_000_000_000;
/// What a question takes beside what it reads: our own code, and room for a copy of what is unpacked, in bytes.
const BESIDE: u64 = 256 << 20;

/// What the process that answers a question may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of its address space, in bytes.
    pub memory: u64,
    /// Of a CPU.
    pub time: Duration,
}

impl Limits {
    /// Of a question; the asker has a shorter timeout.
    fn of(request: &Request) -> Self {
        match request {
            Request::Instruction { .. } | Request::Stack(_) => {
                Self { memory: BESIDE, time: Duration::from_secs(4) }
            }
            Request::Lines(lines) => Self {
                // What is compressed is there twice.
                memory: lines.most.saturating_mul(2).saturating_add(BESIDE),
                time: lines.time.saturating_add(Duration::from_secs(2)),
            },
        }
    }
}

/// Takes a question, lets go of everything else, and answers.
///
/// # Errors
/// Where the asker is gone, or what is not needed cannot be let go of.
pub fn serve(channel: &Channel, confine: impl FnOnce(Limits) -> io::Result<()>) -> io::Result<()> {
    let (request, files) = channel.receive::<Request>(None)?;
    confine(Limits::of(&request))?;
    channel.send(&Answer::Begun { pid: std::process::id() }, &[])?;
    let files = files.into_iter().map(File::from);
    let left = match request {
        Request::Instruction { offset } => instruction(channel, files, offset)?,
        Request::Stack(thread) => stack(channel, files, &thread)?,
        Request::Lines(lines) => lines_of(channel, files, &lines)?,
    };
    channel.send(&Answer::Done { left }, &[])
}

fn instruction(
    channel: &Channel,
    mut files: impl Iterator<Item = File>,
    offset: u64,
) -> io::Result<u64> {
    let Some(file) = files.next() else { return Ok(0) };
    let (function, build_id, address) = symbolize::code(file, offset);
    let place = Place { function: function.map(in_its_language), build_id, address };
    channel.send(&Answer::Instruction(place), &[])?;
    Ok(0)
}

fn in_its_language((symbol, offset): (Bytes, u64)) -> Function {
    Function { name: demangle::name(&symbol), offset }
}

fn stack(
    channel: &Channel,
    mut files: impl Iterator<Item = File>,
    thread: &Thread,
) -> io::Result<u64> {
    let files = thread.modules.iter().map(|m| m.file.then(|| files.next()).flatten()).collect();
    let find = |module: usize, build_id: &[u8], link: Option<&[u8]>| {
        let (build_id, link) = (build_id.to_vec(), link.map(<[u8]>::to_vec));
        let wanted = Answer::Wanted { module, build_id, link };
        let asked = channel.send(&wanted, &[]);
        let got = asked.and_then(|()| channel.receive::<Files>(None));
        got.map(|(_, files)| files.into_iter().map(File::from).collect()).unwrap_or_default()
    };
    let mut sent = Ok(());
    unwind::frames(thread, files, &find, &mut |known| {
        let answer = match known {
            Known::Unwound(frames, cut) => Answer::Unwound { frames, cut },
            Known::Named(at, frames) => Answer::Named { at, frames },
        };
        if sent.is_ok() {
            sent = channel.send(&answer, &[]);
        }
    });
    sent.map(|()| 0)
}

fn lines_of(
    channel: &Channel,
    mut files: impl Iterator<Item = File>,
    wanted: &Lines,
) -> io::Result<u64> {
    let left = Cell::new(wanted.most);
    let Some(file) = files.next() else { return Ok(left.get()) };
    let source = Source::with(file, wanted.most, &left);
    let file = source.bounded();
    if symbolize::build_id_of(file).as_ref() != Some(&wanted.build_id) {
        channel.send(&Answer::Other, &[])?;
        return Ok(left.get());
    }
    // Of what was recorded without an address the file itself, not one of its debug information, knows it.
    let known = symbolize::tell(file, &wanted.offsets).addresses;
    let known = known.into_iter().chain(std::iter::repeat(None));
    let addresses: Vec<Option<u64>> =
        wanted.addresses.iter().zip(known).map(|(address, known)| address.or(known)).collect();
    let functions = symbolize::functions(file, &addresses).into_iter();
    let mut functions = functions.chain(std::iter::repeat(None));
    let (most, fuel) = (Cell::new(left.get()), Fuel::new(STEPS, wanted.time));
    let sites = lines::of(file, &addresses, &most, &fuel).unwrap_or_default();
    let mut sites = sites.into_iter();
    for (at, address) in addresses.into_iter().enumerate() {
        let function = functions.next().flatten().map(in_its_language);
        let sites = sites.next().unwrap_or_default();
        channel.send(&Answer::Line { at, address, function, sites }, &[])?;
    }
    Ok(left.get())
}

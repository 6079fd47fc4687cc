//! Hides secrets in the command lines of a raw event, and in what user space read of one.
use std::{borrow::Cow, mem::offset_of};

use tracer_common::event::{
    ACTOR_NO_CMDLINE, Actor, CMDLINE, Deliver, Exit, Fault, Header, Shrink, Signal, Start, kind,
};

use crate::{
    model::{fact::Fact, input::Input},
    text::secrets::Secrets,
    wire::decode::arguments,
};

/// Where an event of a kind has its actor, in bytes.
fn actor_at(kind: u16) -> Option<usize> {
    match kind {
        kind::FAULT => Some(offset_of!(Fault, actor)),
        kind::SHRINK => Some(offset_of!(Shrink, actor)),
        kind::SIGNAL => Some(offset_of!(Signal, sender)),
        kind::DELIVER => Some(offset_of!(Deliver, target)),
        kind::EXIT => Some(offset_of!(Exit, actor)),
        kind::START => Some(offset_of!(Start, actor)),
        _ => None,
    }
}

/// An event as a ring buffer gave it, without the secrets of its actor's command line.
pub fn event<'a>(secrets: &Secrets, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    hidden(secrets, bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
}

fn hidden(secrets: &Secrets, bytes: &[u8]) -> Option<Vec<u8>> {
    let kind = u16::from_le_bytes(*bytes.first_chunk()?);
    let at = actor_at(kind)?;
    let word = |offset: usize| {
        let bytes = bytes.get(at + offset..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let full = word(offset_of!(Actor, cmdline_full))?;
    let len = word(offset_of!(Actor, cmdline_len))?;
    if len == 0 || word(offset_of!(Actor, flags))? & ACTOR_NO_CMDLINE != 0 {
        return None;
    }
    let from = at + offset_of!(Actor, cmdline);
    let room = bytes.get(from..from + CMDLINE)?;
    let told = room.get(..len as usize)?;
    let mut line = if full > len {
        // What would end a secret may be what was cut.
        let mut line = secrets.hide(&[told, b"@"].concat())?;
        line.pop_if(|last| *last == b'@');
        line
    } else {
        secrets.hide(told)?
    };
    let cut = line.len() > CMDLINE;
    line.truncate(CMDLINE);
    let mut event = bytes.to_vec();
    let told = line.len() as u32;
    // What was cut stays cut, by as many bytes.
    let all = told + full.saturating_sub(len) + u32::from(cut);
    event[at + offset_of!(Actor, cmdline_len)..][..4].copy_from_slice(&told.to_le_bytes());
    event[at + offset_of!(Actor, cmdline_full)..][..4].copy_from_slice(&all.to_le_bytes());
    line.resize(CMDLINE, 0);
    event[from..from + CMDLINE].copy_from_slice(&line);
    Some(event)
}

/// What user space found out, without the secrets of the command line.
pub fn input(secrets: &Secrets, input: &mut Input) {
    if let Input::Fact(Fact::Process(process)) = input
        && let Some(arguments_of) = &process.cmdline
        && let Some(without) = secrets.hide(&arguments_of.join(&0))
    {
        process.cmdline = Some(arguments(&without));
    }
}

const _: () = assert!(offset_of!(Header, kind) == 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{input::KernelEvent, task::Actor as Told},
        wire::decode::decode,
    };

    const SECRET: &[u8] = b"s3cr3t";

    /// An event of a kind whose actor has this command line, of which so many bytes were not read.
    fn raw(kind: u16, line: &[u8], cut: u32) -> Vec<u8> {
        let known = tracer_common::event::KINDS.iter().find(|known| known.number == kind);
        let known = known.expect("a kind");
        let mut bytes = vec![0; known.size];
        bytes[offset_of!(Header, kind)..][..2].copy_from_slice(&kind.to_le_bytes());
        bytes[offset_of!(Header, len)..][..4].copy_from_slice(&(known.size as u32).to_le_bytes());
        bytes[offset_of!(Header, version)..][..2].copy_from_slice(&known.version.to_le_bytes());
        let at = actor_at(kind).expect("an actor");
        let len = line.len() as u32;
        for (offset, value) in
            [(offset_of!(Actor, cmdline_len), len), (offset_of!(Actor, cmdline_full), len + cut)]
        {
            bytes[at + offset..][..4].copy_from_slice(&value.to_le_bytes());
        }
        bytes[at + offset_of!(Actor, cmdline)..][..line.len()].copy_from_slice(line);
        bytes
    }

    fn actor(bytes: &[u8]) -> Told {
        match decode(bytes).expect("an event").1.expect("a known kind") {
            KernelEvent::Fault(fault) => fault.actor,
            KernelEvent::Shrink(shrink) => shrink.actor,
            KernelEvent::Signal(signal) => signal.sender,
            KernelEvent::Deliver(deliver) => deliver.target,
            KernelEvent::ProcessExit(exit) => exit.actor,
            KernelEvent::ProcessStart(start) => start.actor,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_actor_of_each_kind_loses_its_secrets_and_nothing_else() {
        let actors =
            [kind::FAULT, kind::SHRINK, kind::SIGNAL, kind::DELIVER, kind::EXIT, kind::START];
        for kind in actors {
            let before = raw(kind, b"app\0--password\0s3cr3t\0-v\0", 0);
            assert!(before.windows(SECRET.len()).any(|bytes| bytes == SECRET));
            let after = event(&Secrets::default(), &before);
            assert!(!after.windows(SECRET.len()).any(|bytes| bytes == SECRET), "kind {kind}");
            let told = actor(&after);
            let line: Vec<&[u8]> = told.cmdline.iter().flatten().map(Vec::as_slice).collect();
            assert_eq!(line, [&b"app"[..], b"--password", b"***", b"-v"]);
            assert!(!told.cmdline_cut);
            let plain = raw(kind, b"cp\0a\0b\0", 7);
            assert_eq!(*event(&Secrets::default(), &plain), plain);
            assert!(actor(&plain).cmdline_cut);
        }
    }

    #[test]
    fn a_secret_whose_end_was_cut_is_hidden() {
        let before = raw(kind::SHRINK, b"git\0clone\0https://me:s3cr3t", 30);
        let told = actor(&event(&Secrets::default(), &before));
        assert_eq!(told.cmdline.expect("a line")[2], b"https://me:***");
        assert!(told.cmdline_cut);
    }

    #[test]
    fn a_line_that_grows_is_cut() {
        let line = [&b"app\0-D\0--pass=1"[..], &[b'x'; CMDLINE - 16], b"@"].concat();
        let line = [&line[..CMDLINE - 9], b"\0--pass=1"].concat();
        let told = actor(&event(&Secrets::default(), &raw(kind::EXIT, &line[..CMDLINE], 0)));
        assert!(told.cmdline.expect("a line").concat().len() <= CMDLINE);
    }

    #[test]
    fn damaged_events_are_left_to_the_decoder() {
        let mut long = raw(kind::FAULT, b"app\0--password=x", 0);
        let at = offset_of!(Fault, actor) + offset_of!(Actor, cmdline_len);
        long[at..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(*event(&Secrets::default(), &long), long);
        for len in 0..long.len() {
            let _ = event(&Secrets::default(), &long[..len]);
        }
    }
}

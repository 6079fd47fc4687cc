//! From the bytes of a ring buffer, or of a saved stream, to an event. Pure; never panics.
//!
//! One reader a struct of `tracer_common::event`. The readers take from a slice whose length was held
//! against `tracer_common::event::KINDS` before.
use anyhow::{Result, bail, ensure};
use bytes::Buf;
use tracer_common::event::{
    Event as _, EventKind, FAULT_SHORTER, Fault, Header, KINDS, Login, Shrink, Signal, kind, ring,
};

use crate::model::input::{KernelEvent, Stamp};

mod cgroup;
mod fault;
mod file;
mod oom;
mod process;
mod shrink;
mod signal;
mod stack;
mod task;
#[cfg(test)]
pub(crate) mod testing;

pub use stack::{SampleKey, StackRecord, stack};
pub use task::arguments;

/// More than any kernel is built for (NR_CPUS).
const CPUS: u32 = 1 << 16;

/// Layouts that old streams have and that are read still.
const OLD_KINDS: [EventKind; 4] = [
    old_fault(0),
    old_fault(1),
    EventKind { version: 0, size: Shrink::KIND.size - size_of::<Login>(), ..Shrink::KIND },
    EventKind { version: 0, size: Signal::KIND.size - size_of::<Login>(), ..Signal::KIND },
];

const fn old_fault(version: u16) -> EventKind {
    let size = size_of::<Fault>() - FAULT_SHORTER[version as usize];
    EventKind { number: kind::FAULT, version, size }
}

/// Decodes one event; `None` for a kind, or a version of a kind, that this build does not know.
///
/// # Errors
/// Where the bytes are shorter than their kind needs or their lengths contradict each other.
pub fn decode(mut bytes: &[u8]) -> Result<(Stamp, Option<KernelEvent>)> {
    ensure!(
        bytes.len() >= size_of::<Header>(),
        "an event of {} bytes is shorter than its header",
        bytes.len()
    );
    let total = bytes.len();
    let b = &mut bytes;
    let number = b.get_u16_le();
    let ring = b.get_u16_le();
    let len = b.get_u32_le() as usize;
    let cpu = b.get_u32_le();
    let version = b.get_u16_le();
    b.advance(2);
    let stamp = Stamp { cpu, ring, seq: b.get_u64_le(), time: b.get_u64_le() };
    ensure!(len == total, "an event says {len} bytes and has {total}");
    ensure!(usize::from(ring) < ring::COUNT, "an event names ring {ring}");
    ensure!(cpu < CPUS, "an event names cpu {cpu}");
    let same = |known: &&EventKind| (known.number, known.version) == (number, version);
    let Some(known) = KINDS.iter().chain(&OLD_KINDS).find(same) else {
        return Ok((stamp, None));
    };
    ensure!(
        total >= known.size,
        "an event of kind {number} has {total} bytes instead of {}",
        known.size
    );
    let event = match number {
        kind::FAULT => KernelEvent::Fault(Box::new(fault::fault(b, version)?)),
        kind::SHRINK => KernelEvent::Shrink(Box::new(shrink::shrink(b, version)?)),
        kind::SHRINK_END => KernelEvent::ShrinkEnd(shrink::shrink_end(b, stamp.time)),
        kind::SIGNAL => KernelEvent::Signal(Box::new(signal::signal(b, version))),
        kind::DELIVER => KernelEvent::Deliver(Box::new(signal::deliver(b)?)),
        kind::EXIT => KernelEvent::ProcessExit(Box::new(process::exit(b, stamp.time)?)),
        kind::CRASH => KernelEvent::Crash(Box::new(process::crash(b))),
        kind::START => KernelEvent::ProcessStart(Box::new(process::start(b))),
        kind::STALE => KernelEvent::Stale(shrink::stale(b)),
        kind::CGROUP => KernelEvent::Cgroup(cgroup::cgroup(b)?),
        kind::PROGRAM => KernelEvent::Program(Box::new(process::program(b)?)),
        kind::OUTPUT => KernelEvent::Output(Box::new(process::output(b)?)),
        kind::OOM_KILL => KernelEvent::OomKill(Box::new(oom::oom_kill(b))),
        other => bail!("kind {other} has a length but no decoder"),
    };
    Ok((stamp, Some(event)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode::testing::{bytes, zeroed};
    use tracer_common::event as wire;

    /// One event of each kind, with a path where there may be one.
    fn samples() -> Vec<Vec<u8>> {
        let mut fault: wire::Fault = zeroed();
        fault.path_len = 8;
        let mut shrink: wire::Shrink = zeroed();
        shrink.path_len = 8;
        let mut exit: wire::Exit = zeroed();
        exit.path_len = 8;
        let mut made: wire::Cgroup = zeroed();
        made.path_len = 8;
        let mut program: wire::Program = zeroed();
        program.path_len = 8;
        let mut output: wire::Output = zeroed();
        output.path_len = 8;
        vec![
            bytes(&fault, b"leaf\0up\0"),
            bytes(&shrink, b"leaf\0up\0"),
            bytes(&zeroed::<wire::ShrinkEnd>(), b""),
            bytes(&zeroed::<wire::Signal>(), b""),
            bytes(&zeroed::<wire::Deliver>(), b""),
            bytes(&exit, b"leaf\0up\0"),
            bytes(&zeroed::<wire::Stale>(), b""),
            bytes(&zeroed::<wire::Start>(), b""),
            bytes(&made, b"/a/bcdef"),
            bytes(&program, b"leaf\0up\0"),
            bytes(&zeroed::<wire::OomKill>(), b""),
            bytes(&zeroed::<wire::Crash>(), b""),
            bytes(&output, b"leaf\0up\0"),
        ]
    }

    #[test]
    fn every_kind_has_a_reader() {
        let samples = samples();
        assert_eq!(samples.len(), KINDS.len());
        for (sample, known) in samples.iter().zip(KINDS) {
            assert_eq!(u16::from_le_bytes([sample[0], sample[1]]), known.number);
            let (_, event) = decode(sample).expect("an event");
            assert!(event.is_some(), "kind {}", known.number);
        }
    }

    /// As streams have them that were recorded before logins were told.
    #[test]
    fn older_layouts_are_read() {
        for (kind, path) in [(wire::Shrink::KIND, 8), (wire::Signal::KIND, 0)] {
            let mut sample = samples()
                .into_iter()
                .find(|sample| sample[..2] == kind.number.to_le_bytes())
                .expect("a sample");
            let login = kind.size - size_of::<wire::Login>();
            sample.drain(login..kind.size);
            assert_eq!(sample.len(), login + path);
            let len = sample.len() as u32;
            sample[4..8].copy_from_slice(&len.to_le_bytes());
            sample[12..14].copy_from_slice(&0_u16.to_le_bytes());
            assert!(matches!(decode(&sample), Ok((_, Some(_)))), "kind {}", kind.number);
            sample.truncate(login - 8);
            sample[4..8].copy_from_slice(&(login as u32 - 8).to_le_bytes());
            assert!(decode(&sample).is_err(), "kind {}", kind.number);
        }
    }

    #[test]
    fn the_header_says_where_and_when() {
        let mut sample = samples().swap_remove(2);
        sample[2..4].copy_from_slice(&ring::BULK.to_le_bytes());
        sample[8..12].copy_from_slice(&3_u32.to_le_bytes());
        sample[16..24].copy_from_slice(&77_u64.to_le_bytes());
        sample[24..32].copy_from_slice(&88_u64.to_le_bytes());
        let (stamp, _) = decode(&sample).expect("an event");
        assert_eq!(stamp, Stamp { cpu: 3, ring: ring::BULK, seq: 77, time: 88 });
    }

    #[test]
    fn an_unknown_kind_or_version_is_skipped() {
        for known in KINDS {
            let sample = samples()
                .into_iter()
                .find(|sample| sample[..2] == known.number.to_le_bytes())
                .expect("a sample");
            let mut version = sample.clone();
            version[12..14].copy_from_slice(&(known.version + 1).to_le_bytes());
            // A later layout may be shorter than this one.
            version.truncate(40);
            version[4..8].copy_from_slice(&40_u32.to_le_bytes());
            assert!(matches!(decode(&version), Ok((_, None))), "kind {}", known.number);
            let mut number = sample;
            number[..2].copy_from_slice(&0x80_u16.to_le_bytes());
            assert!(matches!(decode(&number), Ok((_, None))));
        }
    }

    #[test]
    fn no_length_of_bytes_panics() {
        for sample in samples() {
            for len in 0..sample.len() {
                let mut cut = sample[..len].to_vec();
                assert!(decode(&cut).is_err(), "{len} of {} bytes", sample.len());
                if len >= 8 {
                    // The same with a header that agrees.
                    cut[4..8].copy_from_slice(&(len as u32).to_le_bytes());
                    assert!(decode(&cut).is_err(), "{len} of {} bytes", sample.len());
                }
            }
            let mut long = sample.clone();
            long.push(0);
            assert!(decode(&long).is_err());
        }
    }

    #[test]
    fn no_byte_panics() {
        for sample in samples() {
            for at in 0..sample.len() {
                for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                    let mut damaged = sample.clone();
                    damaged[at] = value;
                    let _ = decode(&damaged);
                }
            }
        }
    }

    #[test]
    fn a_foreign_ring_or_cpu_is_an_error() {
        let sample = samples().swap_remove(2);
        let mut foreign = sample.clone();
        foreign[2] = ring::COUNT as u8;
        assert!(decode(&foreign).is_err());
        let mut foreign = sample;
        foreign[8..12].copy_from_slice(&CPUS.to_le_bytes());
        assert!(decode(&foreign).is_err());
    }
}

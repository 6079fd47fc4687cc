//! Signals, generated and delivered.
use anyhow::{Result, bail};
use bytes::Buf;
use tracer_common::event as wire;

use crate::{
    model::signal::{Deliver, Disposition, Origin, Signal, UNKNOWN_USER},
    wire::decode::task::{actor, login, task},
};

/// `wire::Signal`, of any version.
pub fn signal(b: &mut &[u8], version: u16) -> Signal {
    let (mut target, mut sender) = (task(b), actor(b));
    let address = b.get_u64_le();
    let (number, code, result) = (b.get_i32_le(), b.get_i32_le(), b.get_i32_le());
    b.advance(4);
    let forced = b.get_u32_le() != 0;
    let origin = b.get_u32_le();
    let kept = origin & wire::origin::KEPT != 0;
    if version > 0 {
        sender.login = login(b);
    } else {
        // Most writers of that version left it 0.
        target.uid = UNKNOWN_USER;
    }
    Signal {
        target,
        sender,
        number,
        code,
        address: if kept { 0 } else { untagged(address) },
        generated: kept.then_some(address),
        result,
        forced,
        origin: match origin & !wire::origin::KEPT {
            wire::origin::CALL => Origin::Call,
            wire::origin::KERNEL => Origin::Kernel,
            _ => Origin::Unknown,
        },
    }
}

/// A process on arm64 may keep what it likes in the upper byte of an address. As the signal is raised it is there still
/// (arch/arm64/mm/fault.c do_page_fault: `far`), but not in what the handler of the fault tells, nor in what the process
/// gets to see (kernel/signal.c hide_si_addr_tag_bits).
fn untagged(address: u64) -> u64 {
    const TAG: u64 = 0xff << 56;
    // Of kernels and of pointers that are none, bit 55 is set, too.
    if address & 1 << 55 == 0 { address & !TAG } else { address }
}

/// `wire::Deliver`
pub fn deliver(b: &mut &[u8]) -> Result<Deliver> {
    let target = actor(b);
    b.advance(4);
    let disposition = match b.get_u32_le() {
        wire::disposition::DEFAULT => Disposition::Default,
        wire::disposition::IGNORE => Disposition::Ignore,
        wire::disposition::HANDLER => Disposition::Handler,
        other => bail!("a delivery names disposition {other}"),
    };
    Ok(Deliver { target, disposition })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::input::KernelEvent,
        wire::decode::{
            decode,
            testing::{bytes, zeroed},
        },
    };

    #[test]
    fn every_field_of_a_signal() {
        let mut sent: wire::Signal = zeroed();
        sent.target.tgid = 1;
        sent.sender.task.tgid = 2;
        sent.address = 3;
        sent.signal = 7;
        sent.code = -6;
        sent.result = 1;
        sent.group = 1;
        sent.login.known = wire::LOGIN_AUDIT;
        sent.login.uid = 1000;
        let decoded = |sent: &wire::Signal| match decode(&bytes(sent, b"")).expect("an event").1 {
            Some(KernelEvent::Signal(signal)) => *signal,
            other => panic!("{other:?}"),
        };
        let signal = decoded(&sent);
        assert_eq!((signal.target.id.tgid, signal.sender.task.id.tgid), (1, 2));
        assert_eq!((signal.address, signal.number, signal.code), (3, 7, -6));
        assert_eq!((signal.result, signal.forced), (1, false));
        assert_eq!(signal.sender.login.uid, Some(1000));
        sent.forced = 1;
        assert!(decoded(&sent).forced);
        assert_eq!(decoded(&sent).generated, None);
        sent.origin = wire::origin::CALL | wire::origin::KEPT;
        let kept = decoded(&sent);
        assert_eq!((kept.address, kept.generated, kept.origin), (0, Some(3), Origin::Call));
    }

    #[test]
    fn what_a_pointer_carries_beside_its_address_is_left_out() {
        let decoded = |address: u64| {
            let mut sent: wire::Signal = zeroed();
            (sent.target.tgid, sent.signal, sent.code, sent.address) = (1, 7, 2, address);
            match decode(&bytes(&sent, b"")).expect("an event").1 {
                Some(KernelEvent::Signal(signal)) => signal.address,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(decoded(0x0b00_ffff_9000_1000), 0xffff_9000_1000);
        assert_eq!(decoded(0x7f00_9000_1000), 0x7f00_9000_1000);
        assert_eq!(decoded(0xffff_8000_1234_5678), 0xffff_8000_1234_5678);
    }

    #[test]
    fn dispositions() {
        let decoded = |disposition| {
            let mut sent: wire::Deliver = zeroed();
            (sent.target.task.tgid, sent.disposition) = (1, disposition);
            match decode(&bytes(&sent, b""))?.1 {
                Some(KernelEvent::Deliver(deliver)) => Ok(*deliver),
                other => bail!("{other:?}"),
            }
        };
        for (number, known) in
            [(0, Disposition::Default), (1, Disposition::Ignore), (2, Disposition::Handler)]
        {
            let deliver = decoded(number).expect("a delivery");
            assert_eq!((deliver.target.task.id.tgid, deliver.disposition), (1, known));
        }
        assert!(decoded(3).is_err());
    }
}

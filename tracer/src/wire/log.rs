//! A probe's line, as its log record has it (tracer-ebpf/src/log.rs): numbers, and the name of the process in
//! hexadecimal. Pure.
use tracer_common::log::{Hook, Message};

use crate::model::log::LogLine;

/// `None` where it is none.
pub fn decode(record: &str) -> Option<LogLine> {
    let mut words = record.split(' ');
    let message = *Message::ALL.get(words.next()?.parse::<usize>().ok()?)?;
    let hook = *Hook::ALL.get(words.next()?.parse::<usize>().ok()?)?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let (time, tgid, tid) = (number()?, number()?, number()?);
    let comm = name(words.next()?)?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let values = [number()?, number()?, number()?, number()?];
    let id = |number: u64| u32::try_from(number).ok();
    Some(LogLine { time, hook, message, tgid: id(tgid)?, tid: id(tid)?, comm, values })
}

/// Bytes in hexadecimal, up to the first that is 0.
fn name(hex: &str) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    for pair in hex.as_bytes().chunks(2) {
        match u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()? {
            0 => break,
            byte => name.push(byte),
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_numbers_and_a_name() {
        let hook = Hook::ALL.iter().position(|hook| *hook == Hook::NotifyChange).unwrap();
        let message =
            Message::ALL.iter().position(|message| *message == Message::ShrinkSent).unwrap();
        let record = format!("{message} {hook} 5 12 13 63700aff00000000 7 8192 4096 0");
        let logged = decode(&record).expect("a record");
        assert_eq!((logged.hook, logged.message), (Hook::NotifyChange, Message::ShrinkSent));
        assert_eq!((logged.time, logged.tgid, logged.tid), (5, 12, 13));
        assert_eq!((logged.comm, logged.values), (b"cp\n\xff".to_vec(), [7, 8_192, 4_096, 0]));
    }

    #[test]
    fn what_is_none_is_left_out() {
        let hostile = ["", "0", "9999 0 1 1 1 00 0 0 0 0", "0 9999 1 1 1 00 0 0 0 0", "é é"];
        for record in hostile {
            assert_eq!(decode(record), None, "{record}");
        }
        assert_eq!(decode("0 0 1 1 1 zz 0 0 0 0"), None);
        assert_eq!(decode("0 0 1 1 4294967296 00 0 0 0 0"), None);
        assert_eq!(decode("0 0 1 1 1 6é 0 0 0 0"), None);
    }
}

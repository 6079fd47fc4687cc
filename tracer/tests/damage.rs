//! Whatever stands in a file that is read, nothing panics and nothing grows without bound.
use std::{
    mem::offset_of,
    panic::{AssertUnwindSafe, catch_unwind},
};

use fastrand::Rng;
use tracer_common::event::Header;
use whybus::{
    correlate::engine::Engine,
    wire::{decode::decode, stream},
};

mod common;
use common::{damage, recorded, records};

/// Runs `test` on `count` damaged copies, and names the one it panicked on.
fn damaged(original: &[u8], count: u64, test: impl Fn(&[u8])) {
    for seed in 0..count {
        let mut bytes = original.to_vec();
        damage(&mut bytes, &mut Rng::with_seed(seed));
        let survived = catch_unwind(AssertUnwindSafe(|| test(&bytes)));
        assert!(survived.is_ok(), "panicked on seed {seed}");
    }
}

/// A stream from its first byte to the last update.
fn replay(bytes: &[u8]) -> usize {
    let Ok((host, records)) = stream::open(bytes) else { return 0 };
    let mut engine = Engine::new(host);
    let (mut told, mut now) = (0, 0);
    for (stamp, event) in records.map_while(Result::ok) {
        told += engine.advance(now).len();
        now = now.max(stamp.time.saturating_sub(1_000_000_000));
        if let Some(event) = event {
            engine.push(stamp, event);
        }
    }
    told + engine.finish().len()
}

/// The same event saying the length it has, so that more of it is looked at.
fn of_its_length(bytes: &[u8]) -> Vec<u8> {
    let (mut out, at) = (bytes.to_vec(), offset_of!(Header, len));
    if let Some(field) = out.get_mut(at..at + 4) {
        field.copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    }
    out
}

#[test]
fn any_byte_of_a_stream_may_be_wrong() {
    let whole = std::fs::read(recorded("deaths", "stream")).expect("a stream");
    assert!(replay(&whole) > 20, "an undamaged stream tells something");
    damaged(&whole, 60, |bytes| {
        replay(bytes);
    });
}

#[test]
fn any_byte_of_an_event_may_be_wrong() {
    for name in ["newest", "deaths"] {
        let (_, records) = records(name);
        assert!(records.iter().all(|record| decode(record).is_ok()));
        for record in records {
            damaged(&record, 20, |bytes| {
                let _ = decode(bytes);
                let _ = decode(&of_its_length(bytes));
            });
        }
    }
}

#[test]
fn an_event_may_be_cut_off_anywhere() {
    for record in records("newest").1 {
        for length in 0..size_of::<Header>() {
            assert!(decode(&record[..length]).is_err(), "{length} bytes are no header");
        }
        for length in size_of::<Header>()..record.len() {
            assert!(decode(&record[..length]).is_err(), "{length} bytes are not what it says");
            let _ = decode(&of_its_length(&record[..length]));
        }
    }
}

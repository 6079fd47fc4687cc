//! What the kernel writes, and streams of it that were saved.
use std::mem::offset_of;

use tracer_common::event::Header;
use whybus::{
    contract::convert::update_record,
    correlate::update::{Counts, Update},
    model::host::Host,
    probe::{btf::Btf, offsets},
    select::selection::Selection,
    sink::Sink,
    watch::replay::replay,
    wire::{decode::decode, log, stream as saved},
};

use crate::history::shown;

/// An event of a ring, also as if it said the length it has; or a line of the log.
pub fn event(bytes: &[u8]) {
    let _ = decode(bytes);
    let mut whole = bytes.to_vec();
    let at = offset_of!(Header, len);
    if let Some(field) = whole.get_mut(at..at + 4) {
        field.copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        let _ = decode(&whole);
    }
    let _ = std::str::from_utf8(bytes).map(log::decode);
}

/// What a replay tells is shown, and acts on no terminal.
struct Shown;

impl Sink for Shown {
    fn watching(&mut self, _: &Host) -> anyhow::Result<()> {
        Ok(())
    }

    fn update(&mut self, update: &Update, host: &Host) -> anyhow::Result<()> {
        shown(&update_record(update, host));
        Ok(())
    }

    fn end(&mut self, _: &Counts, _: &Host, _: u64, _: &str) -> anyhow::Result<()> {
        Ok(())
    }
}

pub fn stream(bytes: &[u8]) {
    let Ok((host, records)) = saved::open(bytes) else { return };
    let _ = replay(host, records, &Selection::default(), &mut Shown);
}

pub fn btf(bytes: &[u8]) {
    let wanted: Vec<&str> = offsets::wanted().collect();
    let Ok(btf) = Btf::parse(bytes.to_vec(), &wanted) else { return };
    let _ = offsets::resolve(&btf);
}

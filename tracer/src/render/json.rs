//! One JSON object a line.
use crate::contract::{Record, json};

/// A record and the end of its line.
pub fn json(record: &Record) -> Vec<u8> {
    let mut out = json::to_vec(record);
    out.push(b'\n');
    out
}

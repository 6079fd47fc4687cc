//! What incidents and shrinks are found by. Pure.
use crate::contract::series::fnv1a;

/// The bytes of a UUID, its last 6 first; of anything else its hash, so that no incident is refused
/// for its name.
pub fn key(id: &str) -> Vec<u8> {
    let digits: Vec<u8> = id.bytes().filter(|b| *b != b'-').collect();
    let pairs = digits.chunks(2).map(|pair| {
        std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    match bytes.filter(|bytes| bytes.len() == 16) {
        Some(mut bytes) => {
            bytes.rotate_right(6);
            bytes
        }
        None => {
            let hash = fnv1a(&[id.as_bytes()]);
            [hash.to_be_bytes(), hash.rotate_left(32).to_be_bytes()].concat()
        }
    }
}

/// A size as SQLite compares it: no file is larger than that.
pub fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

//! What crosses between the probes and user space: one `repr(C)` struct an event, values of maps, and
//! the global the loader fills in. Plain integers and byte arrays only, padding explicit; no enum,
//! bool, Option or reference crosses, because the other side may be another build.
#![no_std]

pub mod config;
pub mod event;
pub mod log;
pub mod maps;
pub mod observe;
pub mod offsets;

/// Identifies what the object and its loader must agree on: the versions and sizes of the events, the
/// fields of the offset table, the sizes of [`config::Config`] and of the map values.
///
/// Saved streams do not depend on it: each record names the version of its own kind.
pub const LAYOUT: u32 = {
    let mut hash = FNV_BASIS;
    let mut i = 0;
    while i < event::KINDS.len() {
        let event::EventKind { number, version, size } = event::KINDS[i];
        hash = fold(hash, &number.to_le_bytes());
        hash = fold(hash, &version.to_le_bytes());
        hash = fold(hash, &(size as u32).to_le_bytes());
        i += 1;
    }
    i = 0;
    while i < offsets::Offsets::FIELDS.len() {
        hash = fold(hash, offsets::Offsets::FIELDS[i].name.as_bytes());
        hash = fold(hash, &[0]);
        i += 1;
    }
    hash = fold(hash, &(size_of::<config::Config>() as u32).to_le_bytes());
    hash = fold(hash, &(size_of::<maps::RingState>() as u32).to_le_bytes());
    hash = fold(hash, &(size_of::<maps::BurstKey>() as u32).to_le_bytes());
    hash = fold(hash, &(size_of::<maps::BurstCount>() as u32).to_le_bytes());
    fold(hash, &(size_of::<maps::SharedShrinks>() as u32).to_le_bytes())
};

const FNV_BASIS: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// FNV-1a.
const fn fold(mut hash: u32, bytes: &[u8]) -> u32 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(FNV_PRIME);
        i += 1;
    }
    hash
}

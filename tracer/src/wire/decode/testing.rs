//! Events as the probes send them.
use tracer_common::event::{Event, EventKind};

/// All zero.
pub fn zeroed<T: Event>() -> T {
    // SAFETY: events are made of integers and arrays of them.
    unsafe { std::mem::zeroed() }
}

/// The bytes of an event, with a header that fits, and what follows it.
pub fn bytes<T: Event>(event: &T, path: &[u8]) -> Vec<u8> {
    // SAFETY: `repr(C)` without implicit padding, so every byte is initialised.
    let fixed = unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(event).cast::<u8>(), size_of::<T>())
    };
    let EventKind { number, version, .. } = T::KIND;
    let mut out = fixed.to_vec();
    out.extend_from_slice(path);
    let len = out.len() as u32;
    out[..2].copy_from_slice(&number.to_le_bytes());
    out[4..8].copy_from_slice(&len.to_le_bytes());
    out[12..14].copy_from_slice(&version.to_le_bytes());
    out
}

/// As the kernel keeps names: padded with NULs.
pub fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out[..text.len()].copy_from_slice(text);
    out
}

//! What the kernel's negative errnos are called.
use nix::errno::Errno;

/// By its name; `UnknownErrno` if it has none.
pub fn errno(negative: i32) -> Errno {
    Errno::from_raw(negative.checked_neg().unwrap_or(0))
}

/// In words, with its name.
pub fn named(negative: i32) -> String {
    match errno(negative) {
        Errno::UnknownErrno => format!("errno {}", negative.unsigned_abs()),
        known => format!("{} ({known:?})", known.desc()),
    }
}

//! What crosses between the probes and user space: one `repr(C)` struct an event, and the
//! globals the loader fills in. Plain integers and byte arrays only, padding explicit; no enum,
//! bool, Option or reference crosses, because the other side may be another build.
#![no_std]

pub mod event;
pub mod globals;
pub mod observe;

/// Identifies the layout of everything in this crate; the object and the reader must agree.
///
/// Raise it whenever a struct here changes.
pub const LAYOUT: u32 = 5;

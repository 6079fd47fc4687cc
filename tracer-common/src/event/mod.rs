//! The events, as the probes write them and `tracer::wire::decode` reads them.
//!
//! Times are ns since boot (CLOCK_BOOTTIME, `bpf_ktime_get_boot_ns`), sizes and offsets bytes
//! unless a field says pages. Zero means "not known" for start times and namespace pids.
mod cgroup;
mod crash;
mod fault;
mod file;
mod oom;
mod process;
mod shrink;
mod signal;
mod stack;
mod task;

pub use cgroup::*;
pub use crash::*;
pub use fault::*;
pub use file::*;
pub use oom::*;
pub use process::*;
pub use shrink::*;
pub use signal::*;
pub use stack::*;
pub use task::*;

/// Rings (`Header::ring`): one for what decides an answer, one for what is merely frequent.
pub mod ring {
    pub const CRITICAL: u16 = 0;
    pub const BULK: u16 = 1;
    pub const COUNT: usize = 2;
    /// Of stacks: what is in it has no number.
    pub const STACKS: u16 = 2;
}

/// What stands at the start of every event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u16,
    /// One of [`ring`].
    pub ring: u16,
    /// Bytes of the whole event, this header included.
    pub len: u32,
    pub cpu: u32,
    /// [`EventKind::version`] of the struct that follows.
    pub version: u16,
    pub pad: u16,
    /// Numbers the events of one (cpu, ring) from 1, also those that found no room.
    pub seq: u64,
    /// When it happened.
    pub time: u64,
}

/// A struct that is sent: it starts with a [`Header`].
pub trait Event {
    const KIND: EventKind;
}

/// One row of [`KINDS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventKind {
    /// One of [`kind`].
    pub number: u16,
    /// Counts the layouts that structs of this kind have had. Raise it whenever the struct changes, or
    /// one inside it: a reader skips a version that it does not know, and the other kinds stay readable.
    pub version: u16,
    /// Bytes of the struct. A path may follow.
    pub size: usize,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $number:literal: $ty:ident, version $version:literal, $size:literal bytes;)*) => {
        /// Kinds of event (`Header::kind`). User space numbers its own from [`kind::USER`].
        pub mod kind {
            $($(#[$doc])* pub const $name: u16 = $number;)*
            /// First kind that only user space writes into a saved stream.
            pub const USER: u16 = 0x100;
        }

        /// Every kind that the probes send.
        pub const KINDS: &[EventKind] = &[$(<$ty as Event>::KIND,)*];

        $(impl Event for $ty {
            const KIND: EventKind =
                EventKind { number: kind::$name, version: $version, size: size_of::<$ty>() };
        }

        const _: () = assert!(size_of::<$ty>() == $size && align_of::<$ty>() == 8);)*
    };
}
events! {
    FAULT = 1: Fault, version 2, 1200 bytes;
    SHRINK = 2: Shrink, version 1, 792 bytes;
    SHRINK_END = 3: ShrinkEnd, version 0, 56 bytes;
    SIGNAL = 4: Signal, version 1, 768 bytes;
    DELIVER = 5: Deliver, version 0, 640 bytes;
    EXIT = 6: Exit, version 0, 768 bytes;
    STALE = 7: Stale, version 0, 96 bytes;
    START = 8: Start, version 0, 656 bytes;
    CGROUP = 9: Cgroup, version 0, 48 bytes;
    PROGRAM = 10: Program, version 0, 56 bytes;
    OOM_KILL = 11: OomKill, version 0, 176 bytes;
    CRASH = 12: Crash, version 0, 328 bytes;
    OUTPUT = 13: Output, version 0, 272 bytes;
}

/// What saved streams say of themselves from the time before records had versions: the layout that
/// version 0 of every kind is.
pub const BASE_LAYOUT: u32 = 5;

// Structs inside events: where one changes, so does every kind that holds it.
macro_rules! parts {
    ($($ty:ty = $size:literal),* $(,)?) => {
        $(const _: () = assert!(size_of::<$ty>() == $size && align_of::<$ty>() == 8);)*
    };
}
parts! {
    Header = 32, Task = 72, Ancestor = 32, Actor = 600, Inode = 64, SelfSignal = 40,
    LastSignals = 80, FileId = 16, Login = 32,
}

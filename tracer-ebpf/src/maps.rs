//! The maps. Sizes are bounded: about 9 MiB in all, most of it the remembered shrinks.
use aya_ebpf::{
    macros::map,
    maps::{LruHashMap, PerCpuArray, RingBuf},
};
use tracer_common::{
    event::{
        Deliver, Exit, Fault, LastSignals, PATH, Shrink, ShrinkEnd, Signal, Stale, Start, ring,
    },
    maps::{BurstCount, BurstKey, RingState},
};

use crate::path::Walk;

/// What decides an answer: faults, fatal signals, exits of victims.
#[map]
pub static CRITICAL: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
/// What is merely frequent: shrinks of mapped files.
#[map]
pub static BULK: RingBuf = RingBuf::with_byte_size(2 << 20, 0);
/// Numbering and losses, one a ring.
#[map]
pub static RINGS: PerCpuArray<RingState> = PerCpuArray::with_max_entries(ring::COUNT as u32, 0);

/// Shrinks remembered for one inode.
pub const SHRINK_SLOTS: u64 = 4;

/// The last shrinks of each inode, mapped or not; a fault sends those user space has not got.
#[map]
pub static SHRINKS: LruHashMap<ShrinkKey, Shrink> = LruHashMap::with_max_entries(8192, 0);
/// How many shrinks of an inode were seen; the latest stands in slot `(n - 1) % SHRINK_SLOTS`.
#[map]
pub static SHRINK_COUNT: LruHashMap<u64, u64> = LruHashMap::with_max_entries(8192, 0);
/// The shrink a thread is inside of: overlayfs calls notify_change again for the upper inode,
/// and tells it no longer how it was reached (fs/overlayfs/inode.c ovl_setattr).
#[map]
pub static INSIDE: LruHashMap<u32, Outer> = LruHashMap::with_max_entries(1024, 0);
/// Faults by process and file: what loops is counted, not told each time.
#[map]
pub static BURSTS: LruHashMap<BurstKey, BurstCount> = LruHashMap::with_max_entries(4096, 0);
/// Threads whose last fault was only counted: their signals are not told either.
#[map]
pub static SUPPRESSED: LruHashMap<u32, u32> = LruHashMap::with_max_entries(1024, 0);
/// The last fault of each thread that a handler told: its page, and 1 if the signal is to come.
#[map]
pub static LAST_FAULT: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);
/// Threads that force_sig_fault is about to signal.
#[map]
pub static FORCED: LruHashMap<u32, u32> = LruHashMap::with_max_entries(1024, 0);
/// What the last failed read of a page returned, by thread, until its fault is recorded.
#[map]
pub static READ_ERRORS: LruHashMap<u32, i32> = LruHashMap::with_max_entries(1024, 0);
/// Processes with a recorded fault or signal, whose exit is therefore of interest.
#[map]
pub static VICTIMS: LruHashMap<u32, u32> = LruHashMap::with_max_entries(4096, 0);

/// What processes brought upon themselves, by tgid: of interest once they end.
#[map]
pub static LAST_SIGNALS: LruHashMap<u32, LastSignals> = LruHashMap::with_max_entries(4096, 0);
/// Processes whose end was told, by tgid: when they started.
#[map]
pub static ENDING: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);
/// What ended of late and may be started again.
#[map]
pub static ENDED: LruHashMap<Ended, u64> = LruHashMap::with_max_entries(4096, 0);

/// Starts that the first of two programs has told and the second has not passed yet, by tgid.
#[map]
pub static STARTED: LruHashMap<u32, u8> = LruHashMap::with_max_entries(1024, 0);
#[map]
pub static FORKED: LruHashMap<u32, u8> = LruHashMap::with_max_entries(1024, 0);

/// A program, by file or by name, or the parent of a process, by tgid.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ended {
    pub a: u64,
    pub b: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ShrinkKey {
    pub inode: u64,
    pub slot: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Outer {
    /// `Shrink::new_size`.
    pub new_size: i64,
    /// `Shrink::how`.
    pub how: u32,
    pub pad: u32,
    /// The inode it began with.
    pub inode: u64,
    pub ino: u64,
    pub dev: u32,
    pub pad2: u32,
}

/// An event with room for the path that follows it.
#[repr(C)]
pub struct WithPath<T> {
    pub event: T,
    pub path: [u8; PATH + 256],
    pub walk: Walk,
}

// Events are too large for the 512-byte stack: one scratch an event kind and CPU. A program
// preempted by another of its kind on the same CPU (PREEMPT_RCU kernels) finds its scratch
// rewritten; `emit` notices by `Scratch::owner`, and the event counts as lost.
#[map]
pub static FAULT: PerCpuArray<Scratch<WithPath<Fault>>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static SHRINK: PerCpuArray<Scratch<WithPath<Shrink>>> = PerCpuArray::with_max_entries(1, 0);
/// For the second of two programs on one hook, which the first may be preempted by.
#[map]
pub static SHRINK_BACKUP: PerCpuArray<Scratch<Shrink>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static SHRINK_END: PerCpuArray<Scratch<ShrinkEnd>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static REPLAY: PerCpuArray<Scratch<Shrink>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static STALE: PerCpuArray<Scratch<Stale>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static SIGNAL: PerCpuArray<Scratch<Signal>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static DELIVER: PerCpuArray<Scratch<Deliver>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static EXIT: PerCpuArray<Scratch<WithPath<Exit>>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static EXIT_BACKUP: PerCpuArray<Scratch<WithPath<Exit>>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static START: PerCpuArray<Scratch<Start>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static FORK: PerCpuArray<Scratch<Start>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static START_BACKUP: PerCpuArray<Scratch<Start>> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub static FORK_BACKUP: PerCpuArray<Scratch<Start>> = PerCpuArray::with_max_entries(1, 0);

/// Scratch with the tag of whoever fills it.
#[repr(C)]
pub struct Scratch<T> {
    pub owner: u64,
    pub value: T,
}

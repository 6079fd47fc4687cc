//! Where events are put together: too large for the 512-byte stack, so one a program and CPU.
//!
//! No two programs share one: where the kernel preempts, another may run on the same CPU before the first
//! goes on, and each would write into the other's event. A program is not run while it runs already on that
//! CPU (kernel/bpf/trampoline.c __bpf_prog_enter_recur, from 5.12; kernel/trace/bpf_trace.c __bpf_trace_run).
//! Before that it finds its scratch rewritten; [`crate::emit::emit`] notices by [`Scratch::owner`], and the
//! event counts as lost.
use aya_ebpf::{macros::map, maps::PerCpuArray};
use tracer_common::event::{
    CGROUP_PATH, Cgroup, Crash, Deliver, Exit, Fault, OomKill, Output, Program, STACK_BYTES,
    STACK_PART, Shrink, ShrinkEnd, Signal, StackPath, StackSample, Stale, Start, handler,
};

use crate::path::PathSpace;

/// An event with the tag of whoever fills it.
#[repr(C)]
pub struct Scratch<T> {
    pub owner: u64,
    pub value: T,
}

/// An event with room for the path that follows it.
#[repr(C)]
pub struct WithPath<T> {
    pub event: T,
    pub path: PathSpace,
}

/// A cgroup with room for its path.
#[repr(C)]
pub struct WithName {
    pub event: Cgroup,
    pub name: [u8; CGROUP_PATH],
}

/// A stack with room for its bytes.
#[repr(C)]
pub struct WithBytes {
    pub event: StackSample,
    pub bytes: [u8; STACK_BYTES + STACK_PART],
}

macro_rules! scratch {
    ($($(#[$doc:meta])* $name:ident: $count:expr, $value:ty;)*) => {
        $($(#[$doc])*
        #[map]
        pub static $name: PerCpuArray<Scratch<$value>> = PerCpuArray::with_max_entries($count, 0);)*
    };
}

/// Programs that record a shrink, each in two halves that may preempt one another.
pub mod shrinker {
    pub const NOTIFY_CHANGE: u32 = 0;
    pub const FALLOCATE: u32 = 1;
    pub const FUSE: u32 = 2;
    pub const NFS: u32 = 3;
    pub const COUNT: u32 = 4;
}

/// Programs that capture a stack.
pub mod stacker {
    pub const EXIT: u32 = 0;
    pub const NOTIFY_CHANGE: u32 = 1;
    pub const COUNT: u32 = 2;
}

/// Programs that name a cgroup.
pub mod namer {
    pub const MKDIR: u32 = 0;
    pub const RENAME: u32 = 1;
    pub const COUNT: u32 = 2;
}

/// Programs that tell what a process runs: the handlers of faults by [`handler`], and these.
pub mod teller {
    use tracer_common::event::handler;

    pub const NOTIFY_CHANGE: u32 = handler::COUNT;
    pub const NOTIFY_CHANGE_BACKUP: u32 = handler::COUNT + 1;
    pub const FALLOCATE: u32 = handler::COUNT + 2;
    pub const SIGNAL: u32 = handler::COUNT + 3;
    pub const EXIT: u32 = handler::COUNT + 4;
    pub const EXIT_BACKUP: u32 = handler::COUNT + 5;
    pub const VFS_OPEN: u32 = handler::COUNT + 6;
    pub const COUNT: u32 = handler::COUNT + 7;
}

/// Programs that send the shrinks remembered of a file: the handlers of faults by [`handler`], and these.
pub mod replayer {
    use tracer_common::event::handler;

    pub const EXIT: u32 = handler::COUNT;
    pub const COUNT: u32 = handler::COUNT + 1;
}

/// Programs that tell the end of a process.
pub mod late {
    pub const EXIT: u32 = 0;
    pub const EXIT_BACKUP: u32 = 1;
    pub const COUNT: u32 = 2;
}

scratch! {
    /// By [`handler`].
    FAULT: handler::COUNT, WithPath<Fault>;
    /// For shrinks that a fault or an end sends, by [`replayer`].
    REPLAY: replayer::COUNT, Shrink;
    /// At entry, by [`shrinker`].
    SHRINK: shrinker::COUNT, WithPath<Shrink>;
    /// For the backup program, which the first may be preempted by.
    SHRINK_BACKUP: 1, Shrink;
    /// At exit, by [`shrinker`]: what was not sent at entry.
    SHRINK_LATE: shrinker::COUNT, Shrink;
    /// At exit, by [`shrinker`].
    SHRINK_END: shrinker::COUNT, ShrinkEnd;
    /// At exit of notify_change: one of a file that nobody here maps.
    SHARED_SHRINK: 1, WithPath<Shrink>;
    STALE: 1, Stale;
    SIGNAL: 1, Signal;
    /// For one that was kept until its target ended, by [`late`].
    SIGNAL_LATE: late::COUNT, Signal;
    DELIVER: 1, Deliver;
    /// For the program that tells signals.
    OOM_KILL: 1, OomKill;
    CRASH: 1, Crash;
    /// The last file that each CPU saw opened for writing.
    WRITER: 1, Shrink;
    /// Shared memory without a name that has grown, by [`shrinker`].
    GROWN: shrinker::COUNT, Shrink;
    /// By [`stacker`].
    STACK: stacker::COUNT, WithBytes;
    /// By [`stacker`].
    STACK_PATH: stacker::COUNT, WithPath<StackPath>;
    EXIT: 1, WithPath<Exit>;
    EXIT_BACKUP: 1, WithPath<Exit>;
    START: 1, Start;
    START_BACKUP: 1, Start;
    FORK: 1, Start;
    FORK_BACKUP: 1, Start;
    /// By [`namer`].
    CGROUP: namer::COUNT, WithName;
    /// By [`late`].
    OUTPUT: late::COUNT, WithPath<Output>;
    /// By [`teller`].
    PROGRAM: teller::COUNT, WithPath<Program>;
}

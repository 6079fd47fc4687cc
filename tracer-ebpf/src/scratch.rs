//! Where events are put together: too large for the 512-byte stack, so one a program and CPU.
//!
//! A program preempted by itself on the same CPU (PREEMPT_RCU kernels) finds its scratch rewritten;
//! [`crate::emit::emit`] notices by [`Scratch::owner`], and the event counts as lost.
use aya_ebpf::{macros::map, maps::PerCpuArray};
use tracer_common::event::{
    CGROUP_PATH, Cgroup, Deliver, Exit, Fault, Shrink, ShrinkEnd, Signal, Stale, Start,
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

macro_rules! scratch {
    ($($(#[$doc:meta])* $name:ident: $value:ty;)*) => {
        $($(#[$doc])*
        #[map]
        pub static $name: PerCpuArray<Scratch<$value>> = PerCpuArray::with_max_entries(1, 0);)*
    };
}

scratch! {
    FAULT: WithPath<Fault>;
    SHRINK: WithPath<Shrink>;
    /// For the backup program, which the first may be preempted by.
    SHRINK_BACKUP: Shrink;
    SHRINK_END: ShrinkEnd;
    /// For shrinks that a fault sends.
    REPLAY: Shrink;
    STALE: Stale;
    SIGNAL: Signal;
    DELIVER: Deliver;
    EXIT: WithPath<Exit>;
    EXIT_BACKUP: WithPath<Exit>;
    START: Start;
    START_BACKUP: Start;
    FORK: Start;
    FORK_BACKUP: Start;
    CGROUP: WithName;
}

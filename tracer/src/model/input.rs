//! Everything the engine is told.
use crate::model::{
    fact::{
        HugeLimit, HugePages, Mapped, Mappers, MemoryLimit, Process, Quota, Space, Symbol, View,
    },
    fault::{Burst, Fault},
    file::Mount,
    observe::Observe,
    process::{ProcessExit, ProcessStart},
    shrink::{Shrink, ShrinkEnd, Stale},
    signal::{Deliver, Signal},
    task::ProcessId,
    time::ClockOffset,
};

/// Where an event stands in its CPU's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub cpu: u32,
    pub ring: u16,
    pub seq: u64,
    pub time: u64,
}

/// Everything the engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Fault(Box<Fault>),
    Shrink(Box<Shrink>),
    ShrinkEnd(ShrinkEnd),
    Signal(Box<Signal>),
    Deliver(Box<Deliver>),
    ProcessExit(Box<ProcessExit>),
    ProcessStart(Box<ProcessStart>),
    Process(Box<Process>),
    Symbol(Symbol),
    MemoryLimit(MemoryLimit),
    /// OOM kills since boot (`oom_kill` of /proc/vmstat), counted after a process ended.
    OomKills {
        victim: ProcessId,
        count: u64,
    },
    /// The wall clock was set: CLOCK_REALTIME − CLOCK_BOOTTIME, ns.
    Clock(ClockOffset),
    Mounts(Vec<Mount>),
    Space(Space),
    HugePages(HugePages),
    Quota(Quota),
    HugeLimit(HugeLimit),
    View(View),
    Mapped(Mapped),
    Mappers(Mappers),
    Stale(Stale),
    Burst(Burst),
    /// How often a hook's program has not been run, because it was running already on that CPU
    /// (kernel/bpf/trampoline.c __bpf_prog_enter_recur).
    Missed {
        observe: Observe,
        /// For people.
        hook: String,
        count: u64,
    },
    /// Final account of one ring of one CPU: events numbered so far.
    Account {
        cpu: u32,
        ring: u16,
        seq: u64,
    },
}

impl Event {
    /// Whether a probe told it; what user space found out itself belongs to an event of a probe.
    pub fn of_kernel(&self) -> bool {
        matches!(
            self,
            Self::Fault(_)
                | Self::Shrink(_)
                | Self::ShrinkEnd(_)
                | Self::Signal(_)
                | Self::Deliver(_)
                | Self::ProcessExit(_)
                | Self::ProcessStart(_)
                | Self::Stale(_)
        )
    }
}

//! Everything the engine is told: by probes, by look-ups, and by the watch itself. A saved stream holds
//! all of it, so that a replay tells what was told live.
use serde::{Deserialize, Serialize};

use crate::model::{
    cgroup::CgroupMade,
    crash::Crash,
    fact::Fact,
    fault::{Burst, Fault},
    observe::{Coverage, Observe, observe_word},
    oom::OomKill,
    output::LastOutput,
    process::{ProcessExit, ProcessStart, Program},
    shrink::{Shrink, ShrinkEnd, Stale},
    signal::{Deliver, Signal, SignalsUntold},
    task::ProcessId,
    time::ClockOffset,
};

/// Where an event stands in its CPU's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub cpu: u32,
    pub ring: u16,
    /// Counts from 1 per CPU and ring; 0 for what no probe numbered.
    pub seq: u64,
    /// ns since boot (CLOCK_BOOTTIME).
    pub time: u64,
}

impl Stamp {
    /// Of what user space found out, at `time`.
    pub fn unnumbered(time: u64) -> Self {
        Self { cpu: 0, ring: 0, seq: 0, time }
    }
}

/// One input of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A probe saw it.
    Kernel(KernelEvent),
    /// User space looked it up; it belongs to an event of a probe, whose time it has, and 1 ns.
    Fact(Fact),
    /// The watch learnt it by itself.
    Watch(WatchNote),
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelEvent {
    Fault(Box<Fault>),
    Shrink(Box<Shrink>),
    ShrinkEnd(ShrinkEnd),
    Signal(Box<Signal>),
    Deliver(Box<Deliver>),
    Crash(Box<Crash>),
    ProcessExit(Box<ProcessExit>),
    ProcessStart(Box<ProcessStart>),
    Stale(Stale),
    Cgroup(CgroupMade),
    Program(Box<Program>),
    Output(Box<LastOutput>),
    OomKill(Box<OomKill>),
}

/// What the watch itself learns while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchNote {
    /// The wall clock was set, or has drifted.
    Clock(ClockOffset),
    /// How often the kernel has counted a fault that loops.
    Burst(Burst),
    /// How often a hook's program has not been run, because it was running already on that CPU
    /// (kernel/bpf/trampoline.c __bpf_prog_enter_recur).
    RecursionMiss {
        #[serde(with = "observe_word")]
        observe: Observe,
        /// For people.
        hook: String,
        count: u64,
    },
    /// One CPU has numbered its events of one ring so far.
    SeqCheckpoint { cpu: u32, ring: u16, seq: u64 },
    /// The kernel may have evicted shrinks that it remembered of before `until`, ns since boot.
    ShrinksEvicted { until: u64 },
    /// A module came or a program was attached: what is watched from now on.
    Coverage(Coverage),
    /// A mapped file was shrunk and nobody will be warned: too many at once.
    NotWarned,
    /// How many shrinks of files on shared file systems the kernel has not sent so far, because they were too many.
    SharedSuppressed { count: u64 },
    /// Of which signals nothing was told as they were sent, so far, because they were too many.
    SignalsUntold(SignalsUntold),
    /// How many stacks were not captured so far: there were too many at once, or of one user.
    StacksLost { count: u64 },
    /// How many files of programs could not be read so far: whoever reads them took too long, or was ended by what they hold.
    FilesUnread { count: u64 },
    /// The process that starts those that read them: its own end, and theirs, are not reported.
    Parser { tgid: u32 },
    /// Something was asked about a process: what concerns it waits for the answer.
    Asked(ProcessId),
    /// One such answer is there, or there will be none.
    Answered(ProcessId),
    /// Only this process and its descendants are watched (`trace -- CMD`).
    Command {
        tgid: u32,
        /// Who adopts those of its descendants whose parents end, if that is nobody else's task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reaper: Option<u32>,
    },
    /// Time moved on to that of this note: everything due by then was told.
    Advanced,
    /// The watch ended: why, in words.
    Ended { reason: String },
}

impl From<Fact> for Input {
    fn from(fact: Fact) -> Self {
        Self::Fact(fact)
    }
}

impl From<WatchNote> for Input {
    fn from(note: WatchNote) -> Self {
        Self::Watch(note)
    }
}

impl From<KernelEvent> for Input {
    fn from(event: KernelEvent) -> Self {
        Self::Kernel(event)
    }
}

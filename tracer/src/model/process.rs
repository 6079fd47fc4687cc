//! How processes end and start, and which ends are asked for.
use crate::model::{
    crash::Crash,
    file::{InodeId, Path},
    signal::Signal,
    signal_name::{HANDLED, SIGABRT, mask},
    task::{Actor, ProcessId},
};

/// What the launcher of a JVM is called (`task_struct.comm`).
pub const JAVA: &[u8] = b"java";

/// A process ended; `code` as wait(2) gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub id: ProcessId,
    pub time: u64,
    pub code: u32,
}

/// A signal that a process brought upon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfSignal {
    pub time: u64,
    /// `si_addr` of a fault; 0 otherwise.
    pub address: u64,
    /// User instruction pointer, if known.
    pub ip: Option<u64>,
    pub signal: i32,
    pub code: i32,
    pub tid: u32,
    /// One of a fault may have been sent by the process to itself as well: what would tell is not to be had.
    pub may_be_sent: bool,
}

/// The file that holds an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    pub id: InodeId,
    /// Of the instruction in the file, in bytes.
    pub offset: u64,
    pub path: Path,
}

/// A process ended: one with a recorded fault, or one whose way to end is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessExit {
    pub exit: Exit,
    pub actor: Actor,
    /// Its program, if known.
    pub exe: Option<InodeId>,
    /// The last fault or trap, other than SIGBUS, that it got a signal for.
    pub fault: Option<SelfSignal>,
    /// The last signal it sent itself; with an si_code of a fault if it made one up.
    pub own: Option<SelfSignal>,
    /// Where `fault` happened, if known.
    pub module: Option<Module>,
    /// What the CPU refused there, where the signal killed it and that was told.
    pub crash: Option<Crash>,
    /// The OOM killer chose it.
    pub oom: bool,
    /// Others may have sent it signals that were too many to be told, or kept.
    pub signals_left: bool,
    /// Of one that ended without a signal, or by abort(3): what somebody sent it just before, or to end it, and when, ns since
    /// boot. It is looked for as the process ends (`correlate::exits`).
    pub prompt: Option<Box<(u64, Signal)>>,
}

/// A process of a program that ended of late, or a child of the parent of such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStart {
    pub actor: Actor,
    pub exe: Option<InodeId>,
    /// Only forked so far: it runs the program of its parent.
    pub forked: bool,
}

/// Which program a process runs, from this event on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub id: ProcessId,
    /// `mm->exe_file`.
    pub path: Path,
}

/// Which ends of processes are told, beside bus errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExitScope {
    /// Killed by these signals, `1 << number`.
    pub signals: u32,
    pub exits: ExitFilter,
}

impl ExitScope {
    /// Signals that the kernel is to tell, `1 << number`: whoever exits, or calls abort(3), may do so for one that is not asked
    /// for.
    pub fn heard(self) -> u32 {
        let aborts = self.signals & mask(&[SIGABRT]) != 0;
        match self.exits {
            ExitFilter::None if !aborts => self.signals,
            _ => self.signals | mask(&HANDLED),
        }
    }
}

/// Which processes are told that exit of their own will with a status other than 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExitFilter {
    #[default]
    None,
    /// Those that somebody supervises, and those that fail again and again with the same arguments
    /// under the same parent; no end that a supervisor asked for (SIGTERM, SIGINT, SIGHUP).
    Lasting,
    All,
}

impl ExitFilter {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lasting => "lasting",
            Self::All => "all",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Lasting, Self::All].into_iter().find(|exits| exits.name() == text)
    }
}

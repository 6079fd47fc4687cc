//! Signals as they are generated and delivered.
use serde::{Deserialize, Serialize};

use crate::model::{
    signal_name::{
        POLL_HUP, POLL_IN, SI_ASYNCIO, SI_KERNEL, SI_SIGIO, SI_TIMER, SIGALRM, SIGBUS, SIGCHLD,
        SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGSYS, SIGTRAP, SIGVTALRM,
    },
    task::{Actor, Task},
};

/// Who speaks in a signal's siginfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A system call that sends signals.
    Call,
    /// The kernel, on its own; the receiver reads SI_USER all the same.
    Kernel,
    /// Recorded before anybody looked.
    Unknown,
}

/// Of a target in a stream that does not tell whose it was.
pub const UNKNOWN_USER: u32 = u32::MAX;

/// A SIGBUS was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub target: Task,
    pub sender: Actor,
    pub number: i32,
    pub code: i32,
    pub address: u64,
    /// Of one that was told only as its target ended, because there were too many: when it was generated, ns since boot.
    pub generated: Option<u64>,
    /// TRACE_SIGNAL_*: 0 is delivered, 1 ignored.
    pub result: i32,
    /// It came by way of force_sig_fault: no process wrote its si_code.
    pub forced: bool,
    pub origin: Origin,
}

impl Signal {
    /// Whether an access was refused because it is not aligned: SIGBUS with BUS_ADRALN. Nobody is asked for a page
    /// then.
    pub fn is_misaligned(&self) -> bool {
        self.number == SIGBUS && self.code == 1
    }

    /// Whether its si_code is one of a fault, and the fault may have been: nobody but force_sig_fault raises these for
    /// one, and a process may send itself what looks like it (kernel/signal.c do_rt_sigqueueinfo). Where that is not
    /// watched (`unwatched`) none can be told from the other.
    pub fn may_be_of_fault(&self, unwatched: bool) -> bool {
        self.code > 0 && (self.forced || unwatched || !(1..=3).contains(&self.code))
    }

    /// Whether what its thread executed raised it: it was forced, and of what the kernel forces for that (kernel/signal.c
    /// force_sig_fault and its like). Of others a process may have written the si_code into a signal to itself.
    pub fn is_of_execution(&self) -> bool {
        self.forced && [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS].contains(&self.number)
    }

    /// Whether it may have come from an interrupt: its sender then is whatever ran on that CPU. Timers are the target's
    /// own (kernel/time/posix-timers.c), and so are requests to be told of files (fs/fcntl.c send_sigio_to_task) and
    /// of USB (drivers/usb/core/devio.c).
    pub fn may_be_of_interrupt(&self) -> bool {
        const OF_FAULTS: [i32; 7] = [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGCHLD, SIGSYS];
        match self.code {
            SI_TIMER | SI_ASYNCIO | SI_SIGIO => true,
            POLL_IN..=POLL_HUP => !OF_FAULTS.contains(&self.number),
            _ => self.is_of_interval_timer(),
        }
    }

    /// Whether a timer of the target's own has run out that alarm(2) or setitimer(2) set (kernel/time/itimer.c it_real_fn,
    /// kernel/time/posix-cpu-timers.c check_cpu_itimer): nobody else may write that si_code.
    pub fn is_of_interval_timer(&self) -> bool {
        [SIGALRM, SIGVTALRM, SIGPROF].contains(&self.number) && self.code == SI_KERNEL
    }
}

/// Signals that were too many to be told as they were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalsUntold {
    /// The last one of each target is kept for its end.
    pub kept: u64,
    /// Not even that: an answer about their target says so.
    pub left: u64,
    /// SIGBUS that its process handled or ignored.
    pub handled: u64,
}

/// What a task does with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    Default,
    Ignore,
    Handler,
}

/// A SIGBUS reached its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    pub target: Actor,
    pub disposition: Disposition,
}

//! Signals as they are generated and delivered.
use crate::event::{Actor, Header, Login, Task};

/// A signal was generated (`signal:signal_generate`): a SIGBUS, or one of those asked for that
/// another process or the kernel sent.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Signal {
    pub header: Header,
    pub target: Task,
    /// Who caused it; the target itself for a fault, and then without ancestors.
    pub sender: Actor,
    /// `si_addr` of a fault; of a signal that was kept (`origin::KEPT`), when it was generated; 0 otherwise.
    pub address: u64,
    pub signal: i32,
    pub code: i32,
    /// TRACE_SIGNAL_*: 0 delivered, 1 ignored, 2 already pending, …
    pub result: i32,
    /// 1 if sent to the process, 0 to the thread.
    pub group: i32,
    /// 1 if it came by way of force_sig_fault: a fault, or a trap. A process can put any si_code
    /// into a signal to itself.
    pub forced: u32,
    /// One of [`origin`], and its flag. It was padding, always zero: the layout is what it was.
    pub origin: u32,
    /// Of `sender`.
    pub login: Login,
}

/// Who speaks in a signal's siginfo (`Signal::origin`).
pub mod origin {
    /// Recorded before anybody looked.
    pub const UNKNOWN: u32 = 0;
    /// A process: a system call that sends signals filled it in.
    pub const CALL: u32 = 1;
    /// The kernel: there is none (SEND_SIG_NOINFO), and the receiver reads SI_USER.
    pub const KERNEL: u32 = 2;
    /// A flag beside these: it was one of too many, and is sent only now that its target has ended.
    pub const KEPT: u32 = 1 << 8;
}

/// Dispositions (`Deliver::disposition`).
pub mod disposition {
    pub const DEFAULT: u32 = 0;
    pub const IGNORE: u32 = 1;
    pub const HANDLER: u32 = 2;
}

/// A SIGBUS reached its task (`signal:signal_deliver`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Deliver {
    pub header: Header,
    /// Who receives it: the current task, so all of it can be told.
    pub target: Actor,
    pub signal: i32,
    /// One of [`disposition`].
    pub disposition: u32,
}

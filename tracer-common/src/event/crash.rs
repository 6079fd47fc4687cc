//! What a thread was about to execute as a signal of its own doing ended it.
use crate::event::{Header, Inode};

/// Bytes of code that are kept: the longest instruction of x86 has 15.
pub const CODE: usize = 16;
/// Words of `struct pt_regs` that are kept: all of x86-64's.
pub const REGISTERS: usize = 21;

/// A thread ends by a fault or trap of its own (in `do_exit`, while it still has its memory). Sent before the
/// [`Exit`](crate::event::Exit) of its process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Crash {
    pub header: Header,
    /// As [`crate::event::Task::start_time`].
    pub start_time: u64,
    pub tgid: u32,
    pub tid: u32,
    /// As in [`SelfSignal`](crate::event::SelfSignal).
    pub ip: u64,
    pub signal: i32,
    pub code: i32,
    /// The file mapped at `ip`, as it is now; all zero if there is none.
    pub module: Inode,
    /// The bytes at `ip`, as they are now.
    pub bytes: [u8; CODE],
    /// The first words of `struct pt_regs`.
    pub registers: [u64; REGISTERS],
    /// How many of `bytes` could be read.
    pub bytes_len: u32,
    /// How many of `registers` could be.
    pub registers_len: u32,
    /// As `Config::machine`.
    pub machine: u32,
    pub pad: u32,
}

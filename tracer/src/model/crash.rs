//! What a thread was about to execute as a signal of its own doing ended it.
use crate::model::{file::Inode, task::ProcessId};

/// The instruction that a thread failed at, as it was when the thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    pub id: ProcessId,
    pub tid: u32,
    pub ip: u64,
    pub signal: i32,
    pub code: i32,
    /// The file mapped there, as it was then; `None` if there was none, or it was not looked up.
    pub module: Option<Inode>,
    /// As many as could be read.
    pub bytes: Vec<u8>,
    /// The first words of `struct pt_regs`, if they could be read.
    pub registers: Option<Vec<u64>>,
    /// The processor, as ELF names it.
    pub machine: u32,
}

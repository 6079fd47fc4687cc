//! A thread's stack in user mode, captured in the kernel as the thread ended or cut a file short, and the frames that were found in it.
//!
//! A sample holds what the program had on its stack: it is never saved, printed or sent. Frames are.
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        Bytes,
        file::{Inode, Path},
        task::ProcessId,
    },
    text::base64,
};

/// What was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub process: ProcessId,
    /// The thread.
    pub tid: u32,
    /// When it began to cut a file short, ns since boot; `None` if it ended.
    pub act: Option<u64>,
    /// The processor, as ELF names it (`e_machine`).
    pub machine: u32,
    /// What the thread left user mode with; `None` where the kernel does not let them be read.
    pub registers: Option<Registers>,
    /// The instruction and the return addresses that the kernel found by frame pointers (bpf_get_stack), innermost first.
    pub chain: Vec<u64>,
    /// Mappings of files that may be executed and that an address of `chain` or on the stack lies in: not all there are.
    pub modules: Vec<Mapping>,
    /// The stack, from `Registers::sp` upwards; as much as there was, 16 KiB at most. Zero where nothing was below what there was:
    /// of a stack that overflowed.
    pub bytes: Vec<u8>,
}

/// The registers that unwinding begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    pub ip: u64,
    pub sp: u64,
    /// `rbp` of x86-64, `x29` of arm64.
    pub fp: u64,
    /// `x30` of arm64; 0 on x86-64.
    pub lr: u64,
}

/// A mapped file that holds code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Address of the first byte.
    pub start: u64,
    /// Address behind the last byte.
    pub end: u64,
    /// Of the first byte in the file, in bytes.
    pub offset: u64,
    /// The file as it was then.
    pub inode: Inode,
    /// As the kernel walked it; empty if it was not told.
    pub path: Path,
}

/// What the frame is called by which a signal handler returns, as gdb calls it.
pub const SIGNAL_FRAME: &[u8] = b"<signal handler called>";

/// Why a stack is missing that was one too many (`tracer_common::maps::STACKS_OF_USER`).
pub const STACK_LOST: &str =
    "no stack captured: too many at once, or more than 20 a second of one user";

/// One frame.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The instruction; of a caller the address that is returned to.
    pub ip: u64,
    /// Path of the file that is mapped there.
    #[serde(with = "base64")]
    pub module: Option<Bytes>,
    /// Of `ip` in that file, in bytes.
    pub offset: Option<u64>,
    /// The function, or [`SIGNAL_FRAME`].
    #[serde(with = "base64")]
    pub symbol: Option<Bytes>,
    /// Of `ip`, from the function's start, in bytes.
    pub symbol_offset: Option<u64>,
    /// Of the file (`NT_GNU_BUILD_ID`).
    #[serde(with = "base64")]
    pub build_id: Option<Bytes>,
    /// Of `ip` for the file's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// The file of the source.
    #[serde(default, with = "base64", skip_serializing_if = "Option::is_none")]
    pub source: Option<Bytes>,
    /// The line in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Whether the function was inlined in that of the frame behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

impl Frame {
    /// Whether a signal's handler returns there.
    pub fn is_signal(&self) -> bool {
        self.symbol.as_deref() == Some(SIGNAL_FRAME)
    }
}

/// The frames of a thread as it ended, or cut a file short, innermost first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    pub process: ProcessId,
    pub tid: u32,
    /// When it began to cut a file short, ns since boot; `None` if it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<u64>,
    pub frames: Vec<Frame>,
    /// The files that these lie in; of a thread that ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleFile>,
    /// Why outer frames are missing; `None` if the last frame is the thread's first.
    pub cut: Option<Cut>,
}

/// A file that frames lie in, as it was when the thread ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFile {
    /// As [`Frame::module`].
    #[serde(with = "base64")]
    pub path: Bytes,
    #[serde(with = "base64")]
    pub build_id: Option<Bytes>,
    /// When its contents, its name or its attributes changed last (`st_ctime`), ns since the epoch.
    pub changed: i64,
    /// When its contents did (`st_mtime`); `None` if it could not be looked at.
    pub written: Option<i64>,
    /// Its path no longer led to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// What its path led to instead, as the frames were looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Replacement>,
}

/// The file that took the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    #[serde(with = "base64")]
    pub build_id: Option<Bytes>,
    /// As [`ModuleFile::changed`].
    pub changed: i64,
}

/// Why a stack has no more frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// More frames than are looked for.
    Many,
    /// What is further up was not captured.
    Captured,
    /// The process that reads files of programs did not answer, or not in time.
    Parser,
    /// The file of a frame could not be read, or says nothing of how to unwind it, or the stack makes no sense.
    Unwind,
}

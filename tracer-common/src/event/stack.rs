//! A thread's stack in user mode, as the thread ended or cut a file short. No event of the stream: what a program has on its stack is nobody's
//! to keep. It has a ring of its own, is not numbered, and is never saved.
use crate::event::{Event, EventKind, Header, Inode};

/// Frames that are found by frame pointers, at most.
pub const STACK_CHAIN: usize = 32;
/// Mappings of code that are named, at most.
pub const STACK_MODULES: usize = 24;
/// Bytes of the stack that are captured, at most.
pub const STACK_BYTES: usize = 16 << 10;
/// Bytes that are read at once.
pub const STACK_PART: usize = 4096;

/// Kinds of record in that ring (`Header::kind`).
pub mod stack_kind {
    pub const MODULE: u16 = 0x80;
    pub const SAMPLE: u16 = 0x81;
}

/// A mapped file that may be executed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StackModule {
    /// `vm_area_struct.vm_start`
    pub start: u64,
    /// `vm_area_struct.vm_end`
    pub end: u64,
    /// `vm_area_struct.vm_pgoff`, in bytes.
    pub offset: u64,
    /// Address of the `struct file`.
    pub file: u64,
    pub inode: Inode,
}

/// What was captured. Followed by `bytes_len` bytes of the stack, from `sp` upwards.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StackSample {
    pub header: Header,
    /// As [`crate::event::Task::start_time`].
    pub start_time: u64,
    /// Of a shrink its `begin`; 0 of the end of a thread.
    pub act: u64,
    pub tgid: u32,
    pub tid: u32,
    /// As `Config::machine`.
    pub machine: u32,
    /// 1 if the registers could be read.
    pub registers: u32,
    pub ip: u64,
    pub sp: u64,
    /// `rbp` of x86-64, `x29` of arm64.
    pub fp: u64,
    /// `x30` of arm64.
    pub lr: u64,
    /// Innermost first; 0 behind the last.
    pub chain: [u64; STACK_CHAIN],
    pub modules: [StackModule; STACK_MODULES],
    pub module_count: u32,
    pub bytes_len: u32,
}

/// The path of a module. Followed by `path_len` bytes as in [`Fault`](crate::event::Fault).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StackPath {
    pub header: Header,
    /// `header.time` of the sample.
    pub sample: u64,
    pub tgid: u32,
    /// Which of `StackSample::modules`.
    pub module: u32,
    pub path_flags: u32,
    pub path_len: u32,
}

impl Event for StackSample {
    const KIND: EventKind =
        EventKind { number: stack_kind::SAMPLE, version: 0, size: size_of::<Self>() };
}

impl Event for StackPath {
    const KIND: EventKind =
        EventKind { number: stack_kind::MODULE, version: 0, size: size_of::<Self>() };
}

const _: () = assert!(size_of::<StackSample>() == 2664 && align_of::<StackSample>() == 8);
const _: () = assert!(size_of::<StackPath>() == 56 && align_of::<StackPath>() == 8);

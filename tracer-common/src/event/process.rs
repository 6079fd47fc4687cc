//! How processes end and start.
use crate::event::{Actor, FileId, Header, Inode};

/// A signal that a process brought upon itself; all zero if there was none.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SelfSignal {
    pub time: u64,
    /// `si_addr` of a fault; 0 otherwise.
    pub address: u64,
    /// First user instruction pointer of the stack; 0 unknown.
    pub ip: u64,
    pub signal: i32,
    pub code: i32,
    pub tid: u32,
    /// Of `fault`: 1 if the process may have sent it to itself as well.
    pub may_be_sent: u32,
}

/// What a process last brought upon itself, other than SIGBUS.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LastSignals {
    /// By a fault or a trap.
    pub fault: SelfSignal,
    /// By kill(2) and the like, as abort(3) does; with the si_code of a fault if it made one up.
    pub self_sent: SelfSignal,
}

/// The OOM killer chose it (`signal_struct.oom_mm`, mm/oom_kill.c mark_oom_victim).
pub const EXIT_OOM: u32 = 1;
/// Others sent it signals, or a process whose pid ends in the same bits, of which not even the last was kept.
pub const EXIT_SIGNALS_LEFT: u32 = 2;

/// A process has ended (its last thread, in `do_exit`): one with a recorded fault, or one that a
/// signal asked for killed, or, if that is asked for, one whose status is not zero.
///
/// Followed by `path_len` bytes as in [`Fault`]: of the file mapped at `last_signals.fault.ip`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Exit {
    pub header: Header,
    pub actor: Actor,
    pub last_signals: LastSignals,
    /// Its program: `mm->exe_file`; all zero if unknown.
    pub exe: FileId,
    /// The file mapped at `last_signals.fault.ip`; all zero if unknown.
    pub module: FileId,
    /// Offset of that instruction in the file, in bytes.
    pub module_offset: u64,
    /// As wait(2) gives it: signal in bits 0–6, core dumped 0x80, status from bit 8.
    pub code: u32,
    /// EXIT_* bits.
    pub flags: u32,
    pub path_flags: u32,
    pub path_len: u32,
}

/// Bytes of what a socket is bound to, at most, and a NUL (UNIX_PATH_MAX of include/uapi/linux/un.h).
pub const SOCKET_NAME: usize = 112;

/// Where descriptors 1 and 2 of a process lead, one or both of them: sent before its [`Exit`].
///
/// Followed by `path_len` bytes as in [`Fault`](crate::event::Fault). A pipe has no path, nor has a socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Output {
    pub header: Header,
    /// As [`crate::event::Task::start_time`].
    pub start_time: u64,
    /// All zero if it is closed.
    pub inode: Inode,
    /// `f_pos`
    pub position: i64,
    /// What the other end of a Unix socket is bound to (`sun_path`), as whoever bound it says; empty if it is not.
    pub bound: [u8; SOCKET_NAME],
    /// The file by that name as it was bound; 0 if there is none.
    pub bound_ino: u64,
    /// As [`Inode::dev`].
    pub bound_dev: u32,
    pub tgid: u32,
    /// `1 << NUMBER` of each that leads there.
    pub descriptors: u32,
    /// `f_mode`
    pub file_mode: u32,
    /// `i_rdev` of a device, as [`Inode::dev`].
    pub device: u32,
    /// The mount namespace of the process, by its inode number.
    pub mnt_ns: u32,
    /// `mnt_id` of the mount through which the file was opened.
    pub mount: i32,
    pub path_flags: u32,
    pub path_len: u32,
    pub pad: u32,
}

/// Processes of a program that has died of late, or children of the parent of such.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Start {
    pub header: Header,
    pub actor: Actor,
    pub exe: FileId,
    /// 1 if it was only forked so far: it still runs the program of its parent.
    pub forked: u32,
    pub pad: u32,
}

/// Which program a process runs (`mm->exe_file`): sent before the first event that is about it, and again
/// after an exec(2).
///
/// Followed by `path_len` bytes as in [`Fault`](crate::event::Fault).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Program {
    pub header: Header,
    /// As [`crate::event::Task::start_time`].
    pub start_time: u64,
    pub tgid: u32,
    pub path_flags: u32,
    pub path_len: u32,
    pub pad: u32,
}

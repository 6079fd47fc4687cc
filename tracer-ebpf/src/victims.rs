//! Processes whose end is of interest, by tgid, and what they brought upon themselves.
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    cty::c_void,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_stack},
    macros::map,
    maps::LruHashMap,
};
use tracer_common::event::{LastSignals, SelfSignal};

use crate::emit::now;

/// Those with a recorded fault or signal, with the thread that the last SIGBUS was raised for by a fault; 0 if there was
/// none.
#[map]
static VICTIMS: LruHashMap<u32, u32> = LruHashMap::with_max_entries(4096, 0);
/// What processes brought upon themselves: of interest once they end.
#[map]
static LAST_SIGNALS: LruHashMap<u32, LastSignals> = LruHashMap::with_max_entries(4096, 0);
/// Processes of which a thread that failed is being looked at as it ends, by tgid, with its tid.
#[map]
static LOOKED_AT: LruHashMap<u32, u32> = LruHashMap::with_max_entries(1024, 0);

/// include/uapi/linux/bpf.h BPF_F_USER_STACK, for bpf_get_stack.
pub const USER_STACK: u64 = 1 << 8;

/// The end of this process is to be sent.
#[inline(always)]
pub fn add(tgid: u32) {
    if !is_victim(tgid) {
        let _ = VICTIMS.insert(tgid, 0, 0);
    }
}

/// A fault of a thread raises SIGBUS, whether that is told or only counted.
#[inline(always)]
pub fn raised(tgid: u32, tid: u32) {
    let _ = VICTIMS.insert(tgid, tid, 0);
}

/// Whether it is a signal of the thread's own doing that it ends by: of a fault or trap, or sent to itself as abort(3) does.
/// Its process began at `start`: what is older is of an earlier one with this tgid.
#[inline(always)]
pub unsafe fn ended_itself(tgid: u32, start: u64, tid: u32, signal: i32) -> bool {
    const SIGBUS: i32 = 7;
    if signal == 0 {
        return false;
    }
    // SAFETY: map values.
    unsafe {
        if signal == SIGBUS && VICTIMS.get_ptr(tgid).is_some_and(|raised| *raised == tid) {
            return true;
        }
        LAST_SIGNALS.get_ptr(tgid).is_some_and(|last| {
            let is = |noted: *const SelfSignal| {
                (*noted).tid == tid && (*noted).signal == signal && (*noted).time >= start
            };
            is(&raw const (*last).fault) || is(&raw const (*last).self_sent)
        })
    }
}

/// From here to `looked_at` no other thread tells the end of the process, of which this one, that failed, has the stack and the
/// registers: what the process brought upon itself is forgotten with that.
#[inline(always)]
pub fn look_at(tgid: u32, tid: u32) {
    let _ = LOOKED_AT.insert(tgid, tid, 0);
}

/// What the thread has is sent. Another one that ended meanwhile has left it to this one to tell the end.
#[inline(always)]
pub fn looked_at(tgid: u32) {
    let _ = LOOKED_AT.remove(tgid);
}

/// Whether another thread of the process is being looked at.
#[inline(always)]
pub fn is_another_looked_at(tgid: u32, tid: u32) -> bool {
    // SAFETY: a map value.
    LOOKED_AT.get_ptr(tgid).is_some_and(|looked_at| unsafe { *looked_at } != tid)
}

/// Whether a fault or signal of this process was recorded.
#[inline(always)]
pub fn is_victim(tgid: u32) -> bool {
    VICTIMS.get_ptr(tgid).is_some()
}

/// Whether this process brought a signal upon itself.
#[inline(always)]
pub fn signalled_itself(tgid: u32) -> bool {
    LAST_SIGNALS.get_ptr(tgid).is_some()
}

/// What the process brought upon itself last by a fault or trap.
#[inline(always)]
pub fn last_fault(tgid: u32) -> Option<*const SelfSignal> {
    let last = LAST_SIGNALS.get_ptr(tgid)?;
    // SAFETY: a map value.
    Some(unsafe { &raw const (*last).fault })
}

/// The process has ended: moves what it brought upon itself to `out`, which is left alone if there is
/// nothing, and forgets it.
#[inline(always)]
pub unsafe fn remove(tgid: u32, out: *mut LastSignals) {
    if let Some(last) = LAST_SIGNALS.get_ptr(tgid) {
        // SAFETY: a map value; `out` points into a claimed scratch.
        unsafe { core::ptr::copy_nonoverlapping(last, out, 1) };
        let _ = LAST_SIGNALS.remove(tgid);
    }
    let _ = VICTIMS.remove(tgid);
}

/// Who raised a signal that a process brought upon itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// The kernel, for what it executed.
    ByFault,
    /// Itself, by a system call.
    BySending,
    /// Either.
    Unknown,
}

/// Notes a signal that the current process brought upon itself.
#[inline(always)]
pub unsafe fn note_signal(
    ctx: *mut c_void,
    signal: i32,
    code: i32,
    address: u64,
    raised: Raised,
) -> Option<()> {
    const NONE: SelfSignal =
        SelfSignal { time: 0, address: 0, ip: 0, signal: 0, code: 0, tid: 0, may_be_sent: 0 };
    let ids = bpf_get_current_pid_tgid();
    let tgid = (ids >> 32) as u32;
    if LAST_SIGNALS.get_ptr(tgid).is_none() {
        let none = LastSignals { fault: NONE, self_sent: NONE };
        let _ = LAST_SIGNALS.insert(tgid, none, BPF_NOEXIST as u64);
    }
    let last = LAST_SIGNALS.get_ptr_mut(tgid)?;
    // SAFETY: a map value; another thread may write it too, and either is an answer.
    unsafe {
        let fault = raised != Raised::BySending;
        let place = if fault { &raw mut (*last).fault } else { &raw mut (*last).self_sent };
        (*place).time = now();
        (*place).signal = signal;
        (*place).code = code;
        (*place).address = address;
        (*place).tid = ids as u32;
        (*place).may_be_sent = (raised == Raised::Unknown) as u32;
        let mut ip = 0_u64;
        if fault {
            user_ip(ctx, &raw mut ip);
        }
        (*place).ip = ip;
    }
    Some(())
}

/// Writes the first user instruction pointer of the current stack; leaves `out` alone if there is none.
#[inline(always)]
pub unsafe fn user_ip(ctx: *mut c_void, out: *mut u64) {
    // SAFETY: `ctx` is the program's, `out` writable.
    unsafe { bpf_get_stack(ctx, out.cast(), size_of::<u64>() as u32, USER_STACK) };
}

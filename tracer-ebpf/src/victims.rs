//! Processes whose end is of interest, by tgid, and what they brought upon themselves.
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    cty::c_void,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_current_task, bpf_get_stack},
    },
    macros::map,
    maps::LruHashMap,
};
use tracer_common::event::{LastSignals, SelfSignal};

use crate::{
    emit::now,
    globals::{config, off},
    read::{Probe, Ptr, Read, is_null},
    task,
};

/// A thread that SIGBUS was raised for by a fault.
#[repr(C)]
#[derive(Clone, Copy)]
struct Failed {
    /// Its `task_struct`, 0 once it has been looked at as it ended: no more than an address by then.
    task: u64,
    /// Of 32 bits: nothing of a map's value is left out as it is written.
    tid: u64,
}

const NOBODY: Failed = Failed { task: 0, tid: 0 };

/// Those with a recorded fault or signal, with the thread that the last SIGBUS was raised for by a fault, if there was one.
#[map]
static VICTIMS: LruHashMap<u32, Failed> = LruHashMap::with_max_entries(4096, 0);

/// What a process brought upon itself: of interest once it ends.
#[repr(C)]
#[derive(Clone, Copy)]
struct Noted {
    last: LastSignals,
    /// The `task_struct` that each was raised for, as in [`Failed`].
    fault_task: u64,
    self_sent_task: u64,
}

const NONE: SelfSignal =
    SelfSignal { time: 0, address: 0, ip: 0, signal: 0, code: 0, tid: 0, may_be_sent: 0 };

/// Not on the stack of a program, of which little is left.
static NOTHING: Noted =
    Noted { last: LastSignals { fault: NONE, self_sent: NONE }, fault_task: 0, self_sent_task: 0 };

#[map]
static LAST_SIGNALS: LruHashMap<u32, Noted> = LruHashMap::with_max_entries(4096, 0);

const SIGBUS: i32 = 7;
/// include/linux/sched.h: do_exit has begun.
const PF_EXITING: u32 = 4;
/// include/linux/sched/signal.h: SIGNAL_GROUP_EXIT and, until 5.17, SIGNAL_GROUP_COREDUMP.
const ENDING: u32 = 4 | 8;

/// include/uapi/linux/bpf.h BPF_F_USER_STACK, for bpf_get_stack.
pub const USER_STACK: u64 = 1 << 8;

/// The end of this process is to be sent.
#[inline(always)]
pub fn add(tgid: u32) {
    if !is_victim(tgid) {
        let _ = VICTIMS.insert(tgid, NOBODY, 0);
    }
}

/// A fault of a thread raises SIGBUS, whether that is told or only counted.
#[inline(always)]
pub fn raised(tgid: u32, tid: u32, task: Ptr) {
    let _ = VICTIMS.insert(tgid, Failed { task: task as u64, tid: tid as u64 }, 0);
}

/// Whether it is a signal of the thread's own doing that it ends by: of a fault or trap, or sent to itself as abort(3) does.
/// Its process began at `start`: a signal that is older is of an earlier one with this tgid. (Of SIGBUS no time is noted.)
#[inline(always)]
pub unsafe fn ended_itself(tgid: u32, start: u64, tid: u32, signal: i32) -> bool {
    if signal == 0 {
        return false;
    }
    // SAFETY: map values.
    unsafe {
        if signal == SIGBUS
            && VICTIMS.get_ptr(tgid).is_some_and(|raised| (*raised).tid == tid as u64)
        {
            return true;
        }
        LAST_SIGNALS.get_ptr(tgid).is_some_and(|noted| {
            let is = |noted: *const SelfSignal| {
                (*noted).tid == tid && (*noted).signal == signal && (*noted).time >= start
            };
            is(&raw const (*noted).last.fault) || is(&raw const (*noted).last.self_sent)
        })
    }
}

/// Whether another thread, of those that share `shared` (a `signal_struct`), failed with the signal that ends the process, and is on
/// its way to where it is looked at: it has its memory still, which do_exit takes behind that (kernel/exit.c exit_mm).
#[inline(always)]
pub unsafe fn is_another_on_its_way(tgid: u32, tid: u32, shared: Ptr, signal: i32) -> bool {
    if signal == 0 || config!(read_kernel) == 0 {
        return false;
    }
    // SAFETY: map values; probe reads cope with any address, and of a task that is another's by now neither tid nor
    // `signal_struct` is the same.
    unsafe {
        let is = |task: u64, failed: u32| {
            let task = task as Ptr;
            !is_null(task)
                && failed != tid
                && Probe::get::<u32>(task, off!(task_pid)) == failed
                && Probe::get::<u64>(task, off!(task_signal)) == shared as u64
                && Probe::get::<u64>(task, off!(task_mm)) != 0
        };
        if signal == SIGBUS
            && VICTIMS.get_ptr(tgid).is_some_and(|raised| is((*raised).task, (*raised).tid as u32))
        {
            return true;
        }
        LAST_SIGNALS.get_ptr(tgid).is_some_and(|noted| {
            let last = &raw const (*noted).last;
            (*last).fault.signal == signal && is((*noted).fault_task, (*last).fault.tid)
                || (*last).self_sent.signal == signal
                    && is((*noted).self_sent_task, (*last).self_sent.tid)
        })
    }
}

/// Whether others may leave the end of the process to this thread ([`is_another_on_its_way`]): it has handled what is noted, or
/// dies of it.
#[inline(always)]
pub unsafe fn is_noted(tgid: u32, tid: u32) -> bool {
    // SAFETY: map values.
    unsafe {
        VICTIMS.get_ptr(tgid).is_some_and(|raised| (*raised).tid == tid as u64)
            || brought_upon_it(tgid, tid)
    }
}

/// The same of other signals than SIGBUS.
#[inline(always)]
pub unsafe fn brought_upon_it(tgid: u32, tid: u32) -> bool {
    // SAFETY: a map value.
    LAST_SIGNALS.get_ptr(tgid).is_some_and(|noted| unsafe {
        (*noted).last.fault.tid == tid || (*noted).last.self_sent.tid == tid
    })
}

/// The thread has been looked at: nobody leaves it to it any more to tell the end.
#[inline(always)]
pub unsafe fn looked_at(tgid: u32, tid: u32) {
    // SAFETY: map values; another thread may write them too, and either is an answer.
    unsafe {
        if let Some(raised) = VICTIMS.get_ptr_mut(tgid)
            && (*raised).tid == tid as u64
        {
            (*raised).task = 0;
        }
        if let Some(noted) = LAST_SIGNALS.get_ptr_mut(tgid) {
            if (*noted).last.fault.tid == tid {
                (*noted).fault_task = 0;
            }
            if (*noted).last.self_sent.tid == tid {
                (*noted).self_sent_task = 0;
            }
        }
    }
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
    let noted = LAST_SIGNALS.get_ptr(tgid)?;
    // SAFETY: a map value.
    Some(unsafe { &raw const (*noted).last.fault })
}

/// The process has ended: moves what it brought upon itself to `out`, which is left alone if there is
/// nothing, and forgets it.
#[inline(always)]
pub unsafe fn remove(tgid: u32, out: *mut LastSignals) {
    if let Some(noted) = LAST_SIGNALS.get_ptr(tgid) {
        // SAFETY: a map value; `out` points into a claimed scratch.
        unsafe { core::ptr::copy_nonoverlapping(&raw const (*noted).last, out, 1) };
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
    let ids = bpf_get_current_pid_tgid();
    let tgid = (ids >> 32) as u32;
    // A timer of its own may expire on the CPU of a thread that is past taking signals, and has been looked at: that one is not
    // who raised it. Where all of the process ends it is why no more (older kernels do not drop it).
    let exiting = task::current_flags() & PF_EXITING != 0;
    if exiting && is_ending() {
        return None;
    }
    if LAST_SIGNALS.get_ptr(tgid).is_none() {
        let _ = LAST_SIGNALS.insert(tgid, &NOTHING, BPF_NOEXIST as u64);
    }
    let noted = LAST_SIGNALS.get_ptr_mut(tgid)?;
    // SAFETY: a map value; another thread may write it too, and either is an answer.
    unsafe {
        let fault = raised != Raised::BySending;
        let last = &raw mut (*noted).last;
        let place = if fault { &raw mut (*last).fault } else { &raw mut (*last).self_sent };
        let task =
            if fault { &raw mut (*noted).fault_task } else { &raw mut (*noted).self_sent_task };
        *task = if exiting { 0 } else { bpf_get_current_task() };
        (*place).time = now();
        (*place).signal = signal;
        (*place).code = code;
        (*place).address = address;
        (*place).tid = if exiting { 0 } else { ids as u32 };
        (*place).may_be_sent = (raised == Raised::Unknown) as u32;
        let mut ip = 0_u64;
        if fault && !exiting {
            user_ip(ctx, &raw mut ip);
        }
        (*place).ip = ip;
    }
    Some(())
}

/// Whether all of the current process ends.
#[inline(always)]
fn is_ending() -> bool {
    // SAFETY: probe reads cope with any address.
    let flags: u32 = unsafe {
        let signal: Ptr = Probe::get(bpf_get_current_task() as Ptr, off!(task_signal));
        Probe::get(signal, off!(signal_flags))
    };
    flags & ENDING != 0
}

/// Writes the first user instruction pointer of the current stack; leaves `out` alone if there is none.
#[inline(always)]
pub unsafe fn user_ip(ctx: *mut c_void, out: *mut u64) {
    // SAFETY: `ctx` is the program's, `out` writable.
    unsafe { bpf_get_stack(ctx, out.cast(), size_of::<u64>() as u32, USER_STACK) };
}

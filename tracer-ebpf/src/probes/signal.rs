//! Signals: SIGBUS, from whatever source, generated and delivered; others as far as they end
//! processes.
use aya_ebpf::{
    EbpfContext as _,
    cty::c_void,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_stack},
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};
use tracer_common::event::{Deliver, LastSignals, SelfSignal, Signal, disposition, ring};

use crate::{
    emit::{claim, emit, now},
    globals::{config, off},
    maps::{DELIVER, FORCED, LAST_SIGNALS, SIGNAL, SUPPRESSED, VICTIMS},
    read::{Probe, Ptr, Read, Typed},
    task,
};

const SIGBUS: i32 = 7;
const SI_KERNEL: i32 = 0x80;
/// include/linux/pid_types.h
const PIDTYPE_PID: u32 = 0;
/// include/trace/events/signal.h
const TRACE_SIGNAL_IGNORED: i32 = 1;
/// bpf_get_stack: the user's stack.
const BPF_F_USER_STACK: u64 = 1 << 8;

/// Whether a signal other than SIGBUS is told of.
#[inline(always)]
pub fn told(signal: u32) -> bool {
    signal < 32 && config!(signals) >> signal & 1 != 0
}

/// `signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group,
/// int result)` (include/trace/events/signal.h), in the context of the sender.
///
/// Newer verifiers give `info` no type here, because it may encode SEND_SIG_* (kernel/bpf/btf.c
/// raw_tp_null_args): only `bpf_probe_read_kernel` can follow it.
#[btf_tracepoint(function = "signal_generate")]
pub fn signal_generate(ctx: BtfTracePointContext) -> u32 {
    let signal: u32 = ctx.arg(0);
    if signal == SIGBUS as u32 {
        bus_generated(ctx.as_ptr())
    } else if told(signal) {
        other_generated(ctx.as_ptr())
    } else {
        0
    }
}

#[inline(never)]
fn bus_generated(ctx: *mut c_void) -> u32 {
    let ctx = BtfTracePointContext::new(ctx);
    // SAFETY: the arguments are what the prototype says.
    unsafe { generated::<Probe>(ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)) };
    0
}

#[inline(never)]
fn other_generated(raw: *mut c_void) -> u32 {
    let ctx = BtfTracePointContext::new(raw);
    // SAFETY: the arguments are what the prototype says.
    unsafe { other::<Probe>(raw, ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(4)) };
    0
}

/// `int __send_signal_locked(int sig, struct kernel_siginfo *info, struct task_struct *t,
/// enum pid_type type, bool force)` (kernel/signal.c, `__send_signal` until 5.17), under
/// lockdown: `info` is typed in a function's entry. Whether the target ignores the signal is not
/// known yet.
#[fentry(function = "__send_signal_locked")]
pub fn send_signal(ctx: FEntryContext) -> u32 {
    let signal: u32 = ctx.arg(0);
    if signal == SIGBUS as u32 {
        bus_sent(ctx.as_ptr())
    } else if told(signal) {
        other_sent(ctx.as_ptr())
    } else {
        0
    }
}

#[inline(never)]
fn bus_sent(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    let group = i32::from(ctx.arg::<u32>(3) != PIDTYPE_PID);
    // SAFETY: the arguments are what the prototype says.
    unsafe { generated::<Typed>(ctx.arg(1), ctx.arg(2), group, 0) };
    0
}

#[inline(never)]
fn other_sent(raw: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(raw);
    // SAFETY: the arguments are what the prototype says.
    unsafe { other::<Typed>(raw, ctx.arg(0), ctx.arg(1), ctx.arg(2), 0) };
    0
}

/// A signal other than SIGBUS. What a process brings upon itself is kept until it ends: runtimes
/// live with faults, the JVM with thousands a second. What others send is told.
#[inline(always)]
unsafe fn other<R: Read>(
    ctx: *mut c_void,
    signal: i32,
    info: Ptr,
    target: Ptr,
    result: i32,
) -> Option<()> {
    // SAFETY: a claimed scratch; `R` and typed loads cope with any pointer.
    unsafe {
        let (code, address) = siginfo::<R>(info);
        let tgid: u32 = Typed::get(target, off!(task_tgid));
        if tgid == (bpf_get_current_pid_tgid() >> 32) as u32 {
            return raised(ctx, Raise { signal, code, address }, tgid);
        }
        if result == TRACE_SIGNAL_IGNORED {
            return None;
        }
        let scratch = claim::<Signal, _>(&SIGNAL, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value;
        task::task::<Typed>(&raw mut (*event).target, target);
        task::current(&raw mut (*event).sender);
        (*event).signal = signal;
        (*event).code = code;
        (*event).result = result;
        emit(scratch, size_of::<Signal>() as u32);
    }
    Some(())
}

struct Raise {
    signal: i32,
    code: i32,
    address: u64,
}

#[inline(always)]
unsafe fn raised(ctx: *mut c_void, raise: Raise, tgid: u32) -> Option<()> {
    const NONE: SelfSignal =
        SelfSignal { time: 0, address: 0, ip: 0, signal: 0, code: 0, tid: 0, pad: 0 };
    if LAST_SIGNALS.get_ptr(tgid).is_none() {
        let _ = LAST_SIGNALS.insert(
            tgid,
            LastSignals { fault: NONE, self_sent: NONE },
            1, /* BPF_NOEXIST */
        );
    }
    let kept = LAST_SIGNALS.get_ptr_mut(tgid)?;
    // SAFETY: a map value; another thread may write it too, and either is an answer.
    unsafe {
        let fault = raise.code > 0;
        let place = if fault { &raw mut (*kept).fault } else { &raw mut (*kept).self_sent };
        (*place).time = now();
        (*place).signal = raise.signal;
        (*place).code = raise.code;
        (*place).address = raise.address;
        (*place).tid = bpf_get_current_pid_tgid() as u32;
        let mut ip = 0_u64;
        if fault {
            bpf_get_stack(ctx, (&raw mut ip).cast(), size_of::<u64>() as u32, BPF_F_USER_STACK);
        }
        (*place).ip = ip;
    }
    Some(())
}

#[inline(always)]
unsafe fn generated<R: Read>(info: Ptr, target: Ptr, group: i32, result: i32) -> Option<()> {
    // SAFETY: a claimed scratch; `R` and typed loads cope with any pointer.
    unsafe {
        let (code, address) = siginfo::<R>(info);
        let tid = bpf_get_current_pid_tgid() as u32;
        let forced = FORCED.get_ptr(tid).is_some();
        if forced {
            let _ = FORCED.remove(tid);
        }
        if code > 0 && quiet() {
            return None;
        }
        let scratch = claim::<Signal, _>(&SIGNAL, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value;
        task::task::<Typed>(&raw mut (*event).target, target);
        (*event).signal = SIGBUS;
        (*event).code = code;
        (*event).address = address;
        (*event).group = group;
        (*event).result = result;
        (*event).forced = forced as u32;
        // Only a signal somebody sent has a sender worth naming; si_codes up to BUS_OBJERR are
        // sent too if nothing forced them.
        if code <= 0 || !forced && code <= 3 {
            task::current(&raw mut (*event).sender);
        }
        let tgid = (*event).target.tgid;
        let _ = VICTIMS.insert(tgid, 1, 0);
        emit(scratch, size_of::<Signal>() as u32);
    }
    Some(())
}

/// si_code and, for a fault, si_addr. The pointer may be SEND_SIG_NOINFO (0: a user's kill) or
/// SEND_SIG_PRIV (1: the kernel's), see kernel/signal.c __send_signal_locked.
#[inline(always)]
unsafe fn siginfo<R: Read>(info: Ptr) -> (i32, u64) {
    if info.is_null() {
        return (0, 0);
    }
    if info as u64 == 1 {
        return (SI_KERNEL, 0);
    }
    // SAFETY: `R` copes with any pointer. The union is read in halves: its first member is the
    // pair (pid, uid), and a typed load must match the member the verifier finds first.
    unsafe {
        let code: i32 = R::get(info, off!(siginfo_code));
        let low: u32 = R::get(info, off!(siginfo_fields));
        let high: u32 = R::get(info, off!(siginfo_fields) + 4);
        let address = if code > 0 { (high as u64) << 32 | low as u64 } else { 0 };
        (code, address)
    }
}

/// `signal_deliver(int sig, struct kernel_siginfo *info, struct k_sigaction *ka)`, in the
/// context of the receiver.
#[btf_tracepoint(function = "signal_deliver")]
pub fn signal_deliver(ctx: BtfTracePointContext) -> u32 {
    if ctx.arg::<i32>(0) == SIGBUS { bus_delivered(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn bus_delivered(ctx: *mut c_void) -> u32 {
    if !quiet() {
        // SAFETY: the arguments are what the prototype says.
        unsafe { delivered(&BtfTracePointContext::new(ctx)) };
    }
    0
}

/// Whether the fault of this thread was only counted.
#[inline(always)]
fn quiet() -> bool {
    SUPPRESSED.get_ptr(bpf_get_current_pid_tgid() as u32).is_some()
}

#[inline(always)]
unsafe fn delivered(ctx: &BtfTracePointContext) -> Option<()> {
    let scratch = claim::<Deliver, _>(&DELIVER, ring::CRITICAL)?;
    // SAFETY: a claimed scratch; typed loads cope with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value;
        task::current(&raw mut (*event).target);
        (*event).signal = SIGBUS;
        let handler: u64 = Typed::get(ctx.arg(2), off!(sigaction_handler));
        (*event).disposition = match handler {
            0 => disposition::DEFAULT,
            1 => disposition::IGNORE,
            _ => disposition::HANDLER,
        };
        emit(scratch, size_of::<Deliver>() as u32);
    }
    Some(())
}

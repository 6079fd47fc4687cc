//! SIGBUS, from whatever source: generated, and delivered.
use aya_ebpf::{
    EbpfContext as _,
    cty::c_void,
    helpers::bpf_get_current_pid_tgid,
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};
use tracer_common::event::{Deliver, Signal, disposition, kind, ring};

use crate::{
    emit::{claim, emit},
    globals::off,
    maps::{DELIVER, FORCED, QUIET, SIGNAL, VICTIMS},
    read::{Probe, Ptr, Read, Typed},
    task,
};

const SIGBUS: i32 = 7;
const SI_KERNEL: i32 = 0x80;
/// include/linux/pid_types.h
const PIDTYPE_PID: u32 = 0;

/// `signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group,
/// int result)` (include/trace/events/signal.h), in the context of the sender.
///
/// Newer verifiers give `info` no type here, because it may encode SEND_SIG_* (kernel/bpf/btf.c
/// raw_tp_null_args): only `bpf_probe_read_kernel` can follow it.
#[btf_tracepoint(function = "signal_generate")]
pub fn signal_generate(ctx: BtfTracePointContext) -> u32 {
    if ctx.arg::<i32>(0) == SIGBUS { bus_generated(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn bus_generated(ctx: *mut c_void) -> u32 {
    let ctx = BtfTracePointContext::new(ctx);
    // SAFETY: the arguments are what the prototype says.
    unsafe { generated::<Probe>(ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)) };
    0
}

/// `int __send_signal_locked(int sig, struct kernel_siginfo *info, struct task_struct *t,
/// enum pid_type type, bool force)` (kernel/signal.c, `__send_signal` until 5.17), under
/// lockdown: `info` is typed in a function's entry. Whether the target ignores the signal is not
/// known yet.
#[fentry(function = "__send_signal_locked")]
pub fn send_signal(ctx: FEntryContext) -> u32 {
    if ctx.arg::<i32>(0) == SIGBUS { bus_sent(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn bus_sent(ctx: *mut c_void) -> u32 {
    let ctx = FEntryContext::new(ctx);
    let group = i32::from(ctx.arg::<u32>(3) != PIDTYPE_PID);
    // SAFETY: the arguments are what the prototype says.
    unsafe { generated::<Typed>(ctx.arg(1), ctx.arg(2), group, 0) };
    0
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
        let scratch = claim::<Signal, _>(&SIGNAL, kind::SIGNAL, ring::DECISIVE)?;
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
    QUIET.get_ptr(bpf_get_current_pid_tgid() as u32).is_some()
}

#[inline(always)]
unsafe fn delivered(ctx: &BtfTracePointContext) -> Option<()> {
    let scratch = claim::<Deliver, _>(&DELIVER, kind::DELIVER, ring::DECISIVE)?;
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

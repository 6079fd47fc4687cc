//! Signals: SIGBUS, from whatever source, generated and delivered; others as far as they end
//! processes.
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid};
use tracer_common::{
    event::{Deliver, Signal, disposition, origin, ring},
    log::Hook,
};

use crate::{
    bursts,
    emit::{claim, emit},
    form::{Call, program},
    globals::off,
    log::log,
    oom_decision,
    policy::is_traced,
    program,
    read::{Probe, Ptr, Read},
    scratch::{DELIVER, SIGNAL, teller},
    sent, task, thread,
    victims::{self, Raised},
};

const SIGBUS: i32 = 7;
const SIGKILL: i32 = 9;
const SIGTRAP: i32 = 5;
const SIGSYS: i32 = 31;
/// SIGILL, SIGTRAP, SIGFPE, SIGSEGV and SIGSYS.
const OF_FAULTS: [i32; 5] = [4, SIGTRAP, 8, 11, SIGSYS];
const SI_KERNEL: i32 = 0x80;
/// include/uapi/asm-generic/siginfo.h: the last si_code of SIGBUS that a process may send.
const BUS_OBJERR: i32 = 3;
/// include/linux/sched.h
const PF_KTHREAD: u32 = 0x0020_0000;
/// include/linux/pid_types.h
const PIDTYPE_PID: u32 = 0;
/// include/trace/events/signal.h
const TRACE_SIGNAL_IGNORED: i32 = 1;
const TRACE_SIGNAL_ALREADY_PENDING: i32 = 2;
/// madvise(2), which declares memory bad on behalf of who calls it (mm/madvise.c madvise_inject_error).
const MADVISE: [u32; 2] = [28, 233];

program! {
    /// `signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group,
    /// int result)` (include/trace/events/signal.h), in the context of the sender.
    ///
    /// Newer verifiers give `info` no type here, because it may encode SEND_SIG_* (kernel/bpf/btf.c
    /// raw_tp_null_args): only `bpf_probe_read_kernel` can follow it.
    tp_btf "signal_generate" => signal_generate, if is_sigbus, bus_generated: generated,
    if is_other, other_generated: generated_other
}
program! {
    /// The same under lockdown where `info` still has a type, and no function's entry can be hooked.
    tp_btf "signal_generate" => signal_generate_typed, if is_sigbus, bus_generated_typed: generated_typed,
    if is_other, other_generated_typed: generated_other_typed
}
program! {
    /// `int __send_signal_locked(int sig, struct kernel_siginfo *info, struct task_struct *t,
    /// enum pid_type type, bool force)` (kernel/signal.c, `__send_signal` until 5.17), under
    /// lockdown: `info` is typed in a function's entry. Whether the target ignores the signal is not
    /// known yet.
    fentry "__send_signal_locked" => send_signal, if is_sigbus, bus_sent: sent,
    if is_other, other_sent: sent_other
}
program! {
    /// `signal_deliver(int sig, struct kernel_siginfo *info, struct k_sigaction *ka)`, in the
    /// context of the receiver.
    tp_btf "signal_deliver" => signal_deliver, if is_sigbus, bus_delivered: delivered
}

#[inline(always)]
pub fn is_sigbus<C: Call>(call: C) -> bool {
    call.arg::<0>() as i32 == SIGBUS
}

#[inline(always)]
pub fn is_other<C: Call>(call: C) -> bool {
    is_traced(call.arg::<0>() as u32)
}

#[inline(always)]
unsafe fn generated<C: Call>(call: C) {
    let (info, target) = (call.arg::<1>() as Ptr, call.arg::<2>() as Ptr);
    // SAFETY: the arguments are what the prototype says.
    unsafe { bus::<Probe, C>(info, target, call.arg::<3>() as i32, call.arg::<4>() as i32) };
}

#[inline(always)]
unsafe fn generated_other<C: Call>(call: C) {
    // SAFETY: as in `generated`.
    unsafe { other::<Probe, C>(call, call.arg::<3>() as i32, call.arg::<4>() as i32) };
}

#[inline(always)]
unsafe fn generated_typed<C: Call>(call: C) {
    let (info, target) = (call.arg::<1>() as Ptr, call.arg::<2>() as Ptr);
    // SAFETY: as in `generated`.
    unsafe { bus::<C::Memory, C>(info, target, call.arg::<3>() as i32, call.arg::<4>() as i32) };
}

#[inline(always)]
unsafe fn generated_other_typed<C: Call>(call: C) {
    // SAFETY: as in `generated`.
    unsafe { other::<C::Memory, C>(call, call.arg::<3>() as i32, call.arg::<4>() as i32) };
}

#[inline(always)]
unsafe fn sent<C: Call>(call: C) {
    let (info, target) = (call.arg::<1>() as Ptr, call.arg::<2>() as Ptr);
    // SAFETY: as in `generated`.
    unsafe { bus::<C::Memory, C>(info, target, group(call), 0) };
}

#[inline(always)]
unsafe fn sent_other<C: Call>(call: C) {
    // SAFETY: as in `generated`.
    unsafe { other::<C::Memory, C>(call, group(call), 0) };
}

/// As the tracepoint has it: whether a process is signalled, not one of its threads.
#[inline(always)]
fn group<C: Call>(call: C) -> i32 {
    (call.arg::<3>() as u32 != PIDTYPE_PID) as i32
}

/// A signal other than SIGBUS. What a process brings upon itself is remembered until it ends: runtimes
/// live with faults, the JVM with thousands a second. What others send is sent, or kept (`sent`); one that is generated
/// while another waits is none.
#[inline(always)]
unsafe fn other<Info: Read, C: Call>(call: C, group: i32, result: i32) -> Option<()> {
    let signal = call.arg::<0>() as i32;
    let target = call.arg::<2>() as Ptr;
    // SAFETY: a claimed scratch; the readers cope with any pointer.
    unsafe {
        let info = call.arg::<1>() as Ptr;
        let (code, address) = siginfo::<Info>(info);
        let tgid: u32 = C::Memory::get(target, off!(task_tgid));
        if signal == SIGKILL && code == SI_KERNEL {
            oom_decision::tell::<C::Memory>(target);
        }
        // Ignored by the process, or dropped because it is dying already (kernel/signal.c prepare_signal).
        if result == TRACE_SIGNAL_IGNORED {
            log!(Hook::SignalGenerate, SignalIgnored, signal, tgid);
            return None;
        }
        if tgid == (bpf_get_current_pid_tgid() >> 32) as u32 {
            log!(Hook::SignalGenerate, SignalOwn, signal, code);
            // No process brings SEND_SIG_PRIV about: bpf_send_signal.
            let raised = match info as u64 {
                1 => Raised::ByFault,
                _ => raised::<C::Memory>(signal, code, target, group),
            };
            return victims::note_signal(call.context(), signal, code, address, raised);
        }
        if result == TRACE_SIGNAL_ALREADY_PENDING {
            log!(Hook::SignalGenerate, SignalPending, signal, tgid);
            return None;
        }
        // A kernel thread passes on what is typed on a terminal: that is no doing of root's.
        let user = match task::current_flags() & PF_KTHREAD {
            0 => bpf_get_current_uid_gid() as u32,
            _ => task::user::<C::Memory>(target),
        };
        let admitted = sent::admits(tgid, user);
        if admitted {
            program::of(target, teller::SIGNAL, ring::CRITICAL);
            program::of_current(teller::SIGNAL, ring::CRITICAL);
        }
        let scratch = claim::<Signal, _>(&SIGNAL, 0, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value;
        task::task::<C::Memory>(&raw mut (*event).target, target);
        (*event).target.uid = task::user::<C::Memory>(target);
        task::current(&raw mut (*event).sender);
        task::current_login(&raw mut (*event).login);
        (*event).signal = signal;
        (*event).code = code;
        (*event).result = result;
        (*event).origin = origin_of(info);
        if !admitted {
            sent::keep::<C::Memory>(scratch, target, signal, user);
            return None;
        }
        emit(scratch, size_of::<Signal>() as u32);
        log!(Hook::SignalGenerate, SignalSent, signal, code, tgid);
    }
    Some(())
}

/// Who raised a signal to a process of its own doing, which may write any si_code into one that it sends itself.
#[inline(always)]
unsafe fn raised<R: Read>(signal: i32, code: i32, target: Ptr, group: i32) -> Raised {
    if !OF_FAULTS.contains(&signal) || code <= 0 {
        return if code > 0 { Raised::ByFault } else { Raised::BySending };
    }
    // SAFETY: the reader copes with any pointer.
    let tid: u32 = unsafe { R::get(target, off!(task_pid)) };
    let forced = !task::is_entry_known() && thread::take_forced();
    // What the kernel forces it forces on the thread that runs (kernel/signal.c force_sig_info_to_task).
    if group != 0 || tid != bpf_get_current_pid_tgid() as u32 {
        return Raised::BySending;
    }
    match task::may_send_to_thread() {
        _ if forced => Raised::ByFault,
        Some(false) => Raised::ByFault,
        // As such a call returns the kernel raises no others: no room for the frame of another signal, a filter that
        // forbids the call, a trap of who is traced.
        Some(true) if code != SI_KERNEL && signal != SIGSYS && signal != SIGTRAP => {
            Raised::BySending
        }
        _ => Raised::Unknown,
    }
}

#[inline(always)]
unsafe fn bus<Info: Read, C: Call>(info: Ptr, target: Ptr, group: i32, result: i32) -> Option<()> {
    // SAFETY: a claimed scratch; the readers cope with any pointer.
    unsafe {
        let (code, address) = siginfo::<Info>(info);
        let forced = thread::take_forced() || is_fault_of_current::<C::Memory>(code, target);
        let tgid: u32 = C::Memory::get(target, off!(task_tgid));
        let made_up = code > 0 && !forced && may_be_made_up(tgid);
        if code > 0 && !made_up && result != TRACE_SIGNAL_IGNORED {
            victims::raised(tgid, C::Memory::get(target, off!(task_pid)), target);
        }
        // Not one that is made up soon after a fault that was counted only: the process may end of it.
        if code > 0 && !made_up && bursts::is_suppressed() {
            log!(Hook::SignalGenerate, SignalCounted);
            return None;
        }
        // Only a signal somebody sent has a sender worth naming; si_codes up to BUS_OBJERR are
        // sent too if nothing forced them.
        let has_sender = code <= 0 || made_up || !forced && code <= BUS_OBJERR;
        if has_sender && result == TRACE_SIGNAL_ALREADY_PENDING {
            log!(Hook::SignalGenerate, SignalPending, SIGBUS, tgid);
            return None;
        }
        let user = bpf_get_current_uid_gid() as u32;
        let admitted = !has_sender || sent::admits(tgid, user);
        if admitted {
            program::of(target, teller::SIGNAL, ring::CRITICAL);
            if has_sender {
                program::of_current(teller::SIGNAL, ring::CRITICAL);
            }
        }
        let scratch = claim::<Signal, _>(&SIGNAL, 0, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value;
        task::task::<C::Memory>(&raw mut (*event).target, target);
        (*event).signal = SIGBUS;
        (*event).code = code;
        (*event).address = address;
        (*event).group = group;
        (*event).result = result;
        (*event).forced = forced as u32;
        (*event).origin = origin_of(info);
        if has_sender {
            (*event).target.uid = task::user::<C::Memory>(target);
            task::current(&raw mut (*event).sender);
            task::current_login(&raw mut (*event).login);
        } else {
            thread::expect_delivery((*event).target.tid);
        }
        if !admitted {
            sent::keep::<C::Memory>(scratch, target, SIGBUS, user);
            return None;
        }
        victims::add((*event).target.tgid);
        log!(Hook::SignalGenerate, BusSent, code, (*event).target.tgid, forced);
        emit(scratch, size_of::<Signal>() as u32);
    }
    Some(())
}

/// Whether the kernel raises it for a fault of the current thread, which is in no system call: made up it would be sent
/// by one.
#[inline(always)]
pub unsafe fn is_fault_of_current<R: Read>(code: i32, target: Ptr) -> bool {
    // SAFETY: the reader copes with any pointer.
    let tid: u32 = unsafe { R::get(target, off!(task_pid)) };
    (1..=BUS_OBJERR).contains(&code)
        && tid == bpf_get_current_pid_tgid() as u32
        && task::is_in_no_system_call()
}

/// Whether the current process may have sent itself what looks like a fault: nobody else may, and no system call but
/// those that send signals does (kernel/signal.c do_rt_sigqueueinfo).
#[inline(always)]
fn may_be_made_up(target: u32) -> bool {
    target == (bpf_get_current_pid_tgid() >> 32) as u32
        && !task::is_in_no_system_call()
        && !task::system_call().is_some_and(|call| MADVISE.contains(&call))
}

/// kill(2) and its like bring a siginfo (kernel/signal.c prepare_kill_siginfo). The kernel's own send_sig and
/// PR_SET_PDEATHSIG bring none, and the receiver reads SI_USER as of kill(2).
#[inline(always)]
fn origin_of(info: Ptr) -> u32 {
    if info.is_null() { origin::KERNEL } else { origin::CALL }
}

/// si_code and, for a fault, si_addr. The pointer may be SEND_SIG_NOINFO (0: a user's kill) or
/// SEND_SIG_PRIV (1: the kernel's), see kernel/signal.c __send_signal_locked.
#[inline(always)]
pub unsafe fn siginfo<R: Read>(info: Ptr) -> (i32, u64) {
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

#[inline(always)]
unsafe fn delivered<C: Call>(call: C) {
    // SAFETY: the reader copes with any pointer.
    let handler: u64 = unsafe { C::Memory::get(call.arg::<2>() as Ptr, off!(sigaction_handler)) };
    // One that ends the process is told, also of a fault that was counted only.
    let survived = handler != 0;
    if survived && bursts::is_suppressed() {
        log!(Hook::SignalDeliver, SignalCounted);
        return;
    }
    let of_fault = thread::take_expected();
    if survived && !sent::admits_delivery(of_fault) {
        log!(Hook::SignalDeliver, SignalCounted);
        return;
    }
    let Some(scratch) = claim::<Deliver, _>(&DELIVER, 0, ring::CRITICAL) else { return };
    // SAFETY: a claimed scratch.
    unsafe {
        let event = &raw mut (*scratch).value;
        task::current(&raw mut (*event).target);
        (*event).signal = SIGBUS;
        (*event).disposition = match handler {
            0 => disposition::DEFAULT,
            1 => disposition::IGNORE,
            _ => disposition::HANDLER,
        };
        log!(Hook::SignalDeliver, Delivered, (*event).disposition);
        emit(scratch, size_of::<Deliver>() as u32);
    }
}

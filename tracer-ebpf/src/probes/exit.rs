//! The end of a process that a fault or signal was recorded for.
use aya_ebpf::{
    EbpfContext as _, cty::c_void, helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tracer_common::event::{Exit, kind, ring};

use crate::{
    emit::{claim, emit},
    globals::off,
    maps::{EXIT, VICTIMS},
    read::{Ptr, Read, Typed},
};

/// include/linux/sched/signal.h
const SIGNAL_GROUP_EXIT: u32 = 4;

/// `sched_process_exit(struct task_struct *p)` (include/trace/events/sched.h), once a thread, in
/// its own context.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> u32 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if VICTIMS.get_ptr(tgid).is_some() { victim_exited(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn victim_exited(ctx: *mut c_void) -> u32 {
    // SAFETY: the argument is what the prototype says.
    unsafe { exited(BtfTracePointContext::new(ctx).arg(0)) };
    0
}

#[inline(always)]
unsafe fn exited(task: Ptr) -> Option<()> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: typed loads cope with any pointer; a claimed scratch.
    unsafe {
        let signal: Ptr = Typed::get(task, off!(task_signal));
        // do_exit() has already taken this thread off the count (kernel/exit.c).
        let live: u32 = Typed::get(signal, off!(signal_live));
        if live != 0 {
            return None;
        }
        let scratch = claim::<Exit, _>(&EXIT, kind::EXIT, ring::DECISIVE)?;
        let event = &raw mut (*scratch).value;
        let leader: Ptr = Typed::get(task, off!(task_leader));
        let flags: u32 = Typed::get(signal, off!(signal_flags));
        (*event).tgid = tgid;
        (*event).start_time = Typed::get(leader, off!(task_start));
        // What wait(2) gives: kernel/exit.c wait_task_zombie().
        (*event).code = if flags & SIGNAL_GROUP_EXIT != 0 {
            Typed::get(signal, off!(signal_group_exit_code))
        } else {
            Typed::get(leader, off!(task_exit_code))
        };
        emit(scratch, size_of::<Exit>() as u32);
        let _ = VICTIMS.remove(tgid);
    }
    Some(())
}

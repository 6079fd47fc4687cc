//! Programs that are started again after one of their processes, or a child of the same parent, has
//! ended. Attached for a recorder only.
use aya_ebpf::{
    EbpfContext as _, cty::c_void, macros::btf_tracepoint, maps::PerCpuArray,
    programs::BtfTracePointContext,
};
use tracer_common::event::{Start, ring};

use super::exit::{by_file, by_name};
use crate::{
    emit::{claim, emit},
    globals::off,
    inode,
    maps::{ENDED, Ended, FORK, FORK_BACKUP, FORKED, START, START_BACKUP, STARTED, Scratch},
    read::{Ptr, Read, Typed},
    task,
};

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
/// (include/trace/events/sched.h), in the context of `p`, which has its new name and memory.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> u32 {
    let task: Ptr = ctx.arg(0);
    // SAFETY: the argument is what the prototype says.
    if unsafe { again(task) } { executed(ctx.as_ptr()) } else { 0 }
}

/// Attached behind the above: what that was not run for (see `shrink::notify_change_backup`).
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec_backup(ctx: BtfTracePointContext) -> u32 {
    let task: Ptr = ctx.arg(0);
    // SAFETY: the argument is what the prototype says.
    if unsafe { again(task) } { executed_again(ctx.as_ptr()) } else { 0 }
}

/// Whether a process of this program ended, or a child of its parent.
#[inline(always)]
unsafe fn again(task: Ptr) -> bool {
    // SAFETY: typed loads cope with any pointer; `comm` is 8-aligned.
    unsafe {
        let exe = inode::exe::<Typed>(task);
        let comm: [u64; 2] =
            [Typed::get(task, off!(task_comm)), Typed::get(task, off!(task_comm) + 8)];
        ENDED.get_ptr(by_file(&raw const exe)).is_some()
            || ENDED.get_ptr(by_name((&raw const comm).cast())).is_some()
            || ENDED.get_ptr(parent(task)).is_some()
    }
}

/// The key of a task's parent.
#[inline(always)]
unsafe fn parent(task: Ptr) -> Ended {
    // SAFETY: typed loads cope with any pointer.
    unsafe {
        let leader: Ptr = Typed::get(task, off!(task_leader));
        let parent: Ptr = Typed::get(leader, off!(task_parent));
        Ended { a: tgid(parent) as u64, b: u64::MAX }
    }
}

#[inline(never)]
fn executed(ctx: *mut c_void) -> u32 {
    // SAFETY: the argument is what the prototype says.
    unsafe {
        let task = BtfTracePointContext::new(ctx).arg(0);
        let _ = STARTED.insert(tgid(task), 0, 0);
        started(task, false, &START);
    }
    0
}

#[inline(never)]
fn executed_again(ctx: *mut c_void) -> u32 {
    // SAFETY: the argument is what the prototype says.
    unsafe {
        let task = BtfTracePointContext::new(ctx).arg(0);
        if STARTED.remove(tgid(task)).is_err() {
            started(task, false, &START_BACKUP);
        }
    }
    0
}

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, in the context of
/// `parent`: workers that are forked and run on without exec(2).
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> u32 {
    // SAFETY: the arguments are what the prototype says.
    if unsafe { worker(ctx.arg(0), ctx.arg(1)) } { forked(ctx.as_ptr()) } else { 0 }
}

/// As `sched_process_exec_backup`.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork_backup(ctx: BtfTracePointContext) -> u32 {
    // SAFETY: the arguments are what the prototype says.
    if unsafe { worker(ctx.arg(0), ctx.arg(1)) } { forked_again(ctx.as_ptr()) } else { 0 }
}

/// Whether `child` is no thread, and an earlier child of its parent ended.
#[inline(always)]
unsafe fn worker(parent: Ptr, child: Ptr) -> bool {
    // SAFETY: typed loads cope with any pointer.
    let (mine, its) = unsafe { (tgid(parent), tgid(child)) };
    mine != its && ENDED.get_ptr(Ended { a: mine as u64, b: u64::MAX }).is_some()
}

#[inline(always)]
unsafe fn tgid(task: Ptr) -> u32 {
    // SAFETY: typed loads cope with any pointer.
    unsafe { Typed::get(task, off!(task_tgid)) }
}

#[inline(never)]
fn forked(ctx: *mut c_void) -> u32 {
    // SAFETY: the argument is what the prototype says.
    unsafe {
        let child = BtfTracePointContext::new(ctx).arg(1);
        let _ = FORKED.insert(tgid(child), 0, 0);
        started(child, true, &FORK);
    }
    0
}

#[inline(never)]
fn forked_again(ctx: *mut c_void) -> u32 {
    // SAFETY: the argument is what the prototype says.
    unsafe {
        let child = BtfTracePointContext::new(ctx).arg(1);
        if FORKED.remove(tgid(child)).is_err() {
            started(child, true, &FORK_BACKUP);
        }
    }
    0
}

/// Each program has a scratch of its own: one may preempt the other.
#[inline(always)]
unsafe fn started(task: Ptr, forked: bool, map: &PerCpuArray<Scratch<Start>>) -> Option<()> {
    // SAFETY: a claimed scratch; typed loads cope with any pointer.
    unsafe {
        let scratch = claim::<Start, _>(map, ring::BULK)?;
        let event = &raw mut (*scratch).value;
        if forked {
            task::child(&raw mut (*event).actor, task);
        } else {
            task::given(&raw mut (*event).actor, task);
        }
        (*event).exe = inode::exe::<Typed>(task);
        (*event).forked = forked as u32;
        emit(scratch, size_of::<Start>() as u32);
    }
    Some(())
}

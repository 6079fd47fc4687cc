//! Programs that are started again after one of their processes, or a child of the same parent, has
//! ended. Attached for a recorder only.
use aya_ebpf::{
    macros::map,
    maps::{LruHashMap, PerCpuArray},
};
use tracer_common::event::{Start, ring};

use crate::{
    emit::{claim, emit},
    ended::{self, Key},
    form::{Call, program},
    globals::off,
    inode,
    read::{Ptr, Read, Typed},
    scratch::{FORK, FORK_BACKUP, START, START_BACKUP, Scratch},
    task,
};

/// Execs that the first of two programs has sent and the backup has not passed yet, by tgid.
#[map]
static STARTED: LruHashMap<u32, u8> = LruHashMap::with_max_entries(1024, 0);
/// Forks likewise.
#[map]
static FORKED: LruHashMap<u32, u8> = LruHashMap::with_max_entries(1024, 0);

program! {
    /// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
    /// (include/trace/events/sched.h), in the context of `p`, which has its new name and memory.
    tp_btf "sched_process_exec" => sched_process_exec, if has_ended, executed: exec
}
program! {
    /// Attached behind the above: what that was not run for (see `shrink::notify_change_backup`).
    tp_btf "sched_process_exec" => sched_process_exec_backup, if has_ended,
    executed_backup: exec_backup
}
program! {
    /// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, in the context of
    /// `parent`: workers that are forked and run on without exec(2).
    tp_btf "sched_process_fork" => sched_process_fork, if is_worker, forked: fork
}
program! {
    /// As `sched_process_exec_backup`.
    tp_btf "sched_process_fork" => sched_process_fork_backup, if is_worker, forked_backup: fork_backup
}

/// Whether a process of this program ended, or a child of its parent.
#[inline(always)]
fn has_ended<C: Call>(call: C) -> bool {
    let task = call.arg::<0>() as Ptr;
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer; `comm` is
    // 8-aligned.
    unsafe {
        let exe = inode::exe::<C::Memory>(task);
        let comm: [u64; 2] =
            [C::Memory::get(task, off!(task_comm)), C::Memory::get(task, off!(task_comm) + 8)];
        ended::is_noted(Key::file(&exe))
            || ended::is_noted(Key::name((&raw const comm).cast()))
            || ended::is_noted(parent::<C::Memory>(task))
    }
}

/// The key of a task's parent.
#[inline(always)]
unsafe fn parent<R: Read>(task: Ptr) -> Key {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let leader: Ptr = R::get(task, off!(task_leader));
        Key::parent(tgid::<R>(R::get(leader, off!(task_parent))))
    }
}

#[inline(always)]
unsafe fn exec<C: Call>(call: C) {
    let task = call.arg::<0>() as Ptr;
    // SAFETY: the argument is what the prototype says.
    unsafe {
        let _ = STARTED.insert(tgid::<C::Memory>(task), 0, 0);
        started(task, false, &START);
    }
}

#[inline(always)]
unsafe fn exec_backup<C: Call>(call: C) {
    let task = call.arg::<0>() as Ptr;
    // SAFETY: the argument is what the prototype says.
    unsafe {
        if STARTED.remove(tgid::<C::Memory>(task)).is_err() {
            started(task, false, &START_BACKUP);
        }
    }
}

/// Whether the child is no thread, and an earlier child of its parent ended.
#[inline(always)]
fn is_worker<C: Call>(call: C) -> bool {
    // SAFETY: the arguments are what the prototype says; the reader copes with any pointer.
    let (parent, child) = unsafe {
        (tgid::<C::Memory>(call.arg::<0>() as Ptr), tgid::<C::Memory>(call.arg::<1>() as Ptr))
    };
    parent != child && ended::is_noted(Key::parent(parent))
}

#[inline(always)]
unsafe fn tgid<R: Read>(task: Ptr) -> u32 {
    // SAFETY: `R` copes with any pointer.
    unsafe { R::get(task, off!(task_tgid)) }
}

#[inline(always)]
unsafe fn fork<C: Call>(call: C) {
    let child = call.arg::<1>() as Ptr;
    // SAFETY: the argument is what the prototype says.
    unsafe {
        let _ = FORKED.insert(tgid::<C::Memory>(child), 0, 0);
        started(child, true, &FORK);
    }
}

#[inline(always)]
unsafe fn fork_backup<C: Call>(call: C) {
    let child = call.arg::<1>() as Ptr;
    // SAFETY: the argument is what the prototype says.
    unsafe {
        if FORKED.remove(tgid::<C::Memory>(child)).is_err() {
            started(child, true, &FORK_BACKUP);
        }
    }
}

/// Each program has a scratch of its own: one may preempt the other. `task` must be typed: it is what
/// names the actor under lockdown.
#[inline(always)]
unsafe fn started(task: Ptr, forked: bool, map: &PerCpuArray<Scratch<Start>>) -> Option<()> {
    // SAFETY: a claimed scratch; typed loads cope with any pointer.
    unsafe {
        let scratch = claim::<Start, _>(map, 0, ring::BULK)?;
        let event = &raw mut (*scratch).value;
        if forked {
            task::child(&raw mut (*event).actor, task);
        } else {
            task::given::<Typed>(&raw mut (*event).actor, task);
        }
        (*event).exe = inode::exe::<Typed>(task);
        (*event).forked = forked as u32;
        emit(scratch, size_of::<Start>() as u32);
    }
    Some(())
}

//! What the OOM killer has decided, while it carries that out: the signals it sends meanwhile are its own.
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::Array};
use tracer_common::{
    event::{OomKill, Task, constraint, ring},
    offsets::ABSENT,
};

use crate::{
    emit::{claim, emit},
    globals::{config, off},
    read::{Ptr, Read, is_null},
    scratch::OOM_KILL,
    task,
};

/// One at a time: it holds a lock of the whole host (mm/oom_kill.c oom_lock).
#[map]
static DECISION: Array<Decision> = Array::with_max_entries(1, 0);

/// What [`OomKill`] tells of each process that is killed for it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Decision {
    /// The thread that carries it out; 0 if none does.
    tid: u32,
    constraint: u32,
    order: i32,
    pad: u32,
    cgroup: u64,
    limit: u64,
    used: u64,
    memsw_limit: u64,
    memsw_used: u64,
    total: u64,
    chosen: Task,
}

#[inline(always)]
fn current() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// Takes note of a `struct oom_control` whose victim was chosen.
#[inline(always)]
pub unsafe fn begin<R: Read>(control: Ptr) -> Option<()> {
    let decision = DECISION.get_ptr_mut(0)?;
    // SAFETY: a map value; `R` copes with any pointer.
    unsafe {
        (*decision).constraint = R::get(control, off!(oom_constraint));
        (*decision).order = R::get(control, off!(oom_order));
        (*decision).total = R::get(control, off!(oom_total));
        (*decision).chosen.ns_tgid = 0;
        task::task::<R>(&raw mut (*decision).chosen, R::get(control, off!(oom_chosen)));
        memory_cgroup::<R>(decision, R::get(control, off!(oom_memcg)));
        (*decision).tid = current();
    }
    Some(())
}

/// Fills in the memory cgroup that ran out; null where it is the host that did.
#[inline(always)]
unsafe fn memory_cgroup<R: Read>(decision: *mut Decision, memcg: Ptr) {
    // SAFETY: as in `begin`.
    unsafe {
        ((*decision).cgroup, (*decision).limit, (*decision).used) = (0, 0, 0);
        ((*decision).memsw_limit, (*decision).memsw_used) = (0, 0);
        if is_null(memcg) || off!(memcg_limit) == ABSENT {
            return;
        }
        (*decision).constraint = constraint::MEMCG;
        (*decision).limit = R::get(memcg, off!(memcg_limit));
        (*decision).used = R::get(memcg, off!(memcg_used));
        let cgroup: Ptr = R::get(memcg, off!(memcg_cgroup));
        let root: Ptr = R::get(cgroup, off!(cgroup_root));
        let hierarchy: u32 = R::get(root, off!(root_hierarchy));
        if hierarchy == config!(cgroup_hierarchy) {
            (*decision).cgroup = task::cgroup_id::<R>(cgroup);
        }
        // The v2 hierarchy has number 0 (kernel/cgroup/cgroup.c cgroup_init).
        if hierarchy != 0 && off!(memcg_memsw_limit) != ABSENT {
            (*decision).memsw_limit = R::get(memcg, off!(memcg_memsw_limit));
            (*decision).memsw_used = R::get(memcg, off!(memcg_memsw_used));
        }
    }
}

/// It is done.
#[inline(always)]
pub fn end() {
    if let Some(decision) = DECISION.get_ptr_mut(0) {
        // SAFETY: a map value.
        unsafe { (*decision).tid = 0 };
    }
}

/// Tells that the OOM killer is about to kill `target`, if that is what the current thread carries out.
#[inline(always)]
pub unsafe fn tell<R: Read>(target: Ptr) -> Option<()> {
    let decision = DECISION.get_ptr(0)?;
    // SAFETY: a map value; a claimed scratch; `R` copes with any pointer.
    unsafe {
        if (*decision).tid != current() {
            return None;
        }
        let scratch = claim::<OomKill, _>(&OOM_KILL, 0, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value;
        let leader: Ptr = R::get(target, off!(task_leader));
        (*event).start_time = R::get(leader, off!(task_start));
        (*event).tgid = R::get(target, off!(task_tgid));
        (*event).cgroup = (*decision).cgroup;
        (*event).limit = (*decision).limit;
        (*event).used = (*decision).used;
        (*event).memsw_limit = (*decision).memsw_limit;
        (*event).memsw_used = (*decision).memsw_used;
        (*event).total = (*decision).total;
        (*event).chosen = (*decision).chosen;
        (*event).constraint = (*decision).constraint;
        (*event).order = (*decision).order;
        emit(scratch, size_of::<OomKill>() as u32);
    }
    Some(())
}

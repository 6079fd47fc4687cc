//! Whom the OOM killer chooses, and for want of what.
use crate::{
    form::{Call, program},
    oom_decision,
    read::Ptr,
};

program! {
    /// `void oom_kill_process(struct oom_control *oc, const char *message)` (mm/oom_kill.c), in the context of
    /// who asked for memory: the victim is chosen and not killed yet.
    fentry "oom_kill_process" => oom_kill_enter or oom_kill_kprobe,
    if always, oom_chosen: begin
}
program! {
    /// The same as it returns: whoever is killed for it has been sent SIGKILL.
    fexit "oom_kill_process" => oom_kill_exit, if always, oom_done: end
}

program! {
    kretprobe "oom_kill_process" => oom_kill_kretprobe, if always, oom_done_slow: end
}

#[inline(always)]
fn always<C: Call>(_: C) -> bool {
    true
}

#[inline(always)]
unsafe fn begin<C: Call>(call: C) {
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    unsafe { oom_decision::begin::<C::Memory>(call.arg::<0>() as Ptr) };
}

#[inline(always)]
unsafe fn end<C: Call>(_: C) {
    oom_decision::end();
}

//! The end of a process: one that a fault or signal was recorded for, one that a signal asked for
//! killed, and, if that is asked for, every one that failed.
use core::marker::PhantomData;

use aya_ebpf::{
    cty::c_void,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_find_vma, bpf_get_current_task_btf},
    },
    maps::PerCpuArray,
};
use tracer_common::{
    event::{EXIT_OOM, EXIT_SIGNALS_LEFT, Exit, PATH, kind, ring},
    log::Hook,
};

use crate::{
    emit::{claim, emit},
    ended::{self, Key},
    form::{Call, program},
    globals::{config, off},
    inode,
    log::log,
    outputs,
    path::{self, PathSpace},
    policy,
    probes::crash,
    program,
    read::{Ptr, Read, Typed, is_null},
    scratch::{EXIT, EXIT_BACKUP, Scratch, WithPath, late, replayer, stacker, teller},
    sent, shrinks, stack, task, victims,
};

/// include/linux/sched/signal.h
const SIGNAL_GROUP_EXIT: u32 = 4;
/// VMAs looked through for an instruction, where they are a list.
const VMAS: u32 = 256;

program! {
    /// `void taskstats_exit(struct task_struct *tsk, int group_dead)` (kernel/taskstats.c): called by
    /// do_exit once a thread, in its own context, the last time that it has its memory.
    fentry "taskstats_exit" => taskstats_exit or taskstats_exit_kprobe,
    if is_of_interest, ended: by_find
}
program! {
    /// The same where there is no bpf_find_vma: VMAs are a list (until 6.0).
    fentry "taskstats_exit" => taskstats_exit_list or taskstats_exit_list_kprobe,
    if is_of_interest, ended_list: by_list
}
program! {
    /// `sched_process_exit(struct task_struct *p)` (include/trace/events/sched.h), once a thread, in
    /// its own context, which may have lost its memory by then: no command line, no program. Where the
    /// above is hooked too, this tells what it was not run for (see `shrink::notify_change_backup`).
    tp_btf "sched_process_exit" => sched_process_exit, if is_of_interest, ended_late: late
}

type Exits = PerCpuArray<Scratch<WithPath<Exit>>>;

/// Whether the end of this thread may be that of a process of interest.
#[inline(always)]
fn is_of_interest<C: Call>(call: C) -> bool {
    let ids = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((ids >> 32) as u32, ids as u32);
    if victims::is_victim(tgid) || sent::is_kept(tgid) {
        return true;
    }
    if !policy::ends_traced() {
        return false;
    }
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    unsafe {
        let code = code::<C::Memory>(call.arg::<0>() as Ptr);
        is_asked_for(tgid, code) || victims::brought_upon_it(tgid, tid)
    }
}

/// Whether ends with such a code are.
#[inline(always)]
fn is_asked_for(tgid: u32, code: u32) -> bool {
    match code & 0x7f {
        // A handler that gives up, as the Go runtime does, exits.
        0 => code != 0 && (policy::exits_traced() || victims::signalled_itself(tgid)),
        signal => policy::is_traced(signal),
    }
}

/// What the thread ends with or, if that is 0, its process: those that the kernel adds to one (io_uring/io-wq.c, kernel/vhost_task.c)
/// end with 0 however that ends, and may be the last.
#[inline(always)]
unsafe fn code<R: Read>(task: Ptr) -> u32 {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let code: u32 = R::get(task, off!(task_exit_code));
        if code != 0 {
            return code;
        }
        let signal: Ptr = R::get(task, off!(task_signal));
        let flags: u32 = R::get(signal, off!(signal_flags));
        if flags & SIGNAL_GROUP_EXIT == 0 {
            return 0;
        }
        R::get(signal, off!(signal_group_exit_code))
    }
}

/// How the mappings of a process are looked through.
trait Mappings {
    /// Names the file of the instruction at `ip`, in the scratch of a crash, of an end, or of both.
    ///
    /// Looks up once for both: where interrupts are off, as in kprobes of arm64, the mmap lock is given back only after the
    /// program, and a second look is refused (kernel/bpf/task_iter.c bpf_find_vma, EBUSY).
    unsafe fn module(task: Ptr, ip: u64, crash: bool, exit: bool);
    /// Names the files of the stack that was captured.
    unsafe fn modules_of_stack(task: Ptr);
}

struct Found;

/// The instruction to look up, and for whom.
#[repr(C)]
struct Sought {
    ip: u64,
    crash: u32,
    exit: u32,
}

impl Mappings for Found {
    #[inline(always)]
    unsafe fn module(_task: Ptr, ip: u64, crash: bool, exit: bool) {
        let mut sought = Sought { ip, crash: crash as u32, exit: exit as u32 };
        // SAFETY: `sought` outlives the call, which calls back at once.
        unsafe {
            let (find, data) = (found as *mut c_void, (&raw mut sought).cast());
            bpf_find_vma(bpf_get_current_task_btf().cast(), ip, find, data, 0);
        }
    }

    #[inline(always)]
    unsafe fn modules_of_stack(_task: Ptr) {
        // SAFETY: a stack was captured.
        unsafe { stack::modules_by_find(stacker::EXIT) };
    }
}

/// bpf_find_vma calls back with the mmap lock held for reading.
extern "C" fn found(_task: Ptr, vma: Ptr, sought: *mut Sought) -> u64 {
    // SAFETY: what bpf_find_vma gives, and what it was given.
    unsafe {
        let ip = (*sought).ip;
        if (*sought).crash != 0 {
            crash::module::<Typed>(vma, ip);
        }
        if (*sought).exit != 0 {
            module::<Typed>(vma, ip);
        }
    }
    0
}

struct Listed<R>(PhantomData<R>);

impl<R: Read> Mappings for Listed<R> {
    #[inline(always)]
    unsafe fn module(task: Ptr, ip: u64, crash: bool, exit: bool) {
        // SAFETY: the reader copes with any pointer.
        unsafe {
            let mm: Ptr = R::get(task, off!(task_mm));
            let mut vma: Ptr = R::get(mm, off!(mm_mmap));
            let mut i = 0;
            while i < VMAS && !is_null(vma) {
                let end: u64 = R::get(vma, off!(vma_end));
                if ip < end {
                    if crash {
                        crash::module::<R>(vma, ip);
                    }
                    if exit {
                        module::<R>(vma, ip);
                    }
                    return;
                }
                vma = R::get(vma, off!(vma_next));
                i += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn modules_of_stack(task: Ptr) {
        // SAFETY: a stack was captured.
        unsafe { stack::modules_by_list::<R>(stacker::EXIT, task) };
    }
}

#[inline(always)]
unsafe fn by_find<C: Call>(call: C) {
    // SAFETY: as for the caller.
    unsafe { look::<C, Found>(call) };
}

#[inline(always)]
unsafe fn by_list<C: Call>(call: C) {
    // SAFETY: as for the caller.
    unsafe { look::<C, Listed<C::Memory>>(call) };
}

/// Of a thread that fails its stack and its instruction are sent before the end of its process. Whoever others may leave that end to
/// looks once more whether they have ended meanwhile: the second round.
#[inline(always)]
unsafe fn look<C: Call, M: Mappings>(call: C) {
    let task = call.arg::<0>() as Ptr;
    let ids = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((ids >> 32) as u32, ids as u32);
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    unsafe {
        let failed = failed::<C::Memory>(task);
        let captured = failed != 0 && stack::fill(call.context(), failed);
        let mut crashed = crash::fill::<C::Memory>(task, failed);
        let is_noted = victims::is_noted(tgid, tid);
        let mut round = 0;
        while round < 2 {
            let ended = fill::<C::Memory>(task, &EXIT, teller::EXIT).unwrap_or(0);
            let ip = if crashed != 0 { crashed } else { ended };
            if ip != 0 {
                M::module(task, ip, crashed != 0, ended != 0);
            }
            if crashed != 0 {
                crash::send();
            }
            crashed = 0;
            if captured && round == 0 {
                M::modules_of_stack(task);
                stack::send(stacker::EXIT);
            }
            finish(&EXIT);
            if !is_noted {
                return;
            }
            victims::looked_at(tgid, tid);
            round += 1;
        }
    }
}

/// When the process of `task`, the current one, began, if a signal of its own doing ends it, or 0. (What is kept for the second round
/// is a number: until 6.2 the verifier minds that an `Option` of none is copied with what it does not hold.)
#[inline(always)]
unsafe fn failed<R: Read>(task: Ptr) -> u64 {
    let ids = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((ids >> 32) as u32, ids as u32);
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let code: u32 = R::get(task, off!(task_exit_code));
        let start: u64 = R::get(R::get(task, off!(task_leader)), off!(task_start));
        if !victims::ended_itself(tgid, start, tid, code as i32 & 0x7f) {
            return 0;
        }
        start
    }
}

#[inline(always)]
unsafe fn late<C: Call>(call: C) {
    let ids = bpf_get_current_pid_tgid();
    // SAFETY: the argument is what the prototype says.
    unsafe {
        // Others that end now do not wait for it any more, and those that did have told nothing.
        victims::looked_at((ids >> 32) as u32, ids as u32);
        fill::<C::Memory>(call.arg::<0>() as Ptr, &EXIT_BACKUP, teller::EXIT_BACKUP);
        finish(&EXIT_BACKUP);
    }
}

/// Fills the scratch for a process whose last thread this is, once; gives the instruction it failed at.
/// `task`, the current one, names the actor: under lockdown it is typed.
#[inline(always)]
unsafe fn fill<R: Read>(task: Ptr, map: &Exits, by: u32) -> Option<u64> {
    let ids = bpf_get_current_pid_tgid();
    let tgid = (ids >> 32) as u32;
    // SAFETY: `R` copes with any pointer; a claimed scratch.
    unsafe {
        let signal: Ptr = R::get(task, off!(task_signal));
        // do_exit() has already taken this thread off the count (kernel/exit.c): of those that end at once each may find it
        // at 0 while the one that failed is still to be looked at.
        let live: u32 = R::get(signal, off!(signal_live));
        let leader: Ptr = R::get(task, off!(task_leader));
        let flags: u32 = R::get(signal, off!(signal_flags));
        // What wait(2) gives: kernel/exit.c wait_task_zombie().
        let code: u32 = if flags & SIGNAL_GROUP_EXIT != 0 {
            R::get(signal, off!(signal_group_exit_code))
        } else {
            R::get(leader, off!(task_exit_code))
        };
        let ended_by = code as i32 & 0x7f;
        if live != 0 || victims::is_another_on_its_way(tgid, ids as u32, signal, ended_by) {
            log!(Hook::Exit, ExitThreads, live);
            return None;
        }
        // Who is noted comes by whatever its process ends with.
        if !(victims::is_victim(tgid) || sent::is_kept(tgid) || is_asked_for(tgid, code)) {
            return None;
        }
        let start: u64 = R::get(leader, off!(task_start));
        if !ended::first_to_end(tgid, start) {
            log!(Hook::Exit, ExitKnown);
            return None;
        }
        let oom = R::get::<u64>(signal, off!(signal_oom_mm)) != 0;
        let late = if by == teller::EXIT { late::EXIT } else { late::EXIT_BACKUP };
        let left = sent::tell_kept(start, code, late);
        program::of_current(by, ring::CRITICAL);
        outputs::of_current(late);
        let scratch = claim::<Exit, _>(map, 0, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value.event;
        task::given::<R>(&raw mut (*event).actor, task);
        (*event).code = code;
        (*event).flags = oom as u32 * EXIT_OOM | left as u32 * EXIT_SIGNALS_LEFT;
        (*event).exe = inode::exe::<R>(task);
        if policy::ends_traced() {
            ended::note(Key::file(&(*event).exe));
            ended::note(Key::name(&raw const (*event).actor.task.comm));
            ended::note(Key::parent((*event).actor.ancestors[0].tgid));
        }
        victims::remove(tgid, &raw mut (*event).last_signals);
        Some((*event).last_signals.fault.ip)
    }
}

/// Names the file that `ip` lies in, in the scratch that `fill` filled, and sends who has shrunk it.
#[inline(always)]
unsafe fn module<R: Read>(vma: Ptr, ip: u64) -> Option<()> {
    let scratch: *mut Scratch<WithPath<Exit>> = EXIT.get_ptr_mut(0)?;
    // SAFETY: `R` copes with any pointer; a scratch.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let start: u64 = R::get(vma, off!(vma_start));
        let file: Ptr = R::get(vma, off!(vma_file));
        if is_null(file) || ip < start {
            return None;
        }
        let pgoff: u64 = R::get(vma, off!(vma_pgoff));
        (*event).module = inode::file::<R>(file);
        (*event).module_offset = (pgoff << config!(page_shift)) + (ip - start);
        let path = &raw mut (*scratch).value.path;
        path::of_file::<R>(path, file);
        (*event).path_flags = PathSpace::flags(path);
        (*event).path_len = PathSpace::len(path);
        let inode: u64 = R::get(file, off!(file_inode));
        shrinks::send_remembered(inode, replayer::EXIT);
        shrinks::send_writer(inode, replayer::EXIT);
    }
    Some(())
}

/// Sends what `fill` and `module` filled in.
#[inline(always)]
unsafe fn finish(map: &Exits) -> Option<()> {
    let scratch = map.get_ptr_mut(0)?;
    // SAFETY: a scratch; if nobody claimed it for this exit, its kind is taken away.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        if (*event).header.kind != kind::EXIT {
            return None;
        }
        let len = (&raw const (*event).path_len).read_volatile() & (PATH as u32 - 1);
        log!(Hook::Exit, ExitSent, (*event).code);
        emit(scratch, size_of::<Exit>() as u32 + len);
        (*event).header.kind = 0;
    }
    Some(())
}

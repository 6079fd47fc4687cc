//! The end of a process: one that a fault or signal was recorded for, one that a signal asked for
//! killed, and, if that is asked for, every one that failed.
use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_NOEXIST,
    cty::c_void,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_find_vma},
    macros::{btf_tracepoint, fentry},
    maps::PerCpuArray,
    programs::{BtfTracePointContext, FEntryContext},
};
use tracer_common::event::{Exit, FileId, PATH, kind, ring};

use super::signal::told;
use crate::{
    emit::{claim, emit, now},
    globals::{config, off},
    inode,
    maps::{ENDED, ENDING, EXIT, EXIT_BACKUP, Ended, LAST_SIGNALS, Scratch, VICTIMS, WithPath},
    path::{by_load, by_probe},
    read::{Probe, Ptr, Read, Typed},
    task,
};

/// include/linux/sched/signal.h
const SIGNAL_GROUP_EXIT: u32 = 4;
/// VMAs looked through for an instruction, where they are a list.
const VMAS: u32 = 256;

/// `void taskstats_exit(struct task_struct *tsk, int group_dead)` (kernel/taskstats.c): called by
/// do_exit once a thread, in its own context, the last time that it has its memory.
#[fentry(function = "taskstats_exit")]
pub fn taskstats_exit(ctx: FEntryContext) -> u32 {
    let task = ctx.arg(0);
    // SAFETY: the argument is what the prototype says.
    if unsafe { wanted(task) } { ended(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn ended(ctx: *mut c_void) -> u32 {
    let task: Ptr = FEntryContext::new(ctx).arg(0);
    // SAFETY: the argument is what the prototype says; helpers.
    unsafe {
        if let Some(ip) = exited(task, &EXIT)
            && ip != 0
        {
            let mut data = ip;
            let (find, data) = (found as *mut c_void, (&raw mut data).cast());
            bpf_find_vma(task.cast_mut().cast(), ip, find, data, 0);
        }
        finish(&EXIT);
    }
    0
}

/// The same where there is no bpf_find_vma: VMAs are a list (until 6.0).
#[fentry(function = "taskstats_exit")]
pub fn taskstats_exit_list(ctx: FEntryContext) -> u32 {
    let task = ctx.arg(0);
    // SAFETY: the argument is what the prototype says.
    if unsafe { wanted(task) } { ended_list(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn ended_list(ctx: *mut c_void) -> u32 {
    let task: Ptr = FEntryContext::new(ctx).arg(0);
    // SAFETY: the argument is what the prototype says; typed loads cope with any pointer.
    unsafe {
        if let Some(ip) = exited(task, &EXIT)
            && ip != 0
        {
            let mm: Ptr = Typed::get(task, off!(task_mm));
            let mut vma: Ptr = Typed::get(mm, off!(mm_mmap));
            let mut i = 0;
            while i < VMAS && !vma.is_null() {
                let end: u64 = Typed::get(vma, off!(vma_end));
                if ip < end {
                    module(vma, ip);
                    break;
                }
                vma = Typed::get(vma, off!(vma_next));
                i += 1;
            }
        }
        finish(&EXIT);
    }
    0
}

/// `sched_process_exit(struct task_struct *p)` (include/trace/events/sched.h), once a thread, in
/// its own context, which may have lost its memory by then: no command line, no program. Where the
/// above is hooked too, this tells what it was not run for (see `shrink::notify_change_backup`).
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> u32 {
    let task = ctx.arg(0);
    // SAFETY: the argument is what the prototype says.
    if unsafe { wanted(task) } { ended_late(ctx.as_ptr()) } else { 0 }
}

#[inline(never)]
fn ended_late(ctx: *mut c_void) -> u32 {
    // SAFETY: the argument is what the prototype says.
    unsafe {
        exited(BtfTracePointContext::new(ctx).arg(0), &EXIT_BACKUP);
        finish(&EXIT_BACKUP);
    }
    0
}

type Exits = PerCpuArray<Scratch<WithPath<Exit>>>;

/// Whether the end of this thread may be that of a process of interest.
#[inline(always)]
unsafe fn wanted(task: Ptr) -> bool {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if VICTIMS.get_ptr(tgid).is_some() {
        return true;
    }
    if config!(signals) == 0 && config!(exits) == 0 {
        return false;
    }
    // SAFETY: typed loads cope with any pointer.
    let code: u32 = unsafe { Typed::get(task, off!(task_exit_code)) };
    match code & 0x7f {
        // A handler that gives up, as the Go runtime does, exits.
        0 => code != 0 && (config!(exits) != 0 || LAST_SIGNALS.get_ptr(tgid).is_some()),
        signal => told(signal),
    }
}

/// Fills the scratch for a process whose last thread this is, once; gives the instruction it failed at.
#[inline(always)]
unsafe fn exited(task: Ptr, map: &Exits) -> Option<u64> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: typed loads cope with any pointer; a claimed scratch.
    unsafe {
        let signal: Ptr = Typed::get(task, off!(task_signal));
        // do_exit() has already taken this thread off the count (kernel/exit.c).
        let live: u32 = Typed::get(signal, off!(signal_live));
        if live != 0 {
            return None;
        }
        // Threads that end at the same time each see the count at 0; the entry of an earlier process
        // with this tgid gives way.
        let leader: Ptr = Typed::get(task, off!(task_leader));
        let start: u64 = Typed::get(leader, off!(task_start));
        if ENDING.insert(tgid, start, BPF_NOEXIST as u64).is_err() {
            if ENDING.get_ptr(tgid).is_some_and(|told| *told == start) {
                return None;
            }
            let _ = ENDING.insert(tgid, start, 0);
        }
        let scratch = claim::<Exit, _>(map, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value.event;
        task::given(&raw mut (*event).actor, task);
        let flags: u32 = Typed::get(signal, off!(signal_flags));
        // What wait(2) gives: kernel/exit.c wait_task_zombie().
        (*event).code = if flags & SIGNAL_GROUP_EXIT != 0 {
            Typed::get(signal, off!(signal_group_exit_code))
        } else {
            Typed::get(leader, off!(task_exit_code))
        };
        (*event).oom = (Typed::get::<u64>(signal, off!(signal_oom_mm)) != 0) as u32;
        (*event).exe = inode::exe::<Typed>(task);
        if config!(signals) != 0 || config!(exits) != 0 {
            remember(&raw const (*event).exe, &raw const (*event).actor.task.comm);
            let parent = (*event).actor.ancestors[0].tgid as u64;
            let _ = ENDED.insert(Ended { a: parent, b: u64::MAX }, now(), 0);
        }
        if let Some(kept) = LAST_SIGNALS.get_ptr(tgid) {
            core::ptr::copy_nonoverlapping(kept, &raw mut (*event).last_signals, 1);
            let _ = LAST_SIGNALS.remove(tgid);
        }
        let _ = VICTIMS.remove(tgid);
        Some((*event).last_signals.fault.ip)
    }
}

/// The program is to be noticed if it is started again.
#[inline(always)]
unsafe fn remember(exe: *const FileId, comm: *const [u8; 16]) {
    // SAFETY: both point into the claimed scratch, 8-aligned.
    unsafe {
        let _ = ENDED.insert(by_file(exe), now(), 0);
        let _ = ENDED.insert(by_name(comm), now(), 0);
    }
}

/// A program by its file.
#[inline(always)]
pub unsafe fn by_file(exe: *const FileId) -> Ended {
    // SAFETY: readable.
    unsafe { Ended { a: (*exe).ino, b: (*exe).dev as u64 | 1 << 63 } }
}

/// A program by its name; NUL-padded only as far as the kernel does it.
#[inline(always)]
pub unsafe fn by_name(comm: *const [u8; 16]) -> Ended {
    let words = comm.cast::<u64>();
    // SAFETY: 16 bytes, 8-aligned.
    unsafe { Ended { a: *words, b: *words.add(1) } }
}

/// bpf_find_vma calls back with the mmap lock held for reading.
extern "C" fn found(_task: Ptr, vma: Ptr, ip: *mut u64) -> u64 {
    // SAFETY: what bpf_find_vma gives, and what it was given.
    unsafe { module(vma, *ip) };
    0
}

/// Names the file that `ip` lies in, in the scratch that `exited` filled.
#[inline(always)]
unsafe fn module(vma: Ptr, ip: u64) -> Option<()> {
    let scratch: *mut Scratch<WithPath<Exit>> = EXIT.get_ptr_mut(0)?;
    // SAFETY: typed and probe reads cope with any pointer; a scratch.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let start: u64 = Typed::get(vma, off!(vma_start));
        let file: Ptr = Typed::get(vma, off!(vma_file));
        if file.is_null() || ip < start {
            return None;
        }
        let pgoff: u64 = Typed::get(vma, off!(vma_pgoff));
        (*event).module = inode::file::<Typed>(file);
        (*event).module_offset = (pgoff << config!(page_shift)) + (ip - start);
        let walk = &raw mut (*scratch).value.walk;
        let path = &raw mut (*scratch).value.path;
        if config!(read_kernel) != 0 {
            let mnt = Probe::get(file, off!(file_path_mnt));
            by_probe(path, walk, mnt, Probe::get(file, off!(file_path_dentry)));
        } else {
            by_load(path, walk, Typed::get(file, off!(file_path_dentry)));
        }
        (*event).path_flags = (*walk).flags;
        (*event).path_len = (&raw const (*walk).len).read_volatile() & (PATH as u32 - 1);
    }
    Some(())
}

/// Sends what `exited` and `module` filled in.
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
        emit(scratch, size_of::<Exit>() as u32 + len);
        (*event).header.kind = 0;
    }
    Some(())
}

//! Which program a process runs, told before the event that is about it: once it has ended, or runs another
//! one, nobody can look that up.
use aya_ebpf::{helpers::generated::bpf_get_current_task, macros::map, maps::LruHashMap};
use tracer_common::event::Program;

use crate::{
    emit::{claim, emit, now},
    globals::{config, off},
    path::{self, PathSpace},
    read::{Probe, Ptr, Read},
    scratch::PROGRAM,
};

/// include/linux/sched.h
const PF_KTHREAD: u32 = 0x20_0000;

/// The program that was last told of each process, by tgid.
#[map]
static TOLD: LruHashMap<u32, Told> = LruHashMap::with_max_entries(4096, 0);

/// A program is told again after this time, as user space may have forgotten it. Ns.
const AGAIN: u64 = 60_000_000_000;

#[repr(C)]
#[derive(Clone, Copy)]
struct Told {
    /// Start of the process.
    start: u64,
    /// What names the file, and by which of its names. A dentry may be given its name anew once it is unused:
    /// only for another inode does that matter.
    mnt: u64,
    dentry: u64,
    ino: u64,
    /// `d_hash.pprev`: 0 once the file is unlinked.
    hashed: u64,
    time: u64,
}

/// Tells the program of the current process, in the ring that the event about it goes to. `by` is one of
/// [`teller`](crate::scratch::teller).
#[inline(always)]
pub fn of_current(by: u32, ring: u16) {
    // SAFETY: takes no arguments.
    whybus_tell_program(unsafe { bpf_get_current_task() }, by as u64, ring as u64);
}

/// Tells the program of the process of `task`.
#[inline(always)]
pub fn of(task: Ptr, by: u32, ring: u16) {
    if config!(read_kernel) != 0 {
        // SAFETY: our own stack.
        let number = unsafe { Probe::get((&raw const task).cast(), 0) };
        whybus_tell_program(number, by as u64, ring as u64);
    }
}

/// The verifier walks a global function once a program, however often it is called, and takes no pointer that has
/// a type for an argument.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn whybus_tell_program(task: u64, by: u64, ring: u64) -> u64 {
    if config!(read_kernel) != 0 {
        // SAFETY: probe reads cope with any pointer.
        unsafe { tell(task as Ptr, by as u32, ring as u16) };
    }
    0
}

/// Under lockdown nothing is told: the names of files cannot be read whole.
#[inline(always)]
unsafe fn tell(task: Ptr, by: u32, ring: u16) -> Option<()> {
    // SAFETY: probe reads cope with any pointer; a claimed scratch.
    unsafe {
        // It may work in the memory of a process (kernel/kthread.c kthread_use_mm).
        if Probe::get::<u32>(task, off!(task_flags)) & PF_KTHREAD != 0 {
            return None;
        }
        let mm: u64 = Probe::get(task, off!(task_mm));
        let file: u64 = Probe::get(mm as Ptr, off!(mm_exe_file));
        if mm == 0 || file == 0 {
            return None;
        }
        let leader: Ptr = Probe::get(task, off!(task_leader));
        let tgid: u32 = Probe::get(task, off!(task_tgid));
        let inode: Ptr = Probe::get(file as Ptr, off!(file_inode));
        let dentry: u64 = Probe::get(file as Ptr, off!(file_path_dentry));
        let told = Told {
            start: Probe::get(leader, off!(task_start)),
            mnt: Probe::get(file as Ptr, off!(file_path_mnt)),
            dentry,
            ino: Probe::get(inode, off!(inode_ino)),
            hashed: (Probe::get::<u64>(dentry as Ptr, off!(dentry_pprev)) != 0) as u64,
            time: now(),
        };
        if is_known(tgid, &told) {
            return None;
        }
        let scratch = claim::<Program, _>(&PROGRAM, by, ring)?;
        let event = &raw mut (*scratch).value.event;
        (*event).start_time = told.start;
        (*event).tgid = tgid;
        let path = &raw mut (*scratch).value.path;
        path::of_file::<Probe>(path, file as Ptr);
        let len = PathSpace::len(path);
        (*event).path_flags = PathSpace::flags(path);
        (*event).path_len = len;
        // The task of somebody else may have let go of it meanwhile, by exec(2) or exit(2).
        let same = Probe::get::<u64>(task, off!(task_mm)) == mm
            && Probe::get::<u64>(mm as Ptr, off!(mm_exe_file)) == file;
        if same && emit(scratch, size_of::<Program>() as u32 + len) {
            let _ = TOLD.insert(tgid, told, 0);
        }
    }
    Some(())
}

/// Whether user space knows it.
#[inline(always)]
fn is_known(tgid: u32, running: &Told) -> bool {
    let Some(told) = TOLD.get_ptr(tgid) else { return false };
    // SAFETY: a map value.
    unsafe {
        (*told).start == running.start
            && (*told).mnt == running.mnt
            && (*told).dentry == running.dentry
            && (*told).ino == running.ino
            && (*told).hashed == running.hashed
            && running.time.wrapping_sub((*told).time) < AGAIN
    }
}

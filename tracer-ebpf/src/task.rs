//! Names a task, and everything about an actor that is gone a moment later.
use aya_ebpf::helpers::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
    generated::{
        bpf_get_current_cgroup_id, bpf_get_current_task, bpf_get_current_task_btf,
        bpf_probe_read_user, bpf_snprintf, bpf_task_pt_regs,
    },
};
use tracer_common::{
    config::{CGROUP_V2, machine, read_user, task as access},
    event::{
        ACTOR_NO_CMDLINE, ACTOR_PARTIAL, ANCESTORS, Actor, CMDLINE, COMM, LOGIN_AUDIT, Login, Task,
    },
    offsets::ABSENT,
};

use crate::{
    globals::{config, off},
    read::{Probe, Ptr, Read, Typed, is_null},
};

/// Fills `out` for `task`, leaving what only helpers know (uid) alone.
#[inline(always)]
pub unsafe fn task<R: Read>(out: *mut Task, task: Ptr) {
    // SAFETY: `R` copes with any pointer; `out` points into a claimed scratch.
    unsafe {
        let leader: Ptr = R::get(task, off!(task_leader));
        (*out).tgid = R::get(task, off!(task_tgid));
        (*out).tid = R::get(task, off!(task_pid));
        (*out).flags = R::get(task, off!(task_flags));
        (*out).leader_flags = R::get(leader, off!(task_flags));
        (*out).start_time = R::get(leader, off!(task_start));
        comm::<R>(&raw mut (*out).comm, leader);
        comm::<R>(&raw mut (*out).thread_comm, task);
        (*out).cgroup = cgroup::<R>(task);
        let pid: Ptr = R::get(leader, off!(task_thread_pid));
        let level: u32 = R::get(pid, off!(pid_level));
        if level == 0 {
            (*out).ns_tgid = (*out).tgid;
        } else if config!(read_kernel) != 0 {
            // struct pid's numbers[level], 16 bytes each (kernel/pid.c alloc_pid); beyond the
            // declared array before 6.5, so never a typed load. MAX_PID_NS_LEVEL is 32.
            let at = off!(pid_numbers) + (level & 63) * 16;
            (*out).ns_tgid = Probe::get(pid, at);
        }
    }
}

/// `task_struct.flags` of the current task; 0 where that cannot be read.
#[inline(always)]
pub fn current_flags() -> u32 {
    if config!(read_kernel) == 0 {
        return 0;
    }
    // SAFETY: probe reads cope with any address.
    unsafe { Probe::get(bpf_get_current_task() as Ptr, off!(task_flags)) }
}

#[inline(always)]
pub unsafe fn tgid<R: Read>(task: Ptr) -> u32 {
    // SAFETY: `R` copes with any pointer.
    unsafe { R::get(task, off!(task_tgid)) }
}

/// The real user of a task.
#[inline(always)]
pub unsafe fn user<R: Read>(task: Ptr) -> u32 {
    // SAFETY: `R` copes with any pointer.
    unsafe { R::get(R::get(task, off!(task_cred)), off!(cred_uid)) }
}

/// Whether the last thread of a task's process is past all signals (kernel/exit.c do_exit), as that of a zombie.
#[inline(always)]
pub unsafe fn has_ended<R: Read>(task: Ptr) -> bool {
    // SAFETY: `R` copes with any pointer.
    unsafe { R::get::<u32>(R::get(task, off!(task_signal)), off!(signal_live)) == 0 }
}

/// Id of a task's cgroup in the hierarchy that names cgroups; 0 if it cannot be read. A task keeps its css_set
/// until it is freed (kernel/cgroup/cgroup.c cgroup_exit), and a child has its own by the time that its fork is
/// told of (cgroup_post_fork).
#[inline(always)]
unsafe fn cgroup<R: Read>(task: Ptr) -> u64 {
    if off!(task_cgroups) == ABSENT || off!(css_set_dfl) == ABSENT {
        return 0;
    }
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let set: Ptr = R::get(task, off!(task_cgroups));
        let controller = config!(cgroup_controller);
        if controller == CGROUP_V2 {
            return cgroup_id::<R>(R::get(set, off!(css_set_dfl)));
        }
        // One pointer a controller.
        let css: Ptr = R::get(set, off!(css_set_subsys) + controller * 8);
        cgroup_id::<R>(R::get(css, off!(css_cgroup)))
    }
}

/// Id of a `struct cgroup`.
#[inline(always)]
pub unsafe fn cgroup_id<R: Read>(cgroup: Ptr) -> u64 {
    // SAFETY: `R` copes with any pointer.
    unsafe { R::get(R::get::<Ptr>(cgroup, off!(cgroup_kn)), off!(kn_id)) }
}

/// Id of the current task's cgroup where its css_set cannot be read: helpers know of v2 only.
#[inline(always)]
fn current_cgroup() -> u64 {
    if config!(cgroup_controller) != CGROUP_V2 {
        return 0;
    }
    // SAFETY: takes no arguments.
    unsafe { bpf_get_current_cgroup_id() }
}

#[inline(always)]
unsafe fn comm<R: Read>(out: *mut [u8; COMM], task: Ptr) {
    // SAFETY: as in `task`; `comm` is 8-aligned in every event.
    unsafe {
        let out = out.cast::<u64>();
        *out = R::get(task, off!(task_comm));
        *out.add(1) = R::get(task, off!(task_comm) + 8);
    }
}

/// Fills `out` for the current task; with its ancestors and command line.
#[inline(always)]
pub unsafe fn current(out: *mut Actor) {
    // SAFETY: `out` points into a claimed scratch.
    unsafe {
        current_task(&raw mut (*out).task);
        match config!(task) {
            access::TYPED => family::<Typed>(out, bpf_get_current_task_btf() as Ptr),
            access::PROBE => family::<Probe>(out, bpf_get_current_task() as Ptr),
            _ => (*out).flags = ACTOR_PARTIAL | ACTOR_NO_CMDLINE,
        }
    }
}

/// Out of which login session the current task came, and its terminal.
#[inline(always)]
pub unsafe fn current_login(out: *mut Login) {
    // SAFETY: `out` points into a claimed scratch.
    unsafe {
        match config!(task) {
            access::TYPED => login::<Typed>(out, bpf_get_current_task_btf() as Ptr),
            access::PROBE => login::<Probe>(out, bpf_get_current_task() as Ptr),
            _ => {}
        }
    }
}

/// The terminal is read without its lock: one that is being hung up may be named all the same.
#[inline(always)]
unsafe fn login<R: Read>(out: *mut Login, task: Ptr) {
    // SAFETY: as in `task`.
    unsafe {
        let signal: Ptr = R::get(task, off!(task_signal));
        // Nothing could be read, and zero is root.
        if is_null(signal) {
            return;
        }
        if off!(task_loginuid) != ABSENT && off!(task_sessionid) != ABSENT {
            (*out).known = LOGIN_AUDIT;
            (*out).uid = R::get(task, off!(task_loginuid));
            (*out).session = R::get(task, off!(task_sessionid));
        }
        if off!(signal_tty) != ABSENT && off!(tty_name) != ABSENT {
            let tty: Ptr = R::get(signal, off!(signal_tty));
            (*out).tty[0] = R::get(tty, off!(tty_name));
            (*out).tty[1] = R::get(tty, off!(tty_name) + 8);
        }
    }
}

/// Fills `out` for `task`, which a hook was given as the current one, with ancestors and command
/// line. Unlike `current` this works where the current task has no type (5.10 locked down).
#[inline(always)]
pub unsafe fn given<R: Read>(out: *mut Actor, given: Ptr) {
    // SAFETY: `out` points into a claimed scratch; `R` copes with any pointer.
    unsafe {
        (*out).task.uid = bpf_get_current_uid_gid() as u32;
        task::<R>(&raw mut (*out).task, given);
        family::<R>(out, given);
    }
}

/// Fills `out` for a child of the current task that has only just been forked.
#[inline(always)]
pub unsafe fn child(out: *mut Actor, child: Ptr) {
    // SAFETY: as in `given`.
    unsafe {
        (*out).task.uid = bpf_get_current_uid_gid() as u32;
        (*out).flags = ACTOR_NO_CMDLINE;
        task::<Typed>(&raw mut (*out).task, child);
        ancestors::<Typed>(out, child);
    }
}

#[inline(always)]
unsafe fn family<R: Read>(out: *mut Actor, current: Ptr) {
    // SAFETY: as in `current`.
    unsafe {
        ancestors::<R>(out, current);
        cmdline::<R>(out, current);
    }
}

/// Fills `out` for the current task.
#[inline(always)]
unsafe fn current_task(out: *mut Task) {
    // SAFETY: `out` points into a claimed scratch.
    unsafe {
        let ids = bpf_get_current_pid_tgid();
        (*out).tgid = (ids >> 32) as u32;
        (*out).tid = ids as u32;
        (*out).uid = bpf_get_current_uid_gid() as u32;
        match config!(task) {
            access::TYPED => task::<Typed>(out, bpf_get_current_task_btf() as Ptr),
            access::PROBE => task::<Probe>(out, bpf_get_current_task() as Ptr),
            _ => {
                (*out).cgroup = current_cgroup();
                if let Ok(name) = bpf_get_current_comm() {
                    (*out).comm = name;
                    (*out).thread_comm = name;
                }
            }
        }
    }
}

/// The chain of parents, nearest first. `real_parent` is a thread; its leader names the process.
#[inline(always)]
pub unsafe fn ancestors<R: Read>(out: *mut Actor, task: Ptr) {
    // SAFETY: as in `current`; `i` stays below ANCESTORS.
    unsafe {
        let mut child: Ptr = R::get(task, off!(task_leader));
        let mut i = 0;
        while i < ANCESTORS {
            let parent: Ptr = R::get(child, off!(task_parent));
            let leader: Ptr = R::get(parent, off!(task_leader));
            let tgid: u32 = R::get(leader, off!(task_tgid));
            if tgid == 0 {
                break;
            }
            let slot = &raw mut (*out).ancestors[i];
            (*slot).tgid = tgid;
            (*slot).start_time = R::get(leader, off!(task_start));
            comm::<R>(&raw mut (*slot).comm, leader);
            i += 1;
            (*out).ancestor_count = i as u32;
            child = leader;
        }
    }
}

/// Inode number of the current task's mount namespace; 0 where its task cannot be read.
#[inline(always)]
pub fn mount_namespace() -> u32 {
    // SAFETY: as in `current`.
    unsafe {
        match config!(task) {
            access::TYPED => namespace::<Typed>(bpf_get_current_task_btf() as Ptr),
            access::PROBE => namespace::<Probe>(bpf_get_current_task() as Ptr),
            _ => 0,
        }
    }
}

/// The number of the system call that the current thread is in; `None` where that is not to be had.
#[inline(always)]
pub fn system_call() -> Option<u32> {
    if config!(task_regs) == 0 || config!(task) != access::TYPED || off!(regs_call) == ABSENT {
        return None;
    }
    // SAFETY: what bpf_task_pt_regs gives has a type.
    unsafe {
        let regs = bpf_task_pt_regs(bpf_get_current_task_btf() as *mut _) as Ptr;
        Some(Typed::get(regs, off!(regs_call)))
    }
}

/// arch/x86/include/asm/page_64_types.h: THREAD_SIZE, without KASAN.
const STACK: u64 = 16 << 10;
/// arch/x86/include/asm/ptrace.h: the size of `struct pt_regs`, and where it has what the processor saves of user mode.
const REGISTERS: u64 = 168;
pub const REGISTERS_CS: u32 = 136;
const REGISTERS_SS: u32 = 160;
/// arch/x86/include/asm/segment.h: __USER_CS, __USER32_CS and __USER_DS.
pub const USER_CS: u64 = 0x33;
const USER32_CS: u64 = 0x23;
const USER_DS: u64 = 0x2b;

/// `orig_ax` of a trap on x86 (arch/x86/entry/entry_64.S), NO_SYSCALL on arm64 (arch/arm64/include/asm/ptrace.h).
const NO_SYSTEM_CALL: u32 = u32::MAX;

/// arch/x86/entry/syscalls: of 64 bit, of 32 bit, of both, and of x32, which has its bit beside the number.
const SENDING_X86: [u32; 4] = [297, 335, 424, 536];
const X32: u32 = 0x4000_0000;
/// include/uapi/asm-generic/unistd.h, and of 32 bit: arch/arm64/include/asm/unistd32.h
const SENDING_ARM: [u32; 3] = [240, 363, 424];

/// Whether [`entered_by`] is to be had, as far as that is known before anything is read.
#[inline(always)]
pub fn is_entry_known() -> bool {
    if reads_stack() {
        return off!(task_stack) != ABSENT && off!(regs_call) != ABSENT;
    }
    config!(task_regs) != 0 && config!(task) == access::TYPED && off!(regs_call) != ABSENT
}

/// Whether registers are read where they stand, because there is no bpf_task_pt_regs (before 5.15).
#[inline(always)]
fn reads_stack() -> bool {
    config!(task_regs) == 0 && config!(machine) == machine::X86_64 && config!(read_kernel) != 0
}

/// The system call that the current thread has entered the kernel by, or [`NO_SYSTEM_CALL`]; `None` where that is not to
/// be had. Where there is no bpf_task_pt_regs that is seen on x86 where the registers stand, at the top of the thread's
/// stack (arch/x86/include/asm/processor.h task_pt_regs), if those there are of user mode.
#[inline(always)]
fn entered_by() -> Option<u32> {
    if !reads_stack() {
        return system_call();
    }
    if !is_entry_known() {
        return None;
    }
    // SAFETY: probe reads cope with any address.
    unsafe {
        let regs = registers_on_stack(bpf_get_current_task() as Ptr);
        let (cs, ss): (u64, u64) = (Probe::get(regs, REGISTERS_CS), Probe::get(regs, REGISTERS_SS));
        let call: u32 = Probe::get(regs, off!(regs_call));
        let of_user = [USER_CS, USER32_CS].contains(&cs) && ss == USER_DS;
        of_user.then_some(call)
    }
}

/// Whether the current thread is known to be in no system call.
#[inline(always)]
pub fn is_in_no_system_call() -> bool {
    entered_by() == Some(NO_SYSTEM_CALL)
}

/// Whether the current thread is in a system call by which it may send a thread of its own any siginfo: rt_tgsigqueueinfo(2),
/// pidfd_send_signal(2). `None` if that is not known.
#[inline(always)]
pub fn may_send_to_thread() -> Option<bool> {
    let call = entered_by()?;
    Some(match config!(machine) == machine::X86_64 {
        true => SENDING_X86.contains(&(call & !X32)),
        false => SENDING_ARM.contains(&call),
    })
}

/// Where an x86 kernel keeps the registers of user mode of a thread.
#[inline(always)]
pub unsafe fn registers_on_stack(task: Ptr) -> Ptr {
    // SAFETY: probe reads cope with any address.
    let stack: u64 = unsafe { Probe::get(task, off!(task_stack)) };
    stack.wrapping_add(STACK - REGISTERS) as Ptr
}

/// How many page faults the current thread has had handled; `None` where its task cannot be read.
#[inline(always)]
pub fn faults() -> Option<u64> {
    // SAFETY: as in `current`.
    unsafe {
        match config!(task) {
            access::TYPED => Some(faults_of::<Typed>(bpf_get_current_task_btf() as Ptr)),
            access::PROBE => Some(faults_of::<Probe>(bpf_get_current_task() as Ptr)),
            _ => None,
        }
    }
}

#[inline(always)]
unsafe fn faults_of<R: Read>(task: Ptr) -> u64 {
    // SAFETY: as in `current`.
    unsafe {
        let minor: u64 = R::get(task, off!(task_min_flt));
        minor.wrapping_add(R::get(task, off!(task_maj_flt)))
    }
}

#[inline(always)]
unsafe fn namespace<R: Read>(task: Ptr) -> u32 {
    // SAFETY: as in `current`.
    unsafe {
        let proxy: Ptr = R::get(task, off!(task_nsproxy));
        let mounts: Ptr = R::get(proxy, off!(nsproxy_mnt));
        R::get(mounts, off!(mnt_ns_inum))
    }
}

/// The command line as it stands in the memory of `task`, which must be the current one.
#[inline(always)]
unsafe fn cmdline<R: Read>(out: *mut Actor, task: Ptr) {
    // SAFETY: as in `current`; the helpers check the user address.
    unsafe {
        let mm: Ptr = R::get(task, off!(task_mm));
        let start: u64 = R::get(mm, off!(mm_arg_start));
        let end: u64 = R::get(mm, off!(mm_arg_end));
        let full = end.wrapping_sub(start);
        (*out).flags |= ACTOR_NO_CMDLINE;
        if start == 0 || full > 1 << 30 {
            return;
        }
        (*out).cmdline_full = full as u32;
        let read = match config!(read_user) {
            read_user::PROBE => by_probe(&raw mut (*out).cmdline, start, full),
            read_user::SNPRINTF => by_snprintf(&raw mut (*out).cmdline, start, end),
            _ => 0,
        };
        if read != 0 {
            (*out).cmdline_len = read;
            (*out).flags &= !ACTOR_NO_CMDLINE;
        }
    }
}

/// Bytes read, 0 if none could be.
#[inline(always)]
unsafe fn by_probe(out: *mut [u8; CMDLINE], start: u64, full: u64) -> u32 {
    // The verifier must see the bound on the very value it passes on.
    let mut n = full;
    if n > CMDLINE as u64 - 1 {
        n = CMDLINE as u64 - 1;
    }
    // SAFETY: at most 255 bytes into 256.
    unsafe {
        let n = (&raw const n).read_volatile() & (CMDLINE as u64 - 1);
        let failed = bpf_probe_read_user(out.cast(), n as u32, start as *const _) != 0;
        if failed { 0 } else { n as u32 }
    }
}

/// As `by_probe`, one argument at a time. Under lockdown aya rewrites `bpf_probe_read_user` into
/// a helper that is refused there (aya-obj Function::sanitize); `%pus` reads user memory only
/// (kernel/bpf/helpers.c bpf_bprintf_prepare).
#[inline(always)]
unsafe fn by_snprintf(out: *mut [u8; CMDLINE], start: u64, end: u64) -> u32 {
    const ARGUMENT: u32 = CMDLINE as u32 / 2;
    let mut at = 0_u32;
    let mut address = start;
    let mut i = 0;
    // SAFETY: at most 128 bytes from an offset below 128.
    unsafe {
        while i < 24 && address < end && at < ARGUMENT {
            i += 1;
            let target =
                out.cast::<u8>().add(((&raw const at).read_volatile() & (ARGUMENT - 1)) as usize);
            let mut data = [address];
            let format = (&raw const ARGUMENT_FORMAT).cast_mut().cast();
            let n = bpf_snprintf(target.cast(), ARGUMENT, format, data.as_mut_ptr().cast(), 8);
            if n <= 0 {
                break;
            }
            if n > ARGUMENT as i64 {
                at += ARGUMENT;
                break;
            }
            at += n as u32 & (2 * ARGUMENT - 1);
            address += n as u64;
        }
    }
    if at > CMDLINE as u32 { CMDLINE as u32 } else { at }
}

#[unsafe(link_section = ".rodata")]
static ARGUMENT_FORMAT: [u8; 5] = *b"%pus\0";

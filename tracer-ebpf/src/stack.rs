//! The stack of a thread that ends by a signal of its own doing, or cuts short a file that is mapped: its registers, what
//! frame pointers tell, the bytes above its stack pointer, and the files that addresses among these may lie in. User space
//! finds the frames, by what the files say of how to unwind them (`tracer/src/parse/unwind`).
//!
//! Looked at in `do_exit`, where the thread still has its memory, or in `notify_change`. What is on a stack is a program's
//! own: it goes through a ring of its own, into no stream and no history.
use aya_ebpf::{
    cty::c_void,
    helpers::{
        bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
        generated::{
            bpf_find_vma, bpf_get_current_task, bpf_get_current_task_btf, bpf_get_stack, bpf_loop,
            bpf_probe_read_user, bpf_ringbuf_output, bpf_task_pt_regs,
        },
    },
    macros::map,
    maps::{LruHashMap, PerCpuArray, RingBuf},
};
use tracer_common::{
    config::{machine, read_user, task as access},
    event::{
        PATH, STACK_BYTES, STACK_CHAIN, STACK_MODULES, STACK_PART, StackPath, StackSample, ring,
    },
    maps::STACKS_OF_USER,
    offsets::ABSENT,
};

use crate::{
    emit::{claim, is_owned},
    globals::{config, off},
    inode::inode,
    path::{self, PathSpace},
    read::{Probe, Ptr, Read, Typed, is_null},
    scratch::{STACK, STACK_PATH, Scratch, WithBytes, stacker},
    sent::{Window, fits},
    task,
    victims::USER_STACK,
};

#[map]
static STACKS: RingBuf = RingBuf::with_byte_size(512 << 10, 0);
/// Samples that found no room, or that were too many of one user.
#[map]
static STACKS_LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
/// By cgroup and user of the thread: what crashes all the time in one container takes no turn of another's.
#[map]
static STACK_USERS: LruHashMap<[u64; 2], Window> = LruHashMap::with_max_entries(1024, 0);

/// include/linux/mm.h
const VM_EXEC: u64 = 4;
/// VMAs looked through, where they are a list.
const VMAS: u32 = 256;
/// Addresses of user mode have no more bits; on arm64 a signature may stand above them.
const ADDRESS: u64 = (1 << 48) - 1;

/// Captures the stack of the current thread, whose process began at `start`, as a signal of its own doing ends it; whether it
/// did.
#[inline(always)]
pub unsafe fn fill(ctx: *mut c_void, start: u64) -> bool {
    // SAFETY: the context of a program.
    admits() && unsafe { capture(ctx, stacker::EXIT, start, 0).is_some() }
}

/// Captures the stack of the current thread, whose process began at `start`, as it cuts a file short, at `begin`; whether
/// it did.
#[inline(always)]
pub unsafe fn fill_act(ctx: *mut c_void, start: u64, begin: u64) -> bool {
    // SAFETY: the context of a program.
    admits() && unsafe { capture(ctx, stacker::NOTIFY_CHANGE, start, begin).is_some() }
}

/// Counts a stack of the current thread; whether it is not one too many.
#[inline(always)]
fn admits() -> bool {
    // SAFETY: no preconditions.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let user = bpf_get_current_uid_gid() as u32;
    let admitted = fits(&STACK_USERS, [cgroup, user as u64], STACKS_OF_USER);
    if !admitted {
        lose();
    }
    admitted
}

#[inline(always)]
unsafe fn capture(ctx: *mut c_void, by: u32, start: u64, act: u64) -> Option<()> {
    let ids = bpf_get_current_pid_tgid();
    // SAFETY: a claimed scratch.
    unsafe {
        let scratch = claim::<StackSample, _>(&STACK, by, ring::STACKS)?;
        let event = &raw mut (*scratch).value.event;
        ((*event).start_time, (*event).act) = (start, act);
        ((*event).tgid, (*event).tid) = ((ids >> 32) as u32, ids as u32);
        (*event).machine = config!(machine);
        registers(event);
        let chain = (&raw mut (*event).chain).cast();
        bpf_get_stack(ctx, chain, 8 * STACK_CHAIN as u32, USER_STACK);
        if config!(read_user) == read_user::PROBE && (*event).registers != 0 {
            bytes(scratch);
        }
    }
    Some(())
}

/// Where `struct pt_regs` has what unwinding begins with: it is what debuggers get, too (arch/x86/include/asm/ptrace.h,
/// arch/arm64/include/asm/ptrace.h).
mod x86 {
    pub const BP: u32 = 32;
    pub const IP: u32 = 128;
    pub const SP: u32 = 152;
}
mod arm64 {
    pub const X29: u32 = 232;
    pub const X30: u32 = 240;
    pub const SP: u32 = 248;
    pub const PC: u32 = 256;
}

/// What the thread left user mode with last: no handler has run since, or it would not end here.
#[inline(always)]
unsafe fn registers(event: *mut StackSample) {
    if config!(read_kernel) == 0 {
        return;
    }
    // SAFETY: points into a claimed scratch; probe reads cope with any address.
    unsafe {
        let regs = if config!(task_regs) != 0 && config!(task) == access::TYPED {
            bpf_task_pt_regs(bpf_get_current_task_btf() as *mut _) as Ptr
        } else if config!(machine) == machine::X86_64 && off!(task_stack) != ABSENT {
            task::registers_on_stack(bpf_get_current_task() as Ptr)
        } else {
            return;
        };
        if config!(machine) == machine::AARCH64 {
            (*event).ip = Probe::get(regs, arm64::PC);
            (*event).sp = Probe::get(regs, arm64::SP);
            (*event).fp = Probe::get(regs, arm64::X29);
            (*event).lr = Probe::get(regs, arm64::X30);
        } else {
            if Probe::get::<u64>(regs, task::REGISTERS_CS) != task::USER_CS {
                return;
            }
            (*event).ip = Probe::get(regs, x86::IP);
            (*event).sp = Probe::get(regs, x86::SP);
            (*event).fp = Probe::get(regs, x86::BP);
        }
        (*event).registers = 1;
    }
}

/// The bytes from `sp` upwards: to the end of its page, and the pages above, as many as there are. Where a stack has overflowed,
/// `sp` lies below the last page it has: what is not there before the first that is, is zero (kernel/trace/bpf_trace.c
/// bpf_probe_read_user_common).
#[inline(always)]
unsafe fn bytes(scratch: *mut Scratch<WithBytes>) {
    const PART: u64 = STACK_PART as u64;
    // SAFETY: a claimed scratch, which has room for one part more than is kept; the helper checks the user address.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let out = (&raw mut (*scratch).value.bytes).cast::<u8>();
        let sp = (*event).sp;
        let first = PART - (sp & (PART - 1));
        let n = (&raw const first).read_volatile() & (2 * PART - 1);
        let mut end = 0;
        if bpf_probe_read_user(out.cast(), n as u32, sp as *const _) == 0 {
            end = first;
        }
        let mut len = first;
        let mut i = 0;
        while i < STACK_BYTES / STACK_PART {
            let at = (&raw const len).read_volatile();
            if at >= STACK_BYTES as u64 {
                break;
            }
            let from = sp.wrapping_add(at) as *const _;
            len = at + PART;
            if bpf_probe_read_user(out.add(at as usize).cast(), STACK_PART as u32, from) == 0 {
                end = len;
            } else if end != 0 {
                break;
            }
            i += 1;
        }
        let most = STACK_BYTES as u64;
        (*event).bytes_len = if end > most { most } else { end } as u32;
    }
}

/// The mapping that was looked at last.
#[repr(C)]
struct Seen {
    start: u64,
    end: u64,
    /// Whose scratch it is.
    by: u64,
}

/// Names the files that addresses of the chain and words of the stack lie in, if they may be executed.
#[inline(always)]
pub unsafe fn modules_by_find(by: u32) {
    const WORDS: u32 = STACK_BYTES as u32 / 8;
    let mut seen = Seen { start: 0, end: 0, by: by as u64 };
    // SAFETY: `seen` outlives the call, which calls back at once.
    unsafe {
        let data = (&raw mut seen).cast();
        bpf_loop(STACK_CHAIN as u32 + WORDS, look as *mut c_void, data, 0);
    }
}

/// bpf_loop calls it for each address of the chain and each word of the stack; 1 ends the loop.
extern "C" fn look(i: u64, seen: *mut Seen) -> u64 {
    const WORDS: u64 = STACK_BYTES as u64 / 8;
    // SAFETY: a scratch that was claimed; what bpf_loop was given.
    unsafe {
        let Some(scratch) = STACK.get_ptr_mut((*seen).by as u32) else { return 1 };
        let event = &raw mut (*scratch).value.event;
        let word = if i < STACK_CHAIN as u64 {
            let at = (&raw const i).read_volatile() & (STACK_CHAIN as u64 - 1);
            (&raw const (*event).chain).cast::<u64>().add(at as usize).read()
        } else {
            let at = i - STACK_CHAIN as u64;
            if at * 8 >= (*event).bytes_len as u64 {
                return 1;
            }
            let at = (&raw const at).read_volatile() & (WORDS - 1);
            (&raw const (*scratch).value.bytes).cast::<u64>().add(at as usize).read()
        };
        let address = if config!(machine) == machine::AARCH64 { word & ADDRESS } else { word };
        let known = address >= (*seen).start && address < (*seen).end;
        if !known && address >> 12 != 0 && address <= ADDRESS {
            let found = found as *mut c_void;
            bpf_find_vma(bpf_get_current_task_btf().cast(), address, found, seen.cast(), 0);
        }
    }
    0
}

/// bpf_find_vma calls back with the mmap lock held for reading.
extern "C" fn found(_task: Ptr, vma: Ptr, seen: *mut Seen) -> u64 {
    // SAFETY: what bpf_find_vma gives, and what it was given; a scratch that was claimed.
    unsafe {
        let Some(scratch) = STACK.get_ptr_mut((*seen).by as u32) else { return 1 };
        let event = &raw mut (*scratch).value.event;
        let start: u64 = Typed::get(vma, off!(vma_start));
        (*seen).start = start;
        (*seen).end = Typed::get(vma, off!(vma_end));
        let mut i = 0;
        while i < STACK_MODULES {
            if (*event).modules[i].start == start {
                return 0;
            }
            i += 1;
        }
        add::<Typed>(event, vma);
    }
    0
}

/// The same where VMAs are a list (until 6.0): the first ones that may be executed, whether an address lies in them or not.
#[inline(always)]
pub unsafe fn modules_by_list<R: Read>(by: u32, task: Ptr) {
    let Some(scratch) = STACK.get_ptr_mut(by) else { return };
    // SAFETY: `R` copes with any pointer; a scratch that was claimed.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        let mm: Ptr = R::get(task, off!(task_mm));
        let mut vma: Ptr = R::get(mm, off!(mm_mmap));
        let mut i = 0;
        while i < VMAS && !is_null(vma) {
            add::<R>(event, vma);
            vma = R::get(vma, off!(vma_next));
            i += 1;
        }
    }
}

/// Either of both, of the current thread. A program that is loaded by kernels that have no bpf_find_vma has nothing but
/// the list: they take no address of a function (before 5.13).
#[inline(always)]
pub unsafe fn modules_of_act<const LIST_ALONE: bool>() {
    const BY: u32 = stacker::NOTIFY_CHANGE;
    // SAFETY: a scratch that was claimed.
    unsafe {
        if !LIST_ALONE && config!(find_vma) != 0 {
            modules_by_find(BY);
        } else if off!(mm_mmap) == ABSENT || off!(vma_next) == ABSENT {
        } else if config!(task) == access::TYPED {
            modules_by_list::<Typed>(BY, bpf_get_current_task_btf() as Ptr);
        } else if config!(task) == access::PROBE {
            modules_by_list::<Probe>(BY, bpf_get_current_task() as Ptr);
        }
    }
}

/// Takes note of a mapping, if it is a file's and may be executed.
#[inline(always)]
unsafe fn add<R: Read>(event: *mut StackSample, vma: Ptr) {
    // SAFETY: points into a claimed scratch; `R` copes with any pointer.
    unsafe {
        let file: Ptr = R::get(vma, off!(vma_file));
        if R::get::<u64>(vma, off!(vma_flags)) & VM_EXEC == 0 || is_null(file) {
            return;
        }
        let n = (&raw const (*event).module_count).read_volatile();
        if n >= STACK_MODULES as u32 {
            return;
        }
        let module = &raw mut (*event).modules[n as usize];
        (*module).start = R::get(vma, off!(vma_start));
        (*module).end = R::get(vma, off!(vma_end));
        (*module).offset = R::get::<u64>(vma, off!(vma_pgoff)) << config!(page_shift);
        (*module).file = file as u64;
        inode::<R>(&raw mut (*module).inode, R::get(file, off!(file_inode)));
        (*event).module_count = n + 1;
    }
}

/// Sends what was captured, the paths first.
#[inline(always)]
pub unsafe fn send(by: u32) -> Option<()> {
    let scratch = STACK.get_ptr_mut(by)?;
    // SAFETY: a scratch that was claimed.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        if config!(read_kernel) != 0 {
            let mut i = 0;
            while i < STACK_MODULES as u64 {
                if i >= (*event).module_count as u64 {
                    break;
                }
                whybus_stack_path(by as u64, i);
                i += 1;
            }
        }
        let kept = (&raw const (*event).bytes_len).read_volatile() as u64;
        let len = if kept > STACK_BYTES as u64 { STACK_BYTES as u64 } else { kept };
        if !output(scratch, event.cast(), size_of::<StackSample>() as u64 + len) {
            lose();
        }
    }
    Some(())
}

/// Sends the path of module `i` of a scratch. A function of its own, which is verified once (kernel/bpf/verifier.c
/// do_check_subprogs), also where nobody calls it: under lockdown it must not read.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn whybus_stack_path(by: u64, i: u64) -> u64 {
    if config!(read_kernel) == 0 {
        return 0;
    }
    let Some(sample) = STACK.get_ptr_mut(by as u32) else { return 0 };
    let Some(scratch) = claim::<StackPath, _>(&STACK_PATH, by as u32, ring::STACKS) else {
        return 0;
    };
    if i >= STACK_MODULES as u64 {
        return 0;
    }
    // SAFETY: a scratch that was claimed; probe reads cope with any pointer: who else has the memory may have
    // unmapped the file since.
    unsafe {
        let sample = &raw const (*sample).value.event;
        let event = &raw mut (*scratch).value.event;
        let path = &raw mut (*scratch).value.path;
        let module = &raw const (*sample).modules[i as usize];
        let file = (*module).file as Ptr;
        (*event).tgid = (*sample).tgid;
        (*event).module = i as u32;
        path::of_opened::<Probe>(path, file);
        let is_there = Probe::get::<u64>(file, off!(file_inode)) == (*module).inode.ptr;
        let len = if is_there { PathSpace::len(path) & (PATH as u32 - 1) } else { 0 };
        (*event).path_flags = PathSpace::flags(path);
        (*event).path_len = len;
        (*event).sample = (*sample).header.time;
        output(scratch, event.cast(), size_of::<StackPath>() as u64 + len as u64);
    }
    0
}

/// Whether there was room.
#[inline(always)]
unsafe fn output<S>(scratch: *mut Scratch<S>, record: *mut c_void, len: u64) -> bool {
    // SAFETY: a claimed scratch, of which `record` is the beginning.
    unsafe {
        let ring = (&raw const STACKS).cast_mut().cast();
        is_owned(scratch) && bpf_ringbuf_output(ring, record, len, 0) == 0
    }
}

#[inline(always)]
fn lose() {
    if let Some(lost) = STACKS_LOST.get_ptr_mut(0) {
        // SAFETY: a map value of this CPU.
        unsafe { *lost += 1 };
    }
}

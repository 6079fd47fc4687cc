//! The instruction that a thread failed at, with its registers, looked at as the thread ends: only those that a
//! signal of their own doing kills come here, once.
use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{
        bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_probe_read_user, bpf_task_pt_regs,
    },
};
use tracer_common::{
    config::{read_user, task as access},
    event::{CODE, Crash, REGISTERS, kind, ring},
};

use crate::{
    emit::{claim, emit},
    globals::{config, off},
    inode::inode,
    read::{Ptr, Read, is_null},
    scratch::CRASH,
    victims,
};

/// Fills the scratch if `task`, the current one, ends by a fault or trap of its own; gives the instruction, or 0. Its process began
/// at `start`; 0 if no signal of its own doing ends it.
#[inline(always)]
pub unsafe fn fill<R: Read>(task: Ptr, start: u64) -> u64 {
    if start == 0 {
        return 0;
    }
    // SAFETY: as for the caller.
    unsafe { filled::<R>(task, start).unwrap_or(0) }
}

#[inline(always)]
unsafe fn filled<R: Read>(task: Ptr, start: u64) -> Option<u64> {
    let ids = bpf_get_current_pid_tgid();
    let fault = victims::last_fault((ids >> 32) as u32)?;
    // SAFETY: `R` copes with any pointer; a map value, and a claimed scratch.
    unsafe {
        let code: u32 = R::get(task, off!(task_exit_code));
        if (*fault).tid != ids as u32 || (*fault).signal as u32 != code & 0x7f || (*fault).ip == 0 {
            return None;
        }
        let scratch = claim::<Crash, _>(&CRASH, 0, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value;
        (*event).start_time = start;
        ((*event).tgid, (*event).tid) = ((ids >> 32) as u32, ids as u32);
        ((*event).signal, (*event).code) = ((*fault).signal, (*fault).code);
        let ip = (*fault).ip;
        (*event).ip = ip;
        (*event).machine = config!(machine);
        if config!(read_user) == read_user::PROBE {
            bytes(event, ip);
        }
        registers(event);
        Some(ip)
    }
}

/// The bytes at `ip`: fewer where the next page is not there.
#[inline(always)]
unsafe fn bytes(event: *mut Crash, ip: u64) {
    // SAFETY: points into a claimed scratch; the helper checks the user address.
    unsafe {
        let out = (&raw mut (*event).bytes).cast();
        if bpf_probe_read_user(out, CODE as u32, ip as *const _) == 0 {
            (*event).bytes_len = CODE as u32;
        } else if bpf_probe_read_user(out, 8, ip as *const _) == 0 {
            (*event).bytes_len = 8;
        } else if bpf_probe_read_user(out, 4, ip as *const _) == 0 {
            (*event).bytes_len = 4;
        } else if bpf_probe_read_user(out, 2, ip as *const _) == 0 {
            (*event).bytes_len = 2;
        }
    }
}

/// What the thread left user space with last: as the signal found it, which no handler took.
#[inline(always)]
unsafe fn registers(event: *mut Crash) {
    if config!(task_regs) == 0 || config!(task) != access::TYPED || config!(read_kernel) == 0 {
        return;
    }
    // SAFETY: points into a claimed scratch; the helper checks the address.
    unsafe {
        let regs = bpf_task_pt_regs(bpf_get_current_task_btf() as *mut _);
        let out = (&raw mut (*event).registers).cast();
        if bpf_probe_read_kernel(out, 8 * REGISTERS as u32, regs as *const _) == 0 {
            (*event).registers_len = REGISTERS as u32;
        }
    }
}

/// Names the file that `ip` lies in, in the scratch that `fill` filled.
#[inline(always)]
pub unsafe fn module<R: Read>(vma: Ptr, ip: u64) -> Option<()> {
    let scratch = CRASH.get_ptr_mut(0)?;
    // SAFETY: `R` copes with any pointer; a scratch.
    unsafe {
        let start: u64 = R::get(vma, off!(vma_start));
        let file: Ptr = R::get(vma, off!(vma_file));
        if !is_null(file) && ip >= start {
            inode::<R>(&raw mut (*scratch).value.module, R::get(file, off!(file_inode)));
        }
    }
    Some(())
}

/// Sends what `fill` and `module` filled in.
#[inline(always)]
pub unsafe fn send() -> Option<()> {
    let scratch = CRASH.get_ptr_mut(0)?;
    // SAFETY: a scratch that `fill` has claimed.
    unsafe {
        if (*scratch).value.header.kind == kind::CRASH {
            emit(scratch, size_of::<Crash>() as u32);
        }
    }
    Some(())
}

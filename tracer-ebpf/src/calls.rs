//! What functions were called with, until they return: a kretprobe finds only what its function returned.
use aya_ebpf::{
    cty::c_void,
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{LruHashMap, PerCpuArray},
};
use tracer_common::maps::call;

use crate::arch;

/// Arguments that are kept of a call, the first ones.
pub const ARGS: usize = 4;

#[repr(C)]
#[derive(Clone, Copy)]
struct Kept {
    args: [u64; ARGS],
    /// 1 until the call returns.
    under_way: u64,
}

/// By [`key`]. What a thread calls over and over keeps its place.
#[map]
static KEPT: LruHashMap<u64, Kept> = LruHashMap::with_max_entries(4096, 0);
/// Calls that were not seen to return, or not seen to begin, by [`call`]: the kernel follows only so many calls of a
/// function to their end at a time (kernel/kprobes.c `nmissed`).
#[map]
static CALLS_MISSED: PerCpuArray<u64> = PerCpuArray::with_max_entries(call::COUNT, 0);

/// Which call it is: the function and the thread, or where in the kernel its stack begins.
#[inline(always)]
fn key<const CALL: u32>(stack: impl FnOnce() -> u64) -> u64 {
    if call::nests(CALL) {
        // Addresses of the kernel begin with ones: never a thread's key.
        stack() ^ (CALL as u64) << 48
    } else {
        (CALL as u64) << 32 | bpf_get_current_pid_tgid() as u32 as u64
    }
}

/// Counts a call of which a half is missing.
#[inline(always)]
pub fn count_missed<const CALL: u32>() {
    if let Some(missed) = CALLS_MISSED.get_ptr_mut(CALL) {
        // SAFETY: a map value of this CPU.
        unsafe { *missed += 1 };
    }
}

/// A call begins.
///
/// # Safety
/// `regs` is the context of a kprobe.
#[inline(always)]
pub unsafe fn keep<const CALL: u32>(regs: *mut c_void) {
    // SAFETY: as above; a map value of this thread.
    unsafe {
        let key = key::<CALL>(|| arch::stack_entered(regs));
        let args = [
            arch::arg::<0>(regs),
            arch::arg::<1>(regs),
            arch::arg::<2>(regs),
            arch::arg::<3>(regs),
        ];
        if let Some(kept) = KEPT.get_ptr_mut(key) {
            if (*kept).under_way != 0 {
                count_missed::<CALL>();
            }
            (*kept).args = args;
            (*kept).under_way = 1;
            return;
        }
        let _ = KEPT.insert(key, Kept { args, under_way: 1 }, 0);
    }
}

/// A call returns: gives what it was called with, unless nobody saw that.
///
/// # Safety
/// `regs` is the context of a kretprobe.
#[inline(always)]
pub unsafe fn take<const CALL: u32>(regs: *mut c_void) -> Option<[u64; ARGS]> {
    // SAFETY: as above; a map value of this thread.
    unsafe {
        let key = key::<CALL>(|| arch::stack_returned(regs));
        let kept = KEPT.get_ptr_mut(key)?;
        if (*kept).under_way == 0 {
            return None;
        }
        let args = (*kept).args;
        (*kept).under_way = 0;
        if call::nests(CALL) {
            let _ = KEPT.remove(key);
        }
        Some(args)
    }
}

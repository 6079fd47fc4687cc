//! Faults that no handler told of: of a driver, of swap, of a PFN mapping. The last moment to look at one
//! is `int force_sig_fault(int sig, int code, void __user *addr)` (kernel/signal.c).
use aya_ebpf::{
    cty::c_void,
    helpers::generated::{bpf_find_vma, bpf_get_current_task, bpf_get_current_task_btf},
};
use tracer_common::{event::handler, log::Hook, offsets::ABSENT};

use super::{
    fault::{FAULT_FLAG_USER, Place, VM_FAULT_SIGBUS, record},
    signal::{is_fault_of_current, is_other, is_sigbus, siginfo},
};
use crate::{
    form::{Call, program},
    globals::{config, off},
    log::log,
    read::{Probe, Ptr, Read, Typed, is_null},
    task, thread,
};

/// include/uapi/asm-generic/siginfo.h
const BUS_ADRALN: i32 = 1;
const BUS_ADRERR: i32 = 2;
/// include/linux/mm_types_task.h, until 6.0
const VMACACHE_SIZE: u32 = 4;

program! {
    /// With bpf_find_vma.
    fentry "force_sig_fault" => force_sig_fault or force_sig_fault_kprobe,
    if is_sigbus, bus_forced: forced,
    if is_to_be_marked, other_forced: mark
}
program! {
    /// The same where there is no bpf_find_vma: do_user_addr_fault has just looked the VMA up, and it
    /// stands in the thread's cache (mm/vmacache.c, until 6.0).
    fentry "force_sig_fault" => force_sig_fault_cached or force_sig_fault_cached_kprobe,
    if is_sigbus, bus_forced_cached: forced_cached,
    if is_to_be_marked, other_forced_cached: mark
}

program! {
    /// `signal_generate` (see [`super::signal`]) where no function may be hooked: as the same signal is raised.
    tp_btf "signal_generate" => signal_alone, if is_sigbus, bus_alone: alone::<Probe, _>
}
program! {
    /// The same under lockdown where its `info` has a type.
    tp_btf "signal_generate" => signal_alone_typed, if is_sigbus, bus_alone_typed: alone::<Typed, _>
}
program! {
    /// The same where there is no bpf_find_vma.
    tp_btf "signal_generate" => signal_alone_cached, if is_sigbus, bus_alone_cached: alone_cached
}

/// Whether nothing else tells another signal of a fault from one that its process sends itself.
#[inline(always)]
fn is_to_be_marked<C: Call>(call: C) -> bool {
    !task::is_entry_known() && is_other(call)
}

#[inline(always)]
unsafe fn mark<C: Call>(_call: C) {
    thread::note_forced();
}

/// Whether no handler told of the fault at this address. An access that is not aligned has an address on arm64
/// only: a device may refuse it as well as the CPU.
#[inline(always)]
fn is_unattributed(code: i32, address: u64) -> bool {
    match code {
        BUS_ADRERR => !thread::take_fault(address),
        BUS_ADRALN => address != 0,
        _ => false,
    }
}

#[inline(always)]
unsafe fn forced<C: Call>(call: C) {
    thread::note_forced();
    // SAFETY: as in `find`.
    unsafe { find(call.arg::<1>() as i32, call.arg::<2>()) };
}

#[inline(always)]
unsafe fn alone<Info: Read, C: Call>(call: C) {
    // SAFETY: the arguments are what the prototype says; the readers cope with any pointer.
    unsafe {
        let (code, address) = siginfo::<Info>(call.arg::<1>() as Ptr);
        if is_fault_of_current::<C::Memory>(code, call.arg::<2>() as Ptr) {
            find(code, address);
        }
    }
}

/// Looks the mapping at the failed address up, unless a handler told of it.
#[inline(always)]
unsafe fn find(code: i32, address: u64) {
    if !is_unattributed(code, address) {
        log!(Hook::ForceSigFault, SignalKnown, code, address);
        return;
    }
    let mut data = address;
    // SAFETY: helpers; `data` outlives the call, which calls back at once.
    unsafe {
        let task = bpf_get_current_task_btf().cast();
        let (found, data) = (found as *mut c_void, (&raw mut data).cast());
        let found = bpf_find_vma(task, address, found, data, 0);
        if found != 0 {
            log!(Hook::ForceSigFault, NoMapping, found, address);
        }
    }
}

/// bpf_find_vma (from 5.17) calls back with the mmap lock held for reading.
extern "C" fn found(_task: Ptr, vma: Ptr, address: *mut u64) -> u64 {
    // SAFETY: what bpf_find_vma gives, and what it was given.
    unsafe { record_unattributed::<Typed>(at::<Typed>(vma, *address).printing()) };
    0
}

#[inline(always)]
unsafe fn forced_cached<C: Call>(call: C) {
    thread::note_forced();
    // SAFETY: as in `find`.
    unsafe { find_cached(call.arg::<1>() as i32, call.arg::<2>()) };
}

#[inline(always)]
unsafe fn alone_cached<C: Call>(call: C) {
    // SAFETY: as in `alone`.
    unsafe {
        let (code, address) = siginfo::<Probe>(call.arg::<1>() as Ptr);
        if is_fault_of_current::<C::Memory>(code, call.arg::<2>() as Ptr) {
            find_cached(code, address);
        }
    }
}

/// As [`find`], among the mappings that the thread has looked up last.
#[inline(always)]
unsafe fn find_cached(code: i32, address: u64) {
    if !is_unattributed(code, address) || config!(read_kernel) == 0 || off!(task_vmacache) == ABSENT
    {
        return;
    }
    // SAFETY: probe reads cope with any address.
    unsafe {
        let task = bpf_get_current_task() as Ptr;
        let mut found: Ptr = core::ptr::null();
        let mut i = 0;
        while i < VMACACHE_SIZE {
            let vma: Ptr = Probe::get(task, off!(task_vmacache) + i * size_of::<Ptr>() as u32);
            let start: u64 = Probe::get(vma, off!(vma_start));
            let end: u64 = Probe::get(vma, off!(vma_end));
            if start <= address && address < end {
                found = vma;
            }
            i += 1;
        }
        if !is_null(found) {
            record_unattributed::<Probe>(at::<Probe>(found, address));
        }
    }
}

#[inline(always)]
unsafe fn at<R: Read>(vma: Ptr, address: u64) -> Place {
    // SAFETY: `R` copes with any pointer.
    unsafe { Place::in_vma::<R>(vma, address, 1, FAULT_FLAG_USER) }
}

#[inline(always)]
unsafe fn record_unattributed<R: Read>(at: Place) {
    // SAFETY: `R` copes with any pointer; no stack is asked for.
    unsafe { record::<R>(core::ptr::null_mut(), at, VM_FAULT_SIGBUS, handler::UNATTRIBUTED) };
}

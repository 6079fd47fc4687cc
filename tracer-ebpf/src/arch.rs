//! The registers of a kprobe, by processor. One object serves all of them: which one it is stands in a frozen
//! global, and verifiers prune the rest. Each load has a constant offset of its own, in assembly: LLVM would merge two
//! loads into one at a computed offset, which is refused ("dereference of modified ctx ptr").
use core::arch::asm;

use aya_ebpf::cty::c_void;
use tracer_common::config::machine;

use crate::globals::config;

/// Loads the register at an offset of `struct pt_regs`, in bytes.
#[inline(always)]
unsafe fn load<const OFFSET: u32>(regs: *mut c_void) -> u64 {
    let value: u64;
    // SAFETY: the caller's; the verifier checks the offset.
    unsafe {
        asm!(
            "{value} = *(u64 *)({regs} + {offset})",
            value = out(reg) value,
            regs = in(reg) regs,
            offset = const OFFSET,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    value
}

#[inline(always)]
fn is_x86() -> bool {
    config!(machine) == machine::X86_64
}

/// Argument `I` of the function that is entered, counted from 0: rdi, rsi, rdx, rcx, r8, r9
/// (arch/x86/include/asm/ptrace.h); x0 to x5 (arch/arm64/include/asm/ptrace.h).
///
/// # Safety
/// `regs` is the context of a kprobe.
#[inline(always)]
pub unsafe fn arg<const I: usize>(regs: *mut c_void) -> u64 {
    // SAFETY: as above.
    unsafe {
        match (is_x86(), I) {
            (true, 0) => load::<112>(regs),
            (true, 1) => load::<104>(regs),
            (true, 2) => load::<96>(regs),
            (true, 3) => load::<88>(regs),
            (true, 4) => load::<72>(regs),
            (true, _) => load::<64>(regs),
            (false, 0) => load::<0>(regs),
            (false, 1) => load::<8>(regs),
            (false, 2) => load::<16>(regs),
            (false, 3) => load::<24>(regs),
            (false, 4) => load::<32>(regs),
            (false, _) => load::<40>(regs),
        }
    }
}

/// What the function that returns has returned: rax; x0.
///
/// # Safety
/// `regs` is the context of a kretprobe.
#[inline(always)]
pub unsafe fn returned(regs: *mut c_void) -> u64 {
    // SAFETY: as above.
    unsafe { if is_x86() { load::<80>(regs) } else { load::<0>(regs) } }
}

/// Where the stack of the function that is entered begins, which is no other call's before it returns.
///
/// # Safety
/// `regs` is the context of a kprobe.
#[inline(always)]
pub unsafe fn stack_entered(regs: *mut c_void) -> u64 {
    // SAFETY: as above.
    unsafe { if is_x86() { load::<152>(regs) } else { load::<248>(regs) } }
}

/// The same as it returns: on x86 the address to return to has been taken off the stack.
///
/// # Safety
/// `regs` is the context of a kretprobe.
#[inline(always)]
pub unsafe fn stack_returned(regs: *mut c_void) -> u64 {
    // SAFETY: as above.
    unsafe { if is_x86() { load::<152>(regs).wrapping_sub(8) } else { load::<248>(regs) } }
}

//! The globals of one kernel and one watch. Pure.
use tracer_common::{LAYOUT, config::Config};

use crate::{
    model::process::{ExitFilter, ExitScope},
    probe::kernel::KernelInfo,
};

/// Offsets in `struct pt_regs` of the registers that hold the first arguments of a function, in bytes:
/// rdi and rsi (arch/x86/include/asm/ptrace.h).
#[cfg(target_arch = "x86_64")]
const ARGUMENTS: [u32; 2] = [112, 104];
/// The same of the value returned: rax.
#[cfg(target_arch = "x86_64")]
const RETURNED: u32 = 80;
/// x0 and x1 (arch/arm64/include/asm/ptrace.h).
#[cfg(target_arch = "aarch64")]
const ARGUMENTS: [u32; 2] = [0, 8];
/// x0.
#[cfg(target_arch = "aarch64")]
const RETURNED: u32 = 0;

/// What the programs are told before they are loaded: `page_size` is in bytes, `exits` are the signals
/// and exits asked for; every n-th event is dropped on purpose if `fail_every` is not 0.
pub fn config(kernel: &KernelInfo, page_size: u64, exits: ExitScope, fail_every: u32) -> Config {
    Config {
        layout: LAYOUT,
        task: kernel.allowed.task(),
        read_kernel: u32::from(kernel.allowed.read_kernel),
        read_user: kernel.allowed.read_user(),
        fail_every,
        signals: exits.signals,
        exits: u32::from(exits.exits != ExitFilter::None),
        page_shift: page_size.trailing_zeros(),
        register_arg_0: ARGUMENTS[0],
        register_arg_1: ARGUMENTS[1],
        register_ret: RETURNED,
        offsets: kernel.offsets,
    }
}

//! The globals of one kernel and one watch. Pure.
use tracer_common::{
    LAYOUT,
    config::{self, CGROUP_V2, Config},
};

use crate::{
    model::{
        process::{ExitFilter, ExitScope},
        remote::SHARED,
    },
    probe::kernel::KernelInfo,
};

/// Offsets in `struct pt_regs` of the registers that hold the first arguments of a function, in bytes:
/// rdi, rsi and rdx (arch/x86/include/asm/ptrace.h).
#[cfg(target_arch = "x86_64")]
const ARGUMENTS: [u32; 3] = [112, 104, 96];
/// The same of the value returned: rax.
#[cfg(target_arch = "x86_64")]
const RETURNED: u32 = 80;
/// x0, x1 and x2 (arch/arm64/include/asm/ptrace.h).
#[cfg(target_arch = "aarch64")]
const ARGUMENTS: [u32; 3] = [0, 8, 16];
/// x0.
#[cfg(target_arch = "aarch64")]
const RETURNED: u32 = 0;

/// EM_X86_64 (include/uapi/linux/elf-em.h).
#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = 62;
/// EM_AARCH64
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = 183;

/// mmap(2) and its like, which succeed whether or not their pages are to be had; mlock(2) and madvise(2) with
/// MADV_POPULATE_*, which say themselves if they are not. x86 alone numbers them in two ways: its 32-bit calls
/// are not among these.
const POPULATING: [libc::c_long; 11] = [
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_mprotect,
    libc::SYS_pkey_mprotect,
    libc::SYS_shmat,
    libc::SYS_remap_file_pages,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_madvise,
];

/// What the programs are told before they are loaded: `page_size` is in bytes, `exits` are the signals
/// and exits asked for, `shared` says whether shrinks are that only other hosts may suffer from; every n-th
/// event is dropped on purpose if `fail_every` is not 0.
pub fn config(
    kernel: &KernelInfo,
    page_size: u64,
    exits: ExitScope,
    shared: bool,
    fail_every: u32,
) -> Config {
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
        register_arg_2: ARGUMENTS[2],
        register_ret: RETURNED,
        task_regs: u32::from(kernel.allowed.task_regs),
        machine: MACHINE,
        pad: 0,
        populating: POPULATING.map(|call| u32::try_from(call).unwrap_or(u32::MAX)),
        cgroup_controller: kernel.cgroup_v1.map_or(CGROUP_V2, |v1| v1.controller),
        cgroup_hierarchy: kernel.cgroup_v1.map_or(0, |v1| v1.hierarchy),
        shared: if shared { SHARED } else { [0; config::SHARED] },
        offsets: kernel.offsets,
    }
}

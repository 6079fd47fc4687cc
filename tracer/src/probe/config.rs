//! The globals of one kernel and one watch. Pure.
use tracer_common::{
    LAYOUT,
    config::{self, CGROUP_V2, Config, machine},
};

use crate::{
    model::{
        process::{ExitFilter, ExitScope},
        remote::SHARED,
    },
    probe::kernel::KernelInfo,
};

#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = machine::X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = machine::AARCH64;

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
        signals: exits.heard(),
        exits: u32::from(exits.exits != ExitFilter::None),
        page_shift: page_size.trailing_zeros(),
        task_regs: u32::from(kernel.allowed.task_regs),
        machine: MACHINE,
        find_vma: u32::from(kernel.allowed.find_vma),
        populating: POPULATING.map(|call| u32::try_from(call).unwrap_or(u32::MAX)),
        cgroup_controller: kernel.cgroup_v1.map_or(CGROUP_V2, |v1| v1.controller),
        cgroup_hierarchy: kernel.cgroup_v1.map_or(0, |v1| v1.hierarchy),
        shared: if shared { SHARED } else { [0; config::SHARED] },
        offsets: kernel.offsets,
    }
}

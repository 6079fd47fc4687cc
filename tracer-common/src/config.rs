//! The read-only global that the loader fills in before the programs are verified: what this kernel's
//! verifier allows, what is asked for, and where the fields of its structs lie.
use crate::offsets::Offsets;

/// How the current task can be read (`Config::task`).
pub mod task {
    /// Not at all: helpers only.
    pub const HELPERS: u32 = 0;
    /// `bpf_get_current_task` and `bpf_probe_read_kernel` (before 5.11).
    pub const PROBE: u32 = 1;
    /// `bpf_get_current_task_btf` and plain loads.
    pub const TYPED: u32 = 2;
}

/// How user memory can be read (`Config::read_user`).
pub mod read_user {
    /// Not at all.
    pub const NONE: u32 = 0;
    /// `bpf_probe_read_user`.
    pub const PROBE: u32 = 1;
    /// `bpf_snprintf` with `%pus` (since 5.13), where the former is out of reach.
    pub const SNPRINTF: u32 = 2;
}

/// The processor, as ELF names it (include/uapi/linux/elf-em.h).
pub mod machine {
    pub const X86_64: u32 = 62;
    pub const AARCH64: u32 = 183;
}

/// `Config::cgroup_controller`: none, the v2 hierarchy names cgroups.
pub const CGROUP_V2: u32 = u32::MAX;

/// Places in `Config::shared`.
pub const SHARED: usize = 16;

/// Everything the programs are told before they are loaded.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Config {
    /// [`crate::LAYOUT`] of whoever filled this in.
    pub layout: u32,
    /// One of [`task`].
    pub task: u32,
    /// 1 if `bpf_probe_read_kernel` may be called (no confidentiality lockdown).
    pub read_kernel: u32,
    /// One of [`read_user`].
    pub read_user: u32,
    /// Every n-th event finds no room (tests of loss accounting); 0 never.
    pub fail_every: u32,
    /// Signals that are traced, `1 << number`; SIGBUS always is one of them.
    pub signals: u32,
    /// 1 if every exit with a status other than zero is traced.
    pub exits: u32,
    /// Binary logarithm of the size of a page, in bytes (PAGE_SHIFT).
    pub page_shift: u32,
    /// 1 if `bpf_task_pt_regs` may be called (since 5.15).
    pub task_regs: u32,
    /// One of [`machine`].
    pub machine: u32,
    /// 1 if `bpf_find_vma` may be called (since 5.17), and `bpf_loop`.
    pub find_vma: u32,
    /// Numbers of the system calls that have pages ready without anybody touching them; u32::MAX in places
    /// that are not used.
    pub populating: [u32; 11],
    /// Whose hierarchy names a task's cgroup: the place of a controller in `enum cgroup_subsys_id`, whose v1
    /// hierarchy it is, or [`CGROUP_V2`].
    pub cgroup_controller: u32,
    /// `cgroup_root.hierarchy_id` of that hierarchy; 0 is the v2 one.
    pub cgroup_hierarchy: u32,
    /// `s_magic` of the file systems that other hosts change too, whose shrinks are sent also when nobody here
    /// maps the file; 0 in places that are not used.
    pub shared: [u32; SHARED],
    pub offsets: Offsets,
}

impl Config {
    /// What the object holds before the loader has looked.
    pub const NONE: Self = Self {
        layout: crate::LAYOUT,
        task: task::HELPERS,
        read_kernel: 0,
        read_user: 0,
        fail_every: 0,
        signals: 0,
        exits: 0,
        page_shift: 0,
        task_regs: 0,
        machine: 0,
        find_vma: 0,
        populating: [u32::MAX; 11],
        cgroup_controller: CGROUP_V2,
        cgroup_hierarchy: 0,
        shared: [0; SHARED],
        offsets: Offsets::NONE,
    };
}

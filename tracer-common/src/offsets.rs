//! Where the fields of the running kernel's structs lie: the table the loader looks up in BTF.

/// Offset of a field this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident: $root:literal $path:literal $(or $alt:literal)* $(, $optional:ident)?;)*) => {
        /// Byte offsets of kernel struct fields, from the running kernel's BTF.
        #[repr(C)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct Offsets {
            $($(#[$doc])* pub $name: u32,)*
        }

        impl Offsets {
            /// All absent: what the object holds before the loader has looked.
            pub const NONE: Self = Self { $($name: ABSENT,)* };

            /// How each offset is found, in the order of the struct's fields.
            pub const FIELDS: &'static [Field] = &[$(Field {
                name: stringify!($name),
                root: $root,
                paths: &[$path $(, $alt)*],
                optional: offsets!(@optional $($optional)?),
            },)*];

            /// The offsets in the order of [`Self::FIELDS`].
            pub fn from_slice(values: &[u32]) -> Option<Self> {
                let mut values = values.iter().copied();
                Some(Self { $($name: values.next()?,)* })
            }
        }
    };
    (@optional) => { false };
    (@optional optional) => { true };
}

/// One row of the offset table.
pub struct Field {
    /// Name in [`Offsets`].
    pub name: &'static str,
    /// The struct that is looked up in BTF.
    pub root: &'static str,
    /// Dotted member paths, the first that exists wins; anonymous members are looked through.
    pub paths: &'static [&'static str],
    /// A kernel without it can still be traced.
    pub optional: bool,
}

offsets! {
    vmf_vma: "vm_fault" "vma";
    vmf_pgoff: "vm_fault" "pgoff";
    vmf_address: "vm_fault" "address";
    /// Since 5.16; before it `address` is all there is, and page-aligned.
    vmf_real_address: "vm_fault" "real_address", optional;
    vmf_flags: "vm_fault" "flags";
    vma_start: "vm_area_struct" "vm_start";
    vma_end: "vm_area_struct" "vm_end";
    vma_pgoff: "vm_area_struct" "vm_pgoff";
    vma_flags: "vm_area_struct" "vm_flags";
    vma_file: "vm_area_struct" "vm_file";
    vma_mm: "vm_area_struct" "vm_mm";
    vma_private: "vm_area_struct" "vm_private_data";
    vma_ops: "vm_area_struct" "vm_ops";
    vm_ops_fault: "vm_operations_struct" "fault";
    vm_ops_mkwrite: "vm_operations_struct" "page_mkwrite";
    vm_ops_pfn_mkwrite: "vm_operations_struct" "pfn_mkwrite";
    special_name: "vm_special_mapping" "name", optional;
    /// Needs CONFIG_MEMCG.
    mm_owner: "mm_struct" "owner", optional;
    mm_arg_start: "mm_struct" "arg_start";
    mm_arg_end: "mm_struct" "arg_end";
    mm_exe_file: "mm_struct" "exe_file";
    /// Until 6.0: the list of VMAs.
    mm_mmap: "mm_struct" "mmap", optional;
    vma_next: "vm_area_struct" "vm_next", optional;
    file_inode: "file" "f_inode";
    file_mode: "file" "f_mode";
    file_mapping: "file" "f_mapping";
    file_op: "file" "f_op";
    file_pos: "file" "f_pos", optional;
    file_private: "file" "private_data", optional;
    space_host: "address_space" "host";
    path_dentry: "path" "dentry";
    file_path_mnt: "file" "f_path.mnt";
    file_path_dentry: "file" "f_path.dentry";
    /// Since 6.5 (overlayfs): the path the user opened, beside the one of the real file.
    backing_path_mnt: "backing_file" "user_path.mnt", optional;
    backing_path_dentry: "backing_file" "user_path.dentry", optional;
    inode_ino: "inode" "i_ino";
    inode_size: "inode" "i_size";
    inode_generation: "inode" "i_generation";
    inode_sb: "inode" "i_sb";
    inode_nlink: "inode" "i_nlink";
    inode_mode: "inode" "i_mode";
    inode_rdev: "inode" "i_rdev";
    inode_uid: "inode" "i_uid";
    inode_gid: "inode" "i_gid";
    inode_mapping: "inode" "i_mapping";
    inode_ctime_sec: "inode" "i_ctime_sec" or "__i_ctime.tv_sec" or "i_ctime.tv_sec";
    inode_ctime_nsec: "inode" "i_ctime_nsec" or "__i_ctime.tv_nsec" or "i_ctime.tv_nsec";
    inode_writecount: "inode" "i_writecount.counter";
    mapping_writable: "address_space" "i_mmap_writable.counter";
    mapping_root: "address_space" "i_mmap.rb_root.rb_node";
    sb_dev: "super_block" "s_dev";
    sb_magic: "super_block" "s_magic";
    sb_info: "super_block" "s_fs_info";
    sb_flags: "super_block" "s_flags";
    /// Where ext4 is built in.
    ext4_flags: "ext4_sb_info" "s_ext4_flags", optional;
    ext4_journal: "ext4_sb_info" "s_journal", optional;
    journal_flags: "journal_s" "j_flags", optional;
    shmem_max: "shmem_sb_info" "max_blocks", optional;
    shmem_used: "shmem_sb_info" "used_blocks.count", optional;
    dentry_inode: "dentry" "d_inode";
    dentry_parent: "dentry" "d_parent";
    dentry_name: "dentry" "d_name.name";
    dentry_name_len: "dentry" "d_name.len";
    dentry_inline: "dentry" "d_shortname" or "d_iname";
    dentry_pprev: "dentry" "d_hash.pprev";
    mount_mnt: "mount" "mnt";
    mount_parent: "mount" "mnt_parent";
    mount_mountpoint: "mount" "mnt_mountpoint";
    mount_devname: "mount" "mnt_devname";
    mount_id: "mount" "mnt_id", optional;
    vfsmount_root: "vfsmount" "mnt_root";
    file_flags: "file" "f_flags";
    iattr_valid: "iattr" "ia_valid";
    iattr_size: "iattr" "ia_size";
    iattr_file: "iattr" "ia_file";
    task_tgid: "task_struct" "tgid";
    task_pid: "task_struct" "pid";
    task_flags: "task_struct" "flags";
    task_comm: "task_struct" "comm";
    /// `real_start_time` before 5.5, and in RHEL 8 for good: the same clock (kernel/fork.c copy_process).
    task_start: "task_struct" "start_boottime" or "real_start_time";
    task_leader: "task_struct" "group_leader";
    task_parent: "task_struct" "real_parent";
    task_mm: "task_struct" "mm";
    task_signal: "task_struct" "signal";
    task_exit_code: "task_struct" "exit_code";
    /// What others may do to a task goes by this one, not by `cred`.
    task_cred: "task_struct" "real_cred";
    cred_uid: "cred" "uid";
    /// Needs CONFIG_AUDIT.
    task_loginuid: "task_struct" "loginuid.val", optional;
    task_sessionid: "task_struct" "sessionid", optional;
    task_files: "task_struct" "files", optional;
    files_fdt: "files_struct" "fdt", optional;
    fdt_fd: "fdtable" "fd", optional;
    task_min_flt: "task_struct" "min_flt";
    task_maj_flt: "task_struct" "maj_flt";
    /// Until 6.0: the VMAs a thread has looked up last.
    task_vmacache: "task_struct" "vmacache.vmas", optional;
    task_nsproxy: "task_struct" "nsproxy";
    nsproxy_mnt: "nsproxy" "mnt_ns";
    mnt_ns_inum: "mnt_namespace" "ns.inum";
    /// Needs CONFIG_CGROUPS, as all of cgroups does.
    task_cgroups: "task_struct" "cgroups", optional;
    css_set_dfl: "css_set" "dfl_cgrp", optional;
    css_set_subsys: "css_set" "subsys", optional;
    css_cgroup: "cgroup_subsys_state" "cgroup", optional;
    cgroup_kn: "cgroup" "kn", optional;
    cgroup_root: "cgroup" "root", optional;
    root_hierarchy: "cgroup_root" "hierarchy_id", optional;
    kn_id: "kernfs_node" "id", optional;
    task_thread_pid: "task_struct" "thread_pid";
    /// Where the stack of a thread in the kernel lies.
    task_stack: "task_struct" "stack", optional;
    /// The number of the system call that a thread is in.
    regs_call: "pt_regs" "orig_ax" or "syscallno", optional;
    signal_live: "signal_struct" "live.counter";
    signal_flags: "signal_struct" "flags";
    signal_group_exit_code: "signal_struct" "group_exit_code";
    signal_oom_mm: "signal_struct" "oom_mm";
    /// Needs CONFIG_TTY.
    signal_tty: "signal_struct" "tty", optional;
    tty_name: "tty_struct" "name", optional;
    /// Needs CONFIG_NET.
    socket_sk: "socket" "sk", optional;
    sock_family: "sock" "__sk_common.skc_family", optional;
    /// Where CONFIG_UNIX is built in.
    unix_peer: "unix_sock" "peer", optional;
    unix_addr: "unix_sock" "addr", optional;
    unix_path_dentry: "unix_sock" "path.dentry", optional;
    unix_name: "unix_address" "name", optional;
    oom_memcg: "oom_control" "memcg", optional;
    oom_chosen: "oom_control" "chosen", optional;
    oom_order: "oom_control" "order", optional;
    oom_constraint: "oom_control" "constraint", optional;
    oom_total: "oom_control" "totalpages", optional;
    /// Needs CONFIG_MEMCG, as all of memory cgroups does.
    memcg_cgroup: "mem_cgroup" "css.cgroup", optional;
    memcg_limit: "mem_cgroup" "memory.max", optional;
    memcg_used: "mem_cgroup" "memory.usage.counter", optional;
    /// Of memory and swap together in a v1 hierarchy; in the v2 one the same place counts swap alone.
    memcg_memsw_limit: "mem_cgroup" "memsw.max", optional;
    memcg_memsw_used: "mem_cgroup" "memsw.usage.counter", optional;
    pid_level: "pid" "level";
    pid_numbers: "pid" "numbers";
    siginfo_code: "kernel_siginfo" "si_code";
    siginfo_fields: "kernel_siginfo" "_sifields";
    sigaction_handler: "k_sigaction" "sa.sa_handler";
}

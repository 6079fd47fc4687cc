//! The table of probes: one row for each thing to see, its programs in order of preference.
use crate::{
    model::observe::Observe,
    probe::form::{Form, Needs, Program},
};

/// What there is to see, and the programs that see it.
#[derive(Debug)]
pub struct Row {
    pub observe: Observe,
    /// A second program on one hook, for the calls that the first was not run for because it was
    /// running already on that CPU. A kernel that does not preempt needs none.
    pub backup: bool,
    /// Attached only once this module is there; without it there is nothing to see.
    pub module: Option<&'static str>,
    /// What is unknown without it.
    pub blind: &'static str,
    /// The first that fits a kernel is attached.
    pub programs: &'static [Program],
}

impl Row {
    /// Whether it must be attached before all others: of two programs in front of one function, the one
    /// that was attached last runs first (kernel/bpf/trampoline.c bpf_trampoline_link_prog).
    pub fn goes_first(&self) -> bool {
        self.backup && self.observe == Observe::Shrink
    }

    /// Whether only who asks for ends of processes needs it, beside those of bus errors.
    pub fn only_for_ends(&self) -> bool {
        use Observe::{Exec, Fork, OomKill, OomKillEnd};
        matches!(self.observe, Exec | Fork | OomKill | OomKillEnd)
    }

    /// What must be seen, too, if this is to be: who is told of the beginning alone takes everything after it for a
    /// part of it.
    pub fn partner(&self) -> Option<Observe> {
        match self.observe {
            Observe::OomKill => Some(Observe::OomKillEnd),
            Observe::OomKillEnd => Some(Observe::OomKill),
            _ => None,
        }
    }

    /// Whether it sees what `other` was not run for.
    pub fn stands_in_for(&self, other: &Self) -> bool {
        self.observe == other.observe && self.backup && !other.backup
    }
}

const fn program(name: &'static str, form: Form, needs: Needs) -> Program {
    Program { name, form, needs }
}

const VM_FAULT: Needs = Needs::Prototype { params: 1, key: (0, "vm_fault") };
const VM_FAULT_2: Needs = Needs::Prototype { params: 2, key: (0, "vm_fault") };
const NOTIFY_CHANGE_0: Needs = Needs::Prototype { params: 3, key: (0, "dentry") };
const NOTIFY_CHANGE_1: Needs = Needs::Prototype { params: 4, key: (1, "dentry") };
/// filemap_read_folio(file, filler, folio); from 5.13 to 5.15 filemap_read_page(file, mapping, page).
const READ_FILE: Needs = Needs::Prototype { params: 3, key: (0, "file") };
const FORCE_SIG_FAULT: Needs = Needs::Count(3);
const FALLOCATE: Needs = Needs::Prototype { params: 4, key: (0, "file") };
const SEND_SIGNAL: Needs = Needs::Prototype { params: 5, key: (1, "kernel_siginfo") };
const OOM_CONTROL: Needs = Needs::Prototype { params: 2, key: (0, "oom_control") };
const OOM: &str =
    "what ran out before an OOM kill: which memory cgroup, at which limit, or the host";
const SHRINKS: &str = "truncated, truncated-by-self: who shrank a file";
const DEVICES: &str = "device-mapping, and every fault whose handler is not hooked";
const COLLAPSES: &str = "truncated by fallocate(FALLOC_FL_COLLAPSE_RANGE)";
const FUSE: &str = "that a FUSE server shrank a file is likely only, never proven";
const OPEN: &str = "truncated by open(O_TRUNC) on FUSE, CIFS and Ceph (taken for shrunk-elsewhere)";
const NFS: &str = "that an NFS file was shrunk elsewhere is likely only, never proven";
const REFUSAL: &str = "that ext4 had no room for a page is likely only, never proven";
const REFUSAL_XFS: &str = "that xfs had no room for a page is likely only, never proven";
const REFUSAL_BTRFS: &str =
    "that btrfs had no room for a page is likely only, never proven (before 5.14)";
const CGROUPS: &str = "the cgroup, unit and container of who is gone with its cgroup at once";
const EXITS: &str = "how the victim ended (exit status, core dump)";
const SIGNALS: &str = "sent, and every bus error that no file fault caused";

/// Every probe, in the order in which they are attached and listed.
pub const TABLE: &[Row] = &[
    Row {
        observe: Observe::FileFault,
        backup: false,
        module: None,
        blind: "faults on ext4, xfs, btrfs, NFS and FUSE files",
        programs: &[program("filemap_fault", Form::Fexit("filemap_fault"), VM_FAULT)],
    },
    Row {
        observe: Observe::ShmemFault,
        backup: false,
        module: None,
        blind: "faults on tmpfs, memfd and shared memory",
        programs: &[program("shmem_fault", Form::Fexit("shmem_fault"), VM_FAULT)],
    },
    Row {
        observe: Observe::PageMkwrite,
        backup: false,
        module: None,
        blind: "no-space: writes to a hole of a full file system",
        programs: &[
            program("page_mkwrite_1", Form::Fexit("do_page_mkwrite"), VM_FAULT),
            program("page_mkwrite_2", Form::Fexit("do_page_mkwrite"), VM_FAULT_2),
        ],
    },
    Row {
        observe: Observe::HugetlbFault,
        backup: false,
        module: None,
        blind: "hugepages",
        programs: &[program(
            "hugetlb_fault",
            Form::Fexit("hugetlb_fault"),
            Needs::Prototype { params: 4, key: (1, "vm_area_struct") },
        )],
    },
    Row {
        observe: Observe::SpecialMappingFault,
        backup: false,
        module: None,
        blind: "special-mapping: vdso, vvar",
        programs: &[program(
            "special_mapping_fault",
            Form::Fexit("special_mapping_fault"),
            VM_FAULT,
        )],
    },
    Row {
        observe: Observe::UserfaultFault,
        backup: false,
        module: None,
        blind: "userfaultfd",
        programs: &[program("handle_userfault", Form::Fexit("handle_userfault"), VM_FAULT_2)],
    },
    Row {
        observe: Observe::ReadError,
        backup: false,
        module: None,
        blind: "which errno a failed read returned (before 5.13)",
        programs: &[
            program("filemap_read_folio", Form::Fexit("filemap_read_folio"), READ_FILE),
            program("filemap_read_folio", Form::Fexit("filemap_read_page"), READ_FILE),
        ],
    },
    Row {
        observe: Observe::MkwriteErrno,
        backup: false,
        module: None,
        blind: REFUSAL,
        programs: &[program(
            "block_page_mkwrite",
            Form::Fexit("block_page_mkwrite"),
            Needs::Prototype { params: 3, key: (0, "vm_area_struct") },
        )],
    },
    Row {
        observe: Observe::Ext4Refusal,
        backup: false,
        module: Some("ext4"),
        blind: REFUSAL,
        programs: &[
            program(
                "ext4_should_retry_alloc",
                Form::Fentry("ext4_should_retry_alloc"),
                Needs::Prototype { params: 2, key: (0, "super_block") },
            ),
            program(
                "ext4_should_retry_called",
                Form::Kprobe("ext4_should_retry_alloc"),
                Needs::ReadKernel,
            ),
        ],
    },
    Row {
        observe: Observe::XfsRefusal,
        backup: false,
        module: Some("xfs"),
        blind: REFUSAL_XFS,
        programs: &[program(
            "xfs_delalloc_enospc",
            Form::RawTp("xfs_delalloc_enospc"),
            Needs::ReadKernel,
        )],
    },
    Row {
        observe: Observe::BtrfsRefusal,
        backup: false,
        module: Some("btrfs"),
        blind: REFUSAL_BTRFS,
        programs: &[program(
            "btrfs_reserve_ticket",
            Form::RawTp("btrfs_reserve_ticket"),
            Needs::ReadKernel,
        )],
    },
    Row {
        observe: Observe::ShmemRefusal,
        backup: false,
        module: None,
        blind: "that a tmpfs is full is likely only, where the count of its pages may be short",
        programs: &[program(
            "shmem_unused_huge_shrink",
            Form::Fentry("shmem_unused_huge_shrink"),
            Needs::Prototype { params: 3, key: (0, "shmem_sb_info") },
        )],
    },
    Row {
        observe: Observe::SwapIn,
        backup: false,
        module: None,
        blind: "that shared memory could not be read back from swap",
        programs: &[
            program(
                "shmem_swapin",
                Form::Kretprobe("shmem_swapin_folio"),
                Needs::Known("shmem_swapin_folio"),
            ),
            program(
                "shmem_swapin",
                Form::Kretprobe("shmem_swapin_page"),
                Needs::Known("shmem_swapin_page"),
            ),
        ],
    },
    Row {
        observe: Observe::QuotaLimit,
        backup: false,
        module: None,
        blind: "whose quota was used up, where no quotactl(2) tells it afterwards; quota on xfs",
        programs: &[program(
            "quota_send_warning",
            Form::Kprobe("quota_send_warning"),
            Needs::ReadKernel,
        )],
    },
    Row {
        observe: Observe::DaxFault,
        backup: false,
        module: Some("nd_pmem"),
        blind: "faults on DAX files of system calls (those with a signal are seen as it is raised)",
        programs: &[program(
            "dax_iomap_fault",
            Form::Fexit("dax_iomap_fault"),
            Needs::Prototype { params: 5, key: (0, "vm_fault") },
        )],
    },
    Row {
        observe: Observe::ForcedSignal,
        backup: false,
        module: None,
        blind: DEVICES,
        programs: &[
            program("force_sig_fault", Form::Fentry("force_sig_fault"), Needs::FindVma(3)),
            program("force_sig_fault_cached", Form::Fentry("force_sig_fault"), FORCE_SIG_FAULT),
        ],
    },
    Row {
        observe: Observe::Collapse,
        backup: false,
        module: None,
        blind: COLLAPSES,
        programs: &[program("vfs_fallocate_enter", Form::Fentry("vfs_fallocate"), FALLOCATE)],
    },
    Row {
        observe: Observe::CollapseResult,
        backup: false,
        module: None,
        blind: "whether a collapse succeeded",
        programs: &[program("vfs_fallocate_exit", Form::Fexit("vfs_fallocate"), FALLOCATE)],
    },
    Row {
        observe: Observe::FuseSize,
        backup: false,
        module: Some("fuse"),
        blind: FUSE,
        programs: &[
            program(
                "fuse_attributes_enter",
                Form::Fentry("fuse_change_attributes"),
                Needs::First(&["inode", "fuse_attr"]),
            ),
            program(
                "fuse_attributes_called",
                Form::Kprobe("fuse_change_attributes"),
                Needs::ReadKernel,
            ),
        ],
    },
    Row {
        observe: Observe::FuseSizeResult,
        backup: false,
        module: Some("fuse"),
        blind: FUSE,
        programs: &[
            program(
                "fuse_attributes_exit",
                Form::Fexit("fuse_change_attributes"),
                Needs::First(&["inode", "fuse_attr"]),
            ),
            program(
                "fuse_attributes_returned",
                Form::Kretprobe("fuse_change_attributes"),
                Needs::ReadKernel,
            ),
        ],
    },
    Row {
        observe: Observe::OpenTruncate,
        backup: false,
        module: None,
        blind: OPEN,
        programs: &[program("vfs_open", Form::Fentry("vfs_open"), Needs::First(&["path", "file"]))],
    },
    Row {
        observe: Observe::NfsSize,
        backup: false,
        module: Some("nfs"),
        blind: NFS,
        programs: &[program("nfs_size", Form::RawTp("nfs_size_update"), Needs::ReadKernel)],
    },
    Row {
        observe: Observe::NfsSizeReply,
        backup: false,
        module: Some("nfs"),
        blind: NFS,
        programs: &[program("nfs_size", Form::RawTp("nfs_size_wcc"), Needs::ReadKernel)],
    },
    Row {
        observe: Observe::NfsStale,
        backup: false,
        module: Some("nfs"),
        blind: "stale-handle, where the kernel makes EIO of it",
        programs: &[program("nfs_stale", Form::RawTp("nfs_set_inode_stale"), Needs::ReadKernel)],
    },
    Row {
        observe: Observe::Shrink,
        backup: true,
        module: None,
        blind: "shrinks that a preempted program was not run for",
        programs: &[program(
            "notify_change_backup",
            Form::Fentry("notify_change"),
            Needs::Prototype { params: 4, key: (1, "dentry") },
        )],
    },
    Row {
        observe: Observe::Shrink,
        backup: false,
        module: None,
        blind: SHRINKS,
        programs: &[
            program("notify_change_enter_0", Form::Fentry("notify_change"), NOTIFY_CHANGE_0),
            program("notify_change_enter_1", Form::Fentry("notify_change"), NOTIFY_CHANGE_1),
        ],
    },
    Row {
        observe: Observe::ShrinkResult,
        backup: false,
        module: None,
        blind: "whether a shrink succeeded",
        programs: &[
            program("notify_change_exit_0", Form::Fexit("notify_change"), NOTIFY_CHANGE_0),
            program("notify_change_exit_1", Form::Fexit("notify_change"), NOTIFY_CHANGE_1),
        ],
    },
    Row {
        observe: Observe::SignalGenerated,
        backup: false,
        module: None,
        blind: SIGNALS,
        programs: &[
            program("signal_generate", Form::TpBtf("signal_generate"), Needs::ReadKernel),
            program("send_signal", Form::Fentry("__send_signal_locked"), SEND_SIGNAL),
            program("send_signal", Form::Fentry("__send_signal"), SEND_SIGNAL),
        ],
    },
    Row {
        observe: Observe::SignalDelivered,
        backup: false,
        module: None,
        blind: "whether a handler ran (outcomes exited and survived)",
        programs: &[program("signal_deliver", Form::TpBtf("signal_deliver"), Needs::Hook)],
    },
    Row {
        observe: Observe::OomKill,
        backup: false,
        module: None,
        blind: OOM,
        programs: &[Program {
            name: "oom_kill_enter",
            form: Form::Fentry("oom_kill_process"),
            needs: OOM_CONTROL,
        }],
    },
    Row {
        observe: Observe::OomKillEnd,
        backup: false,
        module: None,
        blind: OOM,
        programs: &[Program {
            name: "oom_kill_exit",
            form: Form::Fexit("oom_kill_process"),
            needs: OOM_CONTROL,
        }],
    },
    Row {
        observe: Observe::Exit,
        backup: false,
        module: None,
        blind: EXITS,
        programs: &[
            program("taskstats_exit", Form::Fentry("taskstats_exit"), Needs::FindVma(2)),
            program("taskstats_exit_list", Form::Fentry("taskstats_exit"), Needs::Count(2)),
            program("sched_process_exit", Form::TpBtf("sched_process_exit"), Needs::Hook),
        ],
    },
    Row {
        observe: Observe::Exit,
        backup: true,
        module: None,
        blind: "ends that a preempted program was not run for",
        programs: &[program("sched_process_exit", Form::TpBtf("sched_process_exit"), Needs::Hook)],
    },
    Row {
        observe: Observe::Exec,
        backup: false,
        module: None,
        blind: "as which process a victim was started again",
        programs: &[program("sched_process_exec", Form::TpBtf("sched_process_exec"), Needs::Hook)],
    },
    Row {
        observe: Observe::Fork,
        backup: false,
        module: None,
        blind: "as which process a forked worker was replaced",
        programs: &[program("sched_process_fork", Form::TpBtf("sched_process_fork"), Needs::Hook)],
    },
    Row {
        observe: Observe::Exec,
        backup: true,
        module: None,
        blind: "restarts that a preempted program was not run for",
        programs: &[program(
            "sched_process_exec_backup",
            Form::TpBtf("sched_process_exec"),
            Needs::Hook,
        )],
    },
    Row {
        observe: Observe::Fork,
        backup: true,
        module: None,
        blind: "forked workers that a preempted program was not run for",
        programs: &[program(
            "sched_process_fork_backup",
            Form::TpBtf("sched_process_fork"),
            Needs::Hook,
        )],
    },
    Row {
        observe: Observe::CgroupMade,
        backup: false,
        module: None,
        blind: CGROUPS,
        programs: &[program("cgroup_mkdir", Form::TpBtf("cgroup_mkdir"), Needs::Hook)],
    },
    Row {
        observe: Observe::CgroupRenamed,
        backup: false,
        module: None,
        blind: CGROUPS,
        programs: &[program("cgroup_rename", Form::TpBtf("cgroup_rename"), Needs::Hook)],
    },
];

fn programs() -> impl Iterator<Item = &'static Program> {
    TABLE.iter().flat_map(|row| row.programs)
}

/// The functions that any probe hooks.
pub fn functions() -> Vec<&'static str> {
    let mut names: Vec<_> = programs().filter_map(Program::function).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The modules that any probe waits for.
pub fn modules() -> Vec<&'static str> {
    let mut names: Vec<_> = TABLE.iter().filter_map(|row| row.module).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observe::observe_of_hook;

    /// Streams of the past name hooks only, and must mean the same today.
    #[test]
    fn a_hook_of_an_old_stream_is_what_its_probe_sees() {
        for row in TABLE {
            for program in row.programs {
                let hook = program.form.to_string();
                assert_eq!(observe_of_hook(&hook), Some(row.observe), "{hook}");
            }
        }
    }

    #[test]
    fn every_thing_to_see_has_one_row_and_a_backup_stands_for_one() {
        for observe in Observe::ALL {
            let rows: Vec<_> = TABLE.iter().filter(|row| row.observe == *observe).collect();
            let first = rows.iter().filter(|row| !row.backup).count();
            assert_eq!(first, 1, "{observe:?}");
            assert!(rows.len() <= 2, "{observe:?}");
            assert!(rows.iter().all(|row| !row.programs.is_empty()), "{observe:?}");
        }
    }
}

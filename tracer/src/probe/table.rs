//! The table of probes: one row for each thing to see, its programs in order of preference.
use tracer_common::maps::call;

use crate::{
    model::observe::Observe,
    probe::{
        form::{Form, Kept, Needs, Program},
        kernel::KernelInfo,
    },
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
    /// Of those that fit a kernel the first that it attaches.
    pub programs: &'static [Program],
}

impl Row {
    /// Whether it must be attached before all others: of two programs in front of one function, the one
    /// that was attached last runs first (kernel/bpf/trampoline.c bpf_trampoline_link_prog).
    pub fn goes_first(&self) -> bool {
        self.backup && self.observe == Observe::Shrink
    }

    /// Where it stands in [`TABLE`].
    pub fn place(&self) -> usize {
        TABLE.iter().position(|row| std::ptr::eq(row, self)).unwrap_or(TABLE.len())
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

    /// Its programs, the first to be tried first.
    ///
    /// What is called rarely and decides an answer is hooked by a kprobe where the kernel preempts: a program of a trampoline
    /// is not run for a task while another one is preempted in it on that CPU (kernel/bpf/trampoline.c
    /// `__bpf_prog_enter_recur`), and in a kprobe no task is preempted (kernel/trace/bpf_trace.c trace_call_bpf). Not where
    /// the kernel does not count the kprobes that it does not run, or users may call bpf(2); and not on arm64, where
    /// interrupts are off in one, and a stack would have the file of its innermost frame alone.
    pub fn programs(&self, kernel: &KernelInfo) -> Vec<&'static Program> {
        let mut programs: Vec<&Program> = self.programs.iter().collect();
        let rare = matches!(self.observe, Observe::Exit | Observe::ForcedSignal);
        let preferred = kernel.preempts && kernel.trusts_kprobes && kernel.switches.kprobes;
        if rare && preferred && cfg!(target_arch = "x86_64") {
            for pair in programs
                .chunk_by_mut(|a, b| a.form.function() == b.form.function() && a.needs == b.needs)
            {
                pair.sort_by_key(|program| !matches!(program.form, Form::Kprobe(_)));
            }
        }
        programs
    }

    /// Whether it sees what `other` was not run for.
    pub fn stands_in_for(&self, other: &Self) -> bool {
        self.observe == other.observe && self.backup && !other.backup
    }
}

const fn program(name: &'static str, form: Form, needs: Needs) -> Program {
    Program { name, form, needs, kept: None }
}

/// As a function returns, with the arguments that the program `by` has kept as it was entered.
const fn returning(
    name: &'static str,
    function: &'static str,
    needs: Needs,
    by: &'static str,
    call: u32,
) -> Program {
    Program { name, form: Form::Kretprobe(function), needs, kept: Some(Kept { by, call }) }
}

/// What is there from the start, in one program.
const fn row(observe: Observe, blind: &'static str, programs: &'static [Program]) -> Row {
    Row { observe, backup: false, module: None, blind, programs }
}

const VM_FAULT: Needs = Needs::Prototype { params: 1, key: (0, "vm_fault") };
const VM_FAULT_2: Needs = Needs::Prototype { params: 2, key: (0, "vm_fault") };
const HUGETLB: Needs = Needs::Prototype { params: 4, key: (1, "vm_area_struct") };
/// filemap_read_folio(file, filler, folio); from 5.13 to 5.15 filemap_read_page(file, mapping, page).
const READ_FILE: Needs = Needs::Prototype { params: 3, key: (0, "file") };
const BLOCK_MKWRITE: Needs = Needs::Prototype { params: 3, key: (0, "vm_area_struct") };
const SHMEM_SHRINK: Needs = Needs::Prototype { params: 3, key: (0, "shmem_sb_info") };
const DAX: Needs = Needs::Prototype { params: 5, key: (0, "vm_fault") };
const NOTIFY_CHANGE_0: Needs = Needs::Prototype { params: 3, key: (0, "dentry") };
const NOTIFY_CHANGE_1: Needs = Needs::Prototype { params: 4, key: (1, "dentry") };
const FORCE_SIG_FAULT: Needs = Needs::Count(3);
/// In RHEL 8 the task is named, too; of a fault it is the current one (arch/x86/mm/fault.c do_sigbus).
const FORCE_SIG_FAULT_OF: Needs = Needs::Prototype { params: 4, key: (3, "task_struct") };
const FALLOCATE: Needs = Needs::Prototype { params: 4, key: (0, "file") };
const SEND_SIGNAL: Needs = Needs::Prototype { params: 5, key: (1, "kernel_siginfo") };
const OOM_CONTROL: Needs = Needs::Prototype { params: 2, key: (0, "oom_control") };
const OOM: &str =
    "what ran out before an OOM kill: which memory cgroup, at which limit, or the host";
const SHRINKS: &str = "truncated, truncated-by-self: who shrank a file";
const DEVICES: &str = "device-mapping, and every fault whose handler is not hooked";
const COLLAPSES: &str = "truncated by fallocate(FALLOC_FL_COLLAPSE_RANGE)";
const FUSE: &str = "proof of what a FUSE server shrank: likely only";
const OPEN: &str = "truncated by open(O_TRUNC) on FUSE, CIFS and Ceph (taken for shrunk-elsewhere)";
const NFS: &str = "proof that an NFS file was shrunk elsewhere: likely only";
const REFUSAL: &str = "proof that ext4 had no room for a page: likely only";
const REFUSAL_XFS: &str = "proof that xfs had no room for a page: likely only";
const REFUSAL_BTRFS: &str = "proof that btrfs had no room for a page: likely only (before 5.14)";
const CGROUPS: &str = "the cgroup, unit and container of who is gone with its cgroup at once";
const EXITS: &str = "how the victim ended (exit status, core dump)";
const SIGNALS: &str = "sent, and every bus error that no file fault caused";

/// Every probe, in the order in which they are attached and listed.
pub const TABLE: &[Row] = &[
    row(
        Observe::FileFault,
        "faults on ext4, xfs, btrfs, NFS and FUSE files",
        &[
            program("filemap_fault", Form::Fexit("filemap_fault"), VM_FAULT),
            returning(
                "filemap_fault_returned",
                "filemap_fault",
                VM_FAULT,
                "filemap_fault_called",
                call::FILEMAP_FAULT,
            ),
        ],
    ),
    row(
        Observe::ShmemFault,
        "faults on tmpfs, memfd and shared memory",
        &[
            program("shmem_fault", Form::Fexit("shmem_fault"), VM_FAULT),
            returning(
                "shmem_fault_returned",
                "shmem_fault",
                VM_FAULT,
                "shmem_fault_called",
                call::SHMEM_FAULT,
            ),
        ],
    ),
    row(
        Observe::PageMkwrite,
        "no-space: writes to a hole of a full file system",
        &[
            program("page_mkwrite_1", Form::Fexit("do_page_mkwrite"), VM_FAULT),
            program("page_mkwrite_2", Form::Fexit("do_page_mkwrite"), VM_FAULT_2),
            returning(
                "page_mkwrite_returned",
                "do_page_mkwrite",
                Needs::First(&["vm_fault"]),
                "page_mkwrite_called",
                call::PAGE_MKWRITE,
            ),
        ],
    ),
    row(
        Observe::HugetlbFault,
        "hugepages",
        &[
            program("hugetlb_fault", Form::Fexit("hugetlb_fault"), HUGETLB),
            returning(
                "hugetlb_fault_returned",
                "hugetlb_fault",
                HUGETLB,
                "hugetlb_fault_called",
                call::HUGETLB_FAULT,
            ),
        ],
    ),
    row(
        Observe::SpecialMappingFault,
        "special-mapping: vdso, vvar",
        &[
            program("special_mapping_fault", Form::Fexit("special_mapping_fault"), VM_FAULT),
            returning(
                "special_mapping_returned",
                "special_mapping_fault",
                VM_FAULT,
                "special_mapping_called",
                call::SPECIAL_MAPPING_FAULT,
            ),
        ],
    ),
    row(
        Observe::UserfaultFault,
        "userfaultfd",
        &[
            program("handle_userfault", Form::Fexit("handle_userfault"), VM_FAULT_2),
            returning(
                "userfault_returned",
                "handle_userfault",
                VM_FAULT_2,
                "userfault_called",
                call::USERFAULT,
            ),
        ],
    ),
    row(
        Observe::ReadError,
        "which errno a failed read returned (before 5.13)",
        &[
            program("filemap_read_folio", Form::Fexit("filemap_read_folio"), READ_FILE),
            program("filemap_read_folio", Form::Fexit("filemap_read_page"), READ_FILE),
            returning(
                "filemap_read_returned",
                "filemap_read_folio",
                READ_FILE,
                "filemap_read_called",
                call::FILEMAP_READ_FOLIO,
            ),
            returning(
                "filemap_read_returned",
                "filemap_read_page",
                READ_FILE,
                "filemap_read_called",
                call::FILEMAP_READ_FOLIO,
            ),
        ],
    ),
    row(
        Observe::MkwriteErrno,
        REFUSAL,
        &[
            program("block_page_mkwrite", Form::Fexit("block_page_mkwrite"), BLOCK_MKWRITE),
            returning(
                "block_mkwrite_returned",
                "block_page_mkwrite",
                BLOCK_MKWRITE,
                "block_mkwrite_called",
                call::MKWRITE_ERRNO,
            ),
        ],
    ),
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
    row(
        Observe::ShmemRefusal,
        "that a tmpfs is full is likely only, where the count of its pages may be short",
        &[
            program(
                "shmem_unused_huge_shrink",
                Form::Fentry("shmem_unused_huge_shrink"),
                SHMEM_SHRINK,
            ),
            program("shmem_full_kprobe", Form::Kprobe("shmem_unused_huge_shrink"), SHMEM_SHRINK),
        ],
    ),
    row(
        Observe::SwapIn,
        "that shared memory could not be read back from swap",
        &[
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
    ),
    row(
        Observe::QuotaLimit,
        "whose quota was used up, where quotactl(2) cannot report it afterwards; quota on xfs",
        &[program("quota_send_warning", Form::Kprobe("quota_send_warning"), Needs::ReadKernel)],
    ),
    Row {
        observe: Observe::DaxFault,
        backup: false,
        module: Some("nd_pmem"),
        blind: "faults on DAX files of system calls (those with a signal are seen as it is raised)",
        programs: &[
            program("dax_iomap_fault", Form::Fexit("dax_iomap_fault"), DAX),
            returning(
                "dax_fault_returned",
                "dax_iomap_fault",
                DAX,
                "dax_fault_called",
                call::DAX_IOMAP_FAULT,
            ),
        ],
    },
    row(
        Observe::ForcedSignal,
        DEVICES,
        &[
            program("force_sig_fault", Form::Fentry("force_sig_fault"), Needs::FindVma(3)),
            program("force_sig_fault_kprobe", Form::Kprobe("force_sig_fault"), Needs::FindVma(3)),
            program("force_sig_fault_cached", Form::Fentry("force_sig_fault"), FORCE_SIG_FAULT),
            program(
                "force_sig_fault_cached_kprobe",
                Form::Kprobe("force_sig_fault"),
                FORCE_SIG_FAULT,
            ),
            program("force_sig_fault_cached", Form::Fentry("force_sig_fault"), FORCE_SIG_FAULT_OF),
            program(
                "force_sig_fault_cached_kprobe",
                Form::Kprobe("force_sig_fault"),
                FORCE_SIG_FAULT_OF,
            ),
            program("signal_alone", Form::TpBtf("signal_generate"), Needs::Vma),
            program("signal_alone_typed", Form::TpBtf("signal_generate"), Needs::TypedVma),
            program("signal_alone_cached", Form::TpBtf("signal_generate"), Needs::VmaCache),
        ],
    ),
    row(
        Observe::Collapse,
        COLLAPSES,
        &[
            program("vfs_fallocate_enter", Form::Fentry("vfs_fallocate"), FALLOCATE),
            program("vfs_fallocate_kprobe", Form::Kprobe("vfs_fallocate"), FALLOCATE),
        ],
    ),
    row(
        Observe::CollapseResult,
        "whether a collapse succeeded",
        &[
            program("vfs_fallocate_exit", Form::Fexit("vfs_fallocate"), FALLOCATE),
            returning(
                "fallocate_returned",
                "vfs_fallocate",
                FALLOCATE,
                "fallocate_called",
                call::FALLOCATE,
            ),
        ],
    ),
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
    row(
        Observe::OpenTruncate,
        OPEN,
        &[
            program("vfs_open", Form::Fentry("vfs_open"), Needs::First(&["path", "file"])),
            program("vfs_open_kprobe", Form::Kprobe("vfs_open"), Needs::First(&["path", "file"])),
        ],
    ),
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
        blind: "shrinks missed by a preempted probe",
        programs: &[program(
            "notify_change_backup",
            Form::Fentry("notify_change"),
            Needs::Prototype { params: 4, key: (1, "dentry") },
        )],
    },
    row(
        Observe::Shrink,
        SHRINKS,
        &[
            program("notify_change_enter_0", Form::Fentry("notify_change"), NOTIFY_CHANGE_0),
            program("notify_change_enter_1", Form::Fentry("notify_change"), NOTIFY_CHANGE_1),
            program("notify_change_kprobe_0", Form::Kprobe("notify_change"), NOTIFY_CHANGE_0),
            program("notify_change_kprobe_1", Form::Kprobe("notify_change"), NOTIFY_CHANGE_1),
        ],
    ),
    row(
        Observe::ShrinkResult,
        "whether a shrink succeeded",
        &[
            program("notify_change_exit_0", Form::Fexit("notify_change"), NOTIFY_CHANGE_0),
            program("notify_change_exit_1", Form::Fexit("notify_change"), NOTIFY_CHANGE_1),
            returning(
                "notify_change_0_returned",
                "notify_change",
                NOTIFY_CHANGE_0,
                "notify_change_0_called",
                call::NOTIFY_CHANGE,
            ),
            returning(
                "notify_change_1_returned",
                "notify_change",
                NOTIFY_CHANGE_1,
                "notify_change_1_called",
                call::NOTIFY_CHANGE,
            ),
        ],
    ),
    row(
        Observe::SignalGenerated,
        SIGNALS,
        &[
            program("signal_generate", Form::TpBtf("signal_generate"), Needs::ReadKernel),
            program("send_signal", Form::Fentry("__send_signal_locked"), SEND_SIGNAL),
            program("send_signal", Form::Fentry("__send_signal"), SEND_SIGNAL),
            program("signal_generate_typed", Form::TpBtf("signal_generate"), Needs::Hook),
        ],
    ),
    row(
        Observe::SignalDelivered,
        "whether a handler ran (outcomes exited and survived)",
        &[program("signal_deliver", Form::TpBtf("signal_deliver"), Needs::Hook)],
    ),
    row(
        Observe::OomKill,
        OOM,
        &[
            program("oom_kill_enter", Form::Fentry("oom_kill_process"), OOM_CONTROL),
            program("oom_kill_kprobe", Form::Kprobe("oom_kill_process"), OOM_CONTROL),
        ],
    ),
    row(
        Observe::OomKillEnd,
        OOM,
        &[
            program("oom_kill_exit", Form::Fexit("oom_kill_process"), OOM_CONTROL),
            program("oom_kill_kretprobe", Form::Kretprobe("oom_kill_process"), OOM_CONTROL),
        ],
    ),
    row(
        Observe::Exit,
        EXITS,
        &[
            program("taskstats_exit", Form::Fentry("taskstats_exit"), Needs::FindVma(2)),
            program("taskstats_exit_kprobe", Form::Kprobe("taskstats_exit"), Needs::FindVma(2)),
            program("taskstats_exit_list", Form::Fentry("taskstats_exit"), Needs::Count(2)),
            program("taskstats_exit_list_kprobe", Form::Kprobe("taskstats_exit"), Needs::Count(2)),
            program("sched_process_exit", Form::TpBtf("sched_process_exit"), Needs::Hook),
        ],
    ),
    Row {
        observe: Observe::Exit,
        backup: true,
        module: None,
        blind: "ends missed by a preempted probe",
        programs: &[program("sched_process_exit", Form::TpBtf("sched_process_exit"), Needs::Hook)],
    },
    row(
        Observe::Exec,
        "as which process a victim was started again",
        &[program("sched_process_exec", Form::TpBtf("sched_process_exec"), Needs::Hook)],
    ),
    row(
        Observe::Fork,
        "as which process a forked worker was replaced",
        &[program("sched_process_fork", Form::TpBtf("sched_process_fork"), Needs::Hook)],
    ),
    Row {
        observe: Observe::Exec,
        backup: true,
        module: None,
        blind: "restarts missed by a preempted probe",
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
        blind: "forked workers missed by a preempted probe",
        programs: &[program(
            "sched_process_fork_backup",
            Form::TpBtf("sched_process_fork"),
            Needs::Hook,
        )],
    },
    row(
        Observe::CgroupMade,
        CGROUPS,
        &[program("cgroup_mkdir", Form::TpBtf("cgroup_mkdir"), Needs::Hook)],
    ),
    row(
        Observe::CgroupRenamed,
        CGROUPS,
        &[program("cgroup_rename", Form::TpBtf("cgroup_rename"), Needs::Hook)],
    ),
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

    /// Streams of the past name hooks only, and must mean the same today. Younger hooks are not in them.
    #[test]
    fn a_hook_of_an_old_stream_is_what_its_probe_sees() {
        for row in TABLE {
            for program in row.programs {
                let hook = program.form.to_string();
                // One tracepoint may have come to serve another row, too.
                let Some(observe) = observe_of_hook(&hook) else { continue };
                let first = TABLE.iter().find(|row| row.observe == observe).unwrap();
                let has = |program: &Program| program.form.to_string() == hook;
                assert!(first.programs.iter().any(has), "{hook}");
            }
            let own =
                |program: &Program| observe_of_hook(&program.form.to_string()) == Some(row.observe);
            assert!(row.programs.iter().any(own), "{:?}", row.observe);
        }
    }

    /// Where trampolines are refused, all that decides a bus error is seen all the same.
    #[test]
    fn what_trampolines_see_is_seen_without_them() {
        for row in TABLE.iter().filter(|row| !row.backup) {
            let programs = || row.programs.iter();
            let hooks = programs().any(|program| program.form.is_trampoline());
            let falls_back = programs().any(|program| !program.form.is_trampoline());
            assert!(!hooks || falls_back, "{:?}", row.observe);
            // A kretprobe has no arguments but those that were kept.
            for program in programs().filter(|program| program.kept.is_some()) {
                assert!(matches!(program.form, Form::Kretprobe(_)), "{}", program.name);
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

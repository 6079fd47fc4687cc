//! What a probe sees, whatever it is attached to. User space's noun: no event and no global
//! carries it, so it is no part of the layout.

macro_rules! observe {
    ($($(#[$doc:meta])* $variant:ident: $name:literal,)*) => {
        /// What a probe sees. A kernel may offer several places to see it from, and another kernel
        /// others; who asks whether something was watched asks by this.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Observe {
            $($(#[$doc])* $variant,)*
        }

        impl Observe {
            /// Every one, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that stands for it in saved streams and histories: stays what it is.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The reverse of [`Self::word`].
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|observe| observe.word() == word)
            }
        }
    };
}

observe! {
    /// A fault that a file system's page cache failed (mm/filemap.c filemap_fault).
    FileFault: "file-fault",
    /// A fault that shared memory failed (mm/shmem.c shmem_fault).
    ShmemFault: "shmem-fault",
    /// A write to a page that its file system had no room for (mm/memory.c do_page_mkwrite).
    PageMkwrite: "page-mkwrite",
    /// A fault that huge pages failed (mm/hugetlb.c hugetlb_fault).
    HugetlbFault: "hugetlb-fault",
    /// A fault on vdso, vvar and the like (mm/mmap.c special_mapping_fault).
    SpecialMappingFault: "special-mapping-fault",
    /// A fault that a userfaultfd refused (fs/userfaultfd.c handle_userfault).
    UserfaultFault: "userfault-fault",
    /// The errno of a read into the page cache (mm/filemap.c filemap_read_folio).
    ReadError: "read-error",
    /// The errno with which a page is not made writable (fs/buffer.c block_page_mkwrite).
    MkwriteErrno: "mkwrite-errno",
    /// That ext4 has no room, also where it does without that function (fs/ext4/balloc.c ext4_should_retry_alloc).
    Ext4Refusal: "ext4-refusal",
    /// That xfs has no room for a page, within a quota or at all.
    XfsRefusal: "xfs-refusal",
    /// The errno with which btrfs has no room for a page.
    BtrfsRefusal: "btrfs-refusal",
    /// That tmpfs has no room for a page, within its size, a quota or vm.overcommit_memory
    /// (mm/shmem.c shmem_unused_huge_shrink).
    ShmemRefusal: "shmem-refusal",
    /// The errno with which a page of shared memory does not come back from swap (mm/shmem.c shmem_swapin_folio).
    SwapIn: "swap-in",
    /// That a quota has reached its limit (fs/quota/netlink.c quota_send_warning).
    QuotaLimit: "quota-limit",
    /// A fault on persistent memory (fs/dax.c dax_iomap_fault).
    DaxFault: "dax-fault",
    /// A signal that the kernel raised for a fault (kernel/signal.c force_sig_fault).
    ForcedSignal: "forced-signal",
    /// fallocate(FALLOC_FL_COLLAPSE_RANGE), as it begins.
    Collapse: "collapse",
    /// Whether a collapse succeeded.
    CollapseResult: "collapse-result",
    /// A FUSE server's word on a file's size, before it is taken over.
    FuseSize: "fuse-size",
    /// Whether a FUSE server's word was taken over.
    FuseSizeResult: "fuse-size-result",
    /// open(O_TRUNC) of a file that its server truncates inside of open(2) (fs/open.c vfs_open).
    OpenTruncate: "open-truncate",
    /// An NFS server's word on a file's size.
    NfsSize: "nfs-size",
    /// The same, in its reply to another call.
    NfsSizeReply: "nfs-size-reply",
    /// An NFS server's word that it does not know a file.
    NfsStale: "nfs-stale",
    /// truncate(2), ftruncate(2) or open(O_TRUNC), as it begins (fs/attr.c notify_change).
    Shrink: "shrink",
    /// Whether such a shrink succeeded.
    ShrinkResult: "shrink-result",
    /// A signal, as it is sent.
    SignalGenerated: "signal-generated",
    /// A signal, as it is delivered: what becomes of it.
    SignalDelivered: "signal-delivered",
    /// Whom the OOM killer chooses, and what ran out (mm/oom_kill.c oom_kill_process).
    OomKill: "oom-kill",
    /// That it is done with it.
    OomKillEnd: "oom-kill-end",
    /// The end of a process.
    Exit: "exit",
    /// A program that a process starts to execute.
    Exec: "exec",
    /// A process that another one forks.
    Fork: "fork",
    /// A cgroup as it is made: its path (kernel/cgroup/cgroup.c cgroup_mkdir).
    CgroupMade: "cgroup-made",
    /// A cgroup as it is renamed, which only v1 can (kernel/cgroup/cgroup-v1.c cgroup1_rename).
    CgroupRenamed: "cgroup-renamed",
}

//! What the probes say of themselves to `trace -v`. Numbers cross, as words of a log record; user space has the
//! sentences. No event and no global carries any of it, so it is no part of the layout.

/// Lines that one CPU says of one text within [`LOG_WITHIN`]; the rest is counted.
pub const LOG_FIRST: u64 = 20;
/// Ns.
pub const LOG_WITHIN: u64 = 1_000_000_000;

/// Lines of one text, on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct LogCount {
    /// Since when `count` counts, ns since boot.
    pub since: u64,
    pub count: u64,
    /// Lines handed to the log, since the start.
    pub sent: u64,
    /// Lines that were too many, since the start.
    pub dropped: u64,
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident by $text:ident { $($variant:ident: $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            /// By number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn $text(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)*
                }
            }
        }
    };
}

numbered! {
    /// Who says it: the function or tracepoint that a program hooks. The first ones by
    /// [`crate::event::handler`].
    Hook by name {
        Any: "whybus",
        FilemapFault: "filemap_fault",
        ShmemFault: "shmem_fault",
        PageMkwrite: "do_page_mkwrite",
        HugetlbFault: "hugetlb_fault",
        SpecialMappingFault: "special_mapping_fault",
        Userfault: "handle_userfault",
        DaxIomapFault: "dax_iomap_fault",
        ForceSigFault: "force_sig_fault",
        Exit: "do_exit",
        FilemapReadFolio: "filemap_read_folio",
        NotifyChange: "notify_change",
        Fallocate: "vfs_fallocate",
        FuseAttributes: "fuse_change_attributes",
        NfsSize: "nfs_size_update",
        VfsOpen: "vfs_open",
        BlockPageMkwrite: "block_page_mkwrite",
        FileSystem: "file system",
        QuotaWarning: "quota_send_warning",
        SignalGenerate: "signal_generate",
        SignalDeliver: "signal_deliver",
    }
}

impl Hook {
    /// Whose arguments are kept (`maps::call`).
    pub const fn of_call(call: u32) -> Self {
        use crate::maps::call;
        match call {
            call::FILEMAP_FAULT => Self::FilemapFault,
            call::SHMEM_FAULT => Self::ShmemFault,
            call::SPECIAL_MAPPING_FAULT => Self::SpecialMappingFault,
            call::PAGE_MKWRITE => Self::PageMkwrite,
            call::USERFAULT => Self::Userfault,
            call::DAX_IOMAP_FAULT => Self::DaxIomapFault,
            call::HUGETLB_FAULT => Self::HugetlbFault,
            call::MKWRITE_ERRNO => Self::BlockPageMkwrite,
            call::FILEMAP_READ_FOLIO => Self::FilemapReadFolio,
            call::NOTIFY_CHANGE => Self::NotifyChange,
            call::FALLOCATE => Self::Fallocate,
            _ => Self::Any,
        }
    }
}

numbered! {
    /// What a probe decided, or why it left. `{0}` to `{3}` stand for numbers that came with it, `{0:x}` for one in
    /// hexadecimal.
    Message by text {
        FaultOther: "returned {0:x}, an error without VM_FAULT_SIGBUS: no bus error, left alone",
        FaultPopulating: "left alone: page {0} was to be had ready beforehand, and nobody touched it",
        FaultOfUserfault: "left alone: handle_userfault has told of the fault at {0:x}",
        FaultCounted: "counted, not sent: the process has failed on inode {0} too often; page {1}",
        FaultSent: "sent: failure {0} of the process on inode {1}, at page {2} of a file of {3} B",
        ReadFailed: "noted: reading a page of inode {0} failed with errno {1}",
        RefusalNoted: "noted: no room, or no leave, for a page: errno {0}",
        RefusalUnheard: "nobody noted why the page is refused",
        RefusalTold: "told with the fault: errno {0}, noted before",
        RefusalOfOther: "not told: errno {0}, noted before of another file or in another system call",
        QuotaNoted: "noted: quota of kind {0}, id {1}, has reached its limit",
        CallUnseen: "left alone: the call was not seen to begin, and what it was called with is not known",
        SignalKnown: "not looked up: code {0} at {1:x}, which a handler has told of or which is no failed page",
        NoMapping: "bpf_find_vma returned {0}: no file is known at {1:x}",
        ShrinkNone: "left alone: from {0} B to {1} B nothing is removed, or it is recorded already",
        ShrinkByBackup: "recorded by the second program: the first was not run",
        ShrinkSent: "sent: inode {0}, which is mapped, is cut from {1} B to {2} B",
        ShrinkKept: "kept for a fault to come: inode {0} is cut from {1} B to {2} B, and nobody here maps it",
        ShrinkTooMany: "kept, not sent, for there are too many a second: inode {0} is cut from {1} B to {2} B",
        ShrinkForgotten: "cannot be remembered: inode {0}, cut from {1} B to {2} B",
        ShrinkOver: "over: it returned {0}, for inode {1} cut from {2} B to {3} B",
        ShrinkOwn: "left alone: the server answers what this thread does itself",
        Opening: "noted: inode {0} of {1} B is opened with O_TRUNC",
        WriterKept: "kept for a crash to come: inode {0}, which is mapped, is opened for writing",
        RememberedSent: "sent with it: inode {0} was cut from {1} B to {2} B by process {3}",
        RememberedKnown: "not sent again: inode {0} was cut from {1} B to {2} B by process {3}",
        RememberedNone: "no shrink of this inode is remembered",
        SignalCounted: "not sent: the signal of a fault that was counted only",
        BusSent: "sent: SIGBUS with si_code {0} for process {1}; raised for a fault: {2}",
        SignalSent: "sent: signal {0} with si_code {1} for process {2}",
        SignalOwn: "kept until the process ends: signal {0} with si_code {1}, its own doing",
        SignalPending: "left alone: signal {0} waits for process {1} already",
        SignalKept: "kept until process {1} ends: signal {0}, one of too many",
        SignalLeft: "left out, and process {1} marked: signal {0}, one of too many, for which there is no room",
        SignalIgnored: "left alone: process {1} ignores signal {0}",
        Delivered: "sent: SIGBUS is delivered, disposition {0} (0 the default, 1 ignored, 2 a handler runs)",
        ExitThreads: "left alone: {0} threads of the process live on",
        ExitKnown: "left alone: the end of this process was told before",
        ExitSent: "sent: the process ends, wait status {0:x}",
        EventDropped: "lost on purpose: an event of kind {0}, number {1} on this CPU",
        EventTorn: "lost: an event of kind {0}, number {1} on this CPU; another program ran in between",
        EventRefused: "lost: an event of kind {0}, number {1} on this CPU, for want of room",
        EventOverShare: "lost: an event of kind {0}, number {1} on this CPU: little room is left, and its user has had a share",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::handler, maps::call};

    #[test]
    fn handlers_are_hooks_by_number() {
        assert_eq!(Hook::ALL[handler::FILEMAP_FAULT as usize], Hook::FilemapFault);
        assert_eq!(Hook::ALL[handler::USERFAULT as usize], Hook::Userfault);
        assert_eq!(Hook::ALL[handler::UNATTRIBUTED as usize], Hook::ForceSigFault);
        // As `replayer::EXIT` of the probes.
        assert_eq!(Hook::ALL[handler::COUNT as usize], Hook::Exit);
    }

    #[test]
    fn every_call_has_its_hook() {
        assert!((0..call::COUNT).all(|call| Hook::of_call(call) != Hook::Any));
    }
}

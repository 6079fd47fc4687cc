//! Page faults that end in SIGBUS.
use serde::{Deserialize, Serialize};

use tracer_common::event::handler;

use crate::model::{
    Bytes,
    file::{Dev, Inode, Path},
    task::Actor,
};

/// include/linux/mm.h
const VM_PFNMAP: u64 = 0x400;
const VM_IO: u64 = 0x4000;
const VM_DONTEXPAND: u64 = 0x4_0000;
/// include/uapi/linux/magic.h: anon_inode, dma-buf. Files of drivers that are no devices.
const DRIVERS: [u64; 2] = [0x0904_1934, 0x444d_4142];

/// How the page was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Exec,
    /// The fault was looked up only when its signal was raised.
    Unknown,
}

/// On whose behalf the page was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By an instruction of the process: the fault ends in a signal.
    User,
    /// By the kernel inside a system call of the process: the call fails with EFAULT.
    Kernel,
    /// By another process (ptrace, process_vm_readv): its call fails.
    Remote,
}

/// The handler that returned VM_FAULT_SIGBUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum Handler {
    FilemapFault,
    ShmemFault,
    PageMkwrite,
    HugetlbFault,
    SpecialMappingFault,
    Userfault,
    DaxIomapFault,
    /// None that is watched: the mapping was looked up as the signal was raised.
    Unattributed,
    Other(u32),
}

impl Handler {
    /// The number the probes know it by.
    pub fn number(self) -> u32 {
        match self {
            Self::FilemapFault => handler::FILEMAP_FAULT,
            Self::ShmemFault => handler::SHMEM_FAULT,
            Self::PageMkwrite => handler::PAGE_MKWRITE,
            Self::HugetlbFault => handler::HUGETLB_FAULT,
            Self::SpecialMappingFault => handler::SPECIAL_MAPPING_FAULT,
            Self::Userfault => handler::USERFAULT,
            Self::DaxIomapFault => handler::DAX_IOMAP_FAULT,
            Self::Unattributed => handler::UNATTRIBUTED,
            Self::Other(number) => number,
        }
    }
}

impl From<Handler> for u32 {
    fn from(handler: Handler) -> Self {
        handler.number()
    }
}

impl From<u32> for Handler {
    fn from(number: u32) -> Self {
        match number {
            handler::FILEMAP_FAULT => Self::FilemapFault,
            handler::SHMEM_FAULT => Self::ShmemFault,
            handler::PAGE_MKWRITE => Self::PageMkwrite,
            handler::HUGETLB_FAULT => Self::HugetlbFault,
            handler::SPECIAL_MAPPING_FAULT => Self::SpecialMappingFault,
            handler::USERFAULT => Self::Userfault,
            handler::DAX_IOMAP_FAULT => Self::DaxIomapFault,
            handler::UNATTRIBUTED => Self::Unattributed,
            other => Self::Other(other),
        }
    }
}

/// A page fault that ended in SIGBUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub actor: Actor,
    pub inode: Inode,
    pub path: Path,
    pub address: u64,
    /// Whether `address` is exact or the start of its page.
    pub address_exact: bool,
    /// `vm_fault.pgoff`, in pages.
    pub pgoff: u64,
    pub vm_start: u64,
    pub vm_end: u64,
    /// In pages.
    pub vm_pgoff: u64,
    pub vm_flags: u64,
    /// User instruction pointer, if known.
    pub ip: Option<u64>,
    pub access: Access,
    pub mode: Mode,
    pub handler: Handler,
    /// Whose memory it is, if known.
    pub owner_tgid: Option<u32>,
    /// How many faults of this process, inode and handler there have been, this one included;
    /// in a loop most are only counted.
    pub nth: u64,
    /// What reading the page returned, if it was read and failed: a negative errno.
    pub read_errno: Option<i32>,
    /// What the file system said as the page was to be made writable.
    pub refusal: Refusal,
    /// Whose mapping it is.
    pub mapper: Mapper,
    /// VM_FAULT_HWPOISON or VM_FAULT_HWPOISON_LARGE.
    pub poisoned: bool,
    /// How full tmpfs was, if it failed and has a limit.
    pub shm: Option<Shm>,
    /// Mount namespace of the actor, if known.
    pub mnt_ns: Option<u32>,
    /// How many of the path's names, from the leaf, lie below its mount; `None` if the walk met
    /// no mount point.
    pub below_mount: Option<usize>,
    /// What was mounted there, if known.
    pub source: Option<Bytes>,
}

/// The file system or driver whose mapping it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapper {
    /// `inode.i_rdev`: which device the file is.
    pub device: Option<Dev>,
    /// Nobody can be asked for a page: all there is was mapped by mmap(2).
    pub nobody: bool,
    /// `vm_operations_struct.page_mkwrite` where that failed, else `fault`, else `pfn_mkwrite`: who refused the page.
    pub function: Option<KernelSymbol>,
    /// `vm_area_struct.vm_ops`
    pub vm_ops: Option<KernelSymbol>,
    /// `file.f_op`
    pub file_ops: Option<KernelSymbol>,
}

/// What the kernel calls a function or a table of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelSymbol {
    pub name: Bytes,
    /// `None` if it is built in.
    pub module: Option<Bytes>,
}

/// What a file system said, and in which state it was, as a page was to be made writable; tmpfs, as one was to be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusal {
    /// A negative errno, if it said one. Of xfs and tmpfs ENOSPC also where it is a quota that is used up.
    pub errno: Option<i32>,
    /// Whether what it said may have been meant for another call of the same thread, shortly before.
    pub doubt: bool,
    /// The quota whose limit was hit.
    pub quota: Option<QuotaId>,
    pub read_only: bool,
    /// ext4: by an error, or by ioctl(2).
    pub shut_down: bool,
}

impl Refusal {
    /// Whether the file system said nothing.
    pub fn is_silent(&self) -> bool {
        self.errno.is_none() && self.quota.is_none()
    }

    /// Whether what the file system said is why it refused this page. One that is stopped refuses before it looks for
    /// room.
    pub fn is_certain(&self) -> bool {
        !self.doubt && !self.read_only && !self.shut_down
    }
}

/// Whose quota it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaId {
    /// USRQUOTA 0, GRPQUOTA 1, PRJQUOTA 2.
    pub kind: u32,
    /// uid, gid or project.
    pub id: u32,
}

/// How full a tmpfs is, in pages; `used` is short of the truth by what CPUs keep to themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shm {
    pub max: u64,
    pub used: u64,
}

impl Fault {
    /// What the kernel counts it under.
    pub fn storm(&self) -> BurstKey {
        let tgid = self.actor.task.id.tgid;
        BurstKey { tgid, inode: self.inode.ptr, handler: self.handler }
    }

    /// Whether the mapping is no file's with an end: of a device, of a socket, of a file that stands for something of
    /// a driver, or all of it mapped beforehand.
    pub fn of_driver(&self) -> bool {
        let Inode { magic, ptr, .. } = self.inode;
        let driver = self.inode.device() || self.inode.socket() || DRIVERS.contains(&magic);
        let pages = self.vm_flags & (VM_PFNMAP | VM_IO) != 0 || self.mapper.nobody && ptr != 0;
        (ptr != 0 && driver) || (self.handler == Handler::Unattributed && pages)
    }

    /// VM_PFNMAP: the mapping shows addresses of memory, whoever owns that. The process itself cannot drop pages of it.
    pub fn shows_frames(&self) -> bool {
        self.vm_flags & VM_PFNMAP != 0
    }

    /// Whether mremap(2) can make the mapping longer.
    pub fn expands(&self) -> bool {
        self.vm_flags & VM_DONTEXPAND == 0
    }

    /// The name of a mapping that has no file: `[vvar]` and the like.
    pub fn mapping(&self) -> Option<Bytes> {
        let named = self.inode.ptr == 0 && !self.path.names.is_empty();
        named.then(|| self.path.names.join(&b'/'))
    }
}

/// What the kernel counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurstKey {
    pub tgid: u32,
    /// Address of the `struct inode`; 0 without a file.
    pub inode: u64,
    pub handler: Handler,
}

/// How often the kernel has counted a fault that loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    pub key: BurstKey,
    pub count: u64,
}

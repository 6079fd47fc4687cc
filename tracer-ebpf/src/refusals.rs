//! Why a file system does not make a page writable, or tmpfs has none: what it said while it handled the fault, to the
//! thread that passes do_page_mkwrite (mm/memory.c) or shmem_fault (mm/shmem.c) afterwards, and in which state it was.
//!
//! Most of these words are given to write(2), too, and to faults that go well after all: ext4 asks whether to try
//! again after each ENOSPC. One counts for a fault only if it was said in the same entry into the kernel: to the same
//! thread a moment before, within the same system call or, like the fault, within none; and no fault of the thread has
//! gone well in between, for these are counted (mm/memory.c mm_account_fault: neither what fails nor what is tried
//! again). Those that fail pass here, and leave no word behind.
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::LruHashMap};
use tracer_common::{
    event::{Fault, fs_state, handler},
    offsets::ABSENT,
};

use crate::{
    emit::now,
    globals::{config, off},
    log::log,
    read::{Probe, Ptr, Read},
    task,
};

/// The last errno that a thread was given for an inode, or for a file system.
#[map]
static REFUSALS: LruHashMap<u32, Refusal> = LruHashMap::with_max_entries(1024, 0);
/// The last quota whose limit a thread has hit.
#[map]
static QUOTAS: LruHashMap<u32, QuotaHit> = LruHashMap::with_max_entries(1024, 0);

#[repr(C)]
#[derive(Clone, Copy)]
struct Refusal {
    /// Address of the `struct inode`, of the `struct super_block` or of what its `s_fs_info` points to; [`SWAP`].
    of: u64,
    /// 1 if nobody but page_mkwrite is ever given it.
    only_faults: u32,
    /// Negative.
    errno: i32,
    said: Said,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct QuotaHit {
    /// `dev_t` of the file system.
    dev: u32,
    /// USRQUOTA, GRPQUOTA or PRJQUOTA.
    kind: u32,
    id: u32,
    pad: u32,
    said: Said,
}

/// When something was said, in which system call, and after how many faults.
#[repr(C)]
#[derive(Clone, Copy)]
struct Said {
    /// Ns since boot.
    time: u64,
    /// The number of the system call, -1 as 32 bits where the thread is in none; [`NOT_KNOWN`].
    call: u64,
    /// `task_struct.min_flt` and `maj_flt`; [`NOT_KNOWN`].
    faults: u64,
}

/// `Refusal::of` a page of shared memory that was in swap.
const SWAP: u64 = 1;
/// The number of the system call is not to be had (before 5.15), or the task cannot be read.
const NOT_KNOWN: u64 = u64::MAX;
/// A handler that is refused a page gives up within this time. Ns.
const LASTS: u64 = 100_000_000;

/// SB_RDONLY (include/linux/fs.h)
const SB_RDONLY: u64 = 1;
/// include/uapi/linux/magic.h
const EXT4_SUPER_MAGIC: u64 = 0xef53;
/// EXT4_FLAGS_SHUTDOWN (bit 1) and, from 6.15, EXT4_FLAGS_EMERGENCY_RO (bit 3) of fs/ext4/ext4.h.
const EXT4_REFUSES: u64 = 1 << 1 | 1 << 3;
/// include/linux/jbd2.h
const JBD2_ABORT: u64 = 2;

#[inline(always)]
fn current() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

impl Said {
    #[inline(always)]
    fn now() -> Self {
        Self {
            time: now(),
            call: task::system_call().map_or(NOT_KNOWN, u64::from),
            faults: task::faults().unwrap_or(NOT_KNOWN),
        }
    }

    /// Whether it was said in this entry into the kernel, as far as that can be told.
    #[inline(always)]
    fn just_now(self) -> bool {
        let now = Self::now();
        now.time.wrapping_sub(self.time) < LASTS
            && now.call == self.call
            && now.faults == self.faults
    }

    /// 1 if it may have been said in another entry into the kernel.
    #[inline(always)]
    fn doubt(self) -> u32 {
        (self.call == NOT_KNOWN || self.faults == NOT_KNOWN) as u32
    }
}

/// A page of `inode` is not made writable because of `errno`, which is negative.
#[inline(always)]
pub fn note_of_inode(inode: u64, errno: i32) {
    let refusal = Refusal { of: inode, only_faults: 1, errno, said: Said::now() };
    let _ = REFUSALS.insert(current(), refusal, 0);
}

/// The file system that `of` belongs to refuses something to the current thread.
#[inline(always)]
pub fn note_of_fs(of: u64, errno: i32) {
    let tid = current();
    if let Some(known) = REFUSALS.get_ptr(tid) {
        // SAFETY: a map value of this thread.
        let known = unsafe { *known };
        if known.only_faults == 1 && known.errno == errno && known.said.just_now() {
            // It is asked whether to try again (fs/ext4/balloc.c ext4_should_retry_alloc).
            return;
        }
    }
    let refusal = Refusal { of, only_faults: 0, errno, said: Said::now() };
    let _ = REFUSALS.insert(tid, refusal, 0);
}

/// A page of shared memory does not come back from swap because of `errno`, which is negative.
#[inline(always)]
pub fn note_swap(errno: i32) {
    let refusal = Refusal { of: SWAP, only_faults: 0, errno, said: Said::now() };
    let _ = REFUSALS.insert(current(), refusal, 0);
}

/// The current thread has hit the limit of a quota.
#[inline(always)]
pub fn note_quota(dev: u32, kind: u32, id: u32) {
    let _ = QUOTAS.insert(current(), QuotaHit { dev, kind, id, pad: 0, said: Said::now() }, 0);
}

/// What was said to the current thread was said of a fault that is not told.
#[inline(always)]
pub fn forget() {
    let tid = current();
    let _ = REFUSALS.remove(tid);
    let _ = QUOTAS.remove(tid);
}

/// Writes down why a page of the file system of `host` could not be had or made writable, as far as it said so.
#[inline(always)]
pub unsafe fn tell<R: Read>(event: *mut Fault, host: Ptr) {
    let tid = current();
    // SAFETY: points into a claimed scratch; `R` copes with any pointer; map values of this thread.
    unsafe {
        let sb: Ptr = R::get(host, off!(inode_sb));
        let info: u64 = R::get(sb, off!(sb_info));
        (*event).fs_state = state::<R>(sb, info, (*event).inode.magic);
        let mut sure = false;
        if let Some(refusal) = REFUSALS.get_ptr(tid) {
            let refusal = *refusal;
            let _ = REFUSALS.remove(tid);
            let of_this =
                refusal.of == host as u64 || refusal.of == sb as u64 || refusal.of == info;
            let of_swap = refusal.of == SWAP && (*event).handler == handler::SHMEM_FAULT;
            if refusal.of != 0 && (of_this || of_swap) && refusal.said.just_now() {
                if of_swap {
                    (*event).read_errno = refusal.errno;
                } else {
                    (*event).write_errno = refusal.errno;
                }
                sure = refusal.only_faults == 1;
                (*event).write_doubt = if sure { 0 } else { refusal.said.doubt() };
                log!((*event).handler, RefusalTold, -refusal.errno);
            } else {
                log!((*event).handler, RefusalOfOther, -refusal.errno);
            }
        } else {
            log!((*event).handler, RefusalUnheard);
        }
        if let Some(hit) = QUOTAS.get_ptr(tid) {
            let hit = *hit;
            let _ = QUOTAS.remove(tid);
            if hit.dev == (*event).inode.dev && hit.said.just_now() {
                (*event).quota_type = hit.kind.wrapping_add(1);
                (*event).quota_id = hit.id;
                (*event).write_doubt |= if sure { 0 } else { hit.said.doubt() };
            }
        }
    }
}

/// `fs_state` of a file system.
#[inline(always)]
unsafe fn state<R: Read>(sb: Ptr, info: u64, magic: u64) -> u32 {
    // SAFETY: `R` and probe reads cope with any pointer.
    unsafe {
        let mut state = 0;
        if R::get::<u64>(sb, off!(sb_flags)) & SB_RDONLY != 0 {
            state |= fs_state::READ_ONLY;
        }
        if magic == EXT4_SUPER_MAGIC && is_ext4_shut_down(info as Ptr) {
            state |= fs_state::SHUT_DOWN;
        }
        state
    }
}

/// What refuses ext4_page_mkwrite its transaction, too (fs/ext4/ext4_jbd2.c ext4_journal_check_start). Before 6.6 an
/// error aborts the journal only.
#[inline(always)]
unsafe fn is_ext4_shut_down(info: Ptr) -> bool {
    let known =
        off!(ext4_flags) != ABSENT && off!(ext4_journal) != ABSENT && off!(journal_flags) != ABSENT;
    if config!(read_kernel) == 0 || !known {
        return false;
    }
    // SAFETY: probe reads cope with any pointer; without a journal its flags are read as zero.
    unsafe {
        let journal: Ptr = Probe::get(info, off!(ext4_journal));
        Probe::get::<u64>(info, off!(ext4_flags)) & EXT4_REFUSES != 0
            || Probe::get::<u64>(journal, off!(journal_flags)) & JBD2_ABORT != 0
    }
}

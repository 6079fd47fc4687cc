//! Faults by process and file: what loops is counted, not sent each time.
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{Array, LruHashMap},
};
use tracer_common::{
    event::Shrink,
    maps::{
        BURST_EVERY, BURST_FIRST, BurstCount, BurstKey, SHARED_BY_ALL, SHARED_BY_USER,
        SHARED_KINDS, SHARED_OF_ACTOR, SHARED_OF_FILE, SHARED_OF_USER, SHARED_WITHIN,
        SHRINKS_FIRST, SHRINKS_WITHIN, SharedShrinks,
    },
};

use crate::emit::now;

#[map]
static BURSTS: LruHashMap<BurstKey, BurstCount> = LruHashMap::with_max_entries(4096, 0);
/// Shrinks of mapped files by process, counted from when the first of a second was seen (`sent`).
#[map]
static SHRINK_BURSTS: LruHashMap<BurstKey, BurstCount> = LruHashMap::with_max_entries(4096, 0);
/// The same of opens for writing, which must not push shrinks out.
#[map]
static WRITER_BURSTS: LruHashMap<BurstKey, BurstCount> = LruHashMap::with_max_entries(1024, 0);
/// The same of files on shared file systems that nobody here maps, by what `counted` names (`handler`).
#[map]
static SHARED_BURSTS: LruHashMap<BurstKey, BurstCount> = LruHashMap::with_max_entries(4096, 0);
/// All of these, by kind; user space reads how many were not sent.
#[map]
static SHARED_SHRINKS: Array<SharedShrinks> = Array::with_max_entries(SHARED_KINDS as u32, 0);
/// Threads whose last fault was only counted, and when that was, ns since boot: its signal is not sent either. One that
/// comes much later is not its signal, and may be of a fault that passes no handler.
#[map]
static SUPPRESSED: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);

/// Counts a fault of the current thread; gives its number if it is to be sent.
#[inline(always)]
pub fn count(inode: u64, handler: u32) -> Option<u64> {
    let ids = bpf_get_current_pid_tgid();
    let key = BurstKey { inode, tgid: (ids >> 32) as u32, handler };
    if BURSTS.get_ptr(key).is_none() {
        let _ = BURSTS.insert(key, BurstCount { count: 0, sent: 0 }, BPF_NOEXIST as u64);
    }
    let burst = BURSTS.get_ptr_mut(key)?;
    // SAFETY: a map value; other threads of the process count it too.
    unsafe {
        increment(&raw mut (*burst).count, 1);
        let nth = (&raw const (*burst).count).read_volatile();
        let now = now();
        let tid = ids as u32;
        if nth > BURST_FIRST {
            if now.wrapping_sub((*burst).sent) < BURST_EVERY {
                suppress(tid, now);
                return None;
            }
            (*burst).sent = now;
        }
        let _ = SUPPRESSED.remove(tid);
        Some(nth)
    }
}

/// The fault of this thread is only counted.
#[inline(always)]
unsafe fn suppress(tid: u32, now: u64) {
    match SUPPRESSED.get_ptr_mut(tid) {
        // SAFETY: a map value of this thread.
        Some(time) => unsafe { *time = now },
        None => {
            let _ = SUPPRESSED.insert(tid, now, 0);
        }
    }
}

/// Counts a shrink of a mapped file by the current process; whether it is to be sent.
#[inline(always)]
pub fn admits_shrink(inode: u64) -> bool {
    let key = BurstKey { inode, tgid: (bpf_get_current_pid_tgid() >> 32) as u32, handler: 0 };
    admits(&SHRINK_BURSTS, key, SHRINKS_FIRST, SHRINKS_WITHIN)
}

/// include/uapi/linux/magic.h
const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;

/// What shrinks of files on shared file systems are counted by.
mod counted {
    /// File, and the process that shrinks it or, if that is not the first one, its parent.
    pub const ACTOR: u32 = 0;
    /// File and user.
    pub const USER_OF_FILE: u32 = 1;
    pub const FILE: u32 = 2;
    /// Kind of file system and user.
    pub const USER: u32 = 3;
}

/// Which kind of `SHARED_KINDS` the file of a shrink is on.
#[inline(always)]
unsafe fn kind(shrink: *const Shrink) -> usize {
    // SAFETY: points into a claimed scratch, or to a map value.
    unsafe { ((*shrink).inode.magic == FUSE_SUPER_MAGIC) as usize }
}

/// Counts an open(2) for writing of a mapped file by the current process; whether it is to be remembered.
#[inline(always)]
pub fn admits_writer(inode: u64) -> bool {
    let key = BurstKey { inode, tgid: (bpf_get_current_pid_tgid() >> 32) as u32, handler: 0 };
    admits(&WRITER_BURSTS, key, 1, SHRINKS_WITHIN)
}

/// Counts a shrink of a file on a shared file system; whether it is to be sent.
#[inline(always)]
pub unsafe fn admits_shared(shrink: *const Shrink) -> bool {
    // SAFETY: `shrink` points into a claimed scratch, or to a map value. `all` is a map value that every CPU counts
    // in, as in those of a user: what a race loses are a few.
    unsafe {
        let kind = kind(shrink);
        let Some(all) = SHARED_SHRINKS.get_ptr_mut(kind as u32) else { return false };
        // Not by its address, which is soon another file's.
        let file = (*shrink).inode.ino ^ ((*shrink).inode.dev as u64).rotate_right(20);
        let (task, uid) = (&raw const (*shrink).actor.task, (*shrink).actor.task.uid);
        // A shell starts a process for each line of a loop. What has no parent but the first process, which starts
        // all services, stands for itself.
        let parent = (*shrink).actor.ancestors[0].tgid;
        let actor = if parent > 1 { parent } else { (*task).tgid };
        let fits = |inode, tgid, handler, most| {
            admits(&SHARED_BURSTS, BurstKey { inode, tgid, handler }, most, SHARED_WITHIN)
        };
        if fits(file, actor, counted::ACTOR, SHARED_OF_ACTOR)
            && fits(file, uid, counted::USER_OF_FILE, SHARED_OF_USER)
            && fits(kind as u64, uid, counted::USER, SHARED_BY_USER[kind])
            && fits(file, 0, counted::FILE, SHARED_OF_FILE)
        {
            let now = now();
            if now.wrapping_sub((*all).since) >= SHARED_WITHIN {
                (*all).since = now;
                (*all).sent = 0;
            }
            if (*all).sent < SHARED_BY_ALL[kind] {
                increment(&raw mut (*all).sent, 1);
                return true;
            }
        }
        increment(&raw mut (*all).suppressed, 1);
    }
    false
}

/// Counts a shrink of a file on a shared file system that is not sent.
#[inline(always)]
pub unsafe fn refuse_shared(shrink: *const Shrink) {
    // SAFETY: as in `admits_shared`.
    unsafe {
        if let Some(all) = SHARED_SHRINKS.get_ptr_mut(kind(shrink) as u32) {
            increment(&raw mut (*all).suppressed, 1);
        }
    }
}

/// Counts one of `key`; whether it is among the `first` within so many ns.
#[inline(always)]
fn admits(
    bursts: &LruHashMap<BurstKey, BurstCount>,
    key: BurstKey,
    first: u64,
    within: u64,
) -> bool {
    let now = now();
    if let Some(burst) = bursts.get_ptr_mut(key) {
        // SAFETY: a map value; where it is of one file its inode is locked.
        unsafe {
            if now.wrapping_sub((*burst).sent) < within {
                (*burst).count += 1;
                return (*burst).count <= first;
            }
        }
    }
    let _ = bursts.insert(key, BurstCount { count: 1, sent: now }, 0);
    true
}

/// Whether the last fault of the current thread was only counted, a moment before.
#[inline(always)]
pub fn is_suppressed() -> bool {
    let counted = SUPPRESSED.get_ptr(bpf_get_current_pid_tgid() as u32);
    // SAFETY: a map value of this thread.
    counted.is_some_and(|time| now().wrapping_sub(unsafe { *time }) < BURST_EVERY)
}

/// Adds `amount` atomically. `core` has no read-modify-write for this target, and the result of a BPF
/// atomic may be had only from 5.12 on.
#[inline(always)]
pub unsafe fn increment(count: *mut u64, amount: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the verifier checks the address.
    unsafe {
        core::arch::asm!("lock *(u64 *)({count} + 0) += {amount}", count = in(reg) count, amount = in(reg) amount);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = (count, amount);
}

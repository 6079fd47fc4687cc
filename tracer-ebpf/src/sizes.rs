//! Who gave shared memory without a name its size, for a fault beyond that: such memory is handed from process to
//! process, and who maps it need not be who made it.
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::LruHashMap};
use tracer_common::event::{SHRINK_REPLAYED, Shrink, ring, shrink_kind};

use crate::{
    emit::{claim, emit, is_owned},
    globals::off,
    inode::unnamed_shm,
    read::{Ptr, Read},
    scratch::{GROWN, REPLAY},
    shrinks,
};

/// By address of the inode.
#[map]
static SIZED: LruHashMap<u64, Shrink> = LruHashMap::with_max_entries(1024, 0);
/// What each thread is making longer.
#[map]
static GROWING: LruHashMap<u32, Growing> = LruHashMap::with_max_entries(1024, 0);

#[repr(C)]
#[derive(Clone, Copy)]
struct Growing {
    /// Address of the `struct inode`.
    inode: u64,
    /// `i_size` before it, in bytes.
    size: i64,
}

/// The current thread enters a call that is to give an inode this size.
#[inline(always)]
pub unsafe fn begin<R: Read>(host: Ptr, new_size: i64) {
    // SAFETY: `R` copes with any pointer.
    unsafe {
        let size: i64 = R::get(host, off!(inode_size));
        if new_size > size && unnamed_shm::<R>(host) {
            let growing = Growing { inode: host as u64, size };
            let _ = GROWING.insert(bpf_get_current_pid_tgid() as u32, growing, 0);
        }
    }
}

/// That call returns. `by` is one of [`crate::scratch::shrinker`].
#[inline(always)]
pub unsafe fn end<R: Read>(host: Ptr, ret: i32, by: u32) -> Option<()> {
    let tid = bpf_get_current_pid_tgid() as u32;
    // SAFETY: a map value.
    let growing = unsafe { *GROWING.get_ptr(tid)? };
    let _ = GROWING.remove(tid);
    // A seal may have refused it.
    if growing.inode != host as u64 || ret != 0 {
        return None;
    }
    let scratch = claim::<Shrink, _>(&GROWN, by, ring::BULK)?;
    // SAFETY: a claimed scratch; `R` copes with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value;
        let size: i64 = R::get(host, off!(inode_size));
        shrinks::fill::<R>(event, host, shrink_kind::GROWN, size);
        (*event).inode.size = growing.size;
        (*event).end = (*event).begin;
        if is_owned(scratch) {
            let _ = SIZED.insert(host as u64, &*event, 0);
        }
    }
    Some(())
}

/// Sends who made an inode longer last, if that is remembered. `by` is one of [`crate::scratch::replayer`].
#[inline(always)]
pub fn send(inode: u64, by: u32) -> Option<()> {
    let sized = SIZED.get_ptr(inode)?;
    let scratch = claim::<Shrink, _>(&REPLAY, by, ring::CRITICAL)?;
    // SAFETY: a claimed scratch and a map value.
    unsafe {
        shrinks::copy(&raw mut (*scratch).value, sized, SHRINK_REPLAYED);
        emit(scratch, size_of::<Shrink>() as u32);
    }
    Some(())
}

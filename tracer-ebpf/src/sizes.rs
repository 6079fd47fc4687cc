//! Who gave shared memory without a name its size, for a fault beyond that: such memory is handed from process to
//! process, and who maps it need not be who made it.
use aya_ebpf::{macros::map, maps::LruHashMap};
use tracer_common::event::{SHRINK_REPLAYED, Shrink, ring, shrink_kind};

use crate::{
    emit::{claim, emit},
    read::{Ptr, Read},
    scratch::{GROWN, REPLAY},
    shrinks,
};

/// By address of the inode.
#[map]
static SIZED: LruHashMap<u64, Shrink> = LruHashMap::with_max_entries(256, 0);

/// The current thread makes an inode longer.
#[inline(always)]
pub unsafe fn note<R: Read>(host: Ptr, new_size: i64) -> Option<()> {
    let scratch = claim::<Shrink, _>(&GROWN, 0, ring::BULK)?;
    // SAFETY: a claimed scratch; `R` copes with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value;
        shrinks::fill::<R>(event, host, shrink_kind::GROWN, new_size);
        (*event).end = (*event).begin;
        let _ = SIZED.insert(host as u64, &*event, 0);
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

//! Shrinks of each inode, mapped or not. A fault, or a crash in code of a file, sends all that are remembered of
//! its inode: those of a time when nobody mapped the file, those that found no room, and those that user space has
//! forgotten.
use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{LruHashMap, PerCpuArray},
};
use tracer_common::{
    event::{Inode, SHRINK_DROPPED, SHRINK_REPLAYED, SHRINK_SUPPRESSED, Shrink, ring},
    log::Hook,
};

use crate::{
    emit::{claim, emit, now},
    inode::inode,
    log::{LOGS, log},
    read::{Ptr, Read},
    scratch::{REPLAY, SHRINK_LATE},
    task,
};

/// Shrinks remembered for one inode.
const SLOTS: u64 = 4;
/// Where stands what has been pushed out of the slots of an inode, taken together.
const DROPPED: u64 = SLOTS;

#[map]
static SHRINKS: LruHashMap<Key, Shrink> = LruHashMap::with_max_entries(8192, 0);
/// Who opened a mapped file for writing last, by address of the inode: apart, so that they push out no shrink.
#[map]
static WRITERS: LruHashMap<u64, Shrink> = LruHashMap::with_max_entries(512, 0);
/// How many shrinks of an inode were seen, times SLOTS, and the slot of the latest.
#[map]
static SHRINK_COUNT: LruHashMap<u64, u64> = LruHashMap::with_max_entries(8192, 0);
/// How many shrinks were remembered; user space knows by it what may have been evicted.
#[map]
static SHRINKS_RECORDED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);
/// The shrink a thread is inside of: overlayfs calls notify_change again for the upper inode,
/// and tells it no longer how it was reached (fs/overlayfs/inode.c ovl_setattr).
#[map]
static INSIDE: LruHashMap<u32, Outer> = LruHashMap::with_max_entries(1024, 0);

/// The open(O_TRUNC) of a file that is not empty which each thread began last.
#[map]
static OPENING: LruHashMap<u32, Opening> = LruHashMap::with_max_entries(1024, 0);

/// An open(O_TRUNC) that has begun.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Opening {
    /// Address of the `struct inode`.
    inode: u64,
    /// `i_size` before it, in bytes.
    pub size: i64,
    /// Ns since boot (CLOCK_BOOTTIME).
    pub begin: u64,
}

/// Two programs of one call see it within this time, also where the first of them is preempted. Ns.
const TWICE: u64 = 2_000_000_000;

/// A remembered shrink is not sent again within this time of when it was sent last (`Header::time`): many may
/// fault on one file at once. Ns.
const AGAIN: u64 = 100_000_000;

/// Where a shrink is remembered.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Key {
    inode: u64,
    slot: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Outer {
    /// `Shrink::new_size`.
    new_size: i64,
    /// `Shrink::how`.
    how: u32,
    pad: u32,
    /// The inode it began with.
    inode: u64,
    ino: u64,
    dev: u32,
    pad2: u32,
}

/// Where a shrink is to be remembered. The first slot keeps the one that removed most, so that no number of
/// harmless ones pushes it out; the others take turns, and what they push out is known by its bounds. The caller has the inode locked: nobody else counts
/// or fills the slots of this one.
///
/// A suppressed one that goes on where the last suppressed one of its process ended is one act with it: a file
/// that is cut page by page must not be forgotten but for its last pages.
#[inline(always)]
pub unsafe fn slot(shrink: *mut Shrink) -> Key {
    // SAFETY: points into a claimed scratch; map values.
    unsafe {
        if let Some(recorded) = SHRINKS_RECORDED.get_ptr_mut(0) {
            *recorded += 1;
        }
        let inode = (*shrink).inode.ptr;
        let seen = SHRINK_COUNT.get_ptr(inode).map_or(0, |seen| *seen);
        let last = Key { inode, slot: seen % SLOTS };
        if (*shrink).flags & SHRINK_SUPPRESSED != 0
            && let Some(before) = SHRINKS.get_ptr(last)
            && (*before).flags & SHRINK_SUPPRESSED != 0
            && (*before).end != 0
            && (*before).ret == 0
            && (*before).new_size == (*shrink).inode.size
            && (*before).actor.task.tgid == (*shrink).actor.task.tgid
            && (*before).inode.ino == (*shrink).inode.ino
        {
            (*shrink).inode.size = (*before).inode.size;
            return last;
        }
        let seen = seen / SLOTS;
        let widest = match SHRINKS.get_ptr(Key { inode, slot: 0 }) {
            Some(kept) => {
                // The address may have been another inode's.
                (*kept).inode.ino != (*shrink).inode.ino
                    || (*kept).inode.generation != (*shrink).inode.generation
                    || ((*kept).new_size >= (*shrink).new_size
                        && (*kept).inode.size <= (*shrink).inode.size)
            }
            None => true,
        };
        let slot = if widest { 0 } else { 1 + seen % (SLOTS - 1) };
        if !widest {
            push_out(Key { inode, slot }, shrink);
        }
        let _ = SHRINK_COUNT.insert(inode, (seen + 1) * SLOTS + slot, 0);
        Key { inode, slot }
    }
}

/// Takes note of the shrink at `key`, which `next` takes the place of, unless that removes as much again.
#[inline(always)]
unsafe fn push_out(key: Key, next: *const Shrink) {
    let Some(old) = SHRINKS.get_ptr(key) else { return };
    // SAFETY: points into a claimed scratch; map values.
    unsafe {
        let (ino, generation) = ((*old).inode.ino, (*old).inode.generation);
        let (new, size, begin) = ((*old).new_size, (*old).inode.size, (*old).begin);
        if ino != (*next).inode.ino
            || generation != (*next).inode.generation
            || ((*next).new_size <= new && (*next).inode.size >= size)
            || ((*old).end != 0 && (*old).ret < 0)
        {
            return;
        }
        let dropped = Key { inode: key.inode, slot: DROPPED };
        if let Some(all) = SHRINKS.get_ptr_mut(dropped)
            && (*all).inode.ino == ino
            && (*all).inode.generation == generation
        {
            if new < (*all).new_size {
                (*all).new_size = new;
            }
            if size > (*all).inode.size {
                (*all).inode.size = size;
            }
            (*all).begin = begin;
            (*all).sent = 0;
            return;
        }
        if SHRINKS.insert(dropped, &*old, 0).is_ok()
            && let Some(all) = SHRINKS.get_ptr_mut(dropped)
        {
            (*all).flags |= SHRINK_DROPPED;
            (*all).sent = 0;
        }
    }
}

/// Who does what to which inode.
#[inline(always)]
pub unsafe fn fill<R: Read>(event: *mut Shrink, host: Ptr, how: u32, new_size: i64) {
    // SAFETY: points into a claimed scratch; `R` copes with any pointer.
    unsafe {
        task::current(&raw mut (*event).actor);
        task::current_login(&raw mut (*event).login);
        inode::<R>(&raw mut (*event).inode, host);
        (*event).new_size = new_size;
        (*event).begin = (*event).header.time;
        (*event).how = how;
    }
}

/// Remembers a shrink.
#[inline(always)]
pub unsafe fn put(key: Key, shrink: *const Shrink) {
    // SAFETY: points into a claimed scratch.
    let shrink = unsafe { &*shrink };
    let kept = SHRINKS.insert(key, shrink, 0);
    if LOGS && kept.is_err() {
        log!(Hook::Any, ShrinkForgotten, shrink.inode.ino, shrink.inode.size, shrink.new_size);
    }
}

/// Remembers who opened a mapped file for writing.
#[inline(always)]
pub unsafe fn put_writer(inode: u64, writer: *const Shrink) {
    // SAFETY: points into a claimed scratch.
    let _ = WRITERS.insert(inode, unsafe { &*writer }, 0);
}

/// Sends who opened a mapped file for writing last, if that is remembered and was not sent within [`AGAIN`]: one
/// program may crash again and again. `by` is one of [`crate::scratch::replayer`].
#[inline(always)]
pub fn send_writer(inode: u64, by: u32) -> Option<()> {
    let writer = WRITERS.get_ptr_mut(inode)?;
    // SAFETY: a claimed scratch and a map value.
    unsafe {
        let now = now();
        if (*writer).sent != 0 && now.wrapping_sub((*writer).header.time) <= AGAIN {
            return None;
        }
        let scratch = claim::<Shrink, _>(&REPLAY, by, ring::CRITICAL)?;
        copy(&raw mut (*scratch).value, writer, SHRINK_REPLAYED);
        if emit(scratch, size_of::<Shrink>() as u32) {
            (*writer).sent = 1;
            (*writer).header.time = now;
        }
    }
    Some(())
}

/// Whether user space has got a remembered shrink.
#[inline(always)]
pub fn mark_sent(key: Key, sent: bool) {
    if let Some(pending) = SHRINKS.get_ptr_mut(key) {
        // SAFETY: a map value.
        unsafe { (*pending).sent = sent as u32 };
    }
}

/// The current thread begins to open a file of `size` bytes with O_TRUNC.
#[inline(always)]
pub fn note_opening(inode: u64, size: i64) {
    let opening = Opening { inode, size, begin: now() };
    let _ = OPENING.insert(bpf_get_current_pid_tgid() as u32, opening, 0);
}

/// The current thread begins an open(O_TRUNC) that removes nothing.
#[inline(always)]
pub fn forget_opening() {
    let _ = OPENING.remove(bpf_get_current_pid_tgid() as u32);
}

/// The open(O_TRUNC) of this inode that the current thread began last; asked once.
#[inline(always)]
pub fn take_opening(inode: u64) -> Option<Opening> {
    let tid = bpf_get_current_pid_tgid() as u32;
    // SAFETY: a map value.
    let opening = unsafe { *OPENING.get_ptr(tid)? };
    if opening.inode != inode {
        return None;
    }
    let _ = OPENING.remove(tid);
    Some(opening)
}

/// The last shrink of an inode, if the current thread is in it: no call that was never seen to return, whose
/// record is older than any program takes to run, or tells another size.
#[inline(always)]
pub fn recorded(inode: u64, old_size: i64, new_size: i64) -> bool {
    let Some(pending) = unfinished(inode) else { return false };
    // SAFETY: a map value; the inode is locked.
    unsafe {
        (*pending).new_size == new_size
            && ((*pending).inode.size == old_size || (*pending).flags & SHRINK_SUPPRESSED != 0)
            && now().wrapping_sub((*pending).begin) < TWICE
    }
}

/// The last shrink of an inode, if the current thread is in it.
#[inline(always)]
pub fn unfinished(inode: u64) -> Option<*mut Shrink> {
    // SAFETY: map values; the inode is locked.
    unsafe {
        let seen = *SHRINK_COUNT.get_ptr(inode)?;
        let pending = SHRINKS.get_ptr_mut(Key { inode, slot: seen % SLOTS })?;
        let tid = bpf_get_current_pid_tgid() as u32;
        ((*pending).end == 0 && (*pending).actor.task.tid == tid).then_some(pending)
    }
}

/// Sends what is remembered of an inode, also what user space has got: it may have forgotten it since, but not
/// within [`AGAIN`]. `by` is one of [`crate::scratch::replayer`].
#[inline(always)]
pub fn send_remembered(inode: u64, by: u32) {
    let now = now();
    let mut slot = 0;
    let mut known = false;
    while slot <= DROPPED {
        // SAFETY: a map value, read and marked in place.
        unsafe {
            if let Some(pending) = SHRINKS.get_ptr_mut(Key { inode, slot }) {
                known = true;
                let due = (*pending).sent == 0 || now.wrapping_sub((*pending).header.time) > AGAIN;
                remembered(by, pending, due);
                if due && let Some(scratch) = claim::<Shrink, _>(&REPLAY, by, ring::CRITICAL) {
                    let event = &raw mut (*scratch).value;
                    copy(event, pending, SHRINK_REPLAYED);
                    (*event).path_len = 0;
                    if emit(scratch, size_of::<Shrink>() as u32) {
                        (*pending).sent = 1;
                        (*pending).header.time = now;
                    }
                }
            }
        }
        slot += 1;
    }
    if !known {
        log!(by, RememberedNone);
    }
}

/// Says what is remembered of an inode.
#[inline(always)]
unsafe fn remembered(by: u32, pending: *const Shrink, due: bool) {
    if !LOGS {
        return;
    }
    // SAFETY: a map value.
    let (Inode { ino, size, .. }, new, tgid) =
        unsafe { ((*pending).inode, (*pending).new_size, (*pending).actor.task.tgid) };
    if due {
        log!(by, RememberedSent, ino, size, new, tgid);
    } else {
        log!(by, RememberedKnown, ino, size, new, tgid);
    }
}

/// Sends a remembered shrink after all, with `flags` more. The fault names the file; walking the path
/// here too would double what is to be verified. `by` is one of [`crate::scratch::shrinker`].
#[inline(always)]
pub unsafe fn send(pending: *mut Shrink, flags: u32, by: u32) -> Option<()> {
    let scratch = claim::<Shrink, _>(&SHRINK_LATE, by, ring::BULK)?;
    // SAFETY: a claimed scratch and a map value.
    unsafe {
        copy(&raw mut (*scratch).value, pending, flags);
        if emit(scratch, size_of::<Shrink>() as u32) {
            (*pending).sent = 1;
        }
    }
    Some(())
}

/// A remembered shrink, but for its header, with `flags` more.
#[inline(always)]
pub unsafe fn copy(event: *mut Shrink, pending: *const Shrink, flags: u32) {
    // SAFETY: a claimed scratch and a map value of the same type.
    unsafe {
        let header = (*event).header;
        core::ptr::copy_nonoverlapping(pending, event, 1);
        (*event).header = header;
        (*event).flags |= flags;
    }
}

/// Notes that the current thread is inside of this shrink; if it is inside of one already that brought it
/// here, names that as the one the user called for.
#[inline(always)]
pub unsafe fn nest(event: *mut Shrink) {
    // SAFETY: points into a claimed scratch; a map value.
    unsafe {
        let tid = (*event).actor.task.tid;
        let new_size = (*event).new_size;
        let Inode { ptr: inode, ino, dev, .. } = (*event).inode;
        match INSIDE.get_ptr(tid) {
            Some(outer) if (*outer).new_size == new_size && (*outer).inode != inode => {
                (*event).how = (*outer).how;
                (*event).outer_ino = (*outer).ino;
                (*event).outer_dev = (*outer).dev;
            }
            _ => {
                let how = (*event).how;
                let outer = Outer { new_size, how, pad: 0, inode, ino, dev, pad2: 0 };
                let _ = INSIDE.insert(tid, outer, 0);
            }
        }
    }
}

/// Whether the current thread is inside of a shrink that began with this inode.
#[inline(always)]
pub fn is_inside(inode: u64) -> bool {
    began(bpf_get_current_pid_tgid() as u32, inode)
}

/// The current thread leaves the shrink that began with this inode.
#[inline(always)]
pub fn leave(inode: u64) {
    let tid = bpf_get_current_pid_tgid() as u32;
    if began(tid, inode) {
        let _ = INSIDE.remove(tid);
    }
}

#[inline(always)]
fn began(tid: u32, inode: u64) -> bool {
    // SAFETY: a map value.
    INSIDE.get_ptr(tid).is_some_and(|outer| unsafe { (*outer).inode } == inode)
}

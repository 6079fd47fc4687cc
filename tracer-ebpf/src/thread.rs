//! What one probe leaves for the next that the same thread passes.
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::LruHashMap};

use crate::{emit::now, globals::config};

/// The last fault of each thread that a handler told of: its page, and 1 if the signal is to come.
#[map]
static LAST_FAULT: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);
/// Threads that force_sig_fault is about to signal.
#[map]
static FORCED: LruHashMap<u32, u32> = LruHashMap::with_max_entries(1024, 0);
/// Threads that a SIGBUS is on its way to which was told, and which nobody sent.
#[map]
static EXPECTED: LruHashMap<u32, u32> = LruHashMap::with_max_entries(1024, 0);
/// The last failed read of a page, by thread.
#[map]
static READ_ERRORS: LruHashMap<u32, ReadError> = LruHashMap::with_max_entries(1024, 0);
/// The inode whose attributes a server sent to each thread, until the function that takes them over returns.
#[map]
static CALLED: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);

/// A read of a page that failed.
#[repr(C)]
#[derive(Clone, Copy)]
struct ReadError {
    /// Address of the `struct inode`.
    inode: u64,
    /// Ns since boot.
    time: u64,
    /// Negative.
    errno: i32,
    pad: u32,
}

/// A handler that reads a page ends within this time of the read: what failed before was read(2)'s. Ns.
const READ_ERROR_LASTS: u64 = 100_000_000;

/// Set in a note of a fault that a userfaultfd refused: its handler is called by another one, which fails too.
const USERFAULT: u64 = 2;

#[inline(always)]
fn current() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// The page of an address, marked if a signal follows the fault.
#[inline(always)]
fn mark(address: u64, signalled: bool) -> u64 {
    address & (u64::MAX << config!(page_shift)) | signalled as u64
}

/// Notes the fault of the current thread that a handler told of.
#[inline(always)]
pub fn note_fault(address: u64, signalled: bool) {
    let _ = LAST_FAULT.insert(current(), mark(address, signalled), 0);
}

/// The same of a fault that a userfaultfd refused, recorded by that handler.
#[inline(always)]
pub fn note_userfault(address: u64, signalled: bool) {
    let _ = LAST_FAULT.insert(current(), mark(address, signalled) | USERFAULT, 0);
}

/// Whether the fault at `address` was recorded as one that a userfaultfd refused; asked once.
#[inline(always)]
pub fn take_userfault(address: u64, signalled: bool) -> bool {
    let Some(noted) = LAST_FAULT.get_ptr_mut(current()) else { return false };
    // SAFETY: a map value of this thread.
    unsafe {
        let same = *noted == mark(address, signalled) | USERFAULT;
        *noted &= !USERFAULT;
        same
    }
}

/// Whether the last fault noted is the one at `address` that the signal to come belongs to; it is noted
/// no longer after that.
#[inline(always)]
pub fn take_fault(address: u64) -> bool {
    let tid = current();
    let Some(noted) = LAST_FAULT.get_ptr(tid) else { return false };
    // SAFETY: a map value.
    let noted = unsafe { *noted };
    let _ = LAST_FAULT.remove(tid);
    noted & !USERFAULT == mark(address, true)
}

/// The fault noted was not sent after all: force_sig_fault may try once more.
#[inline(always)]
pub fn forget_fault() {
    let _ = LAST_FAULT.remove(current());
}

/// The kernel is about to signal the current thread.
#[inline(always)]
pub fn note_forced() {
    let _ = FORCED.insert(current(), 1, 0);
}

/// Whether the signal that is generated was forced; asked once.
#[inline(always)]
pub fn take_forced() -> bool {
    let tid = current();
    let forced = FORCED.get_ptr(tid).is_some();
    if forced {
        let _ = FORCED.remove(tid);
    }
    forced
}

/// A SIGBUS to thread `tid` was told, which nobody sent.
#[inline(always)]
pub fn expect_delivery(tid: u32) {
    let _ = EXPECTED.insert(tid, 1, 0);
}

/// Whether the current thread gets such a one; asked once.
#[inline(always)]
pub fn take_expected() -> bool {
    EXPECTED.remove(current()).is_ok()
}

/// Reading a page of an inode has failed with `errno`, which is negative.
#[inline(always)]
pub fn note_read_error(inode: u64, errno: i32) {
    let _ = READ_ERRORS.insert(current(), ReadError { inode, time: now(), errno, pad: 0 }, 0);
}

/// What reading the page of the current fault, which is one of this inode, returned; 0 if it was not read.
#[inline(always)]
pub fn take_read_error(inode: u64) -> i32 {
    let tid = current();
    let Some(error) = READ_ERRORS.get_ptr(tid) else { return 0 };
    // SAFETY: a map value.
    let error = unsafe { *error };
    let _ = READ_ERRORS.remove(tid);
    let of_this = error.inode == inode && now().wrapping_sub(error.time) < READ_ERROR_LASTS;
    if of_this { error.errno } else { 0 }
}

/// The current thread has entered a function that was given this inode.
#[inline(always)]
pub fn note_called(inode: u64) {
    let _ = CALLED.insert(current(), inode, 0);
}

/// The inode noted last; asked once.
#[inline(always)]
pub fn take_called() -> Option<u64> {
    let tid = current();
    // SAFETY: a map value.
    let inode = unsafe { *CALLED.get_ptr(tid)? };
    let _ = CALLED.remove(tid);
    Some(inode)
}

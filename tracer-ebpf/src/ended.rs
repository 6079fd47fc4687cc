//! What ended of late and may be started again, and whose end has been sent.
use aya_ebpf::{bindings::BPF_NOEXIST, macros::map, maps::LruHashMap};
use tracer_common::event::{COMM, FileId};

use crate::emit::now;

#[map]
static ENDED: LruHashMap<Key, u64> = LruHashMap::with_max_entries(4096, 0);
/// Processes whose end was sent, by tgid: when they started.
#[map]
static ENDING: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);

/// A program, by file or by name, or the parent of a process, by tgid.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Key {
    a: u64,
    b: u64,
}

impl Key {
    /// A program by its file.
    #[inline(always)]
    pub fn file(exe: &FileId) -> Self {
        Self { a: exe.ino, b: exe.dev as u64 | 1 << 63 }
    }

    /// A program by its name; NUL-padded only as far as the kernel does it.
    #[inline(always)]
    pub unsafe fn name(comm: *const [u8; COMM]) -> Self {
        let words = comm.cast::<u64>();
        // SAFETY: 16 bytes, 8-aligned.
        unsafe { Self { a: *words, b: *words.add(1) } }
    }

    /// A parent by its tgid.
    #[inline(always)]
    pub fn parent(tgid: u32) -> Self {
        Self { a: tgid as u64, b: u64::MAX }
    }
}

/// Notes that such a process has ended.
#[inline(always)]
pub fn note(key: Key) {
    let _ = ENDED.insert(key, now(), 0);
}

/// Whether such a process has ended of late.
#[inline(always)]
pub fn is_noted(key: Key) -> bool {
    ENDED.get_ptr(key).is_some()
}

/// Whether the end of this process has not been sent yet; asked once. Threads that end at the same time
/// each see the count of threads at 0; the entry of an earlier process with this tgid gives way.
#[inline(always)]
pub fn first_to_end(tgid: u32, start: u64) -> bool {
    if ENDING.insert(tgid, start, BPF_NOEXIST as u64).is_err() {
        // SAFETY: a map value.
        if ENDING.get_ptr(tgid).is_some_and(|sent| unsafe { *sent } == start) {
            return false;
        }
        let _ = ENDING.insert(tgid, start, 0);
    }
    true
}

//! Who gives way where a ring fills: whoever sends most. The last eighth of each ring is for those who have sent little
//! within a second, so that no user who crashes as fast as the host forks has other people's events lost.
use aya_ebpf::{
    helpers::{bpf_get_current_cgroup_id, bpf_get_current_uid_gid, generated::bpf_ringbuf_query},
    macros::map,
    maps::{LruHashMap, RingBuf},
};
use tracer_common::maps::{EVENTS_OF_USER, SIGNALS_WITHIN};

use crate::bursts::increment;

/// include/uapi/linux/bpf.h: bytes that nobody has consumed yet.
const BPF_RB_AVAIL_DATA: u64 = 0;

/// Events of one user in one cgroup since the first of a while.
#[repr(C)]
#[derive(Clone, Copy)]
struct Window {
    since: u64,
    count: u64,
}

/// By cgroup, ring and user, of those whose events met a ring with no more room than that.
#[map]
static PRESSING: LruHashMap<[u64; 2], Window> = LruHashMap::with_max_entries(1024, 0);

/// Whether a ring of so many bytes has room for an event of the current process at `now`, ns since boot. The fuller it is, the
/// fewer events of one user it takes: whoever reads it slowly is sent no more than that of those who send most.
///
/// # Safety
/// `ring` is a map.
#[inline(always)]
pub unsafe fn has_room(ring: *const RingBuf, bytes: u64, now: u64) -> bool {
    // SAFETY: a map.
    let waiting = unsafe { bpf_ringbuf_query(ring.cast_mut().cast(), BPF_RB_AVAIL_DATA) };
    let reserved = bytes / 8;
    let room = bytes.saturating_sub(waiting);
    room > reserved || whybus_has_share(now, room * EVENTS_OF_USER / reserved, bytes) != 0
}

/// Counts an event of the current process in a ring, which its size names; 1 if it is among the first `most` of a while.
///
/// The verifier walks a global function by itself, and takes numbers only.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn whybus_has_share(now: u64, most: u64, ring: u64) -> u64 {
    // SAFETY: no preconditions.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let key = [cgroup, ring << 32 | bpf_get_current_uid_gid() as u32 as u64];
    if let Some(window) = PRESSING.get_ptr_mut(&key) {
        // SAFETY: a map value; what a race of CPUs loses are a few.
        unsafe {
            if now.wrapping_sub((*window).since) < SIGNALS_WITHIN {
                increment(&raw mut (*window).count, 1);
                let count = (&raw const (*window).count).read_volatile();
                return (count <= most) as u64;
            }
        }
    }
    let _ = PRESSING.insert(&key, &Window { since: now, count: 1 }, 0);
    1
}

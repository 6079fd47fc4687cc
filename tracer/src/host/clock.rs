//! The clocks of this host.
use rustix::time::{ClockId, clock_gettime};

use crate::model::time::ClockOffset;

/// ns since boot (CLOCK_BOOTTIME).
pub fn boot_time() -> u64 {
    clock(ClockId::Boottime)
}

/// Ns that this thread has run.
pub fn thread_time() -> u64 {
    clock(ClockId::ThreadCPUTime)
}

fn clock(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// CLOCK_REALTIME − CLOCK_BOOTTIME, ns. We may be preempted between the readings: of several
/// tries the tightest counts.
pub fn boot_to_realtime() -> ClockOffset {
    let tries = (0..8).map(|_| {
        let before = boot_time();
        let real = clock(ClockId::Realtime);
        let after = boot_time();
        (after - before, (real as i64).wrapping_sub((before + (after - before) / 2) as i64))
    });
    ClockOffset(tries.min_by_key(|(width, _)| *width).map_or(0, |(_, offset)| offset))
}

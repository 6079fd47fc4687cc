//! The clocks of this host.
use crate::model::time::ClockOffset;

/// ns since boot (CLOCK_BOOTTIME).
pub fn boot_time() -> u64 {
    clock(libc::CLOCK_BOOTTIME)
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid clock and a place to write to.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// CLOCK_REALTIME − CLOCK_BOOTTIME, ns. We may be preempted between the readings: of several
/// tries the tightest counts.
pub fn boot_to_realtime() -> ClockOffset {
    let tries = (0..8).map(|_| {
        let before = boot_time();
        let real = clock(libc::CLOCK_REALTIME);
        let after = boot_time();
        (after - before, (real as i64).wrapping_sub((before + (after - before) / 2) as i64))
    });
    ClockOffset(tries.min_by_key(|(width, _)| *width).map_or(0, |(_, offset)| offset))
}

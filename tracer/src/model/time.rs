//! The two clocks: events carry ns since boot, people read the time of day.
use serde::{Deserialize, Serialize};

/// CLOCK_REALTIME − CLOCK_BOOTTIME, ns. It changes when somebody sets the wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockOffset(pub i64);

impl ClockOffset {
    /// The time of day at `boot_ns` (ns since boot, CLOCK_BOOTTIME) in ns since the epoch; it saturates,
    /// as a saved stream may hold any time.
    pub fn realtime(self, boot_ns: u64) -> i64 {
        self.0.saturating_add(i64::try_from(boot_ns).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_out_of_range_saturate() {
        assert_eq!(ClockOffset(5).realtime(7), 12);
        assert_eq!(ClockOffset(5).realtime(u64::MAX), i64::MAX);
        assert_eq!(ClockOffset(i64::MIN).realtime(u64::MAX), -1);
    }
}

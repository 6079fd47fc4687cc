//! Whether the clock may be believed when it says that something is old. Pure.

/// The clock was set where it differs from the kernel's clock by more. Ns: an hour.
const STEP: i64 = 3_600_000_000_000;
/// A host that was off for longer may as well have a wrong clock now. Ns: 30 days.
const OFF: i64 = 30 * 86_400_000_000_000;
/// For how long it must have gone on without being set. Ns: 24 hours.
const CONFIRMED: u64 = 86_400_000_000_000;

/// How long the clock has gone on without being set: a clock that is wrong once, as at a boot without a battery, must not have a
/// history forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steady {
    ns: u64,
    /// Ns since the epoch, and since boot, as they were seen last.
    last: Option<(i64, u64)>,
}

impl Steady {
    /// Goes on after a run that was there at `seen` (ns since the epoch) and had `ns` then.
    pub fn after(ns: u64, seen: i64, now: i64) -> Self {
        let believed = (0..OFF).contains(&now.saturating_sub(seen));
        Self { ns: if believed { ns } else { 0 }, last: None }
    }

    /// The clock says `real` (ns since the epoch) at `boot` (ns since boot).
    pub fn see(&mut self, real: i64, boot: u64) {
        let Some((before, at)) = self.last.replace((real, boot)) else { return };
        let passed = boot.saturating_sub(at);
        let drift = real.saturating_sub(before).saturating_sub_unsigned(passed);
        self.ns = if drift.abs() > STEP { 0 } else { self.ns.saturating_add(passed) };
    }

    /// Ns without being set.
    pub fn ns(self) -> u64 {
        self.ns
    }

    /// Whether what it calls old is old.
    pub fn is_confirmed(self) -> bool {
        self.ns >= CONFIRMED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    /// Hours that pass from `real` on.
    fn pass(steady: &mut Steady, real: i64, hours: u64) {
        for hour in 0..=hours {
            let passed = hour * HOUR;
            steady.see(real + passed.cast_signed(), 7 * HOUR + passed);
        }
    }

    #[test]
    fn a_clock_is_believed_after_a_day() {
        let mut steady = Steady::default();
        pass(&mut steady, 1_000, 23);
        assert!(!steady.is_confirmed());
        pass(&mut steady, 1_000, 24);
        assert!(steady.is_confirmed());
    }

    #[test]
    fn one_that_was_set_is_not() {
        let mut steady = Steady::default();
        pass(&mut steady, 1_000, 48);
        let year = 365 * 24 * HOUR.cast_signed();
        steady.see(1_000 + 49 * HOUR.cast_signed() + year, 7 * HOUR + 49 * HOUR);
        assert!(!steady.is_confirmed(), "a year ahead");
        let mut steady = Steady::default();
        pass(&mut steady, year, 48);
        steady.see(1_000, 7 * HOUR + 49 * HOUR);
        assert!(!steady.is_confirmed(), "and back");
    }

    /// A desktop that is on for some hours a day forgets as a server does; one that comes back in another year waits.
    #[test]
    fn it_goes_on_over_boots() {
        let mut steady = Steady::default();
        pass(&mut steady, 0, 20);
        let (seen, night) = (20 * HOUR.cast_signed(), 10 * HOUR.cast_signed());
        let mut next = Steady::after(steady.ns(), seen, seen + night);
        pass(&mut next, seen + night, 5);
        assert!(next.is_confirmed());
        assert_eq!(Steady::after(steady.ns(), seen, seen + 2 * OFF).ns(), 0);
        assert_eq!(Steady::after(steady.ns(), seen, seen - 1).ns(), 0, "back in time");
    }
}

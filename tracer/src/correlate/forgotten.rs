//! When that happened which had to be forgotten for want of room: an answer about an earlier time rests on none of it.
use std::collections::BTreeSet;

/// Shrinks whose begin is all that is remembered.
const FORGOTTEN: usize = 1_024;

/// When shrinks began that had to be forgotten, ns since boot.
#[derive(Default)]
pub struct Forgotten {
    /// The youngest of them.
    begins: BTreeSet<u64>,
    /// Until when others began, each of which may have begun at any time before.
    until: u64,
}

impl Forgotten {
    /// One that began at `begin`.
    pub fn one(&mut self, begin: u64) {
        self.begins.insert(begin);
        if self.begins.len() > FORGOTTEN {
            self.until = self.until.max(self.begins.pop_first().unwrap_or(0));
        }
    }

    /// Some, of which the youngest began at `until`.
    pub fn many(&mut self, until: u64) {
        self.until = self.until.max(until);
    }

    /// When the youngest of those that began until `time` may have begun; 0 if none did.
    pub fn latest(&self, time: u64) -> u64 {
        let known = self.begins.range(..=time).next_back();
        known.copied().unwrap_or(0).max(self.until.min(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_begins_are_remembered_and_no_more() {
        let mut forgotten = Forgotten::default();
        (1..=2 * FORGOTTEN as u64).for_each(|begin| forgotten.one(10 * begin));
        assert_eq!(forgotten.begins.len(), FORGOTTEN);
        assert_eq!(
            [25, 10 * FORGOTTEN as u64 + 25].map(|time| forgotten.latest(time)),
            [25, 10 * FORGOTTEN as u64 + 20]
        );
    }
}

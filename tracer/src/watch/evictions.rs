//! Until when the kernel may have evicted shrinks that it remembered, by how many it has recorded. Pure.
use std::collections::VecDeque;

/// So many of the latest shrinks are there for certain: half of the map's least capacity, as its LRU is no exact
/// one (kernel/bpf/bpf_lru_list.c).
const KEPT: u64 = 4_096;
/// Samples are as many shrinks apart.
const STEP: u64 = KEPT / 64;

/// How many shrinks had been recorded at which time (ns since boot), for the last [`KEPT`].
#[derive(Debug, Default)]
pub struct Evictions {
    samples: VecDeque<(u64, u64)>,
}

impl Evictions {
    /// `count` shrinks had been recorded by `time`; gives until when some may have been evicted, if that is
    /// later than it was.
    pub fn sample(&mut self, time: u64, count: u64) -> Option<u64> {
        if self.samples.back().is_none_or(|(_, last)| count.wrapping_sub(*last) >= STEP) {
            self.samples.push_back((time, count));
        }
        let mut evicted = false;
        while self.samples.front().is_some_and(|(_, first)| count.wrapping_sub(*first) > KEPT) {
            self.samples.pop_front();
            evicted = true;
        }
        let (since, _) = self.samples.front()?;
        evicted.then_some(*since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_last_thousands_may_be_gone() {
        let mut evictions = Evictions::default();
        assert_eq!(evictions.sample(10, 0), None);
        assert_eq!(evictions.sample(20, 1_000), None);
        assert_eq!(evictions.sample(30, KEPT), None);
        assert_eq!(
            evictions.sample(40, KEPT + 1),
            Some(20),
            "all since the second sample are there"
        );
        assert_eq!(evictions.sample(50, KEPT + 1_000), None);
        assert_eq!(evictions.sample(60, KEPT + 1_001), Some(30));
        // More at once than are kept: only what comes from now on is certain.
        assert_eq!(evictions.sample(70, 100_000), Some(70));
    }

    #[test]
    fn samples_are_bounded() {
        let mut evictions = Evictions::default();
        for count in 0..50_000 {
            evictions.sample(count, count);
        }
        assert!(evictions.samples.len() as u64 <= KEPT / STEP + 1, "{}", evictions.samples.len());
    }
}

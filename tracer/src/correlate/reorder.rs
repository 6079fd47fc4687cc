//! One order for what many CPUs tell: each event waits [`REORDER_WINDOW`] for older ones.
use std::collections::BTreeMap;

use crate::model::input::Stamp;

/// How long an event waits for older ones of other CPUs. Ns.
pub const REORDER_WINDOW: u64 = 30_000_000;
/// Events that wait at most; beyond that the oldest waits no longer.
const WAITING: usize = 65_536;

/// Time first; then what keeps the order of one CPU, and of what came at the same time.
type Key = (u64, u32, u16, u64, u64);

/// Events that wait for older ones.
pub struct Reorder<E> {
    waiting: BTreeMap<Key, E>,
    arrivals: u64,
}

impl<E> Default for Reorder<E> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), arrivals: 0 }
    }
}

impl<E> Reorder<E> {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes an event in; gives the oldest, if too many wait.
    pub fn push(&mut self, stamp: Stamp, event: E) -> Option<(Stamp, E)> {
        self.arrivals += 1;
        let key = (stamp.time, stamp.cpu, stamp.ring, stamp.seq, self.arrivals);
        self.waiting.insert(key, event);
        (self.waiting.len() > WAITING).then(|| self.pop()).flatten()
    }

    /// The oldest event, if it has waited long enough at `now`.
    pub fn due(&mut self, now: u64) -> Option<(Stamp, E)> {
        let ((time, ..), _) = self.waiting.first_key_value()?;
        (time.saturating_add(REORDER_WINDOW) <= now).then(|| self.pop()).flatten()
    }

    fn pop(&mut self) -> Option<(Stamp, E)> {
        let ((time, cpu, ring, seq, _), event) = self.waiting.pop_first()?;
        Some((Stamp { cpu, ring, seq, time }, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(cpu: u32, seq: u64, time: u64) -> Stamp {
        Stamp { cpu, ring: 0, seq, time }
    }

    fn due(order: &mut Reorder<char>, now: u64) -> String {
        std::iter::from_fn(|| order.due(now)).map(|(_, event)| event).collect()
    }

    #[test]
    fn who_comes_late_within_the_window_keeps_its_place() {
        let mut order = Reorder::default();
        assert_eq!(order.push(stamp(0, 1, 20), 'b'), None);
        assert_eq!(order.push(stamp(1, 1, 10), 'a'), None);
        assert_eq!(due(&mut order, 9 + REORDER_WINDOW), "");
        assert_eq!(due(&mut order, 10 + REORDER_WINDOW), "a");
        assert_eq!(due(&mut order, u64::MAX), "b");
        assert!(order.is_empty());
    }

    #[test]
    fn what_happened_at_once_keeps_its_cpus_order_and_then_that_of_arrival() {
        let mut order = Reorder::default();
        let arrivals =
            [(1, 7, 'c'), (0, 2, 'b'), (0, 1, 'a'), (2, 0, 'd'), (2, 0, 'e'), (2, 0, 'f')];
        for (cpu, seq, event) in arrivals {
            order.push(stamp(cpu, seq, 5), event);
        }
        assert_eq!(due(&mut order, u64::MAX), "abcdef");
    }

    #[test]
    fn the_oldest_goes_when_too_many_wait() {
        let mut order = Reorder::default();
        for seq in 0..WAITING as u64 {
            assert_eq!(order.push(stamp(0, seq, seq), ()), None);
        }
        let last = WAITING as u64;
        assert_eq!(order.push(stamp(0, last, last), ()), Some((stamp(0, 0, 0), ())));
        assert_eq!(order.waiting.len(), WAITING);
    }
}

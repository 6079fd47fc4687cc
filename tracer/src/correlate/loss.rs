//! What was not seen: numbers missing from a CPU's numbering, and calls of hooks whose program was
//! running already.
use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    correlate::update::Loss,
    model::{
        input::Stamp,
        observe::{Coverage, Observe},
    },
};

/// Losses whose times are remembered.
const LOSSES: usize = 256;
/// A number may come this much later than the next: where the kernel preempts a program between the two, others on its CPU
/// send first. Ns.
const LATE: u64 = 250_000_000;
/// Rings whose numbering is followed: those of 8,192 CPUs, which is what kernels are built for at most.
const RINGS: usize = 16_384;

/// Times at which stacks were found to be lost that are remembered.
const STACKS: usize = 64;
/// How many are lost is looked up every second, if not more often. Ns.
const LOOKED_UP: u64 = 1_100_000_000;

/// What an answer rests on that says nobody shrank a local file: each is seen as it begins.
const LOCAL_SHRINKS: [Observe; 2] = [Observe::Shrink, Observe::Collapse];
/// What other answers rest on: how that ended, who shrank a file elsewhere, and which signal was generated.
const OTHERS: [Observe; 10] = [
    Observe::ShrinkResult,
    Observe::CollapseResult,
    Observe::OpenTruncate,
    Observe::FuseSize,
    Observe::FuseSizeResult,
    Observe::NfsSize,
    Observe::NfsSizeReply,
    Observe::NfsStale,
    Observe::ForcedSignal,
    Observe::SignalGenerated,
];

/// Numbers that are missing.
struct Hole {
    first: u64,
    loss: Loss,
    reported: bool,
}

impl Hole {
    fn has(&self, stamp: Stamp) -> bool {
        let Self { first, loss: Loss { cpu, ring, count, .. }, .. } = *self;
        (cpu, ring) == (stamp.cpu, stamp.ring)
            && stamp.seq.checked_sub(first).is_some_and(|at| at < count)
    }

    /// Those of its numbers that are below one, and those above.
    fn around(&self, seq: u64) -> [Self; 2] {
        let part =
            |first: u64, count: u64| Self { first, loss: Loss { count, ..self.loss }, ..*self };
        let below = seq - self.first;
        [part(self.first, below), part(seq.saturating_add(1), self.loss.count - below - 1)]
    }
}

/// Follows the numbering of each CPU's events and says what is missing from it.
pub struct LossTracker {
    /// Ns since boot; what is missing before the first event of a ring was lost after this.
    since: u64,
    /// Last number and time seen of each (cpu, ring).
    last: HashMap<(u32, u16), (u64, u64)>,
    holes: VecDeque<Hole>,
    /// What has no room among these any more, and was not reported.
    unreported: Vec<Loss>,
    /// Until when events were lost that have no room among these any more, ns since boot.
    evicted: u64,
    /// How often the program of each was not run, and when that was learnt last.
    missed: HashMap<Observe, (u64, u64)>,
    /// Since when every way to shrink a local file is watched; `None` while one is not.
    covered: Option<u64>,
    /// What an answer may rest on and nobody sees, for now.
    blind: HashSet<Observe>,
    /// When more stacks were found to be lost, ns since boot.
    stacks: VecDeque<u64>,
}

impl LossTracker {
    /// A tracker of what is lost after `since`, when watching was complete.
    pub fn new(since: u64) -> Self {
        let (last, missed, blind) = Default::default();
        let (holes, unreported, evicted, stacks) = Default::default();
        Self { since, last, holes, unreported, evicted, missed, covered: None, blind, stacks }
    }

    /// Takes note at `time` that stacks were not captured since that was looked up before.
    pub fn stacks_lost(&mut self, time: u64) {
        if self.stacks.len() == STACKS {
            self.stacks.pop_front();
        }
        self.stacks.push_back(time);
    }

    /// Whether the stack of a thread that ended at `time` may be one of those that were not captured.
    pub fn may_lack_stack(&self, time: u64) -> bool {
        self.stacks.iter().any(|found| (time..=time.saturating_add(LOOKED_UP)).contains(found))
    }

    /// Takes note of what is watched from `time` on.
    pub fn watched(&mut self, coverage: &Coverage, time: u64) {
        let all = coverage.sees(Observe::Shrink) && coverage.sees(Observe::Collapse);
        self.covered = if all { self.covered.or(Some(time)) } else { None };
        for observe in LOCAL_SHRINKS.iter().chain(&OTHERS) {
            if coverage.lacks(*observe) {
                self.blind.insert(*observe);
            } else if self.blind.remove(observe) {
                // What came meanwhile was not looked at.
                self.missed.entry(*observe).or_default().1 = time;
            }
        }
    }

    /// Since when every way to shrink a local file is watched, ns since boot; `u64::MAX` if one is not.
    pub fn covered(&self) -> u64 {
        self.covered.unwrap_or(u64::MAX)
    }

    /// Takes note of an event of a probe; whether that changes what is missing.
    pub fn event(&mut self, stamp: Stamp) -> bool {
        let Some(at) = self.holes.iter().position(|hole| !hole.reported && hole.has(stamp)) else {
            return self.follow(stamp, |last| {
                if stamp.seq > last.0 {
                    *last = (stamp.seq, stamp.time);
                }
            });
        };
        let around = self.holes.remove(at).map(|hole| hole.around(stamp.seq));
        let left = around.into_iter().flatten().filter(|hole| hole.loss.count != 0);
        // In its place, so that the oldest stays in front.
        left.rev().for_each(|hole| self.holes.insert(at, hole));
        self.make_room();
        true
    }

    /// Takes note that a ring's CPU had numbered `stamp.seq` events when it was looked at; whether that changes what is
    /// missing.
    pub fn checkpoint(&mut self, stamp: Stamp) -> bool {
        // It was so some time before it was told: the last event known to be there is still where the
        // search for the next loss begins.
        let next = Stamp { seq: stamp.seq.saturating_add(1), ..stamp };
        self.follow(next, |last| last.0 = last.0.max(stamp.seq))
    }

    /// Notes what is missing between the last event of a ring and `next`; whether anything is.
    fn follow(&mut self, next: Stamp, seen: impl FnOnce(&mut (u64, u64))) -> bool {
        let ring = (next.cpu, next.ring);
        if self.last.len() == RINGS && !self.last.contains_key(&ring) {
            return false;
        }
        let last = self.last.entry(ring).or_insert((0, self.since));
        let first = last.0.saturating_add(1);
        let count = next.seq.saturating_sub(first);
        let from = last.1;
        seen(last);
        if count != 0 {
            let Stamp { cpu, ring, time, .. } = next;
            let loss = Loss { cpu, ring, count, from, to: time };
            self.holes.push_back(Hole { first, loss, reported: false });
            self.make_room();
        }
        count != 0
    }

    fn make_room(&mut self) {
        while self.holes.len() > LOSSES
            && let Some(oldest) = self.holes.pop_front()
        {
            self.evicted = self.evicted.max(oldest.loss.to);
            self.unreported.extend((!oldest.reported).then_some(oldest.loss));
        }
    }

    /// Whether something is missing that may still come.
    pub fn waits(&self) -> bool {
        !self.unreported.is_empty() || self.holes.iter().any(|hole| !hole.reported)
    }

    /// What is missing at `now` and comes no more; each once.
    pub fn due(&mut self, now: u64) -> Vec<Loss> {
        let mut due = std::mem::take(&mut self.unreported);
        for hole in &mut self.holes {
            if !hole.reported && hole.loss.to.saturating_add(LATE) <= now {
                hole.reported = true;
                due.push(hole.loss);
            }
        }
        due
    }

    /// Takes note that the program which observes something was not run `count` times so far, as was
    /// learnt at `time`; gives how many times of these are new.
    pub fn recursion_misses(&mut self, observe: Observe, count: u64, time: u64) -> Option<u64> {
        let (before, _) = self.missed.get(&observe).copied().unwrap_or_default();
        let calls = count.checked_sub(before).filter(|calls| *calls != 0)?;
        self.missed.insert(observe, (count, time));
        Some(calls)
    }

    /// Until when something was lost on which an answer may rest, ns since boot; 0 if nothing was.
    pub fn until(&self) -> u64 {
        self.local_shrinks_until().max(self.missed_until(&OTHERS))
    }

    /// Until when a shrink of a local file may have been lost, ns since boot; 0 if none was.
    pub fn local_shrinks_until(&self) -> u64 {
        self.events_until().max(self.missed_until(&LOCAL_SHRINKS))
    }

    /// Until when it may have been lost that the kernel forced a signal, ns since boot; 0 if it was not.
    pub fn forced_until(&self) -> u64 {
        self.events_until().max(self.missed_until(&[Observe::ForcedSignal]))
    }

    fn events_until(&self) -> u64 {
        self.holes.iter().map(|hole| hole.loss.to).fold(self.evicted, u64::max)
    }

    /// Until when calls of one of these were not looked at.
    fn missed_until(&self, of: &[Observe]) -> u64 {
        let missed = of.iter().filter_map(|observe| self.missed.get(observe));
        missed.map(|(_, time)| *time).max().unwrap_or(0)
    }

    /// How many events were lost that may lie between two times, ns since boot.
    pub fn lost_between(&self, from: u64, to: u64) -> u64 {
        let between = |loss: &&Loss| loss.from <= to && loss.to >= from;
        let losses = self.holes.iter().map(|hole| &hole.loss);
        losses.filter(between).fold(0, |sum, loss| loss.count.saturating_add(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lacking;

    fn stamp(cpu: u32, seq: u64, time: u64) -> Stamp {
        Stamp { cpu, ring: 0, seq, time }
    }

    fn ends(tracker: &mut LossTracker) -> Vec<(u64, u64, u64)> {
        tracker.due(u64::MAX).iter().map(|loss| (loss.count, loss.from, loss.to)).collect()
    }

    #[test]
    fn a_stack_may_be_lost_until_that_was_looked_up() {
        let mut loss = LossTracker::new(0);
        assert!(!loss.may_lack_stack(5));
        loss.stacks_lost(LOOKED_UP + 5);
        let found = [4, 5, LOOKED_UP + 5, LOOKED_UP + 6].map(|time| loss.may_lack_stack(time));
        assert_eq!(found, [false, true, true, false]);
        (0..2 * STACKS as u64).for_each(|_| loss.stacks_lost(9 * LOOKED_UP));
        assert!(!loss.may_lack_stack(5) && loss.stacks.len() == STACKS);
    }

    #[test]
    fn a_hole_lies_between_its_neighbours() {
        let mut tracker = LossTracker::new(5);
        for next in [stamp(0, 1, 10), stamp(1, 1, 11), stamp(0, 4, 20), stamp(0, 5, 30)] {
            assert_eq!(tracker.event(next), next.seq == 4);
        }
        let loss = Loss { cpu: 0, ring: 0, count: 2, from: 10, to: 20 };
        assert_eq!((tracker.due(19 + LATE), tracker.waits()), (vec![], true));
        assert_eq!((tracker.due(20 + LATE), tracker.waits()), (vec![loss], false));
        assert_eq!(tracker.due(u64::MAX), [], "told once");
        assert_eq!(tracker.until(), 20);
        let lost = [(0, 9), (0, 10), (12, 15), (20, 40), (21, 40)];
        assert_eq!(lost.map(|(from, to)| tracker.lost_between(from, to)), [0, 2, 2, 2, 0]);
    }

    #[test]
    fn what_is_missing_before_the_first_event_was_lost_since_the_watch_began() {
        let mut tracker = LossTracker::new(5);
        tracker.event(stamp(0, 3, 20));
        assert_eq!(ends(&mut tracker), [(2, 5, 20)]);
    }

    #[test]
    fn a_checkpoint_tells_what_no_later_event_does() {
        let mut tracker = LossTracker::new(5);
        tracker.event(stamp(0, 1, 10));
        assert!(!tracker.checkpoint(stamp(0, 1, 15)) && !tracker.waits());
        tracker.checkpoint(stamp(0, 3, 20));
        assert_eq!(ends(&mut tracker), [(2, 10, 20)]);
        // Told once; and the next hole still begins at the last event.
        tracker.checkpoint(stamp(0, 3, 25));
        tracker.event(stamp(0, 5, 30));
        assert_eq!(ends(&mut tracker), [(1, 10, 30)]);
    }

    /// On 7.3 a program was preempted between its number and its place in the ring.
    #[test]
    fn what_comes_late_is_not_lost() {
        let mut tracker = LossTracker::new(5);
        tracker.event(stamp(0, 5, 20));
        assert_eq!(tracker.lost_between(0, 30), 4, "as far as is known");
        assert!(tracker.event(stamp(0, 2, 10)) && tracker.event(stamp(0, 1, 10)));
        assert!(!tracker.event(stamp(0, 2, 10)), "twice");
        assert!(!tracker.event(stamp(1, 1, 10)), "another CPU's");
        assert_eq!(tracker.lost_between(0, 30), 2);
        assert!(tracker.event(stamp(0, 4, 10)));
        assert_eq!(ends(&mut tracker), [(1, 5, 20)]);
        assert!(!tracker.event(stamp(0, 3, 10)), "it was told as lost");
        tracker.event(stamp(0, 7, 40));
        assert!(tracker.event(stamp(0, 6, 30)) && !tracker.waits());
        assert_eq!((ends(&mut tracker), tracker.until()), (vec![], 20));
    }

    #[test]
    fn what_comes_late_pushes_no_newer_loss_out() {
        let mut tracker = LossTracker::new(5);
        for i in 1..=LOSSES as u64 {
            assert!(tracker.event(stamp(0, i * 10, i * 100)));
        }
        let newest = LOSSES as u64 * 100;
        // It parts the oldest hole, whose first part has no room then.
        assert!(tracker.event(stamp(0, 5, 50)));
        assert_eq!(tracker.until(), newest);
        assert_eq!(tracker.lost_between(newest, newest), 9);
        let lost: u64 = tracker.due(u64::MAX).iter().map(|loss| loss.count).sum();
        assert_eq!(lost, LOSSES as u64 * 9 - 1, "each is reported, once");
        for i in 1..=LOSSES as u64 {
            tracker.event(stamp(1, i * 10, 10));
        }
        assert_eq!(tracker.until(), newest, "as it was before these took the room");
    }

    #[test]
    fn only_the_newest_misses_count() {
        let mut tracker = LossTracker::new(5);
        assert_eq!(tracker.recursion_misses(Observe::Exec, 0, 10), None);
        assert_eq!(tracker.recursion_misses(Observe::Exec, 3, 11), Some(3));
        assert_eq!(tracker.recursion_misses(Observe::Exec, 3, 12), None);
        assert_eq!(tracker.recursion_misses(Observe::Exec, 5, 13), Some(2));
        assert_eq!(tracker.until(), 0, "nothing rests on it");
        assert_eq!(tracker.recursion_misses(Observe::Shrink, 1, 14), Some(1));
        assert_eq!((tracker.until(), tracker.local_shrinks_until()), (14, 14));
    }

    /// kernel.ftrace_enabled was 0 from 20 to 30.
    #[test]
    fn what_nobody_saw_for_a_while_may_have_happened_then() {
        let whole = lacking(&[]).coverage;
        let blind = lacking(&[Observe::Shrink, Observe::Exec]).coverage;
        let mut tracker = LossTracker::new(5);
        tracker.watched(&whole, 5);
        assert_eq!((tracker.covered(), tracker.until()), (5, 0));
        tracker.watched(&blind, 20);
        assert_eq!(tracker.covered(), u64::MAX);
        tracker.watched(&whole, 30);
        assert_eq!(
            (tracker.covered(), tracker.until(), tracker.local_shrinks_until()),
            (30, 30, 30)
        );
        // A module that comes changes nothing of it.
        tracker.watched(&whole, 40);
        assert_eq!((tracker.covered(), tracker.until()), (30, 30));
        // What was not run meanwhile is counted as ever.
        assert_eq!(tracker.recursion_misses(Observe::Shrink, 2, 50), Some(2));
    }

    #[test]
    fn who_opens_a_file_does_not_shrink_a_local_one() {
        let mut tracker = LossTracker::new(5);
        tracker.recursion_misses(Observe::Collapse, 1, 10);
        tracker.recursion_misses(Observe::OpenTruncate, 1, 11);
        tracker.recursion_misses(Observe::SignalGenerated, 1, 12);
        assert_eq!((tracker.until(), tracker.local_shrinks_until()), (12, 10));
    }

    #[test]
    fn numbers_from_a_damaged_stream_end_somewhere() {
        let mut tracker = LossTracker::new(0);
        tracker.checkpoint(stamp(0, u64::MAX, 1));
        assert_eq!(ends(&mut tracker), [(u64::MAX - 1, 0, 1)]);
        assert!(!tracker.event(stamp(0, u64::MAX, 2)));
        for cpu in 0..20_000 {
            tracker.event(stamp(cpu, 2, 3));
        }
        assert_eq!(tracker.last.len(), RINGS);
        assert_eq!(tracker.holes.len(), LOSSES);
        assert_eq!(ends(&mut tracker).len(), RINGS - 1, "each is told");
    }

    #[test]
    fn what_a_foreign_stream_claims_to_have_lost_does_not_overflow() {
        let mut tracker = LossTracker::new(0);
        for cpu in 0..5 {
            tracker.checkpoint(stamp(cpu, 1 << 62, 1));
        }
        assert_eq!(tracker.lost_between(0, u64::MAX), u64::MAX);
    }
}

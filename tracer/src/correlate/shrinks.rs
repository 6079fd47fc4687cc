//! Files that lost their end: the last shrinks of each inode, and whom they were announced to.
use std::collections::VecDeque;

use crate::{
    correlate::{bounded::BoundedMap, forgotten::Forgotten, incident::Truncation},
    model::{
        fault::Fault,
        file::InodeId,
        shrink::{DroppedShrinks, Shrink, ShrinkEnd, ShrinkKind, Stale},
        task::ProcessId,
    },
};

/// Inodes whose shrinks are remembered.
const INODES: usize = 1_024;
/// Shrinks remembered of each.
const SHRINKS: usize = 8;
/// Warnings remembered, for incidents to come.
const WARNINGS: usize = 256;

/// Shrinks that are about to be told.
const AWAITED: usize = 1_024;

/// What is remembered of files that lost their end.
pub struct ShrinkLog {
    /// By `Inode::ptr`, in the order in which they began.
    shrinks: BoundedMap<u64, InodeShrinks>,
    /// By `Inode::ptr`: the server said that it does not know the inode.
    stale: BoundedMap<u64, Stale>,
    warnings: VecDeque<Truncation>,
    /// By inode and begin: of files that other hosts may map and nobody here does, until they are told. No fault
    /// needs them: the kernel sends them again with it.
    shared: BoundedMap<(u64, u64), Shrink>,
    /// By inode and begin: those that had no room among the others of their inode, until somebody has looked who maps
    /// the file. Of some nobody looks: to forget one is no loss.
    crowded: BoundedMap<(u64, u64), Shrink>,
    forgotten: Forgotten,
}

/// Shrinks of the inodes that have had one address, one after the other.
#[derive(Default)]
struct InodeShrinks {
    list: VecDeque<Shrink>,
    /// Those of the last inode that had to be forgotten.
    dropped: Option<(InodeId, DroppedShrinks)>,
}

impl InodeShrinks {
    /// One had to be forgotten.
    fn drop(&mut self, shrink: &Shrink) {
        let id = shrink.inode.id;
        let known = self.dropped.filter(|(of, _)| *of == id);
        let mut dropped = known.map_or(DroppedShrinks::of(shrink), |(_, dropped)| dropped);
        dropped.add(shrink);
        self.dropped = Some((id, dropped));
    }
}

impl Default for ShrinkLog {
    fn default() -> Self {
        let (shrinks, stale) = (BoundedMap::new(INODES), BoundedMap::new(INODES));
        let (shared, crowded) = (BoundedMap::new(AWAITED), BoundedMap::new(AWAITED));
        Self {
            shrinks,
            stale,
            warnings: VecDeque::new(),
            shared,
            crowded,
            forgotten: Forgotten::default(),
        }
    }
}

impl ShrinkLog {
    /// Takes note of a shrink. One is sent again with the fault that needs it, and may have been
    /// sent before.
    pub fn begin(&mut self, shrink: Shrink) {
        if shrink.shared {
            self.shared.insert((shrink.inode.ptr, shrink.begin), shrink);
            return;
        }
        let gone = self.shrinks.make_room(&shrink.inode.ptr);
        let gone = gone.iter().flat_map(|gone| &gone.list).filter(|gone| shrank(gone));
        gone.for_each(|shrink| self.forgotten.one(shrink.begin));
        let of_inode = self.shrinks.entry(shrink.inode.ptr);
        if shrink.dropped {
            self.forgotten.many(shrink.begin);
            of_inode.drop(&shrink);
            return;
        }
        let list = &mut of_inode.list;
        if let Some(known) = list.iter_mut().find(|known| known.begin == shrink.begin) {
            known.end = known.end.or(shrink.end);
            known.ret = known.ret.or(shrink.ret);
            return;
        }
        list.push_back(shrink);
        list.make_contiguous().sort_by_key(|shrink| shrink.begin);
        if list.len() > SHRINKS
            && let Some(shrink) = list.remove(least(list))
            && shrank(&shrink)
        {
            self.forgotten.one(shrink.begin);
            let id = shrink.inode.id;
            if list.back().is_some_and(|latest| latest.inode.id == id) {
                of_inode.drop(&shrink);
            }
            if !shrink.replayed {
                self.crowded.insert((shrink.inode.ptr, shrink.begin), shrink);
            }
        }
    }

    /// The kernel may have forgotten what began before `until`, ns since boot.
    pub fn evicted_until(&mut self, until: u64) {
        self.forgotten.many(until);
    }

    /// Shrinks of the inode of `fault` that had to be forgotten, if one of them may have begun until `time`.
    pub fn dropped(&self, fault: &Fault, time: u64) -> Option<DroppedShrinks> {
        let (id, dropped) = self.shrinks.peek(&fault.inode.ptr)?.dropped?;
        (id == fault.inode.id && dropped.since() <= time).then_some(dropped)
    }

    /// Since when nothing that began until `time` had to be forgotten for want of room, ns since boot; 0 if nothing
    /// did. What began later is no matter of what happened at `time`.
    pub fn complete_since(&self, time: u64) -> u64 {
        self.forgotten.latest(time)
    }

    /// Takes note that the call which announced a shrink returned.
    pub fn end(&mut self, end: ShrinkEnd) {
        let of_inode = self.shrinks.get_mut(&end.inode);
        let mut list = of_inode.into_iter().flat_map(|of_inode| &mut of_inode.list);
        let known = list.find(|shrink| shrink.begin == end.begin);
        if let Some(shrink) = known.or_else(|| self.crowded.get_mut(&(end.inode, end.begin))) {
            shrink.end = Some(end.time);
            shrink.ret = Some(end.ret);
        }
    }

    /// Takes note that a server does not know an inode any more.
    pub fn forgotten_by_server(&mut self, stale: Stale) {
        self.stale.insert(stale.ptr, stale);
    }

    /// When the last known shrink of an inode began, ns since boot.
    pub fn latest(&mut self, inode_ptr: u64) -> Option<u64> {
        let list = &self.shrinks.get(&inode_ptr)?.list;
        list.iter().rev().find(|shrink| shrank(shrink)).map(|shrink| shrink.begin)
    }

    /// One that somebody has looked for who maps its file, by its identity, unless it was refused; asked once.
    pub fn take(&mut self, inode_ptr: u64, begin: u64) -> Option<Shrink> {
        let id = (inode_ptr, begin);
        let apart = self.shared.remove(&id).or_else(|| self.crowded.remove(&id));
        apart.filter(done).or_else(|| self.find(inode_ptr, begin).cloned())
    }

    /// A shrink by its identity, unless it was refused or there was no room for it.
    pub fn find(&self, inode_ptr: u64, begin: u64) -> Option<&Shrink> {
        let of_inode = self.shrinks.peek(&inode_ptr)?;
        of_inode.list.iter().find(|shrink| shrink.begin == begin && done(shrink))
    }

    /// Who shrank the inode of `fault`, as far as that is remembered.
    pub fn actors(&self, fault: &Fault) -> impl Iterator<Item = ProcessId> {
        let of_inode = self.shrinks.peek(&fault.inode.ptr);
        let list = of_inode.into_iter().flat_map(|of_inode| &of_inode.list);
        list.map(|shrink| shrink.actor.task.id)
    }

    /// Shrinks of the inode of `fault` that began until `time` and were not refused, oldest first.
    pub fn before(&self, fault: &Fault, time: u64) -> Vec<Shrink> {
        let of_inode = self.shrinks.peek(&fault.inode.ptr);
        let list = of_inode.into_iter().flat_map(|of_inode| &of_inode.list);
        let concerns = |shrink: &&Shrink| {
            // The address is used again for other inodes.
            shrink.inode.id == fault.inode.id
                && shrink.begin <= time
                && done(shrink)
                && shrank(shrink)
        };
        list.filter(concerns).cloned().collect()
    }

    /// Who last gave the shared memory of `fault` a larger size before `time`, if it has that size still.
    pub fn sized(&self, fault: &Fault, time: u64) -> Option<&Shrink> {
        let of_inode = self.shrinks.peek(&fault.inode.ptr)?;
        let last = of_inode.list.iter().rev().find(|act| {
            act.inode.id == fault.inode.id && act.begin <= time && act.how == ShrinkKind::Grown
        })?;
        (last.new_size == fault.inode.size).then_some(last)
    }

    /// Shrinks of a file that began until `time` and were not refused, oldest first.
    pub fn of_file(&self, file: InodeId, time: u64) -> Vec<Shrink> {
        let all = self.shrinks.values().flat_map(|of_inode| &of_inode.list);
        let concerns =
            |shrink: &&Shrink| shrink.inode.id == file && shrink.begin <= time && done(shrink);
        let mut found: Vec<Shrink> = all.filter(concerns).cloned().collect();
        found.sort_by_key(|shrink| shrink.begin);
        found
    }

    /// Whether a server has said that it does not know the inode of `fault`.
    pub fn is_stale(&self, fault: &Fault) -> bool {
        let stale = self.stale.peek(&fault.inode.ptr);
        stale.is_some_and(|stale| stale.inode == fault.inode.id)
    }

    /// Takes note of a warning that was given.
    pub fn warned(&mut self, warning: Truncation) {
        if self.warnings.len() == WARNINGS {
            self.warnings.pop_front();
        }
        self.warnings.push_back(warning);
    }

    /// The warning that was given of a shrink.
    pub fn warning_of(&self, shrink: &Shrink) -> Option<&Truncation> {
        self.warnings.iter().rev().find(|warning| {
            warning.shrink.begin == shrink.begin && warning.shrink.inode.ptr == shrink.inode.ptr
        })
    }

    /// All warnings that are remembered, latest first.
    pub fn warnings(&self) -> impl Iterator<Item = &Truncation> {
        self.warnings.iter().rev()
    }

    /// How many inodes were forgotten because there were too many.
    pub fn evicted(&self) -> u64 {
        self.shrinks.evicted() + self.stale.evicted() + self.shared.evicted()
    }
}

/// Which of an inode's shrinks matters least: one of an inode that had the address before, one that a later one
/// repeats, or else the one that removed least; never the latest. `list` is in the order in which they began.
fn least(list: &VecDeque<Shrink>) -> usize {
    let latest = list.back().map(|shrink| shrink.inode.id);
    let former = |at: &usize| Some(list[*at].inode.id) != latest;
    let removed = |shrink: &Shrink| (shrink.new_size, shrink.inode.size);
    let repeated = |at: &usize| {
        let (low, high) = removed(&list[*at]);
        list.range(at + 1..).any(|later| {
            let (later_low, later_high) = removed(later);
            done(later) && later_low <= low && high <= later_high
        })
    };
    let earlier = 0..list.len().saturating_sub(1);
    let smallest = |at: &usize| {
        let (low, high) = removed(&list[*at]);
        high.saturating_sub(low)
    };
    let useless = earlier.clone().find(former).or_else(|| earlier.clone().find(repeated));
    useless.or_else(|| earlier.min_by_key(smallest)).unwrap_or(0)
}

/// Whether it removed anything, or was to: no open(2) for writing alone.
fn shrank(shrink: &Shrink) -> bool {
    shrink.how.removes()
}

/// Whether a shrink was done or is under way, not refused.
fn done(shrink: &Shrink) -> bool {
    shrink.ret.is_none_or(|ret| ret >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fault, shrink};

    fn begins(log: &ShrinkLog, time: u64) -> Vec<u64> {
        log.before(&fault(1, 0), time).iter().map(|shrink| shrink.begin).collect()
    }

    #[test]
    fn shrinks_are_told_in_the_order_they_began() {
        let mut log = ShrinkLog::default();
        for begin in [30, 10, 20] {
            log.begin(shrink(2, begin, 8_192, 0));
        }
        assert_eq!(begins(&log, 100), [10, 20, 30]);
        assert_eq!(begins(&log, 20), [10, 20]);
        assert_eq!(log.latest(7), Some(30));
        assert_eq!(log.latest(8), None);
    }

    #[test]
    fn a_refused_one_is_none() {
        let mut log = ShrinkLog::default();
        log.begin(shrink(2, 10, 8_192, 0));
        let end = ShrinkEnd { inode: 7, begin: 10, time: 11, ret: -1 };
        log.end(end);
        assert!(begins(&log, 100).is_empty());
        assert!(log.find(7, 10).is_none());
        log.end(ShrinkEnd { ret: 0, ..end });
        assert_eq!(begins(&log, 100), [10]);
        assert_eq!(log.find(7, 10).and_then(|shrink| shrink.end), Some(11));
    }

    #[test]
    fn one_that_is_sent_again_is_the_same() {
        let mut log = ShrinkLog::default();
        log.begin(shrink(2, 10, 8_192, 0));
        log.begin(Shrink { end: Some(12), ret: Some(0), ..shrink(2, 10, 8_192, 0) });
        assert_eq!(begins(&log, 100), [10]);
        assert_eq!(log.find(7, 10).and_then(|shrink| shrink.end), Some(12));
    }

    #[test]
    fn an_address_that_is_used_again_is_another_inode() {
        let mut log = ShrinkLog::default();
        log.begin(shrink(2, 10, 8_192, 0));
        let mut other = fault(1, 0);
        log.forgotten_by_server(Stale { ptr: other.inode.ptr, inode: other.inode.id });
        assert!(log.is_stale(&other));
        other.inode.id.generation += 1;
        assert_eq!(log.before(&other, 100), []);
        assert!(!log.is_stale(&other));
    }

    #[test]
    fn an_inode_shrunk_again_and_again_is_not_forgotten() {
        let mut log = ShrinkLog::default();
        for begin in 0..2 * INODES as u64 {
            log.begin(shrink(2, begin, 8_192, 0));
            let mut other = shrink(2, begin, 8_192, 0);
            other.inode.ptr = 1_000 + begin;
            log.begin(other);
        }
        assert_eq!(begins(&log, u64::MAX).len(), SHRINKS);
        assert_eq!(log.evicted(), INODES as u64 + 1);
    }

    #[test]
    fn harmless_ones_do_not_push_out_the_one_that_mattered() {
        let mut log = ShrinkLog::default();
        log.begin(shrink(2, 10, 1 << 20, 0));
        for begin in 11..40 {
            // Each a different byte of the end.
            log.begin(shrink(2, begin, 8_192 - begin, 8_191 - begin));
        }
        let known = begins(&log, 100);
        assert_eq!(known.len(), SHRINKS);
        assert_eq!((known[0], known.last()), (10, Some(&39)));
        // Which is told: nothing is proven by what is not known any more.
        assert!(log.complete_since(u64::MAX) >= 11);
    }

    #[test]
    fn what_was_dropped_of_an_inode_is_known_by_its_pages() {
        let mut log = ShrinkLog::default();
        let k = 1 << 10;
        log.begin(shrink(2, 10, 1 << 20, 0));
        // The file has grown again; this one is the narrowest.
        log.begin(shrink(3, 11, 500 * k, 400 * k));
        let of = fault(1, 0);
        assert_eq!(log.dropped(&of, 100), None);
        for i in 0..7 {
            log.begin(shrink(4, 12 + i, 400 * k, 4 * (i + 1) * k));
        }
        let dropped = log.dropped(&of, 100).expect("one too many");
        assert!(dropped.may_have_removed(112, 4_096, 10), "page 448 KiB");
        assert!(!dropped.may_have_removed(112, 4_096, 11), "it is younger than what was dropped");
        assert!(!dropped.may_have_removed(200, 4_096, 10), "page 800 KiB");
    }

    #[test]
    fn what_the_kernel_has_pushed_out_is_known_by_its_bounds() {
        let mut log = ShrinkLog::default();
        log.begin(Shrink { dropped: true, replayed: true, ..shrink(2, 10, 409_600, 0) });
        assert!(begins(&log, 100).is_empty(), "it is nobody's act");
        assert_eq!(log.complete_since(u64::MAX), 10);
        let dropped = log.dropped(&fault(1, 0), 100).expect("some");
        assert!(dropped.may_have_removed(9, 4_096, 9) && !dropped.may_have_removed(9, 4_096, 10));
    }

    #[test]
    fn an_inode_that_had_the_address_before_takes_no_room() {
        let mut log = ShrinkLog::default();
        let former = |begin, old| {
            let mut shrink = shrink(2, begin, old, 0);
            shrink.inode.id.generation += 1;
            shrink
        };
        log.begin(former(1, 1 << 30));
        log.begin(former(2, 2 << 30));
        for begin in 10..10 + SHRINKS as u64 {
            log.begin(shrink(2, begin, 100 * 4_096 - 4_096 * begin, 99 * 4_096 - 4_096 * begin));
        }
        assert_eq!(begins(&log, 100).len(), SHRINKS);
        assert_eq!(log.dropped(&fault(1, 0), 100), None, "it was another file's");
    }

    #[test]
    fn what_is_forgotten_has_a_time() {
        let mut log = ShrinkLog::default();
        for inode in 0..=INODES as u64 {
            assert_eq!(log.complete_since(u64::MAX), 0);
            let mut one = shrink(2, 100 + inode, 8_192, 0);
            one.inode.ptr = inode;
            log.begin(one);
        }
        assert_eq!(log.complete_since(u64::MAX), 100);
    }

    #[test]
    fn what_began_after_a_fault_makes_nothing_of_it_less_certain() {
        let mut log = ShrinkLog::default();
        // The kernel has sent nine of another file, three of which had begun before.
        for begin in [10, 20, 30, 110, 120, 130, 140, 150, 160, 170, 180, 190] {
            log.begin(shrink(2, begin, 409_600 - begin, 409_599 - begin));
        }
        let of = fault(1, 0);
        assert_eq!([5, 10, 35, 200].map(|time| log.complete_since(time)), [0, 10, 30, 110]);
        assert_eq!([5, 10].map(|time| log.dropped(&of, time).is_some()), [false, true]);
        // When those began that the kernel has evicted is not known.
        log.evicted_until(150);
        assert_eq!([5, 145, 200].map(|time| log.complete_since(time)), [5, 145, 150]);
    }

    #[test]
    fn who_only_opened_a_file_is_no_shrink_that_was_forgotten() {
        let mut log = ShrinkLog::default();
        for inode in 0..2 * INODES as u64 {
            let mut one =
                Shrink { how: ShrinkKind::OpenWrite, ..shrink(2, 100 + inode, 8_192, 8_192) };
            one.inode.ptr = inode;
            log.begin(one);
        }
        assert_eq!(log.complete_since(u64::MAX), 0);
    }

    #[test]
    fn a_warning_is_found_by_its_shrink() {
        let mut log = ShrinkLog::default();
        let warning = |begin| Truncation {
            id: format!("{begin}"),
            shrink: shrink(2, begin, 8_192, 0),
            path: None,
            process: None,
            mount: None,
            server: None,
            at_risk: Vec::new(),
            why: None,
        };
        for begin in 0..=WARNINGS as u64 {
            log.warned(warning(begin));
        }
        let found = |begin| log.warning_of(&shrink(2, begin, 8_192, 0)).map(|w| w.id.as_str());
        assert_eq!([0, 1, 256, 300].map(found), [None, Some("1"), Some("256"), None]);
    }

    #[test]
    fn one_that_there_was_no_room_for_is_told_all_the_same() {
        let mut log = ShrinkLog::default();
        for begin in 0..100 {
            log.begin(shrink(2, begin, 409_600 - 4_096 * begin, 405_504 - 4_096 * begin));
            if begin == 1 {
                log.end(ShrinkEnd { inode: 7, begin, time: begin, ret: -1 });
            }
        }
        log.end(ShrinkEnd { inode: 7, begin: 2, time: 100, ret: -1 });
        let told = (0..100).filter(|begin| log.take(7, *begin).is_some()).collect::<Vec<_>>();
        assert_eq!((told.len(), told[0], told[1]), (98, 0, 3), "but those that were refused");
    }

    #[test]
    fn one_that_only_other_hosts_may_suffer_from_makes_no_room_for_itself() {
        let mut log = ShrinkLog::default();
        log.begin(shrink(2, 10, 8_192, 0));
        for begin in 0..4 * AWAITED as u64 {
            let mut other = shrink(2, begin, 8_192, 0);
            (other.shared, other.inode.ptr) = (true, 1_000 + begin);
            log.begin(other);
        }
        assert_eq!((begins(&log, 100), log.complete_since(u64::MAX)), (vec![10], 0));
        let last = 4 * AWAITED as u64 - 1;
        assert!(log.take(1_000 + last, last).is_some());
        assert!(log.take(1_000 + last, last).is_none(), "asked once");
        assert!(log.take(1_000, 0).is_none(), "too many");
    }
}

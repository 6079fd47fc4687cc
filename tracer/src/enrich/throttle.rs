//! Limits look-ups of processes that send or get one signal after the other: each is looked up once a second.
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::model::{
    Bytes,
    task::{ProcessId, Task},
};

/// A look-up is not repeated for so long. Ns.
const FRESH: u64 = 1_000_000_000;
/// Processes that are remembered.
const KEPT: NonZeroUsize = NonZeroUsize::new(1_024).expect("not 0");

/// The last look-up by process, LRU.
pub struct LookupThrottle(LruCache<ProcessId, Asked>);

struct Asked {
    /// Its name then: one that has another runs another program.
    comm: Bytes,
    /// Of the event it was asked for, ns since boot.
    time: u64,
    wanted: Wanted,
}

/// What is looked up beside the process itself.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub cmdline: bool,
    /// Who logged in for it, and what starts its service.
    pub origin: bool,
}

impl Default for LookupThrottle {
    fn default() -> Self {
        // `LruCache::new` would reserve all of it at once.
        Self(LruCache::unbounded())
    }
}

impl LookupThrottle {
    /// Whether to look up the process of a task for an event at `time`, and notes it.
    pub fn admits(&mut self, task: &Task, wanted: Wanted, time: u64) -> bool {
        let known = self.0.get(&task.id).is_some_and(|asked| {
            asked.comm == task.comm
                && time.saturating_sub(asked.time) < FRESH
                && (asked.wanted.cmdline || !wanted.cmdline)
                && (asked.wanted.origin || !wanted.origin)
        });
        if !known {
            if self.0.len() == KEPT.get() {
                self.0.pop_lru();
            }
            self.0.put(task.id, Asked { comm: task.comm.clone(), time, wanted });
        }
        !known
    }

    /// The next event looks it up again.
    pub fn forget(&mut self, id: ProcessId) {
        self.0.pop(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::actor;

    const ALL: Wanted = Wanted { cmdline: true, origin: true };

    #[test]
    fn a_process_is_asked_about_once_a_second_and_whenever_it_runs_something_else() {
        let mut throttle = LookupThrottle::default();
        let mut task = actor(7).task;
        let times = [0, 1, FRESH - 1, FRESH, FRESH + 1];
        let asked = times.map(|time| throttle.admits(&task, ALL, time));
        assert_eq!(asked, [true, false, false, true, false]);
        task.comm = b"cp".to_vec();
        assert!(throttle.admits(&task, ALL, FRESH + 2) && !throttle.admits(&task, ALL, FRESH + 3));
        throttle.forget(task.id);
        assert!(throttle.admits(&task, ALL, FRESH + 4));
    }

    #[test]
    fn what_was_not_asked_for_is() {
        let mut throttle = LookupThrottle::default();
        let task = actor(7).task;
        let wanted = |cmdline, origin| Wanted { cmdline, origin };
        let asked = [wanted(false, false), wanted(true, false), wanted(false, false), ALL, ALL];
        let asked = asked.map(|wanted| throttle.admits(&task, wanted, 5));
        assert_eq!(asked, [true, true, false, true, false]);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut throttle = LookupThrottle::default();
        for tgid in 0..2 * KEPT.get() as u32 {
            assert!(throttle.admits(&actor(tgid).task, ALL, 0));
        }
        assert_eq!(throttle.0.len(), KEPT.get());
    }
}

//! Who was asked about a moment ago: a process that sends or gets one signal after the other is the same each time.
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::model::{
    Bytes,
    task::{ProcessId, Task},
};

/// What was learnt of a process is good for so long. Ns.
const FRESH: u64 = 1_000_000_000;
/// Processes that are remembered.
const KEPT: NonZeroUsize = NonZeroUsize::new(1_024).expect("not 0");

/// By process.
pub struct Lately(LruCache<ProcessId, Asked>);

struct Asked {
    /// Its name then: one that has another runs another program.
    comm: Bytes,
    /// Of the event it was asked for, ns since boot.
    time: u64,
    wanted: Wanted,
}

/// What is asked beside what everybody is.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub cmdline: bool,
    /// Who logged in for it, and what starts its service.
    pub origin: bool,
}

impl Default for Lately {
    fn default() -> Self {
        // `LruCache::new` would reserve all of it at once.
        Self(LruCache::unbounded())
    }
}

impl Lately {
    /// Whether to ask about the process of a task in an event at `time`, and notes it.
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

    /// Whatever was learnt of it is not good any more.
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
        let mut lately = Lately::default();
        let mut task = actor(7).task;
        let times = [0, 1, FRESH - 1, FRESH, FRESH + 1];
        let asked = times.map(|time| lately.admits(&task, ALL, time));
        assert_eq!(asked, [true, false, false, true, false]);
        task.comm = b"cp".to_vec();
        assert!(lately.admits(&task, ALL, FRESH + 2) && !lately.admits(&task, ALL, FRESH + 3));
        lately.forget(task.id);
        assert!(lately.admits(&task, ALL, FRESH + 4));
    }

    #[test]
    fn what_was_not_asked_for_is() {
        let mut lately = Lately::default();
        let task = actor(7).task;
        let wanted = |cmdline, origin| Wanted { cmdline, origin };
        let asked = [wanted(false, false), wanted(true, false), wanted(false, false), ALL, ALL];
        let asked = asked.map(|wanted| lately.admits(&task, wanted, 5));
        assert_eq!(asked, [true, true, false, true, false]);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let mut lately = Lately::default();
        for tgid in 0..2 * KEPT.get() as u32 {
            assert!(lately.admits(&actor(tgid).task, ALL, 0));
        }
        assert_eq!(lately.0.len(), KEPT.get());
    }
}

//! What containers and pods are called, asked as their cgroups are made, and once more of whoever an event is about: a
//! moment after a death nothing may be left of either.
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;

use crate::{
    enrich::cgroups::CgroupNames,
    host::runtimes::Runtimes,
    model::{container::subject, fact::Fact},
};

/// Cgroups of which it is remembered that there is no more to say: fewer than the engine remembers names of.
const SAID: NonZeroUsize = NonZeroUsize::new(1_024).expect("not 0");
/// Cgroups that were made and wait for somebody to look, at most: whoever may make them can make many.
const WAITING: usize = 64;

/// Names containers by their cgroups, on whichever thread.
#[derive(Clone)]
pub struct Containers(Arc<Shared>);

struct Shared {
    runtimes: Runtimes,
    said: Mutex<LruCache<u64, ()>>,
    /// One for each question that waits.
    waiting: Arc<()>,
    /// One for each thread that reads.
    reading: Arc<()>,
}

/// Threads that read at once, of those that ask all questions: should they hang, others go on.
const READING: usize = 3;

/// The right to ask, which ends when it is dropped.
pub struct Turn(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Turn {
    /// One of `most`; about so many, as others take theirs meanwhile.
    fn of(all: &Arc<()>, most: usize) -> Option<Self> {
        (Arc::strong_count(all) <= most).then(|| Self(Arc::clone(all)))
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self::of(Runtimes::default())
    }
}

impl Containers {
    fn of(runtimes: Runtimes) -> Self {
        let (waiting, reading) = (Arc::default(), Arc::default());
        let said = Mutex::new(LruCache::new(SAID));
        Self(Arc::new(Shared { runtimes, said, waiting, reading }))
    }

    /// Whether there may be something to say of a cgroup.
    pub fn wants(&self, id: u64) -> bool {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(&id).is_none()
    }

    /// The turn of a cgroup that was made, if not too many wait.
    pub fn turn(&self) -> Option<Turn> {
        Turn::of(&self.0.waiting, WAITING)
    }

    /// What state files say of a cgroup, by its path where that is known.
    pub fn fact(&self, id: u64, path: Option<&[u8]>, cgroups: &CgroupNames) -> Option<Fact> {
        let looked_up = if path.is_none() { cgroups.path(id) } else { None };
        let path = path.or(looked_up.as_deref())?;
        let subject = subject(path);
        let _reading = Turn::of(&self.0.reading, READING)?;
        let names = subject.as_ref().and_then(|subject| self.0.runtimes.names(subject));
        let whole = names.as_ref().is_some_and(|names| {
            let pod = names.pod_uid.is_none() || names.pod.is_some();
            pod && (names.id.is_none() || names.name.is_some())
        });
        if whole || subject.is_none() {
            self.0.said.lock().unwrap_or_else(PoisonError::into_inner).put(id, ());
        }
        names.map(|names| Fact::Container(Box::new(names)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever may make cgroups can make many.
    #[test]
    fn so_many_wait_and_no_more() {
        let containers = Containers::default();
        let turns: Vec<Turn> = (0..WAITING + 5).filter_map(|_| containers.turn()).collect();
        assert_eq!(turns.len(), WAITING);
        drop(turns);
        assert!(containers.turn().is_some());
    }

    #[test]
    fn what_is_no_container_is_not_asked_about_again() {
        let (containers, cgroups) = (Containers::default(), CgroupNames::start());
        for path in ["/system.slice/geo.service", "/"] {
            assert!(containers.wants(7));
            assert_eq!(containers.fact(7, Some(path.as_bytes()), &cgroups), None);
            assert!(!containers.wants(7), "{path}");
            containers.0.said.lock().expect("nobody panics").clear();
        }
        // Its files may still come.
        let path = format!("/docker/{}", "0123456789abcdef".repeat(4));
        assert_eq!(containers.fact(7, Some(path.as_bytes()), &cgroups), None);
        assert!(containers.wants(7));
    }
}

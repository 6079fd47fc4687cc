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
    model::{Bytes, container::subject, fact::Fact},
};

/// Cgroups whose names are complete: fewer than the engine remembers names of.
const NAMED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not 0");
/// Cgroups of which there is more to say, and whose paths are remembered: as its last process dies, a cgroup goes.
const MADE: NonZeroUsize = NonZeroUsize::new(256).expect("not 0");
/// Cgroups that were made and wait for somebody to look, at most: whoever may make them can make many.
const WAITING: usize = 64;

/// Names containers by their cgroups, on whichever thread.
#[derive(Clone)]
pub struct Containers(Arc<Shared>);

struct Shared {
    runtimes: Runtimes,
    named: Mutex<LruCache<u64, ()>>,
    /// Paths as the kernel reported them.
    made: Mutex<LruCache<u64, Bytes>>,
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
        let named = Mutex::new(LruCache::new(NAMED));
        let made = Mutex::new(LruCache::new(MADE));
        Self(Arc::new(Shared { runtimes, named, made, waiting, reading }))
    }

    /// Whether there may be something to say of a cgroup.
    pub fn wants(&self, id: u64) -> bool {
        let mut named = self.0.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.get(&id).is_none()
    }

    /// The turn of a cgroup that was made, if not too many wait.
    pub fn turn(&self) -> Option<Turn> {
        Turn::of(&self.0.waiting, WAITING)
    }

    /// A cgroup was made, or renamed; whether there may be something to say of it.
    pub fn made(&self, id: u64, path: &[u8]) -> bool {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.pop(&id);
        let asked = subject(path).is_some();
        if asked {
            made.put(id, path.to_vec());
        }
        asked
    }

    /// What state files say of a cgroup.
    pub fn fact(&self, id: u64, cgroups: &CgroupNames) -> Option<Fact> {
        let made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let path = made.or_else(|| cgroups.path(id))?;
        let subject = subject(&path);
        let _reading = Turn::of(&self.0.reading, READING)?;
        let names = subject.as_ref().and_then(|subject| self.0.runtimes.names(subject));
        let whole = names.as_ref().is_some_and(|names| {
            let pod = names.pod_uid.is_none() || names.pod.is_some();
            pod && (names.id.is_none() || names.name.is_some())
        });
        if whole || subject.is_none() {
            self.0.named.lock().unwrap_or_else(PoisonError::into_inner).put(id, ());
            self.0.made.lock().unwrap_or_else(PoisonError::into_inner).pop(&id);
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
    fn files_may_come_later() {
        let (containers, cgroups) = (Containers::default(), CgroupNames::start());
        assert!(!containers.made(7, b"/system.slice/geo.service"));
        let path = format!("/docker/{}", "0123456789abcdef".repeat(4));
        assert!(containers.made(7, path.as_bytes()));
        // Its files may still come.
        assert_eq!(containers.fact(7, &cgroups), None);
        assert!(containers.wants(7));
        // Renamed, it is not a container any more.
        assert!(
            !containers.made(7, b"/geo")
                && containers.0.made.lock().expect("nobody panics").is_empty()
        );
    }

    /// The cgroup of a container goes with its last process, and its files do not.
    #[test]
    fn who_has_died_is_named_by_a_cgroup_that_is_gone() {
        let host = tempfile::tempdir().expect("a directory");
        let uid = "12345678-9abc-def0-1234-56789abcdef0";
        let containers = Containers::of(Runtimes::below(host.path()));
        let cgroups = CgroupNames::start();
        assert!(containers.made(u64::MAX, format!("/kubepods/pod{uid}").as_bytes()));
        assert_eq!(containers.fact(u64::MAX, &cgroups), None, "too early");
        let logs = host.path().join(format!("var/log/pods/shop_geo_{uid}"));
        std::fs::create_dir_all(logs).expect("room");
        let named = containers.fact(u64::MAX, &cgroups);
        let Some(Fact::Container(names)) = named else { panic!("{named:?}") };
        assert_eq!((names.pod.as_deref(), names.namespace.as_deref()), (Some("geo"), Some("shop")));
        assert!(!containers.wants(u64::MAX) && containers.fact(u64::MAX, &cgroups).is_none());
    }
}

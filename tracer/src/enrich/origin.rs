//! Of whoever did something: what the user is called who logged in for it, and which timers start its service.
use std::{
    hash::Hash,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

use crate::{
    enrich::cgroups::CgroupNames,
    host::{timers::UnitFiles, users},
    model::{
        Bytes,
        cgroup::service,
        fact::{Fact, Triggers, User},
        task::Actor,
    },
};

/// Services whose paths are remembered: one that a timer starts is gone with its last process.
const MADE: NonZeroUsize = NonZeroUsize::new(512).expect("not 0");

/// An answer is good for so long: who sends signals all the time does not have all unit files read each time.
const FRESH: Duration = Duration::from_secs(10);
/// Users, and services, whose answers are kept that long.
const KEPT: NonZeroUsize = NonZeroUsize::new(64).expect("not 0");

type Kept<K, V> = Mutex<LruCache<K, (Instant, V)>>;

/// Looks it up, on whichever thread.
#[derive(Clone)]
pub struct Origins(Arc<Shared>);

struct Shared {
    files: UnitFiles,
    /// Paths by cgroup, as the kernel reported them.
    made: Mutex<LruCache<u64, Bytes>>,
    users: Kept<u32, Option<String>>,
    timers: Kept<String, Vec<String>>,
}

/// What was found a moment ago, or else what is found now.
fn fresh<K: Hash + Eq, V: Clone>(kept: &Kept<K, V>, key: K, find: impl FnOnce(&K) -> V) -> V {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((since, found)) = lock().get(&key)
        && since.elapsed() < FRESH
    {
        return found.clone();
    }
    let found = find(&key);
    lock().put(key, (Instant::now(), found.clone()));
    found
}

impl Default for Origins {
    fn default() -> Self {
        Self::of(UnitFiles::default())
    }
}

impl Origins {
    fn of(files: UnitFiles) -> Self {
        let made = Mutex::new(LruCache::new(MADE));
        let (users, timers) = (Mutex::new(LruCache::new(KEPT)), Mutex::new(LruCache::new(KEPT)));
        Self(Arc::new(Shared { files, made, users, timers }))
    }

    /// A cgroup was made, or renamed.
    pub fn made(&self, id: u64, path: &[u8]) {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.pop(&id);
        if service(path).is_some() {
            made.put(id, path.to_vec());
        }
    }

    /// What is known of an actor.
    pub fn facts(&self, actor: &Actor, cgroups: &CgroupNames) -> Vec<Fact> {
        let named = |uid: u32| fresh(&self.0.users, uid, |uid| users::name(*uid));
        let user =
            actor.login.uid.and_then(|uid| Some(Fact::User(User { uid, name: named(uid)? })));
        let path = actor.task.cgroup.and_then(|id| {
            let made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
            made.or_else(|| cgroups.path(id))
        });
        let triggers = path.as_deref().and_then(service).and_then(|unit| {
            let unit = unit.to_owned();
            let files = &self.0.files;
            let timers = fresh(&self.0.timers, unit.clone(), |unit| files.timers_of(unit));
            (!timers.is_empty()).then_some(Fact::Triggers(Triggers { unit, timers }))
        });
        user.into_iter().chain(triggers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::actor;

    #[test]
    fn nothing_is_looked_for_twice_in_a_moment() {
        let kept = Mutex::new(LruCache::new(KEPT));
        let mut looked = 0;
        for _ in 0..100 {
            fresh(&kept, 7, |_| looked += 1);
        }
        assert_eq!(looked, 1);
    }

    /// The cgroup of a service that ends at once is gone by the time that somebody asks.
    #[test]
    fn the_timer_of_a_service_that_is_gone() {
        let host = tempfile::tempdir().expect("a directory");
        let units = host.path().join("etc/systemd/system");
        std::fs::create_dir_all(&units).expect("room");
        std::fs::write(units.join("rotate.timer"), "[Timer]\nOnCalendar=daily\n").expect("room");
        let (origins, cgroups) = (Origins::of(UnitFiles::below(host.path())), CgroupNames::start());
        let mut actor = actor(7);
        actor.task.cgroup = Some(u64::MAX);
        assert!(origins.facts(&actor, &cgroups).is_empty());
        origins.made(u64::MAX, b"/system.slice/rotate.service");
        let (unit, timers) = ("rotate.service".to_owned(), vec!["rotate.timer".to_owned()]);
        let told = [Fact::Triggers(Triggers { unit, timers })];
        assert_eq!(origins.facts(&actor, &cgroups), told);
        // A user gives the names below their own manager.
        origins.made(u64::MAX, b"/user.slice/user-7.slice/user@7.service/app.slice/rotate.service");
        assert!(origins.facts(&actor, &cgroups).is_empty());
    }
}

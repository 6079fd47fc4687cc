//! Of whoever did something: what the user is called who logged in for it, and which timers start its service.
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
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

/// Looks it up, on whichever thread.
#[derive(Clone)]
pub struct Origins(Arc<Shared>);

struct Shared {
    files: UnitFiles,
    /// Paths by cgroup, as the kernel reported them.
    made: Mutex<LruCache<u64, Bytes>>,
}

impl Default for Origins {
    fn default() -> Self {
        Self::of(UnitFiles::default())
    }
}

impl Origins {
    fn of(files: UnitFiles) -> Self {
        Self(Arc::new(Shared { files, made: Mutex::new(LruCache::new(MADE)) }))
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
        let user =
            actor.login.uid.and_then(|uid| Some(Fact::User(User { uid, name: users::name(uid)? })));
        let path = actor.task.cgroup.and_then(|id| {
            let made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
            made.or_else(|| cgroups.path(id))
        });
        let triggers = path.as_deref().and_then(service).and_then(|unit| {
            let timers = self.0.files.timers_of(unit);
            let unit = unit.to_owned();
            (!timers.is_empty()).then_some(Fact::Triggers(Triggers { unit, timers }))
        });
        user.into_iter().chain(triggers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::actor;

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

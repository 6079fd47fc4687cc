//! What cgroups are called that were there before the watch; the kernel tells of those that are made since.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    host::{
        cgroup::{self, Hierarchy},
        privilege,
    },
    model::{Bytes, cgroup::CgroupPath, fact::Fact},
};

/// Names cgroups by their ids, on whichever thread.
#[derive(Debug, Clone)]
pub struct CgroupNames(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The controller whose v1 hierarchy it is.
    controller: Option<&'static str>,
    hierarchy: Mutex<Option<Arc<Hierarchy>>>,
    /// As they were when the watch began: one may be removed as its last process dies.
    before: Mutex<HashMap<u64, Bytes>>,
}

impl CgroupNames {
    /// Begins to list the cgroups there are.
    pub fn start() -> Self {
        let controller = cgroup::v1_hierarchy().map(|(controller, _)| controller);
        let hierarchy = Hierarchy::open(controller).map(Arc::new);
        let names = Self(Arc::new(Shared {
            controller,
            hierarchy: Mutex::new(hierarchy.clone()),
            before: Mutex::default(),
        }));
        let shared = Arc::clone(&names.0);
        // Without it names of cgroups that are gone by then stay unknown, and that is told.
        let _ = privilege::spawn("whybus-cgroups", move || {
            let found = hierarchy.map(|hierarchy| hierarchy.list()).unwrap_or_default();
            *shared.before.lock().unwrap_or_else(PoisonError::into_inner) = found;
        });
        names
    }

    /// The path of a cgroup, from the root of its hierarchy.
    pub fn path(&self, id: u64) -> Option<Bytes> {
        let found = self.hierarchy().and_then(|hierarchy| hierarchy.path(id));
        found.or_else(|| self.before(id))
    }

    /// What was known of a cgroup as the watch began: nobody is asked.
    pub fn known(&self, id: Option<u64>) -> Option<Fact> {
        let id = id?;
        Some(Fact::Cgroup(CgroupPath { id, path: self.before(id)? }))
    }

    fn before(&self, id: u64) -> Option<Bytes> {
        let before = self.0.before.lock().unwrap_or_else(PoisonError::into_inner);
        before.get(&id).cloned()
    }

    /// The same, as the engine is told it.
    pub fn fact(&self, id: Option<u64>) -> Option<Fact> {
        let id = id?;
        Some(Fact::Cgroup(CgroupPath { id, path: self.path(id)? }))
    }

    fn hierarchy(&self) -> Option<Arc<Hierarchy>> {
        let mut known = self.0.hierarchy.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been mounted since.
        if known.is_none() {
            *known = Hierarchy::open(self.0.controller).map(Arc::new);
        }
        known.clone()
    }
}

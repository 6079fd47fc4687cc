//! The mounts, for whoever is asked.
use std::sync::{Arc, Mutex, PoisonError};

use crate::{host::proc::mountinfo, model::file::Mount};

/// The mounts of our own namespace as they were read last, by whichever thread.
#[derive(Clone, Default)]
pub struct MountTable(Arc<Mutex<Arc<Vec<Mount>>>>);

impl MountTable {
    /// As they were read last.
    pub fn current(&self) -> Arc<Vec<Mount>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads them.
    pub fn refresh(&self) -> Arc<Vec<Mount>> {
        let mounts = mountinfo::read();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if **known != mounts {
            *known = Arc::new(mounts);
        }
        Arc::clone(&known)
    }
}

//! The entries that this process wrote last, of loads that it holds: a change of one needs no look at it first.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::load::{Load, Status};

/// Entries of loads that were dropped in the middle stay until there are so many. A command line holds 512 at most.
const MOST: usize = 1_024;

/// Entries by id, each as this process wrote it last.
#[derive(Debug, Default)]
pub(super) struct LoadCache(Mutex<BTreeMap<String, Load>>);

impl LoadCache {
    /// Keeps an entry that was written, for as long as an attempt holds it.
    pub(super) fn keep(&self, load: Load) {
        let mut held = self.lock();
        if load.status != Status::Running || load.lease.is_none() {
            held.remove(&load.id);
            return;
        }
        if held.len() >= MOST {
            held.clear();
        }
        held.insert(load.id.clone(), load);
    }

    /// Takes the entry of a load away: during a change the stored entry is unknown until the answer comes.
    pub(super) fn take(&self, id: &str) -> Option<Load> {
        self.lock().remove(id)
    }

    /// Entries are kept whole; a panic in another thread leaves none half written.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Load>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What outlasts a load: caches of names and paths, which change nothing but speed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::automatic::{Automatic, Settings};
use crate::row::{Names, RowsPool};
use crate::view::{Plan, ViewSet};

/// As many as loads run at once in one process.
const MAX_KEPT: usize = 8;

/// What loads of any common data leave behind: HL7's examples of all five releases together take a third.
pub(super) const MAX_KEPT_BYTES: usize = 16 << 20;

/// The caches of one flattener.
#[derive(Debug)]
pub(super) struct FlattenerState {
    pub(super) automatic: Automatic,
    /// The same for archived resources, whose names do not belong into the dictionary.
    pub(super) archived: Automatic,
    pub(super) names: Names,
    pub(super) views: ViewSet,
    pub(super) types: BTreeMap<Arc<str>, Arc<OfType>>,
    pub(super) rows_pool: RowsPool,
}

/// What the catalog has for a resource type.
#[derive(Debug)]
pub(super) struct OfType {
    pub(super) name: Arc<str>,
    pub(super) tables: Arc<[String]>,
    /// The archive rules, by index.
    pub(super) rules: Vec<usize>,
    /// The checks, by index.
    pub(super) checks: Vec<usize>,
    pub(super) is_known: bool,
}

impl FlattenerState {
    pub(super) fn new(settings: &Settings, plans: &[Arc<Plan>]) -> Self {
        let mut names = Names::default();
        let views = ViewSet::new(plans.iter().cloned(), &mut names);
        Self {
            automatic: Automatic::new(settings.clone()),
            archived: Automatic::new(settings.clone()),
            names,
            views,
            types: BTreeMap::new(),
            rows_pool: RowsPool::default(),
        }
    }

    /// Returns roughly how many bytes the caches take.
    pub(super) fn bytes(&self) -> usize {
        let types: usize = self.types.keys().map(|name| size_of::<OfType>() + 4 * name.len()).sum();
        self.automatic.bytes() + self.archived.bytes() + self.names.bytes() + types
    }
}

/// The caches of flatteners whose loads are over, for the next ones.
#[derive(Debug, Default)]
pub(super) struct FlattenerPool(Mutex<Vec<FlattenerState>>);

impl FlattenerPool {
    /// Takes the caches of an earlier flattener, and begins a load.
    pub(super) fn take(&self) -> Option<FlattenerState> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        state.automatic.begin_load();
        Some(state)
    }

    /// Keeps the caches of a flattener, unless they are too large.
    pub(super) fn keep(&self, state: FlattenerState) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT && state.bytes() <= MAX_KEPT_BYTES {
            kept.push(state);
        }
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(FlattenerState::bytes).collect()
    }
}

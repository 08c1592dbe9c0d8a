//! What happened in all histories of this process, counted by kind.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// The counts of this process.
pub(crate) static STATS: Stats = Stats { counts: Mutex::new(BTreeMap::new()) };

/// Counts by kind.
pub(crate) struct Stats {
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Stats {
    pub(crate) fn count(&self, kind: &'static str) {
        self.add(kind, 1);
    }

    pub(crate) fn add(&self, kind: &'static str, count: usize) {
        *self.counts.lock().unwrap().entry(kind).or_default() += count as u64;
    }

    pub(crate) fn of(&self, kind: &str) -> u64 {
        self.counts.lock().unwrap().get(kind).copied().unwrap_or_default()
    }

    /// Returns `kind 12, other kind 7`.
    pub(crate) fn summary(&self) -> String {
        let counts = self.counts.lock().unwrap();
        counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
    }
}

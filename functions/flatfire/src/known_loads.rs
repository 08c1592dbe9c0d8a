//! What the ledger knows of many loads at once. `backfill` and `audit` ask the store through this file alone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use pipeline::audit::known_loads;
pub(crate) use pipeline::audit::{CurrentStatus, KnownLoad};
use pipeline::ledger::Status;
use pipeline::store::admin::LoadSelection;
use pipeline::store::{Store, StoreError};
use process::milliseconds_now;

use crate::listing::{ListedVersion, Selection};

/// Reads the ledger in bulk.
#[derive(Debug)]
pub(crate) struct KnownLoads {
    store: Arc<dyn Store>,
}

impl KnownLoads {
    /// Reads the ledger of a store.
    pub(crate) const fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Returns those of these loads that the ledger knows, by id.
    pub(crate) async fn of(&self, ids: &[String]) -> Result<BTreeMap<String, KnownLoad>, StoreError> {
        let outlines = self.store.load_outlines(ids, milliseconds_now()).await?;
        Ok(outlines.into_iter().map(|(id, outline)| (id, outline.into())).collect())
    }

    /// Returns what the ledger knows of each of these versions.
    pub(crate) async fn of_versions(
        &self,
        versions: &[ListedVersion],
    ) -> Result<Vec<Option<KnownLoad>>, StoreError> {
        known_loads(self.store.as_ref(), versions, milliseconds_now()).await
    }

    /// Returns how many loads the ledger has of the objects that are selected.
    pub(crate) async fn count(&self, selection: &Selection) -> Result<u64, StoreError> {
        self.store.count_loads(&selected(selection, None)).await
    }

    /// Visits the loads whose object was gone, of those that are selected: their ids, and when their objects were made,
    /// in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) async fn visit_gone(
        &self,
        selection: &Selection,
        mut visit: impl FnMut(&str, i64) -> std::io::Result<()> + Send,
    ) -> anyhow::Result<()> {
        let mut visited = Ok(());
        let mut visit = |id: &str, created: i64| {
            visited = visit(id, created);
            if visited.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.store.visit_loads(&selected(selection, Some(Status::Gone)), &mut visit).await?;
        Ok(visited?)
    }
}

fn selected(selection: &Selection, status: Option<Status>) -> LoadSelection {
    let Selection { bucket, prefix, suffix, since, until } = selection.clone();
    LoadSelection { bucket, prefix, suffix, since, until, status }
}

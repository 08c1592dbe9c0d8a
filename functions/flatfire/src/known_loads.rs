//! What the ledger knows of many loads at once. `backfill` and `audit` ask the store through this file alone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use pipeline::ledger::Status;
use pipeline::store::admin::{LoadOutline, LoadSelection};
use pipeline::store::{Store, StoreError};

use crate::listing::Selection;
use crate::surroundings::milliseconds_now;

/// Reads the ledger in bulk.
#[derive(Debug)]
pub(crate) struct KnownLoads {
    store: Arc<dyn Store>,
}

/// Where a load stands, as of now: a status of the ledger, or stuck. Of two, the better one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LoadState {
    /// Everything is in the tables.
    Done,
    /// Everything but rejects is.
    Partial,
    /// A newer version of the object was loaded before.
    Superseded,
    /// A gate refused it.
    Refused,
    /// An attempt is at it, or was interrupted and will be followed by another.
    Running,
    /// Its last attempt was killed, and its lease has ended.
    Stuck,
    /// Every record is a reject.
    Failed,
    /// The object was deleted before it was loaded.
    Gone,
}

/// What the ledger knows of one load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownLoad {
    /// Where it stands.
    pub(crate) state: LoadState,
    /// What its first notification stated to order versions of equal times.
    pub(crate) sequencer: Option<String>,
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

impl From<LoadOutline> for KnownLoad {
    fn from(LoadOutline { status, is_stuck, sequencer }: LoadOutline) -> Self {
        let state = match status {
            Status::Running if is_stuck => LoadState::Stuck,
            Status::Running => LoadState::Running,
            Status::Done => LoadState::Done,
            Status::Partial => LoadState::Partial,
            Status::Failed => LoadState::Failed,
            Status::Superseded => LoadState::Superseded,
            Status::Gone => LoadState::Gone,
            Status::Refused => LoadState::Refused,
        };
        Self { state, sequencer }
    }
}

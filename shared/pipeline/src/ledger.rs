//! The ledger: one entry an object version, so that every object is loaded, and none needlessly twice.
//!
//! Every change of an entry names the revision that it changes, so that of two functions one wins and the other
//! looks again; and what an attempt reports counts only while no later attempt has begun.

mod columns;
mod held;
mod known;
pub(crate) mod load;

use std::sync::Arc;

use crate::interrupted::Interrupted;
use crate::object::ObjectRef;
use crate::store::memory::MemoryStore;
use crate::store::{LoadStore, LoadWriteError};
use crate::summary::Summary;

pub use columns::FilledColumns;
use held::LoadCache;
use known::KnownColumns;
pub use load::{
    Attempt, AttemptEnd, BeginOutcome, Checkpoint, EarlierAttempt, Interruption, Lease, Load, LoadFilter,
    MAX_EARLIER_ATTEMPTS, PriorState, Status,
};

/// What an attempt has done by the time it gives up its lease.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptTraces {
    /// It has sent something to the tables.
    pub has_written: bool,
    /// It had the time of an invocation and got no record further.
    pub has_stalled: bool,
}

/// The catalog of a load whose parts were made under several catalogs.
pub const MIXED_CATALOGS: &str = "mixed";
/// How often a change is tried before it is given up: every miss means that another process succeeded.
const MAX_MISSES: usize = 20;
/// The most loads that [`Ledger::list`] gives: they fit into one answer of the database.
const MAX_LISTED: u32 = 1_000;

/// Keeps what is known of loads and of columns.
///
/// What it remembers of either saves commands and decides nothing: the database has the last word.
#[derive(Debug)]
pub struct Ledger {
    store: Arc<dyn LoadStore>,
    held: LoadCache,
    known: KnownColumns,
}

/// How a load ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// Its status from now on.
    pub status: Status,
    /// What became of its records.
    pub summary: &'a Summary,
    /// Why not everything went well: a code, never a value.
    pub problem: Option<&'a str>,
    /// When the object was made, in milliseconds since 1970-01-01T00:00:00Z, as S3 says; `None` where it was not read.
    pub created: Option<i64>,
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

impl Ledger {
    /// Returns the ledger that a store keeps.
    #[must_use]
    pub fn new(store: Arc<dyn LoadStore>) -> Self {
        Self { store, held: LoadCache::default(), known: KnownColumns::default() }
    }

    /// Returns an empty ledger in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Arc::new(MemoryStore::default()))
    }

    /// Begins to load an object version, unless nothing is left to do or another attempt works on it.
    ///
    /// Most objects are new, so an entry is inserted before one is looked for: that is a single command.
    pub async fn begin(&self, object: &ObjectRef, attempt: &Attempt) -> Result<BeginOutcome, Interrupted> {
        let id = object.load_id();
        for miss in 0..MAX_MISSES {
            let known = if miss == 0 { None } else { self.find(&id).await? };
            let revision = known.as_ref().map(|load| load.revision);
            match Load::begin(known, object, attempt) {
                (None, BeginOutcome::AlreadyDone(status)) => {
                    if self.store.is_durable(&id, revision.unwrap_or_default()).await? {
                        return Ok(BeginOutcome::AlreadyDone(status));
                    }
                }
                (None, begun) => return Ok(begun),
                (Some(load), begun) => match self.try_write(load, revision).await {
                    Ok(true) => return Ok(begun),
                    Ok(false) => {}
                    // Nothing was sent, so there is no lease to give up.
                    Err(LoadWriteError::NothingSent(interrupted)) => return Err(interrupted),
                    Err(LoadWriteError::Unanswered(interrupted)) => {
                        return Ok(BeginOutcome::Unanswered(interrupted));
                    }
                },
            }
        }
        Err(Interrupted::Busy)
    }

    /// Notes up to where everything is durable.
    ///
    /// [`Interrupted::Busy`]: a later attempt has begun; this one must stop.
    pub async fn checkpoint(
        &self,
        id: &str,
        attempt: u32,
        checkpoint: &Checkpoint,
    ) -> Result<(), Interrupted> {
        self.change(id, attempt, |load| {
            load.checkpoint = Some(checkpoint.clone());
            load.may_have_rows = true;
            load.stalls = 0;
        })
        .await
    }

    /// Says why an attempt stops that cannot wait for its writes, and up to where everything is durable. It keeps its
    /// lease: the database may still be at work on what it was sent.
    pub async fn abandon(
        &self,
        id: &str,
        attempt: u32,
        checkpoint: Option<&Checkpoint>,
        interruption: Interruption<'_>,
    ) -> Result<(), Interrupted> {
        self.change(id, attempt, |load| {
            if let Some(checkpoint) = checkpoint {
                load.checkpoint = Some(checkpoint.clone());
                load.stalls = 0;
            }
            load.may_have_rows = true;
            load.note(interruption);
        })
        .await
    }

    /// Extends the lease.
    ///
    /// [`Interrupted::Busy`]: a later attempt has begun; this one must stop.
    pub async fn renew(&self, id: &str, attempt: u32, until: i64) -> Result<(), Interrupted> {
        self.change(id, attempt, |load| {
            if let Some(lease) = &mut load.lease {
                lease.until = until;
            }
        })
        .await
    }

    /// Gives up the lease of a load that was interrupted, so that the next attempt can begin at once.
    pub async fn release(
        &self,
        id: &str,
        attempt: u32,
        interruption: Interruption<'_>,
        traces: AttemptTraces,
    ) -> Result<(), Interrupted> {
        self.change(id, attempt, |load| {
            // Without a lease it was given up before, and the answer was lost.
            load.stalls += u32::from(traces.has_stalled && load.lease.is_some());
            load.lease = None;
            load.note(interruption);
            load.may_have_rows |= traces.has_written;
        })
        .await
    }

    /// Gives up the lease of an attempt that does not know whether it holds one.
    pub async fn withdraw(
        &self,
        id: &str,
        owner: &str,
        interruption: Interruption<'_>,
    ) -> Result<(), Interrupted> {
        for _ in 0..MAX_MISSES {
            let held = self.find(id).await?.filter(|load| load.is_leased_to(owner));
            let Some(mut load) = held else { return Ok(()) };
            let revision = load.revision;
            load.lease = None;
            load.note(interruption);
            if self.write(load, Some(revision)).await? {
                return Ok(());
            }
        }
        Err(Interrupted::Busy)
    }

    /// Ends a load.
    ///
    /// [`Interrupted::Busy`]: a later attempt has begun; its report will count.
    pub async fn finish(&self, id: &str, attempt: u32, ending: &Ending<'_>) -> Result<(), Interrupted> {
        let Ending { status, summary, problem, created, now } = *ending;
        let ended = self.change(id, attempt, |load| {
            load.created = created.unwrap_or(load.created);
            load.status = status;
            load.lease = None;
            load.checkpoint = None;
            load.ended = Some(now);
            load.first_ended = load.first_ended.or(Some(now));
            load.interrupted = None;
            load.summary = summary.clone();
            load.has_columns |= matches!(status, Status::Done | Status::Partial | Status::Failed);
            load.problem = problem.map(str::to_owned);
        });
        match ended.await {
            Err(Interrupted::Busy) => match self.find(id).await? {
                // The answer to this very call was lost on its way.
                Some(load) if load.attempts == attempt && load.status == status => Ok(()),
                _ => Err(Interrupted::Busy),
            },
            outcome => outcome,
        }
    }

    /// Reserves an edition of a load above that one, which no attempt has or will have, so that a part of it can be
    /// made anew. The next attempt makes all of it anew, from the beginning. `None`: the ledger does not know it.
    pub async fn raise_edition(&self, id: &str, above: u32) -> Result<Option<u32>, Interrupted> {
        for _ in 0..MAX_MISSES {
            let Some(load) = self.find(id).await? else { return Ok(None) };
            let (edition, revision) = (load.edition.max(above) + 1, load.revision);
            let raised = Load { edition, catalog: MIXED_CATALOGS.to_owned(), checkpoint: None, ..load };
            if self.write(raised, Some(revision)).await? {
                return Ok(Some(edition));
            }
        }
        Err(Interrupted::Busy)
    }

    /// Returns the entry of a load.
    pub async fn find(&self, id: &str) -> Result<Option<Load>, Interrupted> {
        self.store.find_load(id).await
    }

    /// Returns the loads that began last, latest first, of one kind or of all: at most 1,000.
    pub async fn list(&self, wanted: Option<LoadFilter>, limit: u32) -> Result<Vec<Load>, Interrupted> {
        self.store.list_loads(wanted, limit.clamp(1, MAX_LISTED)).await
    }

    /// Changes a load as long as that attempt holds it. The entry is read only if it is no longer the one that this
    /// process wrote last: every write names the revision that it replaces.
    async fn change(&self, id: &str, attempt: u32, change: impl Fn(&mut Load)) -> Result<(), Interrupted> {
        let mut remembered = self.held.take(id).filter(|load| load.is_held_by(attempt));
        for _ in 0..MAX_MISSES {
            let known = match remembered.take() {
                Some(load) => Some(load),
                None => self.find(id).await?,
            };
            let held = known.filter(|load| load.is_held_by(attempt));
            let Some(mut load) = held else { return Err(Interrupted::Busy) };
            let revision = load.revision;
            change(&mut load);
            if self.write(load, Some(revision)).await? {
                return Ok(());
            }
        }
        Err(Interrupted::Busy)
    }

    /// Replaces the entry of that revision; `false`: it has another revision by now.
    async fn write(&self, load: Load, revision: Option<u64>) -> Result<bool, Interrupted> {
        Ok(self.try_write(load, revision).await?)
    }

    async fn try_write(&self, mut load: Load, revision: Option<u64>) -> Result<bool, LoadWriteError> {
        load.revision = revision.map_or(0, |revision| revision + 1);
        let is_written = self.store.write_load(&load, revision).await?;
        if is_written {
            self.held.keep(load);
        }
        Ok(is_written)
    }
}

//! `flatfire backfill --direct`: loads the objects in this process, several at once, without a queue.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use flatten::catalog::Catalog;
use indicatif::ProgressBar;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Ledger, Status};
use pipeline::load::{Job, Loaded, Pipeline, PipelineLimits};
use pipeline::object::ObjectRef;
use pipeline::requester::Requester;
use pipeline::store::Store;
use process::{milliseconds_now, random_name};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cloud::Cloud;
use crate::console;
use crate::database;
use crate::known_loads::CurrentStatus;
use crate::load::{LARGE_FILE_BYTES, tell_missing_indexes};
use crate::other_catalogs;
use crate::outcome::Outcome;
use crate::settings::{LoadSettings, OtherCatalogs};
use crate::signals::asked_to_end;

/// How objects are loaded without the function.
#[derive(Debug, Args)]
pub(crate) struct Direct {
    /// Load the objects here, with the settings given here; no queue is used, not even that of `QUEUE_URL`
    #[arg(long = "direct", conflicts_with_all = ["rate", "dry_run"])]
    pub(super) is_wanted: bool,
    /// How many objects are loaded at once; those above 1 MiB and compressed ones take turns
    #[arg(long, value_name = "N", default_value = "8", requires = "is_wanted")]
    jobs: NonZeroUsize,
    #[command(flatten)]
    pub(super) settings: LoadSettings,
    #[command(flatten)]
    other_catalogs: OtherCatalogs,
}

/// Loads objects on tasks of their own.
pub(super) struct DirectLoader {
    shared: Arc<Shared>,
    jobs: usize,
    tasks: JoinSet<(String, Result<Loaded, Interrupted>)>,
    ended: BTreeMap<&'static str, u64>,
    outcome: Outcome,
    /// A load has failed as the next one would.
    has_failed: bool,
}

/// What all loads have in common.
struct Shared {
    pipeline: Pipeline,
    store: Arc<dyn Store>,
    ledger: Ledger,
    by: Option<Requester>,
    /// The turn of a large object.
    large: Semaphore,
    /// The user has asked for an end.
    is_cancelled: AtomicBool,
}

impl Direct {
    /// Prepares to load into a store.
    pub(super) async fn loader(
        &self,
        cloud: &Cloud,
        store: Arc<dyn Store>,
        catalog: Arc<Catalog>,
        by: Option<Requester>,
    ) -> anyhow::Result<DirectLoader> {
        other_catalogs::check(&*store, &catalog, self.other_catalogs).await?;
        let (storage, limits) = (cloud.storage(), PipelineLimits::default());
        let pipeline = Pipeline { storage, catalog, store: store.clone(), limits };
        let (ledger, large, is_cancelled) =
            (database::ledger(&store), Semaphore::new(1), AtomicBool::new(false));
        let shared = Arc::new(Shared { pipeline, store, ledger, by, large, is_cancelled });
        tokio::spawn(listen(Arc::clone(&shared)));
        let (tasks, ended) = (JoinSet::new(), BTreeMap::new());
        let (jobs, outcome) = (self.jobs.get(), Outcome::Done);
        Ok(DirectLoader { shared, jobs, tasks, ended, outcome, has_failed: false })
    }
}

/// Returns whether a version is loaded: an attempt that ended without a word is followed by another one here.
pub(super) const fn is_open(state: Option<CurrentStatus>) -> bool {
    matches!(state, None | Some(CurrentStatus::Stuck | CurrentStatus::Running))
}

impl DirectLoader {
    /// Returns why no other object should be begun.
    pub(super) fn stopped(&self) -> Option<Outcome> {
        if self.shared.is_cancelled.load(Ordering::Relaxed) {
            return Some(Outcome::Interrupted);
        }
        self.has_failed.then_some(Outcome::Failed)
    }

    /// Begins to load an object once there is room, unless no other should be begun by then.
    pub(super) async fn load(&mut self, object: ObjectRef, bar: &ProgressBar) {
        while self.tasks.len() >= self.jobs {
            self.join_one(bar).await;
        }
        if let Some(outcome) = self.stopped() {
            self.outcome = self.outcome.max(outcome);
            return;
        }
        self.tasks.spawn(Arc::clone(&self.shared).load(Arc::new(object)));
    }

    /// Waits for the loads under way, says what became of all, and returns the outcome.
    pub(super) async fn finish(&mut self, bar: &ProgressBar) -> Outcome {
        while !self.tasks.is_empty() {
            self.join_one(bar).await;
        }
        bar.finish_and_clear();
        tell_missing_indexes(&*self.shared.store);
        let ended = self.ended.iter().map(|(status, count)| format!("{count} {status}"));
        let ended: Vec<String> = ended.collect();
        if !ended.is_empty() {
            console::line(&format!("flatfire: loaded here: {}", ended.join(", ")));
        }
        self.outcome
    }

    /// Returns how many loads have ended with each status.
    pub(super) const fn ended(&self) -> &BTreeMap<&'static str, u64> {
        &self.ended
    }

    async fn join_one(&mut self, bar: &ProgressBar) {
        let Some(Ok((id, loaded))) = self.tasks.join_next().await else {
            self.outcome = self.outcome.max(Outcome::Failed);
            return;
        };
        let outcome = match loaded {
            Ok(loaded) => {
                *self.ended.entry(loaded.status.as_str()).or_default() += 1;
                outcome_of(loaded.status)
            }
            Err(interrupted) => {
                self.has_failed |=
                    matches!(interrupted, Interrupted::Write { .. } | Interrupted::Stopped { .. });
                bar.suspend(|| console::file_error(&id, &console::explained(&interrupted)));
                if interrupted == Interrupted::Cancelled { Outcome::Interrupted } else { Outcome::Failed }
            }
        };
        self.outcome = self.outcome.max(outcome);
    }
}

const fn outcome_of(status: Status) -> Outcome {
    match status {
        Status::Done | Status::Superseded | Status::Gone => Outcome::Done,
        Status::Partial | Status::Failed | Status::Refused | Status::Running => Outcome::Partial,
    }
}

impl Shared {
    async fn load(self: Arc<Self>, object: Arc<ObjectRef>) -> (String, Result<Loaded, Interrupted>) {
        let is_compressed = [".gz", ".zst", ".zstd"].iter().any(|ending| object.key.ends_with(ending));
        let is_large = is_compressed || object.size.is_none_or(|bytes| bytes > LARGE_FILE_BYTES);
        let _turn = if is_large { self.large.acquire().await.ok() } else { None };
        let job = Job {
            owner: random_name(),
            again: false,
            by: self.by.clone(),
            deadline: None,
            is_cancelled: Some(&self.is_cancelled),
            read_turns: None,
            clock: milliseconds_now,
            progress: &|_| {},
        };
        let loaded = self.pipeline.load(&self.ledger, &object, &job).await;
        (object.load_id(), loaded)
    }
}

/// Ends the loads behind the writes under way at the first Ctrl-C or SIGTERM, and everything at once at the second.
async fn listen(shared: Arc<Shared>) {
    asked_to_end().await;
    shared.is_cancelled.store(true, Ordering::Relaxed);
    console::line("flatfire: finishing the writes under way; press Ctrl-C again to end at once");
    asked_to_end().await;
    std::process::exit(130);
}

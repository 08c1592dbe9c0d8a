//! One object through the pipeline: the seam between the function and the library.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pipeline::assemble::BatchLimits;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::Ledger;
use pipeline::load::{Deadline, Job, Loaded, Pipeline, PipelineLimits};
use pipeline::notification::{Cause, Event};
use pipeline::source::Storage;
use pipeline::store::Store;
use process::{milliseconds_now, random_name};
use tokio::sync::Mutex;
use tokio::time::timeout_at;

use crate::database;
use crate::settings::FunctionSettings;
use crate::watched::Watched;

/// Batches of one object that are written at the same time. Two objects are loaded at once, and all is held in memory.
const WRITES_AT_ONCE: usize = 2;

/// How long a load may take.
#[derive(Debug, Clone)]
pub enum LoadTime {
    /// Until the deadline of its invocation: a Lambda is killed behind it.
    UntilDeadline,
    /// As long as it takes. Once the flag is set, it stops behind what it has begun to write, and another attempt goes
    /// on.
    UntilStopped {
        /// Set to ask for an end.
        is_stopped: Arc<AtomicBool>,
        /// How long a load that is killed keeps others from its object.
        lease: Duration,
    },
}

/// Everything that loads have in common. It connects when the first object comes.
#[derive(Debug)]
pub(crate) struct Loader {
    storage: Storage,
    secrets: aws_sdk_secretsmanager::Client,
    settings: FunctionSettings,
    time: LoadTime,
    connected: Mutex<Option<Arc<Connected>>>,
}

/// What is made once, at the first object, and kept while the database accepts it.
#[derive(Debug)]
struct Connected {
    pipeline: Pipeline,
    ledger: Ledger,
    store: Arc<dyn Store>,
}

impl Loader {
    pub(crate) fn new(
        storage: Storage,
        secrets: aws_sdk_secretsmanager::Client,
        settings: FunctionSettings,
        time: LoadTime,
    ) -> Self {
        Self { storage, secrets, settings, time, connected: Mutex::new(None) }
    }

    /// Loads one object, or says why it must be tried again. It ends in time whatever it waits for.
    pub(crate) async fn load(&self, event: Event, deadline: Deadline) -> Result<Loaded, Interrupted> {
        let connected = timeout_at(deadline.give_up.into(), self.connected()).await;
        let connected = connected.unwrap_or(Err(Interrupted::Deadline))?;
        let (deadline, is_cancelled) = match &self.time {
            LoadTime::UntilDeadline => (Some(deadline), None),
            LoadTime::UntilStopped { is_stopped, .. } => (None, Some(&**is_stopped)),
        };
        let job = Job {
            owner: random_name(),
            again: matches!(event.cause, Cause::Replay { .. }),
            by: event.by,
            deadline,
            is_cancelled,
            read_turns: None,
            clock: milliseconds_now,
            progress: &|_| {},
        };
        let outcome = connected.pipeline.load(&connected.ledger, &Arc::new(event.object), &job).await;
        if matches!(outcome, Err(Interrupted::Stopped { .. })) {
            // The credentials may have been rotated: the next load asks for them anew.
            *self.connected.lock().await = None;
        }
        outcome
    }

    /// Returns which objects are loaded.
    pub(crate) const fn watched(&self) -> &Watched {
        &self.settings.watched
    }

    /// Returns the store, connected. It ends in time whatever it waits for.
    pub(crate) async fn store(&self, deadline: Deadline) -> Result<Arc<dyn Store>, Interrupted> {
        let connected = timeout_at(deadline.give_up.into(), self.connected()).await;
        Ok(Arc::clone(&connected.unwrap_or(Err(Interrupted::Deadline))?.store))
    }

    /// Returns whether nothing new may be begun.
    pub(crate) fn is_time_over(&self, deadline: Deadline) -> bool {
        match &self.time {
            LoadTime::UntilDeadline => Instant::now() >= deadline.stop,
            LoadTime::UntilStopped { is_stopped, .. } => is_stopped.load(Ordering::Relaxed),
        }
    }

    async fn connected(&self) -> Result<Arc<Connected>, Interrupted> {
        let mut connected = self.connected.lock().await;
        if let Some(connected) = &*connected {
            return Ok(Arc::clone(connected));
        }
        let settings = &self.settings;
        let uri = settings.connection.uri(&self.secrets).await?;
        let store = database::open(&uri, &settings.store, &settings.catalog).await?;
        let batch = BatchLimits { bytes: settings.batch_bytes, ..BatchLimits::default() };
        let lease = match self.time {
            LoadTime::UntilDeadline => PipelineLimits::default().lease,
            LoadTime::UntilStopped { lease, .. } => lease,
        };
        let pipeline = Pipeline {
            storage: self.storage.clone(),
            catalog: Arc::clone(&settings.catalog),
            store: store.clone(),
            limits: PipelineLimits {
                batch,
                writes_at_once: WRITES_AT_ONCE,
                lease,
                ..PipelineLimits::default()
            },
        };
        let made = Arc::new(Connected { pipeline, ledger: Ledger::new(store.clone()), store });
        *connected = Some(Arc::clone(&made));
        Ok(made)
    }
}

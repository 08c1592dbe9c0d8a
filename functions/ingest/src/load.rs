//! One object through the pipeline: the seam between the function and the library.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mongodb_store::{ConnectError, MongoStore, connect};
use pipeline::assemble::BatchLimits;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::Ledger;
use pipeline::load::{Deadline, Job, Loaded, Pipeline, PipelineLimits};
use pipeline::notification::{Cause, Event};
use pipeline::source::Storage;
use tokio::sync::Mutex;
use tokio::time::timeout_at;

use crate::service::LoadTime;
use crate::settings::Settings;

/// Batches of one object that are written at the same time. Two objects are loaded at once, and all is held in memory.
const WRITES_AT_ONCE: usize = 2;

/// Everything that loads have in common. It connects when the first object comes.
#[derive(Debug)]
pub(crate) struct Loader {
    storage: Storage,
    secrets: aws_sdk_secretsmanager::Client,
    settings: Settings,
    time: LoadTime,
    connected: Mutex<Option<Arc<Connected>>>,
}

/// What is made once, at the first object, and kept while the database accepts it.
#[derive(Debug)]
struct Connected {
    pipeline: Pipeline,
    ledger: Ledger,
}

impl Loader {
    pub(crate) fn new(
        storage: Storage,
        secrets: aws_sdk_secretsmanager::Client,
        settings: Settings,
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
            deadline,
            is_cancelled,
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

    async fn connected(&self) -> Result<Arc<Connected>, Interrupted> {
        let mut connected = self.connected.lock().await;
        if let Some(connected) = &*connected {
            return Ok(Arc::clone(connected));
        }
        let settings = &self.settings;
        let uri = settings.connection.uri(&self.secrets).await?;
        let connection = connect(&uri, Some(&settings.database)).await.map_err(|error| match error {
            ConnectError::Interrupted(interrupted) => interrupted,
            ConnectError::InvalidUri | ConnectError::NoDatabase => {
                let (code, remedy) =
                    ("invalid connection string", "it looks like mongodb+srv://USER:PASSWORD@HOST/");
                Interrupted::Stopped { code: code.to_owned(), remedy: remedy.to_owned() }
            }
        })?;
        let batch = BatchLimits { bytes: settings.batch_bytes, ..BatchLimits::default() };
        let store = MongoStore::new(connection, &settings.archive_database)
            .with_retention(settings.retention)
            .with_views(settings.validation, settings.catalog.plans())
            .with_sql_schemas(settings.sql_schemas)
            .with_indexes(settings.indexes);
        let store = Arc::new(store);
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
        let made = Arc::new(Connected { pipeline, ledger: Ledger::new(store) });
        *connected = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// Returns a text that nobody else has: 128 random bits.
pub(crate) fn random_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

#[allow(clippy::disallowed_methods, reason = "this is the edge: the library is told the time")]
pub(crate) fn milliseconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

//! `flatfire load`: files into a database, through the line that the Lambda runs.

mod pin;
mod report;

use std::future::pending;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use flatten::catalog::Catalog;
use indicatif::{ProgressBar, ProgressStyle};
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Ledger, Load as Entered, Status};
use pipeline::load::{Job, Line, Loaded, Pace};
use pipeline::object::ObjectRef;
use pipeline::sink::mongodb::{MongoSink, Validation};
use pipeline::source::Storage;

use crate::console;
use crate::database::Database;
use crate::input::{Input, Inputs};
use crate::other_catalogs;
use crate::outcome::Outcome;
use crate::reject;
use crate::settings::{Destination, Flattening, OtherCatalogs, SqlSchemas};

use report::{Entry, Report};

/// Load FHIR files into a database.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct Load {
    #[command(flatten)]
    flattening: Flattening,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    other_catalogs: OtherCatalogs,
    #[command(flatten)]
    sql_schemas: SqlSchemas,
    /// Load also what the ledger calls done: it makes the rows anew where views or settings have changed, and fills gaps
    #[arg(long)]
    again: bool,
    /// What a file must be as a whole, else nothing of it is loaded: `max_reject_ratio`, `min_resources`, `required_types`
    #[arg(long, value_name = "FILE")]
    gates: Option<PathBuf>,
    /// What the database does with documents that are not what their view says
    #[arg(long, value_enum, default_value_t = ValidateViews::Error)]
    validate_views: ValidateViews,
    /// Files or folders: a resource, a Bundle, an array or NDJSON, plain, gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What the database does with documents that are not what their view says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ValidateViews {
    /// Nothing: the collections have no validators, or they are switched off
    Off,
    /// It writes them; its own log tells of it and quotes them
    Warn,
    /// It refuses them
    Error,
}

impl From<ValidateViews> for Validation {
    fn from(validate: ValidateViews) -> Self {
        match validate {
            ValidateViews::Off => Self::Off,
            ValidateViews::Warn => Self::Warn,
            ValidateViews::Error => Self::Error,
        }
    }
}

const NOTES: &str = "\
A file is known in the ledger by its path as given and the SHA-256 of its content: loading it again changes nothing.
Its resources are as new as they say (`meta.lastUpdated`), or else as the file's last change.

Ctrl-C ends it behind the writes under way; loading the file again goes on there. A second Ctrl-C ends it at once.

Exit codes: 0 done, 2 partial (some records were set aside), 1 failed, 130 ended by Ctrl-C.";

/// What all files have in common.
struct Loader {
    catalog: Arc<Catalog>,
    sink: Arc<MongoSink>,
    ledger: Ledger,
    database: Database,
    again: bool,
}

/// Loads all files.
pub(crate) async fn run(arguments: Load) -> anyhow::Result<Outcome> {
    let catalog = arguments.flattening.catalog(arguments.gates.as_deref())?;
    let database = arguments.destination.connect().await?;
    other_catalogs::check(&database, &catalog, arguments.other_catalogs).await?;
    let sink = database.sink(&catalog, arguments.validate_views.into(), arguments.sql_schemas);
    Ok(Loader::new(catalog, database, sink, arguments.again).load_all(&arguments.files).await)
}

/// Loads files whatever the ledger says about them.
pub(crate) async fn load_again(
    files: &[PathBuf],
    catalog: Arc<Catalog>,
    database: Database,
    sql_schemas: SqlSchemas,
) -> Outcome {
    let sink = database.sink(&catalog, Validation::default(), sql_schemas);
    Loader::new(catalog, database, sink, true).load_all(files).await
}

/// Why a file was not loaded.
struct Failure {
    reason: String,
    /// The next file would meet the same.
    ends_all: bool,
    outcome: Outcome,
}

impl Loader {
    fn new(catalog: Arc<Catalog>, database: Database, sink: MongoSink, again: bool) -> Self {
        let ledger = Ledger::mongo(database.connection.clone());
        Self { catalog, sink: Arc::new(sink), ledger, database, again }
    }

    /// Loads file after file; one that fails does not keep the others out, unless they would meet the same.
    async fn load_all(&self, files: &[PathBuf]) -> Outcome {
        let found = Inputs::find(files);
        let (mut outcome, mut report) = (found.report(), Report::default());
        for input in &found.readable {
            let began = Instant::now();
            match self.load(input).await {
                Ok(entry) => {
                    outcome = outcome.max(entry.outcome());
                    report.add(input, &entry, began.elapsed());
                }
                Err(failure) => {
                    console::file_error(&input.name, &failure.reason);
                    outcome = outcome.max(failure.outcome);
                    if failure.ends_all {
                        break;
                    }
                }
            }
        }
        report.print(self.database.rows.name());
        outcome
    }

    /// Loads one file and lists its rejects.
    async fn load(&self, input: &Input) -> Result<Entry, Failure> {
        let path = regular_file(input)?;
        let pin = pin::of_content(path).await.map_err(|error| failure(error.to_string()))?;
        let object = input.object(pin);
        let loaded = self.run_until_interrupted(input, &object).await?;
        // Nothing was read: the ledger knew the file, and what became of it.
        let is_known = loaded.summary.bytes == 0 && input.bytes != Some(0);
        let load = self.ledger.find(&object.load_id()).await?;
        if let (Status::Refused, Some(Entered { problem: Some(gates), .. })) = (loaded.status, &load) {
            console::file_error(&input.name, &format!("refused by {gates}; nothing of it is loaded"));
        }
        let summary = match load {
            Some(load) if is_known => load.summary,
            _ => loaded.summary,
        };
        if summary.rejected + summary.view_defects > 0 {
            let rejects = self.database.rejects(&object.load_id()).await;
            let rejects = rejects.map_err(|error| failure(error.to_string()))?;
            for reject in &rejects {
                console::line(&reject::line_of_document(reject, Some(&self.catalog)));
            }
        }
        Ok(Entry { status: loaded.status, is_known, summary })
    }

    async fn run(
        &self,
        input: &Input,
        object: &Arc<ObjectRef>,
        is_cancelled: &AtomicBool,
    ) -> Result<Loaded, Failure> {
        let bar = progress_bar(input);
        let job = Job {
            owner: owner(),
            again: self.again,
            deadline: None,
            is_cancelled: Some(is_cancelled),
            clock: milliseconds_now,
            progress: &|bytes| bar.set_position(bytes),
        };
        let line = Line {
            storage: input.storage.clone(),
            catalog: Arc::clone(&self.catalog),
            sink: Arc::clone(&self.sink),
            pace: Pace::default(),
        };
        let loaded = line.load(&self.ledger, object, &job).await;
        bar.finish_and_clear();
        Ok(loaded?)
    }

    /// Loads a file until somebody presses Ctrl-C. The first time ends it behind the writes under way, with a checkpoint;
    /// the second time at once.
    async fn run_until_interrupted(&self, input: &Input, object: &Arc<ObjectRef>) -> Result<Loaded, Failure> {
        let is_cancelled = AtomicBool::new(false);
        let interrupted = async {
            // Without signals nobody can ask for an end.
            if tokio::signal::ctrl_c().await.is_err() {
                pending::<()>().await;
            }
            is_cancelled.store(true, Ordering::Relaxed);
            console::line("flatfire: finishing the writes under way; press Ctrl-C again to end at once");
            tokio::signal::ctrl_c().await.ok();
        };
        tokio::select! {
            biased;
            loaded = self.run(input, object, &is_cancelled) => loaded,
            () = interrupted => Err(Interrupted::Cancelled.into()),
        }
    }
}

impl From<Interrupted> for Failure {
    fn from(interrupted: Interrupted) -> Self {
        let ends_all = matches!(
            interrupted,
            Interrupted::Write { .. } | Interrupted::Stopped { .. } | Interrupted::Cancelled
        );
        let is_by_hand = interrupted == Interrupted::Cancelled;
        let outcome = if is_by_hand { Outcome::Interrupted } else { Outcome::Failed };
        Self { reason: console::explained(&interrupted), ends_all, outcome }
    }
}

fn failure(reason: String) -> Failure {
    Failure { reason, ends_all: false, outcome: Outcome::Failed }
}

/// Anything else can be read only once, and would be another file each time.
fn regular_file(input: &Input) -> Result<&std::path::Path, Failure> {
    match &input.storage {
        Storage::File(path) if input.bytes.is_some() => Ok(path),
        _ => Err(failure(
            "a load is known by name and content; write it to a file first, or print it with `flatfire rows`"
                .to_owned(),
        )),
    }
}

/// Seen on a terminal only.
fn progress_bar(input: &Input) -> ProgressBar {
    let bar = ProgressBar::new(input.bytes.unwrap_or_default()).with_message(input.name.clone());
    let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A name that no other attempt anywhere has: 128 random bits.
fn owner() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

#[allow(clippy::disallowed_methods, reason = "this is the edge: the library is told the time")]
pub(crate) fn milliseconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

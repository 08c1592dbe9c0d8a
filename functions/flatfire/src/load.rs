//! `flatfire load`: files into a database, through the pipeline that the Lambda runs.

mod interrupt;
mod pin;
mod report;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use flatten::catalog::Catalog;
use futures::stream::{self, StreamExt as _};
use indicatif::{MultiProgress, ProgressBar};
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Ledger, Load, Status};
use pipeline::load::{Job, Loaded, Pipeline, PipelineLimits};
use pipeline::object::{ObjectRef, Pin};
use pipeline::requester::Requester;
use pipeline::source::Storage;
use pipeline::store::Store;
use pipeline::store::admin::RejectFilter;
use tokio::sync::Semaphore;

use crate::console;
use crate::database;
use crate::input::{Input, Inputs};
use crate::other_catalogs;
use crate::outcome::Outcome;
use crate::progress::{bar_of_bytes, bar_of_files};
use crate::reject;
use crate::run_by::RunBy;
use crate::settings::{Destination, LoadSettings, OtherCatalogs};

use interrupt::Interrupt;
use process::{milliseconds_now, random_name};
use report::{FileEntry, LoadReport, ReportForm};

/// Files beyond this, and compressed ones, take turns: each may fill several batches.
pub(crate) const LARGE_FILE_BYTES: u64 = 1 << 20;
/// Files that are read at once for each core.
const JOBS_PER_CORE: usize = 4;
/// The most files that are read at once: each of them may hold a batch.
const MOST_JOBS: usize = 64;
/// Files on their way for each that is read: a small one waits for the database most of the time, and those that wait
/// at the same moment share their commands.
const ON_THEIR_WAY_PER_JOB: usize = 8;

/// Load FHIR files into a database.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct LoadArguments {
    #[command(flatten)]
    settings: LoadSettings,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    other_catalogs: OtherCatalogs,
    #[command(flatten)]
    run_by: RunBy,
    /// Load also what the ledger calls done: it makes the rows anew where views or settings have changed, and fills
    /// gaps
    #[arg(long)]
    again: bool,
    /// How many files are read at once, up to 64; those above 1 MiB and compressed ones take turns. Eight times as many
    /// may wait for the database [default: 4 a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Go on: load files as they come or change, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// With --watch: a file is loaded once nothing has written to it for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "watch")]
    stable_for: u64,
    /// List every file; by default, of more than 20, only those that need a look
    #[arg(long)]
    all: bool,
    /// Print one JSON object instead of the table: `files`, `failures`, `notBegun`, `sums` and `types`; with --watch
    /// one for each look that finds files
    #[arg(long)]
    json: bool,
    /// Files or folders: a resource, a Bundle, an array or NDJSON, plain, gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

const NOTES: &str = "\
A file is known in the ledger by its path, without links and `..`, and the SHA-256 of its content: loading it again changes
nothing.
Its resources are as new as they say (`meta.lastUpdated`), or else as the file's last change.

Ctrl-C or SIGTERM ends it behind the writes under way; loading the file again goes on there. A second one ends it at once.

Exit codes: 0 done, 2 partial (some records were set aside), 1 failed, 130 ended by Ctrl-C or SIGTERM.";

/// What is said of folders without files to load.
const NO_FHIR_FILE: &str =
    "no file has a name that ends in .json, .ndjson or .jsonl, perhaps with .gz or .zst behind it";

/// What all files have in common.
struct FileLoader {
    catalog: Arc<Catalog>,
    store: Arc<dyn Store>,
    ledger: Ledger,
    again: bool,
    by: Option<Requester>,
    /// The turns of files that are read at the same time.
    read_turns: Semaphore,
    /// How many files are on their way at the same time, those that wait for the database among them.
    on_their_way: usize,
    form: ReportForm,
    /// The turn of a large file.
    large: Semaphore,
    bars: MultiProgress,
}

/// Loads all files.
pub(crate) async fn run(arguments: LoadArguments) -> anyhow::Result<Outcome> {
    let catalog = arguments.settings.catalog()?;
    let store = arguments.destination.connect_to_load(&arguments.settings.loading(&catalog)).await?;
    other_catalogs::check(&*store, &catalog, arguments.other_catalogs).await?;
    let form = ReportForm { lists_all: arguments.all, is_json: arguments.json };
    let by = arguments.run_by.requester();
    let loader = FileLoader { by, form, ..FileLoader::new(catalog, store, arguments.again, arguments.jobs) };
    if arguments.watch {
        let quiet = Duration::from_secs(arguments.stable_for);
        return Ok(loader.watch(&arguments.files, quiet).await);
    }
    Ok(loader.load_all(&arguments.files).await)
}

/// How files are loaded again.
#[derive(Debug)]
pub(crate) struct LoadAgain {
    /// Who asked for it.
    pub(crate) by: Option<Requester>,
    /// Whether the report is JSON.
    pub(crate) is_json: bool,
}

/// Loads files whatever the ledger says about them.
pub(crate) async fn load_again(
    files: &[PathBuf],
    catalog: Arc<Catalog>,
    store: Arc<dyn Store>,
    LoadAgain { by, is_json }: LoadAgain,
) -> Outcome {
    let form = ReportForm { is_json, ..ReportForm::default() };
    FileLoader { by, form, ..FileLoader::new(catalog, store, true, None) }.load_all(files).await
}

/// Returns what pins a file's content in the ledger.
pub(crate) async fn content_of(path: &Path) -> io::Result<Pin> {
    Ok(pin::of_content(path).await?.pin)
}

/// Why a file was not loaded.
struct LoadFailure {
    reason: String,
    /// The next file would meet the same.
    ends_all: bool,
    outcome: Outcome,
}

impl FileLoader {
    fn new(catalog: Arc<Catalog>, store: Arc<dyn Store>, again: bool, jobs: Option<NonZeroUsize>) -> Self {
        let ledger = database::ledger(&store);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = jobs.map_or(JOBS_PER_CORE * cores, NonZeroUsize::get).min(MOST_JOBS);
        let (read_turns, on_their_way) = (Semaphore::new(jobs), ON_THEIR_WAY_PER_JOB * jobs);
        let (large, bars) = (Semaphore::new(1), MultiProgress::new());
        Self {
            catalog,
            store,
            ledger,
            again,
            by: None,
            read_turns,
            on_their_way,
            form: ReportForm::default(),
            large,
            bars,
        }
    }

    async fn load_all(&self, files: &[PathBuf]) -> Outcome {
        let (found, interrupt) = (Inputs::find(files), Interrupt::default());
        let reported = found.report();
        if found.readable.is_empty() && reported == Outcome::Done {
            console::line(&format!("flatfire: nothing to load: {NO_FHIR_FILE}"));
        }
        tokio::select! {
            biased;
            (outcome, _) = self.load_each(&found.readable, found.unreadable.clone(), &interrupt) => outcome.max(reported),
            never = interrupt.listen(&self.bars) => match never {},
        }
    }

    /// Loads several files at once; one that fails does not keep the others out, unless they would meet the same. Then
    /// those under way end as they do, and no other begins. Returns the names of those that came to an end, too.
    /// `failures` are files that could not be found, which has been told.
    async fn load_each(
        &self,
        inputs: &[Input],
        failures: Vec<(String, String)>,
        interrupt: &Interrupt,
    ) -> (Outcome, Vec<String>) {
        let has_ended = &AtomicBool::new(false);
        let loads = inputs.iter().enumerate().map(|(number, input)| async move {
            let is_over = || has_ended.load(Ordering::Relaxed) || interrupt.is_requested();
            if is_over() {
                return None;
            }
            let began = Instant::now();
            let loaded = self.load(input, interrupt, is_over).await.transpose()?;
            let ends_all = loaded.as_ref().is_err_and(|failure| failure.ends_all);
            has_ended.fetch_or(ends_all, Ordering::Relaxed);
            Some((number, input, loaded, began.elapsed()))
        });
        let mut loads = stream::iter(loads).buffer_unordered(self.on_their_way);
        let bar = (inputs.len() > 1).then(|| self.bars.add(bar_of_files(inputs.len())));
        if let Some(bar) = &bar {
            bar.tick();
        }
        let (mut outcome, mut entries, mut omitted) = (Outcome::Done, BTreeMap::new(), 0_u64);
        let mut report = LoadReport::new(self.form, failures);
        while let Some(ended) = loads.next().await {
            if let Some(bar) = &bar {
                bar.inc(1);
            }
            match ended {
                None => omitted += 1,
                Some((number, input, Ok(entry), took)) => {
                    outcome = outcome.max(entry.outcome());
                    entries.insert(number, (input, entry, took));
                }
                Some((_, input, Err(failure), _)) => {
                    self.bars.suspend(|| console::file_error(&input.name, &failure.reason));
                    outcome = outcome.max(failure.outcome);
                    report.add_failure(input.name.clone(), failure.reason);
                }
            }
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        if omitted > 0 {
            console::line(&format!("flatfire: {omitted} more files were not begun"));
            outcome =
                outcome.max(if interrupt.is_requested() { Outcome::Interrupted } else { Outcome::Failed });
        }
        let mut ended = Vec::new();
        for (input, entry, took) in entries.into_values() {
            report.add(input, entry, took);
            ended.push(input.name.clone());
        }
        report.print(self.store.database(), omitted);
        tell_missing_indexes(&*self.store);
        (outcome, ended)
    }

    /// Loads one file and lists its rejects. `None`: its turn came when no other load may begin any more.
    async fn load(
        &self,
        input: &Input,
        interrupt: &Interrupt,
        is_over: impl Fn() -> bool,
    ) -> Result<Option<FileEntry>, LoadFailure> {
        let path = regular_file(input)?;
        let content = {
            let _turn = self.read_turns.acquire().await.ok();
            pin::of_content(path).await.map_err(|error| failure(error.to_string()))?
        };
        let is_large = content.is_compressed || input.bytes.is_some_and(|bytes| bytes > LARGE_FILE_BYTES);
        let object = input.object(content.pin);
        let loaded = {
            let _turn = if is_large { self.large.acquire().await.ok() } else { None };
            if is_over() {
                return Ok(None);
            }
            interrupt.unless_at_once(self.run(input, &object, interrupt.requested())).await?
        };
        // Nothing was read: the ledger knew the file, and what became of it.
        let is_known = loaded.summary.bytes == 0 && input.bytes != Some(0);
        let has_more_to_tell = is_known || loaded.status == Status::Refused;
        let load = if has_more_to_tell { self.ledger.find(&object.load_id()).await? } else { None };
        if let (Status::Refused, Some(Load { problem: Some(gates), .. })) = (loaded.status, &load) {
            let reason = format!("refused by {gates}; nothing of it is loaded");
            self.bars.suspend(|| console::file_error(&input.name, &reason));
        }
        let summary = match load {
            Some(load) if is_known => load.summary,
            _ => loaded.summary,
        };
        if summary.rejected + summary.view_defects > 0 {
            let rejects = self.store.rejects(&RejectFilter::of_load(&object.load_id())).await;
            let mut rejects = rejects.map_err(|error| failure(error.to_string()))?;
            self.bars.suspend(|| {
                for reject in &mut rejects {
                    reject.source.key.clone_from(&input.name);
                    console::line(&reject::line_of_stored(reject, Some(&self.catalog)));
                }
            });
        }
        Ok(Some(FileEntry { status: loaded.status, is_known, summary }))
    }

    async fn run(
        &self,
        input: &Input,
        object: &Arc<ObjectRef>,
        is_cancelled: &AtomicBool,
    ) -> Result<Loaded, LoadFailure> {
        // Hundreds of small files have one bar for all of them.
        let bar = if input.bytes.is_some_and(|bytes| bytes > LARGE_FILE_BYTES) {
            self.bars.add(bar_of_bytes(&input.name, input.bytes.unwrap_or_default()))
        } else {
            ProgressBar::hidden()
        };
        let job = Job {
            owner: random_name(),
            again: self.again,
            by: self.by.clone(),
            deadline: None,
            is_cancelled: Some(is_cancelled),
            read_turns: Some(&self.read_turns),
            clock: milliseconds_now,
            progress: &|bytes| bar.set_position(bytes),
        };
        let pipeline = Pipeline {
            storage: input.storage.clone(),
            catalog: Arc::clone(&self.catalog),
            store: self.store.clone(),
            limits: PipelineLimits::default(),
        };
        let loaded = pipeline.load(&self.ledger, object, &job).await;
        bar.finish_and_clear();
        self.bars.remove(&bar);
        Ok(loaded?)
    }
}

impl From<Interrupted> for LoadFailure {
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

fn failure(reason: String) -> LoadFailure {
    LoadFailure { reason, ends_all: false, outcome: Outcome::Failed }
}

/// Says which indexes were not made.
pub(crate) fn tell_missing_indexes(store: &dyn Store) {
    for notice in store.take_index_notices() {
        console::line(&format!("flatfire: {notice}"));
    }
}

/// Returns the metadata of a regular file. Anything else can be read only once, and would be another file each time.
fn regular_file(input: &Input) -> Result<&std::path::Path, LoadFailure> {
    match &input.storage {
        Storage::File(path) if input.bytes.is_some() => Ok(path),
        _ => Err(failure(
            "a load is known by name and content; write it to a file first, or print it with `flatfire rows`"
                .to_owned(),
        )),
    }
}

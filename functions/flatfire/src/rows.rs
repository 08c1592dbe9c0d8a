//! `flatfire rows`: the rows of files on standard output.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flatten::catalog::Catalog;
use pipeline::assemble::BatchLimits;
use pipeline::batch::Reject;
use pipeline::interrupted::Interrupted;
use pipeline::load::{Pipeline, PipelineLimits, ReadOutcome};
use pipeline::object::Pin;
use pipeline::print::{self, PrintError, Printer};
use pipeline::summary::Summary;

use crate::console;
use crate::input::{Input, Inputs};
use crate::outcome::Outcome;
use crate::reject;
use crate::settings::Flattening;

/// Print the rows of FHIR files to standard output.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct RowsArguments {
    #[command(flatten)]
    pub(crate) flattening: Flattening,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Ndjson)]
    format: OutputFormat,
    /// Print the rows of this table alone
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Files, folders, or `-` for standard input: a resource, a Bundle, an array or NDJSON, plain, gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

const NOTES: &str = "\
Of several versions of a resource in the files only the newest is printed, and nothing of one that was deleted. Rows
keep the order of the files.

Records that are set aside are listed on standard error as `FILE:LINE: record N: byte OFFSET: CODE at /path`:
the line on which the record begins, counted from 1, its number in the file and the byte, counted from 0, all after
decompression.

CSV (RFC 4180) holds one table. Lists and records stand in its cells as JSON; with `--arrays tables` there are
hardly any, because repeating elements become tables of their own.

Exit codes: 0 done, 2 partial (some records were set aside), 1 failed.";

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// One JSON object a row: `_table`, `_id`, then the cells
    Ndjson,
    /// One table with a header: `_id`, then the columns in the order in which they first appear
    Csv,
}

/// Small batches: they are printed in order, one while the next is flattened.
const LIMITS: PipelineLimits = PipelineLimits {
    batch: BatchLimits { bytes: 1 << 20, resources: 1_000 },
    writes_at_once: 1,
    decode: pipeline::decode::DecoderLimits { max_resource_bytes: 64 << 20 },
    lease: Duration::from_mins(5),
};

/// Prints the rows of all files.
pub(crate) async fn run(arguments: RowsArguments) -> anyhow::Result<Outcome> {
    let catalog = arguments.flattening.printed_catalog()?;
    let is_view = catalog.plans().iter().any(|view| arguments.table.as_deref() == Some(view.name()));
    let format = arguments.format.of(arguments.table, &catalog);
    let found = Inputs::find(&arguments.files);
    let checks = Arc::clone(&catalog);
    let names = found.names();
    let print_reject = move |reject: &Reject| {
        let key = &reject.source.object.key;
        console::line(&reject::line(reject, names.get(key).unwrap_or(key), &checks));
    };
    let printer = Arc::new(Printer::new(format, print_reject));
    let (mut outcome, sum, is_whole) = read_all(&found, &catalog, &printer).await;
    // All writes have ended, so this is the only owner. Rows that are not whole are not printed.
    if let Some(printer) = Arc::into_inner(printer).filter(|_| is_whole) {
        match printer.finish(std::io::stdout()) {
            Ok(()) => {}
            // The reader of the pipe has closed it.
            Err(PrintError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => {
                return Ok(Outcome::Done);
            }
            Err(PrintError::Write(error)) => {
                let interrupted = Interrupted::Write { code: error.kind().to_string() };
                console::line(&format!("flatfire: {}", console::explained(&interrupted)));
                outcome = Outcome::Failed;
            }
            // A view exists, also where nothing fits it.
            Err(PrintError::NoSuchTable { .. }) if is_view => {}
            Err(error) => return Err(error.into()),
        }
    }
    console::line(&console::sum(&sum));
    Ok(outcome.max(Outcome::of(&sum)))
}

impl OutputFormat {
    fn of(self, table: Option<String>, catalog: &Catalog) -> print::Format {
        match self {
            Self::Ndjson => print::Format::JsonLines { table },
            Self::Csv => {
                let header = header(table.as_deref(), catalog);
                print::Format::Csv { table, header }
            }
        }
    }
}

/// Returns the columns of a table that are known before its first row: those of a view.
fn header(table: Option<&str>, catalog: &Catalog) -> Vec<String> {
    let view = catalog.plans().iter().find(|view| table == Some(view.name()));
    let columns = view.into_iter().flat_map(|view| view.columns());
    let mut header: Vec<_> = columns.map(|column| column.name.clone()).collect();
    if view.is_some() {
        header.insert(0, "_id".to_owned());
    }
    header
}

/// Reads file after file; one that cannot be read does not keep the others from it. Says at last whether what the
/// printer holds is whole.
async fn read_all(
    found: &Inputs,
    catalog: &Arc<Catalog>,
    printer: &Arc<Printer>,
) -> (Outcome, Summary, bool) {
    let (mut outcome, mut sum) = (found.report(), Summary::default());
    for input in &found.readable {
        match read(input, catalog, printer).await {
            Ok(summary) => sum += summary,
            Err(interrupted) => {
                console::file_error(&input.name, &console::explained(&interrupted));
                outcome = Outcome::Failed;
                if matches!(interrupted, Interrupted::Write { .. }) {
                    return (outcome, sum, false);
                }
            }
        }
    }
    (outcome, sum, true)
}

/// Reads one file into the run that all files share.
async fn read(input: &Input, catalog: &Arc<Catalog>, printer: &Arc<Printer>) -> Result<Summary, Interrupted> {
    let (storage, catalog) = (input.storage.clone(), Arc::clone(catalog));
    let pipeline = Pipeline { storage, catalog, store: printer.clone(), limits: LIMITS };
    match pipeline.run(&input.object(Pin::Latest), None, None, &|_| {}).await? {
        ReadOutcome::Whole(summary) | ReadOutcome::Cut(summary) => Ok(summary),
        // An open file does not disappear, and there is no deadline.
        ReadOutcome::UpTo(_) | ReadOutcome::Gone => Err(Interrupted::Deadline),
    }
}

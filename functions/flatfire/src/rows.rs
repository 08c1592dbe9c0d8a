//! `flatfire rows`: the rows of files on standard output.

mod output;
mod spool;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use flatten::catalog::Catalog;
use pipeline::assemble::BatchLimits;
use pipeline::interrupted::Interrupted;
use pipeline::load::{Line, Pace, Read};
use pipeline::object::Pin;
use pipeline::sink::json_lines::{JsonLines, Lines};
use pipeline::summary::Summary;

use crate::console;
use crate::input::{Input, Inputs};
use crate::outcome::Outcome;
use crate::reject;
use crate::settings::Flattening;

use output::{Output, OutputError};
use spool::Spool;

/// Print the rows of FHIR files to standard output.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct Rows {
    #[command(flatten)]
    pub(crate) flattening: Flattening,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
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
enum Format {
    /// One JSON object a row: `_table`, `_id`, then the cells
    Ndjson,
    /// One table with a header: `_id`, then the columns in the order in which they first appear
    Csv,
}

/// Small batches: they are printed in order, one while the next is flattened.
const PACE: Pace = Pace {
    batch: BatchLimits { bytes: 1 << 20, resources: 1_000 },
    writes_at_once: 1,
    decode: pipeline::decode::Limits { max_resource_bytes: 64 << 20 },
};

/// Prints the rows of all files.
pub(crate) async fn run(arguments: Rows) -> anyhow::Result<Outcome> {
    let catalog = arguments.flattening.printed_catalog()?;
    let output = match arguments.format {
        Format::Ndjson => Output::ndjson(arguments.table),
        Format::Csv => Output::csv(Spool::new(arguments.table, catalog.plans())?),
    };
    let found = Inputs::find(&arguments.files);
    let (outcome, sum) = print_all(&found, &catalog, &output).await;
    let finished = if output.is_closed() { Err(OutputError::Closed) } else { output.finish() };
    match finished {
        Ok(()) => {
            console::line(&console::sum(&sum));
            Ok(outcome.max(Outcome::of(&sum)))
        }
        // Whoever reads has seen enough.
        Err(OutputError::Closed) => Ok(Outcome::Done),
        Err(error) => Err(error.into()),
    }
}

/// Prints file after file; one that cannot be read does not keep the others from it.
async fn print_all(found: &Inputs, catalog: &Arc<Catalog>, output: &Output) -> (Outcome, Summary) {
    let (mut outcome, mut sum) = (found.report(), Summary::default());
    let checks = Arc::clone(catalog);
    let print_reject = move |reject: &_| console::line(&reject::line(reject, &checks));
    let sink = Arc::new(JsonLines::new(output.clone(), Lines::Rows, print_reject));
    for input in &found.readable {
        match read(input, catalog, &sink).await {
            Ok(summary) => sum += summary,
            Err(interrupted) => {
                console::file_error(&input.name, &console::explained(&interrupted));
                outcome = Outcome::Failed;
                if matches!(interrupted, Interrupted::Write { .. }) {
                    // What waits is not whole: nothing of it is printed.
                    return (outcome, sum);
                }
            }
        }
    }
    // All writes have ended, so this is the only owner.
    if let Some(Err(interrupted)) = Arc::into_inner(sink).map(JsonLines::finish)
        && !output.is_closed()
    {
        console::line(&format!("flatfire: {}", console::explained(&interrupted)));
        outcome = Outcome::Failed;
    }
    (outcome, sum)
}

/// Reads one file into the run that all files share.
async fn read(
    input: &Input,
    catalog: &Arc<Catalog>,
    sink: &Arc<JsonLines<Output>>,
) -> Result<Summary, Interrupted> {
    let (storage, catalog) = (input.storage.clone(), Arc::clone(catalog));
    let line = Line { storage, catalog, sink: Arc::clone(sink), pace: PACE };
    match line.run(&input.object(Pin::Latest), None, None, &|_| {}).await? {
        Read::Whole(summary) | Read::Cut(summary) => Ok(summary),
        // A file that is opened does not go, and nobody has set a deadline.
        Read::UpTo(_) | Read::Gone => Err(Interrupted::Deadline),
    }
}

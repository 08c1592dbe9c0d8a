//! `flatfire index`: the indexes of tables that stand.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use flatten::indexes;
use indicatif::{ProgressBar, ProgressStyle};
use pipeline::store::Store;
use pipeline::store::admin::MissingIndexes;

use crate::console;
use crate::outcome::Outcome;
use crate::settings::Destination;

/// Build the indexes of tables that stand.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct Index {
    #[command(flatten)]
    destination: Destination,
    /// Which indexes
    #[arg(long, value_enum, default_value_t = Built::Keys)]
    indexes: Built,
}

const NOTES: &str = "\
Automatic tables, `_loads` and `_rejects` get the indexes that they lack, a table after the other. Loads and queries go on
meanwhile. An index of yours that begins with the same column counts; none is ever removed.

If it is interrupted, the database goes on with the table that it is at; run it again for the others.

Exit codes: 0 done, 1 failed.";

/// The indexes that are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Built {
    /// On the keys that joins use, identifiers and the code of the resource
    Keys,
    /// Also on every other key, on codings and on moments: at most 60 a table
    All,
}

impl From<Built> for indexes::Indexes {
    fn from(built: Built) -> Self {
        match built {
            Built::Keys => Self::Keys,
            Built::All => Self::All,
        }
    }
}

/// Builds the missing indexes, table by table.
pub(crate) async fn run(arguments: Index) -> anyhow::Result<Outcome> {
    let store = arguments.destination.connect().await?;
    let wanted = arguments.indexes.into();
    let (mut outcome, mut tables, mut built) = (Outcome::Done, 0_u64, 0);
    for table in store.tables_to_index().await? {
        let missing = store.missing_indexes(&table, wanted).await?;
        tables += 1;
        if missing.count == 0 {
            continue;
        }
        if build(&*store, &table, wanted, missing).await? {
            built += missing.count;
        } else {
            let obstacle = "an index of the same name or fields with other options is in the way";
            console::line(&format!("flatfire: {table}: {obstacle}; drop it and run this again"));
            outcome = Outcome::Failed;
        }
    }
    console::line(&format!("flatfire: {built} indexes built; {tables} tables looked at"));
    Ok(outcome)
}

/// Builds the indexes of one table in one pass over it, and shows on a terminal how long it has been at it. `false`:
/// another index is in the way.
async fn build(
    store: &dyn Store,
    table: &str,
    wanted: indexes::Indexes,
    missing: MissingIndexes,
) -> anyhow::Result<bool> {
    let MissingIndexes { count, rows } = missing;
    let what = format!("{table}\t{rows} rows\t{count} indexes");
    let template = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let spinner = ProgressBar::new_spinner().with_message(what.replace('\t', "  "));
    let spinner = spinner.with_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.enable_steady_tick(Duration::from_millis(200));
    let began = Instant::now();
    let is_built = store.build_indexes(table, wanted).await;
    spinner.finish_and_clear();
    let is_built = is_built?;
    if is_built {
        console::print(&format!("{what}\t{:.1} s", began.elapsed().as_secs_f64()))?;
    }
    Ok(is_built)
}

//! `flatfire index`: the indexes of tables that stand.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use flatten::indexes;
use flatten::model::ResourceTypes;
use indicatif::{ProgressBar, ProgressStyle};
use pipeline::retention::RetentionPolicy;
use pipeline::store::Store;
use pipeline::store::admin::MissingIndexes;
use serde_json::json;

use crate::console;
use crate::outcome::Outcome;
use crate::settings::{Destination, RetentionSettings};

/// Build the indexes of tables that stand.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct IndexArguments {
    #[command(flatten)]
    destination: Destination,
    /// Which indexes
    #[arg(long, value_enum, default_value_t = Built::Keys)]
    indexes: Built,
    /// Resource types that have tables although no release of FHIR has them, by comma or space
    #[arg(long, value_name = "TYPES", default_value = "", hide_default_value = true, env = "RESOURCE_TYPES")]
    resource_types: String,
    #[command(flatten)]
    retention: RetentionSettings,
    /// Print JSON, an object a line: one for each table that gets indexes, at the end one with the sums
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Automatic tables, `_loads` and `_rejects` get the indexes that they lack, a table after the other. Loads and queries go on
meanwhile. An index of yours that begins with the same column counts; none is ever removed.

With --retention-days, --ledger-days or --reject-days the indexes by which the database deletes what is too old are made,
changed or removed in all tables, those of views too.

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
pub(crate) async fn run(arguments: IndexArguments) -> anyhow::Result<Outcome> {
    let policy = arguments.retention.policy(&ResourceTypes::read(&arguments.resource_types))?;
    let store = arguments.destination.connect().await?;
    let wanted = arguments.indexes.into();
    let (mut outcome, mut tables, mut built) = (Outcome::Done, 0_u64, 0);
    for table in store.tables_to_index().await? {
        let missing = store.missing_indexes(&table, wanted).await?;
        tables += 1;
        if missing.count == 0 {
            continue;
        }
        let took = build(&*store, &table, wanted, missing).await?;
        let MissingIndexes { count, rows } = missing;
        if arguments.json {
            let (seconds, is_built) = (took.map(|took| took.as_secs_f64()), took.is_some());
            let line = json!({ "table": table, "rows": rows, "indexes": count, "isBuilt": is_built, "seconds": seconds });
            console::print_json(&line)?;
        } else if let Some(took) = took {
            console::print(&format!("{table}\t{rows} rows\t{count} indexes\t{:.1} s", took.as_secs_f64()))?;
        }
        if took.is_some() {
            built += count;
        } else {
            let obstacle = "an index of the same name or fields with other options is in the way";
            console::line(&format!("flatfire: {table}: {obstacle}; drop it and run this again"));
            outcome = Outcome::Failed;
        }
    }
    keep(&*store, &policy, arguments.json).await?;
    if arguments.json {
        console::print_json(&json!({ "indexes": built, "tables": tables }))?;
    }
    console::line(&format!("flatfire: {built} indexes built; {tables} tables looked at"));
    Ok(outcome)
}

/// Puts a policy into force, table by table.
async fn keep(store: &dyn Store, policy: &RetentionPolicy, is_json: bool) -> anyhow::Result<()> {
    if *policy == RetentionPolicy::default() {
        return Ok(());
    }
    for (table, types) in store.collections_to_keep().await? {
        let spinner = spinner(format!("{table}  retention"));
        let has_changed = store.keep(policy, &table, &types).await;
        spinner.finish_and_clear();
        match (has_changed?, is_json) {
            (false, _) => {}
            (true, true) => console::print_json(&json!({ "table": table, "retention": "changed" }))?,
            (true, false) => console::print(&format!("{table}\tretention changed"))?,
        }
    }
    Ok(())
}

/// Shows on a terminal what is being done, and for how long.
fn spinner(what: String) -> ProgressBar {
    let template = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let spinner = ProgressBar::new_spinner().with_message(what);
    let spinner = spinner.with_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}

/// Builds the indexes of one table in one pass over it, and shows on a terminal how long it has been at it. Returns
/// how long it took; `None`: another index is in the way.
async fn build(
    store: &dyn Store,
    table: &str,
    wanted: indexes::Indexes,
    missing: MissingIndexes,
) -> anyhow::Result<Option<Duration>> {
    let MissingIndexes { count, rows } = missing;
    let spinner = spinner(format!("{table}  {rows} rows  {count} indexes"));
    let began = Instant::now();
    let is_built = store.build_indexes(table, wanted).await;
    spinner.finish_and_clear();
    Ok(is_built?.then(|| began.elapsed()))
}

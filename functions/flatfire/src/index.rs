//! `flatfire index`: the indexes of tables that stand.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use flatten::indexes;
use indicatif::{ProgressBar, ProgressStyle};
use mongodb::bson::{Document, doc};
use mongodb_store::{Index as Specification, wanted_indexes};
use pipeline::interrupted::Interrupted;

use crate::console;
use crate::database::{Database, DatabaseError};
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
    let database = arguments.destination.connect().await?;
    let (mut outcome, mut tables, mut built) = (Outcome::Done, 0_u64, 0);
    for table in tables_to_index(&database).await? {
        let wanted = wanted_indexes(&table, arguments.indexes.into());
        let missing = database.connection.missing_indexes(&table, wanted).await.map_err(failed)?;
        let missing = missing.unwrap_or_default();
        tables += 1;
        if missing.is_empty() {
            continue;
        }
        if build(&database, &table, &missing).await? {
            built += missing.len();
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
async fn build(database: &Database, table: &str, missing: &[Specification]) -> anyhow::Result<bool> {
    let rows = database.rows.collection::<Document>(table).estimated_document_count().await;
    let rows = rows.map_err(DatabaseError::from)?;
    let what = format!("{table}\t{rows} rows\t{} indexes", missing.len());
    let template = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let spinner = ProgressBar::new_spinner().with_message(what.replace('\t', "  "));
    let spinner = spinner.with_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.enable_steady_tick(Duration::from_millis(200));
    let began = Instant::now();
    let is_built = database.connection.build_indexes(table, missing).await;
    spinner.finish_and_clear();
    let is_built = is_built.map_err(failed)?;
    if is_built {
        console::print(&format!("{what}\t{:.1} s", began.elapsed().as_secs_f64()))?;
    }
    Ok(is_built)
}

/// Returns the automatic tables, `_loads` and `_rejects`, in the order of their names.
async fn tables_to_index(database: &Database) -> Result<Vec<String>, DatabaseError> {
    let collections = database.rows.list_collection_names().filter(doc! { "type": "collection" });
    let (mut names, mut tables) = (collections.await?, Vec::new());
    names.sort();
    for name in names {
        if matches!(name.as_str(), "_loads" | "_rejects") || is_automatic(database, &name).await? {
            tables.push(name);
        }
    }
    Ok(tables)
}

/// Returns whether a collection is an automatic table, by its name and one of its rows: views can have similar names.
async fn is_automatic(database: &Database, table: &str) -> Result<bool, DatabaseError> {
    if !table.starts_with(|first: char| first.is_ascii_uppercase()) {
        return Ok(false);
    }
    let rows = database.rows.collection::<Document>(table);
    let row = rows.find_one(doc! { "_load": { "$exists": true } });
    let row = row.projection(doc! { "_container": 1, "_parent": 1 }).await?;
    let Some(row) = row else { return Ok(false) };
    let id = row.get_str("_id").unwrap_or_default();
    Ok(match table.split_once('_') {
        None => id.strip_prefix(table).is_some_and(|rest| rest.starts_with('/')),
        Some((_, "contained")) => row.contains_key("_container"),
        Some(_) => row.contains_key("_parent"),
    })
}

fn failed(interrupted: Interrupted) -> anyhow::Error {
    match interrupted {
        Interrupted::Write { code } => DatabaseError::Failed(code).into(),
        other => anyhow::Error::msg(other.to_string()),
    }
}

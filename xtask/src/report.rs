//! What a person wants to see: the tables, the ledger, the rejects with their places.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use tokio::time::Instant;

use crate::local_line::{Deployment, Uploaded, connect};

/// How long the loads of a few small files may take, cold start included.
const LOADED_WITHIN: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The ledger's word for a load that has come to its end.
const FINAL_STATUSES: [&str; 6] = ["done", "partial", "failed", "refused", "superseded", "gone"];

const ROWS_SHOWN: i64 = 3;
const COLUMNS_SHOWN: usize = 6;
const CELL_WIDTH: usize = 34;
const WIDTH_WITHOUT_TERMINAL: u16 = 150;

/// The database of a deployment, for reading.
///
/// # Errors
/// When its connection string cannot be read.
pub async fn database_of(deployment: &Deployment) -> Result<Database> {
    Ok(connect(&deployment.mongodb_uri).await?.database(&deployment.database))
}

/// Waits until the ledger has come to an end with every uploaded object version, and returns its entries in the
/// order of the uploads.
///
/// # Errors
/// When it takes too long; the message says which files are missing.
pub async fn wait_for_loads(
    database: &Database,
    bucket: &str,
    uploads: &[Uploaded],
) -> Result<Vec<Document>> {
    let progress = ProgressBar::new(uploads.len() as u64);
    progress
        .set_style(ProgressStyle::with_template("    {spinner} {pos} of {len} files loaded ({elapsed})")?);
    progress.enable_steady_tick(LOOK_EVERY);
    let deadline = Instant::now() + LOADED_WITHIN;
    loop {
        let mut finished = Vec::new();
        let mut missing = Vec::new();
        for upload in uploads {
            match finished_load(database, bucket, upload).await? {
                Some(load) => finished.push(load),
                None => missing.push(upload.key.as_str()),
            }
        }
        progress.set_position(finished.len() as u64);
        if missing.is_empty() {
            progress.finish_and_clear();
            return Ok(finished);
        }
        if Instant::now() > deadline {
            bail!("after {LOADED_WITHIN:?} the ledger has no result for {}", missing.join(", "));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn finished_load(database: &Database, bucket: &str, upload: &Uploaded) -> Result<Option<Document>> {
    let this_version = doc! {
        "bucket": bucket, "key": &upload.key, "versionId": &upload.version_id, "status": { "$in": &FINAL_STATUSES },
    };
    database.collection("_loads").find_one(this_version).await.context("the ledger cannot be read")
}

/// Prints every table with a few of its rows, then the ledger, then the rejects.
///
/// # Errors
/// When the database cannot be read.
pub async fn print(database: &Database) -> Result<()> {
    let mut names = database.list_collection_names().await?;
    names.sort();
    for name in names.iter().filter(|name| !name.starts_with('_')) {
        print_rows(database, name).await?;
    }
    print_all(database, "_loads", "The ledger: every file and what became of it", |load| {
        Some(vec![
            ("file", text(load.get("key")?)),
            ("status", text(load.get("status")?)),
            ("attempts", shown(load.get("attempts"))),
            ("bytes", shown(load.get("bytes"))),
            ("counts", shown(load.get("counts"))),
        ])
    })
    .await?;
    print_all(database, "_rejects", "The rejects: what was set aside, and where it stands", |reject| {
        let place = ["ordinal", "line", "offset", "length", "code", "path"];
        let place = place.into_iter().map(|name| (name, shown(reject.get(name))));
        Some(std::iter::once(("file", text(reject.get("key")?))).chain(place).collect())
    })
    .await
}

async fn print_rows(database: &Database, name: &str) -> Result<()> {
    let collection = database.collection::<Document>(name);
    let count = collection.count_documents(doc! {}).await?;
    let rows: Vec<Document> =
        collection.find(doc! {}).sort(doc! { "_id": 1 }).limit(ROWS_SHOWN).await?.try_collect().await?;
    let columns = readable_columns(&rows);
    let mut table = new_table(&columns);
    for row in &rows {
        table.add_row(columns.iter().map(|column| shown(row.get(column))));
    }
    println!("\n{name}: {count} {}", if count == 1 { "row" } else { "rows" });
    println!("{table}");
    Ok(())
}

/// One table of a technical collection; `columns` picks what is shown of a document and skips what is none.
async fn print_all(
    database: &Database,
    name: &str,
    title: &str,
    columns: impl Fn(&Document) -> Option<Vec<(&'static str, String)>>,
) -> Result<()> {
    let documents: Vec<Document> = database
        .collection(name)
        .find(doc! {})
        .sort(doc! { "key": 1, "ordinal": 1 })
        .await?
        .try_collect()
        .await?;
    let rows: Vec<_> = documents.iter().filter_map(columns).collect();
    println!("\n{title} ({name}: {})", rows.len());
    let Some(first) = rows.first() else { return Ok(()) };
    let mut table = new_table(&first.iter().map(|(column, _)| (*column).to_owned()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(|(_, cell)| cell));
    }
    println!("{table}");
    Ok(())
}

fn new_table(columns: &[String]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH_WITHOUT_TERMINAL);
    }
    table.set_header(columns);
    table
}

/// The key and the first columns that a person reads: single values, no technical columns, no code systems.
fn readable_columns(rows: &[Document]) -> Vec<String> {
    let mut columns = vec!["_id".to_owned()];
    for (column, value) in rows.iter().flatten() {
        let technical = column.starts_with('_') || column == "id" || column.starts_with("meta_");
        let noise = ["_system", "_at", "_type", "_reference", "_use", "_status"]
            .iter()
            .any(|end| column.ends_with(end));
        let single = !matches!(value, Bson::Array(_) | Bson::Document(_));
        if single && !technical && !noise && !columns.contains(column) && columns.len() < COLUMNS_SHOWN {
            columns.push(column.clone());
        }
    }
    columns
}

fn shown(value: Option<&Bson>) -> String {
    let full = value.map(text).unwrap_or_default();
    if full.chars().count() <= CELL_WIDTH {
        return full;
    }
    full.chars().take(CELL_WIDTH - 1).chain(std::iter::once('…')).collect()
}

fn text(value: &Bson) -> String {
    match value {
        Bson::String(text) => text.clone(),
        Bson::DateTime(instant) => instant.try_to_rfc3339_string().unwrap_or_default(),
        Bson::Document(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", text(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        Bson::Null => String::new(),
        other => other.to_string(),
    }
}

//! What a person wants to see: the tables, the ledger, the rejects with their places.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::local_line::{Deployment, UploadedVersion, ask};
use crate::tools::Tools;

/// How long the loads of a few small files may take, cold start included.
const LOADED_WITHIN: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The ledger's word for a load that has come to its end.
const FINAL_STATUSES: [&str; 6] = ["done", "partial", "failed", "refused", "superseded", "gone"];

const ROWS_SHOWN: &str = "3";
const COLUMNS_SHOWN: usize = 6;
const CELL_WIDTH: usize = 34;
const WIDTH_WITHOUT_TERMINAL: u16 = 150;

/// A document as JSON.
pub type ReportDocument = Map<String, Value>;

/// A table with its first rows.
#[derive(Debug, Deserialize)]
struct TableSample {
    name: String,
    count: u64,
    first: Vec<ReportDocument>,
}

/// Waits until the ledger has come to an end with every uploaded object version, and returns its entries in the
/// order of the uploads.
///
/// # Errors
/// When it takes too long; the message says which files are missing.
pub async fn wait_for_loads(
    tools: &Tools,
    deployment: &Deployment,
    uploads: &[UploadedVersion],
) -> Result<Vec<ReportDocument>> {
    let progress = ProgressBar::new(uploads.len() as u64);
    progress
        .set_style(ProgressStyle::with_template("    {spinner} {pos} of {len} files loaded ({elapsed})")?);
    progress.enable_steady_tick(LOOK_EVERY);
    let deadline = Instant::now() + LOADED_WITHIN;
    loop {
        let loads = documents(tools, deployment, "_loads").context("the ledger cannot be read")?;
        let mut finished = Vec::new();
        let mut missing = Vec::new();
        for upload in uploads {
            match loads.iter().find(|load| is_finished(load, &deployment.outputs.bucket_name, upload)) {
                Some(load) => finished.push(load.clone()),
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

fn is_finished(load: &ReportDocument, bucket: &str, upload: &UploadedVersion) -> bool {
    let is = |field: &str, value: &str| load.get(field).and_then(Value::as_str) == Some(value);
    is("bucket", bucket)
        && is("key", &upload.key)
        && is("versionId", &upload.version_id)
        && FINAL_STATUSES.iter().any(|status| is("status", status))
}

fn documents(tools: &Tools, deployment: &Deployment, collection: &str) -> Result<Vec<ReportDocument>> {
    ask(tools, &deployment.mongodb_uri, &["all", &deployment.database, collection])
}

/// Prints every table with a few of its rows, then the ledger, then the rejects.
///
/// # Errors
/// When the database cannot be read.
pub fn print(tools: &Tools, deployment: &Deployment) -> Result<()> {
    let tables: Vec<TableSample> =
        ask(tools, &deployment.mongodb_uri, &["tables", &deployment.database, ROWS_SHOWN])?;
    tables.iter().for_each(print_rows);
    let loads = documents(tools, deployment, "_loads")?;
    print_all(&loads, "The ledger: every file and what became of it (_loads", |load| {
        Some(vec![
            ("file", text(load.get("key")?)),
            ("status", text(load.get("status")?)),
            ("attempts", shown(load.get("attempts"))),
            ("bytes", shown(load.get("bytes"))),
            ("counts", shown(load.get("counts"))),
        ])
    });
    let rejects = documents(tools, deployment, "_rejects")?;
    print_all(&rejects, "The rejects: what was set aside, and where it stands (_rejects", |reject| {
        let place = ["ordinal", "line", "offset", "length", "code", "path"];
        let place = place.into_iter().map(|name| (name, shown(reject.get(name))));
        Some(std::iter::once(("file", text(reject.get("key")?))).chain(place).collect())
    });
    Ok(())
}

fn print_rows(TableSample { name, count, first: rows }: &TableSample) {
    let columns = readable_columns(rows);
    let mut table = new_table(&columns);
    for row in rows {
        table.add_row(columns.iter().map(|column| shown(row.get(column))));
    }
    println!("\n{name}: {count} {}", if *count == 1 { "row" } else { "rows" });
    println!("{table}");
}

/// Prints a technical collection as one table. `columns` picks what is shown of a document; `None` leaves it out.
fn print_all(
    documents: &[ReportDocument],
    title: &str,
    columns: impl Fn(&ReportDocument) -> Option<Vec<(&'static str, String)>>,
) {
    let rows: Vec<_> = documents.iter().filter_map(columns).collect();
    println!("\n{title}: {})", rows.len());
    let Some(first) = rows.first() else { return };
    let mut table = new_table(&first.iter().map(|(column, _)| (*column).to_owned()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().map(|(_, cell)| cell));
    }
    println!("{table}");
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
fn readable_columns(rows: &[ReportDocument]) -> Vec<String> {
    let mut columns = vec!["_id".to_owned()];
    for (column, value) in rows.iter().flatten() {
        let technical = column.starts_with('_') || column == "id" || column.starts_with("meta_");
        let noise = ["_system", "_at", "_type", "_reference", "_use", "_status"]
            .iter()
            .any(|end| column.ends_with(end));
        let single = !matches!(value, Value::Array(_) | Value::Object(_));
        if single && !technical && !noise && !columns.contains(column) && columns.len() < COLUMNS_SHOWN {
            columns.push(column.clone());
        }
    }
    columns
}

fn shown(value: Option<&Value>) -> String {
    let full = value.map(text).unwrap_or_default();
    if full.chars().count() <= CELL_WIDTH {
        return full;
    }
    full.chars().take(CELL_WIDTH - 1).chain(std::iter::once('…')).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", text(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

//! Rows that are read back: the documents of the tables, as rows of cells.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use flatten::{CellValue, TableRow};
use futures::TryStreamExt as _;
use pipeline::store::admin::RowVisitor;

use super::databases::{Databases, table_names, text};
use super::failure::DriverFailure;
use super::standing::{KEYS_AT_ONCE, under};

/// Columns that a row has for the program alone.
const OWN_COLUMNS: [&str; 4] = ["_hash", "_load", "_received", "_version"];

pub(super) async fn visit(
    databases: &Databases,
    keys: &BTreeSet<String>,
    visit: &mut RowVisitor<'_>,
) -> Result<(), DriverFailure> {
    let keys: Vec<&String> = keys.iter().collect();
    for table in table_names(&databases.rows).await? {
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let rows = databases.rows.collection::<Document>(&table);
            let mut rows = rows.find(under(keys)).sort(doc! { "_id": 1 }).await?;
            while let Some(document) = rows.try_next().await? {
                if visit(row(&table, document)).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn count(databases: &Databases) -> Result<BTreeMap<String, u64>, DriverFailure> {
    let mut counts = BTreeMap::new();
    for table in table_names(&databases.rows).await? {
        let count = databases.rows.collection::<Document>(&table).estimated_document_count().await?;
        if count > 0 {
            counts.insert(table, count);
        }
    }
    Ok(counts)
}

pub(super) async fn visit_table(
    databases: &Databases,
    table: &str,
    visit: &mut RowVisitor<'_>,
) -> Result<(), DriverFailure> {
    let rows = databases.rows.collection::<Document>(table);
    let mut rows = rows.find(doc! {}).sort(doc! { "_id": 1 }).await?;
    while let Some(document) = rows.try_next().await? {
        if visit(row(table, document)).is_break() {
            break;
        }
    }
    Ok(())
}

fn row(table: &str, document: Document) -> TableRow {
    let key = text(&document, "_id").unwrap_or_default();
    let own = |name: &str| name == "_id" || OWN_COLUMNS.contains(&name);
    let columns = cells(document).into_iter().filter(|(name, _)| !own(name)).collect();
    TableRow { table: table.to_owned(), key, columns }
}

fn cells(document: Document) -> Vec<(String, CellValue)> {
    document.into_iter().map(|(name, value)| (name, cell(value))).collect()
}

fn cell(value: Bson) -> CellValue {
    match value {
        Bson::Boolean(value) => CellValue::Boolean(value),
        Bson::Int32(value) => CellValue::Integer(value),
        Bson::Int64(value) => CellValue::Long(value),
        Bson::Double(value) => CellValue::Double(value),
        Bson::Decimal128(value) => decimal(value.to_string()),
        Bson::String(value) => CellValue::Text(value),
        Bson::DateTime(value) => CellValue::Instant(value.timestamp_millis()),
        Bson::Array(items) => CellValue::List(items.into_iter().map(cell).collect()),
        Bson::Document(record) => CellValue::Record(cells(record)),
        Bson::Null => CellValue::Null,
        // A table of Flatfire has nothing else; values that others added are printed as text.
        other => CellValue::Text(other.to_string()),
    }
}

/// Returns a Decimal128 as JSON: as text where it is infinite, because JSON has no such number.
fn decimal(digits: String) -> CellValue {
    let is_number = digits.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit());
    if is_number { CellValue::Decimal(digits) } else { CellValue::Text(digits) }
}

//! The indexes of tables that stand.

use bson::{Document, doc};
use flatten::indexes::Indexes;
use pipeline::store::admin::MissingIndexes;

use crate::Connection;
use crate::collections::{LOADS, REJECTS};
use crate::store::wanted_indexes;

use super::databases::Databases;
use super::failure::DriverFailure;

/// Returns the automatic tables, `_loads` and `_rejects`, in the order of their names.
pub(super) async fn tables(databases: &Databases) -> Result<Vec<String>, DriverFailure> {
    let collections = databases.rows.list_collection_names().filter(doc! { "type": "collection" });
    let (mut names, mut tables) = (collections.await?, Vec::new());
    names.sort();
    for name in names {
        if [LOADS, REJECTS].contains(&name.as_str()) || is_automatic(databases, &name).await? {
            tables.push(name);
        }
    }
    Ok(tables)
}

/// Returns whether a collection is an automatic table, by its name and one of its rows: views can have similar names.
async fn is_automatic(databases: &Databases, table: &str) -> Result<bool, DriverFailure> {
    if !table.starts_with(|first: char| first.is_ascii_uppercase()) {
        return Ok(false);
    }
    let rows = databases.own(table);
    let row = rows.find_one(doc! { "_load": { "$exists": true } });
    let row: Option<Document> = row.projection(doc! { "_container": 1, "_parent": 1 }).await?;
    let Some(row) = row else { return Ok(false) };
    let id = row.get_str("_id").unwrap_or_default();
    Ok(match table.split_once('_') {
        None => id.strip_prefix(table).is_some_and(|rest| rest.starts_with('/')),
        Some((_, "contained")) => row.contains_key("_container"),
        Some(_) => row.contains_key("_parent"),
    })
}

pub(super) async fn missing(
    connection: &Connection,
    databases: &Databases,
    table: &str,
    wanted: Indexes,
) -> Result<MissingIndexes, DriverFailure> {
    let missing = connection.missing_indexes(table, wanted_indexes(table, wanted)).await?;
    let count = missing.unwrap_or_default().len();
    let rows = if count > 0 { databases.own(table).estimated_document_count().await? } else { 0 };
    Ok(MissingIndexes { count, rows })
}

pub(super) async fn build(
    connection: &Connection,
    table: &str,
    wanted: Indexes,
) -> Result<bool, DriverFailure> {
    let missing = connection.missing_indexes(table, wanted_indexes(table, wanted)).await?;
    match missing.unwrap_or_default() {
        missing if missing.is_empty() => Ok(true),
        missing => Ok(connection.build_indexes(table, &missing).await?),
    }
}

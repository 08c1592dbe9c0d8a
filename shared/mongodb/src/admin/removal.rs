//! Moving and removing what earlier versions left: nothing goes before it stands where it belongs.

use bson::{Document, doc};
use flatten::model::UNKNOWN_TYPE;
use futures::TryStreamExt as _;
use mongodb::Collection;
use mongodb::error::{Error, ErrorKind, WriteFailure};
use pipeline::store::outdated::{MadeUpKind, MadeUpTable, Outdated};

use super::databases::Databases;
use super::failure::DriverFailure;
use crate::collections::{COLUMNS, SIDE_TABLES, TABLES};

/// The table of contained resources of unknown types.
const UNKNOWN_CONTAINED: &str = "Unknown_contained";
/// A document of that `_id` stands.
const DUPLICATE_KEY: i32 = 11000;

pub(super) async fn note(databases: &Databases, outdated: &Outdated) -> Result<(), DriverFailure> {
    let notes = databases.own(TABLES);
    for note in &outdated.missing_notes {
        let flag = if note.anchors { "anchors" } else { "keys" };
        set(&notes, &note.resource_type, &note.table, flag).await?;
    }
    let made_up = |table: &str| outdated.made_up.iter().find(|made_up| made_up.name == table);
    let has_contained = |table: &str| made_up(table).is_some_and(|table| table.kind == MadeUpKind::Contained);
    for collection in [TABLES, SIDE_TABLES] {
        let all: Vec<Document> = databases.own(collection).find(doc! {}).await?.try_collect().await?;
        for note in &all {
            let (Ok(resource_type), Ok(table)) = (note.get_str("type"), note.get_str("table")) else {
                continue;
            };
            if has_contained(table) {
                set(&notes, resource_type, UNKNOWN_CONTAINED, "parts").await?;
            } else if collection == SIDE_TABLES && made_up(table).is_none() {
                set(&notes, resource_type, table, "parts").await?;
            }
        }
    }
    Ok(())
}

async fn set(
    notes: &Collection<Document>,
    resource_type: &str,
    table: &str,
    flag: &str,
) -> Result<(), DriverFailure> {
    let id = format!("{resource_type}/{table}");
    let update = doc! { "$set": { "type": resource_type, "table": table, flag: true } };
    notes.update_one(doc! { "_id": id }, update).upsert(true).await?;
    Ok(())
}

pub(super) async fn remove(databases: &Databases, table: &MadeUpTable) -> Result<bool, DriverFailure> {
    let (place, target) = match table.kind {
        MadeUpKind::Archive => (&databases.archive, Some(UNKNOWN_TYPE)),
        MadeUpKind::Contained => (&databases.rows, Some(UNKNOWN_CONTAINED)),
        MadeUpKind::Child => (&databases.rows, None),
    };
    let collection = place.collection::<Document>(&table.name);
    if let Some(target) = target {
        let has_moved = move_all(&collection, &place.collection(target), table).await?;
        if !has_moved || collection.find_one(doc! {}).await?.is_some() {
            return Ok(false);
        }
    }
    collection.drop().await?;
    Ok(true)
}

/// Moves the documents of a collection to another one, unless a newer version stands there. Returns `false` if one has
/// no version.
async fn move_all(
    from: &Collection<Document>,
    to: &Collection<Document>,
    table: &MadeUpTable,
) -> Result<bool, DriverFailure> {
    let mut documents = from.find(doc! {}).await?;
    while let Some(document) = documents.try_next().await? {
        let (id, version) = (document.get("_id").cloned(), document.get("_version").cloned());
        let (Some(id), Some(version)) = (id, version) else { return Ok(false) };
        let moved =
            if table.kind == MadeUpKind::Contained { with_type(document, &table.name) } else { document };
        let older = doc! { "_id": id.clone(), "_version": { "$lt": version.clone() } };
        match to.replace_one(older, moved).upsert(true).await {
            Err(error) if !is_duplicate(&error) => return Err(error.into()),
            _ => {}
        }
        from.delete_one(doc! { "_id": id, "_version": version }).await?;
    }
    Ok(true)
}

/// Returns the row as it is made today: where resources of several types stand in one table, each says its own.
fn with_type(row: Document, table: &str) -> Document {
    let resource_type = table.split('_').next().unwrap_or_default();
    let mut typed = Document::new();
    for (name, value) in row {
        let is_container = name == "_container";
        typed.insert(name, value);
        if is_container {
            typed.insert("resourceType", resource_type);
        }
    }
    typed
}

/// Returns whether a document of the same or a newer version stands in the way.
fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
}

pub(super) async fn forget(databases: &Databases, outdated: &Outdated) -> Result<(), DriverFailure> {
    for tables in outdated.made_up.chunks(1_000) {
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        for collection in [TABLES, COLUMNS] {
            let of_tables = doc! { "table": { "$in": &names } };
            databases.own(collection).delete_many(of_tables).await?;
        }
    }
    databases.own(SIDE_TABLES).drop().await?;
    Ok(())
}

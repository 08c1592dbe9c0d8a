//! Moving and removing what is to tidy: nothing goes before it stands where it belongs.

use futures::TryStreamExt as _;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::database::{Database, DatabaseError};

use super::found::{EARLIER_NOTES, Found, Kind, NOTES, Table, UNKNOWN, UNKNOWN_CONTAINED};

/// A document of that `_id` stands.
const DUPLICATE_KEY: i32 = 11000;

/// Notes the tables that have no note, and takes over what earlier versions have noted.
pub(super) async fn note(database: &Database, found: &Found) -> Result<(), DatabaseError> {
    let notes = database.rows.collection::<Document>(NOTES);
    for note in &found.missing_notes {
        let kind = if note.anchors { "anchors" } else { "keys" };
        set(&notes, &note.resource_type, &note.table, kind).await?;
    }
    let is_made_up = |table: &str| found.made_up.iter().any(|made_up| made_up.name == table);
    let has_contained = |table: &str| {
        found.made_up.iter().any(|made_up| made_up.name == table && made_up.kind == Kind::Contained)
    };
    for collection in [NOTES, EARLIER_NOTES] {
        let all = database.rows.collection::<Document>(collection).find(doc! {}).await?;
        let all: Vec<Document> = all.try_collect().await?;
        for note in &all {
            let (Ok(resource_type), Ok(table)) = (note.get_str("type"), note.get_str("table")) else {
                continue;
            };
            if has_contained(table) {
                set(&notes, resource_type, UNKNOWN_CONTAINED, "parts").await?;
            } else if collection == EARLIER_NOTES && !is_made_up(table) {
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
    kind: &str,
) -> Result<(), DatabaseError> {
    let id = format!("{resource_type}/{table}");
    let update = doc! { "$set": { "type": resource_type, "table": table, kind: true } };
    notes.update_one(doc! { "_id": id }, update).upsert(true).await?;
    Ok(())
}

/// Moves what a collection holds, or removes it, and drops the collection. `false`: something came in between.
pub(super) async fn remove(database: &Database, table: &Table) -> Result<bool, DatabaseError> {
    let (place, target) = match table.kind {
        Kind::Archive => (&database.archive, Some(UNKNOWN)),
        Kind::Contained => (&database.rows, Some(UNKNOWN_CONTAINED)),
        Kind::Child => (&database.rows, None),
    };
    let collection = place.collection::<Document>(&table.name);
    if let Some(target) = target {
        let target = place.collection::<Document>(target);
        let mut documents = collection.find(doc! {}).await?;
        while let Some(document) = documents.try_next().await? {
            let (id, version) = (document.get("_id").cloned(), document.get("_version").cloned());
            let (Some(id), Some(version)) = (id, version) else { return Ok(false) };
            let moved =
                if table.kind == Kind::Contained { with_type(document, &table.name) } else { document };
            let older = doc! { "_id": id.clone(), "_version": { "$lt": version.clone() } };
            match target.replace_one(older, moved).upsert(true).await {
                Err(error) if !is_duplicate(&error) => return Err(error.into()),
                _ => {}
            }
            collection.delete_one(doc! { "_id": id, "_version": version }).await?;
        }
        if collection.find_one(doc! {}).await?.is_some() {
            return Ok(false);
        }
    }
    collection.drop().await?;
    Ok(true)
}

/// The row as it is made today: where resources of several types stand in one table, each says its own.
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

/// Whether a document of the same or a newer version stands in the way.
fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
}

/// Removes the notes and the entries of the dictionary that name what is gone.
pub(super) async fn forget_names(database: &Database, found: &Found) -> Result<(), DatabaseError> {
    for tables in found.made_up.chunks(1_000) {
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        for collection in [NOTES, "_columns"] {
            let of_tables = doc! { "table": { "$in": &names } };
            database.rows.collection::<Document>(collection).delete_many(of_tables).await?;
        }
    }
    database.rows.collection::<Document>(EARLIER_NOTES).drop().await?;
    Ok(())
}

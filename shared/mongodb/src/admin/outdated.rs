//! What earlier versions of the program left: collections that they named after what senders made up, and tables without
//! a note.

use std::collections::BTreeSet;

use bson::{Document, doc};
use flatten::model::{UNKNOWN_TYPE, is_known_element_name, is_resource_type};
use flatten::reference::is_type;
use futures::TryStreamExt as _;
use mongodb::Database;
use pipeline::store::outdated::{MadeUpKind, MadeUpTable, MissingNote, Outdated};

use super::databases::{Databases, table_names, text};
use super::failure::DriverFailure;
use crate::collections::{SIDE_TABLES, TABLES};

pub(super) async fn find(databases: &Databases, types: &[String]) -> Result<Outdated, DriverFailure> {
    let is_known = |name: &str| {
        is_resource_type(name) || name == UNKNOWN_TYPE || types.iter().any(|known| known == name)
    };
    let mut found = Outdated::default();
    for name in table_names(&databases.archive).await? {
        if is_type(&name) && !is_known(&name) {
            found.made_up.extend(made_up_table(&databases.archive, name, MadeUpKind::Archive).await?);
        }
    }
    let keyed = doc! { "$or": [{ "anchors": true }, { "keys": true }] };
    let noted = noted_in(databases, TABLES, keyed).await?;
    let mut with_parts = noted_in(databases, TABLES, doc! { "parts": true, "keys": { "$ne": true } }).await?;
    with_parts.extend(noted_in(databases, SIDE_TABLES, doc! {}).await?);
    let tables = table_names(&databases.rows).await?;
    for name in &tables {
        let kind = made_up_kind(name, is_known);
        match kind.filter(|kind| *kind == MadeUpKind::Contained || with_parts.contains(name)) {
            Some(kind) => found.made_up.extend(made_up_table(&databases.rows, name.clone(), kind).await?),
            None if noted.contains(name) || with_parts.contains(name) => {}
            None => found.missing_notes.extend(missing_note(databases, name, &tables).await?),
        }
    }
    found.earlier_notes = databases.own(SIDE_TABLES).count_documents(doc! {}).await?;
    Ok(found)
}

/// Returns what a table of that name holds, if no version of today makes such a name.
fn made_up_kind(name: &str, is_known: impl Fn(&str) -> bool) -> Option<MadeUpKind> {
    let (resource_type, part) = name.split_once('_')?;
    if !is_type(resource_type) {
        return None;
    }
    match (is_known(resource_type), part) {
        (false, "contained") => Some(MadeUpKind::Contained),
        (true, "contained") => None,
        (true, path) if path.split('_').all(is_known_element_name) => None,
        _ => Some(MadeUpKind::Child),
    }
}

/// Returns the table if its documents look like Flatfire's.
async fn made_up_table(
    database: &Database,
    name: String,
    kind: MadeUpKind,
) -> Result<Option<MadeUpTable>, DriverFailure> {
    let collection = database.collection::<Document>(&name);
    let Some(sample) = collection.find_one(doc! {}).await? else { return Ok(None) };
    let is_whole =
        kind != MadeUpKind::Archive || sample.contains_key("json") || sample.contains_key("json_zstd");
    if !is_whole || !is_of_flatfire(&sample) {
        return Ok(None);
    }
    let documents = collection.count_documents(doc! {}).await?;
    Ok(Some(MadeUpTable { name, kind, documents }))
}

/// Returns whether a document has the fields that only Flatfire writes.
fn is_of_flatfire(document: &Document) -> bool {
    document.get_str("_id").is_ok_and(|id| id.contains('/'))
        && document.get_str("_version").is_ok()
        && document.get_document("_source").is_ok()
        && document.get_str("_load").is_ok()
}

/// Returns the note that a table lacks whose rows stand under the keys of their resources.
async fn missing_note(
    databases: &Databases,
    table: &str,
    tables: &[String],
) -> Result<Option<MissingNote>, DriverFailure> {
    let by_key = doc! { "_id": { "$not": { "$regex": "#" } } };
    let row = databases.own(table).find_one(by_key).await?;
    let Some(row) = row.filter(is_of_flatfire) else { return Ok(None) };
    let resource_type =
        row.get_str("_id").unwrap_or_default().split('/').next().unwrap_or_default().to_owned();
    let anchors = table == resource_type || !tables.contains(&resource_type);
    Ok(Some(MissingNote { resource_type, table: table.to_owned(), anchors }))
}

async fn noted_in(
    databases: &Databases,
    collection: &str,
    filter: Document,
) -> Result<BTreeSet<String>, DriverFailure> {
    let notes: Vec<Document> = databases.own(collection).find(filter).await?.try_collect().await?;
    Ok(notes.iter().filter_map(|note| text(note, "table")).collect())
}

#[cfg(test)]
mod tests {
    use super::{MadeUpKind, made_up_kind};

    #[test]
    fn names_of_fhir_and_of_views_are_not_made_up() {
        let is_known = |name: &str| ["Patient", "Unknown", "Rocket"].contains(&name);
        for name in [
            "Patient",
            "Patient_contained",
            "Patient_contact",
            "Patient_contact_name",
            "Unknown_contained",
            "Rocket_contained",
            "patient_name",
            "my_view",
        ] {
            assert_eq!(made_up_kind(name, is_known), None, "{name}");
        }
        assert_eq!(made_up_kind("T17_contained", is_known), Some(MadeUpKind::Contained));
        assert_eq!(made_up_kind("Patient_noSuchThing", is_known), Some(MadeUpKind::Child));
        assert_eq!(made_up_kind("Patient_contact_noSuchThing", is_known), Some(MadeUpKind::Child));
    }
}

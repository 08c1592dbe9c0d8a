//! What there is to tidy.

use std::collections::BTreeSet;

use flatten::model::{is_known_element_name, is_resource_type};
use flatten::reference::is_type;
use futures::TryStreamExt as _;
use mongodb::Database as Rows;
use mongodb::bson::{Document, doc};

use crate::database::{Database, DatabaseError};

/// The archive's collection of types that nobody knows.
pub(super) const UNKNOWN: &str = "Unknown";
/// The table of contained resources of such types.
pub(super) const UNKNOWN_CONTAINED: &str = "Unknown_contained";
pub(super) const NOTES: &str = "_tables";
/// What earlier versions kept in place of [`NOTES`].
pub(super) const EARLIER_NOTES: &str = "_side_tables";

/// What there is to tidy.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) made_up: Vec<Table>,
    /// Tables that are not noted, as many notes as they lack.
    pub(super) missing_notes: Vec<Note>,
    pub(super) earlier_notes: u64,
}

/// A collection with a name that a sender made up.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) documents: u64,
}

/// What such a collection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Archived resources.
    Archive,
    /// Contained resources.
    Contained,
    /// Rows of an element.
    Child,
}

/// A note that a table holds rows of a type whose `_id` is their key.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) resource_type: String,
    pub(super) table: String,
    /// Whether they decide which version stands: nothing else can, where the type has no table of its own.
    pub(super) anchors: bool,
}

impl Found {
    pub(super) const fn is_empty(&self) -> bool {
        self.made_up.is_empty() && self.missing_notes.is_empty() && self.earlier_notes == 0
    }
}

/// Looks through both databases.
pub(super) async fn find(database: &Database, types: &[String]) -> Result<Found, DatabaseError> {
    let is_known =
        |name: &str| is_resource_type(name) || name == UNKNOWN || types.iter().any(|known| known == name);
    let mut found = Found::default();
    for name in names(&database.archive).await? {
        if is_type(&name) && !is_known(&name) {
            found.add(&database.archive, name, Kind::Archive).await?;
        }
    }
    let noted = noted(&database.rows, &[NOTES]).await?;
    let with_parts = noted_parts(&database.rows).await?;
    let tables = names(&database.rows).await?;
    for name in &tables {
        match made_up(name, is_known).filter(|kind| *kind == Kind::Contained || with_parts.contains(name)) {
            Some(kind) => found.add(&database.rows, name.clone(), kind).await?,
            None if noted.contains(name) || with_parts.contains(name) => {}
            None => {
                if let Some(note) = missing_note(&database.rows, name, &tables).await? {
                    found.missing_notes.push(note);
                }
            }
        }
    }
    let earlier = database.rows.collection::<Document>(EARLIER_NOTES);
    found.earlier_notes = earlier.count_documents(doc! {}).await?;
    Ok(found)
}

/// What a table of that name holds, if no version of today makes such a name.
fn made_up(name: &str, is_known: impl Fn(&str) -> bool) -> Option<Kind> {
    let (resource_type, part) = name.split_once('_')?;
    if !is_type(resource_type) {
        return None;
    }
    match (is_known(resource_type), part) {
        (false, "contained") => Some(Kind::Contained),
        (true, "contained") => None,
        (true, path) if path.split('_').all(is_known_element_name) => None,
        _ => Some(Kind::Child),
    }
}

impl Found {
    async fn add(&mut self, database: &Rows, name: String, kind: Kind) -> Result<(), DatabaseError> {
        let collection = database.collection::<Document>(&name);
        let Some(sample) = collection.find_one(doc! {}).await? else { return Ok(()) };
        let is_whole =
            kind != Kind::Archive || sample.contains_key("json") || sample.contains_key("json_zstd");
        if is_whole && is_of_flatfire(&sample) {
            let documents = collection.count_documents(doc! {}).await?;
            self.made_up.push(Table { name, kind, documents });
        }
        Ok(())
    }
}

/// Whether a document has the fields that only Flatfire writes.
fn is_of_flatfire(document: &Document) -> bool {
    document.get_str("_id").is_ok_and(|id| id.contains('/'))
        && document.get_str("_version").is_ok()
        && document.get_document("_source").is_ok()
        && document.get_str("_load").is_ok()
}

/// The note that a table lacks whose rows stand under the keys of their resources.
async fn missing_note(
    database: &Rows,
    table: &str,
    tables: &[String],
) -> Result<Option<Note>, DatabaseError> {
    let by_key = doc! { "_id": { "$not": { "$regex": "#" } } };
    let row = database.collection::<Document>(table).find_one(by_key).await?;
    let Some(row) = row.filter(is_of_flatfire) else { return Ok(None) };
    let resource_type =
        row.get_str("_id").unwrap_or_default().split('/').next().unwrap_or_default().to_owned();
    let anchors = table == resource_type || !tables.contains(&resource_type);
    Ok(Some(Note { resource_type, table: table.to_owned(), anchors }))
}

async fn names(database: &Rows) -> Result<Vec<String>, DatabaseError> {
    let mut names = database.list_collection_names().await?;
    names.retain(|name| !name.starts_with('_') && !name.starts_with("system."));
    names.sort();
    Ok(names)
}

/// Tables that are noted as those of rows under their keys.
async fn noted(database: &Rows, collections: &[&str]) -> Result<BTreeSet<String>, DatabaseError> {
    let keyed = doc! { "$or": [{ "anchors": true }, { "keys": true }] };
    tables_in(database, collections, keyed).await
}

/// Tables that are noted as those of rows aside of the key.
async fn noted_parts(database: &Rows) -> Result<BTreeSet<String>, DatabaseError> {
    let mut tables = tables_in(database, &[NOTES], doc! { "parts": true, "keys": { "$ne": true } }).await?;
    tables.extend(tables_in(database, &[EARLIER_NOTES], doc! {}).await?);
    Ok(tables)
}

async fn tables_in(
    database: &Rows,
    collections: &[&str],
    filter: Document,
) -> Result<BTreeSet<String>, DatabaseError> {
    let mut tables = BTreeSet::new();
    for collection in collections {
        let notes = database.collection::<Document>(collection).find(filter.clone()).await?;
        let notes: Vec<Document> = notes.try_collect().await?;
        tables.extend(notes.iter().filter_map(|note| note.get_str("table").ok().map(str::to_owned)));
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::{Kind, made_up};

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
            assert_eq!(made_up(name, is_known), None, "{name}");
        }
        assert_eq!(made_up("T17_contained", is_known), Some(Kind::Contained));
        assert_eq!(made_up("Patient_noSuchThing", is_known), Some(Kind::Child));
        assert_eq!(made_up("Patient_contact_noSuchThing", is_known), Some(Kind::Child));
    }
}

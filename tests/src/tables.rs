//! What stands in a database, in a form that can be compared and read.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};

/// Collections with their documents by `_id`. Those of the archive begin with `_archive/`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables(pub BTreeMap<String, BTreeMap<String, Document>>);

/// What a row says about where it came from: another upload of the same bytes changes it and nothing else.
const ORIGIN: [&str; 4] = ["_version", "_source", "_load", "_received"];

impl Tables {
    pub(crate) async fn read(&mut self, prefix: &str, database: &Database) {
        for name in database.list_collection_names().await.unwrap() {
            let cursor = database.collection::<Document>(&name).find(doc! {}).await.unwrap();
            let documents: Vec<Document> = cursor.try_collect().await.unwrap();
            let by_id = documents.into_iter().map(|row| (row.get_str("_id").unwrap().to_owned(), row));
            self.0.insert(format!("{prefix}{name}"), by_id.collect());
        }
    }

    /// Returns the tables of resource types: no technical collection, no view.
    #[must_use]
    pub fn automatic(&self) -> Self {
        let automatic =
            self.0.iter().filter(|(name, _)| name.starts_with(|first: char| first.is_uppercase()));
        Self(automatic.map(|(name, rows)| (name.clone(), rows.clone())).collect())
    }

    /// Returns all tables of rows without what tells one upload of the same bytes from another.
    #[must_use]
    pub fn without_origin(&self) -> Self {
        let mut tables = self.clone();
        tables.0.retain(|name, _| !name.starts_with('_'));
        for row in tables.0.values_mut().flat_map(BTreeMap::values_mut) {
            for name in ORIGIN {
                row.remove(name);
            }
        }
        tables
    }

    /// Returns how many rows stand in each table.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        self.0.iter().map(|(name, rows)| (name.as_str(), rows.len())).collect()
    }

    /// Returns a row.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn row(&self, table: &str, id: &str) -> &Document {
        self.0.get(table).and_then(|rows| rows.get(id)).unwrap_or_else(|| panic!("no row {id} in {table}"))
    }

    /// Returns the documents of a collection; none if it does not exist.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = &Document> {
        self.0.get(table).into_iter().flat_map(BTreeMap::values)
    }
}

/// Returns a field of a document, `counts.records` for one inside another; its text.
///
/// # Panics
/// When it is not there or no text.
#[must_use]
pub fn text<'a>(document: &'a Document, path: &str) -> &'a str {
    field(document, path).as_str().unwrap_or_else(|| panic!("{path} is no text in {document}"))
}

/// Returns a field as [`text`] does, for a number. The ledger's are all 64 bits wide.
///
/// # Panics
/// When it is not there or no such number.
#[must_use]
pub fn number(document: &Document, path: &str) -> i64 {
    field(document, path).as_i64().unwrap_or_else(|| panic!("{path} is no 64-bit number in {document}"))
}

fn field<'a>(document: &'a Document, path: &str) -> &'a Bson {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = parents
        .split('.')
        .filter(|parent| !parent.is_empty())
        .try_fold(document, |document, parent| document.get_document(parent).ok());
    parent.and_then(|parent| parent.get(name)).unwrap_or_else(|| panic!("no {path} in {document}"))
}

/// Returns a document as JSON in which types stay apart: `{"$numberDecimal": "1.50"}`, `{"$date": "…"}`.
#[must_use]
pub fn plain(value: &Bson) -> Value {
    match value {
        Bson::Document(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Bson::Array(items) => items.iter().map(plain).collect(),
        Bson::String(text) => json!(text),
        Bson::Boolean(truth) => json!(truth),
        Bson::Int32(number) => json!(number),
        Bson::Int64(number) => json!({ "$numberLong": number.to_string() }),
        Bson::Decimal128(number) => json!({ "$numberDecimal": number.to_string() }),
        Bson::DateTime(moment) => json!({ "$date": moment.try_to_rfc3339_string().unwrap() }),
        Bson::Null => Value::Null,
        other => json!({ "$other": format!("{other:?}") }),
    }
}

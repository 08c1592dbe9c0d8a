//! The SQL schemas of a third of the histories: each document is as its table's schema says, no field is missing, and none
//! is there that no version of a resource has had.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::Document;
use mongodb_store::simulation::State;
use pipeline::batch::Completion;

use crate::history::History;
use crate::shapes::{Shape, add_document, add_schema};

/// What may stand where, by table.
#[derive(Debug, Default)]
pub(crate) struct Shapes(BTreeMap<String, BTreeSet<Shape>>);

/// Returns whether the schemas are kept in a history.
pub(crate) const fn are_kept(history: &History) -> bool {
    history.seed.is_multiple_of(3)
}

impl Shapes {
    /// Adds the documents that stand under a key.
    pub(crate) fn add_key(&mut self, state: &State, key: &str) {
        let prefix = format!("{key}#");
        for (table, documents) in &state.tables {
            let of_key = documents.iter().filter(|(id, _)| *id == key || id.starts_with(&prefix));
            of_key.for_each(|(_, document)| self.add(table, document));
        }
    }

    /// Adds what a completion writes, also into a row that has been replaced since.
    pub(crate) fn add_completion(&mut self, completion: &Completion) {
        let text = |path: &str| (path.to_owned(), "string".to_owned());
        let (mut path, shapes) = (String::new(), self.0.entry(completion.table.clone()).or_default());
        for step in completion.path.split('.') {
            if step.parse::<u32>().is_ok() {
                path.push_str("[]");
            } else {
                path = format!("{path}.{step}");
            }
        }
        shapes.insert(text(&path));
    }

    fn add(&mut self, table: &str, document: &Document) {
        add_document(document, "", self.0.entry(table.to_owned()).or_default());
    }
}

/// Returns what is wrong with schemas, given as JSON schemas by table. `is_whole`: every document was written once.
pub(crate) fn wrong_schemas<'a>(
    (history, is_whole): (&History, bool),
    schemas: &BTreeMap<String, Document>,
    tables: impl Iterator<Item = (&'a String, Vec<&'a Document>)>,
    expected: &Shapes,
) -> Vec<String> {
    if !are_kept(history) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let mut found = Shapes::default();
    for (table, documents) in tables {
        for document in documents {
            found.add(table, document);
        }
    }
    let told: BTreeMap<&String, BTreeSet<Shape>> = schemas
        .iter()
        .map(|(table, schema)| {
            let mut shapes = BTreeSet::new();
            add_schema(schema, "", &mut shapes);
            (table, shapes)
        })
        .collect();
    let empty = BTreeSet::new();
    for (table, shapes) in &found.0 {
        let missing: Vec<_> = shapes.difference(told.get(table).unwrap_or(&empty)).collect();
        if !missing.is_empty() {
            wrong.push(format!("the schema of {table} lacks {missing:?}"));
        }
    }
    for (table, shapes) in told.iter().filter(|_| is_whole) {
        let expected = expected.0.get(*table).unwrap_or(&empty);
        // The key of a view is null until its Bundle's end.
        let was_null =
            |(path, kind): &&Shape| kind == "null" && expected.contains(&(path.clone(), "string".to_owned()));
        let extra: Vec<_> = shapes.difference(expected).filter(|shape| !was_null(shape)).collect();
        if !extra.is_empty() {
            wrong.push(format!("no document of {table} has had {extra:?}"));
        }
    }
    wrong
}

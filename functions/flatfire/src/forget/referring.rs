//! Who refers to a resource: found by the keys in the cells of all tables, and by the references of archived resources.

use std::collections::BTreeSet;

use flatten::json::{Limits, Node, Tape};
use flatten::reference::{Reference, parse};
use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};

use super::tables_of;
use crate::database::{Database, DatabaseError, archived_text};

/// The keys of all resources that refer to one of `targets`, directly. Every row is read: a reference can stand in any
/// column, at any depth.
pub(super) async fn to(
    database: &Database,
    targets: &BTreeSet<String>,
) -> Result<BTreeSet<String>, DatabaseError> {
    let mut referring = BTreeSet::new();
    for (name, place) in tables_of(database).await? {
        let collection = place.collection::<Document>(&name);
        let mut rows = collection.find(doc! {}).await?;
        while let Some(row) = rows.try_next().await? {
            let refers = match archived_text(&row) {
                Some(text) => text_refers(&text, targets),
                None => row.iter().any(|(column, cell)| cell_refers(column, cell, targets)),
            };
            let id = row.get_str("_id").unwrap_or_default();
            let owner = id.split('#').next().unwrap_or_default();
            if refers && !targets.contains(owner) {
                referring.insert(owner.to_owned());
            }
        }
    }
    Ok(referring)
}

/// Whether a cell is the key of a target: the column of a view can have any name. Technical columns refer to nobody.
fn cell_refers(column: &str, cell: &Bson, targets: &BTreeSet<String>) -> bool {
    match cell {
        _ if column.starts_with('_') => false,
        Bson::String(key) => key.split('#').next().is_some_and(|owner| targets.contains(owner)),
        Bson::Array(items) => items.iter().any(|item| cell_refers(column, item, targets)),
        Bson::Document(record) => record.iter().any(|(name, cell)| cell_refers(name, cell, targets)),
        _ => false,
    }
}

fn text_refers(text: &[u8], targets: &BTreeSet<String>) -> bool {
    let limits = Limits { depth: 128, bytes: u32::MAX as usize };
    Tape::default().parse(text, limits).is_ok_and(|document| node_refers(document.root(), targets))
}

fn node_refers(node: Node<'_>, targets: &BTreeSet<String>) -> bool {
    let of_member = |(name, value): (Node<'_>, Node<'_>)| {
        (name.is("reference") && value.text().is_some_and(|text| names_one(&text, targets)))
            || node_refers(value, targets)
    };
    node.members().any(of_member) || node.items().any(|item| node_refers(item, targets))
}

fn names_one(reference: &str, targets: &BTreeSet<String>) -> bool {
    matches!(parse(reference), Reference::Resource { kind, id } if targets.contains(&format!("{kind}/{id}")))
}

#[cfg(test)]
mod tests {
    use super::{cell_refers, text_refers};
    use mongodb::bson::{Bson, doc};

    #[test]
    fn references_are_found_at_any_depth() {
        let targets = ["Patient/1".to_owned()].into();
        let row = |document: mongodb::bson::Document| cell_refers("", &Bson::Document(document), &targets);
        assert!(row(doc! { "subject_key": "Patient/1" }));
        assert!(row(doc! { "participant": [{ "actor_key": "Patient/2" }, { "actor_key": "Patient/1" }] }));
        assert!(row(doc! { "container_key": "Patient/1#c" }));
        assert!(!row(
            doc! { "subject_key": "Patient/11", "note": "see Patient/1", "_source": { "key": "Patient/1" } }
        ));
        assert!(text_refers(
            br#"{"a":[{"b":{"reference":"https://x.example/Patient/1/_history/3"}}]}"#,
            &targets
        ));
        assert!(!text_refers(br#"{"a":[{"b":{"reference":"Patient/10"}}],"display":"Patient/1"}"#, &targets));
    }
}

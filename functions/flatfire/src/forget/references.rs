//! Who refers to whom: by the keys in the cells of all tables, and by the references of archived resources.

use flatten::json::{Limits, Node, Tape};
use flatten::reference::{Reference, is_id, is_type, parse};
use futures::TryStreamExt as _;
use mongodb::bson::{Bson, Document};

use super::standing::{owner_of, tables_of};
use crate::database::{Database, DatabaseError, archived_text};

/// The element in which a reference stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// An element of the resource, such as `participant.actor`.
    Path(String),
    /// An element of a resource that it contains.
    Contained,
    /// A view's table, whose columns can have any name.
    View,
}

/// Reads every row of every table and every archived resource, and tells each reference to a resource: who refers, in
/// which element, and to whom.
pub(super) async fn each(
    database: &Database,
    mut tell: impl FnMut(&str, Element, &str),
) -> Result<(), DatabaseError> {
    for (name, place) in tables_of(database).await? {
        let mut rows = place.collection::<Document>(&name).find(Document::new()).await?;
        while let Some(row) = rows.try_next().await? {
            let Some(owner) = owner_of(&row) else { continue };
            match archived_text(&row) {
                Some(text) => in_text(&text, &mut |path, target| tell(&owner, Element::Path(path), target)),
                None => in_row(&name, &owner, &row, &mut |element, target| tell(&owner, element, target)),
            }
        }
    }
    Ok(())
}

fn in_row(table: &str, owner: &str, row: &Document, tell: &mut impl FnMut(Element, &str)) {
    let place = Place::of(table, owner);
    for (column, cell) in row.iter().filter(|(column, _)| !column.starts_with('_')) {
        in_cell(column, cell, &mut |path, target| tell(place.element(path), target));
    }
}

/// What a table is to the resource whose rows stand there.
enum Place<'a> {
    /// Its own table, or a child table of it: the names of elements before the column's.
    Elements(&'a str),
    Contained,
    View,
}

impl<'a> Place<'a> {
    fn of(table: &'a str, owner: &str) -> Self {
        let kind = owner.split('/').next().unwrap_or_default();
        match table.strip_prefix(kind) {
            Some("") => Self::Elements(""),
            Some(rest) if rest.starts_with('_') && !rest.starts_with("_contained") => Self::Elements(rest),
            _ if table.contains("_contained") => Self::Contained,
            _ => Self::View,
        }
    }

    fn element(&self, path: &str) -> Element {
        match self {
            Self::Elements("") => Element::Path(path.to_owned()),
            Self::Elements(before) => {
                let before = before.trim_start_matches('_').replace('_', ".");
                Element::Path(if path.is_empty() { before } else { format!("{before}.{path}") })
            }
            Self::Contained => Element::Contained,
            Self::View => Element::View,
        }
    }
}

/// A cell refers to a resource if its text is the resource's key.
fn in_cell(path: &str, cell: &Bson, tell: &mut impl FnMut(&str, &str)) {
    match cell {
        Bson::String(text) => {
            if let Some(target) = key_in(text) {
                tell(element_of(path), target);
            }
        }
        Bson::Array(items) => items.iter().for_each(|item| in_cell(path, item, tell)),
        Bson::Document(record) => {
            record.iter().for_each(|(name, cell)| in_cell(&format!("{path}.{name}"), cell, tell));
        }
        _ => {}
    }
}

/// The path of the element whose reference a cell holds: the column says what of the reference it is.
fn element_of(path: &str) -> &str {
    const PARTS: [&str; 3] = ["keys", "key", "reference"];
    let without = |part: &&str| {
        let rest = path.strip_suffix(part)?;
        // In a row of its own a reference has no name in front.
        if rest.is_empty() { Some(rest) } else { rest.strip_suffix(['_', '.']) }
    };
    PARTS.iter().find_map(without).unwrap_or(path)
}

fn key_in(text: &str) -> Option<&str> {
    let key = text.split('#').next().unwrap_or_default();
    let (kind, id) = key.split_once('/')?;
    (is_type(kind) && is_id(id)).then_some(key)
}

fn in_text(text: &[u8], tell: &mut impl FnMut(String, &str)) {
    let limits = Limits { depth: 128, bytes: u32::MAX as usize, values: usize::MAX };
    if let Ok(document) = Tape::default().parse(text, limits) {
        in_node("", document.root(), tell);
    }
}

fn in_node(path: &str, node: Node<'_>, tell: &mut impl FnMut(String, &str)) {
    for (name, value) in node.members() {
        if name.is("reference")
            && let Some(text) = value.text()
            && let Reference::Resource { kind, id } = parse(&text)
        {
            tell(path.to_owned(), &format!("{kind}/{id}"));
        }
        let name = name.text().unwrap_or_default();
        let inside = if path.is_empty() { name.into_owned() } else { format!("{path}.{name}") };
        in_node(&inside, value, tell);
    }
    node.items().for_each(|item| in_node(path, item, tell));
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::{Element, in_row, in_text};

    fn of_row(table: &str, owner: &str, row: &mongodb::bson::Document) -> Vec<(Element, String)> {
        let mut told = Vec::new();
        in_row(table, owner, row, &mut |element, target| told.push((element, target.to_owned())));
        told
    }

    #[test]
    fn references_are_told_with_their_element() {
        let path = |path: &str| Element::Path(path.to_owned());
        let row = doc! {
            "subject_key": "Patient/1", "note": "see Patient/1", "_source": { "key": "Patient/1" },
            "participant": [{ "actor_key": "Patient/2" }, { "actor_key": "Patient/1" }],
        };
        let expected = [
            (path("subject"), "Patient/1".to_owned()),
            (path("participant.actor"), "Patient/2".to_owned()),
            (path("participant.actor"), "Patient/1".to_owned()),
        ];
        assert_eq!(of_row("Appointment", "Appointment/a", &row), expected);
        let listed =
            doc! { "performer_keys": ["Practitioner/1", "Patient/1"], "performer": [{ "key": "Patient/1" }] };
        let told = of_row("Observation", "Observation/o", &listed);
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|(element, _)| *element == path("performer")));
        let told = of_row("Observation_performer", "Observation/o", &doc! { "key": "Patient/1" });
        assert_eq!(told, [(path("performer"), "Patient/1".to_owned())]);
        let child = doc! { "actor_key": "Patient/1" };
        let told = of_row("Appointment_participant", "Appointment/a", &child);
        assert_eq!(told, [(path("participant.actor"), "Patient/1".to_owned())]);
        let told = of_row("Device_contained", "Appointment/a", &doc! { "patient_key": "Patient/1#c" });
        assert_eq!(told, [(Element::Contained, "Patient/1".to_owned())]);
        let told = of_row("patients", "Appointment/a", &doc! { "who": "Patient/1" });
        assert_eq!(told, [(Element::View, "Patient/1".to_owned())]);
    }

    #[test]
    fn references_of_archived_resources_are_told_too() {
        let mut told = Vec::new();
        let text = br#"{"entity":[{"what":{"reference":"https://x.example/Patient/1/_history/3"}}],"display":"Patient/2"}"#;
        in_text(text, &mut |path, target| told.push((path, target.to_owned())));
        assert_eq!(told, [("entity.what".to_owned(), "Patient/1".to_owned())]);
    }
}

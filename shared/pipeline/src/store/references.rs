//! References between resources, as a store finds them: by the keys in cells, and in the text of archived resources.

use flatten::json::{Limits, Node, Tape};
use flatten::reference::{Reference, is_id, is_type, parse};

/// The element in which a reference stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceElement {
    /// An element of the resource, such as `participant.actor`.
    Path(String),
    /// An element of a resource that it contains.
    Contained,
    /// A view's table, whose columns can have any name.
    View,
}

/// What a table is to the resource whose rows stand there.
#[derive(Debug, Clone, Copy)]
pub enum TableOfReferences<'a> {
    /// The resource's own table, or a child table of it: the names of elements before the column's.
    Elements(&'a str),
    /// The table of contained resources.
    Contained,
    /// The table of a view.
    View,
}

impl<'a> TableOfReferences<'a> {
    /// Returns what a table is to a resource, by its name and the resource's key.
    #[must_use]
    pub fn of(table: &'a str, owner: &str) -> Self {
        let resource_type = owner.split('/').next().unwrap_or_default();
        match table.strip_prefix(resource_type) {
            Some("") => Self::Elements(""),
            Some(rest) if rest.starts_with('_') && !rest.starts_with("_contained") => Self::Elements(rest),
            _ if table.contains("_contained") => Self::Contained,
            _ => Self::View,
        }
    }

    /// Returns the element of a reference that stands at a path of columns, such as `participant.actor_key`.
    #[must_use]
    pub fn element(&self, path: &str) -> ReferenceElement {
        let path = element_of(path);
        match self {
            Self::Elements("") => ReferenceElement::Path(path.to_owned()),
            Self::Elements(before) => {
                let before = before.trim_start_matches('_').replace('_', ".");
                ReferenceElement::Path(if path.is_empty() { before } else { format!("{before}.{path}") })
            }
            Self::Contained => ReferenceElement::Contained,
            Self::View => ReferenceElement::View,
        }
    }
}

/// Returns the path of the element whose reference a cell holds: the column says what of the reference it is.
fn element_of(path: &str) -> &str {
    const PARTS: [&str; 3] = ["keys", "key", "reference"];
    let without = |part: &&str| {
        let rest = path.strip_suffix(part)?;
        // In a row of its own a reference has no name in front.
        if rest.is_empty() { Some(rest) } else { rest.strip_suffix(['_', '.']) }
    };
    PARTS.iter().find_map(without).unwrap_or(path)
}

/// Returns the key of the resource that the text of a cell refers to: the text is that key, perhaps with `#` and the id of
/// a contained resource behind it.
#[must_use]
pub fn key_in_cell(text: &str) -> Option<&str> {
    let key = text.split('#').next().unwrap_or_default();
    let (resource_type, id) = key.split_once('/')?;
    (is_type(resource_type) && is_id(id)).then_some(key)
}

/// Visits the references in the JSON text of a resource: the path of each element, and the key that it refers to.
pub fn visit_text(text: &[u8], visit: &mut impl FnMut(&str, &str)) {
    let limits = Limits { depth: 128, bytes: u32::MAX as usize, values: usize::MAX };
    if let Ok(document) = Tape::default().parse(text, limits) {
        visit_node("", document.root(), visit);
    }
}

fn visit_node(path: &str, node: Node<'_>, visit: &mut impl FnMut(&str, &str)) {
    for (name, value) in node.members() {
        if name.is("reference")
            && let Some(text) = value.text()
            && let Reference::Resource { resource_type, id } = parse(&text)
        {
            visit(path, &format!("{resource_type}/{id}"));
        }
        let name = name.text().unwrap_or_default();
        let inside = if path.is_empty() { name.into_owned() } else { format!("{path}.{name}") };
        visit_node(&inside, value, visit);
    }
    node.items().for_each(|item| visit_node(path, item, visit));
}

#[cfg(test)]
mod tests {
    use super::{ReferenceElement, TableOfReferences, key_in_cell, visit_text};

    #[test]
    fn a_column_says_the_element() {
        let element =
            |table: &str, owner: &str, path: &str| TableOfReferences::of(table, owner).element(path);
        for (table, owner, column, expected) in [
            ("Appointment", "Appointment/a", "subject_key", "subject"),
            ("Appointment", "Appointment/a", "participant.actor_key", "participant.actor"),
            ("Observation", "Observation/o", "performer_keys", "performer"),
            ("Observation", "Observation/o", "performer.key", "performer"),
            ("Observation_performer", "Observation/o", "key", "performer"),
            ("Appointment_participant", "Appointment/a", "actor_key", "participant.actor"),
        ] {
            assert_eq!(element(table, owner, column), ReferenceElement::Path(expected.to_owned()), "{table}");
        }
        let contained = element("Device_contained", "Appointment/a", "patient_key");
        assert_eq!(contained, ReferenceElement::Contained);
        assert_eq!(element("patients", "Appointment/a", "who"), ReferenceElement::View);
    }

    #[test]
    fn a_cell_refers_if_its_text_is_a_key() {
        assert_eq!(key_in_cell("Patient/1"), Some("Patient/1"));
        assert_eq!(key_in_cell("Patient/1#c"), Some("Patient/1"));
        assert_eq!(key_in_cell("see Patient/1"), None);
    }

    #[test]
    fn the_references_of_a_text_are_found() {
        let mut found = Vec::new();
        let text = br#"{"entity":[{"what":{"reference":"https://x.example/Patient/1/_history/3"}}],"display":"Patient/2"}"#;
        visit_text(text, &mut |path, target| found.push((path.to_owned(), target.to_owned())));
        assert_eq!(found, [("entity.what".to_owned(), "Patient/1".to_owned())]);
    }
}

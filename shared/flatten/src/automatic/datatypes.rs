//! Datatypes: what is gathered from arrays of codings, identifiers and telecoms, and which item represents an array.

use crate::json::{JsonKind, Node};
use crate::model::{TypeId, coding};
use crate::row::{ColumnId, ITEM, Rows};

use super::object_kind::ObjectKind;
use super::paths::TELECOM_SYSTEMS;

/// Returns the item that represents an array: the one that a user or the sender prefers, else the first that is
/// current, else the first. Items without an element come last.
pub(super) fn primary_item(kind: ObjectKind, type_id: Option<TypeId>, array: Node<'_>) -> Option<Node<'_>> {
    let uses: (&[&str], &[&str]) = match kind {
        ObjectKind::HumanName => (&["official", "usual"], &["old", "maiden", "nickname"]),
        ObjectKind::Address => (&["home"], &["old"]),
        ObjectKind::Identifier => (&["official", "usual"], &["old"]),
        _ => (&[], &["old"]),
    };
    let (preferred, last) = uses;
    let has_use = |item: Node<'_>, wanted: &str| item.get("use").is_some_and(|r#use| r#use.is(wanted));
    let order = |item: Node<'_>| {
        let place = preferred.iter().position(|wanted| has_use(item, wanted)).unwrap_or(preferred.len());
        let is_last = last.iter().any(|unwanted| has_use(item, unwanted));
        match kind {
            ObjectKind::ContactPoint => (u32::from(is_last), rank(item)),
            ObjectKind::Coding => (u32::from(!is_selected(item)), 0),
            ObjectKind::HumanName | ObjectKind::Address | ObjectKind::Identifier => {
                (u32::from(is_last), u32::try_from(place).unwrap_or(u32::MAX))
            }
            _ => (0, 0),
        }
    };
    let mut objects = array.as_items().filter(|item| item.kind() == JsonKind::Object);
    let first = objects.next()?;
    // Most arrays have one item, which need not be compared.
    let Some(second) = objects.next() else { return Some(first) };
    let objects = [first, second].into_iter().chain(objects);
    objects.min_by_key(|item| (!has_elements(type_id, *item), order(*item)))
}

/// Returns the coding that a user selected, else the first.
pub(super) fn primary_coding(codings: Node<'_>) -> Option<Node<'_>> {
    primary_item(ObjectKind::Coding, coding(), codings)
}

/// Writes a list of `system|code` or `system|value`, as FHIR searches write them; no list where there are no pairs.
pub(super) fn write_pairs<'a>(
    rows: &mut Rows,
    column: ColumnId,
    items: impl Iterator<Item = Node<'a>>,
    second: &str,
) {
    let mut list = None;
    for item in items {
        let (system, code) = match (text_part(item, "system"), text_part(item, second)) {
            (Ok(None), Ok(None)) => continue,
            (Ok(system), Ok(code)) => (system, code),
            // A pair that lacks a part that is not text would be wrong. The part is elsewhere in the row.
            _ => continue,
        };
        if list.is_none() {
            list = Some(rows.open_list(column));
        }
        rows.text_with(ITEM, |text| {
            for (part, separator) in [(system, "|"), (code, "")] {
                if let Some(part) = part {
                    part.push_text(text);
                }
                text.push_str(separator);
            }
        });
    }
    if let Some(list) = list {
        rows.close(list);
    }
}

/// Writes the best-ranked current value of each system, else the best-ranked old one.
pub(super) fn write_telecoms(rows: &mut Rows, columns: [ColumnId; TELECOM_SYSTEMS.len()], array: Node<'_>) {
    for (system, column) in TELECOM_SYSTEMS.into_iter().zip(columns) {
        let of_system =
            array.as_items().filter(|point| point.get("system").is_some_and(|code| code.is(system)));
        let best = of_system
            .filter_map(|point| Some(((is_old(point), rank(point)), point.get("value")?)))
            .filter(|(_, value)| value.kind() == JsonKind::String)
            .min_by_key(|(rank, _)| *rank);
        if let Some((_, value)) = best {
            rows.text_of(column, value);
        }
    }
}

/// Returns a member that is text, or `Err` if it is something else.
pub(super) fn text_part<'a>(item: Node<'a>, name: &str) -> Result<Option<Node<'a>>, ()> {
    match item.get(name).map(|part| (part.kind(), part)) {
        Some((JsonKind::String, part)) => Ok(Some(part)),
        None | Some((JsonKind::Null, _)) => Ok(None),
        Some(_) => Err(()),
    }
}

/// Returns whether an object has an element of its type besides an id and extensions.
fn has_elements(type_id: Option<TypeId>, object: Node<'_>) -> bool {
    let Some(type_id) = type_id else { return true };
    object.members().any(|(key, value)| {
        let name = key.text().unwrap_or_default();
        let is_about_itself = matches!(&*name, "id" | "extension" | "modifierExtension");
        !value.is_null() && !is_about_itself && type_id.element(&name).is_some()
    })
}

fn is_selected(coding: Node<'_>) -> bool {
    coding.get("userSelected").and_then(Node::boolean) == Some(true)
}

fn is_old(point: Node<'_>) -> bool {
    point.get("use").is_some_and(|r#use| r#use.is("old"))
}

/// Returns `ContactPoint.rank`, of which 1 is the most preferred. A telecom without a rank comes last.
fn rank(point: Node<'_>) -> u32 {
    point.get("rank").and_then(Node::number).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}

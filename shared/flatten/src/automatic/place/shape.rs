//! Which type an object has, where the releases of FHIR have several for one element.

use crate::json::{Kind, Node};
use crate::model::{Datatype, TypeId};

use super::PlaceId;

/// An object type that a spot can hold, and where its members go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) carrier: Option<TypeId>,
    /// Whether an array of it has a representative in the row; backbone elements and unknown objects have none.
    pub(super) primary: bool,
    pub(super) in_place: Option<PlaceId>,
    pub(super) item: Option<PlaceId>,
}

impl Shape {
    pub(super) fn of(carrier: Option<TypeId>) -> Self {
        let primary = carrier.is_some_and(|carrier| !carrier.is_backbone());
        Self { carrier, primary, in_place: None, item: None }
    }
}

/// Whether every member of an object is an element of a type, and has a value of the element's kind: R5's
/// `CodeableReference` has an object under `reference` where `Reference` has text.
pub(super) fn fits(carrier: Option<TypeId>, object: Node<'_>) -> bool {
    let Some(carrier) = carrier else { return false };
    object.members().all(|(key, value)| match key.raw().strip_prefix('_') {
        Some(primitive) => carrier.element(primitive).is_some(),
        None => carrier
            .element(key.raw())
            .is_some_and(|element| element.uses.iter().any(|used| takes(used.datatype, value))),
    })
}

/// Whether a datatype is written as this kind of JSON value, or as an array of it.
fn takes(datatype: Datatype, value: Node<'_>) -> bool {
    let kind = if value.kind() == Kind::Array { items_kind(value) } else { Some(value.kind()) };
    match kind {
        None | Some(Kind::Null) => true,
        Some(Kind::Object) => !matches!(datatype, Datatype::Primitive(_)),
        Some(_) => matches!(datatype, Datatype::Primitive(_)),
    }
}

/// The members of an object and the kinds of their values: what decides between the shapes of releases. No name
/// has a control character as it stands in JSON, so that no two objects share a signature.
pub(super) fn signature(object: Node<'_>, out: &mut String) {
    out.clear();
    for (key, value) in object.members() {
        out.push_str(key.raw());
        let kind = if value.kind() == Kind::Array { items_kind(value) } else { Some(value.kind()) };
        out.push(match kind {
            None | Some(Kind::Null) => '\u{1}',
            Some(Kind::Object) => '\u{2}',
            Some(_) => '\u{3}',
        });
    }
}

/// The kind of the first item that is not `null`.
pub(in crate::automatic) fn items_kind(array: Node<'_>) -> Option<Kind> {
    array.items().map(Node::kind).find(|&kind| kind != Kind::Null)
}

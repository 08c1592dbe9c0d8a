//! Which type an object has, where the releases of FHIR have several for one element.

use crate::json::{Kind, Node, same};
use crate::model::{Datatype, TypeId};

use super::PlaceId;
use super::remembered::Epoch;

/// An object type that a spot can hold, and where its members go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) carrier: Option<TypeId>,
    /// Whether an array of it has a representative in the row; backbone elements and unknown objects have none.
    pub(super) primary: bool,
    pub(super) in_place: Option<PlaceId>,
    pub(super) item: Option<PlaceId>,
    /// The last load that had one.
    pub(super) met: Option<Epoch>,
}

impl Shape {
    pub(super) fn of(carrier: Option<TypeId>) -> Self {
        let primary = carrier.is_some_and(|carrier| !carrier.is_backbone());
        Self { carrier, primary, in_place: None, item: None, met: None }
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
    match written(value) {
        None => true,
        Some(Kind::Object) => !matches!(datatype, Datatype::Primitive(_)),
        Some(_) => matches!(datatype, Datatype::Primitive(_)),
    }
}

/// The members of an object and the kinds of their values: what decides between the shapes of releases.
#[derive(Debug)]
pub(super) struct Signature(Vec<(Box<[u8]>, Option<Kind>)>);

impl Signature {
    pub(super) fn of(object: Node<'_>) -> Self {
        Self(object.members().map(|(key, value)| (key.raw_bytes().into(), written(value))).collect())
    }

    /// What it takes to remember it.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|member| size_of_val(member) + member.0.len()).sum()
    }

    pub(super) fn is_of(&self, object: Node<'_>) -> bool {
        let mut members = object.members();
        self.0.iter().all(|(name, kind)| {
            members.next().is_some_and(|(key, value)| same(key.raw_bytes(), name) && written(value) == *kind)
        }) && members.next().is_none()
    }
}

/// How a value is written: as an object, or as a scalar, whichever. Of an array, its items.
fn written(value: Node<'_>) -> Option<Kind> {
    let kind = if value.kind() == Kind::Array { items_kind(value) } else { Some(value.kind()) };
    match kind {
        None | Some(Kind::Null) => None,
        Some(Kind::Object) => kind,
        Some(_) => Some(Kind::String),
    }
}

/// The kind of the first item that is not `null`.
pub(in crate::automatic) fn items_kind(array: Node<'_>) -> Option<Kind> {
    array.items().map(Node::kind).find(|&kind| kind != Kind::Null)
}

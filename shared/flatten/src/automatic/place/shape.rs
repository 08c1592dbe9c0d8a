//! Which type an object has, where the releases of FHIR have several for one element.

use crate::json::{Kind, Node, same};
use crate::model::{Datatype, TypeId};

use super::remembered::Epoch;
use super::{PlaceId, Places, SpotId};

/// So many of the shapes that objects had are remembered at one spot, and of objects with no more members; hostile
/// input could make up any number.
const DECIDED: usize = 64;

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

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that the parent handed out, and its lists only grow"
)]
impl Places {
    /// The type of an object that stands in a spot; `None` for one that no release knows.
    pub(in crate::automatic) fn shape(&mut self, spot: SpotId, object: Node<'_>) -> Option<TypeId> {
        let spot = &mut self.spots[spot.0 as usize];
        let shapes = spot.shapes.get(..spot.tabled).unwrap_or_default();
        match shapes {
            [] => return None,
            [one] => return one.carrier,
            _ => {}
        }
        let known = spot.decided.iter().find(|(members, _)| members.is_of(object)).map(|(_, index)| *index);
        let index = known.unwrap_or_else(|| {
            let index = shapes.iter().position(|shape| fits(shape.carrier, object)).unwrap_or_default();
            if spot.decided.len() < DECIDED && object.members().nth(DECIDED).is_none() {
                let signature = Signature::of(object);
                self.bytes += signature.bytes();
                spot.decided.push((signature, index));
            }
            index
        });
        spot.shapes[index].carrier
    }

    pub(super) fn shape_index(&mut self, spot: SpotId, carrier: Option<TypeId>) -> usize {
        let shapes = &mut self.spots[spot.0 as usize].shapes;
        let index = shapes.iter().position(|shape| shape.carrier == carrier).unwrap_or_else(|| {
            shapes.push(Shape::of(carrier));
            shapes.len() - 1
        });
        shapes[index].met = Some(self.now);
        index
    }
}

/// Whether every member of an object is an element of a type, and has a value of the element's kind: R5's
/// `CodeableReference` has an object under `reference` where `Reference` has text.
pub(super) fn fits(carrier: Option<TypeId>, object: Node<'_>) -> bool {
    let Some(carrier) = carrier else { return false };
    object.members().all(|(key, value)| {
        let name = key.text().unwrap_or_default();
        match name.strip_prefix('_') {
            Some(primitive) => carrier.element(primitive).is_some(),
            None => carrier
                .element(&name)
                .is_some_and(|element| element.uses.iter().any(|used| takes(used.datatype, value))),
        }
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

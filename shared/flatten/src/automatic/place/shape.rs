//! Which type an object has, where the releases of FHIR have several for one element.

use crate::json::{Kind, Node, same};
use crate::model::{Datatype, Element, Release, TypeId};

use super::remembered::LoadGeneration;
use super::{PlaceId, Places, SpotId};

/// So many of the objects that were seen are remembered at one spot, and of objects with no more members; hostile
/// input could make up any number.
const SEEN: usize = 64;

/// No element is of more types of objects in the releases of FHIR.
pub(super) const MOST_SHAPES: usize = 8;

/// An object type that a spot can hold, and where its members go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) carrier: Option<TypeId>,
    /// Whether an array of it has a representative in the row; backbone elements, definitions and unknown objects
    /// have none.
    pub(super) primary: bool,
    pub(super) in_place: Option<PlaceId>,
    pub(super) item: Option<PlaceId>,
    /// The last load that had one.
    pub(super) met: Option<LoadGeneration>,
}

/// Datatypes that define something: one of several says nothing about the others.
const DEFINITIONS: [&str; 4] =
    ["DataRequirement", "ElementDefinition", "ParameterDefinition", "TriggerDefinition"];

impl Shape {
    pub(super) fn of(carrier: Option<TypeId>) -> Self {
        let primary =
            carrier.is_some_and(|carrier| !carrier.is_backbone() && !DEFINITIONS.contains(&carrier.name()));
        Self { carrier, primary, in_place: None, item: None, met: None }
    }
}

/// How well an object fits a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Fit {
    /// Members that are elements of the type, with a value of the element's kind.
    members: u32,
    /// Those that are also arrays where the type has arrays, and single where it has one value; and companions of
    /// primitives that the type has.
    details: u32,
    /// Whether R4 has the type here: it decides what nothing else does.
    is_r4: bool,
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that the parent handed out, and its lists only grow"
)]
impl Places {
    /// Returns the type of the objects that stand in a spot; they decide together. `None` for one that no release
    /// knows.
    pub(in crate::automatic) fn shape<'a>(
        &mut self,
        spot: SpotId,
        objects: impl Iterator<Item = Node<'a>>,
    ) -> Option<TypeId> {
        let spot = &mut self.spots[spot.0 as usize];
        match spot.shapes.get(..spot.tabled).unwrap_or_default() {
            [] => return None,
            [one] => return one.carrier,
            _ => {}
        }
        let mut fits = [Fit::default(); MOST_SHAPES];
        for (fit, is_r4) in fits.iter_mut().zip(&spot.is_r4) {
            fit.is_r4 = *is_r4;
        }
        for object in objects {
            spot.add_fits(object, &mut fits, &mut self.bytes);
        }
        // Of equals the first, which is the newest release's.
        let best = (0..spot.tabled.min(MOST_SHAPES)).rev().max_by_key(|&index| fits[index]);
        spot.shapes[best.unwrap_or_default()].carrier
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

impl super::Spot {
    /// Adds how well an object fits each of the types here.
    fn add_fits(&mut self, object: Node<'_>, sums: &mut [Fit; MOST_SHAPES], bytes: &mut usize) {
        let known = self.seen.iter().find(|(members, _)| members.is_of(object)).map(|(_, fits)| *fits);
        let fits = known.unwrap_or_else(|| {
            let mut fits = [Fit::default(); MOST_SHAPES];
            for (to, shape) in fits.iter_mut().zip(self.shapes.iter().take(self.tabled)) {
                *to = fit(shape.carrier, object);
            }
            if self.seen.len() < SEEN && object.members().nth(SEEN).is_none() {
                let signature = Signature::of(object);
                *bytes += signature.bytes() + size_of_val(&fits);
                self.seen.push((signature, fits));
            }
            fits
        });
        for (sum, fit) in sums.iter_mut().zip(fits) {
            sum.members += fit.members;
            sum.details += fit.details;
        }
    }
}

/// How well an object fits a type. Members that the type does not have say nothing, nor does `null`.
fn fit(carrier: Option<TypeId>, object: Node<'_>) -> Fit {
    let Some(carrier) = carrier else { return Fit::default() };
    let mut fit = Fit::default();
    for (key, value) in object.members() {
        let Some(kind) = written(value) else { continue };
        let name = key.text().unwrap_or_default();
        if let Some(primitive) = name.strip_prefix('_') {
            let element = carrier.element(primitive);
            fit.details += u32::from(element.is_some_and(|element| takes(&element, Written::Scalar)));
        } else if let Some(element) = carrier.element(&name).filter(|element| takes(element, kind)) {
            fit.members += 1;
            let is_array = value.kind() == Kind::Array;
            fit.details += u32::from(element.uses.iter().any(|used| used.many == is_array));
        }
    }
    fit
}

/// Whether an element is written as this kind of JSON value, or as an array of it, in some release.
fn takes(element: &Element, kind: Written) -> bool {
    element.uses.iter().any(|used| match used.datatype {
        Datatype::Primitive(_) => kind == Written::Scalar,
        Datatype::Complex(_) | Datatype::Resource => kind == Written::Object,
    })
}

/// Whether R4 has a type at an element.
pub(super) fn is_r4(element: &Element, carrier: TypeId) -> bool {
    element
        .uses
        .iter()
        .any(|used| used.datatype == Datatype::Complex(carrier) && used.releases.contains(Release::R4))
}

/// The members of an object and how their values are written: what decides between the types of releases.
#[derive(Debug)]
pub(super) struct Signature(Vec<(Box<[u8]>, Option<Written>, bool)>);

impl Signature {
    fn of(object: Node<'_>) -> Self {
        let member = |(key, value): (Node<'_>, Node<'_>)| {
            (key.raw_bytes().into(), written(value), value.kind() == Kind::Array)
        };
        Self(object.members().map(member).collect())
    }

    /// What it takes to remember it.
    fn bytes(&self) -> usize {
        self.0.iter().map(|member| size_of_val(member) + member.0.len()).sum()
    }

    fn is_of(&self, object: Node<'_>) -> bool {
        let mut members = object.members();
        self.0.iter().all(|(name, kind, is_array)| {
            members.next().is_some_and(|(key, value)| {
                same(key.raw_bytes(), name)
                    && written(value) == *kind
                    && (value.kind() == Kind::Array) == *is_array
            })
        }) && members.next().is_none()
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Object,
    Scalar,
}

/// How a value is written; of an array, its items. `None` for what says nothing.
fn written(value: Node<'_>) -> Option<Written> {
    let kind = if value.kind() == Kind::Array { items_kind(value) } else { Some(value.kind()) };
    match kind? {
        Kind::Null => None,
        Kind::Object => Some(Written::Object),
        _ => Some(Written::Scalar),
    }
}

/// The kind of the first item that is not `null`; of what is no array, its own.
pub(in crate::automatic) fn items_kind(array: Node<'_>) -> Option<Kind> {
    array.as_items().map(Node::kind).find(|&kind| kind != Kind::Null)
}

//! Object types: which type an object has, where the releases of FHIR have several for one element.

use crate::json::{JsonKind, Node, same};
use crate::model::{Datatype, Element, Release, TypeId};

use super::member::ObjectPathId;
use super::name_cache::ResourceNumber;

/// How many objects are remembered at one field, and how many members each may have. Hostile input could make up any
/// number.
const MAX_SIGNATURES: usize = 64;

/// No element is of more types of objects in the releases of FHIR.
const MAX_TYPES: usize = 8;

/// The types of objects that a field can hold: first those of the model, then others that were found in data.
#[derive(Debug, Default)]
pub(super) struct ObjectTypes {
    list: Vec<ObjectType>,
    /// How many of them are the model's.
    modelled: usize,
    /// Which of the model's types R4 has.
    is_r4: Vec<bool>,
    /// How well objects with these members fit each of the model's types, where there are several.
    fits: Vec<(MemberSignature, [TypeFit; MAX_TYPES])>,
}

/// A type of objects that a field can hold, and where the members of such an object go.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectType {
    pub(super) type_id: Option<TypeId>,
    /// Whether an array of it has a representative in the row; backbone elements, definitions and unknown objects
    /// have none.
    pub(super) has_primary: bool,
    pub(super) in_place: Option<ObjectPathId>,
    pub(super) item: Option<ObjectPathId>,
    /// The last load that had one.
    pub(super) last_used: Option<ResourceNumber>,
}

/// Datatypes that define something: one of several says nothing about the others.
const DEFINITIONS: [&str; 4] =
    ["DataRequirement", "ElementDefinition", "ParameterDefinition", "TriggerDefinition"];

impl ObjectType {
    fn of(type_id: Option<TypeId>) -> Self {
        let has_primary =
            type_id.is_some_and(|type_id| !type_id.is_backbone() && !DEFINITIONS.contains(&type_id.name()));
        Self { type_id, has_primary, in_place: None, item: None, last_used: None }
    }
}

#[expect(clippy::indexing_slicing, reason = "the indices are those of the list that they index")]
impl ObjectTypes {
    /// Adds a type that the model has at an element.
    pub(super) fn add_modelled(&mut self, element: &Element, type_id: TypeId) {
        if !self.list.iter().any(|known| known.type_id == Some(type_id)) {
            self.list.push(ObjectType::of(Some(type_id)));
            self.is_r4.push(is_r4(element, type_id));
            self.modelled = self.list.len();
        }
    }

    /// Returns whether the model has objects here.
    pub(super) const fn has_modelled(&self) -> bool {
        self.modelled > 0
    }

    /// Returns the types that the model gives.
    pub(super) fn modelled(&self) -> impl Iterator<Item = TypeId> {
        self.list.iter().take(self.modelled).filter_map(|known| known.type_id)
    }

    /// Returns the types of which a load has had objects.
    pub(super) fn used_since(&self, load: ResourceNumber) -> impl Iterator<Item = &ObjectType> {
        self.list.iter().filter(move |known| known.last_used >= Some(load))
    }

    /// Returns the entry of a type, and notes that it is used.
    pub(super) fn entry(&mut self, type_id: Option<TypeId>, now: ResourceNumber) -> &mut ObjectType {
        let index = self.list.iter().position(|known| known.type_id == type_id).unwrap_or_else(|| {
            self.list.push(ObjectType::of(type_id));
            self.list.len() - 1
        });
        let entry = &mut self.list[index];
        entry.last_used = Some(now);
        entry
    }

    /// Returns the type that fits some objects best, taken together; `None` for objects that no release knows. Adds
    /// the memory that it takes to remember how well they fit.
    pub(super) fn best_fit<'a>(
        &mut self,
        objects: impl Iterator<Item = Node<'a>>,
        bytes: &mut usize,
    ) -> Option<TypeId> {
        match self.list.get(..self.modelled).unwrap_or_default() {
            [] => return None,
            [one] => return one.type_id,
            _ => {}
        }
        let mut fits = [TypeFit::default(); MAX_TYPES];
        for (fit, is_r4) in fits.iter_mut().zip(&self.is_r4) {
            fit.is_r4 = *is_r4;
        }
        for object in objects {
            self.add_fits(object, &mut fits, bytes);
        }
        // Of equals the first, which is the newest release's.
        let best = (0..self.modelled.min(MAX_TYPES)).rev().max_by_key(|&index| fits[index]);
        self.list[best.unwrap_or_default()].type_id
    }

    /// Adds how well an object fits each of the types here.
    fn add_fits(&mut self, object: Node<'_>, sums: &mut [TypeFit; MAX_TYPES], bytes: &mut usize) {
        let known = self.fits.iter().find(|(members, _)| members.is_of(object)).map(|(_, fits)| *fits);
        let fits = known.unwrap_or_else(|| {
            let mut fits = [TypeFit::default(); MAX_TYPES];
            for (to, known) in fits.iter_mut().zip(self.list.iter().take(self.modelled)) {
                *to = type_fit(known.type_id, object);
            }
            if self.fits.len() < MAX_SIGNATURES && object.members().nth(MAX_SIGNATURES).is_none() {
                let signature = MemberSignature::of(object);
                *bytes += signature.bytes() + size_of_val(&fits);
                self.fits.push((signature, fits));
            }
            fits
        });
        for (sum, fit) in sums.iter_mut().zip(fits) {
            sum.members += fit.members;
            sum.details += fit.details;
        }
    }
}

/// How well an object fits a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct TypeFit {
    /// Members that are elements of the type, with a value of the element's form.
    members: u32,
    /// Those that are also arrays where the type has arrays, and single where it has one value; and companions of
    /// primitives that the type has.
    details: u32,
    /// Whether R4 has the type here: it decides what nothing else does.
    is_r4: bool,
}

/// Returns how well an object fits a type. Members that the type does not have and `null` do not count.
fn type_fit(type_id: Option<TypeId>, object: Node<'_>) -> TypeFit {
    let Some(type_id) = type_id else { return TypeFit::default() };
    let mut fit = TypeFit::default();
    for (key, value) in object.members() {
        let Some(form) = json_form(value) else { continue };
        let name = key.text().unwrap_or_default();
        if let Some(primitive) = name.strip_prefix('_') {
            let element = type_id.element(primitive);
            fit.details += u32::from(element.is_some_and(|element| accepts_form(&element, JsonForm::Scalar)));
        } else if let Some(element) = type_id.element(&name).filter(|element| accepts_form(element, form)) {
            fit.members += 1;
            let is_array = value.kind() == JsonKind::Array;
            fit.details += u32::from(element.uses.iter().any(|used| used.many == is_array));
        }
    }
    fit
}

/// Returns whether an element is written in this form, or as an array of it, in some release.
fn accepts_form(element: &Element, form: JsonForm) -> bool {
    element.uses.iter().any(|used| match used.datatype {
        Datatype::Primitive(_) => form == JsonForm::Scalar,
        Datatype::Complex(_) | Datatype::Resource => form == JsonForm::Object,
    })
}

/// Returns whether R4 has a type at an element.
fn is_r4(element: &Element, type_id: TypeId) -> bool {
    element
        .uses
        .iter()
        .any(|used| used.datatype == Datatype::Complex(type_id) && used.releases.contains(Release::R4))
}

/// The members of an object and how their values are written, which decides between the types of releases.
#[derive(Debug)]
struct MemberSignature(Vec<(Box<[u8]>, Option<JsonForm>, bool)>);

impl MemberSignature {
    fn of(object: Node<'_>) -> Self {
        let member = |(key, value): (Node<'_>, Node<'_>)| {
            (key.raw_bytes().into(), json_form(value), value.kind() == JsonKind::Array)
        };
        Self(object.members().map(member).collect())
    }

    /// Returns the memory that it takes.
    fn bytes(&self) -> usize {
        self.0.iter().map(|member| size_of_val(member) + member.0.len()).sum()
    }

    fn is_of(&self, object: Node<'_>) -> bool {
        let mut members = object.members();
        self.0.iter().all(|(name, form, is_array)| {
            members.next().is_some_and(|(key, value)| {
                same(key.raw_bytes(), name)
                    && json_form(value) == *form
                    && (value.kind() == JsonKind::Array) == *is_array
            })
        }) && members.next().is_none()
    }
}

/// Tells how a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonForm {
    Object,
    Scalar,
}

/// Returns how a value, or the items of an array, are written. `None` for `null` and empty arrays.
fn json_form(value: Node<'_>) -> Option<JsonForm> {
    let form = if value.kind() == JsonKind::Array { items_kind(value) } else { Some(value.kind()) };
    match form? {
        JsonKind::Null => None,
        JsonKind::Object => Some(JsonForm::Object),
        _ => Some(JsonForm::Scalar),
    }
}

/// Returns the kind of the first item that is not `null`; for a value that is not an array, its own kind.
pub(crate) fn items_kind(array: Node<'_>) -> Option<JsonKind> {
    array.as_items().map(Node::kind).find(|&kind| kind != JsonKind::Null)
}

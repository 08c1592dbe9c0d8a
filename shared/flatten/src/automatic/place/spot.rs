//! Spots: what is known of a member's position before any value is seen there.

use crate::check;
use crate::model::{Datatype, Element, TypeId};
use crate::row::{ColumnId, Names};

use super::super::name::joined;
use super::choice::Choice;
use super::columns::Columns;
use super::shape::{Fit, MOST_SHAPES, is_r4};
use super::{FieldFlags, PlaceId, Places, Scalars, Shape, Signature, Special, SpotId, TELECOM_SYSTEMS};

/// One member's position.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one member")]
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) name: Box<str>,
    pub(super) scalars: Scalars,
    /// What objects can stand here: first those of the element tables, then others that were met.
    pub(super) shapes: Vec<Shape>,
    /// How many of the shapes are the element tables'.
    pub(super) tabled: usize,
    /// Which of the element tables' shapes R4 has.
    pub(super) is_r4: Vec<bool>,
    /// How well objects with these members fit each of the element tables' shapes, where there are several.
    pub(super) seen: Vec<(Signature, [Fit; MOST_SHAPES])>,
    pub(super) columns: Columns,
    pub(super) choice: Option<Choice>,
    /// Whether every release has an array here.
    pub(super) many: bool,
    pub(super) telecoms: Option<[ColumnId; TELECOM_SYSTEMS.len()]>,
    pub(super) resource: bool,
    /// The codes of the element's required binding.
    pub(super) codes: &'static [&'static str],
    /// The bits of [`check::required`] that a value here meets.
    pub(super) meets: u8,
    pub(super) sibling: Option<PlaceId>,
    /// Where a concept's primary coding goes.
    pub(super) elided: Option<PlaceId>,
    /// The list of labels that are written whole.
    pub(super) whole: Option<SpotId>,
    /// The extension whose position this is, nested by its own URL.
    pub(super) extension: bool,
    /// Where it is the value of an extension, the name of that extension's columns.
    pub(super) value_of: Option<Box<str>>,
    /// Whether some release knows the element, or somebody the extension's URL.
    pub(super) known: bool,
    /// Whether FHIR or the settings name everything on the way here.
    pub(super) owned: bool,
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that the parent handed out, and its lists only grow"
)]
impl Places {
    pub(super) fn add_member(&mut self, place: PlaceId, key: &str, names: &mut Names) -> SpotId {
        let home = &self.list[place.0 as usize];
        let carrier = home.carrier.and_then(|carrier| Some((carrier, carrier.element(key)?)));
        let Some((carrier, element)) = carrier else { return self.add_unknown(place, key, names) };
        let in_extension = matches!(home.special, Special::Extension | Special::ExtensionItem);
        let of_value = in_extension && element.choice == Some("value");
        let name = match (of_value, home.special) {
            (true, _) => home.prefix.to_string(),
            // An id is the object's own, which lends its columns to another, or has another's.
            (false, Special::ElidedCoding) if key == "id" => joined(&home.outer, key),
            (false, _) => home.value_id(key).unwrap_or_else(|| joined(&home.prefix, key)),
        };
        // What repeats in the newest release may be one of a choice in another, where it does not repeat.
        let base = element.choice.or_else(|| element.uses.iter().find_map(|used| used.choice));
        let choice = base.filter(|_| !of_value);
        let choice = choice.map(|base| Choice::of(carrier, &home.prefix, base, &element, names));
        let (is_item, prefix) = (home.special == Special::ExtensionItem, home.prefix.clone());
        let (types_in_other_releases, is_resource) =
            (home.types_in_other_releases.clone(), home.special == Special::Resource);
        let owned = home.owned;
        let mut spot = Spot { owned, ..Spot::of(&name, names) };
        spot.learn(carrier, &element);
        if is_resource {
            let base = element.uses.iter().find_map(|used| used.choice);
            spot.meets = check::met_by(carrier.name(), key, base);
        }
        spot.choice = choice;
        if of_value {
            if is_item && !spot.scalars.none() {
                spot.name = "value".into();
            }
            spot.columns = Columns::of_value(&spot.name, &prefix, names);
            spot.value_of = Some(prefix);
        } else {
            spot.columns = spot.columns.yielding(&element, &types_in_other_releases);
        }
        self.add_spot(spot)
    }

    /// An element that no release knows, or an id on a primitive.
    fn add_unknown(&mut self, place: PlaceId, key: &str, names: &mut Names) -> SpotId {
        let home = &self.list[place.0 as usize];
        let is_id = home.special == Special::OnPrimitive && key == "id";
        let name = match home.special {
            Special::ElidedCoding => joined(&home.outer, key),
            _ => home.value_id(key).unwrap_or_else(|| joined(&home.prefix, key)),
        };
        let spot = Spot { scalars: Scalars::UNKNOWN, known: is_id, ..Spot::of(&name, names) };
        self.add_spot(spot)
    }

    pub(super) fn add_spot(&mut self, spot: Spot) -> SpotId {
        self.bytes += size_of::<Spot>() + size_of::<FieldFlags>() + 3 * spot.name.len();
        self.field_flags.push(FieldFlags::of(&spot));
        self.spots.push(spot);
        SpotId(u32::try_from(self.spots.len() - 1).unwrap_or(u32::MAX))
    }
}

impl Spot {
    pub(super) fn of(name: &str, names: &mut Names) -> Self {
        Self {
            name: name.into(),
            scalars: Scalars::default(),
            shapes: Vec::new(),
            tabled: 0,
            is_r4: Vec::new(),
            seen: Vec::new(),
            columns: Columns::of(name, names),
            choice: None,
            many: false,
            telecoms: None,
            resource: false,
            codes: &[],
            meets: 0,
            sibling: None,
            elided: None,
            whole: None,
            extension: false,
            value_of: None,
            known: true,
            owned: false,
        }
    }

    /// The types that the element tables know here.
    pub(super) fn carriers(&self) -> impl Iterator<Item = TypeId> {
        self.shapes.iter().take(self.tabled).filter_map(|shape| shape.carrier)
    }

    fn learn(&mut self, carrier: TypeId, element: &Element) {
        self.many = element.uses.iter().all(|used| used.many);
        self.codes = check::codes(carrier.name(), element.name).unwrap_or_default();
        if !self.codes.is_empty() {
            self.scalars = self.scalars.and(Scalars::CODED);
        }
        for used in element.uses {
            match used.datatype {
                Datatype::Primitive(primitive) => self.scalars = self.scalars.and(Scalars::of(primitive)),
                Datatype::Complex(carrier) => {
                    if !self.shapes.iter().any(|shape| shape.carrier == Some(carrier)) {
                        self.shapes.push(Shape::of(Some(carrier)));
                        self.is_r4.push(is_r4(element, carrier));
                    }
                }
                Datatype::Resource => self.resource = true,
            }
        }
        self.tabled = self.shapes.len();
    }
}

//! Places and spots: from a path to its columns, worked out once and remembered.
//!
//! A place is an object's position in a row, such as `Patient.name`; a spot is a member's position in a place,
//! such as `Patient.name.family`. Both are pure functions of FHIR path, extension URL and settings, so that
//! forgetting them all changes nothing but speed.

mod member;
mod scalars;
mod shape;
mod budget;
mod choice;
mod columns;
mod field_flags;
mod home;
mod remembered;
mod spot;
mod meaning;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::json::Node;
use crate::model::{self, TypeId};
use crate::row::{ColumnId, Names};

use super::Settings;
use super::name::{self, Standing, joined};

use budget::{Budget, LONGEST_PREFIX};
use columns::Columns;
use home::ResourceHome;
use remembered::{LoadGeneration, Met, Remembered};
use shape::{Shape, Signature};
use spot::Spot;

pub(super) use budget::MOST_NAMES;
pub(super) use choice::Choice;
pub(super) use columns::Derived;
pub(super) use field_flags::FieldFlags;
pub(super) use meaning::{Meanings, Root};
pub(super) use member::{Member, Special};
pub(super) use scalars::Scalars;
pub(super) use shape::items_kind;

/// The index of a [`Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceId(u32);

/// The index of a [`Spot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SpotId(u32);

/// The systems of a `ContactPoint` (R5 value set contact-point-system), each a column of its best-ranked value.
pub(super) const TELECOM_SYSTEMS: [&str; 7] = ["phone", "fax", "email", "pager", "url", "sms", "other"];

/// No member with a longer name has a column: see [`name::is_plain`]. Nor is one remembered.
const LONGEST_NAME: usize = 1 + 128;

#[derive(Debug)]
struct Place {
    /// The name of the object's columns so far; empty in a row or an item.
    prefix: Box<str>,
    /// The same for what the carrying type does not own: ids and extensions of an elided coding.
    outer: Box<str>,
    carrier: Option<TypeId>,
    /// The types that the element is in any release: what an extension's name may not be taken for.
    types_in_other_releases: Box<[TypeId]>,
    special: Special,
    /// Whether FHIR or the settings name everything on the way here, so that a table may be called by it.
    owned: bool,
    /// Where the object is the value of an extension, or stands on it, the name of that extension's columns.
    value_of: Option<Box<str>>,
    /// The columns that belong to the object itself, such as `code_codings`.
    own: Columns,
    members: Remembered<Member>,
    /// By [`Standing`].
    extensions: [Remembered<SpotId>; 4],
}

impl Place {
    /// The column of the id of an extension's value: the extension may have an id itself.
    fn value_id(&self, key: &str) -> Option<String> {
        self.value_of.as_ref().filter(|_| key == "id").map(|extension| joined(extension, "valueId"))
    }
}

/// Everything remembered so far.
#[derive(Debug, Default)]
pub(super) struct Places {
    list: Vec<Place>,
    spots: Vec<Spot>,
    /// By spot: what is asked at every value lies close together.
    field_flags: Vec<FieldFlags>,
    resources: BTreeMap<Box<str>, ResourceHome>,
    /// The type of the last resource: mostly the next one's too.
    last: Option<(Box<str>, ResourceHome)>,
    /// The resource at hand.
    now: LoadGeneration,
    /// The first resource of the load.
    load: LoadGeneration,
    budget: Budget,
    bytes: usize,
    items: BTreeMap<TypeId, PlaceId>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that this module handed out, and its lists only grow"
)]
impl Places {
    /// How many bytes are remembered, give or take, to bound the memory that hostile input can take.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was met until now is remembered, but no longer described.
    pub(super) const fn begin_load(&mut self) {
        self.now = self.now.next();
        self.load = self.now;
    }

    pub(super) fn special(&self, place: PlaceId) -> Special {
        self.list[place.0 as usize].special
    }

    /// What a member is. `hint` is where the last member was found: resources of one kind have their
    /// members in one order, so that the next one mostly stands next.
    pub(super) fn member(
        &mut self,
        place: PlaceId,
        name: Node<'_>,
        hint: &mut usize,
        settings: &Settings,
        names: &mut Names,
    ) -> Member {
        if let Some(met) = self.list[place.0 as usize].members.at(*hint, name.raw_bytes(), self.now) {
            *hint += 1;
            self.meet(met);
            return met.value;
        }
        self.member_called(place, &name.text().unwrap_or_default(), hint, settings, names)
    }

    fn member_called(
        &mut self,
        place: PlaceId,
        key: &str,
        hint: &mut usize,
        settings: &Settings,
        names: &mut Names,
    ) -> Member {
        let members = &mut self.list[place.0 as usize].members;
        if let Some(met) = members.find(key, self.now) {
            *hint = met.index + 1;
            self.meet(met);
            return met.value;
        }
        // A name with a backslash is not remembered either: another one, with escapes, may be written like it.
        if key.len() > LONGEST_NAME || key.contains('\\') {
            return Member::Unknown;
        }
        let member = self.classify(place, key, settings, names);
        self.bytes += remembered::bytes_of::<Member>(key);
        let index = self.list[place.0 as usize].members.push(key, member, self.now);
        *hint = index + 1;
        self.meet(Met { index, value: member, is_first: true });
        member
    }

    /// The spot of an element; none for a member that has none of its own.
    pub(super) fn element(
        &mut self,
        place: PlaceId,
        key: &str,
        settings: &Settings,
        names: &mut Names,
    ) -> Option<SpotId> {
        self.member_called(place, key, &mut 0, settings, names).spot()
    }

    fn classify(&mut self, place: PlaceId, key: &str, settings: &Settings, names: &mut Names) -> Member {
        let home = &self.list[place.0 as usize];
        let special = home.special;
        match (key, special) {
            ("extension", _) => return Member::Extensions,
            ("modifierExtension", _) => return Member::ModifierExtensions,
            ("contained", Special::Resource) => return Member::Contained,
            ("resourceType", Special::Resource) | ("url", Special::Extension | Special::ExtensionItem) => {
                return Member::Skipped;
            }
            ("div", Special::Narrative) if !settings.narrative => return Member::Skipped,
            _ => {}
        }
        if let Some(primitive) = key.strip_prefix('_') {
            let spot = self.element(place, primitive, settings, names);
            // What no release has as a primitive has its extensions inside.
            let spot = spot.filter(|&spot| !self.field_flags(spot).scalars.none());
            return spot.map_or(Member::Unknown, Member::Sibling);
        }
        let is_unknown = home.carrier.is_none_or(|carrier| carrier.element(key).is_none());
        if is_unknown && home.prefix.len() > LONGEST_PREFIX || !name::has_column(special, home.carrier, key) {
            return Member::Unknown;
        }
        let spot = self.add_member(place, key, names);
        match (key, special) {
            ("coding", Special::Concept) => Member::Codings(spot),
            ("reference", Special::Reference) => Member::Target(spot),
            ("tag" | "security", Special::Meta) => Member::Labels(spot),
            _ => Member::Element(spot),
        }
    }

    /// The spot of an extension by its URL and by how it stands there.
    pub(super) fn extension(
        &mut self,
        place: PlaceId,
        url: &str,
        standing: Standing,
        settings: &Settings,
        names: &mut Names,
    ) -> SpotId {
        if let Some(met) = self.list[place.0 as usize].extensions[standing as usize].find(url, self.now) {
            self.meet_extension(met.is_first, standing);
            return met.value;
        }
        self.meet_extension(true, standing);
        let home = &self.list[place.0 as usize];
        let tail =
            name::tail(home.special, home.carrier, &home.types_in_other_releases, url, standing, settings);
        let outer =
            if standing.is_modifier() { &joined(&home.outer, "modifierExtension") } else { &*home.outer };
        let owned = home.owned && name::is_given(url, settings);
        let spot = Spot { extension: true, owned, ..Spot::of(&joined(outer, &tail), names) };
        let spot = self.add_spot(spot);
        self.bytes += remembered::bytes_of::<SpotId>(url);
        self.list[place.0 as usize].extensions[standing as usize].push(url, spot, self.now);
        spot
    }

    /// What everybody asks of a spot.
    pub(super) fn field_flags(&self, spot: SpotId) -> FieldFlags {
        self.field_flags[spot.0 as usize]
    }

    /// The column of what stands in a spot.
    pub(super) fn plain(&self, spot: SpotId) -> ColumnId {
        self.field_flags(spot).plain
    }

    /// A column that is derived from what stands in a spot.
    pub(super) fn derived(&mut self, spot: SpotId, derived: Derived, names: &mut Names) -> ColumnId {
        self.spots[spot.0 as usize].columns.named(derived, names)
    }

    pub(super) fn name(&self, spot: SpotId) -> &str {
        &self.spots[spot.0 as usize].name
    }

    pub(super) fn choice(&self, spot: SpotId) -> Option<Choice> {
        self.spots[spot.0 as usize].choice
    }

    /// The codes that may stand here, where [`Scalars::CODED`] says that they are known.
    pub(super) fn codes(&self, spot: SpotId) -> &'static [&'static str] {
        self.spots[spot.0 as usize].codes
    }

    /// Whether some release has such a value here: an object or a scalar.
    pub(super) fn is_known(&self, spot: SpotId, is_object: bool) -> bool {
        let spot = &self.spots[spot.0 as usize];
        spot.known && (!is_object || spot.tabled > 0 || spot.resource || spot.extension)
    }

    /// Whether an array of this type keeps a representative in the row.
    pub(super) fn has_primary(&mut self, spot: SpotId, carrier: Option<TypeId>) -> bool {
        let index = self.shape_index(spot, carrier);
        self.spots[spot.0 as usize].shapes[index].primary
    }

    /// Where the members of an object go that is flattened in place.
    pub(super) fn in_place(&mut self, spot: SpotId, carrier: Option<TypeId>, names: &mut Names) -> PlaceId {
        let index = self.shape_index(spot, carrier);
        let home = &self.spots[spot.0 as usize];
        if let Some(place) = home.shapes[index].in_place {
            return place;
        }
        let special = if home.extension { Special::Extension } else { Special::of(carrier) };
        let (name, types_in_other_releases, value_of) =
            (home.name.clone(), home.carriers().collect(), home.value_of.clone());
        let owned = home.owned && carrier.is_some();
        let place = self.add_place(&name, carrier, special, names);
        let home = &mut self.list[place.0 as usize];
        (home.types_in_other_releases, home.value_of, home.owned) =
            (types_in_other_releases, value_of, owned);
        self.spots[spot.0 as usize].shapes[index].in_place = Some(place);
        place
    }

    /// Where the members of an item go, named from its own root: one place a type, wherever its items stand.
    pub(super) fn item(&mut self, spot: SpotId, carrier: Option<TypeId>, names: &mut Names) -> PlaceId {
        let index = self.shape_index(spot, carrier);
        let home = &self.spots[spot.0 as usize];
        let extension = home.extension;
        // Items of a known type share a place. Those that a list holds have no tables.
        let owned = carrier.is_some() && (home.owned || !extension);
        let known =
            home.shapes[index].item.or_else(|| self.items.get(&carrier?).copied().filter(|_| !extension));
        if let Some(place) = known {
            return place;
        }
        let special = if extension { Special::ExtensionItem } else { Special::of(carrier) };
        let place = self.add_place("", carrier, special, names);
        self.set_owned(place, owned);
        self.spots[spot.0 as usize].shapes[index].item = Some(place);
        if let Some(carrier) = carrier.filter(|_| !extension) {
            self.items.insert(carrier, place);
        }
        place
    }

    /// Where a concept's primary coding goes: under the concept's own name.
    pub(super) fn elided_coding(&mut self, spot: SpotId, concept: PlaceId, names: &mut Names) -> PlaceId {
        if let Some(place) = self.spots[spot.0 as usize].elided {
            return place;
        }
        let Place { prefix, types_in_other_releases, owned, .. } = &self.list[concept.0 as usize];
        let (prefix, types_in_other_releases, owned) =
            (prefix.clone(), types_in_other_releases.clone(), *owned);
        let place = self.add_place(&prefix, model::coding(), Special::ElidedCoding, names);
        let home = &mut self.list[place.0 as usize];
        (home.outer, home.types_in_other_releases, home.owned) =
            (self.spots[spot.0 as usize].name.clone(), types_in_other_releases, owned);
        self.spots[spot.0 as usize].elided = Some(place);
        place
    }

    /// Where the id and the extensions of a primitive go.
    pub(super) fn sibling(&mut self, spot: SpotId, names: &mut Names) -> PlaceId {
        let home = &self.spots[spot.0 as usize];
        if let Some(place) = home.sibling {
            return place;
        }
        let (name, types_in_other_releases, value_of) =
            (home.name.clone(), home.carriers().collect(), home.value_of.clone());
        let owned = home.owned;
        let place = self.add_place(&name, None, Special::OnPrimitive, names);
        let on_primitive = &mut self.list[place.0 as usize];
        (on_primitive.types_in_other_releases, on_primitive.value_of, on_primitive.owned) =
            (types_in_other_releases, value_of, owned);
        self.spots[spot.0 as usize].sibling = Some(place);
        place
    }

    /// The derived columns that belong to a place itself, such as `code_codings`.
    pub(super) fn own(&mut self, place: PlaceId, derived: Derived, names: &mut Names) -> ColumnId {
        self.list[place.0 as usize].own.named(derived, names)
    }

    /// The columns of a telecom's systems, such as `telecom_phone`.
    pub(super) fn telecoms(&mut self, spot: SpotId, names: &mut Names) -> [ColumnId; TELECOM_SYSTEMS.len()] {
        let spot = &mut self.spots[spot.0 as usize];
        *spot
            .telecoms
            .get_or_insert_with(|| TELECOM_SYSTEMS.map(|system| names.column(&joined(&spot.name, system))))
    }

    /// The spot of labels written whole, beside their list of `system|code`.
    pub(super) fn labels(&mut self, spot: SpotId, names: &mut Names) -> SpotId {
        if let Some(whole) = self.spots[spot.0 as usize].whole {
            return whole;
        }
        let labels = &self.spots[spot.0 as usize];
        let (name, owned) = (joined(&labels.name, "coding"), labels.owned);
        let whole = self.add_spot(Spot { owned, ..Spot::of(&name, names) });
        self.spots[spot.0 as usize].whole = Some(whole);
        whole
    }

    fn add_place(
        &mut self,
        prefix: &str,
        carrier: Option<TypeId>,
        special: Special,
        names: &mut Names,
    ) -> PlaceId {
        self.bytes += size_of::<Place>() + 2 * prefix.len();
        self.list.push(Place {
            prefix: prefix.into(),
            outer: prefix.into(),
            carrier,
            types_in_other_releases: Box::default(),
            special,
            owned: false,
            value_of: None,
            own: Columns::of(prefix, names),
            members: Remembered::default(),
            extensions: Default::default(),
        });
        PlaceId(u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX))
    }
}

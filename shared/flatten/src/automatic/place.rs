//! Places and spots: from a path to its columns, worked out once and remembered.
//!
//! A place is an object's position in a row, such as `Patient.name`; a spot is a member's position in a place,
//! such as `Patient.name.family`. Both are pure functions of FHIR path, extension URL and settings, so that
//! forgetting them all changes nothing but speed.

mod meaning;

use std::collections::BTreeMap;

use crate::check;
use crate::json::{Kind, Node};
use crate::model::{self, Datatype, Primitive, TypeId};
use crate::row::{ColumnId, Names};

use super::Settings;
use super::name::{self, joined};

pub(super) use meaning::{Meanings, Root};

/// The index of a [`Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceId(u32);

/// The index of a [`Spot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpotId(u32);

/// What a member of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// An element, or something by its shape.
    Element(SpotId),
    /// What stands on a primitive element.
    Sibling(SpotId),
    /// `extension`
    Extensions,
    /// `modifierExtension`
    ModifierExtensions,
    /// `contained`
    Contained,
    /// `coding` of a concept.
    Codings(SpotId),
    /// `reference` of a reference.
    Target(SpotId),
    /// `tag` or `security` of metadata.
    Labels(SpotId),
    /// Said elsewhere (`resourceType` by the table, `url` by the column) or left out by settings.
    Skipped,
    /// A name that no column can have.
    Unknown,
}

/// The objects that are more than the sum of their members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Members one by one.
    Plain,
    /// The resource itself.
    Resource,
    /// `coding` gives its columns to the concept.
    Concept,
    /// A concept's primary coding, standing under the concept's name.
    ElidedCoding,
    /// `reference` gives a key and a type.
    Reference,
    /// `tag` and `security` become `system|code`.
    Meta,
    /// `div` is left out unless asked for.
    Narrative,
    /// The representative of an array is the official, usual or current one.
    HumanName,
    /// The representative of an array is at home, or current.
    Address,
    /// The representative of an array is the one that a user selected.
    Coding,
    /// The representative of an array is official or usual; all are listed as `system|value`.
    Identifier,
    /// An array gives a column to each system.
    ContactPoint,
    /// `value[x]` gives its columns to the extension; `url` is in the name already.
    Extension,
    /// The same as an item of a list, where a primitive value needs the name `value`.
    ExtensionItem,
    /// What stands on a primitive: an id and extensions.
    OnPrimitive,
}

/// How the scalars of a spot are written. Several hold where releases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts of the element tables")]
pub(super) struct Scalars {
    pub(super) boolean: bool,
    pub(super) integer: bool,
    pub(super) long: bool,
    pub(super) decimal: bool,
    pub(super) moment: bool,
    pub(super) instant: bool,
    pub(super) binary: bool,
    pub(super) text: bool,
    /// Whether the text is a code of a value set that is known.
    pub(super) coded: bool,
}

impl Scalars {
    const UNKNOWN: Self = Self {
        boolean: true,
        integer: false,
        long: false,
        decimal: true,
        moment: false,
        instant: false,
        binary: false,
        text: true,
        coded: false,
    };

    fn add(&mut self, primitive: Primitive) {
        match primitive {
            Primitive::Boolean => self.boolean = true,
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => self.integer = true,
            Primitive::Integer64 => self.long = true,
            Primitive::Decimal => self.decimal = true,
            Primitive::Date | Primitive::DateTime => self.moment = true,
            Primitive::Instant => self.instant = true,
            Primitive::Base64Binary => self.binary = true,
            Primitive::String
            | Primitive::Code
            | Primitive::Id
            | Primitive::Uri
            | Primitive::Url
            | Primitive::Canonical
            | Primitive::Oid
            | Primitive::Uuid
            | Primitive::Markdown
            | Primitive::Time
            | Primitive::Xhtml => self.text = true,
        }
    }

    /// Whether no release has a primitive here.
    pub(super) fn none(self) -> bool {
        self == Self::default()
    }
}

/// An object type that a spot can hold, and where its members go.
#[derive(Debug, Clone, Copy)]
struct Shape {
    carrier: Option<TypeId>,
    /// Whether an array of it has a representative in the row; backbone elements and unknown objects have none.
    primary: bool,
    in_place: Option<PlaceId>,
    item: Option<PlaceId>,
}

impl Shape {
    fn of(carrier: Option<TypeId>) -> Self {
        let primary = carrier.is_some_and(|carrier| !carrier.is_backbone());
        Self { carrier, primary, in_place: None, item: None }
    }
}

/// The systems of a `ContactPoint` (R5 value set contact-point-system), each a column of its best-ranked value.
pub(super) const TELECOM_SYSTEMS: [&str; 7] = ["phone", "fax", "email", "pager", "url", "sms", "other"];

/// One member's position.
#[derive(Debug)]
struct Spot {
    name: Box<str>,
    scalars: Scalars,
    shapes: Vec<Shape>,
    /// Which shape an object with these members has, where the releases have several: what has been seen.
    decided: Vec<(Box<str>, usize)>,
    columns: Columns,
    choice: Option<(ColumnId, &'static str)>,
    telecoms: Option<[ColumnId; TELECOM_SYSTEMS.len()]>,
    resource: bool,
    /// The codes of the element's required binding.
    codes: &'static [&'static str],
    sibling: Option<PlaceId>,
    /// The extension whose position this is, nested by its own URL.
    extension: bool,
}

/// The columns of a spot: the plain one and those derived from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    pub(super) plain: ColumnId,
    pub(super) at: ColumnId,
    pub(super) text: ColumnId,
    pub(super) count: ColumnId,
    pub(super) key: ColumnId,
    pub(super) kind: ColumnId,
    pub(super) codings: ColumnId,
    pub(super) values: ColumnId,
    pub(super) size: ColumnId,
    pub(super) sha256: ColumnId,
}

#[derive(Debug)]
struct Place {
    /// The name of the object's columns so far; empty in a row or an item.
    prefix: Box<str>,
    /// The same for what the carrying type does not own: ids and extensions of an elided coding.
    outer: Box<str>,
    carrier: Option<TypeId>,
    special: Special,
    /// The columns that belong to the object itself, such as `code_codings`.
    own: Columns,
    members: Vec<(Box<str>, Member)>,
    extensions: Vec<(Box<str>, SpotId)>,
    /// Those that stood beside another with the same tail.
    clashes: Vec<(Box<str>, SpotId)>,
}

/// Everything remembered so far.
#[derive(Debug, Default)]
pub(super) struct Places {
    list: Vec<Place>,
    spots: Vec<Spot>,
    resources: BTreeMap<Box<str>, PlaceId>,
    items: BTreeMap<TypeId, PlaceId>,
    scratch: String,
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that this module handed out, and its lists only grow"
)]
impl Places {
    /// How many spots are remembered, to bound the memory that hostile input can take.
    pub(super) fn len(&self) -> usize {
        self.spots.len() + self.list.len()
    }

    /// The place of a resource's members.
    pub(super) fn resource(&mut self, resource_type: &str, names: &mut Names) -> PlaceId {
        if let Some(&place) = self.resources.get(resource_type) {
            return place;
        }
        let place = self.add_place("", "", model::type_named(resource_type), Special::Resource, names);
        self.resources.insert(resource_type.into(), place);
        place
    }

    pub(super) fn special(&self, place: PlaceId) -> Special {
        self.list[place.0 as usize].special
    }

    /// What a member is. `hint` is where the last member was found: resources of one kind have their
    /// members in one order, so that the next one mostly stands next.
    pub(super) fn member(
        &mut self,
        place: PlaceId,
        key: &str,
        hint: &mut usize,
        settings: &Settings,
        names: &mut Names,
    ) -> Member {
        let members = &self.list[place.0 as usize].members;
        if let Some((name, member)) = members.get(*hint)
            && &**name == key
        {
            *hint += 1;
            return *member;
        }
        if let Some(index) = members.iter().position(|(name, _)| &**name == key) {
            *hint = index + 1;
            return members[index].1;
        }
        let member = self.classify(place, key, settings, names);
        let members = &mut self.list[place.0 as usize].members;
        members.push((key.into(), member));
        *hint = members.len();
        member
    }

    /// The spot of an element.
    pub(super) fn element(
        &mut self,
        place: PlaceId,
        key: &str,
        settings: &Settings,
        names: &mut Names,
    ) -> SpotId {
        match self.member(place, key, &mut 0, settings, names) {
            Member::Element(spot)
            | Member::Sibling(spot)
            | Member::Codings(spot)
            | Member::Target(spot)
            | Member::Labels(spot) => spot,
            _ => self.add_member(place, key, names),
        }
    }

    fn classify(&mut self, place: PlaceId, key: &str, settings: &Settings, names: &mut Names) -> Member {
        let home = &self.list[place.0 as usize];
        match (key, home.special) {
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
            return if name::is_plain(primitive) {
                Member::Sibling(self.element(place, primitive, settings, names))
            } else {
                Member::Unknown
            };
        }
        let known = home.carrier.is_some_and(|carrier| carrier.element(key).is_some());
        if !known && (!name::is_plain(key) || name::is_reserved(key)) {
            return Member::Unknown;
        }
        let special = home.special;
        let spot = self.add_member(place, key, names);
        match (key, special) {
            ("coding", Special::Concept) => Member::Codings(spot),
            ("reference", Special::Reference) => Member::Target(spot),
            ("tag" | "security", Special::Meta) => Member::Labels(spot),
            _ => Member::Element(spot),
        }
    }

    /// The spot of an extension by its URL. With `alone` false another extension beside it has the same tail.
    pub(super) fn extension(
        &mut self,
        place: PlaceId,
        url: &str,
        alone: bool,
        settings: &Settings,
        names: &mut Names,
    ) -> SpotId {
        let home = &self.list[place.0 as usize];
        let met = if alone { &home.extensions } else { &home.clashes };
        if let Some((_, spot)) = met.iter().find(|(known, _)| &**known == url) {
            return *spot;
        }
        let tail = name::tail(home.special, home.carrier, url, alone, settings);
        let name = joined(&home.outer, &tail);
        let spot = self.add_spot(&name, Scalars::default(), names);
        self.spots[spot.0 as usize].extension = true;
        let home = &mut self.list[place.0 as usize];
        let met = if alone { &mut home.extensions } else { &mut home.clashes };
        met.push((url.into(), spot));
        spot
    }

    pub(super) fn columns(&self, spot: SpotId) -> Columns {
        self.spots[spot.0 as usize].columns
    }

    pub(super) fn name(&self, spot: SpotId) -> &str {
        &self.spots[spot.0 as usize].name
    }

    pub(super) fn scalars(&self, spot: SpotId) -> Scalars {
        self.spots[spot.0 as usize].scalars
    }

    pub(super) fn choice(&self, spot: SpotId) -> Option<(ColumnId, &'static str)> {
        self.spots[spot.0 as usize].choice
    }

    /// The codes that may stand here, where [`Scalars::coded`] says that they are known.
    pub(super) fn codes(&self, spot: SpotId) -> &'static [&'static str] {
        self.spots[spot.0 as usize].codes
    }

    /// Whether the member is a whole resource.
    pub(super) fn is_resource(&self, spot: SpotId) -> bool {
        self.spots[spot.0 as usize].resource
    }

    /// Whether only objects may stand here.
    pub(super) fn only_objects(&self, spot: SpotId) -> bool {
        let spot = &self.spots[spot.0 as usize];
        spot.scalars.none() && (!spot.shapes.is_empty() || spot.extension)
    }

    /// The type of an object that stands in a spot; `None` for one that no release knows.
    pub(super) fn shape(&mut self, spot: SpotId, object: Node<'_>) -> Option<TypeId> {
        let spot = &mut self.spots[spot.0 as usize];
        match spot.shapes.as_slice() {
            [] => return None,
            [one] => return one.carrier,
            _ => {}
        }
        signature(object, &mut self.scratch);
        let known =
            spot.decided.iter().find(|(members, _)| **members == *self.scratch).map(|(_, index)| *index);
        let index = known.unwrap_or_else(|| {
            let index = spot.shapes.iter().position(|shape| fits(shape.carrier, object)).unwrap_or_default();
            spot.decided.push((self.scratch.as_str().into(), index));
            index
        });
        spot.shapes[index].carrier
    }

    /// Whether an array of this type keeps a representative in the row.
    pub(super) fn has_primary(&mut self, spot: SpotId, carrier: Option<TypeId>) -> bool {
        let index = self.shape_index(spot, carrier);
        self.spots[spot.0 as usize].shapes[index].primary
    }

    /// Where the members of an object go that is flattened in place.
    pub(super) fn in_place(&mut self, spot: SpotId, carrier: Option<TypeId>, names: &mut Names) -> PlaceId {
        let index = self.shape_index(spot, carrier);
        if let Some(place) = self.spots[spot.0 as usize].shapes[index].in_place {
            return place;
        }
        let name = self.spots[spot.0 as usize].name.clone();
        let special =
            if self.spots[spot.0 as usize].extension { Special::Extension } else { special_of(carrier) };
        let place = self.add_place(&name, &name, carrier, special, names);
        self.spots[spot.0 as usize].shapes[index].in_place = Some(place);
        place
    }

    /// Where the members of an item go, named from its own root: one place a type, wherever its items stand.
    pub(super) fn item(&mut self, spot: SpotId, carrier: Option<TypeId>, names: &mut Names) -> PlaceId {
        let index = self.shape_index(spot, carrier);
        let home = &self.spots[spot.0 as usize];
        let extension = home.extension;
        let known = home.shapes[index].item.or_else(|| self.items.get(&carrier?).copied());
        if let Some(place) = known {
            return place;
        }
        let special = if extension { Special::ExtensionItem } else { special_of(carrier) };
        let place = self.add_place("", "", carrier, special, names);
        self.spots[spot.0 as usize].shapes[index].item = Some(place);
        if let Some(carrier) = carrier.filter(|_| !extension) {
            self.items.insert(carrier, place);
        }
        place
    }

    /// Where a concept's primary coding goes: under the concept's own name.
    pub(super) fn elided_coding(&mut self, spot: SpotId, concept: PlaceId, names: &mut Names) -> PlaceId {
        let carrier = model::type_named("Coding");
        let index = self.shape_index(spot, carrier);
        if let Some(place) = self.spots[spot.0 as usize].shapes[index].in_place {
            return place;
        }
        let (prefix, outer) =
            (self.list[concept.0 as usize].prefix.clone(), self.spots[spot.0 as usize].name.clone());
        let place = self.add_place(&prefix, &outer, carrier, Special::ElidedCoding, names);
        self.spots[spot.0 as usize].shapes[index].in_place = Some(place);
        place
    }

    /// Where the id and the extensions of a primitive go.
    pub(super) fn sibling(&mut self, spot: SpotId, names: &mut Names) -> PlaceId {
        if let Some(place) = self.spots[spot.0 as usize].sibling {
            return place;
        }
        let name = self.spots[spot.0 as usize].name.clone();
        let place = self.add_place(&name, &name, None, Special::OnPrimitive, names);
        self.spots[spot.0 as usize].sibling = Some(place);
        place
    }

    /// The derived columns that belong to a place itself, such as `code_codings`.
    pub(super) fn own_columns(&self, place: PlaceId) -> Columns {
        self.list[place.0 as usize].own
    }

    /// The columns of a telecom's systems, such as `telecom_phone`.
    pub(super) fn telecoms(&mut self, spot: SpotId, names: &mut Names) -> [ColumnId; TELECOM_SYSTEMS.len()] {
        let spot = &mut self.spots[spot.0 as usize];
        *spot
            .telecoms
            .get_or_insert_with(|| TELECOM_SYSTEMS.map(|system| names.column(&joined(&spot.name, system))))
    }

    /// The spot of labels written whole, beside their list of `system|code`.
    pub(super) fn labels(&mut self, spot: SpotId, name: &str, names: &mut Names) -> SpotId {
        let place = self.sibling(spot, names);
        let members = &self.list[place.0 as usize].members;
        if let Some((_, Member::Labels(labels))) = members.iter().find(|(known, _)| &**known == name) {
            return *labels;
        }
        let labels = self.add_spot(name, Scalars::default(), names);
        self.list[place.0 as usize].members.push((name.into(), Member::Labels(labels)));
        labels
    }

    fn shape_index(&mut self, spot: SpotId, carrier: Option<TypeId>) -> usize {
        let shapes = &mut self.spots[spot.0 as usize].shapes;
        shapes.iter().position(|shape| shape.carrier == carrier).unwrap_or_else(|| {
            shapes.push(Shape::of(carrier));
            shapes.len() - 1
        })
    }

    fn add_member(&mut self, place: PlaceId, key: &str, names: &mut Names) -> SpotId {
        let home = &self.list[place.0 as usize];
        let element = home.carrier.and_then(|carrier| carrier.element(key));
        let (special, base) = (home.special, element.as_ref().and_then(|element| element.choice));
        let is_value =
            base == Some("value") && matches!(special, Special::Extension | Special::ExtensionItem);
        let own = special != Special::ElidedCoding || (element.is_some() && key != "id");
        let name = if is_value {
            home.prefix.to_string()
        } else {
            joined(if own { &home.prefix } else { &home.outer }, key)
        };
        let choice = base.filter(|_| !is_value).map(|base| joined(&home.prefix, base));
        let spot = self.add_spot(&name, Scalars::default(), names);
        let Some(element) = element else {
            self.spots[spot.0 as usize].scalars = Scalars::UNKNOWN;
            return spot;
        };
        let carrier = self.list[place.0 as usize].carrier.map_or("", TypeId::name);
        let home = &mut self.spots[spot.0 as usize];
        home.codes = check::codes(carrier, key).unwrap_or_default();
        home.scalars.coded = !home.codes.is_empty();
        for used in element.uses {
            match used.datatype {
                Datatype::Primitive(primitive) => home.scalars.add(primitive),
                Datatype::Complex(carrier) => {
                    home.shapes.push(Shape::of(Some(carrier)));
                }
                Datatype::Resource => home.resource = true,
            }
        }
        let chosen =
            element.uses.iter().find(|used| used.choice.is_some()).map_or("", |used| used.datatype.name());
        home.choice = choice.map(|base| (names.column(&joined(&base, "type")), chosen));
        if is_value && special == Special::ExtensionItem && !home.scalars.none() {
            home.name = "value".into();
            home.columns = columns("value", names);
        }
        spot
    }

    fn add_place(
        &mut self,
        prefix: &str,
        outer: &str,
        carrier: Option<TypeId>,
        special: Special,
        names: &mut Names,
    ) -> PlaceId {
        let (own, members, extensions) = (columns(prefix, names), Vec::new(), Vec::new());
        self.list.push(Place {
            prefix: prefix.into(),
            outer: outer.into(),
            carrier,
            special,
            own,
            members,
            extensions,
            clashes: Vec::new(),
        });
        PlaceId(u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX))
    }

    fn add_spot(&mut self, name: &str, scalars: Scalars, names: &mut Names) -> SpotId {
        let columns = columns(name, names);
        self.spots.push(Spot {
            name: name.into(),
            scalars,
            shapes: Vec::new(),
            decided: Vec::new(),
            columns,
            choice: None,
            telecoms: None,
            resource: false,
            codes: &[],
            sibling: None,
            extension: false,
        });
        SpotId(u32::try_from(self.spots.len() - 1).unwrap_or(u32::MAX))
    }
}

/// Whether every member of an object is an element of a type, and has a value of the element's kind: R5's
/// `CodeableReference` has an object under `reference` where `Reference` has text.
fn fits(carrier: Option<TypeId>, object: Node<'_>) -> bool {
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

fn special_of(carrier: Option<TypeId>) -> Special {
    match carrier.map(TypeId::name) {
        Some("CodeableConcept") => Special::Concept,
        Some("Reference") => Special::Reference,
        Some("Meta") => Special::Meta,
        Some("Narrative") => Special::Narrative,
        Some("HumanName") => Special::HumanName,
        Some("Address") => Special::Address,
        Some("Coding") => Special::Coding,
        Some("Identifier") => Special::Identifier,
        Some("ContactPoint") => Special::ContactPoint,
        Some("Extension") => Special::Extension,
        _ => Special::Plain,
    }
}

fn columns(name: &str, names: &mut Names) -> Columns {
    let mut derived = |tail: &str| names.column(&joined(name, tail));
    Columns {
        plain: derived(""),
        at: derived("at"),
        text: derived("text"),
        count: derived("count"),
        key: derived("key"),
        kind: derived("type"),
        codings: derived("codings"),
        values: derived("values"),
        size: names.column(&format!("{name}Size")),
        sha256: names.column(&format!("{name}Sha256")),
    }
}

/// The members of an object and the kinds of their values: what decides between the shapes of releases.
fn signature(object: Node<'_>, out: &mut String) {
    out.clear();
    for (key, value) in object.members() {
        out.push_str(key.raw());
        let kind = if value.kind() == Kind::Array { items_kind(value) } else { Some(value.kind()) };
        out.push(match kind {
            None | Some(Kind::Null) => '?',
            Some(Kind::Object) => '{',
            Some(_) => ' ',
        });
    }
}

/// The kind of the first item that is not `null`.
pub(super) fn items_kind(array: Node<'_>) -> Option<Kind> {
    array.items().map(Node::kind).find(|&kind| kind != Kind::Null)
}

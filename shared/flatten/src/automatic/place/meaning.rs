//! What columns mean: the way from a place back to FHIR path, extension URL and datatype.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decimals::Decimals;
use crate::dictionary::{Meaning, cut};
use crate::model::extensions::without_version;
use crate::model::{Datatype, Element};
use crate::row::ColumnId;

use super::super::name::Standing;
use super::columns::{Columns, Derived};
use super::{Member, Place, PlaceId, Places, Scalars, Special, Spot, SpotId, TELECOM_SYSTEMS};

/// Where a name space of columns begins, and what is known on the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::automatic) struct Root {
    pub(in crate::automatic) place: PlaceId,
    way: Way,
}

/// The way from a resource to a place or a spot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    path: Arc<str>,
    url: Option<Arc<str>>,
    is_unknown: bool,
    is_clash: bool,
}

/// The items of an element: what a list of records in a column, or a child table, consists of.
#[derive(Debug)]
pub(in crate::automatic) struct Items {
    /// The name of the list's column.
    pub(in crate::automatic) name: Box<str>,
    pub(in crate::automatic) column: ColumnId,
    pub(in crate::automatic) root: Root,
}

/// The columns of one name space.
#[derive(Debug, Default)]
pub(in crate::automatic) struct Meanings {
    decimals: Decimals,
    elements: BTreeMap<ColumnId, Meaning>,
    derived: BTreeMap<ColumnId, Meaning>,
    pub(in crate::automatic) items: Vec<Items>,
}

impl Root {
    pub(in crate::automatic) fn resource(place: PlaceId, resource_type: &str) -> Self {
        let path = Arc::from(resource_type);
        Self { place, way: Way { path, url: None, is_unknown: false, is_clash: false } }
    }
}

impl Way {
    fn step(&self, step: &str) -> Self {
        Self { path: cut(&format!("{}.{step}", self.path)).into(), ..self.clone() }
    }

    fn meaning(&self, derived: Option<&'static str>, cell: &str) -> Meaning {
        Meaning {
            url: self.url.clone(),
            derived,
            cell: cell.to_owned(),
            is_unknown: self.is_unknown,
            is_clash: self.is_clash,
            ..Meaning::of(Some(Arc::clone(&self.path)))
        }
    }
}

impl Meanings {
    /// Returns no columns yet, of rows whose decimals are written like that.
    pub(in crate::automatic) fn new(decimals: Decimals) -> Self {
        Self { decimals, ..Self::default() }
    }

    /// What a column means. An element's own column comes before one that is derived from another element.
    pub(in crate::automatic) fn get(&self, column: ColumnId) -> Option<&Meaning> {
        self.elements.get(&column).or_else(|| self.derived.get(&column))
    }

    /// Of two elements in one column, which only extensions can be, the first by path speaks for both.
    fn element(&mut self, column: ColumnId, meaning: Meaning) {
        keep_first(&mut self.elements, column, meaning);
    }

    fn derived(&mut self, column: ColumnId, way: &Way, by: &'static str, cell: &str) {
        keep_first(&mut self.derived, column, way.meaning(Some(by), cell));
    }

    /// The columns that a spot's values may be written to besides the plain one.
    fn derived_of(&mut self, columns: &Columns, scalars: Scalars, way: &Way) {
        let all = [
            (Derived::At, "at", "timestamp"),
            (Derived::Text, "text", "text"),
            (Derived::Count, "count", "integer"),
            (Derived::Key, "key", "text"),
            (Derived::Values, "values", "text[]"),
            (Derived::Keys, "keys", "text[]"),
            (Derived::Size, "size", "long"),
            (Derived::Sha256, "sha256", "text"),
        ];
        for (derived, by, cell) in all {
            if let Some(column) = columns.known(derived)
                && (derived != Derived::At || scalars.has(Scalars::MOMENT))
            {
                self.derived(column, way, by, cell);
            }
        }
    }
}

fn keep_first(meanings: &mut BTreeMap<ColumnId, Meaning>, column: ColumnId, meaning: Meaning) {
    let known = meanings.entry(column).or_insert_with(|| meaning.clone());
    if meaning < *known {
        *known = meaning;
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that the parent handed out, and its lists only grow"
)]
impl Places {
    /// The resource types that were met, each with its place.
    pub(in crate::automatic) fn resource_types(&self) -> impl Iterator<Item = (&str, PlaceId)> {
        self.resources.iter().map(|(name, home)| (&**name, home.place))
    }

    /// Adds all columns of the name space that begins there.
    pub(in crate::automatic) fn describe(&self, root: &Root, meanings: &mut Meanings) {
        let place = &self.list[root.place.0 as usize];
        match place.special {
            Special::Concept | Special::Coding => {
                if let Some(codings) = place.own.known(Derived::Codings) {
                    meanings.derived(codings, &root.way, "codings", "text[]");
                }
            }
            Special::Reference => {
                if let Some(key) = place.own.known(Derived::Key) {
                    meanings.derived(key, &root.way, "key", "text");
                }
                if let Some(identifier) = place.own.known(Derived::Identifier) {
                    meanings.derived(identifier, &root.way, "identifier", "text");
                }
                if let Some(kind) = place.own.known(Derived::Kind) {
                    meanings.element(kind, type_of_target(place, &root.way));
                }
            }
            _ => {}
        }
        let mut described = BTreeSet::new();
        for (key, member) in place.members.met(self.load) {
            let (key, spot) = match member {
                // What stands on a primitive is described with it.
                Member::Sibling(spot) => (key.strip_prefix('_').unwrap_or(key), Some(spot)),
                _ => (key, member.spot()),
            };
            let Some(spot) = spot.filter(|spot| described.insert(*spot)) else { continue };
            let is_label = matches!(member, Member::Labels(_));
            self.describe_member(place, &root.way, key, (spot, is_label), meanings);
        }
        for standing in Standing::ALL {
            let clashes = self.clashes(place, standing);
            for (url, spot) in place.extensions[standing as usize].met(self.load) {
                let is_clash = clashes.contains(&self.spots[spot.0 as usize].columns.plain);
                self.describe_standing((url, spot), standing, is_clash, &root.way, meanings);
            }
        }
    }

    /// Returns the columns in which extensions of several URLs meet. Each URL is looked at once.
    fn clashes(&self, place: &Place, standing: Standing) -> BTreeSet<ColumnId> {
        let (mut first, mut clashes) = (BTreeMap::new(), BTreeSet::new());
        for (url, spot) in place.extensions[standing as usize].met(self.load) {
            let (url, column) = (without_version(url), self.spots[spot.0 as usize].columns.plain);
            if *first.entry(column).or_insert(url) != url {
                clashes.insert(column);
            }
        }
        clashes
    }

    fn describe_standing(
        &self,
        (url, spot): (&str, SpotId),
        standing: Standing,
        is_clash: bool,
        way: &Way,
        meanings: &mut Meanings,
    ) {
        let is_clash = standing.is_clash() || is_clash;
        let quoted = cut(url).replace('\'', "\\'");
        let mut way = way.step(&if standing.is_modifier() {
            format!("modifierExtension.where(url = '{quoted}')")
        } else {
            format!("extension('{quoted}')")
        });
        way.url.get_or_insert_with(|| Arc::from(cut(url)));
        way.is_clash |= is_clash;
        self.describe_extension(spot, &way, meanings);
    }

    fn describe_member(
        &self,
        place: &Place,
        way: &Way,
        key: &str,
        (spot_id, is_label): (SpotId, bool),
        meanings: &mut Meanings,
    ) {
        let spot = &self.spots[spot_id.0 as usize];
        let element = place.carrier.and_then(|carrier| carrier.element(key));
        let base = element.as_ref().and_then(|element| element.choice);
        let in_extension = matches!(place.special, Special::Extension | Special::ExtensionItem);
        let on_primitive = place.special == Special::OnPrimitive;
        let mut here = match (base, &element) {
            (Some("value"), _) if in_extension => way.step("value"),
            (Some(base), Some(element)) => way.step(&format!("{base}.ofType({})", datatype_of(element))),
            _ => way.step(key),
        };
        here.is_unknown |= element.is_none() && !on_primitive;
        // The value of an extension stands in the column that the extension has described.
        if !(base == Some("value") && place.special == Special::Extension) {
            let mut meaning = here.meaning(None, &cell_of(spot, element.as_ref(), meanings.decimals));
            meaning.datatype = element.as_ref().filter(|_| !in_extension).map(datatype_of);
            if is_label {
                "text[]".clone_into(&mut meaning.cell);
            }
            meanings.element(spot.columns.plain, meaning);
        }
        if let (Some(choice), Some(base)) = (spot.choice, base) {
            let way = way.step(base);
            meanings.derived(choice.kind, &way, "type", "text");
            if let Some(at) = choice.at {
                meanings.derived(at, &way, "at", "timestamp");
            }
            if let Some(holds) = choice.holds {
                meanings.derived(holds.column, &way, "holds", "boolean");
            }
        }
        self.describe_spot(spot, &here, meanings);
    }

    fn describe_extension(&self, spot: SpotId, way: &Way, meanings: &mut Meanings) {
        let spot = &self.spots[spot.0 as usize];
        meanings.element(spot.columns.plain, way.meaning(None, "any"));
        self.describe_spot(spot, way, meanings);
    }

    /// What is derived from a spot and what stands in it.
    fn describe_spot(&self, spot: &Spot, way: &Way, meanings: &mut Meanings) {
        meanings.derived_of(&spot.columns, spot.scalars, way);
        for (system, column) in TELECOM_SYSTEMS.into_iter().zip(spot.telecoms.into_iter().flatten()) {
            meanings.derived(column, way, system, "text");
        }
        for shape in spot.shapes.iter().filter(|shape| shape.met >= Some(self.load)) {
            if let Some(place) = shape.in_place {
                self.describe(&Root { place, way: way.clone() }, meanings);
            }
            let shared =
                shape.carrier.filter(|_| !spot.extension).and_then(|carrier| self.items.get(&carrier));
            if let Some(place) = shape.item.or(shared.copied()) {
                meanings.items.push(Items {
                    name: spot.name.clone(),
                    column: spot.columns.plain,
                    root: Root { place, way: way.clone() },
                });
            }
        }
        for place in spot.sibling.into_iter().chain(spot.elided) {
            self.describe(&Root { place, way: way.clone() }, meanings);
        }
        if let Some(whole) = spot.whole {
            let whole = &self.spots[whole.0 as usize];
            meanings.element(whole.columns.plain, way.meaning(None, "record[]"));
            self.describe_spot(whole, way, meanings);
        }
    }
}

/// `Reference.type`, whether it was written or worked out from the reference.
fn type_of_target(place: &Place, way: &Way) -> Meaning {
    let element = place.carrier.and_then(|carrier| carrier.element("type"));
    let mut meaning = way.step("type").meaning(None, "text");
    meaning.datatype = element.as_ref().map(datatype_of);
    meaning
}

fn datatype_of(element: &Element) -> &'static str {
    element.newest().datatype.name()
}

/// What is written as text.
const TEXTS: Scalars = Scalars::MOMENT.and(Scalars::TIME).and(Scalars::TEXT).and(Scalars::BINARY);

/// What stands in the plain column of an element.
fn cell_of(spot: &Spot, element: Option<&Element>, decimals: Decimals) -> String {
    let Some(element) = element else { return "any".to_owned() };
    let is_primitive = |datatype| matches!(datatype, Datatype::Primitive(_));
    if spot.scalars.none() || !element.uses.iter().any(|used| is_primitive(used.datatype)) {
        return "record[]".to_owned();
    }
    let scalars = spot.scalars;
    let decimal = match decimals {
        Decimals::Exact => "decimal",
        Decimals::Double => "double",
    };
    let words = [
        (scalars.has(Scalars::BOOLEAN), "boolean"),
        (scalars.has(Scalars::INTEGER) && !scalars.has(Scalars::DECIMAL), "integer"),
        (scalars.has(Scalars::LONG), "long"),
        (scalars.has(Scalars::DECIMAL), decimal),
        (scalars.has(TEXTS), "text"),
    ];
    let words: Vec<&str> = words.into_iter().filter_map(|(holds, word)| holds.then_some(word)).collect();
    words.join("|") + if element.newest().many { "[]" } else { "" }
}

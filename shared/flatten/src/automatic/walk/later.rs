//! What becomes rows of its own once the row at hand is complete: contained resources, items of child tables.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::model::TypeId;
use crate::reference::{is_id, is_type};

use super::super::address::{exact_address_at, exact_addresses};
use super::super::name;
use super::super::place::{PlaceId, Special, SpotId};
use super::Walk;

/// `MongoDB` refuses what it is to write into a collection whose name and the database's have more than 255 bytes
/// together, and with it all that is sent along. A database's name has up to 63.
const LONGEST_TABLE: usize = 150;

/// Rows to be written once the row at hand is complete.
pub(super) enum Later<'a> {
    Contained(Node<'a>),
    Items(Items<'a>),
}

/// An element that a row is an item of: its table, and how often it stands inside itself.
#[derive(Clone)]
pub(super) struct Level {
    carrier: TypeId,
    table: String,
    depth: i32,
}

/// Objects that become rows of a child table.
pub(super) struct Items<'a> {
    /// With the `null`s among them: they have no rows, but keep their numbers.
    objects: Vec<Node<'a>>,
    spot: SpotId,
    carrier: Option<TypeId>,
    table: String,
    parent: String,
    /// What the parent is made of, and its address.
    within: Node<'a>,
    address: String,
    depth: i32,
    above: Vec<Level>,
}

impl<'a> Walk<'_, 'a> {
    pub(super) fn contained_row(&mut self, node: Node<'a>) -> Result<(), Defect> {
        let Some(kind) = node.get_text("resourceType").filter(|kind| is_type(kind)) else {
            return Err(self.defect(DefectCode::NotAResource, node));
        };
        let id = contained_id(node).filter(|id| is_id(id)).map(|id| format!("{}#{id}", self.key));
        // An id that another contained resource has already names that one.
        let key = id.filter(|key| self.contained_keys.insert(key.clone()));
        let key = key.unwrap_or_else(|| self.address_key(node));
        let kind = self.settings.resource_types.table_of(&kind);
        let name = format!("{kind}_contained");
        let (table, container) = (self.names.table(&name), self.names.column("_container"));
        let place = self.places.root(kind, self.names).place;
        self.table = Cow::Owned(name);
        self.row_key = Cow::Owned(key.clone());
        (self.row_node, self.row_address) = (node, None);
        self.above.clear();
        self.in_contained = true;
        self.row(table, &key, |walk| {
            walk.rows.text(container, walk.key);
            walk.resource(place, node)
        })
    }

    /// The key of the row of what has no id that could be in one.
    fn address_key(&mut self, node: Node<'a>) -> String {
        let address = self.address_of_contained(node);
        format!("{}#{address}", self.key)
    }

    fn address_of_contained(&mut self, node: Node<'a>) -> String {
        let start = node.span().start;
        let known = match self.contained_index() {
            ContainedIndex::Few => None,
            ContainedIndex::Many { addresses, .. } => addresses.get(&start).cloned(),
        };
        known.unwrap_or_else(|| exact_address_at(self.resource, start))
    }

    fn address_of_row(&mut self) -> String {
        if let Some(address) = &self.row_address {
            return address.clone();
        }
        let address = self.address_of_contained(self.row_node);
        self.row_address.insert(address).clone()
    }

    /// The type and the key of the contained resource with this id: of several, the one whose row has the id.
    pub(in crate::automatic) fn contained_target(&mut self, id: &str) -> Option<(Cow<'a, str>, String)> {
        let target = match self.contained_index() {
            ContainedIndex::Few => {
                let is_named = |resource: &Node<'a>| contained_id(*resource).is_some_and(|name| name == id);
                all_contained(self.resource).into_iter().find(is_named)
            }
            ContainedIndex::Many { by_id, .. } => by_id.get(id).copied(),
        }?;
        let kind = target.get_text("resourceType").filter(|kind| is_type(kind))?;
        let key = if is_id(id) { format!("{}#{id}", self.key) } else { self.address_key(target) };
        Some((kind, key))
    }

    fn contained_index(&mut self) -> &ContainedIndex<'a> {
        let (resource, index) = (self.resource, &mut self.contained_index);
        index.get_or_insert_with(|| ContainedIndex::of(resource))
    }

    /// Sets objects aside that will be rows of a child table. Returns `false` if there is no such table: its name would
    /// be too long, or of the sender's making.
    pub(in crate::automatic) fn later_rows(
        &mut self,
        spot: SpotId,
        carrier: Option<TypeId>,
        objects: impl Iterator<Item = Node<'a>>,
    ) -> bool {
        if self.suppress_child_rows {
            // What the item rows of an array will say is not said by its representative as well.
            return true;
        }
        if !self.places.is_owned(spot) {
            return false;
        }
        let mut above = self.above.clone();
        let known = carrier.and_then(|carrier| above.iter_mut().find(|level| level.carrier == carrier));
        let (table, depth) = if let Some(level) = known {
            // A recursive element stays in the table of its first level, one level deeper.
            level.depth += 1;
            (level.table.clone(), level.depth)
        } else {
            let table = name::joined(&self.table, self.places.name(spot));
            if table.len() > LONGEST_TABLE {
                return false;
            }
            if let Some(carrier) = carrier.filter(|carrier| carrier.is_backbone()) {
                above.push(Level { carrier, table: table.clone(), depth: 0 });
            }
            (table, 0)
        };
        let (objects, parent) = (objects.collect(), self.row_key.clone().into_owned());
        let (within, address) = (self.row_node, self.address_of_row());
        let items = Items { objects, spot, carrier, table, parent, within, address, depth, above };
        self.later.push(Later::Items(items));
        true
    }

    pub(super) fn item_rows(&mut self, items: &Items<'a>) -> Result<(), Defect> {
        let [parent, number, depth] = ["_parent", "_n", "_depth"].map(|name| self.names.column(name));
        // From the parent on: from the resource on, each of its items would be looked at for each of them.
        let mut addresses = Vec::with_capacity(items.objects.len());
        exact_addresses(items.within, &items.objects, |address, _| {
            addresses.push([&items.address, address].concat());
        });
        let table = self.names.table(&items.table);
        self.table = Cow::Owned(items.table.clone());
        for ((index, &item), address) in items.objects.iter().enumerate().zip(addresses) {
            if item.is_null() {
                continue;
            }
            let key = format!("{}#{address}", self.key);
            (self.row_node, self.row_address) = (item, Some(address));
            self.row_key = Cow::Owned(key.clone());
            self.above.clone_from(&items.above);
            self.row(table, &key, |walk| {
                walk.rows.text(parent, &items.parent);
                walk.rows.integer(number, i32::try_from(index).unwrap_or(i32::MAX));
                walk.rows.integer(depth, items.depth);
                let place = walk.item_place(items.spot, items.carrier, item);
                walk.needs_duplicate_check = walk.places.special(place) == Special::ExtensionItem;
                walk.object(place, item)
            })?;
        }
        Ok(())
    }

    fn item_place(&mut self, spot: SpotId, carrier: Option<TypeId>, item: Node<'a>) -> PlaceId {
        let carrier = if carrier.is_some() { carrier } else { self.places.shape(spot, Node::once(item)) };
        self.places.item(spot, carrier, self.names)
    }
}

/// Contained resources by what is looked for.
pub(super) enum ContainedIndex<'a> {
    /// They are looked through each time.
    Few,
    /// Work does not grow by the square of their number.
    Many {
        by_id: BTreeMap<Cow<'a, str>, Node<'a>>,
        /// By where they begin.
        addresses: BTreeMap<usize, String>,
    },
}

/// As many contained resources are looked through.
const FEW: usize = 16;

impl<'a> ContainedIndex<'a> {
    fn of(resource: Node<'a>) -> Self {
        let mut all = all_contained(resource);
        if all.len() <= FEW {
            return Self::Few;
        }
        let mut by_id = BTreeMap::new();
        for &contained in &all {
            if let Some(id) = contained_id(contained) {
                by_id.entry(id).or_insert(contained);
            }
        }
        all.sort_by_key(|contained| contained.span().start);
        let mut addresses = BTreeMap::new();
        exact_addresses(resource, &all, |address, contained| {
            addresses.insert(contained.span().start, address.to_owned());
        });
        Self::Many { by_id, addresses }
    }
}

/// The id of a contained resource. Some senders write it as references do, with a `#` in front.
fn contained_id(contained: Node<'_>) -> Option<Cow<'_, str>> {
    let id = contained.get_text("id")?;
    match id {
        Cow::Borrowed(id) => Some(Cow::Borrowed(id.strip_prefix('#').unwrap_or(id))),
        Cow::Owned(id) => Some(Cow::Owned(id.strip_prefix('#').unwrap_or(&id).to_owned())),
    }
}

/// Contained resources in the order of their rows: those inside contained resources come last.
fn all_contained(resource: Node<'_>) -> Vec<Node<'_>> {
    let mut all = Vec::new();
    let mut level = vec![resource];
    while !level.is_empty() {
        let inside = level.iter().filter_map(|resource| resource.get("contained"));
        level = inside.flat_map(Node::one_or_more).collect();
        all.extend_from_slice(&level);
    }
    all
}

/// Whether an array holds nothing but objects: only they can be rows. A `null` is no value.
pub(super) fn only_objects(array: Node<'_>) -> bool {
    array.as_items().all(|item| matches!(item.kind(), Kind::Object | Kind::Null))
}

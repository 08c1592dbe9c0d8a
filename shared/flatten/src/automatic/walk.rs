//! One resource: its row, then the rows that had to wait until that one was complete.

mod later;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::check::Structural;
use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::links::Links;
use crate::model::{TypeId, UNKNOWN_TYPE};
use crate::resource::Resource;
use crate::row::{ColumnId, ITEM, Names, Rows, TableId};

use super::address::{address_at, exact_addresses};
use super::place::{PlaceId, Places, SpotId};
use super::{Arrays, ROW_BYTES, Settings};

use later::{ContainedIndex, Later, Level, only_objects};

/// What may have columns of its own. In a row whose columns would be ambiguous less and less does, and the rest
/// stands in `_unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamingPolicy {
    /// Everything that can have a name.
    Usual,
    /// What some release knows, and extensions as FHIR has them: with one value, or with extensions inside.
    Known,
    /// Elements.
    Elements,
}

impl NamingPolicy {
    pub(super) const ALL: [Self; 3] = [Self::Usual, Self::Known, Self::Elements];
}

/// The state of one resource on its way into rows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about the object at hand, not states of one machine"
)]
pub(super) struct Walk<'w, 'a> {
    pub(super) policy: NamingPolicy,
    pub(super) settings: &'w Settings,
    pub(super) places: &'w mut Places,
    pub(super) names: &'w mut Names,
    pub(super) links: &'w Links,
    pub(super) rows: &'w mut Rows,
    /// The outermost resource, and its key: what addresses and `#` references start from.
    pub(super) resource: Node<'a>,
    pub(super) key: &'w str,
    /// Whether a modifier extension stands in the row or item at hand.
    pub(super) modifier: bool,
    /// Whether something stands in the row that the element tables do not name: an extension, an unknown element.
    pub(super) needs_duplicate_check: bool,
    /// Whether the row at hand is a contained resource's.
    pub(super) in_contained: bool,
    /// Whether the reference at hand says the type of its target itself.
    pub(super) typed: bool,
    /// The columns of choices that the objects at hand have said already.
    pub(super) chosen: Vec<ColumnId>,
    /// The object whose members are at hand.
    pub(super) around: Option<Node<'a>>,
    /// The mandatory elements that the row at hand has.
    pub(super) mandatory_seen: u8,
    /// What structural checks have found.
    pub(super) findings: Structural,
    /// How many lists of the row are open around the object at hand.
    embedded: u32,
    /// Whether the object at hand stands for an array whose items become rows of their own.
    pub(super) suppress_child_rows: bool,
    table: Cow<'w, str>,
    row_key: Cow<'w, str>,
    /// What the row at hand is made of, and its address in the resource, once somebody has asked for it.
    row_node: Node<'a>,
    row_address: Option<String>,
    /// The elements that the row at hand is an item of, and the tables of their items.
    above: Vec<Level>,
    contained_keys: BTreeSet<String>,
    /// Where contained resources are found; nothing before the first one is looked for.
    contained_index: Option<ContainedIndex<'a>>,
    /// What stands in `_unknown` of the row at hand.
    unknown: Vec<Node<'a>>,
    /// Bytes before the row at hand.
    row_start: usize,
    later: Vec<Later<'a>>,
}

impl<'w, 'a> Walk<'w, 'a> {
    pub(super) fn new(
        settings: &'w Settings,
        places: &'w mut Places,
        names: &'w mut Names,
        links: &'w Links,
        rows: &'w mut Rows,
        resource: &'w Resource<'a>,
        key: &'w str,
    ) -> Self {
        let table = settings.resource_types.table_of(resource.resource_type());
        let (table, row_key) = (Cow::Borrowed(table), Cow::Borrowed(key));
        let (unknown, chosen, later) = (Vec::new(), Vec::new(), Vec::new());
        let resource = resource.node();
        let modifier = false;
        Self {
            policy: NamingPolicy::Usual,
            settings,
            places,
            names,
            links,
            rows,
            resource,
            key,
            modifier,
            needs_duplicate_check: false,
            typed: false,
            in_contained: false,
            chosen,
            around: None,
            mandatory_seen: 0,
            findings: Structural::default(),
            embedded: 0,
            suppress_child_rows: false,
            above: Vec::new(),
            contained_keys: BTreeSet::new(),
            contained_index: None,
            table,
            row_key,
            row_node: resource,
            row_address: Some(String::new()),
            unknown,
            row_start: 0,
            later,
        }
    }

    pub(super) fn run(mut self, policy: NamingPolicy) -> Result<Structural, Defect> {
        self.policy = policy;
        let root = self.places.root(&self.table, self.names);
        self.row(root.table, self.key, |walk| walk.resource(root.place, walk.resource))?;
        self.findings.missing = u64::from((root.required & !self.mandatory_seen).count_ones());
        while !self.later.is_empty() {
            for later in std::mem::take(&mut self.later) {
                match later {
                    Later::Contained(node) => self.contained_row(node)?,
                    Later::Items(items) => self.item_rows(&items)?,
                }
            }
        }
        Ok(self.findings)
    }

    /// Flattens a resource into its row, which says the type where the table does not.
    fn resource(&mut self, place: PlaceId, node: Node<'a>) -> Result<(), Defect> {
        if self.table.split('_').next() == Some(UNKNOWN_TYPE)
            && let Some(written) = node.get("resourceType")
        {
            let column = self.names.column("resourceType");
            self.rows.text_of(column, written);
        }
        self.object(place, node)
    }

    /// Sets contained resources aside until the row is complete.
    pub(super) fn contained(&mut self, value: Node<'a>) -> Result<(), Defect> {
        match value.kind() {
            Kind::Array | Kind::Object => {
                self.later.extend(value.one_or_more().map(Later::Contained));
                Ok(())
            }
            Kind::Null => Ok(()),
            _ => Err(self.defect(DefectCode::ObjectExpected, value)),
        }
    }

    /// Puts the items of an array into a list of the row, or sets them aside for a child table.
    pub(super) fn items(
        &mut self,
        spot: SpotId,
        carrier: Option<TypeId>,
        array: Node<'a>,
    ) -> Result<(), Defect> {
        if self.in_tables() && only_objects(array) && self.later_rows(spot, carrier, array.as_items()) {
            return Ok(());
        }
        let list = self.rows.open_list(self.places.plain(spot));
        for item in array.as_items() {
            self.item(spot, carrier, item)?;
        }
        self.rows.close(list);
        Ok(())
    }

    /// Whether items become rows of child tables here: what stands in a list has its lists inside.
    pub(super) const fn in_tables(&self) -> bool {
        matches!(self.settings.arrays, Arrays::Tables) && self.embedded == 0
    }

    /// A sub-document in a list: what it chooses and modifies is its own.
    pub(super) fn record(&mut self, place: PlaceId, object: Node<'a>) -> Result<(), Defect> {
        let record = self.rows.open_record(ITEM);
        let (modifier, chosen) = (std::mem::take(&mut self.modifier), std::mem::take(&mut self.chosen));
        self.embedded += 1;
        self.object(place, object)?;
        self.embedded -= 1;
        self.chosen = chosen;
        self.close_modifier(modifier);
        self.rows.close(record);
        Ok(())
    }

    /// Puts a value that cannot have a column of its own into `_unknown` of the row.
    pub(super) fn unknown(&mut self, value: Node<'a>) {
        self.unknown.push(value);
    }

    /// What cannot have columns of its own, by its address, as it came.
    fn write_unknown(&mut self) -> Result<(), Defect> {
        // An item that stands for its array is met twice.
        self.unknown.sort_by_key(|value| value.span().start);
        self.unknown.dedup_by_key(|value| value.span().start);
        let mut text = String::new();
        exact_addresses(self.resource, &self.unknown, |address, value| {
            if text.len() > ROW_BYTES {
                return;
            }
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(&serde_json::Value::from(address).to_string());
            text.push(':');
            text.push_str(value.quoted());
        });
        text.push('}');
        let column = self.names.column("_unknown");
        self.rows.text(column, &text);
        self.unknown.clear();
        self.check_size()
    }

    /// Ends a resource that brings more names than one may.
    pub(super) fn check_names(&self, value: Node<'_>) -> Result<(), Defect> {
        if self.places.has_too_many_names() {
            return Err(self.defect(DefectCode::TooManyNames, value));
        }
        Ok(())
    }

    /// Ends a row that becomes too large before all of it is written.
    pub(super) fn check_size(&self) -> Result<(), Defect> {
        if self.rows.bytes() - self.row_start > ROW_BYTES {
            return Err(Defect::whole(DefectCode::TooLarge));
        }
        Ok(())
    }

    /// A defect at a value.
    pub(super) fn defect(&self, code: DefectCode, value: Node<'_>) -> Defect {
        let offset = value.span().start;
        Defect::at(code, address_at(self.resource, offset), offset)
    }

    fn item(&mut self, spot: SpotId, carrier: Option<TypeId>, item: Node<'a>) -> Result<(), Defect> {
        match item.kind() {
            Kind::Object => {
                let carrier =
                    if carrier.is_some() { carrier } else { self.places.shape(spot, Node::once(item)) };
                let place = self.places.item(spot, carrier, self.names);
                self.record(place, item)
            }
            Kind::Null => {
                self.rows.null(ITEM);
                Ok(())
            }
            Kind::Array => self.nested_array(spot, item),
            _ if self.places.field_flags(spot).only_objects() => {
                Err(self.defect(DefectCode::ObjectExpected, item))
            }
            _ => self.list_item(spot, item),
        }
    }

    fn nested_array(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        let list = self.rows.open_list(ITEM);
        for item in array.items() {
            self.item(spot, None, item)?;
        }
        self.rows.close(list);
        Ok(())
    }

    fn row(
        &mut self,
        table: TableId,
        key: &str,
        fill: impl FnOnce(&mut Self) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        self.row_start = self.rows.bytes();
        let row = self.rows.begin_row(table, key);
        (self.modifier, self.needs_duplicate_check) = (false, false);
        self.chosen.clear();
        fill(self)?;
        self.close_modifier(false);
        if !self.unknown.is_empty() {
            self.write_unknown()?;
        }
        self.rows.end_row(row);
        // No two elements of the tables share a column. A stricter policy may have left out what asked for the check.
        let is_checked = self.needs_duplicate_check || self.policy != NamingPolicy::Usual;
        if (is_checked || cfg!(debug_assertions)) && self.rows.has_repeated_column() {
            debug_assert!(is_checked, "two elements of the tables share a column");
            // Names are told apart as far as they can be; a row that says one thing twice would say it wrongly.
            return Err(Defect::whole(DefectCode::AmbiguousColumn));
        }
        if self.rows.exceeds(ROW_BYTES, self.names) {
            return Err(Defect::whole(DefectCode::TooLarge));
        }
        Ok(())
    }

    /// Says in the row or item at hand that a modifier extension stands in it.
    fn close_modifier(&mut self, outer: bool) {
        if self.modifier {
            let column = self.names.column("_modifier");
            self.rows.boolean(column, true);
        }
        self.modifier = outer;
    }
}

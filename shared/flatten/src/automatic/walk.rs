//! One resource: its row, then the rows that had to wait until that one was complete.

use crate::defect::{Defect, DefectCode};
use crate::json::{Kind, Node};
use crate::links::Links;
use crate::model::TypeId;
use crate::reference::{is_id, is_type};
use crate::resource::Resource;
use crate::row::{ColumnId, Names, Rows};

use super::address::{address_at, exact_address_at};
use super::name;
use super::place::{PlaceId, Places, SpotId};
use super::{Arrays, ROW_BYTES, Settings};

/// The state of one resource on its way into rows.
pub(super) struct Walk<'w, 'a> {
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
    /// Whether the row at hand is a contained resource's.
    pub(super) in_contained: bool,
    /// Whether the reference at hand says the type of its target itself.
    pub(super) typed: bool,
    /// The choices of the objects at hand that have said what they are.
    pub(super) chosen: Vec<ColumnId>,
    table: String,
    row_key: String,
    row_depth: i32,
    unknown: String,
    later: Vec<Later<'a>>,
}

/// Rows to be written once the row at hand is complete.
enum Later<'a> {
    Contained {
        index: usize,
        node: Node<'a>,
    },
    Items {
        array: Node<'a>,
        spot: SpotId,
        carrier: Option<TypeId>,
        table: String,
        parent: String,
        depth: i32,
    },
}

impl<'w, 'a> Walk<'w, 'a> {
    pub(super) fn new(
        settings: &'w Settings,
        places: &'w mut Places,
        names: &'w mut Names,
        links: &'w Links,
        rows: &'w mut Rows,
        resource: &Resource<'a>,
        key: &'w str,
    ) -> Self {
        let (table, row_key) = (resource.resource_type().to_owned(), key.to_owned());
        let (unknown, chosen, later) = (String::new(), Vec::new(), Vec::new());
        let resource = resource.node();
        let modifier = false;
        let row_depth = 0;
        Self {
            settings,
            places,
            names,
            links,
            rows,
            resource,
            key,
            modifier,
            typed: false,
            in_contained: false,
            chosen,
            table,
            row_key,
            row_depth,
            unknown,
            later,
        }
    }

    pub(super) fn run(mut self) -> Result<(), Defect> {
        let place = self.places.resource(&self.table, self.names);
        let (table, key) = (self.table.clone(), self.key);
        self.row(&table, key, |walk| walk.object(place, walk.resource))?;
        while !self.later.is_empty() {
            for later in std::mem::take(&mut self.later) {
                match later {
                    Later::Contained { index, node } => self.contained_row(index, node)?,
                    Later::Items { array, spot, carrier, table, parent, depth } => {
                        self.item_rows(array, spot, carrier, &table, &parent, depth)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Sets contained resources aside until the row is complete.
    pub(super) fn contained(&mut self, value: Node<'a>) -> Result<(), Defect> {
        match value.kind() {
            Kind::Array => {
                for (index, node) in value.items().enumerate() {
                    self.later.push(Later::Contained { index, node });
                }
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
        let column = self.places.columns(spot).plain;
        if self.settings.arrays == Arrays::Tables {
            self.defer(spot, carrier, array);
            return Ok(());
        }
        let list = self.rows.open_list(column);
        for item in array.items() {
            self.item(spot, carrier, item)?;
        }
        self.rows.close(list);
        Ok(())
    }

    /// The member `_unknown` of the row: what cannot have a column of its own, by its address, as it came.
    pub(super) fn unknown(&mut self, value: Node<'a>) {
        let address = exact_address_at(self.resource, value.span().start);
        self.unknown.push(if self.unknown.is_empty() { '{' } else { ',' });
        self.unknown.push_str(&serde_json::Value::from(address).to_string());
        self.unknown.push(':');
        self.unknown.push_str(value.quoted());
    }

    /// A defect at a value.
    pub(super) fn defect(&self, code: DefectCode, value: Node<'_>) -> Defect {
        let offset = value.span().start;
        Defect::at(code, address_at(self.resource, offset), offset)
    }

    fn item(&mut self, spot: SpotId, carrier: Option<TypeId>, item: Node<'a>) -> Result<(), Defect> {
        match item.kind() {
            Kind::Object => {
                let carrier = if carrier.is_some() { carrier } else { self.places.shape(spot, item) };
                let place = self.places.item(spot, carrier, self.names);
                let record = self.rows.open_record(crate::row::ITEM);
                let outer = std::mem::replace(&mut self.modifier, false);
                self.object(place, item)?;
                self.close_modifier(outer);
                self.rows.close(record);
                Ok(())
            }
            Kind::Null => {
                self.rows.null(crate::row::ITEM);
                Ok(())
            }
            Kind::Array => self.nested_array(spot, item),
            _ if self.places.only_objects(spot) => Err(self.defect(DefectCode::ObjectExpected, item)),
            _ => self.list_item(spot, item),
        }
    }

    fn nested_array(&mut self, spot: SpotId, array: Node<'a>) -> Result<(), Defect> {
        let list = self.rows.open_list(crate::row::ITEM);
        for item in array.items() {
            self.item(spot, None, item)?;
        }
        self.rows.close(list);
        Ok(())
    }

    fn row(
        &mut self,
        table: &str,
        key: &str,
        fill: impl FnOnce(&mut Self) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        let before = self.rows.bytes();
        let table = self.names.table(table);
        let row = self.rows.begin_row(table, key);
        self.modifier = false;
        fill(self)?;
        self.close_modifier(false);
        if !self.unknown.is_empty() {
            self.unknown.push('}');
            let column = self.names.column("_unknown");
            self.rows.text(column, &self.unknown);
            self.unknown.clear();
        }
        self.rows.end_row(row);
        if self.rows.bytes() - before > ROW_BYTES { Err(Defect::whole(DefectCode::TooLarge)) } else { Ok(()) }
    }

    /// Says in the row or item at hand that a modifier extension stands in it.
    fn close_modifier(&mut self, outer: bool) {
        if self.modifier {
            let column = self.names.column("_modifier");
            self.rows.boolean(column, true);
        }
        self.modifier = outer;
    }

    fn contained_row(&mut self, index: usize, node: Node<'a>) -> Result<(), Defect> {
        let Some(kind) = node.get_text("resourceType").filter(|kind| is_type(kind)) else {
            return Err(self.defect(DefectCode::NotAResource, node));
        };
        let key = match node.get_text("id").filter(|id| is_id(id)) {
            Some(id) => format!("{}#{id}", self.key),
            None => format!("{}#/contained/{index}", self.key),
        };
        let table = format!("{kind}_contained");
        let container = self.names.column("_container");
        let place = self.places.resource(&kind, self.names);
        self.table.clone_from(&table);
        self.row_key.clone_from(&key);
        self.row_depth = 0;
        self.in_contained = true;
        self.row(&table, &key, |walk| {
            walk.rows.text(container, walk.key);
            walk.object(place, node)
        })
    }

    fn defer(&mut self, spot: SpotId, carrier: Option<TypeId>, array: Node<'a>) {
        // A recursive element stays in the table of its first level, one level deeper.
        let recursive = carrier.is_some_and(|carrier| {
            carrier.is_backbone() && self.table.ends_with(&format!("_{}", self.places.name(spot)))
        });
        let table =
            if recursive { self.table.clone() } else { name::joined(&self.table, self.places.name(spot)) };
        let depth = if recursive { self.row_depth + 1 } else { 0 };
        self.later.push(Later::Items { array, spot, carrier, table, parent: self.row_key.clone(), depth });
    }

    fn item_rows(
        &mut self,
        array: Node<'a>,
        spot: SpotId,
        carrier: Option<TypeId>,
        table: &str,
        parent: &str,
        depth: i32,
    ) -> Result<(), Defect> {
        let [parent_column, number_column, depth_column] =
            ["_parent", "_n", "_depth"].map(|name| self.names.column(name));
        for (index, item) in array.items().enumerate() {
            let key = format!("{}#{}", self.key, exact_address_at(self.resource, item.span().start));
            table.clone_into(&mut self.table);
            self.row_key.clone_from(&key);
            self.row_depth = depth;
            self.row(table, &key, |walk| {
                walk.rows.text(parent_column, parent);
                walk.rows.integer(number_column, i32::try_from(index).unwrap_or(i32::MAX));
                walk.rows.integer(depth_column, depth);
                if item.kind() == Kind::Object {
                    let place = walk.item_place(spot, carrier, item);
                    walk.object(place, item)
                } else {
                    walk.list_item(spot, item)
                }
            })?;
        }
        Ok(())
    }

    fn item_place(&mut self, spot: SpotId, carrier: Option<TypeId>, item: Node<'a>) -> PlaceId {
        let carrier = if carrier.is_some() { carrier } else { self.places.shape(spot, item) };
        self.places.item(spot, carrier, self.names)
    }
}

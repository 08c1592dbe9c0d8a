//! Child rows: contained resources and the items of child tables, which are written once the current row is complete.

use std::borrow::Cow;

use crate::json::{JsonKind, Node};
use crate::model::TypeId;

use super::contained::ContainedResources;
use super::naming::joined;
use super::paths::{FieldId, Paths};

/// `MongoDB` refuses to write into a collection whose name and the database's have more than 255 bytes together, and
/// with it everything that is sent along. A database's name has up to 63.
const MAX_TABLE_BYTES: usize = 150;

/// Rows to be written once the current row is complete.
#[derive(Debug)]
pub(super) enum PendingRows<'a> {
    Contained(Node<'a>),
    Items(PendingItems<'a>),
}

/// Objects that become rows of a child table.
#[derive(Debug)]
pub(super) struct PendingItems<'a> {
    /// With the `null`s among them: they have no rows, but keep their numbers.
    pub(super) objects: Vec<Node<'a>>,
    pub(super) field: FieldId,
    pub(super) type_id: Option<TypeId>,
    pub(super) table: String,
    /// The key of the parent row.
    pub(super) parent: String,
    /// The value that the parent row is made of, and its pointer.
    pub(super) parent_node: Node<'a>,
    pub(super) parent_pointer: String,
    pub(super) depth: i32,
    pub(super) ancestors: Vec<Ancestor>,
}

/// An element that a row is an item of: its table, and how often it stands inside itself.
#[derive(Debug, Clone)]
pub(super) struct Ancestor {
    type_id: TypeId,
    table: String,
    depth: i32,
}

/// The current row as a parent, and the rows that wait for its end.
#[derive(Debug)]
pub(super) struct ChildRows<'a> {
    /// Whether the object represents an array whose items become rows of their own, so that its own arrays do not.
    pub(super) is_suppressed: bool,
    pub(super) pending: Vec<PendingRows<'a>>,
    table: Cow<'a, str>,
    key: Cow<'a, str>,
    /// The value that the row is made of.
    node: Node<'a>,
    /// The pointer of `node`, once it has been asked for.
    pointer: Option<String>,
    /// The elements that the row is an item of.
    ancestors: Vec<Ancestor>,
}

impl<'a> ChildRows<'a> {
    /// Begins with the row of the outermost resource.
    pub(super) fn new(table: &'a str, key: &'a str, resource: Node<'a>) -> Self {
        Self {
            is_suppressed: false,
            pending: Vec::new(),
            table: Cow::Borrowed(table),
            key: Cow::Borrowed(key),
            node: resource,
            pointer: Some(String::new()),
            ancestors: Vec::new(),
        }
    }

    /// Returns the table of the current row.
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Goes on with the row of a contained resource.
    pub(super) fn begin_contained(&mut self, table: String, key: String, node: Node<'a>) {
        (self.table, self.key) = (Cow::Owned(table), Cow::Owned(key));
        (self.node, self.pointer) = (node, None);
        self.ancestors.clear();
    }

    /// Goes on with the row of an item.
    pub(super) fn begin_item(&mut self, items: &PendingItems<'a>, key: String, item: (Node<'a>, String)) {
        if self.table != items.table {
            self.table = Cow::Owned(items.table.clone());
        }
        self.key = Cow::Owned(key);
        (self.node, self.pointer) = (item.0, Some(item.1));
        self.ancestors.clone_from(&items.ancestors);
    }

    /// Adds objects that will be rows of a child table. Returns `false` if there is no such table, because its name
    /// would be too long or a sender's.
    pub(super) fn add_items(
        &mut self,
        (field, type_id): (FieldId, Option<TypeId>),
        objects: impl Iterator<Item = Node<'a>>,
        paths: &Paths<'_>,
        contained: &mut ContainedResources<'a>,
    ) -> bool {
        if self.is_suppressed {
            // The item rows of an array say what its representative would say.
            return true;
        }
        if !paths.may_name_table(field) {
            return false;
        }
        let mut ancestors = self.ancestors.clone();
        let known =
            type_id.and_then(|type_id| ancestors.iter_mut().find(|ancestor| ancestor.type_id == type_id));
        let (table, depth) = if let Some(ancestor) = known {
            // A recursive element stays in the table of its first level, one level deeper.
            ancestor.depth += 1;
            (ancestor.table.clone(), ancestor.depth)
        } else {
            let table = joined(&self.table, paths.name(field));
            if table.len() > MAX_TABLE_BYTES {
                return false;
            }
            if let Some(type_id) = type_id.filter(|type_id| type_id.is_backbone()) {
                ancestors.push(Ancestor { type_id, table: table.clone(), depth: 0 });
            }
            (table, 0)
        };
        let (objects, parent) = (objects.collect(), self.key.clone().into_owned());
        let (parent_node, parent_pointer) = (self.node, self.pointer(contained));
        self.pending.push(PendingRows::Items(PendingItems {
            objects,
            field,
            type_id,
            table,
            parent,
            parent_node,
            parent_pointer,
            depth,
            ancestors,
        }));
        true
    }

    fn pointer(&mut self, contained: &mut ContainedResources<'a>) -> String {
        if let Some(pointer) = &self.pointer {
            return pointer.clone();
        }
        let pointer = contained.pointer_of(self.node);
        self.pointer.insert(pointer).clone()
    }
}

/// Returns whether an array holds only objects, which alone can be rows. A `null` is not a value.
pub(super) fn only_objects(array: Node<'_>) -> bool {
    array.as_items().all(|item| matches!(item.kind(), JsonKind::Object | JsonKind::Null))
}

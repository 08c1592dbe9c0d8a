//! One resource: its row, then the rows of its items and contained resources.

use crate::check::StructuralCounts;
use crate::defect::{Defect, DefectCode};
use crate::json::Node;
use crate::links::Links;
use crate::model::UNKNOWN_TYPE;
use crate::reference::is_type;
use crate::resource::Resource;
use crate::row::{Names, Rows, TableId};

use super::child_rows::{ChildRows, PendingItems, PendingRows};
use super::contained::ContainedResources;
use super::naming::NamingPolicy;
use super::object_kind::ObjectKind;
use super::objects::{MAX_ROW_BYTES, ObjectWriter};
use super::paths::{ObjectPathId, PathCache, Paths};
use super::pointer::exact_pointers;
use super::references::ReferenceTargets;
use super::row_state::RowState;
use super::scalar::CellWriter;
use super::settings::Settings;

/// A resource to be flattened, and what its rows depend on.
#[derive(Clone, Copy)]
pub(super) struct ResourceInput<'w, 'a> {
    pub(super) resource: &'w Resource<'a>,
    pub(super) key: &'w str,
    pub(super) links: &'w Links,
    pub(super) settings: &'w Settings,
}

/// Writes the rows of one resource.
pub(super) struct AutomaticRowWriter<'w> {
    objects: ObjectWriter<'w, 'w>,
}

impl<'w> AutomaticRowWriter<'w> {
    pub(super) fn new(
        source: ResourceInput<'w, 'w>,
        cache: &'w mut PathCache,
        names: &'w mut Names,
        rows: &'w mut Rows,
    ) -> Self {
        let ResourceInput { resource, key, links, settings } = source;
        let table = settings.resource_types.table_of(resource.resource_type());
        let node = resource.node();
        let paths = Paths::new(cache, settings, names);
        let contained = ContainedResources::new(node, key);
        Self {
            objects: ObjectWriter {
                policy: NamingPolicy::Full,
                cells: CellWriter {
                    settings,
                    paths,
                    rows,
                    resource: node,
                    findings: StructuralCounts::default(),
                },
                references: ReferenceTargets { links, contained, has_type: false },
                row: RowState::default(),
                child_rows: ChildRows::new(table, key, node),
            },
        }
    }

    /// Writes all rows and returns what structural checks have found.
    pub(super) fn write(mut self, policy: NamingPolicy) -> Result<StructuralCounts, Defect> {
        self.objects.policy = policy;
        let contained = &self.objects.references.contained;
        let (resource, key) = (contained.resource(), contained.resource_key());
        let root = self.objects.cells.paths.root(self.objects.child_rows.table());
        self.row(root.table, key, |writer| writer.resource(root.path, resource))?;
        let missing = root.required & !self.objects.row.mandatory_seen;
        self.objects.cells.findings.missing = u64::from(missing.count_ones());
        while !self.objects.child_rows.pending.is_empty() {
            for pending in std::mem::take(&mut self.objects.child_rows.pending) {
                match pending {
                    PendingRows::Contained(node) => self.contained_row(node)?,
                    PendingRows::Items(items) => self.item_rows(&items)?,
                }
            }
        }
        Ok(self.objects.cells.findings)
    }

    fn contained_row(&mut self, contained: Node<'w>) -> Result<(), Defect> {
        let Some(resource_type) = contained.get_text("resourceType").filter(|name| is_type(name)) else {
            return Err(self.objects.cells.defect(DefectCode::NotAResource, contained));
        };
        let key = self.objects.references.contained.assign_key(contained);
        let cells = &mut self.objects.cells;
        let resource_type = cells.settings.resource_types.table_of(&resource_type);
        let table_name = format!("{resource_type}_contained");
        let table = cells.paths.table_named(&table_name);
        let container = cells.paths.column_named("_container");
        let path = cells.paths.root(resource_type).path;
        self.objects.child_rows.begin_contained(table_name, key.clone(), contained);
        self.objects.row.is_contained = true;
        self.row(table, &key, |writer| {
            let container_key = writer.objects.references.contained.resource_key();
            writer.objects.cells.rows.text(container, container_key);
            writer.resource(path, contained)
        })
    }

    fn item_rows(&mut self, items: &PendingItems<'w>) -> Result<(), Defect> {
        let paths = &mut self.objects.cells.paths;
        let [parent, number, depth] = ["_parent", "_n", "_depth"].map(|name| paths.column_named(name));
        let table = paths.table_named(&items.table);
        // From the parent on: from the resource on, each of its items would be looked at for each of them.
        let mut pointers = Vec::with_capacity(items.objects.len());
        exact_pointers(items.parent_node, &items.objects, |pointer, _| {
            pointers.push([&items.parent_pointer, pointer].concat());
        });
        for ((index, &item), pointer) in items.objects.iter().enumerate().zip(pointers) {
            if item.is_null() {
                continue;
            }
            let key = format!("{}#{pointer}", self.objects.references.contained.resource_key());
            self.objects.child_rows.begin_item(items, key.clone(), (item, pointer));
            self.row(table, &key, |writer| {
                let rows = &mut *writer.objects.cells.rows;
                rows.text(parent, &items.parent);
                rows.integer(number, i32::try_from(index).unwrap_or(i32::MAX));
                rows.integer(depth, items.depth);
                let path = writer.item_path(items, item);
                let kind = writer.objects.cells.paths.kind(path);
                writer.objects.row.needs_duplicate_check = kind == ObjectKind::ExtensionItem;
                writer.objects.object(path, item)
            })?;
        }
        Ok(())
    }

    fn item_path(&mut self, items: &PendingItems<'w>, item: Node<'w>) -> ObjectPathId {
        let paths = &mut self.objects.cells.paths;
        let type_id = items.type_id.or_else(|| paths.type_of(items.field, Node::once(item)));
        paths.item(items.field, type_id)
    }

    /// Writes a resource into its row, with its type where the table does not have it in its name.
    fn resource(&mut self, path: ObjectPathId, resource: Node<'w>) -> Result<(), Defect> {
        if self.objects.child_rows.table().split('_').next() == Some(UNKNOWN_TYPE)
            && let Some(written) = resource.get("resourceType")
        {
            let column = self.objects.cells.paths.column_named("resourceType");
            self.objects.cells.rows.text_of(column, written);
        }
        self.objects.object(path, resource)
    }

    /// Writes a row whose cells `fill` writes.
    fn row(
        &mut self,
        table: TableId,
        key: &str,
        fill: impl FnOnce(&mut Self) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        self.objects.row.begin(self.objects.cells.rows.bytes());
        let row = self.objects.cells.rows.begin_row(table, key);
        fill(self)?;
        self.objects.end_modifier(false);
        if !self.objects.row.unknown.is_empty() {
            self.write_unknown()?;
        }
        self.objects.cells.rows.end_row(row);
        self.check_row()
    }

    /// Writes the column `_unknown`: JSON Pointers with the values as they were written.
    fn write_unknown(&mut self) -> Result<(), Defect> {
        let mut unknown = std::mem::take(&mut self.objects.row.unknown);
        // An item that represents its array is written twice.
        unknown.sort_by_key(|value| value.span().start);
        unknown.dedup_by_key(|value| value.span().start);
        let mut text = String::new();
        exact_pointers(self.objects.cells.resource, &unknown, |pointer, value| {
            if text.len() > MAX_ROW_BYTES {
                return;
            }
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(&serde_json::Value::from(pointer).to_string());
            text.push(':');
            text.push_str(value.quoted());
        });
        text.push('}');
        let column = self.objects.cells.paths.column_named("_unknown");
        self.objects.cells.rows.text(column, &text);
        self.objects.check_size()
    }

    fn check_row(&mut self) -> Result<(), Defect> {
        let ObjectWriter { policy, cells, row, .. } = &mut self.objects;
        // No two elements of the model share a column. A stricter policy may have left out what asked for the check.
        let is_checked = row.needs_duplicate_check || *policy != NamingPolicy::Full;
        if (is_checked || cfg!(debug_assertions)) && cells.rows.has_duplicate_column() {
            debug_assert!(is_checked, "two elements of the model share a column");
            // A row with two cells in one column cannot be read.
            return Err(Defect::whole(DefectCode::AmbiguousColumn));
        }
        if cells.rows.last_row_exceeds(MAX_ROW_BYTES, cells.paths.names()) {
            return Err(Defect::whole(DefectCode::TooLarge));
        }
        Ok(())
    }
}

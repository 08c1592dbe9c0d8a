//! The dictionary of automatic rows: every column that was filled, with what it means.

use std::collections::BTreeMap;

use crate::dictionary::{Dictionary, Meaning, ScopeId, Tally};
use crate::row::{ColumnId, NameList};

use super::naming::joined;
use super::paths::{Meanings, Namespace, PathCache};
use super::settings::{Arrays, Settings};

/// Writes what was counted in the tables of automatic rows into a dictionary.
pub(super) struct Describer<'a> {
    pub(super) paths: &'a PathCache,
    pub(super) settings: &'a Settings,
    pub(super) tally: &'a Tally,
    pub(super) names: &'a NameList,
    /// The tables that have rows.
    pub(super) tables: BTreeMap<&'a str, ScopeId>,
    pub(super) dictionary: &'a mut Dictionary,
}

/// What the rows of each table can be, wherever they come from.
type NamespacesByTable = BTreeMap<String, Vec<Namespace>>;

impl<'a> Describer<'a> {
    /// Describes the columns of all tables that have rows.
    pub(super) fn describe(mut self) {
        let mut namespaces = NamespacesByTable::new();
        for (resource_type, path) in self.paths.resource_types() {
            let namespace = Namespace::of_resource(path, resource_type);
            self.add_table(&format!("{resource_type}_contained"), &namespace, &mut namespaces);
            self.add_table(resource_type, &namespace, &mut namespaces);
        }
        for (table, namespaces) in namespaces {
            if let Some(&scope) = self.tables.get(&*table) {
                self.describe_scope((&table, ""), scope, &namespaces);
            }
        }
    }

    /// Notes what the rows of a table can be, and those of its child tables. A table can be reached on several ways: an
    /// item's list and the list of an item that stands alone in the row have one name.
    fn add_table(&self, table: &str, namespace: &Namespace, found: &mut NamespacesByTable) {
        // A recursive element stays in the table of its first level: a table of this name has no rows then.
        if !self.tables.contains_key(table) {
            return;
        }
        let known = found.entry(table.to_owned()).or_default();
        if known.contains(namespace) {
            return;
        }
        known.push(namespace.clone());
        if self.settings.arrays == Arrays::Embedded {
            return;
        }
        let mut meanings = self.meanings();
        meanings.add(namespace);
        for items in meanings.take_items() {
            self.add_table(&joined(table, &items.name), &items.namespace, found);
        }
    }

    /// Describes the columns of a table, or of the records in the lists of a column, and those of the lists inside.
    fn describe_scope(&mut self, (table, prefix): (&str, &str), scope: ScopeId, namespaces: &[Namespace]) {
        let mut meanings = self.meanings();
        for namespace in namespaces {
            meanings.add(namespace);
        }
        let mut items: BTreeMap<ColumnId, Vec<Namespace>> = BTreeMap::new();
        for item in meanings.take_items() {
            items.entry(item.column).or_default().push(item.namespace);
        }
        let tally = self.tally;
        for (column, rows, inside) in tally.columns(scope) {
            let own = self.names.column(column);
            if own.is_empty() {
                // A value that stands alone in the row of an item has no column to speak of.
                continue;
            }
            let name = if prefix.is_empty() { own.to_owned() } else { format!("{prefix}.{own}") };
            let meaning = meanings.get(column).cloned().unwrap_or_else(|| Meaning::technical(own));
            self.dictionary.add(table, name.clone(), meaning, rows);
            if let Some(inside) = inside {
                let namespaces = items.get(&column).map_or(&[][..], Vec::as_slice);
                self.describe_scope((table, &name), inside, namespaces);
            }
        }
    }

    fn meanings(&self) -> Meanings<'a> {
        Meanings::new(self.paths, self.settings.decimals)
    }
}

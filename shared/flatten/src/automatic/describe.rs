//! The dictionary of automatic rows: every column that was filled, with what it means.

use std::collections::BTreeMap;

use crate::decimals::Decimals;
use crate::dictionary::{Dictionary, Meaning, ScopeId, Tally};
use crate::row::{ColumnId, NameList};

use super::name::joined;
use super::place::{Meanings, Places, Root};
use super::{Arrays, Automatic};

/// What is needed on the way through the tables.
struct Describer<'a> {
    places: &'a Places,
    tally: &'a Tally,
    names: &'a NameList,
    /// The tables that have rows.
    tables: BTreeMap<&'a str, ScopeId>,
    /// What the rows of each table can be, wherever they come from.
    roots: BTreeMap<String, Vec<Root>>,
    decimals: Decimals,
    dictionary: &'a mut Dictionary,
}

impl Automatic {
    /// Writes what was counted in these tables into the dictionary.
    pub(crate) fn describe(
        &self,
        tally: &Tally,
        names: &NameList,
        tables: BTreeMap<&str, ScopeId>,
        dictionary: &mut Dictionary,
    ) {
        let (places, roots, decimals) = (&self.places, BTreeMap::new(), self.settings.decimals);
        let mut describer = Describer { places, tally, names, tables, roots, decimals, dictionary };
        let has_children = self.settings.arrays == Arrays::Tables;
        for (resource_type, place) in places.resource_types() {
            let root = Root::resource(place, resource_type);
            describer.reach(&format!("{resource_type}_contained"), &root, has_children);
            describer.reach(resource_type, &root, has_children);
        }
        for (table, roots) in std::mem::take(&mut describer.roots) {
            if let Some(&scope) = describer.tables.get(&*table) {
                describer.scope(&table, "", scope, &roots);
            }
        }
    }
}

impl Describer<'_> {
    /// Notes what the rows of a table can be, and those of its child tables. A table can be reached on several ways: an
    /// item's list and the list of an item that stands alone in the row have one name.
    fn reach(&mut self, table: &str, root: &Root, has_children: bool) {
        // A recursive element stays in the table of its first level: one of this name has no rows then.
        if !self.tables.contains_key(table) {
            return;
        }
        let roots = self.roots.entry(table.to_owned()).or_default();
        if roots.contains(root) {
            return;
        }
        roots.push(root.clone());
        if !has_children {
            return;
        }
        let mut meanings = Meanings::new(self.decimals);
        self.places.describe(root, &mut meanings);
        for items in meanings.items {
            self.reach(&joined(table, &items.name), &items.root, true);
        }
    }

    /// The columns of a table or of a list's records, and those of the lists inside.
    fn scope(&mut self, table: &str, prefix: &str, scope: ScopeId, roots: &[Root]) {
        let mut meanings = Meanings::new(self.decimals);
        for root in roots {
            self.places.describe(root, &mut meanings);
        }
        let mut items: BTreeMap<ColumnId, Vec<Root>> = BTreeMap::new();
        for item in std::mem::take(&mut meanings.items) {
            items.entry(item.column).or_default().push(item.root);
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
                let roots = items.get(&column).map_or(&[][..], Vec::as_slice);
                self.scope(table, &name, inside, roots);
            }
        }
    }
}

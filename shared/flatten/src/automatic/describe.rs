//! The dictionary of automatic rows: every column that was filled, with what it means.

use std::collections::BTreeMap;

use crate::dictionary::{Dictionary, Meaning, ScopeId, Tally};
use crate::row::NameList;

use super::name::joined;
use super::place::{Meanings, Places, Root};
use super::{Arrays, Automatic};

/// What is needed on the way through the tables.
struct Describer<'a> {
    places: &'a Places,
    tally: &'a Tally,
    names: &'a NameList,
    arrays: Arrays,
    /// The tables that are still to be described.
    tables: BTreeMap<&'a str, ScopeId>,
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
        let (places, arrays) = (&self.places, self.settings.arrays);
        let mut describer = Describer { places, tally, names, arrays, tables, dictionary };
        for (resource_type, place) in places.resource_types() {
            let root = [Root::resource(place, resource_type)];
            describer.table(resource_type, &root);
            describer.table(&format!("{resource_type}_contained"), &root);
        }
    }
}

impl Describer<'_> {
    /// A table and its child tables.
    fn table(&mut self, table: &str, roots: &[Root]) {
        let Some(scope) = self.tables.remove(table) else { return };
        let meanings = self.scope(table, "", scope, roots);
        if self.arrays == Arrays::Embedded {
            return;
        }
        let mut children: BTreeMap<String, Vec<Root>> = BTreeMap::new();
        for items in meanings.items {
            // A recursive element stays in the table of its first level: one of this name has no rows then.
            children.entry(joined(table, &items.name)).or_default().push(items.root);
        }
        for (child, roots) in children {
            self.table(&child, &roots);
        }
    }

    /// The columns of a table or of a list's records, and those of the lists inside.
    fn scope(&mut self, table: &str, prefix: &str, scope: ScopeId, roots: &[Root]) -> Meanings {
        let mut meanings = Meanings::default();
        for root in roots {
            self.places.describe(root, &mut meanings);
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
                let of_column = meanings.items.iter().filter(|items| items.column == column);
                let roots: Vec<Root> = of_column.map(|items| items.root.clone()).collect();
                self.scope(table, &name, inside, &roots);
            }
        }
        meanings
    }
}

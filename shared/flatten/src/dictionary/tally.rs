//! Counting: a walk over the cells of finished rows that looks nothing up as long as rows are alike.

use std::collections::BTreeMap;

use crate::row::{CellKind, Cells, ColumnId, Rows, TableId};

/// Columns that share a name space: those of a table, or those of a list's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScopeId(u32);

/// Past this many counters all are written into the dictionary and begun anew.
const REMEMBERED: usize = 1 << 17;

/// How many rows have filled each column.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    scopes: Vec<ColumnScope>,
    tables: BTreeMap<TableId, ScopeId>,
    counters: usize,
    /// The number of the current row, from 1.
    row: u64,
}

#[derive(Debug)]
struct ColumnScope {
    counters: Vec<Counter>,
    index: BTreeMap<ColumnId, u32>,
    /// The counter of the first cell last time.
    first: u32,
}

#[derive(Debug)]
struct Counter {
    column: ColumnId,
    /// The counter of the cell that came behind last time: rows of one kind have their cells in one order.
    next: u32,
    rows: u64,
    last_row: u64,
    inside: Option<ScopeId>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "ids are indices that this module handed out, and its lists only grow"
)]
impl Tally {
    /// Counts the cells of rows. A list without values and a cell without one fill nothing.
    pub(crate) fn count(&mut self, rows: &Rows) {
        for row in rows.iter() {
            self.row += 1;
            let scope = self.table(row.table());
            self.cells(scope, row.cells(), true);
        }
    }

    /// Returns whether so much is counted that it should be taken.
    pub(crate) const fn is_bloated(&self) -> bool {
        self.counters > REMEMBERED
    }

    /// Returns the tables whose rows were counted.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (TableId, ScopeId)> {
        self.tables.iter().map(|(&table, &scope)| (table, scope))
    }

    /// Returns the columns of a scope, how many rows have filled each, and the scope of the records inside.
    pub(crate) fn columns(&self, scope: ScopeId) -> impl Iterator<Item = (ColumnId, u64, Option<ScopeId>)> {
        let counters = &self.scopes[scope.0 as usize].counters;
        counters.iter().map(|counter| (counter.column, counter.rows, counter.inside))
    }

    /// Counts a row whose key came after it was counted.
    pub(crate) fn count_late(&mut self, table: TableId, column: ColumnId) {
        let scope = self.table(table);
        let at = self.counter(scope, column, None);
        self.scopes[scope.0 as usize].counters[at as usize].rows += 1;
    }

    fn table(&mut self, table: TableId) -> ScopeId {
        if let Some(&scope) = self.tables.get(&table) {
            return scope;
        }
        let scope = self.add_scope();
        self.tables.insert(table, scope);
        scope
    }

    /// Counts cells. A key that a row waits for is counted once it is known; within a list it counts, because other keys may
    /// be known.
    fn cells(&mut self, scope: ScopeId, mut cells: Cells<'_>, is_row: bool) {
        let mut before = None;
        while let Some((column, kind)) = cells.next_kind() {
            let at = self.counter(scope, column, before);
            before = Some(at);
            match kind {
                CellKind::Pending if is_row => {}
                CellKind::Scalar | CellKind::Pending => self.fill(scope, at),
                CellKind::Null => {}
                CellKind::List(items) => {
                    if self.items(scope, at, items) {
                        self.fill(scope, at);
                    }
                }
                CellKind::Record(inside) => {
                    self.fill(scope, at);
                    let inner = self.inside(scope, at);
                    self.cells(inner, inside, false);
                }
            }
        }
    }

    /// Counts the records of a list; whether it has any value.
    fn items(&mut self, scope: ScopeId, at: u32, mut items: Cells<'_>) -> bool {
        let mut any = false;
        while let Some((_, item)) = items.next_kind() {
            any |= match item {
                CellKind::Scalar | CellKind::Pending => true,
                CellKind::Null => false,
                CellKind::List(items) => self.items(scope, at, items),
                CellKind::Record(cells) => {
                    let inside = self.inside(scope, at);
                    self.cells(inside, cells, false);
                    true
                }
            };
        }
        any
    }

    fn fill(&mut self, scope: ScopeId, at: u32) {
        let row = self.row;
        let counter = &mut self.scopes[scope.0 as usize].counters[at as usize];
        if counter.last_row != row {
            counter.last_row = row;
            counter.rows += 1;
        }
    }

    fn counter(&mut self, scope: ScopeId, column: ColumnId, before: Option<u32>) -> u32 {
        let scope = &mut self.scopes[scope.0 as usize];
        let guess = before.map_or(scope.first, |before| scope.counters[before as usize].next);
        let is_right =
            |guess: u32| scope.counters.get(guess as usize).is_some_and(|counter| counter.column == column);
        if is_right(guess) {
            return guess;
        }
        // The one that came behind at the first time.
        if let Some(guess) = before.map(|before| before + 1).filter(|guess| is_right(*guess)) {
            return guess;
        }
        let at = *scope.index.entry(column).or_insert_with(|| {
            self.counters += 1;
            scope.counters.push(Counter { column, next: 0, rows: 0, last_row: 0, inside: None });
            u32::try_from(scope.counters.len() - 1).unwrap_or(u32::MAX)
        });
        match before {
            Some(before) => scope.counters[before as usize].next = at,
            None => scope.first = at,
        }
        at
    }

    fn inside(&mut self, scope: ScopeId, at: u32) -> ScopeId {
        if let Some(inside) = self.scopes[scope.0 as usize].counters[at as usize].inside {
            return inside;
        }
        let inside = self.add_scope();
        self.scopes[scope.0 as usize].counters[at as usize].inside = Some(inside);
        inside
    }

    fn add_scope(&mut self) -> ScopeId {
        self.scopes.push(ColumnScope { counters: Vec::new(), index: BTreeMap::new(), first: 0 });
        ScopeId(u32::try_from(self.scopes.len() - 1).unwrap_or(u32::MAX))
    }
}

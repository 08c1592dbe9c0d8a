//! References to entries that come later in their Bundle: remembered by URN, completed when the entry comes.

use std::collections::BTreeMap;
use std::ops::Range;

use flatten::row::{Cells, NameList, PENDING_TYPE, Rows, Value};

use crate::batch::Completion;
use crate::version::Version;

/// The cells that wait for a key, by the URN they wait for.
#[derive(Debug, Default)]
pub(super) struct Pending {
    cells: BTreeMap<Box<str>, Vec<Cell>>,
}

#[derive(Debug)]
struct Cell {
    table: Box<str>,
    row: Box<str>,
    version: Version,
    path: Box<str>,
    wants_type: bool,
    /// Whether this attempt counts the row, and not an earlier one.
    is_counted: bool,
    /// Empty for a target of any type.
    of_type: Box<str>,
}

impl Pending {
    /// Remembers the pending cells of some rows.
    pub(super) fn remember(
        &mut self,
        names: &NameList,
        rows: &Rows,
        range: Range<usize>,
        version: &Version,
        is_counted: bool,
    ) {
        for row in rows.range(range) {
            let (table, key) = (names.table(row.table()), row.key());
            walk(names, row.cells(), "", &mut |path, urn| {
                let wants_type = urn.ends_with(PENDING_TYPE);
                // A view may want the key of a target of one type only: `urn:…#Patient`.
                let (urn, of_type) = urn.split_once('#').unwrap_or((urn, ""));
                let of_type = if wants_type { "" } else { of_type }.into();
                let (table, row, path) = (table.into(), key.into(), path.into());
                let version = version.clone();
                let cell = Cell { table, row, version, path, wants_type, is_counted, of_type };
                self.cells.entry(urn.into()).or_default().push(cell);
            });
        }
    }

    /// The completions of all cells that waited for this URN: the key, or the type where the cell waits for that.
    pub(super) fn resolve(&mut self, urn: &str, key: &str) -> impl Iterator<Item = Completion> + use<> {
        let kind = key.split('/').next().unwrap_or_default().to_owned();
        let key = key.to_owned();
        let fits = {
            let kind = kind.clone();
            move |cell: &Cell| cell.of_type.is_empty() || *cell.of_type == *kind
        };
        self.cells.remove(urn).into_iter().flatten().filter(fits).map(move |cell| Completion {
            table: cell.table.into(),
            row: cell.row.into(),
            version: cell.version,
            key: if cell.wants_type { kind.clone() } else { key.clone() },
            path: cell.path.into(),
        })
    }

    /// Forgets what no entry has answered: table and path of each cell that is to be counted no more. Inside lists
    /// others may have been answered, so there the row counts.
    pub(super) fn forget(&mut self) -> impl Iterator<Item = (Box<str>, Box<str>)> + use<> {
        let cells = std::mem::take(&mut self.cells).into_values().flatten();
        let counted = cells.filter(|cell| cell.is_counted && !cell.path.contains('.'));
        counted.map(|cell| (cell.table, cell.path))
    }
}

/// Calls `found` with path and URN of every pending cell. A path goes through list items by their index.
fn walk(names: &NameList, cells: Cells<'_>, prefix: &str, found: &mut impl FnMut(&str, &str)) {
    for (index, (column, value)) in cells.enumerate() {
        let name = names.column(column);
        let path = || match (prefix, name) {
            ("", name) => name.to_owned(),
            (prefix, "") => format!("{prefix}.{index}"),
            (prefix, name) => format!("{prefix}.{name}"),
        };
        match value {
            Value::Pending(urn) => found(&path(), urn),
            Value::List(inner) | Value::Record(inner) => walk(names, inner, &path(), found),
            _ => {}
        }
    }
}

//! Names: columns and tables as small numbers, so that cells need no text.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ColumnId, TableId};

/// The names of columns and tables, each once. A worker owns one and remembers what it has named.
#[derive(Debug, Clone, Default)]
pub struct Names {
    list: NameList,
    index: BTreeMap<Arc<str>, u32>,
}

/// A snapshot of [`Names`] for whoever reads rows while the worker goes on naming. Cloning is one counter.
#[derive(Debug, Clone, Default)]
pub struct NameList(Arc<Vec<Arc<str>>>);

impl Names {
    /// The column of that name.
    pub fn column(&mut self, name: &str) -> ColumnId {
        ColumnId(self.intern(name))
    }

    /// The table of that name.
    pub fn table(&mut self, name: &str) -> TableId {
        TableId(self.intern(name))
    }

    /// The names so far, to read rows with.
    #[must_use]
    pub fn list(&self) -> NameList {
        self.list.clone()
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.index.get(name) {
            return id;
        }
        let id = u32::try_from(self.list.0.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = Arc::from(name);
        Arc::make_mut(&mut self.list.0).push(Arc::clone(&name));
        self.index.insert(name, id);
        id
    }
}

impl NameList {
    /// A column's name; empty for [`ITEM`].
    #[must_use]
    pub fn column(&self, column: ColumnId) -> &str {
        self.0.get(column.0 as usize).map_or("", |name| name)
    }

    /// A table's name.
    #[must_use]
    pub fn table(&self, table: TableId) -> &str {
        self.0.get(table.0 as usize).map_or("", |name| name)
    }
}

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
pub struct NameList(Arc<Vec<Name>>);

#[derive(Debug, Clone)]
struct Name {
    text: Arc<str>,
    terminated: Terminated,
}

/// A column's name as BSON has it: it ends at its first NUL, which is part of it.
#[derive(Debug, Clone)]
pub struct Terminated {
    bytes: Box<[u8]>,
    /// The same of a short name, with more behind it: a copy of so many bytes takes no call.
    padded: [u8; Self::SHORT],
}

impl Terminated {
    /// How many bytes a short name has at most, with its NUL.
    pub const SHORT: usize = 32;

    fn of(name: &str) -> Self {
        let until_nul = name.split('\0').next().unwrap_or_default();
        let bytes: Box<[u8]> = until_nul.bytes().chain([0]).collect();
        let mut padded = [0; Self::SHORT];
        for (place, byte) in padded.iter_mut().zip(&bytes) {
            *place = *byte;
        }
        Self { bytes, padded }
    }

    /// Appends the name and its NUL.
    #[inline]
    pub fn push_to(&self, out: &mut Vec<u8>) {
        if self.bytes.len() <= Self::SHORT {
            let end = out.len() + self.bytes.len();
            out.extend_from_slice(&self.padded);
            out.truncate(end);
        } else {
            out.extend_from_slice(&self.bytes);
        }
    }
}

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
        let text: Arc<str> = Arc::from(name);
        let terminated = Terminated::of(name);
        Arc::make_mut(&mut self.list.0).push(Name { text: Arc::clone(&text), terminated });
        self.index.insert(text, id);
        id
    }
}

impl NameList {
    /// A column's name; empty for [`ITEM`].
    #[must_use]
    pub fn column(&self, column: ColumnId) -> &str {
        self.0.get(column.0 as usize).map_or("", |name| &name.text)
    }

    /// A column's name as BSON has it; none for [`ITEM`](super::ITEM).
    #[must_use]
    pub fn terminated(&self, column: ColumnId) -> Option<&Terminated> {
        self.0.get(column.0 as usize).map(|name| &name.terminated)
    }

    /// A table's name.
    #[must_use]
    pub fn table(&self, table: TableId) -> &str {
        self.0.get(table.0 as usize).map_or("", |name| &name.text)
    }
}

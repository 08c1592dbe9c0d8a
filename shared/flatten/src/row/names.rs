//! Names: columns and tables as small numbers, so that cells need no text.

use std::sync::Arc;

/// A column, by its index in [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnId(pub(super) u32);

impl ColumnId {
    /// Returns the column's index in its [`NameList`]; `None` for [`ITEM`].
    #[must_use]
    #[inline]
    pub fn index(self) -> Option<usize> {
        (self != ITEM).then_some(self.0 as usize)
    }
}

/// A table, by its index in [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId(u32);

/// The column of a list's items, which have no name.
pub const ITEM: ColumnId = ColumnId(u32::MAX);

/// The names of columns and tables, each once. Every worker owns one.
#[derive(Debug, Clone, Default)]
pub struct Names {
    list: NameList,
    index: NameIndex,
    bytes: usize,
    longest: usize,
}

#[expect(
    clippy::disallowed_types,
    reason = "names are looked up here and listed there, in the order they came"
)]
type NameIndex = std::collections::HashMap<Arc<str>, u32>;

/// A snapshot of [`Names`], to read rows while the worker adds names. A clone is one counter.
#[derive(Debug, Clone, Default)]
pub struct NameList(Arc<Vec<Name>>);

/// A name as text, and as BSON has it.
#[derive(Debug, Clone)]
pub struct Name {
    /// The beginning of the name, with NULs behind it: a copy of a constant size is fast.
    padded: [u8; SHORT],
    /// Where BSON's name ends: before the first NUL.
    end: u32,
    text: Arc<str>,
}

/// How many bytes a short name has at most, with the NUL that ends it.
const SHORT: usize = 32;

impl Name {
    fn of(text: Arc<str>) -> Self {
        let mut padded = [0; SHORT];
        for (place, byte) in padded.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        let end = text.bytes().take_while(|byte| *byte != 0).count();
        Self { padded, end: u32::try_from(end).unwrap_or(u32::MAX), text }
    }

    /// Appends the name up to its first NUL, and one.
    #[inline]
    pub fn push_terminated(&self, out: &mut Vec<u8>) {
        let end = self.end as usize;
        if end < SHORT {
            let length = out.len() + end + 1;
            out.extend_from_slice(&self.padded);
            out.truncate(length);
        } else {
            out.extend_from_slice(self.text.as_bytes().get(..end).unwrap_or_default());
            out.push(0);
        }
    }
}

impl Names {
    /// Returns the column of that name.
    pub fn column(&mut self, name: &str) -> ColumnId {
        ColumnId(self.intern(name))
    }

    /// Returns the table of that name.
    pub fn table(&mut self, name: &str) -> TableId {
        TableId(self.intern(name))
    }

    /// Returns the names so far, to read rows with.
    #[must_use]
    pub fn list(&self) -> NameList {
        self.list.clone()
    }

    /// Returns roughly how many bytes the names take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many bytes the longest name has.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    /// Returns how many bytes a column's name has; 0 for an item's.
    pub(super) fn length(&self, column: ColumnId) -> usize {
        self.list.0.get(column.0 as usize).map_or(0, |name| name.text.len())
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.index.get(name) {
            return id;
        }
        let id = u32::try_from(self.list.0.len()).unwrap_or(u32::MAX);
        let text: Arc<str> = Arc::from(name);
        // Twice by the index: a table of hashes is half empty.
        self.bytes += size_of::<Name>() + 2 * size_of::<(Arc<str>, u32)>() + text.len();
        self.longest = self.longest.max(text.len());
        Arc::make_mut(&mut self.list.0).push(Name::of(Arc::clone(&text)));
        self.index.insert(text, id);
        id
    }
}

impl NameList {
    /// Returns a column's name; empty for [`ITEM`].
    #[must_use]
    pub fn column(&self, column: ColumnId) -> &str {
        self.0.get(column.0 as usize).map_or("", |name| &name.text)
    }

    /// Returns a column's name in the form in which BSON is written; `None` for [`ITEM`].
    #[must_use]
    #[inline]
    pub fn name(&self, column: ColumnId) -> Option<&Name> {
        self.0.get(column.0 as usize)
    }

    /// Returns a table's name.
    #[must_use]
    pub fn table(&self, table: TableId) -> &str {
        self.0.get(table.0 as usize).map_or("", |name| &name.text)
    }
}

/// Returns whether a name can be that of a table or a column in any database.
pub(crate) fn is_portable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

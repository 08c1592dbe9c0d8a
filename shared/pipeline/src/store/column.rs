//! Entries of the dictionary of columns, as stores keep them.

use flatten::column_type::ColumnType;
use flatten::dictionary::{Column, cut};

/// What is known of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnEntry {
    /// The table.
    pub table: String,
    /// The column; `list.item` inside records.
    pub column: String,
    /// The FHIR element that fills it.
    pub path: Option<String>,
    /// The URL of the extension that fills it.
    pub url: Option<String>,
    /// How the column follows from its element, such as `key`.
    pub derived: Option<String>,
    /// The FHIR datatype of the element.
    pub datatype: Option<String>,
    /// The type of its cells; `None` in entries that an earlier version wrote.
    pub column_type: Option<ColumnType>,
    /// Whether no FHIR release knows the element.
    pub is_unknown: bool,
    /// Whether extensions of two URLs meet in it.
    pub is_clash: bool,
    /// Who filled it first; `None` in entries that an earlier version wrote.
    pub first: Option<FirstFilled>,
    /// Whether the entry has fields of an earlier version, which the next change removes.
    pub is_outdated: bool,
}

/// Who filled a column first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstFilled {
    /// The load.
    pub load: String,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// The ordinal of the first of the records that filled it, see
    /// [`FilledColumns`](crate::ledger::FilledColumns::first_ordinal).
    pub first_ordinal: u64,
}

/// A new entry, or what changes in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnChange {
    /// The whole entry, for a column that has none.
    pub entry: ColumnEntry,
    /// Whether an entry that stands takes the type of this one.
    pub sets_type: bool,
    /// Whether an entry that stands becomes a clash.
    pub sets_clash: bool,
}

impl ColumnEntry {
    /// Makes the entry of a column that is filled for the first time.
    pub(crate) fn new(column: &Column, first: FirstFilled) -> Self {
        let meaning = &column.meaning;
        let owned = |text: Option<&str>| text.map(|text| cut(text).to_owned());
        Self {
            table: column.table.clone(),
            column: column.name.clone(),
            path: owned(meaning.path.as_deref()),
            url: owned(meaning.url.as_deref()),
            derived: owned(meaning.derived),
            datatype: owned(meaning.datatype),
            column_type: Some(meaning.column_type),
            is_unknown: meaning.is_unknown,
            is_clash: false,
            first: Some(first),
            is_outdated: false,
        }
    }

    /// Returns `<table>.<column>`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }
}

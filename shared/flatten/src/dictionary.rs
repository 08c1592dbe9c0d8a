//! The dictionary: which columns rows have filled, how often, and what each of them means.
//!
//! Cells are counted as they are in rows; what a column means is looked up once, when the dictionary is taken. A column
//! inside the records of a list is called by the list and its own name: `component.code_code`.

mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::column_type::{CellType, ColumnType};

pub(crate) use tally::{ScopeId, Tally};

/// A column of a table: what it means and how many rows have filled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The table.
    pub table: String,
    /// The name; within the records of a list, behind the list's name and a dot.
    pub name: String,
    /// What it means.
    pub meaning: Meaning,
    /// How many rows had a value here. Of several values in the records of one row's list, one counts.
    pub rows: u64,
}

/// What a column means. It follows from FHIR path, extension URL and settings alone, so that all workers give a column
/// the same meaning; only [`Meaning::is_clash`] depends on the data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meaning {
    /// The FHIRPath of the element, from its resource; none for technical columns. It names extensions by their URLs.
    pub path: Option<Arc<str>>,
    /// The URL of the outermost extension on the path.
    pub url: Option<Arc<str>>,
    /// What the column was derived by from the element's value, such as `at` or `codings`; none for the value.
    pub derived: Option<&'static str>,
    /// The FHIR datatype of the element in the newest release that knows it.
    pub datatype: Option<&'static str>,
    /// The type of the column, known before any value is read.
    pub column_type: ColumnType,
    /// Whether no FHIR release knows the element, or what it stands in.
    pub is_unknown: bool,
    /// Whether extensions of two URLs that no registry knows have met in it, or were kept apart by a suffix.
    pub is_clash: bool,
}

impl Meaning {
    /// Returns a column that stands for no element.
    pub(crate) fn technical(name: &str) -> Self {
        let column_type = match name {
            "_modifier" => ColumnType::One(CellType::Boolean),
            "_n" | "_depth" => ColumnType::One(CellType::Integer),
            "dataSize" => ColumnType::One(CellType::Long),
            "_unknown" => ColumnType::Json,
            _ => ColumnType::One(CellType::Text),
        };
        Self { is_unknown: name == "_unknown", ..Self::of(None, column_type) }
    }

    /// Returns whether a sender may have made up the column's name: it is of an unknown element, or of an extension.
    #[must_use]
    pub const fn is_made_up(&self) -> bool {
        self.is_unknown || self.url.is_some()
    }

    fn bytes(&self) -> usize {
        let texts = [self.path.as_deref(), self.url.as_deref()];
        size_of::<Self>() + texts.into_iter().flatten().map(str::len).sum::<usize>()
    }

    pub(crate) const fn of(path: Option<Arc<str>>, column_type: ColumnType) -> Self {
        Self {
            path,
            url: None,
            derived: None,
            datatype: None,
            column_type,
            is_unknown: false,
            is_clash: false,
        }
    }
}

/// The most columns of a table that are listed. Others are counted only, because senders can make up names without end.
pub const MAX_COLUMNS: usize = 20_000;

/// The most of these for elements and extensions that senders named, so that there is room for FHIR's own.
pub const MAX_MADE_UP: usize = 18_000;

/// About the most bytes that the columns of all tables together take.
const MAX_BYTES: usize = 24 << 20;

/// A longer name is not listed: only lists inside each other have one.
const LONGEST_NAME: usize = 4_096;

/// Longer texts are cut, in characters: a URL has no end of its own, and the database takes no document without one.
const LONGEST_TEXT: usize = 2_000;

/// Returns as much of a path or a URL as the dictionary has of it.
#[must_use]
pub fn cut(text: &str) -> &str {
    text.char_indices().nth(LONGEST_TEXT).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// The columns of some rows, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    tables: BTreeMap<String, BTreeMap<String, (Meaning, u64)>>,
    bytes: usize,
    unlisted: u64,
}

impl Dictionary {
    /// Returns the columns by table and name.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        self.tables.iter().flat_map(|(table, columns)| {
            columns.iter().map(move |(name, (meaning, rows))| Column {
                table: table.clone(),
                name: name.clone(),
                meaning: meaning.clone(),
                rows: *rows,
            })
        })
    }

    /// Returns how often a column had no room: its table had [`MAX_COLUMNS`] others, all tables together had some ten
    /// thousands, or its name was too long. The count belongs to its dictionary: a caller that takes several adds
    /// it up.
    #[must_use]
    pub const fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// Adds rows to a column. Columns with zero rows are not listed: an empty list, a key that was never found.
    pub(crate) fn add(&mut self, table: &str, name: String, meaning: Meaning, rows: u64) {
        if rows == 0 {
            return;
        }
        let columns = self.tables.entry(table.to_owned()).or_default();
        if let Some((known, sum)) = columns.get_mut(&name) {
            *sum += rows;
            known.is_clash |= meaning.is_clash;
            return;
        }
        let is_made_up = meaning.is_made_up();
        let most = if is_made_up { MAX_MADE_UP } else { MAX_COLUMNS };
        let bytes = meaning.bytes() + 2 * name.len();
        let has_room = columns.len() < most && (!is_made_up || self.bytes + bytes <= MAX_BYTES);
        if has_room && name.len() <= LONGEST_NAME {
            self.bytes += bytes;
            columns.insert(name, (meaning, rows));
        } else {
            self.unlisted += 1;
        }
    }
}

//! The dictionary: which columns rows have filled, how often, and what each of them means.
//!
//! Cells are counted as they stand in rows; what a column means is looked up once, when somebody asks. A column
//! inside the records of a list is called by the list and its own name: `component.code_code`.

mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

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

/// What a column means. It follows from FHIR path, extension URL and settings alone, so that two workers who met
/// the same column say the same; only [`Meaning::is_clash`] follows from what was met.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meaning {
    /// The FHIRPath of the element, from its resource; none for technical columns. Extensions stand in it by their
    /// URLs.
    pub path: Option<Arc<str>>,
    /// The URL of the outermost extension on the path.
    pub url: Option<Arc<str>>,
    /// What the column was derived by from the element's value, such as `at` or `codings`; none for the value.
    pub derived: Option<&'static str>,
    /// The FHIR datatype of the element in the newest release that knows it.
    pub datatype: Option<&'static str>,
    /// What stands in the cells: `boolean`, `integer`, `long`, `decimal`, `text`, `timestamp` or `record`, `|` between
    /// several, `[]` behind those of a list; `any` where FHIR does not say.
    pub cell: String,
    /// Whether no FHIR release knows the element, or what it stands in.
    pub is_unknown: bool,
    /// Whether extensions of two URLs that no registry knows have met in it, or were kept apart by a suffix.
    pub is_clash: bool,
}

impl Meaning {
    /// A column that stands for no element.
    pub(crate) fn technical(name: &str) -> Self {
        let cell = match name {
            "_modifier" => "boolean",
            "_n" | "_depth" => "integer",
            "dataSize" => "long",
            _ => "text",
        };
        Self { cell: cell.to_owned(), is_unknown: name == "_unknown", ..Self::of(None) }
    }

    pub(crate) fn of(path: Option<Arc<str>>) -> Self {
        Self {
            path,
            url: None,
            derived: None,
            datatype: None,
            cell: String::new(),
            is_unknown: false,
            is_clash: false,
        }
    }
}

/// Hostile input can make up names without end; what comes behind so many columns is counted, not listed.
const MAX_COLUMNS: usize = 20_000;

/// The columns of some rows, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    columns: BTreeMap<(String, String), (Meaning, u64)>,
    unlisted: u64,
}

impl Dictionary {
    /// The columns by table and name.
    #[must_use]
    pub fn columns(&self) -> impl ExactSizeIterator<Item = Column> {
        self.columns.iter().map(|((table, name), (meaning, rows))| Column {
            table: table.clone(),
            name: name.clone(),
            meaning: meaning.clone(),
            rows: *rows,
        })
    }

    /// Times that a column was met when 20,000 others were listed already. It goes with the dictionary it was
    /// counted in: whoever takes several adds it up.
    #[must_use]
    pub const fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// Adds rows to a column. One that no row has filled is none: an empty list, a key that was never found.
    pub(crate) fn add(&mut self, table: &str, name: String, meaning: Meaning, rows: u64) {
        if rows == 0 {
            return;
        }
        let is_full = self.columns.len() >= MAX_COLUMNS;
        let key = (table.to_owned(), name);
        if let Some((known, sum)) = self.columns.get_mut(&key) {
            *sum += rows;
            known.is_clash |= meaning.is_clash;
        } else if is_full {
            self.unlisted += 1;
        } else {
            self.columns.insert(key, (meaning, rows));
        }
    }
}

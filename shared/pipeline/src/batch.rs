//! Batches: the rows and rejects that reach the database together.

use std::cmp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flatten::defect::Defect;
use flatten::row::{NameList, Rows};

use crate::content::ContentHash;
use crate::manifest::ExportManifest;
use crate::object::Source;
use crate::summary::Summary;
use crate::version::Version;

/// What one write carries. Writing the same batch again changes nothing.
#[derive(Debug, Default)]
pub struct WriteBatch {
    /// The names that the rows refer to.
    pub names: NameList,
    /// The rows of all resources, resource by resource.
    pub rows: Rows,
    /// The resources, in the order of their records. One key may occur twice; the newer version wins.
    pub resources: Vec<ResourceWrite>,
    /// Keys of references whose target was seen only after the row was handed on.
    pub completions: Vec<Completion>,
    /// Records that were set aside.
    pub rejects: Vec<Reject>,
    /// Manifests of Bulk Data exports.
    pub manifests: Vec<ExportManifest>,
    /// Rejects that are counted only.
    pub unstored: UnstoredRejects,
    /// How many more rejects of the load are stored: those that the database makes of its documents take from it too.
    pub room: RejectRoom,
    /// Their reading of the object: the number of the attempt that began it at the first byte.
    pub reading: u32,
    /// When the attempt began that read them, in milliseconds since 1970-01-01T00:00:00Z: from then on rejects and
    /// records of exports are kept.
    pub begun: i64,
}

/// What the stores share.
impl WriteBatch {
    /// Returns the row that decides which version of a resource stands: the one under its key in the first of its
    /// tables. `None`: the resource has no such row.
    #[must_use]
    pub fn anchor_row(&self, resource: &ResourceWrite) -> Option<usize> {
        let (Fate::Rows(range), Some(first)) = (&resource.fate, resource.tables.first()) else { return None };
        let mut rows = range.clone().zip(self.rows.range(range.clone()));
        rows.find(|(_, row)| row.key() == resource.key && self.names.table(row.table()) == &**first)
            .map(|(index, _)| index)
    }

    /// Returns whether a resource needs a tombstone: none of its rows, and no archived text, says which version stands.
    #[must_use]
    pub fn needs_tombstone(&self, resource: &ResourceWrite) -> bool {
        match &resource.fate {
            Fate::Rows(_) => !resource.tables.is_empty() && self.anchor_row(resource).is_none(),
            Fate::Archived(_) => !resource.tables.is_empty(),
            Fate::Deleted => true,
            Fate::Erased { .. } => false,
        }
    }

    /// Returns the index of the newest version of each resource, by key. Of equal versions the first counts.
    #[must_use]
    pub fn newest_versions(&self) -> BTreeMap<&str, usize> {
        let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, resource) in self.resources.iter().enumerate() {
            let known = newest.entry(&resource.key).or_insert(index);
            if self.resources.get(*known).is_some_and(|known| known.version < resource.version) {
                *known = index;
            }
        }
        newest
    }

    /// Returns how many deletions it has.
    #[must_use]
    pub fn delete_entries(&self) -> u64 {
        let deleted = self.resources.iter().filter(|resource| matches!(resource.fate, Fate::Deleted));
        deleted.count() as u64
    }

    /// Returns the keys of the resources that the batch erases.
    pub fn erased_keys(&self) -> impl Iterator<Item = &str> {
        let erased = self.resources.iter().filter(|resource| matches!(resource.fate, Fate::Erased { .. }));
        erased.map(|resource| resource.key.as_str())
    }

    /// Returns the rejects to store: those of the batch, and those that the store made of its documents while there is
    /// room.
    #[must_use]
    pub fn rejects_to_store<'a>(&'a self, refused: &'a [Reject]) -> Vec<&'a Reject> {
        self.rejects.iter().chain(refused.iter().filter(|_| self.room.claim())).collect()
    }

    /// Counts the rejects of the batch and of the store, stored or not. Those of a view leave their resource loaded.
    pub fn count_rejects(&self, refused: &[Reject], summary: &mut Summary) {
        let UnstoredRejects { rejected, view_defects, codes } = &self.unstored;
        summary.rejected += rejected;
        summary.view_defects += view_defects;
        for (code, count) in codes {
            *summary.codes.entry((*code).to_owned()).or_default() += count;
        }
        for reject in self.rejects.iter().chain(refused) {
            match &reject.reason {
                Reason::Defect { view: Some(_), .. } => summary.view_defects += 1,
                Reason::Defect { view: None, .. } | Reason::Frame(_) | Reason::Refused { .. } => {
                    summary.rejected += 1;
                }
            }
            *summary.codes.entry(reject.reason.code().to_owned()).or_default() += 1;
        }
    }
}

/// The most rejects of a load that are stored: the first ones. Broken records cost a sender a few bytes each.
pub const MAX_REJECTS: u64 = 10_000;

/// The numbers of rejects that are counted and not stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnstoredRejects {
    /// Records that were set aside.
    pub rejected: u64,
    /// Resources that are missing in a view.
    pub view_defects: u64,
    /// Both by code.
    pub codes: BTreeMap<&'static str, u64>,
}

impl UnstoredRejects {
    /// Counts a reject.
    pub fn count(&mut self, reason: &Reason) {
        let of_view = matches!(reason, Reason::Defect { view: Some(_), .. });
        *(if of_view { &mut self.view_defects } else { &mut self.rejected }) += 1;
        *self.codes.entry(reason.code()).or_default() += 1;
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
}

/// Room for rejects, shared by all batches of a load.
#[derive(Debug, Clone)]
pub struct RejectRoom(Arc<AtomicU64>);

impl RejectRoom {
    /// Returns the room that is left after `stored` rejects.
    #[must_use]
    pub fn after(stored: u64) -> Self {
        Self(Arc::new(AtomicU64::new(MAX_REJECTS.saturating_sub(stored))))
    }

    /// Claims room for one reject. Returns `false` if there is none left.
    #[must_use]
    pub fn claim(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

impl Default for RejectRoom {
    fn default() -> Self {
        Self::after(0)
    }
}

/// What happens to one resource.
#[derive(Debug)]
pub struct ResourceWrite {
    /// `Patient/123`
    pub key: String,
    /// `Patient`; [`UNKNOWN_TYPE`](flatten::model::UNKNOWN_TYPE) for every type that neither FHIR nor the deployment
    /// has.
    pub resource_type: Arc<str>,
    /// Its place in the order of versions.
    pub version: Version,
    /// Its place in the object.
    pub source: Source,
    /// A hash of everything that its rows depend on; `None` while rows are incomplete, and without rows.
    pub hash: Option<ContentHash>,
    /// Every table that can hold rows of this resource: rows that a newer version no longer has go away there.
    pub tables: Arc<[String]>,
    /// What to do.
    pub fate: Fate,
}

impl ResourceWrite {
    /// Returns the type as the resource says it, which may be unknown to FHIR.
    #[must_use]
    pub fn own_type(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }

    /// Counts the resource as one that stands.
    pub fn count(&self, summary: &mut Summary) {
        match &self.fate {
            Fate::Deleted | Fate::Erased { .. } => summary.deleted += 1,
            Fate::Archived(_) => summary.archived += 1,
            Fate::Rows(rows) => {
                summary.loaded += 1;
                summary.rows += rows.len() as u64;
                match summary.types.get_mut(&*self.resource_type) {
                    Some(count) => *count += 1,
                    None => drop(summary.types.insert(self.resource_type.to_string(), 1)),
                }
            }
        }
    }
}

/// What a write does with a resource.
#[derive(Debug)]
pub enum Fate {
    /// Its rows replace what was there: a range of [`WriteBatch::rows`].
    Rows(std::ops::Range<usize>),
    /// A DELETE entry: its rows go away and older versions stay away.
    Deleted,
    /// It goes whole, as it came, to the archive instead of the tables.
    Archived(Vec<u8>),
    /// An erasure: everything under its key is removed, and no version of it comes back while the mark exists.
    Erased {
        /// [`ErasureMarks::of_resource`](crate::erasure::ErasureMarks::of_resource) of its key.
        mark: String,
    },
}

/// A key that was not known when its row was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The table of the row.
    pub table: String,
    /// The row's `_id`.
    pub row: String,
    /// The version of the row; a newer row has its own completion.
    pub version: Version,
    /// The cell, as a path through records and list items: `component.3.valueReference_key`. The item of a list that
    /// ends the path (`result_keys.3`) says only in which list the key belongs.
    pub path: String,
    /// The target's key.
    pub key: String,
}

impl Completion {
    /// Orders completions so that those of one version of a row stand together.
    #[must_use]
    pub fn by_row(&self, other: &Self) -> cmp::Ordering {
        let row = (&self.table, &self.row, self.version.as_str());
        row.cmp(&(&other.table, &other.row, other.version.as_str()))
    }

    /// Orders completions by row, and those of a row by path: the order in which a database sets several cells at once.
    /// Keys of one list keep their order.
    #[must_use]
    pub fn in_row_order(&self, other: &Self) -> cmp::Ordering {
        self.by_row(other).then_with(|| match (self.list(), other.list()) {
            (Some(list), Some(other)) if list == other => cmp::Ordering::Equal,
            _ => by_steps(&self.path, &other.path),
        })
    }

    /// Returns the list that takes the key, if the key is an item of one: items that are known late come behind the
    /// others, and those that stay unknown leave no trace.
    #[must_use]
    pub fn list(&self) -> Option<&str> {
        list_of(&self.path)
    }
}

/// Returns the path of the list whose item a path ends in.
pub(crate) fn list_of(path: &str) -> Option<&str> {
    let (list, index) = path.rsplit_once('.')?;
    index.bytes().all(|byte| byte.is_ascii_digit()).then_some(list)
}

/// Orders paths step by step, positions in lists by number.
fn by_steps(path: &str, other: &str) -> cmp::Ordering {
    let number = |step: &str| step.parse::<u64>().ok();
    let (mut steps, mut others) = (path.split('.'), other.split('.'));
    loop {
        let order = match (steps.next(), others.next()) {
            (Some(step), Some(other)) => match (number(step), number(other)) {
                (Some(step), Some(other)) => step.cmp(&other),
                _ => step.cmp(other),
            },
            (step, other) => return step.cmp(&other),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// A record that was set aside: a pointer to it and what is wrong, never a value of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The record's place in the object.
    pub source: Source,
    /// The key of the resource, where it could be read and is safe to name.
    pub resource: Option<String>,
    /// SHA-256 of the record's bytes in hex, where they could be read.
    pub sha256: Option<String>,
    /// The place in the order of versions that the record has once it is loaded, without an edition, where it could be
    /// read. A replay of the record alone takes it from here, because it may come from the Bundle around.
    pub version: Option<Version>,
    /// What is wrong: a code and a place.
    pub reason: Reason,
}

impl Reject {
    /// Returns its key: load, ordinal, offset, code, and the view or table. The same reject has the same key in every
    /// reading; of several in one frame, such as those of a Bundle inside a record, each has its own.
    #[must_use]
    pub fn id(&self) -> String {
        let place = match &self.reason {
            Reason::Frame(_) | Reason::Defect { view: None, .. } => "",
            Reason::Defect { view: Some(view), .. } => view,
            Reason::Refused { table, .. } => table,
        };
        let source = &self.source;
        let Source { ordinal, offset, .. } = source;
        format!("{}#{ordinal}:{offset}/{}/{place}", source.object.load_id(), self.reason.code())
    }
}

/// Why a record was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The record's bytes could not be cut out of the object.
    Frame(&'static str),
    /// The resource is defective; with a view's name, only that view's rows are missing.
    Defect {
        /// The view that could not take the resource; `None`: no row of it was written.
        view: Option<String>,
        /// The code and the place.
        defect: Defect,
    },
    /// The database refused one document: its error code, never its message, which quotes data.
    Refused {
        /// The table.
        table: String,
        /// The server's error code.
        code: i32,
    },
}

impl Reason {
    /// Returns the code in the ledger's counts and in `_rejects`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Frame(code) => code,
            Self::Defect { defect, .. } => defect.code.as_str(),
            Self::Refused { .. } => "refused-by-database",
        }
    }
}

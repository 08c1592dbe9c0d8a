//! A store in memory, for tests and for runs that keep nothing. One mutex makes every write atomic.
//!
//! It keeps one entry a resource: the newest version with everything that was made of it.

mod admin;
mod quality;
mod report;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use flatten::model::is_resource_type;
use flatten::{CellValue, TableRow};

use crate::batch::{Completion, Fate, Reject, ResourceWrite, WriteBatch};
use crate::content::ContentHash;
use crate::erasure::{ErasureMarks, SECRET_BYTES};
use crate::interrupted::Interrupted;
use crate::ledger::load::{Load, LoadFilter};
use crate::object::Source;
use crate::retention::RetentionPolicy;
use crate::summary::Summary;
use crate::version::Version;

use super::admin::Erasure;
use super::{ColumnChange, ColumnEntry, LoadStore, LoadWriteError, RowStore};
use crate::manifest::ExportManifest;

/// Makes the marks of erased resources. They never leave the process.
const SECRET: [u8; SECRET_BYTES] = [7; SECRET_BYTES];

const MILLISECONDS_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// Rows, rejects, loads, columns, manifests and records of erasures in ordered maps.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<StoredResources>,
    loads: Mutex<BTreeMap<String, Load>>,
    columns: Mutex<BTreeMap<String, ColumnEntry>>,
    /// By id, each with [`WriteBatch::begun`].
    manifests: Mutex<BTreeMap<String, (ExportManifest, i64)>>,
    erasures: Mutex<Vec<ErasureRecord>>,
    erasure_ids: AtomicU64,
}

/// The record of an erasure, and what became of it.
#[derive(Debug)]
struct ErasureRecord {
    erasure: Erasure,
    ended: Option<i64>,
    lifted: Option<i64>,
}

/// Everything that was written, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoredResources {
    /// The newest version of each resource, by key.
    pub resources: BTreeMap<String, StoredResource>,
    /// The marks of erased resources.
    pub marks: BTreeMap<String, Version>,
    /// Rejects by id.
    pub rejects: BTreeMap<String, RejectInMemory>,
    /// Resource types that some catalog has a table or an archive for.
    types: Vec<String>,
}

/// A reject, and the reading that met it last.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectInMemory {
    /// The reject.
    pub reject: Reject,
    /// [`WriteBatch::reading`]
    pub reading: u32,
    /// [`WriteBatch::begun`]
    pub begun: i64,
}

/// A version of a resource, and what was made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResource {
    /// Its place in the order of versions.
    pub version: Version,
    /// Where it came from.
    pub source: Source,
    /// What its rows follow from.
    pub hash: Option<ContentHash>,
    /// The rows by table and `_id`.
    pub rows: BTreeMap<(String, String), StoredRow>,
    /// The whole resource, where it was archived.
    pub archived: Option<Vec<u8>>,
    /// Why it has no row of its own: `deleted`, `archived` or `no rows`.
    pub tombstone: Option<&'static str>,
    /// Its type, or the one that stands for all unknown types.
    pub resource_type: String,
}

/// A row with its cells in order.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    /// Names and values.
    pub cells: Vec<(String, CellValue)>,
    /// Whether it decides which version of its resource stands.
    pub is_anchor: bool,
}

impl MemoryStore {
    /// Returns a copy of everything that was written.
    #[must_use]
    pub fn stored(&self) -> StoredResources {
        lock(&self.rows).clone()
    }

    /// Returns what makes the marks of erased resources.
    #[must_use]
    pub fn marks(&self) -> ErasureMarks {
        ErasureMarks::new(&SECRET)
    }

    fn write_manifest(&self, manifest: ExportManifest, begun: i64) {
        let mut manifests = lock(&self.manifests);
        let is_newer = |(standing, _): &(ExportManifest, i64)| standing.version < manifest.version;
        if manifests.get(&manifest.id).is_none_or(is_newer) {
            manifests.insert(manifest.id.clone(), (manifest, begun));
        }
    }

    /// Removes what a policy keeps no longer at a moment, in milliseconds since 1970-01-01T00:00:00Z. Tombstones, marks
    /// and records of erasures stay, and so does what is archived. A database does the same by itself.
    pub fn expire(&self, policy: &RetentionPolicy, now: i64) {
        let is_over = |since: i64, days: Option<u32>| {
            days.is_some_and(|days| since.saturating_add(i64::from(days) * MILLISECONDS_A_DAY) < now)
        };
        let StoredResources { resources, rejects, .. } = &mut *lock(&self.rows);
        if let Some(rows) = &policy.rows {
            resources.retain(|_, resource| {
                let days = rows.days_of(&resource.resource_type);
                if is_over(resource.source.object.created, days) {
                    resource.rows.clear();
                }
                !resource.rows.is_empty() || resource.archived.is_some() || resource.tombstone.is_some()
            });
        }
        if let Some(kept) = policy.rejects {
            rejects.retain(|_, reject| !is_over(reject.begun, kept.days()));
        }
        if let Some(kept) = policy.ledger {
            let is_old = |load: &Load| load.settled_at().is_some_and(|settled| is_over(settled, kept.days()));
            lock(&self.loads).retain(|_, load| !is_old(load));
            lock(&self.manifests).retain(|_, (_, begun)| !is_over(*begun, policy.export_days()));
        }
    }

    /// Removes the mark of an erased resource, so that it may be written again. Returns `false` if there is none.
    pub fn lift(&self, key: &str) -> bool {
        lock(&self.rows).marks.remove(&self.marks().of_resource(key)).is_some()
    }
}

#[async_trait]
impl RowStore for MemoryStore {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        let mut summary = Summary::default();
        let marks = self.marks();
        let mut stored = lock(&self.rows);
        let newest = batch.newest_versions();
        for (index, resource) in batch.resources.iter().enumerate() {
            if newest.get(resource.key.as_str()) == Some(&index) {
                stored.write(&batch, resource, &marks, &mut summary);
            } else {
                summary.superseded += 1;
            }
        }
        for completion in &batch.completions {
            stored.complete(completion);
        }
        for reject in batch.rejects_to_store(&[]) {
            stored.reject(reject, &batch, &marks);
        }
        batch.count_rejects(&[], &mut summary);
        for manifest in batch.manifests {
            self.write_manifest(manifest, batch.begun);
        }
        Ok(summary)
    }

    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        let is_current = |_: &String, standing: &mut RejectInMemory| {
            standing.reading >= reading || standing.reject.source.object.load_id() != load
        };
        lock(&self.rows).rejects.retain(is_current);
        Ok(())
    }
}

impl StoredResources {
    /// Writes a resource unless a newer version, or a mark, is there.
    fn write(
        &mut self,
        batch: &WriteBatch,
        resource: &ResourceWrite,
        marks: &ErasureMarks,
        summary: &mut Summary,
    ) {
        if let Fate::Erased { mark } = &resource.fate {
            self.marks.insert(mark.clone(), resource.version.clone());
            self.resources.remove(&resource.key);
            self.rejects.retain(|_, standing| standing.reject.resource.as_ref() != Some(&resource.key));
            resource.count(summary);
            return;
        }
        let is_nowhere = resource.tables.is_empty() && matches!(resource.fate, Fate::Rows(_));
        if is_nowhere && !self.types.iter().any(|known| **known == *resource.resource_type) {
            resource.count(summary);
            return;
        }
        if self.marks.contains_key(&marks.of_resource(&resource.key)) {
            summary.superseded += 1;
            return;
        }
        self.note_type(resource);
        let new = StoredResource::of(batch, resource);
        match self.resources.entry(resource.key.clone()) {
            Entry::Vacant(place) => drop(place.insert(new)),
            Entry::Occupied(standing) if standing.get().says_the_same_as(&new) => {
                summary.unchanged += 1;
                return;
            }
            Entry::Occupied(standing) if standing.get().version > new.version => {
                summary.superseded += 1;
                return;
            }
            // The same version again: its rows may have been completed meanwhile.
            Entry::Occupied(standing) if standing.get().version == new.version => {}
            Entry::Occupied(mut older) => drop(older.insert(new)),
        }
        resource.count(summary);
    }

    fn note_type(&mut self, resource: &ResourceWrite) {
        let has_place = match resource.fate {
            Fate::Rows(_) => !resource.tables.is_empty(),
            Fate::Archived(_) => is_resource_type(&resource.resource_type),
            Fate::Deleted | Fate::Erased { .. } => false,
        };
        if has_place && !self.types.iter().any(|known| **known == *resource.resource_type) {
            self.types.push(resource.resource_type.to_string());
        }
    }

    /// Sets a cell of a row of exactly that version.
    fn complete(&mut self, completion: &Completion) {
        let key = completion.row.split('#').next().unwrap_or_default();
        let resource = self.resources.get_mut(key).filter(|resource| resource.version == completion.version);
        let place = (completion.table.clone(), completion.row.clone());
        if let Some(row) = resource.and_then(|resource| resource.rows.get_mut(&place)) {
            let (path, adds) = completion.list().map_or((&*completion.path, false), |list| (list, true));
            set(&mut row.cells, path, adds, &completion.key);
        }
    }

    fn reject(&mut self, reject: &Reject, batch: &WriteBatch, marks: &ErasureMarks) {
        let id = reject.id();
        if self.rejects.get(&id).is_some_and(|standing| standing.reading > batch.reading) {
            return;
        }
        let mut reject = reject.clone();
        if reject.resource.as_ref().is_some_and(|key| self.marks.contains_key(&marks.of_resource(key))) {
            reject.resource = None;
        }
        let WriteBatch { reading, begun, .. } = *batch;
        self.rejects.insert(id, RejectInMemory { reject, reading, begun });
    }
}

impl StoredResource {
    fn of(batch: &WriteBatch, resource: &ResourceWrite) -> Self {
        let anchor = batch.anchor_row(resource);
        let range = match &resource.fate {
            Fate::Rows(range) => range.clone(),
            _ => 0..0,
        };
        let rows = range.clone().zip(batch.rows.range(range)).map(|(index, row)| {
            let TableRow { table, key, columns: cells } = TableRow::of(row, &batch.names);
            ((table, key), StoredRow { cells, is_anchor: anchor == Some(index) })
        });
        // Of two rows under one key the first stands.
        let mut first_rows = BTreeMap::new();
        for (place, row) in rows {
            first_rows.entry(place).or_insert(row);
        }
        let tombstone = match &resource.fate {
            Fate::Rows(_) => "no rows",
            Fate::Archived(_) => "archived",
            Fate::Deleted | Fate::Erased { .. } => "deleted",
        };
        // Other catalogs have tables for a type that this one has none for.
        let is_nowhere = resource.tables.is_empty() && matches!(resource.fate, Fate::Rows(_));
        Self {
            version: resource.version.clone(),
            source: resource.source.clone(),
            hash: resource.hash,
            rows: first_rows,
            archived: match &resource.fate {
                Fate::Archived(text) => Some(text.clone()),
                _ => None,
            },
            tombstone: (is_nowhere || batch.needs_tombstone(resource)).then_some(tombstone),
            resource_type: resource.resource_type.to_string(),
        }
    }

    /// Returns whether another delivery of the same time has the same content, so that nothing needs to be written.
    fn says_the_same_as(&self, new: &Self) -> bool {
        let has_content = |resource: &Self| resource.hash.is_some() && resource.tombstone.is_none();
        has_content(self)
            && has_content(new)
            && self.hash == new.hash
            && self.version != new.version
            && !new.version.is_remade()
            && new.version.has_time_of(self.version.as_str())
    }
}

/// Sets the cell at a path through records and list items, or adds to the list there what it does not have.
fn set(cells: &mut Vec<(String, CellValue)>, path: &str, adds: bool, key: &str) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let standing = cells.iter_mut().find(|(cell, _)| cell == name).map(|(_, value)| value);
    match (standing, rest) {
        (Some(value), Some(rest)) => set_inside(value, rest, adds, key),
        (Some(CellValue::List(items)), None) if adds => {
            let key = CellValue::Text(key.to_owned());
            if !items.contains(&key) {
                items.push(key);
            }
        }
        (Some(value), None) => *value = CellValue::Text(key.to_owned()),
        (None, None) => cells.push((name.to_owned(), CellValue::Text(key.to_owned()))),
        (None, Some(_)) => {}
    }
}

fn set_inside(value: &mut CellValue, path: &str, adds: bool, key: &str) {
    match value {
        CellValue::Record(cells) => set(cells, path, adds, key),
        CellValue::List(items) => {
            let Some((index, rest)) = path.split_once('.') else { return };
            if let Some(item) = index.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                set_inside(item, rest, adds, key);
            }
        }
        _ => {}
    }
}

#[async_trait]
impl LoadStore for MemoryStore {
    async fn find_load(&self, id: &str) -> Result<Option<Load>, Interrupted> {
        Ok(lock(&self.loads).get(id).cloned())
    }

    async fn list_loads(&self, filter: Option<LoadFilter>, limit: u32) -> Result<Vec<Load>, Interrupted> {
        let mut loads: Vec<Load> = lock(&self.loads).values().cloned().collect();
        loads.retain(|load| filter.is_none_or(|filter| filter.includes(load)));
        loads.sort_by(|a, b| b.begun.cmp(&a.begun).then_with(|| a.id.cmp(&b.id)));
        loads.truncate(limit as usize);
        Ok(loads)
    }

    async fn write_load(&self, load: &Load, replaces: Option<u64>) -> Result<bool, LoadWriteError> {
        let mut loads = lock(&self.loads);
        let is_unchanged = loads.get(&load.id).map(|load| load.revision) == replaces;
        if is_unchanged {
            loads.insert(load.id.clone(), load.clone());
        }
        Ok(is_unchanged)
    }

    async fn is_durable(&self, id: &str, revision: u64) -> Result<bool, Interrupted> {
        Ok(lock(&self.loads).get(id).is_some_and(|load| load.revision == revision))
    }

    async fn find_columns(&self, ids: &[String]) -> Result<Vec<ColumnEntry>, Interrupted> {
        let columns = lock(&self.columns);
        Ok(ids.iter().filter_map(|id| columns.get(id).cloned()).collect())
    }

    async fn count_columns(&self, table: &str, most: usize) -> Result<usize, Interrupted> {
        let entries = lock(&self.columns).values().filter(|entry| entry.table == table).count();
        Ok(entries.min(most))
    }

    async fn write_columns(&self, changes: &[ColumnChange]) -> Result<(), Interrupted> {
        let mut columns = lock(&self.columns);
        for ColumnChange { entry, sets_type, sets_clash } in changes {
            let standing = columns.entry(entry.id()).or_insert_with(|| entry.clone());
            if *sets_type {
                standing.column_type = entry.column_type;
            }
            standing.is_clash |= sets_clash;
            standing.is_outdated = false;
        }
        Ok(())
    }
}

/// Locks a mutex. A panic in another thread has left only whole writes behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

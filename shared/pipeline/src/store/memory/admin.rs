//! What people ask of a store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use flatten::{CellValue, TableRow};

use crate::batch::{Reason, Reject};
use crate::erasure::ErasureMarks;
use crate::ledger::load::{Load, LoadFilter, Status};
use crate::manifest::ExportManifest;
use crate::object::{Pin, Source};
use crate::store::admin::{
    Admin, ArchiveVisitor, ArchivedEntry, ArchivedResource, Erasure, KeptOut, Lift, LoadOutline,
    LoadSelection, LoadVisitor, NotedTable, ObjectName, ReferenceVisitor, RejectFilter, RowVisitor,
    StoredReject, WholeLoadVisitor,
};
use crate::store::exports::{FileSelection, FileVisitor, LoadedFile, ManifestVisitor};
use crate::store::overview::{Folder, LoadPeriod, LoadSums, MAX_FOLDERS, Maker, SUCCESSES};
use crate::store::references::{ReferenceElement, TableOfReferences, key_in_cell, visit_text};
use crate::store::schema::FieldSchema;
use crate::store::standing::{RowOrigin, Standing, StoredSource};
use crate::store::{ColumnEntry, StoreError};
use crate::summary::Summary;

use super::{ErasureRecord, MemoryStore, RejectInMemory, StoredResource, lock};

#[async_trait]
impl Admin for MemoryStore {
    fn database(&self) -> &'static str {
        "memory"
    }

    fn archive_database(&self) -> &'static str {
        "memory"
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn loads_named(&self, name: &str) -> Result<Vec<Load>, StoreError> {
        let mut loads: Vec<Load> = lock(&self.loads).values().cloned().collect();
        loads.retain(|load| load.id == name || load.key == name);
        loads.sort_by_key(|load| std::cmp::Reverse(load.begun));
        Ok(loads)
    }

    async fn load_outlines(
        &self,
        loads: &[String],
        now: i64,
    ) -> Result<BTreeMap<String, LoadOutline>, StoreError> {
        let entries = lock(&self.loads);
        let known = loads.iter().filter_map(|load| entries.get(load));
        let outline = |load: &Load| LoadOutline {
            status: load.status,
            is_stuck: load.is_stuck(now),
            sequencer: load.sequencer.clone(),
        };
        Ok(known.map(|load| (load.id.clone(), outline(load))).collect())
    }

    async fn count_loads(&self, selection: &LoadSelection) -> Result<u64, StoreError> {
        let count = lock(&self.loads).values().filter(|load| is_selected(load, selection)).count();
        Ok(count as u64)
    }

    async fn visit_loads(
        &self,
        selection: &LoadSelection,
        visit: &mut LoadVisitor<'_>,
    ) -> Result<(), StoreError> {
        let loads: Vec<Load> = lock(&self.loads).values().cloned().collect();
        let mut selected = loads.iter().filter(|load| is_selected(load, selection));
        let _stopped = selected.try_for_each(|load| visit(&load.id, load.created));
        Ok(())
    }

    async fn visit_files(
        &self,
        selection: &FileSelection<'_>,
        visit: &mut FileVisitor<'_>,
    ) -> Result<(), StoreError> {
        let FileSelection { bucket, prefix, now } = *selection;
        let loads: Vec<Load> = lock(&self.loads).values().cloned().collect();
        let selected = loads.into_iter().filter(|load| load.bucket == bucket && load.key.starts_with(prefix));
        selected.map(|load| loaded_file(load, now)).for_each(visit);
        Ok(())
    }

    async fn visit_manifests(&self, visit: &mut ManifestVisitor<'_>) -> Result<(), StoreError> {
        let manifests = lock(&self.manifests);
        let manifests: Vec<ExportManifest> =
            manifests.values().map(|(manifest, _)| manifest.clone()).collect();
        let _stopped = manifests.into_iter().rev().try_for_each(visit);
        Ok(())
    }

    async fn sum_loads(&self, period: &LoadPeriod) -> Result<LoadSums, StoreError> {
        let mut sums = LoadSums::default();
        for load in lock(&self.loads).values().filter(|load| period.includes(load)) {
            sums.add(load);
        }
        Ok(sums)
    }

    async fn latest_loads(
        &self,
        period: &LoadPeriod,
        filters: &[LoadFilter],
        limit: u32,
    ) -> Result<Vec<Load>, StoreError> {
        let is_wanted =
            |load: &Load| filters.is_empty() || filters.iter().any(|filter| filter.includes(load));
        let mut loads: Vec<Load> = lock(&self.loads).values().cloned().collect();
        loads.retain(|load| period.includes(load) && is_wanted(load));
        loads.sort_by(|a, b| b.begun.cmp(&a.begun).then_with(|| a.id.cmp(&b.id)));
        loads.truncate(limit as usize);
        Ok(loads)
    }

    async fn last_successes(&self, period: &LoadPeriod) -> Result<BTreeMap<Folder, i64>, StoreError> {
        let loads = lock(&self.loads);
        let successes =
            loads.values().filter(|load| SUCCESSES.contains(&load.status) && period.includes(load));
        let mut folders: BTreeMap<Folder, i64> = BTreeMap::new();
        for load in successes {
            let last = folders.entry(Folder::of(load)).or_insert(i64::MIN);
            *last = (*last).max(load.ended.unwrap_or(load.begun));
        }
        drop(loads);
        let mut latest: Vec<(Folder, i64)> = folders.into_iter().collect();
        latest.sort_by_key(|(_, ended)| std::cmp::Reverse(*ended));
        latest.truncate(MAX_FOLDERS);
        Ok(latest.into_iter().collect())
    }

    async fn visit_outdated_loads(
        &self,
        maker: &Maker,
        after: &str,
        visit: &mut WholeLoadVisitor<'_>,
    ) -> Result<(), StoreError> {
        let loads: Vec<Load> = lock(&self.loads).values().cloned().collect();
        let is_wanted = |load: &Load| load.id.as_str() > after && maker.is_outdated(load);
        let _stopped = loads.into_iter().filter(is_wanted).try_for_each(visit);
        Ok(())
    }

    async fn load_of_other_catalogs(&self, catalogs: &[&str]) -> Result<Option<Load>, StoreError> {
        let loads = lock(&self.loads);
        let mut settled = loads.values().filter(|load| load.status.is_settled());
        Ok(settled.find(|load| !catalogs.contains(&load.catalog.as_str())).cloned())
    }

    async fn noted_tables(&self) -> Result<Vec<NotedTable>, StoreError> {
        let stored = lock(&self.rows);
        let noted = stored.resources.iter().flat_map(|(key, resource)| {
            let own = resource.rows.keys().filter(move |(_, id)| id == key);
            own.map(|(table, _)| NotedTable {
                resource_type: resource.resource_type.clone(),
                table: table.clone(),
            })
        });
        Ok(noted.collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn count_documents(&self, loads: &[&str]) -> Result<BTreeMap<String, u64>, StoreError> {
        let stored = lock(&self.rows);
        let of_resources = stored.resources.values().map(|resource| {
            let documents = resource.rows.len() + usize::from(resource.archived.is_some());
            (resource.source.object.load_id(), documents as u64)
        });
        let of_rejects = stored.rejects.values().map(|standing| (standing.reject.source.object.load_id(), 1));
        let mut counts = BTreeMap::new();
        for (load, documents) in of_resources.chain(of_rejects) {
            if documents > 0 && loads.contains(&load.as_str()) {
                *counts.entry(load).or_default() += documents;
            }
        }
        Ok(counts)
    }

    async fn count_records(&self, loads: &[&str]) -> Result<BTreeMap<String, u64>, StoreError> {
        let entries = lock(&self.loads);
        let known = loads.iter().filter_map(|load| entries.get(*load));
        Ok(known.map(|load| (load.id.clone(), load.summary.records)).collect())
    }

    async fn rejects(&self, filter: &RejectFilter) -> Result<Vec<StoredReject>, StoreError> {
        let stored = lock(&self.rows);
        let rejects =
            stored.rejects.iter().map(|(id, standing)| stored_reject(id, &standing.reject, standing.reading));
        let mut rejects: Vec<StoredReject> = rejects.collect();
        rejects.retain(|reject| {
            filter.loads.as_ref().is_none_or(|loads| loads.contains(&reject.load))
                && filter.code.as_ref().is_none_or(|code| *code == reject.code)
        });
        rejects
            .sort_by(|one, other| (&one.load, one.source.ordinal).cmp(&(&other.load, other.source.ordinal)));
        Ok(rejects)
    }

    async fn remove_reject(&self, id: &str) -> Result<(), StoreError> {
        lock(&self.rows).rejects.remove(id);
        Ok(())
    }

    async fn find_archived(&self, key: &str) -> Result<Option<ArchivedResource>, StoreError> {
        let stored = lock(&self.rows);
        let Some(resource) = stored.resources.get(key) else { return Ok(None) };
        Ok(resource.archived.as_ref().map(|text| ArchivedResource {
            key: key.to_owned(),
            table: resource.resource_type.clone(),
            version: resource.version.as_str().to_owned(),
            load: resource.source.object.load_id(),
            source: Some(stored_source(&resource.source)),
            created: Some(resource.source.object.created),
            text: Some(text.clone()),
        }))
    }

    async fn remove_archived(&self, archived: &ArchivedResource) -> Result<(), StoreError> {
        let mut stored = lock(&self.rows);
        let standing = stored.resources.get_mut(&archived.key);
        if let Some(resource) = standing.filter(|resource| resource.version.as_str() == archived.version) {
            resource.archived = None;
        }
        Ok(())
    }

    async fn count_archived(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for resource in lock(&self.rows).resources.values().filter(|resource| resource.archived.is_some()) {
            *counts.entry(resource.resource_type.clone()).or_default() += 1;
        }
        Ok(counts)
    }

    async fn visit_archived(
        &self,
        resource_type: &str,
        visit: &mut ArchiveVisitor<'_>,
    ) -> Result<(), StoreError> {
        let stored = lock(&self.rows);
        let archived = stored.resources.iter().filter(|(_, resource)| resource.archived.is_some());
        let is_of_type = |key: &str, resource: &StoredResource| {
            resource.resource_type == resource_type || key.split('/').next() == Some(resource_type)
        };
        for (key, resource) in archived.filter(|(key, resource)| is_of_type(key, resource)) {
            let entry = ArchivedEntry { key: key.clone(), source: stored_source(&resource.source) };
            if visit(entry).is_break() {
                break;
            }
        }
        Ok(())
    }

    async fn is_other_archive(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn standing(&self, keys: &BTreeSet<String>) -> Result<BTreeMap<String, Standing>, StoreError> {
        let stored = lock(&self.rows);
        let mut found: BTreeMap<String, Standing> = BTreeMap::new();
        for (key, resource) in stored.resources.iter().filter(|(key, _)| keys.contains(*key)) {
            let load = resource.source.object.load_id();
            let origin = || Some((load.as_str(), stored_source(&resource.source)));
            let standing = found.entry(key.clone()).or_default();
            for (table, _) in resource.rows.keys() {
                standing.add_row(table, origin());
            }
            if resource.archived.is_some() {
                standing.add(&format!("archive {}", resource.resource_type), origin());
            }
            if resource.tombstone.is_some() {
                standing.add("_tombstones", None);
            }
        }
        for RejectInMemory { reject, .. } in stored.rejects.values() {
            if let Some(key) = reject.resource.as_ref().filter(|key| keys.contains(*key)) {
                let load = reject.source.object.load_id();
                let standing = found.entry(key.clone()).or_default();
                standing.add("_rejects", Some((&load, stored_source(&reject.source))));
            }
        }
        found.retain(|_, standing| !standing.is_empty());
        Ok(found)
    }

    async fn visit_rows(
        &self,
        keys: &BTreeSet<String>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), StoreError> {
        let rows = self.table_rows(|key, _| keys.contains(key));
        let _stopped = rows.into_iter().try_for_each(visit);
        Ok(())
    }

    async fn count_rows(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for resource in lock(&self.rows).resources.values() {
            for (table, _) in resource.rows.keys() {
                *counts.entry(table.clone()).or_default() += 1;
            }
        }
        Ok(counts)
    }

    async fn visit_table(&self, table: &str, visit: &mut RowVisitor<'_>) -> Result<(), StoreError> {
        let rows = self.table_rows(|_, name| name == table);
        let _stopped = rows.into_iter().try_for_each(visit);
        Ok(())
    }

    async fn row_origin(&self, id: &str) -> Result<Option<RowOrigin>, StoreError> {
        let stored = lock(&self.rows);
        let is_of = |key: &str, resource: &StoredResource| {
            (resource.archived.is_some() && key == id) || resource.rows.keys().any(|(_, row)| row == id)
        };
        let found = stored.resources.iter().find(|(key, resource)| is_of(key, resource));
        Ok(found.map(|(_, resource)| RowOrigin {
            load: resource.source.object.load_id(),
            source: stored_source(&resource.source),
        }))
    }

    async fn visit_references(&self, visit: &mut ReferenceVisitor<'_>) -> Result<(), StoreError> {
        // A visitor may ask the store.
        let stored = self.stored();
        for (key, resource) in &stored.resources {
            for ((table, _), row) in &resource.rows {
                let table = TableOfReferences::of(table, key);
                for (column, value) in row.cells.iter().filter(|(column, _)| !column.starts_with('_')) {
                    visit_cell(column, value, &mut |path, target| visit(key, table.element(path), target));
                }
            }
            if let Some(text) = &resource.archived {
                visit_text(text, &mut |path, target| {
                    visit(key, ReferenceElement::Path(path.to_owned()), target);
                });
            }
        }
        Ok(())
    }

    async fn kept_out(&self, key: &str) -> Result<Option<KeptOut>, StoreError> {
        let mark = self.marks().of_resource(key);
        if !lock(&self.rows).marks.contains_key(&mark) {
            return Ok(None);
        }
        let erasures = lock(&self.erasures);
        let of_mark = erasures.iter().map(|record| &record.erasure).filter(|erasure| erasure.mark == mark);
        let since = of_mark.map(|erasure| erasure.begun).max();
        Ok(Some(KeptOut { mark, since }))
    }

    async fn erasure_marks(&self) -> Result<ErasureMarks, StoreError> {
        Ok(self.marks())
    }

    async fn remove_mark(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.lift(key))
    }

    fn new_erasure_id(&self) -> String {
        self.erasure_ids.fetch_add(1, Ordering::Relaxed).to_string()
    }

    async fn begin_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        let record = ErasureRecord { erasure: erasure.clone(), ended: None, lifted: None };
        lock(&self.erasures).push(record);
        Ok(())
    }

    async fn end_erasure(&self, id: &str, at: i64) -> Result<(), StoreError> {
        for record in lock(&self.erasures).iter_mut().filter(|record| record.erasure.id == id) {
            record.ended = Some(at);
        }
        Ok(())
    }

    async fn lift_erasures(&self, mark: &str, lift: &Lift) -> Result<(), StoreError> {
        for record in lock(&self.erasures).iter_mut().filter(|record| record.erasure.mark == mark) {
            record.lifted = record.lifted.or(Some(lift.at));
        }
        Ok(())
    }

    async fn rename_object(&self, load: &str, object: &ObjectName, mark: &str) -> Result<bool, StoreError> {
        let ObjectName { bucket, key } = object;
        let pin = load.strip_prefix(&format!("{bucket}/{key}")).unwrap_or_default();
        let renamed = format!("{bucket}/{mark}{pin}");
        let mut loads = lock(&self.loads);
        if loads.get(load).is_some_and(|entry| entry.status == Status::Running) {
            return Ok(false);
        }
        if let Some(entry) = loads.remove(load) {
            loads.insert(renamed.clone(), Load { id: renamed.clone(), key: mark.to_owned(), ..entry });
        }
        drop(loads);
        let mut manifests = lock(&self.manifests);
        let all = manifests.values().map(|(manifest, _)| manifest);
        let listing = all.filter(|manifest| manifest.lists(bucket, key)).cloned().collect();
        for manifest in ExportManifest::with_mark(listing, key, mark) {
            manifests.entry(manifest.id.clone()).and_modify(|(standing, _)| *standing = manifest);
        }
        drop(manifests);
        let mut columns = lock(&self.columns);
        let first = columns.values_mut().filter_map(|entry| entry.first.as_mut());
        for first in first.filter(|first| first.load == load) {
            first.load.clone_from(&renamed);
        }
        drop(columns);
        let mut erasures = lock(&self.erasures);
        let objects = erasures.iter_mut().flat_map(|record| &mut record.erasure.objects);
        for object in objects.filter(|object| object.bucket == *bucket && object.key == *key) {
            mark.clone_into(&mut object.key);
        }
        Ok(true)
    }

    async fn table_schemas(&self) -> Result<BTreeMap<String, FieldSchema>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn columns(&self) -> Result<Vec<ColumnEntry>, StoreError> {
        Ok(lock(&self.columns).values().cloned().collect())
    }
}

impl MemoryStore {
    /// Returns the rows of tables and resources that are selected by key and table, ordered by table and key.
    fn table_rows(&self, is_selected: impl Fn(&str, &str) -> bool) -> Vec<TableRow> {
        let mut rows = Vec::new();
        for (key, resource) in &lock(&self.rows).resources {
            let source = source_cell(&stored_source(&resource.source));
            let selected = resource.rows.iter().filter(|((table, _), _)| is_selected(key, table));
            rows.extend(selected.map(|((table, id), row)| {
                let mut columns = row.cells.clone();
                columns.push(("_source".to_owned(), source.clone()));
                TableRow { table: table.clone(), key: id.clone(), columns }
            }));
        }
        rows.sort_by(|one, other| (&one.table, &one.key).cmp(&(&other.table, &other.key)));
        rows
    }
}

fn loaded_file(load: Load, now: i64) -> LoadedFile {
    let is_stuck = load.is_stuck(now);
    let Load { id, key, created, sequencer, status, summary, .. } = load;
    let Summary { records, rejected, delete_entries, types, .. } = summary;
    LoadedFile {
        load: id,
        key,
        created,
        sequencer,
        status,
        is_stuck,
        records,
        rejected,
        delete_entries,
        types,
    }
}

fn is_selected(load: &Load, selection: &LoadSelection) -> bool {
    let LoadSelection { bucket, prefix, suffix, since, until, status } = selection;
    load.bucket == *bucket
        && load.key.starts_with(prefix)
        && load.key.ends_with(suffix)
        && since.is_none_or(|since| load.created >= since)
        && until.is_none_or(|until| load.created < until)
        && status.is_none_or(|status| load.status == status)
}

fn stored_source(source: &Source) -> StoredSource {
    let Source { object, ordinal, offset, length, .. } = source;
    StoredSource {
        bucket: object.bucket.clone(),
        key: object.key.clone(),
        version_id: match &object.pin {
            Pin::VersionId(version) => Some(version.clone()),
            Pin::ETag(_) | Pin::Latest => None,
        },
        ordinal: *ordinal,
        offset: *offset,
        length: *length,
    }
}

fn stored_reject(id: &str, reject: &Reject, reading: u32) -> StoredReject {
    let mut stored = StoredReject {
        id: id.to_owned(),
        load: reject.source.object.load_id(),
        source: stored_source(&reject.source),
        line: Some(reject.source.line),
        sha256: reject.sha256.clone(),
        version: reject.version.as_ref().map(|version| version.as_str().to_owned()),
        resource: reject.resource.clone(),
        code: reject.reason.code().to_owned(),
        reading,
        ..StoredReject::default()
    };
    match &reject.reason {
        Reason::Frame(_) => {}
        Reason::Defect { view, defect } => {
            stored.view.clone_from(view);
            stored.path = Some(defect.path.clone());
            stored.offset_in_record = defect.offset.map(|offset| offset as u64);
        }
        Reason::Refused { table, code } => stored.refused = Some((table.clone(), *code)),
    }
    stored
}

fn visit_cell(path: &str, value: &CellValue, visit: &mut impl FnMut(&str, &str)) {
    match value {
        CellValue::Text(text) => {
            if let Some(target) = key_in_cell(text) {
                visit(path, target);
            }
        }
        CellValue::List(items) => items.iter().for_each(|item| visit_cell(path, item, visit)),
        CellValue::Record(cells) => {
            for (name, cell) in cells {
                visit_cell(&format!("{path}.{name}"), cell, visit);
            }
        }
        _ => {}
    }
}

/// Returns where a row came from, as the cell of a stored row.
fn source_cell(source: &StoredSource) -> CellValue {
    let text = |name: &str, value: &str| (name.to_owned(), CellValue::Text(value.to_owned()));
    let number =
        |name: &str, value: u64| (name.to_owned(), CellValue::Long(i64::try_from(value).unwrap_or(i64::MAX)));
    let mut cells = vec![text("bucket", &source.bucket), text("key", &source.key)];
    cells.extend(source.version_id.as_deref().map(|version| text("versionId", version)));
    cells.extend([
        number("ordinal", source.ordinal),
        number("offset", source.offset),
        number("length", source.length),
    ]);
    CellValue::Record(cells)
}

//! What a report asks of a store in memory.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use flatten::CellValue;

use crate::ledger::load::{Load, Status};
use crate::store::StoreError;
use crate::store::admin::{ObjectName, WholeLoadVisitor};
use crate::store::overview::LoadSums;
use crate::store::report::{ErasureOutline, FillCounts, LoadSpan, ReportStore, day_of, has_failed};

use super::{MemoryStore, RejectInMemory, lock};

#[async_trait]
impl ReportStore for MemoryStore {
    async fn sum_days(&self, span: &LoadSpan) -> Result<BTreeMap<i64, LoadSums>, StoreError> {
        let mut days: BTreeMap<i64, LoadSums> = BTreeMap::new();
        for load in lock(&self.loads).values().filter(|load| span.includes(load)) {
            days.entry(day_of(span.moment_of(load))).or_default().add(load);
        }
        Ok(days)
    }

    async fn visit_failures(
        &self,
        span: &LoadSpan,
        now: i64,
        visit: &mut WholeLoadVisitor<'_>,
    ) -> Result<(), StoreError> {
        let loads: Vec<Load> = lock(&self.loads).values().cloned().collect();
        let failures = loads.into_iter().filter(|load| span.includes(load) && has_failed(load, now));
        let _stopped = { failures }.try_for_each(visit);
        Ok(())
    }

    async fn newest_complete(
        &self,
        objects: &BTreeSet<ObjectName>,
    ) -> Result<BTreeMap<ObjectName, i64>, StoreError> {
        let mut newest: BTreeMap<ObjectName, i64> = BTreeMap::new();
        for load in lock(&self.loads).values().filter(|load| load.status == Status::Done) {
            let object = ObjectName { bucket: load.bucket.clone(), key: load.key.clone() };
            if objects.contains(&object) {
                let created = newest.entry(object).or_insert(load.created);
                *created = (*created).max(load.created);
            }
        }
        Ok(newest)
    }

    async fn count_rejects(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for RejectInMemory { reject, .. } in lock(&self.rows).rejects.values() {
            *counts.entry(reject.reason.code().to_owned()).or_default() += 1;
        }
        Ok(counts)
    }

    async fn count_rejects_of(&self, loads: &[String]) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for RejectInMemory { reject, .. } in lock(&self.rows).rejects.values() {
            let load = reject.source.object.load_id();
            if loads.contains(&load) {
                *counts.entry(load).or_default() += 1;
            }
        }
        Ok(counts)
    }

    async fn erasures(&self, since: i64, until: i64) -> Result<Vec<ErasureOutline>, StoreError> {
        let erasures = lock(&self.erasures);
        let begun = erasures.iter().filter(|record| (since..until).contains(&record.erasure.begun));
        let mut outlines: Vec<ErasureOutline> = begun
            .map(|record| ErasureOutline {
                command: record.erasure.command.clone(),
                begun: record.erasure.begun,
                ended: record.ended,
                lifted: record.lifted,
                documents: record.erasure.counts.values().sum(),
            })
            .collect();
        outlines.sort_by_key(|outline| outline.begun);
        Ok(outlines)
    }

    async fn estimate_rows(&self, table: &str) -> Result<u64, StoreError> {
        let stored = lock(&self.rows);
        let rows = stored.resources.values().flat_map(|resource| resource.rows.keys());
        Ok(rows.filter(|(of, _)| of == table).count() as u64)
    }

    /// Looks at all rows.
    async fn count_filled(
        &self,
        table: &str,
        columns: &[String],
        _: Option<u64>,
    ) -> Result<FillCounts, StoreError> {
        let mut counts = FillCounts { rows: 0, filled: vec![0; columns.len()] };
        let stored = lock(&self.rows);
        let rows = stored.resources.values().flat_map(|resource| &resource.rows);
        for (_, row) in rows.filter(|((of, _), _)| of == table) {
            counts.rows += 1;
            for (column, filled) in columns.iter().zip(&mut counts.filled) {
                *filled += u64::from(is_filled(&row.cells, column));
            }
        }
        Ok(counts)
    }
}

/// Returns whether a row, or any item of a list in it, has a value at a path.
fn is_filled(cells: &[(String, CellValue)], path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let cell = cells.iter().find(|(cell, _)| cell == name).map(|(_, value)| value);
    cell.is_some_and(|value| match rest {
        Some(rest) => is_filled_inside(value, rest),
        None => !matches!(value, CellValue::Null),
    })
}

fn is_filled_inside(value: &CellValue, path: &str) -> bool {
    match value {
        CellValue::Record(cells) => is_filled(cells, path),
        CellValue::List(items) => items.iter().any(|item| is_filled_inside(item, path)),
        _ => false,
    }
}

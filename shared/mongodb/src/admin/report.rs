//! Counts for reports, by aggregations: the server counts, and no value of a row leaves it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt as _;
use pipeline::erasure::{ERASURES, SECRET_ID};
use pipeline::ledger::{LoadFilter, Status};
use pipeline::store::StoreError;
use pipeline::store::admin::{ObjectName, WholeLoadVisitor};
use pipeline::store::overview::LoadSums;
use pipeline::store::report::{ErasureOutline, FAILURES, FillCounts, LoadSpan, ReportStore};

use crate::MongoStore;
use crate::collections::{LOADS, REJECTS};
use crate::loads::{filter_of, load_of};

use super::databases::{Databases, text};
use super::failure::DriverFailure;
use super::overview::{any_of, count, sum_days};

/// Objects, or loads, that are asked for at once.
const ASKED_AT_ONCE: usize = 1_000;

#[async_trait]
impl ReportStore for MongoStore {
    async fn sum_days(&self, span: &LoadSpan) -> Result<BTreeMap<i64, LoadSums>, StoreError> {
        Ok(sum_days(&self.databases(), span).await?)
    }

    async fn visit_failures(
        &self,
        span: &LoadSpan,
        now: i64,
        visit: &mut WholeLoadVisitor<'_>,
    ) -> Result<(), StoreError> {
        Ok(visit_failures(&self.databases(), span, now, visit).await?)
    }

    async fn newest_complete(
        &self,
        objects: &BTreeSet<ObjectName>,
    ) -> Result<BTreeMap<ObjectName, i64>, StoreError> {
        Ok(newest_complete(&self.databases(), objects).await?)
    }

    async fn count_rejects(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(count_rejects(&self.databases(), "$code", doc! {}).await?)
    }

    async fn count_rejects_of(&self, loads: &[String]) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for loads in loads.chunks(ASKED_AT_ONCE) {
            let of_loads = doc! { "_load": { "$in": loads } };
            counts.extend(count_rejects(&self.databases(), "$_load", of_loads).await?);
        }
        Ok(counts)
    }

    async fn erasures(&self, since: i64, until: i64) -> Result<Vec<ErasureOutline>, StoreError> {
        Ok(erasures(&self.databases(), since, until).await?)
    }

    async fn estimate_rows(&self, table: &str) -> Result<u64, StoreError> {
        let rows = self.databases().rows.collection::<Document>(table).estimated_document_count().await;
        Ok(rows.map_err(DriverFailure::from)?)
    }

    async fn count_filled(
        &self,
        table: &str,
        columns: &[String],
        rows: Option<u64>,
    ) -> Result<FillCounts, StoreError> {
        let stages = fill_stages(columns, rows);
        Ok(count_filled(&self.databases(), table, stages, columns.len()).await?)
    }
}

async fn visit_failures(
    databases: &Databases,
    span: &LoadSpan,
    now: i64,
    visit: &mut WholeLoadVisitor<'_>,
) -> Result<(), DriverFailure> {
    let failures = any_of(&FAILURES);
    let filter = doc! {
        "begun": { "$gte": DateTime::from_millis(span.since) },
        "$or": [
            { "status": failures.clone() }, { "history.end": failures }, filter_of(LoadFilter::Stuck { now }),
        ],
    };
    let mut found = databases.own(LOADS).find(filter).await?;
    while let Some(found) = found.try_next().await? {
        let load = load_of(&found).filter(|load| span.includes(load));
        if load.is_some_and(|load| visit(load).is_break()) {
            break;
        }
    }
    Ok(())
}

async fn newest_complete(
    databases: &Databases,
    objects: &BTreeSet<ObjectName>,
) -> Result<BTreeMap<ObjectName, i64>, DriverFailure> {
    let mut newest = BTreeMap::new();
    let keys: BTreeSet<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    for keys in keys.chunks(ASKED_AT_ONCE) {
        let stages = [
            doc! { "$match": { "key": { "$in": keys }, "status": Status::Done.as_str() } },
            doc! { "$group": {
                "_id": { "bucket": "$bucket", "key": "$key" }, "created": { "$max": "$created" },
            } },
        ];
        let mut found = databases.own(LOADS).aggregate(stages).await?;
        while let Some(found) = found.try_next().await? {
            let Ok(id) = found.get_document("_id") else { continue };
            let (Some(bucket), Some(key)) = (text(id, "bucket"), text(id, "key")) else { continue };
            let object = ObjectName { bucket, key };
            if let (true, Ok(created)) = (objects.contains(&object), found.get_datetime("created")) {
                newest.insert(object, created.timestamp_millis());
            }
        }
    }
    Ok(newest)
}

async fn count_rejects(
    databases: &Databases,
    by: &str,
    filter: Document,
) -> Result<BTreeMap<String, u64>, DriverFailure> {
    let stages = [doc! { "$match": filter }, doc! { "$group": { "_id": by, "rejects": { "$sum": 1_i64 } } }];
    let found: Vec<Document> = databases.own(REJECTS).aggregate(stages).await?.try_collect().await?;
    Ok(found.iter().filter_map(|found| Some((text(found, "_id")?, count(found, "rejects")))).collect())
}

async fn erasures(
    databases: &Databases,
    since: i64,
    until: i64,
) -> Result<Vec<ErasureOutline>, DriverFailure> {
    let begun = doc! { "$gte": DateTime::from_millis(since), "$lt": DateTime::from_millis(until) };
    let filter = doc! { "_id": { "$ne": SECRET_ID }, "begun": begun };
    let fields = doc! { "command": 1, "begun": 1, "ended": 1, "lifted.at": 1, "counts": 1 };
    let found = databases.own(ERASURES).find(filter).projection(fields).sort(doc! { "begun": 1 }).await?;
    let found: Vec<Document> = found.try_collect().await?;
    Ok(found.iter().filter_map(erasure).collect())
}

fn erasure(document: &Document) -> Option<ErasureOutline> {
    let moment = |document: &Document, name: &str| {
        document.get_datetime(name).ok().map(|moment| moment.timestamp_millis())
    };
    let command = document.get("command").map(|command| match command {
        Bson::ObjectId(id) => id.to_hex(),
        other => other.as_str().unwrap_or_default().to_owned(),
    });
    let counts = document.get_document("counts").ok();
    let documents = counts.map(|counts| counts.keys().map(|place| count(counts, place)).sum());
    Some(ErasureOutline {
        command: command?,
        begun: moment(document, "begun")?,
        ended: moment(document, "ended"),
        lifted: document.get_document("lifted").ok().and_then(|lifted| moment(lifted, "at")),
        documents: documents.unwrap_or_default(),
    })
}

/// Returns the stages that count rows and, as `c0`, `c1` …, those in which each column is filled.
fn fill_stages(columns: &[String], rows: Option<u64>) -> Vec<Document> {
    let sample = rows.map(|rows| doc! { "$sample": { "size": i64::try_from(rows).unwrap_or(i64::MAX) } });
    let mut sums = doc! { "_id": Bson::Null, "rows": { "$sum": 1_i64 } };
    for (index, column) in columns.iter().enumerate() {
        let path: Vec<&str> = column.split('.').collect();
        let is_filled = is_filled("$", &path);
        sums.insert(format!("c{index}"), doc! { "$sum": { "$cond": [is_filled, 1_i64, 0_i64] } });
    }
    sample.into_iter().chain([doc! { "$group": sums }]).collect()
}

/// Returns whether there is a value at a path inside a document, or inside any document of a list.
fn is_filled(inside: &str, path: &[&str]) -> Bson {
    match path {
        [] => true.into(),
        // Everything that stands in a row sorts behind null.
        [name] => doc! { "$gt": [format!("{inside}{name}"), Bson::Null] }.into(),
        [name, rest @ ..] => {
            let value = format!("{inside}{name}");
            let empty: [Bson; 0] = [];
            let items = doc! { "$cond": [
                { "$isArray": &value }, &value,
                { "$cond": [{ "$gt": [&value, Bson::Null] }, [&value], empty.to_vec()] },
            ] };
            let variable = format!("i{}", rest.len());
            let has = is_filled(&format!("$${variable}."), rest);
            doc! { "$anyElementTrue": [{ "$map": { "input": items, "as": variable, "in": has } }] }.into()
        }
    }
}

async fn count_filled(
    databases: &Databases,
    table: &str,
    stages: Vec<Document>,
    columns: usize,
) -> Result<FillCounts, DriverFailure> {
    let mut found = databases.rows.collection::<Document>(table).aggregate(stages).await?;
    let Some(found) = found.try_next().await? else {
        return Ok(FillCounts { rows: 0, filled: vec![0; columns] });
    };
    let filled = (0..columns).map(|index| count(&found, &format!("c{index}"))).collect();
    Ok(FillCounts { rows: count(&found, "rows"), filled })
}

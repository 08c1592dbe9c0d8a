//! What data checks ask, counted by the server: rows by the pattern of the conditions that they fulfil, groups, and keys
//! without a row.

mod expressions;

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use futures::TryStreamExt as _;
use mongodb::error::{Error, ErrorKind};
use pipeline::store::overview::{Folder, LoadPeriod};
use pipeline::store::quality::{
    FolderDay, GroupQuestion, LoadDays, MOMENT_SUFFIX, ReferenceKeyColumn, RepetitionQuestion, RowCondition,
    RowGroup, Share, SubjectOrder, SubjectQuestion,
};

use crate::collections::LOADS;

use super::databases::{Databases, text};
use super::failure::DriverFailure;
use super::overview::period_filter;
use expressions::{Scope, certainly_before, expression, present, rare_text_filter};

/// A pass over a table evaluates so many conditions: a stage has a bounded size.
const CONDITIONS_IN_A_PASS: usize = 80;

/// Subjects whose rows are looked at in one query.
const SUBJECTS_IN_A_QUERY: usize = 2_000;

const DAY: i64 = 86_400_000;

pub(super) async fn count_matches(
    databases: &Databases,
    table: &str,
    conditions: &[RowCondition],
) -> Result<Vec<u64>, DriverFailure> {
    let mut counts = vec![0; conditions.len()];
    let (rare, others): (Vec<usize>, Vec<usize>) = (0..conditions.len()).partition(|&index| {
        conditions.get(index).is_some_and(|condition| !rare_text_filter(&[condition]).is_empty())
    });
    let passes = rare.chunks(CONDITIONS_IN_A_PASS).chain(others.chunks(CONDITIONS_IN_A_PASS));
    for pass in passes {
        let asked: Vec<&RowCondition> = pass.iter().filter_map(|&index| conditions.get(index)).collect();
        let filter = rare_text_filter(&asked);
        // Few patterns are met, and each row is looked at once for all conditions.
        let pattern: Vec<Document> =
            asked.iter().map(|condition| expression(condition, Scope::ROW)).collect();
        let group = doc! { "$group": { "_id": pattern, "rows": { "$sum": 1_i64 } } };
        for found in answer(databases, table, vec![doc! { "$match": filter }, group]).await? {
            let rows = count(&found, "rows");
            let held = found.get_array("_id").map(Vec::as_slice).unwrap_or_default();
            for (index, _) in pass.iter().zip(held).filter(|(_, held)| **held == Bson::Boolean(true)) {
                if let Some(sum) = counts.get_mut(*index) {
                    *sum += rows;
                }
            }
        }
    }
    Ok(counts)
}

pub(super) async fn group_rows(
    databases: &Databases,
    table: &str,
    question: &GroupQuestion,
) -> Result<Vec<RowGroup>, DriverFailure> {
    let number = format!("${}", question.power_of);
    let is_above_zero = RowCondition::Above(question.power_of.clone(), 0);
    let mut key: Vec<Bson> = question.columns.iter().map(|column| Bson::from(format!("${column}"))).collect();
    key.push(doc! { "$toInt": { "$floor": { "$log10": { "$toDouble": number } } } }.into());
    let stages = vec![
        doc! { "$match": { "$expr": expression(&is_above_zero, Scope::ROW) } },
        doc! { "$group": { "_id": key, "rows": { "$sum": 1_i64 } } },
    ];
    let group = |found: &Document| {
        let mut key: Vec<Option<&Bson>> = found.get_array("_id").ok()?.iter().map(Some).collect();
        let power = key.pop()??.as_i32()?;
        let key = key.into_iter().map(|value| value.and_then(Bson::as_str).map(str::to_owned)).collect();
        Some(RowGroup { key, power, rows: count(found, "rows") })
    };
    let mut groups: Vec<RowGroup> =
        answer(databases, table, stages).await?.iter().filter_map(group).collect();
    groups.sort();
    Ok(groups)
}

pub(super) async fn count_repeated(
    databases: &Databases,
    table: &str,
    question: &RepetitionQuestion,
) -> Result<Share, DriverFailure> {
    let mut conditions: Vec<Document> =
        question.columns.iter().map(|column| present(Scope::ROW.field(column))).collect();
    conditions.push(expression(&question.condition, Scope::ROW));
    let mut key: Vec<Bson> = question.columns.iter().map(|column| Bson::from(format!("${column}"))).collect();
    if let Some(number) = &question.number {
        conditions.push(present(Scope::ROW.field(number)));
        key.push(doc! { "$toString": format!("${number}") }.into());
    }
    let stages = vec![doc! { "$match": { "$expr": { "$and": conditions } } }];
    // Hashes of 64 bits need a part of the memory. Servers that have none group by the values.
    let hash = doc! { "$toHashedIndexKey": &key }.into();
    match repeated(databases, table, stages.clone(), hash).await {
        Err(error) if is_unknown_operator(&error) => {
            Ok(repeated(databases, table, stages, key.into()).await?)
        }
        answer => Ok(answer?),
    }
}

/// Returns whether the server does not know an operator of the pipeline.
fn is_unknown_operator(error: &Error) -> bool {
    const INVALID_PIPELINE_OPERATOR: i32 = 168;
    matches!(&*error.kind, ErrorKind::Command(failure) if failure.code == INVALID_PIPELINE_OPERATOR)
}

pub(super) async fn count_shared(
    databases: &Databases,
    table: &str,
    column: &str,
) -> Result<Share, DriverFailure> {
    let field = format!("${column}");
    let once = doc! { "$setUnion": [{ "$ifNull": [field, []] }] };
    let stages = vec![
        doc! { "$project": { "_id": 0, "value": once } },
        doc! { "$unwind": "$value" },
        // Without a system, or without a value, it identifies nothing.
        doc! { "$match": { "value": { "$regex": r"\A[^|].*[^|]\z", "$options": "s" } } },
    ];
    Ok(repeated(databases, table, stages, "$value".into()).await?)
}

/// Counts what stands more than once.
async fn repeated(
    databases: &Databases,
    table: &str,
    mut stages: Vec<Document>,
    key: Bson,
) -> Result<Share, Error> {
    let more_than_one = doc! { "$cond": [{ "$gt": ["$rows", 1] }, "$rows", 0] };
    stages.push(doc! { "$group": { "_id": key, "rows": { "$sum": 1_i64 } } });
    stages.push(doc! { "$group": {
        "_id": Bson::Null, "count": { "$sum": more_than_one }, "of": { "$sum": "$rows" },
    } });
    let found = answer(databases, table, stages).await?;
    Ok(found.first().map(share).unwrap_or_default())
}

pub(super) async fn count_dangling(
    databases: &Databases,
    table: &str,
    column: &ReferenceKeyColumn,
) -> Result<BTreeMap<String, Share>, DriverFailure> {
    let mut shares = BTreeMap::new();
    for kind in types_of_keys(databases, table, column).await? {
        let mut stages = keys(column);
        stages.push(doc! { "$match": { "key": { "$gte": format!("{kind}/"), "$lt": format!("{kind}0") } } });
        stages.push(doc! { "$match": { "key": { "$not": { "$regex": "#" } } } });
        stages.push(doc! { "$group": { "_id": "$key", "rows": { "$sum": 1_i64 } } });
        // A key that stands in both parts has a row.
        stages.push(doc! { "$unionWith": { "coll": &kind, "pipeline": [{ "$project": { "_id": 1 } }] } });
        stages.push(doc! { "$group": {
            "_id": "$_id", "rows": { "$sum": "$rows" }, "parts": { "$sum": 1_i64 },
        } });
        let dangling = doc! { "$cond": [{ "$eq": ["$parts", 1_i64] }, "$rows", 0] };
        stages.push(doc! { "$group": {
            "_id": Bson::Null, "count": { "$sum": dangling }, "of": { "$sum": "$rows" },
        } });
        if let Some(found) = answer(databases, table, stages).await?.first() {
            shares.insert(kind, share(found));
        }
    }
    shares.retain(|_, share: &mut Share| share.of > 0);
    Ok(shares)
}

/// Returns the types that the keys of a column begin with.
async fn types_of_keys(
    databases: &Databases,
    table: &str,
    column: &ReferenceKeyColumn,
) -> Result<BTreeSet<String>, DriverFailure> {
    let path = &*column.0;
    if !path.contains('.') && !path.ends_with("keys") {
        return types_in_order(databases, table, path).await;
    }
    let mut stages = keys(column);
    let kind = doc! { "$arrayElemAt": [{ "$split": ["$key", "/"] }, 0] };
    stages.push(doc! { "$group": { "_id": kind } });
    let found = answer(databases, table, stages).await?;
    Ok(found.iter().filter_map(|kind| text(kind, "_id")).collect())
}

/// Returns the types of the keys in a column by jumping from one to the next: where the column has an index, no row is
/// read.
async fn types_in_order(
    databases: &Databases,
    table: &str,
    column: &str,
) -> Result<BTreeSet<String>, DriverFailure> {
    let (mut types, mut behind) = (BTreeSet::new(), String::new());
    loop {
        let (mut filter, mut only, mut order) = (Document::new(), doc! { "_id": 0 }, Document::new());
        filter.insert(column, doc! { "$gt": &behind });
        only.insert(column, 1);
        order.insert(column, 1);
        let next = databases.own(table).find_one(filter).projection(only).sort(order).await?;
        let Some(key) = next.and_then(|row| text(&row, column)) else { return Ok(types) };
        match key.split_once('/') {
            // `0` follows `/`.
            Some((kind, _)) => {
                behind = format!("{kind}0");
                types.insert(kind.to_owned());
            }
            None => behind = key,
        }
    }
}

/// Returns the stages that bring each key of a column in a document of its own.
fn keys(column: &ReferenceKeyColumn) -> Vec<Document> {
    let path = &*column.0;
    let mut stages = vec![doc! { "$project": { "_id": 0, path: 1 } }];
    let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    // A value that is not a list is left as it is.
    stages.extend(ends.filter_map(|end| path.get(..end)).map(|list| doc! { "$unwind": format!("${list}") }));
    stages.push(doc! { "$project": { "key": format!("${path}") } });
    stages.push(doc! { "$match": { "key": { "$type": "string" } } });
    stages
}

pub(super) async fn count_beside_subject(
    databases: &Databases,
    table: &str,
    question: &SubjectQuestion,
) -> Result<Vec<u64>, DriverFailure> {
    let mut counts = vec![0; question.comparisons.len()];
    let subjects = suspicious_subjects(databases, table, question).await?;
    let (dates, pattern) = comparisons(question);
    for subjects in subjects.chunks(SUBJECTS_IN_A_QUERY) {
        let mut filter = Document::new();
        filter.insert(&question.key, doc! { "$in": subjects });
        // A subject is looked up once, not once a row.
        let stages = vec![
            doc! { "$match": filter },
            doc! { "$group": { "_id": format!("${}", question.key), "rows": { "$push": &dates } } },
            doc! { "$lookup": {
                "from": question.subjects, "localField": "_id", "foreignField": "_id", "as": "subject",
            } },
            doc! { "$unwind": "$subject" },
            doc! { "$unwind": "$rows" },
            doc! { "$group": { "_id": &pattern, "rows": { "$sum": 1_i64 } } },
        ];
        for found in answer(databases, table, stages).await? {
            let held = found.get_array("_id").map(Vec::as_slice).unwrap_or_default();
            for (sum, held) in counts.iter_mut().zip(held) {
                *sum += if *held == Bson::Boolean(true) { count(&found, "rows") } else { 0 };
            }
        }
    }
    Ok(counts)
}

/// Returns what is collected of a row, and the expressions of the comparisons over that and the subject.
fn comparisons(question: &SubjectQuestion) -> (Document, Vec<Document>) {
    let (mut dates, mut pattern) = (Document::new(), Vec::new());
    for (index, comparison) in question.comparisons.iter().enumerate() {
        let (date, at) = of_row(&comparison.date);
        let (date_name, at_name, other) =
            (format!("date{index}"), format!("at{index}"), format!("other{index}"));
        dates.insert(&date_name, date);
        dates.insert(&at_name, at);
        dates.insert(&other, expression(&comparison.condition, Scope::ROW));
        let date = (format!("$rows.{date_name}"), format!("$rows.{at_name}"));
        let subject = (
            format!("$subject.{}", comparison.subject_date),
            format!("$subject.{}{MOMENT_SUFFIX}", comparison.subject_date),
        );
        let in_order = match comparison.order {
            SubjectOrder::Before => certainly_before(date, subject),
            SubjectOrder::AfterBy(margin) => {
                let is_past = doc! { "$gt": [{ "$subtract": [&date.1, &subject.1] }, margin] };
                doc! { "$and": [certainly_before(subject, date), is_past] }
            }
        };
        pattern.push(doc! { "$and": [in_order, format!("$rows.{other}")] });
    }
    (dates, pattern)
}

/// Returns the subjects that some comparison may hold for, by the earliest and the latest moment of their rows.
async fn suspicious_subjects(
    databases: &Databases,
    table: &str,
    question: &SubjectQuestion,
) -> Result<Vec<String>, DriverFailure> {
    let mut has_key = Document::new();
    has_key.insert(&question.key, doc! { "$gt": "" });
    let mut group = doc! { "_id": format!("${}", question.key) };
    let mut suspicions = Vec::new();
    for (index, comparison) in question.comparisons.iter().enumerate() {
        let (name, at) = (format!("at{index}"), of_row(&comparison.date).1);
        let subject = format!("$subject.{}{MOMENT_SUFFIX}", comparison.subject_date);
        let bound = format!("${name}");
        let (operator, suspicion) = match comparison.order {
            SubjectOrder::Before => ("$min", doc! { "$lt": [&bound, &subject] }),
            SubjectOrder::AfterBy(_) => ("$max", doc! { "$gt": [&bound, &subject] }),
        };
        let mut extreme = Document::new();
        extreme.insert(operator, at);
        group.insert(name, extreme);
        suspicions.push(doc! { "$and": [present(bound), present(subject), suspicion] });
    }
    let stages = vec![
        doc! { "$match": has_key },
        doc! { "$group": group },
        doc! { "$lookup": {
            "from": question.subjects, "localField": "_id", "foreignField": "_id", "as": "subject",
        } },
        doc! { "$unwind": "$subject" },
        doc! { "$match": { "$expr": { "$or": suspicions } } },
        doc! { "$project": { "_id": 1 } },
    ];
    Ok(answer(databases, table, stages).await?.iter().filter_map(|found| text(found, "_id")).collect())
}

/// Returns the expressions of a date of the row and of its moment.
fn of_row(date: &str) -> (String, String) {
    (format!("${date}"), format!("${date}{MOMENT_SUFFIX}"))
}

pub(super) async fn load_days(databases: &Databases, period: &LoadPeriod) -> Result<LoadDays, DriverFailure> {
    let day = doc! { "$floor": { "$divide": [{ "$toLong": "$begun" }, DAY] } };
    // The key without its last part.
    let last_part = doc! { "$arrayElemAt": [{ "$split": ["$key", "/"] }, -1] };
    let length = doc! { "$subtract": [{ "$strLenBytes": "$key" }, { "$strLenBytes": last_part }] };
    let prefix = doc! { "$substrBytes": ["$key", 0, length] };
    let folders = vec![
        doc! { "$match": period_filter(period) },
        doc! { "$group": {
            "_id": { "bucket": "$bucket", "prefix": prefix, "day": { "$toLong": &day } },
            "loads": { "$sum": 1_i64 },
            "records": { "$sum": "$counts.records" },
            "rejected": { "$sum": "$counts.rejected" },
        } },
    ];
    let types = vec![
        doc! { "$match": period_filter(period) },
        doc! { "$project": { "day": { "$toLong": day }, "types": { "$objectToArray": "$types" } } },
        doc! { "$unwind": "$types" },
        doc! { "$group": {
            "_id": { "type": "$types.k", "day": "$day" }, "count": { "$sum": "$types.v" },
        } },
    ];
    let mut days = LoadDays::default();
    for found in answer(databases, LOADS, folders).await? {
        let Ok(id) = found.get_document("_id") else { continue };
        let (Some(bucket), Some(prefix), Ok(day)) =
            (text(id, "bucket"), text(id, "prefix"), id.get_i64("day"))
        else {
            continue;
        };
        let loads = FolderDay {
            loads: count(&found, "loads"),
            records: count(&found, "records"),
            rejected: count(&found, "rejected"),
        };
        days.folders.insert((Folder { bucket, prefix }, day), loads);
    }
    for found in answer(databases, LOADS, types).await? {
        let Ok(id) = found.get_document("_id") else { continue };
        if let (Some(kind), Ok(day)) = (text(id, "type"), id.get_i64("day")) {
            days.types.insert((kind, day), count(&found, "count"));
        }
    }
    Ok(days)
}

async fn answer(databases: &Databases, table: &str, stages: Vec<Document>) -> Result<Vec<Document>, Error> {
    let found = databases.own(table).aggregate(stages).allow_disk_use(true).await?;
    found.try_collect().await
}

fn share(found: &Document) -> Share {
    Share { count: count(found, "count"), of: count(found, "of") }
}

/// Reads a sum: one of small numbers is a 32-bit integer.
fn count(found: &Document, name: &str) -> u64 {
    let number = match found.get(name) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        _ => 0,
    };
    u64::try_from(number).unwrap_or_default()
}

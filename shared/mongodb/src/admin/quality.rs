//! What data checks ask, counted by the server: rows by the pattern of the conditions that they fulfil, groups, and keys
//! without a row.

mod expressions;
mod keys;
mod parts;
mod rare_texts;

use bson::{Bson, Document, doc};
use futures::TryStreamExt as _;
use mongodb::Cursor;
use mongodb::error::{Error, ErrorKind};
use pipeline::store::overview::{Folder, LoadPeriod};
use pipeline::store::quality::{
    FolderDay, GroupQuestion, LoadDays, MOMENT_SUFFIX, RepetitionQuestion, RowCondition, RowGroup, Share,
    SubjectOrder, SubjectQuestion,
};

use crate::collections::LOADS;

use super::databases::{Databases, text};
use super::failure::DriverFailure;
use super::overview::period_filter;
use expressions::{Scope, certainly_before, expression, present};
pub(super) use keys::count_dangling;
use parts::ConditionParts;
use rare_texts::RareTexts;

/// A pass over a table evaluates so many conditions: a stage has a bounded size.
const CONDITIONS_IN_A_PASS: usize = 200;

/// Subjects whose rows are looked at in one query.
const SUBJECTS_IN_A_QUERY: usize = 2_000;

const DAY: i64 = 86_400_000;

pub(super) async fn count_matches(
    databases: &Databases,
    table: &str,
    conditions: &[RowCondition],
) -> Result<Vec<u64>, DriverFailure> {
    let mut counts = Vec::new();
    for pass in conditions.chunks(CONDITIONS_IN_A_PASS) {
        counts.extend(count_in_a_pass(databases, table, pass).await?);
    }
    Ok(counts)
}

/// Counts the rows that fulfil each of some conditions. Few patterns are met, and each row is looked at once for all
/// conditions.
async fn count_in_a_pass(
    databases: &Databases,
    table: &str,
    conditions: &[RowCondition],
) -> Result<Vec<u64>, Error> {
    let (rare, others): (Vec<&RowCondition>, Vec<&RowCondition>) =
        conditions.iter().partition(|condition| RareTexts::of(&[condition]).is_some());
    let (rare_parts, parts) = (ConditionParts::of(&rare), ConditionParts::of(&others));
    let of_rare = RareTexts::of(&rare).map(|texts| {
        doc! { "$cond": [texts.may_stand(), rare_parts.pattern(Scope::ROW), Bson::Null] }.into()
    });
    let pattern: Vec<Bson> = of_rare.into_iter().chain(parts.pattern(Scope::ROW)).collect();
    let stages = [doc! { "$group": { "_id": pattern, "rows": { "$sum": 1_i64 } } }];
    let mut counts = vec![0; conditions.len()];
    let mut found = databases.own(table).aggregate(stages).allow_disk_use(true).await?;
    while let Some(found) = found.try_next().await? {
        let (rows, pattern) = (count(&found, "rows"), found.get_array("_id").map_or(&[][..], Vec::as_slice));
        let (of_rare, of_others) =
            pattern.split_at_checked(usize::from(!rare.is_empty())).unwrap_or_default();
        let of_rare = of_rare.first().and_then(Bson::as_array).map_or(&[][..], Vec::as_slice);
        for (sum, condition) in counts.iter_mut().zip(conditions) {
            let holds = match RareTexts::of(&[condition]) {
                Some(_) => rare_parts.holds(condition, of_rare),
                None => parts.holds(condition, of_others),
            };
            *sum += if holds { rows } else { 0 };
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
    let mut is_above_zero = Document::new();
    is_above_zero.insert(&question.power_of, doc! { "$gt": 0 });
    let mut key: Vec<Bson> = question.columns.iter().map(|column| Bson::from(format!("${column}"))).collect();
    key.push(doc! { "$toInt": { "$floor": { "$log10": { "$toDouble": number } } } }.into());
    let stages =
        vec![doc! { "$match": is_above_zero }, doc! { "$group": { "_id": key, "rows": { "$sum": 1_i64 } } }];
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
    let mut values: Vec<Bson> =
        question.columns.iter().map(|column| Bson::from(format!("${column}"))).collect();
    values.extend(question.number.iter().map(|number| doc! { "$toString": format!("${number}") }.into()));
    let condition = expression(&question.condition, Scope::ROW);
    let of_complete = |key: Document| {
        doc! { "$let": { "vars": { "values": &values }, "in": {
            "$cond": [{ "$and": [{ "$not": [{ "$in": [Bson::Null, "$$values"] }] }, &condition] }, key, Bson::Null],
        } } }
    };
    // Hashes of 64 bits need a part of the memory. Servers that have none group by the values.
    let hash = of_complete(doc! { "$toHashedIndexKey": "$$values" });
    match repeated(databases, table, Vec::new(), hash.into()).await {
        Err(error) if is_unknown_operator(&error) => {
            let whole = of_complete(doc! { "$concatArrays": ["$$values"] });
            Ok(repeated(databases, table, Vec::new(), whole.into()).await?)
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

/// Counts what stands more than once. Null is nothing.
async fn repeated(
    databases: &Databases,
    table: &str,
    mut stages: Vec<Document>,
    key: Bson,
) -> Result<Share, Error> {
    let more_than_one = doc! { "$cond": [{ "$gt": ["$rows", 1] }, "$rows", 0] };
    stages.push(doc! { "$group": { "_id": key, "rows": { "$sum": 1_i64 } } });
    stages.push(doc! { "$match": { "_id": { "$ne": Bson::Null } } });
    stages.push(doc! { "$group": {
        "_id": Bson::Null, "count": { "$sum": more_than_one }, "of": { "$sum": "$rows" },
    } });
    let found = answer(databases, table, stages).await?;
    Ok(found.first().map(share).unwrap_or_default())
}

pub(super) async fn count_beside_subject(
    databases: &Databases,
    table: &str,
    question: &SubjectQuestion,
) -> Result<Vec<u64>, DriverFailure> {
    let mut counts = vec![0; question.comparisons.len()];
    let mut subjects = suspicious_subjects(databases, table, question).await?.try_chunks(SUBJECTS_IN_A_QUERY);
    let (columns, pattern) = comparisons(question);
    while let Some(subjects) = subjects.try_next().await.map_err(|failed| failed.1)? {
        let subjects: Vec<String> = subjects.iter().filter_map(|found| text(found, "_id")).collect();
        let mut filter = Document::new();
        filter.insert(&question.key, doc! { "$in": subjects });
        // Row by row: all rows of a subject together can be larger than a document may be.
        let stages = vec![
            doc! { "$match": filter },
            doc! { "$project": &columns },
            doc! { "$lookup": {
                "from": question.subjects, "localField": "key", "foreignField": "_id", "as": "subject",
            } },
            doc! { "$unwind": "$subject" },
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

/// Returns what is taken of a row, and the expressions of the comparisons over that and the subject.
fn comparisons(question: &SubjectQuestion) -> (Document, Vec<Document>) {
    let mut columns = doc! { "_id": 0, "key": format!("${}", question.key) };
    let mut pattern = Vec::new();
    for (index, comparison) in question.comparisons.iter().enumerate() {
        let (date, at) = of_row(&comparison.date);
        let (date_name, at_name, other) =
            (format!("date{index}"), format!("at{index}"), format!("other{index}"));
        columns.insert(&date_name, date);
        columns.insert(&at_name, at);
        columns.insert(&other, expression(&comparison.condition, Scope::ROW));
        let date = (format!("${date_name}"), format!("${at_name}"));
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
        pattern.push(doc! { "$and": [in_order, format!("${other}")] });
    }
    (columns, pattern)
}

/// Returns the subjects that some comparison may hold for, by the earliest and the latest moment of their rows.
async fn suspicious_subjects(
    databases: &Databases,
    table: &str,
    question: &SubjectQuestion,
) -> Result<Cursor<Document>, DriverFailure> {
    let mut group = doc! { "_id": format!("${}", question.key) };
    let (mut dates, mut joined) = (doc! { "_id": 1 }, doc! { "_id": "$_id" });
    let mut suspicions = Vec::new();
    for (index, comparison) in question.comparisons.iter().enumerate() {
        let (name, other) = (format!("at{index}"), format!("subject{index}"));
        let (bound, subject) = (format!("${name}"), format!("${other}"));
        let (operator, suspicion) = match comparison.order {
            SubjectOrder::Before => ("$min", doc! { "$lt": [&bound, &subject] }),
            SubjectOrder::AfterBy(_) => ("$max", doc! { "$gt": [&bound, &subject] }),
        };
        let extreme = Document::from_iter([(operator.to_owned(), of_row(&comparison.date).1.into())]);
        group.insert(&name, extreme);
        dates.insert(&other, format!("${}{MOMENT_SUFFIX}", comparison.subject_date));
        joined.insert(&name, doc! { "$max": &bound });
        joined.insert(&other, doc! { "$max": &subject });
        suspicions.push(doc! { "$and": [present(bound), present(subject), suspicion] });
    }
    // Grouping the subjects with the rows takes less than looking each of them up.
    let stages = vec![
        doc! { "$group": group },
        doc! { "$match": { "_id": { "$gt": "" } } },
        doc! { "$unionWith": { "coll": question.subjects, "pipeline": [{ "$project": dates }] } },
        doc! { "$group": joined },
        doc! { "$match": { "$expr": { "$or": suspicions } } },
        doc! { "$project": { "_id": 1 } },
    ];
    Ok(databases.own(table).aggregate(stages).allow_disk_use(true).await?)
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
        if let (Some(resource_type), Ok(day)) = (text(id, "type"), id.get_i64("day")) {
            days.types.insert((resource_type, day), count(&found, "count"));
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

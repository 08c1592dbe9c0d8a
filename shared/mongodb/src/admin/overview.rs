//! The loads of a time: summed by the server, which walks the index of `begun`, and the latest of them.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, doc};
use futures::{TryStreamExt as _, try_join};
use mongodb::options::Hint;
use pipeline::ledger::{Load, LoadFilter, Status};
use pipeline::store::admin::WholeLoadVisitor;
use pipeline::store::overview::{
    Folder, KeyPattern, LAG_STEPS, LoadPeriod, LoadSums, MAX_FOLDERS, Maker, REMAKEABLE, SUCCESSES,
};
use pipeline::store::report::{CountedAttempt, DAY_MILLISECONDS, LoadSpan};

use crate::collections::LOADS;
use crate::loads::{filter_of, load_of};

use super::databases::{Databases, text};
use super::failure::DriverFailure;
use super::selection::literal;

/// A document that a server answered with, of sums.
type Sum = Document;

pub(super) async fn sum(databases: &Databases, period: &LoadPeriod) -> Result<LoadSums, DriverFailure> {
    let selection = [doc! { "$match": period_filter(period) }];
    let days = sum_by_day(databases, &selection, &doc! { "$literal": Bson::Null }.into()).await?;
    Ok(days.into_values().next().unwrap_or_default())
}

/// Sums the loads of each day, by the first millisecond of the day.
pub(super) async fn sum_days(
    databases: &Databases,
    span: &LoadSpan,
) -> Result<BTreeMap<i64, LoadSums>, DriverFailure> {
    let LoadSpan { since, until, attempt } = *span;
    let (since, until) = (DateTime::from_millis(since), DateTime::from_millis(until));
    let moment: Bson = match attempt {
        CountedAttempt::First => {
            doc! { "$ifNull": [{ "$arrayElemAt": ["$history.begun", 0] }, "$begun"] }.into()
        }
        CountedAttempt::Latest => "$begun".into(),
    };
    // The latest attempt began at the same time as the first or later.
    let selection = [
        doc! { "$match": { "begun": { "$gte": since } } },
        doc! { "$addFields": { "moment": moment } },
        doc! { "$match": { "moment": { "$gte": since, "$lt": until } } },
    ];
    let milliseconds = doc! { "$subtract": ["$moment", DateTime::from_millis(0)] };
    let of_day = doc! { "$mod": [&milliseconds, DAY_MILLISECONDS] };
    // The remainder of a moment before 1970 is negative.
    let of_day = doc! { "$mod": [{ "$add": [of_day, DAY_MILLISECONDS] }, DAY_MILLISECONDS] };
    sum_by_day(databases, &selection, &doc! { "$subtract": [milliseconds, of_day] }.into()).await
}

/// Sums the loads that some stages select, by what `day` is of each; all without a day are under 0.
async fn sum_by_day(
    databases: &Databases,
    selection: &[Document],
    day: &Bson,
) -> Result<BTreeMap<i64, LoadSums>, DriverFailure> {
    let (statuses, codes) = try_join!(
        answer(databases, [selection, &statuses_and_lags(day)].concat()),
        answer(databases, [selection, &codes(day)].concat()),
    )?;
    let mut days: BTreeMap<i64, LoadSums> = BTreeMap::new();
    for sum in statuses.iter().chain(&codes) {
        let Ok(id) = sum.get_document("_id") else { continue };
        let sums = days.entry(integer(id, "day").unwrap_or_default()).or_default();
        if let Some(code) = text(id, "code") {
            *sums.codes.entry(code).or_default() += count(sum, "count");
        } else {
            add_status(sums, sum);
        }
    }
    Ok(days)
}

pub(super) async fn latest(
    databases: &Databases,
    period: &LoadPeriod,
    filters: &[LoadFilter],
    limit: u32,
) -> Result<Vec<Load>, DriverFailure> {
    let mut filter = period_filter(period);
    let any: Vec<Document> = filters.iter().map(|filter| filter_of(*filter)).collect();
    if !any.is_empty() {
        filter.insert("$or", any);
    }
    let loads = databases.own(LOADS);
    let found = loads.find(filter).sort(doc! { "begun": -1, "_id": 1 }).limit(i64::from(limit)).await?;
    let found: Vec<Document> = found.try_collect().await?;
    Ok(found.iter().filter_map(load_of).collect())
}

pub(super) async fn last_successes(
    databases: &Databases,
    period: &LoadPeriod,
) -> Result<BTreeMap<Folder, i64>, DriverFailure> {
    let mut filter = period_filter(period);
    filter.insert("status", any_of(&SUCCESSES));
    // The key without its last part.
    let last_part = doc! { "$arrayElemAt": [{ "$split": ["$key", "/"] }, -1] };
    let length = doc! { "$subtract": [{ "$strLenBytes": "$key" }, { "$strLenBytes": last_part }] };
    let folder = doc! { "bucket": "$bucket", "prefix": { "$substrBytes": ["$key", 0, length] } };
    let ended = doc! { "$max": { "$ifNull": ["$ended", "$begun"] } };
    let folders = vec![
        doc! { "$match": filter },
        doc! { "$group": { "_id": folder, "ended": ended } },
        doc! { "$sort": { "ended": -1 } },
        doc! { "$limit": i64::try_from(MAX_FOLDERS).unwrap_or(i64::MAX) },
    ];
    let folder = |sum: &Sum| {
        let id = sum.get_document("_id").ok()?;
        let folder = Folder { bucket: text(id, "bucket")?, prefix: text(id, "prefix")? };
        Some((folder, sum.get_datetime("ended").ok()?.timestamp_millis()))
    };
    Ok(answer(databases, folders).await?.iter().filter_map(folder).collect())
}

pub(super) async fn visit_outdated(
    databases: &Databases,
    maker: &Maker,
    after: &str,
    visit: &mut WholeLoadVisitor<'_>,
) -> Result<(), DriverFailure> {
    let Maker { code, catalog } = maker;
    let by_others = [doc! { "code": { "$ne": code } }, doc! { "catalog": { "$ne": catalog } }];
    let filter = doc! { "_id": { "$gt": after }, "status": any_of(&REMAKEABLE), "$or": by_others };
    let mut found = databases.own(LOADS).find(filter).sort(doc! { "_id": 1 }).hint(by_id()).await?;
    while let Some(found) = found.try_next().await? {
        if load_of(&found).is_some_and(|load| visit(load).is_break()) {
            break;
        }
    }
    Ok(())
}

/// Its order saves the server from sorting whole entries.
fn by_id() -> Hint {
    Hint::Keys(doc! { "_id": 1 })
}

async fn answer(databases: &Databases, stages: Vec<Document>) -> Result<Vec<Sum>, DriverFailure> {
    Ok(databases.own(LOADS).aggregate(stages).await?.try_collect().await?)
}

/// Groups by day, status and lag: some thousand sums a day at the most, however many loads there are.
fn statuses_and_lags(day: &Bson) -> Vec<Document> {
    let has_lag = doc! { "$and": [
        { "$in": ["$status", SUCCESSES.map(Status::as_str).to_vec()] },
        { "$gt": ["$created", DateTime::from_millis(0)] },
        { "$gt": ["$ended", Bson::Null] },
        { "$not": ["$firstEnded"] },
    ] };
    let lag = doc! { "$max": [0_i64, { "$subtract": ["$ended", "$created"] }] };
    vec![
        doc! { "$project": {
            "status": 1, "counts.records": 1, "counts.rows": 1, "counts.rejected": 1, "bytes": 1, "day": day,
            "lag": { "$cond": [has_lag, lag, Bson::Null] },
        } },
        doc! { "$group": {
            "_id": { "day": "$day", "status": "$status", "lag": rounded_lag() },
            "loads": { "$sum": 1_i64 },
            "records": { "$sum": "$counts.records" },
            "rows": { "$sum": "$counts.rows" },
            "rejected": { "$sum": "$counts.rejected" },
            "bytes": { "$sum": "$bytes" },
            "worst": { "$max": "$lag" },
        } },
    ]
}

/// Rounds as `pipeline::store::overview::rounded_lag` does; without a lag it is null.
fn rounded_lag() -> Bson {
    LAG_STEPS.iter().rev().fold(Bson::Null, |longer, (below, step)| {
        let rounded = doc! { "$subtract": ["$lag", { "$mod": ["$lag", *step] }] };
        let is_below = doc! { "$lt": ["$lag", *below] };
        if longer == Bson::Null {
            rounded.into()
        } else {
            doc! { "$cond": [is_below, rounded, longer] }.into()
        }
    })
}

fn codes(day: &Bson) -> Vec<Document> {
    vec![
        doc! { "$match": { "codes": { "$nin": [{}, Bson::Null] } } },
        doc! { "$project": { "codes": { "$objectToArray": "$codes" }, "day": day } },
        doc! { "$unwind": "$codes" },
        doc! { "$group": { "_id": { "day": "$day", "code": "$codes.k" }, "count": { "$sum": "$codes.v" } } },
    ]
}

fn add_status(sums: &mut LoadSums, sum: &Sum) {
    let Ok(id) = sum.get_document("_id") else { return };
    let Some(status) = id.get_str("status").ok().and_then(Status::from_word) else { return };
    let loads = count(sum, "loads");
    *sums.statuses.entry(status).or_default() += loads;
    sums.records += count(sum, "records");
    sums.rows += count(sum, "rows");
    sums.rejected += count(sum, "rejected");
    sums.bytes += count(sum, "bytes");
    if let Some(lag) = integer(id, "lag") {
        *sums.lags.entry(lag).or_default() += loads;
        sums.worst_lag = sums.worst_lag.max(integer(sum, "worst"));
    }
}

/// Returns the filter of the loads of a period.
pub(super) fn period_filter(period: &LoadPeriod) -> Document {
    let mut filter = Document::new();
    let bounds = [("$gte", period.since), ("$lt", period.until)];
    let bounds = bounds.into_iter().filter_map(|(operator, bound)| {
        Some((operator.to_owned(), Bson::from(DateTime::from_millis(bound?))))
    });
    let begun: Document = bounds.collect();
    if !begun.is_empty() {
        filter.insert("begun", begun);
    }
    if let Some(keys) = &period.keys {
        filter.insert("key", doc! { "$regex": expression(keys), "$options": "s" });
    }
    filter
}

/// Returns the regular expression that finds the same keys.
fn expression(keys: &KeyPattern) -> String {
    match keys {
        KeyPattern::Part(part) => literal(part),
        KeyPattern::Glob(pattern) => {
            let whole: String = pattern.chars().map(of_glob).collect();
            // `$` would match before a line feed at the end, too.
            format!("\\A{whole}\\z")
        }
    }
}

fn of_glob(character: char) -> String {
    match character {
        '*' => ".*".to_owned(),
        '?' => ".".to_owned(),
        character => literal(character.encode_utf8(&mut [0; 4])),
    }
}

pub(super) fn any_of(statuses: &[Status]) -> Document {
    doc! { "$in": statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>() }
}

pub(super) fn count(sum: &Sum, name: &str) -> u64 {
    integer(sum, name).and_then(|count| u64::try_from(count).ok()).unwrap_or_default()
}

/// Reads a sum: one of no fields is a 32-bit integer.
fn integer(sum: &Sum, name: &str) -> Option<i64> {
    match sum.get(name)? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}

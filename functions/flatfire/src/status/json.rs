//! Loads as JSON: moments as RFC 3339 writes them, sizes in bytes.

use std::collections::BTreeMap;

use pipeline::ledger::{EarlierAttempt, Load};
use pipeline::requester::Requester;
use pipeline::summary::Summary;
use serde_json::{Map, Value, json};

use super::words::word;
use crate::console::moment;

/// Returns everything about a load.
pub(super) fn load(load: &Load) -> Value {
    let Summary {
        records,
        loaded,
        unchanged,
        superseded,
        deleted,
        archived,
        rejected,
        rows,
        view_defects,
        ..
    } = &load.summary;
    object([
        ("id", Some(load.id.as_str().into())),
        ("bucket", Some(load.bucket.as_str().into())),
        ("key", Some(load.key.as_str().into())),
        ("versionId", load.version_id.as_deref().map(Value::from)),
        ("etag", load.etag.as_deref().map(Value::from)),
        ("created", time(Some(load.created))),
        ("status", Some(word(load).into())),
        ("attempts", Some(load.attempts.into())),
        ("begun", time(Some(load.begun))),
        ("ended", time(load.ended)),
        ("firstEnded", time(load.first_ended)),
        ("interrupted", time(load.interrupted)),
        ("leaseUntil", time(load.lease.as_ref().map(|lease| lease.until))),
        ("problem", load.problem.as_deref().map(Value::from)),
        ("by", load.by.as_ref().map(requester)),
        ("bytes", Some(load.summary.bytes.into())),
        ("inflatedBytes", Some(load.summary.inflated_bytes.into())),
        (
            "counts",
            Some(json!({
                "records": records, "loaded": loaded, "unchanged": unchanged, "superseded": superseded,
                "deleted": deleted, "archived": archived, "rejected": rejected, "rows": rows,
                "viewDefects": view_defects,
            })),
        ),
        ("types", counts(&load.summary.types)),
        ("codes", counts(&load.summary.codes)),
        ("checks", counts(&load.summary.checks)),
        ("killed", (load.killed > 0).then(|| load.killed.into())),
        ("code", Some(load.code.as_str().into())),
        ("catalog", Some(load.catalog.as_str().into())),
        ("edition", (load.edition > 0).then(|| load.edition.into())),
        ("history", (!load.history.is_empty()).then(|| load.history.iter().map(earlier).collect())),
    ])
}

fn earlier(attempt: &EarlierAttempt) -> Value {
    object([
        ("attempt", Some(attempt.number.into())),
        ("begun", time(Some(attempt.begun))),
        ("ended", time(attempt.ended)),
        ("end", Some(attempt.end.as_str().into())),
        ("problem", attempt.problem.as_deref().map(Value::from)),
        ("code", Some(attempt.code.as_str().into())),
        ("by", attempt.by.as_ref().map(requester)),
    ])
}

fn requester(by: &Requester) -> Value {
    let Requester { principal, address, request_id, operator } = by;
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    object([
        ("principal", text(principal)),
        ("address", text(address)),
        ("requestId", text(request_id)),
        ("operator", text(operator)),
    ])
}

fn counts(counts: &BTreeMap<String, u64>) -> Option<Value> {
    (!counts.is_empty()).then(|| json!(counts))
}

/// Returns a moment.
pub(super) fn time(milliseconds: Option<i64>) -> Option<Value> {
    milliseconds.map(|milliseconds| moment(milliseconds).into())
}

/// Returns an object of the members that are there.
pub(super) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    members.collect::<Map<String, Value>>().into()
}

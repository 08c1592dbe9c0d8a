//! Loads as documents of the collection `_loads`.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, doc};

use pipeline::ledger::{Checkpoint, Lease, Load, Status};
use pipeline::summary::{Drift, Summary};

use crate::records::SETTLED;

use super::fields::{moment, number};
use super::history;

/// Returns the document of a load. Counts and sizes are 64-bit integers, moments are dates.
pub(super) fn of(load: &Load) -> Document {
    let mut document = doc! {
        "_id": &load.id,
        "bucket": &load.bucket,
        "key": &load.key,
        "created": DateTime::from_millis(load.created),
        "status": load.status.as_str(),
        "attempts": i64::from(load.attempts),
        "reading": i64::from(load.reading),
        "begun": DateTime::from_millis(load.begun),
    };
    let optional = [
        ("versionId", load.version_id.clone().map(Bson::from)),
        ("sequencer", load.sequencer.clone().map(Bson::from)),
        ("etag", load.etag.clone().map(Bson::from)),
        ("ended", load.ended.map(|moment| DateTime::from_millis(moment).into())),
        ("firstEnded", first_ended(load).map(|moment| DateTime::from_millis(moment).into())),
        (SETTLED, load.settled_at().map(|moment| DateTime::from_millis(moment).into())),
        ("interrupted", load.interrupted.map(|moment| DateTime::from_millis(moment).into())),
        ("by", load.by.as_ref().map(|by| history::requester_document(by).into())),
        ("history", (!load.history.is_empty()).then(|| history::history_array(&load.history).into())),
        ("problem", load.problem.clone().map(Bson::from)),
        ("lease", load.lease.as_ref().map(|lease| lease_document(lease).into())),
        ("counted", load.has_columns.then(|| true.into())),
        ("killed", (load.killed > 0).then(|| i64::from(load.killed).into())),
        ("lastKilled", load.last_killed_at.map(|moment| DateTime::from_millis(moment).into())),
        ("stalls", (load.stalls > 0).then(|| i64::from(load.stalls).into())),
        ("mayHaveRows", load.may_have_rows.then(|| true.into())),
        ("checkpoint", load.checkpoint.as_ref().map(|checkpoint| checkpoint_document(checkpoint).into())),
    ];
    document.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    document.extend(summary_document(&load.summary));
    document.extend(doc! { "code": &load.code, "catalog": &load.catalog, "revision": count(load.revision) });
    if load.edition > 0 {
        document.insert("edition", i64::from(load.edition));
    }
    document
}

/// Returns the load of a document; `None` if the document is not a load.
pub(crate) fn load(document: &Document) -> Option<Load> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    Some(Load {
        id: text("_id")?,
        bucket: text("bucket")?,
        key: text("key")?,
        version_id: text("versionId"),
        etag: text("etag"),
        created: moment(document, "created")?,
        sequencer: text("sequencer"),
        status: Status::from_word(document.get_str("status").ok()?)?,
        attempts: u32::try_from(number(document, "attempts")).ok()?,
        reading: u32::try_from(number(document, "reading")).unwrap_or_default(),
        lease: document.get_document("lease").ok().map(lease),
        begun: moment(document, "begun")?,
        ended: moment(document, "ended"),
        first_ended: moment(document, "firstEnded").or_else(|| moment(document, "ended")),
        interrupted: moment(document, "interrupted"),
        by: document.get_document("by").ok().and_then(history::requester),
        history: history::history(document),
        summary: summary(document),
        problem: text("problem"),
        code: text("code")?,
        catalog: text("catalog")?,
        edition: u32::try_from(number(document, "edition")).unwrap_or_default(),
        checkpoint: document.get_document("checkpoint").ok().map(checkpoint),
        killed: u32::try_from(number(document, "killed")).unwrap_or_default(),
        last_killed_at: moment(document, "lastKilled"),
        stalls: u32::try_from(number(document, "stalls")).unwrap_or_default(),
        may_have_rows: document.get_bool("mayHaveRows").unwrap_or_default(),
        has_columns: document.get_bool("counted").unwrap_or_default(),
        revision: number(document, "revision"),
    })
}

/// Returns when it ended for the first time, if it ended several times.
fn first_ended(load: &Load) -> Option<i64> {
    load.first_ended.filter(|_| load.first_ended != load.ended)
}

fn lease_document(lease: &Lease) -> Document {
    doc! { "owner": &lease.owner, "until": DateTime::from_millis(lease.until) }
}

fn lease(document: &Document) -> Lease {
    let owner = document.get_str("owner").unwrap_or_default().to_owned();
    Lease { owner, until: moment(document, "until").unwrap_or_default() }
}

fn checkpoint_document(checkpoint: &Checkpoint) -> Document {
    let Checkpoint { offset, ordinal, line, summary } = checkpoint;
    let mut document = doc! { "offset": count(*offset), "ordinal": count(*ordinal) };
    if let Some(line) = line {
        document.insert("line", count(*line));
    }
    document.extend(summary_document(summary));
    document
}

fn checkpoint(document: &Document) -> Checkpoint {
    Checkpoint {
        offset: number(document, "offset"),
        ordinal: number(document, "ordinal"),
        line: document.contains_key("line").then(|| number(document, "line")),
        summary: summary(document),
    }
}

fn summary_document(summary: &Summary) -> Document {
    doc! {
        "bytes": count(summary.bytes),
        "inflatedBytes": count(summary.inflated_bytes),
        "counts": {
            "records": count(summary.records),
            "loaded": count(summary.loaded),
            "unchanged": count(summary.unchanged),
            "superseded": count(summary.superseded),
            "deleted": count(summary.deleted),
            "deleteEntries": count(summary.delete_entries),
            "archived": count(summary.archived),
            "rejected": count(summary.rejected),
            "rows": count(summary.rows),
            "viewDefects": count(summary.view_defects),
        },
        "types": counts(&summary.types),
        "codes": counts(&summary.codes),
        "checks": counts(&summary.checks),
        "drift": drift_document(&summary.drift),
    }
}

fn drift_document(drift: &Drift) -> Document {
    doc! {
        "newColumns": count(drift.new_columns),
        "unknownElements": count(drift.unknown_elements),
        "clashes": count(drift.clashes),
        "unlisted": count(drift.unlisted),
        "names": drift.names.iter().collect::<Vec<_>>(),
    }
}

fn drift(document: &Document) -> Drift {
    let names = document.get_array("names").map(Vec::as_slice).unwrap_or_default();
    Drift {
        new_columns: number(document, "newColumns"),
        unknown_elements: number(document, "unknownElements"),
        clashes: number(document, "clashes"),
        unlisted: number(document, "unlisted"),
        names: names.iter().filter_map(Bson::as_str).map(str::to_owned).collect(),
    }
}

fn summary(document: &Document) -> Summary {
    let empty = Document::new();
    let counts = document.get_document("counts").unwrap_or(&empty);
    Summary {
        bytes: number(document, "bytes"),
        inflated_bytes: number(document, "inflatedBytes"),
        records: number(counts, "records"),
        loaded: number(counts, "loaded"),
        unchanged: number(counts, "unchanged"),
        superseded: number(counts, "superseded"),
        deleted: number(counts, "deleted"),
        delete_entries: number(counts, "deleteEntries"),
        archived: number(counts, "archived"),
        rejected: number(counts, "rejected"),
        rows: number(counts, "rows"),
        view_defects: number(counts, "viewDefects"),
        types: document.get_document("types").map(numbers).unwrap_or_default(),
        codes: document.get_document("codes").map(numbers).unwrap_or_default(),
        checks: document.get_document("checks").map(numbers).unwrap_or_default(),
        drift: document.get_document("drift").map(drift).unwrap_or_default(),
    }
}

fn counts(counts: &BTreeMap<String, u64>) -> Document {
    counts.iter().map(|(name, &value)| (name.clone(), count(value).into())).collect()
}

fn numbers(document: &Document) -> BTreeMap<String, u64> {
    document.keys().map(|name| (name.clone(), number(document, name))).collect()
}

/// Returns a count as BSON, which has no unsigned integers.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

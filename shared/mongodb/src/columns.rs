//! The collection `_columns`: `{_id, table, column, path, url, derived, datatype, type, unknown, clash, first}`, where `_id`
//! is `<table>.<column>`.

use bson::{Bson, DateTime, Document, doc};
use pipeline::interrupted::Interrupted;
use pipeline::store::{ColumnChange, ColumnEntry, FirstFilled};

use crate::Connection;
use crate::answers::{carried_out, first_batch, met_duplicates, run};
use crate::collections::COLUMNS;

/// A message of changes is closed before it grows to this: the database takes 16 MiB.
const MESSAGE_BYTES: usize = 2 << 20;
/// What stands in the entry of a column beside its texts, about.
const ENTRY_BYTES: usize = 1_024;
/// What entries of earlier versions held besides: how many rows loads had made, and which of them.
const RETIRED_FIELDS: [&str; 3] = ["rows", "last", "marks"];

/// Returns the entries with these ids.
pub(crate) async fn find(connection: &Connection, ids: &[String]) -> Result<Vec<ColumnEntry>, Interrupted> {
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let command = doc! {
        "find": COLUMNS, "filter": { "_id": { "$in": ids } }, "batchSize": count, "singleBatch": true,
    };
    let answer = run(connection, &command).await?;
    Ok(first_batch(answer).filter_map(|found| entry(&found)).collect())
}

/// Counts the entries of a table, up to `most`.
pub(crate) async fn count(connection: &Connection, table: &str, most: usize) -> Result<usize, Interrupted> {
    // `/` follows `.`.
    let (first, end) = (format!("{table}."), format!("{table}/"));
    let command = doc! {
        "aggregate": COLUMNS,
        "pipeline": [
            { "$match": { "_id": { "$gte": first, "$lt": end } } },
            { "$limit": i64::try_from(most).unwrap_or(i64::MAX) },
            { "$count": "entries" },
        ],
        "cursor": {},
    };
    let answer = run(connection, &command).await?;
    let entries = first_batch(answer).next().and_then(|found| found.get_i32("entries").ok());
    Ok(entries.and_then(|entries| usize::try_from(entries).ok()).unwrap_or_default())
}

/// Writes changes, in messages that the database takes.
pub(crate) async fn write(connection: &Connection, changes: &[ColumnChange]) -> Result<(), Interrupted> {
    let mut bytes = 0;
    let messages = changes.chunk_by(|_, next| {
        bytes += bytes_of(next);
        let fits = bytes <= MESSAGE_BYTES;
        bytes = if fits { bytes } else { bytes_of(next) };
        fits
    });
    for message in messages {
        // A new column that another load enters at the same moment meets itself as a duplicate.
        let updates: Vec<Bson> = message.iter().map(|change| statement(change).into()).collect();
        let command = doc! {
            "update": COLUMNS, "updates": updates, "ordered": false,
            "writeConcern": { "w": "majority", "wtimeout": 20_000 },
        };
        let answer = run(connection, &command).await?;
        carried_out(&answer)?;
        if met_duplicates(&answer) {
            carried_out(&run(connection, &command).await?)?;
        }
    }
    Ok(())
}

/// Returns about how many bytes the statement of a change takes.
fn bytes_of(ColumnChange { entry, .. }: &ColumnChange) -> usize {
    let texts = [&entry.path, &entry.url].into_iter().flatten().map(String::len).sum::<usize>();
    let load = entry.first.as_ref().map_or(0, |first| first.load.len());
    ENTRY_BYTES + load + texts + 3 * (entry.table.len() + entry.column.len())
}

/// Returns the update `{q: {_id}, u: {$setOnInsert, $set, $unset}, upsert: true}`
fn statement(change: &ColumnChange) -> Document {
    let mut facts = facts(&change.entry);
    let mut later = Document::new();
    if change.sets_type
        && let Some(column_type) = change.entry.column_type
    {
        later.insert("type", column_type.to_string());
    }
    if change.sets_clash {
        later.insert("clash", true);
    }
    for name in later.keys() {
        facts.remove(name);
    }
    let retired: Document = RETIRED_FIELDS.map(|name| (name.to_owned(), "".into())).into_iter().collect();
    let mut update = doc! { "$setOnInsert": facts, "$unset": retired };
    if !later.is_empty() {
        update.insert("$set", later);
    }
    doc! { "q": { "_id": change.entry.id() }, "u": update, "upsert": true }
}

/// Returns what is written of a new column.
fn facts(entry: &ColumnEntry) -> Document {
    let ColumnEntry { table, column, path, url, derived, datatype, column_type, is_unknown, first, .. } =
        entry;
    let mut document = doc! { "table": table, "column": column };
    if let Some(column_type) = column_type {
        document.insert("type", column_type.to_string());
    }
    if let Some(FirstFilled { load, at, first_ordinal }) = first {
        let ordinal = i64::try_from(*first_ordinal).unwrap_or(i64::MAX);
        document.insert("first", doc! { "load": load, "at": DateTime::from_millis(*at), "part": ordinal });
    }
    let optional = [("path", path), ("url", url), ("derived", derived), ("datatype", datatype)];
    for (name, text) in optional {
        if let Some(text) = text {
            document.insert(name, text);
        }
    }
    if *is_unknown {
        document.insert("unknown", true);
    }
    document
}

/// Reads an entry; `None`: it is not one of ours.
pub(crate) fn entry(document: &Document) -> Option<ColumnEntry> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    let first = document.get_document("first").ok().map(|first| FirstFilled {
        load: first.get_str("load").unwrap_or_default().to_owned(),
        at: first.get_datetime("at").map(|at| at.timestamp_millis()).unwrap_or_default(),
        first_ordinal: first
            .get_i64("part")
            .ok()
            .and_then(|ordinal| u64::try_from(ordinal).ok())
            .unwrap_or_default(),
    });
    Some(ColumnEntry {
        table: text("table")?,
        column: text("column")?,
        path: text("path"),
        url: text("url"),
        derived: text("derived"),
        datatype: text("datatype"),
        column_type: document.get_str("type").ok().and_then(|name| name.parse().ok()),
        is_unknown: document.get_bool("unknown").unwrap_or_default(),
        is_clash: document.get_bool("clash").unwrap_or_default(),
        first,
        is_outdated: RETIRED_FIELDS.iter().any(|name| document.contains_key(name)),
    })
}

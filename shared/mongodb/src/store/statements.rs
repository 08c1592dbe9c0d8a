//! Statements: what a command of the replacement says to the server, as documents.

use crate::encode::HASH_FIELD;
use crate::encode::{BsonWriter, RowEncoder};
use crate::replacement::{BatchDocument, Note, Removal, RemovedVersions};
use crate::{ids_with_suffix, records};
use pipeline::batch::{Completion, Reject, ResourceWrite, WriteBatch};
use pipeline::erasure::MARK_PREFIX;

/// Writes `{q: {_id, _version: {$lt: new}}, u: document, upsert: true}`: a document of the same or a newer version is
/// met as a duplicate of its `_id`.
pub(super) fn guarded_replace(
    writer: &mut BsonWriter,
    encoder: &mut RowEncoder<'_>,
    batch: &WriteBatch,
    document: BatchDocument,
) {
    let version = document.write_of(batch).map_or("", |resource| resource.version.as_str());
    let statement = writer.open();
    let query = writer.open_document("q");
    writer.text("_id", document.id(batch));
    let guard = writer.open_document("_version");
    writer.text("$lt", version);
    writer.close(guard);
    writer.close(query);
    writer.document_element("u");
    document.encode(batch, encoder, writer);
    writer.boolean("upsert", true);
    writer.close(statement);
}

/// Writes `{q: {_id: key, _version: …}, limit: 1}`
pub(super) fn removal(writer: &mut BsonWriter, resource: &ResourceWrite, removal: Removal) {
    let statement = writer.open();
    let query = writer.open_document("q");
    writer.text("_id", &resource.key);
    version_guard(writer, resource, removal);
    writer.close(query);
    writer.int32("limit", 1);
    writer.close(statement);
}

/// Writes `{q: {_id: {$gte: key#, $lt: key$}, _version: …}, limit: 0}`
pub(super) fn removal_of_suffixed(writer: &mut BsonWriter, resource: &ResourceWrite, removal: Removal) {
    let ids = ids_with_suffix(&resource.key);
    let statement = writer.open();
    let query = writer.open_document("q");
    let range = writer.open_document("_id");
    writer.text("$gte", &ids.start);
    writer.text("$lt", &ids.end);
    writer.close(range);
    version_guard(writer, resource, removal);
    writer.close(query);
    writer.int32("limit", 0);
    writer.close(statement);
}

fn version_guard(writer: &mut BsonWriter, resource: &ResourceWrite, removal: Removal) {
    let operator = match removal.versions {
        RemovedVersions::Older => "$lt",
        RemovedVersions::UpToOwn => "$lte",
        RemovedVersions::Own => "$eq",
    };
    let guard = writer.open_document("_version");
    writer.text(operator, resource.version.as_str());
    writer.close(guard);
}

/// Writes the same as [`guarded_replace`] with the guard in the update. The server finds the document by its `_id`
/// alone, without a query plan, which takes about half the time. Its answer does not say which documents it left as
/// they were.
///
/// A document without a `_version` is replaced.
pub(super) fn quick_replace(
    writer: &mut BsonWriter,
    encoder: &mut RowEncoder<'_>,
    batch: &WriteBatch,
    document: BatchDocument,
) {
    let version = document.write_of(batch).map_or("", |resource| resource.version.as_str());
    let is_newer = Comparison {
        operator: "$gte",
        field: "_version",
        value: |writer: &mut BsonWriter| writer.text("1", version),
    };
    replace_unless(writer, document.id(batch), is_newer, |writer| document.encode(batch, encoder, writer));
}

/// Writes `{q: {_id}, u: {$set: {type, table, kind: true}}, upsert: true}`
pub(super) fn note(writer: &mut BsonWriter, Note { resource_type, table, kind }: Note<'_>) {
    let statement = writer.open();
    let query = writer.open_document("q");
    writer.text("_id", &format!("{resource_type}/{table}"));
    writer.close(query);
    let update = writer.open_document("u");
    let set = writer.open_document("$set");
    writer.text("type", resource_type);
    writer.text("table", table);
    writer.boolean(kind.field(), true);
    writer.close(set);
    writer.close(update);
    writer.boolean("upsert", true);
    writer.close(statement);
}

/// Writes `{q: {_id, _version}, u: {$set: {path: key, …}, $addToSet: {path: {$each: [key, …]}, …}}}` for some cells of
/// one row: a newer row has its own completions. A list takes its keys by `$addToSet`, so that a second attempt adds
/// nothing.
pub(super) fn completion(writer: &mut BsonWriter, cells: &[&Completion]) {
    let Some(first) = cells.first() else { return };
    let statement = writer.open();
    let query = writer.open_document("q");
    writer.text("_id", &first.row);
    writer.text("_version", first.version.as_str());
    writer.close(query);
    let update = writer.open_document("u");
    if cells.iter().any(|cell| cell.list().is_none()) {
        let set = writer.open_document("$set");
        // A path stands once in an update.
        for same in cells.chunk_by(|cell, next| cell.path == next.path) {
            if let Some(cell) = same.last().filter(|cell| cell.list().is_none()) {
                writer.text(cell.path.as_str(), &cell.key);
            }
        }
        writer.close(set);
    }
    if cells.iter().any(|cell| cell.list().is_some()) {
        let add = writer.open_document("$addToSet");
        for keys in cells.chunk_by(|cell, next| cell.list() == next.list()) {
            let Some(list) = keys.first().and_then(|cell| cell.list()) else { continue };
            let of_list = writer.open_document(list);
            let each = writer.open_array("$each");
            for (index, cell) in keys.iter().enumerate() {
                writer.text_item(index, &cell.key);
            }
            writer.close(each);
            writer.close(of_list);
        }
        writer.close(add);
    }
    writer.close(update);
    writer.close(statement);
}

/// Writes `{q: {_id}, u: [{$replaceWith: {$cond: [{$gt: ["$reading", reading]}, "$$ROOT", {$literal: reject}]}}],
/// upsert: true}`
///
/// The condition stands in the update and not in the query, so that a duplicate key means one thing: another writer
/// inserted it at the same moment, and there is something to compare with now.
pub(super) fn reject(
    writer: &mut BsonWriter,
    encoder: &mut RowEncoder<'_>,
    reject: &Reject,
    batch: &WriteBatch,
) {
    let is_newer = Comparison {
        operator: "$gt",
        field: records::READING,
        value: |writer: &mut BsonWriter| writer.count("1", batch.reading.into()),
    };
    replace_unless(writer, &reject.id(), is_newer, |writer| {
        records::reject(writer, encoder, reject, batch);
    });
}

/// A condition on the document that stands: its field on the left, a value on the right.
struct Comparison<V> {
    operator: &'static str,
    field: &'static str,
    /// Writes the value, as an element of the name `1`.
    value: V,
}

/// Replaces the document under an `_id` unless the one that stands meets a condition; inserts it where none stands.
///
/// `{q: {_id}, u: [{$replaceWith: {$cond: [{operator: ["$field", value]}, "$$ROOT", {$literal: document}]}}], upsert:
/// true}`
///
/// `document` writes the document.
fn replace_unless(
    writer: &mut BsonWriter,
    id: &str,
    Comparison { operator, field, value }: Comparison<impl FnOnce(&mut BsonWriter)>,
    document: impl FnOnce(&mut BsonWriter),
) {
    let statement = writer.open();
    let query = writer.open_document("q");
    writer.text("_id", id);
    writer.close(query);
    let pipeline = writer.open_array("u");
    let stage = writer.open_document("0");
    let replacement = writer.open_document("$replaceWith");
    let condition = writer.open_array("$cond");
    let comparison = writer.open_document("0");
    let operands = writer.open_array(operator);
    writer.text("0", &format!("${field}"));
    value(writer);
    writer.close(operands);
    writer.close(comparison);
    writer.text("1", "$$ROOT");
    let literal = writer.open_document("2");
    writer.document_element("$literal");
    document(writer);
    writer.close(literal);
    writer.close(condition);
    writer.close(replacement);
    writer.close(stage);
    writer.close(pipeline);
    writer.boolean("upsert", true);
    writer.close(statement);
}

/// Writes `{q: {_id}, u: {$unset: {resource: ""}}}`
pub(super) fn unname(writer: &mut BsonWriter, reject: &Reject) {
    let statement = writer.open();
    let query = writer.open_document("q");
    writer.text("_id", &reject.id());
    writer.close(query);
    let update = writer.open_document("u");
    let unset = writer.open_document("$unset");
    writer.text("resource", "");
    writer.close(unset);
    writer.close(update);
    writer.close(statement);
}

/// Writes a `find` of the tombstones of some keys and of one mark, if there is any: ids of marks come last.
///
/// `{$or: [{_id: {$in: keys}}, {_id: {$gte: "~"}}]}`
pub(super) fn find_tombstones(collection: &str, keys: &[&str]) -> BsonWriter {
    let at_most = keys.len() as u64 + 1;
    let mut writer = BsonWriter::default();
    let command = writer.open();
    writer.text("find", collection);
    writer.count("limit", at_most);
    writer.count("batchSize", at_most);
    writer.boolean("singleBatch", true);
    let filter = writer.open_document("filter");
    let either = writer.open_array("$or");
    let under_key = writer.open_document("0");
    let id = writer.open_document("_id");
    let list = writer.open_array("$in");
    for (index, key) in keys.iter().enumerate() {
        writer.text_item(index, key);
    }
    writer.close(list);
    writer.close(id);
    writer.close(under_key);
    let is_mark = writer.open_document("1");
    let id = writer.open_document("_id");
    writer.text("$gte", MARK_PREFIX);
    writer.close(id);
    writer.close(is_mark);
    writer.close(either);
    writer.close(filter);
    let order = writer.open_document("sort");
    writer.int32("_id", 1);
    writer.close(order);
    let projection = writer.open_document("projection");
    writer.int32("_version", 1);
    writer.close(projection);
    writer.close(command);
    writer
}

/// Writes a `find` of the `_version`s under some `_id`s, all in one answer.
pub(super) fn find_versions<'a>(collection: &str, ids: impl ExactSizeIterator<Item = &'a str>) -> BsonWriter {
    find_fields(collection, ids, &["_version"])
}

/// Writes a `find` of the `_version`s and `_hash`es under some `_id`s, all in one answer.
pub(super) fn find_contents<'a>(collection: &str, ids: impl ExactSizeIterator<Item = &'a str>) -> BsonWriter {
    find_fields(collection, ids, &["_version", HASH_FIELD])
}

fn find_fields<'a>(
    collection: &str,
    ids: impl ExactSizeIterator<Item = &'a str>,
    fields: &[&str],
) -> BsonWriter {
    let mut writer = BsonWriter::default();
    let command = writer.open();
    writer.text("find", collection);
    writer.count("batchSize", ids.len() as u64);
    writer.boolean("singleBatch", true);
    let filter = writer.open_document("filter");
    let id = writer.open_document("_id");
    let list = writer.open_array("$in");
    for (index, id) in ids.enumerate() {
        writer.text_item(index, id);
    }
    writer.close(list);
    writer.close(id);
    writer.close(filter);
    let projection = writer.open_document("projection");
    for field in fields {
        writer.int32(*field, 1);
    }
    writer.close(projection);
    writer.close(command);
    writer
}

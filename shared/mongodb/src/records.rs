//! What the store keeps beside rows: tombstones, archived resources and rejects, as documents, and from when they and
//! others are kept.

use pipeline::batch::{Fate, Reason, Reject, ResourceWrite, WriteBatch};

use crate::encode::{BsonWriter, HASH_FIELD, RowEncoder};

/// Longer resources are kept compressed: a document of 16 MiB must hold the rest as well.
const PLAIN_ARCHIVE_BYTES: usize = 12 << 20;

/// From when the retention of an archived resource counts: the same at every attempt.
pub(crate) const CREATED: &str = "_created";

/// Which reading of its object a reject is of.
pub(crate) const READING: &str = "reading";

/// When nothing was left to do for a load: in settled entries alone, so that no other entry expires.
pub(crate) const SETTLED: &str = "settled";

/// When the attempt began that wrote a reject or the record of an export: from then its retention counts.
pub(crate) const WRITTEN: &str = "written";

/// Writes the tombstone of a resource that has no row now. It keeps older versions away.
///
/// `{_id, _version, fate}`; the fate is `deleted`, `archived`, or `no rows`.
/// Of an erased resource `_id` is its mark instead of the key, and the fate is `erased`.
pub(crate) fn tombstone(writer: &mut BsonWriter, resource: &ResourceWrite) {
    let document = writer.open();
    let (id, fate) = match &resource.fate {
        Fate::Deleted => (&resource.key, "deleted"),
        Fate::Archived(_) => (&resource.key, "archived"),
        Fate::Rows(_) => (&resource.key, "no rows"),
        Fate::Erased { mark } => (mark, "erased"),
    };
    writer.text("_id", id);
    writer.text("_version", resource.version.as_str());
    writer.text("fate", fate);
    writer.close(document);
}

/// Writes a whole resource as it came.
///
/// `{_id, resourceType, json, _created, _hash, _version, _source, _load}`: `json` is the exact text, `_created` is when
/// its object was created. A text over 12 MiB stands in `json_zstd` instead, as a zstd frame.
pub(crate) fn archived(
    writer: &mut BsonWriter,
    encoder: &mut RowEncoder<'_>,
    resource: &ResourceWrite,
    text: &[u8],
) {
    let document = writer.open();
    writer.text("_id", &resource.key);
    writer.text("resourceType", resource.own_type());
    match std::str::from_utf8(text) {
        Ok(text) if text.len() <= PLAIN_ARCHIVE_BYTES => writer.text("json", text),
        _ => writer.binary("json_zstd", &compressed(text)),
    }
    writer.date(CREATED, resource.source.object.created);
    if let Some(hash) = &resource.hash {
        writer.text(HASH_FIELD, &hash.to_string());
    }
    encoder.origin(writer, resource);
    writer.close(document);
}

/// Writes a reject: a pointer into the object, a code and a place.
///
/// `{_id, bucket, key, versionId, ordinal, offset, length, line, sha256, code, version, …, _load, reading, written}`;
/// `_id` is [`Reject::id`], so that the same reject is the same document in every reading.
pub(crate) fn reject(
    writer: &mut BsonWriter,
    encoder: &mut RowEncoder<'_>,
    reject: &Reject,
    batch: &WriteBatch,
) {
    let document = writer.open();
    writer.text("_id", &reject.id());
    encoder.pointer(writer, &reject.source);
    writer.count("line", reject.source.line);
    if let Some(sha256) = &reject.sha256 {
        writer.text("sha256", sha256);
    }
    writer.text("code", reject.reason.code());
    if let Some(version) = &reject.version {
        writer.text("version", version.as_str());
    }
    if let Some(resource) = &reject.resource {
        writer.text("resource", resource);
    }
    match &reject.reason {
        Reason::Frame(_) => {}
        Reason::Defect { view, defect } => {
            if let Some(view) = view {
                writer.text("view", view);
            }
            writer.text("path", &defect.path);
            if let Some(offset) = defect.offset {
                writer.count("offsetInRecord", offset as u64);
            }
        }
        Reason::Refused { table, code } => {
            writer.text("table", table);
            writer.int32("status", *code);
        }
    }
    writer.text("_load", &reject.source.object.load_id());
    writer.count(READING, batch.reading.into());
    writer.date(WRITTEN, batch.begun);
    writer.close(document);
}

/// Compresses a text. Compressing into memory does not fail; should it, the bytes are kept as they are.
fn compressed(text: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(text, 3).unwrap_or_else(|_| text.to_vec())
}

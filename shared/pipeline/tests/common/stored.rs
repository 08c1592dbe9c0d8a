//! What a [`MemoryStore`] holds, as the documents that MongoDB would hold. Written apart from the store's own encoder, so
//! that each is an oracle for the other.

use flatten::CellValue;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, doc, spec::BinarySubtype};
use mongodb_store::simulation::{Collection, State};
use pipeline::batch::Reason;
use pipeline::object::{Pin, Source};
use pipeline::store::memory::{MemoryStore, RejectInMemory, StoredResource, StoredRow};

/// Archived texts above this are kept compressed.
const PLAIN_ARCHIVE_BYTES: usize = 12 << 20;

/// Returns tables, archive, tombstones and rejects.
pub(crate) fn state(store: &MemoryStore) -> State {
    let stored = store.stored();
    let mut state = State::default();
    for (key, resource) in &stored.resources {
        for ((table, id), row) in &resource.rows {
            let document = row_document(id, row, resource);
            state.tables.entry(table.clone()).or_default().insert(id.clone(), document);
        }
        if let Some(text) = &resource.archived {
            let document = archived_document(key, text, resource);
            let archive: &mut Collection = state.archive.entry(resource.resource_type.clone()).or_default();
            archive.insert(key.clone(), document);
        }
        if let Some(fate) = resource.tombstone {
            let version = resource.version.as_str();
            state.tombstones.insert(key.clone(), doc! { "_id": key, "_version": version, "fate": fate });
        }
    }
    for (mark, version) in &stored.marks {
        let document = doc! { "_id": mark, "_version": version.as_str(), "fate": "erased" };
        state.tombstones.insert(mark.clone(), document);
    }
    let rejects = stored.rejects.iter();
    state.rejects = rejects.map(|(id, standing)| (id.clone(), reject_document(standing))).collect();
    state
}

fn row_document(id: &str, row: &StoredRow, resource: &StoredResource) -> Document {
    let mut document = doc! { "_id": id };
    document.extend(row.cells.iter().map(|(name, value)| (name.clone(), bson_of(value))));
    if row.is_anchor {
        add_hash(&mut document, resource);
    }
    add_origin(&mut document, resource);
    document.insert("_received", DateTime::from_millis(resource.source.object.created));
    document
}

fn archived_document(key: &str, text: &[u8], resource: &StoredResource) -> Document {
    let own_type = key.split('/').next().unwrap();
    let mut document = doc! { "_id": key, "resourceType": own_type };
    match std::str::from_utf8(text) {
        Ok(text) if text.len() <= PLAIN_ARCHIVE_BYTES => drop(document.insert("json", text)),
        _ => {
            let bytes = zstd::bulk::compress(text, 3).unwrap();
            document.insert("json_zstd", Binary { subtype: BinarySubtype::Generic, bytes });
        }
    }
    document.insert("_created", DateTime::from_millis(resource.source.object.created));
    add_hash(&mut document, resource);
    add_origin(&mut document, resource);
    document
}

fn add_hash(document: &mut Document, resource: &StoredResource) {
    if let Some(hash) = &resource.hash {
        document.insert("_hash", hash.to_string());
    }
}

fn add_origin(document: &mut Document, resource: &StoredResource) {
    document.insert("_version", resource.version.as_str());
    document.insert("_source", pointer(&resource.source));
    document.insert("_load", resource.source.object.load_id());
}

fn pointer(source: &Source) -> Document {
    let mut pointer = doc! { "bucket": &source.object.bucket, "key": &source.object.key };
    if let Pin::VersionId(version) = &source.object.pin {
        pointer.insert("versionId", version);
    }
    for (name, value) in [("ordinal", source.ordinal), ("offset", source.offset), ("length", source.length)] {
        pointer.insert(name, i64::try_from(value).unwrap());
    }
    pointer
}

fn reject_document(RejectInMemory { reject, reading, begun }: &RejectInMemory) -> Document {
    let mut document = doc! { "_id": reject.id() };
    document.extend(pointer(&reject.source));
    document.insert("line", i64::try_from(reject.source.line).unwrap());
    if let Some(sha256) = &reject.sha256 {
        document.insert("sha256", sha256);
    }
    document.insert("code", reject.reason.code());
    if let Some(version) = &reject.version {
        document.insert("version", version.as_str());
    }
    if let Some(resource) = &reject.resource {
        document.insert("resource", resource);
    }
    if let Reason::Defect { view, defect } = &reject.reason {
        if let Some(view) = view {
            document.insert("view", view);
        }
        document.insert("path", &defect.path);
        if let Some(offset) = defect.offset {
            document.insert("offsetInRecord", i64::try_from(offset).unwrap());
        }
    }
    document.insert("_load", reject.source.object.load_id());
    document.insert("reading", i64::from(*reading));
    document.insert("written", DateTime::from_millis(*begun));
    document
}

fn bson_of(value: &CellValue) -> Bson {
    match value {
        CellValue::Null => Bson::Null,
        CellValue::Boolean(value) => Bson::Boolean(*value),
        CellValue::Integer(value) => Bson::Int32(*value),
        CellValue::Long(value) => Bson::Int64(*value),
        CellValue::Decimal(digits) => Bson::Decimal128(digits.parse::<Decimal128>().unwrap()),
        CellValue::Double(value) => Bson::Double(*value),
        CellValue::Text(text) => Bson::String(text.clone()),
        CellValue::Instant(moment) => Bson::DateTime(DateTime::from_millis(*moment)),
        CellValue::List(items) => Bson::Array(items.iter().map(bson_of).collect()),
        CellValue::Record(cells) => {
            Bson::Document(cells.iter().map(|(name, value)| (name.clone(), bson_of(value))).collect())
        }
        other => panic!("no store holds {other:?}"),
    }
}

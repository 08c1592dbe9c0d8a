//! The collection `_exports`: `{_id, export, bucket, key, time, files, beyond, next, load, version, written}`, a document
//! for each manifest of a Bulk Data export. A file is `{name, role, type, count}`.

use bson::{Bson, DateTime, Document, doc};
use pipeline::interrupted::Interrupted;
use pipeline::manifest::{ExpectedFile, ExportManifest, FileRole};
use pipeline::version::Version;

use crate::Connection;
use crate::answers::{carried_out, met_duplicates, run};
use crate::collections::EXPORTS;
use crate::records::WRITTEN;

/// Writes a manifest unless a newer one stands under its id: then the insert meets a duplicate. `begun` is when the
/// attempt began that read it.
pub(crate) async fn write(
    connection: &Connection,
    manifest: &ExportManifest,
    begun: i64,
) -> Result<(), Interrupted> {
    let older = doc! { "_id": &manifest.id, "version": { "$lt": manifest.version.as_str() } };
    let mut document = document(manifest);
    document.insert(WRITTEN, DateTime::from_millis(begun));
    let update = doc! { "q": older, "u": document, "upsert": true };
    let command = doc! {
        "update": EXPORTS, "updates": [update], "writeConcern": { "w": "majority", "wtimeout": 20_000 },
    };
    let answer = run(connection, &command).await?;
    carried_out(&answer)?;
    if met_duplicates(&answer) {
        // Another writer may have inserted an older one at the same moment.
        carried_out(&run(connection, &command).await?)?;
    }
    Ok(())
}

pub(crate) fn document(manifest: &ExportManifest) -> Document {
    let ExportManifest { id, export, bucket, key, time, files, beyond, next, load, version } = manifest;
    let mut document = doc! { "_id": id, "export": export, "bucket": bucket, "key": key };
    if let Some(time) = time {
        document.insert("time", DateTime::from_millis(*time));
    }
    document.insert("files", files.iter().map(file_document).collect::<Vec<_>>());
    if *beyond > 0 {
        document.insert("beyond", count(*beyond));
    }
    if let Some(next) = next {
        document.insert("next", next);
    }
    document.insert("load", load);
    document.insert("version", version.as_str());
    document
}

fn file_document(file: &ExpectedFile) -> Bson {
    let ExpectedFile { name, role, resource_type, count: expected } = file;
    let mut document = doc! { "name": name, "role": role.as_str() };
    if let Some(resource_type) = resource_type {
        document.insert("type", resource_type);
    }
    if let Some(expected) = expected {
        document.insert("count", count(*expected));
    }
    document.into()
}

/// Reads a manifest; `None`: the document is not one of ours.
pub(crate) fn manifest(document: &Document) -> Option<ExportManifest> {
    let text = |name: &str| document.get_str(name).ok().map(str::to_owned);
    let edition = Version::edition(document.get_str("version").ok()?);
    Some(ExportManifest {
        id: text("_id")?,
        export: text("export")?,
        bucket: text("bucket")?,
        key: text("key")?,
        time: document.get_datetime("time").ok().map(|time| time.timestamp_millis()),
        files: document.get_array("files").ok()?.iter().filter_map(file).collect(),
        beyond: number(document, "beyond").unwrap_or_default(),
        next: text("next"),
        load: text("load")?,
        version: Version::from_token(document.get_str("version").ok()?).in_edition(edition),
    })
}

fn file(value: &Bson) -> Option<ExpectedFile> {
    let document = value.as_document()?;
    Some(ExpectedFile {
        name: document.get_str("name").ok()?.to_owned(),
        role: FileRole::from_word(document.get_str("role").ok()?)?,
        resource_type: document.get_str("type").ok().map(str::to_owned),
        count: number(document, "count"),
    })
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(document: &Document, name: &str) -> Option<u64> {
    document.get_i64(name).ok().and_then(|number| u64::try_from(number).ok())
}

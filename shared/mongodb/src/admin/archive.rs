//! The archive, as people read it.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use flatten::model::{UNKNOWN_TYPE, is_resource_type};
use flatten::reference::is_type;
use futures::TryStreamExt as _;
use mongodb::Collection;
use pipeline::store::admin::{ArchiveVisitor, ArchivedEntry, ArchivedResource};
use pipeline::store::standing::StoredSource;

use super::databases::{Databases, number, source_of, table_names, text};
use super::failure::DriverFailure;
use crate::collections::LOADS;
use crate::records::CREATED;

pub(super) async fn find(
    databases: &Databases,
    key: &str,
) -> Result<Option<ArchivedResource>, DriverFailure> {
    let mut newest: Option<ArchivedResource> = None;
    for collection in collections_of(databases, key.split('/').next().unwrap_or_default()) {
        let Some(document) = collection.find_one(doc! { "_id": key }).await? else { continue };
        let found = archived(&document, key, collection.name());
        if newest.as_ref().is_none_or(|newest| newest.version < found.version) {
            newest = Some(found);
        }
    }
    Ok(newest)
}

pub(super) async fn remove(databases: &Databases, archived: &ArchivedResource) -> Result<(), DriverFailure> {
    let collection = databases.archive.collection::<Document>(&archived.table);
    collection.delete_one(doc! { "_id": &archived.key, "_version": &archived.version }).await?;
    Ok(())
}

pub(super) async fn count(databases: &Databases) -> Result<BTreeMap<String, u64>, DriverFailure> {
    let mut counts = BTreeMap::new();
    for name in table_names(&databases.archive).await? {
        let count = databases.archive.collection::<Document>(&name).count_documents(doc! {}).await?;
        if count > 0 {
            counts.insert(name, count);
        }
    }
    Ok(counts)
}

pub(super) async fn visit(
    databases: &Databases,
    resource_type: &str,
    visit: &mut ArchiveVisitor<'_>,
) -> Result<(), DriverFailure> {
    let fields = doc! { "_source": 1 };
    for collection in collections_of(databases, resource_type) {
        let of_type = if collection.name() == UNKNOWN_TYPE && resource_type != UNKNOWN_TYPE {
            doc! { "resourceType": resource_type }
        } else {
            doc! {}
        };
        let found = collection.find(of_type).projection(fields.clone()).sort(doc! { "_id": 1 });
        let mut found = found.await?;
        while let Some(document) = found.try_next().await? {
            let key = text(&document, "_id").unwrap_or_default();
            let source = document.get_document("_source").map(source_of).unwrap_or_default();
            if visit(ArchivedEntry { key, source }).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

pub(super) async fn is_another(databases: &Databases) -> Result<bool, DriverFailure> {
    let archived = doc! { "counts.archived": { "$gt": 0 } };
    let has_archived = databases.own(LOADS).find_one(archived).await?.is_some();
    let collections = databases.archive.list_collection_names().await?;
    Ok(has_archived && collections.is_empty())
}

/// Returns the text of an archived resource; `None`: the document is not one, or is in an unknown form.
pub(super) fn archived_text(document: &Document) -> Option<Vec<u8>> {
    match (document.get("json"), document.get("json_zstd")) {
        (Some(Bson::String(text)), _) => Some(text.as_bytes().to_vec()),
        (_, Some(Bson::Binary(frame))) => zstd::decode_all(frame.bytes.as_slice()).ok(),
        _ => None,
    }
}

fn archived(document: &Document, key: &str, table: &str) -> ArchivedResource {
    ArchivedResource {
        key: key.to_owned(),
        table: table.to_owned(),
        version: text(document, "_version").unwrap_or_default(),
        load: text(document, "_load").unwrap_or_default(),
        source: document.get_document("_source").ok().and_then(whole_source),
        created: document.get_datetime(CREATED).ok().map(|moment| moment.timestamp_millis()),
        text: archived_text(document),
    }
}

/// Reads where a document came from; `None`: something is missing.
fn whole_source(pointer: &Document) -> Option<StoredSource> {
    let texts = ["bucket", "key"].iter().all(|name| text(pointer, name).is_some());
    let numbers = ["ordinal", "offset", "length"].iter().all(|name| number(pointer, name).is_some());
    (texts && numbers).then(|| source_of(pointer))
}

/// Returns the collections that can archive resources of a type: its own, and for a type that FHIR does not have also
/// the one of all unknown types.
fn collections_of(databases: &Databases, resource_type: &str) -> Vec<Collection<Document>> {
    let own = is_type(resource_type).then_some(resource_type);
    let unknown = (resource_type != UNKNOWN_TYPE && !is_resource_type(resource_type)).then_some(UNKNOWN_TYPE);
    own.into_iter().chain(unknown).map(|name| databases.archive.collection(name)).collect()
}

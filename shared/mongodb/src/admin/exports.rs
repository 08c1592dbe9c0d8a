//! Manifests of Bulk Data exports, and the loads of their files.

use std::collections::BTreeMap;

use bson::{DateTime, Document, doc};
use futures::TryStreamExt as _;
use pipeline::manifest::ExportManifest;
use pipeline::store::admin::{LoadOutline, LoadSelection};
use pipeline::store::exports::{FileSelection, FileVisitor, LoadedFile, ManifestVisitor};

use crate::collections::{EXPORTS, LOADS};
use crate::exports::{document, manifest};

use super::databases::{Databases, number, text};
use super::failure::DriverFailure;
use super::selection::{filter, outline};

pub(super) async fn visit(
    databases: &Databases,
    visit: &mut ManifestVisitor<'_>,
) -> Result<(), DriverFailure> {
    let mut found = databases.own(EXPORTS).find(doc! {}).sort(doc! { "_id": -1 }).await?;
    while let Some(found) = found.try_next().await? {
        if manifest(&found).is_some_and(|manifest| visit(manifest).is_break()) {
            break;
        }
    }
    Ok(())
}

pub(super) async fn visit_files(
    databases: &Databases,
    selection: &FileSelection<'_>,
    visit: &mut FileVisitor<'_>,
) -> Result<(), DriverFailure> {
    let FileSelection { bucket, prefix, now } = *selection;
    let selected =
        LoadSelection { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ..LoadSelection::default() };
    let projection = doc! {
        "key": 1, "created": 1, "sequencer": 1, "status": 1, "problem": 1, "lease.until": 1, "types": 1,
        "counts.records": 1, "counts.rejected": 1, "counts.deleteEntries": 1,
    };
    let loads = databases.own(LOADS);
    let mut found = loads.find(filter(&selected)).projection(projection).await?;
    while let Some(load) = found.try_next().await? {
        if let Some(file) = file(&load, now) {
            visit(file);
        }
    }
    Ok(())
}

/// Replaces the name of an object's file by a mark, wherever it may be listed.
pub(super) async fn rename_file(
    databases: &Databases,
    bucket: &str,
    key: &str,
    mark: &str,
) -> Result<(), DriverFailure> {
    let exports = databases.own(EXPORTS);
    let mut listing = Vec::new();
    let mut found = exports.find(doc! { "bucket": bucket }).await?;
    while let Some(found) = found.try_next().await? {
        listing.extend(manifest(&found).filter(|manifest| manifest.lists(bucket, key)));
    }
    for manifest in ExportManifest::with_mark(listing, key, mark) {
        let standing = doc! { "_id": &manifest.id, "version": manifest.version.as_str() };
        // When it was written stays.
        exports.update_one(standing, doc! { "$set": document(&manifest) }).await?;
    }
    Ok(())
}

fn file(load: &Document, now: i64) -> Option<LoadedFile> {
    let counts = load.get_document("counts").ok();
    let count = |name: &str| counts.and_then(|counts| number(counts, name)).unwrap_or_default();
    let LoadOutline { status, is_stuck, sequencer } = outline(load, DateTime::from_millis(now))?;
    let types = load.get_document("types").ok();
    let types = types.into_iter().flat_map(|types| types.keys().map(move |name| (name, number(types, name))));
    Some(LoadedFile {
        load: text(load, "_id")?,
        key: text(load, "key")?,
        created: load.get_datetime("created").ok()?.timestamp_millis(),
        sequencer,
        status,
        is_stuck,
        records: count("records"),
        rejected: count("rejected"),
        delete_entries: count("deleteEntries"),
        types: types
            .map(|(name, count)| (name.clone(), count.unwrap_or_default()))
            .collect::<BTreeMap<_, _>>(),
    })
}

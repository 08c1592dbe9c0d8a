//! Manifests of Bulk Data exports: they list files that are loaded on their own, and are not records.

use flatten::json::{JsonKind, Node};
use flatten::time::{Moment, moment, rfc3339};
use sha2::{Digest, Sha256};

use crate::manifest::{ExpectedFile, ExportManifest, FileRole, folder_of, url_file_name};
use crate::object::{ObjectRef, hex};
use crate::version::Version;

/// The most files of a manifest that are kept.
pub const MAX_LISTED_FILES: usize = 100_000;
/// The most bytes of their names and types: with this, a manifest fits into a document of MongoDB.
pub const MAX_NAMES_BYTES: usize = 6 << 20;
/// The most manifests of one object that are kept.
pub const MAX_MANIFESTS_OF_OBJECT: u64 = 100;

/// Types by which drafts of STU 4 call their manifests.
const LOGICAL_MODELS: [&str; 2] = ["BulkDataManifest", "BulkPublishManifest"];
/// The lists of a manifest. Later releases have `outcome` in place of `error`.
const LISTS: [(&str, FileRole); 4] = [
    ("output", FileRole::Output),
    ("deleted", FileRole::Deleted),
    ("error", FileRole::Outcome),
    ("outcome", FileRole::Outcome),
];

/// Reads a manifest that stands in an object. `type_name` says what a resource type is called.
pub(super) fn read(
    node: Node<'_>,
    object: &ObjectRef,
    version: Version,
    mut type_name: impl FnMut(&str) -> String,
) -> ExportManifest {
    let export = export_id(node, object);
    let mut manifest = ExportManifest {
        id: format!("{export}#{}", short_hash(&[&object.key], 8)),
        export,
        bucket: object.bucket.clone(),
        key: object.key.clone(),
        time: transaction_time(node),
        files: Vec::new(),
        beyond: 0,
        next: next(node),
        load: object.load_id(),
        version,
    };
    let mut names_bytes = 0;
    for (name, role) in LISTS {
        for file in list(node, name) {
            let resource_type = file.get_text("type").filter(|text| !text.is_empty());
            let file = ExpectedFile {
                name: file.get_text("url").map(|url| url_file_name(&url)).unwrap_or_default(),
                role,
                resource_type: resource_type.map(|name| type_name(&name)),
                count: file.get("count").and_then(count),
            };
            names_bytes += file.name.len() + file.resource_type.as_ref().map_or(0, String::len);
            if manifest.files.len() >= MAX_LISTED_FILES || names_bytes > MAX_NAMES_BYTES {
                manifest.beyond += 1;
            } else {
                manifest.files.push(file);
            }
        }
    }
    manifest
}

/// Returns what tells an export from all others: when it was, what was asked for, and where its manifest lies. The
/// hash hides what was asked for, which may name a patient or hold a token.
fn export_id(node: Node<'_>, object: &ObjectRef) -> String {
    let text = |name: &str| node.get_text(name).unwrap_or_default();
    let time = transaction_time(node).map(rfc3339);
    let moment = time.clone().unwrap_or_else(|| text("transactionTime").into_owned());
    let parts = [&object.bucket, folder_of(&object.key), &moment, &*text("request")];
    format!("{}-{}", time.as_deref().unwrap_or("undated"), short_hash(&parts, 4))
}

/// Returns whether an object is a manifest.
pub(super) fn is_manifest(node: Node<'_>) -> bool {
    let has = |name| node.get(name).is_some();
    let is_manifest_type = |of: Node<'_>| of.text().is_some_and(|name| is_model(&name));
    has("transactionTime") && has("output") && node.get("resourceType").is_none_or(is_manifest_type)
}

/// Returns whether a `resourceType` is that of a manifest, by itself or as the URL of its definition.
pub(super) fn is_model(resource_type: &str) -> bool {
    resource_type.rsplit('/').next().is_some_and(|name| LOGICAL_MODELS.contains(&name))
}

fn next(node: Node<'_>) -> Option<String> {
    let mut links = list(node, "link");
    let next = links.find(|link| link.get("relation").is_some_and(|word| word.is("next")))?;
    Some(url_file_name(&next.get_text("url").unwrap_or_default()))
}

fn transaction_time(node: Node<'_>) -> Option<i64> {
    moment(node.get_text("transactionTime")?.trim()).map(Moment::milliseconds)
}

fn list<'a>(node: Node<'a>, name: &str) -> impl Iterator<Item = Node<'a>> {
    let items = node.get(name).map(|list| match list.kind() {
        JsonKind::Array => list.items(),
        _ => Node::once(list),
    });
    items.into_iter().flatten().filter(|item| item.kind() == JsonKind::Object)
}

/// Reads a count; some servers write it as text.
fn count(node: Node<'_>) -> Option<u64> {
    let number = node.number().map(str::to_owned);
    number.or_else(|| node.text().map(std::borrow::Cow::into_owned))?.trim().parse().ok()
}

fn short_hash(parts: &[&str], bytes: usize) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize(), bytes)
}

//! Lists a bucket as S3 answers now.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{EncodingType, ObjectVersion, ObjectVersionStorageClass, OptionalObjectAttributes};
use pipeline::notification::form_decode;
use pipeline::object::{ObjectRef, Pin};
use tokio::sync::mpsc;

use super::order::{Incoming, VersionOrder};
use super::{ListedVersion, Page, Selection};
use crate::cloud::{Cloud, cannot_be_listed};

/// Lists the selected versions into a channel, until the end, a failure, or nobody listens.
pub(super) async fn list(cloud: &Cloud, selection: &Selection, sender: &mpsc::Sender<anyhow::Result<Page>>) {
    if let Err(error) = send_pages(cloud, selection, sender).await {
        sender.send(Err(error)).await.ok();
    }
}

async fn send_pages(
    cloud: &Cloud,
    selection: &Selection,
    sender: &mpsc::Sender<anyhow::Result<Page>>,
) -> anyhow::Result<()> {
    let mut order = VersionOrder::default();
    let (mut key_marker, mut version_marker) = (None, None);
    loop {
        let list = cloud.patient_s3().list_object_versions();
        let list = list.bucket(&selection.bucket).prefix(&selection.prefix);
        // A key may hold what XML cannot.
        let list = list.encoding_type(EncodingType::Url);
        let list = list.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        let list = list.set_key_marker(key_marker).set_version_id_marker(version_marker);
        let answer = list.send().await.map_err(|error| {
            cannot_be_listed(&error, &format!("s3://{}/{}", selection.bucket, selection.prefix))
        })?;
        for version in answer.versions() {
            let Some(listed) = listed(&answer, version, &selection.bucket) else { continue };
            if !selection.includes(&listed.object.key, listed.object.created) {
                continue;
            }
            if let Some(page) = order.push(listed, Incoming::NewestFirst)
                && sender.send(Ok(page)).await.is_err()
            {
                return Ok(());
            }
        }
        if answer.is_truncated() != Some(true) {
            break;
        }
        key_marker = answer.next_key_marker().and_then(|key| decoded(&answer, key));
        version_marker = answer.next_version_id_marker().map(str::to_owned);
        anyhow::ensure!(key_marker.is_some(), "S3 does not say where its list goes on");
    }
    sender.send(Ok(order.finish(Incoming::NewestFirst))).await.ok();
    Ok(())
}

/// Returns a version of the answer; `None` if it has no key.
fn listed(answer: &ListObjectVersionsOutput, version: &ObjectVersion, bucket: &str) -> Option<ListedVersion> {
    let created = version.last_modified().and_then(|moment| moment.to_millis().ok()).unwrap_or_default();
    let object = ObjectRef {
        bucket: bucket.to_owned(),
        key: decoded(answer, version.key()?)?,
        pin: Pin::Latest,
        sequencer: None,
        created,
        size: version.size().and_then(|size| u64::try_from(size).ok()),
    };
    let (id, e_tag) = (version.version_id(), version.e_tag().unwrap_or_default());
    let listed = ListedVersion::new(object, id, e_tag, version.is_latest().unwrap_or(true));
    Some(ListedVersion { is_archived: is_archived(version), ..listed })
}

/// A store that does not know the encoding answers with plain keys.
fn decoded(answer: &ListObjectVersionsOutput, key: &str) -> Option<String> {
    if answer.encoding_type() == Some(&EncodingType::Url) {
        form_decode(key).ok()
    } else {
        Some(key.to_owned())
    }
}

/// Returns whether a version is in Glacier and no restored copy of it stands.
fn is_archived(version: &ObjectVersion) -> bool {
    // The classes of the list are fewer in the SDK than in S3.
    let class = version.storage_class().map(ObjectVersionStorageClass::as_str);
    let is_restored = version.restore_status().is_some_and(|status| status.restore_expiry_date().is_some());
    matches!(class, Some("GLACIER" | "DEEP_ARCHIVE")) && !is_restored
}

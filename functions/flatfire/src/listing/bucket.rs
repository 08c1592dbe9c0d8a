//! Lists a bucket as S3 answers now.

use anyhow::Context as _;
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
            let listed = listed(&answer, version, &selection.bucket)?;
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
        key_marker = answer.next_key_marker().map(|key| decoded(&answer, key)).transpose()?;
        version_marker = answer.next_version_id_marker().map(str::to_owned);
        anyhow::ensure!(key_marker.is_some(), "S3 does not say where its list goes on");
    }
    sender.send(Ok(order.finish(Incoming::NewestFirst))).await.ok();
    Ok(())
}

/// Returns a version of the answer.
fn listed(
    answer: &ListObjectVersionsOutput,
    version: &ObjectVersion,
    bucket: &str,
) -> anyhow::Result<ListedVersion> {
    let created = version.last_modified().and_then(|moment| moment.to_millis().ok());
    let created = created.context("S3 lists a version without its time")?;
    let object = ObjectRef {
        bucket: bucket.to_owned(),
        key: decoded(answer, version.key().context("S3 lists a version without its key")?)?,
        pin: Pin::Latest,
        sequencer: None,
        created,
        size: version.size().and_then(|size| u64::try_from(size).ok()),
    };
    let (id, e_tag) = (version.version_id(), version.e_tag().unwrap_or_default());
    let listed = ListedVersion::new(object, id, e_tag, version.is_latest().unwrap_or(true));
    Ok(ListedVersion { is_archived: is_archived(version), ..listed })
}

/// Decodes a key. A store that does not know the encoding answers with plain keys.
fn decoded(answer: &ListObjectVersionsOutput, key: &str) -> anyhow::Result<String> {
    if answer.encoding_type() == Some(&EncodingType::Url) {
        form_decode(key).context("S3 lists a key that cannot be decoded")
    } else {
        Ok(key.to_owned())
    }
}

/// Returns whether a version is in Glacier and no restored copy of it stands.
fn is_archived(version: &ObjectVersion) -> bool {
    // The classes of the list are fewer in the SDK than in S3.
    let class = version.storage_class().map(ObjectVersionStorageClass::as_str);
    let is_restored = version.restore_status().is_some_and(|status| status.restore_expiry_date().is_some());
    matches!(class, Some("GLACIER" | "DEEP_ARCHIVE")) && !is_restored
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
    use aws_sdk_s3::primitives::DateTime;
    use aws_sdk_s3::types::{EncodingType, ObjectVersion, ObjectVersionStorageClass, RestoreStatus};

    use super::listed;

    fn answer(encoding: Option<EncodingType>) -> ListObjectVersionsOutput {
        ListObjectVersionsOutput::builder().set_encoding_type(encoding).build()
    }

    fn version(key: &str) -> ObjectVersion {
        ObjectVersion::builder()
            .key(key)
            .version_id("v")
            .size(1)
            .last_modified(DateTime::from_secs(5))
            .build()
    }

    #[test]
    fn keys_are_decoded_if_the_answer_says_that_they_are_encoded() {
        let key =
            |encoding, key: &str| listed(&answer(encoding), &version(key), "b").map(|one| one.object.key);
        assert_eq!(key(Some(EncodingType::Url), "a+b%2Bc%01.json").unwrap(), "a b+c\u{1}.json");
        assert_eq!(key(None, "a+b%2Bc.json").unwrap(), "a+b%2Bc.json");
        // An audit must not pass over what it cannot name.
        assert!(key(Some(EncodingType::Url), "100%").is_err());
        let nameless = ObjectVersion::builder().last_modified(DateTime::from_secs(5)).build();
        assert!(listed(&answer(None), &nameless, "b").is_err());
    }

    #[test]
    fn a_version_in_glacier_is_archived_until_a_restored_copy_stands() {
        let status = |expires| RestoreStatus::builder().set_restore_expiry_date(expires).build();
        let in_class = |class: &str, status: Option<RestoreStatus>| {
            let mut version = version("k");
            version.storage_class = Some(ObjectVersionStorageClass::from(class));
            version.restore_status = status;
            listed(&answer(None), &version, "b").unwrap().is_archived
        };
        for class in ["GLACIER", "DEEP_ARCHIVE"] {
            assert!(in_class(class, None) && in_class(class, Some(status(None))), "{class}");
            assert!(!in_class(class, Some(status(Some(DateTime::from_secs(9))))), "{class}");
        }
        for class in ["STANDARD", "GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING"] {
            assert!(!in_class(class, None), "{class}");
        }
    }
}

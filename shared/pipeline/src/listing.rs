//! Object versions as S3 lists them, a page at a time.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{EncodingType, ObjectVersion, ObjectVersionStorageClass, OptionalObjectAttributes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::notification::form_decode;
use crate::object::{ObjectRef, Pin};

/// One object version of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The object, pinned as its notification pins it. Its size is known.
    pub object: ObjectRef,
    /// Another id that its load may have: the version `null` is announced by its `ETag` while it is the latest, and can
    /// be read by its name only once it no longer is.
    pub other_load_id: Option<String>,
    /// It must be restored before it can be read.
    pub is_archived: bool,
    /// How many earlier versions of the key were made within the same second.
    pub rank_in_second: u32,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListMarker {
    /// The last key of the page before.
    pub key: String,
    /// The version id of the last version of the page before; messages under way have it as `version`.
    #[serde(rename = "version", default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

/// A page of a list: keys in order, of each key the newest version first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPage {
    /// At most a thousand versions.
    pub versions: Vec<ListedVersion>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<ListMarker>,
}

/// Why a bucket could not be listed. Messages of S3 quote keys, so the code alone is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    /// S3 refused or did not answer.
    #[error("cannot be listed ({0})")]
    Failed(String),
    /// The answer lacks what a list must have.
    #[error("S3 lists {0}")]
    Incomplete(&'static str),
}

/// Lists a page of all versions below a prefix, from a marker on. Fails as [`ListError`] says.
pub async fn list_versions(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    prefix: &str,
    marker: Option<ListMarker>,
) -> Result<ListedPage, ListError> {
    let (key, version) = marker.map_or((None, None), |marker| (Some(marker.key), marker.version_id));
    // A key may hold what XML cannot.
    let list = s3.list_object_versions().bucket(bucket).prefix(prefix).encoding_type(EncodingType::Url);
    let list = list.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
    let answer = list.set_key_marker(key).set_version_id_marker(version).send().await;
    let answer = answer.map_err(|error| {
        let code = error.as_service_error().and_then(|error| error.code());
        ListError::Failed(code.unwrap_or("no connection or no credentials").to_owned())
    })?;
    let versions = answer.versions().iter().map(|version| listed(&answer, version, bucket));
    Ok(ListedPage { versions: versions.collect::<Result<_, _>>()?, next: next_marker(&answer)? })
}

impl ListedVersion {
    /// Returns a version as a listing states it. `version` is `None` or `null` where the bucket gave none.
    #[must_use]
    pub fn new(mut object: ObjectRef, version: Option<&str>, e_tag: &str, is_latest: bool) -> Self {
        if let Some(version) = version.filter(|version| !version.is_empty() && *version != "null") {
            object.pin = Pin::VersionId(version.to_owned());
            return Self { object, other_load_id: None, is_archived: false, rank_in_second: 0 };
        }
        let by_tag = Pin::ETag(e_tag.trim_matches('"').to_owned());
        let by_name = Pin::VersionId("null".to_owned());
        let (own, other) = if is_latest { (by_tag, by_name) } else { (by_name, by_tag) };
        object.pin = other;
        let other_load_id = Some(object.load_id());
        object.pin = own;
        Self { object, other_load_id, is_archived: false, rank_in_second: 0 }
    }

    /// Returns whether the function loads nothing of it: an empty object, or a folder that a console made.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        self.object.size == Some(0) || self.object.key.ends_with('/')
    }

    /// Returns the ids that its load may have.
    pub fn load_ids(&self) -> impl Iterator<Item = String> + use<> {
        std::iter::once(self.object.load_id()).chain(self.other_load_id.clone())
    }
}

fn next_marker(answer: &ListObjectVersionsOutput) -> Result<Option<ListMarker>, ListError> {
    if answer.is_truncated() != Some(true) {
        return Ok(None);
    }
    let key = answer.next_key_marker().ok_or(ListError::Incomplete("a page without where it goes on"))?;
    let version = answer.next_version_id_marker().map(str::to_owned);
    Ok(Some(ListMarker { key: decoded(answer, key)?, version_id: version }))
}

/// Returns a version of the answer.
fn listed(
    answer: &ListObjectVersionsOutput,
    version: &ObjectVersion,
    bucket: &str,
) -> Result<ListedVersion, ListError> {
    let created = version.last_modified().and_then(|moment| moment.to_millis().ok());
    let key = version.key().ok_or(ListError::Incomplete("a version without its key"))?;
    let object = ObjectRef {
        bucket: bucket.to_owned(),
        key: decoded(answer, key)?,
        pin: Pin::Latest,
        sequencer: None,
        created: created.ok_or(ListError::Incomplete("a version without its time"))?,
        size: version.size().and_then(|size| u64::try_from(size).ok()),
    };
    let (id, e_tag) = (version.version_id(), version.e_tag().unwrap_or_default());
    let listed = ListedVersion::new(object, id, e_tag, version.is_latest().unwrap_or(true));
    Ok(ListedVersion { is_archived: is_archived(version), ..listed })
}

/// Decodes a key. A store that does not know the encoding answers with plain keys.
fn decoded(answer: &ListObjectVersionsOutput, key: &str) -> Result<String, ListError> {
    if answer.encoding_type() == Some(&EncodingType::Url) {
        form_decode(key).map_err(|_| ListError::Incomplete("a key that cannot be decoded"))
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

    use super::{ListedVersion, listed};
    use crate::object::{ObjectRef, Pin};

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

    fn made(version: Option<&str>, is_latest: bool) -> ListedVersion {
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: Some(1) };
        ListedVersion::new(object, version, "\"0123\"", is_latest)
    }

    #[test]
    fn versions_are_pinned_as_notifications_pin_them() {
        let ids = |made: ListedVersion| (made.object.load_id(), made.other_load_id);
        assert_eq!(ids(made(Some("v1"), true)), ("b/k@v1".to_owned(), None));
        let (by_tag, by_name) = ("b/k@etag:0123".to_owned(), "b/k@null".to_owned());
        for version in [None, Some(""), Some("null")] {
            assert_eq!(ids(made(version, true)), (by_tag.clone(), Some(by_name.clone())));
            assert_eq!(ids(made(version, false)), (by_name.clone(), Some(by_tag.clone())));
        }
    }
}

//! AWS as the command line reaches it.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, StorageClass};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::{S3, Storage};

/// The clients, with one configuration.
pub(crate) struct Cloud {
    configuration: SdkConfig,
    s3: aws_sdk_s3::Client,
    patient_s3: aws_sdk_s3::Client,
}

/// How often a request is tried by commands that run for hours.
const PATIENT_ATTEMPTS: u32 = 10;

impl Cloud {
    /// Returns clients that connect when they are first used.
    pub(crate) async fn new() -> Self {
        let configuration = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let patient = s3(&configuration).retry_config(patient_retries());
        let patient_s3 = aws_sdk_s3::Client::from_conf(patient.build());
        let s3 = aws_sdk_s3::Client::from_conf(s3(&configuration).build());
        Self { configuration, s3, patient_s3 }
    }

    pub(crate) fn storage(&self) -> Storage {
        Storage::S3(S3::new(s3(&self.configuration)))
    }

    /// Returns every version of every object below a prefix.
    pub(crate) async fn versions(&self, bucket: &str, prefix: &str) -> anyhow::Result<Vec<ObjectRef>> {
        let mut objects = Vec::new();
        let (mut key, mut version) = (None, None);
        loop {
            let list = self.s3.list_object_versions().bucket(bucket).prefix(prefix);
            let list = list.set_key_marker(key).set_version_id_marker(version).send().await;
            let list = list.map_err(|error| cannot_be_listed(&error, &format!("s3://{bucket}/{prefix}")))?;
            objects.extend(list.versions().iter().filter_map(|found| {
                let pin =
                    found.version_id().map_or(Pin::Latest, |version| Pin::VersionId(version.to_owned()));
                let created =
                    found.last_modified().and_then(|moment| moment.to_millis().ok()).unwrap_or_default();
                let size = found.size().and_then(|size| u64::try_from(size).ok());
                let (bucket, key) = (bucket.to_owned(), found.key()?.to_owned());
                Some(ObjectRef { bucket, key, pin, sequencer: None, created, size })
            }));
            if list.is_truncated() != Some(true) {
                return Ok(objects);
            }
            key = list.next_key_marker().map(str::to_owned);
            version = list.next_version_id_marker().map(str::to_owned);
        }
    }

    pub(crate) fn queues(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.configuration)
    }

    /// Returns a client of S3 for commands that run for hours: it tries more often than others.
    pub(crate) const fn patient_s3(&self) -> &aws_sdk_s3::Client {
        &self.patient_s3
    }

    /// Returns a client of the queues for such commands.
    pub(crate) fn patient_queues(&self) -> aws_sdk_sqs::Client {
        let configuration = aws_sdk_sqs::config::Builder::from(&self.configuration);
        aws_sdk_sqs::Client::from_conf(configuration.retry_config(patient_retries()).build())
    }

    /// Begins to read an object.
    pub(crate) async fn get(&self, bucket: &str, key: &str) -> anyhow::Result<ByteStream> {
        let answer = self.patient_s3.get_object().bucket(bucket).key(key).send().await;
        let answer = answer
            .map_err(|error| anyhow::anyhow!("s3://{bucket}/{key} cannot be read ({})", code_of(&error)))?;
        Ok(answer.body)
    }

    /// Reads a small object.
    pub(crate) async fn read(&self, bucket: &str, key: &str) -> anyhow::Result<Vec<u8>> {
        let body = self.get(bucket, key).await?.collect().await;
        Ok(body.map_err(|_| anyhow::anyhow!("s3://{bucket}/{key} cannot be read to its end"))?.to_vec())
    }

    /// Returns whether a bucket keeps versions, or did so once.
    pub(crate) async fn keeps_versions(&self, bucket: &str) -> anyhow::Result<bool> {
        let answer = self.patient_s3.get_bucket_versioning().bucket(bucket).send().await;
        let answer = answer.map_err(|error| {
            anyhow::anyhow!("s3://{bucket} does not say whether it keeps versions ({})", code_of(&error))
        })?;
        let status = answer.status();
        Ok(matches!(status, Some(BucketVersioningStatus::Enabled | BucketVersioningStatus::Suspended)))
    }

    /// Returns whether an object version is still there, and can be read.
    pub(crate) async fn presence(&self, object: &ObjectRef) -> anyhow::Result<Presence> {
        let version = match &object.pin {
            Pin::VersionId(version) => Some(version.clone()),
            Pin::ETag(_) | Pin::Latest => None,
        };
        let head = self.s3.head_object().bucket(&object.bucket).key(&object.key).set_version_id(version);
        match head.send().await {
            Ok(head) if is_archived(&head) => Ok(Presence::Archived),
            Ok(_) => Ok(Presence::There),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => {
                Ok(Presence::Gone)
            }
            Err(error) => {
                let code = error.as_service_error().and_then(|error| error.code());
                anyhow::bail!("S3 does not answer ({})", code.unwrap_or("no connection or no credentials"))
            }
        }
    }
}

/// Whether an object version can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It can.
    There,
    /// It is in Glacier and must be restored first.
    Archived,
    /// It does not exist.
    Gone,
}

/// Returns whether an object must be restored first. One of an archive class can be read while a restored copy stands.
fn is_archived(head: &HeadObjectOutput) -> bool {
    let is_in_archive =
        matches!(head.storage_class(), Some(StorageClass::Glacier | StorageClass::DeepArchive))
            || head.archive_status().is_some();
    let is_restored = head.restore().is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
    is_in_archive && !is_restored
}

/// Explains why a place cannot be listed. Messages of S3 quote keys, so the code alone is kept.
pub(crate) fn cannot_be_listed<E: ProvideErrorMetadata, R>(
    error: &SdkError<E, R>,
    place: &str,
) -> anyhow::Error {
    anyhow::anyhow!("{place} cannot be listed ({})", code_of(error))
}

fn code_of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let code = error.as_service_error().and_then(|error| error.code());
    code.unwrap_or("no connection or no credentials").to_owned()
}

fn patient_retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(PATIENT_ATTEMPTS)
}

/// Returns a client of S3. A local cloud has no host name for each bucket.
fn s3(configuration: &SdkConfig) -> aws_sdk_s3::config::Builder {
    let is_local = configuration.endpoint_url().is_some();
    aws_sdk_s3::config::Builder::from(configuration).force_path_style(is_local)
}

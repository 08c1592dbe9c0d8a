//! AWS as the command line reaches it.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::{S3, Storage};

/// The clients, with one configuration.
pub(super) struct Cloud {
    configuration: SdkConfig,
    s3: aws_sdk_s3::Client,
}

impl Cloud {
    /// Nothing connects before it is used.
    pub(super) async fn new() -> Self {
        let configuration = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let s3 = aws_sdk_s3::Client::from_conf(s3(&configuration).build());
        Self { configuration, s3 }
    }

    pub(super) fn storage(&self) -> Storage {
        Storage::S3(S3::new(s3(&self.configuration)))
    }

    pub(super) fn queues(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.configuration)
    }

    /// Whether an object version is still there.
    pub(super) async fn holds(&self, object: &ObjectRef) -> anyhow::Result<bool> {
        let version = match &object.pin {
            Pin::Version(version) => Some(version.clone()),
            Pin::ETag(_) | Pin::Latest => None,
        };
        let head = self.s3.head_object().bucket(&object.bucket).key(&object.key).set_version_id(version);
        match head.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(false),
            Err(error) => {
                let code = error.as_service_error().and_then(|error| error.code());
                anyhow::bail!("S3 does not answer ({})", code.unwrap_or("no connection or no credentials"))
            }
        }
    }
}

/// A local cloud has no host name for each bucket.
fn s3(configuration: &SdkConfig) -> aws_sdk_s3::config::Builder {
    let is_local = configuration.endpoint_url().is_some();
    aws_sdk_s3::config::Builder::from(configuration).force_path_style(is_local)
}

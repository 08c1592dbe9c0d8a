//! One file into the bucket: compared with what is there, then put whole or in parts.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use pipeline::object::{ObjectRef, Pin, hex};
use sha2::{Digest as _, Sha256};

use super::files::LocalFile;
use crate::cloud::Cloud;

/// Larger files are uploaded in parts.
const WHOLE_BYTES: u64 = 64 << 20;
/// The size of a part, unless the file needs larger ones.
const PART_BYTES: u64 = 32 << 20;
/// S3 takes 10,000 parts.
const MOST_PARTS: u64 = 9_000;
/// Parts of one file at once.
const PARTS_AT_ONCE: usize = 4;
/// The metadata that says what the file held.
const DIGEST: &str = "flatfire-sha256";

/// Where files go.
#[derive(Debug)]
pub(super) struct Target {
    bucket: String,
    prefix: String,
    client: Client,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Uploaded {
    /// The bucket has it: the object, unless nothing was to be done.
    Object(Option<ObjectRef>),
    /// The bucket had it already, as this object.
    Unchanged(ObjectRef),
    /// It has changed meanwhile; it is looked at again.
    Changing,
}

impl Target {
    /// Reads `s3://bucket/prefix/`.
    pub(super) fn parse(text: &str, cloud: &Cloud) -> anyhow::Result<Self> {
        let (bucket, prefix) = place(text)?;
        Ok(Self { bucket, prefix, client: cloud.patient_s3().clone() })
    }

    fn key(&self, file: &LocalFile) -> String {
        format!("{}{}", self.prefix, file.key)
    }

    /// Returns the sizes of the objects that these files have in the bucket. Both are in the order of their keys.
    pub(super) async fn sizes_of(&self, files: &[LocalFile]) -> anyhow::Result<Vec<Option<u64>>> {
        let mut sizes = vec![None; files.len()];
        let mut rest = files.iter().zip(&mut sizes).peekable();
        let mut token = None;
        loop {
            let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix);
            let page = list.set_continuation_token(token).send().await;
            let page = page
                .map_err(|error| failure(&error))
                .with_context(|| format!("s3://{}/{} cannot be listed", self.bucket, self.prefix))?;
            for object in page.contents() {
                let Some(key) = object.key().and_then(|key| key.strip_prefix(&*self.prefix)) else {
                    continue;
                };
                while rest.peek().is_some_and(|(file, _)| *file.key < *key) {
                    rest.next();
                }
                if let Some((file, size)) = rest.peek_mut()
                    && file.key == key
                {
                    **size = object.size().and_then(|size| u64::try_from(size).ok());
                }
            }
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() || rest.peek().is_none() {
                return Ok(sizes);
            }
        }
    }

    /// Uploads a file unless the bucket has it. `size` is that of its object there.
    pub(super) async fn upload(
        &self,
        file: &LocalFile,
        size: Option<u64>,
        is_dry: bool,
    ) -> anyhow::Result<Uploaded> {
        let path = file.path.clone();
        let digest = tokio::task::spawn_blocking(move || digest_of(&path)).await??;
        if !file.is_as_it_was() {
            return Ok(Uploaded::Changing);
        }
        if size == Some(file.stamp.size)
            && let Some(object) = self.object_of(file, &digest).await?
        {
            return Ok(Uploaded::Unchanged(object));
        }
        if is_dry {
            return Ok(Uploaded::Object(None));
        }
        let pin = if file.stamp.size <= WHOLE_BYTES {
            self.put(file, &digest).await?
        } else {
            self.put_in_parts(file, &digest).await?
        };
        if !file.is_as_it_was() {
            return Ok(Uploaded::Changing);
        }
        Ok(Uploaded::Object(Some(self.object(file, pin))))
    }

    /// Returns the object of the file, if its metadata say that it has this content.
    async fn object_of(&self, file: &LocalFile, digest: &str) -> anyhow::Result<Option<ObjectRef>> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.key(file)).send().await;
        let head = head.map_err(|error| failure(&error)).context("S3 does not say what it has")?;
        let has_it = head.metadata().and_then(|metadata| metadata.get(DIGEST)).is_some_and(|it| it == digest);
        let created = head.last_modified().and_then(|moment| moment.to_millis().ok()).unwrap_or_default();
        Ok(has_it.then(|| ObjectRef { created, ..self.object(file, pin(head.version_id(), head.e_tag())) }))
    }

    /// Returns a version of the file's object.
    fn object(&self, file: &LocalFile, pin: Pin) -> ObjectRef {
        let (bucket, key, size) = (self.bucket.clone(), self.key(file), Some(file.stamp.size));
        ObjectRef { bucket, key, pin, sequencer: None, created: 0, size }
    }

    async fn put(&self, file: &LocalFile, digest: &str) -> anyhow::Result<Pin> {
        let body = ByteStream::from_path(&file.path).await.context("cannot be read")?;
        let put = self.client.put_object().bucket(&self.bucket).key(self.key(file)).body(body);
        let put = put.content_type(content_type(&file.key)).metadata(DIGEST, digest);
        let answer = put.send().await.map_err(|error| failure(&error)).context("cannot be uploaded")?;
        Ok(pin(answer.version_id(), answer.e_tag()))
    }

    async fn put_in_parts(&self, file: &LocalFile, digest: &str) -> anyhow::Result<Pin> {
        let key = self.key(file);
        let begin = self.client.create_multipart_upload().bucket(&self.bucket).key(&key);
        let begin = begin.content_type(content_type(&file.key)).metadata(DIGEST, digest);
        let begun = begin.send().await.map_err(|error| failure(&error)).context("cannot be uploaded")?;
        let id = begun.upload_id().context("S3 gave the upload no id")?;
        match self.put_parts(file, &key, id).await {
            Ok(pin) => Ok(pin),
            Err(error) => {
                let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(&key);
                // Else the bucket's lifecycle removes the parts.
                abort.upload_id(id).send().await.ok();
                Err(error)
            }
        }
    }

    async fn put_parts(&self, file: &LocalFile, key: &str, id: &str) -> anyhow::Result<Pin> {
        let size = file.stamp.size;
        let part = PART_BYTES.max(size.div_ceil(MOST_PARTS));
        let parts = (0..size.div_ceil(part)).map(|index| async move {
            let offset = index * part;
            let body = ByteStream::read_from().path(&file.path).offset(offset);
            let body = body.length(Length::Exact(part.min(size - offset))).build().await;
            let body = body.context("cannot be read")?;
            let number = i32::try_from(index + 1).context("too many parts")?;
            let put = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(id);
            let answer = put.part_number(number).body(body).send().await;
            let answer = answer.map_err(|error| failure(&error)).context("cannot be uploaded")?;
            let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
            let part = part.set_checksum_crc32(answer.checksum_crc32);
            Ok::<_, anyhow::Error>(part.set_checksum_crc64_nvme(answer.checksum_crc64_nvme).build())
        });
        let parts: Vec<CompletedPart> = stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect().await?;
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let end = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(id);
        let answer = end.multipart_upload(whole).send().await;
        let answer = answer.map_err(|error| failure(&error)).context("cannot be uploaded")?;
        Ok(pin(answer.version_id(), answer.e_tag()))
    }
}

fn place(text: &str) -> anyhow::Result<(String, String)> {
    let Some(rest) = text.strip_prefix("s3://") else {
        bail!("`{text}` is no place in S3; it looks like s3://bucket/prefix/");
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        bail!("`{text}` names no bucket; it looks like s3://bucket/prefix/");
    }
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    Ok((bucket.to_owned(), format!("{prefix}{slash}")))
}

/// Returns the version or entity tag by which the notification will name the object.
fn pin(version: Option<&str>, e_tag: Option<&str>) -> Pin {
    match (version, e_tag) {
        (Some(version), _) if version != "null" => Pin::VersionId(version.to_owned()),
        (_, Some(tag)) => Pin::ETag(tag.trim_matches('"').to_owned()),
        (_, None) => Pin::Latest,
    }
}

fn digest_of(path: &Path) -> anyhow::Result<String> {
    let mut file = std::fs::File::open(path).context("cannot be read")?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut buffer).context("cannot be read")?;
        if count == 0 {
            return Ok(hex(&digest.finalize(), 32));
        }
        digest.update(buffer.get(..count).unwrap_or_default());
    }
}

/// Returns the media type by the file's name.
fn content_type(name: &str) -> &'static str {
    let lower = name.to_ascii_lowercase();
    match Path::new(&lower).extension().and_then(|ending| ending.to_str()) {
        Some("json") => "application/fhir+json",
        Some("ndjson" | "jsonl") => "application/fhir+ndjson",
        Some("gz") => "application/gzip",
        Some("zst" | "zstd") => "application/zstd",
        _ => "application/octet-stream",
    }
}

/// Returns the service's code: its message may quote a key.
fn failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> anyhow::Error {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    anyhow::Error::msg(code.unwrap_or("no connection or no credentials").to_owned())
}

#[cfg(test)]
mod tests {
    use super::{content_type, place};

    #[test]
    fn a_place_ends_in_a_slash() {
        let owned = |bucket: &str, prefix: &str| (bucket.to_owned(), prefix.to_owned());
        assert_eq!(place("s3://b/in/").unwrap(), owned("b", "in/"));
        assert_eq!(place("s3://b/in/day").unwrap(), owned("b", "in/day/"));
        assert_eq!(place("s3://b").unwrap(), owned("b", ""));
        for wrong in ["b/in", "s3://", "s3:///in"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_media_type_follows_from_the_name() {
        let types = ["a.JSON", "a.ndjson", "a.json.gz", "a.json.zst", "a"].map(content_type);
        let expected =
            ["application/fhir+json", "application/fhir+ndjson", "application/gzip", "application/zstd"];
        assert_eq!(types[..4], expected);
        assert_eq!(types[4], "application/octet-stream");
    }
}

//! Objects of S3: one streaming GET, replaced by a ranged one of the same version whenever it breaks.

mod failure;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::{Buf, Bytes};
use tokio::time::{sleep, timeout};

use super::failure::{ReadFailure, ReadFault, interrupted, read};
use crate::interrupted::Interrupted;
use crate::object::{ObjectRef, Pin};
use failure::{GetFailure, trouble};

/// A client of S3 whose retries and time limits are this module's own.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    retry_policy: RetryPolicy,
}

/// The time limits of requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    /// Without a byte for so long, a connection counts as broken.
    pub(super) stall: Duration,
    /// The pauses between attempts that brought no byte.
    pub(super) backoff: ExponentialBuilder,
}

const RETRY_POLICY: RetryPolicy = RetryPolicy {
    stall: Duration::from_secs(20),
    backoff: ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(4))
        .with_max_times(7)
        .with_jitter(),
};

impl S3 {
    /// Returns a client with the given region, credentials and endpoint. Retries, time limits and stalls are handled
    /// here and nowhere else, so that they do not multiply. Nothing connects before the first object is opened.
    #[must_use]
    pub fn new(config: aws_sdk_s3::config::Builder) -> Self {
        Self::with_retry_policy(config, RETRY_POLICY)
    }

    pub(super) fn with_retry_policy(config: aws_sdk_s3::config::Builder, retry_policy: RetryPolicy) -> Self {
        let limits =
            TimeoutConfig::builder().connect_timeout(retry_policy.stall / 4).read_timeout(retry_policy.stall);
        let config = config
            .retry_config(RetryConfig::disabled())
            .timeout_config(limits.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Self { client: Client::from_conf(config.build()), retry_policy }
    }
}

#[derive(Debug)]
pub(super) struct S3Reader {
    s3: S3,
    object: ObjectRef,
    body: ByteStream,
    /// The next byte of `body`, counted from the object's beginning.
    offset: u64,
    /// The first byte that is wanted.
    from_offset: u64,
    total: u64,
    modified: Option<i64>,
    backoff: ExponentialBackoff,
}

impl S3Reader {
    pub(super) async fn open(s3: S3, object: ObjectRef, from_offset: u64) -> Result<Self, ReadFailure> {
        // S3 refuses a range that begins at the object's end, where a checkpoint may be: one byte more is asked for,
        // and dropped again.
        let offset = from_offset.saturating_sub(1);
        let mut backoff = s3.retry_policy.backoff.build();
        let get = Get { client: &s3.client, object: &object, offset, total: None };
        let answer = match get.send().await {
            Ok(answer) => answer,
            Err(GetFailure::Final(failure)) => return Err(failure),
            Err(GetFailure::Passing(cause)) => get.send_again(&mut backoff, cause).await?,
        };
        let object = ObjectRef { pin: answer.pin.clone(), ..object };
        let backoff = s3.retry_policy.backoff.build();
        let ObjectPart { body, offset, total, modified, pin: _ } = answer;
        Ok(Self { s3, object, body, offset, from_offset, total, modified, backoff })
    }

    pub(super) const fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) const fn modified(&self) -> Option<i64> {
        self.modified
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadFailure> {
        loop {
            let at_end = self.offset == self.total;
            let cause = match timeout(self.s3.retry_policy.stall, self.body.next()).await {
                Ok(Some(Ok(bytes))) => match self.accept(bytes)? {
                    Some(wanted) => return Ok(Some(wanted)),
                    None => continue,
                },
                Ok(None) if at_end => return Ok(None),
                // Every byte came, and yet something is wrong: the bytes are not those that S3 keeps.
                Ok(Some(Err(_))) if at_end => return Err(interrupted(ReadFault::ChecksumMismatch)),
                Ok(None | Some(Err(_))) => read(ReadFault::ConnectionCut),
                Err(_) => read(ReadFault::ConnectionStalled),
            };
            self.resume(cause).await?;
        }
    }

    /// Counts the bytes and cuts off what was not wanted; `None` where nothing is left. Only wanted bytes are progress.
    fn accept(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, ReadFailure> {
        let unwanted = self.from_offset.saturating_sub(self.offset).min(bytes.len() as u64);
        self.offset += bytes.len() as u64;
        if self.offset > self.total {
            return Err(interrupted(ReadFault::LongerThanAnnounced));
        }
        bytes.advance(usize::try_from(unwanted).unwrap_or(bytes.len()));
        if bytes.is_empty() {
            return Ok(None);
        }
        self.backoff = self.s3.retry_policy.backoff.build();
        Ok(Some(bytes))
    }

    async fn resume(&mut self, cause: Interrupted) -> Result<(), ReadFailure> {
        self.from_offset = self.from_offset.max(self.offset);
        let (client, object, total) = (&self.s3.client, &self.object, Some(self.total));
        let get = Get { client, object, offset: self.offset, total };
        let answer = get.send_again(&mut self.backoff, cause).await?;
        (self.body, self.offset) = (answer.body, answer.offset);
        Ok(())
    }
}

struct ObjectPart {
    body: ByteStream,
    /// Where `body` begins in the object.
    offset: u64,
    total: u64,
    /// `Last-Modified`, in milliseconds since 1970-01-01T00:00:00Z.
    modified: Option<i64>,
    pin: Pin,
}

/// A GET from a byte on.
#[derive(Clone, Copy)]
struct Get<'a> {
    client: &'a Client,
    object: &'a ObjectRef,
    offset: u64,
    /// What the object's size is known to be.
    total: Option<u64>,
}

impl Get<'_> {
    /// Sends it. A server may ignore the range and answer with the whole object (RFC 9110, section 14.2).
    async fn send(self) -> Result<ObjectPart, GetFailure> {
        let Self { client, object, offset, total } = self;
        let mut request = client.get_object().bucket(&object.bucket).key(&object.key);
        match &object.pin {
            Pin::VersionId(version) => request = request.version_id(version),
            Pin::ETag(e_tag) => request = request.if_match(format!("\"{}\"", e_tag.trim_matches('"'))),
            Pin::Latest => {}
        }
        if offset > 0 {
            request = request.range(format!("bytes={offset}-"));
        }
        let output = request.send().await.map_err(|error| trouble(&error))?;
        let (begins, announced) =
            announced(&output, offset).ok_or(GetFailure::Final(interrupted(ReadFault::RangeNotHonoured)))?;
        if total.is_some_and(|total| total != announced) {
            return Err(GetFailure::Final(interrupted(ReadFault::SizeChanged)));
        }
        let modified = output.last_modified.and_then(|moment| moment.to_millis().ok());
        let pin = pin_of(object, &output);
        Ok(ObjectPart { body: output.body, offset: begins, total: announced, modified, pin })
    }

    /// Sends it again, after growing pauses, as long as failures pass.
    async fn send_again(
        self,
        backoff: &mut ExponentialBackoff,
        mut cause: Interrupted,
    ) -> Result<ObjectPart, ReadFailure> {
        let offset = self.offset;
        for pause in backoff {
            tracing::debug!(%cause, offset, "reading an object again");
            sleep(pause).await;
            match self.send().await {
                Ok(answer) => return Ok(answer),
                Err(GetFailure::Final(failure)) => return Err(failure),
                Err(GetFailure::Passing(next)) => cause = next,
            }
        }
        Err(cause.into())
    }
}

/// Returns where the answer begins and the whole object's size; `None` if it begins elsewhere than at `offset` or 0.
fn announced(output: &GetObjectOutput, offset: u64) -> Option<(u64, u64)> {
    let Some(range) = output.content_range.as_deref() else {
        return Some((0, u64::try_from(output.content_length?).ok()?));
    };
    // RFC 9110, section 14.4: `bytes 500-999/1000`
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let begins: u64 = range.split_once('-')?.0.parse().ok()?;
    Some((begins, total.parse().ok()?)).filter(|_| begins == offset)
}

/// Returns the pin of the bytes that were read first: reading must go on with them.
fn pin_of(object: &ObjectRef, output: &GetObjectOutput) -> Pin {
    if object.pin != Pin::Latest {
        return object.pin.clone();
    }
    let version = output.version_id.clone().filter(|version| version != "null").map(Pin::VersionId);
    version.or_else(|| output.e_tag.clone().map(Pin::ETag)).unwrap_or(Pin::Latest)
}

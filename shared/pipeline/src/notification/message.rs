//! The project's own messages: a load that goes on in another invocation, and a load that was asked for again.
//!
//! ```json
//! {"flatfire": 1, "cause": "continuation", "hops": 1,
//!  "object": {"bucket": "clinic", "key": "incoming/day 1.ndjson", "versionId": "v1", "created": 1767607200000}}
//! ```
//! The key is plain. `versionId` or `eTag`, `sequencer` and `size` (bytes) may be absent; `created` counts
//! milliseconds since 1970-01-01T00:00:00Z. `by` may say who asked: `principal`, `address`, `requestId`, `operator`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::invalid::InvalidNotification;
use crate::object::{ObjectRef, Pin};
use crate::requester::Requester;

/// A load may be continued so often. Lambda stops a function that feeds itself after about 16 rounds unless its
/// `RecursiveLoop` is `Allow`; this is the limit in its place.
pub const HOP_LIMIT: u32 = 100;

/// One object that awaits its load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which bytes.
    pub object: ObjectRef,
    /// Why they are to be loaded.
    pub cause: Cause,
    /// Who asked for it, as the message says.
    pub by: Option<Requester>,
}

/// Why an object is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was created.
    Created,
    /// The time of an invocation was up; this is continuation number `hops`, from 1.
    Continuation {
        /// How many invocations came before.
        hops: u32,
    },
    /// It was asked for again: load it even if the ledger calls it done.
    Replay {
        /// How many invocations had no time to begin it.
        hops: u32,
    },
}

impl Event {
    /// Returns the event that goes on where this one stopped. Fails once [`HOP_LIMIT`] is reached.
    pub fn continued(&self) -> Result<Self, InvalidNotification> {
        Ok(Self { cause: Cause::Continuation { hops: self.next_hop()? }, ..self.clone() })
    }

    /// Returns the same event for an invocation that has the time to begin it. Fails once [`HOP_LIMIT`] is reached. A
    /// replay stays one: a continuation of a load that the ledger calls done has nothing left to do.
    pub fn passed_on(&self) -> Result<Self, InvalidNotification> {
        let hops = self.next_hop()?;
        let cause = match self.cause {
            Cause::Replay { .. } => Cause::Replay { hops },
            Cause::Created | Cause::Continuation { .. } => Cause::Continuation { hops },
        };
        Ok(Self { cause, ..self.clone() })
    }

    fn next_hop(&self) -> Result<u32, InvalidNotification> {
        match self.cause {
            Cause::Created => Ok(1),
            Cause::Replay { hops } | Cause::Continuation { hops } if hops < HOP_LIMIT => Ok(hops + 1),
            Cause::Replay { .. } | Cause::Continuation { .. } => Err(InvalidNotification::TooManyHops),
        }
    }

    /// Returns the event as a message body that [`super::parse`] reads back.
    #[must_use]
    pub fn to_message(&self) -> String {
        let (cause, hops) = match self.cause {
            Cause::Created | Cause::Replay { hops: 0 } => (WrittenCause::Replay, None),
            Cause::Replay { hops } => (WrittenCause::Replay, Some(hops)),
            Cause::Continuation { hops } => (WrittenCause::Continuation, Some(hops)),
        };
        serde_json::json!(Message {
            flatfire: VERSION,
            cause,
            hops,
            object: WrittenObject::from(&self.object),
            by: self.by.clone().map(WrittenRequester::from),
        })
        .to_string()
    }
}

pub(super) fn read(message: &Value) -> Result<Event, InvalidNotification> {
    if message.get("flatfire").and_then(Value::as_u64) != Some(u64::from(VERSION)) {
        return Err(InvalidNotification::UnsupportedVersion);
    }
    // Serde's own error would quote the message.
    let message =
        Message::deserialize(message).map_err(|_| InvalidNotification::Field { name: "object or cause" })?;
    if message.object.bucket.is_empty() || message.object.key.is_empty() {
        return Err(InvalidNotification::Field { name: "bucket or key" });
    }
    let cause = match (message.cause, message.hops) {
        (WrittenCause::Replay, None) => Cause::Replay { hops: 0 },
        (WrittenCause::Replay, Some(hops @ 0..=HOP_LIMIT)) => Cause::Replay { hops },
        (WrittenCause::Continuation, Some(hops @ 1..=HOP_LIMIT)) => Cause::Continuation { hops },
        (WrittenCause::Replay | WrittenCause::Continuation, _) => {
            return Err(InvalidNotification::TooManyHops);
        }
    };
    let by = message.by.map(Requester::from).and_then(Requester::checked);
    Ok(Event { object: message.object.into(), cause, by })
}

/// The version of the messages' layout.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Message {
    flatfire: u32,
    cause: WrittenCause,
    #[serde(skip_serializing_if = "Option::is_none")]
    hops: Option<u32>,
    object: WrittenObject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<WrittenRequester>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenCause {
    Continuation,
    Replay,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenObject {
    bucket: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e_tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequencer: Option<String>,
    created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl From<&ObjectRef> for WrittenObject {
    fn from(object: &ObjectRef) -> Self {
        let (version_id, e_tag) = match &object.pin {
            Pin::VersionId(version) => (Some(version.clone()), None),
            Pin::ETag(e_tag) => (None, Some(e_tag.clone())),
            Pin::Latest => (None, None),
        };
        Self {
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version_id,
            e_tag,
            sequencer: object.sequencer.clone(),
            created: object.created,
            size: object.size,
        }
    }
}

impl From<WrittenObject> for ObjectRef {
    fn from(object: WrittenObject) -> Self {
        let version = object.version_id.map(Pin::VersionId);
        Self {
            bucket: object.bucket,
            key: object.key,
            pin: version.or_else(|| object.e_tag.map(Pin::ETag)).unwrap_or(Pin::Latest),
            sequencer: object.sequencer,
            created: object.created,
            size: object.size,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRequester {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
}

impl From<Requester> for WrittenRequester {
    fn from(Requester { principal, address, request_id, operator }: Requester) -> Self {
        Self { principal, address, request_id, operator }
    }
}

impl From<WrittenRequester> for Requester {
    fn from(WrittenRequester { principal, address, request_id, operator }: WrittenRequester) -> Self {
        Self { principal, address, request_id, operator }
    }
}

//! One event of S3, as S3 itself writes it and as `EventBridge` does.

use jiff::Timestamp;
use serde_json::Value;

use super::invalid::InvalidNotification;
use super::key::form_decode;
use crate::object::{ObjectRef, Pin};
use crate::requester::Requester;

/// A created object, and who made it.
pub(super) type Announced = (ObjectRef, Option<Requester>);

/// Reads an element of `Records` with an `s3` member (S3 User Guide, "Event message structure"). `None`: the event
/// is not a creation.
pub(super) fn read_s3(record: &Value) -> Result<Option<Announced>, InvalidNotification> {
    if !text(record, "/eventVersion", "eventVersion")?.starts_with("2.") {
        return Err(InvalidNotification::UnsupportedVersion);
    }
    // Stores that speak the protocol of S3 keep the prefix that its configuration has.
    let name = text(record, "/eventName", "eventName")?;
    if !name.strip_prefix("s3:").unwrap_or(name).starts_with("ObjectCreated:") {
        return Ok(None);
    }
    let object = ObjectRef {
        bucket: text(record, "/s3/bucket/name", "bucket")?.to_owned(),
        key: form_decode(text(record, "/s3/object/key", "key")?)?,
        pin: pin(record, "/s3/object/versionId", "/s3/object/eTag"),
        sequencer: optional_text(record, "/s3/object/sequencer"),
        created: time(record, "/eventTime", "eventTime")?,
        size: record.pointer("/s3/object/size").and_then(Value::as_u64),
    };
    let by = Requester {
        principal: optional_text(record, "/userIdentity/principalId"),
        address: optional_text(record, "/requestParameters/sourceIPAddress"),
        request_id: optional_text(record, "/responseElements/x-amz-request-id"),
        operator: None,
    };
    Ok(Some((object, by.checked())))
}

/// Reads an event of `EventBridge` (S3 User Guide, the section on its messages): keys are plain there.
/// `None`: the event is not a creation.
pub(super) fn read_event_bridge(event: &Value) -> Result<Option<Announced>, InvalidNotification> {
    // Another service's event is not a missing file but a rule that matches too much: it must be seen.
    if text(event, "/source", "source")? != "aws.s3" {
        return Err(InvalidNotification::UnknownShape);
    }
    if text(event, "/detail-type", "detail-type")? != "Object Created" {
        return Ok(None);
    }
    let object = ObjectRef {
        bucket: text(event, "/detail/bucket/name", "bucket")?.to_owned(),
        key: text(event, "/detail/object/key", "key")?.to_owned(),
        pin: pin(event, "/detail/object/version-id", "/detail/object/etag"),
        sequencer: optional_text(event, "/detail/object/sequencer"),
        created: time(event, "/time", "time")?,
        size: event.pointer("/detail/object/size").and_then(Value::as_u64),
    };
    let by = Requester {
        principal: optional_text(event, "/detail/requester"),
        address: optional_text(event, "/detail/source-ip-address"),
        request_id: optional_text(event, "/detail/request-id"),
        operator: None,
    };
    Ok(Some((object, by.checked())))
}

/// Returns the version, or else the `ETag`. If versioning is off or suspended, the version `null` is the one that was
/// written last, so it pins nothing.
fn pin(event: &Value, version: &str, e_tag: &str) -> Pin {
    let version = optional_text(event, version).filter(|version| version != "null");
    let e_tag = || optional_text(event, e_tag).map(|e_tag| e_tag.trim_matches('"').to_owned());
    version.map(Pin::VersionId).or_else(|| e_tag().map(Pin::ETag)).unwrap_or(Pin::Latest)
}

fn time(event: &Value, pointer: &str, name: &'static str) -> Result<i64, InvalidNotification> {
    let time = text(event, pointer, name)?.parse::<Timestamp>();
    time.map(Timestamp::as_millisecond).map_err(|_| InvalidNotification::Field { name })
}

fn text<'a>(event: &'a Value, pointer: &str, name: &'static str) -> Result<&'a str, InvalidNotification> {
    let text = event.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or(InvalidNotification::Field { name })
}

fn optional_text(event: &Value, pointer: &str) -> Option<String> {
    event.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

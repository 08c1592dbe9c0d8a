//! Notifications: a message body in any of its wrappings → the objects it announces.
//!
//! One lenient parser for S3, `EventBridge`, SNS and SQS in every nesting, the test events of S3 and this
//! project's own messages. Unknown fields are ignored; an unknown shape is an error of that message alone.

mod invalid;
mod key;
mod message;
mod record;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::object::ObjectRef;

use record::Announced;

pub use invalid::InvalidNotification;
pub use key::{form_decode, form_encode};
pub use message::{Cause, Event, HOP_LIMIT};

/// What one message announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// The objects to load, in the message's order. One object may occur twice.
    pub events: Vec<Event>,
    /// Events that need no load; they are acknowledged.
    pub ignored: Ignored,
}

/// What was announced and needs no load, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ignored {
    /// `s3:TestEvent`: S3 sends one when notifications are configured.
    pub tests: u64,
    /// Events other than a creation: removals, restores, replication, lifecycle.
    pub not_created: u64,
    /// Objects of zero bytes.
    pub empty: u64,
    /// Keys that end in `/`: what consoles make of a new folder.
    pub folders: u64,
}

impl Ignored {
    /// Returns the number of all of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.tests + self.not_created + self.empty + self.folders
    }
}

/// A batch of SQS holds a message of SNS, which holds one of `EventBridge`: three. One more for slack.
const WRAPPINGS: u8 = 4;

/// Reads a message body, or the whole event of a direct invocation.
///
/// A message with several records is read wholly or not at all. Keys come out decoded.
pub fn parse(body: &[u8]) -> Result<Notification, InvalidNotification> {
    read(body).and_then(|value| parse_value(&value))
}

/// Does as [`parse`], for a message that is JSON already.
pub fn parse_value(message: &Value) -> Result<Notification, InvalidNotification> {
    let mut notification = Notification::default();
    notification.add(message, WRAPPINGS)?;
    Ok(notification)
}

fn read(body: &[u8]) -> Result<Value, InvalidNotification> {
    // The error's text quotes the message, its place does not.
    serde_json::from_slice(body)
        .map_err(|error| InvalidNotification::Json { line: error.line(), column: error.column() })
}

impl Notification {
    fn add(&mut self, message: &Value, wrappings: u8) -> Result<(), InvalidNotification> {
        if message.get("flatfire").is_some() {
            self.events.push(message::read(message)?);
            return Ok(());
        }
        if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            self.ignored.tests += 1;
            return Ok(());
        }
        if message.get("detail-type").is_some() {
            return self.announce(record::read_event_bridge(message)?);
        }
        if let Some(text) = message.get("Message").and_then(Value::as_str) {
            return self.unwrap(text, wrappings);
        }
        let records = message.get("Records").and_then(Value::as_array);
        records
            .ok_or(InvalidNotification::UnknownShape)?
            .iter()
            .try_for_each(|one| self.add_record(one, wrappings))
    }

    fn add_record(&mut self, record: &Value, wrappings: u8) -> Result<(), InvalidNotification> {
        if record.get("s3").is_some() {
            return self.announce(record::read_s3(record)?);
        }
        // SQS spells it `body`, SNS `Sns.Message`.
        let wrapped = record.get("body").or_else(|| record.get("Sns")?.get("Message"));
        self.unwrap(wrapped.and_then(Value::as_str).ok_or(InvalidNotification::UnknownShape)?, wrappings)
    }

    fn unwrap(&mut self, text: &str, wrappings: u8) -> Result<(), InvalidNotification> {
        let wrappings = wrappings.checked_sub(1).ok_or(InvalidNotification::TooDeep)?;
        self.add(&read(text.as_bytes())?, wrappings)
    }

    fn announce(&mut self, announced: Option<Announced>) -> Result<(), InvalidNotification> {
        let Some((object, by)) = announced else {
            self.ignored.not_created += 1;
            return Ok(());
        };
        match &object {
            ObjectRef { key, .. } if key.is_empty() => {
                return Err(InvalidNotification::Field { name: "key" });
            }
            ObjectRef { key, .. } if key.ends_with('/') => self.ignored.folders += 1,
            ObjectRef { size: Some(0), .. } => self.ignored.empty += 1,
            ObjectRef { .. } => self.events.push(Event { object, cause: Cause::Created, by }),
        }
        Ok(())
    }
}

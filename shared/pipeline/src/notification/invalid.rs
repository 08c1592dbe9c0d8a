//! Why a message is no notification.

use thiserror::Error;

/// Why a message is not a notification. It names a rule and a field; nothing of the message is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidNotification {
    /// The text is not JSON.
    #[error("the message is no JSON (line {line}, column {column})")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// No shape that S3, `EventBridge`, SNS, SQS or this project sends.
    #[error("the message has the shape of no known notification")]
    UnknownShape,
    /// A field that the shape needs is missing, or its value is of the wrong type.
    #[error("the notification's {name} is missing or malformed")]
    Field {
        /// The field's name in the message.
        name: &'static str,
    },
    /// `eventVersion` has another major version than 2, or an own message another than 1: the meaning of its
    /// fields may have changed.
    #[error("the notification's version is not supported")]
    UnsupportedVersion,
    /// More wrappings than SNS in SQS in a batch can make.
    #[error("the notification is wrapped too often")]
    TooDeep,
    /// A continuation was continued [`HOP_LIMIT`](super::HOP_LIMIT) times.
    #[error("the load was continued too often")]
    TooManyHops,
}

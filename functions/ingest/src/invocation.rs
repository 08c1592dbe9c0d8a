//! One invocation: what it is told, and why it or a message of it fails.

use pipeline::interrupted::Interrupted;
use pipeline::load::Deadline;
use pipeline::notification::InvalidNotification;
use thiserror::Error;

/// What one invocation is told by the runtime.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Stands in every log line.
    pub request_id: String,
    /// When work must stop, with time enough left to say so.
    pub deadline: Deadline,
}

/// Why a message is to come again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// It is not a notification. It comes again until it ends in the dead-letter queue, which has an alarm.
    #[error(transparent)]
    Invalid(#[from] InvalidNotification),
    /// It announces an object outside the watched bucket, prefix or suffix. It comes again until it ends in the
    /// dead-letter queue, where somebody sees it.
    #[error("an object is outside the watched bucket, prefix or suffix")]
    NotWatched,
    /// An object of it could not be loaded now.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The program panicked. The panic's text is not kept: it may quote data.
    #[error("the program panicked")]
    Panicked,
}

/// Why an invocation as a whole fails, and Lambda is to try it again.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum InvocationFailure {
    /// A notification that came without a queue.
    #[error(transparent)]
    Direct(#[from] Failure),
    /// The event looks like a batch of SQS but is not one.
    #[error("the event is no batch of SQS")]
    Envelope,
    /// A message failed whose identifier is unknown, so that it cannot be named in the answer.
    #[error("a message without an identifier failed")]
    Unnamed,
}

impl InvocationFailure {
    /// Returns the word for it that Lambda shows.
    #[must_use]
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Direct(Failure::Invalid(_)) => "InvalidNotification",
            Self::Direct(Failure::NotWatched) => "NotWatched",
            Self::Direct(Failure::Interrupted(_)) => "Interrupted",
            Self::Direct(Failure::Panicked) => "Panicked",
            Self::Envelope | Self::Unnamed => "InvalidBatch",
        }
    }
}

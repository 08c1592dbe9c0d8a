//! Interruptions: what the world did to us, and whether trying again helps.

use thiserror::Error;

/// Why an object could not be finished now. It is tried again; idempotent writes make that safe.
///
/// Messages of drivers and SDKs quote data, so none of them is kept: only the kind and the code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Interrupted {
    /// Reading the object failed: S3 or the network.
    #[error("reading the object failed ({code}); it is tried again")]
    Read {
        /// The service's error code or the kind of failure, such as `SlowDown` or `timeout`.
        code: String,
    },
    /// S3 or KMS refuses access: no attempt can succeed until the right is granted.
    #[error(
        "access to the object is denied ({code}); grant s3:GetObject and kms:Decrypt to the function's role"
    )]
    Denied {
        /// The service's error code.
        code: String,
    },
    /// Writing failed: the database, its network, or a step-down.
    #[error("writing to the database failed ({code}); it is tried again")]
    Write {
        /// The server's error code and its name, or the kind of failure.
        code: String,
    },
    /// The database refuses everything: credentials, permissions, a full disk.
    #[error("the database refuses to work ({code}); {remedy}")]
    Stopped {
        /// The server's error code with its name, and what it refused.
        code: String,
        /// What to do about it.
        remedy: String,
    },
    /// The time is up before the object was read once, which its gates ask for: a survey leaves nothing to go on with.
    #[error(
        "its gates ask to read the object once before anything is written, and the time is too short; raise the function's timeout, or take the gates away"
    )]
    GateCheckTimedOut,
    /// The time is up; the next attempt resumes from the checkpoint.
    #[error("the deadline is near; the next attempt goes on from the checkpoint")]
    Deadline,
    /// The process was asked to end.
    #[error("interrupted by hand; load it again to go on")]
    Cancelled,
    /// Another function holds this object version.
    #[error("another function is loading this object")]
    Busy,
}

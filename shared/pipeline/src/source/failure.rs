//! Why there are no more bytes.

use thiserror::Error;

use crate::interrupted::Interrupted;

/// Why there are no more bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadFailure {
    /// The pinned bytes no longer exist: deleted, expired, or overwritten where the bucket keeps no versions. Another
    /// attempt does not bring them back.
    #[error("the object is gone")]
    Gone,
    /// They could not be read now.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

pub(super) fn interrupted(code: &str) -> ReadFailure {
    ReadFailure::Interrupted(read(code))
}

pub(super) fn read(code: &str) -> Interrupted {
    Interrupted::Read { code: code.to_owned() }
}

//! Why there are no more bytes.

use strum::VariantArray;
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

/// A failure of reading that this program names itself. Those that S3 names keep S3's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum ReadFault {
    /// A request took too long.
    Timeout,
    /// The connection failed.
    Connection,
    /// The connection ended before the object did.
    ConnectionCut,
    /// No byte came for too long.
    ConnectionStalled,
    /// The request could not be sent; mostly there were no credentials.
    RequestNotSent,
    /// The answer is not one of HTTP.
    AnswerUnreadable,
    /// S3 cannot be asked for this key.
    RequestNotMade,
    /// The S3 client failed in a way that is not known.
    Unknown,
    /// The bytes do not have the checksum that S3 announced.
    ChecksumMismatch,
    /// The object has another size than before.
    SizeChanged,
    /// The answer has another range than was asked for.
    RangeNotHonoured,
    /// There are more bytes than S3 announced.
    LongerThanAnnounced,
    /// There is no such file.
    FileNotFound,
    /// The file may not be read.
    FilePermissionDenied,
    /// It is a folder.
    FileIsADirectory,
    /// The file cannot be read for another reason.
    FileUnreadable,
    /// The file was written to while it was read.
    FileChangedWhileRead,
    /// The program stopped reading.
    ReaderStopped,
    /// Standard input was read already.
    StandardInputReadBefore,
}

impl ReadFault {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the code in `problem` of a load and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::ConnectionCut => "connection-cut",
            Self::ConnectionStalled => "connection-stalled",
            Self::RequestNotSent => "request-not-sent",
            Self::AnswerUnreadable => "answer-unreadable",
            Self::RequestNotMade => "request-not-made",
            Self::Unknown => "unknown",
            Self::ChecksumMismatch => "checksum-mismatch",
            Self::SizeChanged => "size-changed",
            Self::RangeNotHonoured => "range-not-honoured",
            Self::LongerThanAnnounced => "longer-than-announced",
            Self::FileNotFound => "file-not-found",
            Self::FilePermissionDenied => "file-permission-denied",
            Self::FileIsADirectory => "file-is-a-directory",
            Self::FileUnreadable => "file-unreadable",
            Self::FileChangedWhileRead => "file-changed-while-read",
            Self::ReaderStopped => "reader-stopped",
            Self::StandardInputReadBefore => "standard-input-read-before",
        }
    }
}

pub(super) fn interrupted(fault: ReadFault) -> ReadFailure {
    ReadFailure::Interrupted(read(fault))
}

pub(super) fn read(fault: ReadFault) -> Interrupted {
    coded(fault.as_str())
}

/// Returns the interruption of a code that S3 has given.
pub(super) fn coded(code: &str) -> Interrupted {
    Interrupted::Read { code: code.to_owned() }
}

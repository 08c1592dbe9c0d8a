//! Whatever gives the bytes of an object: a bucket, a file or standard input.

use bytes::Bytes;

use super::failure::ReadFailure;
use super::file::{FileReader, read_standard_input};
#[cfg(feature = "s3")]
use super::s3::S3Reader;

/// An open object.
#[derive(Debug)]
pub(super) enum Reader {
    #[cfg(feature = "s3")]
    S3(Box<S3Reader>),
    File(FileReader),
    StandardInput,
}

impl Reader {
    pub(super) fn total_bytes(&self) -> Option<u64> {
        match self {
            #[cfg(feature = "s3")]
            Self::S3(reader) => Some(reader.total_bytes()),
            Self::File(reader) => reader.total_bytes(),
            Self::StandardInput => None,
        }
    }

    pub(super) fn modified(&self) -> Option<i64> {
        match self {
            #[cfg(feature = "s3")]
            Self::S3(reader) => reader.modified(),
            Self::File(reader) => reader.modified(),
            Self::StandardInput => None,
        }
    }

    /// Returns some bytes, as they come; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadFailure> {
        match self {
            #[cfg(feature = "s3")]
            Self::S3(reader) => reader.next().await,
            Self::File(reader) => reader.next().await,
            Self::StandardInput => read_standard_input().await,
        }
    }
}

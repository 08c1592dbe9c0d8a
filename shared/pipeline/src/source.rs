//! The bytes of an object as a stream of chunks, read ahead of the work that is done on them.

mod failure;
mod file;
mod read_ahead;
mod reader;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use bytes::Bytes;

use crate::object::ObjectRef;

use failure::interrupted;
use file::FileReader;
use read_ahead::ReadAhead;
use reader::Reader;
#[cfg(feature = "s3")]
use s3::S3Reader;

pub use failure::{ReadFailure, ReadFault};
#[cfg(feature = "s3")]
pub use s3::S3;

/// Where objects are kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Amazon S3, or what speaks its protocol.
    #[cfg(feature = "s3")]
    S3(S3),
    /// A file of this machine; the object's bucket, key and pin are names only.
    File(PathBuf),
    /// Standard input. It is read once and from its beginning.
    StandardInput,
}

/// An object that is being read. Dropping it ends the reading.
#[derive(Debug)]
pub struct Opened {
    total_bytes: Option<u64>,
    modified: Option<i64>,
    ahead: ReadAhead,
}

impl Storage {
    /// Begins to read the pinned bytes of an object at a byte offset, which may be its very end.
    ///
    /// Failures that pass are retried here, for about ten seconds, with growing pauses; so are those that
    /// [`Opened::next_chunk`] meets. The caller's deadline is the caller's to keep: every future of this module may
    /// be dropped at any point.
    #[cfg_attr(
        not(feature = "s3"),
        expect(unused_variables, reason = "only a bucket is asked for an object")
    )]
    pub async fn open(&self, object: &ObjectRef, from_offset: u64) -> Result<Opened, ReadFailure> {
        let reader = match self {
            #[cfg(feature = "s3")]
            Self::S3(s3) => {
                Reader::S3(Box::new(S3Reader::open(s3.clone(), object.clone(), from_offset).await?))
            }
            Self::File(path) => Reader::File(FileReader::open(path, from_offset).await?),
            Self::StandardInput if from_offset == 0 => Reader::StandardInput,
            Self::StandardInput => return Err(interrupted(ReadFault::StandardInputReadBefore)),
        };
        let (total_bytes, modified) = (reader.total_bytes(), reader.modified());
        Ok(Opened { total_bytes, modified, ahead: ReadAhead::new(reader) })
    }
}

impl Opened {
    /// Returns the size of the whole object in bytes, also when it was opened in the middle; `None` for standard input.
    #[must_use]
    pub const fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// Returns when these bytes were made, as their keeper says: S3's `Last-Modified` of the version that is read, or
    /// the last change of a file, in milliseconds since 1970-01-01T00:00:00Z. `None` for standard input.
    #[must_use]
    pub const fn modified(&self) -> Option<i64> {
        self.modified
    }

    /// Returns the bytes that follow; `None` at the object's end, when all bytes of the object were read.
    ///
    /// A connection that is cut, reset or stalled is replaced by another one that goes on at the same byte of the same
    /// version, unseen from here. After an error the object must be opened again.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, ReadFailure> {
        self.ahead.next_chunk().await
    }
}

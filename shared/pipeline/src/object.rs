//! Which bytes: an object of a bucket, its key decoded once, pinned to a version.

use std::fmt;
use std::sync::Arc;

/// Exactly which bytes a notification speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// The bucket's name; `file` for a file given on the command line.
    pub bucket: String,
    /// The key, decoded: `a b+c.ndjson`, never `a+b%2Bc.ndjson`.
    pub key: String,
    /// What pins the bytes.
    pub pin: Pin,
    /// The sequencer of the notification, where it has one: comparable among events of one key.
    pub sequencer: Option<String>,
    /// When the object was made, in milliseconds since 1970-01-01T00:00:00Z: as the notification says until the object
    /// is opened, then as S3 says. Versions are made of the latter, because a message can say anything.
    pub created: i64,
    /// The size that the notification announced, in bytes.
    pub size: Option<u64>,
}

/// What makes two reads of an object return the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// The version id, in a bucket with versions.
    VersionId(String),
    /// The `ETag`, for `If-Match`, where the bucket has no versions.
    ETag(String),
    /// Neither was announced: the bytes that the key has now.
    Latest,
}

impl ObjectRef {
    /// Returns the name of this object version in the ledger: the same for every notification of the same bytes.
    #[must_use]
    pub fn load_id(&self) -> String {
        format!("{}/{}@{}", self.bucket, self.key, self.pin)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionId(version) => formatter.write_str(version),
            Self::ETag(tag) => write!(formatter, "etag:{}", tag.trim_matches('"')),
            Self::Latest => formatter.write_str("latest"),
        }
    }
}

/// Returns the first `bytes` of a digest in lower-case hex.
#[must_use]
pub fn hex(digest: &[u8], bytes: usize) -> String {
    digest
        .iter()
        .take(bytes)
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The place of a record: an object and a range of its inflated bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The object.
    pub object: Arc<ObjectRef>,
    /// Which record of the object, from 0.
    pub ordinal: u64,
    /// First byte of the record in the inflated object.
    pub offset: u64,
    /// Length of the record in bytes.
    pub length: u64,
    /// The line on which the record begins, from 1.
    pub line: u64,
}

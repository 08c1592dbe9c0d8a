//! Files and standard input, for the command line.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::failure::{ReadFailure, ReadFault, interrupted};

const READ_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct FileReader {
    file: Arc<File>,
    offset: u64,
    total: Option<u64>,
    modified: Option<i64>,
}

impl FileReader {
    pub(super) async fn open(path: &Path, from_offset: u64) -> Result<Self, ReadFailure> {
        let path = path.to_owned();
        let (file, metadata) = blocking(move || {
            let mut file = File::open(path)?;
            let metadata = file.metadata()?;
            if from_offset > 0 {
                file.seek(SeekFrom::Start(from_offset))?;
            }
            Ok((file, metadata))
        })
        .await?;
        // A pipe has no size, and neither can be begun in the middle.
        let total = metadata.is_file().then_some(metadata.len());
        let modified = metadata.modified().ok().filter(|_| metadata.is_file()).map(milliseconds);
        Ok(Self { file: Arc::new(file), offset: from_offset, total, modified })
    }

    pub(super) const fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    /// Returns the file's last change, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) const fn modified(&self) -> Option<i64> {
        self.modified
    }

    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadFailure> {
        let file = Arc::clone(&self.file);
        // Straight into the chunk: a reader of the runtime would copy it.
        let bytes = blocking(move || {
            let mut bytes = Vec::with_capacity(READ_BYTES);
            (&*file).take(READ_BYTES as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await?;
        let length = bytes.len();
        self.offset += length as u64;
        match self.total {
            _ if length > 0 => Ok(Some(bytes.into())),
            Some(total) if total != self.offset => Err(interrupted(ReadFault::FileChangedWhileRead)),
            _ => Ok(None),
        }
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z; negative before.
fn milliseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |before| -before),
    }
}

/// Returns the next bytes of standard input. A read cannot be cancelled, so it runs on a thread of its own.
pub(super) async fn read_standard_input() -> Result<Option<Bytes>, ReadFailure> {
    let bytes = blocking(|| {
        let mut bytes = vec![0; READ_BYTES];
        let length = std::io::stdin().read(&mut bytes)?;
        bytes.truncate(length);
        Ok(Bytes::from(bytes))
    })
    .await?;
    Ok((!bytes.is_empty()).then_some(bytes))
}

/// Does what may wait for a device on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ReadFailure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| interrupted(ReadFault::ReaderStopped))?;
    done.map_err(|error| failure(&error))
}

/// Returns the kind alone: the error's text names the path, and paths may name patients.
fn failure(error: &std::io::Error) -> ReadFailure {
    interrupted(match error.kind() {
        ErrorKind::NotFound => ReadFault::FileNotFound,
        ErrorKind::PermissionDenied => ReadFault::FilePermissionDenied,
        ErrorKind::IsADirectory => ReadFault::FileIsADirectory,
        _ => ReadFault::FileUnreadable,
    })
}

//! Reading ahead: a task reads while the caller works, with a bounded queue between them.

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::failure::{ReadFailure, ReadFault, interrupted};
use super::reader::Reader;

/// Small pieces of the network are gathered to chunks of at least this size: each chunk costs the caller a turn.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks that wait for the caller at most. With the one being gathered and the one being worked on, an object in
/// flight holds some 3 MiB, whatever its size.
const QUEUED_CHUNKS: usize = 8;

type ReadAheadItem = Result<Option<Bytes>, ReadFailure>;

#[derive(Debug)]
pub(super) struct ReadAhead {
    queue: mpsc::Receiver<ReadAheadItem>,
    task: JoinHandle<()>,
}

impl ReadAhead {
    pub(super) fn new(reader: Reader) -> Self {
        let (sender, queue) = mpsc::channel(QUEUED_CHUNKS);
        Self { queue, task: tokio::spawn(read_all(reader, sender)) }
    }

    pub(super) async fn next_chunk(&mut self) -> ReadAheadItem {
        // The end is said, never inferred: a task that died must not look like an object that ended.
        self.queue.recv().await.unwrap_or_else(|| Err(interrupted(ReadFault::ReaderStopped)))
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_all(mut reader: Reader, queue: mpsc::Sender<ReadAheadItem>) {
    let mut gathered = BytesMut::new();
    loop {
        let outcome = reader.next().await;
        if let Ok(Some(bytes)) = &outcome {
            if gathered.is_empty() && bytes.len() >= CHUNK_BYTES {
                if queue.send(outcome).await.is_err() {
                    return;
                }
                continue;
            }
            gathered.extend_from_slice(bytes);
            if gathered.len() < CHUNK_BYTES {
                continue;
            }
        }
        // What was read before a failure is good, and work done on it is kept by the next attempt.
        let chunk = gathered.split().freeze();
        let delivered = chunk.is_empty() || queue.send(Ok(Some(chunk))).await.is_ok();
        if !delivered {
            return;
        }
        if !matches!(outcome, Ok(Some(_))) {
            // The reader has gone: nothing is lost.
            let _unheard = queue.send(outcome).await;
            return;
        }
    }
}

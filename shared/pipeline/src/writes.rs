//! Writes in flight: batches are written while the next ones are read and flattened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use crate::batch::WriteBatch;
use crate::interrupted::Interrupted;
use crate::ledger::Checkpoint;
use crate::store::RowStore;
use crate::summary::{Drift, Summary};

/// The writes of one object. Dropping it abandons those that are under way; the next attempt writes them again.
pub(crate) struct Writes {
    store: Arc<dyn RowStore>,
    running: JoinSet<(u64, Result<Summary, Interrupted>)>,
    at_once: usize,
    /// How many bytes of rows are written at the same time at most, unless it is one batch.
    max_bytes: usize,
    /// The bytes of the rows under way.
    bytes: usize,
    /// Batches from the first one that is not durable, in the order in which they were sent.
    sent: VecDeque<Sent>,
    /// The number of the first of them; all before are durable.
    durable: u64,
    /// What became of the records of the durable batches.
    summary: Summary,
    /// The last batch end before which everything is durable.
    checkpoint: Option<Checkpoint>,
}

/// The place in the object behind the records of a batch.
#[derive(Debug)]
pub(crate) struct BatchEnd {
    /// The first byte behind.
    pub(crate) offset: u64,
    /// The ordinal of the next record.
    pub(crate) ordinal: u64,
    /// The line, where reading can begin there.
    pub(crate) line: Option<u64>,
    /// How many records stand before.
    pub(crate) records: u64,
}

/// A batch on its way.
struct Sent {
    /// What checks have found in its records.
    checks: BTreeMap<String, u64>,
    /// The place behind its records; `None` while completions of rows before it wait to be sent.
    end: Option<BatchEnd>,
    /// How many resources it deletes.
    delete_entries: u64,
    /// The bytes of its rows.
    bytes: usize,
    written: Option<Summary>,
}

impl Writes {
    /// Writes up to `at_once` batches of about `batch_bytes` at the same time; fewer where batches are larger, because
    /// one resource may be larger than a batch.
    pub(crate) fn new(store: Arc<dyn RowStore>, at_once: usize, batch_bytes: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            store,
            running: JoinSet::new(),
            at_once,
            max_bytes: (at_once + 1).saturating_mul(batch_bytes),
            bytes: 0,
            sent: VecDeque::new(),
            durable: 0,
            summary: Summary::default(),
            checkpoint: None,
        }
    }

    /// Begins to write a batch, as soon as there is room for it.
    pub(crate) async fn send(
        &mut self,
        batch: WriteBatch,
        checks: BTreeMap<String, u64>,
        end: Option<BatchEnd>,
    ) -> Result<(), Interrupted> {
        let (bytes, delete_entries) = (batch.rows.bytes(), batch.delete_entries());
        while !self.has_room(bytes) {
            self.join_one().await?;
        }
        let (store, number) = (Arc::clone(&self.store), self.durable + self.sent.len() as u64);
        self.sent.push_back(Sent { checks, end, delete_entries, bytes, written: None });
        self.bytes += bytes;
        self.running.spawn(async move { (number, store.write(batch).await) });
        // A worker that only ever reads would not let the writes begin.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Waits until everything that was sent is durable.
    pub(crate) async fn wait_for_all(&mut self) -> Result<(), Interrupted> {
        while !self.running.is_empty() {
            self.join_one().await?;
        }
        Ok(())
    }

    /// Waits until no write is under way, whether it succeeds or fails.
    pub(crate) async fn end(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            self.enter(ended).ok();
        }
    }

    /// Returns whether writes are under way.
    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Returns whether anything was ever sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.durable > 0 || !self.sent.is_empty()
    }

    /// Counts what an earlier attempt has written as well.
    pub(crate) fn go_on_with(&mut self, summary: Summary) {
        self.summary = summary;
    }

    /// Counts what was new to the dictionary.
    pub(crate) fn add_drift(&mut self, drift: Drift) {
        self.summary.drift += drift;
    }

    /// Counts what checks have found.
    pub(crate) fn add_checks(&mut self, checks: BTreeMap<String, u64>) {
        self.summary.add_checks(checks);
    }

    /// Returns what has been written so far.
    pub(crate) const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Returns the last place before which everything is durable, also while batches behind it are under way.
    pub(crate) fn take_checkpoint(&mut self) -> Option<Checkpoint> {
        self.checkpoint.take()
    }

    fn has_room(&self, bytes: usize) -> bool {
        let running = self.running.len();
        running == 0 || running < self.at_once && self.bytes + bytes <= self.max_bytes
    }

    async fn join_one(&mut self) -> Result<(), Interrupted> {
        match self.running.join_next().await {
            Some(ended) => self.enter(ended),
            None => Ok(()),
        }
    }

    fn enter(
        &mut self,
        ended: Result<(u64, Result<Summary, Interrupted>), JoinError>,
    ) -> Result<(), Interrupted> {
        let (number, written) = match ended {
            Ok(ended) => ended,
            // A panic stays a panic: the caller's handler catches it, so that one message fails.
            Err(failure) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => return Err(Interrupted::Write { code: "cancelled".to_owned() }),
            },
        };
        let written = written?;
        let index = usize::try_from(number.saturating_sub(self.durable)).unwrap_or(usize::MAX);
        if let Some(sent) = self.sent.get_mut(index) {
            sent.written = Some(written);
            self.bytes -= sent.bytes;
        }
        while self.sent.front().is_some_and(|sent| sent.written.is_some()) {
            let Some(Sent { checks, end, delete_entries, written, .. }) = self.sent.pop_front() else {
                break;
            };
            self.summary += written.unwrap_or_default();
            self.summary.delete_entries += delete_entries;
            self.durable += 1;
            self.summary.add_checks(checks);
            if let Some(BatchEnd { offset, ordinal, line, records }) = end {
                let summary = Summary { records, ..self.summary.clone() };
                self.checkpoint = Some(Checkpoint { offset, ordinal, line, summary });
            }
        }
        Ok(())
    }
}

//! Writes in flight: batches are written while the next ones are read and flattened.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::batch::WriteBatch;
use crate::interrupted::Interrupted;
use crate::sink::Sink;
use crate::summary::Summary;

/// The writes of one object. Dropping it gives up those that are under way; they are written again later.
pub(crate) struct Writes<S> {
    sink: Arc<S>,
    running: JoinSet<Result<Summary, Interrupted>>,
    at_once: usize,
    summary: Summary,
}

impl<S: Sink + 'static> Writes<S> {
    pub(crate) fn new(sink: Arc<S>, at_once: usize) -> Self {
        Self { sink, running: JoinSet::new(), at_once: at_once.max(1), summary: Summary::default() }
    }

    /// Begins to write a batch, as soon as fewer than the limit are under way.
    pub(crate) async fn send(&mut self, batch: WriteBatch) -> Result<(), Interrupted> {
        while self.running.len() >= self.at_once {
            self.join_one().await?;
        }
        let sink = Arc::clone(&self.sink);
        self.running.spawn(async move { sink.write(batch).await });
        // A worker that only ever reads would not let the writes begin.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Waits until everything that was sent is durable.
    pub(crate) async fn settle(&mut self) -> Result<(), Interrupted> {
        while !self.running.is_empty() {
            self.join_one().await?;
        }
        Ok(())
    }

    /// Counts what an earlier attempt has written as well.
    pub(crate) fn go_on_with(&mut self, summary: Summary) {
        self.summary = summary;
    }

    /// What has been written so far.
    pub(crate) fn take_summary(&mut self) -> Summary {
        std::mem::take(&mut self.summary)
    }

    async fn join_one(&mut self) -> Result<(), Interrupted> {
        match self.running.join_next().await {
            Some(Ok(written)) => {
                self.summary += written?;
                Ok(())
            }
            // A panic stays a panic: the Lambda runtime makes a failed invocation of it.
            Some(Err(failure)) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(Interrupted::Write { code: "cancelled".to_owned() }),
            },
            None => Ok(()),
        }
    }
}

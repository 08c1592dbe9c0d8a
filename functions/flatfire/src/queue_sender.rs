//! Sends many messages to the function's queue: ten in a request, several requests at once, at a rate.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::bail;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use pipeline::notification::{Cause, Event};
use pipeline::object::ObjectRef;
use pipeline::requester::Requester;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cloud::Cloud;
use crate::replay::queue_failure;

/// Messages of one request: the most that SQS takes.
const BATCH: usize = 10;
/// Requests at once.
const REQUESTS: usize = 16;
/// How often the messages of a request are sent that the queue has not taken.
const ATTEMPTS: u32 = 6;

/// Why an object version is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendReason {
    /// Its load is not settled. If it is settled by the time the message is read, the function does nothing: so a
    /// version may be sent any number of times.
    NotLoaded,
    /// The ledger calls it gone although it is there: only a replay is loaded then.
    WrongInLedger,
    /// Its rows were made by another program, catalog or view.
    Outdated,
}

/// Sends messages.
#[derive(Debug)]
pub(crate) struct QueueSender {
    client: Client,
    queue: String,
    by: Option<Requester>,
    waiting: Vec<String>,
    requests: JoinSet<anyhow::Result<()>>,
    /// The pause between two requests.
    pause: Option<Duration>,
    next: Instant,
    sent: u64,
}

impl QueueSender {
    /// Returns a sender. Nothing is sent before a request is full. `rate` is in messages a second.
    pub(crate) fn new(cloud: &Cloud, queue: String, rate: Option<NonZeroU32>) -> Self {
        let batch = u32::try_from(BATCH).unwrap_or_default();
        let pause = rate.map(|rate| Duration::from_secs(batch.into()) / rate.get());
        Self {
            client: cloud.patient_queues(),
            queue,
            by: None,
            waiting: Vec::new(),
            requests: JoinSet::new(),
            pause,
            next: Instant::now(),
            sent: 0,
        }
    }

    /// Says in every message who asks for it.
    pub(crate) fn by(self, by: Option<Requester>) -> Self {
        Self { by, ..self }
    }

    /// Returns how many messages the queue was given so far.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends a message for an object version, or keeps it until a request is full.
    pub(crate) async fn send(&mut self, object: ObjectRef, reason: SendReason) -> anyhow::Result<()> {
        let cause = match reason {
            SendReason::NotLoaded => Cause::Continuation { hops: 1 },
            SendReason::WrongInLedger | SendReason::Outdated => Cause::Replay { hops: 0 },
        };
        self.waiting.push(Event { object, cause, by: self.by.clone() }.to_message());
        self.sent += 1;
        if self.waiting.len() >= BATCH { self.begin_request().await } else { Ok(()) }
    }

    /// Sends what waits, and returns once the queue has everything.
    pub(crate) async fn finish(&mut self) -> anyhow::Result<()> {
        self.begin_request().await?;
        while let Some(outcome) = self.requests.join_next().await {
            outcome??;
        }
        Ok(())
    }

    async fn begin_request(&mut self) -> anyhow::Result<()> {
        let messages = std::mem::take(&mut self.waiting);
        if messages.is_empty() {
            return Ok(());
        }
        if let Some(pause) = self.pause {
            sleep_until(self.next).await;
            self.next = Instant::now() + pause;
        }
        while self.requests.len() >= REQUESTS {
            if let Some(outcome) = self.requests.join_next().await {
                outcome??;
            }
        }
        self.requests.spawn(send_batch(self.client.clone(), self.queue.clone(), messages));
        Ok(())
    }
}

/// Sends messages until the queue has taken all of them. Each answer names those that it has not.
async fn send_batch(client: Client, queue: String, messages: Vec<String>) -> anyhow::Result<()> {
    let entries = messages.into_iter().enumerate().map(|(index, message)| {
        SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(message).build()
    });
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    let mut code = String::new();
    for attempt in 0..ATTEMPTS {
        let request = client.send_message_batch().queue_url(&queue).set_entries(Some(entries.clone()));
        let answer = request.send().await.map_err(|error| queue_failure(&error, "written to"))?;
        entries.retain(|entry| answer.failed().iter().any(|failed| failed.id() == entry.id()));
        let Some(failed) = answer.failed().first() else { return Ok(()) };
        failed.code().clone_into(&mut code);
        sleep(Duration::from_millis(200 << attempt)).await;
    }
    bail!("the queue cannot be written to ({code})")
}

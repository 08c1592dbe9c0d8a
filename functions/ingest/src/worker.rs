//! The worker: the service, fed by polling the queue. Nothing limits how long a load may take.
//!
//! A message stays hidden from others for as long as the worker says that it is alive; a worker that is killed leaves its
//! messages and its loads to the others, two minutes later unless the options say otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use aws_lambda_events::event::sqs::SqsMessage;
use pipeline::load::Deadline;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::invocation::Invocation;
use crate::load::LoadTime;
use crate::queue::{ReceiveError, deliveries_of};
use crate::service::Service;
use crate::settings::FunctionSettings;

/// A queue that does not answer is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// SQS gives no more messages at once.
const MOST_AT_ONCE: usize = 10;
/// Nothing ends a load but its end; a moment is needed all the same.
const NO_DEADLINE: Duration = Duration::from_hours(24 * 365);

/// How a worker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Messages at once.
    pub concurrency: usize,
    /// How long a message stays hidden from others unless the worker says that it is alive, which it does three times
    /// as often. Of a worker that is killed, the messages come again after this.
    pub hidden: Duration,
    /// Stop when the queue has no messages, hidden ones included.
    pub until_empty: bool,
}

/// Asks a worker to stop.
#[derive(Debug, Default)]
pub struct Stop {
    is_set: Arc<AtomicBool>,
    changed: Notify,
}

impl Stop {
    /// Asks to stop: no message is received any more, loads stop at a checkpoint.
    pub fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Returns whether the worker is asked to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        if !self.is_set() {
            changed.await;
        }
    }
}

/// Handles the messages of the queue until it is asked to stop. Then what is under way is finished, or left at a
/// checkpoint.
///
/// It fails if the settings name no queue, or if the queue cannot be read when the worker starts.
pub async fn run(settings: FunctionSettings, options: Options, stop: &Stop) -> anyhow::Result<()> {
    let Options { concurrency, hidden, until_empty } = options;
    if settings.queue_url.is_none() {
        bail!("no queue is named; give --queue-url or QUEUE_URL");
    }
    // A killed worker's message comes again after two thirds of this at the earliest. By then its lease has ended.
    let time = LoadTime::UntilStopped { is_stopped: Arc::clone(&stop.is_set), lease: hidden / 2 };
    let worker = Worker {
        service: Arc::new(Service::new(settings, time).await),
        places: Arc::new(Semaphore::new(concurrency)),
        concurrency: u32::try_from(concurrency).context("too many messages at once")?,
        hidden,
    };
    let mut running = JoinSet::new();
    let mut has_received = false;
    while !stop.is_set() {
        while running.try_join_next().is_some() {}
        if running.len() >= concurrency {
            tokio::select! { _ = running.join_next() => continue, () = stop.wait() => break }
        }
        let free = MOST_AT_ONCE.min(concurrency - running.len());
        // A request that is dropped can still be given messages, which would be lost until they come again.
        match worker.service.queue().receive(free, hidden).await {
            Ok(messages) if stop.is_set() => {
                for message in &messages {
                    worker.service.queue().hide(message, Duration::ZERO).await;
                }
                break;
            }
            Ok(messages) if messages.is_empty() && until_empty && running.is_empty() => {
                if worker.service.queue().is_empty().await {
                    break;
                }
            }
            Ok(messages) => {
                has_received = true;
                for message in messages {
                    let worker = worker.clone();
                    running.spawn(async move { worker.handle(message).await });
                }
            }
            Err(ReceiveError::Refused(code)) if !has_received => bail!(
                "the queue cannot be read ({code}); see whether --queue-url names it and whether this user may receive, \
                 delete and change the visibility of its messages"
            ),
            Err(error) => {
                tracing::warn!(error = %error, "the queue could not be read; it is asked again");
                tokio::select! { () = tokio::time::sleep(ASK_AGAIN_AFTER) => {}, () = stop.wait() => {} }
            }
        }
    }
    tracing::info!(under_way = running.len(), "stopping");
    while running.join_next().await.is_some() {}
    Ok(())
}

/// What every message needs.
#[derive(Debug, Clone)]
struct Worker {
    service: Arc<Service>,
    places: Arc<Semaphore>,
    concurrency: u32,
    hidden: Duration,
}

impl Worker {
    /// Handles a message and deletes it if it is done.
    ///
    /// A message that was delivered before may be the one that kills the worker, by its memory for instance. It is
    /// handled while no other is, so that it takes no neighbour along.
    async fn handle(&self, message: SqsMessage) {
        let places = if deliveries_of(&message) > 1 { self.concurrency } else { 1 };
        let handling = async {
            let _places = self.places.acquire_many(places).await;
            let deadline = Deadline::new(Instant::now() + NO_DEADLINE, Duration::ZERO);
            let request_id = message.message_id.clone().unwrap_or_default();
            let invocation = Invocation { request_id, deadline };
            self.service.handle_message(message.clone(), &invocation).await
        };
        let heartbeat = async {
            loop {
                tokio::time::sleep(self.hidden / 3).await;
                self.service.queue().keep_hidden(&message, self.hidden).await;
            }
        };
        let is_done = tokio::select! { biased; is_done = handling => is_done, () = heartbeat => false };
        if is_done {
            self.service.queue().delete(&message).await;
        }
    }
}

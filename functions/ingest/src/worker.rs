//! The worker: the service, fed by polling the queue. Nothing limits how long a load may take.
//!
//! A message stays hidden from others for as long as the worker says that it is alive; a worker that is killed leaves its
//! messages to the others two minutes later, and its loads when their leases end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use aws_lambda_events::event::sqs::SqsMessage;
use pipeline::load::Deadline;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::handler::Invocation;
use crate::queue::{ReceiveError, deliveries_of};
use crate::service::{LoadTime, Service};
use crate::settings::Settings;

/// How long a message stays hidden unless the worker says that it is alive.
const HIDDEN: Duration = Duration::from_mins(2);
/// How often the worker says so.
const HEARTBEAT: Duration = Duration::from_secs(40);
/// A queue that does not answer is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// SQS gives no more messages at once.
const MOST_AT_ONCE: usize = 10;
/// Nothing ends a load but its end; a moment is needed all the same.
const NO_DEADLINE: Duration = Duration::from_hours(24 * 365);

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

/// Handles the messages of the queue, `concurrency` at once, until it is asked to stop; then what is under way is
/// finished or left at a checkpoint. With `until_empty` it also stops when the queue gives nothing more.
///
/// It fails if the settings name no queue, or if the queue cannot be read when the worker starts.
pub async fn run(
    settings: Settings,
    concurrency: usize,
    until_empty: bool,
    stop: &Stop,
) -> anyhow::Result<()> {
    if settings.queue_url.is_none() {
        bail!("no queue is named; give --queue-url or QUEUE_URL");
    }
    let time = LoadTime::UntilStopped(Arc::clone(&stop.is_set));
    let worker = Worker {
        service: Arc::new(Service::new(settings, time).await),
        places: Arc::new(Semaphore::new(concurrency)),
        concurrency: u32::try_from(concurrency).context("too many messages at once")?,
    };
    let mut running = JoinSet::new();
    let mut has_received = false;
    while !stop.is_set() {
        while running.try_join_next().is_some() {}
        if running.len() >= concurrency {
            tokio::select! { _ = running.join_next() => continue, () = stop.wait() => break }
        }
        let free = MOST_AT_ONCE.min(concurrency - running.len());
        let received = tokio::select! {
            received = worker.service.queue().receive(free, HIDDEN) => received,
            () = stop.wait() => break,
        };
        match received {
            Ok(messages) if messages.is_empty() && until_empty && running.is_empty() => break,
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
}

impl Worker {
    /// Handles a message and deletes it if it is done.
    ///
    /// A message that was delivered before may be the one that kills the worker, by its memory for instance. It is handled
    /// while no other is, so that it takes no neighbour along.
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
                tokio::time::sleep(HEARTBEAT).await;
                self.service.queue().keep_hidden(&message, HIDDEN).await;
            }
        };
        let is_done = tokio::select! { biased; is_done = handling => is_done, () = heartbeat => false };
        if is_done {
            self.service.queue().delete(&message).await;
        }
    }
}

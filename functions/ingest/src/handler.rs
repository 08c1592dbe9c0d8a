//! One invocation: its messages → the objects they announce → loads → which messages are to come again.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::FutureExt;
use futures::future::join_all;
use pipeline::interrupted::Interrupted;
use pipeline::notification::{self, Event, InvalidNotification, Notification};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::audit::{AuditRequest, AuditStep, Auditor};
use crate::invocation::{Failure, Invocation, InvocationFailure};
use crate::log::{self, FunctionLog};
use crate::queue::{Queue, deliveries_of, hidden_for};
use crate::watched::{LargeObjects, Watched};
use pipeline::load::{Deadline, Loaded};

/// Messages of one batch that are worked on at the same time: small objects wait mostly for S3 and the database.
const MESSAGES_AT_ONCE: usize = 2;

/// What every invocation needs. `load` is the whole of the pipeline behind one object.
#[derive(Debug, Clone)]
pub(crate) struct Handler<L> {
    pub(crate) load: L,
    pub(crate) auditor: Auditor,
    pub(crate) queue: Queue,
    pub(crate) watched: Watched,
    pub(crate) large_objects: Option<LargeObjects>,
    pub(crate) log: FunctionLog,
}

impl<L, F> Handler<L>
where
    L: Fn(Event, Deadline) -> F,
    F: Future<Output = Result<Loaded, Interrupted>> + Send + 'static,
{
    /// Handles the event of one invocation: a batch of SQS, or a notification by itself.
    ///
    /// A batch is answered with the messages that failed; any other event fails as a whole. So does a panic: the
    /// runtime would send its text to Lambda, and the text may quote data.
    pub(crate) async fn handle(
        &self,
        event: Value,
        invocation: &Invocation,
    ) -> Result<Value, InvocationFailure> {
        let answer = AssertUnwindSafe(self.answer(event, invocation)).catch_unwind().await;
        answer.unwrap_or(Err(InvocationFailure::Direct(Failure::Panicked)))
    }

    async fn answer(&self, event: Value, invocation: &Invocation) -> Result<Value, InvocationFailure> {
        if is_batch(&event) {
            let batch: SqsEvent = serde_json::from_value(event).map_err(|_| InvocationFailure::Envelope)?;
            let response = self.handle_batch(batch, invocation).await?;
            return serde_json::to_value(response).map_err(|_| InvocationFailure::Envelope);
        }
        if let Some(request) = AuditRequest::of(&event) {
            let audit = self.handle_audit(request, invocation).await.map_err(InvocationFailure::Direct)?;
            return Ok(json!({ "audit": audit }));
        }
        let handled = match notification::parse_value(&event) {
            Ok(notification) => self.handle_notification(notification, invocation).await,
            Err(invalid) => Err(invalid.into()),
        };
        let loads = handled.map_err(|failure| {
            log::failed_message(invocation, &failure);
            InvocationFailure::Direct(failure)
        })?;
        Ok(json!({ "loads": loads }))
    }

    async fn handle_batch(
        &self,
        batch: SqsEvent,
        invocation: &Invocation,
    ) -> Result<SqsBatchResponse, InvocationFailure> {
        let suspect = self.suspect_of(&batch.records);
        let places = Semaphore::new(if suspect.is_some() { 1 } else { MESSAGES_AT_ONCE });
        let passed_on = batch.records.iter().enumerate().map(async |(index, message)| match suspect {
            Some(suspect) => self.pass_objects_on(message, suspect == index, invocation).await,
            None => false,
        });
        let passed_on = join_all(passed_on).await;
        let messages = batch.records.iter().zip(passed_on).map(async |(message, is_passed_on)| {
            if is_passed_on { Ok(()) } else { self.handle_message(message, &places, invocation).await }
        });
        let outcomes = join_all(messages).await;
        let mut response = SqsBatchResponse::default();
        for (message, outcome) in batch.records.iter().zip(outcomes) {
            if outcome.is_err() {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message.message_id.clone().ok_or(InvocationFailure::Unnamed)?;
                response.batch_item_failures.push(failure);
            }
        }
        Ok(response)
    }

    /// Handles a message that came without a batch. Returns whether it is done.
    ///
    /// One that was delivered before and announces several objects is passed on object by object, as in a batch.
    pub(crate) async fn handle_alone(&self, message: SqsMessage, invocation: &Invocation) -> bool {
        let handled = async {
            let mut batch = SqsEvent::default();
            batch.records = vec![message];
            self.handle_batch(batch, invocation).await
        };
        match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(Ok(response)) => response.batch_item_failures.is_empty(),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Returns the message of a batch that is handled alone while all others are passed on; `None`: all are handled.
    ///
    /// A message that kills the function, by its memory or its time, stops its neighbours too. They are delivered again
    /// together, and in the end all of them would be dead letters. So in a batch of which a message was delivered
    /// before, each of them is sent on as a message of its own before anything is begun, and the suspect is alone.
    ///
    /// A message whose load never began cannot have killed a function, so it is not suspected, however often it was
    /// delivered.
    fn suspect_of(&self, messages: &[SqsMessage]) -> Option<usize> {
        let candidates = messages.iter().enumerate().filter(|(_, message)| self.begins_work(message));
        let candidates: Vec<_> = candidates.map(|(index, message)| (index, deliveries_of(message))).collect();
        let most = candidates.iter().map(|(_, deliveries)| *deliveries).max().unwrap_or_default();
        let is_split = most > 1 && self.queue.is_there();
        let suspect = candidates.into_iter().find(|(_, deliveries)| is_split && *deliveries == most);
        suspect.map(|(index, _)| index)
    }

    /// Returns whether a message asks for an audit or announces an object that is watched.
    fn begins_work(&self, message: &SqsMessage) -> bool {
        let body = message.body.as_deref().unwrap_or_default();
        let announces = |notification: Notification| {
            notification.events.iter().any(|event| self.watched.includes(&event.object))
        };
        AuditRequest::of_body(body).is_some() || notification::parse(body.as_bytes()).is_ok_and(announces)
    }

    /// Sends every object of a message on as a message of its own; that of the suspect only if there are several. An
    /// object that is not watched gets one too, if a neighbour in its message is: it becomes a dead letter by itself.
    /// Where it fails the message is handled here: an object that is announced twice does no harm.
    async fn pass_objects_on(&self, message: &SqsMessage, is_suspect: bool, invocation: &Invocation) -> bool {
        let body = message.body.as_deref().unwrap_or_default();
        let Ok(notification) = notification::parse(body.as_bytes()) else { return false };
        let events = &notification.events;
        let Ok(next) = events.iter().map(Event::passed_on).collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        let is_watched = events.iter().any(|event| self.watched.includes(&event.object));
        if !is_watched || next.len() <= usize::from(is_suspect) {
            return false;
        }
        for event in &next {
            if !self.queue.send(&event.to_message()).await {
                return false;
            }
            self.log.passed_on(invocation, event);
        }
        self.queue.delete(message).await;
        true
    }

    async fn handle_message(
        &self,
        message: &SqsMessage,
        places: &Semaphore,
        invocation: &Invocation,
    ) -> Result<(), Failure> {
        // Once the time is up, what waits for a place is passed on, whatever the others do.
        let _place = timeout_at(invocation.deadline.stop.into(), places.acquire()).await;
        let body = message.body.as_deref().unwrap_or_default();
        let handled = match AuditRequest::of_body(body) {
            Some(request) => self.handle_audit(request, invocation).await.map(drop),
            None => match notification::parse(body.as_bytes()) {
                Ok(notification) => self.handle_notification(notification, invocation).await.map(drop),
                Err(invalid) => Err(invalid.into()),
            },
        };
        if let Err(failure) = &handled {
            log::failed_message(invocation, failure);
            self.queue.hide(message, hidden_for(failure, message)).await;
        }
        handled
    }

    /// Runs an audit for as long as there is time. What is left goes on in the next invocation.
    async fn handle_audit(
        &self,
        request: AuditRequest,
        invocation: &Invocation,
    ) -> Result<&'static str, Failure> {
        // On a task of its own, as a load.
        let auditor = self.auditor.clone();
        let deadline = invocation.deadline;
        let audit = tokio::spawn(async move { auditor.run(request, deadline).await });
        match audit.await {
            Ok(Ok(AuditStep::Finished(sums))) => {
                self.log.audited(invocation, &sums);
                Ok("finished")
            }
            Ok(Ok(AuditStep::Stopped(next))) => {
                let is_sent = self.queue.send(&next.to_message()).await;
                if is_sent { Ok("continued") } else { Err(Interrupted::Deadline.into()) }
            }
            Ok(Err(interrupted)) => {
                log::audit_interrupted(invocation, &interrupted);
                Err(interrupted.into())
            }
            Err(_) => Err(Failure::Panicked),
        }
    }

    /// Handles every object of a notification, also after one of them failed, and answers with their statuses.
    async fn handle_notification(
        &self,
        notification: Notification,
        invocation: &Invocation,
    ) -> Result<Vec<&'static str>, Failure> {
        log::ignored(invocation, notification.ignored);
        let mut statuses = Vec::new();
        let mut first_failure = Ok(());
        for event in notification.events {
            match self.handle_event(event, invocation).await {
                Ok(status) => statuses.push(status),
                Err(failure) => first_failure = first_failure.and(Err(failure)),
            }
        }
        first_failure.map(|()| statuses)
    }

    async fn handle_event(&self, event: Event, invocation: &Invocation) -> Result<&'static str, Failure> {
        if !self.watched.includes(&event.object) {
            self.log.not_watched(invocation, &event);
            return Err(Failure::NotWatched);
        }
        if let Some(large) = self.large_objects.as_ref().filter(|large| large.include(&event.object)) {
            return self.hand_over(&event, large, invocation).await;
        }
        let began = Instant::now();
        if began >= invocation.deadline.stop {
            return self.pass_on(&event, event.passed_on(), invocation).await;
        }
        // On a task of its own, so that a panic fails one message and not the batch.
        let load = tokio::spawn((self.load)(event.clone(), invocation.deadline));
        match load.await {
            Ok(Ok(loaded)) => {
                self.log.loaded(invocation, &event, &loaded, began.elapsed());
                Ok(loaded.status.as_str())
            }
            Ok(Err(Interrupted::Deadline)) => self.pass_on(&event, event.continued(), invocation).await,
            Ok(Err(interrupted)) => {
                self.log.interrupted(invocation, &event, &interrupted, began.elapsed());
                Err(interrupted.into())
            }
            Err(_) => Err(Failure::Panicked),
        }
    }

    /// Sends a large object to the queue of the worker.
    async fn hand_over(
        &self,
        event: &Event,
        large: &LargeObjects,
        invocation: &Invocation,
    ) -> Result<&'static str, Failure> {
        if !self.queue.send_to(&large.queue_url, &event.passed_on()?.to_message()).await {
            return Err(Interrupted::Write {
                code: "the queue of large objects takes no message".to_owned(),
            }
            .into());
        }
        self.log.handed_over(invocation, event);
        Ok("handed over")
    }

    /// Hands an object to the next invocation by a message of its own: a message that merely came again would use up
    /// its deliveries, and a large object needs more of them than a queue allows.
    async fn pass_on(
        &self,
        event: &Event,
        next: Result<Event, InvalidNotification>,
        invocation: &Invocation,
    ) -> Result<&'static str, Failure> {
        if !self.queue.send(&next?.to_message()).await {
            return Err(Interrupted::Deadline.into());
        }
        self.log.continued(invocation, event);
        Ok("continued")
    }
}

fn is_batch(event: &Value) -> bool {
    event.pointer("/Records/0/eventSource").and_then(Value::as_str) == Some("aws:sqs")
}

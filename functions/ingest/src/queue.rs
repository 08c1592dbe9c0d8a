//! The queue that delivers the notifications: what is done to it besides answering.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use pipeline::interrupted::Interrupted;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::invocation::Failure;

/// The queue, if there is one: a notification can also come straight to the function.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    client: aws_sdk_sqs::Client,
    url: Option<String>,
}

impl Queue {
    pub(crate) const fn new(client: aws_sdk_sqs::Client, url: Option<String>) -> Self {
        Self { client, url }
    }

    /// Hides a failed message for as long as given, instead of the hours for which the queue would hide it.
    ///
    /// Where that fails, the message comes again all the same, only later.
    pub(crate) async fn hide(&self, message: &SqsMessage, time: Duration) {
        let (Some(url), Some(receipt)) = (&self.url, &message.receipt_handle) else { return };
        let request = self.client.change_message_visibility().queue_url(url).receipt_handle(receipt);
        if request.visibility_timeout(seconds(time)).send().await.is_err() {
            tracing::warn!("a failed message could not be hidden for a shorter time; it comes again later");
        }
    }

    /// Waits up to 5 seconds for messages, and takes at most so many; they are hidden from others for as long as given.
    pub(crate) async fn receive(
        &self,
        most: usize,
        hidden: Duration,
    ) -> Result<Vec<SqsMessage>, ReceiveError> {
        let Some(url) = &self.url else { return Ok(Vec::new()) };
        let limits =
            TimeoutConfig::builder().operation_timeout(LONGEST_POLL + Duration::from_secs(10)).build();
        let request = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(i32::MAX))
            .wait_time_seconds(seconds(LONGEST_POLL))
            .visibility_timeout(seconds(hidden))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let config = aws_sdk_sqs::config::Config::builder().timeout_config(limits);
        let answer = request.customize().config_override(config).send().await;
        let answer = answer.map_err(|error| ReceiveError::of(&error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(received).collect())
    }

    /// Returns whether no message is in the queue, those included that are hidden. Who may not ask is told so in the
    /// log, and the queue counts as empty.
    pub(crate) async fn is_empty(&self) -> bool {
        let Some(url) = &self.url else { return true };
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.client.get_queue_attributes().queue_url(url);
        match request.set_attribute_names(Some(counts.to_vec())).send().await {
            Ok(answer) => answer.attributes.unwrap_or_default().values().all(|count| count == "0"),
            Err(error) => {
                tracing::warn!(error = %ReceiveError::of(&error), "the messages of the queue could not be counted");
                true
            }
        }
    }

    /// Hides a message for so much longer, because it is being worked on.
    pub(crate) async fn keep_hidden(&self, message: &SqsMessage, hidden: Duration) {
        let (Some(url), Some(receipt)) = (&self.url, &message.receipt_handle) else { return };
        let request = self.client.change_message_visibility().queue_url(url).receipt_handle(receipt);
        if request.visibility_timeout(seconds(hidden)).send().await.is_err() {
            tracing::warn!(
                "a message could not be kept hidden; it may be delivered to another worker as well"
            );
        }
    }

    /// Returns whether messages can be sent.
    pub(crate) const fn is_there(&self) -> bool {
        self.url.is_some()
    }

    /// Deletes a message that was passed on. Lambda would do it at the end of the invocation, if that came: of one that
    /// is killed all messages come again, and each would be passed on twice.
    pub(crate) async fn delete(&self, message: &SqsMessage) {
        let (Some(url), Some(receipt)) = (&self.url, &message.receipt_handle) else { return };
        let request = self.client.delete_message().queue_url(url).receipt_handle(receipt);
        if request.send().await.is_err() {
            tracing::warn!("a message that was passed on could not be deleted; it may come again");
        }
    }

    /// Sends a message, and says whether the queue has it.
    pub(crate) async fn send(&self, body: &str) -> bool {
        let Some(url) = &self.url else { return false };
        self.send_to(url, body).await
    }

    /// Sends a message to another queue, and says whether that has it.
    pub(crate) async fn send_to(&self, url: &str, body: &str) -> bool {
        let sent = self.client.send_message().queue_url(url).message_body(body).send().await;
        if sent.is_err() {
            tracing::warn!("a message could not be sent");
        }
        sent.is_ok()
    }
}

/// How long a request waits for messages at most.
const LONGEST_POLL: Duration = Duration::from_secs(5);

/// Why messages could not be received.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ReceiveError {
    /// The queue refuses, or is not there: the service's error code.
    #[error("refused: {0}")]
    Refused(String),
    /// There is no answer, or not in time.
    #[error("no answer")]
    NoAnswer,
}

impl ReceiveError {
    fn of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Self {
        match error.as_service_error() {
            Some(error) => Self::Refused(error.code().unwrap_or("unknown").to_owned()),
            None => Self::NoAnswer,
        }
    }
}

/// Returns the message in the form that Lambda gives it.
fn received(message: Message) -> SqsMessage {
    let mut received = SqsMessage::default();
    let attributes = message.attributes.unwrap_or_default().into_iter();
    received.attributes = attributes.map(|(name, value)| (name.as_str().to_owned(), value)).collect();
    received.message_id = message.message_id;
    received.receipt_handle = message.receipt_handle;
    received.body = message.body;
    received
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

/// Returns how often a message was delivered, this time included.
pub(crate) fn deliveries_of(message: &SqsMessage) -> u32 {
    let deliveries = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    deliveries.unwrap_or(1)
}

/// The longest time for which a failed message is hidden.
const LONGEST: u64 = 3600;

/// Returns how long a failed message stays hidden: four times as long with every delivery, so that a hiccup costs
/// seconds and the six deliveries of the template's queue outlast a database that is away for an hour.
pub(crate) fn hidden_for(failure: &Failure, message: &SqsMessage) -> Duration {
    let growth = 4_u64.saturating_pow(deliveries_of(message).saturating_sub(1)).min(LONGEST);
    let seconds = match failure {
        // Waiting does not help: on to the dead-letter queue, which has an alarm.
        Failure::Invalid(_) | Failure::NotWatched => 2,
        Failure::Interrupted(Interrupted::Deadline | Interrupted::Cancelled) => 1,
        Failure::Interrupted(Interrupted::Read { .. } | Interrupted::Write { .. }) => 15 * growth,
        // The other attempt, or its lease, has ended before the last of six deliveries.
        Failure::Interrupted(Interrupted::Busy) => (60 * growth).min(300),
        Failure::Panicked => 60 * growth,
        // A person has to grant a right or repair something first.
        Failure::Interrupted(
            Interrupted::Denied { .. } | Interrupted::Stopped { .. } | Interrupted::GateCheckTimedOut,
        ) => 300 * growth,
    };
    spread(seconds.min(LONGEST), message)
}

/// Returns a time that is up to a quarter longer, by the message: what failed together should not come again together.
fn spread(seconds: u64, message: &SqsMessage) -> Duration {
    let digest = Sha256::digest(message.message_id.as_deref().unwrap_or_default());
    let part = u64::from(digest.first().copied().unwrap_or_default());
    Duration::from_secs(seconds + seconds * part / (4 * 256))
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::event::sqs::SqsMessage;
    use pipeline::interrupted::Interrupted;
    use pipeline::notification::InvalidNotification;

    use super::hidden_for;
    use crate::invocation::Failure;

    fn seconds(failure: &Failure, deliveries: &str) -> u64 {
        let mut message = SqsMessage::default();
        message.attributes.insert("ApproximateReceiveCount".into(), deliveries.into());
        hidden_for(failure, &message).as_secs()
    }

    #[test]
    fn a_hiccup_costs_seconds_and_an_outage_is_outlasted() {
        let failure = Failure::Interrupted(Interrupted::Write { code: "91 ShutdownInProgress".into() });
        let hidden: Vec<_> =
            ["1", "2", "3", "4", "5", "6"].iter().map(|count| seconds(&failure, count)).collect();
        assert!((15..20).contains(&hidden[0]), "{hidden:?}");
        // Between six deliveries lie five pauses.
        assert!(hidden.is_sorted() && hidden[..5].iter().sum::<u64>() > 3600, "{hidden:?}");
        assert!(hidden.iter().all(|seconds| *seconds <= 3600 + 900), "{hidden:?}");
        assert_eq!(seconds(&failure, "4294967295"), seconds(&failure, "6"));
        assert_eq!(seconds(&failure, "many"), seconds(&failure, "1"));
    }

    #[test]
    fn what_waiting_does_not_heal_goes_on_quickly_and_what_somebody_must_heal_waits_longest() {
        for poison in [Failure::Invalid(InvalidNotification::UnknownShape), Failure::NotWatched] {
            assert!((1..=6).all(|count: u8| seconds(&poison, &count.to_string()) < 10));
        }
        let denied = Failure::Interrupted(Interrupted::Denied { code: "AccessDenied".into() });
        assert!(seconds(&denied, "1") >= 300);
    }

    #[test]
    fn an_object_that_another_loads_is_looked_at_every_few_minutes() {
        let busy = Failure::Interrupted(Interrupted::Busy);
        let hidden: Vec<_> = (1..=6).map(|count: u8| seconds(&busy, &count.to_string())).collect();
        assert!(hidden.iter().all(|seconds| *seconds < 400), "{hidden:?}");
        assert!(hidden[..5].iter().sum::<u64>() > 900, "an invocation may take as long: {hidden:?}");
    }

    #[test]
    fn messages_that_failed_together_do_not_come_again_together() {
        let failure = Failure::Interrupted(Interrupted::Denied { code: "AccessDenied".into() });
        let mut hidden: Vec<_> = (0..100)
            .map(|number| {
                let mut message = SqsMessage::default();
                message.message_id = Some(format!("message {number}"));
                hidden_for(&failure, &message)
            })
            .collect();
        hidden.sort_unstable();
        hidden.dedup();
        assert!(hidden.len() > 30, "{}", hidden.len());
    }
}

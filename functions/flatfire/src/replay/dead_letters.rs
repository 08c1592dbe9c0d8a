//! Messages that ended in the dead-letter queue go back to the queue that they came from.

use anyhow::{Context as _, bail};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use serde_json::json;

use crate::cloud::Cloud;
use crate::console;
use crate::outcome::Outcome;

/// Moves messages until none comes any more. A message is deleted after it was sent, so an interruption at worst
/// delivers one twice, which is harmless.
pub(super) async fn send_back(
    dead_letters: &str,
    queue: Option<&str>,
    is_json: bool,
) -> anyhow::Result<Outcome> {
    let client = Cloud::new().await.queues();
    let queue = match queue {
        Some(queue) => queue.to_owned(),
        None => source_of(&client, dead_letters).await?,
    };
    if queue == dead_letters {
        bail!("--queue-url: name the function's queue, not the dead-letter queue");
    }
    let mut moved = 0_u64;
    loop {
        let request = client.receive_message().queue_url(dead_letters).max_number_of_messages(10);
        let answer = request.wait_time_seconds(2).send().await;
        let messages = answer.map_err(|error| failure(&error, "read"))?.messages.unwrap_or_default();
        if messages.is_empty() {
            if is_json {
                console::print_json(&json!({ "sentBack": moved }))?;
            } else {
                console::print(&format!("{moved} messages sent back"))?;
            }
            return Ok(Outcome::Done);
        }
        for message in messages {
            let receipt = message.receipt_handle.context("a message came without its receipt")?;
            let sent = client.send_message().queue_url(&queue).message_body(message.body.unwrap_or_default());
            sent.send().await.map_err(|error| failure(&error, "written to"))?;
            let delete = client.delete_message().queue_url(dead_letters).receipt_handle(receipt);
            delete.send().await.map_err(|error| failure(&error, "deleted from"))?;
            moved += 1;
        }
    }
}

/// Returns the queue whose failures end in this one.
async fn source_of(client: &Client, dead_letters: &str) -> anyhow::Result<String> {
    let answer = client.list_dead_letter_source_queues().queue_url(dead_letters).send().await;
    let mut queues = answer.map_err(|error| failure(&error, "read"))?.queue_urls;
    match (queues.pop(), queues.is_empty()) {
        (Some(queue), true) => Ok(queue),
        (Some(_), false) => bail!("several queues use this dead-letter queue; choose one with --queue-url"),
        (None, _) => bail!("no queue uses this dead-letter queue; name one with --queue-url"),
    }
}

/// Returns the code alone: messages of the service repeat what was sent.
pub(crate) fn failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, what: &str) -> anyhow::Error {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    anyhow::anyhow!("the queue cannot be {what} ({})", code.unwrap_or("no connection or no credentials"))
}

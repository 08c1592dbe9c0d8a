//! How deep the queue and its dead-letter queue are.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use clap::Args;
use serde_json::Value;

use crate::cloud::Cloud;
use crate::replay::queue_failure;

/// The queues to look into.
#[derive(Debug, Args)]
pub(super) struct Queues {
    /// The function's queue: show how many messages wait there, and in its dead-letter queue
    #[arg(long, value_name = "QUEUE_URL", env = "QUEUE_URL")]
    queue_url: Option<String>,
    /// The dead-letter queue, if it is not the one that the queue names
    #[arg(long, value_name = "QUEUE_URL")]
    dead_letter_url: Option<String>,
}

/// How many messages a queue has, about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Depth {
    /// What the queue is: `queue` or `dead letters`.
    pub(super) name: &'static str,
    /// Those that wait.
    pub(super) waiting: u64,
    /// Those that were delivered and are being worked on.
    pub(super) in_flight: u64,
    /// Those that become visible later.
    pub(super) delayed: u64,
}

impl Queues {
    /// Reads the depths: nothing if no queue was named.
    pub(super) async fn depths(&self) -> anyhow::Result<Vec<Depth>> {
        if self.queue_url.is_none() && self.dead_letter_url.is_none() {
            return Ok(Vec::new());
        }
        let client = Cloud::new().await.queues();
        let (mut depths, mut dead_letters) = (Vec::new(), self.dead_letter_url.clone());
        if let Some(url) = &self.queue_url {
            let (depth, policy) = read(&client, url, "queue").await?;
            depths.push(depth);
            dead_letters = dead_letters.or_else(|| dead_letters_of(url, policy.as_deref()?));
        }
        if let Some(url) = dead_letters {
            depths.push(read(&client, &url, "dead letters").await?.0);
        }
        Ok(depths)
    }
}

/// Returns the depth of a queue, and its redrive policy.
async fn read(client: &Client, url: &str, name: &'static str) -> anyhow::Result<(Depth, Option<String>)> {
    let request = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let answer = request.send().await.map_err(|error| queue_failure(&error, "looked into"))?;
    let attributes = answer.attributes.unwrap_or_default();
    let count = |name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or_default();
    let depth = Depth {
        name,
        waiting: count(QueueAttributeName::ApproximateNumberOfMessages),
        in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
    };
    Ok((depth, attributes.get(&QueueAttributeName::RedrivePolicy).cloned()))
}

/// Returns the address of the dead-letter queue: it is of the same account and region, so only its name is another one.
fn dead_letters_of(url: &str, policy: &str) -> Option<String> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let name = policy.get("deadLetterTargetArn")?.as_str()?.rsplit(':').next()?;
    let (account, _) = url.rsplit_once('/')?;
    Some(format!("{account}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::dead_letters_of;

    #[test]
    fn the_redrive_policy_names_the_dead_letter_queue() {
        let url = "https://sqs.eu-central-1.amazonaws.com/111122223333/flatfire-Queue-1";
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:111122223333:flatfire-Dead-2","maxReceiveCount":5}"#;
        let expected = "https://sqs.eu-central-1.amazonaws.com/111122223333/flatfire-Dead-2";
        assert_eq!(dead_letters_of(url, policy).as_deref(), Some(expected));
        assert_eq!(dead_letters_of(url, "{}"), None);
    }
}

//! Loads of buckets go to the function as messages: it alone has the settings that they were loaded with.

use anyhow::Context as _;
use pipeline::ledger::Load;
use pipeline::notification::{Cause, Event};
use serde_json::json;

use super::arguments::ReplayArguments;
use super::dead_letters::failure;
use crate::cloud::{Cloud, Presence};
use crate::console;
use crate::origin;
use crate::outcome::Outcome;

/// What is printed of a load that the function has been told of.
const SENT: &str = "sent";

/// Sends a message for each load.
pub(super) async fn send(loads: &[Load], arguments: &ReplayArguments) -> anyhow::Result<Outcome> {
    if loads.is_empty() {
        return Ok(Outcome::Done);
    }
    let queue = arguments
        .queue_url
        .as_deref()
        .context("--queue-url: loads of buckets are replayed by the function; name its queue")?;
    let by = arguments.run_by.requester();
    let told = |id: &str, outcome: &str, words: &str| {
        if arguments.form.is_json {
            return console::print_json(&json!({ "load": id, "outcome": outcome }));
        }
        if outcome == SENT {
            return console::print(&format!("{id}: {words}"));
        }
        console::line(&format!("flatfire: {id}: {words}"));
        Ok(())
    };
    let cloud = Cloud::new().await;
    let queues = cloud.queues();
    let mut ended = Outcome::Done;
    for load in loads {
        let object = origin::object_of(load).context("the ledger's entry is not one of this version")?;
        let missing = match cloud.presence(&object).await? {
            Presence::There => None,
            Presence::Archived => Some(("in-glacier", "the object is in Glacier; restore it first")),
            Presence::Gone => Some(("gone", "the object is gone")),
        };
        if let Some((outcome, words)) = missing {
            told(&load.id, outcome, words)?;
            ended = Outcome::Failed;
            continue;
        }
        let message = Event { object, cause: Cause::Replay { hops: 0 }, by: by.clone() }.to_message();
        let sent = queues.send_message().queue_url(queue).message_body(message).send().await;
        sent.map_err(|error| failure(&error, "written to"))?;
        told(&load.id, SENT, "sent to the function")?;
    }
    Ok(ended)
}

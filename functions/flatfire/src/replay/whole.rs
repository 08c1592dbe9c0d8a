//! Loads of buckets go to the function as messages: it alone has the settings that they were loaded with.

use anyhow::Context as _;
use pipeline::ledger::Load;
use pipeline::notification::{Cause, Event};
use pipeline::requester::Requester;

use super::dead_letters::failure;
use crate::cloud::{Cloud, Presence};
use crate::console;
use crate::origin;
use crate::outcome::Outcome;

/// Sends a message for each load.
pub(super) async fn send(
    loads: &[Load],
    queue: Option<&str>,
    by: Option<&Requester>,
) -> anyhow::Result<Outcome> {
    if loads.is_empty() {
        return Ok(Outcome::Done);
    }
    let queue =
        queue.context("--queue-url: loads of buckets are replayed by the function; name its queue")?;
    let cloud = Cloud::new().await;
    let queues = cloud.queues();
    let mut outcome = Outcome::Done;
    for load in loads {
        let object = origin::object_of(load).context("the ledger's entry is not one of this version")?;
        let missing = match cloud.presence(&object).await? {
            Presence::There => None,
            Presence::Archived => Some("the object is in Glacier; restore it first"),
            Presence::Gone => Some("the object is gone"),
        };
        if let Some(missing) = missing {
            console::line(&format!("flatfire: {}: {missing}", load.id));
            outcome = Outcome::Failed;
            continue;
        }
        let message = Event { object, cause: Cause::Replay { hops: 0 }, by: by.cloned() }.to_message();
        let sent = queues.send_message().queue_url(queue).message_body(message).send().await;
        sent.map_err(|error| failure(&error, "written to"))?;
        console::print(&format!("{}: sent to the function", load.id))?;
    }
    Ok(outcome)
}

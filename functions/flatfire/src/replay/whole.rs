//! Loads of buckets go to the function as messages: it alone has the settings that they were loaded with.

use anyhow::Context as _;
use pipeline::ledger::Load;
use pipeline::notification::{Cause, Event};

use super::dead_letters::failure;
use crate::cloud::Cloud;
use crate::console;
use crate::origin;
use crate::outcome::Outcome;

/// Sends a message for each load.
pub(super) async fn send(loads: &[Load], queue: Option<&str>) -> anyhow::Result<Outcome> {
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
        if !cloud.holds(&object).await? {
            console::line(&format!("flatfire: {}: the object is gone", load.id));
            outcome = Outcome::Failed;
            continue;
        }
        let message = Event { object, cause: Cause::Replay { hops: 0 } }.to_message();
        let sent = queues.send_message().queue_url(queue).message_body(message).send().await;
        sent.map_err(|error| failure(&error, "written to"))?;
        console::print(&format!("{}: sent to the function", load.id))?;
    }
    Ok(outcome)
}

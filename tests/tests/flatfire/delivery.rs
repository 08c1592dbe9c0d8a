//! What is promised when the world misbehaves: objects vanish, databases go away, messages are none.

use flatfire_tests::proxy::{Pace, Proxy};
use flatfire_tests::{Runner, environment, eventually, number, text, with_function_and_worker};

fn patient(id: &str, updated: &str, family: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","meta":{{"lastUpdated":"{updated}"}},"name":[{{"family":"{family}"}}]}}"#
    )
}

with_function_and_worker! {
    an_object_that_is_gone_is_nobody_s_fault,
    a_bucket_that_exists_is_watched_through_eventbridge,
    the_newest_version_wins_whatever_arrives_last,
    a_database_that_is_down_delays_and_loses_nothing,
    a_message_that_is_no_notification_ends_in_the_dead_letter_queue_and_holds_up_nobody,
}

async fn an_object_that_is_gone_is_nobody_s_fault(runner: Runner) {
    let stack = runner.deploy("gone").await;
    let upload = stack.put("elsewhere/gone.json", patient("gone", "2026-01-05T10:00:00Z", "Gone")).await;
    stack.remove(&upload).await;
    let missing = flatfire_tests::Upload { key: "incoming/gone.json".into(), ..upload };
    stack.announce_again(&missing, "01").await;
    let load = stack.settled(&missing).await;
    assert_eq!(text(&load, "status"), "gone", "{load}");
    stack.quiet().await;
    assert_eq!(stack.dead_letters().await, 0);
    assert_eq!(stack.tables().await.rows("Patient").count(), 0);
}

async fn a_bucket_that_exists_is_watched_through_eventbridge(runner: Runner) {
    let stack = runner.deploy_over_bucket("existing").await;
    stack.put("elsewhere/a.json", patient("a", "2026-01-05T10:00:00Z", "Elsewhere")).await;
    stack.upload("b c+ü.json", patient("b", "2026-01-05T10:00:00Z", "Watched")).await;
    // The local cloud leaves the version out of these events, so the ledger knows the object by its ETag.
    let ends = async || stack.log_lines("object handled").await.into_iter().next();
    let end = eventually("the end of the load", ends).await;
    assert_eq!(end["status"], "done", "{end}");
    stack.quiet().await;
    assert_eq!(stack.dead_letters().await, 0);
    assert_eq!(stack.log_lines("object handled").await.len(), 1);
    let tables = stack.tables().await;
    assert_eq!(tables.rows("Patient").count(), 1);
    assert_eq!(text(tables.row("Patient", "Patient/b"), "name_family"), "Watched");
}

async fn the_newest_version_wins_whatever_arrives_last(runner: Runner) {
    let stack = runner.deploy("order").await;
    let new = stack.upload("new.json", patient("p", "2026-02-01T00:00:00Z", "New")).await;
    stack.settled(&new).await;
    let old = stack.upload("old.json", patient("p", "2026-01-01T00:00:00Z", "Old")).await;
    let load = stack.settled(&old).await;
    assert_eq!(number(&load, "counts.superseded"), 1, "{load}");
    let tables = stack.tables().await;
    assert_eq!(text(tables.row("Patient", "Patient/p"), "name_family"), "New");

    let removal = r#"{"resourceType":"Bundle","type":"history","entry":[{"request":{"method":"DELETE","url":"Patient/p"},"response":{"status":"204","lastModified":"2026-03-01T00:00:00Z"}}]}"#;
    let removal = stack.upload("removal.json", removal).await;
    let load = stack.settled(&removal).await;
    assert_eq!(number(&load, "counts.deleted"), 1, "{load}");
    let late = stack.upload("late.json", patient("p", "2026-02-15T00:00:00Z", "Late")).await;
    stack.settled(&late).await;
    assert_eq!(stack.tables().await.rows("Patient").count(), 0, "an older version does not come back");
}

async fn a_database_that_is_down_delays_and_loses_nothing(runner: Runner) {
    let proxy = Proxy::before(environment().await.servers.database.uri(), Pace::Full).await;
    let stack = runner.deploy_with("outage", proxy.uri(), &[]).await;
    // The function has a connection already when the database goes away.
    let before = stack.upload("before.json", patient("before", "2026-01-05T10:00:00Z", "Before")).await;
    stack.settled(&before).await;
    // The ledger says "done" before the function has the answer. An outage in between would interrupt this load too.
    stack.quiet().await;
    proxy.set(Pace::Down);
    let during = stack.upload("during.json", patient("during", "2026-01-05T10:00:00Z", "During")).await;
    eventually("an interrupted load in the log", async || {
        stack.log_lines("object interrupted").await.into_iter().next()
    })
    .await;
    assert_eq!(stack.messages().await, 1, "the message of the interrupted load waits in the queue");
    assert_eq!(stack.tables().await.rows("Patient").count(), 1);
    proxy.set(Pace::Full);
    let load = stack.settled(&during).await;
    assert_eq!(text(&load, "status"), "done", "{load}");
    assert_eq!(stack.tables().await.rows("Patient").count(), 2);
    stack.quiet().await;
    assert_eq!(stack.dead_letters().await, 0);
}

async fn a_message_that_is_no_notification_ends_in_the_dead_letter_queue_and_holds_up_nobody(runner: Runner) {
    let stack = runner.deploy("poison").await;
    let poison = r#"{"this": "is no notification"}"#;
    stack.send(poison).await;
    let upload = stack.upload("beside.json", patient("beside", "2026-01-05T10:00:00Z", "Beside")).await;
    assert_eq!(text(&stack.settled(&upload).await, "status"), "done");
    assert_eq!(stack.dead_letter().await, poison);
    stack.quiet().await;
    assert_eq!(stack.log_lines("message failed").await.len(), 6, "as often as the template's queue allows");
    assert_eq!(stack.tables().await.rows("_loads").count(), 1);
}

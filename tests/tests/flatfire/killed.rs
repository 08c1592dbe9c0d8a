//! The function is killed while it loads; after redelivery the tables are those of a load that nobody disturbed.

use std::fmt::Write;
use std::process::Command;

use flatfire_tests::proxy::{Pace, Proxy};
use flatfire_tests::{
    Runner, Stack, Tables, Upload, environment, eventually, number, text, with_function_and_worker,
};
use mongodb::bson::{Document, doc};

const PATIENTS: usize = 8_000;

fn file() -> String {
    (0..PATIENTS).fold(String::new(), |mut text, number| {
        writeln!(
            text,
            r#"{{"resourceType":"Patient","id":"k{number}","meta":{{"lastUpdated":"2026-01-05T10:00:00Z"}},"name":[{{"family":"Family {number}","given":["A","B"]}}],"extension":[{{"url":"urn:example:n","valueDecimal":{number}.50}}]}}"#
        )
        .unwrap();
        text
    })
}

async fn rows(stack: &Stack) -> u64 {
    stack.database().collection::<Document>("Patient").count_documents(doc! {}).await.unwrap()
}

with_function_and_worker! {
    a_function_that_is_killed_leaves_nothing_that_its_successor_does_not_finish,
}

async fn a_function_that_is_killed_leaves_nothing_that_its_successor_does_not_finish(runner: Runner) {
    let proxy = Proxy::before(environment().await.servers.database.uri(), Pace::Slow).await;
    // Several small batches, so that the first are written while the last have not begun.
    let stack = runner.deploy_with("killed", proxy.uri(), &[("BatchMegabytes", "1")]).await;
    // A killed function tells its queue nothing; the message comes again once its time is over. By then the lease
    // of the dead attempt has ended too.
    stack.hide_messages_for(85).await;
    let upload = stack.upload("large.ndjson", file()).await;
    // Somewhere among the writes, elsewhere in every run; a failure says where.
    let enough = u64::from(std::process::id()) % (PATIENTS as u64 / 2) + 1;
    let reached = eventually("the first rows of the load", async || {
        let rows = rows(&stack).await;
        (rows >= enough).then_some(rows)
    })
    .await;
    for process in stack.processes() {
        let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
        assert!(killed.success(), "process {process}");
    }
    eventually("the end of the killed processes", async || stack.processes().is_empty().then_some(())).await;
    if runner == Runner::Worker {
        stack.start_worker().await;
    }
    let cut = stack.load(&upload).await.unwrap();
    assert_eq!(text(&cut, "status"), "running", "killed too late, at {reached} rows: {cut}");
    assert!(reached < PATIENTS as u64, "killed too late");
    proxy.set(Pace::Full);

    let undisturbed = undisturbed(runner).await;
    let load = stack.settled(&upload).await;
    assert_eq!((text(&load, "status"), number(&load, "attempts")), ("done", 2), "{load}");
    let counts =
        ["counts.records", "counts.loaded"].map(|name| usize::try_from(number(&load, name)).unwrap());
    assert_eq!(counts, [PATIENTS, PATIENTS], "{load}");
    assert_eq!(comparable(&stack.tables().await), undisturbed);
}

/// Returns the tables of the same file, loaded at once.
async fn undisturbed(runner: Runner) -> Tables {
    let stack = runner.deploy("undisturbed").await;
    let upload: Upload = stack.upload("large.ndjson", file()).await;
    let load = stack.settled(&upload).await;
    assert_eq!(number(&load, "attempts"), 1, "{load}");
    comparable(&stack.tables().await)
}

/// Returns everything but the names of the bucket and of the version.
fn comparable(tables: &Tables) -> Tables {
    assert_eq!(tables.rows("Patient").count(), PATIENTS);
    tables.without_origin()
}

//! Which objects are loaded: keys that must be encoded on their way, and objects that are not watched.

use flatfire_tests::{Runner, eventually, text, with_function_and_worker};

fn patient(id: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","active":true}}"#)
}

with_function_and_worker! {
    keys_survive_their_encodings,
    objects_that_are_not_watched_leave_no_row,
}

async fn keys_survive_their_encodings(runner: Runner) {
    let stack = runner.deploy("keys").await;
    let names = [
        "a b",
        "a+b",
        "a%2Bb",
        "ü/ß",
        "🔥",
        "100% & more=?#",
        "\"quoted\" 'too'",
        "many/levels/of/folders/x",
        "two\nlines",
    ];
    let mut uploads = Vec::new();
    for (number, name) in names.iter().enumerate() {
        uploads.push(stack.upload(&format!("{name}.json"), patient(&format!("key-{number}"))).await);
    }
    for (number, upload) in uploads.iter().enumerate() {
        let load = stack.settled(upload).await;
        assert_eq!(text(&load, "status"), "done", "{load}");
        let tables = stack.tables().await;
        let row = tables.row("Patient", &format!("Patient/key-{number}"));
        assert_eq!(text(row, "_source.key"), upload.key);
    }
    assert_eq!(stack.tables().await.rows("_loads").count(), names.len());
}

async fn objects_that_are_not_watched_leave_no_row(runner: Runner) {
    let stack = runner.deploy("others").await;
    let outside = stack.put("elsewhere/patient.json", patient("outside")).await;
    let beside = stack.put("incomingX/patient.json", patient("beside")).await;
    let folder = stack.upload("folder/", "").await;
    let empty = stack.upload("empty.ndjson", "").await;
    // The queue takes messages from others than the bucket too: the function looks at the prefix itself, and what it
    // does not watch becomes a dead letter.
    stack.announce_again(&outside, "01").await;
    stack.announce_again(&beside, "01").await;
    // What is loaded after all of these shows that none of them is merely late.
    let inside = stack.upload("patient.json", patient("inside")).await;
    stack.settled(&inside).await;
    eventually("two dead letters", async || (stack.dead_letters().await == 2).then_some(())).await;
    stack.quiet().await;
    let tables = stack.tables().await;
    assert_eq!(tables.rows("Patient").count(), 1);
    let keys: Vec<_> = tables.rows("_loads").map(|load| text(load, "key").to_owned()).collect();
    assert_eq!(keys, [inside.key], "{} and {} are acknowledged without work", folder.key, empty.key);
    assert!(stack.log_lines("object not watched").await.len() >= 2, "each delivery has a line");
}

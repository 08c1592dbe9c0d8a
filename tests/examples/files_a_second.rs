//! Measures how many small files the function loads in a second, in the local cloud.
//!
//! `cargo run -p flatfire-tests --example files_a_second`, after `cargo xtask build`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is measured is printed, and it fails by panicking"
)]

use flatfire_tests::{Stack, eventually};

const FILES: usize = 2_000;

fn observation(number: usize) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o{number}","meta":{{"lastUpdated":"2026-01-05T10:00:00Z"}},"status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}}]}},"subject":{{"reference":"Patient/p{}"}},"effectiveDateTime":"2026-01-05T08:00:00Z","valueQuantity":{{"value":{},"unit":"/min"}}}}"#,
        number % 50,
        60 + number % 60
    )
}

/// Milliseconds behind a word in a line of the log: `Duration: 463 ms`.
fn milliseconds(line: &str, word: &str) -> Option<f64> {
    line.split_once(word)?.1.split_whitespace().next()?.parse().ok()
}

#[tokio::main]
async fn main() {
    let stack = Stack::deploy("speed").await;
    for number in 0..FILES {
        stack.upload(&format!("{number}.json"), observation(number)).await;
    }
    let all = || async { (stack.tables().await.rows("Observation").count() == FILES).then_some(()) };
    eventually("all rows", all).await;
    stack.quiet().await;
    let handled = stack.log_lines("object handled").await;
    let log = stack.log().await;
    let invocations: Vec<f64> = log
        .iter()
        .flat_map(|event| event.lines())
        .filter(|line| line.starts_with("REPORT"))
        .filter_map(|line| milliseconds(line, "\tDuration: "))
        .collect();
    let seconds = invocations.iter().sum::<f64>() / 1_000.0;
    assert_eq!(handled.iter().filter(|end| end["status"] == "done").count(), FILES);
    let files = f64::from(u32::try_from(FILES).unwrap());
    println!("{FILES} files in {} invocations of {seconds:.1} s together", invocations.len());
    println!("{:.0} files a second of one function", files / seconds);
}

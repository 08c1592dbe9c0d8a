//! Pushes many files into a bucket of the local cloud with a command that is killed again and again, and then twice with
//! one that is not: every file must be there once, and the last run must upload nothing.
//!
//! `cargo run -p flatfire-tests --example push_many [FILES]`, after `cargo xtask build` and `cargo build -p flatfire`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is measured is printed, and it fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use flatfire_tests::{Bucket, Stack, environment};

const FILES: usize = 10_000;
const KILLS: u32 = 10;

fn name(number: usize) -> String {
    format!("ward {}/ü+&{number}%20 \"x\".json", number % 50)
}

fn write(folder: &Path, number: usize) {
    let path = folder.join(name(number));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!(r#"{{"resourceType":"Patient","id":"p{number}","active":true}}"#)).unwrap();
}

/// Runs the command to its end, and returns what it printed and how long it took.
async fn push(stack: &Stack, arguments: &[&str]) -> (String, Duration) {
    let began = Instant::now();
    let output = stack.flatfire_command(arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), began.elapsed())
}

#[tokio::main]
async fn main() {
    let files = std::env::args().nth(1).map_or(FILES, |number| number.parse().unwrap());
    let bucket = Bucket::make("push-many").await;
    bucket.keep_versions().await;
    // Its uploads are announced to nobody: nothing is loaded.
    let uri = environment().await.servers.database.uri();
    let stack = Stack::deploy_with("push-many", uri, &[("MakeBucket", "no")]).await;
    let folder = tempfile::tempdir().unwrap();
    (0..files).for_each(|number| write(folder.path(), number));

    let (path, target) = (folder.path().display().to_string(), format!("s3://{}/incoming/", bucket.name()));
    let arguments = ["push", &path, &target, "--stable-for", "0"];
    for kill in 1..=KILLS {
        let mut command = stack.flatfire_command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(300) * kill).await;
        child.kill().await.unwrap();
        println!("killed: {} of {files} files are there", stack.keys_of_all_versions().await.len());
    }
    let (printed, took) = push(&stack, &arguments).await;
    println!("the next run, {:.1} s: {}", took.as_secs_f64(), printed.trim_end());
    let (printed, took) = push(&stack, &arguments).await;
    println!("the same run again, {:.1} s: {}", took.as_secs_f64(), printed.trim_end());
    assert_eq!(printed, format!("0 uploaded, {files} unchanged, 0 failed\n"));

    let keys = stack.keys_of_all_versions().await;
    let expected: BTreeSet<String> = (0..files).map(|number| format!("incoming/{}", name(number))).collect();
    let twice = keys.len() - expected.len().min(keys.len());
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), expected);
    println!("{files} keys are there; {twice} were uploaded twice, by a command that was killed meanwhile");
}

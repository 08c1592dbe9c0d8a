//! What the end-to-end tests stand on: the local environment, one deployment of the template for each test, and the tables
//! that come out of it.
//!
//! ```text
//! Stack::deploy → upload, send → settled → tables, log
//! ```
//!
//! The servers are started once a process and shared. Every test has a stack of its own, with its own bucket,
//! queues, function and database, so that tests run side by side and none sees another's rows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "this library is a part of tests, which fail by panicking"
)]

mod servers;
pub mod proxy;
pub mod runner;
pub mod stack;
pub mod tables;

use std::process::Output;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

pub use runner::Runner;
pub use servers::{TestEnvironment, environment};
pub use stack::{Bucket, Ran, Stack, Upload};
pub use tables::{Tables, number, plain, text};

/// How long the local environment may take for one thing, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_mins(4);

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks again and again until there is something to see.
///
/// # Panics
/// When there is nothing after [`PATIENCE`]; `what` says what was waited for.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "after {PATIENCE:?} still not: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for a program to end and returns what it wrote.
///
/// # Panics
/// When it does not end within [`PATIENCE`]; it is killed then, and what it wrote is told.
pub async fn ended(program: Child) -> Output {
    let process = program.id().unwrap().to_string();
    let mut output = std::pin::pin!(program.wait_with_output());
    if let Ok(output) = timeout(PATIENCE, &mut output).await {
        return output.unwrap();
    }
    Command::new("kill").args(["-KILL", &process]).status().await.unwrap();
    let output = output.await.unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    panic!("after {PATIENCE:?} still running; it wrote:\n{}\n{}", told[0], told[1]);
}

//! Failing commands of the real protocol: connections closed, step-downs, duplicates, write concerns not met.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::database::Server;
use crate::stats::STATS;

/// A thread that lets commands of the lines fail at random, as the server's documentation of `failCommand` says.
pub(crate) struct Failpoints {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Unavailable, interrupted, too slow, a step-down, a duplicate, a refusal of one document, one that stops the load.
///
/// A fail point does not answer 121 by itself, because that code needs more than a number; it answers 40671 instead,
/// which nobody knows. What one document's fault is like is tried with 2.
const CODES: [(&str, i32); 9] = [
    (REFUSALS, 2),
    ("failCommand 121, answered 40671", 121),
    ("failCommand 91", 91),
    ("failCommand 64", 64),
    ("failCommand 11000", 11000),
    ("failCommand 10107", 10107),
    ("failCommand 189", 189),
    ("failCommand 50", 50),
    ("failCommand 13", 13),
];

/// Commands that are refused because of a document, each at most [`MOST_TIMES`] times.
pub(crate) const REFUSALS: &str = "failCommand 2";
pub(crate) const MOST_TIMES: i32 = 3;

impl Failpoints {
    pub(crate) fn start(server: &Server, seed: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(server.client());
        let mut random = StdRng::seed_from_u64(seed);
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                while !over.load(Ordering::Relaxed) {
                    let (times, mut data) = fault(&mut random);
                    data.insert("appName", Server::application());
                    let command =
                        doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
                    client.database("admin").run_command(command).await.expect("the server allows test commands");
                    tokio::time::sleep(Duration::from_millis(random.random_range(20..300))).await;
                }
                let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
                client.database("admin").run_command(off).await.expect("the server allows test commands");
            });
        });
        Self { is_over, thread }
    }

    pub(crate) fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Returns which commands fail how, and how often.
fn fault(random: &mut StdRng) -> (i32, Document) {
    let commands = match random.random_range(0..5) {
        0 => vec!["insert"],
        1 => vec!["update"],
        2 => vec!["delete"],
        3 => vec!["find"],
        _ => vec!["insert", "update", "delete", "find"],
    };
    let data = match random.random_range(0..6) {
        0 => {
            STATS.count("failCommand closeConnection");
            doc! { "failCommands": commands, "closeConnection": true }
        }
        1 => {
            STATS.count("failCommand writeConcernError");
            let code = *[64, 91].choose(random).unwrap();
            doc! {
                "failCommands": ["insert", "update", "delete"],
                "writeConcernError": { "code": code, "errmsg": "too slow" },
            }
        }
        2 => {
            STATS.count("failCommand slow");
            let milliseconds = random.random_range(5..100);
            doc! { "failCommands": commands, "blockConnection": true, "blockTimeMS": milliseconds }
        }
        _ => {
            let (name, code) = *CODES.choose(random).unwrap();
            STATS.count(name);
            doc! { "failCommands": commands, "errorCode": code }
        }
    };
    (random.random_range(1..=MOST_TIMES), data)
}

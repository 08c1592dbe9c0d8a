//! Neighbours: whatever one message of a batch does, the others are loaded, and none of them is a dead letter.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use pipeline::interrupted::Interrupted;
use serde_json::{Value, json};

use super::doubles::{Bench, LoadScript, s3_record};
use super::{batch, delivered, failed, keys, put};

/// A message on its way, and how often it was delivered.
#[derive(Debug, Clone)]
struct Message {
    id: usize,
    body: String,
    deliveries: u32,
}

/// A queue as SQS plays it: batches of five, six deliveries, then the dead-letter queue.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Message>,
    dead: Vec<String>,
    sent: usize,
    invocations: usize,
}

const BATCH: usize = 5;
const MOST_DELIVERIES: u32 = 6;
/// An invocation that takes longer is killed.
const TIMEOUT: Duration = Duration::from_secs(2);

impl Queue {
    fn of(keys: &[&str]) -> Self {
        let mut queue = Self::default();
        for key in keys {
            queue.send(put(key).to_string());
        }
        queue
    }

    fn send(&mut self, body: String) {
        self.sent += 1;
        self.waiting.push_back(Message { id: self.sent, body, deliveries: 0 });
    }

    /// Delivers until nothing waits any more.
    async fn play(&mut self, bench: &Bench) {
        let mut seen = 0;
        while !self.waiting.is_empty() {
            self.invocations += 1;
            assert!(self.invocations < 100, "it never ends: {} messages wait", self.waiting.len());
            let mut messages: Vec<_> = (0..BATCH).filter_map(|_| self.waiting.pop_front()).collect();
            for message in &mut messages {
                message.deliveries += 1;
            }
            let failed = invoke(bench, &messages).await;
            let calls = bench.calls();
            let new = &calls[seen..];
            seen = calls.len();
            let of = |call: &str, field: &str| -> Vec<String> {
                let calls = new.iter().filter(|(name, _)| name == call);
                calls.map(|(_, body)| body[field].as_str().unwrap().to_owned()).collect()
            };
            let deleted = of("DeleteMessage", "ReceiptHandle");
            for message in messages {
                let id = message.id.to_string();
                let is_done = failed.as_ref().is_some_and(|failed| !failed.contains(&id));
                if is_done || deleted.contains(&format!("receipt of {id}")) {
                    continue;
                }
                if message.deliveries >= MOST_DELIVERIES {
                    self.dead.push(message.body);
                } else {
                    self.waiting.push_back(message);
                }
            }
            for body in of("SendMessage", "MessageBody") {
                self.send(body);
            }
        }
    }
}

/// Returns the messages that failed; `None`: the function was killed, and all come again.
async fn invoke(bench: &Bench, messages: &[Message]) -> Option<BTreeSet<String>> {
    let mut event = json!({ "Records": [] });
    for message in messages {
        let mut one = delivered(message.deliveries, &[(&message.id.to_string(), json!(message.body))]);
        event["Records"].as_array_mut().unwrap().push(one["Records"][0].take());
    }
    let response: Value = tokio::time::timeout(TIMEOUT, bench.handle(event)).await.ok()?.unwrap();
    Some(failed(&response).into_iter().map(str::to_owned).collect())
}

#[tokio::test]
async fn whoever_is_killed_goes_to_the_dead_letters_alone() {
    for poisons in [vec!["in/c"], vec!["in/a"], vec!["in/b", "in/e"]] {
        let scripts: Vec<_> = poisons.iter().map(|key| (*key, LoadScript::Kill)).collect();
        let bench = Bench::new(&scripts).await;
        let all = ["in/a", "in/b", "in/c", "in/d", "in/e", "in/f", "in/g"];
        let mut queue = Queue::of(&all);
        queue.play(&bench).await;
        let dead = |key: &&str| queue.dead.iter().any(|body| body.contains(*key));
        let dead: Vec<_> = all.into_iter().filter(dead).collect();
        assert_eq!(dead, poisons, "{:?}", queue.dead);
        let loaded = bench.loaded();
        let loaded: BTreeSet<_> = keys(&loaded).into_iter().collect();
        assert_eq!(loaded, all.into_iter().collect(), "every file was begun");
        assert!(queue.invocations <= 20 * poisons.len(), "{} invocations", queue.invocations);
    }
}

#[tokio::test]
async fn a_panic_costs_its_own_message_alone() {
    let bench = Bench::new(&[("in/b", LoadScript::Panic)]).await;
    let mut queue = Queue::of(&["in/a", "in/b", "in/c"]);
    queue.play(&bench).await;
    assert_eq!(queue.dead.len(), 1);
    let loaded = bench.loaded();
    let of = |key: &str| keys(&loaded).into_iter().filter(|loaded| *loaded == key).count();
    assert_eq!((of("in/a"), of("in/c")), (1, 1), "neighbours are loaded once");
}

#[tokio::test]
async fn slow_neighbours_keep_nobody_from_being_passed_on_in_time() {
    let slow = LoadScript::Slow(Duration::from_millis(600));
    let bench = Bench::new(&[("in/a", slow.clone()), ("in/b", slow)]).await;
    let messages = ["a", "b", "c", "d", "e"].map(|id| (id, put(&format!("in/{id}"))));
    let deadline = Instant::now() + Duration::from_millis(200);
    let handled = bench.handle_until(batch(&messages), deadline);
    let watched = async {
        tokio::time::sleep(Duration::from_millis(450)).await;
        bench.calls().len()
    };
    let (response, sent) = tokio::join!(handled, watched);
    assert!(failed(&response.unwrap()).is_empty());
    assert_eq!(sent, 3, "those that were not begun were passed on while the others were at work");
    assert_eq!(bench.calls().len(), 5);
    assert_eq!(keys(&bench.loaded()), ["in/a", "in/b"]);
}

#[tokio::test]
async fn in_a_batch_that_comes_again_each_object_gets_a_message_of_its_own() {
    let bench = Bench::new(&[]).await;
    let several = json!({"Records": [s3_record("in/c"), s3_record("in/d"), s3_record("out/e")]});
    let messages = [("a", put("in/a")), ("b", put("in/b")), ("c", several), ("poison", json!("none"))];
    let response = bench.handle(delivered(2, &messages)).await.unwrap();
    assert_eq!(failed(&response), ["poison"]);
    assert_eq!(keys(&bench.loaded()), ["in/a"]);
    let sent = bench.calls().into_iter().filter(|(call, _)| call == "SendMessage");
    let sent: Vec<_> = sent.map(|(_, body)| body["MessageBody"].to_string()).collect();
    assert_eq!(sent.len(), 4, "{sent:?}");
    for (message, key) in sent.iter().zip(["in/b", "in/c", "in/d", "out/e"]) {
        assert!(message.contains(key) && message.contains("continuation"), "{message}");
    }
    // A message alone with several objects is taken apart as well.
    let several = json!({"Records": [s3_record("in/x"), s3_record("in/y")]});
    bench.handle(delivered(3, &[("m", several)])).await.unwrap();
    assert_eq!(keys(&bench.loaded()), ["in/a"]);
}

#[tokio::test]
async fn what_is_not_watched_goes_to_the_dead_letters_and_moves_nobody() {
    let bench = Bench::new(&[]).await;
    let strays: Vec<_> = (0..30).map(|number| format!("out/{number:02}")).collect();
    let mut all: Vec<_> = strays.iter().map(String::as_str).collect();
    all.push("in/a");
    let mut queue = Queue::of(&all);
    let mixed = json!({"Records": [s3_record("in/b"), s3_record("out/30"), s3_record("in/c")]});
    queue.send(mixed.to_string());
    queue.play(&bench).await;
    assert_eq!(queue.dead.len(), 31, "{:?}", queue.dead);
    assert!(queue.dead.iter().all(|body| body.contains("out/")));
    let loaded = bench.loaded();
    let loaded: BTreeSet<_> = keys(&loaded).into_iter().collect();
    assert_eq!(loaded, BTreeSet::from(["in/a", "in/b", "in/c"]));
    assert!(!queue.dead.iter().any(|body| body.contains("in/")), "a stray becomes a dead letter by itself");
    // Only the mixed message is taken apart; no stray makes others go round again.
    assert!(queue.sent <= all.len() + 1 + 3, "{} messages were sent", queue.sent);
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_handled_here() {
    let scripts = [("in/b", LoadScript::Interrupted(Interrupted::Busy))];
    for bench in
        [Bench::new(&scripts).await.with_a_refusing_queue(), Bench::new(&scripts).await.without_a_queue()]
    {
        let messages = [("a", put("in/a")), ("b", put("in/b")), ("c", put("in/c"))];
        let response = bench.handle(delivered(2, &messages)).await.unwrap();
        assert_eq!(failed(&response), ["b"]);
        assert_eq!(keys(&bench.loaded()), ["in/a", "in/b", "in/c"]);
    }
}

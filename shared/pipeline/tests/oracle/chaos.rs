//! Mishaps: stores that fail before, in the middle of, or after a write, and attempts that are killed anywhere.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use mongodb_store::MongoStore;
use mongodb_store::simulation::{Fault, SimulatedMongo};
use pipeline::batch::WriteBatch;
use pipeline::interrupted::Interrupted;
use pipeline::store::RowStore;
use pipeline::store::memory::MemoryStore;
use pipeline::summary::Summary;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use crate::stats::STATS;

thread_local! {
    /// Each history runs on a thread, and has the time to itself.
    static CLOCK: Cell<i64> = const { Cell::new(0) };
}

/// Returns the time that the ledger is told, in milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now() -> i64 {
    CLOCK.get()
}

pub(crate) fn begin_time() {
    CLOCK.set(1_740_000_000_000);
}

/// Lets time pass: leases run out, also those whose owners are still at work.
pub(crate) fn pass_time(milliseconds: i64) {
    CLOCK.set(CLOCK.get() + milliseconds);
}

/// The tables of a history.
#[derive(Debug, Clone)]
pub(crate) enum Tables {
    Memory(Arc<MemoryStore>),
    Simulated(Arc<SimulatedMongo>),
    Mongo(Arc<MongoStore>),
}

impl Tables {
    fn store(&self) -> &dyn RowStore {
        match self {
            Self::Memory(store) => &**store,
            Self::Simulated(store) => &**store,
            Self::Mongo(store) => &**store,
        }
    }
}

/// The writes of a history, so that somebody can act at a moment of one.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    begun: AtomicU64,
    running: AtomicUsize,
    /// Loads that have stopped at a deadline.
    stopped: AtomicU64,
    is_idle: AtomicBool,
    changed: Notify,
}

/// A write under way; dropped when it ends or is given up.
struct Beat<'a>(&'a Pulse);

impl Pulse {
    fn begin(&self) -> Beat<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        Beat(self)
    }

    /// Ends a wait: nothing is under way, and nothing is going to happen.
    pub(crate) fn tell_idle(&self) {
        self.is_idle.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(crate) fn tell_stopped(&self) {
        self.stopped.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until so many writes have begun; `false`: nothing is under way before that.
    pub(crate) async fn wait_for_writes(&self, begun: u64) -> bool {
        self.wait_until(|| self.begun.load(Ordering::Relaxed) >= begun).await
    }

    /// Waits until another load stops at a deadline; `false`: nothing is under way before that.
    pub(crate) async fn wait_for_stop(&self) -> bool {
        let before = self.stopped.load(Ordering::Relaxed);
        self.wait_until(|| self.stopped.load(Ordering::Relaxed) > before).await
    }

    async fn wait_until(&self, is_time: impl Fn() -> bool) -> bool {
        loop {
            let changed = self.changed.notified();
            if is_time() {
                return true;
            }
            if self.is_idle.swap(false, Ordering::Relaxed) {
                return false;
            }
            changed.await;
        }
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A store whose writes go wrong as an attempt's script says.
#[derive(Debug)]
pub(crate) struct Chaos {
    tables: Tables,
    /// Where writes are counted that are always finished: they outlast their attempt, and nothing breaks them in the
    /// middle.
    finishes: Option<Arc<AtomicUsize>>,
    script: Mutex<Script>,
    pulse: Arc<Pulse>,
    /// Told when the attempt is to be killed.
    pub(crate) kill: Notify,
}

/// What goes wrong during an attempt, at random.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) random: StdRng,
    /// Of a hundred writes so many go wrong.
    pub(crate) mishaps: u32,
}

/// What goes wrong with one write.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    /// It comes late.
    Late(u32),
    Before,
    /// At one of its statements, whether that takes effect or not; on a database after so many milliseconds.
    Middle(u64, bool),
    /// It was made, and the answer is lost.
    After,
}

impl Chaos {
    pub(crate) fn new(
        tables: Tables,
        finishes: Option<Arc<AtomicUsize>>,
        script: Script,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self { tables, finishes, script: Mutex::new(script), pulse, kill: Notify::new() }
    }

    /// Returns the mishap of the next write, and whether it kills the attempt or only fails.
    fn next(&self) -> (Option<Mishap>, bool) {
        let mut script = self.script.lock().unwrap();
        let mishaps = script.mishaps;
        let random = &mut script.random;
        let is_bad = random.random_range(0..100) < mishaps;
        let mishap = is_bad.then(|| match random.random_range(0..7) {
            0 | 1 => Mishap::Late(random.random_range(1..20)),
            2 => Mishap::Before,
            3..6 if self.finishes.is_none() => {
                Mishap::Middle(random.random_range(0..25), random.random_bool(0.5))
            }
            _ => Mishap::After,
        });
        (mishap, random.random_bool(0.6))
    }

    async fn write_to(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        let tables = self.tables.clone();
        let write = async move { tables.store().write(batch).await };
        let Some(running) = self.finishes.clone() else { return write.await };
        running.fetch_add(1, Ordering::Relaxed);
        let write = async move {
            let outcome = write.await;
            running.fetch_sub(1, Ordering::Relaxed);
            outcome
        };
        tokio::spawn(write).await.unwrap()
    }

    async fn break_in_the_middle(
        &self,
        batch: WriteBatch,
        operation: u64,
        takes_effect: bool,
        kills: bool,
    ) -> Result<Summary, Interrupted> {
        // A load that goes on has waited for its writes, and so has one that gives its lease up: only a kill breaks them.
        let kills = kills || matches!(self.tables, Tables::Mongo(_));
        let outcome = match &self.tables {
            // A write is atomic there: it was made, or it was not.
            Tables::Memory(_) if takes_effect => self.write_to(batch).await.and(Err(injected())),
            Tables::Memory(_) => Err(injected()),
            Tables::Simulated(store) => {
                // Of several writers any may meet it.
                store.fail(Fault { operation, takes_effect });
                self.write_to(batch).await
            }
            Tables::Mongo(store) => {
                let patience = Duration::from_millis(operation);
                tokio::time::timeout(patience, store.write(batch)).await.unwrap_or(Err(injected()))
            }
        };
        if outcome.is_err() { self.end(kills, "write broken in the middle").await } else { outcome }
    }

    /// Fails, or does not return because the attempt is killed.
    async fn end(&self, kills: bool, what: &'static str) -> Result<Summary, Interrupted> {
        STATS.count(what);
        if kills {
            self.kill.notify_one();
            pending::<()>().await;
        }
        Err(injected())
    }
}

fn injected() -> Interrupted {
    Interrupted::Write { code: "injected fault".to_owned() }
}

#[async_trait]
impl RowStore for Chaos {
    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        let store = self.tables.store();
        let (mishap, kills) = self.next();
        match mishap {
            None | Some(Mishap::Late(_)) => store.forget_rejects(load, reading).await,
            Some(Mishap::Before | Mishap::Middle(..)) => {
                self.end(kills, "removal of rejects refused").await.map(drop)
            }
            Some(Mishap::After) => {
                store.forget_rejects(load, reading).await?;
                self.end(kills, "answer of a removal of rejects lost").await.map(drop)
            }
        }
    }

    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        let _beat = self.pulse.begin();
        let (mishap, kills) = self.next();
        match mishap {
            None => self.write_to(batch).await,
            Some(Mishap::Late(turns)) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                if let Tables::Mongo(_) = self.tables {
                    tokio::time::sleep(Duration::from_millis(turns.into())).await;
                }
                self.write_to(batch).await
            }
            Some(Mishap::Before) => self.end(kills, "write refused").await,
            Some(Mishap::Middle(operation, takes_effect)) => {
                self.break_in_the_middle(batch, operation, takes_effect, kills).await
            }
            Some(Mishap::After) => {
                self.write_to(batch).await?;
                self.end(kills, "answer of a write lost").await
            }
        }
    }
}

/// Runs work until it has been asked so many times whether it is done; `None`: it is dropped where it stands.
pub(crate) async fn killed_after<T>(turns: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = turns;
    poll_fn(|context| {
        let Some(next) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = next;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

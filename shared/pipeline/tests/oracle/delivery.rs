//! Deliveries: every notification until it is acknowledged, several at a time, through whatever happens.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::Ledger;
use pipeline::load::{Deadline, Job, Loaded, Pipeline};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;

use crate::catalogs;
use crate::chaos::{Chaos, Pulse, Script, Tables, killed_after, now, pass_time};
use crate::erasures::{KeyState, KeyStates};
use crate::history::{Delivery, History};
use crate::operator::Desk;
use crate::schemas::are_kept;
use crate::stats::STATS;
use crate::store::Store;

/// No history needs so many attempts.
const MOST_ATTEMPTS: u64 = 5_000;

/// A history on its way.
pub(crate) struct World<'a> {
    pub(crate) history: &'a History,
    /// The tables of the attempts that begin now.
    tables: RefCell<Tables>,
    pub(crate) ledger: &'a Ledger,
    /// The operator's own way to the tables.
    pub(crate) desk: Desk<'a>,
    /// The deployment of the attempts that begin now.
    pub(crate) catalog: Cell<usize>,
    /// Notifications that wait for a function.
    waiting: RefCell<VecDeque<Delivery>>,
    /// The objects of the attempts under way.
    pub(crate) under_way: RefCell<Vec<usize>>,
    /// Objects of which a notification was acknowledged.
    settled: RefCell<BTreeSet<usize>>,
    /// What the operator has done to resources.
    pub(crate) key_states: RefCell<KeyStates>,
    /// Objects that are read once more when nothing is under way: after a resource was let in again in the middle.
    pub(crate) once_more: RefCell<BTreeSet<usize>>,
    /// Objects whose loads were interrupted with a checkpoint when something was erased.
    pub(crate) interrupted: RefCell<BTreeSet<usize>>,
    /// Erased resources, each with an object that was loaded meanwhile and of which something was superseded.
    pub(crate) loaded_while_erased: RefCell<BTreeSet<(String, usize)>>,
    /// What the database has refused for good.
    pub(crate) refusals: RefCell<Vec<String>>,
    pub(crate) pulse: Arc<Pulse>,
    /// Told when the operator has asked for objects.
    pub(crate) asked: Notify,
    /// When the leases of the attempts under way end, by their numbers.
    leases: RefCell<BTreeMap<u64, i64>>,
    /// Writes that are finished whatever becomes of their attempts.
    finishing: Arc<AtomicUsize>,
}

/// What a lease outlasts its deadline by: as the pipeline has it, or shorter.
const LEASE_RESERVE: i64 = 30 * 1_000;

/// The time to finish behind a deadline. Nothing here takes so long.
const RESERVE: Duration = Duration::from_secs(20);

/// The real time after which a message that met a lease comes again.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// How an attempt ended.
enum Ended {
    Loaded(Loaded),
    Interrupted(Interrupted),
    Killed,
}

impl<'a> World<'a> {
    pub(crate) fn new(history: &'a History, tables: Tables, desk: Desk<'a>, ledger: &'a Ledger) -> Self {
        let catalog = Cell::new(history.earlier.map_or(history.catalog, |earlier| earlier.catalog));
        Self {
            history,
            tables: RefCell::new(tables),
            ledger,
            desk,
            catalog,
            waiting: RefCell::new(history.deliveries.iter().copied().collect()),
            under_way: RefCell::default(),
            settled: RefCell::default(),
            key_states: RefCell::default(),
            once_more: RefCell::default(),
            interrupted: RefCell::default(),
            loaded_while_erased: RefCell::default(),
            refusals: RefCell::default(),
            pulse: Arc::default(),
            asked: Notify::new(),
            leases: RefCell::default(),
            finishing: Arc::default(),
        }
    }

    /// Delivers everything until everything is acknowledged and the operator has nothing left to do.
    pub(crate) async fn deliver(&self) {
        let history = self.history;
        let mut random = StdRng::seed_from_u64(history.seed.wrapping_add(1));
        let mut mishaps = history.mishaps;
        let mut running = FuturesUnordered::new();
        let mut number = 0;
        let (mut earlier, mut acknowledged) = (history.earlier, 0);
        let (mut operator, mut operates) = (pin!(self.operate()), true);
        loop {
            assert!(number < MOST_ATTEMPTS, "the notifications never end");
            let is_replaced = earlier.is_some_and(|earlier| acknowledged >= earlier.until);
            while !is_replaced
                && running.len() < history.at_once
                && let Some(delivery) = self.next_delivery()
            {
                number += 1;
                let seed = random.random();
                let attempt = Box::pin(self.attempt(delivery, number, seed, mishaps > 0));
                running.push(async move { (delivery, attempt.await) });
            }
            if running.is_empty() {
                if earlier.take().is_some() {
                    STATS.count("replaced deployments");
                    self.replace_deployment().await;
                    (0..history.objects.len()).for_each(|object| self.ask_again(object));
                    continue;
                }
                if !operates {
                    if self.ask_once_more().await {
                        continue;
                    }
                    break;
                }
                self.pulse.tell_idle();
            }
            let (delivery, ended) = tokio::select! {
                biased;
                Some(ended) = running.next() => ended,
                () = &mut operator, if operates => {
                    operates = false;
                    continue;
                }
                () = self.asked.notified() => continue,
            };
            self.take_ended(delivery, &ended);
            if let Ended::Interrupted(Interrupted::Deadline) = ended {
                self.pulse.tell_stopped();
            }
            if let Ended::Interrupted(refused @ Interrupted::Stopped { .. }) = &ended {
                self.refusals.borrow_mut().push(refused.to_string());
            }
            self.pass_time(&mut random, &ended);
            if matches!(ended, Ended::Loaded(_)) {
                STATS.count("notifications");
                acknowledged += 1;
            } else {
                mishaps = mishaps.saturating_sub(1);
                if mishaps == 0 {
                    Store::get().calm(history.seed);
                }
                let mut waiting = self.waiting.borrow_mut();
                let place = random.random_range(0..=waiting.len());
                waiting.insert(place, delivery);
            }
        }
        self.finish_writes().await;
    }

    /// Begins a deployment with the history's catalog. Its processes know nothing of what those before them knew.
    async fn replace_deployment(&self) {
        self.catalog.set(self.history.catalog);
        if let Desk::Database { scratch, .. } = self.desk {
            let store = scratch.store().await.with_sql_schemas(are_kept(self.history));
            self.tables.replace(Tables::Mongo(Arc::new(store)));
        }
    }

    fn next_delivery(&self) -> Option<Delivery> {
        let delivery = self.waiting.borrow_mut().pop_front()?;
        self.under_way.borrow_mut().push(delivery.object);
        Some(delivery)
    }

    fn take_ended(&self, delivery: Delivery, ended: &Ended) {
        let mut under_way = self.under_way.borrow_mut();
        let place = under_way.iter().position(|&object| object == delivery.object);
        under_way.remove(place.unwrap());
        if let Ended::Loaded(loaded) = ended {
            self.settled.borrow_mut().insert(delivery.object);
            if self.interrupted.borrow_mut().remove(&delivery.object) {
                STATS.count("interrupted loads continued behind an erasure");
            }
            if loaded.summary.superseded > 0 {
                let states = self.key_states.borrow();
                let erased = states.iter().filter(|(_, state)| **state == KeyState::Erased);
                self.loaded_while_erased
                    .borrow_mut()
                    .extend(erased.map(|(key, _)| (key.clone(), delivery.object)));
            }
        }
    }

    /// Has an object read from its first byte, after everything that has happened so far.
    pub(crate) fn ask_again(&self, object: usize) {
        self.waiting.borrow_mut().push_back(Delivery { object, again: true });
        for state in self.key_states.borrow_mut().values_mut() {
            if let KeyState::Lifted { objects } = state {
                objects.insert(object);
            }
        }
    }

    /// Returns whether nothing of an object is being read or written, and nothing will be unless somebody asks for it
    /// again.
    pub(crate) fn is_quiet(&self, object: usize) -> bool {
        let is_asked = self.waiting.borrow().iter().any(|waiting| waiting.again && waiting.object == object);
        self.settled.borrow().contains(&object)
            && !self.under_way.borrow().contains(&object)
            && !is_asked
            && self.finishing.load(Ordering::Relaxed) == 0
    }

    /// Asks for the objects that a lift met in the middle; `false`: there are none.
    async fn ask_once_more(&self) -> bool {
        self.finish_writes().await;
        let objects = self.once_more.take();
        for &object in &objects {
            self.ask_again(object);
        }
        !objects.is_empty()
    }

    async fn finish_writes(&self) {
        while self.finishing.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Runs one invocation.
    async fn attempt(&self, delivery: Delivery, number: u64, seed: u64, has_mishaps: bool) -> Ended {
        STATS.count("attempts");
        let mut random = StdRng::seed_from_u64(seed);
        let object = &self.history.objects[delivery.object].reference;
        let is_timed = has_mishaps && self.history.has_deadlines && random.random_bool(0.4);
        let patience = Duration::from_millis(random.random_range(0..4));
        let turns =
            if has_mishaps && random.random_bool(0.3) { random.random_range(1..40) } else { u32::MAX };
        let lease = i64::try_from(self.history.limits.lease.as_millis()).unwrap();
        let until = now() + if is_timed { LEASE_RESERVE } else { lease };
        self.leases.borrow_mut().insert(number, until);
        let script = Script { random, mishaps: if has_mishaps { 25 } else { 0 } };
        let finishes = self.owners_linger().then(|| Arc::clone(&self.finishing));
        let tables = self.tables.borrow().clone();
        let store = Arc::new(Chaos::new(tables, finishes, script, Arc::clone(&self.pulse)));
        let pipeline = Pipeline {
            storage: Store::get().storage(),
            catalog: catalogs::catalog(self.catalog.get()),
            store: store.clone(),
            limits: self.history.limits,
        };
        let job = Job {
            owner: format!("{seed:x}-{number}"),
            again: delivery.again,
            by: None,
            deadline: is_timed.then(|| Deadline::new(Instant::now() + patience, RESERVE)),
            is_cancelled: None,
            read_turns: None,
            clock: now,
            progress: &|_| {},
        };
        let load = killed_after(turns, pipeline.load(self.ledger, object, &job));
        let ended = tokio::select! {
            biased;
            outcome = load => match outcome {
                Some(Ok(loaded)) => Ended::Loaded(loaded),
                Some(Err(interrupted)) => Ended::Interrupted(interrupted),
                None => killed("killed at an await"),
            },
            () = store.kill.notified() => killed("killed at a write"),
        };
        match (&ended, self.desk.longest_command()) {
            // A queue would wait as well; asking again at once would only keep the owner from its work.
            (Ended::Interrupted(Interrupted::Busy), _) => tokio::time::sleep(BUSY_PAUSE).await,
            // A server carries out what it has taken. A lease outlasts that, and the time told to the ledger is no
            // real one.
            (Ended::Killed, Some(longest)) => tokio::time::sleep(longest).await,
            _ => {}
        }
        self.leases.borrow_mut().remove(&number);
        ended
    }

    /// Returns whether owners stay at work. A lease ends when its owner has stopped for certain: that is what it
    /// promises. Owners that are still at work then are tried as well, but each of their writes is finished: were one
    /// to stop in the middle after another attempt has settled the load, nobody would come back and take it away.
    fn owners_linger(&self) -> bool {
        self.history.owners_linger && !matches!(self.desk, Desk::Database { .. })
    }

    /// Lets time pass between attempts. An attempt that met a lease comes back minutes later, when it may have run out.
    fn pass_time(&self, random: &mut StdRng, ended: &Ended) {
        let milliseconds = random.random_range(0..milliseconds_behind(ended));
        let next_end = self.leases.borrow().values().min().copied();
        let left = next_end.map_or(i64::MAX, |end| (end - now() - 1).max(0));
        pass_time(if self.owners_linger() { milliseconds } else { milliseconds.min(left) });
    }
}

fn killed(how: &'static str) -> Ended {
    STATS.count(how);
    Ended::Killed
}

/// Returns how long it takes at the most until something else happens.
fn milliseconds_behind(ended: &Ended) -> i64 {
    match ended {
        Ended::Loaded(loaded) => {
            assert!(loaded.summary.adds_up(), "{loaded:?}");
            2_000
        }
        Ended::Interrupted(Interrupted::Busy) => {
            STATS.count("met a lease or a fence");
            40 * 60 * 1_000
        }
        Ended::Interrupted(Interrupted::Deadline) => {
            STATS.count("stopped at a deadline");
            1_000
        }
        Ended::Interrupted(_) => {
            STATS.count("interrupted");
            60_000
        }
        Ended::Killed => 60_000,
    }
}

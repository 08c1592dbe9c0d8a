//! The operator: erases resources and lets them in again while histories are delivered, as `flatfire forget` does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::Document;
use mongodb_store::MongoStore;
use mongodb_store::simulation::{SimulatedMongo, State};
use pipeline::erasure::Eraser;
use pipeline::interrupted::Interrupted;
use pipeline::store::memory::MemoryStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::chaos::killed_after;
use crate::database::Scratch;
use crate::delivery::World;
use crate::erasures::{Act, ActKind, KeyState};
use crate::stats::STATS;
use crate::stored;

/// No erasure needs so many tries.
const MOST_TRIES: usize = 1_000;

/// The operator's own way to the tables of a history: in a database another process than those that load.
#[derive(Debug)]
pub(crate) enum Desk<'a> {
    Memory(Arc<MemoryStore>),
    Simulated(Arc<SimulatedMongo>),
    Database { store: Arc<MongoStore>, scratch: &'a Scratch },
}

impl Desk<'_> {
    /// Returns a time that is longer than a database takes to carry out what it was sent; `None`: nothing outlasts its
    /// sender.
    pub(crate) fn longest_command(&self) -> Option<Duration> {
        match self {
            Self::Memory(_) | Self::Simulated(_) => None,
            Self::Database { scratch, .. } => Some(scratch.longest_command),
        }
    }

    /// Erases a resource; `false`: something of it stands all the same.
    async fn erase(&self, key: &str) -> Result<bool, Interrupted> {
        let tables = self.standing(key).await.unwrap_or_default();
        let look = async || Ok(self.standing(key).await);
        match self {
            Self::Memory(store) => Eraser::new(&**store, store.marks()).erase(key, tables, look).await,
            Self::Simulated(store) => Eraser::new(&**store, store.marks()).erase(key, tables, look).await,
            Self::Database { store, .. } => {
                Eraser::new(&**store, store.marks().await?).erase(key, tables, look).await
            }
        }
    }

    /// Takes the mark of a resource away; `false`: there is none.
    async fn lift(&self, key: &str) -> Result<bool, Interrupted> {
        match self {
            Self::Memory(store) => Ok(store.lift(key)),
            Self::Simulated(store) => Ok(store.lift(key)),
            Self::Database { store, .. } => store.lift(key).await,
        }
    }

    /// Returns the tables that hold rows of a resource, or `None` if nothing of it stands anywhere.
    async fn standing(&self, key: &str) -> Option<BTreeSet<String>> {
        match self {
            Self::Memory(store) => standing_in(&stored::state(store), key),
            Self::Simulated(store) => standing_in(&store.state(), key),
            Self::Database { scratch, .. } => scratch.standing(key).await,
        }
    }
}

fn standing_in(state: &State, key: &str) -> Option<BTreeSet<String>> {
    let prefix = format!("{key}#");
    let is_of_key = |id: &String| id == key || id.starts_with(&prefix);
    let tables = state.tables.iter().filter(|(_, table)| table.keys().any(is_of_key));
    let tables: BTreeSet<String> = tables.map(|(name, _)| name.clone()).collect();
    let names_key = |reject: &Document| reject.get_str("resource").is_ok_and(|resource| resource == key);
    let stands = !tables.is_empty()
        || state.archive.values().chain([&state.tombstones]).any(|table| table.contains_key(key))
        || state.rejects.values().any(names_key);
    stands.then_some(tables)
}

impl World<'_> {
    /// Carries out the acts of the history, each at its moment.
    pub(crate) async fn operate(&self) {
        for act in &self.history.acts {
            if self.pulse.wait_for_writes(act.after_writes).await
                && act.after_stop
                && self.history.has_deadlines
            {
                self.pulse.wait_for_stop().await;
            }
            for _ in 0..act.turns {
                tokio::task::yield_now().await;
            }
            if let Desk::Database { .. } = self.desk {
                tokio::time::sleep(Duration::from_millis(act.turns.into()) / 2).await;
            }
            let mut random = StdRng::seed_from_u64(act.seed);
            match act.kind {
                ActKind::Erase { killed_after } => self.erase(act, killed_after, &mut random).await,
                ActKind::Lift => self.lift(act, &mut random).await,
            }
            self.asked.notify_one();
        }
    }

    async fn erase(&self, act: &Act, killed: Option<u32>, random: &mut StdRng) {
        self.key_states.borrow_mut().insert(act.key.clone(), KeyState::Erased);
        self.count_erasure(&act.key).await;
        if let Some(turns) = killed
            && killed_after(turns, self.desk.erase(&act.key)).await.is_none()
        {
            STATS.count("erasures killed");
            if let Some(longest) = self.desk.longest_command() {
                tokio::time::sleep(longest).await;
            }
            for _ in 0..random.random_range(0..40) {
                tokio::task::yield_now().await;
            }
        }
        self.erase_all_of(&act.key).await;
        self.note_interrupted_loads().await;
        for object in 0..self.history.objects.len() {
            // Reading an interrupted load from its beginning would hide what its continuation has brought back.
            let probability = if self.interrupted.borrow().contains(&object) { 0.1 } else { 0.4 };
            if random.random_bool(probability) {
                self.ask_again(object);
            }
        }
    }

    /// Erases until it is done, as an operator does who reads what the command says.
    async fn erase_all_of(&self, key: &str) {
        for _ in 0..MOST_TRIES {
            match self.desk.erase(key).await {
                Ok(true) => return,
                Ok(false) => STATS.count("erasures that others undid"),
                Err(_) => STATS.count("erasures interrupted"),
            }
            tokio::task::yield_now().await;
        }
        panic!("{key} cannot be erased");
    }

    /// Lets a resource in again. Objects whose loads are under way are read once more at the end; some of the others
    /// are read again now, and some are not.
    async fn lift(&self, act: &Act, random: &mut StdRng) {
        let (catalog, mut quiet) = (self.catalog.get(), BTreeSet::new());
        let mut is_lifted = false;
        for _ in 0..MOST_TRIES {
            if self.desk.standing(&act.key).await.is_some() {
                STATS.count("lifts that were too early");
                self.erase_all_of(&act.key).await;
                continue;
            }
            quiet = (0..self.history.objects.len()).filter(|&object| self.is_quiet(object)).collect();
            match self.desk.lift(&act.key).await {
                Ok(had_mark) => {
                    // In a database the answer to an earlier try may have been lost.
                    assert!(
                        had_mark || matches!(self.desk, Desk::Database { .. }),
                        "{} has no mark",
                        act.key
                    );
                    is_lifted = true;
                    break;
                }
                Err(_) => STATS.count("lifts interrupted"),
            }
        }
        assert!(is_lifted, "{} cannot be let in again", act.key);
        STATS.count("lifts");
        if catalog != self.catalog.get() {
            quiet.clear();
        }
        let objects: BTreeSet<usize> = (0..self.history.objects.len()).collect();
        let busy: BTreeSet<usize> = objects.difference(&quiet).copied().collect();
        if !busy.is_empty() {
            STATS.count("lifts during a load");
        }
        self.once_more.borrow_mut().extend(&busy);
        self.key_states.borrow_mut().insert(act.key.clone(), KeyState::Lifted { objects: busy });
        for object in quiet {
            if random.random_bool(0.6) {
                self.ask_again(object);
            }
        }
    }

    async fn count_erasure(&self, key: &str) {
        STATS.count("erasures");
        if self.desk.standing(key).await.is_some() {
            STATS.count("erasures of what stood");
        }
        if !self.under_way.borrow().is_empty() {
            STATS.count("erasures during a load");
        }
        if self.pulse.is_writing() {
            STATS.count("erasures during a write");
        }
    }

    /// Remembers which loads are going to be continued behind this erasure.
    async fn note_interrupted_loads(&self) {
        for (index, object) in self.history.objects.iter().enumerate() {
            let load = self.ledger.find(&object.reference.load_id()).await;
            if let Ok(Some(load)) = load
                && load.checkpoint.is_some()
            {
                self.interrupted.borrow_mut().insert(index);
            }
        }
    }
}

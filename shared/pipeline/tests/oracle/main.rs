//! The promise of delivery, as one property: whatever happens on the way, after every notification has been retried to
//! success the database equals that of one clean load in the order of versions, byte for byte, and every sum holds.
//!
//! A seed makes a history: files of NDJSON, Bundles and arrays with versions of the same few resources, and
//! notifications of them, repeated and out of order. They are delivered several at a time, through a store that cuts,
//! resets, slows and refuses, into a store that fails before, within and after writes, by functions that are killed at
//! any await, run into deadlines, and lose their leases while they are still at work. In some of them the deployment is
//! replaced in the middle by one with other settings, and everything is asked for again. In half of them an operator
//! erases resources at any moment and sometimes lets them in again, and files that hold them are loaded again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_push_string,
    clippy::print_stdout,
    reason = "a test fails by panicking; clippy's own exception covers test functions alone"
)]

mod catalogs;
mod cell_order;
mod chaos;
mod compare;
mod content;
mod database;
mod delivery;
mod elections;
#[path = "../common/endpoint.rs"]
mod endpoint;
mod erasures;
mod failpoints;
mod file;
mod history;
mod operator;
mod oracle;
#[path = "../common/replica_set.rs"]
mod replica_set;
mod runs;
mod schemas;
mod settings;
#[path = "../common/shapes.rs"]
mod shapes;
mod stats;
mod store;
#[path = "../common/stored.rs"]
mod stored;

use std::sync::Arc;

use mongodb_store::RowKind;
use mongodb_store::simulation::SimulatedMongo;
use mongodb_store::sql_schema::root_json_schema;
use pipeline::ledger::Ledger;
use pipeline::store::memory::MemoryStore;

use cell_order::sort_cells;
use chaos::Tables;
use compare::{Refused, differences, with_readable_marks, written, wrong_columns, wrong_loads, wrong_notes};
use database::{Scratch, Server};
use delivery::World;
use elections::{Elections, KILLED_MAJORITIES, KILLED_PRIMARIES, STEP_DOWNS};
use erasures::{KeyState, KeyStates};
use failpoints::{Failpoints, MOST_TIMES, REFUSALS};
use history::History;
use operator::Desk;
use oracle::Oracle;
use replica_set::find_mongod;
use schemas::{are_kept, wrong_schemas};
use settings::Settings;
use stats::STATS;

/// Where histories are played.
#[derive(Clone, Copy)]
enum Place<'s> {
    Memory,
    Simulation,
    Database(&'s Server),
}

impl Place<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "in memory",
            Self::Simulation => "in the simulation",
            Self::Database(server) => server.name,
        }
    }

    /// Plays a history and says what is wrong in the end.
    async fn play(self, history: &History) -> Vec<String> {
        match self {
            Self::Memory => in_memory(history).await,
            Self::Simulation => in_simulation(history).await,
            Self::Database(server) => in_database(server, history).await,
        }
    }
}

#[test]
fn any_history_in_memory_ends_like_a_clean_load() {
    let settings = Settings::from_environment();
    runs::run(&settings, settings.memory_histories, Place::Memory);
    // A write in memory has no moment at which something else can happen.
    check_that_erasures_happened(0);
}

#[test]
fn any_history_in_the_simulation_ends_like_a_clean_load() {
    let settings = Settings::from_environment();
    runs::run(&settings, settings.histories, Place::Simulation);
    check_that_erasures_happened(STATS.of("histories") / 20);
}

async fn in_memory(history: &History) -> Vec<String> {
    let store = Arc::new(MemoryStore::default());
    let ledger = Ledger::new(store.clone());
    let (tables, desk) = (Tables::Memory(Arc::clone(&store)), Desk::Memory(Arc::clone(&store)));
    let world = World::new(history, tables, desk, &ledger);
    world.deliver().await;
    let (key_states, loaded) = (world.key_states.take(), world.loaded_while_erased.take());
    let oracle = Oracle::of(history, &key_states).await;
    count_history(&key_states, loaded.intersection(&oracle.held).count());
    let (mut oracle, mut found) = (oracle, stored::state(&store));
    sort_cells(&mut oracle.state);
    sort_cells(&mut found);
    let found = with_readable_marks(written(&found), &store.marks(), &key_states);
    let mut wrong = differences(history, found, &oracle, &Refused::default(), &key_states);
    wrong.extend(wrong_loads(history, &ledger, &oracle).await);
    wrong.extend(wrong_columns(history, &ledger, &oracle).await);
    wrong
}

async fn in_simulation(history: &History) -> Vec<String> {
    let store =
        if are_kept(history) { SimulatedMongo::with_sql_schemas() } else { SimulatedMongo::default() };
    let (store, ledger) = (Arc::new(store), Ledger::memory());
    let (tables, desk) = (Tables::Simulated(Arc::clone(&store)), Desk::Simulated(Arc::clone(&store)));
    let world = World::new(history, tables, desk, &ledger);
    world.deliver().await;
    let (key_states, loaded) = (world.key_states.take(), world.loaded_while_erased.take());
    let oracle = Oracle::of(history, &key_states).await;
    count_history(&key_states, loaded.intersection(&oracle.held).count());
    let state = store.state();
    let found = with_readable_marks(written(&state), &store.marks(), &key_states);
    let mut wrong = differences(history, found, &oracle, &Refused::default(), &key_states);
    let suffixed = state.noted.iter().filter(|(_, _, kind)| *kind == RowKind::Suffixed);
    let suffixed = suffixed.map(|(resource_type, table, _)| (resource_type.clone(), table.clone())).collect();
    wrong.extend(wrong_notes(history, &suffixed, &oracle));
    wrong.extend(wrong_loads(history, &ledger, &oracle).await);
    wrong.extend(wrong_columns(history, &ledger, &oracle).await);
    let schemas = store.sql_schemas().into_iter().map(|(table, schema)| (table, root_json_schema(&schema)));
    let tables = state.tables.iter().map(|(table, documents)| (table, documents.values().collect()));
    // A schema keeps the fields of what was erased.
    let is_whole = history.earlier.is_none() && key_states.is_empty();
    wrong.extend(wrong_schemas((history, is_whole), &schemas.collect(), tables, &oracle.shapes));
    wrong
}

/// Counts a history. `kept_out` is how many objects were loaded that hold a resource which was erased before.
fn count_history(key_states: &KeyStates, kept_out: usize) {
    STATS.count("histories");
    STATS.add("histories with an erasure", usize::from(!key_states.is_empty()));
    let is_lifted = key_states.values().any(|state| matches!(state, KeyState::Lifted { .. }));
    STATS.add("histories with a lift", usize::from(is_lifted));
    STATS.add("resources kept out of a load", kept_out);
}

/// So many histories are enough for everything to happen.
const ENOUGH_HISTORIES: u64 = 200;

/// Makes sure that the histories held erasures, lifts and re-creations, at all moments.
///
/// # Panics
/// If they did not.
fn check_that_erasures_happened(least_during_a_write: u64) {
    let histories = STATS.of("histories");
    if histories < ENOUGH_HISTORIES {
        return;
    }
    for (kind, least) in [
        ("histories with an erasure", histories / 3),
        ("histories with a lift", histories / 10),
        ("erasures of what stood", histories / 3),
        ("erasures during a load", histories / 3),
        ("erasures during a write", least_during_a_write),
        ("erasures killed", histories / 50),
        ("resources kept out of a load", histories / 5),
        ("interrupted loads continued behind an erasure", 1),
        ("lifts during a load", histories / 20),
        ("unchanged resources", histories / 20),
        ("re-creations", histories / 20),
        ("re-creations behind a DELETE", 1),
    ] {
        let count = STATS.of(kind);
        assert!(count >= least, "only {count} {kind} in {histories} histories: {}", STATS.summary());
    }
}

/// One test, because a server has one point of failure for all.
#[test]
fn any_history_in_the_database_ends_like_a_clean_load() {
    let settings = Settings::from_environment();
    let server = Server::start();
    let failpoints = Failpoints::start(&server, settings.seed);
    runs::run(&settings, settings.database_histories, Place::Database(&server));
    failpoints.stop();
    check_that_erasures_happened(STATS.of("histories") / 20);
    let most = STATS.of(REFUSALS) * u64::try_from(MOST_TIMES).unwrap();
    assert!(STATS.of("refused documents") <= most, "more documents were refused than the database refused");
}

/// So many histories take long enough for every kind of election.
const ENOUGH_ELECTIONS: u64 = 20;

/// On a replica set of three whose primary steps down and is killed in the middle of loads.
#[test]
fn any_history_on_a_replica_set_ends_like_a_clean_load() {
    let settings = Settings::from_environment();
    let Some(mongod) = find_mongod(settings::mongod().as_deref()) else { return };
    let elections = Elections::start(&mongod, settings.seed);
    let server = Server::with_elections(&elections);
    runs::run(&settings, settings.replica_histories, Place::Database(&server));
    elections.stop();
    check_that_erasures_happened(STATS.of("histories") / 20);
    if settings.replica_histories >= ENOUGH_ELECTIONS {
        for kind in [STEP_DOWNS, KILLED_PRIMARIES, KILLED_MAJORITIES] {
            assert!(STATS.of(kind) > 0, "no {kind}: {}", STATS.summary());
        }
    }
}

async fn in_database(server: &Server, history: &History) -> Vec<String> {
    let scratch = Scratch::new(server, history.seed).await;
    let ledger = Ledger::new(Arc::new(scratch.store().await));
    let tables = Tables::Mongo(Arc::new(scratch.store().await.with_sql_schemas(are_kept(history))));
    let desk = Desk::Database { store: Arc::new(scratch.store().await), scratch: &scratch };
    let world = World::new(history, tables, desk, &ledger);
    world.deliver().await;
    let (key_states, loaded) = (world.key_states.take(), world.loaded_while_erased.take());
    let oracle = Oracle::of(history, &key_states).await;
    count_history(&key_states, loaded.intersection(&oracle.held).count());
    let ledger = Ledger::new(Arc::new(scratch.quiet_store().await));
    let refused = Refused::of(&scratch.documents("_rejects").await);
    STATS.add("refused documents", refused.count());
    let mut found = scratch.written().await;
    if !key_states.is_empty() {
        found =
            with_readable_marks(found, &scratch.quiet_connection().await.marks().await.unwrap(), &key_states);
    }
    let mut wrong = differences(history, found, &oracle, &refused, &key_states);
    wrong.extend(wrong_notes(history, &scratch.side_tables().await, &oracle));
    wrong.extend(wrong_loads(history, &ledger, &oracle).await);
    wrong.extend(wrong_columns(history, &ledger, &oracle).await);
    let columns = scratch.columns().await;
    if history.earlier.is_none() {
        wrong.extend(columns.difference(&oracle.columns).cloned());
    }
    let schemas = scratch.sql_schemas().await;
    let documents = scratch.tables(schemas.keys()).await;
    let tables = documents.iter().map(|(table, documents)| (table, documents.iter().collect()));
    let is_whole = history.earlier.is_none() && refused.count() == 0 && key_states.is_empty();
    wrong.extend(wrong_schemas((history, is_whole), &schemas, tables, &oracle.shapes));
    wrong.extend(scratch.not_of_schema(&schemas).await);
    if !server.refuses {
        wrong.extend(world.refusals.take());
    }
    scratch.discard().await;
    wrong
}

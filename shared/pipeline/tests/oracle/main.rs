//! The promise of delivery, as one property: whatever happens on the way, after every notification has been retried to
//! success the database equals that of one clean load in the order of versions, byte for byte, and every sum holds.
//!
//! A seed makes a history: files of NDJSON, Bundles and arrays with versions of the same few resources, and
//! notifications of them, repeated and out of order. They are delivered several at a time, through a store that cuts,
//! resets, slows and refuses, into a sink that fails before, within and after writes, by functions that are killed at
//! any await, run into deadlines, and lose their leases while they are still at work. In some of them the deployment is
//! replaced in the middle by one with other settings, and everything is asked for again.

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
mod chaos;
mod compare;
mod content;
mod database;
mod delivery;
#[path = "../common/endpoint.rs"]
mod endpoint;
mod failpoints;
mod file;
mod history;
mod oracle;
mod runs;
mod settings;
mod stats;
mod store;

use std::sync::Arc;

use pipeline::ledger::Ledger;
use pipeline::sink::RowKind;
use pipeline::sink::memory::MemorySink;

use chaos::Tables;
use compare::{Refused, differences, written, wrong_columns, wrong_loads, wrong_notes};
use database::{Scratch, Server};
use delivery::World;
use failpoints::{Failpoints, MOST_TIMES, REFUSALS};
use history::History;
use oracle::Oracle;
use settings::Settings;
use stats::STATS;

/// Where histories are played.
#[derive(Clone, Copy)]
enum Place<'s> {
    Memory,
    Database(&'s Server),
}

impl Place<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "in memory",
            Self::Database(_) => "in the database",
        }
    }

    /// Plays a history and says what is wrong in the end.
    async fn play(self, history: &History) -> Vec<String> {
        match self {
            Self::Memory => in_memory(history).await,
            Self::Database(server) => in_database(server, history).await,
        }
    }
}

#[test]
fn any_history_in_memory_ends_like_a_clean_load() {
    let settings = Settings::from_environment();
    runs::run(&settings, settings.histories, Place::Memory);
}

async fn in_memory(history: &History) -> Vec<String> {
    let oracle = Oracle::of(history).await;
    let (sink, ledger) = (Arc::new(MemorySink::default()), Ledger::memory());
    World::new(history, Tables::Memory(Arc::clone(&sink)), &ledger).deliver().await;
    let state = sink.state();
    let mut wrong = differences(history, written(&state), &oracle, &Refused::default());
    let aside = state.noted.iter().filter(|(_, _, kind)| *kind == RowKind::Aside);
    let aside = aside.map(|(resource_type, table, _)| (resource_type.clone(), table.clone())).collect();
    wrong.extend(wrong_notes(history, &aside, &oracle));
    wrong.extend(wrong_loads(history, &ledger, &oracle).await);
    wrong.extend(wrong_columns(history, &ledger, &oracle).await);
    wrong
}

/// One test, because a server has one point of failure for all.
#[test]
fn any_history_in_the_database_ends_like_a_clean_load() {
    let settings = Settings::from_environment();
    let server = Server::start();
    let failpoints = Failpoints::start(&server, settings.seed);
    runs::run(&settings, settings.database_histories, Place::Database(&server));
    failpoints.stop();
    let most = STATS.of(REFUSALS) * u64::try_from(MOST_TIMES).unwrap();
    assert!(STATS.of("refused documents") <= most, "more documents were refused than the database refused");
}

async fn in_database(server: &Server, history: &History) -> Vec<String> {
    let oracle = Oracle::of(history).await;
    let scratch = Scratch::new(server, history.seed).await;
    let ledger = Ledger::Mongo(scratch.connection().await);
    let tables = Tables::Mongo(Arc::new(scratch.sink().await));
    World::new(history, tables, &ledger).deliver().await;
    let ledger = Ledger::Mongo(scratch.quiet_connection().await);
    let refused = Refused::of(&scratch.documents("_rejects").await);
    STATS.add("refused documents", refused.count());
    let mut wrong = differences(history, scratch.written().await, &oracle, &refused);
    wrong.extend(wrong_notes(history, &scratch.side_tables().await, &oracle));
    wrong.extend(wrong_loads(history, &ledger, &oracle).await);
    wrong.extend(wrong_columns(history, &ledger, &oracle).await);
    let columns = scratch.columns().await;
    if history.earlier.is_none() {
        wrong.extend(columns.difference(&oracle.columns.keys().cloned().collect()).cloned());
    }
    scratch.discard().await;
    wrong
}

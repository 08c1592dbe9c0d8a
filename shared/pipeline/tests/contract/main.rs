//! The contract of every store: one set of cases, run on the store in memory, on the one that prints, on MongoDB and on its
//! simulation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exception covers test functions alone"
)]

mod admin;
mod cases;
mod columns;
mod database;
#[path = "../common/endpoint.rs"]
mod endpoint;
mod erasures;
mod expiry;
mod exports;
mod faults;
mod harness;
mod histories;
mod indexes;
mod ledger;
mod no_primary;
mod overview;
mod programs;
mod quality;
mod readings;
#[path = "../common/replica_set.rs"]
mod replica_set;
mod report;
mod retention;
mod spec;
#[path = "../common/stored.rs"]
mod stored;
mod tables;
mod views;

use cases::Case;
use database::Server;
use harness::Harness;

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    for case in cases::all().into_iter().chain(erasures::cases()) {
        check(&case, Harness::memory(), Harness::memory()).await;
    }
}

#[tokio::test]
async fn the_simulation_of_mongodb_keeps_the_contract() {
    for case in cases::all().into_iter().chain(erasures::cases()) {
        check(&case, Harness::simulated(), Harness::simulated()).await;
    }
}

#[tokio::test]
async fn the_store_that_prints_keeps_the_contract() {
    for case in cases::all() {
        check(&case, Harness::lines(), Harness::lines()).await;
    }
}

#[tokio::test]
async fn the_store_in_mongodb_keeps_the_contract() {
    let server = Server::get().await;
    for case in cases::all().into_iter().chain(erasures::cases()) {
        check(&case, Harness::mongodb(&server).await, Harness::mongodb(&server).await).await;
    }
}

/// Writes the case once, and once with every batch doubled.
async fn check(case: &Case, once: Harness, twice: Harness) {
    for (number, batch) in case.batches.iter().enumerate() {
        let summary = once.write(batch.build()).await.unwrap();
        let fates = summary.loaded
            + summary.unchanged
            + summary.superseded
            + summary.deleted
            + summary.archived
            + summary.rejected;
        assert_eq!(fates, batch.records(), "{}: batch {number} does not add up", case.name);
        if once.remembers()
            && let Some(counts) = case.counts.get(number)
        {
            assert_eq!(&spec::counts(&summary), counts, "{}: batch {number}", case.name);
        }
        twice.write(batch.build()).await.unwrap();
        twice.write(batch.build()).await.unwrap();
    }
    let tables = once.tables().await;
    assert_eq!(tables::outline(&tables), case.expected, "{}", case.name);
    assert_eq!(twice.tables().await, tables, "{}: the same batch again changed something", case.name);
}

/// Every kind of value, nested and with hostile text, comes out the same.
#[tokio::test]
async fn values_stand_as_they_were() {
    let server = Server::get().await;
    for harness in
        [Harness::memory(), Harness::simulated(), Harness::lines(), Harness::mongodb(&server).await]
    {
        harness.write(spec::every_value()).await.unwrap();
        let tables = harness.tables().await;
        assert_eq!(tables["Observation"]["Observation/v"], spec::EVERY_VALUE.replace('\n', ""));
    }
}

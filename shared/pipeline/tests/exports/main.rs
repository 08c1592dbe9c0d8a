//! Is an export complete? Random arrivals of manifests and files, in every order, beside an oracle that shares no code
//! with the answer: it works on the list of arrivals and on what the test knows of each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

#[path = "../common/endpoint.rs"]
mod endpoint;
mod manifests;
mod oracle;
#[path = "../common/replica_set.rs"]
mod replica_set;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use mongodb_store::{MongoStore, connect};
use pipeline::exports::reports;
use pipeline::store::Store;
use pipeline::store::memory::MemoryStore;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use endpoint::Endpoint;
use world::{Arrival, Place, World};

/// How often something was said.
type Tally = BTreeMap<String, usize>;

/// Lets everything arrive, and asks after each arrival.
async fn check(place: &Place, arrivals: &[Arrival], seed: u64, tally: &mut Tally) {
    for end in 1..=arrivals.len() {
        place.arrive(&arrivals[end - 1], end - 1).await;
        let expected = oracle::expected(&arrivals[..end]);
        let found = reports(&*place.store, world::NOW).await.unwrap();
        let found: Vec<_> = found.iter().map(oracle::told).collect();
        assert_eq!(found, expected, "seed {seed}, after {end} of {arrivals:#?}");
        for export in &found {
            let is_beside = |load: &String| load.starts_with(&export.place);
            let loads = export.files.iter().filter_map(|(_, _, load)| load.as_ref());
            let words = export.files.iter().map(|(_, state, _)| state.clone());
            let elsewhere = loads.filter(|load| !is_beside(load)).map(|_| "elsewhere".to_owned());
            let complete = export.is_complete.then(|| "complete".to_owned());
            for word in words.chain(elsewhere).chain(complete) {
                *tally.entry(word).or_default() += 1;
            }
        }
    }
}

#[tokio::test]
async fn after_every_prefix_of_every_order_the_answer_is_that_of_the_oracle() {
    let mut tally = Tally::new();
    for seed in 0..1_500 {
        let mut random = StdRng::seed_from_u64(seed);
        let arrivals = World::new(&mut random).arrivals(&mut random);
        let place = Place::new(Arc::new(MemoryStore::default()));
        check(&place, &arrivals, seed, &mut tally).await;
    }
    let words = [
        "complete",
        "elsewhere",
        "failed",
        "fewer records",
        "gone",
        "loaded",
        "missing",
        "more records",
        "other types",
        "partial",
        "running",
        "stuck",
    ];
    assert_eq!(tally.keys().collect::<Vec<_>>(), words, "{tally:?}");
    assert!(tally.values().all(|count| *count > 50), "{tally:?}");
}

/// The answer after the last arrival does not depend on the order of arrivals.
#[tokio::test]
async fn the_order_of_arrivals_changes_nothing_in_the_end() {
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut arrivals = World::new(&mut random).arrivals(&mut random);
        let mut answers = Vec::new();
        for _ in 0..3 {
            let place = Place::new(Arc::new(MemoryStore::default()));
            for (number, arrival) in arrivals.iter().enumerate() {
                place.arrive(arrival, number).await;
            }
            answers.push(reports(&*place.store, world::NOW).await.unwrap());
            for end in (1..arrivals.len()).rev() {
                arrivals.swap(end, random.random_range(0..=end));
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "seed {seed}: {arrivals:#?}");
    }
}

#[tokio::test]
async fn in_mongodb_the_answer_is_that_of_the_oracle() {
    #[expect(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
    let given = std::env::var("MONGODB_URI").ok();
    let server = Endpoint::get(given, "serverSelectionTimeoutMS=30000");
    for seed in 0..15 {
        let mut random = StdRng::seed_from_u64(100_000 + seed);
        let arrivals = World::new(&mut random).arrivals(&mut random);
        let name = format!("flatfire_exports_{}_{seed}", std::process::id());
        let connection = connect(&server.uri, Some(&name)).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(MongoStore::new(connection, &format!("{name}_archive")));
        let place = Place::new(store);
        check(&place, &arrivals, seed, &mut Tally::new()).await;
        let client = mongodb::Client::with_uri_str(&server.uri).await.unwrap();
        client.database(&name).drop().await.unwrap();
    }
}

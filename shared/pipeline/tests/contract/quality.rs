//! Data quality: the checks count exactly the defects that were put in, and nothing in clean data, in every store and
//! layout. The generator says what must be found; it shares nothing with the checks.

mod clinic;
mod defects;
mod disorder;
mod feeds;
mod made_up_types;
mod releases;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, Choices};
use flatten::decimals::Decimals;
use pipeline::ledger::{Ledger, Status};
use pipeline::load::{Job, Pipeline, PipelineLimits};
use pipeline::object::{ObjectRef, Pin};
use pipeline::quality::{QualityCheck, QualityFinding, check_quality};
use pipeline::source::Storage;
use pipeline::store::Store;
use pipeline::store::memory::MemoryStore;
use serde_json::Value;

use crate::database::Server;
use clinic::{Clinic, TODAY};
use defects::{Expected, in_child_tables, with_canaries, with_defects};
use disorder::in_disorder;

/// Loads resources as a file, with its entry in the ledger.
async fn load<S: Store + 'static>(store: &Arc<S>, resources: &[Value], settings: Settings) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for resource in resources {
        writeln!(file, "{resource}").unwrap();
    }
    let catalog = Catalog::compile(Choices { automatic: settings, ..Choices::default() }).unwrap();
    let pipeline = Pipeline {
        storage: Storage::File(file.path().to_owned()),
        catalog: Arc::new(catalog),
        store: store.clone(),
        limits: PipelineLimits::default(),
    };
    let (bucket, key) = ("clinic".to_owned(), "incoming/day.ndjson".to_owned());
    let object =
        Arc::new(ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None });
    let job = Job {
        owner: "test".to_owned(),
        again: false,
        by: None,
        deadline: None,
        is_cancelled: None,
        read_turns: None,
        clock: || TODAY,
        progress: &|_| {},
    };
    let loaded = pipeline.load(&Ledger::new(store.clone()), &object, &job).await.unwrap();
    assert_eq!((loaded.status, loaded.summary.loaded), (Status::Done, resources.len() as u64));
}

async fn find(store: &impl Store) -> Vec<QualityFinding> {
    check_quality(store, TODAY, None, &|_| {}).await.unwrap().findings
}

fn counts(findings: &[QualityFinding]) -> Expected {
    let count = |finding: &QualityFinding| {
        let QualityFinding { check, table, column, count, of, .. } = finding;
        assert!(count <= of, "{finding:?}");
        ((*check, table.clone(), column.clone()), *count)
    };
    findings.iter().map(count).collect()
}

/// Returns what both stores find, which must be the same.
async fn find_in_both(resources: &[Value], settings: &Settings) -> Vec<QualityFinding> {
    let memory = Arc::new(MemoryStore::default());
    load(&memory, resources, settings.clone()).await;
    let found = find(&*memory).await;
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let database = Arc::new(scratch.store().await);
    load(&database, resources, settings.clone()).await;
    assert_eq!(find(&*database).await, found);
    scratch.discard().await;
    found
}

fn layouts() -> [Settings; 3] {
    let of = |arrays, decimals| Settings { arrays, decimals, ..Settings::default() };
    [
        of(Arrays::Embedded, Decimals::Exact),
        of(Arrays::Embedded, Decimals::Double),
        of(Arrays::Tables, Decimals::Exact),
    ]
}

#[tokio::test]
async fn nothing_is_found_in_clean_data() {
    let clinic = Clinic::new(7);
    for settings in layouts() {
        assert_eq!(find_in_both(&clinic.resources, &settings).await, []);
    }
}

#[tokio::test]
async fn exactly_the_defects_are_counted() {
    for (seed, settings) in (1..).zip(layouts()) {
        let (resources, mut expected) = with_defects(seed);
        if settings.arrays == Arrays::Tables {
            expected = in_child_tables(expected);
        }
        let found = counts(&find_in_both(&resources, &settings).await);
        let wrong = found.iter().filter(|(place, count)| expected.get(*place) != Some(*count));
        let missed = expected.iter().filter(|(place, count)| found.get(*place) != Some(*count));
        let (wrong, missed): (Vec<_>, Vec<_>) = (wrong.collect(), missed.collect());
        assert!(wrong.is_empty() && missed.is_empty(), "seed {seed}: found {wrong:?}, expected {missed:?}");
    }
}

#[test]
fn every_check_is_met_by_a_defect() {
    let (_, expected) = with_defects(1);
    let met: BTreeSet<&str> = expected.keys().map(|(check, ..)| *check).chain(feeds::CHECKS).collect();
    let all: BTreeSet<&str> = QualityCheck::ALL.iter().map(|check| check.code()).collect();
    assert_eq!(met, all);
}

/// What is not counted in time is named, and nothing of it is told.
#[tokio::test]
async fn tables_that_are_not_checked_in_time_are_named() {
    let (resources, _) = with_defects(2);
    let memory = Arc::new(MemoryStore::default());
    load(&memory, &resources, Settings::default()).await;
    let all = check_quality(&*memory, TODAY, None, &|_| {}).await.unwrap();
    assert!(!all.findings.is_empty() && all.unfinished.is_empty());
    let none = check_quality(&*memory, TODAY, Some(Duration::ZERO), &|_| {}).await.unwrap();
    assert!(none.findings.is_empty());
    let tables: BTreeSet<String> = all.findings.iter().map(|finding| finding.table.clone()).collect();
    assert!(none.unfinished.is_superset(&tables), "{:?}", none.unfinished);
}

#[tokio::test]
async fn findings_quote_nothing() {
    let (mut resources, _) = with_defects(3);
    with_canaries(&mut resources, "CANARY");
    let found = find_in_both(&resources, &layouts()[0]).await;
    assert!(found.len() > 20, "{found:?}");
    let told = format!("{found:?}").to_lowercase();
    assert!(!told.contains("canary"), "{told}");
}

/// Compares what the server's pipelines find with what the store in memory finds by looking at one row after the other.
/// Texts and elements are changed at random, so that nobody knows what must be found.
#[tokio::test]
async fn disorder_is_judged_alike_by_both_stores() {
    for (seed, settings) in (11..).zip(layouts()) {
        let found = find_in_both(&in_disorder(seed), &settings).await;
        let met: BTreeSet<&str> = found.iter().map(|finding| finding.check).collect();
        for check in ["blank-text", "replacement-character", "wrong-encoding", "system-without-code"] {
            assert!(met.contains(check), "seed {seed}: {met:?}");
        }
    }
}

/// Codes of well-known systems may be told, if many rows have them.
#[tokio::test]
async fn frequent_units_are_told() {
    let mut resources = Clinic::new(5).resources;
    let weights = resources.iter_mut().filter(|resource| resource["valueQuantity"]["code"] == "kg");
    for weight in weights.take(12) {
        weight["valueQuantity"]["code"] = "[oz]".into();
    }
    let found = find_in_both(&resources, &layouts()[0]).await;
    let [finding] = &*found else { panic!("{found:?}") };
    assert_eq!((finding.check, finding.count), ("mixed-units", 12));
    let detail = finding.detail.as_deref().unwrap();
    assert!(detail.starts_with("29463-7: kg ") && detail.ends_with(", [oz] 12"), "{detail}");
}

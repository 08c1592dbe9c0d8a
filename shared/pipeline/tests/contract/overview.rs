//! The loads of a time, summed and listed: what is worked out by hand, and the same from every store for many loads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use pipeline::ledger::{Attempt, Ending, Ledger, Load, LoadFilter, Status};
use pipeline::object::{ObjectRef, Pin};
use pipeline::store::Store;
use pipeline::store::memory::MemoryStore;
use pipeline::store::overview::{Folder, KeyPattern, LoadPeriod, Maker};
use pipeline::store::report::{CountedAttempt, LoadSpan};
use pipeline::summary::Summary;

use crate::database::Server;
use crate::ledger::{attempt, object};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A load: its key, when its object was made, when it began and ended, and how.
pub(crate) struct Spec<'a> {
    pub(crate) key: &'a str,
    pub(crate) created: i64,
    pub(crate) begun: i64,
    pub(crate) ended: Option<(i64, Status)>,
    pub(crate) codes: &'a [(&'a str, u64)],
    pub(crate) catalog: &'a str,
}

/// Enters a load of the first version of an object.
pub(crate) async fn enter(store: &Arc<dyn Store>, spec: &Spec<'_>) {
    enter_version(store, spec, "v1").await;
}

pub(crate) async fn enter_version(store: &Arc<dyn Store>, spec: &Spec<'_>, version: &str) {
    let ledger = Ledger::new(store.clone());
    let pin = Pin::VersionId(version.to_owned());
    let object = ObjectRef { created: spec.created, pin, ..object(spec.key) };
    let attempt = Attempt {
        again: true,
        catalog: spec.catalog.to_owned(),
        ..attempt(&spec.begun.to_string(), spec.begun)
    };
    ledger.begin(&object, &attempt).await.unwrap();
    let Some((now, status)) = spec.ended else { return };
    let number = ledger.find(&object.load_id()).await.unwrap().unwrap().attempts;
    let codes = spec.codes.iter().map(|&(code, count)| (code.to_owned(), count)).collect();
    let summary = Summary { records: 10, rejected: 3, rows: 20, bytes: 100, codes, ..Summary::default() };
    let ending = Ending { status, summary: &summary, problem: None, created: Some(spec.created), now };
    ledger.finish(&object.load_id(), number, &ending).await.unwrap();
}

fn specs() -> Vec<Spec<'static>> {
    let spec = |key, created, begun, ended| Spec { key, created, begun, ended, codes: &[], catalog: "abc" };
    vec![
        spec("lab/a.json", HOUR, HOUR + 1_500, Some((HOUR + 2_500, Status::Done))),
        Spec {
            codes: &[("too-deep", 2), ("truncated", 1)],
            ..spec("lab/2026/b.json", HOUR, HOUR + 1, Some((HOUR + 11 * MINUTE + 5, Status::Partial)))
        },
        Spec {
            codes: &[("truncated", 10)],
            ..spec("ward/c.json", HOUR, HOUR + 2, Some((HOUR + 3, Status::Failed)))
        },
        spec("d.json", HOUR, 2 * HOUR, None),
        spec("lab/e.json", 0, 3 * HOUR, Some((3 * HOUR + 1, Status::Done))),
        // Loaded a day ago and again now: it is not late.
        spec("lab/f.json", 5, 10, Some((20, Status::Done))),
        Spec { catalog: "xyz", ..spec("lab/f.json", 5, 3 * HOUR + 5, Some((3 * HOUR + 6, Status::Done))) },
    ]
}

async fn each(check: impl AsyncFn(Arc<dyn Store>)) {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::default()), Arc::new(scratch.store().await)];
    for store in stores {
        for spec in specs() {
            enter(&store, &spec).await;
        }
        check(store).await;
    }
    scratch.discard().await;
}

fn since(since: i64) -> LoadPeriod {
    LoadPeriod { since: Some(since), ..LoadPeriod::default() }
}

fn keys_of(loads: &[Load]) -> Vec<&str> {
    loads.iter().map(|load| load.key.as_str()).collect()
}

#[tokio::test]
async fn loads_of_a_period_are_summed() {
    each(async |store| {
        let sums = store.sum_loads(&since(HOUR)).await.unwrap();
        let statuses = [(Status::Running, 1), (Status::Done, 3), (Status::Partial, 1), (Status::Failed, 1)];
        assert_eq!(sums.statuses, BTreeMap::from(statuses));
        assert_eq!((sums.loads(), sums.records, sums.rows, sums.bytes), (6, 50, 100, 500));
        assert_eq!(sums.rejected, 15);
        let codes = [("too-deep".to_owned(), 2), ("truncated".to_owned(), 11)];
        assert_eq!(sums.codes, BTreeMap::from(codes));
        // The failed one has no rows, one has no time of its object, and one is a replay.
        assert_eq!(sums.lags, BTreeMap::from([(2_000, 1), (11 * MINUTE, 1)]));
        assert_eq!((sums.median_lag(), sums.worst_lag), (Some(2_000), Some(11 * MINUTE + 5)));
        let of_ward = LoadPeriod { keys: Some(KeyPattern::new("ward/")), ..LoadPeriod::default() };
        let sums = store.sum_loads(&of_ward).await.unwrap();
        assert_eq!(sums.statuses, BTreeMap::from([(Status::Failed, 1)]));
        assert_eq!((sums.median_lag(), sums.worst_lag), (None, None));
        assert_eq!(store.sum_loads(&since(4 * HOUR)).await.unwrap().loads(), 0);
        let all = store.sum_loads(&LoadPeriod::default()).await.unwrap();
        let mut parts = store.sum_loads(&since(2 * HOUR)).await.unwrap();
        let before = LoadPeriod { until: Some(2 * HOUR), ..LoadPeriod::default() };
        parts += store.sum_loads(&before).await.unwrap();
        assert_eq!((all.loads(), &parts), (6, &all), "sums of parts are the sum");
    })
    .await;
}

#[tokio::test]
async fn the_latest_loads_are_found_by_kind_time_and_key() {
    each(async |store| {
        let find = async |period: &LoadPeriod, kinds: &[LoadFilter], limit| {
            let loads = store.latest_loads(period, kinds, limit).await.unwrap();
            keys_of(&loads).join(" ")
        };
        let all = LoadPeriod::default();
        let everything = "lab/f.json lab/e.json d.json lab/a.json ward/c.json lab/2026/b.json";
        assert_eq!(find(&all, &[], 10).await, everything);
        assert_eq!(find(&all, &[], 2).await, "lab/f.json lab/e.json");
        assert_eq!(find(&since(3 * HOUR + 5), &[], 10).await, "lab/f.json");
        let kinds = [LoadFilter::Of(Status::Failed), LoadFilter::Stuck { now: 5 * HOUR }];
        assert_eq!(find(&all, &kinds, 10).await, "d.json ward/c.json");
        let keys = |text| LoadPeriod { keys: Some(KeyPattern::new(text)), ..LoadPeriod::default() };
        assert_eq!(find(&keys("*/b.js?n"), &[], 10).await, "lab/2026/b.json");
        assert_eq!(find(&keys("b.js"), &[], 10).await, "lab/2026/b.json");
        assert_eq!(find(&keys("b?js"), &[], 10).await, "");
        assert_eq!(find(&keys("^lab"), &[], 10).await, "");
    })
    .await;
}

#[tokio::test]
async fn the_last_success_of_each_folder_is_found() {
    each(async |store| {
        let folders = store.last_successes(&LoadPeriod::default()).await.unwrap();
        let folder = |prefix: &str| Folder { bucket: "clinic".to_owned(), prefix: prefix.to_owned() };
        let expected = [(folder("lab/"), 3 * HOUR + 6), (folder("lab/2026/"), HOUR + 11 * MINUTE + 5)];
        assert_eq!(folders, BTreeMap::from(expected));
        assert_eq!(store.last_successes(&since(2 * HOUR)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn loads_that_another_program_or_catalog_made_are_visited() {
    each(async |store| {
        let find_after = async |after: &str, code: &str, catalog: &str, most: usize| {
            let maker = Maker { code: code.to_owned(), catalog: catalog.to_owned() };
            let mut found = Vec::new();
            let mut visit = |load: Load| {
                found.push(load.key);
                if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            store.visit_outdated_loads(&maker, after, &mut visit).await.unwrap();
            found.join(" ")
        };
        let find = async |code: &str, catalog: &str, most: usize| find_after("", code, catalog, most).await;
        let after = object("lab/a.json").load_id();
        assert_eq!(find_after(&after, "0.1.0", "xyz", 9).await, "lab/e.json ward/c.json");
        assert_eq!(find("0.1.0", "abc", 9).await, "lab/f.json");
        assert_eq!(find("0.1.0", "xyz", 9).await, "lab/2026/b.json lab/a.json lab/e.json ward/c.json");
        assert_eq!(find("0.2.0", "xyz", 9).await.split(' ').count(), 5, "what runs has not ended");
        assert_eq!(find("0.2.0", "xyz", 2).await, "lab/2026/b.json lab/a.json");
    })
    .await;
}

/// Of thousands of loads with arbitrary times the database tells the same as the store in memory.
#[tokio::test]
async fn all_stores_sum_alike() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let (memory, mongo): (Arc<dyn Store>, Arc<dyn Store>) =
        (Arc::new(MemoryStore::default()), Arc::new(scratch.store().await));
    let mut state = 7_u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap() % below
    };
    for number in 0..600 {
        let key = format!("{}/{}{number}", ["lab", "ward/2026", "ü*"][number % 3], ["", "x/"][number % 2]);
        let created = random(100 * HOUR);
        let begun = created + random([2_000, 30 * HOUR][number % 2]);
        let status = Status::ALL[usize::try_from(random(7)).unwrap()];
        let ended = (status != Status::Running).then(|| (begun + random(20 * MINUTE), status));
        let codes = [("too-deep", 3), ("truncated", 1)];
        let codes = &codes[..usize::try_from(random(3)).unwrap()];
        let spec = Spec { key: &key, created, begun, ended, codes, catalog: "abc" };
        for store in [&memory, &mongo] {
            enter(store, &spec).await;
        }
    }
    for hours in [None, Some(0), Some(50), Some(100), Some(120)] {
        for keys in [None, Some(KeyPattern::new("lab/x")), Some(KeyPattern::new("?\\**9"))] {
            let since = hours.map(|hours: i64| hours * HOUR);
            let period = LoadPeriod { since, until: since.map(|since| since + 60 * HOUR), keys };
            assert_eq!(mongo.sum_loads(&period).await, memory.sum_loads(&period).await, "{period:?}");
            assert_eq!(mongo.last_successes(&period).await, memory.last_successes(&period).await);
            let kinds = [LoadFilter::Of(Status::Gone), LoadFilter::Stuck { now: 70 * HOUR }];
            assert_eq!(
                mongo.latest_loads(&period, &kinds, 40).await,
                memory.latest_loads(&period, &kinds, 40).await
            );
        }
    }
    assert!(mongo.sum_loads(&LoadPeriod::default()).await.unwrap().lags.len() > 100);
    for attempt in [CountedAttempt::First, CountedAttempt::Latest] {
        let span = LoadSpan { since: 10 * HOUR, until: 110 * HOUR, attempt };
        let days = mongo.sum_days(&span).await.unwrap();
        assert!(days.len() == 5 && Ok(days) == memory.sum_days(&span).await, "{span:?}");
    }
    scratch.discard().await;
}

//! What is too old goes, and everything else stays: in memory when asked, in MongoDB by its own indexes.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use flatten::model::ResourceTypes;
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb_store::MongoStore;
use pipeline::batch::WriteBatch;
use pipeline::ledger::{Ledger, Status};
use pipeline::object::ObjectRef;
use pipeline::retention::{KeptDays, RetentionPolicy, RowRetention};
use pipeline::store::admin::RejectFilter;
use pipeline::store::memory::MemoryStore;
use pipeline::store::{RowStore as _, Store};
use pipeline::summary::Summary;

use crate::database::{Scratch, Server, mongod};
use crate::exports::manifest;
use crate::ledger::{attempt, ending, object};
use crate::replica_set::ReplicaSet;
use crate::spec::{BatchSpec, archived, batch, deleted, erased, marked, rows, suffixed};

/// Long before any clock.
const OLD: i64 = 7;
/// 2100-01-01, later than any clock.
const YOUNG: i64 = 4_102_444_800_000;
/// Between the two.
const NOW: i64 = 2_000_000_000_000;

fn policy(rows: &str, ledger: &str, rejects: &str) -> RetentionPolicy {
    RetentionPolicy {
        rows: Some(RowRetention::read(rows, &ResourceTypes::default()).unwrap()),
        ledger: Some(KeptDays::of_ledger(ledger).unwrap()),
        rejects: Some(KeptDays::of_rejects(rejects).unwrap()),
    }
}

/// Returns the batch as if its object had been made, and its attempt begun, at another moment.
fn at(moment: i64, spec: &BatchSpec) -> WriteBatch {
    let mut batch = spec.build();
    for resource in &mut batch.resources {
        let object = ObjectRef { created: moment, ..(*resource.source.object).clone() };
        resource.source.object = Arc::new(object);
    }
    batch.begun = moment;
    batch
}

/// Fills a store with old and young things of every kind.
async fn fill(store: &Arc<dyn Store>) {
    let marks = store.erasure_marks().await.unwrap();
    let old = [
        rows("Patient/1", 1, 3),
        deleted("Patient/3", 2),
        suffixed("Patient/4", 2, 2),
        archived("AuditEvent/1", 2),
        rows("Patient/5", 2, 1),
        suffixed("Group/1", 2, 1),
    ];
    let young = [rows("Patient/2", 3, 3), suffixed("Group/2", 3, 1)];
    for (moment, writes, reject) in [(OLD, old.to_vec(), 5), (YOUNG, young.to_vec(), 6)] {
        let spec = BatchSpec { rejects: vec![reject], ..batch(writes) };
        store.write(at(moment, &spec)).await.unwrap();
        let page = manifest("2026-a", &format!("in/{moment}"), 1, &["a"]);
        let manifests = WriteBatch { manifests: vec![page], begun: moment, ..WriteBatch::default() };
        store.write(manifests).await.unwrap();
    }
    store.write(marked(at(OLD, &batch([erased("Patient/5")])), &marks)).await.unwrap();
    let ledger = Ledger::new(store.clone());
    for (number, status) in Status::ALL.iter().copied().enumerate() {
        for (moment, age) in [(OLD, "old"), (YOUNG, "young")] {
            let load = object(&format!("in/{age}-{}", status.as_str()));
            ledger.begin(&load, &attempt(&format!("{age}{number}"), moment)).await.unwrap();
            if status != Status::Running {
                let summary = Summary::default();
                let ending = ending(status, &summary, None, moment);
                ledger.finish(&load.load_id(), 1, &ending).await.unwrap();
            }
        }
    }
}

/// Returns what stands, by name.
async fn standing(store: &dyn Store) -> BTreeSet<String> {
    let keys = [
        "Patient/1",
        "Patient/2",
        "Patient/3",
        "Patient/4",
        "Patient/5",
        "AuditEvent/1",
        "Group/1",
        "Group/2",
    ];
    let keys: BTreeSet<String> = keys.map(str::to_owned).into();
    let mut found = BTreeSet::new();
    let mut visit = |row: flatten::TableRow| {
        found.insert(format!("{} {}", row.table, row.key));
        ControlFlow::Continue(())
    };
    store.visit_rows(&keys, &mut visit).await.unwrap();
    for (key, standing) in store.standing(&keys).await.unwrap() {
        let beside = standing
            .places
            .keys()
            .filter(|place| place.starts_with("_tombstones") || place.starts_with("archive"));
        found.extend(beside.map(|place| format!("{place} {key}")));
    }
    if store.kept_out("Patient/5").await.unwrap().is_some() {
        found.insert("mark Patient/5".to_owned());
    }
    for load in store.list_loads(None, 100).await.unwrap() {
        found.insert(load.key);
    }
    for reject in store.rejects(&RejectFilter::default()).await.unwrap() {
        found.insert(format!("reject {}", reject.source.ordinal));
    }
    let mut visit = |manifest: pipeline::manifest::ExportManifest| {
        found.insert(format!("export {}", manifest.key));
        ControlFlow::Continue(())
    };
    store.visit_manifests(&mut visit).await.unwrap();
    found
}

/// Returns what is left of [`fill`] where Patients and the ledger are kept for a while and everything else for ever.
fn left() -> BTreeSet<String> {
    let rows = [
        "Patient Patient/2",
        "active Patient/2",
        "names Patient/2#0",
        "names Patient/2#1",
        "names Patient/2#2",
    ];
    let groups = ["names Group/1#0", "names Group/2#0", "_tombstones Group/1", "_tombstones Group/2"];
    let beside = [
        "_tombstones Patient/3",
        "_tombstones Patient/4",
        "archive AuditEvent AuditEvent/1",
        "mark Patient/5",
    ];
    let open = ["in/old-running", "in/old-failed", "reject 6"].map(str::to_owned);
    let young = Status::ALL.iter().map(|status| format!("in/young-{}", status.as_str()));
    let export = format!("export in/{YOUNG}");
    rows.into_iter()
        .chain(groups)
        .chain(beside)
        .map(str::to_owned)
        .chain(open)
        .chain(young)
        .chain([export])
        .collect()
}

#[tokio::test]
async fn the_store_in_memory_forgets_what_is_too_old() {
    let memory = Arc::new(MemoryStore::default());
    let store: Arc<dyn Store> = memory.clone();
    fill(&store).await;
    let all = standing(&*store).await;
    memory.expire(&RetentionPolicy::default(), NOW);
    memory.expire(&policy("", "0", "0"), NOW);
    assert_eq!(standing(&*store).await, all);
    memory.expire(&policy("Patient=10,Group=0", "30", "1"), NOW);
    assert_eq!(standing(&*store).await, left());
    let again = store.write(at(OLD, &batch([rows("Patient/1", 1, 0)]))).await.unwrap();
    assert_eq!(again.loaded, 1, "nothing remembers it");
}

/// Returns the TTL indexes of a collection: name, days and whether it is of one type.
async fn expiry(scratch: &Scratch, collection: &str) -> BTreeSet<(String, i64, bool)> {
    let collection = scratch.database().collection::<Document>(collection);
    let indexes: Vec<_> = match collection.list_indexes().await {
        Ok(indexes) => indexes.try_collect().await.unwrap(),
        Err(_) => Vec::new(),
    };
    let options = indexes.into_iter().filter_map(|index| index.options);
    let told = options.filter_map(|options| {
        let days = options.expire_after?.as_secs() / 86_400;
        Some((options.name?, i64::try_from(days).unwrap(), options.partial_filter_expression.is_some()))
    });
    told.collect()
}

async fn store(scratch: &Scratch, policy: RetentionPolicy) -> MongoStore {
    scratch.store().await.with_policy(policy)
}

async fn eventually(is_so: impl AsyncFn() -> bool) -> bool {
    for _ in 0..600 {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test]
async fn mongodb_deletes_what_is_too_old() {
    let Some(mongod) = mongod() else { return };
    let set = ReplicaSet::start(&mongod, 1, None);
    let server = Server::at(&set.uri()).await;
    let scratch = server.scratch().await;
    let kept: Arc<dyn Store> = Arc::new(store(&scratch, policy("Patient=0", "0", "0")).await);
    fill(&kept).await;
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::default());
    fill(&memory).await;
    let all = standing(&*kept).await;
    assert_eq!(all, standing(&*memory).await);
    // The monitor has looked several times.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(standing(&*kept).await, all, "without a setting everything stays");

    let store: Arc<dyn Store> = Arc::new(store(&scratch, policy("Patient=10,Group=0", "30", "1")).await);
    store.write(at(YOUNG, &batch([rows("Patient/2", 3, 3)]))).await.unwrap();
    let left = left();
    let is_left = async || standing(&*store).await == left;
    assert!(eventually(is_left).await, "{:?}", standing(&*store).await.symmetric_difference(&left));
    // What has expired is not remembered. Loaded again it has its age, and expires again.
    let again = store.write(at(OLD, &batch([rows("Patient/1", 1, 0)]))).await.unwrap();
    assert_eq!(again.loaded, 1);
    assert!(eventually(is_left).await);
    let erased = store.write(at(YOUNG, &batch([rows("Patient/5", 9, 0)]))).await.unwrap();
    assert_eq!((erased.loaded, erased.superseded), (0, 1), "the mark of an erased patient never expires");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(standing(&*store).await, left);
    for collection in ["_tombstones", "_erasures", "_tables", "_columns"] {
        assert_eq!(expiry(&scratch, collection).await, [].into(), "{collection}");
    }
    scratch.discard().await;
}

#[tokio::test]
async fn a_changed_retention_changes_the_indexes_and_none_removes_them() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let young = || {
        at(YOUNG, &BatchSpec { rejects: vec![1], ..batch([rows("Patient/1", 1, 1), rows("Group/1", 1, 1)]) })
    };
    let of = |name: &str, days: i64, is_partial: bool| (name.to_owned(), days, is_partial);
    let write = async |policy: RetentionPolicy| {
        store(&scratch, policy).await.write(young()).await.unwrap();
        let mut found = Vec::new();
        for collection in ["Patient", "names", "_loads", "_rejects", "_exports"] {
            found.push(expiry(&scratch, collection).await);
        }
        <[BTreeSet<_>; 5]>::try_from(found).unwrap()
    };
    let none = || <[BTreeSet<(String, i64, bool)>; 5]>::default();
    assert_eq!(write(RetentionPolicy::default()).await, none());
    assert_eq!(write(policy("*=0", "0", "0")).await, none());
    let patients = [of("retention", 24_000, false)];
    let first = [
        patients.clone().into(),
        [of("retention_Patient", 24_000, true)].into(),
        [of("retention", 400, false)].into(),
        [of("retention", 24_855, false)].into(),
        [of("retention", 385, false)].into(),
    ];
    assert_eq!(write(policy("Patient=24000", "400", "24855")).await, first);
    assert_eq!(write(RetentionPolicy::default()).await, first, "who has no setting changes nothing");
    let second = write(policy("*=24001,Patient=24002", "401", "0")).await;
    let both = [of("retention_Group", 24_001, true), of("retention_Patient", 24_002, true)];
    assert_eq!(second[1], both.into());
    assert_eq!(
        second[2..],
        [[of("retention", 401, false)].into(), [].into(), [of("retention", 386, false)].into()]
    );
    // A process that writes rows of one type alone leaves the index of the other as the rules say.
    let one = at(YOUNG, &batch([rows("Patient/9", 1, 1)]));
    store(&scratch, policy("*=24001", "0", "0")).await.write(one).await.unwrap();
    let both = [of("retention_Group", 24_001, true), of("retention_Patient", 24_001, true)];
    assert_eq!(expiry(&scratch, "names").await, both.into());
    assert_eq!(write(policy("", "0", "0")).await, none());
    scratch.discard().await;
}

/// Somebody has made an index of the same field: a retention that is not in force is told.
#[tokio::test]
async fn an_index_in_the_way_of_a_retention_stops_the_load() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let index = doc! { "key": { "_received": 1 }, "name": "mine" };
    let command = doc! { "createIndexes": "Patient", "indexes": [index] };
    scratch.database().run_command(command).await.unwrap();
    let young = at(YOUNG, &batch([rows("Patient/1", 1, 0)]));
    let stopped = store(&scratch, policy("*=9", "0", "0")).await.write(young).await.unwrap_err();
    let told = format!("{stopped:?}");
    assert!(told.contains("the retention of Patient") && told.contains("drop the index"), "{told}");
    scratch.discard().await;
}

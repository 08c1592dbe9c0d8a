//! A database that has no primary for a while, in the middle of a load.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flatten::catalog::{Catalog, Choices};
use mongodb_store::{MongoStore, connect};
use pipeline::batch::WriteBatch;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Ledger, Status};
use pipeline::load::{Job, Pipeline, PipelineLimits};
use pipeline::source::Storage;
use pipeline::store::RowStore;
use pipeline::summary::Summary;

use crate::database::mongod;
use crate::ledger::object;
use crate::replica_set::ReplicaSet;

/// Longer than the pipeline looks for a primary, with the option of [`OPTIONS`].
const AWAY: Duration = Duration::from_secs(3);
/// A primary is looked for three times as long once the database has answered.
const OPTIONS: &str = "serverSelectionTimeoutMS=300&heartbeatFrequencyMS=500";

/// A store whose database is killed before its first write, and comes back after a while.
#[derive(Debug)]
struct Killed {
    store: MongoStore,
    set: Mutex<Option<ReplicaSet>>,
    restarted: Mutex<Option<std::thread::JoinHandle<ReplicaSet>>>,
}

#[async_trait]
impl RowStore for Killed {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        if let Some(mut set) = self.set.lock().unwrap().take() {
            set.kill(0);
            *self.restarted.lock().unwrap() = Some(std::thread::spawn(move || {
                std::thread::sleep(AWAY);
                set.restart(0);
                assert!(set.wait_for_primary(), "it comes back");
                set
            }));
        }
        self.store.write(batch).await
    }

    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        self.store.forget_rejects(load, reading).await
    }
}

#[tokio::test]
async fn a_load_that_finds_no_primary_gives_its_lease_up() {
    let Some(mongod) = mongod() else { return };
    let set = ReplicaSet::start(&mongod, 1, None);
    let connection = connect(&format!("{}&{OPTIONS}", set.uri()), Some("rows")).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("patient.json");
    std::fs::write(&file, r#"{"resourceType":"Patient","id":"p"}"#).unwrap();
    let store = MongoStore::new(connection.clone(), "archive");
    let killed = Killed { store, set: Mutex::new(Some(set)), restarted: Mutex::default() };
    let store = Arc::new(killed);
    let pipeline = Pipeline {
        storage: Storage::File(file),
        catalog: Arc::new(Catalog::compile(Choices::default()).unwrap()),
        store: store.clone(),
        limits: PipelineLimits::default(),
    };
    let ledger = Ledger::new(Arc::new(MongoStore::new(connection, "archive")));
    let object = Arc::new(object("in/patient.json"));
    let job = |owner: &str| Job {
        owner: owner.to_owned(),
        again: false,
        by: None,
        deadline: None,
        is_cancelled: None,
        read_turns: None,
        clock: || 1_740_000_000_000,
        progress: &|_| {},
    };
    let interrupted = pipeline.load(&ledger, &object, &job("one")).await;
    assert_eq!(interrupted, Err(Interrupted::Write { code: "no server reachable".into() }));
    let load = ledger.find(&object.load_id()).await.unwrap().unwrap();
    assert_eq!((load.status, &load.lease), (Status::Running, &None));
    assert!(load.problem.unwrap().contains("no server reachable"));
    // The clock stands still: were there a lease, another owner would meet it.
    let loaded = pipeline.load(&ledger, &object, &job("two")).await.unwrap();
    assert_eq!((loaded.status, loaded.summary.loaded), (Status::Done, 1));
    let restarted = store.restarted.lock().unwrap().take().unwrap();
    drop(restarted.join().unwrap());
}

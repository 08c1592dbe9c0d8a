//! Any bytes as an object: decoded, assembled into batches, written to a store in memory, with the ledger.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flatten::automatic::{Arrays, Settings};
use flatten::catalog::{Catalog, Choices};
use pipeline::assemble::BatchLimits;
use pipeline::decode;
use pipeline::ledger::{Ledger, Status};
use pipeline::load::{Job, Loaded, Pipeline, PipelineLimits};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::store::memory::{MemoryStore, StoredResources};
use pipeline::summary::Summary;

/// Small enough that short inputs fill several batches.
const LIMITS: PipelineLimits = PipelineLimits {
    batch: BatchLimits { bytes: 20_000, resources: 3 },
    writes_at_once: 3,
    decode: decode::DecoderLimits { max_resource_bytes: 60_000 },
    lease: Duration::from_mins(5),
};

/// The most rejects of a load that are kept.
const REJECTS_KEPT: usize = 10_000;

/// Loads an object, loads it once more, and loads it again in spite of the ledger.
///
/// # Panics
/// Where a sum is wrong, where a load is interrupted though nothing interrupts it, and where loading again gives other
/// rows or rejects.
pub(crate) fn check(object: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for arrays in [Arrays::Embedded, Arrays::Tables] {
        runtime.block_on(load(file.path(), arrays, object.len()));
    }
}

async fn load(path: &Path, arrays: Arrays, bytes: usize) {
    let automatic = Settings { arrays, ..Settings::default() };
    let inactive = vec!["Provenance".to_owned(), "Patient where active = false".to_owned()];
    let catalog = Catalog::compile(Choices { automatic, inactive, ..Choices::default() }).unwrap();
    let store = Arc::new(MemoryStore::default());
    let storage = Storage::File(path.to_owned());
    let pipeline = Pipeline { storage, catalog: Arc::new(catalog), store: store.clone(), limits: LIMITS };
    let ledger = Ledger::new(store.clone());
    let first = run(&pipeline, &ledger, false).await;
    is_sound(&first, bytes, &store.stored());
    let before = store.stored();
    let repeated = run(&pipeline, &ledger, false).await;
    if first.status == Status::Failed {
        assert_eq!(
            repeated.summary.codes, first.summary.codes,
            "what failed is tried again, and fails again"
        );
    } else {
        assert_eq!(
            (repeated.status, repeated.summary),
            (first.status, Summary::default()),
            "it is done already"
        );
        assert_eq!(store.stored(), before);
    }
    let again = run(&pipeline, &ledger, true).await;
    is_sound(&again, bytes, &store.stored());
    assert_eq!((again.summary.records, again.summary.codes), (first.summary.records, first.summary.codes));
    assert_eq!(content(&store.stored()), content(&before));
}

async fn run(pipeline: &Pipeline, ledger: &Ledger, again: bool) -> Loaded {
    let (bucket, key, pin) = ("bucket".to_owned(), "key".to_owned(), Pin::VersionId("1".to_owned()));
    let object = ObjectRef { bucket, key, pin, sequencer: None, created: 1_700_000_000_000, size: None };
    let job = Job {
        owner: "fuzz".to_owned(),
        again,
        by: None,
        deadline: None,
        is_cancelled: None,
        read_turns: None,
        clock: || 1_800_000_000_000,
        progress: &|_| {},
    };
    pipeline.load(ledger, &Arc::new(object), &job).await.unwrap()
}

fn is_sound(loaded: &Loaded, bytes: usize, stored: &StoredResources) {
    let summary = &loaded.summary;
    assert!(summary.adds_up(), "{summary:?}");
    assert_eq!(summary.bytes, bytes as u64);
    let rejects = usize::try_from(summary.rejected + summary.view_defects).unwrap();
    assert!(stored.rejects.len() <= rejects.min(REJECTS_KEPT), "{} for {summary:?}", stored.rejects.len());
    let clean = matches!(loaded.status, Status::Done);
    assert_eq!(clean, summary.rejected == 0 && summary.view_defects == 0, "{:?} {summary:?}", loaded.status);
    assert!(!summary.codes.keys().any(String::is_empty));
}

/// Returns everything in the store but the versions, which say how often it was loaded.
fn content(stored: &StoredResources) -> BTreeMap<String, String> {
    let resources = stored.resources.iter().map(|(key, resource)| {
        let (rows, archived, tombstone) = (&resource.rows, &resource.archived, resource.tombstone);
        (
            key.clone(),
            format!("{rows:?} {archived:?} {tombstone:?} {:?} {:?}", resource.hash, resource.source),
        )
    });
    let rejects = stored
        .rejects
        .iter()
        .map(|(id, standing)| (format!("reject {id}"), format!("{:?}", standing.reject)));
    resources.chain(rejects).collect()
}

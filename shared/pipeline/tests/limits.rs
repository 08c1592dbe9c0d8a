//! Limits of time: an attempt ends when it must, whatever the object holds and however slow the world is; every one gets
//! further than the one before; and an object that goes away in the middle ends with true counts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

#[path = "common/bomb.rs"]
mod bomb;
#[path = "common/bucket.rs"]
mod bucket;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mongodb_store::simulation::SimulatedMongo;
use pipeline::assemble::BatchLimits;
use pipeline::batch::WriteBatch;
use pipeline::decode::LARGE_BYTES;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Checkpoint, Ledger, Load, Status};
use pipeline::load::{Deadline, Job, Loaded, Pipeline, PipelineLimits, ReadOutcome};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::store::RowStore;
use pipeline::summary::Summary;

use bucket::Bucket;

/// A store that takes its time for every answer.
#[derive(Debug, Default)]
struct Slow {
    inner: SimulatedMongo,
    milliseconds: AtomicU64,
    /// Writes that were begun, and those that ended.
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Slow {
    fn answering_after(milliseconds: u64) -> Arc<Self> {
        Arc::new(Self { milliseconds: AtomicU64::new(milliseconds), ..Self::default() })
    }
}

#[async_trait]
impl RowStore for Slow {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))).await;
        let written = self.inner.write(batch).await;
        self.ended.fetch_add(1, Ordering::Relaxed);
        written
    }

    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        self.inner.forget_rejects(load, reading).await
    }
}

static CLOCK: AtomicI64 = AtomicI64::new(0);

fn object() -> Arc<ObjectRef> {
    let (bucket, key, pin) = ("clinic".to_owned(), "in/a.ndjson".to_owned(), Pin::VersionId("v1".to_owned()));
    Arc::new(ObjectRef { bucket, key, pin, sequencer: None, created: 0, size: None })
}

fn pipeline<S: RowStore + 'static>(storage: Storage, store: &Arc<S>) -> Pipeline {
    let batch = BatchLimits { resources: 10, ..BatchLimits::default() };
    let limits = PipelineLimits { batch, writes_at_once: 2, ..PipelineLimits::default() };
    Pipeline { storage, catalog: Arc::default(), store: store.clone(), limits }
}

fn job(stop: Duration, reserve: Duration) -> Job<'static> {
    let owner = format!("{:?}", Instant::now());
    let deadline = Some(Deadline::new(Instant::now() + stop, reserve));
    let clock = || CLOCK.load(Ordering::Relaxed);
    Job {
        owner,
        again: false,
        by: None,
        deadline,
        is_cancelled: None,
        read_turns: None,
        clock,
        progress: &|_| {},
    }
}

fn patients(count: usize) -> String {
    let note = "x".repeat(2_000);
    let line =
        |id| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{id}\",\"text\":{{\"div\":\"{note}\"}}}}\n");
    (0..count).map(line).collect()
}

fn file(content: &[u8]) -> (tempfile::NamedTempFile, Storage) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    let storage = Storage::File(file.path().to_owned());
    (file, storage)
}

async fn entry(ledger: &Ledger) -> Load {
    ledger.find(&object().load_id()).await.unwrap().unwrap()
}

const MOST: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_ends_the_attempt_in_time_and_the_lease_is_kept() {
    let store = Slow::answering_after(20_000);
    let (_file, storage) = file(patients(1_000).as_bytes());
    let (pipeline, ledger) = (pipeline(storage, &store), Ledger::memory());
    let began = Instant::now();
    let outcome = pipeline.load(&ledger, &object(), &job(MOST, MOST)).await;
    assert_eq!(outcome, Err(Interrupted::Deadline));
    assert!(began.elapsed() < 2 * MOST + Duration::from_millis(200), "{:?}", began.elapsed());
    let load = entry(&ledger).await;
    assert!(load.lease.is_some() && load.checkpoint.is_none(), "{load:?}");
    assert_eq!(load.problem, Some(Interrupted::Deadline.to_string()));
    assert_eq!(store.ended.load(Ordering::Relaxed), 0, "what was abandoned has stopped");
    assert_eq!(pipeline.load(&ledger, &object(), &job(MOST, MOST)).await, Err(Interrupted::Busy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_gets_further_at_every_attempt() {
    let store = Slow::answering_after(120);
    let content = patients(300);
    let (_file, storage) = file(content.as_bytes());
    let (pipeline, ledger) = (pipeline(storage, &store), Ledger::memory());
    let (mut attempts, mut reached) = (0, 0);
    let loaded = loop {
        attempts += 1;
        CLOCK.fetch_add(100_000, Ordering::Relaxed);
        match pipeline.load(&ledger, &object(), &job(MOST, Duration::from_millis(50))).await {
            Ok(loaded) => break loaded,
            Err(interrupted) => assert_eq!(interrupted, Interrupted::Deadline),
        }
        let checkpoint = entry(&ledger).await.checkpoint.unwrap();
        assert!(checkpoint.ordinal > reached, "attempt {attempts} got no further than {reached}");
        assert!(checkpoint.summary.adds_up(), "{checkpoint:?}");
        reached = checkpoint.ordinal;
    };
    assert!(attempts > 2, "{attempts}");
    assert_eq!((loaded.status, loaded.summary.loaded, loaded.summary.records), (Status::Done, 300, 300));
    assert_eq!(loaded.summary.bytes, content.len() as u64);
    assert_eq!(store.inner.state().tables["Patient"].len(), 300);
}

/// Returns one patient, and behind it 15 GiB that no patient follows.
fn bombs() -> [Vec<u8>; 3] {
    let patient = patients(1);
    let endless_line = format!("{patient}{{\"resourceType\":\"Patient\",\"id\":\"");
    [(&patient, b' '), (&patient, b'x'), (&endless_line, b'x')]
        .map(|(begin, byte)| bomb::of_15_gib(begin.as_bytes(), byte))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_inflates_to_15_gib_ends_in_time_and_in_the_end_with_a_code() {
    for (number, bomb) in bombs().into_iter().enumerate() {
        let (_file, storage) = file(&bomb);
        let store = Arc::new(SimulatedMongo::default());
        let (pipeline, ledger) = (pipeline(storage, &store), Ledger::memory());
        let (mut attempts, stop, reserve) = (0, Duration::from_millis(600), Duration::from_secs(3));
        let loaded = loop {
            attempts += 1;
            let began = Instant::now();
            let outcome = pipeline.load(&ledger, &object(), &job(stop, reserve)).await;
            assert!(
                began.elapsed() < stop + reserve + Duration::from_secs(1),
                "{number}: {:?}",
                began.elapsed()
            );
            match outcome {
                Ok(loaded) => break loaded,
                Err(interrupted) => assert_eq!(interrupted, Interrupted::Deadline),
            }
            let checkpoint = entry(&ledger).await.checkpoint.unwrap();
            assert_eq!(checkpoint.summary.loaded, 1, "{number}");
            // On a busy machine an attempt may be abandoned at its very end, and keep its lease.
            CLOCK.fetch_add(100_000, Ordering::Relaxed);
        };
        assert!((1..=8).contains(&attempts), "{attempts}");
        assert_eq!((loaded.status, loaded.summary.loaded), (Status::Partial, 1));
        let last = loaded.summary.codes.keys().rfind(|code| *code != "not-json").unwrap();
        assert!(["too-slow", "inflates-too-much", "too-large"].contains(&last.as_str()), "{loaded:?}");
        assert!(loaded.summary.adds_up());
        assert_eq!(store.state().rejects.len() as u64, loaded.summary.rejected);
    }
}

/// With smaller limits, so that a debug build gets there: what is inflated is bounded by 16 times the largest resource.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_line_is_too_large_and_no_more_is_inflated_than_the_limit() {
    let codes: [&[&str]; 3] =
        [&["inflates-too-much"], &["inflates-too-much", "not-json"], &["inflates-too-much", "too-large"]];
    for (bomb, codes) in bombs().into_iter().zip(codes) {
        let (_file, storage) = file(&bomb);
        let store = Arc::new(SimulatedMongo::default());
        let mut pipeline = pipeline(storage, &store);
        pipeline.limits.decode.max_resource_bytes = 1 << 20;
        let job = job(Duration::from_mins(1), MOST);
        let Loaded { status, summary } = pipeline.load(&Ledger::memory(), &object(), &job).await.unwrap();
        assert_eq!((status, summary.loaded, summary.adds_up()), (Status::Partial, 1, true));
        assert_eq!(summary.codes.keys().collect::<Vec<_>>(), codes);
        assert!((16 << 20..17 << 20).contains(&summary.inflated_bytes), "{}", summary.inflated_bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_lines_go_on_by_range_at_the_checkpoint() {
    let content = patients(400);
    let bucket = Bucket::holding(content.clone().into()).await;
    let store = Slow::answering_after(60);
    let (pipeline, ledger) = (pipeline(bucket.storage(), &store), Ledger::memory());
    let mut expected = vec![None];
    let loaded = loop {
        CLOCK.fetch_add(100_000, Ordering::Relaxed);
        match pipeline.load(&ledger, &object(), &job(MOST, MOST)).await {
            Ok(loaded) => break loaded,
            Err(interrupted) => assert_eq!(interrupted, Interrupted::Deadline),
        }
        let checkpoint = entry(&ledger).await.checkpoint.unwrap();
        assert!(checkpoint.line.is_some(), "{checkpoint:?}");
        // One byte more is asked for: S3 refuses a range that begins at the object's end.
        expected.push(Some(checkpoint.offset - 1));
    };
    assert!(expected.len() > 2, "{expected:?}");
    assert_eq!(bucket.ranges(), expected);
    assert_eq!((loaded.status, loaded.summary.loaded, loaded.summary.records), (Status::Done, 400, 400));
    let (bytes, whole) = (loaded.summary.bytes, content.len() as u64);
    assert_eq!((bytes, loaded.summary.inflated_bytes), (whole, whole), "those of the object");
}

/// A store that keeps the names of columns that the flattener had made by the time of each batch.
#[derive(Debug, Default)]
struct Named {
    inner: SimulatedMongo,
    names: Mutex<Vec<String>>,
}

#[async_trait]
impl RowStore for Named {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        self.names.lock().unwrap().push(format!("{:?}", batch.names));
        self.inner.write(batch).await
    }

    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        self.inner.forget_rejects(load, reading).await
    }
}

/// Returns fifty records with an element that no other has, an entry that refers to a later one, and fifty more
/// records.
fn before_and_behind(shape: &str) -> Vec<u8> {
    let patient = |id, made: &str| format!(r#"{{"resourceType":"Patient","id":"p{id}","{made}":1}}"#);
    let before = (0..50).map(|id| patient(id, "before"));
    let subject = r#""subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000000"}"#;
    let refers = format!(r#"{{"resourceType":"Observation","id":"o","refers":1,{subject}}}"#);
    let behind = (50..100).map(|id| patient(id, "behind"));
    let records = before.chain([refers]).chain(behind);
    let gzip = |text: String| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    if shape == "NDJSON" {
        return gzip(records.collect::<Vec<_>>().join("\n"));
    }
    let target = r#""fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000000","#;
    let entry = |(number, record)| {
        let full_url = if number == 100 { target } else { "" };
        format!(r#"{{{full_url}"resource":{record}}}"#)
    };
    let entries = records.enumerate().map(entry).collect::<Vec<_>>().join(",\n");
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}"#);
    if shape == "gzipped Bundle" { gzip(bundle) } else { bundle.into_bytes() }
}

#[tokio::test]
async fn what_lies_before_a_checkpoint_is_read_again_and_not_flattened_again() {
    for shape in ["NDJSON", "Bundle", "gzipped Bundle"] {
        let content = before_and_behind(shape);
        let (_file, storage) = file(&content);
        // Without a checkpoint, and from one behind the record that refers to a later one.
        for first in [0, 51] {
            let store = Arc::new(Named::default());
            let pipeline = pipeline(storage.clone(), &store);
            let summary = Summary { records: first, loaded: first, ..Summary::default() };
            let checkpoint = Checkpoint { offset: 1, ordinal: first, line: None, summary };
            let checkpoint = (first > 0).then_some(checkpoint);
            let read = pipeline.run(&object(), checkpoint, None, &|_| {}).await.unwrap();
            let ReadOutcome::Whole(summary) = read else { panic!("{read:?}") };
            // The Bundle is a record as well.
            let records = if shape == "NDJSON" { 101 } else { 102 };
            assert_eq!((summary.records, summary.loaded), (records, records), "{shape}");
            assert_eq!(summary.bytes, content.len() as u64, "all of it is read");
            let names = store.names.lock().unwrap();
            let is_flattened =
                |element: &str| names.iter().any(|names| names.contains(&format!("text: \"{element}\"")));
            assert!(is_flattened("behind"), "{shape}: {names:?}");
            assert_eq!(is_flattened("before"), first == 0, "{shape}");
            // Only a reference to a later entry is made again: its key was not known before the checkpoint.
            assert_eq!(is_flattened("refers"), first == 0 || shape != "NDJSON", "{shape}");
            let rows = store.inner.state().tables["Patient"].len();
            assert_eq!(rows, if first == 0 { 100 } else { 50 }, "{shape}");
        }
    }
}

/// A store that holds each batch with a large resource until another load brings one as well, or a second has passed.
#[derive(Debug, Default)]
struct Meeting {
    inner: SimulatedMongo,
    /// Batches with a large resource that are being written now, and the most that ever were.
    now: AtomicU64,
    most: AtomicU64,
}

#[async_trait]
impl RowStore for Meeting {
    async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        let large = u64::from(batch.rows.bytes() > LARGE_BYTES);
        let now = self.now.fetch_add(large, Ordering::SeqCst) + large;
        self.most.fetch_max(now, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(1);
        while large == 1 && self.now.load(Ordering::SeqCst) < 2 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.now.fetch_sub(large, Ordering::SeqCst);
        self.inner.write(batch).await
    }

    async fn forget_rejects(&self, load: &str, reading: u32) -> Result<(), Interrupted> {
        self.inner.forget_rejects(load, reading).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_resources_of_two_loads_take_turns() {
    let store = Arc::new(Meeting::default());
    let ledger = Ledger::memory();
    let load = async |name: &str, bytes: usize| {
        let text = "x".repeat(bytes);
        let patient =
            |id| format!("{{\"resourceType\":\"Patient\",\"id\":\"{name}{id}\",\"language\":\"{text}\"}}\n");
        let content: String = (0..2).map(patient).collect();
        let (_file, storage) = file(content.as_bytes());
        let object = Arc::new(ObjectRef { key: name.to_owned(), ..(*object()).clone() });
        let job = job(Duration::from_mins(1), MOST);
        pipeline(storage, &store).load(&ledger, &object, &job).await.unwrap()
    };
    let large = LARGE_BYTES + (1 << 20);
    let (first, second) = tokio::join!(load("a", large), load("b", large));
    assert_eq!((first.summary.loaded, second.summary.loaded), (2, 2));
    assert_eq!(store.most.load(Ordering::SeqCst), 1, "two were held at once");
}

/// Loads once, from a bucket that is told to lose the object.
async fn load_from(bucket: &Bucket, ledger: &Ledger, store: &Arc<SimulatedMongo>) -> Loaded {
    pipeline(bucket.storage(), store)
        .load(ledger, &object(), &job(Duration::from_mins(1), MOST))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_goes_away_while_it_is_read_is_partial_with_true_counts() {
    let content = patients(2_000);
    let bucket = Bucket::holding(content.clone().into()).await;
    bucket.loses_it_after(content.len() / 2);
    let (ledger, store) = (Ledger::memory(), Arc::new(SimulatedMongo::default()));
    let loaded = load_from(&bucket, &ledger, &store).await;
    let rows = store.state().tables["Patient"].len();
    assert!(rows > 100, "{rows}");
    let Loaded { status, summary } = loaded;
    assert_eq!((status, summary.loaded, summary.rejected), (Status::Partial, rows as u64, 1));
    assert_eq!((summary.codes["object-gone"], summary.adds_up()), (1, true));
    let rejects = store.state().rejects;
    let reject = rejects.values().next().unwrap();
    assert_eq!(reject.get_i64("ordinal").unwrap(), i64::try_from(rows).unwrap());
    let before = content.lines().take(rows).map(|line| line.len() + 1).sum::<usize>() - 1;
    assert_eq!(reject.get_i64("offset").unwrap(), i64::try_from(before).unwrap());
    assert!(entry(&ledger).await.problem.unwrap().contains("gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_object_of_which_nothing_was_written_is_gone() {
    let content = patients(300);
    let bucket = Bucket::holding(content.into()).await;
    bucket.loses_it_after(0);
    let (ledger, store) = (Ledger::memory(), Arc::new(SimulatedMongo::default()));
    let loaded = load_from(&bucket, &ledger, &store).await;
    assert_eq!((loaded.status, loaded.summary), (Status::Gone, Summary::default()));
    // One that was loaded before, and is asked for again.
    let bucket = Bucket::holding(patients(3).into()).await;
    let (ledger, store) = (Ledger::memory(), Arc::new(SimulatedMongo::default()));
    let done = load_from(&bucket, &ledger, &store).await;
    bucket.loses_it_after(0);
    let pipeline = pipeline(bucket.storage(), &store);
    let again = Job { again: true, ..job(Duration::from_mins(1), MOST) };
    let loaded = pipeline.load(&ledger, &object(), &again).await.unwrap();
    assert_eq!((loaded.status, loaded.summary.loaded), (done.status, 3), "its rows stand");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continuation_whose_object_is_gone_has_the_counts_of_its_checkpoint() {
    let bucket = Bucket::holding(patients(400).into()).await;
    let store = Slow::answering_after(60);
    let (pipeline, ledger) = (pipeline(bucket.storage(), &store), Ledger::memory());
    assert_eq!(pipeline.load(&ledger, &object(), &job(MOST, MOST)).await, Err(Interrupted::Deadline));
    let checkpoint = entry(&ledger).await.checkpoint.unwrap();
    bucket.loses_it_after(0);
    CLOCK.fetch_add(100_000, Ordering::Relaxed);
    let loaded = pipeline.load(&ledger, &object(), &job(MOST, MOST)).await.unwrap();
    assert_eq!((loaded.status, loaded.summary.loaded), (Status::Partial, checkpoint.summary.loaded));
    assert_eq!(store.inner.state().tables["Patient"].len() as u64, loaded.summary.loaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_an_end_gets_it_behind_the_writes_under_way() {
    let store = Slow::answering_after(100);
    let (_file, storage) = file(patients(1_000).as_bytes());
    let (pipeline, ledger, is_cancelled) =
        (pipeline(storage, &store), Ledger::memory(), AtomicBool::new(false));
    let job = Job { deadline: None, is_cancelled: Some(&is_cancelled), ..job(MOST, MOST) };
    let object = object();
    let (outcome, ()) = tokio::join!(pipeline.load(&ledger, &object, &job), async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        is_cancelled.store(true, Ordering::Relaxed);
    });
    assert_eq!(outcome, Err(Interrupted::Cancelled));
    let (begun, ended) = (store.begun.load(Ordering::Relaxed), store.ended.load(Ordering::Relaxed));
    assert_eq!(begun, ended, "a write was dropped in the middle");
    let load = entry(&ledger).await;
    let checkpoint = load.checkpoint.unwrap();
    assert!(load.lease.is_none() && checkpoint.ordinal > 0);
    assert_eq!(store.inner.state().tables["Patient"].len() as u64, checkpoint.summary.loaded);
}

/// Returns lines that are no resources, in few bytes.
fn broken_lines(count: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all("{}\n".repeat(count).as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_number_of_rejects_the_first_ones_are_stored_and_all_are_counted() {
    let raw = broken_lines(50_000);
    assert!(raw.len() < 250, "{}", raw.len());
    let (_file, storage) = file(&raw);
    let (store, ledger) = (Arc::new(SimulatedMongo::default()), Ledger::memory());
    let pipeline = pipeline(storage, &store);
    // Also over several attempts.
    let mut attempts = 0;
    let Loaded { status, summary } = loop {
        attempts += 1;
        let job = job(Duration::from_millis(100), Duration::from_mins(1));
        match pipeline.load(&ledger, &object(), &job).await {
            Ok(loaded) => break loaded,
            Err(interrupted) => assert_eq!(interrupted, Interrupted::Deadline),
        }
    };
    assert!(attempts > 1, "{attempts}");
    assert_eq!((status, summary.records, summary.rejected), (Status::Failed, 50_000, 50_000));
    assert_eq!((summary.codes["not-a-resource"], summary.adds_up()), (50_000, true));
    let rejects = store.state().rejects;
    assert_eq!(rejects.len(), 10_000);
    let last = rejects.values().map(|reject| reject.get_i64("ordinal").unwrap()).max();
    assert_eq!(last, Some(9_999), "the first ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn defects_of_views_count_as_rejects() {
    let view =
        r#"{"name":"v","resource":"Patient","select":[{"column":[{"name":"given","path":"name.given"}]}]}"#;
    let views = vec![("v.json".to_owned(), view.to_owned())];
    let catalog =
        flatten::catalog::Catalog::compile(flatten::catalog::Choices { views, ..Default::default() });
    let several = |id| {
        format!(
            "{{\"resourceType\":\"Patient\",\"id\":\"p{id}\",\"name\":[{{\"given\":[\"a\",\"b\"]}}]}}\n{{}}\n"
        )
    };
    let text: String = (0..6_000).map(several).collect();
    let (_file, storage) = file(text.as_bytes());
    let store = Arc::new(SimulatedMongo::default());
    let pipeline = Pipeline { catalog: Arc::new(catalog.unwrap()), ..pipeline(storage, &store) };
    let job = job(Duration::from_mins(1), MOST);
    let Loaded { status, summary } = pipeline.load(&Ledger::memory(), &object(), &job).await.unwrap();
    assert_eq!((status, summary.view_defects, summary.rejected), (Status::Partial, 6_000, 6_000));
    assert!(summary.adds_up());
    assert_eq!(store.state().rejects.len(), 10_000);
}

#[tokio::test]
async fn a_manifest_of_an_export_is_done_without_a_reject() {
    let manifest = r#"{"transactionTime":"2026-01-05T10:00:00Z","request":"https://example.org/$export",
        "requiresAccessToken":true,"output":[{"type":"Patient","url":"https://example.org/1.ndjson"}],"error":[]}"#;
    let (_file, storage) = file(manifest.as_bytes());
    let (store, ledger) = (Arc::new(SimulatedMongo::default()), Ledger::memory());
    let job = job(Duration::from_mins(1), MOST);
    let Loaded { status, summary } = pipeline(storage, &store).load(&ledger, &object(), &job).await.unwrap();
    assert_eq!((status, summary.records, summary.rejected), (Status::Done, 0, 0));
    assert_eq!(summary.bytes, manifest.len() as u64);
    assert_eq!(entry(&ledger).await.problem.as_deref(), Some("manifest"));
}

//! The whole pipeline over small files: what goes in comes out as rows, and what is broken as rejects with its place.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test stops where something is wrong")]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flatten::catalog::{Catalog, Choices};
use mongodb_store::simulation::{SimulatedMongo, State};
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Ledger, Status};
use pipeline::load::{Deadline, Job, Pipeline, PipelineLimits, ReadOutcome};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::summary::Summary;

fn object(key: &str) -> Arc<ObjectRef> {
    let (bucket, key) = ("file".to_owned(), key.to_owned());
    Arc::new(ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None })
}

async fn load(path: &Path) -> (State, Summary) {
    let store = Arc::new(SimulatedMongo::default());
    let storage = Storage::File(path.to_owned());
    let pipeline = Pipeline {
        storage,
        catalog: Arc::default(),
        store: store.clone(),
        limits: PipelineLimits::default(),
    };
    let read = pipeline.run(&object(&path.display().to_string()), None, None, &|_| {}).await.unwrap();
    let ReadOutcome::Whole(summary) = read else { panic!("{read:?}") };
    (store.state(), summary)
}

async fn load_text(text: &str) -> (State, Summary) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(file.path()).await
}

#[tokio::test]
async fn a_bundle_becomes_joined_rows() {
    let bundle = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000002","resource":{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"}}},
        {"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","id":"p"}},
        {"request":{"method":"DELETE","url":"Patient/old"}},
        {"request":{"method":"DELETE","url":"Patient?active=false"}},
        {"resource":{"resourceType":"Nonsense2","id":"n"}},
        {"response":{"status":"201"}}]}"#;
    let (state, summary) = load_text(bundle).await;
    assert!(summary.adds_up(), "{summary:?}");
    assert_eq!(
        (summary.records, summary.loaded, summary.deleted, summary.archived, summary.rejected),
        (6, 3, 1, 1, 1)
    );
    let text = format!("{state:?}");
    assert!(text.contains("unresolvable-deletion"), "{text}");
}

/// Bundles that cannot be told from other resources while they stream by: on their own, in parameters, in each other.
#[tokio::test]
async fn bundles_of_strange_shapes_are_read() {
    let patient = |id: &str| format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
    let entry = |id: &str| format!(r#"{{"resource":{}}}"#, patient(id));
    let urn = "urn:uuid:00000000-0000-4000-8000-000000000001";
    for (bundle, patients, others) in [
        (r#"{"resourceType":"Bundle","id":"b","entry":null}"#.to_owned(), 0, 1),
        (r#"{"resourceType":"Bundle","id":"b","entry":7}"#.to_owned(), 0, 2),
        (format!(r#"{{"resourceType":"Bundle","id":"b","entry":{}}}"#, entry("1")), 1, 1),
        (
            format!(r#"{{"resourceType":"Bundle","id":"b","entr\u0079":[{},{}]}}"#, entry("1"), entry("2")),
            2,
            1,
        ),
        (format!(r#"{{"resourceType":"Bundl\u0065","id":"b","entry":[{}]}}"#, entry("1")), 1, 1),
        (format!(r#"{{"entry":[{}],"resourceType":"Bundle","id":"b"}}"#, patient("1")), 1, 1),
        (format!(r#"{{"entry":[{{"item":1}},{}],"resourceType":"Bundle","id":"b"}}"#, entry("1")), 1, 1),
        (format!(r#"{{"resourceType":"Bundle","id":"b","entry":[{}]}}"#, patient("1")), 1, 1),
        (format!(r#"{{"resourceType":"Bundle","id":"b","entry":[[{}]]}}"#, entry("1")), 0, 2),
        (
            r#"{"resourceType":"Bundle","id":"b","entry":[{"response":{"status":"400","outcome":
                {"resourceType":"OperationOutcome","id":"o"}}}]}"#
                .to_owned(),
            0,
            2,
        ),
        (
            format!(
                r#"{{"resourceType":"Bundle","id":"b","entry":{{"fullUrl":"{urn}","resource":
                {{"resourceType":"Patient","link":[{{"other":{{"reference":"{urn}"}}}}]}}}}}}"#
            ),
            1,
            1,
        ),
    ] {
        let parameters = format!(
            r#"{{"resourceType":"Parameters","id":"p","parameter":[{{"name":"n","resource":{bundle}}}]}}"#
        );
        let nested = format!(
            r#"{{"resourceType":"Bundle","id":"outer","entry":[{{"resource":{bundle}}},{}]}}"#,
            entry("9")
        );
        for (text, patients, others) in [
            (bundle.clone(), patients, others),
            (parameters, patients, others + 1),
            (nested, patients + 1, others + 1),
        ] {
            let (state, summary) = load_text(&text).await;
            assert!(summary.adds_up(), "{summary:?}");
            let found = summary.types.get("Patient").copied().unwrap_or_default();
            assert_eq!((found, summary.records - found), (patients, others), "{text}\n{summary:?}");
            assert!(state.tables["Bundle"].contains_key("Bundle/b"), "{text}");
            if text.contains(urn) {
                let row = format!("{:?}", state.tables["Patient"]);
                assert!(
                    row.contains(r#"_key": String("Patient/00000000-0000-4000-8000-000000000001")"#),
                    "{row}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_record_of_a_frame_is_no_matter_to_the_others() {
    let patients = |ids: &[&str]| {
        let patients = ids.iter().map(|id| format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#));
        patients.collect::<Vec<_>>().join(",\n")
    };
    // The Bundle's own id is none; its entries are good.
    let bundle = format!(r#"{{"entry":[{}],"resourceType":"Bundle","id":"bad/id"}}"#, patients(&["1", "2"]));
    let (state, summary) = load_text(&bundle).await;
    assert_eq!((summary.loaded, summary.rejected, state.tables["Patient"].len()), (2, 1, 2));
    // Each of several rejects stands for itself, and says its line.
    let inner =
        format!(r#"{{"resourceType":"Bundle","id":"i","entry":[{}]}}"#, patients(&["a/1", "a/2", "a/3"]));
    let outer = format!(r#"{{"resourceType":"Bundle","id":"o","entry":[{{"resource":{inner}}}]}}"#);
    let (state, summary) = load_text(&outer).await;
    assert_eq!((summary.rejected, state.rejects.len()), (3, 3), "{summary:?}");
    let mut lines: Vec<_> = state.rejects.values().map(|reject| reject.get_i64("line").unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [1, 2, 3]);
    // One parameter where an array of them may stand.
    let parameter = format!(r#"{{"name":"x","part":{{"name":"y","resource":{}}}}}"#, patients(&["kept"]));
    let text = format!(r#"{{"resourceType":"Parameters","id":"p","parameter":{parameter}}}"#);
    let (state, summary) = load_text(&text).await;
    assert_eq!((summary.records, summary.loaded), (2, 2));
    assert!(state.tables["Patient"].contains_key("Patient/kept"));
}

#[tokio::test]
async fn a_broken_line_costs_that_line() {
    let text = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\n{\"resourceType\":\"Patient\",\"id\":\"3\"}\n{\"resourceType\":\"Patient\",\"birthDate\":7e}\n";
    let (_, summary) = load_text(text).await;
    assert!(summary.adds_up(), "{summary:?}");
    assert_eq!((summary.records, summary.loaded, summary.rejected), (4, 2, 2));
    assert_eq!(summary.codes.keys().collect::<Vec<_>>(), ["invalid-number", "truncated"]);
}

/// Returns a Bundle of a few megabytes whose observations refer to a patient that comes last.
fn long_bundle() -> String {
    let note = "x".repeat(2_000);
    let entries = (0..1_500).map(|number| {
        format!(r#"{{"resource":{{"resourceType":"Observation","id":"o{number}","status":"final","note":[{{"text":"{note}"}}],"subject":{{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"}}}}}}"#)
    });
    let patient = r#"{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","id":"p"}}"#;
    let entries: Vec<String> = entries.chain([patient.to_owned()]).collect();
    format!(r#"{{"resourceType":"Bundle","id":"b","type":"collection","entry":[{}]}}"#, entries.join(","))
}

fn job(owner: &str, stop: Option<Instant>) -> Job<'static> {
    let deadline = stop.map(|stop| Deadline::new(stop, Duration::from_mins(1)));
    Job {
        owner: owner.to_owned(),
        again: false,
        by: None,
        deadline,
        is_cancelled: None,
        read_turns: None,
        clock: || 0,
        progress: &|_| {},
    }
}

async fn is_entered(ledger: &Ledger, column: &str) -> bool {
    ledger.column(column).await.unwrap().is_some()
}

#[tokio::test]
async fn a_reference_that_nobody_answers_fills_no_column() {
    let observation = |id: &str, patient: u8| {
        format!(
            r#"{{"resource":{{"resourceType":"Observation","id":"{id}","status":"final","subject":
            {{"reference":"urn:uuid:00000000-0000-4000-8000-00000000000{patient}"}}}}}}"#
        )
    };
    let patient = r#"{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient"}}"#;
    let entries = [observation("a", 2), patient.to_owned()].join(",");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, r#"{{"resourceType":"Bundle","id":"b","type":"batch","entry":[{entries}]}}"#).unwrap();
    let (ledger, store) = (Ledger::memory(), Arc::new(SimulatedMongo::default()));
    let storage = Storage::File(file.path().to_owned());
    let pipeline = Pipeline { storage, catalog: Arc::default(), store, limits: PipelineLimits::default() };
    pipeline.load(&ledger, &object("urns"), &job("one", None)).await.unwrap();
    assert!(is_entered(&ledger, "Observation.subject_reference").await);
    assert!(!is_entered(&ledger, "Observation.subject_key").await);
}

#[tokio::test]
async fn resources_may_be_64_levels_deep_wherever_they_stand() {
    let basic = |levels: usize| {
        let (open, close) = (r#"{"extension":"#.repeat(levels - 1), "}".repeat(levels - 1));
        format!(r#"{{"resourceType":"Basic","id":"b","x":{open}1{close}}}"#)
    };
    for (levels, loaded) in [(64, 1), (65, 0)] {
        let (_, alone) = load_text(&basic(levels)).await;
        let bundle = format!(r#"{{"resourceType":"Bundle","entry":[{{"resource":{}}}]}}"#, basic(levels));
        let (_, entry) = load_text(&bundle).await;
        let of_type = |summary: &Summary| summary.types.get("Basic").copied().unwrap_or_default();
        assert_eq!((of_type(&alone), of_type(&entry)), (loaded, loaded), "{levels} levels");
        assert_eq!(alone.codes.contains_key("too-deep"), loaded == 0);
    }
}

#[tokio::test]
async fn a_load_that_runs_out_of_time_goes_on_and_ends_like_one_that_did_not() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(long_bundle().as_bytes()).unwrap();
    let (clean, _) = load(file.path()).await;
    let store = Arc::new(SimulatedMongo::default());
    let storage = Storage::File(file.path().to_owned());
    let pipeline = Pipeline {
        storage,
        catalog: Arc::default(),
        store: store.clone(),
        limits: PipelineLimits::default(),
    };
    let (ledger, object) = (Ledger::memory(), object(&file.path().display().to_string()));
    let mut attempts = 0;
    let loaded = loop {
        attempts += 1;
        assert!(attempts < 100, "no attempt gets further");
        match pipeline.load(&ledger, &object, &job(&attempts.to_string(), Some(Instant::now()))).await {
            Ok(loaded) => break loaded,
            Err(interrupted) => assert_eq!(interrupted, Interrupted::Deadline),
        }
    };
    assert!(attempts > 2, "the file is too small for this test: {attempts} attempts");
    assert_eq!((loaded.status, loaded.summary.loaded, loaded.summary.records), (Status::Done, 1_502, 1_502));
    assert_eq!(store.state(), clean);
    let keys = format!("{clean:?}").matches("subject_key").count();
    assert_eq!(keys, 1_500, "every reference to the patient that comes last has its key");
    assert!(is_entered(&ledger, "Observation.status").await);
    assert!(loaded.summary.drift.new_columns > 5, "{:?}", loaded.summary.drift);
    let replay = Job { again: true, ..job("replay", None) };
    let replayed = pipeline.load(&ledger, &object, &replay).await.unwrap();
    assert!(replayed.summary.drift.is_none(), "{:?}", replayed.summary.drift);
    let again = pipeline.load(&ledger, &object, &job("again", None)).await.unwrap();
    assert_eq!((again.status, again.summary.records), (Status::Done, 0), "what is done is not read again");
}

/// Returns what a deployment with these checks and gates makes of a text, and what stands in the tables.
async fn judge(text: &str, checks: &str, gates: &str) -> (pipeline::load::Loaded, State, Ledger) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let (checks, gates) = (vec![("checks.json".to_owned(), checks.to_owned())], Some(gates.to_owned()));
    let catalog = Arc::new(Catalog::compile(Choices { checks, gates, ..Choices::default() }).unwrap());
    let store = Arc::new(SimulatedMongo::default());
    let storage = Storage::File(file.path().to_owned());
    let pipeline = Pipeline { storage, catalog, store: store.clone(), limits: PipelineLimits::default() };
    let ledger = Ledger::memory();
    let loaded = pipeline.load(&ledger, &object("gated"), &job("one", None)).await.unwrap();
    let again = pipeline.load(&ledger, &object("gated"), &job("two", None)).await.unwrap();
    assert_eq!((again.status, again.summary.records), (loaded.status, 0), "it is settled");
    (loaded, store.state(), ledger)
}

const THREE: &str = "{\"resourceType\":\"Patient\",\"id\":\"1\",\"birthDate\":\"CANARY\"}\n{\"resourceType\":\"Patient\",\"id\":\"2\",\"gender\":\"CANARY\"}\n{\"resourceType\":\"Group\",\"id\":\"3\"}\n";

#[tokio::test]
async fn checks_reject_or_are_counted() {
    let checks = r#"[{"name":"born","type":"Patient","path":"birthDate.exists()","severity":"reject","message":"m"},
        {"name":"named","type":"Patient","path":"name.exists()","severity":"warn","message":"m"}]"#;
    let (loaded, state, ledger) = judge(THREE, checks, "{}").await;
    assert_eq!((loaded.status, loaded.summary.loaded, loaded.summary.rejected), (Status::Partial, 2, 1));
    let found = [("born", 1), ("date", 1), ("named", 2)].map(|(check, count)| (check.to_owned(), count));
    assert_eq!(loaded.summary.checks, found.into(), "of what was set aside as well");
    assert_eq!(loaded.summary.codes, [("check-failed".to_owned(), 1)].into());
    let rejects = format!("{:?}", state.rejects);
    assert!(rejects.contains("\"born\"") && !rejects.contains("CANARY"), "{rejects}");
    let entry = ledger.find(&object("gated").load_id()).await.unwrap().unwrap();
    assert_eq!(entry.summary, loaded.summary);
    assert!(!format!("{entry:?}").contains("CANARY"));
}

#[tokio::test]
async fn a_gate_sets_the_whole_object_aside_before_anything_is_written() {
    let checks = r#"[{"type":"Group","path":"name.exists()","severity":"reject","message":"m"}]"#;
    for (gates, code) in [
        (r#"{"max_reject_ratio":0.3}"#, "gate max_reject_ratio"),
        (r#"{"min_resources":3}"#, "gate min_resources"),
        (r#"{"required_types":["Patient","Group"]}"#, "gate required_types"),
    ] {
        let (loaded, state, ledger) = judge(THREE, checks, gates).await;
        assert_eq!(loaded.status, Status::Refused, "{gates}");
        assert_eq!((loaded.summary.records, loaded.summary.rejected, loaded.summary.rows), (3, 3, 0));
        assert!(loaded.summary.adds_up());
        assert_eq!(loaded.summary.codes, [("check-failed".to_owned(), 1)].into());
        assert_eq!(state, State::default(), "{gates}");
        let entry = ledger.find(&object("gated").load_id()).await.unwrap().unwrap();
        assert_eq!((entry.status, entry.problem.as_deref()), (Status::Refused, Some(code)));
        assert!(!entry.has_columns);
        assert!(!is_entered(&ledger, "Patient.id").await);
    }
    let gates = r#"{"max_reject_ratio":0.4,"min_resources":2,"required_types":["Patient"]}"#;
    let (loaded, state, _) = judge(THREE, checks, gates).await;
    assert_eq!((loaded.status, loaded.summary.loaded), (Status::Partial, 2));
    assert_eq!(state.tables.get("Patient").map(std::collections::BTreeMap::len), Some(2));
}

//! The whole line over small files: what goes in comes out as rows, and what is broken as rejects with its place.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeline::load::{Line, Pace, Read};
use pipeline::object::{ObjectRef, Pin};
use pipeline::sink::memory::{MemorySink, State};
use pipeline::source::Storage;
use pipeline::summary::Summary;

fn object(key: &str) -> Arc<ObjectRef> {
    let (bucket, key) = ("file".to_owned(), key.to_owned());
    Arc::new(ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None })
}

async fn load(path: &Path) -> (State, Summary) {
    let sink = Arc::new(MemorySink::default());
    let storage = Storage::File(path.to_owned());
    let line = Line { storage, catalog: Arc::default(), sink: Arc::clone(&sink), pace: Pace::default() };
    let read = line.run(&object(&path.display().to_string()), None, None, &|_| {}).await.unwrap();
    let Read::Whole(summary) = read else { panic!("{read:?}") };
    (sink.state(), summary)
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
    eprintln!("{text}");
}

#[tokio::test]
async fn a_broken_line_costs_that_line() {
    let text = "{\"resourceType\":\"Patient\",\"id\":\"1\"}\n{\"resourceType\":\"Patient\",\"id\":\n{\"resourceType\":\"Patient\",\"id\":\"3\"}\n{\"resourceType\":\"Patient\",\"birthDate\":7e}\n";
    let (_, summary) = load_text(text).await;
    assert!(summary.adds_up(), "{summary:?}");
    assert_eq!((summary.records, summary.loaded, summary.rejected), (4, 2, 2));
    assert_eq!(summary.codes.keys().collect::<Vec<_>>(), ["invalid-number", "truncated"]);
}

/// Every file beside the project where it is available, and the project's own samples.
#[tokio::test]
async fn real_files_add_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("samples"), root.join("../shared/fhir/samples")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path
                .to_str()
                .is_some_and(|p| [".json", ".ndjson", ".gz"].iter().any(|end| p.ends_with(end)))
            {
                files.push(path);
            }
        }
    }
    let mut total = Summary::default();
    for path in files {
        let (_, summary) = load(&path).await;
        assert!(summary.adds_up(), "{}: {summary:?}", path.display());
        assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len(), "{}", path.display());
        total += summary;
    }
    eprintln!("{total:#?}");
}

//! Which manifests are recognised, what is kept of them, and their limits.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use flatten::catalog::{Catalog, Choices};
use pipeline::assemble::{MAX_LISTED_FILES, MAX_MANIFESTS_OF_OBJECT};
use pipeline::exports::{FileState, reports};
use pipeline::ledger::Status;
use pipeline::manifest::{ExportManifest, FileRole};
use pipeline::store::admin::ObjectName;
use pipeline::store::memory::MemoryStore;

use crate::world::{NOW, Place};

async fn standing(place: &Place) -> Vec<ExportManifest> {
    let mut manifests = Vec::new();
    let mut visit = |manifest| {
        manifests.push(manifest);
        ControlFlow::Continue(())
    };
    place.store.visit_manifests(&mut visit).await.unwrap();
    manifests
}

/// Loads a text as the object of that key.
async fn loaded(place: &Place, key: &str, text: &str) -> Status {
    let loaded = place.load_as(key, text.as_bytes(), &Arc::default()).await;
    assert!(loaded.summary.adds_up());
    loaded.status
}

/// The name, the role, the type and the count of a file.
type Listed = (&'static str, FileRole, Option<&'static str>, Option<u64>);

/// Forms of all releases, with the files that they list.
const FORMS: [(&str, &[Listed]); 6] = [
    (
        // STU 1
        r#"{"transactionTime":"[instant]","request":"[base]/Patient/$export?_type=Patient","requiresAccessToken":true,
            "output":[{"type":"Patient","url":"http://serverpath2/patient_file_1.ndjson"}],
            "error":[{"type":"OperationOutcome","url":"http://serverpath2/err_file_1.ndjson"}]}"#,
        &[
            ("patient_file_1.ndjson", FileRole::Output, Some("Patient"), None),
            ("err_file_1.ndjson", FileRole::Outcome, Some("OperationOutcome"), None),
        ],
    ),
    (
        // STU 2
        r#"{"transactionTime":"2021-01-01T00:00:00Z","request":"https://example.com/fhir/Patient/$export",
            "requiresAccessToken":true,"output":[{"type":"Patient","url":"https://example.com/1.ndjson","count":1000,
            "extension":{"x":[1]}}],"deleted":[{"type":"Bundle","url":"https://example.com/del_1.ndjson"}],
            "error":[],"extension":{"https://example.com/x":true}}"#,
        &[
            ("1.ndjson", FileRole::Output, Some("Patient"), Some(1_000)),
            ("del_1.ndjson", FileRole::Deleted, Some("Bundle"), None),
        ],
    ),
    (
        // The ballot of STU 3 and drafts of STU 4: no request, no types, `outcome` for `error`.
        r#"{"resourceType":"http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkDataManifest","id":"x",
            "transactionTime":"2021-01-01T00:00:00+01:00","requiresAccessToken":false,"outputOrganizedBy":"Patient",
            "outputFormat":"application/fhir+ndjson","output":[{"url":"https://example.com/2.ndjson",
            "continuesInFile":"https://example.com/3.ndjson","fileSize":7},{"url":"https://example.com/3.ndjson"}],
            "outcome":[{"url":"https://example.com/o.ndjson"}],"link":[]}"#,
        &[
            ("2.ndjson", FileRole::Output, None, None),
            ("3.ndjson", FileRole::Output, None, None),
            ("o.ndjson", FileRole::Outcome, None, None),
        ],
    ),
    (
        // What servers make of it.
        r#"{"transactionTime":1609459200,"output":[{"type":"Rocket","url":"https://example.com/4.ndjson","count":"12"},
            {"type":"Patient","url":"https://example.com/5.ndjson","count":-1},{"type":"","count":1.5},7],
            "deleted":null,"error":{"url":"https://example.com/e.ndjson"}}"#,
        &[
            ("4.ndjson", FileRole::Output, Some("Unknown"), Some(12)),
            ("5.ndjson", FileRole::Output, Some("Patient"), None),
            ("", FileRole::Output, None, None),
            ("e.ndjson", FileRole::Outcome, None, None),
        ],
    ),
    (r#"{"transactionTime":"2021","output":[]}"#, &[]),
    (r#"{"resourceType":"BulkPublishManifest","transactionTime":"2021","output":[]}"#, &[]),
];

#[tokio::test]
async fn manifests_of_all_releases_are_no_rejects() {
    for (text, expected) in FORMS {
        for text in [text.to_owned(), text.replace('\n', " ") + "\n", format!("[{text}]")] {
            let place = Place::new(Arc::new(MemoryStore::default()));
            assert_eq!(loaded(&place, "in/manifest.json", &text).await, Status::Done, "{text}");
            let manifests = standing(&place).await;
            let files = manifests[0].files.iter();
            let files: Vec<_> = files
                .map(|file| (file.name.as_str(), file.role, file.resource_type.as_deref(), file.count))
                .collect();
            assert_eq!((manifests.len(), files), (1, expected.to_vec()), "{text}");
        }
    }
}

#[tokio::test]
async fn other_objects_are_no_manifests() {
    for text in [
        r#"{"transactionTime":"2021-01-01T00:00:00Z"}"#,
        r#"{"output":[]}"#,
        r#"{"resourceType":"Task","transactionTime":"2021-01-01T00:00:00Z","output":[]}"#,
    ] {
        let place = Place::new(Arc::new(MemoryStore::default()));
        loaded(&place, "in/manifest.json", text).await;
        assert_eq!(standing(&place).await, [], "{text}");
    }
}

/// One export whichever way its time is written, and another for every other request, time, folder and bucket.
#[tokio::test]
async fn an_export_is_known_by_its_time_request_and_folder() {
    let place = Place::new(Arc::new(MemoryStore::default()));
    let text = |time: &str, request: &str| {
        format!(r#"{{"transactionTime":"{time}","request":"{request}","output":[]}}"#)
    };
    for (key, time, request) in [
        ("in/a.json", "2021-01-01T00:00:00Z", "x"),
        ("in/b.json", "2021-01-01T01:00:00.000+01:00", "x"),
        ("in/c.json", "2021-01-01T00:00:01Z", "x"),
        ("in/d.json", "2021-01-01T00:00:00Z", "y"),
        ("out/e.json", "2021-01-01T00:00:00Z", "x"),
        ("in/f.json", "unknown", "x"),
    ] {
        loaded(&place, key, &text(time, request)).await;
    }
    let mut exports: Vec<Vec<String>> = Vec::new();
    for manifest in standing(&place).await {
        match exports.last_mut() {
            Some(last) if last[0] == manifest.export => last.push(manifest.key),
            _ => exports.push(vec![manifest.export, manifest.key]),
        }
    }
    let keys: Vec<Vec<&str>> =
        exports.iter().map(|export| export[1..].iter().map(String::as_str).collect()).collect();
    assert_eq!((keys.len(), keys[0].as_slice()), (5, ["in/f.json"].as_slice()), "{exports:?}");
    assert!(
        keys.iter()
            .any(|keys| keys.len() == 2 && keys.iter().all(|key| ["in/a.json", "in/b.json"].contains(key)))
    );
    assert!(exports[0][0].starts_with("undated-") && exports[1][0].starts_with("2021-01-01T00:00:01Z-"));
}

/// Pages of one manifest may come in any order; as long as one is missing, the export is not complete. The last page
/// alone looks like a whole manifest.
#[tokio::test]
async fn pages_of_a_manifest_belong_together() {
    let page = |number: u32, next: &str| {
        let next = format!(r#","link":[{{"relation":"next","url":"https://example.com/{next}"}}]"#);
        let link = if number < 3 { next } else { String::new() };
        format!(
            r#"{{"transactionTime":"2021-01-01T00:00:00Z","request":"x","output":[{{"url":"{number}.ndjson"}}]{link}}}"#
        )
    };
    let named = [page(1, "2.json?t=1"), page(2, "3.json"), page(3, "")];
    let unnamed = [page(1, "status?page=2"), page(2, "status?page=3"), page(3, "")];
    let cases = [
        (&named, [0, 1, 2], [false, false, true]),
        (&named, [2, 0, 1], [true, false, true]),
        (&named, [2, 1, 0], [true, true, true]),
        (&named, [1, 2, 0], [false, true, true]),
        (&unnamed, [0, 1, 2], [false, false, true]),
    ];
    for (pages, order, complete) in cases {
        let place = Place::new(Arc::new(MemoryStore::default()));
        for number in 1..=3 {
            let text = "{\"resourceType\":\"Patient\",\"id\":\"a\"}\n";
            loaded(&place, &format!("in/{number}.ndjson"), text).await;
        }
        for (index, is_complete) in order.into_iter().zip(complete) {
            loaded(&place, &format!("in/{}.json", index + 1), &pages[index]).await;
            let report = reports(&*place.store, NOW).await.unwrap().remove(0);
            assert_eq!(report.is_complete(), is_complete, "{order:?} {index}");
            assert!(report.files.iter().all(|file| file.state == FileState::Loaded));
        }
    }
}

#[tokio::test]
async fn gates_do_not_refuse_a_manifest() {
    let gates = Some(r#"{"min_resources": 1, "required_types": ["Patient"]}"#.to_owned());
    let catalog = Arc::new(Catalog::compile(Choices { gates, ..Choices::default() }).unwrap());
    let place = Place::new(Arc::new(MemoryStore::default()));
    let manifest = r#"{"transactionTime":"2021","output":[]}"#;
    assert_eq!(place.load_as("in/manifest.json", manifest.as_bytes(), &catalog).await.status, Status::Done);
    let observation = format!("{manifest}\n{{\"resourceType\":\"Observation\",\"id\":\"a\"}}\n");
    assert_eq!(place.load_as("in/other", observation.as_bytes(), &catalog).await.status, Status::Refused);
}

/// What a sender can write is bounded, and an export whose files are not all kept is never called complete.
#[tokio::test]
async fn manifests_are_bounded() {
    let place = Place::new(Arc::new(MemoryStore::default()));
    let manifest = |files: usize, name: &str| {
        let mut text = r#"{"transactionTime":"2021-01-01T00:00:00Z","error":["#.to_owned();
        for file in 0..files {
            write!(text, r#"{}{{"url":"{name}{file:06}"}}"#, if file > 0 { "," } else { "" }).unwrap();
        }
        text + r#"],"output":[]}"#
    };
    let long = "n".repeat(234);
    let cases = [
        (MAX_LISTED_FILES, "", MAX_LISTED_FILES),
        (MAX_LISTED_FILES + 1, "", MAX_LISTED_FILES),
        (26_214, &long, 26_214),
        (26_215, &long, 26_214),
    ];
    for (files, name, _) in cases {
        let (key, text) = (format!("{files}/manifest.json"), manifest(files, name));
        assert_eq!(loaded(&place, &key, &text).await, Status::Done);
    }
    let reports = reports(&*place.store, NOW).await.unwrap();
    for (files, _, kept) in cases {
        let report = reports.iter().find(|report| report.folder == format!("{files}/")).unwrap();
        assert_eq!((report.files.len(), report.beyond), (kept, (files - kept) as u64));
        assert_eq!(report.is_complete(), files == kept);
    }
    let mut many = String::new();
    for year in 2_000..=2_000 + MAX_MANIFESTS_OF_OBJECT {
        writeln!(many, "{{\"transactionTime\":\"{year}\",\"output\":[]}}").unwrap();
    }
    assert_eq!(loaded(&place, "many/manifests", &many).await, Status::Done);
    let kept = standing(&place).await.iter().filter(|manifest| manifest.key == "many/manifests").count();
    assert_eq!(kept as u64, MAX_MANIFESTS_OF_OBJECT);
}

/// The mark of an erased object takes the place of its name in the manifest too.
#[tokio::test]
async fn an_export_stays_complete_when_a_file_of_it_is_erased() {
    let place = Place::new(Arc::new(MemoryStore::default()));
    let manifest =
        r#"{"transactionTime":"1960-01-05","output":[{"type":"Patient","url":"anna.ndjson","count":1}]}"#;
    loaded(&place, "in/manifest.json", manifest).await;
    loaded(&place, "in/anna.ndjson", "{\"resourceType\":\"Patient\",\"id\":\"a\"}\n").await;
    let (bucket, key) = ("clinic".to_owned(), "in/anna.ndjson".to_owned());
    let mark = place.store.erasure_marks().await.unwrap().of_object("clinic/in/anna.ndjson");
    let object = ObjectName { bucket, key };
    assert!(place.store.rename_object("clinic/in/anna.ndjson@v1", &object, &mark).await.unwrap());
    let report = reports(&*place.store, NOW).await.unwrap().remove(0);
    assert!(report.is_complete(), "{report:?}");
    assert!(!format!("{report:?}").contains("anna"), "{report:?}");
}

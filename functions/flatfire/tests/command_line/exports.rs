//! `flatfire status --exports`

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::database::TestDatabase;
use crate::program::{Ran, run};
#[cfg(target_os = "linux")]
use crate::terminal::Terminal;

const MANIFEST: &str = r#"{
  "transactionTime": "2020-01-05T10:00:00.250Z",
  "request": "https://ehr.example.org/Patient/CANARY/$export?_token=CANARY",
  "requiresAccessToken": true,
  "output": [
    {"type": "Patient", "url": "https://ehr.example.org/files/CANARY/Patient%201.ndjson?sig=CANARY", "count": 2},
    {"type": "Observation", "url": "https://ehr.example.org/files/CANARY/Observation.ndjson?sig=CANARY", "count": 3,
     "extension": {"note": "CANARY"}}
  ],
  "deleted": [{"type": "Bundle", "url": "https://ehr.example.org/files/deleted.ndjson", "count": 3}],
  "error": [{"type": "OperationOutcome", "url": "https://ehr.example.org/files/errors.ndjson"}],
  "extension": {"https://ehr.example.org/CANARY": true}
}"#;

fn lines(resource_type: &str, count: usize) -> String {
    let line = |id| format!("{{\"resourceType\":\"{resource_type}\",\"id\":\"{id}\"}}\n");
    (0..count).map(line).collect()
}

fn deletions(bundles: &[&[u64]]) -> String {
    let bundle = |ids: &&[u64]| {
        let entry = |id: &u64| format!(r#"{{"request":{{"method":"DELETE","url":"Patient/gone-{id}"}}}}"#);
        let entries: Vec<_> = ids.iter().map(entry).collect();
        format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(",")) + "\n"
    };
    bundles.iter().map(bundle).collect()
}

struct Clinic {
    folder: tempfile::TempDir,
    database: TestDatabase,
}

impl Clinic {
    fn load(&self, name: &str, text: &str) -> Ran {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        run(&["load", "--to", &self.database.uri, "--tables", "automatic", &path.display().to_string()])
    }

    fn exports(&self, arguments: &[&str]) -> Ran {
        run(&[&["status", "--exports", "--to", &self.database.uri], arguments].concat())
    }

    fn json(&self, code: i32, arguments: &[&str]) -> Vec<Value> {
        let ran = self.exports(&[&["--json"], arguments].concat());
        assert_eq!(ran.code, code, "{ran:?}");
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Returns the path of a file whose name on this machine has that ending.
fn folder_of(path: &Path) -> String {
    path.display().to_string().trim_start_matches('/').to_owned()
}

#[tokio::test]
async fn an_export_is_complete_once_all_of_its_files_are_in() {
    let clinic = Clinic { folder: tempfile::tempdir().unwrap(), database: TestDatabase::of("exports").await };
    let none = clinic.exports(&[]);
    assert_eq!((none.code, none.stdout.as_str()), (0, "no exports: no manifest was loaded\n"));
    assert_eq!(clinic.load("export/Patient 1.ndjson.gz", &lines("Patient", 2)).code, 0);
    assert_eq!(clinic.load("export/manifest.json", MANIFEST).code, 0);
    assert_eq!(clinic.load("export/deep/Observation", &lines("Observation", 2)).code, 0);

    let reports = clinic.json(2, &[]);
    let report = &reports[0];
    assert_eq!((reports.len(), &report["isComplete"]), (1, &json!(false)));
    assert_eq!(report["open"], json!({ "missing": 1, "fewer records": 1 }));
    assert_eq!(report["transactionTime"], "2020-01-05T10:00:00.25Z");
    assert!(
        report["folder"].as_str().unwrap().ends_with(&format!("{}/export/", folder_of(clinic.folder.path())))
    );
    assert_eq!(report["files"].as_array().unwrap().len(), 2);
    let sums = report["sums"].as_array().unwrap();
    assert_eq!(
        sums[0],
        json!({ "list": "output", "type": "Observation", "files": 1, "loadedFiles": 0, "records": 3, "loadedRecords": 2 })
    );

    let name = report["export"].as_str().unwrap();
    assert!(name.starts_with("2020-01-05T10:00:00.250Z-"), "{name}");
    let explained = clinic.exports(&[name]);
    assert_eq!(explained.code, 2);
    for part in [
        "1 missing, 1 with fewer records",
        "  missing\tBundle\tdeleted.ndjson\n",
        "  fewer records\tObservation\tObservation.ndjson\t2 of 3 records\tfile/",
    ] {
        assert!(explained.stdout.contains(part), "{part} is missing in {}", explained.stdout);
    }
    assert!(!explained.stdout.contains("errors.ndjson"), "nobody waits for it: {}", explained.stdout);
    assert_eq!(clinic.json(2, &[name])[0]["files"].as_array().unwrap().len(), 4);
    let folder = clinic.folder.path().join("export").display().to_string();
    assert_eq!(clinic.json(2, &[&folder]), clinic.json(2, &[name]));

    clinic.load("export/deleted.ndjson", &deletions(&[&[1, 2], &[3]]));
    clinic.load("export/deep/Observation", &lines("Observation", 3));
    let complete = clinic.exports(&[]);
    assert_eq!(complete.code, 0, "{complete:?}");
    assert!(complete.stdout.ends_with("complete: all of 1 exports\n"), "{}", complete.stdout);
    let report = &clinic.json(0, &[name])[0];
    let states = report["files"].as_array().unwrap().iter().map(|file| file["state"].as_str().unwrap());
    assert_eq!(states.collect::<Vec<_>>(), ["loaded", "loaded", "loaded", "missing"]);

    // A later export of the same folder has other files, and a corrected manifest replaces the first one.
    let later = MANIFEST.replace("2020-01-05T10:00:00.250Z", "2099-01-01T00:00:00Z");
    clinic.load("export/later.json", &later);
    let reports = clinic.json(2, &[]);
    let complete: Vec<_> = reports.iter().map(|report| &report["isComplete"]).collect();
    assert_eq!(complete, [&json!(false), &json!(true)], "what is not complete comes first");
    clinic.load("export/corrected.json", &MANIFEST.replace("\"count\": 2", "\"count\": 1"));
    assert_eq!(clinic.json(2, &[name])[0]["open"], json!({ "more records": 1 }));

    let content = clinic.database.content().await;
    assert_eq!(content["_exports"].len(), 3, "{:?}", content["_exports"]);
    assert!(!format!("{content:?}").contains("CANARY"), "a URL was kept");
    clinic.database.remove().await;
}

#[tokio::test]
async fn wrong_arguments_of_exports_are_named() {
    let database = TestDatabase::of("exports_arguments").await;
    let ran = |arguments: &[&str]| run(&[&["status", "--to", &database.uri], arguments].concat());
    for (arguments, part) in [
        (["--exports", "no-such-export"].as_slice(), "there is no such export"),
        (&["--exports", "--status", "done"], "--status"),
    ] {
        let ran = ran(arguments);
        assert!(ran.code == 1 && ran.stderr.contains(part), "{part}: {ran:?}");
    }
    database.remove().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_table_of_exports_fits_the_terminal() {
    let clinic =
        Clinic { folder: tempfile::tempdir().unwrap(), database: TestDatabase::of("exports_terminal").await };
    clinic.load("a/folder/with/a/name/that/is/long/manifest.json", MANIFEST);
    for columns in [80, 160] {
        let arguments = ["status", "--exports", "--to", &clinic.database.uri];
        let (code, shown) = Terminal::run_in(columns, &arguments).end();
        assert_eq!(code, 2, "{shown}");
        let widest = shown.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{widest} of {columns}:\n{shown}");
    }
    clinic.database.remove().await;
}

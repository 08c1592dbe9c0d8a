//! `flatfire export`

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::database::TestDatabase;
use crate::program::{flatfire, path_of, run};

/// Whatever belongs to somebody else has this word in it.
const ELSE: &str = "CANARY";

const RESOURCES: [&str; 15] = [
    r#"{"resourceType":"Patient","id":"carla","name":[{"family":"Beispiel","given":["Carla","C."]}],"contained":[{"resourceType":"Organization","id":"o","name":"Praxis"}]}"#,
    r#"{"resourceType":"Patient","id":"carla-2","name":[{"family":"CANARY"}]}"#,
    r#"{"resourceType":"Patient","id":"sister","name":[{"family":"CANARY"}],"link":[{"other":{"reference":"Patient/carla"},"type":"seealso"}]}"#,
    r#"{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x \"y\"\u0007 é"},"effectiveInstant":"2026-01-05T10:00:00.5+02:00","valueQuantity":{"value":1.500},"subject":{"reference":"Patient/carla"},"component":[{"code":{"text":"c"},"valueInteger":7,"valueQuantity":{"value":0.0010}}]}"#,
    r#"{"resourceType":"Observation","id":"b","status":"final","code":{"text":"CANARY"},"subject":{"reference":"Patient/sister"},"performer":[{"reference":"Patient/carla"}]}"#,
    r#"{"resourceType":"Observation","id":"e","status":"final","code":{"text":"CANARY"},"subject":{"reference":"Patient/carla"},"extension":[{"url":"https://example.org/donor","valueReference":{"reference":"Patient/sister"}}]}"#,
    r##"{"resourceType":"Observation","id":"g","status":"final","code":{"text":"CANARY"},"subject":{"reference":"#p"},"performer":[{"reference":"Patient/carla"}],"contained":[{"resourceType":"Patient","id":"p","name":[{"family":"CANARY"}]}]}"##,
    r#"{"resourceType":"Observation","id":"c","status":"final","code":{"text":"CANARY"},"subject":{"reference":"Patient/carla-2"}}"#,
    r#"{"resourceType":"Appointment","id":"c","status":"booked","description":"CANARY","participant":[{"actor":{"reference":"Patient/sister"},"status":"accepted"},{"actor":{"reference":"Patient/carla"},"status":"accepted"}]}"#,
    r#"{"resourceType":"Appointment","id":"d","status":"booked","participant":[{"actor":{"reference":"Patient/carla"},"status":"accepted"}]}"#,
    r#"{"resourceType":"Group","id":"f","name":"of Carla","member":[{"entity":{"reference":"Patient/carla"}}]}"#,
    r#"{"resourceType":"Practitioner","id":"h","name":[{"family":"CANARY"}]}"#,
    r#"{"resourceType":"Communication","id":"m","status":"completed","subject":{"reference":"Patient/carla"},"note":[{"text":"kept apart"}]}"#,
    r##"{"resourceType":"Communication","id":"o","status":"completed","subject":{"reference":"#p"},"recipient":[{"reference":"Patient/carla"}],"note":[{"text":"CANARY"}],"contained":[{"resourceType":"Patient","id":"p"}]}"##,
    r#"{"resourceType":"Communication","id":"n","status":"completed","subject":{"reference":"Patient/sister"},"note":[{"text":"CANARY"}]}"#,
];

const SETTINGS: [&str; 4] = ["--arrays", "tables", "--inactive", "Communication"];

/// Returns a line without where its row came from.
fn without_source(line: &str) -> String {
    line.split(r#","_source":"#).next().unwrap().trim_end_matches('}').to_owned()
}

fn ids(lines: &str) -> BTreeSet<String> {
    let key = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["_id"].as_str().unwrap().split('#').next().unwrap().to_owned()
    };
    lines.lines().map(key).collect()
}

#[tokio::test]
async fn everything_of_a_patient_is_written_and_nothing_of_anybody_else() {
    let database = TestDatabase::of("export").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "day.ndjson");
    fs::write(&file, RESOURCES.join("\n")).unwrap();
    assert_eq!(run(&[&["load", "--to", &database.uri][..], &SETTINGS, &[&file]].concat()).code, 0);

    let export = |arguments: &[&str]| run(&[&["export", "--to", &database.uri], arguments].concat());
    let ran = export(&["--patient", "Patient/carla"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains(ELSE), "{}", ran.stdout);
    let expected = ["Appointment/d", "Communication/m", "Observation/a", "Patient/carla"];
    assert_eq!(ids(&ran.stdout).iter().map(String::as_str).collect::<Vec<_>>(), expected);
    for spared in [
        "Appointment/c: not written: also names Patient/sister",
        "Group/f: not written: ",
        "Observation/b",
        "Observation/e: not written: also names Patient/sister",
        "Observation/g: not written: contains a patient",
        "Communication/o: not written: contains a patient",
    ] {
        assert!(ran.stderr.contains(spared), "{spared}: {}", ran.stderr);
    }
    assert!(
        ran.stdout.contains(r#""_table":"_archive","_id":"Communication/m","resourceType":"Communication""#)
    );

    // Line by line what `rows` prints of the same resources, and rows of views.
    let printed = run(&[&["rows"][..], &SETTINGS, &[&file]].concat());
    let is_own = |line: &&str| ids(line).iter().all(|key| expected.contains(&key.as_str()));
    let printed = printed.stdout.lines().filter(is_own);
    let printed: BTreeSet<String> = printed.map(|line| line.trim_end_matches('}').to_owned()).collect();
    let is_of_view = |line: &&str| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["_table"].as_str().unwrap().starts_with(|first: char| first.is_ascii_lowercase())
    };
    let (views, tables): (Vec<_>, Vec<_>) =
        ran.stdout.lines().filter(|line| !line.contains("_archive")).partition(is_of_view);
    let written: BTreeSet<String> = tables.into_iter().map(without_source).collect();
    assert_eq!(written, printed);
    assert!(views.iter().any(|line| line.starts_with(r#"{"_table":"patients""#)), "{views:?}");

    let with_groups = export(&["--patient", "Patient/carla", "--types", "Group"]);
    assert!(ids(&with_groups.stdout).contains("Group/f") && !with_groups.stdout.contains(ELSE));
    let misspelt = export(&["--patient", "Patient/carla", "--types", "Gruop"]);
    assert_eq!((misspelt.code, misspelt.stdout.as_str()), (1, ""), "{misspelt:?}");
    assert!(misspelt.stderr.contains("FHIR has no resource type `Gruop`"), "{misspelt:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_folder_holds_a_file_for_each_table_that_only_its_owner_reads() {
    let database = TestDatabase::of("export_out").await;
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (path_of(&folder, "day.ndjson"), path_of(&folder, "out"));
    fs::write(&file, RESOURCES.join("\n")).unwrap();
    assert_eq!(run(&["load", "--to", &database.uri, "--tables", "automatic", &file]).code, 0);
    let export = |patient: &str, out: &str| {
        run(&["export", "--to", &database.uri, "--patient", patient, "--out", out])
    };
    let ran = export("Patient/carla", &out);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let mut names: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = [
        "Appointment.ndjson",
        "Communication.ndjson",
        "Observation.ndjson",
        "Organization_contained.ndjson",
        "Patient.ndjson",
    ];
    assert!(names.len() >= 4 && names.iter().all(|name| expected.contains(&name.as_str())), "{names:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(format!("{out}/Patient.ndjson")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = export("Patient/carla", &out);
    assert!(again.code == 1 && again.stderr.contains("it is not empty"), "{again:?}");
    let nobody = export("Patient/nobody", &path_of(&folder, "empty"));
    assert!(nobody.code == 2 && nobody.stderr.contains("nothing of it stands anywhere"), "{nobody:?}");
    let none = flatfire(&["export", "--to", &database.uri, "--patient", "Group/f"]).output().unwrap();
    assert_eq!(none.status.code(), Some(1));
    database.remove().await;
}

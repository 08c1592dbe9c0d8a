//! `flatfire rows`

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Ran, flatfire, path_of, run, run_with_input, sample};

fn rows(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","name":[{"family":"Ö","given":["A","B"]}]}"#;
const WEIGHT: &str = r#"{"resourceType":"Observation","id":"w","status":"final","valueQuantity":{"value":70.50},"effectiveDateTime":"2026-01"}"#;

#[test]
fn rows_are_json_lines_with_the_table_first() {
    let ran = run_with_input(&["rows", "-"], &format!("{PATIENT}\n{WEIGHT}\n"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with(r#"{"_table":"Patient","_id":"Patient/p","#), "{ran:?}");
    assert!(lines[1].starts_with(r#"{"_table":"Observation","_id":"Observation/w","#), "{ran:?}");
    // Decimals as written, dates as text.
    assert!(lines[1].contains(r#""valueQuantity_value":70.50"#), "{ran:?}");
    assert!(lines[1].contains(r#""effectiveDateTime":"2026-01""#), "{ran:?}");
    assert_eq!(ran.stderr, "2 records: 2 loaded; 2 rows\n");
}

#[test]
fn the_samples_give_the_rows_that_their_page_promises() {
    for (name, resources, code) in [
        ("patient-bundle.json", 12, 0),
        ("observations.ndjson.gz", 200, 0),
        ("intake form ü+1.json", 1, 0),
        ("patients-with-a-broken-line.ndjson", 8, 2),
    ] {
        let ran = run(&["rows", &sample(name)]);
        assert_eq!(ran.code, code, "{name}: {}", ran.stderr);
        let rows = rows(&ran);
        let of_resources = rows.iter().filter(|row| text(row, "_table") != "Bundle");
        let of_resources = of_resources.filter(|row| !text(row, "_id").contains('#')).count();
        assert_eq!(of_resources, resources, "{name}");
    }
}

#[test]
fn references_within_a_bundle_join() {
    let ran = run(&["rows", &sample("patient-bundle.json")]);
    let rows = rows(&ran);
    let ids: Vec<_> = rows.iter().map(|row| text(row, "_id")).collect();
    let keys =
        rows.iter().flat_map(|row| row.as_object().unwrap()).filter(|(name, _)| name.ends_with("_key"));
    let keys: Vec<_> = keys.map(|(_, key)| key.as_str().unwrap()).collect();
    assert!(keys.len() > 8, "{keys:?}");
    assert!(keys.iter().all(|key| ids.contains(key)), "{keys:?} in {ids:?}");
}

#[test]
fn a_folder_is_all_of_its_files_and_a_second_run_says_the_same() {
    let folder = sample("");
    let ran = run(&["rows", &folder]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("README.md: passed over"), "{}", ran.stderr);
    assert!(ran.stderr.contains("a-broken-line.ndjson:5: record 4: byte 960: truncated\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains(" 1 rejected; "), "{}", ran.stderr);
    assert_eq!(ran.stdout, run(&["rows", &folder]).stdout);
}

#[test]
fn a_reject_is_listed_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "patients.ndjson");
    let broken = r#"{"resourceType":"Patient","id":"b","multipleBirthInteger":99999999999}"#;
    fs::write(&file, format!("{PATIENT}\n{broken}\n{{\"resourceType\":\n")).unwrap();
    let ran = run(&["rows", &file]);
    assert_eq!(ran.code, 2);
    let (second, third) = (PATIENT.len() + 1, PATIENT.len() + broken.len() + 2);
    let number = second + broken.find("9999").unwrap();
    assert_eq!(
        ran.stderr,
        format!(
            "{file}:2: record 1: byte {number}: integer-out-of-range at /multipleBirthInteger\n\
             {file}:3: record 2: byte {third}: truncated\n\
             3 records: 1 loaded, 2 rejected; 1 rows\n"
        )
    );
    assert_eq!(rows(&ran).len(), 1);
}

#[test]
fn no_value_of_a_reject_is_printed() {
    let input = r#"{"resourceType":"Patient","id":"ca nary","birthDate":"canary","canary":"canary"}"#;
    let ran = run_with_input(&["rows", "-"], input);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("invalid-id at /id") && !ran.stderr.contains("nary"), "{}", ran.stderr);
}

#[test]
fn failures_are_1_and_the_other_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (path_of(&folder, "good.json"), path_of(&folder, "bad.txt"));
    fs::write(&good, PATIENT).unwrap();
    fs::write(&bad, "this is no FHIR\n").unwrap();
    let ran = run(&["rows", "no/such/file", &good]);
    assert_eq!((ran.code, rows(&ran).len()), (1, 1), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("flatfire: no/such/file: No such file"), "{}", ran.stderr);
    let nothing_loaded = run(&["rows", &bad]);
    assert_eq!(nothing_loaded.code, 1);
    assert!(nothing_loaded.stderr.contains("not-json"), "{}", nothing_loaded.stderr);
    assert_eq!(run(&["rows", &bad, &good]).code, 2);
}

#[test]
fn nothing_in_a_file_is_nothing_wrong() {
    let ran = run_with_input(&["rows", "-"], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
}

#[test]
fn wrong_usage_is_1_and_help_is_0() {
    for arguments in [&["rows"][..], &["rows", "--format", "xml", "-"], &["flatten"], &[]] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["rows", "--help"], &["--version"]] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(!ran.stdout.is_empty(), "{arguments:?}");
    }
    let ran = run_with_input(&["rows", "--inactive", "patient", "-"], PATIENT);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("inactive rule `patient`"), "{}", ran.stderr);
}

#[test]
fn csv_is_one_table_under_a_header() {
    let input = [
        r#"{"resourceType":"Patient","id":"1","birthDate":"1970-01-01","name":[{"text":"A \"B\", C"}]}"#,
        WEIGHT,
        r#"{"resourceType":"Patient","id":"2","active":true}"#,
    ];
    let input = input.join("\n");
    let ran = run_with_input(&["rows", "--format", "csv", "--table", "Patient", "-"], &input);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.stdout,
        "_id,id,birthDate,birthDate_at,name_text,name,active\r\n\
         Patient/1,1,1970-01-01,1970-01-01T00:00:00.000Z,\"A \"\"B\"\", C\",\
         \"[{\"\"text\"\":\"\"A \\\"\"B\\\"\", C\"\"}]\",\r\n\
         Patient/2,2,,,,,true\r\n"
    );
}

#[test]
fn csv_of_several_tables_names_them() {
    let input = format!("{PATIENT}\n{WEIGHT}\n");
    for arguments in
        [&["rows", "--format", "csv", "-"][..], &["rows", "--format", "csv", "--table", "X", "-"]]
    {
        let ran = run_with_input(arguments, &input);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("\n  Observation (1 rows)\n  Patient (1 rows)"), "{ran:?}");
    }
}

#[test]
fn csv_and_json_lines_hold_the_same_cells() {
    let files = sample("observations.ndjson.gz");
    let json = run(&["rows", "--arrays", "tables", "--table", "Observation", &files]);
    let csv = run(&["rows", "--arrays", "tables", "--table", "Observation", "--format", "csv", &files]);
    let mut reader = csv::Reader::from_reader(csv.stdout.as_bytes());
    let header = reader.headers().unwrap().clone();
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    let lines: Vec<_> = json.stdout.lines().collect();
    assert_eq!((records.len(), lines.len()), (200, 200));
    for (line, record) in lines.iter().zip(&records) {
        let row: Value = serde_json::from_str(line).unwrap();
        for (column, cell) in header.iter().zip(record) {
            match &row[column] {
                Value::Null => assert_eq!(cell, ""),
                Value::String(text) => assert_eq!(cell, text),
                // Numbers are compared in the line's own digits.
                Value::Number(_) => {
                    assert!(line.contains(&format!("\"{column}\":{cell}")), "{column} {cell}");
                }
                other => assert_eq!(&serde_json::from_str::<Value>(cell).unwrap(), other),
            }
        }
    }
}

#[test]
fn settings_reach_the_rows() {
    let input = r#"{"resourceType":"Patient","id":"1","text":{"status":"generated","div":"<div>x</div>"},"contact":[{"gender":"other"}],"extension":[{"url":"http://x.example/shoe-size","valueInteger":42}]}"#;
    let folder = tempfile::tempdir().unwrap();
    let names = path_of(&folder, "names.json");
    fs::write(&names, r#"{"http://x.example/shoe-size": "shoes"}"#).unwrap();
    let plain = run_with_input(&["rows", "-"], input);
    assert!(plain.stdout.contains(r#""shoeSize":42"#) && !plain.stdout.contains("text_div"), "{plain:?}");
    let arguments = ["rows", "--narrative", "--arrays", "tables", "--extension-names", &names, "-"];
    let set = run_with_input(&arguments, input);
    assert!(
        set.stdout.contains(r#""text_div":"<div>x</div>""#) && set.stdout.contains(r#""shoes":42"#),
        "{set:?}"
    );
    assert!(set.stdout.contains(r#"{"_table":"Patient_contact","#), "{set:?}");
    let rule = "Patient where contact.gender = 'other'";
    let inactive = run_with_input(&["rows", "--inactive", rule, "--inactive", "Group", "-"], input);
    assert_eq!((inactive.code, inactive.stdout.as_str()), (0, ""));
    assert_eq!(inactive.stderr, "1 records: 0 loaded, 1 archived; 0 rows\n");
}

#[test]
fn decimals_are_doubles_if_asked_for() {
    let input = r#"{"resourceType":"Observation","id":"1","component":[{"valueQuantity":{"value":70.50}},
        {"valueQuantity":{"value":0.12345678901234567890}}],"valueQuantity":{"value":1e400}}"#
        .replace('\n', "");
    let ran = run_with_input(&["rows", "--decimals", "double", "-"], &input);
    assert_eq!(ran.code, 0, "{ran:?}");
    let row = &rows(&ran)[0];
    assert_eq!(row["component"][0]["valueQuantity_value"].to_string(), "70.5");
    assert_eq!(row["component"][1]["valueQuantity_value"].to_string(), "0.12345678901234568");
    assert_eq!(row["component"][1]["valueQuantity_value_text"], "0.12345678901234567890");
    assert_eq!((row.get("valueQuantity_value"), &row["valueQuantity_value_text"]), (None, &"1e400".into()));
    assert_eq!(run_with_input(&["rows", "--decimals", "float", "-"], &input).code, 1);
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    for format in ["ndjson", "csv"] {
        let folder = tempfile::tempdir().unwrap();
        let file = path_of(&folder, "many.ndjson");
        let line = |n| format!(r#"{{"resourceType":"Patient","id":"{n}","birthDate":"1970-01-01"}}"#);
        fs::write(&file, (0..20_000).map(|n| line(n) + "\n").collect::<String>()).unwrap();
        let mut child = flatfire(&["rows", "--format", format, &file])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{format}");
    }
}

const VIEW: &str = r#"{"resourceType":"ViewDefinition","name":"given_name","resource":"Patient","select":[
    {"column":[{"name":"patient_key","path":"getResourceKey()"}]},
    {"forEach":"name.given","column":[{"name":"given","path":"$this"}]}]}"#;

#[test]
fn views_are_tables() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(path_of(&folder, "given_name.json"), VIEW).unwrap();
    let views = folder.path().to_str().unwrap();
    let ran = run_with_input(&["rows", "--views", views, "--tables", "views", "-"], PATIENT);
    assert_eq!(
        ran.stdout,
        "{\"_table\":\"given_name\",\"_id\":\"Patient/p#0\",\"patient_key\":\"Patient/p\",\"given\":\"A\"}\n\
         {\"_table\":\"given_name\",\"_id\":\"Patient/p#1\",\"patient_key\":\"Patient/p\",\"given\":\"B\"}\n"
    );
    let both = run_with_input(&["rows", "--views", views, "-"], PATIENT);
    let tables: Vec<_> = rows(&both).iter().map(|row| text(row, "_table").to_owned()).collect();
    assert_eq!(tables, ["Patient", "given_name", "given_name"]);
    let csv =
        run_with_input(&["rows", "--views", views, "--format", "csv", "--table", "given_name", "-"], WEIGHT);
    assert_eq!((csv.code, csv.stdout.as_str()), (0, "_id,patient_key,given\r\n"), "{}", csv.stderr);
}

#[test]
fn a_resource_that_breaks_a_view_is_missing_there_alone() {
    let folder = tempfile::tempdir().unwrap();
    let view = r#"{"name":"family","resource":"Patient","select":[{"column":[{"name":"family","path":"name.family"}]}]}"#;
    fs::write(path_of(&folder, "family.json"), view).unwrap();
    let input = r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"},{"family":"B"}]}"#;
    let ran = run_with_input(&["rows", "--views", folder.path().to_str().unwrap(), "-"], input);
    assert_eq!((ran.code, rows(&ran).len()), (2, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("-:1: record 0: byte "), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("several-values at ") && ran.stderr.contains("in view family"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_broken_view_stops_everything() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(path_of(&folder, "broken.json"), VIEW.replace("getResourceKey()", "getResourceKeys()"))
        .unwrap();
    let ran = run_with_input(&["rows", "--views", folder.path().to_str().unwrap(), "-"], PATIENT);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("broken.json") && ran.stderr.contains("select[0].column[0].path"),
        "{}",
        ran.stderr
    );
    let empty = tempfile::tempdir().unwrap();
    let ran = run_with_input(&["rows", "--views", empty.path().to_str().unwrap(), "-"], PATIENT);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("no file in it ends in .json"), "{}", ran.stderr);
}

#[test]
fn a_table_that_is_not_there_is_said_with_those_that_are() {
    let file = sample("patient-bundle.json");
    for format in ["ndjson", "csv"] {
        let ran = run(&["rows", "--format", format, "--table", "Nope", &file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        assert!(ran.stderr.contains("no row of the table Nope; it yields:\n"), "{ran:?}");
        assert!(ran.stderr.contains("\n  Patient (1 rows)"), "{ran:?}");
    }
    let views = format!("{}/../../views", env!("CARGO_MANIFEST_DIR"));
    let ran = run(&["rows", "--views", &views, "--table", "questionnaire_answers", &file]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "a view that nothing fits: {ran:?}");
    let ran = run_with_input(&["rows", "--table", "Nope", "-"], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "nothing came: {ran:?}");
}

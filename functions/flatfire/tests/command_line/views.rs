//! `flatfire check` and `flatfire schema`

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{path_of, run, sample};

/// Returns the views that the project ships, by their names.
fn shipped() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../views");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let views = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names: Vec<_> = views
        .map(|path| {
            let view: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            view["name"].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    assert!(names.len() > 8, "{names:?}");
    names
}

const VIEW: &str = r#"{"name":"weight","resource":"Observation","select":[{"column":[
    {"name":"patient_key","path":"subject.getReferenceKey(Patient)"},
    {"name":"codes","path":"code.coding.code","collection":true},
    {"name":"kilograms","path":"value.ofType(Quantity).value"}]}]}"#;

#[test]
fn check_prints_the_tables_of_views_that_compile() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(path_of(&folder, "weight.json"), VIEW).unwrap();
    let ran = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.starts_with("weight: at most one row for each Observation\n"), "{}", ran.stdout);
    for (column, cell) in [("patient_key", "text"), ("codes", "text[]"), ("kilograms", "decimal")] {
        let line = ran.stdout.lines().find(|line| line.contains(&format!(" {column} "))).unwrap();
        assert!(line.contains(&format!(" {cell} ")), "{line}");
    }
    let ran = run(&["check", folder.path().to_str().unwrap(), "--decimals", "double"]);
    let line = ran.stdout.lines().find(|line| line.contains(" kilograms ")).unwrap();
    assert!(line.contains(" double "), "{line}");
}

#[test]
fn schema_prints_the_doubles_of_views() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(path_of(&folder, "weight.json"), VIEW).unwrap();
    let schema = |form: &str| {
        let views = folder.path().to_str().unwrap();
        run(&["schema", "--views", views, "--decimals", "double", "--as", form]).stdout
    };
    let validators: Value = serde_json::from_str(&schema("json-schema")).unwrap();
    let kilograms = &validators["weight"]["properties"]["kilograms"]["bsonType"];
    assert_eq!(*kilograms, serde_json::json!(["double", "string", "null"]));
    assert!(schema("sql").contains("\"kilograms\" DOUBLE PRECISION"), "{}", schema("sql"));
    assert!(schema("columns").contains("weight\tkilograms\tdouble\t"), "{}", schema("columns"));
}

#[test]
fn check_prints_every_mistake_of_every_view() {
    let folder = tempfile::tempdir().unwrap();
    let broken = VIEW.replace("getReferenceKey", "getKey").replace(".value\"", "..value\"");
    fs::write(path_of(&folder, "broken.json"), broken).unwrap();
    fs::write(path_of(&folder, "text.json"), "a view").unwrap();
    let ran = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    for part in ["broken.json", "select[0].column[0].path", "getKey", "select[0].column[2].path", "text.json"]
    {
        assert!(ran.stderr.contains(part), "{part} is missing in:\n{}", ran.stderr);
    }
    assert_eq!(run(&["check", "no/such/folder"]).code, 1);
}

#[test]
fn check_says_whether_views_fit_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "weight.json");
    let typed = VIEW
        .replace(
            r#""name":"weight""#,
            r#""name":"weight","status":"active","url":"https://v.example/w","fhirVersion":["4.0.1"]"#,
        )
        .replace(r#"(Patient)""#, r#"(Patient)","type":"string""#)
        .replace(r#""collection""#, r#""type":"code","collection""#)
        .replace(r#"Quantity).value""#, r#"Quantity).value","type":"decimal""#);
    fs::write(&file, typed).unwrap();
    let check = |profile: &str| run(&["check", "--view-profile", profile, folder.path().to_str().unwrap()]);
    let shareable = check("shareable");
    assert_eq!((shareable.code, shareable.stderr.as_str()), (0, ""));
    let tabular = check("tabular");
    assert_eq!((tabular.code, tabular.stdout.as_str()), (1, ""));
    assert!(
        tabular
            .stderr
            .contains("weight.json: select[0].column[1].collection: expected no collection (column `codes`)")
    );
    assert_eq!(tabular.stderr.matches("weight.json").count(), 1, "{}", tabular.stderr);
    fs::write(&file, VIEW).unwrap();
    let plain = check("shareable");
    for part in ["not shareable", "url: ", "fhirVersion: ", "column[2].type: "] {
        assert!(plain.stderr.contains(part), "{part} is missing in:\n{}", plain.stderr);
    }
}

#[test]
fn schema_is_that_of_the_shipped_views() {
    let columns = run(&["schema", "--as", "columns"]);
    let mut tables: Vec<_> = columns.stdout.lines().map(|line| line.split('\t').next().unwrap()).collect();
    tables.dedup();
    assert_eq!(tables, shipped());
    let sql = run(&["schema", "--as", "sql"]);
    assert_eq!(sql.stdout.matches("CREATE TABLE ").count(), tables.len());
    let schemas: Value = serde_json::from_str(&run(&["schema", "--as", "json-schema"]).stdout).unwrap();
    assert_eq!(schemas.as_object().unwrap().keys().collect::<Vec<_>>(), tables);
    assert_eq!(schemas["patients"]["required"][0], "_id");
}

#[test]
fn schema_is_that_of_given_views() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(path_of(&folder, "weight.json"), VIEW).unwrap();
    let ran = run(&["schema", "--as", "columns", "--views", folder.path().to_str().unwrap()]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.starts_with("weight\tpatient_key\ttext\t"), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 3);
}

#[test]
fn the_shipped_views_run_when_views_are_asked_for() {
    let file = sample("patient-bundle.json");
    let ran = run(&["rows", "--tables", "views", &file]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let shipped = shipped();
    for line in ran.stdout.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(shipped.iter().any(|name| name == row["_table"].as_str().unwrap()), "{line}");
    }
    assert!(ran.stdout.contains(r#"{"_table":"patients","#), "{}", ran.stdout);
    assert!(run(&["rows", &file]).stdout.lines().all(|line| !line.starts_with(r#"{"_table":"patients""#)));
}

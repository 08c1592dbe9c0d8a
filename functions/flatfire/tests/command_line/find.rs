//! `flatfire find`

use std::fs;

use crate::program::{path_of, run, sample};

const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
 {"fullUrl":"urn:uuid:a","resource":{"resourceType":"Patient","id":"other"}},
 {"resource":{"resourceType":"Patient","id":"anna"}},
 {"request":{"method":"DELETE","url":"Patient/anna"}}]}"#;
const NESTED: &str = r#"{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Patient","id":"anna"}}]}"#;
const MENTIONED: &str = r#"{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/anna"},"contained":[{"resourceType":"Patient","id":"anna"}]}"#;

#[test]
fn every_record_is_found_with_its_line_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"resourceType":"Patient","id":"anna"}"#;
    let lines = [MENTIONED, line, "{broken", NESTED].join("\n");
    fs::write(path_of(&folder, "a.json"), BUNDLE).unwrap();
    fs::write(path_of(&folder, "b.ndjson.zst"), zstd::encode_all(lines.as_bytes(), 3).unwrap()).unwrap();
    let place = folder.path().display().to_string();
    let ran = run(&["find", "Patient/anna", "--in", &place]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split('\t').collect()).collect();
    let text_at = |text: &str, range: &str| {
        let (first, last) = range.strip_prefix("bytes ").unwrap().split_once('-').unwrap();
        text[first.parse().unwrap()..=last.parse().unwrap()].to_owned()
    };
    let [in_bundle, deletion, in_lines, nested] = found.as_slice() else { panic!("{}", ran.stdout) };
    assert!(in_bundle[0].ends_with("/a.json") && in_bundle[1] == "line 3" && in_bundle[3] == "resource");
    assert_eq!(text_at(BUNDLE, in_bundle[2]), line);
    assert_eq!((deletion[1], deletion[3]), ("line 4", "DELETE entry"));
    assert!(in_lines[0].ends_with("/b.ndjson.zst") && in_lines[1] == "line 2");
    assert_eq!(
        (text_at(&lines, in_lines[2]), text_at(&lines, nested[2])),
        (line.to_owned(), line.to_owned())
    );
    assert!(
        ran.stderr.contains("1 records could not be read") && ran.stderr.contains("4 records in 2 objects")
    );
}

#[test]
fn what_is_not_there_or_cannot_be_read_has_its_exit_code() {
    let code = |arguments: &[&str]| run(&[&["find"], arguments].concat()).code;
    assert_eq!(code(&["Patient/anna", "--in", &sample("patient-bundle.json")]), 2);
    assert_eq!(code(&["Patient/anna", "--in", "no/such/folder"]), 1);
    assert_eq!(code(&["anna", "--in", &sample("patient-bundle.json")]), 1);
}

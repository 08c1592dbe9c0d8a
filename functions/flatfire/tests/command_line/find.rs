//! `flatfire find`

use std::fs;
use std::io::Write as _;

use crate::objects::{self, Object};
use crate::program::{Ran, flatfire, path_of, run, sample};

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
    // A record that cannot be read may be of it too.
    assert_eq!(ran.code, 1, "{}", ran.stderr);
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

/// Reads a bucket as the command line does with AWS, which is played by the test.
#[test]
fn every_version_of_every_object_below_a_prefix_is_read() {
    let gzipped = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let anna = r#"{"resourceType":"Patient","id":"anna"}"#;
    let other = r#"{"resourceType":"Patient","id":"other"}"#;
    let (first, second) = (format!("{other}\n{anna}\n{other}\n{anna}"), format!("{anna}\n"));
    let objects = [
        ("in/a.ndjson", "v1", first.as_bytes().to_vec()),
        ("in/a.ndjson", "v2", second.as_bytes().to_vec()),
        ("in/b.ndjson.gz", "v3", gzipped(first.as_bytes())),
        ("in/c/d.json", "v4", BUNDLE.as_bytes().to_vec()),
        ("in/e.json.gz", "v5", gzipped(BUNDLE.as_bytes())),
        ("in/f.json", "v6", other.as_bytes().to_vec()),
        ("elsewhere/a.ndjson", "v7", first.as_bytes().to_vec()),
    ];
    let bucket = objects::serve(
        objects.into_iter().map(|(key, version, bytes)| Object { key, version, bytes }).collect(),
    );
    let find = |key: &str, place: &str| -> Ran {
        let mut command = flatfire(&["find", key, "--in", place]);
        command.envs([("AWS_ENDPOINT_URL", bucket.as_str()), ("AWS_REGION", "eu-central-1")]);
        command.envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
        command.output().unwrap().into()
    };
    let ran = find("Patient/anna", "s3://clinic/in/");
    assert_eq!(ran.code, 0, "{ran:?}");
    let (line, entry) = (other.len() + 1, BUNDLE.find("{\"resource\":").unwrap());
    let deletion = BUNDLE.find("{\"request\":").unwrap();
    let resource = entry + "{\"resource\":".len();
    let bytes = |from: usize, length: usize| format!("{from}-{}", from + length - 1);
    let deleted = bytes(deletion, BUNDLE.len() - deletion - "]}".len());
    let (near, far) = (bytes(line, anna.len()), bytes(2 * line + anna.len() + 1, anna.len()));
    let in_bundle = bytes(resource, anna.len());
    let expected = [
        ("in/a.ndjson", "v1", 2, &near, "resource"),
        ("in/a.ndjson", "v1", 4, &far, "resource"),
        ("in/a.ndjson", "v2", 1, &bytes(0, anna.len()), "resource"),
        ("in/b.ndjson.gz", "v3", 2, &near, "resource"),
        ("in/b.ndjson.gz", "v3", 4, &far, "resource"),
        ("in/c/d.json", "v4", 3, &in_bundle, "resource"),
        ("in/c/d.json", "v4", 4, &deleted, "DELETE entry"),
        ("in/e.json.gz", "v5", 3, &in_bundle, "resource"),
        ("in/e.json.gz", "v5", 4, &deleted, "DELETE entry"),
    ]
    .map(|(key, version, line, bytes, what)| {
        format!("s3://clinic/{key}\tversion {version}\tline {line}\tbytes {bytes}\t{what}")
    });
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
    assert!(ran.stderr.contains("9 records in 6 objects"), "{ran:?}");

    assert_eq!(find("Patient/anna", "s3://clinic/in/f").code, 2);
    assert_eq!(find("Patient/anna", "s3://clinic/in/a").stdout.lines().count(), 3);
}

//! The same resources in every form that is recognised by content: names say nothing.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use flatfire_tests::{Runner, Tables, number, text, with_function_and_worker};

const RESOURCES: [&str; 3] = [
    r#"{"resourceType":"Patient","id":"f1","meta":{"lastUpdated":"2026-01-05T10:00:00Z"},"birthDate":"1990"}"#,
    r#"{"resourceType":"Patient","id":"f2","meta":{"lastUpdated":"2026-01-05T10:00:00Z"},"name":[{"family":"Ü"}]}"#,
    r#"{"resourceType":"Observation","id":"f3","meta":{"lastUpdated":"2026-01-05T10:00:00Z"},"status":"final","subject":{"reference":"Patient/f1"},"valueQuantity":{"value":1.50}}"#,
];

fn ndjson() -> Vec<u8> {
    (RESOURCES.join("\n") + "\n").into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap()
}

/// Returns each form with the number of its records: a Bundle is one as well.
fn forms() -> Vec<(&'static str, Vec<u8>, i64)> {
    let bundle = format!(
        r#"{{"entry":[{}],"type":"collection","resourceType":"Bundle"}}"#,
        RESOURCES.map(|resource| format!(r#"{{"resource":{resource}}}"#)).join(",")
    );
    let pieces = RESOURCES.map(|resource| gzip(format!("{resource}\n").as_bytes()));
    vec![
        ("lines.ndjson", ndjson(), 3),
        ("lines-with-returns", [b"\xEF\xBB\xBF", RESOURCES.join("\r\n\r\n").as_bytes()].concat(), 3),
        ("array.json", format!("[\n{}\n]", RESOURCES.join(",\n")).into_bytes(), 3),
        ("bundle-whose-type-comes-last.json", bundle.clone().into_bytes(), 4),
        ("lines.gz", gzip(&ndjson()), 3),
        ("members.gz", pieces.concat(), 3),
        ("gzip-by-another-name.json", gzip(bundle.as_bytes()), 4),
        ("lines.zst", zstd(&ndjson()), 3),
        ("zstd-by-another-name.gz", zstd(bundle.as_bytes()), 4),
    ]
}

with_function_and_worker! {
    every_form_of_the_same_resources_gives_the_same_rows,
}

async fn every_form_of_the_same_resources_gives_the_same_rows(runner: Runner) {
    let stack = runner.deploy("forms").await;
    let mut first: Option<Tables> = None;
    for (name, bytes, records) in forms() {
        let upload = stack.upload(name, bytes).await;
        let load = stack.settled(&upload).await;
        assert_eq!(text(&load, "status"), "done", "{name}: {load}");
        assert_eq!(number(&load, "counts.records"), records, "{name}: {load}");
        assert_eq!(number(&load, "bytes").cast_unsigned(), upload.size, "{name}: {load}");
        let mut tables = stack.tables().await.without_origin();
        // A Bundle without an id has a row of its own, under the hash of its bytes.
        tables.0.remove("Bundle");
        assert_eq!(&tables, first.get_or_insert_with(|| tables.clone()), "{name}");
    }
    let tables = stack.tables().await;
    assert_eq!((tables.rows("Patient").count(), tables.rows("Observation").count()), (2, 1));
}

//! Broken content: what was whole is loaded, the rest is set aside with its place, and the ledger says so.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use flatfire_tests::{Runner, Stack, Upload, number, text, with_function_and_worker};
use mongodb::bson::Document;

/// What becomes of one file.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    status: &'static str,
    /// Patients whose rows must stand there afterwards.
    loaded: usize,
    /// Code, line, and where it is known in advance the offset of each reject.
    rejects: Vec<(&'static str, i64, Option<usize>)>,
}

fn patient(case: &str, number: usize) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{case}-{number}"}}"#)
}

fn lines(case: &str, count: usize) -> String {
    (0..count).map(|number| patient(case, number) + "\n").collect()
}

fn cut_gzip() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(lines("gz", 50).as_bytes()).unwrap();
    let mut bytes = encoder.finish().unwrap();
    // Behind the 40th line and into the 41st, as nothing is really compressed; the header has 15 bytes.
    bytes.truncate(15 + lines("gz", 40).len() + 10);
    bytes
}

fn cases() -> Vec<Case> {
    let bundle_start = r#"{"resourceType":"Bundle","type":"collection","entry":["#;
    let entry = format!(r#"{{"resource":{}}}"#, patient("bundle", 0));
    let whole = lines("line", 1);
    vec![
        Case {
            name: "truncated-bundle.json",
            bytes: format!(r#"{bundle_start}{entry},{{"resource":{{"resourceType":"Pat"#).into_bytes(),
            status: "partial",
            loaded: 1,
            rejects: vec![("truncated", 1, Some(bundle_start.len() + entry.len() + 1))],
        },
        Case {
            name: "cut.ndjson.gz",
            bytes: cut_gzip(),
            status: "partial",
            loaded: 40,
            rejects: vec![("cut-compression", 41, None)],
        },
        Case {
            name: "broken-lines.ndjson",
            bytes: format!(
                "{whole}{{\"resourceType\":\"Patient\",\"id\"\n{{\"id\":7e}}\n{}",
                patient("line", 1)
            )
            .into_bytes(),
            status: "partial",
            loaded: 2,
            rejects: vec![("truncated", 2, Some(whole.len())), ("invalid-number", 3, None)],
        },
        Case {
            name: "letter.txt",
            bytes: b"Dear all,\nthis is a letter.\n".to_vec(),
            status: "failed",
            loaded: 0,
            rejects: vec![("not-json", 1, Some(0)), ("not-json", 2, Some(10))],
        },
        Case {
            name: "other.json",
            bytes: br#"{"name": "something else", "version": 1}"#.to_vec(),
            status: "failed",
            loaded: 0,
            rejects: vec![("not-a-resource", 1, Some(0))],
        },
        Case { name: "blank.ndjson", bytes: b" \n\n".to_vec(), status: "done", loaded: 0, rejects: vec![] },
    ]
}

with_function_and_worker! {
    what_is_whole_is_loaded_and_what_is_broken_is_set_aside_with_its_place,
}

async fn what_is_whole_is_loaded_and_what_is_broken_is_set_aside_with_its_place(runner: Runner) {
    let stack = runner.deploy("broken").await;
    let mut uploads = Vec::new();
    for case in cases() {
        uploads.push((stack.upload(case.name, case.bytes.clone()).await, case));
    }
    for (upload, case) in uploads {
        let load = stack.settled(&upload).await;
        assert_eq!(text(&load, "status"), case.status, "{}: {load}", case.name);
        assert_eq!(number(&load, "bytes").cast_unsigned(), upload.size, "{}: {load}", case.name);
        let rejects = rejects_of(&stack, &upload).await;
        let found: Vec<_> = rejects.iter().map(|reject| place(reject, &case)).collect();
        assert_eq!(found, case.rejects, "{}: {rejects:?}", case.name);
        sums(&load, case.loaded, case.rejects.len());
    }
    let loaded: usize = cases().iter().map(|case| case.loaded).sum();
    assert_eq!(stack.tables().await.rows("Patient").count(), loaded);
    assert_eq!(stack.dead_letters().await, 0, "what no retry heals is recorded and acknowledged");
}

async fn rejects_of(stack: &Stack, upload: &Upload) -> Vec<Document> {
    let tables = stack.tables().await;
    let mut rejects: Vec<_> =
        tables.rows("_rejects").filter(|reject| text(reject, "key") == upload.key).cloned().collect();
    rejects.sort_by_key(|reject| number(reject, "ordinal"));
    rejects
}

/// Returns code, line and offset, the offset only where the case knows it.
fn place(reject: &Document, case: &Case) -> (&'static str, i64, Option<usize>) {
    let line = number(reject, "line");
    let expected = case.rejects.iter().find(|(known, ..)| *known == text(reject, "code"));
    let Some((code, _, offset)) = expected else { panic!("{}: {reject}", case.name) };
    (code, line, offset.map(|_| usize::try_from(number(reject, "offset")).unwrap()))
}

fn sums(load: &Document, loaded: usize, rejected: usize) {
    let count = |name: &str| usize::try_from(number(load, &format!("counts.{name}"))).unwrap();
    let fates = ["loaded", "unchanged", "superseded", "archived", "deleted", "rejected"].map(count);
    assert_eq!(count("records"), fates.iter().sum::<usize>(), "{load}");
    assert!(count("loaded") >= loaded, "{load}");
    assert_eq!(count("rejected"), rejected, "{load}");
    let codes = load.get_document("codes").unwrap();
    let by_code: i64 = codes.keys().map(|code| number(codes, code)).sum();
    assert_eq!(usize::try_from(by_code).unwrap(), rejected, "{load}");
}

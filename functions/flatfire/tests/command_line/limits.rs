//! Files as no sender means them: what the whole process takes for each of them, by the operating system's account.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use crate::memory::{MEGABYTE, Taken, taken};
use crate::program::{path_of, run};

/// Returns what `flatfire rows` takes for a file, and how it ends.
fn rows_of(write: impl FnOnce(&mut dyn FnMut(&str))) -> Taken {
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "hostile.json");
    let mut output = std::io::BufWriter::new(fs::File::create(&file).unwrap());
    write(&mut |text| output.write_all(text.as_bytes()).unwrap());
    output.flush().unwrap();
    drop(output);
    taken(&file)
}

/// Returns one Patient of about so many bytes, whose members are repeated with a number and commas between them.
fn patient(bytes: usize, open: &str, item: impl Fn(usize) -> String, close: &str) -> Taken {
    rows_of(|write| {
        write(r#"{"resourceType":"Patient","id":"p","#);
        write(open);
        let (mut written, mut number) = (0, 0);
        while written < bytes {
            let text = item(number);
            let comma = if number > 0 { "," } else { "" };
            write(comma);
            write(&text);
            (written, number) = (written + comma.len() + text.len(), number + 1);
        }
        write(close);
        write("}");
    })
}

const LARGE: usize = 63 * MEGABYTE - 1_000;

/// Asserts that a resource was set aside with a code, within the limit of memory.
fn is_refused(taken: &Taken, code: &str) {
    assert!(taken.peak < 700 * MEGABYTE, "{} MiB", taken.peak / MEGABYTE);
    assert!(taken.code == 1 && taken.stderr.contains(code), "{taken:?}");
}

#[test]
fn a_large_resource_of_unknown_names() {
    is_refused(&patient(LARGE, "", |number| format!(r#""made{number}":0"#), ""), "too-large");
}

#[test]
fn a_large_resource_of_one_array() {
    is_refused(&patient(LARGE, r#""made":["#, |_| "7".to_owned(), "]"), "too-large");
}

#[test]
fn a_large_resource_of_contained_resources() {
    let contained = |number| format!(r#"{{"resourceType":"Basic","id":"{number}"}}"#);
    is_refused(&patient(LARGE, r#""contained":["#, contained, "]"), "too-large");
}

#[test]
fn a_resource_of_extensions() {
    let extension =
        |number| format!(r#"{{"url":"http://a.example/made/{number}/up{number}","valueBoolean":true}}"#);
    is_refused(&patient(30 * MEGABYTE, r#""extension":["#, extension, "]"), "too-many-names");
}

#[test]
fn a_resource_of_made_up_objects() {
    let object = |number| format!(r#"{{"made{number}":{{"up":[]}}}}"#);
    is_refused(&patient(10 * MEGABYTE, r#""a":["#, object, "]"), "too-many-names");
}

#[test]
fn a_million_contained_resources_are_rows() {
    let taken = patient(20 * MEGABYTE, r#""contained":["#, |_| r#"{"resourceType":"X"}"#.to_owned(), "]");
    assert!(taken.peak < 700 * MEGABYTE, "{} MiB", taken.peak / MEGABYTE);
    assert_eq!(taken.code, 0, "{taken:?}");
}

#[test]
fn work_grows_with_the_number_of_urls_and_types() {
    let patients = |count: usize| {
        rows_of(|write| {
            for number in 0..count {
                let url = format!("http://a.example/made/up{number}");
                write(&format!(
                    r#"{{"resourceType":"Patient","id":"{number}","extension":[{{"url":"{url}","valueCode":"c"}}]}}"#
                ));
                write("\n");
            }
        })
    };
    let types = |count: usize| {
        rows_of(|write| {
            (0..count).for_each(|number| {
                write(&format!(r#"{{"resourceType":"Made{number}","id":"1"}}"#));
                write("\n");
            });
        })
    };
    let inputs: [&dyn Fn(usize) -> Taken; 2] = [&patients, &types];
    for (index, input) in inputs.into_iter().enumerate() {
        let (few, many) = (input(20_000), input(80_000));
        assert!(many.code == 0 && many.peak < 300 * MEGABYTE, "{index}: {many:?}");
        // Four times as many: by the square it would be sixteen times as long.
        assert!(
            many.seconds <= 6.0 * few.seconds + 0.5,
            "{index}: {} s after {} s",
            many.seconds,
            few.seconds
        );
    }
}

#[test]
fn no_table_is_called_by_a_sender() {
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "made-up.ndjson");
    let mut text = String::new();
    for number in 0..500 {
        let patient = format!(
            r#"{{"resourceType":"Patient","id":"{number}","made{number}":[{{"a":1}},{{"a":2}}],
            "contained":[{{"resourceType":"Made{number}","up":[{{"b":1}},{{"b":2}}]}}],
            "extension":[{{"url":"made{number}","valueCoding":{{"code":"1"}}}},{{"url":"made{number}","valueCoding":{{"code":"2"}}}}]}}"#
        );
        writeln!(text, "{}", patient.replace('\n', "")).unwrap();
        writeln!(text, r#"{{"resourceType":"Up{number}","id":"1"}}"#).unwrap();
    }
    fs::write(&file, text).unwrap();
    for arrays in ["embedded", "tables"] {
        let ran = run(&["rows", "--tables", "automatic", "--arrays", arrays, &file]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let tables: std::collections::BTreeSet<&str> =
            ran.stdout.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
        assert_eq!(tables.into_iter().collect::<Vec<_>>(), ["Patient", "Unknown_contained"], "{arrays}");
    }
}

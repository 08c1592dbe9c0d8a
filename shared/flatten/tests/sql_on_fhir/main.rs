//! Views against cases: HL7's where they stand beside the project, and the project's own, which cover every rule.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod canonical;
mod harness;

use std::path::{Path, PathBuf};

use harness::{Tally, run_folder};

/// The project's own cases.
fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/views")
}

/// HL7's cases, beside the project's root.
fn official() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/sql-on-fhir/tests")
}

#[test]
fn own_cases() {
    let Tally { cases, failures, .. } = run_folder(&own());
    assert!(cases > 0, "the project's own cases are missing");
    assert!(failures.is_empty(), "{} of {cases} cases fail:\n{}", failures.len(), failures.join("\n"));
}

/// The list of cases that may fail is empty, and stays so: there is no place to write one down.
#[test]
fn official_cases() {
    if !official().is_dir() {
        return;
    }
    let Tally { cases, failures, errors_with_data } = run_folder(&official());
    assert!(failures.is_empty(), "{} of {cases} cases fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 148);
    // Every other case that expects an error is refused without data.
    let with_data = [
        "collection.json: fail when 'collection' is not true",
        "fn_reference_keys.json: getReferenceKey on multiple references fails in a single-valued column",
    ];
    assert_eq!(errors_with_data, with_data);
}

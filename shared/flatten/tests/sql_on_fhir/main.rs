//! Views against cases: the project's own, which cover every rule, and with the feature `corpus` HL7's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod canonical;
mod harness;

use std::collections::BTreeMap;
#[cfg(feature = "corpus")]
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::{Tally, run_folder, titles};

/// Returns the project's own cases.
fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/views")
}

/// Returns the folder of HL7's cases, which stand beside the repository.
#[cfg(feature = "corpus")]
fn official() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/sql-on-fhir/tests");
    assert!(folder.is_dir(), "the feature `corpus` needs HL7's cases in {}", folder.display());
    folder
}

#[test]
fn own_cases() {
    let Tally { cases, failures, .. } = run_folder(&own());
    assert!(cases > 0, "the project's own cases are missing");
    assert!(failures.is_empty(), "{} of {cases} cases fail:\n{}", failures.len(), failures.join("\n"));
}

/// Returns the table of HL7's cases: by file and title, the project's own cases that check the same rule.
fn covered() -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sql_on_fhir.json");
    serde_json::from_slice(&fs::read(table).unwrap()).unwrap()
}

/// Each rule of HL7's cases stays checked where their files are not.
#[test]
fn every_rule_of_the_official_cases_has_an_own_case() {
    let own = titles(&own());
    let covered = covered();
    let rules: Vec<(&String, &Vec<String>)> = covered.values().flatten().collect();
    assert_eq!(rules.len(), 148);
    for (rule, cases) in rules {
        assert!(!cases.is_empty(), "{rule} is covered by no case");
        for case in cases {
            assert!(own.contains(case), "{rule} is covered by `{case}`, which does not exist");
        }
    }
}

#[cfg(feature = "corpus")]
#[test]
fn every_official_case_is_in_the_table() {
    let table = covered();
    let rules =
        table.iter().flat_map(|(file, rules)| rules.keys().map(move |title| format!("{file}: {title}")));
    assert_eq!(rules.collect::<BTreeSet<_>>(), titles(&official()));
}

/// The list of cases that may fail is empty, and stays so: there is no place to write one down.
#[cfg(feature = "corpus")]
#[test]
fn official_cases() {
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

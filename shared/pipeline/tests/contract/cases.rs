//! The cases: batches, what stands after them, and what each counted.

use crate::spec::{BatchSpec, archived, batch, deleted, pending, rows, suffixed};

const P: &str = "Patient/1";
const A: &str = "AuditEvent/1";

/// Batches and their outcome.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) batches: Vec<BatchSpec>,
    /// Every document: table, `_id`, version, and what tombstones and archived resources say.
    pub(crate) expected: Vec<&'static str>,
    /// Of each batch: loaded, superseded, deleted, archived, rejected.
    pub(crate) counts: Vec<[u64; 5]>,
}

pub(crate) fn case(
    name: &'static str,
    batches: impl Into<Vec<BatchSpec>>,
    expected: &[&'static str],
    counts: &[[u64; 5]],
) -> Case {
    Case { name, batches: batches.into(), expected: expected.to_vec(), counts: counts.to_vec() }
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = rows_cases();
    cases.extend(absence_cases());
    cases.extend(mixed_cases());
    cases.extend(deletion_cases());
    cases.extend(archive_cases());
    cases.extend(completion_cases());
    cases.extend(reject_cases());
    cases
}

pub(crate) const LOADED: [u64; 5] = [1, 0, 0, 0, 0];
pub(crate) const SUPERSEDED: [u64; 5] = [0, 1, 0, 0, 0];
pub(crate) const DELETED: [u64; 5] = [0, 0, 1, 0, 0];
pub(crate) const ARCHIVED: [u64; 5] = [0, 0, 0, 1, 0];

fn rows_cases() -> Vec<Case> {
    vec![
        case("nothing", [batch([])], &[], &[[0; 5]]),
        case(
            "several resources in several tables",
            [batch([rows(P, 1, 2), rows("Patient/2", 2, 0)])],
            &["Patient Patient/1 @1", "Patient Patient/2 @2", "names Patient/1#0 @1", "names Patient/1#1 @1"],
            &[[2, 0, 0, 0, 0]],
        ),
        case(
            "the newer version comes last",
            [batch([rows(P, 1, 1)]), batch([rows(P, 2, 1)])],
            &["Patient Patient/1 @2", "names Patient/1#0 @2"],
            &[LOADED, LOADED],
        ),
        case(
            "the newer version comes first",
            [batch([rows(P, 2, 1)]), batch([rows(P, 1, 1)])],
            &["Patient Patient/1 @2", "names Patient/1#0 @2"],
            &[LOADED, SUPERSEDED],
        ),
        case(
            "fewer rows replace more",
            [batch([rows(P, 1, 3)]), batch([rows(P, 2, 1)])],
            &["Patient Patient/1 @2", "names Patient/1#0 @2"],
            &[LOADED, LOADED],
        ),
        case(
            "more rows come too late to replace fewer",
            [batch([rows(P, 2, 1)]), batch([rows(P, 1, 3)])],
            &["Patient Patient/1 @2", "names Patient/1#0 @2"],
            &[LOADED, SUPERSEDED],
        ),
    ]
}

fn absence_cases() -> Vec<Case> {
    vec![
        case(
            "no rows of a view replace some",
            [batch([rows(P, 1, 2)]), batch([rows(P, 2, 0)])],
            &["Patient Patient/1 @2"],
            &[LOADED, LOADED],
        ),
        case(
            "a resource without a main row keeps an older one away",
            [batch([suffixed(P, 2, 1)]), batch([rows(P, 1, 2)])],
            &["_tombstones Patient/1 @2 \"no rows\"", "names Patient/1#0 @2"],
            &[LOADED, SUPERSEDED],
        ),
        case(
            "a main row replaces rows beside it",
            [batch([suffixed(P, 1, 2)]), batch([rows(P, 2, 0)])],
            &["Patient Patient/1 @2"],
            &[LOADED, LOADED],
        ),
        case(
            "no rows at all replace some, and keep older ones away",
            [batch([rows(P, 2, 1)]), batch([suffixed(P, 3, 0)]), batch([rows(P, 1, 1)])],
            &["_tombstones Patient/1 @3 \"no rows\""],
            &[LOADED, LOADED, SUPERSEDED],
        ),
    ]
}

fn mixed_cases() -> Vec<Case> {
    vec![
        case(
            "one resource several times in a batch",
            [batch([rows(P, 2, 2), rows(P, 3, 1), rows(P, 1, 3)])],
            &["Patient Patient/1 @3", "names Patient/1#0 @3"],
            &[[1, 2, 0, 0, 0]],
        ),
        case(
            "some resources are new, some older, some newer",
            [
                batch([rows(P, 5, 1), rows("Patient/2", 6, 1)]),
                batch([rows(P, 4, 2), rows("Patient/2", 7, 2), rows("Patient/3", 8, 0)]),
            ],
            &[
                "Patient Patient/1 @5",
                "Patient Patient/2 @7",
                "Patient Patient/3 @8",
                "names Patient/1#0 @5",
                "names Patient/2#0 @7",
                "names Patient/2#1 @7",
            ],
            &[[2, 0, 0, 0, 0], [2, 1, 0, 0, 0]],
        ),
    ]
}

fn deletion_cases() -> Vec<Case> {
    vec![
        case(
            "a deletion removes all rows",
            [batch([rows(P, 1, 2)]), batch([deleted(P, 2)])],
            &["_tombstones Patient/1 @2 \"deleted\""],
            &[LOADED, DELETED],
        ),
        case(
            "a deleted resource stays away",
            [batch([deleted(P, 2)]), batch([rows(P, 1, 2)])],
            &["_tombstones Patient/1 @2 \"deleted\""],
            &[DELETED, SUPERSEDED],
        ),
        case(
            "a deleted resource is created again",
            [batch([deleted(P, 2)]), batch([rows(P, 3, 1)]), batch([rows(P, 1, 2)])],
            &["Patient Patient/1 @3", "names Patient/1#0 @3"],
            &[DELETED, LOADED, SUPERSEDED],
        ),
        case(
            "a deletion comes too late",
            [batch([rows(P, 3, 1)]), batch([deleted(P, 2)])],
            &["Patient Patient/1 @3", "names Patient/1#0 @3"],
            &[LOADED, SUPERSEDED],
        ),
        case(
            "of two deletions the newer stands",
            [batch([deleted(P, 3)]), batch([deleted(P, 2)]), batch([deleted(P, 4)])],
            &["_tombstones Patient/1 @4 \"deleted\""],
            &[DELETED, SUPERSEDED, DELETED],
        ),
        case(
            "created, deleted and created in one batch",
            [batch([rows(P, 1, 2), deleted(P, 2), rows(P, 3, 0)])],
            &["Patient Patient/1 @3"],
            &[[1, 2, 0, 0, 0]],
        ),
        case(
            "a deletion leaves the neighbours alone",
            [
                batch([
                    rows(P, 1, 1),
                    rows("Patient/10", 2, 1),
                    rows("Patient/1-a", 3, 1),
                    rows("Patient/1.b", 4, 1),
                ]),
                batch([deleted(P, 5)]),
            ],
            &[
                "Patient Patient/1-a @3",
                "Patient Patient/1.b @4",
                "Patient Patient/10 @2",
                "_tombstones Patient/1 @5 \"deleted\"",
                "names Patient/1-a#0 @3",
                "names Patient/1.b#0 @4",
                "names Patient/10#0 @2",
            ],
            &[[4, 0, 0, 0, 0], DELETED],
        ),
    ]
}

fn archive_cases() -> Vec<Case> {
    vec![
        case(
            "a resource goes to the archive",
            [batch([rows(P, 1, 2)]), batch([archived(P, 2)]), batch([rows(P, 1, 2)])],
            &["_archive/Patient Patient/1 @2 \"{\\\"n\\\": 2.0}\"", "_tombstones Patient/1 @2 \"archived\""],
            &[LOADED, ARCHIVED, SUPERSEDED],
        ),
        case(
            "a resource comes back from the archive",
            [batch([archived(P, 2)]), batch([rows(P, 3, 1)]), batch([archived(P, 1)])],
            &["Patient Patient/1 @3", "names Patient/1#0 @3"],
            &[ARCHIVED, LOADED, SUPERSEDED],
        ),
        case(
            "an archived resource is deleted",
            [batch([archived(P, 1)]), batch([deleted(P, 2)])],
            &["_tombstones Patient/1 @2 \"deleted\""],
            &[ARCHIVED, DELETED],
        ),
        case(
            "a type that no table takes",
            [
                batch([archived(A, 2), archived("AuditEvent/2", 3)]),
                batch([archived(A, 1)]),
                batch([archived(A, 4)]),
            ],
            &[
                "_archive/AuditEvent AuditEvent/1 @4 \"{\\\"n\\\": 4.0}\"",
                "_archive/AuditEvent AuditEvent/2 @3 \"{\\\"n\\\": 3.0}\"",
            ],
            &[[0, 0, 0, 2, 0], SUPERSEDED, ARCHIVED],
        ),
        case(
            "a resource of a type that no table takes is deleted",
            [batch([archived(A, 1)]), batch([deleted(A, 3)]), batch([archived(A, 2)])],
            &["_tombstones AuditEvent/1 @3 \"deleted\""],
            &[ARCHIVED, DELETED, SUPERSEDED],
        ),
    ]
}

fn completion_cases() -> Vec<Case> {
    let complete = |version: u64| BatchSpec {
        completions: vec![
            (P, version, "subject_key", "Patient/9"),
            (P, version, "link.1.subject_key", "Patient/9"),
            (P, version, "keys.1", "Patient/9"),
        ],
        ..BatchSpec::default()
    };
    let completed = "Patient Patient/1 @1 \"Patient/9\" \
                     [{\"active\":true},{\"active\":true,\"subject_key\":\"Patient/9\"}] [\"Patient/8\",\"Patient/9\"]";
    let together = BatchSpec { writes: vec![pending(P, 1)], ..complete(1) };
    vec![
        case(
            "keys that never come",
            [batch([pending(P, 1)])],
            &["Patient Patient/1 @1 [{\"active\":true},{\"active\":true}] [\"Patient/8\"]"],
            &[LOADED],
        ),
        case("keys come with the row", [together], &[completed], &[LOADED]),
        case("keys come later", [batch([pending(P, 1)]), complete(1)], &[completed], &[LOADED, [0; 5]]),
        case(
            "the row comes again after its keys",
            [batch([pending(P, 1)]), complete(1), batch([pending(P, 1)]), complete(1)],
            &[completed],
            &[LOADED, [0; 5], LOADED, [0; 5]],
        ),
        case(
            "keys of a version that is gone",
            [batch([pending(P, 1)]), batch([rows(P, 2, 0)]), complete(1)],
            &["Patient Patient/1 @2"],
            &[LOADED, LOADED, [0; 5]],
        ),
        case("keys of a row that never came", [complete(1)], &[], &[[0; 5]]),
    ]
}

fn reject_cases() -> Vec<Case> {
    let rejects = BatchSpec {
        writes: vec![rows(P, 1, 0)],
        rejects: vec![4, 5],
        view_defects: vec![1],
        ..BatchSpec::default()
    };
    vec![case(
        "rejects stand once",
        [rejects],
        &[
            "Patient Patient/1 @1",
            "_rejects clinic/in/day 1.ndjson@v1#1:100/too-deep/names",
            "_rejects clinic/in/day 1.ndjson@v1#4:400/too-deep/",
            "_rejects clinic/in/day 1.ndjson@v1#5:500/too-deep/",
        ],
        &[[1, 0, 0, 0, 2]],
    )]
}

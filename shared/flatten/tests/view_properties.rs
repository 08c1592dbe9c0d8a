//! Whatever a view says and whatever a resource is: compiling and running never panic, and rows follow from the
//! two alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops where something is wrong"
)]

use std::sync::Arc;

use flatten::fhirpath::{Predicate, Scratch};
use flatten::json::{Limits, Tape};
use flatten::row::{Names, Rows};
use flatten::view::{Context, Evaluator, NamedPlan, Plan, Unanswered, ViewSet};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Words of the language and of resources, so that what is made of them often means something.
const WORDS: [&str; 60] = [
    "name",
    "given",
    "family",
    "value",
    "extension",
    "id",
    "birthDate",
    "active",
    "contact",
    "telecom",
    "item",
    "answer",
    "linkId",
    "$this",
    "%rowIndex",
    "%resource",
    "%context",
    "%c",
    "Patient",
    "where(",
    "exists(",
    "first()",
    "ofType(",
    "string",
    "Quantity",
    "Reference",
    "getReferenceKey(",
    "getResourceKey()",
    "join(",
    ")",
    "(",
    "[",
    "]",
    ".",
    ",",
    "|",
    "=",
    "!=",
    "<",
    "+",
    "-",
    "*",
    "/",
    "and",
    "or",
    "is",
    "as",
    "'a'",
    "1",
    "1.50",
    "0",
    "@2024-02",
    "@T10:00",
    "5 'mg'",
    "{}",
    "true",
    "lowBoundary()",
    "distinct()",
    "iif(",
    "not()",
];

fn soup() -> impl Strategy<Value = String> + Clone {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..12).prop_map(|words| words.join(" "))
}

/// Paths that compile more often than not.
fn path() -> impl Strategy<Value = String> + Clone {
    let leaf = prop::sample::select(vec![
        "name",
        "name.given",
        "name.family",
        "birthDate",
        "active",
        "value",
        "extension",
        "contact.telecom",
        "extension('urn:x')",
        "name.given.extension('urn:x')",
        "$this",
        "'a'",
        "1.50",
        "@2024-02",
        "%rowIndex",
        "%c",
        "item",
        "managingOrganization",
        "{}",
        "getResourceKey()",
        "telecom.value",
        "5 'mg'",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 2, |inner| {
        let call = prop::sample::select(vec![
            "first()",
            "exists()",
            "count()",
            "not()",
            "join(',')",
            "lowBoundary()",
            "highBoundary()",
            "tail()",
            "ofType(string)",
            "toString()",
            "distinct()",
            "getReferenceKey()",
            "upper()",
            "length()",
            "toDate()",
            "substring(1)",
            "extension('urn:x')",
            "where(true)",
            "[0]",
            "id",
            "value",
            "given",
            "is(string)",
        ]);
        let operator =
            prop::sample::select(vec!["=", "!=", "<", ">=", "+", "-", "*", "/", "|", "and", "or", "in", "&"]);
        prop_oneof![
            (inner.clone(), call).prop_map(|(path, call)| match call {
                "[0]" => format!("({path})[0]"),
                call => format!("({path}).{call}"),
            }),
            (inner.clone(), operator, inner.clone())
                .prop_map(|(left, op, right)| format!("({left}) {op} ({right})")),
            (inner.clone(), inner).prop_map(|(path, condition)| format!("({path}).where({condition})")),
        ]
    })
}

fn select(path: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Json> {
    let columns = (path.clone(), any::<bool>())
        .prop_map(|(path, collection)| json!([{"name": "x", "path": path, "collection": collection}]));
    let leaf = (columns.clone(), 0..4, path.clone()).prop_map(|(columns, iterator, path)| match iterator {
        0 => json!({"column": columns}),
        1 => json!({"column": columns, "forEach": path}),
        2 => json!({"column": columns, "forEachOrNull": path}),
        _ => json!({"column": columns, "repeat": [path]}),
    });
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let inner = prop::collection::vec(inner, 1..3);
        prop_oneof![
            (inner.clone(), path.clone())
                .prop_map(|(selects, path)| json!({"select": selects, "forEach": path})),
            (inner.clone(), path.clone())
                .prop_map(|(selects, path)| json!({"select": selects, "repeat": [path, "item"]})),
            inner.prop_map(|branches| json!({"unionAll": branches})),
        ]
    })
}

/// Gives every column a name of its own, and the branches of a union the same ones.
fn name_columns(select: &mut Json, next: &mut usize) {
    for column in select.get_mut("column").and_then(Json::as_array_mut).into_iter().flatten() {
        column["name"] = json!(format!("c{next}"));
        *next += 1;
    }
    for inner in select.get_mut("select").and_then(Json::as_array_mut).into_iter().flatten() {
        name_columns(inner, next);
    }
    let first = *next;
    for branch in select.get_mut("unionAll").and_then(Json::as_array_mut).into_iter().flatten() {
        let mut own = first;
        name_columns(branch, &mut own);
        *next = own.max(*next);
    }
}

fn view(path: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Json> {
    (prop::collection::vec(select(path.clone()), 1..3), prop::option::of(path)).prop_map(
        |(mut selects, condition)| {
            let mut next = 0;
            for select in &mut selects {
                name_columns(select, &mut next);
            }
            let conditions: Vec<Json> = condition.into_iter().map(|path| json!({"path": path})).collect();
            json!({
                "name": "v", "resource": "Patient", "where": conditions, "select": selects,
                "constant": [{"name": "c", "valueString": "a"}],
            })
        },
    )
}

/// Puts something that compiles wherever the compiler found a mistake, so that most of what was made up is run.
fn mended(mut view: Json) -> Option<Json> {
    for _ in 0..20 {
        let Err(invalid) = Plan::compile(&view) else { return Some(view) };
        for mistake in invalid.mistakes {
            let pointer = format!("/{}", mistake.element.replace(['.', '['], "/").replace(']', ""));
            let safe = match pointer.rsplit('/').find(|part| !part.bytes().all(|byte| byte.is_ascii_digit()))
            {
                Some("path") if pointer.starts_with("/where") => json!("active"),
                Some("path") => json!("id"),
                Some("forEach" | "forEachOrNull") => json!("name"),
                Some("repeat") => json!("item"),
                // A branch that is unlike the first becomes the first.
                _ => {
                    let (union, rest) = pointer.rsplit_once("/unionAll/")?;
                    let first = view.pointer(&format!("{union}/unionAll/0"))?.clone();
                    let branch = rest.split('/').next()?;
                    *view.pointer_mut(&format!("{union}/unionAll/{branch}"))? = first;
                    continue;
                }
            };
            *view.pointer_mut(&pointer)? = safe;
        }
    }
    None
}

/// Makes JSON under the names of a patient, of any shape: what a broken system might send.
fn resource() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        (-1000i64..1000).prop_map(Json::from),
        Just(json!(1.5)),
        prop::sample::select(vec![
            "a",
            "",
            "2024-02",
            "2024-02-30",
            "10:00",
            "Patient/1",
            "urn:uuid:x",
            "urn:x",
            "é😀"
        ])
        .prop_map(Json::from),
    ];
    let names = prop::sample::select(vec![
        "id",
        "name",
        "_name",
        "given",
        "_given",
        "family",
        "birthDate",
        "_birthDate",
        "active",
        "value",
        "valueString",
        "valueQuantity",
        "extension",
        "url",
        "contact",
        "telecom",
        "item",
        "reference",
        "unit",
        "managingOrganization",
        "contained",
        "resourceType",
        "use",
    ]);
    let value = leaf.prop_recursive(5, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(names.clone(), inner, 0..6)
                .prop_map(|members| members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Json>()),
        ]
    });
    value.prop_map(|value| {
        let mut patient = if value.is_object() { value } else { json!({"name": value}) };
        patient["resourceType"] = json!("Patient");
        patient.to_string()
    })
}

/// Returns rows as text, or the defect.
fn run(plan: &Arc<Plan>, evaluator: &mut Evaluator, resource: &str) -> Result<String, Unanswered> {
    let (mut names, mut rows, mut tape) = (Names::default(), Rows::default(), Tape::default());
    let view = NamedPlan::new(Arc::clone(plan), &mut names);
    let document = tape.parse(resource.as_bytes(), Limits::default()).unwrap();
    let root = document.root();
    let count = evaluator.run(&view, root, &Context::of("Patient/p"), &mut rows)?;
    assert_eq!(count, rows.len());
    assert!(!plan.at_most_one_row() || count < 2);
    let row = |row: flatten::row::Row<'_>| {
        format!("{} {:?}", row.key(), row.cells().map(|cell| format!("{cell:?}")).collect::<Vec<_>>())
    };
    Ok(rows.iter().map(row).collect::<Vec<_>>().join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn compiling_paths_never_panics(path in prop_oneof![soup(), any::<String>()]) {
        let _ = Predicate::compile("Patient", &path);
        let column = json!([{"column": [{"name": "x", "path": path}]}]);
        let _ = Plan::compile(&json!({"name": "v", "resource": "Patient", "select": column}));
    }

    #[test]
    fn compiling_views_never_panics(view in view(soup())) {
        let _ = Plan::compile(&view);
    }

    #[test]
    fn rows_follow_from_view_and_resource_alone(view in view(path()), resources in prop::collection::vec(resource(), 1..4)) {
        let view = mended(view);
        prop_assume!(view.is_some());
        let plan = Arc::new(Plan::compile(&view.unwrap()).unwrap());
        let mut names = Names::default();
        let set = ViewSet::new([Arc::clone(&plan), Arc::clone(&plan)], &mut names);
        // One evaluator sees everything in turn, another sees each resource alone.
        let mut evaluator = Evaluator::default();
        for resource in &resources {
            let fresh = run(&plan, &mut Evaluator::default(), resource);
            prop_assert_eq!(&run(&plan, &mut evaluator, resource), &fresh);
            let (mut rows, mut tape) = (Rows::default(), Tape::default());
            let document = tape.parse(resource.as_bytes(), Limits::default()).unwrap();
            let root = document.root();
            let evaluated = evaluator.run_all(&set, root, &Context::of("Patient/p"), &mut rows).unwrap();
            let alone = fresh.as_ref().map_or(0, |text| text.lines().filter(|line| line.starts_with("Patient/p")).count());
            prop_assert_eq!(evaluated.rows, 2 * alone);
            prop_assert_eq!(evaluated.defects.len(), if fresh.is_err() { 2 } else { 0 });
        }
    }

    #[test]
    fn predicates_never_panic(path in path(), resource in resource()) {
        let Ok(predicate) = Predicate::compile("Patient", &path) else { return Ok(()) };
        let mut tape = Tape::default();
        let document = tape.parse(resource.as_bytes(), Limits::default()).unwrap();
        let root = document.root();
        let mut scratch = Scratch::default();
        let once = predicate.holds(root, &Context::of("Patient/p"), &mut scratch);
        let again = predicate.holds(root, &Context::of("Patient/p"), &mut scratch);
        prop_assert_eq!(once, again);
    }
}

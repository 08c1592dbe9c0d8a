//! The views that come with the project: they compile, say what they are for, and fit real data.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops where something is wrong"
)]

#[cfg(feature = "corpus")]
#[path = "../corpus/mod.rs"]
mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flatten::json::{JsonKind, Limits, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Names, Rows};
use flatten::view::{Context, Evaluator, NamedPlan, Plan, Profile, ViewSet};
use serde_json::{Value as Json, json};

/// Columns that no public sample happens to fill.
#[cfg(feature = "corpus")]
const NEVER_FILLED: [&str; 2] = ["claim_items.serviced_end", "claim_items.serviced_end_at"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns every view of `views/`, as written and compiled.
fn views() -> Vec<(Json, Arc<Plan>)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("views")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let compile = |file: &PathBuf| {
        let view: Json = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let plan = Plan::compile(&view).unwrap_or_else(|invalid| panic!("{}: {invalid}", file.display()));
        assert_eq!(file.file_stem().unwrap().to_str(), Some(plan.name()), "a view's file has its name");
        (view, Arc::new(plan))
    };
    files.iter().map(compile).collect()
}

#[test]
fn every_view_compiles_and_says_what_it_is_for() {
    let listing = fs::read_to_string(root().join("docs/views.md")).unwrap();
    let mut notices = Vec::new();
    for (view, plan) in views() {
        let title = view["title"].as_str().expect("a view has a title");
        let row = title.strip_prefix("One row ").expect("the title says what a row is");
        let row = row.split([':', ',']).next().unwrap();
        let line = format!("| `{}` | {} | {row} |", plan.name(), plan.resource_type());
        assert!(listing.contains(&line), "docs/views.md lacks the line\n{line}");
        notices.extend(plan.notices().iter().map(|notice| format!("{}: {notice}", plan.name())));
        assert!(plan.key_columns().count() > 0, "{} cannot be joined", plan.name());
        let violations = Profile::Shareable.violations(&view);
        assert!(violations.is_empty(), "{} is not shareable: {violations:?}", plan.name());
        for column in plan.columns().iter().filter(|column| column.name.ends_with("_at")) {
            assert_eq!(column.cell.name(), "timestamp", "{}.{} is a moment", plan.name(), column.name);
        }
    }
    assert!(notices.is_empty(), "no release has what these ask for: {notices:#?}");
}

#[cfg(feature = "corpus")]
#[test]
fn every_view_fills_its_columns_from_public_samples() {
    let run = run(&corpus::public_samples());
    // One public sample has the text "true" where a boolean belongs.
    let broken = BTreeMap::from([("invalid-operand at patients.active".to_owned(), 1)]);
    assert_eq!(run.defects, broken);
    let mut never = BTreeSet::new();
    for (_, plan) in views() {
        assert!(run.rows[plan.name()] >= 5, "{} has {} rows", plan.name(), run.rows[plan.name()]);
        for column in plan.columns() {
            let cell = (plan.name().to_owned(), column.name.clone());
            if !run.filled.contains(&cell) {
                never.insert(format!("{}.{}", cell.0, cell.1));
            }
        }
    }
    assert_eq!(never.iter().map(String::as_str).collect::<Vec<_>>(), NEVER_FILLED);
}

#[test]
fn the_projects_own_samples_fit_too() {
    let run = run(&root().join("samples"));
    assert!(run.defects.is_empty(), "{:#?}", run.defects);
    assert!(run.rows["patients"] > 0);
}

/// A path that finds nothing would go unnoticed.
#[test]
fn every_column_is_filled_by_a_sample_or_a_case() {
    let mut filled = run(&root().join("samples")).filled;
    for case in cases() {
        let view = case["view"].as_str().unwrap();
        for (name, value) in rows_of(view, &case["resource"]).into_iter().flatten() {
            if !value.is_null() {
                filled.insert((view.to_owned(), name));
            }
        }
    }
    for (_, plan) in views() {
        let names = plan.columns().iter().map(|column| column.name.clone());
        let never: Vec<String> =
            names.filter(|name| !filled.contains(&(plan.name().to_owned(), name.clone()))).collect();
        assert!(never.is_empty(), "no sample or case fills {never:?} of {}", plan.name());
    }
}

/// What came of a folder.
#[derive(Default)]
struct Run {
    rows: BTreeMap<String, usize>,
    filled: BTreeSet<(String, String)>,
    defects: BTreeMap<String, usize>,
}

fn run(folder: &Path) -> Run {
    let plans: Vec<Arc<Plan>> = views().into_iter().map(|(_, plan)| plan).collect();
    let mut names = Names::default();
    let set = ViewSet::new(plans.iter().cloned(), &mut names);
    let single: Vec<NamedPlan> =
        plans.iter().map(|plan| NamedPlan::new(Arc::clone(plan), &mut names)).collect();
    let list = names.list();
    let mut outcome = Run::default();
    for plan in &plans {
        outcome.rows.insert(plan.name().to_owned(), 0);
    }
    let (mut evaluator, mut rows, mut alone) = (Evaluator::default(), Rows::default(), Rows::default());
    each_resource(folder, &mut |resource, key, links| {
        let context = Context { key, links: Some(links) };
        rows.clear();
        let evaluated = evaluator.run_all(&set, resource, &context, &mut rows).unwrap();
        assert_eq!(evaluated.rows, rows.len());
        for (_, defect) in evaluated.defects {
            *outcome.defects.entry(format!("{} at {}", defect.code, defect.path)).or_default() += 1;
        }
        // The views of a set give what each gives alone.
        alone.clear();
        for view in &single {
            let _ = evaluator.run(view, resource, &context, &mut alone);
        }
        assert_eq!(
            format!("{:?}", rows.iter().map(text).collect::<Vec<_>>()),
            format!("{:?}", alone.iter().map(text).collect::<Vec<_>>())
        );
        for row in rows.iter() {
            let table = list.table(row.table());
            *outcome.rows.get_mut(table).unwrap() += 1;
            for (column, value) in row.cells() {
                if !matches!(value, flatten::row::Value::Null) {
                    outcome.filled.insert((table.to_owned(), list.column(column).to_owned()));
                }
            }
        }
    });
    outcome
}

fn text(row: flatten::row::Row<'_>) -> String {
    let cells: Vec<String> = row
        .cells()
        .map(|(column, value)| format!("{column:?} {value:?}").chars().take(200).collect())
        .collect();
    format!("{} {}", row.key(), cells.join(","))
}

/// Visits every resource of the JSON files of a folder that is sound, with its key and the links of its Bundle.
fn each_resource(folder: &Path, visit: &mut impl FnMut(Node<'_>, &str, &Links)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            each_resource(&path, visit);
            continue;
        }
        let bytes = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json" | "ndjson") => fs::read(&path).unwrap(),
            _ => continue,
        };
        let mut tape = Tape::default();
        let limits = Limits::default();
        if let Ok(document) = tape.parse(&bytes, limits) {
            visit_document(document.root(), visit);
            continue;
        }
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Ok(document) = tape.parse(line, limits) {
                visit_document(document.root(), visit);
            }
        }
    }
}

fn visit_document(root: Node<'_>, visit: &mut impl FnMut(Node<'_>, &str, &Links)) {
    let is_bundle = root.get("resourceType").is_some_and(|kind| kind.is("Bundle"));
    let mut links = Links::open();
    let mut found = Vec::new();
    if root.kind() == JsonKind::Array {
        found.extend(root.items().map(|item| (item, None)));
    } else if is_bundle {
        let entries = root.get("entry").into_iter().flat_map(Node::items);
        found.extend(entries.filter_map(|entry| Some((entry.get("resource")?, entry.get_text("fullUrl")))));
    } else {
        found.push((root, None));
    }
    let keyed: Vec<(Node<'_>, String)> = found
        .into_iter()
        .filter_map(|(node, url)| {
            let key = Resource::read(node).ok()?.key(url.as_deref(), None);
            if let Some(url) = url {
                links.insert(&url, &key);
            }
            Some((node, key))
        })
        .collect();
    links.close();
    for (node, key) in keyed {
        visit(node, &key, &links);
    }
}

/// Runs a view of the project over a resource.
fn rows_of(view: &str, resource: &Json) -> Vec<BTreeMap<String, Json>> {
    let (_, plan) = views().into_iter().find(|(_, plan)| plan.name() == view).unwrap();
    let (mut names, mut rows, mut tape) = (Names::default(), Rows::default(), Tape::default());
    let view = NamedPlan::new(plan, &mut names);
    let text = resource.to_string();
    let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
    let key = Resource::read(document.root()).unwrap().key(None, None);
    let context = Context::of(&key);
    Evaluator::default().run(&view, document.root(), &context, &mut rows).unwrap();
    let list = names.list();
    let cells = |row: flatten::row::Row<'_>| {
        row.cells().map(|(column, value)| (list.column(column).to_owned(), cell(value))).collect()
    };
    rows.iter().map(cells).collect()
}

fn cell(value: flatten::row::Value<'_>) -> Json {
    use flatten::row::Value;
    match value {
        Value::Boolean(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Text(value) | Value::Decimal(value) => json!(value),
        Value::Instant(milliseconds) => json!(flatten::time::rfc3339(milliseconds)),
        Value::List(items) => items.map(|(_, item)| cell(item)).collect(),
        other => {
            assert!(matches!(other, Value::Null), "{other:?}");
            Json::Null
        }
    }
}

/// Returns the cases of `cases/shipped.json`: resources, and of each the cells that a view of the project must have for
/// it.
fn cases() -> Vec<Json> {
    serde_json::from_slice(&fs::read(root().join("shared/flatten/tests/cases/shipped.json")).unwrap())
        .unwrap()
}

#[test]
fn the_views_say_what_people_ask_for() {
    let cases = cases();
    for case in &cases {
        let (view, title) = (case["view"].as_str().unwrap(), &case["title"]);
        let rows = rows_of(view, &case["resource"]);
        let expected = case["rows"].as_array().unwrap();
        assert_eq!(rows.len(), expected.len(), "{title}");
        for (row, cells) in rows.iter().zip(expected) {
            for (name, value) in cells.as_object().unwrap() {
                assert_eq!(row.get(name), Some(value), "{title}: {view}.{name}");
            }
        }
    }
    let told: BTreeSet<&str> = cases.iter().filter_map(|case| case["view"].as_str()).collect();
    assert_eq!(told.len(), views().len(), "every view has a case");
}

//! Runs files of cases: rows are compared as multisets with their types, columns in order, errors by their place.
//!
//! A file has `resources` and `tests`, as HL7's do. The project's own cases say more: `expectMistakes` (what the
//! compiler finds, as displayed), `expectDefect`, `expectLater`, `expectKeys`, `links` (URNs and their keys), and whole files of
//! `paths`, each with the items it yields on the first resource.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flatten::json::{Limits, Node, Tape};
use flatten::links::Links;
use flatten::resource::Resource;
use flatten::row::{Names, Rows, Value};
use flatten::view::{Context, Evaluator, NamedPlan, Plan, Unanswered};
use serde_json::{Value as Json, json};

use crate::canonical::{of_cell, of_expectation};

/// What came of a folder of cases.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) failures: Vec<String>,
    /// Cases that expect an error and got it from data only.
    pub(crate) errors_with_data: Vec<String>,
}

/// Returns the names of the cases of a folder: the file's name and the title.
pub(crate) fn titles(folder: &Path) -> BTreeSet<String> {
    let mut titles = BTreeSet::new();
    for file in files(folder) {
        let (bytes, mut tape) = (fs::read(&file).unwrap(), Tape::default());
        let document = tape.parse(&bytes, Limits::default()).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        for case in document.root().get("tests").into_iter().flat_map(Node::items) {
            let title = format!("{name}: {}", case.get_text("title").unwrap());
            assert!(titles.insert(title.clone()), "two cases have the title {title}");
        }
    }
    titles
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

pub(crate) fn run_folder(folder: &Path) -> Tally {
    let mut tally = Tally::default();
    for file in files(folder) {
        run_file(&file, &mut tally);
    }
    tally
}

fn run_file(file: &Path, tally: &mut Tally) {
    let bytes = fs::read(file).unwrap();
    let mut tape = Tape::default();
    let document =
        tape.parse(&bytes, Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let root = document.root();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let resources: Vec<&str> = root.get("resources").unwrap().items().map(Node::raw).collect();
    for case in root.get("tests").into_iter().flat_map(Node::items) {
        let title = format!("{name}: {}", case.get_text("title").unwrap());
        tally.cases += 1;
        if let Err(why) = run_case(case, &resources, &title, tally) {
            tally.failures.push(format!("{title}: {why}"));
        }
    }
    for pair in root.get("paths").into_iter().flat_map(Node::items) {
        let (path, expected) = (pair.items().next().unwrap().text().unwrap(), pair.items().nth(1).unwrap());
        tally.cases += 1;
        if let Err(why) = run_path(&path, expected, resources.first().unwrap()) {
            tally.failures.push(format!("{name}: {path}: {why}"));
        }
    }
}

fn run_case(case: Node<'_>, resources: &[&str], title: &str, tally: &mut Tally) -> Result<(), String> {
    let mut view: Json = serde_json::from_str(case.get("view").unwrap().raw()).unwrap();
    // HL7's cases leave out the name, without which there is no table.
    if view.get("name").is_none() && case.get("expectMistakes").is_none() {
        view["name"] = json!("case");
    }
    let error_expected = case.get("expectError").is_some_and(|error| error.boolean() == Some(true));
    let plan = match (Plan::compile(&view), case.get("expectMistakes")) {
        (Err(invalid), Some(mistakes)) => {
            let found: Vec<String> = invalid.mistakes.iter().map(ToString::to_string).collect();
            let wanted: Vec<String> =
                mistakes.items().map(|text| text.text().unwrap().into_owned()).collect();
            return same(&wanted.join("\n"), &found.join("\n"));
        }
        (Ok(_), Some(_)) => return Err("it compiles".to_owned()),
        (Err(_), None) if error_expected => return Ok(()),
        (Err(invalid), None) => return Err(invalid.to_string()),
        (Ok(plan), None) => Arc::new(plan),
    };
    // A case that expects digits does so for every decimal.
    let exact = case.get("expect").is_some_and(|rows| rows.raw().contains("\"digits\""));
    let world = World { links: case.get("links"), to_come: case.get("linksToCome").is_some(), exact };
    let outcome = run(&plan, resources, world);
    if case.get("expectLater").is_some() {
        return match outcome {
            Err(Unanswered::KeyComesLater) => Ok(()),
            Err(Unanswered::Defect(defect)) => Err(defect.to_string()),
            Ok(_) => Err("it does not wait".to_owned()),
        };
    }
    let output = match (outcome, case.get("expectDefect")) {
        (Err(defect), Some(wanted)) => return same(&wanted.text().unwrap(), &defect.to_string()),
        (Ok(_), Some(_)) => return Err("no defect".to_owned()),
        (Err(_), None) if error_expected => {
            tally.errors_with_data.push(title.to_owned());
            return Ok(());
        }
        (Ok(_), None) if error_expected => return Err("no error".to_owned()),
        (Err(defect), None) => return Err(defect.to_string()),
        (Ok(output), None) => output,
    };
    check_output(case, &plan, output)
}

fn check_output(case: Node<'_>, plan: &Plan, output: Output) -> Result<(), String> {
    let columns: Vec<&str> = plan.columns().iter().map(|column| column.name.as_str()).collect();
    if let Some(expected) = case.get("expectColumns") {
        let expected: Vec<_> = expected.items().map(|name| name.text().unwrap()).collect();
        same(&expected.join(", "), &columns.join(", "))?;
    }
    if let Some(keys) = case.get("expectKeys") {
        let keys: Vec<_> = keys.items().map(|key| key.text().unwrap()).collect();
        same(&keys.join("\n"), &output.keys.join("\n"))?;
    }
    if let Some(count) = case.get("expectCount") {
        same(count.raw(), &output.rows.len().to_string())?;
    }
    let Some(expected) = case.get("expect") else { return Ok(()) };
    let mut wanted: Vec<String> = expected
        .items()
        .map(|row| {
            let mut cells: Vec<String> = row
                .members()
                .map(|(name, value)| format!("{}: {}", name.raw(), of_expectation(value)))
                .collect();
            cells.sort();
            cells.join(" · ")
        })
        .collect();
    let mut found = output.rows;
    wanted.sort();
    found.sort();
    same(&wanted.join("\n"), &found.join("\n"))
}

struct Output {
    rows: Vec<String>,
    keys: Vec<String>,
}

/// What a case says beside view and resources.
#[derive(Clone, Copy, Default)]
struct World<'c> {
    links: Option<Node<'c>>,
    to_come: bool,
    exact: bool,
}

fn run(plan: &Arc<Plan>, resources: &[&str], world: World<'_>) -> Result<Output, Unanswered> {
    let mut known = Links::open();
    for (urn, key) in world.links.into_iter().flat_map(Node::members) {
        known.insert(&urn.text().unwrap(), &key.text().unwrap());
    }
    if !world.to_come {
        known.close();
    }
    let (mut names, mut rows, mut evaluator) = (Names::default(), Rows::default(), Evaluator::default());
    let view = NamedPlan::new(Arc::clone(plan), &mut names);
    let mut tape = Tape::default();
    for text in resources {
        let document = tape.parse(text.as_bytes(), Limits::default()).unwrap();
        let node = document.root();
        let key = Resource::read(node).unwrap().key(None, None);
        let before = rows.len();
        let context = Context { key: &key, links: Some(&known) };
        let count = evaluator.run(&view, node, &context, &mut rows)?;
        assert_eq!(count, rows.len() - before);
    }
    let list = names.list();
    let row = |row: flatten::row::Row<'_>| {
        let mut cells: Vec<String> = row
            .cells()
            .map(|(column, value): (_, Value<'_>)| {
                format!("{}: {}", list.column(column), of_cell(value, world.exact))
            })
            .collect();
        cells.sort();
        cells.join(" · ")
    };
    Ok(Output {
        rows: rows.iter().map(row).collect(),
        keys: rows.iter().map(|row| row.key().to_owned()).collect(),
    })
}

/// Runs one path as a column that is a collection, on the first resource.
fn run_path(path: &str, expected: Node<'_>, resource: &str) -> Result<(), String> {
    let kind: Json = serde_json::from_str(resource).unwrap();
    let view = json!({
        "name": "case", "resource": kind["resourceType"],
        "select": [{"column": [{"name": "items", "path": path, "collection": true}]}],
    });
    let found = match Plan::compile(&view) {
        // Every mistake of a path names the column.
        Err(invalid) if invalid.mistakes[0].character.is_some() => {
            let mistake = invalid.mistakes[0].to_string();
            format!("mistake {}", mistake.strip_suffix(" (column `items`)").unwrap())
        }
        Err(invalid) => format!("mistake {}", invalid.mistakes[0]),
        Ok(plan) => match run(&Arc::new(plan), &[resource], World::default()) {
            Err(Unanswered::Defect(defect)) => format!("defect {}", defect.code),
            Err(Unanswered::KeyComesLater) => "later".to_owned(),
            Ok(output) => output.rows.join("\n"),
        },
    };
    // A path that fails is expected to say `{"mistake": …}` or `{"defect": …}`.
    let wanted = match expected.members().next() {
        Some((name, value)) => format!("{} {}", name.raw(), value.text().unwrap()),
        None => format!("items: {}", of_expectation(expected)),
    };
    same(&wanted, &found)
}

fn same(wanted: &str, found: &str) -> Result<(), String> {
    if wanted == found { Ok(()) } else { Err(format!("\n  expected {wanted}\n  found    {found}")) }
}

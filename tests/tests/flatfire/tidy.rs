//! What holds over the whole repository: who may depend on whom, how long a file may be, that nothing lies idle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::settings::ChoreSettings;
use xtask::{metrics, workspace};

use crate::by_hand::events;

const MAX_LINES: usize = 800;

/// What the pure crate must never meet, not even behind something else: I/O, async, clouds, databases.
const NOT_IN_FLATTEN: [&str; 8] =
    ["tokio", "futures", "mongodb", "bson", "aws-config", "aws-sdk-s3", "lambda_runtime", "hyper"];

/// Who may depend on whom within the project, development included.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("flatfire-flatten", &[]),
    // The tests of the pipeline run on every store.
    ("flatfire-pipeline", &["flatfire-flatten", "flatfire-mongodb"]),
    ("flatfire-mongodb", &["flatfire-flatten", "flatfire-pipeline"]),
    ("flatfire-process", &[]),
    ("ingest", &["flatfire-flatten", "flatfire-mongodb", "flatfire-pipeline", "flatfire-process"]),
    (
        "flatfire",
        &["flatfire-flatten", "flatfire-mongodb", "flatfire-pipeline", "flatfire-process", "ingest"],
    ),
    ("xtask", &["flatfire-flatten", "flatfire-pipeline"]),
    ("flatfire-tests", &["flatfire-flatten", "flatfire-pipeline", "xtask"]),
];

fn metadata() -> Value {
    // Of crates for other platforms nothing need be here.
    let rustc = Command::new("rustc").arg("-vV").current_dir(workspace::root()).output().unwrap();
    let told = String::from_utf8(rustc.stdout).unwrap();
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(workspace::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().filter(|package| members.contains(text(package, "id")));
    let allowed = BTreeMap::from(MAY_USE);
    let mut seen = BTreeSet::new();
    for package in ours {
        let name = text(package, "name");
        seen.insert(name);
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let within = dependencies.filter(|dependency| dependency["path"].is_string());
        for used in within.map(|dependency| text(dependency, "name")) {
            let known = allowed.get(name).unwrap_or_else(|| panic!("say here what {name} may use"));
            assert!(known.contains(&used), "{name} must not use {used}");
        }
    }
    assert_eq!(seen, allowed.keys().copied().collect(), "the list names what no longer exists");
}

#[test]
fn flatten_is_pure() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    let flatten = *names.iter().find(|(_, name)| **name == "flatfire-flatten").unwrap().0;
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![flatten]);
    while let Some(id) = ahead.pop() {
        if reached.insert(id) {
            let dependencies = nodes[id]["deps"].as_array().unwrap().iter();
            let shipped = dependencies.filter(|dependency| {
                dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
            });
            ahead.extend(shipped.map(|dependency| text(dependency, "pkg")));
        }
    }
    let reached: BTreeSet<&str> = reached.into_iter().map(|id| names[id]).collect();
    assert!(reached.contains("memchr"), "the walk went somewhere: {reached:?}");
    for forbidden in NOT_IN_FLATTEN {
        assert!(!reached.contains(forbidden), "flatten reaches {forbidden}");
    }
}

/// What only the store in MongoDB may use. Everybody else asks a store through its traits.
const OF_MONGODB: [&str; 2] = ["mongodb", "bson"];

#[test]
fn one_crate_depends_on_the_driver() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().filter(|package| package["source"].is_null());
    let mut users = BTreeSet::new();
    for package in ours.filter(|package| text(package, "name") != "flatfire-tests") {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let mut shipped = dependencies.filter(|dependency| dependency["kind"].is_null());
        if shipped.any(|dependency| OF_MONGODB.contains(&text(dependency, "name"))) {
            users.insert(text(package, "name"));
        }
    }
    assert_eq!(users, BTreeSet::from(["flatfire-mongodb"]));
}

#[test]
fn one_crate_names_the_driver() {
    let mut users = BTreeSet::new();
    for (path, text) in sources() {
        let Some((package, _)) = path.split_once("/src/").filter(|(package, _)| *package != "tests") else {
            continue;
        };
        for line in text.lines().filter(|line| OF_MONGODB.iter().any(|name| names_crate(line, name))) {
            assert_eq!(package, "shared/mongodb", "{path}: {line}");
            users.insert(package.to_owned());
        }
    }
    assert_eq!(users, BTreeSet::from(["shared/mongodb".to_owned()]), "the search finds what is there");
}

/// Returns whether the code in a line uses a path of a crate.
fn names_crate(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let mut before = code.match_indices(name).filter(|(at, _)| code[at + name.len()..].starts_with("::"));
    before.any(|(at, _)| !code[..at].ends_with(|last: char| last.is_alphanumeric() || last == '_'))
}

#[test]
fn a_path_of_a_crate_is_told_from_other_words() {
    for line in ["use mongodb::Client;", "    let client: mongodb::Client = open();", "use {a, mongodb::b};"]
    {
        assert!(names_crate(line, "mongodb"), "{line}");
    }
    for line in ["use mongodb_store::connect;", "// mongodb::Client", "a_mongodb::b()", "\"mongodb://host\""]
    {
        assert!(!names_crate(line, "mongodb"), "{line}");
    }
}

/// Returns the project's own Rust files with their text, by path from the root.
fn sources() -> BTreeMap<String, String> {
    let root = workspace::root();
    let mut sources = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        ["functions", "shared", "tests", "xtask", "fuzz"].map(|name| root.join(name)).into();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.insert(relative(&root, &path), text);
            }
        }
    }
    assert!(sources.len() > 100, "{}", sources.len());
    sources
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().display().to_string()
}

#[test]
fn files_are_short() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} lines; {MAX_LINES} are enough");
    }
}

/// A type's name stands once, files do not import each other, and functions are short and take at most four arguments.
#[test]
fn names_imports_and_functions_keep_the_rules() {
    metrics::run(&ChoreSettings::from_environment(), &["--check".to_owned()]).unwrap();
}

#[test]
fn no_test_is_ignored() {
    let ignored = ["#[", "ignore"].concat();
    for (path, text) in sources() {
        assert!(!text.contains(&ignored), "{path}");
    }
}

/// A test over files outside the repository would pass in a clone without them, or shrink. It needs the feature
/// `corpus`, without which it does not exist.
#[test]
fn only_tests_of_the_feature_corpus_read_files_beside_the_repository() {
    for (path, text) in sources() {
        let is_test = path.contains("/tests/") || path.ends_with("tests.rs");
        let beside = ["shared/", "fhir"].concat();
        if is_test && (text.contains(&format!("../{beside}")) || text.contains("shared/sql-on-fhir")) {
            let is_optional = ["feature = \"corpus\"", "the feature `corpus` needs"];
            let is_optional = is_optional.iter().any(|sign| text.contains(sign));
            assert!(is_optional || path.ends_with("tidy.rs"), "{path} reads files beside the repository");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in sources() {
        let first = text.lines().find(|line| !line.is_empty() && !line.starts_with("#!"));
        assert!(first.is_some_and(|line| line.starts_with("//! ")), "{path} begins with {first:?}");
    }
}

#[test]
fn every_sample_notification_is_used() {
    let folder = workspace::root().join("events");
    let found =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> =
        found.filter(|name| Path::new(name).extension().is_none_or(|extension| extension != "md")).collect();
    let used: BTreeSet<String> = events().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, used);
}

#[test]
fn the_pages_about_samples_and_notifications_name_every_file() {
    for folder in ["events", "samples"] {
        let folder = workspace::root().join(folder);
        let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "README.md" || page.contains(&format!("`{name}`")), "{name}");
        }
    }
}

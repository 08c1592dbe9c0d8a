//! The profile, the environment and options: which comes first.

use std::fs;
use std::path::Path;

use crate::database::TestDatabase;
use crate::program::{Ran, flatfire, run};

/// A decimal that no double has, a list, and a narrative.
const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},
"text":{"status":"generated","div":"<div>n</div>"},"category":[{"text":"a"}],"valueQuantity":{"value":1.10}}"#;

/// Runs it in a folder, with variables of the environment.
fn run_in(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = flatfire(arguments);
    command.current_dir(folder).envs(variables.iter().copied());
    command.output().unwrap().into()
}

/// Returns the folder of a test with an observation and a profile.
fn folder_with(profile: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flatfire.toml"), profile).unwrap();
    fs::write(folder.path().join("o.json"), OBSERVATION).unwrap();
    folder
}

#[test]
fn an_option_comes_before_the_environment_and_that_before_the_profile() {
    let folder = folder_with("arrays = \"tables\"\nnarrative = true\ndecimals = \"double\"\n");
    let rows = |variables: &[(&str, &str)], arguments: &[&str]| {
        let ran = run_in(folder.path(), variables, &[&["rows", "o.json"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        (
            ran.stdout.contains("Observation_category"),
            ran.stdout.contains("\"text_div\""),
            ran.stdout.contains("1.10"),
        )
    };
    assert_eq!(rows(&[], &[]), (true, true, false), "the profile");
    let environment = [("FLATTEN_ARRAYS", "embedded"), ("FLATTEN_NARRATIVE", "false"), ("DECIMALS", "exact")];
    assert_eq!(rows(&environment, &[]), (false, false, true), "the environment");
    let options = ["--arrays", "tables", "--narrative", "--decimals=double"];
    assert_eq!(rows(&environment, &options), (true, true, false), "options");
    assert_eq!(
        rows(&[], &["--arrays", "embedded", "--narrative=false", "--decimals", "exact"]),
        (false, false, true)
    );
    let empty = [("FLATTEN_ARRAYS", ""), ("FLATTEN_NARRATIVE", ""), ("DECIMALS", "")];
    assert_eq!(rows(&empty, &[]), (true, true, false), "an empty variable counts as absent");
    fs::remove_file(folder.path().join("flatfire.toml")).unwrap();
    assert_eq!(rows(&[], &[]), (false, false, true), "what the program does by itself");
}

#[test]
fn a_mistake_in_the_profile_is_told_with_its_line_and_stops_what_would_use_it_alone() {
    let folder = folder_with("arrays = \"tables\"\nuri = \"mongodb://u:canary@h/\"\narray = \"tables\"\n");
    let ran = run_in(folder.path(), &[], &["rows", "o.json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.starts_with("flatfire: flatfire.toml:3: unknown field `array`"), "{ran:?}");
    assert!(!ran.stderr.contains("canary") && ran.stderr.trim().lines().count() == 1, "{ran:?}");
    for arguments in [&["explain", "truncated"][..], &["completions", "bash"], &["man"], &["rows", "--help"]]
    {
        assert_eq!(run_in(folder.path(), &[], arguments).code, 0, "{arguments:?}");
    }
    let ran = run_in(folder.path(), &[], &["rows", "--profile", "no/such.toml", "o.json"]);
    assert!(ran.code == 1 && ran.stderr.contains("--profile no/such.toml"), "{ran:?}");
    let ran = run_in(folder.path(), &[("FLATFIRE_PROFILE", "other.toml")], &["rows", "o.json"]);
    assert!(ran.code == 1 && ran.stderr.contains("--profile other.toml"), "{ran:?}");
}

/// The files that a profile names stand beside it, wherever it is used from.
#[tokio::test]
async fn load_and_check_and_status_take_their_settings_from_a_named_profile() {
    let database = TestDatabase::of("profile").await;
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings");
    fs::create_dir_all(settings.join("views")).unwrap();
    let view = r#"{"resourceType":"ViewDefinition","name":"seen","status":"active","resource":"Observation",
        "select":[{"column":[{"name":"id","path":"id"}]}]}"#;
    fs::write(settings.join("views/seen.json"), view).unwrap();
    let checks =
        r#"[{"name":"mine","type":"Observation","path":"issued.exists()","severity":"warn","message":"m"}]"#;
    fs::write(settings.join("checks.json"), checks).unwrap();
    fs::write(
        settings.join("p.toml"),
        "uri = \"mongodb://127.0.0.1:1/\"\nviews = \"views\"\nchecks = \"checks.json\"\nresource-types = [\"Odd\"]\n\
         inactive = [\"AuditEvent\", \"Provenance\"]\n[profile.test]\nuri-env = \"PLACE\"\n",
    )
    .unwrap();
    let file = folder.path().join("all.ndjson");
    let others =
        ["Odd", "AuditEvent", "Provenance"].map(|kind| format!(r#"{{"resourceType":"{kind}","id":"x"}}"#));
    fs::write(&file, [&[OBSERVATION.replace('\n', "")], &others[..]].concat().join("\n")).unwrap();
    let file = file.display().to_string();
    let place = [("PLACE", database.uri.as_str())];
    let with = |arguments: &[&str]| {
        let profile = ["--profile", "settings/p.toml", "--profile-name", "test"];
        run_in(folder.path(), &place, &[arguments, &profile].concat())
    };
    let ran = with(&["load", &file]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    let content = database.content().await;
    assert_eq!((content["seen"].len(), content["Odd"].len()), (1, 1));
    assert!(!content.contains_key("observations"), "the project's own views are replaced");
    let archived = database.archived().await;
    assert_eq!((archived["AuditEvent"].len(), archived["Provenance"].len()), (1, 1));
    let load = format!("{:?}", content["_loads"]);
    assert!(load.contains("mine"), "the check counts: {load}");

    let ran = with(&["status"]);
    assert!(ran.code == 0 && ran.stdout.contains("all.ndjson"), "{ran:?}");
    let ran = with(&["check"]);
    assert!(ran.code == 0 && ran.stdout.starts_with("seen: "), "{ran:?}");
    let ran = run(&["check"]);
    assert!(ran.code == 1 && ran.stderr.contains("<DIR>"), "{ran:?}");
    // The same settings by options: the catalog is the same, so nothing stops it.
    let (views, checks) = (settings.join("views"), settings.join("checks.json"));
    let (views, checks) = (views.display().to_string(), checks.display().to_string());
    let options = ["--views", &views, "--checks", &checks, "--resource-types", "Odd"];
    let options = [&options[..], &["--inactive", "AuditEvent", "--inactive", "Provenance"]].concat();
    let ran = run(&[&["load", "--to", &database.uri, &file], &options[..]].concat());
    assert!(ran.code == 0 && ran.stderr.contains("done, before"), "{ran:?}");
    // And by the variables of the function.
    let variables = [
        ("CHECKS", fs::read_to_string(&checks).unwrap()),
        ("RESOURCE_TYPES", "Odd".to_owned()),
        ("INACTIVE_TYPES", "AuditEvent, Provenance".to_owned()),
        ("MONGODB_URI", database.uri.clone()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ran = run_in(folder.path(), &variables, &["load", "--views", &views, &file]);
    assert!(ran.code == 0 && ran.stderr.contains("done, before"), "{ran:?}");

    let ran = run_in(
        folder.path(),
        &[],
        &["load", "--profile", "settings/p.toml", "--profile-name", "test", &file],
    );
    assert!(ran.code == 1 && ran.stderr.contains("the variable PLACE is not set"), "{ran:?}");
    let ran = run_in(
        folder.path(),
        &place,
        &["load", "--profile", "settings/p.toml", "--profile-name", "dev", &file],
    );
    assert!(ran.code == 1 && ran.stderr.contains("no [profile.dev]; it has: test"), "{ran:?}");
    let short = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200";
    let ran =
        run_in(folder.path(), &[("MONGODB_URI", short)], &["load", "--profile", "settings/p.toml", &file]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let told: Vec<_> = ran.stderr.lines().collect();
    assert!(
        matches!(told[..], [_, "flatfire: settings of settings/p.toml"]),
        "a failure names the profile: {ran:?}"
    );
    database.remove().await;
}

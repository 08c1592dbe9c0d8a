//! `flatfire load`

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use mongodb::bson::{Document, doc};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::database::{Content, TestDatabase};
use crate::program::{Ran, flatfire, path_of, run, sample};

fn load(database: &TestDatabase, arguments: &[&str]) -> Ran {
    run(&[&["load", "--to", &database.uri], arguments].concat())
}

/// Returns how many rows each table has, by what `flatfire rows` prints.
fn printed(arguments: &[&str]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in run(&[&["rows"], arguments].concat()).stdout.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        *counts.entry(row["_table"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn stored(content: &Content) -> BTreeMap<String, usize> {
    let tables = content.iter().filter(|(name, documents)| !name.starts_with('_') && !documents.is_empty());
    tables.map(|(name, documents)| (name.clone(), documents.len())).collect()
}

#[tokio::test]
async fn what_rows_prints_stands_in_the_database_and_a_second_load_changes_nothing() {
    let database = TestDatabase::of("samples").await;
    let folder = sample("");
    let first = load(&database, &[&folder]);
    assert_eq!((first.code, first.stdout.as_str()), (2, ""), "{}", first.stderr);
    let reject = "patients-with-a-broken-line.ndjson:5: record 4: byte 960: truncated\n";
    assert!(first.stderr.contains(reject), "{}", first.stderr);
    assert!(first.stderr.contains("In database flatfire_samples: "), "{}", first.stderr);
    let content = database.content().await;
    assert_eq!(stored(&content), printed(&["--tables", "both", &folder]));
    let mut statuses: Vec<_> = content["_loads"].iter().map(|load| load.get_str("status").unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["done", "done", "done", "partial"]);
    assert_eq!(content["_rejects"].len(), 1);

    let second = load(&database, &[&folder]);
    assert_eq!((second.code, second.stdout.as_str()), (2, ""));
    assert!(second.stderr.contains(reject) && second.stderr.contains("done, before"), "{}", second.stderr);
    assert_eq!(database.content().await, content);
    database.remove().await;
}

#[tokio::test]
async fn the_content_of_a_file_decides_whether_it_is_loaded() {
    let database = TestDatabase::of("content").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "patient.json");
    let patient = |family: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"p","name":[{{"family":"{family}"}}],"contact":[{{"gender":"other"}}]}}"#
        )
    };
    fs::write(&file, patient("Old")).unwrap();
    assert_eq!(load(&database, &["--tables", "automatic", "--arrays", "tables", &file]).code, 0);
    let content = database.content().await;
    let tables = ["Patient", "Patient_contact", "Patient_name"];
    assert_eq!(stored(&content), tables.map(|table| (table.to_owned(), 1)).into());
    fs::write(&file, patient("Old")).unwrap();
    assert_eq!(load(&database, &["--tables", "automatic", "--arrays", "tables", &file]).code, 0);
    assert_eq!(database.content().await, content, "only the file's time changed");

    let shrunk = r#"{"resourceType":"Patient","id":"p","name":[{"family":"New"}]}"#;
    fs::write(&file, shrunk).unwrap();
    assert_eq!(load(&database, &["--tables", "automatic", "--arrays", "tables", &file]).code, 0);
    let content = database.content().await;
    assert_eq!(content["Patient"].first().unwrap().get_str("name_family").unwrap(), "New");
    assert_eq!(content["_loads"].len(), 2);
    database.remove().await;
}

/// Absolute, relative, with dots, and through links: one load, which is found by each of its names.
#[cfg(unix)]
#[tokio::test]
async fn a_file_is_known_by_its_canonical_path() {
    let database = TestDatabase::of("spellings").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in/patient.json");
    fs::create_dir_all(folder.path().join("in/empty")).unwrap();
    fs::write(&file, r#"{"resourceType":"Patient","id":"p"}"#).unwrap();
    std::os::unix::fs::symlink("patient.json", folder.path().join("in/link.json")).unwrap();
    std::os::unix::fs::symlink("in", folder.path().join("linked")).unwrap();
    let in_folder = |arguments: &[&str]| {
        let arguments = [&arguments[..1], &["--to", &database.uri], &arguments[1..]].concat();
        Ran::from(flatfire(&arguments).current_dir(folder.path()).output().unwrap())
    };
    let absolute = file.display().to_string();
    let ran = in_folder(&["load", "in/patient.json"]);
    assert!(ran.code == 0 && !ran.stderr.contains("before"), "{ran:?}");
    let spellings =
        ["./in/patient.json", "in/empty/../patient.json", "in/link.json", "linked/patient.json", &absolute];
    for spelling in spellings {
        let ran = in_folder(&["load", spelling]);
        assert!(ran.code == 0 && ran.stderr.contains("done, before"), "{spelling}: {ran:?}");
        let ran = in_folder(&["status", spelling]);
        assert!(ran.code == 0 && ran.stdout.contains("done"), "{spelling}: {ran:?}");
    }
    let ran = in_folder(&["load", "in", "linked", &absolute]);
    assert_eq!(ran.stderr.matches(".json").count(), 1, "{ran:?}");
    let loads = &database.content().await["_loads"];
    let ids: Vec<_> = loads.iter().map(|load| load.get_str("_id").unwrap()).collect();
    assert!(matches!(ids[..], [id] if id.starts_with(&format!("file/{absolute}@etag:"))), "{ids:?}");
    database.remove().await;
}

#[tokio::test]
async fn a_folder_without_fhir_files_is_said() {
    let database = TestDatabase::of("no_files").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let ran = load(&database, &[&path]);
    assert!(ran.code == 0 && ran.stderr.starts_with("flatfire: nothing to load: no file"), "{ran:?}");
    fs::write(folder.path().join("notes.txt"), "notes").unwrap();
    let ran = load(&database, &[&path]);
    assert!(ran.code == 0 && ran.stderr.contains("notes.txt: passed over"), "{ran:?}");
    assert!(ran.stderr.contains("flatfire: nothing to load: no file"), "{ran:?}");
    database.remove().await;
}

#[tokio::test]
async fn other_views_and_settings_make_the_rows_anew_when_a_file_is_loaded_again() {
    let database = TestDatabase::of("views").await;
    let folder = tempfile::tempdir().unwrap();
    let (file, view) = (path_of(&folder, "patient.ndjson"), path_of(&folder, "family.json"));
    fs::write(&file, r#"{"resourceType":"Patient","id":"p","name":[{"family":"A"}]}"#).unwrap();
    fs::write(
        &view,
        r#"{"name":"family","resource":"Patient","select":[{"column":[{"name":"family","path":"name.family"}]}]}"#,
    )
    .unwrap();
    assert_eq!(load(&database, &["--tables", "automatic", &file]).code, 0);
    let refused = load(&database, &["--again", "--views", &view, &file]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("other views or settings have filled the database"),
        "{}",
        refused.stderr
    );
    let again = load(&database, &["--catalog-differs-ok", "--again", "--views", &view, &file]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let content = database.content().await;
    assert_eq!(stored(&content), [("Patient".to_owned(), 1), ("family".to_owned(), 1)].into());

    let changed = fs::read_to_string(&view).unwrap().replace("\"name.family\"", "\"name.family.lower()\"");
    fs::write(&view, changed).unwrap();
    let other = ["--catalog-differs-ok", "--views", &view, &file];
    assert_eq!(load(&database, &other).code, 0, "the ledger calls it done");
    let content = database.content().await;
    assert_eq!(content["family"][0].get_str("family").unwrap(), "A");
    let other = ["--catalog-differs-ok", "--again", "--views", &view, &file];
    assert_eq!(load(&database, &other).code, 0);
    let content = database.content().await;
    assert_eq!(content["family"][0].get_str("family").unwrap(), "a");
    assert_eq!(content["_loads"][0].get_i64("edition").unwrap(), 2);
    assert_eq!(load(&database, &["--again", "--views", &view, &file]).code, 0);
    assert_eq!(database.content().await["_loads"][0].get_i64("edition").unwrap(), 2, "nothing has changed");
    database.remove().await;
}

#[tokio::test]
async fn doubles_take_the_place_of_decimals_when_a_file_is_loaded_again() {
    let database = TestDatabase::of("doubles").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "weight.ndjson");
    fs::write(&file, r#"{"resourceType":"Observation","id":"w","valueQuantity":{"value":70.50}}"#).unwrap();
    assert_eq!(load(&database, &[&file]).code, 0);
    let exact = database.content().await;
    assert_eq!(exact["Observation"][0].get_decimal128("valueQuantity_value").unwrap().to_string(), "70.50");
    let refused = load(&database, &["--decimals", "double", "--again", &file]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let again = load(&database, &["--decimals", "double", "--catalog-differs-ok", "--again", &file]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let doubles = database.content().await;
    for (table, column) in [("Observation", "valueQuantity_value"), ("observations", "value")] {
        assert_eq!(doubles[table][0].get(column), Some(&70.5.into()), "{table}");
    }
    assert_ne!(doubles["_loads"][0].get("catalog"), exact["_loads"][0].get("catalog"));
    assert_eq!(doubles["_loads"][0].get_i64("edition").unwrap(), 1);
    let types = doubles["_columns"]
        .iter()
        .filter(|column| column.get("column") == Some(&"valueQuantity_value".into()));
    assert_eq!(types.map(|column| column.get_str("type").unwrap()).collect::<Vec<_>>(), ["decimal"]);
    database.remove().await;
}

/// Whoever corrects a file by hand seldom touches `meta.lastUpdated`.
#[tokio::test]
async fn a_corrected_file_counts_though_its_resources_say_nothing_of_an_update() {
    let database = TestDatabase::of("corrected").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "patient.json");
    let text = r#"{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2026-01-05T10:00:00Z"},"gender":"male"}"#;
    for (gender, minutes) in [("male", 1), ("other", 2), ("female", 0)] {
        fs::write(&file, text.replace("male", gender)).unwrap();
        let modified = UNIX_EPOCH + Duration::from_mins(29_000_000 + minutes);
        fs::File::options().append(true).open(&file).unwrap().set_modified(modified).unwrap();
        assert_eq!(load(&database, &[&file]).code, 0);
    }
    let content = database.content().await;
    assert_eq!(content["Patient"][0].get_str("gender").unwrap(), "other", "what was changed last");
    database.remove().await;
}

#[tokio::test]
async fn inactive_resources_stand_whole_in_the_archive() {
    let database = TestDatabase::of("inactive").await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "two.ndjson");
    let audit = r#"{"resourceType":"AuditEvent", "id":"a"}"#;
    fs::write(&file, format!("{audit}\n{{\"resourceType\":\"Patient\",\"id\":\"p\"}}\n")).unwrap();
    assert_eq!(load(&database, &["--tables", "automatic", "--inactive", "AuditEvent", &file]).code, 0);
    assert_eq!(stored(&database.content().await), [("Patient".to_owned(), 1)].into());
    let archived = database.archived().await;
    assert_eq!(archived["AuditEvent"].first().unwrap().get_str("json").unwrap(), audit);
    database.remove().await;
}

#[tokio::test]
async fn a_file_that_fails_does_not_keep_the_others_out() {
    let database = TestDatabase::of("failures").await;
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (path_of(&folder, "good.json"), path_of(&folder, "bad.txt"));
    fs::write(&good, r#"{"resourceType":"Patient","id":"p"}"#).unwrap();
    fs::write(&bad, "no FHIR").unwrap();
    let ran = load(&database, &["no/such/file", &bad, &good]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no/such/file: No such file") && ran.stderr.contains("not-json"),
        "{}",
        ran.stderr
    );
    let patients = database.rows.collection::<mongodb::bson::Document>("Patient");
    assert_eq!(patients.count_documents(doc! {}).await.unwrap(), 1);
    let ran = load(&database, &["-"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("write it to a file first"), "{}", ran.stderr);
    database.remove().await;
}

#[test]
fn a_database_that_is_not_there_is_said_at_once_and_without_the_password() {
    let file = sample("patient-bundle.json");
    let uri = "mongodb://user:canary@127.0.0.1:1/db?serverSelectionTimeoutMS=300&connectTimeoutMS=300";
    for (uri, hint) in [
        (uri, "no database answers"),
        ("mongodb://user:canary@127.0.0.1:1/?serverSelectionTimeoutMS=300", "no database answers"),
        ("mongodb//user:canary@127.0.0.1:1/", "cannot be read"),
        ("postgres://user:canary@127.0.0.1/db", "--to"),
    ] {
        let ran = run(&["load", "--to", uri, &file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(hint) && !ran.stderr.contains("canary"), "{hint}: {}", ran.stderr);
        assert_eq!(ran.stderr.trim().lines().count(), 1, "said once: {}", ran.stderr);
    }
}

/// The same patient, newer, by a command that fills fewer tables; then its deletion.
#[tokio::test]
async fn a_load_without_views_leaves_nothing_older_in_their_tables() {
    let database = TestDatabase::of("fewer_tables").await;
    let folder = tempfile::tempdir().unwrap();
    let patient = |id: &str, day: u32, gender: &str| {
        let meta = format!(r#""meta":{{"lastUpdated":"2026-01-{day:02}T10:00:00Z"}}"#);
        format!(r#"{{"resourceType":"Patient","id":"{id}",{meta},"gender":"{gender}"}}"#)
    };
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","timestamp":"2026-01-09T10:00:00Z","entry":[
        {"request":{"method":"DELETE","url":"Patient/2"}}]}"#;
    let files = ["both.ndjson", "newer.json", "deleted.json"].map(|name| path_of(&folder, name));
    fs::write(&files[0], [patient("1", 5, "female"), patient("2", 5, "female")].join("\n")).unwrap();
    fs::write(&files[1], patient("1", 6, "male")).unwrap();
    fs::write(&files[2], deletion).unwrap();
    assert_eq!(load(&database, &[&files[0]]).code, 0);
    assert_eq!(database.content().await["patients"].len(), 2, "the views of the project are run by default");
    let refused = load(&database, &["--tables", "automatic", &files[1]]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("would not fill: ") && refused.stderr.contains("patients"),
        "{refused:?}"
    );
    for file in &files[1..] {
        let ran = load(&database, &["--tables", "automatic", "--catalog-differs-ok", file]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let content = database.content().await;
    assert_eq!(content["Patient"].len(), 1);
    assert_eq!(content["Patient"][0].get_str("gender").unwrap(), "male");
    assert!(content["patients"].is_empty(), "{:?}", content["patients"]);
    database.remove().await;
}

#[tokio::test]
async fn ctrl_c_ends_a_load_behind_its_writes_and_the_next_load_completes_it() {
    a_signal_ends_a_load("load_ctrl_c", Signal::INT).await;
}

/// As systemd and container engines do it.
#[tokio::test]
async fn sigterm_ends_a_load_behind_its_writes_and_the_next_load_completes_it() {
    a_signal_ends_a_load("load_sigterm", Signal::TERM).await;
}

/// Sends it in the middle of the writes.
async fn a_signal_ends_a_load(name: &str, signal: Signal) {
    const PATIENTS: u64 = 40_000;
    let database = TestDatabase::of(name).await;
    let folder = tempfile::tempdir().unwrap();
    let file = path_of(&folder, "large.ndjson");
    let patient = |id| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{id}\",\"gender\":\"other\"}}\n");
    fs::write(&file, (0..PATIENTS).map(patient).collect::<String>()).unwrap();
    let arguments = ["load", "--to", &database.uri, &file];
    let mut load = flatfire(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let patients = database.rows.collection::<Document>("Patient");
    while patients.find_one(doc! {}).await.unwrap().is_none() {
        assert!(load.try_wait().unwrap().is_none(), "it ended before it wrote anything");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill_process(Pid::from_child(&load), signal).unwrap();
    let ran = Ran::from(load.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("finishing the writes under way"), "{ran:?}");
    assert!(ran.stderr.contains("interrupted by hand; load it again to go on"), "{ran:?}");

    let loads = database.rows.collection::<Document>("_loads");
    let load = loads.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(load.get_str("status").unwrap(), "running", "{load}");
    assert!(!load.contains_key("lease") && load.get_str("problem").unwrap().contains("by hand"), "{load}");
    let counts = load.get_document("checkpoint").unwrap().get_document("counts").unwrap();
    let loaded = u64::try_from(counts.get_i64("loaded").unwrap()).unwrap();
    assert!((1..PATIENTS).contains(&loaded), "{load}");
    assert_eq!(patients.count_documents(doc! {}).await.unwrap(), loaded, "everything under way was finished");

    let again = run(&arguments);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(patients.count_documents(doc! {}).await.unwrap(), PATIENTS);
    let load = loads.find_one(doc! {}).await.unwrap().unwrap();
    let loaded = load.get_document("counts").unwrap().get_i64("loaded").unwrap();
    assert_eq!((load.get_str("status").unwrap(), loaded), ("done", 40_000), "{load}");
    database.remove().await;
}

/// In the steady state: the entry in the ledger, the rows, a look, and the entry again; less where several files share
/// a command.
#[tokio::test]
async fn a_small_file_costs_four_commands() {
    const FILES: u64 = 200;
    // Three are read at once, and eight times as many may be on their way: none of these knows the columns.
    const FIRST: u64 = 24;
    let database = TestDatabase::of("commands").await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let file = path_of(&folder, &format!("{name}.json"));
        let patient = format!(r#"{{"resourceType":"Patient","id":"{name}","gender":"other"}}"#);
        fs::write(&file, patient).unwrap();
        file
    };
    assert_eq!(load(&database, &["--tables", "automatic", &write("first")]).code, 0);
    // The profile of a server has room for a hundred commands only.
    let profile = doc! { "create": "system.profile", "capped": true, "size": 32 << 20 };
    database.rows.run_command(profile).await.unwrap();
    database.rows.run_command(doc! { "profile": 2 }).await.unwrap();
    for number in 0..FILES {
        write(&format!("p{number}"));
    }
    let ran = load(&database, &["--tables", "automatic", "--jobs", "3", "--all", &path_of(&folder, "")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<_> = ran.stderr.lines().filter(|line| line.contains(".json")).collect();
    assert!(lines.is_sorted() && lines.len() as u64 == FILES + 1, "the order of the files: {ran:?}");
    database.rows.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.rows.collection::<Document>("system.profile");
    let commands = profile.count_documents(doc! { "appName": "flatfire" }).await.unwrap();
    let of_columns = doc! { "ns": format!("{}._columns", database.rows.name()) };
    let of_columns = profile.count_documents(of_columns).await.unwrap();
    // What a process asks once, and what the file asks that is loaded already.
    assert!(commands <= 4 * FILES + of_columns + 24, "{commands} commands for {FILES} files");
    assert!(commands >= 4 * FILES / 100, "the profiler counts: {commands}");
    assert!(of_columns <= 4 * FIRST, "{of_columns} commands to the dictionary");
    database.remove().await;
}

/// As Ctrl-C does it, with files that have not begun.
#[tokio::test]
async fn ctrl_c_ends_several_loads_and_the_next_command_loads_the_rest() {
    const FILES: u64 = 1_500;
    let database = TestDatabase::of("load_ctrl_c_many").await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let patient = format!(r#"{{"resourceType":"Patient","id":"p{number}","gender":"other"}}"#);
        fs::write(path_of(&folder, &format!("{number:04}.json")), patient).unwrap();
    }
    let arguments = ["load", "--tables", "automatic", "--to", &database.uri, &path_of(&folder, "")];
    let mut load = flatfire(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let patients = database.rows.collection::<Document>("Patient");
    while patients.find_one(doc! {}).await.unwrap().is_none() {
        assert!(load.try_wait().unwrap().is_none(), "it ended before it wrote anything");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill_process(Pid::from_child(&load), Signal::INT).unwrap();
    let ran = Ran::from(load.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("more files were not begun"), "{ran:?}");
    let loads = database.rows.collection::<Document>("_loads");
    assert_eq!(loads.count_documents(doc! { "lease": { "$exists": true } }).await.unwrap(), 0);
    assert_eq!(run(&arguments).code, 0);
    assert_eq!(patients.count_documents(doc! {}).await.unwrap(), FILES);
    assert_eq!(loads.count_documents(doc! { "status": "done" }).await.unwrap(), FILES);
    database.remove().await;
}

/// Compressed files take turns, and those that wait for theirs have not begun.
#[tokio::test]
async fn ctrl_c_begins_no_file_that_waits_for_its_turn() {
    const FILES: u64 = 40;
    let database = TestDatabase::of("load_ctrl_c_turns").await;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let file = fs::File::create(path_of(&folder, &format!("{number:02}.ndjson.gz"))).unwrap();
        let mut file = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        for patient in 0..500 {
            writeln!(file, r#"{{"resourceType":"Patient","id":"p{number}-{patient}","gender":"other"}}"#)
                .unwrap();
        }
        file.finish().unwrap();
    }
    let arguments = ["load", "--tables", "automatic", "--to", &database.uri, &path_of(&folder, "")];
    let mut load = flatfire(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let patients = database.rows.collection::<Document>("Patient");
    while patients.find_one(doc! {}).await.unwrap().is_none() {
        assert!(load.try_wait().unwrap().is_none(), "it ended before it wrote anything");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill_process(Pid::from_child(&load), Signal::INT).unwrap();
    let ran = Ran::from(load.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("more files were not begun"), "{ran:?}");
    let loads = database.rows.collection::<Document>("_loads");
    let interrupted = loads.count_documents(doc! { "status": { "$ne": "done" } }).await.unwrap();
    assert!(interrupted <= 1, "{interrupted} loads were begun and not ended: {ran:?}");
    database.remove().await;
}

/// Of more than 20 files only those that need a look are listed.
#[tokio::test]
async fn a_folder_is_watched_until_somebody_ends_it() {
    let database = TestDatabase::of("load_watch").await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, family: &str| {
        let text = format!(r#"{{"resourceType":"Patient","id":"{name}","name":[{{"family":"{family}"}}]}}"#);
        std::fs::write(folder.path().join(format!("{name}.json")), text).unwrap();
    };
    (0..25).for_each(|number| write(format!("f{number}"), "First"));
    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    let path = folder.path().display().to_string();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_flatfire"))
        .args(["load", "--to", &database.uri, "--watch", "--stable-for", "0", &path])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let patients = database.rows.collection::<mongodb::bson::Document>("Patient");
    let stands = async |filter: mongodb::bson::Document, wanted: u64| {
        for _ in 0..600 {
            if patients.count_documents(filter.clone()).await.unwrap() == wanted {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{filter} never was {wanted}");
    };
    stands(mongodb::bson::doc! {}, 25).await;
    write("late".to_owned(), "Late");
    stands(mongodb::bson::doc! {}, 26).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    write("f3".to_owned(), "Changed");
    stands(mongodb::bson::doc! { "name_family": "Changed" }, 1).await;
    let asked = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut told).unwrap();
    assert!(told.contains("26 files: 25 loaded, 0 loaded in part, 1 failed, 0 known before"), "{told}");
    assert!(told.contains("broken.json") && !told.contains("f7.json"), "{told}");
    database.remove().await;
}

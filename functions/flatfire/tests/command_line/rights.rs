//! What users of the database may do: with the role of `docs/security.md` every command works, and whoever lacks a
//! right is told which one.

use std::fs;
use std::path::PathBuf;

use mongodb::bson::{Bson, Document, doc};
use tempfile::TempDir;

use crate::program::{Ran, path_of, run, sample};
use crate::replica_set::find_mongod;
use crate::secured::{ARCHIVE, PASSWORD, ROWS, Secured, documented_roles};

const AUDIT: &str = r#"{"resourceType":"AuditEvent","id":"a","recorded":"2026-01-05T10:00:00Z"}"#;
const OLD: &str = r#"{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2026-01-05T10:00:00Z"},"contact":[{"gender":"male"}]}"#;
const NEW: &str = r#"{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2026-01-06T10:00:00Z"}}"#;
const VIEW: &str = r#"{"name":"patients_of_mine","resource":"Patient","select":[{"column":[{"name":"key","path":"getResourceKey()"},{"name":"born","path":"birthDate"}]}]}"#;

/// Returns the `mongod` that tests may start; `None`: the caller says that none runs on this machine.
fn mongod() -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "a test's server is named in the environment")]
    let given = std::env::var("FLATFIRE_MONGOD").ok();
    find_mongod(given.as_deref())
}

/// The files of the commands.
struct Files {
    folder: TempDir,
    broken: String,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("audit.ndjson", AUDIT.to_owned()),
            ("old.ndjson", OLD.to_owned()),
            ("new.ndjson", NEW.to_owned()),
            ("view.json", VIEW.to_owned()),
            ("changed.json", VIEW.replace("\"born\"", "\"birthday\"")),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder, broken: sample("patients-with-a-broken-line.ndjson") }
    }

    fn path(&self, name: &str) -> String {
        path_of(&self.folder, name)
    }

    /// Returns every command that asks a database, with the exit code that it has when it may do all it wants.
    fn commands(&self) -> Vec<(i32, Vec<String>)> {
        let [audit, old, new, view, changed] =
            ["audit.ndjson", "old.ndjson", "new.ndjson", "view.json", "changed.json"]
                .map(|name| self.path(name));
        let broken = &self.broken;
        let lines = [
            (2, format!("load --sql-schemas --arrays tables {broken}")),
            (0, format!("load --catalog-differs-ok --inactive AuditEvent --arrays tables {audit} {old}")),
            (0, format!("load --catalog-differs-ok --inactive AuditEvent --arrays tables {new}")),
            (0, format!("load --catalog-differs-ok --views {view} --again {new}")),
            (0, format!("load --catalog-differs-ok --views {changed} --again {new}")),
            (0, "status".to_owned()),
            (0, format!("status {broken}")),
            (0, "status --exports".to_owned()),
            (2, format!("replay --catalog-differs-ok {broken}")),
            (2, "replay --catalog-differs-ok --rejects --status partial".to_owned()),
            (0, "show".to_owned()),
            (0, "show Patient".to_owned()),
            (0, "archive list".to_owned()),
            (0, "archive list AuditEvent".to_owned()),
            (0, "archive show AuditEvent/a".to_owned()),
            (0, "archive restore --catalog-differs-ok AuditEvent/a".to_owned()),
            (0, "schema --as sql".to_owned()),
            (0, "schema --as mongosql".to_owned()),
            (0, "export --patient Patient/p".to_owned()),
            (0, "forget --dry-run Patient/p".to_owned()),
            (0, "forget --yes --reason test Patient/p".to_owned()),
            (0, "forget --compartment --yes --reason test Patient/pat-00".to_owned()),
            (0, "forget --lift --reason test Patient/p".to_owned()),
            (0, "index --indexes all".to_owned()),
            (0, "tidy".to_owned()),
        ];
        lines.map(|(code, line)| (code, line.split(' ').map(str::to_owned).collect())).into()
    }
}

/// Runs a command on a database.
fn run_on(uri: &str, arguments: &[String]) -> Ran {
    let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    all.extend(["--to", uri]);
    let ran = run(&all);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains("CANARY") && !said.contains("mongodb://127"), "{arguments:?}: {said}");
    ran
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn every_command_works_with_the_role_of_the_page_and_names_what_is_missing_without() {
    let Some(mongod) = mongod() else { return };
    let (server, files) = (Secured::start(&mongod).await, Files::new());
    server.add_user("flatfire", vec!["flatfire".into()]).await;
    let uri = server.uri("flatfire", ROWS);
    for (code, command) in files.commands() {
        let ran = run_on(&uri, &command);
        assert_eq!(ran.code, code, "{command:?}: {}{}", ran.stdout, ran.stderr);
    }
    let role = documented_roles().remove(0);
    for action in role.actions() {
        // The command line leaves the retention of the archive as it is; the function does not.
        if action == "dropIndex" {
            continue;
        }
        server.empty().await;
        server.change_role(&role, Some(&action)).await;
        let commands = files.commands();
        let mut refusals =
            commands.iter().map(|(_, command)| run_on(&uri, command)).filter(|ran| ran.code == 1);
        let refused = refusals.next().map(|ran| ran.stderr).unwrap_or_default();
        for part in ["13 Unauthorized", "docs/security.md", &action] {
            assert!(refused.contains(part), "without {action}, {part} is missing in {refused}");
        }
    }
}

#[tokio::test]
async fn read_write_is_enough_for_all_but_changed_validators() {
    let Some(mongod) = mongod() else { return };
    let (server, files) = (Secured::start(&mongod).await, Files::new());
    let roles = [ROWS, ARCHIVE].map(|database| Bson::from(doc! { "role": "readWrite", "db": database }));
    server.add_user("plain", roles.into()).await;
    let uri = server.uri("plain", ROWS);
    let changes_validator = |command: &[String]| command.iter().any(|word| word.ends_with("changed.json"));
    for (code, command) in files.commands() {
        if !changes_validator(&command) {
            let ran = run_on(&uri, &command);
            assert_eq!(ran.code, code, "{command:?}: {}{}", ran.stdout, ran.stderr);
        }
    }
    let (_, command) = files.commands().into_iter().find(|(_, command)| changes_validator(command)).unwrap();
    let ran = run_on(&uri, &command);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for part in [
        "13 Unauthorized: collMod on patients_of_mine in the database fhir",
        "grant the database user the action collMod on the database fhir",
        "docs/security.md",
    ] {
        assert!(ran.stderr.contains(part), "{part} is missing in {}", ran.stderr);
    }
}

/// An earlier version of the program has left a collection that is named after what a sender made up.
#[tokio::test]
async fn tidy_needs_the_second_role_to_drop_collections() {
    let Some(mongod) = mongod() else { return };
    let server = Secured::start(&mongod).await;
    for (user, role) in [("flatfire", "flatfire"), ("tidier", "flatfireTidy")] {
        server.add_user(user, vec![role.into()]).await;
    }
    let source = doc! { "bucket": "b", "key": "k", "ordinal": 0_i64, "offset": 0_i64, "length": 2_i64 };
    let archived = doc! {
        "_id": "T/1", "resourceType": "T", "json": "{}", "_version": "1", "_source": source, "_load": "b/k@v",
    };
    server.database(ARCHIVE).collection::<Document>("T").insert_one(archived).await.unwrap();
    let refused = run_on(&server.uri("flatfire", ROWS), &words("tidy --remove --yes"));
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("13 Unauthorized: drop on T in the database fhir_archive"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("the action dropCollection on the database fhir_archive"),
        "{}",
        refused.stderr
    );
    let tidied = run_on(&server.uri("tidier", ROWS), &words("tidy --remove --yes"));
    assert_eq!(tidied.code, 0, "{}", tidied.stderr);
}

/// What no repetition helps is said at once, with what to do.
#[tokio::test]
async fn refusals_are_told_in_words() {
    let Some(mongod) = mongod() else { return };
    let (server, files) = (Secured::start(&mongod).await, Files::new());
    let administrator = Secured::administrator();
    let load = words(&format!("load --tables automatic {}", files.path("old.ndjson")));
    let said = |uri: &str, command: &[String]| {
        let ran = run_on(uri, command);
        assert_eq!(ran.code, 1, "{command:?}: {}", ran.stdout);
        ran.stderr
    };
    assert_eq!(run_on(&server.uri(administrator, ROWS), &load).code, 0);
    let wrong = said(&server.wrong_uri(administrator), &load);
    assert!(wrong.contains("18 AuthenticationFailed") && wrong.contains("check the user"), "{wrong}");
    let nobody = said(&server.uri_of_nobody(), &load);
    assert!(nobody.contains("13 Unauthorized: the connection string names no user"), "{nobody}");
    let other_case = said(&server.uri(administrator, "FHIR"), &load);
    assert!(
        other_case.contains("13297 DatabaseDifferCase") && other_case.contains("exactly"),
        "{other_case}"
    );
    let long = said(&server.uri(administrator, &"a".repeat(64)), &load);
    assert!(long.contains("73 InvalidNamespace") && long.contains("63 bytes"), "{long}");
    let indexes: Vec<Document> = (0..63)
        .map(|number| doc! { "key": { format!("i{number}"): 1 }, "name": format!("i{number}") })
        .collect();
    let full = doc! { "createIndexes": "patients_of_mine", "indexes": indexes };
    server.database(ROWS).run_command(full).await.unwrap();
    let view = words(&format!(
        "load --catalog-differs-ok --views {} {}",
        files.path("view.json"),
        files.path("new.ndjson")
    ));
    let many = said(&server.uri(administrator, ROWS), &view);
    assert!(many.contains("67 CannotCreateIndex: createIndexes on patients_of_mine"), "{many}");
    assert!(many.contains("at most 64"), "{many}");
    assert!(PASSWORD.contains("CANARY"), "what no message may hold is looked for");
}

//! `flatfire forget`

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::time::Duration;

use mongodb::bson::serialize_to_vec;
use mongodb::bson::{Document, doc};

use crate::database::TestDatabase;
use crate::program::{Ran, flatfire, path_of, run};
#[cfg(target_os = "linux")]
use crate::terminal::Terminal;

const ANNA: &str = r#"{"resourceType":"Patient","id":"anna-1","name":[{"family":"Muster"}],"contact":[{"gender":"other"}],"contained":[{"resourceType":"Organization","id":"c","name":"Muster GmbH"}]}"#;
/// A record of her that is set aside.
const DEFECTIVE: &str = r#"{"resourceType":"Patient","id":"anna-1","multipleBirthInteger":99999999999}"#;
const VIEW: &str = r#"{"name":"family","resource":"Patient","select":[{"forEach":"name","column":[{"name":"family","path":"family"}]}]}"#;
const FILE: &str = "anna-muster.ndjson";

/// A database, and a folder with a file of one patient and a view.
struct Clinic {
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Clinic {
    async fn of(test: &str) -> Self {
        let clinic = Self { database: TestDatabase::of(test).await, folder: tempfile::tempdir().unwrap() };
        fs::write(clinic.path("family.json"), VIEW).unwrap();
        clinic.write(FILE, &[ANNA, DEFECTIVE]);
        clinic.write(
            "others.ndjson",
            &[r#"{"resourceType":"Patient","id":"anna-11","name":[{"family":"Other"}]}"#],
        );
        assert_eq!(clinic.load(FILE).code, 2);
        assert_eq!(clinic.load("others.ndjson").code, 0);
        clinic
    }

    fn path(&self, name: &str) -> String {
        path_of(&self.folder, name)
    }

    fn write(&self, name: &str, lines: &[&str]) {
        fs::create_dir_all(self.folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), lines.join("\n")).unwrap();
    }

    fn load(&self, name: &str) -> Ran {
        let settings = ["--again", "--arrays", "tables", "--inactive", "AuditEvent", "--views"];
        let (view, file) = (self.path("family.json"), self.path(name));
        self.ask("load", &[&settings[..], &[&view, &file]].concat())
    }

    fn forget(&self, arguments: &[&str]) -> Ran {
        self.ask("forget", &[&["--reason", "ticket 7", "--yes"], arguments].concat())
    }

    fn ask(&self, command: &str, arguments: &[&str]) -> Ran {
        run(&[&[command, "--to", &self.database.uri], arguments].concat())
    }

    /// Names of collections and the bytes of all documents of both databases.
    async fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for content in [self.database.content().await, self.database.archived().await] {
            for (name, documents) in content {
                all.push((name.clone(), name.clone().into_bytes()));
                all.extend(documents.iter().map(|one| (name.clone(), serialize_to_vec(one).unwrap())));
            }
        }
        all
    }

    /// Returns the collections in which a text stands.
    async fn where_is(&self, text: &str) -> BTreeSet<String> {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        self.bytes().await.into_iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name).collect()
    }

    /// Returns whether anything of Anna stands. The other patient's id begins with hers.
    async fn is_anna_there(&self) -> bool {
        let bytes = self.bytes().await;
        let is_hers = |bytes: &Vec<u8>| {
            let text = String::from_utf8_lossy(bytes).replace("anna-11", "");
            text.contains("anna-1") || text.contains("Muster")
        };
        bytes.iter().any(|(_, bytes)| is_hers(bytes))
    }

    async fn keys(&self) -> Vec<String> {
        let (rows, archive) = (self.database.content().await, self.database.archived().await);
        let all = rows.iter().chain(&archive).filter(|(name, _)| !name.starts_with('_'));
        let ids = all.flat_map(|(_, documents)| documents).map(|one| one.get_str("_id").unwrap().to_owned());
        let keys: BTreeSet<String> = ids.map(|id| id.split('#').next().unwrap().to_owned()).collect();
        keys.into_iter().collect()
    }
}

#[tokio::test]
async fn nothing_of_an_erased_resource_is_left_not_even_its_name() {
    let clinic = Clinic::of("forget").await;
    let tables = clinic.where_is("anna-1").await;
    assert!(tables.len() >= 5 && tables.contains("_rejects") && tables.contains("family"), "{tables:?}");
    let before = clinic.bytes().await;

    for (arguments, code) in [
        (&["--dry-run", "Patient/anna-1"][..], 0),
        (&["--reason", "x", "Patient/anna-1"], 1),
        (&["--yes", "Patient/anna-1"], 1),
        (&["--yes", "--reason", "x", "Patient/anna-2"], 2),
        (&["--dry-run", "Patient/anna-2"], 2),
        (&["--yes", "--reason", "x", "anna-1"], 1),
        (&["--lift", "Patient/anna-1"], 2),
        (&["--yes", "--reason", "x", "--compartment", "Organization/a"], 1),
    ] {
        let ran = clinic.ask("forget", arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(clinic.bytes().await == before, "{arguments:?} changed something");
    }
    let ran = clinic.ask("forget", &["--reason", "x", "Patient/anna-1"]);
    assert!(ran.stderr.contains("say --yes to erase, or --dry-run to look"), "{}", ran.stderr);
    let ran = clinic.ask("forget", &["--dry-run", "Patient/anna-2"]);
    assert!(ran.stderr.contains("Patient/anna-2: nothing of it stands anywhere"), "{}", ran.stderr);

    let ran = clinic.forget(&["Patient/anna-1"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("Patient/anna-1: to be erased: ") && ran.stdout.contains("1 in _rejects"));
    assert!(ran.stdout.contains(&format!("rm -- '{}'", clinic.path(FILE))), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("Patient/anna-1: erased\n"), "{}", ran.stdout);
    assert!(!clinic.is_anna_there().await, "{:?}", clinic.where_is("anna-1").await);
    for text in ["Muster", FILE, "anna-muster", "multipleBirth"] {
        assert!(clinic.where_is(text).await.is_empty(), "{text}: {:?}", clinic.where_is(text).await);
    }
    assert_eq!(clinic.keys().await, ["Patient/anna-11"]);

    let erasures = clinic.database.rows.collection::<Document>("_erasures");
    let record = erasures.find_one(doc! { "mark": { "$exists": true } }).await.unwrap().unwrap();
    assert_eq!(record.get_str("reason").unwrap(), "ticket 7");
    assert!(
        record.get_datetime("ended").is_ok() && record.get_document("by").unwrap().get_str("address").is_ok()
    );
    assert!(record.get_document("counts").unwrap().get_i64("Patient").is_ok());
    let object = record.get_array("objects").unwrap()[0].as_document().unwrap();
    assert!(object.get_str("key").unwrap().starts_with('~'), "{object}");
    assert_eq!(object.get_array("ranges").unwrap().len(), 2);

    let again = clinic.forget(&["Patient/anna-1"]);
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("nothing of it stands anywhere; it is kept out: erased on "),
        "{}",
        again.stderr
    );
    clinic.database.remove().await;
}

#[tokio::test]
async fn nothing_brings_an_erased_resource_back_before_it_is_let_in() {
    let clinic = Clinic::of("forget_back").await;
    let audit = r#"{"resourceType":"AuditEvent","id":"anna-1","recorded":"2026-01-05T10:00:00Z"}"#;
    clinic.write("audit.ndjson", &[audit]);
    assert_eq!(clinic.load("audit.ndjson").code, 0);
    assert_eq!(clinic.forget(&["Patient/anna-1", "AuditEvent/anna-1"]).code, 0);
    assert!(!clinic.is_anna_there().await);

    let dated =
        |moment: &str| ANNA.replace(r#""id""#, &format!(r#""meta":{{"lastUpdated":"{moment}"}},"id""#));
    let (later, latest) = (dated("2031-01-01T00:00:00Z"), dated("9999-12-31T23:59:59Z"));
    let entry = |entry: &str| {
        format!(r#"{{"resourceType":"Bundle","id":"b","type":"transaction","entry":[{entry}]}}"#)
    };
    let deletion = entry(r#"{"request":{"method":"DELETE","url":"Patient/anna-1"}}"#);
    let creation =
        entry(&format!(r#"{{"resource":{latest},"request":{{"method":"PUT","url":"Patient/anna-1"}}}}"#));
    clinic.write("elsewhere/copy.ndjson", &[ANNA, audit]);
    clinic.write("later.ndjson", &[&later, &latest]);
    clinic.write("deletion.json", &[&deletion]);
    clinic.write("creation.json", &[&creation]);
    let file = File::options().write(true).open(clinic.path(FILE)).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.set_modified(modified + Duration::from_hours(1)).unwrap();
    for name in
        [FILE, "elsewhere/copy.ndjson", "later.ndjson", "deletion.json", "creation.json", "others.ndjson"]
    {
        let ran = clinic.load(name);
        assert!(ran.code == 0 || name == FILE, "{name}: {}", ran.stderr);
        let (tables, tombstones) =
            (clinic.keys().await, clinic.database.content().await["_tombstones"].clone());
        assert!(!tables.iter().any(|key| key.ends_with("/anna-1")), "{name}: {tables:?}");
        assert!(
            tombstones.iter().all(|one| one.get_str("_id").unwrap().starts_with('~')),
            "{name}: {tombstones:?}"
        );
        assert!(
            clinic
                .where_is("Patient/anna-1")
                .await
                .is_subset(&["Patient".to_owned(), "family".to_owned(), "Patient_name".to_owned()].into()),
            "{name}"
        );
    }
    let loads = clinic.database.content().await["_loads"].clone();
    let superseded: Vec<i64> = loads
        .iter()
        .map(|load| load.get_document("counts").unwrap().get_i64("superseded").unwrap())
        .collect();
    assert!(superseded.iter().sum::<i64>() >= 7, "{superseded:?}");

    // The reject that the file brought again: its record is read once more, and kept out as well.
    let rejects = clinic.database.rows.collection::<Document>("_rejects");
    let reject = rejects.find_one(doc! {}).await.unwrap().unwrap();
    assert!(reject.get("resource").is_none(), "{reject}");
    let ran = clinic.ask("replay", &["--rejects"]);
    assert!(!clinic.keys().await.contains(&"Patient/anna-1".to_owned()), "{ran:?}");

    let lifted = clinic.ask("forget", &["--lift", "Patient/anna-1"]);
    assert_eq!(lifted.code, 0, "{}", lifted.stderr);
    assert!(!clinic.keys().await.contains(&"Patient/anna-1".to_owned()));
    assert_eq!(clinic.load("elsewhere/copy.ndjson").code, 0);
    assert_eq!(clinic.keys().await, ["Bundle/b", "Patient/anna-1", "Patient/anna-11"]);
    let erasures = clinic.database.rows.collection::<Document>("_erasures");
    assert_eq!(erasures.count_documents(doc! { "lifted": { "$exists": true } }).await.unwrap(), 1);
    clinic.database.remove().await;
}

/// A record that was set aside, and an archived resource, are kept out in words.
#[tokio::test]
async fn who_is_kept_out_is_told_why() {
    let clinic = Clinic::of("forget_words").await;
    let audit = r#"{"resourceType":"AuditEvent","id":"a","recorded":"2026-01-05T10:00:00Z"}"#;
    clinic.write("audit.ndjson", &[audit]);
    assert_eq!(clinic.load("audit.ndjson").code, 0);
    let archive = clinic.database.archive.collection::<Document>("AuditEvent");
    let archived = archive.find_one(doc! {}).await.unwrap().unwrap();
    let elsewhere = clinic.forget(&["--archive", "nobodys_archive", "AuditEvent/a"]);
    assert_eq!(elsewhere.code, 1, "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("the archive `nobodys_archive` is empty"), "{elsewhere:?}");
    assert_eq!(clinic.forget(&["AuditEvent/a"]).code, 0);
    // As a backup of the archive would bring it back.
    archive.insert_one(&archived).await.unwrap();
    let restored = clinic.ask("archive", &[]);
    assert_eq!(restored.code, 1);
    let restored =
        run(&["archive", "restore", "--catalog-differs-ok", "--to", &clinic.database.uri, "AuditEvent/a"]);
    assert_eq!(restored.code, 1);
    let told = "AuditEvent/a: kept out: erased on ";
    assert!(
        restored.stderr.contains(told) && restored.stderr.contains("forget --lift AuditEvent/a"),
        "{restored:?}"
    );

    let checks =
        r#"[{"name":"born","type":"Patient","path":"birthDate.exists()","severity":"reject","message":"m"}]"#;
    fs::write(clinic.path("checks.json"), checks).unwrap();
    clinic.write("new.ndjson", &[r#"{"resourceType":"Patient","id":"new"}"#]);
    let (checks, file) = (clinic.path("checks.json"), clinic.path("new.ndjson"));
    assert_eq!(clinic.ask("load", &["--catalog-differs-ok", "--checks", &checks, &file]).code, 1);
    assert_eq!(clinic.forget(&["Patient/new"]).code, 0);
    assert_eq!(clinic.ask("load", &["--catalog-differs-ok", "--again", "--checks", &checks, &file]).code, 1);
    let replayed = clinic.ask("replay", &["--catalog-differs-ok", "--rejects", "--code", "check-failed"]);
    assert!(replayed.stderr.contains("Patient/new: kept out: erased on "), "{replayed:?}");
    assert!(!clinic.keys().await.contains(&"Patient/new".to_owned()));
    clinic.database.remove().await;
}

#[tokio::test]
async fn a_file_that_holds_others_keeps_its_name() {
    let clinic = Clinic::of("forget_two").await;
    let berta = r#"{"resourceType":"Patient","id":"berta"}"#;
    clinic.write("both.ndjson", &[&ANNA.replace("anna-1", "anna-2"), berta]);
    assert_eq!(clinic.load("both.ndjson").code, 0);
    let ran = clinic.forget(&["Patient/anna-2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let bytes = format!("also holds others: replace it with a file without bytes 0-{},", ANNA.len() - 1);
    assert!(ran.stdout.contains(&bytes), "{}", ran.stdout);
    assert!(clinic.where_is("both.ndjson").await.contains("_loads"));
    assert!(clinic.where_is("anna-2").await.is_empty(), "{:?}", clinic.where_is("anna-2").await);
    // Now it holds nothing else that stands, so that earlier records lose the name as well.
    assert_eq!(clinic.forget(&["Patient/berta"]).code, 0);
    assert!(clinic.where_is("both.ndjson").await.is_empty(), "{:?}", clinic.where_is("both.ndjson").await);
    clinic.database.remove().await;
}

const COMPARTMENT: [&str; 10] = [
    r#"{"resourceType":"Patient","id":"carla","name":[{"family":"Beispiel"}]}"#,
    r#"{"resourceType":"Patient","id":"sister","link":[{"other":{"reference":"Patient/carla"},"type":"seealso"}]}"#,
    r#"{"resourceType":"Observation","id":"a","status":"final","subject":{"reference":"Patient/carla","display":"Beispiel"}}"#,
    r#"{"resourceType":"Observation","id":"b","status":"final","subject":{"reference":"Patient/sister"},"performer":[{"reference":"Patient/carla"}]}"#,
    r#"{"resourceType":"Appointment","id":"c","participant":[{"actor":{"reference":"Patient/sister"}},{"actor":{"reference":"Patient/carla"}}]}"#,
    r#"{"resourceType":"Appointment","id":"d","participant":[{"actor":{"reference":"Patient/carla"}}]}"#,
    r#"{"resourceType":"AuditEvent","id":"e","entity":[{"what":{"reference":"Patient/carla"}}]}"#,
    r#"{"resourceType":"Group","id":"f","member":[{"entity":{"reference":"Patient/carla"}}]}"#,
    r#"{"resourceType":"Provenance","id":"g","target":[{"reference":"Observation/a"}]}"#,
    r#"{"resourceType":"Practitioner","id":"h"}"#,
];

#[tokio::test]
async fn a_compartment_goes_as_far_as_it_is_the_patients_own() {
    let clinic = Clinic::of("forget_compartment").await;
    clinic.write("day.ndjson", &COMPARTMENT);
    assert_eq!(clinic.load("day.ndjson").code, 0);
    let ran = clinic.forget(&["--compartment", "Patient/carla"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for spared in [
        "Appointment/c: stays: also names Patient/sister",
        "AuditEvent/e: stays: resources of type AuditEvent may speak of others",
        "Group/f: stays: ",
        "Observation/b: stays: also names Patient/sister",
        "Patient/sister: stays: is another patient",
        "Provenance/g: stays: refers to Observation/a",
    ] {
        assert!(ran.stdout.contains(spared), "{spared} is missing in:\n{}", ran.stdout);
    }
    let stay = [
        "Appointment/c",
        "AuditEvent/e",
        "Group/f",
        "Observation/b",
        "Patient/anna-1",
        "Patient/anna-11",
        "Patient/sister",
    ];
    let stay = [&stay[..], &["Practitioner/h", "Provenance/g"]].concat();
    assert_eq!(clinic.keys().await, stay);
    assert!(clinic.where_is("Beispiel").await.is_empty());

    // A typing error is told, and nothing is erased.
    let misspelt = clinic.forget(&["--compartment", "--types", "Gruop", "Patient/carla"]);
    assert!(misspelt.code == 1 && misspelt.stderr.contains("no resource type `Gruop`"), "{misspelt:?}");
    assert_eq!(clinic.keys().await, stay);
    // It stands nowhere now, but who speaks of it does.
    let named = clinic.forget(&["--compartment", "--types", "Group,AuditEvent", "Patient/carla"]);
    assert_eq!(named.code, 2, "{named:?}");
    let keys = clinic.keys().await;
    assert!(!keys.contains(&"Group/f".to_owned()) && !keys.contains(&"AuditEvent/e".to_owned()), "{keys:?}");
    clinic.database.remove().await;
}

/// A load that began before, has written the patient, and meets the patient again when it is erased.
#[tokio::test]
async fn a_load_under_way_does_not_bring_it_back() {
    let clinic = Clinic::of("forget_under_way").await;
    let patient = r#"{"resourceType":"Patient","id":"dora","name":[{"family":"Dorfner"}]}"#;
    let other =
        |number: usize| format!(r#"{{"resourceType":"Patient","id":"n{number}","name":[{{"family":"N"}}]}}"#);
    let lines: Vec<String> = (0..180_000)
        .map(|number| if number % 6_000 == 0 { patient.to_owned() } else { other(number) })
        .collect();
    fs::write(clinic.path("large.ndjson"), lines.join("\n")).unwrap();
    let mut load = flatfire(&[
        "load",
        "--catalog-differs-ok",
        "--to",
        &clinic.database.uri,
        &clinic.path("large.ndjson"),
    ])
    .spawn()
    .unwrap();
    let patients = clinic.database.rows.collection::<Document>("Patient");
    while patients.find_one(doc! { "_id": "Patient/dora" }).await.unwrap().is_none() {
        assert!(load.try_wait().unwrap().is_none(), "the load was too fast");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ran = clinic.forget(&["Patient/dora"]);
    let was_under_way = load.try_wait().unwrap().is_none();
    assert!(load.wait().unwrap().success() && ran.code == 0, "{ran:?}");
    assert!(was_under_way, "the load ended before the erasure");
    assert!(clinic.where_is("Dorfner").await.is_empty() && clinic.where_is("Patient/dora").await.is_empty());
    assert_eq!(patients.count_documents(doc! {}).await.unwrap(), 180_000 - 30 + 2);
    clinic.database.remove().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_it_shows_what_would_go_and_asks() {
    let clinic = Clinic::of("forget_asks").await;
    let before = clinic.bytes().await;
    let arguments = ["forget", "--to", &clinic.database.uri, "--reason", "ticket 7", "Patient/anna-1"];
    let question = "Erase 1 resources for good? Type `erase`:";
    for answer in ["no", "yes", ""] {
        let mut terminal = Terminal::run(&arguments);
        let shown = terminal.wait_for(question).to_owned();
        let listed = shown.find("Patient/anna-1: to be erased: ").unwrap();
        let advice = shown.find(&format!("rm -- '{}'", clinic.path(FILE))).unwrap();
        assert!(listed < advice && advice < shown.find(question).unwrap(), "{shown}");
        assert!(clinic.bytes().await == before, "something was written before anybody answered");
        terminal.answer(answer);
        let (code, shown) = terminal.end();
        assert!(code == 1 && shown.contains("nothing was erased"), "`{answer}`: {code}: {shown}");
        assert!(clinic.bytes().await == before, "`{answer}` wrote something");
    }
    let mut terminal = Terminal::run(&arguments);
    terminal.wait_for(question);
    terminal.answer("erase");
    let (code, shown) = terminal.end();
    assert!(code == 0 && shown.trim_end().ends_with("Patient/anna-1: erased"), "{code}: {shown}");
    assert!(!clinic.is_anna_there().await, "{:?}", clinic.where_is("anna-1").await);

    // --dry-run and --yes do not ask.
    for (argument, said) in [("--dry-run", "would be erased"), ("--yes", "Patient/anna-11: erased")] {
        let target = ["forget", "--to", &clinic.database.uri, "--reason", "x", argument, "Patient/anna-11"];
        let (code, shown) = Terminal::run(&target).end();
        assert!(code == 0 && shown.contains(said) && !shown.contains("Type `erase`"), "{argument}: {shown}");
    }
    assert!(clinic.keys().await.is_empty());
    clinic.database.remove().await;
}

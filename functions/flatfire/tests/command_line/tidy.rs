//! `flatfire tidy`

use std::fmt::Write as _;
use std::fs;

use mongodb::bson::{Document, doc};

use crate::database::TestDatabase;
use crate::program::{path_of, run};

/// So many types that senders have made up.
const MADE_UP: usize = 1_000;

fn source() -> Document {
    doc! { "bucket": "b", "key": "k", "ordinal": 0_i64, "offset": 0_i64, "length": 2_i64 }
}

/// Writes what an earlier release of the program has left: a collection a type in both databases, and a note of each.
async fn left_behind(database: &TestDatabase) {
    let mut notes = Vec::new();
    for number in 0..MADE_UP {
        let (name, table) = (format!("T{number}"), format!("T{number}_contained"));
        let archived = doc! {
            "_id": format!("{name}/1"), "resourceType": &name, "json": format!("{{\"n\":{number}}}"),
            "_version": "1", "_source": source(), "_load": "b/k@v",
        };
        database.archive.collection::<Document>(&name).insert_one(archived).await.unwrap();
        let row = doc! {
            "_id": format!("Patient/0#{number}"), "_container": "Patient/0", "n": i64::try_from(number).unwrap(),
            "_version": "1", "_source": source(), "_load": "b/k@v",
        };
        database.rows.collection::<Document>(&table).insert_one(row).await.unwrap();
        notes.push(doc! { "_id": format!("Patient/{table}"), "type": "Patient", "table": table });
    }
    let child = doc! {
        "_id": "Patient/0#noSuchThing/0", "a": 1, "_version": "1", "_source": source(), "_load": "b/k@v",
    };
    database.rows.collection::<Document>("Patient_noSuchThing").insert_one(child).await.unwrap();
    for table in ["Patient_noSuchThing", "Patient_contact"] {
        notes.push(doc! { "_id": format!("Patient/{table}"), "type": "Patient", "table": table });
    }
    database.rows.collection::<Document>("_side_tables").insert_many(notes).await.unwrap();
    let entry = doc! { "_id": "T0_contained.n", "table": "T0_contained", "column": "n" };
    database.rows.collection::<Document>("_columns").insert_one(entry).await.unwrap();
    let mine = doc! { "_id": "mine", "value": 1 };
    database.rows.collection::<Document>("Mine_contained").insert_one(&mine).await.unwrap();
    database.archive.collection::<Document>("Mine").insert_one(mine).await.unwrap();
    let view =
        doc! { "_id": "Patient/0", "gender": "male", "_version": "1", "_source": source(), "_load": "b/k@v" };
    database.rows.collection::<Document>("my_view").insert_one(view).await.unwrap();
}

/// Returns how many statements remove something when 100 patients that stand come again, newer.
async fn removals_of_an_update(database: &TestDatabase) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    for day in [1, 2] {
        let mut lines = String::new();
        for number in 0..100 {
            let meta = format!(r#""meta":{{"lastUpdated":"2026-01-0{day}T10:00:00Z"}}"#);
            writeln!(lines, r#"{{"resourceType":"Patient","id":"p{number}",{meta}}}"#).unwrap();
        }
        let file = path_of(&folder, &format!("{day}.ndjson"));
        fs::write(&file, lines).unwrap();
        if day == 2 {
            database.rows.run_command(doc! { "profile": 2 }).await.unwrap();
        }
        let ran = run(&["load", "--to", &database.uri, "--tables", "automatic", &file]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    database.rows.run_command(doc! { "profile": 0 }).await.unwrap();
    let profile = database.rows.collection::<Document>("system.profile");
    profile.count_documents(doc! { "op": "remove" }).await.unwrap()
}

#[tokio::test]
async fn what_senders_made_up_is_moved_and_removed() {
    let database = TestDatabase::of("tidy").await;
    left_behind(&database).await;
    let tidy = |arguments: &[&str]| run(&[&["tidy", "--to", &database.uri], arguments].concat());

    let listed = tidy(&[]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains("T7_contained\t1 contained resources"), "{}", listed.stdout);
    assert!(listed.stdout.contains("Patient_noSuchThing\t1 rows of an element"), "{}", listed.stdout);
    assert!(listed.stdout.contains("my_view\trows of Patient, to be noted"), "{}", listed.stdout);
    assert!(listed.stderr.contains("2001 collections with 2001 documents"), "{}", listed.stderr);
    assert!(!listed.stdout.contains("Mine"), "{}", listed.stdout);
    assert_eq!(
        database.rows.list_collection_names().await.unwrap().len(),
        MADE_UP + 5,
        "nothing has changed"
    );
    let unasked = tidy(&["--remove"]);
    assert_eq!(unasked.code, 1);
    assert!(unasked.stderr.contains("no terminal to ask on"), "{}", unasked.stderr);

    let ran = tidy(&["--remove", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (rows, archived) = (database.content().await, database.archived().await);
    let mut names: Vec<_> = rows.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["Mine_contained", "Unknown_contained", "_columns", "_tables", "my_view"]);
    assert_eq!(archived.keys().map(String::as_str).collect::<Vec<_>>(), ["Mine", "Unknown"]);
    assert_eq!((archived["Unknown"].len(), rows["Unknown_contained"].len()), (MADE_UP, MADE_UP));
    let seventh = archived["Unknown"].iter().find(|one| one.get_str("_id").unwrap() == "T7/1").unwrap();
    assert_eq!(seventh.get_str("json").unwrap(), "{\"n\":7}");
    let contained = rows["Unknown_contained"].iter().find(|row| row.get_i64("n").unwrap() == 7).unwrap();
    assert_eq!(contained.get_str("resourceType").unwrap(), "T7");
    assert!(rows["_columns"].is_empty());
    let mut notes: Vec<_> = rows["_tables"].iter().map(|note| note.get_str("_id").unwrap()).collect();
    notes.sort_unstable();
    assert_eq!(notes, ["Patient/Patient_contact", "Patient/Unknown_contained", "Patient/my_view"]);

    let again = tidy(&["--remove", "--yes"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);

    let fresh = TestDatabase::of("tidy_fresh").await;
    let (usual, removals) = (removals_of_an_update(&fresh).await, removals_of_an_update(&database).await);
    // 100 for each of the three tables that are noted.
    assert!(removals <= usual + 300, "{removals} removals, {usual} in a fresh database");
    assert!(database.content().await["my_view"].iter().any(|row| row.get_str("_id").unwrap() == "Patient/0"));
    fresh.remove().await;
    database.remove().await;
}

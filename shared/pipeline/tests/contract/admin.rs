//! What people ask of a store: the same answers from the one in memory and from the one in the database.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use flatten::column_type::{CellType, ColumnType};
use flatten::indexes::Indexes;
use flatten::{CellValue, TableRow};
use pipeline::erasure::Eraser;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Ending, Ledger, Status};
use pipeline::object::ObjectRef;
use pipeline::store::admin::{
    ArchivedEntry, DatabaseUser, ErasedObject, Erasure, KeptOut, Lift, LoadOutline, LoadSelection,
    NotedTable, ObjectName, Operator, RejectFilter, StoredReject,
};
use pipeline::store::memory::MemoryStore;
use pipeline::store::references::ReferenceElement;
use pipeline::store::standing::{RowOrigin, Standing, StoredSource};
use pipeline::store::{ColumnChange, ColumnEntry, FirstFilled, Store, StoreError};
use pipeline::summary::Summary;

use crate::database::Server;
use crate::ledger::{attempt, ending, object};
use crate::spec::{BatchSpec, archived, batch, deleted, marked, pending, rows, suffixed};

const P: &str = "Patient/1";
/// The load of the object that batches of this suite come from.
const LOAD: &str = "clinic/in/day 1.ndjson@v1";

pub(crate) async fn each(check: impl AsyncFn(Arc<dyn Store>)) {
    check(Arc::new(MemoryStore::default())).await;
    let server = Server::get().await;
    let scratch = server.scratch().await;
    check(Arc::new(scratch.store().await)).await;
    scratch.discard().await;
}

async fn write(store: &dyn Store, spec: &BatchSpec) {
    let batch = marked(spec.build(), &store.erasure_marks().await.unwrap());
    store.write(batch).await.unwrap();
}

fn keys(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

fn source(ordinal: u64) -> StoredSource {
    let (bucket, key, version_id) =
        ("clinic".to_owned(), "in/day 1.ndjson".to_owned(), Some("v1".to_owned()));
    StoredSource { bucket, key, version_id, ordinal, offset: 100 * ordinal, length: 99 }
}

#[tokio::test]
async fn a_store_answers_and_has_a_name() {
    each(async |store| {
        store.ping().await.unwrap();
        assert!(!store.database().is_empty() && !store.archive_database().is_empty());
        assert!(store.take_index_notices().is_empty());
        assert_ne!(store.new_erasure_id(), store.new_erasure_id());
        assert!(!store.is_other_archive().await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn rejects_are_found_by_load_and_code_in_the_order_of_the_file() {
    each(async |store| {
        let spec =
            BatchSpec { rejects: vec![3, 1], view_defects: vec![2], reading: 4, ..BatchSpec::default() };
        write(&*store, &spec).await;
        let of_load = store.rejects(&RejectFilter::of_load(LOAD)).await.unwrap();
        assert_eq!(of_load.iter().map(|reject| reject.source.ordinal).collect::<Vec<_>>(), [1, 2, 3]);
        let expected = StoredReject {
            id: format!("{LOAD}#2:200/too-deep/names"),
            load: LOAD.to_owned(),
            source: source(2),
            line: Some(3),
            sha256: Some("00".repeat(32)),
            version: of_load[1].version.clone(),
            resource: Some(P.to_owned()),
            code: "too-deep".to_owned(),
            path: Some("/a/?/b".to_owned()),
            offset_in_record: Some(17),
            view: Some("names".to_owned()),
            refused: None,
            reading: 4,
        };
        assert_eq!(of_load[1], expected);
        let count = async |loads: Option<&[&str]>, code: Option<&str>| {
            let loads = loads.map(|loads| loads.iter().map(|&load| load.to_owned()).collect());
            let filter = RejectFilter { loads, code: code.map(str::to_owned) };
            store.rejects(&filter).await.unwrap().len()
        };
        assert_eq!(count(None, None).await, 3);
        assert_eq!(count(Some(&[LOAD, "other"]), Some("too-deep")).await, 3);
        assert_eq!(count(Some(&[LOAD]), Some("too-large")).await, 0);
        assert_eq!(count(Some(&["clinic/in/day 1.ndjson"]), None).await, 0);
        assert_eq!(count(Some(&[]), None).await, 0);
        store.remove_reject(&expected.id).await.unwrap();
        store.remove_reject(&expected.id).await.unwrap();
        assert_eq!(count(Some(&[LOAD]), None).await, 2);
    })
    .await;
}

#[tokio::test]
async fn archived_resources_are_counted_listed_found_and_removed() {
    each(async |store| {
        assert_eq!(store.count_archived().await.unwrap(), BTreeMap::new());
        write(&*store, &batch([archived("AuditEvent/2", 2), archived("AuditEvent/1", 1), archived(P, 3)]))
            .await;
        let counts = store.count_archived().await.unwrap();
        assert_eq!(counts, BTreeMap::from([("AuditEvent".to_owned(), 2), ("Patient".to_owned(), 1)]));
        for most in [1, 2] {
            let mut listed = Vec::new();
            let mut visit = |entry: ArchivedEntry| {
                listed.push(entry);
                if listed.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            store.visit_archived("AuditEvent", &mut visit).await.unwrap();
            let all = [1, 2].map(|n| ArchivedEntry { key: format!("AuditEvent/{n}"), source: source(n) });
            assert_eq!(listed, all[..most]);
        }
        let found = store.find_archived("AuditEvent/1").await.unwrap().unwrap();
        assert_eq!((found.key.as_str(), found.table.as_str()), ("AuditEvent/1", "AuditEvent"));
        assert_eq!((found.load.as_str(), found.source.as_ref()), (LOAD, Some(&source(1))));
        assert_eq!(found.text.as_deref(), Some(&br#"{"n": 1.0}"#[..]));
        assert_eq!(found.created, Some(7), "from then the retention of its rows counts, once it is restored");
        assert_eq!(store.find_archived("AuditEvent/3").await.unwrap(), None);
        write(&*store, &batch([archived("AuditEvent/1", 5)])).await;
        store.remove_archived(&found).await.unwrap();
        let newer = store.find_archived("AuditEvent/1").await.unwrap().expect("another version has come");
        assert!(newer.version > found.version);
        store.remove_archived(&newer).await.unwrap();
        assert_eq!(store.find_archived("AuditEvent/1").await.unwrap(), None);
        assert_eq!(store.count_archived().await.unwrap()["AuditEvent"], 1);
    })
    .await;
}

#[tokio::test]
async fn what_stands_of_a_resource_is_found_wherever_it_is() {
    each(async |store| {
        let writes = vec![rows(P, 1, 2), rows("Patient/10", 2, 1), deleted("Patient/3", 3)];
        let spec = BatchSpec { writes, view_defects: vec![1], ..BatchSpec::default() };
        write(&*store, &spec).await;
        write(&*store, &batch([archived("AuditEvent/1", 4), suffixed("Patient/4", 5, 2)])).await;
        let asked = keys(&[P, "Patient/3", "Patient/4", "AuditEvent/1", "Patient/5"]);
        let standing = store.standing(&asked).await.unwrap();
        let listed: Vec<_> = standing.iter().map(|(key, of)| format!("{key}: {}", of.listed())).collect();
        assert_eq!(
            listed,
            [
                "AuditEvent/1: 1 in archive AuditEvent",
                "Patient/1: 1 in Patient, 1 in _rejects, 2 in names",
                "Patient/3: 1 in _tombstones",
                "Patient/4: 1 in _tombstones, 2 in names",
            ]
        );
        let Standing { tables, records, .. } = &standing[P];
        assert_eq!(*tables, keys(&["Patient", "names"]));
        let records = &records[LOAD];
        assert_eq!((records.bucket.as_str(), records.key.as_str()), ("clinic", "in/day 1.ndjson"));
        assert_eq!((records.version_id.as_deref(), records.documents), (Some("v1"), 4));
        assert_eq!(records.ranges, BTreeSet::from([(100, 99)]));
        assert!(standing["Patient/3"].records.is_empty() && standing["Patient/3"].tables.is_empty());
        assert!(standing["AuditEvent/1"].tables.is_empty(), "the archive is no table");
        assert_eq!(store.standing(&BTreeSet::new()).await.unwrap(), BTreeMap::new());
    })
    .await;
}

#[tokio::test]
async fn rows_are_read_back_as_cells_of_the_resources_that_are_named() {
    each(async |store| {
        let writes = vec![rows(P, 1, 2), rows("Patient/10", 1, 1), suffixed("Patient/2", 1, 1)];
        let spec = BatchSpec {
            writes: [writes, vec![archived("AuditEvent/1", 2)]].concat(),
            ..BatchSpec::default()
        };
        write(&*store, &spec).await;
        let mut found = Vec::new();
        let mut visit = |row: TableRow| {
            let (source, cells): (Vec<_>, Vec<_>) =
                row.columns.into_iter().partition(|(name, _)| name == "_source");
            let [(_, CellValue::Record(source))] = &source[..] else { panic!("{source:?}") };
            assert!(source.contains(&("key".to_owned(), CellValue::Text("in/day 1.ndjson".to_owned()))));
            assert!(cells.iter().all(|(name, _)| {
                !["_load", "_hash", "_received", "_version", "_id"].contains(&name.as_str())
            }));
            found.push((row.table, row.key, cells.len()));
            ControlFlow::Continue(())
        };
        store.visit_rows(&keys(&[P, "Patient/2", "AuditEvent/1"]), &mut visit).await.unwrap();
        let ids: Vec<_> = found.iter().map(|(table, id, _)| (table.as_str(), id.as_str())).collect();
        let expected =
            [("Patient", P), ("names", "Patient/1#0"), ("names", "Patient/1#1"), ("names", "Patient/2#0")];
        assert_eq!(ids, expected);
        assert!(found.iter().all(|(_, _, cells)| *cells > 0), "{found:?}");
        let mut first = 0;
        let mut stop = |_: TableRow| {
            first += 1;
            ControlFlow::Break(())
        };
        store.visit_rows(&keys(&[P]), &mut stop).await.unwrap();
        assert_eq!(first, 1);
    })
    .await;
}

#[tokio::test]
async fn rows_of_a_table_are_counted_and_read_in_the_order_of_their_keys() {
    each(async |store| {
        assert_eq!(store.count_rows().await.unwrap(), BTreeMap::new());
        let writes = vec![rows("Patient/2", 1, 1), rows(P, 1, 3), archived("AuditEvent/1", 2)];
        write(&*store, &batch(writes)).await;
        let counts = [("Patient", 2), ("active", 1), ("names", 4)];
        let expected = counts.map(|(table, count)| (table.to_owned(), count));
        assert_eq!(store.count_rows().await.unwrap(), BTreeMap::from(expected));
        for (table, most, expected) in [
            ("Patient", 9, &[P, "Patient/2"][..]),
            ("names", 3, &["Patient/1#0", "Patient/1#1", "Patient/1#2"]),
            ("Encounter", 9, &[]),
        ] {
            let mut found = Vec::new();
            let mut visit = |row: TableRow| {
                assert_eq!(row.table, table);
                assert!(row.columns.iter().any(|(name, _)| name == "_source"), "{row:?}");
                found.push(row.key);
                if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            store.visit_table(table, &mut visit).await.unwrap();
            assert_eq!(found, expected);
        }
        write(&*store, &batch([deleted("Patient/2", 2), deleted(P, 2)])).await;
        assert_eq!(store.count_rows().await.unwrap(), BTreeMap::new());
    })
    .await;
}

#[tokio::test]
async fn every_reference_is_visited() {
    each(async |store| {
        let completions =
            vec![(P, 1, "subject_key", "Patient/7"), (P, 1, "link.1.subject_key", "Patient/9#part")];
        let spec = BatchSpec { writes: vec![pending(P, 1)], completions, ..BatchSpec::default() };
        write(&*store, &spec).await;
        let mut found = BTreeSet::new();
        let mut visit = |owner: &str, element: ReferenceElement, target: &str| {
            assert_eq!(owner, P);
            let ReferenceElement::Path(path) = element else { panic!("a column of a resource's own table") };
            found.insert(format!("{path} {target}"));
        };
        store.visit_references(&mut visit).await.unwrap();
        let expected = [" Patient/8", "link.subject Patient/9", "subject Patient/7"];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    })
    .await;
}

#[tokio::test]
async fn documents_of_loads_are_counted() {
    each(async |store| {
        let spec = BatchSpec {
            writes: vec![rows(P, 1, 2), archived("AuditEvent/1", 2), deleted("Patient/3", 3)],
            rejects: vec![9],
            ..BatchSpec::default()
        };
        write(&*store, &spec).await;
        let counts = store.count_documents(&[LOAD, "other"]).await.unwrap();
        assert_eq!(counts, BTreeMap::from([(LOAD.to_owned(), 5)]));
    })
    .await;
}

#[tokio::test]
async fn loads_are_found_by_id_by_object_and_by_catalog() {
    each(async |store| {
        let ledger = Ledger::new(store.clone());
        let (object, id) = (object("a"), object("a").load_id());
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        assert_eq!(store.load_of_other_catalogs(&["xyz"]).await.unwrap(), None, "it is running");
        let summary = Summary { records: 10, ..Summary::default() };
        ledger.finish(&id, 1, &ending(Status::Done, &summary, None, 30)).await.unwrap();
        for name in [id.as_str(), "a"] {
            let loads = store.loads_named(name).await.unwrap();
            assert_eq!(loads.iter().map(|load| &load.id).collect::<Vec<_>>(), [&id], "{name}");
        }
        assert_eq!(store.loads_named("b").await.unwrap(), []);
        assert_eq!(store.load_of_other_catalogs(&["abc"]).await.unwrap(), None);
        let other = store.load_of_other_catalogs(&["xyz", "uvw"]).await.unwrap();
        assert_eq!(other.map(|load| load.id), Some(id.clone()));
        let counts = store.count_records(&[&id, "other"]).await.unwrap();
        assert_eq!(counts, BTreeMap::from([(id, 10)]));
    })
    .await;
}

#[tokio::test]
async fn loads_are_selected_by_the_place_and_the_time_of_their_objects() {
    each(async |store| {
        let ledger = Ledger::new(store.clone());
        for (key, created) in [("in/a.json", 5), ("in/b.ndjson", 6), ("in/b_json", 7), ("out/a.json", 8)] {
            let object = ObjectRef { created, ..object(key) };
            ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        }
        let gone = object("in/b.ndjson").load_id();
        let summary = Summary::default();
        let ending = Ending { created: None, ..ending(Status::Gone, &summary, None, 1) };
        ledger.finish(&gone, 1, &ending).await.unwrap();
        let all = LoadSelection { bucket: "clinic".to_owned(), ..LoadSelection::default() };
        let prefix = "in/".to_owned();
        let select = || LoadSelection { prefix: prefix.clone(), ..all.clone() };
        for (selection, expected) in [
            (all.clone(), &["in/a.json", "in/b.ndjson", "in/b_json", "out/a.json"][..]),
            (LoadSelection { bucket: "clin".to_owned(), ..all.clone() }, &[]),
            (select(), &["in/a.json", "in/b.ndjson", "in/b_json"]),
            (LoadSelection { suffix: ".json".to_owned(), ..select() }, &["in/a.json"]),
            (LoadSelection { since: Some(6), ..select() }, &["in/b.ndjson", "in/b_json"]),
            (LoadSelection { until: Some(6), ..select() }, &["in/a.json"]),
            (LoadSelection { status: Some(Status::Gone), ..all.clone() }, &["in/b.ndjson"]),
        ] {
            let mut visited = Vec::new();
            let mut visit = |id: &str, _| {
                visited.push(id.to_owned());
                ControlFlow::Continue(())
            };
            store.visit_loads(&selection, &mut visit).await.unwrap();
            let expected: Vec<String> = expected.iter().map(|key| object(key).load_id()).collect();
            assert_eq!(visited, expected, "{selection:?}");
            assert_eq!(store.count_loads(&selection).await.unwrap(), expected.len() as u64, "{selection:?}");
        }
        let mut created = None;
        let mut visit = |_: &str, moment| {
            created = Some(moment);
            ControlFlow::Break(())
        };
        store.visit_loads(&all, &mut visit).await.unwrap();
        assert_eq!(created, Some(5));
        let ids = [gone.clone(), object("in/a.json").load_id(), "other".to_owned()];
        let outline = |status, is_stuck| LoadOutline { status, is_stuck, sequencer: None };
        for (now, is_stuck) in [(1, false), (1 << 40, true)] {
            let outlines = store.load_outlines(&ids, now).await.unwrap();
            assert_eq!(outlines.len(), 2);
            assert_eq!(outlines[&gone], outline(Status::Gone, false));
            assert_eq!(outlines[&ids[1]], outline(Status::Running, is_stuck));
        }
    })
    .await;
}

#[tokio::test]
async fn a_row_and_an_archived_resource_say_where_they_came_from() {
    each(async |store| {
        write(&*store, &batch([rows(P, 1, 3), archived("AuditEvent/1", 2)])).await;
        let origin = async |id: &str| store.row_origin(id).await.unwrap();
        let of = |ordinal| Some(RowOrigin { load: LOAD.to_owned(), source: source(ordinal) });
        for (key, ordinal) in [(P, 1), ("AuditEvent/1", 2)] {
            assert_eq!(origin(key).await, of(ordinal), "{key}");
        }
        assert_eq!((origin("Patient/9").await, origin("Patient").await), (None, None));
        write(&*store, &batch([deleted(P, 4)])).await;
        assert_eq!(origin(P).await, None, "a tombstone came from no bytes");
    })
    .await;
}

#[tokio::test]
async fn tables_are_noted_with_the_type_of_their_resources() {
    each(async |store| {
        write(&*store, &batch([rows(P, 1, 3), archived("AuditEvent/1", 2)])).await;
        let noted: BTreeSet<NotedTable> = store.noted_tables().await.unwrap().into_iter().collect();
        let of = |table: &str| NotedTable { resource_type: "Patient".to_owned(), table: table.to_owned() };
        assert_eq!(noted, BTreeSet::from(["Patient", "active"].map(of)));
    })
    .await;
}

fn erasure(store: &dyn Store, mark: &str, begun: i64) -> Erasure {
    let (bucket, key) = ("clinic".to_owned(), "a".to_owned());
    let ranges = vec![(0, 99)];
    Erasure {
        id: store.new_erasure_id(),
        command: store.new_erasure_id(),
        mark: mark.to_owned(),
        reason: "asked for".to_owned(),
        by: Operator { database: DatabaseUser::default(), name: Some("somebody".to_owned()) },
        begun,
        counts: BTreeMap::from([("Patient".to_owned(), 1)]),
        objects: vec![ErasedObject { bucket, key, version_id: None, ranges }],
        program: "1".to_owned(),
    }
}

#[tokio::test]
async fn an_erased_resource_is_kept_out_until_its_mark_is_removed() {
    each(async |store| {
        write(&*store, &batch([rows(P, 1, 2)])).await;
        assert_eq!(store.kept_out(P).await.unwrap(), None);
        assert!(!store.remove_mark(P).await.unwrap());
        let marks = store.erasure_marks().await.unwrap();
        let mark = marks.of_resource(P);
        for begun in [5, 9] {
            let erasure = erasure(&*store, &mark, begun);
            store.begin_erasure(&erasure).await.unwrap();
            let look = async || {
                let left = store.standing(&keys(&[P])).await.unwrap().remove(P);
                Ok::<_, Interrupted>(left.map(|left| left.tables))
            };
            assert!(Eraser::new(&*store, marks.clone()).erase(P, BTreeSet::new(), look).await.unwrap());
            store.end_erasure(&erasure.id, begun + 1).await.unwrap();
            let kept_out = KeptOut { mark: mark.clone(), since: Some(begun) };
            assert_eq!(store.kept_out(P).await.unwrap(), Some(kept_out));
            assert_eq!(store.kept_out("Patient/2").await.unwrap(), None);
        }
        assert!(store.remove_mark(P).await.unwrap());
        let lift = Lift { at: 20, by: Operator::default(), reason: "a mistake".to_owned() };
        store.lift_erasures(&mark, &lift).await.unwrap();
        assert_eq!(store.kept_out(P).await.unwrap(), None);
        write(&*store, &batch([rows(P, 1, 2)])).await;
        assert!(store.standing(&keys(&[P])).await.unwrap().contains_key(P));
    })
    .await;
}

#[tokio::test]
async fn an_object_is_renamed_unless_it_is_being_loaded() {
    each(async |store| {
        let ledger = Ledger::new(store.clone());
        let (object, id) = (object("a"), object("a").load_id());
        let name = ObjectName { bucket: "clinic".to_owned(), key: "a".to_owned() };
        ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        store.write_columns(&[column("gender", &id)]).await.unwrap();
        assert!(!store.rename_object(&id, &name, "~mark").await.unwrap());
        assert_eq!(store.loads_named(&id).await.unwrap().len(), 1);
        ledger.finish(&id, 1, &ending(Status::Done, &Summary::default(), None, 30)).await.unwrap();
        assert!(store.rename_object(&id, &name, "~mark").await.unwrap());
        assert_eq!(store.loads_named(&id).await.unwrap(), []);
        let renamed = store.loads_named("~mark").await.unwrap();
        assert_eq!(renamed.iter().map(|load| load.id.as_str()).collect::<Vec<_>>(), ["clinic/~mark@v1"]);
        let columns = store.columns().await.unwrap();
        assert_eq!(columns[0].first.as_ref().unwrap().load, "clinic/~mark@v1");
        assert!(store.rename_object("clinic/b@v1", &name, "~other").await.unwrap(), "the ledger forgot it");
    })
    .await;
}

fn column(name: &str, load: &str) -> ColumnChange {
    let entry = ColumnEntry {
        table: "Patient".to_owned(),
        column: name.to_owned(),
        path: Some(format!("Patient.{name}")),
        url: None,
        derived: None,
        datatype: Some("code".to_owned()),
        column_type: Some(ColumnType::One(CellType::Text)),
        is_unknown: false,
        is_clash: false,
        first: Some(FirstFilled { load: load.to_owned(), at: 5, first_ordinal: 0 }),
        is_outdated: false,
    };
    ColumnChange { entry, sets_type: false, sets_clash: false }
}

#[tokio::test]
async fn the_dictionary_is_read_as_a_whole_and_in_order() {
    each(async |store| {
        let changes = ["name.use", "name", "active"].map(|name| column(name, "load"));
        store.write_columns(&changes).await.unwrap();
        let columns = store.columns().await.unwrap();
        let [inside, list, first] = changes.map(|change| change.entry);
        assert_eq!(columns, [first, list, inside]);
        assert_eq!(store.table_schemas().await.unwrap(), BTreeMap::new());
    })
    .await;
}

#[tokio::test]
async fn the_store_in_memory_says_what_it_does_not_have() {
    let store = MemoryStore::default();
    let store: &dyn Store = &store;
    let is_unsupported = |error: StoreError| matches!(error, StoreError::Unsupported { .. });
    assert!(is_unsupported(store.user().await.unwrap_err()));
    assert!(is_unsupported(store.tables_to_index().await.unwrap_err()));
    assert!(is_unsupported(store.missing_indexes("Patient", Indexes::Keys).await.unwrap_err()));
    assert!(is_unsupported(store.build_indexes("Patient", Indexes::Keys).await.unwrap_err()));
    assert!(is_unsupported(store.find_outdated(&[]).await.unwrap_err()));
}

#[tokio::test]
async fn missing_indexes_are_counted_and_built() {
    let server = Server::get().await;
    let scratch = server.scratch().await;
    let store = scratch.store().await;
    let store: &dyn Store = &store;
    write(store, &batch([rows(P, 1, 1)])).await;
    assert_eq!(store.missing_indexes("Nothing", Indexes::Keys).await.unwrap().count, 0);
    let missing = store.missing_indexes("Patient", Indexes::Keys).await.unwrap();
    assert!(missing.count > 0 && missing.rows == 1, "{missing:?}");
    assert!(store.build_indexes("Patient", Indexes::Keys).await.unwrap());
    assert_eq!(store.missing_indexes("Patient", Indexes::Keys).await.unwrap().count, 0);
    assert!(store.build_indexes("Patient", Indexes::Keys).await.unwrap(), "there is nothing to build");
    scratch.discard().await;
}

//! Manifests of Bulk Data exports, and the loads of their files.

use std::ops::ControlFlow;

use pipeline::assemble::{MAX_LISTED_FILES, MAX_NAMES_BYTES};
use pipeline::batch::WriteBatch;
use pipeline::interrupted::Interrupted;
use pipeline::ledger::{Ledger, Status};
use pipeline::manifest::{ExpectedFile, ExportManifest, FileRole};
use pipeline::object::{ObjectRef, Pin, Source};
use pipeline::store::Store;
use pipeline::store::admin::ObjectName;
use pipeline::store::exports::{FileSelection, LoadedFile};
use pipeline::summary::Summary;
use pipeline::version::Version;

use crate::admin::each;
use crate::ledger::{attempt, ending, object};

/// Returns a manifest of an export, as version `version` of its object.
pub(crate) fn manifest(export: &str, key: &str, version: u64, names: &[&str]) -> ExportManifest {
    let object =
        ObjectRef { pin: Pin::VersionId(version.to_string()), created: version.cast_signed(), ..object(key) };
    let load = object.load_id();
    let source = Source { object: object.into(), ordinal: 0, offset: 0, length: 9, line: 1 };
    let file = |(number, name): (usize, &&str)| ExpectedFile {
        name: (*name).to_owned(),
        role: FileRole::ALL[number % 3],
        resource_type: (number > 0).then(|| "Patient".to_owned()),
        count: (number != 1).then_some(number as u64),
    };
    ExportManifest {
        id: format!("{export}#{key}"),
        export: export.to_owned(),
        bucket: "clinic".to_owned(),
        key: key.to_owned(),
        time: (version > 1).then_some(1_767_607_267_412),
        files: names.iter().enumerate().map(file).collect(),
        beyond: version % 2,
        next: version.is_multiple_of(2).then(|| "2.json".to_owned()),
        load,
        version: Version::new(None, &source).in_edition(u32::from(version == 4)),
    }
}

async fn write(store: &dyn Store, manifests: &[&ExportManifest]) -> Result<Summary, Interrupted> {
    let manifests = manifests.iter().map(|&manifest| manifest.clone()).collect();
    store.write(WriteBatch { manifests, ..WriteBatch::default() }).await
}

async fn standing(store: &dyn Store) -> Vec<ExportManifest> {
    let mut manifests = Vec::new();
    let mut visit = |manifest| {
        manifests.push(manifest);
        ControlFlow::Continue(())
    };
    store.visit_manifests(&mut visit).await.unwrap();
    manifests
}

#[tokio::test]
async fn the_newest_manifest_stands_whatever_came_first() {
    each(async |store| {
        assert_eq!(standing(&*store).await, []);
        let [first, second, remade] =
            [1, 2, 4].map(|version| manifest("2026-a", "in/m", version, &["a", "b", "ü.ndjson", ""]));
        let other_page = manifest("2026-a", "in/n", 1, &[]);
        let later = manifest("2027-b", "in/m", 3, &["a"]);
        assert_eq!(write(&*store, &[&second]).await, Ok(Summary::default()));
        write(&*store, &[&first, &other_page]).await.unwrap();
        write(&*store, &[&second]).await.unwrap();
        assert_eq!(standing(&*store).await, [other_page.clone(), second]);
        write(&*store, &[&remade, &later]).await.unwrap();
        assert_eq!(standing(&*store).await, [later.clone(), other_page, remade]);
        let mut seen = Vec::new();
        let mut visit = |manifest| {
            seen.push(manifest);
            ControlFlow::Break(())
        };
        store.visit_manifests(&mut visit).await.unwrap();
        assert_eq!(seen, [later]);
    })
    .await;
}

#[tokio::test]
async fn writers_at_once_leave_the_newest_manifest() {
    each(async |store| {
        let versions: Vec<_> = (1..=9).map(|version| manifest("e", "in/m", version, &["a"])).collect();
        let writes = versions.iter().map(async |version| write(&*store, &[version]).await);
        for written in futures::future::join_all(writes).await {
            written.unwrap();
        }
        assert_eq!(standing(&*store).await, [versions[8].clone()]);
    })
    .await;
}

#[tokio::test]
async fn loads_of_files_are_found_by_the_beginnings_of_their_keys() {
    each(async |store| {
        let ledger = Ledger::new(store.clone());
        let types = [("Patient".to_owned(), 2)].into();
        let summary =
            Summary { records: 9, rejected: 3, delete_entries: 4, deleted: 1, types, ..Summary::default() };
        for key in ["in/a", "in/b", "into/c", "x/in/d"] {
            let object = ObjectRef { sequencer: Some("0A".to_owned()), ..object(key) };
            ledger.begin(&object, &attempt("one", 0)).await.unwrap();
        }
        ledger.finish("clinic/in/a@v1", 1, &ending(Status::Partial, &summary, None, 30)).await.unwrap();
        let elsewhere = ObjectRef { bucket: "clinic2".to_owned(), ..object("in/a") };
        ledger.begin(&elsewhere, &attempt("one", 0)).await.unwrap();
        let find = async |bucket, prefix, now| {
            let mut files: Vec<LoadedFile> = Vec::new();
            let selection = FileSelection { bucket, prefix, now };
            store.visit_files(&selection, &mut |file| files.push(file)).await.unwrap();
            files.sort_by(|one, other| one.load.cmp(&other.load));
            files
        };
        let running = LoadedFile {
            load: "clinic/in/b@v1".to_owned(),
            key: "in/b".to_owned(),
            created: 5,
            sequencer: Some("0A".to_owned()),
            status: Status::Running,
            is_stuck: false,
            records: 0,
            rejected: 0,
            delete_entries: 0,
            types: [].into(),
        };
        let partial = LoadedFile {
            load: "clinic/in/a@v1".to_owned(),
            key: "in/a".to_owned(),
            created: 6,
            status: Status::Partial,
            records: 9,
            rejected: 3,
            delete_entries: 4,
            types: [("Patient".to_owned(), 2)].into(),
            ..running.clone()
        };
        assert_eq!(find("clinic", "in/", 999).await, [partial.clone(), running.clone()]);
        let stuck = LoadedFile { is_stuck: true, ..running };
        assert_eq!(find("clinic", "in/", 1_000).await, [partial, stuck]);
        assert_eq!(find("clinic", "", 0).await.len(), 4);
        assert_eq!(find("clinic", "in/a/", 0).await, []);
        assert_eq!(find("clinic2", "", 0).await.len(), 1);
    })
    .await;
}

/// The name of an object that held nothing but an erased resource goes where the nearest manifest lists it.
#[tokio::test]
async fn erased_names_leave_manifests() {
    each(async |store| {
        let names = ["Patient%201.ndjson", "Patient 1.ndjson", "Patient 2.ndjson"];
        let around = manifest("e1", "in/m", 3, &names);
        let elsewhere = manifest("e2", "other/m", 3, &names);
        let elsewhere_bucket =
            ExportManifest { bucket: "b".to_owned(), id: "e0#".to_owned(), ..around.clone() };
        write(&*store, &[&around, &elsewhere, &elsewhere_bucket]).await.unwrap();
        let rename = async |key: &str, mark: &str| {
            let (bucket, load) = ("clinic".to_owned(), format!("clinic/{key}@v1"));
            let name = ObjectName { bucket, key: key.to_owned() };
            assert!(store.rename_object(&load, &name, mark).await.unwrap());
        };
        let names_of = async || -> Vec<Vec<String>> {
            let manifests = standing(&*store).await;
            let names =
                |manifest: &ExportManifest| manifest.files.iter().map(|file| file.name.clone()).collect();
            manifests.iter().map(names).collect()
        };
        rename("in/deep/Patient 1.ndjson.gz", "~m1").await;
        assert_eq!(names_of().await, [names.to_vec(), vec![names[0], "~m1", names[2]], names.to_vec()]);
        rename("apart/Patient%201", "~m2").await;
        assert_eq!(
            names_of().await,
            [vec!["~m2", "~m2", names[2]], vec!["~m2", "~m1", names[2]], names.to_vec()]
        );
        rename("in/no such file", "~m3").await;
        assert!(!format!("{:?}", names_of().await).contains("~m3"));
    })
    .await;
}

/// The largest manifest that the assembler hands on.
#[tokio::test]
async fn the_largest_manifest_fits() {
    each(async |store| {
        let bytes = MAX_NAMES_BYTES / MAX_LISTED_FILES;
        let resource_type = "OperationOutcome";
        let files = (0..MAX_LISTED_FILES).map(|file| ExpectedFile {
            name: format!("{file:0width$}", width = bytes - resource_type.len()),
            role: FileRole::Outcome,
            resource_type: Some(resource_type.to_owned()),
            count: Some(u64::MAX >> 1),
        });
        let largest = ExportManifest { files: files.collect(), ..manifest("e", "in/m", 3, &[]) };
        write(&*store, &[&largest]).await.unwrap();
        assert!(standing(&*store).await == [largest]);
    })
    .await;
}

//! What may arrive: manifests, and files of which the test knows by which names a manifest may call them.

use std::fmt::Write as _;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use flatten::catalog::Catalog;
use pipeline::ledger::{Attempt, BeginOutcome, Ending, Lease, Ledger, Status};
use pipeline::load::{Job, Loaded, Pipeline, PipelineLimits};
use pipeline::object::{ObjectRef, Pin};
use pipeline::source::Storage;
use pipeline::store::Store;
use pipeline::summary::Summary;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tempfile::TempDir;

/// 2026-01-05T10:00:00Z
const BASE: i64 = 1_767_607_200_000;
const MINUTE: i64 = 60_000;
/// When the test asks.
pub(crate) const NOW: i64 = BASE + 24 * 60 * MINUTE;

/// Files: the last segments of URLs that mean them, and of keys.
const FILES: [(&[&str], &[&str]); 4] = [
    (
        &["Patient.ndjson", "Patient.ndjson?sig=CANARY", "Patient.ndjson.gz", "Patient"],
        &["Patient.ndjson", "Patient", "Patient.ndjson.zst"],
    ),
    (
        &["a%20b%C3%BC.ndjson", "download?x=CANARY&f=a%20b%C3%BC.ndjson"],
        &["a bü.ndjson", "a%20b%C3%BC.ndjson", "a bü"],
    ),
    (
        &["day%2FObservation+1.ndjson?alt=media", "Observation+1.ndjson#CANARY"],
        &["Observation+1.ndjson", "Observation+1.ndjson.GZ"],
    ),
    (&["7f3c", "7f3c/"], &["7f3c.ndjson", "7f3c"]),
];
/// Files that no manifest lists.
const EXTRA: [&str; 2] = ["Extra.ndjson", "patient.ndjson"];
const FOLDERS: [&str; 5] = ["", "in/", "in/a/", "in/a/b/", "out/"];
pub(crate) const TYPES: [&str; 2] = ["Patient", "Observation"];

/// Something that arrives.
#[derive(Debug, Clone)]
pub(crate) enum Arrival {
    Manifest(Manifest),
    Delivery(Delivery),
}

#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// The number of the export.
    pub(crate) export: usize,
    /// When the export was, in minutes.
    pub(crate) minute: i64,
    pub(crate) bucket: &'static str,
    pub(crate) folder: &'static str,
    pub(crate) name: String,
    /// When the object was made, in milliseconds.
    pub(crate) created: i64,
    pub(crate) entries: Vec<Entry>,
}

/// A file in a manifest.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) list: &'static str,
    /// The index in `FILES`.
    pub(crate) file: usize,
    pub(crate) url: String,
    pub(crate) resource_type: Option<&'static str>,
    pub(crate) count: Option<u64>,
}

/// A file that arrives.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) bucket: &'static str,
    pub(crate) folder: &'static str,
    /// The index in `FILES`; `None`: no manifest lists it.
    pub(crate) file: Option<usize>,
    pub(crate) name: String,
    /// Different for every version.
    pub(crate) version: usize,
    /// When the object was made, in milliseconds.
    pub(crate) created: i64,
    pub(crate) script: LoadScript,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadScript {
    Loads,
    /// It is deleted before it is loaded.
    Gone,
    /// Somebody begins to load it.
    Begun,
    /// Somebody begins to load it and is killed.
    Killed,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// So many resources of a type, and so many broken lines.
    Lines { resource_type: &'static str, whole: u64, broken: u64 },
    /// Bundles with so many DELETE entries each.
    Deletions(Vec<u64>),
}

/// Exports before anything of them arrives.
pub(crate) struct World {
    exports: Vec<Manifest>,
    clock: i64,
}

impl World {
    pub(crate) fn new(random: &mut StdRng) -> Self {
        let exports = random.random_range(1..=3);
        let minutes = [0, 4, 8, 30, 90];
        let exports = (0..exports).map(|export| Manifest {
            export,
            // Minutes differ, so that no two exports are the latest.
            minute: minutes[(export * 2 + random.random_range(0..2)).min(4)],
            bucket: if random.random_ratio(1, 10) { "other" } else { "clinic" },
            folder: FOLDERS.choose(random).unwrap(),
            name: "manifest.json".to_owned(),
            created: 0,
            entries: Vec::new(),
        });
        let mut world = Self { exports: exports.collect(), clock: 0 };
        for index in 0..world.exports.len() {
            world.exports[index].entries = Self::entries(random);
        }
        world
    }

    fn entries(random: &mut StdRng) -> Vec<Entry> {
        let count = random.random_range(1..=3);
        let entry = |random: &mut StdRng| {
            let file = random.random_range(0..FILES.len());
            let list = *["output", "output", "output", "deleted", "error", "outcome"].choose(random).unwrap();
            let host =
                ["https://ehr.example.org/CANARY/", "https://ehr.example.org/o/", ""].choose(random).unwrap();
            Entry {
                list,
                file,
                url: format!("{host}{}", FILES[file].0.choose(random).unwrap()),
                resource_type: random
                    .random_bool(0.6)
                    .then(|| if list == "output" { *TYPES.choose(random).unwrap() } else { "Bundle" }),
                count: random.random_bool(0.5).then(|| random.random_range(1..=3)),
            }
        };
        let mut entries: Vec<Entry> = (0..count).map(|_| entry(random)).collect();
        // As they are read.
        entries.sort_by_key(|entry| {
            ["output", "deleted", "error", "outcome"].iter().position(|list| *list == entry.list)
        });
        entries
    }

    /// Returns manifests and files in any order: some twice, some corrected, some missing, some of no export.
    pub(crate) fn arrivals(mut self, random: &mut StdRng) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for manifest in self.exports.clone() {
            for round in 0..random.random_range(1..=2) {
                let mut manifest =
                    Manifest { created: self.tick(manifest.minute, random), ..manifest.clone() };
                if round > 0 {
                    manifest.name = ["manifest.json", "manifest-2.json"].choose(random).unwrap().to_string();
                    manifest.entries = Self::entries(random);
                }
                arrivals.push(Arrival::Manifest(manifest));
            }
            for entry in &manifest.entries {
                for _ in 0..*[0, 1, 1, 1, 1, 2].choose(random).unwrap() {
                    arrivals.push(Arrival::Delivery(self.delivery(&manifest, entry, random)));
                }
            }
        }
        for end in (1..arrivals.len()).rev() {
            arrivals.swap(end, random.random_range(0..=end));
        }
        // What has arrived arrives again.
        for _ in 0..random.random_range(0..=2) {
            let again = arrivals.choose(random).unwrap().clone();
            arrivals.push(again);
        }
        arrivals
    }

    fn delivery(&mut self, manifest: &Manifest, entry: &Entry, random: &mut StdRng) -> Delivery {
        let is_extra = random.random_ratio(1, 12);
        let is_elsewhere = random.random_ratio(1, 4);
        let below = ["", "", "deep/"].choose(random).unwrap();
        let folder = if is_elsewhere { FOLDERS.choose(random).unwrap() } else { manifest.folder };
        let name = if is_extra {
            EXTRA.choose(random).unwrap()
        } else {
            FILES[entry.file].1.choose(random).unwrap()
        };
        let as_expected = random.random_ratio(4, 5);
        let count = entry.count.filter(|_| as_expected).unwrap_or_else(|| random.random_range(1..=3));
        let resource_type = entry.resource_type.filter(|name| as_expected && TYPES.contains(name));
        let content = match entry.list {
            "deleted" if count > 1 && random.random_bool(0.5) => Content::Deletions(vec![1, count - 1]),
            "deleted" => Content::Deletions(vec![count]),
            _ => Content::Lines {
                resource_type: resource_type.unwrap_or_else(|| TYPES.choose(random).unwrap()),
                whole: if random.random_ratio(1, 15) { 0 } else { count },
                broken: u64::from(random.random_ratio(1, 10)),
            },
        };
        let scripts = [LoadScript::Gone, LoadScript::Begun, LoadScript::Killed];
        Delivery {
            bucket: manifest.bucket,
            folder,
            file: (!is_extra).then_some(entry.file),
            name: format!("{below}{name}"),
            version: usize::try_from(self.clock).unwrap(),
            created: self.tick(manifest.minute, random),
            script: if random.random_ratio(1, 10) {
                *scripts.choose(random).unwrap()
            } else {
                LoadScript::Loads
            },
            content,
        }
    }

    /// Returns a moment around an export, another one each time.
    fn tick(&mut self, minute: i64, random: &mut StdRng) -> i64 {
        self.clock += 1;
        BASE + (minute + random.random_range(-14..=60)) * MINUTE + 1 + self.clock
    }
}

/// Where things arrive.
pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    ledger: Ledger,
    folder: TempDir,
}

impl Place {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { ledger: Ledger::new(store.clone()), store, folder }
    }

    pub(crate) async fn arrive(&self, arrival: &Arrival, number: usize) {
        let (object, text, script) = match arrival {
            Arrival::Manifest(manifest) => (manifest.object(), manifest.text(), LoadScript::Loads),
            Arrival::Delivery(delivery) => (delivery.object(), delivery.text(), delivery.script),
        };
        let until = match script {
            LoadScript::Loads => return self.load(object, &text, number).await,
            LoadScript::Gone | LoadScript::Begun => NOW + 1,
            LoadScript::Killed => NOW,
        };
        let lease = Lease { owner: "somebody".to_owned(), until };
        let (code, catalog) = ("1".to_owned(), "c".to_owned());
        let attempt = Attempt { now: NOW - 1, lease, again: false, code, catalog, by: None };
        let begun = self.ledger.begin(&object, &attempt).await.unwrap();
        if let (LoadScript::Gone, BeginOutcome::Run { attempt, .. }) = (script, begun) {
            let summary = &Summary::default();
            let ending = Ending { status: Status::Gone, summary, problem: None, created: None, now: NOW };
            self.ledger.finish(&object.load_id(), attempt, &ending).await.unwrap();
        }
    }

    async fn load(&self, object: ObjectRef, text: &str, number: usize) {
        let path = self.folder.path().join(number.to_string());
        std::fs::write(&path, text).unwrap();
        let modified = UNIX_EPOCH + Duration::from_millis(object.created.cast_unsigned());
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        self.run(Storage::File(path), object, &Arc::default()).await;
    }

    /// Loads a text as the object of that key.
    pub(crate) async fn load_as(&self, key: &str, text: &[u8], catalog: &Arc<Catalog>) -> Loaded {
        let path = self.folder.path().join("text");
        std::fs::write(&path, text).unwrap();
        let object = object("clinic", key.to_owned(), "v1".to_owned(), 0);
        self.run(Storage::File(path), object, catalog).await
    }

    /// Loads an object as the function does.
    async fn run(&self, storage: Storage, object: ObjectRef, catalog: &Arc<Catalog>) -> Loaded {
        let (store, limits) = (self.store.clone(), PipelineLimits::default());
        let pipeline = Pipeline { storage, catalog: Arc::clone(catalog), store, limits };
        let job = Job {
            owner: object.load_id(),
            again: false,
            by: None,
            deadline: None,
            is_cancelled: None,
            read_turns: None,
            clock: || NOW,
            progress: &|_| {},
        };
        pipeline.load(&self.ledger, &Arc::new(object), &job).await.unwrap()
    }
}

fn object(bucket: &str, key: String, version: String, created: i64) -> ObjectRef {
    ObjectRef {
        bucket: bucket.to_owned(),
        key,
        pin: Pin::VersionId(version),
        sequencer: None,
        created,
        size: None,
    }
}

impl Manifest {
    fn object(&self) -> ObjectRef {
        object(self.bucket, format!("{}{}", self.folder, self.name), self.created.to_string(), self.created)
    }

    fn text(&self) -> String {
        let time = flatten::time::rfc3339(BASE + self.minute * MINUTE);
        let mut text = format!(
            r#"{{"transactionTime": "{time}", "request": "https://ehr.example.org/$export?export={}", "requiresAccessToken": true"#,
            self.export
        );
        for list in ["outcome", "error", "deleted", "output"] {
            let files = self.entries.iter().filter(|entry| entry.list == list).map(Entry::text);
            write!(text, ",\n  \"{list}\": [{}]", files.collect::<Vec<_>>().join(", ")).unwrap();
        }
        text + "}\n"
    }
}

impl Entry {
    fn text(&self) -> String {
        let resource_type =
            self.resource_type.map(|name| format!(r#""type": "{name}", "#)).unwrap_or_default();
        let count = self.count.map(|count| format!(r#", "count": {count}"#)).unwrap_or_default();
        format!(r#"{{{resource_type}"url": "{}"{count}}}"#, self.url)
    }
}

impl Delivery {
    pub(crate) fn key(&self) -> String {
        format!("{}{}", self.folder, self.name)
    }

    fn object(&self) -> ObjectRef {
        object(self.bucket, self.key(), self.version.to_string(), self.created)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        match &self.content {
            Content::Lines { resource_type, whole, broken } => {
                for line in 0..*whole {
                    writeln!(text, r#"{{"resourceType":"{resource_type}","id":"v{}-{line}"}}"#, self.version)
                        .unwrap();
                }
                for _ in 0..*broken {
                    writeln!(text, r#"{{"resourceType":"Patient",,"id":"x"}}"#).unwrap();
                }
            }
            Content::Deletions(bundles) => {
                for (bundle, deletions) in bundles.iter().enumerate() {
                    let entry = |number| {
                        let id = format!("v{}-{bundle}-{number}", self.version);
                        format!(r#"{{"request":{{"method":"DELETE","url":"Patient/{id}"}}}}"#)
                    };
                    let entries: Vec<_> = (0..*deletions).map(entry).collect();
                    let entries = entries.join(",");
                    writeln!(text, r#"{{"resourceType":"Bundle","id":"v{}-{bundle}","type":"transaction","entry":[{entries}]}}"#, self.version).unwrap();
                }
            }
        }
        text
    }
}

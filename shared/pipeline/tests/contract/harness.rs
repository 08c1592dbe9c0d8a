//! A store under test, and how its tables are read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use flatten::json::{Limits, Tape};
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document};
use mongodb_store::MongoStore;
use mongodb_store::simulation::{Collection, SimulatedMongo, State};
use pipeline::batch::{Fate, WriteBatch};
use pipeline::erasure::ErasureMarks;
use pipeline::interrupted::Interrupted;
use pipeline::print::{Format, Printer};
use pipeline::store::RowStore;
use pipeline::store::memory::MemoryStore;
use pipeline::summary::Summary;

use crate::database::{Scratch, Server};
use crate::spec::marked;
use crate::stored;
use crate::tables::{Tables, of_bson, of_node};

pub(crate) enum Harness {
    Memory(MemoryStore),
    Simulated(SimulatedMongo),
    Lines { store: Printer, rejects: Arc<Mutex<Vec<String>>> },
    Mongo { store: MongoStore, scratch: Scratch },
}

impl Harness {
    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryStore::default())
    }

    pub(crate) fn simulated() -> Self {
        Self::Simulated(SimulatedMongo::default())
    }

    pub(crate) fn lines() -> Self {
        let rejects = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&rejects);
        let on_reject = move |reject: &pipeline::batch::Reject| heard.lock().unwrap().push(reject.id());
        Self::Lines { store: Printer::new(Format::History, on_reject), rejects }
    }

    pub(crate) async fn mongodb(server: &Server) -> Self {
        let scratch = server.scratch().await;
        Self::Mongo { store: scratch.store().await, scratch }
    }

    /// Returns whether the store knows what it was given in earlier batches.
    pub(crate) fn remembers(&self) -> bool {
        !matches!(self, Self::Lines { .. })
    }

    pub(crate) async fn write(&self, batch: WriteBatch) -> Result<Summary, Interrupted> {
        match self {
            Self::Memory(store) => store.write(marked(batch, &store.marks())).await,
            Self::Simulated(store) => store.write(marked(batch, &store.marks())).await,
            Self::Lines { store, .. } => store.write(batch).await,
            // Another process erases: this one must find the mark by itself.
            Self::Mongo { scratch, .. } if has_erasures(&batch) => {
                let eraser = scratch.store().await;
                eraser.write(marked(batch, &eraser.marks().await?)).await
            }
            Self::Mongo { store, .. } => store.write(batch).await,
        }
    }

    pub(crate) async fn lift(&self, key: &str) -> bool {
        match self {
            Self::Memory(store) => store.lift(key),
            Self::Simulated(store) => store.lift(key),
            Self::Lines { .. } => false,
            Self::Mongo { store, .. } => store.lift(key).await.unwrap(),
        }
    }

    /// Returns the keys that rejects name.
    pub(crate) async fn rejected_keys(&self) -> Vec<Option<String>> {
        let rejects = self.reject_documents().await;
        rejects.iter().map(|reject| reject.get_str("resource").ok().map(str::to_owned)).collect()
    }

    pub(crate) async fn forget_rejects(&self, load: &str, reading: u32) {
        let outcome = match self {
            Self::Memory(store) => store.forget_rejects(load, reading).await,
            Self::Simulated(store) => store.forget_rejects(load, reading).await,
            Self::Lines { store, .. } => store.forget_rejects(load, reading).await,
            Self::Mongo { store, .. } => store.forget_rejects(load, reading).await,
        };
        outcome.unwrap();
    }

    /// Returns the `_id`s of the rejects that stand, each with its reading.
    pub(crate) async fn rejects(&self) -> Vec<(String, i64)> {
        let rejects = self.reject_documents().await;
        let told = |reject: &Document| {
            (reject.get_str("_id").unwrap().to_owned(), reject.get_i64("reading").unwrap_or_default())
        };
        let mut rejects: Vec<_> = rejects.iter().map(told).collect();
        rejects.sort();
        rejects
    }

    async fn reject_documents(&self) -> Vec<Document> {
        match self {
            Self::Memory(store) => stored::state(store).rejects.into_values().collect(),
            Self::Simulated(store) => store.state().rejects.into_values().collect(),
            Self::Lines { .. } => Vec::new(),
            Self::Mongo { scratch, .. } => {
                let rejects = scratch.database().collection::<Document>("_rejects");
                rejects.find(Document::new()).await.unwrap().try_collect().await.unwrap()
            }
        }
    }

    /// Returns what stands in the end. Empty tables are left out.
    pub(crate) async fn tables(self) -> Tables {
        let marks = match &self {
            Self::Memory(store) => Some(store.marks()),
            Self::Simulated(store) => Some(store.marks()),
            Self::Mongo { store, scratch } if scratch.has_erasures().await => {
                Some(store.marks().await.unwrap())
            }
            Self::Lines { .. } | Self::Mongo { .. } => None,
        };
        let mut tables = match self {
            Self::Memory(store) => of_state(&stored::state(&store), &store.marks()),
            Self::Simulated(store) => of_simulated(&store),
            Self::Lines { store, rejects } => {
                let mut lines = Vec::new();
                store.finish(&mut lines).unwrap();
                let mut tables = fold(&lines);
                let rejects =
                    rejects.lock().unwrap().iter().map(|id| (id.clone(), "{}".to_owned())).collect();
                tables.insert("_rejects".to_owned(), rejects);
                tables
            }
            Self::Mongo { scratch, .. } => scratch.read().await,
        };
        tables.retain(|_, table| !table.is_empty());
        if let (Some(marks), Some(tombstones)) = (marks, tables.get_mut("_tombstones")) {
            *tombstones = readable(tombstones, &marks);
        }
        tables
    }
}

fn has_erasures(batch: &WriteBatch) -> bool {
    batch.resources.iter().any(|resource| matches!(resource.fate, Fate::Erased { .. }))
}

/// The resources that these tests erase.
pub(crate) const ERASED: [&str; 4] = ["Patient/1", "Patient/10", "Patient/2", "AuditEvent/1"];

/// Returns the tombstones with `~Patient/1` for its mark, which is another one in every store.
fn readable(tombstones: &BTreeMap<String, String>, marks: &ErasureMarks) -> BTreeMap<String, String> {
    let named = |text: &String| {
        let text = text.clone();
        ERASED.iter().fold(text, |text, key| text.replace(&marks.of_resource(key), &format!("~{key}")))
    };
    tombstones.iter().map(|(id, document)| (named(id), named(document))).collect()
}

pub(crate) fn of_simulated(store: &SimulatedMongo) -> Tables {
    of_state(&store.state(), &store.marks())
}

fn of_state(state: &State, marks: &ErasureMarks) -> Tables {
    let tables = state.tables.iter().map(|(name, table)| (name.clone(), canonical(table)));
    let archive = state.archive.iter().map(|(name, table)| (format!("_archive/{name}"), canonical(table)));
    let own = [("_tombstones", &state.tombstones), ("_rejects", &state.rejects)];
    let mut own: Tables = own.into_iter().map(|(name, table)| (name.to_owned(), canonical(table))).collect();
    if let Some(tombstones) = own.get_mut("_tombstones") {
        *tombstones = readable(tombstones, marks);
    }
    tables.chain(archive).chain(own).filter(|(_, table)| !table.is_empty()).collect()
}

fn canonical(table: &Collection) -> BTreeMap<String, String> {
    table.iter().map(|(id, document)| (id.clone(), canonical_document(document))).collect()
}

pub(crate) fn canonical_document(document: &Document) -> String {
    of_bson(&Bson::Document(document.clone()))
}

/// Returns the tables that lines stand for: of all lines of one key those of its newest version, of these the first.
fn fold(lines: &[u8]) -> Tables {
    let mut newest: BTreeMap<String, String> = BTreeMap::new();
    let mut entries = Vec::new();
    let mut tape = Tape::default();
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let (line, end) = line.split_at(line.len() - 1);
        assert_eq!(end, b"\n", "every line is finished");
        let document = tape.parse(line, Limits::default()).unwrap();
        let root = document.root();
        let text = |name: &str| root.get_text(name).unwrap().into_owned();
        let (mut table, id, version) = (text("_table"), text("_id"), text("_version"));
        if table == "_archive" {
            table = format!("_archive/{}", text("resourceType"));
        }
        let key = id.split('#').next().unwrap().to_owned();
        let standing = newest.entry(key.clone()).or_default();
        if *standing < version {
            standing.clone_from(&version);
        }
        entries.push((table, key, id, version, of_node(root, &["_table"])));
    }
    let mut tables = Tables::new();
    for (table, key, id, version, document) in entries {
        if newest[&key] == version {
            tables.entry(table).or_default().entry(id).or_insert(document);
        }
    }
    tables
}

//! The oracle: what must stand in the end, from one clean load in the order of versions, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use flatten::dictionary::Dictionary;
use mongodb::bson::Document;
use mongodb_store::simulation::{SimulatedMongo, State};
use pipeline::assemble::{Assembler, BatchLimits};
use pipeline::batch::{Fate, ResourceWrite, WriteBatch};
use pipeline::content::ContentHash;
use pipeline::decode::{self, Decoder};
use pipeline::erasure;
use pipeline::ledger::{Ledger, Status};
use pipeline::load::{Job, Loaded, Pipeline, PipelineLimits};
use pipeline::object::ObjectRef;
use pipeline::source::Storage;
use pipeline::store::RowStore;
use pipeline::version::Version;

use crate::catalogs;
use crate::erasures::{KeyState, KeyStates};
use crate::history::{History, Object};
use crate::schemas::{Shapes, are_kept};
use crate::stats::STATS;

/// What must stand in the end.
pub(crate) struct Oracle {
    /// Tables, archive, tombstones, rejects.
    pub(crate) state: State,
    /// What is said of every object, in the order of the history.
    pub(crate) loads: Vec<Expected>,
    /// `<table>.<column>` of everything that rows fill.
    pub(crate) columns: BTreeSet<String>,
    /// What has ever stood where, by table.
    pub(crate) shapes: Shapes,
    /// Tables of rows whose `_id` has a suffix that a note must or may be there for.
    pub(crate) side_tables: SideTables,
    /// Keys of resources that no table takes. Such a version writes nothing, and whether a deletion before it left a
    /// tombstone is a matter of which batch they stood in; it keeps nothing away that could stand anywhere.
    pub(crate) nowhere: BTreeSet<String>,
    /// Those of them whose newest version no table takes.
    pub(crate) newest_nowhere: BTreeSet<String>,
    /// The resources of each object, as pairs of a key and the object's index.
    pub(crate) held: BTreeSet<(String, usize)>,
    /// Versions of one resource that say the same at the same time, each with the first of them: any of them may stand.
    pub(crate) same: BTreeMap<String, String>,
    /// Keys of resources whose newest version was there before, with another one of the same time in between: which of
    /// the two contents stands is a matter of which came last.
    pub(crate) ambiguous: BTreeSet<String>,
    /// The rejects that name resources which were ever erased, by `_id`.
    pub(crate) rejects_of_erased: BTreeMap<String, RejectOfErased>,
}

/// A reject that names a resource which was erased.
pub(crate) struct RejectOfErased {
    /// The document that names the resource.
    pub(crate) document: Document,
    /// Whether the document must stand, because the resource was let in again and the object read after that.
    pub(crate) must_stand: bool,
    /// Whether it may name the resource.
    pub(crate) may_name: bool,
}

/// Notes of side tables: versions that others superseded before they were written leave none.
pub(crate) struct SideTables {
    pub(crate) must: BTreeSet<(String, String)>,
    pub(crate) may: BTreeSet<(String, String)>,
}

/// What a load must say in the ledger.
pub(crate) struct Expected {
    /// What it says when it is the only one.
    pub(crate) alone: Loaded,
    /// How many of its records are the newest versions of their resources: those have the same fate in any order.
    pub(crate) newest: FateCounts,
    /// How many there are at all.
    pub(crate) all: FateCounts,
}

/// Records by fate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FateCounts {
    pub(crate) loaded: u64,
    pub(crate) deleted: u64,
    pub(crate) archived: u64,
}

impl FateCounts {
    fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Rows(_) => self.loaded += 1,
            Fate::Deleted | Fate::Erased { .. } => self.deleted += 1,
            Fate::Archived(_) => self.archived += 1,
        }
    }
}

/// One record, in a batch of its own.
struct One {
    object: usize,
    batch: WriteBatch,
}

impl One {
    fn resource(&self) -> &ResourceWrite {
        &self.batch.resources[0]
    }

    fn is_nowhere(&self) -> bool {
        let resource = self.resource();
        resource.tables.is_empty() && matches!(resource.fate, Fate::Rows(_))
    }
}

/// An object, record by record.
#[derive(Default)]
struct Taken {
    ones: Vec<One>,
    /// Rejects and completions.
    rest: Vec<WriteBatch>,
    dictionary: Dictionary,
}

impl Oracle {
    /// Loads a history cleanly. Of a resource that was erased, only what was read after its erasure was lifted counts.
    pub(crate) async fn of(history: &History, key_states: &KeyStates) -> Self {
        let mut oracle = Self {
            state: State::default(),
            loads: Vec::new(),
            columns: BTreeSet::new(),
            shapes: Shapes::default(),
            side_tables: SideTables { must: BTreeSet::new(), may: BTreeSet::new() },
            nowhere: BTreeSet::new(),
            newest_nowhere: BTreeSet::new(),
            held: BTreeSet::new(),
            same: BTreeMap::new(),
            ambiguous: BTreeSet::new(),
            rejects_of_erased: BTreeMap::new(),
        };
        let (mut ones, mut rest) = (Vec::new(), Vec::new());
        for (index, object) in history.objects.iter().enumerate() {
            let alone = load_alone(history, object).await;
            let is_written = !matches!(alone.status, Status::Gone | Status::Refused);
            let newest = FateCounts::default();
            oracle.loads.push(Expected { alone, newest, all: newest });
            if is_written {
                let taken = take(history, index);
                let columns = taken.dictionary.columns();
                oracle.columns.extend(columns.map(|column| format!("{}.{}", column.table, column.name)));
                if are_kept(history) {
                    add_shapes_alone(&mut oracle.shapes, take(history, index).ones).await;
                }
                ones.extend(taken.ones);
                rest.extend(taken.rest);
            }
        }
        for one in &ones {
            oracle.loads[one.object].all.count(&one.resource().fate);
            oracle.side_tables.may.extend(side_tables(one));
            oracle.held.insert((one.resource().key.clone(), one.object));
        }
        ones.retain(|one| counts(one.object, &one.resource().key, key_states));
        oracle.count(&ones, key_states);
        oracle.compare(&ones);
        count_recreations(&ones, key_states);
        let store = written_in_order(ones, rest, &mut oracle.shapes, &oracle.same).await;
        oracle.rejects_of_erased = rejects_of_erased(history, &store.state(), key_states);
        for (key, _) in key_states.iter().filter(|(_, state)| **state == KeyState::Erased) {
            store.write(erasure::batch(key, Vec::new(), &store.marks())).await.unwrap();
        }
        oracle.state = store.state();
        oracle
    }

    /// Looks for versions that say the same.
    fn compare(&mut self, ones: &[One]) {
        let mut by_key: BTreeMap<&str, BTreeSet<(&str, Option<ContentHash>)>> = BTreeMap::new();
        for one in ones {
            let ResourceWrite { key, version, hash, .. } = one.resource();
            by_key.entry(key).or_default().insert((version.as_str(), *hash));
        }
        for (key, versions) in by_key {
            let Some(&(newest, hash)) = versions.last() else { continue };
            for &(version, hash) in versions.iter().filter(|(_, hash)| hash.is_some()) {
                let is_same = |other: &&(&str, Option<ContentHash>)| {
                    other.1 == hash && Version::from_token(version).has_time_of(other.0)
                };
                let first = versions.iter().find(is_same).map_or(version, |(first, _)| *first);
                self.same.insert(version.to_owned(), first.to_owned());
            }
            let between = |(version, other): &&(&str, Option<ContentHash>)| {
                let first = self.same.get(newest).map_or(newest, String::as_str);
                *other != hash && *version > first
            };
            if versions.iter().any(|version| between(&version)) {
                STATS.count("ambiguous resources");
                self.ambiguous.insert(key.to_owned());
            }
        }
    }

    fn count(&mut self, ones: &[One], key_states: &KeyStates) {
        let newest = newest(ones);
        for one in ones {
            let resource = one.resource();
            if one.is_nowhere() {
                self.nowhere.insert(resource.key.clone());
            }
            let is_newest = newest.get(resource.key.as_str()) == Some(&&resource.version);
            if is_newest {
                if one.is_nowhere() {
                    self.newest_nowhere.insert(resource.key.clone());
                }
                // Records that were kept out for a while may count as superseded.
                if !key_states.contains_key(&resource.key) {
                    self.loads[one.object].newest.count(&resource.fate);
                    self.side_tables.must.extend(side_tables(one));
                }
            }
        }
    }
}

/// Adds the shapes of each record on its own. In the clean load below, a record that says the same as an earlier one is
/// not written; in a history it can be the first, and its rows have the `_source` of its own object.
async fn add_shapes_alone(shapes: &mut Shapes, ones: Vec<One>) {
    for one in ones {
        let store = SimulatedMongo::default();
        let key = one.resource().key.clone();
        store.write(one.batch).await.unwrap();
        shapes.add_key(&store.state(), &key);
    }
}

/// Returns whether a resource that an object holds counts for what must stand in the end.
fn counts(object: usize, key: &str, key_states: &KeyStates) -> bool {
    match key_states.get(key) {
        None => true,
        Some(KeyState::Erased) => false,
        Some(KeyState::Lifted { objects }) => objects.contains(&object),
    }
}

/// Counts what comes back after an erasure was lifted, and what of it was deleted in between.
fn count_recreations(ones: &[One], key_states: &KeyStates) {
    let newest = newest(ones);
    for key in key_states.keys() {
        let of_key: Vec<&ResourceWrite> =
            ones.iter().map(One::resource).filter(|resource| resource.key == *key).collect();
        let stands = |resource: &&&ResourceWrite| {
            newest.get(key.as_str()) == Some(&&resource.version) && !matches!(resource.fate, Fate::Deleted)
        };
        if of_key.iter().any(|resource| stands(&resource)) {
            STATS.count("re-creations");
            if of_key.iter().any(|resource| matches!(resource.fate, Fate::Deleted)) {
                STATS.count("re-creations behind a DELETE");
            }
        }
    }
}

fn rejects_of_erased(
    history: &History,
    state: &State,
    key_states: &KeyStates,
) -> BTreeMap<String, RejectOfErased> {
    let objects: BTreeMap<String, usize> = history
        .objects
        .iter()
        .enumerate()
        .map(|(index, object)| (object.reference.load_id(), index))
        .collect();
    let of = |(id, document): (&String, &Document)| {
        let key = document.get_str("resource").ok()?;
        let key_state = key_states.get(key)?;
        let object = *objects.get(document.get_str("_load").unwrap()).unwrap();
        let reject = RejectOfErased {
            document: document.clone(),
            must_stand: counts(object, key, key_states),
            may_name: *key_state != KeyState::Erased,
        };
        Some((id.clone(), reject))
    };
    state.rejects.iter().filter_map(of).collect()
}

fn newest(ones: &[One]) -> BTreeMap<&str, &Version> {
    let mut newest: BTreeMap<&str, &Version> = BTreeMap::new();
    for one in ones {
        let ResourceWrite { key, version, .. } = one.resource();
        newest.entry(key).and_modify(|standing| *standing = (*standing).max(version)).or_insert(version);
    }
    newest
}

/// Returns the tables of a record's rows whose `_id` has a suffix, with its type. What has no table at all is not written.
fn side_tables(one: &One) -> Vec<(String, String)> {
    let (batch, resource) = (&one.batch, one.resource());
    let Fate::Rows(range) = &resource.fate else { return Vec::new() };
    if one.is_nowhere() {
        return Vec::new();
    }
    let suffixed = batch.rows.range(range.clone()).filter(|row| row.key() != resource.key);
    suffixed
        .map(|row| (resource.resource_type.to_string(), batch.names.table(row.table()).to_owned()))
        .collect()
}

/// Writes record after record, the older versions first. Whatever comes last must be all that stands under its key; it
/// is nothing where no table takes its type.
async fn written_in_order(
    mut ones: Vec<One>,
    rest: Vec<WriteBatch>,
    shapes: &mut Shapes,
    same: &BTreeMap<String, String>,
) -> SimulatedMongo {
    ones.sort_by(|a, b| a.resource().version.cmp(&b.resource().version));
    let store = SimulatedMongo::default();
    for one in ones {
        let is_nowhere = one.is_nowhere();
        let ResourceWrite { key, version, .. } = one.resource();
        let (key, version) = (key.clone(), version.clone());
        store.write(one.batch).await.unwrap();
        let state = store.state();
        shapes.add_key(&state, &key);
        let standing = versions_of(&state, &key);
        let first = same.get(version.as_str());
        let is_own = |standing: &String| standing == version.as_str();
        let is_alone = standing
            .iter()
            .all(|standing| is_own(standing) || (first.is_some() && same.get(standing) == first));
        assert!(is_alone || is_nowhere, "beside {key} of {version} stand {standing:?}");
    }
    for batch in rest {
        batch.completions.iter().for_each(|completion| shapes.add_completion(completion));
        store.write(batch).await.unwrap();
    }
    store
}

/// Returns the versions of everything that stands under a key.
fn versions_of(state: &State, key: &str) -> BTreeSet<String> {
    let collections = state.tables.values().chain(state.archive.values()).chain([&state.tombstones]);
    let prefix = format!("{key}#");
    let documents = collections.flat_map(|collection| {
        collection
            .range(key.to_owned()..)
            .take_while(|(id, _)| id.starts_with(key))
            .filter(|(id, _)| id.as_str() == key || id.starts_with(&prefix))
    });
    documents.map(|(_, document)| document.get_str("_version").unwrap().to_owned()).collect()
}

/// Returns every record of an object in a batch of its own.
fn take(history: &History, index: usize) -> Taken {
    let mut taken = assemble(history, index, None);
    let whole = std::mem::take(&mut taken.ones);
    for (number, one) in whole.into_iter().enumerate() {
        if one.batch.resources.len() == 1 {
            taken.ones.push(one);
            continue;
        }
        // Several records stand in one frame: all but one are left out, of each in turn.
        for place in 0..one.batch.resources.len() {
            let mut again = assemble(history, index, Some(number));
            let mut one = again.ones.remove(0);
            one.batch.resources = vec![one.batch.resources.remove(place)];
            taken.ones.push(one);
        }
    }
    taken.ones.sort_by(|a, b| {
        let [a, b] = [a, b].map(One::resource);
        (&a.key, &a.version).cmp(&(&b.key, &b.version))
    });
    // The same version twice, in one frame: the first one counts, and it counts once.
    taken.ones.dedup_by(|b, a| {
        let [a, b] = [a, b].map(|one| one.resource());
        (&a.key, &a.version) == (&b.key, &b.version)
    });
    taken
}

/// Returns the batches of an object, one a frame; or the one of that number.
fn assemble(history: &History, index: usize, only: Option<usize>) -> Taken {
    let Object { reference, modified, bytes, .. } = &history.objects[index];
    let limits = BatchLimits { bytes: usize::MAX, resources: 1 };
    let reference = ObjectRef { created: *modified, ..(**reference).clone() };
    let mut assembler = Assembler::new(Arc::new(reference), catalogs::catalog(history.catalog), limits);
    let mut decoder = Decoder::new(decode::DecoderLimits::default());
    let (mut taken, mut number) = (Taken::default(), 0);
    let mut take = |assembler: &mut Assembler| {
        loop {
            if let Some(mut batch) = assembler.take_batch() {
                let rejects = std::mem::take(&mut batch.rejects);
                taken.rest.push(WriteBatch { rejects, ..WriteBatch::default() });
                if !batch.resources.is_empty() {
                    if only.is_none_or(|only| only == number) {
                        taken.ones.push(One { object: index, batch });
                    }
                    number += 1;
                }
            }
            if !assembler.is_waiting() {
                break;
            }
            assembler.flush_waiting();
        }
    };
    decoder.push(bytes);
    decoder.finish();
    while let Some(frame) = decoder.next() {
        assembler.add_frame(&frame);
        take(&mut assembler);
    }
    assembler.end();
    take(&mut assembler);
    taken.rest.extend(assembler.take_completions());
    taken.dictionary = assembler.take_dictionary();
    taken
}

/// Returns what a load says that nothing disturbs, of the same bytes from a file.
async fn load_alone(history: &History, object: &Object) -> Loaded {
    if object.is_gone {
        return Loaded { status: Status::Gone, summary: pipeline::summary::Summary::default() };
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&object.bytes).unwrap();
    let modified = UNIX_EPOCH + Duration::from_millis(object.modified.try_into().unwrap());
    file.as_file().set_modified(modified).unwrap();
    let pipeline = Pipeline {
        storage: Storage::File(file.path().to_owned()),
        catalog: catalogs::catalog(history.catalog),
        store: Arc::new(SimulatedMongo::default()),
        limits: PipelineLimits::default(),
    };
    let job = Job {
        owner: "oracle".to_owned(),
        again: false,
        by: None,
        deadline: None,
        is_cancelled: None,
        read_turns: None,
        clock: || 0,
        progress: &|_| {},
    };
    pipeline.load(&Ledger::memory(), &object.reference, &job).await.unwrap()
}

//! Every order in which the statements of several writers can meet, with writers that stop anywhere and start
//! again, on a model of the database's statements: an upsert is two steps there, as it is in the database.

mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use flatten::row::{Names, Rows};

use super::{Document, Place, Replacement};
use crate::batch::{Fate, ResourceWrite, WriteBatch};
use crate::erasure;
use crate::object::{ObjectRef, Pin, Source};
use crate::sink::memory::{MemorySink, State};
use crate::version::Version;
use writer::Writer;

/// What a version of the one resource of these tests looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A row in each table, and one aside of the key in a table that only the data names.
    Full,
    /// A row in the first table.
    Shrunk,
    /// The row aside of the key only.
    Aside,
    /// No row at all: for the tables the same as a resource that was deleted.
    Empty,
    Deleted,
    Archived,
    /// Not a version: somebody erases the resource.
    Erased,
}

const SHAPES: [Shape; 5] = [Shape::Full, Shape::Shrunk, Shape::Aside, Shape::Deleted, Shape::Archived];

fn batch(version: i64, shape: Shape, tables: &[&str]) -> WriteBatch {
    if shape == Shape::Erased {
        let tables = tables.iter().map(|&table| table.to_owned()).collect();
        return erasure::batch("Patient/1", tables, &MemorySink::default().marks());
    }
    let object = ObjectRef {
        bucket: "b".into(),
        key: "k".into(),
        pin: Pin::Latest,
        sequencer: None,
        created: version,
        size: None,
    };
    let source = Source { object: Arc::new(object), ordinal: 0, offset: 0, length: 0, line: 1 };
    let (mut names, mut rows) = (Names::default(), Rows::default());
    let mut row = |table: &str, id: &str| {
        let row = rows.begin_row(names.table(table), id);
        rows.end_row(row);
    };
    if matches!(shape, Shape::Full | Shape::Shrunk) {
        row("Patient", "Patient/1");
    }
    if matches!(shape, Shape::Full | Shape::Aside) {
        row("names", "Patient/1#0");
    }
    if shape == Shape::Full {
        row("active", "Patient/1");
    }
    let fate = match shape {
        Shape::Deleted => Fate::Deleted,
        Shape::Archived => Fate::Archived(b"{}".to_vec()),
        _ => Fate::Rows(0..rows.len()),
    };
    let resource = ResourceWrite {
        key: "Patient/1".into(),
        resource_type: "Patient".into(),
        version: Version::new(None, &source),
        source,
        tables: tables.iter().map(|&table| table.to_owned()).collect(),
        fate,
    };
    WriteBatch { names: names.list(), rows, resources: vec![resource], ..WriteBatch::default() }
}

/// All states that can be reached, each visited once.
struct Exploration<'b> {
    seen: BTreeSet<String>,
    expected: &'b State,
    /// Commands of one stage touch different collections; their order is tried in both directions.
    last_first: bool,
    story: String,
}

impl Exploration<'_> {
    fn visit(&mut self, state: &State, writers: &[Writer<'_>]) {
        if !self.seen.insert(fingerprint(state, writers)) {
            return;
        }
        if writers.iter().all(|writer| writer.done) {
            assert_eq!(&cleared(state), self.expected, "{}", self.story);
        }
        for (at, writer) in writers.iter().enumerate().filter(|(_, writer)| !writer.done) {
            let (mut stepped_state, mut stepped) = (state.clone(), writer.clone());
            stepped.step(&mut stepped_state, self.last_first);
            let mut choices = vec![(stepped_state, stepped)];
            if writer.stops_left > 0 {
                choices.push((state.clone(), writer.stop_and_start_again()));
            }
            for (state, writer) in choices {
                let mut writers = writers.to_vec();
                writers[at] = writer;
                self.visit(&state, &writers);
            }
        }
    }
}

/// Everything that decides what can still happen.
fn fingerprint(state: &State, writers: &[Writer<'_>]) -> String {
    let mut text = format!("{:?}", state.side_tables);
    let collections = state.tables.iter().chain(&state.archive);
    for (name, collection) in collections.chain([(&String::from("_"), &state.tombstones)]) {
        for (id, document) in collection {
            text.extend([name, "/", id, "="]);
            text.push_str(short(document.get_str("_version").unwrap()));
        }
    }
    for Writer { replacement, running, stops_left, done, .. } in writers {
        write!(text, "|{:?} {:?} ", replacement.stage, replacement.contended).unwrap();
        write!(text, "{:?} ", replacement.side_tables).unwrap();
        write!(text, "{:?} {:?} {stops_left} {done}", replacement.next, replacement.kept_sides).unwrap();
        for planned in &replacement.resources {
            write!(text, "{:?} {} {} ", planned.verdict, planned.replaced, planned.kept).unwrap();
            let [row, tombstone] =
                [&planned.row, &planned.tombstone].map(|version| version.as_deref().map(short));
            write!(text, "{row:?} {tombstone:?};").unwrap();
        }
        for running in running {
            let versions: Vec<_> =
                running.versions.iter().map(|version| version.as_deref().map(short)).collect();
            write!(text, "{:?} {} ", running.command, running.next).unwrap();
            let under_the_key = running.under_the_key.last().map(|version| version.as_deref().map(short));
            write!(text, "{under_the_key:?} {} {:?} ", running.inserting, running.written).unwrap();
            write!(text, "{versions:?} ").unwrap();
            write!(text, "{:?}", running.side_tables).unwrap();
        }
    }
    text
}

/// The versions of these tests differ in their time alone.
fn short(version: &str) -> &str {
    version.get(20..28).unwrap_or(version)
}

fn cleared(state: &State) -> State {
    let mut state = state.clone();
    state.tables.retain(|_, table| !table.is_empty());
    state.archive.retain(|_, table| !table.is_empty());
    state.side_tables.clear();
    state
}

/// One writer alone, from beginning to end.
fn run_alone(state: &mut State, batch: &WriteBatch) {
    let mut writer = Writer::new(batch, 0);
    while !writer.done {
        writer.step(state, false);
    }
}

/// What must stand in the end, by the definition alone: the newest version and nothing else, and of an erased resource
/// its mark alone.
fn expected(newest: &WriteBatch, shape: Shape, tables: &[&str]) -> State {
    let mut state = State::default();
    if shape == Shape::Erased {
        state.insert(newest, Place::Tombstones, Document::Mark { resource: 0 });
        return state;
    }
    let replacement = Replacement::new(newest);
    let planned = &replacement.resources[0];
    let anchored =
        matches!(shape, Shape::Full | Shape::Shrunk) || (tables.is_empty() && shape == Shape::Archived);
    if !anchored {
        state.insert(newest, Place::Tombstones, Document::Tombstone { resource: 0 });
    }
    for (place, document) in planned.sides(0, newest).chain(planned.anchor_document(0)) {
        state.insert(newest, place, document);
    }
    state
}

fn explore(base: Option<Shape>, shapes: &[Shape], tables: &[&str], stops: &[u32]) -> usize {
    let batches: BTreeMap<i64, WriteBatch> =
        shapes.iter().zip(2..).map(|(&shape, version)| (version, batch(version, shape, tables))).collect();
    let mut state = State::default();
    if let Some(shape) = base {
        run_alone(&mut state, &batch(1, shape, tables));
    }
    let erased = [base.unwrap_or(Shape::Empty)].iter().chain(shapes).any(|&shape| shape == Shape::Erased);
    let erasure = batch(0, Shape::Erased, tables);
    let (_, newest) = batches.last_key_value().unwrap();
    let expected = if erased {
        expected(&erasure, Shape::Erased, tables)
    } else {
        expected(newest, *shapes.last().unwrap(), tables)
    };
    let story = format!("{base:?} then {shapes:?} in {tables:?}");
    let mut states = 0;
    for last_first in [false, true] {
        let story = story.clone();
        let mut exploration = Exploration { seen: BTreeSet::new(), expected: &expected, last_first, story };
        let writers = batches.values().zip(stops).map(|(batch, &stops)| Writer::new(batch, stops));
        exploration.visit(&state, &writers.collect::<Vec<_>>());
        states += exploration.seen.len();
    }
    states
}

const TABLES: [&str; 2] = ["Patient", "active"];

/// Two writers of every shape over every shape, one of them stopped anywhere and started again.
#[test]
fn two_writers_end_in_the_newest_version() {
    let bases = [None, Some(Shape::Full), Some(Shape::Aside), Some(Shape::Deleted)];
    let mut states = 0;
    for base in bases {
        for older in SHAPES {
            for newer in SHAPES {
                states += explore(base, &[older, newer], &TABLES, &[1, 0]);
                states += explore(base, &[older, newer], &TABLES, &[0, 1]);
            }
        }
    }
    assert!(states > 100_000, "only {states} states");
}

#[test]
fn three_writers_end_in_the_newest_version() {
    for (base, shapes) in [
        (None, [Shape::Shrunk, Shape::Archived, Shape::Shrunk]),
        (None, [Shape::Aside, Shape::Shrunk, Shape::Deleted]),
        // The newest finds a row that the deletion removes, and its upsert then loses against the older row.
        (Some(Shape::Aside), [Shape::Deleted, Shape::Aside, Shape::Aside]),
    ] {
        assert!(explore(base, &shapes, &TABLES, &[0; 3]) > 1_000);
    }
}

#[test]
fn archived_types_end_in_the_newest_version() {
    for shapes in [
        [Shape::Archived, Shape::Archived],
        [Shape::Archived, Shape::Deleted],
        [Shape::Deleted, Shape::Archived],
    ] {
        for base in [None, Some(Shape::Archived), Some(Shape::Deleted)] {
            assert!(explore(base, &shapes, &[], &[1; 2]) > 100);
        }
    }
}

/// A writer of every shape and an eraser over every shape, one of them stopped anywhere and started again.
#[test]
fn nothing_stands_of_what_is_erased() {
    let mut states = 0;
    for base in [None].into_iter().chain(SHAPES.map(Some)) {
        for shape in SHAPES.into_iter().chain([Shape::Empty]) {
            states += explore(base, &[shape, Shape::Erased], &TABLES, &[1, 0]);
            states += explore(base, &[shape, Shape::Erased], &TABLES, &[0, 1]);
        }
    }
    for (base, shape) in [(None, Shape::Archived), (Some(Shape::Archived), Shape::Archived)] {
        states += explore(base, &[shape, Shape::Erased], &[], &[1, 1]);
        states += explore(base, &[Shape::Deleted, Shape::Erased], &[], &[1, 1]);
    }
    assert!(states > 20_000, "only {states} states");
}

/// Two writers that meet an eraser, and two erasers that meet a writer.
#[test]
fn three_writers_leave_nothing_of_what_is_erased() {
    for (base, shapes) in [
        (None, [Shape::Shrunk, Shape::Deleted, Shape::Erased]),
        (None, [Shape::Aside, Shape::Shrunk, Shape::Erased]),
        (Some(Shape::Shrunk), [Shape::Archived, Shape::Deleted, Shape::Erased]),
        (Some(Shape::Aside), [Shape::Shrunk, Shape::Erased, Shape::Erased]),
        (Some(Shape::Deleted), [Shape::Deleted, Shape::Shrunk, Shape::Erased]),
    ] {
        assert!(explore(base, &shapes, &TABLES, &[0; 3]) > 1_000);
    }
}

/// What was erased before stays away, whatever comes.
#[test]
fn an_erased_resource_stays_away() {
    for older in SHAPES {
        for newer in SHAPES {
            assert!(explore(Some(Shape::Erased), &[older, newer], &TABLES, &[1, 0]) > 100);
        }
        assert!(explore(Some(Shape::Erased), &[older, Shape::Erased], &TABLES, &[1, 1]) > 50);
    }
}

/// A writer that starts again after the other one has finished finds everything as it left it.
#[test]
fn the_same_batch_again_changes_nothing() {
    for shape in SHAPES.into_iter().chain([Shape::Empty]) {
        let mut state = State::default();
        let batch = batch(1, shape, &TABLES);
        run_alone(&mut state, &batch);
        let before = state.clone();
        run_alone(&mut state, &batch);
        assert_eq!(cleared(&state), cleared(&before));
    }
}

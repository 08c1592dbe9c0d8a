//! Every order in which the statements of several writers can meet, with writers that stop anywhere and start
//! again, on a model of the database's statements: an upsert is two steps there, as it is in the database.

mod exploration;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flatten::row::{Names, Rows};

use super::{BatchDocument, DocumentPlace, Expectations, Replacement};
use crate::simulation::{SimulatedMongo, State};
use exploration::{Exploration, cleared, run_alone, run_refused};
use pipeline::batch::{Fate, ResourceWrite, WriteBatch};
use pipeline::content::ContentHash;
use pipeline::erasure;
use pipeline::object::{ObjectRef, Pin, Source};
use pipeline::version::Version;
use writer::Writer;

/// What a version of the one resource of these tests looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A row in each table, and one with a suffix in a table that only the data names.
    Full,
    /// A row in the first table.
    Shrunk,
    /// The row with a suffix only.
    Suffixed,
    /// No row at all: for the tables the same as a resource that was deleted.
    Empty,
    Deleted,
    Archived,
    /// A row in each table, of the same time and with the same content as every other of this shape.
    Same,
    /// Not a version: the resource is erased.
    Erased,
}

const SHAPES: [Shape; 5] = [Shape::Full, Shape::Shrunk, Shape::Suffixed, Shape::Deleted, Shape::Archived];

/// The tables of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Program {
    /// Those with a row a resource.
    tables: &'static [&'static str],
    /// The one of rows with a suffix.
    suffixed: &'static str,
}

const BOTH: Program = Program { tables: &["Patient", "active"], suffixed: "names" };
const AUTOMATIC: Program = Program { tables: &["Patient"], suffixed: "contacts" };
const VIEWS: Program = Program { tables: &["active"], suffixed: "given" };
const OTHER_VIEWS: Program = Program { tables: &["genders", "active"], suffixed: "names" };
const NO_VIEW: Program = Program { tables: &[], suffixed: "names" };
const PROGRAMS: [Program; 5] = [BOTH, AUTOMATIC, VIEWS, OTHER_VIEWS, NO_VIEW];

/// Behind the first version and before the second, in nanoseconds.
const SAME_TIME: i128 = 1_500_000;

fn batch(version: i64, shape: Shape, program: Program) -> WriteBatch {
    if shape == Shape::Erased {
        let tables = program.tables.iter().map(|&table| table.to_owned()).collect();
        return erasure::batch("Patient/1", tables, &SimulatedMongo::default().marks());
    }
    let object = ObjectRef {
        bucket: "b".into(),
        key: "k".into(),
        pin: Pin::Latest,
        sequencer: None,
        created: version,
        size: None,
    };
    let ordinal = if shape == Shape::Same { version.cast_unsigned() } else { 0 };
    let source = Source { object: Arc::new(object), ordinal, offset: 0, length: 0, line: 1 };
    let (mut names, mut rows) = (Names::default(), Rows::default());
    let mut row = |table: &str, id: &str| {
        let row = rows.begin_row(names.table(table), id);
        rows.end_row(row);
    };
    let (first, others) = program.tables.split_first().unzip();
    if matches!(shape, Shape::Full | Shape::Same | Shape::Shrunk)
        && let Some(table) = first
    {
        row(table, "Patient/1");
    }
    if matches!(shape, Shape::Full | Shape::Same | Shape::Suffixed) && first.is_some() {
        row(program.suffixed, "Patient/1#0");
    }
    if matches!(shape, Shape::Full | Shape::Same) {
        for table in others.into_iter().flatten() {
            row(table, "Patient/1");
        }
    }
    let fate = match shape {
        Shape::Deleted => Fate::Deleted,
        Shape::Archived => Fate::Archived(b"{}".to_vec()),
        _ => Fate::Rows(0..rows.len()),
    };
    let resource = ResourceWrite {
        hash: (shape == Shape::Same).then(|| ContentHash::from_text(&"5a".repeat(16)).unwrap()),
        key: "Patient/1".into(),
        resource_type: "Patient".into(),
        version: Version::new((shape == Shape::Same).then_some(SAME_TIME), &source),
        source,
        tables: program.tables.iter().map(|&table| table.to_owned()).collect(),
        fate,
    };
    WriteBatch { names: names.list(), rows, resources: vec![resource], ..WriteBatch::default() }
}

/// Returns what must stand in the end, by the definition alone: the newest version and nothing else, and of an erased
/// resource its mark alone.
fn expected(newest: &WriteBatch, shape: Shape, program: Program, has_known_tables: bool) -> State {
    let mut state = State::default();
    if shape == Shape::Erased {
        state.insert(newest, DocumentPlace::Tombstones, BatchDocument::Mark { resource: 0 });
        return state;
    }
    let mut replacement = Replacement::new(newest);
    let planned = &mut replacement.resources[0];
    let has_home = !program.tables.is_empty();
    if !has_home && has_known_tables && planned.anchor == super::Anchor::Nowhere {
        planned.anchor = super::Anchor::Tombstone;
    }
    if planned.anchor == super::Anchor::Tombstone {
        state.insert(newest, DocumentPlace::Tombstones, BatchDocument::Tombstone { resource: 0 });
    }
    let anchored = has_home && matches!(shape, Shape::Full | Shape::Same | Shape::Shrunk);
    assert_eq!(anchored, matches!(planned.anchor, super::Anchor::Row(_)));
    for (place, document) in planned.non_anchors(0, newest).chain(planned.anchor_document(0)) {
        state.insert(newest, place, document);
    }
    state
}

/// A version: what it looks like, and whose it is.
type Step = (Shape, Program);

fn explore(base: Option<Step>, steps: &[Step], stops: &[u32]) -> usize {
    explore_expecting(&nothing_expected(), base, steps, stops)
}

/// Does the same with one program and writers that read before they write.
fn explore_looking(base: Option<Shape>, shapes: &[Shape], stops: &[u32]) -> usize {
    let steps: Vec<_> = shapes.iter().map(|&shape| (shape, BOTH)).collect();
    let base = base.map(|shape| (shape, BOTH));
    explore_expecting(&Expectations::default(), base, &steps, stops)
}

fn explore_expecting(
    expectations: &Expectations,
    base: Option<Step>,
    steps: &[Step],
    stops: &[u32],
) -> usize {
    let batches = batches(steps);
    let mut state = State::default();
    if let Some((shape, program)) = base {
        run_alone(&mut state, &batch(1, shape, program));
    }
    let shapes = base.iter().chain(steps).map(|(shape, _)| *shape);
    let is_erased = shapes.into_iter().any(|shape| shape == Shape::Erased);
    let erasure = batch(0, Shape::Erased, BOTH);
    let (_, newest) = batches.last_key_value().unwrap();
    let &(shape, program) = steps.last().unwrap();
    let expected = if is_erased {
        expected(&erasure, Shape::Erased, BOTH, true)
    } else {
        expected(newest, shape, program, !state.noted.is_empty())
    };
    let story = format!("{base:?} then {steps:?}, {expectations:?}");
    let writers = batches.values().zip(stops).map(|(batch, &stops)| Writer::new(batch, expectations, stops));
    visit_all(&state, &writers.collect::<Vec<_>>(), &expected, &story)
}

/// Returns the batches of some versions, by their numbers from 2.
fn batches(steps: &[Step]) -> BTreeMap<i64, WriteBatch> {
    let numbered = steps.iter().zip(2..);
    numbered.map(|(&(shape, program), version)| (version, batch(version, shape, program))).collect()
}

/// Visits every state that the writers can reach and returns how many there are.
fn visit_all(state: &State, writers: &[Writer<'_>], expected: &State, story: &str) -> usize {
    let expected = cleared(expected);
    let visit = |last_first| {
        let (story, seen) = (story.to_owned(), BTreeSet::new());
        let mut exploration = Exploration { seen, expected: &expected, last_first, story };
        exploration.visit(state, writers);
        exploration.seen.len()
    };
    visit(false) + visit(true)
}

/// A table, and a version that has a row there and others elsewhere.
const REFUSED_ROWS: [(&str, Shape); 4] =
    [("Patient", Shape::Full), ("active", Shape::Full), ("names", Shape::Full), ("names", Shape::Suffixed)];

/// Explores two writers, of which a table refuses the rows of one.
fn explore_refused(
    base: Option<Shape>,
    shapes: [Shape; 2],
    refused: usize,
    (table, stops): (&'static str, [u32; 2]),
) -> usize {
    let steps = shapes.map(|shape| (shape, BOTH));
    let batches = batches(&steps);
    let mut state = State::default();
    if let Some(shape) = base {
        run_alone(&mut state, &batch(1, shape, BOTH));
    }
    let newest = &batches[&3];
    let expected = if refused == 1 {
        let mut buried = State::default();
        buried.insert(newest, DocumentPlace::Tombstones, BatchDocument::Tombstone { resource: 0 });
        buried
    } else {
        expected(newest, shapes[1], BOTH, !state.noted.is_empty())
    };
    let expectations = nothing_expected();
    let writers: Vec<_> = (batches.values().enumerate().zip(stops))
        .map(|((at, batch), stops)| {
            Writer::new(batch, &expectations, stops).refused_by((at == refused).then_some(table))
        })
        .collect();
    visit_all(&state, &writers, &expected, &format!("{base:?} then {shapes:?}, {table} refuses {refused}"))
}

/// Returns what a writer expects that has only ever met empty tables: it looks for nothing before it writes.
fn nothing_expected() -> Expectations {
    let mut expectations = Expectations::default();
    for program in PROGRAMS {
        program.tables.iter().for_each(|table| expectations.learn(DocumentPlace::Table(table), false));
    }
    expectations.learn(DocumentPlace::Archive("Patient"), false);
    expectations
}

/// Does the same with one program.
fn explore_in(program: Program, base: Option<Shape>, shapes: &[Shape], stops: &[u32]) -> usize {
    let steps: Vec<_> = shapes.iter().map(|&shape| (shape, program)).collect();
    explore(base.map(|shape| (shape, program)), &steps, stops)
}

/// Two writers of every shape over every shape, one of them stopped anywhere and started again.
#[test]
fn two_writers_end_in_the_newest_version() {
    let bases = [None, Some(Shape::Full), Some(Shape::Suffixed), Some(Shape::Deleted)];
    let mut states = 0;
    for base in bases {
        for older in SHAPES {
            for newer in SHAPES {
                states += explore_in(BOTH, base, &[older, newer], &[1, 0]);
                states += explore_in(BOTH, base, &[older, newer], &[0, 1]);
            }
        }
    }
    for older in [Shape::Full, Shape::Shrunk, Shape::Deleted] {
        for newer in SHAPES {
            states += explore_looking(Some(Shape::Full), &[older, newer], &[1, 0]);
        }
    }
    assert!(states > 100_000, "only {states} states");
}

#[test]
fn three_writers_end_in_the_newest_version() {
    for (base, shapes) in [
        (None, [Shape::Shrunk, Shape::Archived, Shape::Shrunk]),
        (None, [Shape::Suffixed, Shape::Shrunk, Shape::Deleted]),
        // The newest finds a row that the deletion removes, and its upsert then loses against the older row.
        (Some(Shape::Suffixed), [Shape::Deleted, Shape::Suffixed, Shape::Suffixed]),
    ] {
        assert!(explore_in(BOTH, base, &shapes, &[0; 3]) > 1_000);
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
            assert!(explore_in(NO_VIEW, base, &shapes, &[1; 2]) > 100);
        }
    }
}

/// A writer of every shape and an eraser over every shape, one of them stopped anywhere and started again.
#[test]
fn nothing_stands_of_what_is_erased() {
    let mut states = 0;
    for base in [None].into_iter().chain(SHAPES.map(Some)) {
        for shape in SHAPES.into_iter().chain([Shape::Empty]) {
            for stops in [[1, 0], [0, 1]] {
                states += explore_in(BOTH, base, &[shape, Shape::Erased], &stops);
            }
        }
    }
    for (base, shape) in [(None, Shape::Archived), (Some(Shape::Archived), Shape::Archived)] {
        states += explore_in(NO_VIEW, base, &[shape, Shape::Erased], &[1, 1]);
        states += explore_in(NO_VIEW, base, &[Shape::Deleted, Shape::Erased], &[1, 1]);
    }
    assert!(states > 20_000, "only {states} states");
}

/// Two writers that meet an eraser, and two erasers that meet a writer.
#[test]
fn three_writers_leave_nothing_of_what_is_erased() {
    for (base, shapes) in [
        (None, [Shape::Shrunk, Shape::Deleted, Shape::Erased]),
        (None, [Shape::Suffixed, Shape::Shrunk, Shape::Erased]),
        (Some(Shape::Shrunk), [Shape::Archived, Shape::Deleted, Shape::Erased]),
        (Some(Shape::Suffixed), [Shape::Shrunk, Shape::Erased, Shape::Erased]),
        (Some(Shape::Deleted), [Shape::Deleted, Shape::Shrunk, Shape::Erased]),
    ] {
        assert!(explore_in(BOTH, base, &shapes, &[0; 3]) > 1_000);
    }
}

/// What was erased before stays away, whatever comes.
#[test]
fn an_erased_resource_stays_away() {
    for older in SHAPES {
        for newer in SHAPES {
            assert!(explore_in(BOTH, Some(Shape::Erased), &[older, newer], &[1, 0]) > 100);
        }
        assert!(explore_in(BOTH, Some(Shape::Erased), &[older, Shape::Erased], &[1, 1]) > 50);
    }
}

/// An eraser that knows nothing of the tables of two writers that fill different ones.
#[test]
fn nothing_stands_of_what_is_erased_in_the_tables_of_others() {
    for (one, other) in pairs(&[AUTOMATIC, VIEWS, OTHER_VIEWS]) {
        let base = Some((Shape::Full, one));
        explore(base, &[(Shape::Full, other), (Shape::Erased, NO_VIEW)], &[0, 0]);
        explore(None, &[(Shape::Full, other), (Shape::Erased, one)], &[1, 0]);
    }
}

/// Two writers that fill different tables, over what a third one has left.
#[test]
fn writers_with_other_tables_end_in_the_newest_version() {
    let shapes = [
        (Shape::Full, Shape::Full),
        (Shape::Full, Shape::Suffixed),
        (Shape::Suffixed, Shape::Full),
        (Shape::Full, Shape::Deleted),
        (Shape::Deleted, Shape::Full),
        (Shape::Full, Shape::Archived),
        (Shape::Archived, Shape::Full),
        (Shape::Archived, Shape::Deleted),
    ];
    let mut states = 0;
    for (older, newer) in pairs(&PROGRAMS) {
        for (of_older, of_newer) in shapes {
            let steps = [(of_older, older), (of_newer, newer)];
            // A program without a table says nothing of a resource until others have tables for its type.
            let bases = if newer.tables.is_empty() {
                &[Some(BOTH), Some(VIEWS)][..]
            } else {
                &[None, Some(OTHER_VIEWS)]
            };
            for base in bases {
                states += explore(base.map(|program| (Shape::Full, program)), &steps, &[0, 0]);
            }
        }
    }
    assert!(states > 100_000, "only {states} states");
}

/// The same with a writer that is stopped anywhere and started again.
#[test]
fn a_writer_that_starts_again_beside_one_with_other_tables_ends_in_the_newest_version() {
    for (older, newer) in pairs(&[BOTH, AUTOMATIC, VIEWS, OTHER_VIEWS]) {
        for stops in [[1, 0], [0, 1]] {
            for of_newer in [Shape::Full, Shape::Deleted] {
                explore(None, &[(Shape::Full, older), (of_newer, newer)], &stops);
            }
        }
    }
}

/// The same content of the same time stays as it is, and whatever is newer than it stands in the end.
#[test]
fn the_same_content_again_changes_nothing() {
    let mut states = 0;
    for base in [None, Some(Shape::Full), Some(Shape::Same)] {
        states += explore_looking(base, &[Shape::Same, Shape::Same], &[1, 0]);
        for newer in [Shape::Shrunk, Shape::Deleted, Shape::Erased] {
            states += explore_looking(base, &[Shape::Same, newer], &[1, 0]);
        }
    }
    states += explore_looking(Some(Shape::Same), &[Shape::Same, Shape::Same, Shape::Deleted], &[0; 3]);
    assert!(states > 10_000, "only {states} states");
    for base in [Shape::Same, Shape::Full] {
        let mut state = State::default();
        run_alone(&mut state, &batch(1, base, BOTH));
        let before = cleared(&state);
        run_alone(&mut state, &batch(2, Shape::Same, BOTH));
        assert_eq!(cleared(&state) == before, base == Shape::Same);
    }
}

/// A version that a table refuses takes the place of the older ones all the same, however it meets their writers: none
/// of them may stand without some of its rows.
#[test]
fn a_refused_version_leaves_nothing_of_an_older_one() {
    let mut states = 0;
    for base in [None, Some(Shape::Full), Some(Shape::Same)] {
        for older in [Shape::Full, Shape::Shrunk, Shape::Deleted] {
            for (table, newer) in REFUSED_ROWS {
                for stops in [[1, 0], [0, 1]] {
                    states += explore_refused(base, [older, newer], 1, (table, stops));
                }
            }
        }
    }
    assert!(states > 20_000, "only {states} states");
}

/// A newer version stands, whatever became of the one that a table refused.
#[test]
fn a_newer_version_than_a_refused_one_stands() {
    for base in [None, Some(Shape::Full)] {
        for newer in [Shape::Full, Shape::Shrunk, Shape::Deleted] {
            for (table, refused) in REFUSED_ROWS {
                for stops in [[1, 0], [0, 1]] {
                    explore_refused(base, [refused, newer], 0, (table, stops));
                }
            }
        }
    }
}

/// A version of which nothing but the refused row would have been written leaves the older one as it was.
#[test]
fn a_refused_version_of_one_row_changes_nothing() {
    for base in [Shape::Full, Shape::Shrunk] {
        let mut state = State::default();
        run_alone(&mut state, &batch(1, base, BOTH));
        let before = cleared(&state);
        run_refused(&mut state, &batch(2, Shape::Shrunk, BOTH), "Patient");
        assert_eq!(cleared(&state), before);
    }
}

/// The version stands as soon as the table takes it.
#[test]
fn a_version_stands_once_it_is_no_longer_refused() {
    for (table, shape) in REFUSED_ROWS {
        let (mut state, batch) = (State::default(), batch(2, shape, BOTH));
        run_alone(&mut state, &self::batch(1, Shape::Full, BOTH));
        run_refused(&mut state, &batch, table);
        run_alone(&mut state, &batch);
        assert_eq!(cleared(&state), cleared(&expected(&batch, shape, BOTH, true)), "{table} {shape:?}");
    }
}

/// Returns every ordered pair, also of a thing with itself.
fn pairs<T: Copy>(things: &[T]) -> impl Iterator<Item = (T, T)> {
    things.iter().flat_map(move |&one| things.iter().map(move |&other| (one, other)))
}

/// A writer that starts again after the other one has finished finds everything as it left it.
#[test]
fn the_same_batch_again_changes_nothing() {
    for shape in SHAPES.into_iter().chain([Shape::Empty]) {
        let mut state = State::default();
        let batch = batch(1, shape, BOTH);
        run_alone(&mut state, &batch);
        let before = state.clone();
        run_alone(&mut state, &batch);
        assert_eq!(cleared(&state), cleared(&before));
    }
}

//! All states that writers can reach.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bson::Bson;

use super::writer::Writer;
use crate::encode::RECEIVED;
use crate::replacement::Expectations;
use crate::simulation::State;
use pipeline::batch::WriteBatch;

/// All states that can be reached, each visited once.
pub(super) struct Exploration<'b> {
    pub(super) seen: BTreeSet<String>,
    pub(super) expected: &'b State,
    /// Commands of one stage touch different collections; their order is tried in both directions.
    pub(super) last_first: bool,
    pub(super) story: String,
}

impl Exploration<'_> {
    pub(super) fn visit(&mut self, state: &State, writers: &[Writer<'_>]) {
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

/// Returns everything that decides what can still happen.
fn fingerprint(state: &State, writers: &[Writer<'_>]) -> String {
    let mut text = format!("{:?}", state.noted);
    let collections = state.tables.iter().chain(&state.archive);
    for (name, collection) in collections.chain([(&String::from("_"), &state.tombstones)]) {
        for (id, document) in collection {
            text.extend([name, "/", id, "="]);
            text.push_str(&short(document.get_str("_version").unwrap()));
        }
    }
    for Writer { replacement, running, stops_left, done, .. } in writers {
        write!(text, "|{:?} {:?} ", replacement.stage, replacement.contended).unwrap();
        write!(text, "{:?} {} ", replacement.known, replacement.must_check_again).unwrap();
        write!(text, "{:?} {:?} {stops_left} {done}", replacement.next, replacement.kept_non_anchors)
            .unwrap();
        for planned in &replacement.resources {
            write!(text, "{:?} {:?} ", planned.anchor, planned.verdict).unwrap();
            write!(text, "{} {} {} ", planned.replaced, planned.kept, planned.met_document).unwrap();
            write!(text, "{:?} ", planned.found).unwrap();
            let [row, tombstone, elsewhere] = [&planned.row, &planned.tombstone, &planned.elsewhere]
                .map(|version| version.as_deref().map(short));
            write!(text, "{row:?} {tombstone:?} {elsewhere:?};").unwrap();
        }
        for running in running {
            let versions: Vec<_> =
                running.versions.iter().map(|version| version.as_deref().map(short)).collect();
            write!(text, "{:?} {} ", running.command, running.next).unwrap();
            let under_the_key = running.under_the_key.last().map(|version| version.as_deref().map(short));
            write!(text, "{under_the_key:?} {} {:?} ", running.inserting, running.written).unwrap();
            write!(text, "{versions:?} {:?} ", running.found).unwrap();
            write!(text, "{:?}", running.known).unwrap();
        }
    }
    text
}

/// Returns a version in short: those of these tests differ in their time and in the end of their ordinal.
fn short(version: &str) -> String {
    let end = version.len().saturating_sub(8);
    [version.get(18..28), version.get(end..)].map(Option::unwrap_or_default).concat()
}

/// Returns the state without notes and empty tables. Of versions that say the same any may stand, in each table another
/// one.
pub(super) fn cleared(state: &State) -> State {
    let mut state = state.clone();
    for document in state.tables.values_mut().flat_map(BTreeMap::values_mut) {
        if let Ok(Bson::String(version)) = document.get_mut("_version").ok_or(())
            && let Some(ordinal) = version.len().checked_sub(16)
        {
            version.truncate(ordinal);
        }
        if let Ok(source) = document.get_document_mut("_source") {
            source.remove("ordinal");
        }
        document.remove(RECEIVED);
    }
    state.tables.retain(|_, table| !table.is_empty());
    state.archive.retain(|_, table| !table.is_empty());
    state.noted.clear();
    state
}

/// Runs one writer alone, from beginning to end.
pub(super) fn run_alone(state: &mut State, batch: &WriteBatch) {
    let expectations = Expectations::default();
    run_to_the_end(state, Writer::new(batch, &expectations, 0));
}

/// Runs one writer alone, whose rows a table refuses.
pub(super) fn run_refused(state: &mut State, batch: &WriteBatch, table: &str) {
    let expectations = Expectations::default();
    run_to_the_end(state, Writer::new(batch, &expectations, 0).refused_by(Some(table)));
}

fn run_to_the_end(state: &mut State, mut writer: Writer<'_>) {
    while !writer.done {
        writer.step(state, false);
    }
}

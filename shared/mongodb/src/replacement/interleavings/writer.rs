//! Writers that can stop between any two statements, on a model of the database's statements.

use crate::replacement::{Answer, Command, Expectations, Found, KnownTables, Place, Replacement, Written};
use crate::simulation::State;
use pipeline::batch::WriteBatch;

/// A writer of one batch, somewhere in the middle.
#[derive(Debug, Clone)]
pub(super) struct Writer<'b> {
    pub(super) batch: &'b WriteBatch,
    pub(super) replacement: Replacement<'b>,
    /// What it expects to meet, each time that it starts.
    expectations: &'b Expectations,
    pub(super) running: Vec<Running<'b>>,
    pub(super) stops_left: u32,
    pub(super) done: bool,
}

/// A command of which some statements have run.
#[derive(Debug, Clone)]
pub(super) struct Running<'b> {
    pub(super) command: Command<'b>,
    pub(super) next: usize,
    /// The upsert has found nothing to replace and is about to insert.
    pub(super) inserting: bool,
    /// What the look for a tombstone has found under the key; the mark is looked for next.
    pub(super) under_the_key: Vec<Option<String>>,
    pub(super) written: Vec<Written>,
    pub(super) versions: Vec<Option<String>>,
    pub(super) found: Vec<Option<Found>>,
    pub(super) known: KnownTables,
}

impl<'b> Writer<'b> {
    pub(super) fn new(batch: &'b WriteBatch, expectations: &'b Expectations, stops_left: u32) -> Self {
        let replacement = Replacement::new(batch).expecting(expectations.clone());
        let mut writer =
            Self { batch, replacement, expectations, running: Vec::new(), stops_left, done: false };
        writer.ask();
        writer
    }

    fn ask(&mut self) {
        match self.replacement.commands() {
            Some(commands) => self.running = commands.into_iter().map(Running::new).collect(),
            None if self.replacement.is_contended() => {
                *self = Self::new(self.batch, self.expectations, self.stops_left);
            }
            None => self.done = true,
        }
    }

    /// One statement, or half of an upsert, of the first or the last of the commands under way.
    pub(super) fn step(&mut self, state: &mut State, last_first: bool) {
        let at = if last_first { self.running.len() - 1 } else { 0 };
        let running = &mut self.running[at];
        running.step(self.batch, state);
        if running.is_finished() {
            let running = self.running.remove(at);
            self.replacement.answer(&running.command, running.answer());
            if self.running.is_empty() {
                self.ask();
            }
        }
    }

    pub(super) fn stop_and_start_again(&self) -> Self {
        Self::new(self.batch, self.expectations, self.stops_left - 1)
    }
}

impl<'b> Running<'b> {
    fn new(command: Command<'b>) -> Self {
        let (written, versions, found) = (Vec::new(), Vec::new(), Vec::new());
        let (under_the_key, known) = (Vec::new(), KnownTables::default());
        Self { command, next: 0, inserting: false, under_the_key, written, versions, found, known }
    }

    fn is_finished(&self) -> bool {
        let statements = match &self.command {
            Command::Insert { documents, .. }
            | Command::Replace { documents, .. }
            | Command::Versions { documents, .. }
            | Command::VersionsIn { documents, .. }
            | Command::Standing { documents, .. } => documents.len(),
            Command::Delete { removals, .. }
            | Command::DeleteIn { removals, .. }
            | Command::DeleteAside { removals, .. } => removals.len(),
            Command::NoteTables { notes } => notes.len(),
            Command::FindTables { .. } => 1,
        };
        self.next == statements
    }

    fn answer(&self) -> Answer {
        match self.command {
            Command::Insert { .. } | Command::Replace { .. } => Answer::Written(self.written.clone()),
            Command::Versions { .. } | Command::VersionsIn { .. } => Answer::Versions(self.versions.clone()),
            Command::Standing { .. } => Answer::Found(self.found.clone()),
            Command::FindTables { .. } => Answer::Tables(self.known.clone()),
            Command::Delete { .. }
            | Command::DeleteIn { .. }
            | Command::DeleteAside { .. }
            | Command::NoteTables { .. } => Answer::Done,
        }
    }

    fn step(&mut self, batch: &WriteBatch, state: &mut State) {
        match &self.command {
            Command::Insert { place, documents } => {
                self.written.push(state.insert(batch, *place, documents[self.next]));
            }
            Command::Replace { place, documents } => {
                let document = documents[self.next];
                if self.inserting {
                    self.written.push(state.insert(batch, *place, document));
                    self.inserting = false;
                } else if state.version(batch, *place, document).is_none() {
                    self.inserting = true;
                    return;
                } else {
                    self.written.push(state.replace(batch, *place, document));
                }
            }
            Command::Versions { place, documents } => {
                let document = documents[self.next];
                let Some(under_the_key) = self.under_the_key.pop() else {
                    let version = state.version(batch, *place, document);
                    if *place == Place::Tombstones {
                        self.under_the_key.push(version);
                        return;
                    }
                    self.versions.push(version);
                    self.next += 1;
                    return;
                };
                self.versions.push(under_the_key.max(state.mark(batch, document)));
            }
            Command::VersionsIn { table, documents } => {
                self.versions.push(state.version(batch, Place::Table(table), documents[self.next]));
            }
            Command::Standing { place, documents } => {
                self.found.push(state.find(batch, *place, documents[self.next]));
            }
            Command::Delete { place, removals } => state.remove(batch, *place, removals[self.next]),
            Command::DeleteIn { table, removals } => {
                state.remove(batch, Place::Table(table), removals[self.next]);
            }
            Command::DeleteAside { table, removals } => state.remove_aside(batch, table, removals[self.next]),
            Command::NoteTables { notes } => state.note(notes[self.next]),
            Command::FindTables { types, .. } => self.known = state.find_tables(types),
        }
        self.next += 1;
    }
}

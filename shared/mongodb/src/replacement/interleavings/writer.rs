//! Writers that can stop between any two statements, on a model of the database's statements.

use crate::replacement::{
    CommandAnswer, DocumentPlace, Expectations, FoundDocument, KnownTables, Replacement, ReplacementCommand,
    WriteOutcome,
};
use crate::simulation::State;
use pipeline::batch::WriteBatch;

const DOCUMENT_VALIDATION_FAILURE: i32 = 121;

/// A writer of one batch, somewhere in the middle.
#[derive(Debug, Clone)]
pub(super) struct Writer<'b> {
    pub(super) batch: &'b WriteBatch,
    pub(super) replacement: Replacement<'b>,
    /// What it expects to meet, each time that it starts.
    expectations: &'b Expectations,
    pub(super) running: Vec<Running<'b>>,
    /// The collection in which the database refuses the writer's documents.
    refuses: Option<&'b str>,
    pub(super) stops_left: u32,
    pub(super) done: bool,
}

/// A command of which some statements have run.
#[derive(Debug, Clone)]
pub(super) struct Running<'b> {
    pub(super) command: ReplacementCommand<'b>,
    pub(super) next: usize,
    /// The upsert has found nothing to replace and is about to insert.
    pub(super) inserting: bool,
    /// What the read of the tombstone has found under the key; the mark is looked for next.
    pub(super) under_the_key: Vec<Option<String>>,
    pub(super) written: Vec<WriteOutcome>,
    pub(super) versions: Vec<Option<String>>,
    pub(super) found: Vec<Option<FoundDocument>>,
    pub(super) known: KnownTables,
}

impl<'b> Writer<'b> {
    pub(super) fn new(batch: &'b WriteBatch, expectations: &'b Expectations, stops_left: u32) -> Self {
        let replacement = Replacement::new(batch).expecting(expectations.clone());
        let (refuses, running) = (None, Vec::new());
        let mut writer = Self { batch, replacement, expectations, running, refuses, stops_left, done: false };
        writer.ask();
        writer
    }

    /// Returns the same writer, whose rows a table refuses.
    pub(super) fn refused_by(self, table: Option<&'b str>) -> Self {
        Self { refuses: table, ..self }
    }

    fn ask(&mut self) {
        match self.replacement.commands() {
            Some(commands) => self.running = commands.into_iter().map(Running::new).collect(),
            None if self.replacement.is_contended() => {
                *self = self.started_again(self.stops_left);
            }
            None => self.done = true,
        }
    }

    /// Runs one statement, or half of an upsert, of the first or the last of the commands under way.
    pub(super) fn step(&mut self, state: &mut State, last_first: bool) {
        let at = if last_first { self.running.len() - 1 } else { 0 };
        let running = &mut self.running[at];
        running.step(self.batch, state, self.refuses);
        if running.is_finished() {
            let running = self.running.remove(at);
            self.replacement.answer(&running.command, running.answer());
            if self.running.is_empty() {
                self.ask();
            }
        }
    }

    pub(super) fn stop_and_start_again(&self) -> Self {
        self.started_again(self.stops_left - 1)
    }

    fn started_again(&self, stops_left: u32) -> Self {
        Self::new(self.batch, self.expectations, stops_left).refused_by(self.refuses)
    }
}

impl<'b> Running<'b> {
    fn new(command: ReplacementCommand<'b>) -> Self {
        let (written, versions, found) = (Vec::new(), Vec::new(), Vec::new());
        let (under_the_key, known) = (Vec::new(), KnownTables::default());
        Self { command, next: 0, inserting: false, under_the_key, written, versions, found, known }
    }

    fn is_finished(&self) -> bool {
        let statements = match &self.command {
            ReplacementCommand::Insert { documents, .. }
            | ReplacementCommand::Replace { documents, .. }
            | ReplacementCommand::Versions { documents, .. }
            | ReplacementCommand::VersionsIn { documents, .. }
            | ReplacementCommand::Standing { documents, .. } => documents.len(),
            ReplacementCommand::Delete { removals, .. }
            | ReplacementCommand::DeleteIn { removals, .. }
            | ReplacementCommand::DeleteSuffixed { removals, .. } => removals.len(),
            ReplacementCommand::NoteTables { notes } => notes.len(),
            ReplacementCommand::FindTables { .. } => 1,
        };
        self.next == statements
    }

    fn answer(&self) -> CommandAnswer {
        match self.command {
            ReplacementCommand::Insert { .. } | ReplacementCommand::Replace { .. } => {
                CommandAnswer::Written(self.written.clone())
            }
            ReplacementCommand::Versions { .. } | ReplacementCommand::VersionsIn { .. } => {
                CommandAnswer::Versions(self.versions.clone())
            }
            ReplacementCommand::Standing { .. } => CommandAnswer::Found(self.found.clone()),
            ReplacementCommand::FindTables { .. } => CommandAnswer::Tables(self.known.clone()),
            ReplacementCommand::Delete { .. }
            | ReplacementCommand::DeleteIn { .. }
            | ReplacementCommand::DeleteSuffixed { .. }
            | ReplacementCommand::NoteTables { .. } => CommandAnswer::Done,
        }
    }

    fn step(&mut self, batch: &WriteBatch, state: &mut State, refuses: Option<&str>) {
        match &self.command {
            ReplacementCommand::Insert { place: DocumentPlace::Table(table), .. }
            | ReplacementCommand::Replace { place: DocumentPlace::Table(table), .. }
                if refuses == Some(*table) =>
            {
                self.written.push(WriteOutcome::Refused(DOCUMENT_VALIDATION_FAILURE));
            }
            ReplacementCommand::Insert { place, documents } => {
                self.written.push(state.insert(batch, *place, documents[self.next]));
            }
            ReplacementCommand::Replace { place, documents } => {
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
            ReplacementCommand::Versions { place, documents } => {
                let document = documents[self.next];
                let Some(under_the_key) = self.under_the_key.pop() else {
                    let version = state.version(batch, *place, document);
                    if *place == DocumentPlace::Tombstones {
                        self.under_the_key.push(version);
                        return;
                    }
                    self.versions.push(version);
                    self.next += 1;
                    return;
                };
                self.versions.push(under_the_key.max(state.mark(batch, document)));
            }
            ReplacementCommand::VersionsIn { table, documents } => {
                self.versions.push(state.version(batch, DocumentPlace::Table(table), documents[self.next]));
            }
            ReplacementCommand::Standing { place, documents } => {
                self.found.push(state.find(batch, *place, documents[self.next]));
            }
            ReplacementCommand::Delete { place, removals } => {
                state.remove(batch, *place, removals[self.next])
            }
            ReplacementCommand::DeleteIn { table, removals } => {
                state.remove(batch, DocumentPlace::Table(table), removals[self.next]);
            }
            ReplacementCommand::DeleteSuffixed { table, removals } => {
                state.remove_suffixed(batch, table, removals[self.next])
            }
            ReplacementCommand::NoteTables { notes } => state.note(notes[self.next]),
            ReplacementCommand::FindTables { types, .. } => self.known = state.find_tables(types),
        }
        self.next += 1;
    }
}

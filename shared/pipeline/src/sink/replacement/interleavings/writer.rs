//! Writers that can stop between any two statements, on a model of the database's statements.

use crate::batch::WriteBatch;
use crate::sink::memory::State;
use crate::sink::replacement::{Answer, Command, Place, Replacement, SideTables, Written};

/// A writer of one batch, somewhere in the middle.
#[derive(Debug, Clone)]
pub(super) struct Writer<'b> {
    pub(super) batch: &'b WriteBatch,
    pub(super) replacement: Replacement<'b>,
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
    pub(super) side_tables: SideTables,
}

impl<'b> Writer<'b> {
    pub(super) fn new(batch: &'b WriteBatch, stops_left: u32) -> Self {
        let replacement = Replacement::new(batch);
        let mut writer = Self { batch, replacement, running: Vec::new(), stops_left, done: false };
        writer.ask();
        writer
    }

    fn ask(&mut self) {
        match self.replacement.commands() {
            Some(commands) => self.running = commands.into_iter().map(Running::new).collect(),
            None if self.replacement.is_contended() => *self = Self::new(self.batch, self.stops_left),
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
        Self::new(self.batch, self.stops_left - 1)
    }
}

impl<'b> Running<'b> {
    fn new(command: Command<'b>) -> Self {
        let (written, versions, side_tables) = (Vec::new(), Vec::new(), SideTables::new());
        Self { command, next: 0, inserting: false, under_the_key: Vec::new(), written, versions, side_tables }
    }

    fn is_finished(&self) -> bool {
        let statements = match &self.command {
            Command::Insert { documents, .. }
            | Command::Replace { documents, .. }
            | Command::Versions { documents, .. } => documents.len(),
            Command::Delete { removals, .. } | Command::DeleteAside { removals, .. } => removals.len(),
            Command::NoteSideTables { pairs } => pairs.len(),
            Command::FindSideTables { .. } => 1,
        };
        self.next == statements
    }

    fn answer(&self) -> Answer {
        match self.command {
            Command::Insert { .. } | Command::Replace { .. } => Answer::Written(self.written.clone()),
            Command::Versions { .. } => Answer::Versions(self.versions.clone()),
            Command::FindSideTables { .. } => Answer::SideTables(self.side_tables.clone()),
            Command::Delete { .. } | Command::DeleteAside { .. } | Command::NoteSideTables { .. } => {
                Answer::Done
            }
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
            Command::Delete { place, removals } => state.remove(batch, *place, removals[self.next]),
            Command::DeleteAside { table, removals } => state.remove_aside(batch, table, removals[self.next]),
            Command::NoteSideTables { pairs } => {
                state.note_side_table(pairs[self.next].0, pairs[self.next].1)
            }
            Command::FindSideTables { types } => self.side_tables = state.find_side_tables(types),
        }
        self.next += 1;
    }
}

//! Row-set replacement: the commands by which the rows of a batch replace what was there, and what the answers
//! mean. No I/O: the sinks run the commands.
//!
//! Several writers work at once, each may stop at any statement and be tried again, and single statements are
//! all that is atomic. The order of the steps is what keeps the tables right:
//!
//! 1. Every resource has one *anchor*: its row whose `_id` is the key, in the first of its tables. A resource
//!    that has no such row (deleted, archived, or without rows) is anchored by its tombstone.
//! 2. The other rows are written first, the anchor after them, each guarded by its version. So whoever finds a
//!    newer anchor has written nothing that the newer writer's removal can have missed, or removes it itself.
//! 3. After the anchors comes the look: a row's writer reads the tombstones, a tombstone's writer reads the
//!    rows and the tombstones. Each wrote before it read, so of two writers at least one sees the other.
//!    An erasure is the same: its writer writes a *mark*, whose version is newer than all, under an `_id` that does
//!    not say the key, and then removes everything; a look for tombstones looks for the mark too, and whoever finds
//!    it takes back what it wrote.
//! 4. What is older than an anchor that replaced something goes away in all tables; whoever turns out to be
//!    superseded removes what it wrote itself. Tombstones that a newer row makes needless go last.
//! 5. Rows aside of the key (`key#…`) can stand in tables that only the data names. Such a table is noted before
//!    the first row, and the notes are read after the look, so that removal misses none.
//!
//! An anchor that could be inserted met nothing, and whatever else stands under that key belongs to a writer
//! that has not finished and will remove it when it is tried again: first loads need no read of the tables. Rows of a
//! higher edition do not rely on that: the writer that had not finished went another way, under other settings.

mod command;
#[cfg(test)]
mod interleavings;
mod plan;
mod verdict;

pub(crate) use command::{Answer, Bound, Command, Document, Place, Removal, SideTables, Written};
pub(crate) use plan::standing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::batch::WriteBatch;
use plan::{Anchor, Planned};
use verdict::Verdict;

/// The commands of one stage that write or read documents, by collection.
type Documents<'b> = BTreeMap<Place<'b>, Vec<Document>>;

/// A batch on its way. Ask for commands, run all of them in any order, hand every answer back, ask again.
#[derive(Debug, Clone)]
pub(crate) struct Replacement<'b> {
    batch: &'b WriteBatch,
    resources: Vec<Planned<'b>>,
    stage: Stage,
    /// What the next stage writes.
    next: Documents<'b>,
    /// Rows beside the anchor that a document of the same or a newer version kept out.
    kept_sides: Documents<'b>,
    /// Where rows aside of a key can stand, by resource type.
    side_tables: SideTables,
    /// Documents came and went while this batch was written: it must be written again.
    contended: bool,
}

/// What is asked for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    NoteSideTables,
    InsertSides,
    ReplaceSides,
    CheckSides,
    InsertAnchors,
    ReplaceAnchors,
    Look,
    FindSideTables,
    CleanUp,
    DropTombstones,
    Done,
}

impl<'b> Replacement<'b> {
    pub(crate) fn new(batch: &'b WriteBatch) -> Self {
        Self {
            batch,
            resources: plan::plan(batch),
            stage: Stage::NoteSideTables,
            next: Documents::new(),
            kept_sides: Documents::new(),
            side_tables: SideTables::new(),
            contended: false,
        }
    }

    /// The next commands. They may run in any order and at the same time; all must be answered before the next
    /// call. `None`: the batch is written, or has to be written again from the start if it is
    /// [contended](Self::is_contended).
    pub(crate) fn commands(&mut self) -> Option<Vec<Command<'b>>> {
        while self.stage != Stage::Done {
            let (commands, stage) = self.advance();
            self.stage = stage;
            if !commands.is_empty() {
                return Some(commands);
            }
        }
        None
    }

    /// Whether other writers interfered so that it is not known what stands now.
    pub(crate) const fn is_contended(&self) -> bool {
        self.contended
    }

    fn advance(&mut self) -> (Vec<Command<'b>>, Stage) {
        match self.stage {
            Stage::NoteSideTables => (self.notes(), Stage::InsertSides),
            Stage::InsertSides => (inserts(self.sides()), Stage::ReplaceSides),
            Stage::ReplaceSides => (replaces(std::mem::take(&mut self.next)), Stage::CheckSides),
            Stage::CheckSides => (versions(std::mem::take(&mut self.kept_sides)), Stage::InsertAnchors),
            Stage::InsertAnchors => (self.first_anchors(), Stage::ReplaceAnchors),
            Stage::ReplaceAnchors => (replaces(std::mem::take(&mut self.next)), Stage::Look),
            Stage::Look => (versions(self.looks()), Stage::FindSideTables),
            Stage::FindSideTables => {
                self.judge();
                let next = if self.contended { Stage::Done } else { Stage::CleanUp };
                (self.questions(), next)
            }
            Stage::CleanUp => (self.removals(), Stage::DropTombstones),
            Stage::DropTombstones | Stage::Done => (self.needless_tombstones(), Stage::Done),
        }
    }

    /// Takes the answer to a command of the current stage.
    pub(crate) fn answer(&mut self, command: &Command<'b>, answer: Answer) {
        match (command, answer) {
            (
                Command::Insert { place, documents } | Command::Replace { place, documents },
                Answer::Written(fates),
            ) => {
                for (&document, fate) in documents.iter().zip(fates) {
                    self.take_written(*place, document, fate);
                }
            }
            (Command::Versions { place, documents }, Answer::Versions(found)) => {
                for (&document, version) in documents.iter().zip(found) {
                    self.take_version(*place, document, version);
                }
            }
            (Command::FindSideTables { .. }, Answer::SideTables(found)) => self.side_tables.extend(found),
            _ => {}
        }
    }

    /// The stage has moved on by the time its answers arrive.
    fn take_written(&mut self, place: Place<'b>, document: Document, written: Written) {
        let stage = self.stage;
        let Some(planned) = self.resources.get_mut(document.resource()) else { return };
        match written {
            Written::Refused(code) => planned.verdict = Verdict::Refused { place, code },
            Written::Done => planned.replaced |= stage == Stage::Look,
            Written::Exists => match stage {
                Stage::ReplaceSides | Stage::ReplaceAnchors => {
                    self.next.entry(place).or_default().push(document);
                }
                Stage::CheckSides => self.kept_sides.entry(place).or_default().push(document),
                _ => planned.kept = true,
            },
        }
    }

    fn take_version(&mut self, place: Place<'b>, document: Document, version: Option<String>) {
        let stage = self.stage;
        let Some(planned) = self.resources.get_mut(document.resource()) else { return };
        if stage == Stage::InsertAnchors {
            // The upsert met a document that is gone again, or lost a race against an older writer.
            let own = planned.resource.version.as_str();
            self.contended |= version.is_none_or(|version| version.as_str() < own);
        } else if place == Place::Tombstones {
            planned.tombstone = version;
        } else {
            planned.row = version;
        }
    }

    /// Documents beside the anchors.
    fn sides(&self) -> Documents<'b> {
        let mut sides = Documents::new();
        for (index, planned) in self.open() {
            for (place, document) in planned.sides(index, self.batch) {
                sides.entry(place).or_default().push(document);
            }
        }
        sides
    }

    /// Rows are tried as inserts first; tombstones are few and mostly replace.
    fn first_anchors(&mut self) -> Vec<Command<'b>> {
        let (mut rows, mut tombstones) = (Documents::new(), Documents::new());
        for (index, planned) in self.open() {
            let target = match planned.anchor {
                Anchor::Nowhere => continue,
                Anchor::Tombstone | Anchor::Mark => &mut tombstones,
                Anchor::Row(_) | Anchor::Archive => &mut rows,
            };
            if let Some((place, document)) = planned.anchor_document(index) {
                target.entry(place).or_default().push(document);
            }
        }
        self.next = tombstones;
        inserts(rows)
    }

    /// Who else has been at the keys of this batch.
    fn looks(&self) -> Documents<'b> {
        let mut looks = Documents::new();
        for (index, planned) in self.open() {
            for (place, document) in planned.looks(index) {
                looks.entry(place).or_default().push(document);
            }
        }
        looks
    }

    fn judge(&mut self) {
        for planned in &mut self.resources {
            self.contended |= planned.judge();
        }
    }

    /// The tables of rows aside of a key, noted before the rows are written.
    fn notes(&self) -> Vec<Command<'b>> {
        let pairs = self.open().flat_map(|(_, planned)| {
            let resource_type = &*planned.resource.resource_type;
            planned.side_tables(self.batch).map(move |table| (resource_type, table))
        });
        let pairs: Vec<_> = pairs.collect::<BTreeSet<_>>().into_iter().collect();
        if pairs.is_empty() { Vec::new() } else { vec![Command::NoteSideTables { pairs }] }
    }

    /// For which types it must be known where rows aside of a key can stand.
    fn questions(&self) -> Vec<Command<'b>> {
        let removed = self.resources.iter().filter(|planned| planned.removal().is_some());
        let types: BTreeSet<&str> = removed.map(|planned| &*planned.resource.resource_type).collect();
        if self.contended || types.is_empty() {
            return Vec::new();
        }
        vec![Command::FindSideTables { types: types.into_iter().collect() }]
    }

    fn removals(&self) -> Vec<Command<'b>> {
        let mut at_keys: BTreeMap<Place<'b>, Vec<Removal>> = BTreeMap::new();
        let mut aside: BTreeMap<&Arc<str>, Vec<Removal>> = BTreeMap::new();
        for (resource, planned) in self.resources.iter().enumerate() {
            let Some(bound) = planned.removal() else { continue };
            for place in planned.homes() {
                at_keys.entry(place).or_default().push(Removal { resource, bound });
            }
            for table in self.side_tables.get(&*planned.resource.resource_type).into_iter().flatten() {
                aside.entry(table).or_default().push(Removal { resource, bound });
            }
        }
        let at_keys = at_keys.into_iter().map(|(place, removals)| Command::Delete { place, removals });
        let aside = (aside.into_iter())
            .map(|(table, removals)| Command::DeleteAside { table: Arc::clone(table), removals });
        at_keys.chain(aside).collect()
    }

    fn needless_tombstones(&self) -> Vec<Command<'b>> {
        let removals: Vec<_> = (self.resources.iter().enumerate())
            .filter_map(|(resource, planned)| {
                planned.needless_tombstone().map(|bound| Removal { resource, bound })
            })
            .collect();
        if removals.is_empty() {
            return Vec::new();
        }
        vec![Command::Delete { place: Place::Tombstones, removals }]
    }

    /// The resources that nothing has spoken against yet, each with its index.
    fn open(&self) -> impl Iterator<Item = (usize, &Planned<'b>)> {
        self.resources.iter().enumerate().filter(|(_, planned)| matches!(planned.verdict, Verdict::Stands))
    }
}

fn inserts(documents: Documents<'_>) -> Vec<Command<'_>> {
    documents.into_iter().map(|(place, documents)| Command::Insert { place, documents }).collect()
}

fn replaces(documents: Documents<'_>) -> Vec<Command<'_>> {
    documents.into_iter().map(|(place, documents)| Command::Replace { place, documents }).collect()
}

fn versions(documents: Documents<'_>) -> Vec<Command<'_>> {
    documents.into_iter().map(|(place, documents)| Command::Versions { place, documents }).collect()
}

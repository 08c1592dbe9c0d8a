//! Row-set replacement: the commands by which the rows of a batch replace what was there, and what the answers
//! mean. No I/O: the store and its simulation run the commands.
//!
//! Several writers work at once, each may stop at any statement and be tried again, and single statements are
//! all that is atomic. The order of the steps is what keeps the tables right:
//!
//! 1. Every resource has one *anchor*: its row whose `_id` is the key, in the first of its tables. A resource
//!    that has no such row (deleted, archived, or without rows) is anchored by its tombstone.
//! 2. The other rows are written first, the anchor after them, each guarded by its version. So a writer that finds a
//!    newer anchor has either written nothing that the newer writer's removal can have missed, or removes it itself.
//! 3. After the anchors comes the *check* for newer versions: a row's writer reads the tombstones, a tombstone's writer
//!    reads the rows and the tombstones. Each writes before it checks, so of two writers at least one sees the other.
//!    An erasure does the same: its writer writes a *mark*, whose version is newer than all, under an `_id` that does
//!    not say the key, and then removes everything. A check of tombstones includes the mark, and a writer that finds
//!    the mark removes its own rows.
//! 4. When an anchor has replaced something, everything older is removed from all tables. A writer that turns out to
//!    be superseded removes its own rows. Tombstones that a newer row makes needless go last.
//! 5. Rows whose `_id` has a suffix (`key#…`) can stand in tables that only the data names. Such a table is noted before
//!    the first row, and the notes are read after the check, so that removal misses none.
//!
//! A first load need not read the anchors: where an anchor could be inserted, other rows under that key belong to a
//! writer that has not finished. That writer removes them when it is tried again. A row of a higher edition is the
//! exception: the unfinished writer had other settings, so its rows can stand elsewhere, and they are looked for.
//!
//! # What the database refuses
//!
//! The database may refuse one document of a resource after others have replaced those of an older version. Then the
//! older version would stand without some of its rows. So the writer of a refused version that has rows beside its
//! anchor writes a tombstone of that version in place of the anchor and goes on as for a deletion: everything up to that
//! version goes away, and the reject says where the record is. When the database takes the version later, its row makes
//! the tombstone needless. A version that consists of its anchor alone has written nothing, and the older one stays.
//!
//! # What is there already
//!
//! A writer [looks for](ReplacementCommand::Standing) anchors before it writes. How many depends on the batches before:
//! all of them where the last batch met documents, otherwise a sample. If one of the sample stands, it looks for the
//! others too. An anchor that it did not look for and whose insertion meets a document is looked for then.
//!
//! The answer decides two things. An anchor of the same time with the same content stays as it is, and nothing of its
//! resource is written: the resource is *unchanged*, because its other rows were written before its anchor. An older
//! anchor is replaced without an attempt to insert. Everything that happens after that read is handled as before.
//!
//! Another writer may be about to remove the anchor of an unchanged resource, because it found a newer version. So the
//! writer of an unchanged resource reads the tombstones as well, after the anchor. Either it finds the newer version and
//! removes what an earlier attempt left of the resource, or the newer version's writer comes later and removes it.
//! Where nothing is newer, what an earlier attempt left has the keys and the content of the rows that stand.
//!
//! The anchor keeps its version, even if that is the older of the two. A third version of the same time, with other
//! content and between the two in the order of versions, replaces it if it comes last. Such versions are made only by
//! senders that change a resource and leave its `meta.lastUpdated`.
//!
//! # Programs with other catalogs
//!
//! A program that runs other views, or none, fills other tables of the same database, and the first of its tables can
//! be another one. So every table of a catalog is noted as well, before its first row, and the first table of each
//! catalog is noted as one that holds anchors ([`RowKind`]). The notes are read again after the anchors stand.
//!
//! - The check includes the tables where other catalogs have their anchors. A writer notes its table, writes its anchor,
//!   reads the notes and then checks; so of two writers the one whose anchor came later knows the other's table and sees
//!   its anchor.
//! - Removals include all tables that other catalogs have filled.
//! - A row beside the anchor can take the place of an anchor of another catalog. So a row that met a document there
//!   makes its writer remove what is older, as an anchor does.
//! - A resource for which the catalog has no table is written nowhere, unless others have tables for its type: then it
//!   is anchored by its tombstone.
//!
//! A database that one catalog has filled has no such tables, and none of this costs a command there.
//!
//! One race remains, because the notes that are read before the check may be
//! [some seconds](NOTES_ARE_CURRENT_FOR) old. A program with other anchors begins with a resource type that it has never
//! written to this database. A writer that runs already does not read the new table during these seconds. If its
//! anchor is inserted and meets nothing, two versions of a resource stand, one in the tables of each catalog, until the
//! next version comes. So the command line begins with another catalog only when it is told to.

mod command;
mod expectations;
#[cfg(test)]
mod interleavings;
mod known_tables;
mod plan;

use command::{Documents, inserts, replaces, standing_in, versions};
use expectations::Expectation;

pub(crate) use command::{
    BatchDocument, CommandAnswer, DocumentPlace, FoundDocument, Removal, RemovedVersions, ReplacementCommand,
    WriteOutcome,
};
pub(crate) use expectations::Expectations;
pub use known_tables::RowKind;
pub(crate) use known_tables::{KnownTables, Note};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pipeline::batch::{Reason, Reject, ResourceWrite, WriteBatch};
use pipeline::object::Source;
use pipeline::summary::Summary;
use pipeline::version::Version;
use plan::{Anchor, AnchorState, Planned, Verdict};

/// How long an answer to [`ReplacementCommand::FindTables`] may be remembered.
pub(crate) const NOTES_ARE_CURRENT_FOR: Duration = Duration::from_secs(5);

/// So many resources of a batch are looked for where nothing is known or nothing is expected.
const SAMPLE: usize = 50;

/// A batch on its way. Ask for commands, run all of them in any order, hand every answer back, ask again.
#[derive(Debug, Clone)]
pub(crate) struct Replacement<'b> {
    batch: &'b WriteBatch,
    resources: Vec<Planned<'b>>,
    stage: Stage,
    /// What the next stage writes.
    next: Documents<'b>,
    /// Rows beside the anchor that a document of the same or a newer version kept out.
    kept_non_anchors: Documents<'b>,
    /// Where rows can stand that other writers have written, by resource type.
    known: KnownTables,
    /// What is expected in the collections of the anchors.
    expectations: Expectations,
    /// The collections of the anchors, and whether documents were met there.
    met: BTreeMap<DocumentPlace<'b>, bool>,
    /// Other catalogs have come to have anchors since the check.
    must_check_again: bool,
    /// Documents came and went while this batch was written: it must be written again.
    contended: bool,
}

/// What is asked for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    FindTablesBeforePlanning,
    Sample,
    Compare,
    NoteTables,
    InsertNonAnchors,
    ReplaceNonAnchors,
    CheckNonAnchors,
    InsertAnchors,
    CompareMet,
    ReplaceAnchors,
    BuryRefused,
    FindTablesBeforeCheck,
    CheckVersions,
    FindTablesBeforeRemoval,
    CleanUp,
    DropTombstones,
    Done,
}

impl<'b> Replacement<'b> {
    pub(crate) fn new(batch: &'b WriteBatch) -> Self {
        Self {
            batch,
            resources: plan::plan(batch),
            stage: Stage::FindTablesBeforePlanning,
            next: Documents::new(),
            kept_non_anchors: Documents::new(),
            known: KnownTables::default(),
            expectations: Expectations::default(),
            met: BTreeMap::new(),
            must_check_again: false,
            contended: false,
        }
    }

    /// Returns the same replacement, with what is expected of the collections.
    pub(crate) fn expecting(self, expectations: Expectations) -> Self {
        Self { expectations, ..self }
    }

    /// Returns the next commands. They may run in any order and at the same time; all must be answered before the next
    /// call. `None`: the batch is written, or has to be written again from the start if it is
    /// [contended](Self::is_contended).
    pub(crate) fn commands(&mut self) -> Option<Vec<ReplacementCommand<'b>>> {
        while self.stage != Stage::Done {
            let (commands, stage) = self.advance();
            self.stage = stage;
            if !commands.is_empty() {
                return Some(commands);
            }
        }
        None
    }

    /// Tells what the batch has met in the collections of its anchors.
    pub(crate) fn teach(&self, expectations: &mut Expectations) {
        self.met.iter().for_each(|(place, has_met)| expectations.learn(*place, *has_met));
    }

    /// Returns whether other writers interfered, so that the result is not known.
    pub(crate) const fn is_contended(&self) -> bool {
        self.contended
    }

    /// Returns what became of the resources: their counts, and a reject for each that the database refused.
    pub(crate) fn outcome(&self) -> (Summary, Vec<Reject>) {
        let mut summary = Summary::default();
        let mut rejects = Vec::new();
        for planned in &self.resources {
            match planned.verdict {
                Verdict::Superseded | Verdict::Repeated => summary.superseded += 1,
                Verdict::Unchanged => summary.unchanged += 1,
                Verdict::Refused { place, code } => rejects.push(refused(planned.resource, place, code)),
                Verdict::Stands => planned.resource.count(&mut summary),
            }
        }
        (summary, rejects)
    }

    fn advance(&mut self) -> (Vec<ReplacementCommand<'b>>, Stage) {
        match self.stage {
            Stage::FindTablesBeforePlanning => (self.find_tables_before_planning(), Stage::Sample),
            Stage::Sample => {
                self.assign_tombstones();
                (self.samples(), Stage::Compare)
            }
            Stage::Compare => (self.comparisons(), Stage::NoteTables),
            Stage::NoteTables => (self.notes(), Stage::InsertNonAnchors),
            Stage::InsertNonAnchors => (self.first_non_anchors(), Stage::ReplaceNonAnchors),
            Stage::ReplaceNonAnchors => (replaces(std::mem::take(&mut self.next)), Stage::CheckNonAnchors),
            Stage::CheckNonAnchors => {
                (versions(std::mem::take(&mut self.kept_non_anchors)), Stage::InsertAnchors)
            }
            Stage::InsertAnchors => (self.first_anchors(), Stage::CompareMet),
            Stage::CompareMet => (self.comparisons_of_met(), Stage::ReplaceAnchors),
            Stage::ReplaceAnchors => (self.replacing_anchors(), Stage::BuryRefused),
            Stage::BuryRefused => (self.burials(), Stage::FindTablesBeforeCheck),
            Stage::FindTablesBeforeCheck => (self.find_tables_before_check(), Stage::CheckVersions),
            Stage::CheckVersions => (self.version_checks(), Stage::FindTablesBeforeRemoval),
            Stage::FindTablesBeforeRemoval => {
                self.judge();
                let next = if self.contended { Stage::Done } else { Stage::CleanUp };
                (self.find_tables_before_removal(), next)
            }
            Stage::CleanUp if std::mem::take(&mut self.must_check_again) => {
                (self.version_checks(), Stage::FindTablesBeforeRemoval)
            }
            Stage::CleanUp => (self.removals(), Stage::DropTombstones),
            Stage::DropTombstones | Stage::Done => (self.needless_tombstones(), Stage::Done),
        }
    }

    /// Takes the answer to a command of the current stage.
    pub(crate) fn answer(&mut self, command: &ReplacementCommand<'b>, answer: CommandAnswer) {
        match (command, answer) {
            (
                ReplacementCommand::Insert { place, documents }
                | ReplacementCommand::Replace { place, documents },
                CommandAnswer::Written(outcomes),
            ) => {
                for (&document, outcome) in documents.iter().zip(outcomes) {
                    self.on_written(*place, document, outcome);
                }
            }
            (ReplacementCommand::Versions { place, documents }, CommandAnswer::Versions(found)) => {
                for (&document, version) in documents.iter().zip(found) {
                    self.on_version(*place, document, version);
                }
            }
            (ReplacementCommand::VersionsIn { documents, .. }, CommandAnswer::Versions(found)) => {
                for (&document, version) in documents.iter().zip(found) {
                    self.on_version_elsewhere(document, version);
                }
            }
            (ReplacementCommand::Standing { place, documents }, CommandAnswer::Found(found)) => {
                for (&document, found) in documents.iter().zip(found) {
                    self.on_found(*place, document, found);
                }
            }
            (ReplacementCommand::FindTables { .. }, CommandAnswer::Tables(found)) => {
                let has_new_anchors = self.known.update(found);
                self.must_check_again = has_new_anchors && self.stage == Stage::CleanUp;
            }
            _ => {}
        }
    }

    fn on_found(&mut self, place: DocumentPlace<'b>, document: BatchDocument, found: Option<FoundDocument>) {
        *self.met.entry(place).or_default() |= found.is_some();
        let Some(planned) = self.resources.get_mut(document.resource()) else { return };
        planned.found = AnchorState::Nothing;
        if let Some(found) = found {
            planned.compare(found);
        }
    }

    /// Enters what became of a write. The stage has moved on by the time its answers arrive.
    fn on_written(&mut self, place: DocumentPlace<'b>, document: BatchDocument, written: WriteOutcome) {
        let stage = self.stage;
        let Some(planned) = self.resources.get_mut(document.resource()) else { return };
        match written {
            WriteOutcome::Refused(_) if planned.is_buried() => self.contended = true,
            WriteOutcome::Refused(code) => planned.verdict = Verdict::Refused { place, code },
            WriteOutcome::Done => {
                planned.replaced |= stage == Stage::BuryRefused;
                planned.met_document |= stage == Stage::CheckNonAnchors;
            }
            WriteOutcome::Exists => match stage {
                Stage::ReplaceNonAnchors | Stage::CompareMet => {
                    if stage == Stage::CompareMet {
                        self.met.insert(place, true);
                    }
                    self.next.entry(place).or_default().push(document);
                }
                Stage::CheckNonAnchors => {
                    planned.met_document = true;
                    self.kept_non_anchors.entry(place).or_default().push(document);
                }
                _ => planned.kept = true,
            },
        }
    }

    fn on_version(&mut self, place: DocumentPlace<'b>, document: BatchDocument, version: Option<String>) {
        let stage = self.stage;
        let Some(planned) = self.resources.get_mut(document.resource()) else { return };
        if stage == Stage::InsertAnchors {
            // The upsert met a document that is gone again, or lost a race against an older writer.
            let own = planned.resource.version.as_str();
            self.contended |= version.is_none_or(|version| version.as_str() < own);
        } else if place == DocumentPlace::Tombstones {
            planned.tombstone = version;
        } else if planned.has_its_anchor_in(place) {
            planned.row = version;
        } else {
            self.on_version_elsewhere(document, version);
        }
    }

    fn on_version_elsewhere(&mut self, document: BatchDocument, version: Option<String>) {
        let Some(planned) = self.resources.get_mut(document.resource()) else { return };
        planned.elsewhere = planned.elsewhere.take().max(version);
    }

    /// Anchors that are looked for before anything is written: all where documents are expected, and otherwise some.
    fn samples(&mut self) -> Vec<ReplacementCommand<'b>> {
        let mut samples = Documents::new();
        for (place, document) in self.anchors_to_compare() {
            let most = match self.expectations.of(place) {
                Expectation::Nothing | Expectation::Unknown => SAMPLE,
                Expectation::Documents => usize::MAX,
            };
            let sample = samples.entry(place).or_default();
            if sample.len() < most {
                sample.push(document);
            }
        }
        self.met.extend(samples.keys().map(|place| (*place, false)));
        // A failed insert of a few is as good as a read.
        let expects_nothing =
            |place: &DocumentPlace<'_>| self.expectations.of(*place) == Expectation::Nothing;
        samples.retain(|place, sample| !(expects_nothing(place) && sample.len() < SAMPLE));
        standing_in(samples)
    }

    /// Returns the rest of the anchors where the sample met documents.
    fn comparisons(&self) -> Vec<ReplacementCommand<'b>> {
        let mut rest = Documents::new();
        for (place, document) in self.anchors_to_compare() {
            let is_looked_for = self
                .resources
                .get(document.resource())
                .is_some_and(|planned| planned.found != AnchorState::Unknown);
            if !is_looked_for && self.met.get(&place) == Some(&true) {
                rest.entry(place).or_default().push(document);
            }
        }
        standing_in(rest)
    }

    /// Returns the anchors that met a document without having been looked for.
    fn comparisons_of_met(&self) -> Vec<ReplacementCommand<'b>> {
        let is_new = |document: &BatchDocument| {
            let planned = self.resources.get(document.resource());
            planned.is_some_and(|planned| planned.found == AnchorState::Unknown)
        };
        let met = self.next.iter().filter(|(place, _)| **place != DocumentPlace::Tombstones);
        let met = met
            .map(|(place, documents)| (*place, documents.iter().copied().filter(is_new).collect::<Vec<_>>()));
        standing_in(met.filter(|(_, documents)| !documents.is_empty()).collect())
    }

    /// Returns the anchors that met a document, but for those that are unchanged or superseded.
    fn replacing_anchors(&mut self) -> Vec<ReplacementCommand<'b>> {
        let mut next = std::mem::take(&mut self.next);
        for documents in next.values_mut() {
            documents.retain(|document| {
                let planned = self.resources.get(document.resource());
                planned.is_some_and(|planned| matches!(planned.verdict, Verdict::Stands))
            });
        }
        next.retain(|_, documents| !documents.is_empty());
        replaces(next)
    }

    /// Returns the tombstones of the resources that the database refused.
    fn burials(&mut self) -> Vec<ReplacementCommand<'b>> {
        let mut tombstones = Vec::new();
        for (resource, planned) in self.resources.iter_mut().enumerate() {
            if planned.bury_refused(resource, self.batch) {
                tombstones.push(BatchDocument::Tombstone { resource });
            }
        }
        if tombstones.is_empty() {
            return Vec::new();
        }
        replaces(Documents::from([(DocumentPlace::Tombstones, tombstones)]))
    }

    /// Returns the anchors that are documents with content, each with its place.
    fn anchors_to_compare(&self) -> impl Iterator<Item = (DocumentPlace<'b>, BatchDocument)> {
        self.still_to_write()
            .filter(|(_, planned)| matches!(planned.anchor, Anchor::Row(_) | Anchor::Archive))
            .filter_map(|(index, planned)| planned.anchor_document(index))
    }

    /// Documents beside the anchors.
    fn first_non_anchors(&mut self) -> Vec<ReplacementCommand<'b>> {
        let (mut fresh, mut to_replace) = (Documents::new(), Documents::new());
        for (index, planned) in self.still_to_write() {
            let target = if planned.found == AnchorState::Older { &mut to_replace } else { &mut fresh };
            for (place, document) in planned.non_anchors(index, self.batch) {
                target.entry(place).or_default().push(document);
            }
        }
        self.next = to_replace;
        inserts(fresh)
    }

    /// Returns the first commands for anchors. Rows are tried as inserts first, unless one is known to stand;
    /// tombstones are few and mostly replace.
    fn first_anchors(&mut self) -> Vec<ReplacementCommand<'b>> {
        let (mut fresh, mut to_replace) = (Documents::new(), Documents::new());
        for (index, planned) in self.still_to_write() {
            let target = match planned.anchor {
                Anchor::Nowhere => continue,
                Anchor::Tombstone | Anchor::Mark => &mut to_replace,
                Anchor::Row(_) | Anchor::Archive if planned.found == AnchorState::Older => &mut to_replace,
                Anchor::Row(_) | Anchor::Archive => &mut fresh,
            };
            if let Some((place, document)) = planned.anchor_document(index) {
                target.entry(place).or_default().push(document);
            }
        }
        self.next = to_replace;
        inserts(fresh)
    }

    /// Returns the commands that find other writers' versions of this batch's keys.
    fn version_checks(&self) -> Vec<ReplacementCommand<'b>> {
        let (mut checks, mut elsewhere) =
            (Documents::new(), BTreeMap::<&Arc<str>, Vec<BatchDocument>>::new());
        for (index, planned) in self.not_superseded() {
            for (place, document) in planned.places_to_check(index, &self.known) {
                checks.entry(place).or_default().push(document);
            }
            for table in planned.other_anchors(&self.known).tables {
                elsewhere.entry(table).or_default().push(BatchDocument::Tombstone { resource: index });
            }
        }
        let elsewhere = (elsewhere.into_iter())
            .map(|(table, documents)| ReplacementCommand::VersionsIn { table: Arc::clone(table), documents });
        versions(checks).into_iter().chain(elsewhere).collect()
    }

    fn judge(&mut self) {
        for planned in &mut self.resources {
            self.contended |= planned.judge();
        }
    }

    /// Asks for the tables of the types that have none in this catalog: whether other catalogs have some decides what is
    /// written.
    fn find_tables_before_planning(&self) -> Vec<ReplacementCommand<'b>> {
        let without_table = self.still_to_write().filter(|(_, planned)| planned.anchor == Anchor::Nowhere);
        find_tables(without_table.map(|(_, planned)| planned), true)
    }

    /// Makes a tombstone the anchor of resources for which this catalog has no table and others have some.
    fn assign_tombstones(&mut self) {
        for planned in &mut self.resources {
            if planned.anchor == Anchor::Nowhere && self.known.of_type(planned.resource_type()).is_some() {
                planned.anchor = Anchor::Tombstone;
            }
        }
    }

    /// Returns the tables that are about to be filled.
    fn notes(&self) -> Vec<ReplacementCommand<'b>> {
        let mut notes = BTreeSet::new();
        let mut last: Option<&Planned<'_>> = None;
        for (_, planned) in self.still_to_write() {
            // Most batches hold resources of one type.
            if last.is_none_or(|last| !last.has_notes_of(planned)) {
                notes.extend(planned.notes_of_tables());
            }
            notes.extend(planned.notes_of_suffixed_rows(self.batch));
            last = Some(planned);
        }
        if notes.is_empty() {
            Vec::new()
        } else {
            vec![ReplacementCommand::NoteTables { notes: notes.into_iter().collect() }]
        }
    }

    /// Asks for the tables in which other catalogs can have anchors.
    fn find_tables_before_check(&self) -> Vec<ReplacementCommand<'b>> {
        let anchored = self.not_superseded().filter(|(_, planned)| planned.anchor != Anchor::Nowhere);
        find_tables(anchored.map(|(_, planned)| planned), true)
    }

    /// Asks for the tables that must be known before rows are removed.
    fn find_tables_before_removal(&self) -> Vec<ReplacementCommand<'b>> {
        if self.contended {
            return Vec::new();
        }
        find_tables(self.resources.iter().filter(|planned| planned.removal().is_some()), false)
    }

    fn removals(&self) -> Vec<ReplacementCommand<'b>> {
        let mut at_keys: BTreeMap<DocumentPlace<'b>, Vec<Removal>> = BTreeMap::new();
        let mut at_others: BTreeMap<&Arc<str>, Vec<Removal>> = BTreeMap::new();
        let mut suffixed: BTreeMap<&Arc<str>, Vec<Removal>> = BTreeMap::new();
        for (resource, planned) in self.resources.iter().enumerate() {
            let Some(versions) = planned.removal() else { continue };
            for place in planned.places_to_clear(&self.known) {
                at_keys.entry(place).or_default().push(Removal { resource, versions });
            }
            for table in planned.other_tables_to_clear(&self.known) {
                at_others.entry(table).or_default().push(Removal { resource, versions });
            }
            let known = self.known.of_type(planned.resource_type());
            for table in known.into_iter().flat_map(|known| &known.suffixed) {
                suffixed.entry(table).or_default().push(Removal { resource, versions });
            }
        }
        let at_keys =
            at_keys.into_iter().map(|(place, removals)| ReplacementCommand::Delete { place, removals });
        let at_others = (at_others.into_iter())
            .map(|(table, removals)| ReplacementCommand::DeleteIn { table: Arc::clone(table), removals });
        let suffixed = (suffixed.into_iter()).map(|(table, removals)| ReplacementCommand::DeleteSuffixed {
            table: Arc::clone(table),
            removals,
        });
        at_keys.chain(at_others).chain(suffixed).collect()
    }

    fn needless_tombstones(&self) -> Vec<ReplacementCommand<'b>> {
        let removals: Vec<_> = (self.resources.iter().enumerate())
            .filter_map(|(resource, planned)| {
                planned.needless_tombstone().map(|versions| Removal { resource, versions })
            })
            .collect();
        if removals.is_empty() {
            return Vec::new();
        }
        vec![ReplacementCommand::Delete { place: DocumentPlace::Tombstones, removals }]
    }

    /// Returns the resources of which nothing newer is known, each with its index.
    fn not_superseded(&self) -> impl Iterator<Item = (usize, &Planned<'b>)> {
        let stands = |planned: &Planned<'_>| {
            planned.is_buried() || matches!(planned.verdict, Verdict::Stands | Verdict::Unchanged)
        };
        self.resources.iter().enumerate().filter(move |(_, planned)| stands(planned))
    }

    /// Returns the resources that are not superseded or refused so far, each with its index.
    fn still_to_write(&self) -> impl Iterator<Item = (usize, &Planned<'b>)> {
        self.resources.iter().enumerate().filter(|(_, planned)| matches!(planned.verdict, Verdict::Stands))
    }
}

/// Asks which tables hold rows of the types of some resources.
fn find_tables<'b: 'p, 'p>(
    resources: impl Iterator<Item = &'p Planned<'b>>,
    may_be_remembered: bool,
) -> Vec<ReplacementCommand<'b>> {
    let types: BTreeSet<&'b str> = resources.map(Planned::resource_type).collect();
    if types.is_empty() {
        return Vec::new();
    }
    vec![ReplacementCommand::FindTables { types: types.into_iter().collect(), may_be_remembered }]
}

fn refused(resource: &ResourceWrite, place: DocumentPlace<'_>, code: i32) -> Reject {
    let table = match place {
        DocumentPlace::Table(name) | DocumentPlace::Archive(name) => name,
        DocumentPlace::Tombstones => "_tombstones",
    };
    Reject {
        source: Source { object: Arc::clone(&resource.source.object), ..resource.source },
        resource: Some(resource.key.clone()),
        sha256: None,
        version: Some(Version::from_token(resource.version.as_str())),
        reason: Reason::Refused { table: table.to_owned(), code },
    }
}

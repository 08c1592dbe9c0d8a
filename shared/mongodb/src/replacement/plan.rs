//! Which documents a resource consists of, and which one is its anchor.

use std::collections::BTreeMap;
use std::sync::Arc;

use flatten::model::{UNKNOWN_TYPE, is_resource_type};

use pipeline::batch::{Fate, ResourceWrite, WriteBatch};
use pipeline::version::ERASED;

use super::command::{BatchDocument, DocumentPlace, FoundDocument, RemovedVersions};
use super::known_tables::{KnownTables, Note, RowKind, TablesOfType};

/// A resource of the batch and what is known of it so far.
#[derive(Debug, Clone)]
pub(super) struct Planned<'b> {
    pub(super) resource: &'b ResourceWrite,
    pub(super) anchor: Anchor,
    pub(super) verdict: Verdict<'b>,
    /// What stands in the place of the anchor, before it is written.
    pub(super) found: AnchorState,
    /// The anchor replaced a document.
    pub(super) replaced: bool,
    /// A document of the same or a newer version kept the anchor out.
    pub(super) kept: bool,
    /// A row beside the anchor replaced a document, or was kept out by one: the anchor of another catalog perhaps.
    pub(super) met_document: bool,
    /// The version that stands in the place of the anchor row.
    pub(super) row: Option<String>,
    /// The version of the tombstone.
    pub(super) tombstone: Option<String>,
    /// The newest version that stands where other catalogs have their anchors.
    pub(super) elsewhere: Option<String>,
}

/// What is known to stand in the place of an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnchorState {
    /// It was not looked for.
    Unknown,
    /// Nothing that would be replaced.
    Nothing,
    /// A document that will be replaced.
    Older,
}

/// The document that decides which version of a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The row whose `_id` is the key, in the first table: its index in the arena.
    Row(usize),
    /// The archived resource, where no table takes its type.
    Archive,
    /// The tombstone, where there is no such row.
    Tombstone,
    /// The mark of an erasure: nothing of the resource stands.
    Mark,
    /// No table takes the type and nothing is archived: nothing is written.
    Nowhere,
}

/// What has become of a resource.
#[derive(Debug, Clone)]
pub(super) enum Verdict<'b> {
    /// Nothing speaks against it.
    Stands,
    /// The same content of the same time is in the database: nothing is written.
    Unchanged,
    /// A newer version is in the database.
    Superseded,
    /// A newer version, or the same, is in this batch: nothing of it is written.
    Repeated,
    /// The database refused one of its documents.
    Refused { place: DocumentPlace<'b>, code: i32 },
}

/// Returns the resources of a batch. Of several versions of one resource the newest is written.
pub(super) fn plan(batch: &WriteBatch) -> Vec<Planned<'_>> {
    let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
    let mut planned: Vec<Planned<'_>> = Vec::with_capacity(batch.resources.len());
    for (index, resource) in batch.resources.iter().enumerate() {
        let mut this = Planned::new(resource, anchor(resource, batch));
        if let Some(&other) = newest.get(resource.key.as_str())
            && let Some(rival) = planned.get_mut(other)
        {
            if rival.resource.version >= resource.version {
                this.verdict = Verdict::Repeated;
                planned.push(this);
                continue;
            }
            rival.verdict = Verdict::Repeated;
        }
        newest.insert(&resource.key, index);
        planned.push(this);
    }
    planned
}

/// Where other catalogs have the anchors of a resource.
#[derive(Debug, Default)]
pub(super) struct OtherAnchors<'k> {
    /// In these tables.
    pub(super) tables: Vec<&'k Arc<str>>,
    /// In the archive.
    pub(super) archive: bool,
}

fn note<'b>(resource: &'b ResourceWrite, table: &'b str, kind: RowKind) -> Note<'b> {
    Note { resource_type: &resource.resource_type, table, kind }
}

fn anchor(resource: &ResourceWrite, batch: &WriteBatch) -> Anchor {
    let first = resource.tables.first();
    match (&resource.fate, first) {
        (Fate::Erased { .. }, _) => Anchor::Mark,
        (Fate::Rows(_), None) => Anchor::Nowhere,
        (Fate::Archived(_), None) => Anchor::Archive,
        (Fate::Deleted | Fate::Archived(_), _) => Anchor::Tombstone,
        (Fate::Rows(_), Some(_)) => batch.anchor_row(resource).map_or(Anchor::Tombstone, Anchor::Row),
    }
}

impl<'b> Planned<'b> {
    const fn new(resource: &'b ResourceWrite, anchor: Anchor) -> Self {
        Self {
            resource,
            anchor,
            verdict: Verdict::Stands,
            found: AnchorState::Unknown,
            replaced: false,
            kept: false,
            met_document: false,
            row: None,
            tombstone: None,
            elsewhere: None,
        }
    }

    /// Compares the resource with the anchor that stands.
    pub(super) fn compare(&mut self, found: FoundDocument) {
        let own = &self.resource.version;
        let is_other_delivery = found.version != own.as_str() && !own.is_remade();
        let has_same_content = self.resource.hash.is_some() && self.resource.hash == found.hash;
        if is_other_delivery && has_same_content && own.has_time_of(&found.version) {
            self.verdict = Verdict::Unchanged;
        } else if found.version.as_str() > own.as_str() {
            self.row = Some(found.version);
            self.verdict = Verdict::Superseded;
        } else {
            self.found = AnchorState::Older;
        }
    }

    /// Puts a tombstone in the place of the anchor if a document was refused and others may have been written before;
    /// returns whether the tombstone is to be written.
    pub(super) fn bury_refused(&mut self, resource: usize, batch: &'b WriteBatch) -> bool {
        let is_refused = matches!(self.verdict, Verdict::Refused { .. });
        if is_refused && self.non_anchors(resource, batch).next().is_some() {
            (self.anchor, self.kept) = (Anchor::Tombstone, false);
        }
        self.is_buried()
    }

    /// Returns whether a document was refused and a tombstone is the anchor.
    pub(super) const fn is_buried(&self) -> bool {
        matches!((&self.verdict, self.anchor), (Verdict::Refused { .. }, Anchor::Tombstone))
    }

    /// Returns the documents beside the anchor; a tombstone has none.
    pub(super) fn non_anchors(
        &self,
        resource: usize,
        batch: &'b WriteBatch,
    ) -> impl Iterator<Item = (DocumentPlace<'b>, BatchDocument)> + use<'b> {
        let anchor = self.anchor;
        let archived = matches!(self.resource.fate, Fate::Archived(_)) && anchor == Anchor::Tombstone;
        let archived = archived.then(|| (self.archive(), BatchDocument::Archived { resource }));
        let range = match &self.resource.fate {
            Fate::Rows(range) if anchor != Anchor::Nowhere => range.clone(),
            _ => 0..0,
        };
        let rows = (range.clone().zip(batch.rows.range(range)))
            .filter(move |&(index, _)| anchor != Anchor::Row(index))
            .map(move |(row, cells)| {
                (DocumentPlace::Table(batch.names.table(cells.table())), BatchDocument::Row { resource, row })
            });
        archived.into_iter().chain(rows)
    }

    /// Returns the anchor and its place.
    pub(super) fn anchor_document(&self, resource: usize) -> Option<(DocumentPlace<'b>, BatchDocument)> {
        match self.anchor {
            Anchor::Row(row) => Some((self.row_place(), BatchDocument::Row { resource, row })),
            Anchor::Archive => Some((self.archive(), BatchDocument::Archived { resource })),
            Anchor::Tombstone => Some((DocumentPlace::Tombstones, BatchDocument::Tombstone { resource })),
            Anchor::Mark => Some((DocumentPlace::Tombstones, BatchDocument::Mark { resource })),
            Anchor::Nowhere => None,
        }
    }

    /// Returns what must be read once the anchor stands, to find newer versions. `_id` is the key in every case.
    pub(super) fn places_to_check(
        &self,
        resource: usize,
        known: &KnownTables,
    ) -> impl Iterator<Item = (DocumentPlace<'b>, BatchDocument)> + use<'b> {
        let by_key = BatchDocument::Tombstone { resource };
        let (row, tombstone) = match self.anchor {
            Anchor::Nowhere | Anchor::Mark => (false, false),
            Anchor::Tombstone => (true, true),
            Anchor::Row(_) | Anchor::Archive => (self.kept, true),
        };
        let row = row.then(|| (self.row_place(), by_key));
        let tombstone = tombstone.then_some((DocumentPlace::Tombstones, by_key));
        let archive = self.other_anchors(known).archive.then(|| (self.archive(), by_key));
        row.into_iter().chain(tombstone).chain(archive)
    }

    /// Returns where other catalogs have their anchors of this resource.
    pub(super) fn other_anchors<'k>(&self, known: &'k KnownTables) -> OtherAnchors<'k> {
        // Nothing supersedes an erasure.
        let is_checked = !matches!(self.anchor, Anchor::Nowhere | Anchor::Mark);
        let Some(known) = self.known(known).filter(|_| is_checked) else { return OtherAnchors::default() };
        let own = self.resource.tables.first().map(String::as_str);
        let tables = known.anchors.iter().filter(|table| Some(&***table) != own).collect();
        OtherAnchors { tables, archive: known.has_archive_anchors && own.is_some() }
    }

    /// Returns a note of each table of this catalog that can take rows of the resource.
    pub(super) fn notes_of_tables(&self) -> impl Iterator<Item = Note<'b>> + use<'b> {
        let resource: &'b ResourceWrite = self.resource;
        let tables: &[String] = if matches!(resource.fate, Fate::Rows(_)) { &resource.tables } else { &[] };
        let kinds = std::iter::once(RowKind::Anchor).chain(std::iter::repeat(RowKind::Key));
        let keyed = tables.iter().zip(kinds).map(|(table, kind)| note(resource, table, kind));
        // Unknown types have no table anywhere, and there may be any number of them.
        let is_archived =
            matches!(resource.fate, Fate::Archived(_)) && is_resource_type(&resource.resource_type);
        let kind = if self.anchor == Anchor::Archive { RowKind::ArchiveAnchor } else { RowKind::Archived };
        let archive = is_archived.then(|| note(resource, "", kind));
        keyed.chain(archive)
    }

    /// Returns whether the notes of its tables are those of another resource.
    pub(super) fn has_notes_of(&self, other: &Self) -> bool {
        let (own, other) = (self.resource, other.resource);
        Arc::ptr_eq(&own.tables, &other.tables)
            && own.resource_type == other.resource_type
            && std::mem::discriminant(&own.fate) == std::mem::discriminant(&other.fate)
    }

    /// Returns a note of the table of each row whose `_id` has a suffix.
    pub(super) fn notes_of_suffixed_rows(
        &self,
        batch: &'b WriteBatch,
    ) -> impl Iterator<Item = Note<'b>> + use<'b> {
        let resource: &'b ResourceWrite = self.resource;
        let range = match &resource.fate {
            Fate::Rows(range) if self.anchor != Anchor::Nowhere => range.clone(),
            _ => 0..0,
        };
        let suffixed = batch.rows.range(range).filter(|row| row.key() != resource.key);
        suffixed.map(|row| note(resource, batch.names.table(row.table()), RowKind::Suffixed))
    }

    /// Returns every place of this catalog that can hold something under the key itself and has to be cleared, beside
    /// the tombstone's.
    pub(super) fn places_to_clear(
        &self,
        known: &KnownTables,
    ) -> impl Iterator<Item = DocumentPlace<'b>> + use<'b> {
        let own_row = matches!(self.anchor, Anchor::Row(_));
        // Where its own anchor row stands, nothing else can; rows meet an archived resource only together with
        // its tombstone, unless another catalog has no table for the type.
        let skipped = usize::from(own_row && matches!(self.verdict, Verdict::Stands));
        let is_archive_anchor = self.known(known).is_some_and(|known| known.has_archive_anchors);
        let has_archive =
            !own_row || self.tombstone.is_some() || self.resource.version.is_remade() || is_archive_anchor;
        let archive = has_archive.then(|| self.archive());
        // A type that FHIR does not have may have been unknown to the deployment as well.
        let own = &*self.resource.resource_type;
        let was_unknown = has_archive && own != UNKNOWN_TYPE && !is_resource_type(own);
        let unknown = was_unknown.then_some(DocumentPlace::Archive(UNKNOWN_TYPE));
        let tables = self.resource.tables.iter().skip(skipped).map(|table| DocumentPlace::Table(table));
        tables.chain(archive).chain(unknown)
    }

    /// Returns the tables that other catalogs have filled with rows whose `_id` is the key.
    pub(super) fn other_tables_to_clear<'k>(
        &self,
        known: &'k KnownTables,
    ) -> impl Iterator<Item = &'k Arc<str>> + use<'k, 'b> {
        let own: &'b [String] = &self.resource.tables;
        let keyed = self.known(known).into_iter().flat_map(|known| &known.keyed);
        keyed.filter(move |table| !own.iter().any(|own| **own == ***table))
    }

    fn known<'k>(&self, known: &'k KnownTables) -> Option<&'k TablesOfType> {
        known.of_type(&self.resource.resource_type)
    }

    /// Returns the resource's type.
    pub(super) fn resource_type(&self) -> &'b str {
        &self.resource.resource_type
    }

    /// Returns whether an anchor row of this resource stands there.
    pub(super) fn has_its_anchor_in(&self, place: DocumentPlace<'_>) -> bool {
        self.row_place() == place
    }

    /// Returns where an anchor row of this resource stands, if its newest version has one.
    fn row_place(&self) -> DocumentPlace<'b> {
        self.resource.tables.first().map_or_else(|| self.archive(), |table| DocumentPlace::Table(table))
    }

    fn archive(&self) -> DocumentPlace<'b> {
        DocumentPlace::Archive(&self.resource.resource_type)
    }

    /// Draws the conclusions from the check; `true`: what stands is not known and the batch must be written again.
    pub(super) fn judge(&mut self) -> bool {
        // A mark that met one like it stands all the same.
        let is_judged = (self.is_buried() || matches!(self.verdict, Verdict::Stands | Verdict::Unchanged))
            && !matches!(self.anchor, Anchor::Nowhere | Anchor::Mark);
        if !is_judged {
            return false;
        }
        let own = self.resource.version.as_str();
        let by_tombstone = self.anchor == Anchor::Tombstone;
        let newer = |version: &Option<String>| version.as_deref().is_some_and(|version| version > own);
        if newer(&self.row) || newer(&self.tombstone) || newer(&self.elsewhere) {
            self.verdict = Verdict::Superseded;
            return false;
        }
        let in_the_way = if by_tombstone { &self.tombstone } else { &self.row };
        self.kept && in_the_way.as_deref() != Some(own)
    }

    /// Returns which versions have to go from all places of the resource.
    pub(super) fn removal(&self) -> Option<RemovedVersions> {
        match self.verdict {
            Verdict::Repeated | Verdict::Unchanged => None,
            Verdict::Superseded => Some(RemovedVersions::UpToOwn),
            Verdict::Refused { .. } if self.is_buried() => Some(RemovedVersions::UpToOwn),
            Verdict::Refused { .. } => Some(RemovedVersions::Own),
            Verdict::Stands => match self.anchor {
                Anchor::Nowhere => None,
                Anchor::Tombstone | Anchor::Mark => Some(RemovedVersions::Older),
                Anchor::Row(_) | Anchor::Archive => {
                    let own = Some(self.resource.version.as_str());
                    let is_elsewhere = self.elsewhere.is_some() && self.elsewhere.as_deref() != own;
                    let met_others = self.replaced
                        || self.kept
                        || self.met_document
                        || self.tombstone.is_some()
                        || is_elsewhere;
                    (met_others || self.resource.version.is_remade()).then_some(RemovedVersions::Older)
                }
            },
        }
    }

    /// Returns which tombstones nothing needs any more, because an anchor row of a newer version stands or the resource
    /// was erased. A writer under other settings that was killed may have left a tombstone of a version that is a row
    /// now.
    pub(super) fn needless_tombstone(&self) -> Option<RemovedVersions> {
        match (&self.verdict, self.anchor) {
            (Verdict::Superseded, _) if self.tombstone.as_deref() == Some(ERASED) => {
                Some(RemovedVersions::UpToOwn)
            }
            (Verdict::Superseded, Anchor::Tombstone) => Some(RemovedVersions::UpToOwn),
            (Verdict::Stands, Anchor::Mark) => Some(RemovedVersions::Older),
            // The tombstone of a version that was refused before is as new as its row.
            (Verdict::Stands, Anchor::Row(_) | Anchor::Archive) if self.tombstone.is_some() => {
                Some(RemovedVersions::UpToOwn)
            }
            _ => None,
        }
    }
}

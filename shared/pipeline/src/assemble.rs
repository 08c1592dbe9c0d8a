//! From frames to batches: every record becomes rows, a deletion, an archived resource or a reject.

mod bundle;
mod cell;
mod deletions;
mod entry;
mod held;
mod identity;
mod manifest;
mod open_bundle;
mod order;
mod parameters;
mod references;
mod rejects;
mod versions;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;

use flatten::catalog::{Catalog, CatalogFlattener, Flattened};
use flatten::defect::{Defect, DefectCode};
use flatten::dictionary::Dictionary;
use flatten::json::{Limits, Node, Tape};
use flatten::links::Link;
use flatten::resource::Resource;

use crate::batch::{Completion, Fate, Reason, RejectRoom, ResourceWrite, UnstoredRejects, WriteBatch};
use crate::content::{ContentHash, ContentHasher, each_reference};
use crate::decode::{Frame, FramePlace};
use crate::interrupted::Interrupted;
use crate::manifest::ExpectedFile;
use crate::object::{ObjectRef, Source};
use crate::version::{ObjectOrder, Position, Version};

use held::HeldResource;
use manifest::{is_manifest, is_model};
use open_bundle::{EndedBundle, OpenBundle};
use order::EntryFacts;
use parameters::without_parameters;

pub use manifest::{MAX_LISTED_FILES, MAX_MANIFESTS_OF_OBJECT, MAX_NAMES_BYTES};

/// What an entry calls its resource, beside the resource's own id.
#[derive(Debug, Clone, Copy, Default)]
struct Urls<'a> {
    /// Its `fullUrl`.
    full: Option<&'a str>,
    /// The URL of its PUT.
    put: Option<&'a str>,
}

/// When a batch is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Bytes of memory that the rows of a batch take at most, give or take one resource.
    pub bytes: usize,
    /// Resources of a batch at most.
    pub resources: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { bytes: 4 << 20, resources: 5_000 }
    }
}

/// The assembler of one object.
pub struct Assembler {
    facts: ObjectFacts,
    flattener: CatalogFlattener,
    /// Hashes contents to find unchanged resources; `None` where rows are only printed.
    hasher: Option<ContentHasher>,
    tape: Tape,
    out: BatchBuilder,
    position: ReadPosition,
    current: CurrentFrame,
    bundle: OpenBundle,
    /// What earlier Bundles still have to write.
    ended_bundles: VecDeque<EndedBundle>,
    /// Whether a temporary file could not be written or read: something is missing.
    disk_failed: bool,
    /// How often each check has failed.
    checks: BTreeMap<String, u64>,
    manifests: u64,
    /// Whether the frame at hand was written by an earlier attempt: it is read and not written.
    is_skipping: bool,
}

/// What all records of the object share.
struct ObjectFacts {
    object: Arc<ObjectRef>,
    /// What the versions of all its records share.
    order: ObjectOrder,
    edition: u32,
    /// The number of the reading, see [`Load::reading`](crate::ledger::Load::reading).
    reading: u32,
    /// When the attempt began.
    begun: i64,
}

/// The batch at hand, and what follows it.
struct BatchBuilder {
    batch: WriteBatch,
    limits: BatchLimits,
    /// The size of what the batch holds beside its rows.
    bytes: usize,
    /// The number of resources in the previous batch, until this one has its first: the room to reserve.
    expected_resources: Option<usize>,
    reject_room: RejectRoom,
    /// Completions of rows of earlier batches.
    completions: Vec<Completion>,
}

/// How far the object is read.
#[derive(Default)]
struct ReadPosition {
    /// How many records were read.
    records: u64,
    /// Records before this ordinal are durable since an earlier attempt.
    first: u64,
    /// Offset and ordinal of the first record that was not read.
    next: (u64, u64),
}

/// The frame at hand.
#[derive(Default)]
struct CurrentFrame {
    /// What the entry at hand says about its record.
    entry: EntryFacts,
    /// The version of the next record, where it is known already.
    version: Option<Version>,
    /// Records of the frame so far.
    inside: u64,
    /// The place of the current record, if its text is not a part of its frame: a Bundle's own fields are put together.
    record_place: Option<FramePlace>,
    /// Whether a Bundle is read that stands inside a record.
    is_nested: bool,
}

/// A resource's key, its version and its place.
#[derive(Debug)]
struct Record {
    key: String,
    version: Version,
    source: Source,
    hash: Option<ContentHash>,
    /// The frame that it stands in.
    frame: FramePlace,
}

/// The JSON that a resource may be; its length was bounded by the decoder.
const RESOURCE: Limits = Limits { depth: 64, bytes: u32::MAX as usize, values: 2_000_000 };
/// The same with an entry around it.
const ENTRY: Limits = Limits { depth: RESOURCE.depth + 1, values: RESOURCE.values + AROUND, ..RESOURCE };
/// Values that an entry may have beside its resource.
const AROUND: usize = 100;

impl Assembler {
    /// Returns an assembler that has read nothing yet.
    #[must_use]
    pub fn new(object: Arc<ObjectRef>, catalog: Arc<Catalog>, limits: BatchLimits) -> Self {
        Self {
            facts: ObjectFacts { order: ObjectOrder::of(&object), object, edition: 0, reading: 0, begun: 0 },
            hasher: (!catalog.is_for_rows_only()).then(|| ContentHasher::new(catalog.fingerprint())),
            flattener: CatalogFlattener::new(catalog),
            tape: Tape::default(),
            out: BatchBuilder {
                batch: WriteBatch::default(),
                limits,
                bytes: 0,
                expected_resources: Some(0),
                reject_room: RejectRoom::default(),
                completions: Vec::new(),
            },
            position: ReadPosition::default(),
            current: CurrentFrame::default(),
            bundle: OpenBundle::default(),
            ended_bundles: VecDeque::new(),
            disk_failed: false,
            checks: BTreeMap::new(),
            manifests: 0,
            is_skipping: false,
        }
    }

    /// Sets the edition of the versions.
    #[must_use]
    pub fn in_edition(mut self, edition: u32) -> Self {
        self.facts.edition = edition;
        self
    }

    /// Sets the reading of the rejects, and when the attempt began, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn in_reading(mut self, reading: u32, begun: i64) -> Self {
        (self.facts.reading, self.facts.begun) = (reading, begun);
        self
    }

    /// Gives the next record this version: a record that is read alone does not know its Bundle.
    #[must_use]
    pub fn with_version(mut self, version: Option<Version>) -> Self {
        self.current.version = version;
        self
    }

    /// Goes on where an earlier attempt stopped, after so many records and rejects.
    pub fn resume_from(&mut self, ordinal: u64, records: u64, rejects: u64) {
        self.position.first = ordinal;
        self.position.records = records;
        self.out.reject_room = RejectRoom::after(rejects);
    }

    /// Adds a frame: its records go into the batch as rows, deletions, archived resources or rejects.
    pub fn add_frame(&mut self, frame: &Frame<'_>) {
        let FramePlace { ordinal, offset, length, .. } = frame.place();
        self.position.next = (offset + length, ordinal + 1);
        self.current.inside = 0;
        self.end_bundle_before(frame);
        if ordinal < self.position.first { self.skip(frame) } else { self.read(frame) }
    }

    /// Adds a line of NDJSON if it is a frame by itself: one JSON object that says first that it is a resource, and no
    /// Bundle. Returns false, and has done nothing, if it is not: then the decoder says which frames stand there.
    pub fn add_line(&mut self, place: FramePlace, bytes: &[u8]) -> bool {
        if place.ordinal < self.position.first {
            return false;
        }
        let mut tape = mem::take(&mut self.tape);
        let document = tape.parse(bytes, RESOURCE).ok();
        let document = document.filter(|document| begins_resource(document.root()));
        if let Some(document) = &document {
            self.position.next = (place.offset + place.length, place.ordinal + 1);
            self.current.inside = 0;
            self.end_bundle_before(&Frame::Resource { place, bytes });
            self.resource(place, document.root(), Urls::default());
        }
        let is_resource = document.is_some();
        self.tape = tape;
        is_resource
    }

    /// Adds a resource alone, under the key that it had in its object: nothing in it is a record of its own.
    pub fn add_single(&mut self, place: FramePlace, key: &str, bytes: &[u8]) {
        self.parsed(place, bytes, RESOURCE, |this, node| match Resource::read(node) {
            Ok(resource) => this.flatten_as(key.to_owned(), place, &resource),
            Err(defect) => this.defective(place, node, None, defect),
        });
    }

    /// Skips a frame that is durable since an earlier attempt. The entries of a Bundle are read all the same, because
    /// others refer to them, but not written.
    fn skip(&mut self, frame: &Frame<'_>) {
        if matches!(frame, Frame::Entry { .. } | Frame::BundleEnd { .. }) {
            let (records, checks) = (self.position.records, mem::take(&mut self.checks));
            self.is_skipping = true;
            self.read(frame);
            self.is_skipping = false;
            (self.position.records, self.checks) = (records, checks);
            self.out.batch.rows.clear();
            self.out.batch.resources.clear();
            self.out.batch.rejects.clear();
            self.out.batch.unstored = UnstoredRejects::default();
            self.out.bytes = 0;
            self.out.completions.clear();
            // What waited for a Bundle's end was written with it.
            self.ended_bundles.clear();
        }
    }

    fn read(&mut self, frame: &Frame<'_>) {
        match *frame {
            Frame::Resource { place, bytes } => self.parsed(place, bytes, RESOURCE, |this, node| {
                if is_manifest(node) {
                    this.manifest(place, node);
                } else {
                    this.resource(place, node, Urls::default());
                }
            }),
            Frame::Entry { place, bytes, bundle, head } => {
                self.enter_bundle(bundle, head);
                self.parsed(place, bytes, ENTRY, |this, node| this.entry(place, node));
            }
            Frame::BundleEnd { place, envelope, bundle } => {
                self.enter_bundle(bundle, envelope);
                self.end_bundle(place, envelope);
            }
            Frame::Broken { place, reason } => self.reject(place, None, None, Reason::Frame(reason.code())),
        }
    }

    /// Returns whether the batch should be handed on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.out.batch.rows.bytes() + self.out.bytes >= self.out.limits.bytes
            || self.out.batch.resources.len() + self.out.batch.rejects.len() >= self.out.limits.resources
    }

    /// Returns the batch so far, if there is anything in it.
    pub fn take_batch(&mut self) -> Option<WriteBatch> {
        let WriteBatch { resources, rejects, unstored, manifests, .. } = &self.out.batch;
        if resources.is_empty() && rejects.is_empty() && unstored.is_empty() && manifests.is_empty() {
            return None;
        }
        self.out.batch.names = self.flattener.names();
        self.flattener.count(&self.out.batch.rows);
        self.out.batch.reading = self.facts.reading;
        self.out.batch.begun = self.facts.begun;
        self.out.batch.room = self.out.reject_room.clone();
        self.out.bytes = 0;
        self.out.expected_resources = Some(self.out.batch.resources.len());
        let batch = mem::take(&mut self.out.batch);
        self.flattener.begin_batch();
        Some(batch)
    }

    /// Says that no more frames come: a Bundle that was cut has ended as well.
    pub fn end(&mut self) {
        self.leave_bundle();
    }

    /// Returns why the load cannot go on, if it cannot.
    ///
    /// # Errors
    /// When the disk of temporary files has failed or is full.
    pub fn fault(&self) -> Result<(), Interrupted> {
        let is_broken = self.disk_failed || self.bundle.is_broken();
        if is_broken { Err(Interrupted::Read { code: "temporary-file".to_owned() }) } else { Ok(()) }
    }

    /// Returns the columns of all batches that were taken, for the dictionary.
    pub fn take_dictionary(&mut self) -> Dictionary {
        self.flattener.take_dictionary()
    }

    /// Ends the assembler once its batches were taken, and keeps its caches for the next one.
    pub fn recycle(self) {
        self.flattener.recycle();
    }

    /// Gives back the memory that a large resource took.
    pub fn shrink(&mut self) {
        self.tape = Tape::default();
    }

    /// Returns what checks have found so far, those for which a resource was set aside among them.
    pub fn take_checks(&mut self) -> BTreeMap<String, u64> {
        mem::take(&mut self.checks)
    }

    /// Completions of rows that stand in batches handed out before: they may be written only after those.
    #[must_use]
    pub fn completions(&self) -> usize {
        self.out.completions.len()
    }

    /// Returns the completions so far, as a batch of their own.
    pub fn take_completions(&mut self) -> Option<WriteBatch> {
        let completions = mem::take(&mut self.out.completions);
        (!completions.is_empty()).then(|| WriteBatch { completions, ..WriteBatch::default() })
    }

    /// Returns whether a manifest was met.
    #[must_use]
    pub const fn has_manifest(&self) -> bool {
        self.manifests > 0
    }

    /// Returns the records read so far: resources, deletions, and what was set aside.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.position.records
    }

    /// Returns offset and ordinal of the first record that was not read.
    #[must_use]
    pub const fn next_record(&self) -> (u64, u64) {
        self.position.next
    }

    /// Parses a frame's bytes and does something with its root.
    fn parsed(
        &mut self,
        place: FramePlace,
        bytes: &[u8],
        limits: Limits,
        then: impl FnOnce(&mut Self, Node<'_>),
    ) {
        let mut tape = mem::take(&mut self.tape);
        match tape.parse(bytes, limits) {
            Ok(document) => then(self, document.root()),
            Err(error) => {
                let defect = Defect::from(error);
                self.reject(place, None, Some(bytes), Reason::Defect { view: None, defect });
            }
        }
        self.tape = tape;
    }

    /// Adds a manifest, which is not a record.
    fn manifest(&mut self, place: FramePlace, node: Node<'_>) {
        self.manifests += 1;
        if self.manifests > MAX_MANIFESTS_OF_OBJECT {
            return;
        }
        let version = self
            .facts
            .order
            .version(self.facts.order.time(None).nanoseconds, Position::new(place.ordinal, 0));
        let type_name = |name: &str| self.flattener.type_name(name).to_string();
        let manifest =
            manifest::read(node, &self.facts.object, version.in_edition(self.facts.edition), type_name);
        let bytes = manifest.files.iter().map(|file| size_of::<ExpectedFile>() + file.name.len());
        self.out.bytes += bytes.sum::<usize>();
        self.out.batch.manifests.push(manifest);
    }

    /// Adds one resource as a record.
    fn resource(&mut self, place: FramePlace, node: Node<'_>, urls: Urls<'_>) {
        // Before anything else is asked of it: what is wrong with a Bundle does not matter to its entries.
        let is_bundle = node.get("resourceType").is_some_and(|name| name.is("Bundle"));
        if is_bundle && node.get("entry").is_some() {
            return self.nested_bundle(place, node, urls);
        }
        match Resource::read(node) {
            Ok(resource) => self.read_resource(place, &resource, urls),
            Err(defect) => self.defective(place, node, None, defect),
        }
        if node.get("resourceType").is_some_and(|name| name.is("Parameters")) {
            self.parameters(place, node.get("parameter"));
        }
    }

    /// Returns whether a resource refers to an entry that has not been read: its row waits for the key of that entry.
    fn waits(&self, node: Node<'_>) -> bool {
        let (links, mut waits) = (&self.bundle.references.links, false);
        each_reference(node, &mut |reference| {
            waits = waits || links.look_up(reference).is_some_and(|(_, link)| link == Link::Later);
        });
        waits
    }

    fn read_resource(&mut self, place: FramePlace, resource: &Resource<'_>, urls: Urls<'_>) {
        let key = resource.key(urls.full, urls.put);
        if let Some(full_url) = urls.full {
            if !self.bundle.servers.note(full_url, &key) {
                self.bundle.references.set_aside(full_url);
                let defect = Defect::whole(DefectCode::AmbiguousIdentity);
                return self.defective(place, resource.node(), Some(key), defect);
            }
            self.link(full_url, &key);
        }
        self.read_keyed(place, resource, key);
    }

    /// Reads a resource whose key is known, unless an earlier attempt has written it and nothing in it waits.
    fn read_keyed(&mut self, place: FramePlace, resource: &Resource<'_>, key: String) {
        if !self.is_skipping || self.waits(resource.node()) {
            self.flatten_as(key, place, resource);
        } else {
            self.position(place.ordinal);
        }
    }

    /// Remembers the key of an entry, and completes the cells that waited for it.
    fn link(&mut self, full_url: &str, key: &str) {
        let OpenBundle { references, .. } = &mut self.bundle;
        for answer in references.insert(full_url, key, &self.facts.order, self.facts.edition) {
            self.answered(answer);
        }
    }

    /// Flattens a resource and adds the outcome to the batch.
    fn flatten_as(&mut self, key: String, place: FramePlace, resource: &Resource<'_>) {
        self.make_room();
        let source = self.source(place, resource.node());
        let version = match self.current.version.take() {
            Some(version) => version.in_edition(self.facts.edition),
            None => self.version_of(resource.node(), place.ordinal),
        };
        let (rows_before, pendings_before) = (self.out.batch.rows.len(), self.out.batch.rows.pending_cells());
        let links = &self.bundle.references.links;
        let hasher = self.hasher.as_ref();
        let hash = hasher.and_then(|hasher| hasher.hash(&key, resource.node(), links));
        let outcome = self.flattener.flatten(resource, &key, links, &mut self.out.batch.rows);
        if let Ok(Flattened::KeyComesLater) = outcome {
            let place = self.current.record_place.unwrap_or_else(|| within(place, resource.node()));
            let held =
                HeldResource { place, version: version.as_str(), key: &key, text: resource.node().raw() };
            return self.bundle.held.hold(&held, resource.node(), links);
        }
        if self.out.batch.rows.pending_cells() > pendings_before {
            let (names, rows) = (self.flattener.names(), rows_before..self.out.batch.rows.len());
            self.bundle.references.remember(&names, &self.out.batch.rows, rows, &version);
        }
        self.enter_outcome(
            Record { key, version, source, hash, frame: place },
            resource,
            rows_before,
            outcome,
        );
    }

    fn make_room(&mut self) {
        if let Some(resources) = self.out.expected_resources.take() {
            self.out.batch.rows = self.flattener.rows_pool().rows();
            self.out.batch.resources.reserve(resources);
        }
    }

    /// Adds the outcome of a resource whose rows begin at `rows_before` to the batch.
    fn enter_outcome(
        &mut self,
        record: Record,
        resource: &Resource<'_>,
        rows_before: usize,
        outcome: Result<Flattened, Defect>,
    ) {
        for (check, count) in self.flattener.findings() {
            *self.checks.entry(check.clone()).or_default() += count;
        }
        match outcome {
            Ok(Flattened::Rows(defects)) => {
                for (view, defect) in defects {
                    self.view_defect(&record, view, defect);
                }
                self.push(record, resource, Fate::Rows(rows_before..self.out.batch.rows.len()));
            }
            Ok(Flattened::Archived) => {
                let text = without_parameters(resource.node()).into_bytes();
                self.out.bytes += text.len();
                self.push(record, resource, Fate::Archived(text));
            }
            // Links are open in a Bundle only, and a resource of a Bundle is held.
            Ok(Flattened::KeyComesLater) => {}
            Err(defect) => {
                self.current.version = Some(Version::from_token(record.version.as_str()));
                self.defective(record.frame, resource.node(), Some(record.key), defect);
            }
        }
    }

    fn push(&mut self, record: Record, resource: &Resource<'_>, fate: Fate) {
        let Record { key, version, source, hash, .. } = record;
        let resource_type = self.flattener.type_name(resource.resource_type());
        let tables = self.flattener.tables(&resource_type);
        self.position.records += 1;
        self.out.bytes += size_of::<ResourceWrite>() + 2 * key.len() + version.as_str().len();
        self.out.batch.resources.push(ResourceWrite {
            key,
            resource_type,
            version,
            source,
            hash,
            tables,
            fate,
        });
    }

    fn source(&self, place: FramePlace, node: Node<'_>) -> Source {
        self.source_at(self.current.record_place.unwrap_or_else(|| within(place, node)))
    }

    fn source_at(&self, place: FramePlace) -> Source {
        let FramePlace { ordinal, offset, length, line } = place;
        Source { object: Arc::clone(&self.facts.object), ordinal, offset, length, line }
    }
}

/// Returns whether an object says first of all that it is a resource other than a Bundle. A manifest may say a URL.
fn begins_resource(object: Node<'_>) -> bool {
    object.members().next().is_some_and(|(name, value)| {
        let is_type = name.plain_text() == Some("resourceType");
        is_type
            && value
                .plain_text()
                .is_some_and(|resource_type| resource_type != "Bundle" && !is_model(resource_type))
    })
}

/// Returns where a node of a frame stands in the object.
fn within(place: FramePlace, node: Node<'_>) -> FramePlace {
    let span = node.span();
    FramePlace { offset: place.offset + span.start as u64, length: (span.end - span.start) as u64, ..place }
}

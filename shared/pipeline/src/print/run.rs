//! The resources of one run: which of them are the newest of their key, and which keys their rows have waited for.
//!
//! What was printed cannot be taken back, so nothing is printed before the run ends. The rows wait in the order in
//! which they came; beside them, spread over partitions by the resource's key, wait what decides about them: versions
//! and keys of references. At the end one partition after the other is in memory: a 32nd of the run's keys and
//! versions.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;

use crate::batch::{Completion, list_of};
use crate::spool::{ByteReader, ByteSpool, Fields, Spool, SpoolReader, push_field, push_field_with};
use crate::version::Version;

use super::fill::filled;
use super::json::Hole;

/// Bytes of rows that wait in memory, and bytes that are written to the temporary file at once.
pub(super) const ROW_BYTES: usize = 1 << 20;
/// How many files versions and keys are spread over.
const PARTITIONS: usize = 32;
const PARTITION_BYTES: usize = 64 << 10;

/// A resource's key as far as it must be told from others. The hashes begin at random in each process: nobody can make
/// up two keys with the same one.
pub(super) type KeyHash = u128;

/// Hashes the keys of a run.
#[derive(Debug, Default)]
pub(super) struct KeyHasher([RandomState; 2]);

impl KeyHasher {
    pub(super) fn hash(&self, key: &str) -> KeyHash {
        let Self([high, low]) = self;
        KeyHash::from(high.hash_one(key)) << 64 | KeyHash::from(low.hash_one(key))
    }
}

/// Everything that waits for the end of the run.
#[derive(Debug)]
pub(super) struct PrintRun {
    /// The rows of each resource.
    rows: ByteSpool,
    /// How many bytes they have; where some of them have holes, then of each row its bytes and its holes.
    index: Spool,
    /// Number, hash of the key, and version of each resource.
    versions: Vec<Spool>,
    /// Hash of the resource's key, version, table, row, path and key of each completion.
    completions: Vec<Spool>,
    resources: u64,
    has_holes: bool,
    added: AddedRows,
}

/// The rows of a resource that is added: of each the number of bytes, and its holes.
#[derive(Debug, Default)]
pub(super) struct AddedRows {
    record: Vec<u8>,
    has_holes: bool,
}

/// What is printed: which resources, and what their holes hold.
pub(super) struct Decided {
    rows: ByteReader,
    index: SpoolReader,
    resources: u64,
    /// A bit for each resource that a newer version of the run replaces.
    replaced: Vec<u64>,
    /// Number of the resource, table, row, path and key, spread by the number.
    fills: Vec<SpoolReader>,
    is_as_added: bool,
}

/// The rows of a resource as they stand in the spool.
pub(super) enum Stored<'a> {
    /// They are not printed.
    Replaced { bytes: u64 },
    /// They are printed as they are.
    Plain { bytes: u64 },
    /// Some of them have holes.
    WithHoles(StoredRows<'a>),
}

/// The rows of a resource, one by one.
pub(super) struct StoredRows<'a> {
    fields: Fields<'a>,
    by_row: BTreeMap<(&'a str, &'a str), Vec<&'a Fill>>,
}

/// A row that may have holes.
pub(super) struct PrintedRow<'a> {
    bytes: u64,
    /// Nothing if it has none.
    holes: Option<Fields<'a>>,
    fills: Vec<&'a Fill>,
}

/// A key for a hole.
struct Fill {
    table: String,
    row: String,
    path: String,
    key: String,
}

/// The versions of the resources of a partition.
#[derive(Default)]
struct Versions {
    /// One behind the other.
    tokens: Vec<u8>,
    /// Sorted by the hash once all are read; then of each key the newest.
    all: Vec<VersionOf>,
}

/// A version of a resource.
#[derive(Clone, Copy)]
struct VersionOf {
    hash: KeyHash,
    number: u64,
    /// Where its token stands.
    start: usize,
    end: usize,
}

fn partitions() -> Vec<Spool> {
    (0..PARTITIONS).map(|_| Spool::plain(PARTITION_BYTES)).collect()
}

impl Default for PrintRun {
    fn default() -> Self {
        Self {
            rows: ByteSpool::new(ROW_BYTES),
            index: Spool::plain(PARTITION_BYTES),
            versions: partitions(),
            completions: partitions(),
            resources: 0,
            has_holes: false,
            added: AddedRows::default(),
        }
    }
}

impl AddedRows {
    /// Says that a row of so many bytes was appended. Its holes are taken.
    pub(super) fn push(&mut self, bytes: usize, table: &str, row: &str, holes: &mut Vec<Hole>) {
        push_field(&mut self.record, &(bytes as u64).to_le_bytes());
        push_field_with(&mut self.record, |record| {
            if holes.is_empty() {
                return;
            }
            self.has_holes = true;
            push_field(record, table.as_bytes());
            push_field(record, row.as_bytes());
            for hole in holes.drain(..) {
                push_field(record, hole.at.to_string().as_bytes());
                push_field(record, hole.path.as_bytes());
                // The item of a list has no name, and no member's name is empty.
                push_field(record, hole.member.unwrap_or_default().as_bytes());
            }
        });
    }
}

impl PrintRun {
    /// Adds a resource whose rows `write` appends. They are printed if no newer version of it comes.
    pub(super) fn add(
        &mut self,
        key: KeyHash,
        version: &Version,
        write: impl FnOnce(&mut Vec<u8>, &mut AddedRows),
    ) -> io::Result<()> {
        let (buffer, added) = (self.rows.buffer(), &mut self.added);
        added.record.clear();
        added.has_holes = false;
        let before = buffer.len();
        write(buffer, added);
        let bytes = (buffer.len() - before) as u64;
        self.rows.spill_if_full()?;
        self.has_holes |= added.has_holes;
        self.index.push_with(|record| {
            record.extend_from_slice(&bytes.to_le_bytes());
            if added.has_holes {
                record.extend_from_slice(&added.record);
            }
        });
        intact(&self.index)?;
        let number = self.resources;
        self.resources += 1;
        push(&mut self.versions, key, |record| {
            record.extend_from_slice(&number.to_le_bytes());
            record.extend_from_slice(&key.to_le_bytes());
            record.extend_from_slice(version.as_str().as_bytes());
        })
    }

    /// Adds the key that a row has waited for.
    pub(super) fn complete(&mut self, hasher: &KeyHasher, completion: &Completion) -> io::Result<()> {
        let Completion { table, row, version, path, key } = completion;
        let hash = hasher.hash(row.split('#').next().unwrap_or(row));
        push(&mut self.completions, hash, |record| {
            record.extend_from_slice(&hash.to_le_bytes());
            for field in [version.as_str(), table, row, path, key] {
                push_field(record, field.as_bytes());
            }
        })
    }

    /// Ends the run: decides what is printed.
    pub(super) fn decide(self) -> io::Result<Decided> {
        let Self { rows, index, versions, completions, resources, has_holes, .. } = self;
        let words = usize::try_from(resources / 64 + 1).unwrap_or_default();
        let mut decided = Decided {
            rows: rows.into_reader()?,
            index: index.into_reader(),
            resources,
            replaced: vec![0; words],
            fills: Vec::new(),
            is_as_added: !has_holes,
        };
        let mut fills = partitions();
        for (versions, completions) in versions.into_iter().zip(completions) {
            let newest = decided.newest(&mut versions.into_reader())?;
            decided.fill(&newest, &mut completions.into_reader(), &mut fills)?;
        }
        decided.fills = fills.into_iter().map(Spool::into_reader).collect();
        Ok(decided)
    }
}

impl Decided {
    /// Returns whether every row is printed as it was added.
    pub(super) const fn is_as_added(&self) -> bool {
        self.is_as_added
    }

    /// Goes back to the first resource.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.index.rewind();
        self.rows.rewind()
    }

    /// Prints the next bytes of the rows.
    pub(super) fn copy(&mut self, bytes: u64, output: &mut impl io::Write) -> io::Result<()> {
        self.rows.copy(bytes, output)
    }

    /// Visits all resources in the order in which they came, each with the reader of its rows, which `visit` must move
    /// behind them.
    pub(super) fn each(
        &mut self,
        mut visit: impl FnMut(&mut ByteReader, Stored<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut range, mut fills) = (None, BTreeMap::new());
        for number in 0..self.resources {
            let of_number = self.partition(number);
            if range != Some(of_number) {
                range = Some(of_number);
                fills = self.fills_of(of_number)?;
            }
            let is_replaced = self.is_replaced(number);
            let record = self.index.next_record().ok_or(io::ErrorKind::UnexpectedEof)?;
            let (bytes, rows) = record.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
            let bytes = u64::from_le_bytes(*bytes);
            let stored = match (is_replaced, rows.is_empty()) {
                (true, _) => Stored::Replaced { bytes },
                (false, true) => Stored::Plain { bytes },
                (false, false) => {
                    Stored::WithHoles(StoredRows::new(rows, fills.get(&number).map_or(&[], Vec::as_slice)))
                }
            };
            visit(&mut self.rows, stored)?;
        }
        Ok(())
    }

    /// Finds the newest version of each key of a partition. The others are marked as replaced.
    fn newest(&mut self, reader: &mut SpoolReader) -> io::Result<Versions> {
        let mut versions = Versions::read(reader)?;
        let mut newest: Vec<VersionOf> = Vec::with_capacity(versions.all.len());
        for version in std::mem::take(&mut versions.all) {
            match newest.last_mut().filter(|other| other.hash == version.hash) {
                Some(other) if versions.token(*other) >= versions.token(version) => {
                    self.replace(version.number);
                }
                Some(other) => {
                    self.replace(other.number);
                    *other = version;
                }
                None => newest.push(version),
            }
        }
        versions.all = newest;
        Ok(versions)
    }

    /// Hands the keys of a partition on to the resources that wait for them.
    fn fill(&self, newest: &Versions, completions: &mut SpoolReader, fills: &mut [Spool]) -> io::Result<()> {
        while let Some(record) = completions.next_record() {
            let Some((hash, rest)) = record.split_first_chunk() else { continue };
            let (hash, mut fields) = (KeyHash::from_le_bytes(*hash), Fields::of(rest));
            let version = fields.next().unwrap_or_default();
            // A completion of a row that a newer version has replaced is of no use.
            if let Some(VersionOf { number, .. }) = newest.of(hash).filter(|of| newest.token(*of) == version)
                && let Some(spool) = fills.get_mut(self.partition(number))
            {
                spool.push_with(|fill| {
                    fill.extend_from_slice(&number.to_le_bytes());
                    fields.for_each(|field| push_field(fill, field));
                });
            }
        }
        whole(completions)
    }

    fn replace(&mut self, number: u64) {
        self.is_as_added = false;
        let word = usize::try_from(number / 64).ok().and_then(|word| self.replaced.get_mut(word));
        if let Some(word) = word {
            *word |= 1 << (number % 64);
        }
    }

    fn is_replaced(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.replaced.get(word));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Returns the partition of a number. Consecutive numbers share one, so that each partition is read once.
    fn partition(&self, number: u64) -> usize {
        let partition = number * PARTITIONS as u64 / self.resources.max(1);
        usize::try_from(partition).unwrap_or_default().min(PARTITIONS - 1)
    }

    fn fills_of(&mut self, partition: usize) -> io::Result<BTreeMap<u64, Vec<Fill>>> {
        let mut fills: BTreeMap<u64, Vec<Fill>> = BTreeMap::new();
        let Some(reader) = self.fills.get_mut(partition) else { return Ok(fills) };
        reader.rewind();
        while let Some(record) = reader.next_record() {
            let Some((number, rest)) = record.split_first_chunk() else { continue };
            let mut fields = Fields::of(rest).map(|field| String::from_utf8_lossy(field).into_owned());
            let mut field = || fields.next().unwrap_or_default();
            let fill = Fill { table: field(), row: field(), path: field(), key: field() };
            fills.entry(u64::from_le_bytes(*number)).or_default().push(fill);
        }
        whole(reader)?;
        Ok(fills)
    }
}

impl Versions {
    fn read(reader: &mut SpoolReader) -> io::Result<Self> {
        let mut versions = Self::default();
        while let Some(record) = reader.next_record() {
            let Some((number, rest)) = record.split_first_chunk() else { continue };
            let Some((hash, token)) = rest.split_first_chunk() else { continue };
            let start = versions.tokens.len();
            versions.tokens.extend_from_slice(token);
            let (hash, number) = (KeyHash::from_le_bytes(*hash), u64::from_le_bytes(*number));
            versions.all.push(VersionOf { hash, number, start, end: versions.tokens.len() });
        }
        whole(reader)?;
        versions.all.sort_unstable_by_key(|version| (version.hash, version.number));
        Ok(versions)
    }

    fn token(&self, version: VersionOf) -> &[u8] {
        self.tokens.get(version.start..version.end).unwrap_or_default()
    }

    fn of(&self, hash: KeyHash) -> Option<VersionOf> {
        let index = self.all.binary_search_by_key(&hash, |version| version.hash).ok()?;
        self.all.get(index).copied()
    }
}

impl<'a> StoredRows<'a> {
    fn new(record: &'a [u8], fills: &'a [Fill]) -> Self {
        let mut by_row: BTreeMap<(&str, &str), Vec<&Fill>> = BTreeMap::new();
        for fill in fills {
            by_row.entry((&fill.table, &fill.row)).or_default().push(fill);
        }
        Self { fields: Fields::of(record), by_row }
    }
}

impl<'a> Iterator for StoredRows<'a> {
    type Item = PrintedRow<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.fields.next()?.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let holes = self.fields.next()?;
        if holes.is_empty() {
            return Some(PrintedRow { bytes, holes: None, fills: Vec::new() });
        }
        let mut holes = Fields::of(holes);
        let mut text = || std::str::from_utf8(holes.next().unwrap_or_default()).unwrap_or_default();
        let row = (text(), text());
        let fills = self.by_row.get(&row).cloned().unwrap_or_default();
        Some(PrintedRow { bytes, holes: Some(holes), fills })
    }
}

impl PrintedRow<'_> {
    /// Returns how many bytes it has.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the row, which is JSON, with its keys; `None` if it has no holes.
    pub(super) fn filled(&self, json: &[u8]) -> Option<Vec<u8>> {
        let mut holes = self.holes.clone()?.map(|field| String::from_utf8_lossy(field).into_owned());
        Some(filled(json, &holes_of(&mut holes, &self.fills)))
    }
}

fn push(partitions: &mut [Spool], hash: KeyHash, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let partition = usize::try_from(hash % PARTITIONS as KeyHash).unwrap_or_default();
    let Some(spool) = partitions.get_mut(partition) else { return Ok(()) };
    spool.push_with(write);
    intact(spool)
}

fn intact(spool: &Spool) -> io::Result<()> {
    if spool.is_broken() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

fn whole(reader: &SpoolReader) -> io::Result<()> {
    if reader.is_broken() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn holes_of(fields: &mut impl Iterator<Item = String>, fills: &[&Fill]) -> Vec<Hole> {
    let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
    // Lists take keys in the order in which they came, as a database does.
    let mut of_lists: BTreeMap<&str, VecDeque<&str>> = BTreeMap::new();
    for fill in fills {
        match list_of(&fill.path) {
            Some(list) => of_lists.entry(list).or_default().push_back(&fill.key),
            None => drop(keys.insert(&fill.path, &fill.key)),
        }
    }
    let mut holes = Vec::new();
    while let (Some(at), Some(path), Some(member)) = (fields.next(), fields.next(), fields.next()) {
        let member = (!member.is_empty()).then_some(member);
        let key = match list_of(&path).filter(|_| member.is_none()) {
            Some(list) => of_lists.get_mut(list).and_then(VecDeque::pop_front),
            None => keys.get(path.as_str()).copied(),
        };
        let key = key.map(str::to_owned);
        holes.push(Hole { at: at.parse().unwrap_or_default(), path, member, key });
    }
    holes
}

//! References within a Bundle: keys of entries that were read, and cells that wait for entries to come.
//!
//! A cell waits for a URN or a URL. If no entry has the URL, the reference means what the URL says.
//!
//! Both grow with the Bundle, so both have a budget in memory. What exceeds it goes to temporary files, and the two
//! are joined once the Bundle is complete: partition by partition, and some keys of a partition after the others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use flatten::links::{Link, Links, canonical};
use flatten::reference::{self, Reference};
use flatten::row::{Cells, NameList, PENDING_TYPE, Rows, Value};
use sha2::{Digest, Sha256};

use crate::spool::{Spool, SpoolReader};
use crate::version::{ObjectOrder, Version};

use super::cell::{Cell, ResolvedCell};

/// Bytes that the keys of a Bundle's entries take in memory at most.
const LINK_BYTES: usize = 48 << 20;
/// Bytes that waiting cells take in memory at most.
const CELL_BYTES: usize = 16 << 20;
/// A waiting cell's share of map, vector and allocator.
const CELL_OVERHEAD: usize = 64;
/// How many files each of the two is spread over.
const PARTITIONS: usize = 16;
/// What a partition holds in memory before it goes to its file.
const PARTITION_BYTES: usize = 128 << 10;
/// Bytes of a partition's keys that are joined at once. A sender can choose URLs that all fall into one partition.
const JOINED_BYTES: usize = 32 << 20;

/// The references of one Bundle.
#[derive(Debug, Default)]
pub(super) struct References {
    /// The keys of the entries so far.
    pub(super) links: Links,
    /// Cells by the URN that they wait for.
    waiting: BTreeMap<Box<str>, Vec<Box<[u8]>>>,
    waiting_bytes: usize,
    more_cells: Option<Partitions>,
    more_links: Option<Partitions>,
}

/// Records of a URN and something else, spread by the URN.
#[derive(Debug)]
struct Partitions {
    spools: Vec<Spool>,
}

impl References {
    /// Opens the references of a Bundle whose entries are still to come. `awaits_urls`: references to URLs wait for
    /// them.
    pub(super) fn open(awaits_urls: bool) -> Self {
        Self { links: Links::open().awaiting_urls(awaits_urls), ..Self::default() }
    }

    /// Remembers the waiting cells of some rows of one version.
    pub(super) fn remember(&mut self, names: &NameList, rows: &Rows, range: Range<usize>, version: &Version) {
        let version = ObjectOrder::packed(version);
        for row in rows.range(range) {
            let (table, key) = (names.table(row.table()), row.key());
            walk(names, row.cells(), "", &mut |path, urn| {
                let wants_type = urn.ends_with(PENDING_TYPE);
                // A view may want the key of a target of one type only: `urn:…#Patient`.
                let (urn, of_type) = urn.split_once('#').unwrap_or((urn, ""));
                let of_type = if wants_type { "" } else { of_type };
                let cell = Cell { table, row: key, version, path, wants_type, of_type };
                self.wait(urn, cell.to_bytes());
            });
        }
    }

    /// Remembers that the entry with this `fullUrl` was set aside, unless its Bundle's links take their memory already.
    pub(super) fn set_aside(&mut self, full_url: &str) {
        if self.links.bytes() < LINK_BYTES {
            self.links.set_aside(full_url);
        }
    }

    fn wait(&mut self, urn: &str, cell: Vec<u8>) {
        let urn = &*canonical(urn);
        if self.waiting_bytes >= CELL_BYTES {
            self.more_cells.get_or_insert_with(Partitions::new).push(urn, &cell);
            return;
        }
        self.waiting_bytes += cell.len() + CELL_OVERHEAD;
        if !self.waiting.contains_key(urn) {
            self.waiting_bytes += urn.len() + CELL_OVERHEAD;
        }
        self.waiting.entry(urn.into()).or_default().push(cell.into());
    }

    /// Remembers the key of an entry, and answers the cells in memory that have waited for it.
    pub(super) fn insert(
        &mut self,
        full_url: &str,
        key: &str,
        order: &ObjectOrder,
        edition: u32,
    ) -> Vec<ResolvedCell> {
        if self.links.bytes() < LINK_BYTES {
            self.links.insert(full_url, key);
        } else if Links::needs(full_url, key) {
            self.more_links.get_or_insert_with(Partitions::new).push(&canonical(full_url), key.as_bytes());
        }
        let full_url = &*canonical(full_url);
        let Some(cells) = self.waiting.remove(full_url) else { return Vec::new() };
        let bytes: usize = cells.iter().map(|cell| cell.len() + CELL_OVERHEAD).sum();
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes + full_url.len() + CELL_OVERHEAD);
        cells.iter().filter_map(|cell| Some(Cell::read(cell)?.answer(Some(key), order, edition))).collect()
    }

    /// Ends the Bundle: no entry follows. What still waits is answered by the join.
    pub(super) fn close(self) -> Join {
        let Self { mut links, waiting, more_cells, more_links, .. } = self;
        links.close();
        let has_all_links = more_links.is_none();
        let rest = BTreeMap::new();
        let mut join = Join { links, has_all_links, partition: 0, spools: None, current: None, rest };
        if more_cells.is_none() && more_links.is_none() {
            join.rest = waiting;
            return join;
        }
        let mut cells = more_cells.unwrap_or_else(Partitions::new);
        for (urn, waiting) in &waiting {
            for cell in waiting {
                cells.push(urn, cell);
            }
        }
        let links = more_links.unwrap_or_else(Partitions::new);
        join.spools = Some((cells, links.spools.into_iter().map(Spool::into_reader).collect()));
        join
    }

    /// Returns whether the disk has failed.
    pub(super) fn is_broken(&self) -> bool {
        [&self.more_cells, &self.more_links].into_iter().flatten().any(Partitions::is_broken)
    }
}

impl Partitions {
    fn new() -> Self {
        Self { spools: (0..PARTITIONS).map(|_| Spool::new(PARTITION_BYTES)).collect() }
    }

    fn push(&mut self, urn: &str, rest: &[u8]) {
        let hash = Sha256::digest(urn.as_bytes()).first().copied().unwrap_or_default();
        let mut record = Vec::with_capacity(4 + urn.len() + rest.len());
        record.extend_from_slice(&u32::try_from(urn.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend_from_slice(urn.as_bytes());
        record.extend_from_slice(rest);
        if let Some(spool) = self.spools.get_mut(usize::from(hash) % PARTITIONS) {
            spool.push(&record);
        }
    }

    fn take(&mut self, partition: usize) -> Option<SpoolReader> {
        let spool = self.spools.get_mut(partition)?;
        Some(std::mem::replace(spool, Spool::new(0)).into_reader())
    }

    fn is_broken(&self) -> bool {
        self.spools.iter().any(Spool::is_broken)
    }
}

/// Returns a record's URN and the rest of it.
fn parts(record: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = record.split_first_chunk()?;
    let (urn, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(urn).ok()?, rest))
}

/// The cells of a complete Bundle that still wait, answered one after the other.
#[derive(Debug)]
pub(super) struct Join {
    links: Links,
    /// Cells that nothing in memory answers, where nothing was spooled.
    rest: BTreeMap<Box<str>, Vec<Box<[u8]>>>,
    /// Whether no link was spooled.
    has_all_links: bool,
    /// Cells and links.
    spools: Option<(Partitions, Vec<SpoolReader>)>,
    partition: usize,
    current: Option<Partition>,
}

#[derive(Debug)]
struct Partition {
    cells: SpoolReader,
    /// Some of the partition's links, in the order in which they came.
    links: BTreeMap<Box<str>, Box<str>>,
    /// Cells that these links do not answer, where there are more links.
    unanswered: Option<Spool>,
    is_broken: bool,
}

impl Join {
    /// Returns whether [`links`](Self::links) are all links of the Bundle.
    pub(super) const fn has_all_links(&self) -> bool {
        self.has_all_links
    }

    /// Returns the links that are in memory.
    pub(super) const fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }

    /// Returns the links of these URNs, whether they are in memory or in the spools.
    pub(super) fn links_of(&mut self, urns: &BTreeSet<Box<str>>) -> Result<Links, BrokenSpool> {
        let mut found = Links::default();
        for urn in urns {
            if let Link::Key(key) = self.links.resolve(urn) {
                found.insert(urn, &key);
            } else if self.links.is_set_aside(urn) {
                found.set_aside(urn);
            }
        }
        for spool in self.spools.iter_mut().flat_map(|(_, links)| links) {
            spool.rewind();
            while let Some((urn, key)) = spool.next_record().and_then(parts) {
                if urns.contains(urn) {
                    found.insert(urn, &String::from_utf8_lossy(key));
                }
            }
            if spool.is_broken() {
                return Err(BrokenSpool);
            }
        }
        Ok(found)
    }

    /// Answers the next cell; `None` once none is left. The error says that the disk has failed.
    pub(super) fn next(
        &mut self,
        order: &ObjectOrder,
        edition: u32,
    ) -> Result<Option<ResolvedCell>, BrokenSpool> {
        while let Some(mut first) = self.rest.first_entry() {
            if let Some(cell) = first.get_mut().pop() {
                let key = own_key(&self.links, first.key());
                return Ok(Cell::read(&cell).map(|cell| cell.answer(key.as_deref(), order, edition)));
            }
            first.remove();
        }
        loop {
            if let Some(current) = &mut self.current {
                let Partition { cells, links, unanswered, .. } = current;
                if let Some(record) = cells.next_record()
                    && let Some((urn, cell)) = parts(record)
                {
                    let key = match self.links.resolve(urn) {
                        Link::Key(key) => Some(key),
                        Link::Later | Link::Nowhere => links.get(urn).map(ToString::to_string),
                    };
                    let key = match unanswered {
                        Some(unanswered) if key.is_none() => {
                            unanswered.push(record);
                            None
                        }
                        _ => key.or_else(|| own_key(&self.links, urn)),
                    };
                    return Ok(Cell::read(cell).map(|cell| cell.answer(key.as_deref(), order, edition)));
                }
                if current.is_broken || current.cells.is_broken() {
                    return Err(BrokenSpool);
                }
                let rest = unanswered.take();
                let of_partition =
                    self.spools.as_mut().and_then(|(_, links)| links.get_mut(self.partition - 1));
                self.current =
                    rest.zip(of_partition).map(|(cells, links)| Partition::of(cells.into_reader(), links));
                if self.current.is_some() {
                    continue;
                }
            }
            let Some((cells, links)) = &mut self.spools else { return Ok(None) };
            let (Some(cells), Some(links)) = (cells.take(self.partition), links.get_mut(self.partition))
            else {
                return Ok(None);
            };
            self.partition += 1;
            links.rewind();
            self.current = Some(Partition::of(cells, links));
        }
    }
}

impl Partition {
    /// Returns the cells and as many of the links as are joined at once, from the reader's position.
    fn of(cells: SpoolReader, spooled: &mut SpoolReader) -> Self {
        let (mut links, mut bytes) = (BTreeMap::new(), 0);
        let mut unanswered = None;
        while let Some(record) = spooled.next_record() {
            bytes += record.len() + CELL_OVERHEAD;
            if let Some((urn, key)) = parts(record) {
                // The first entry with a URN is the one that references mean.
                links.entry(urn.into()).or_insert_with(|| String::from_utf8_lossy(key).into());
            }
            if bytes >= JOINED_BYTES {
                unanswered = Some(Spool::new(PARTITION_BYTES));
                break;
            }
        }
        Self { cells, links, unanswered, is_broken: spooled.is_broken() }
    }
}

/// Returns the key that a URL itself states, for references to URLs that no entry has.
fn own_key(links: &Links, url: &str) -> Option<String> {
    match reference::parse(url) {
        Reference::Resource { resource_type, id } if !links.is_set_aside(url) => {
            Some([resource_type, "/", id].concat())
        }
        _ => None,
    }
}

/// The disk of temporary files has failed or is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BrokenSpool;

/// Calls `found` with path and URN of every waiting cell. A path goes through list items by their index.
fn walk(names: &NameList, cells: Cells<'_>, prefix: &str, found: &mut impl FnMut(&str, &str)) {
    for (index, (column, value)) in cells.enumerate() {
        let name = names.column(column);
        let path = || match (prefix, name) {
            ("", name) => name.to_owned(),
            (prefix, "") => format!("{prefix}.{index}"),
            (prefix, name) => format!("{prefix}.{name}"),
        };
        match value {
            Value::Pending(urn) | Value::PendingOrNull(urn) => found(&path(), urn),
            Value::List(inner) | Value::Record(inner) => walk(names, inner, &path(), found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use flatten::links::Link;

    use super::{JOINED_BYTES, LINK_BYTES, PARTITIONS, References, ResolvedCell, Sha256};
    use crate::assemble::cell::Cell;
    use crate::object::{ObjectRef, Pin};
    use crate::version::ObjectOrder;
    use sha2::Digest as _;

    #[test]
    fn links_are_found_in_memory_and_in_spools() {
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
        let order = ObjectOrder::of(&object);
        let mut references = References::open(false);
        let urn = |number: usize| format!("urn:{}:{number}", "x".repeat(1_000));
        let count = LINK_BYTES / 1_000 + 1_000;
        for number in 0..count {
            references.insert(&urn(number), &format!("Patient/{number}"), &order, 0);
        }
        // A URN that stands twice means the first.
        references.insert(&urn(count - 1), "Patient/second", &order, 0);
        let mut join = references.close();
        assert!(!join.has_all_links());
        let wanted: BTreeSet<Box<str>> = [0, count - 1, count].map(|number| urn(number).into()).into();
        for _ in 0..2 {
            let links = join.links_of(&wanted).unwrap();
            assert_eq!(links.resolve(&urn(0)), Link::Key("Patient/0".to_owned()));
            assert_eq!(links.resolve(&urn(count - 1)), Link::Key(format!("Patient/{}", count - 1)));
            assert_eq!(links.resolve(&urn(count)), Link::Nowhere);
        }
        assert_eq!(join.next(&order, 0), Ok(None));
    }

    /// A sender can choose URNs that all fall into one partition: it is joined some keys at a time, and of two entries
    /// with one URN the first counts, however far apart they stand.
    #[test]
    fn a_partition_larger_than_memory_is_joined_in_parts() {
        let (bucket, key) = ("b".to_owned(), "k".to_owned());
        let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created: 0, size: None };
        let order = ObjectOrder::of(&object);
        let is_first = |urn: &String| usize::from(Sha256::digest(urn.as_bytes())[0]) % PARTITIONS == 0;
        let urns = (0_u64..).map(|number| format!("urn:x:{number}:{}", "y".repeat(1 << 20))).filter(is_first);
        let urns: Vec<String> = urns.take(3 * JOINED_BYTES / (1 << 20) / 2).collect();
        let mut references = References::open(false);
        // What is in memory is answered at once.
        for number in 0..=LINK_BYTES / 1_000_000 {
            references.insert(&format!("urn:z:{number}:{}", "z".repeat(1_000_000)), "Group/g", &order, 0);
        }
        for (number, urn) in urns.iter().enumerate() {
            references.insert(urn, &format!("Patient/{number}"), &order, 0);
        }
        references.insert(&urns[0], "Patient/second", &order, 0);
        references.insert("urn:x:nobody", "Patient/other", &order, 0);
        let urls: Vec<String> = ["urn:x:dangling".to_owned()]
            .into_iter()
            .chain((0..64).map(|number| format!("https://s.example/fhir/Patient/of-url-{number}")))
            .collect();
        for (number, urn) in urns.iter().chain(&urls).enumerate() {
            let row = format!("Observation/{number}");
            let cell = Cell {
                table: "Observation",
                row: &row,
                version: [7; 22],
                path: "subject_key",
                wants_type: false,
                of_type: "",
            };
            references.wait(urn, cell.to_bytes());
        }
        let mut join = references.close();
        let mut answered = Vec::new();
        while let Some(answer) = join.next(&order, 0).unwrap() {
            if let ResolvedCell::Key(completion) = answer {
                answered.push((completion.row, completion.key));
            }
        }
        let expected =
            (0..urns.len()).map(|number| (format!("Observation/{number}"), format!("Patient/{number}")));
        answered.sort();
        // A URL that no entry has says its key itself, in whichever partition it is.
        let of_url =
            |number| (format!("Observation/{}", urns.len() + 1 + number), format!("Patient/of-url-{number}"));
        let expected = expected.chain((0..64).map(of_url));
        let mut expected: Vec<_> = expected.collect();
        expected.sort();
        assert_eq!(answered, expected);
    }
}

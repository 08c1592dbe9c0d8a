//! The resources of one run: which of them are the newest of their key, and which keys their rows have waited for.
//!
//! What was printed cannot be taken back, so nothing is printed before the run ends. The lines wait in the order in which
//! they came; beside them, spread over partitions by the resource's key, wait what decides about them: versions and keys
//! of references. At the end one partition after the other is in memory: a 32nd of the run's keys and versions.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::batch::{Completion, list_of};
use crate::spool::{Fields, Spool, SpoolReader, push_field};
use crate::version::Version;

use super::fill::filled;
use super::line::{Hole, Line};

/// Bytes of lines that wait in memory, and bytes that are written to the temporary file at once.
pub(super) const LINE_BYTES: usize = 1 << 20;
/// How many files versions and keys are spread over.
const PARTITIONS: usize = 32;
const PARTITION_BYTES: usize = 64 << 10;

/// A resource's key as far as partitions tell it from others.
type KeyHash = [u8; 16];

/// Version and number of the newest resource, by the hash of the key.
type Newest = BTreeMap<Box<[u8]>, (Box<[u8]>, u64)>;

/// Everything that waits for the end of the run.
#[derive(Debug)]
pub(super) struct Run {
    /// The lines of each resource.
    lines: Spool,
    /// Number, hash of the key, and version of each resource.
    versions: Vec<Spool>,
    /// Hash of the resource's key, version, table, row, path and key of each completion.
    completions: Vec<Spool>,
    resources: u64,
}

/// Which resources are printed, and what their holes hold.
struct Decided {
    /// A bit for each resource that a newer version of the run replaces.
    replaced: Vec<u64>,
    /// Number of the resource, table, row, path and key, spread by the number.
    fills: Vec<Spool>,
}

/// A key for a hole.
struct Fill {
    table: String,
    row: String,
    path: String,
    key: String,
}

fn partitions() -> Vec<Spool> {
    (0..PARTITIONS).map(|_| Spool::plain(PARTITION_BYTES)).collect()
}

impl Default for Run {
    fn default() -> Self {
        Self {
            lines: Spool::plain(LINE_BYTES),
            versions: partitions(),
            completions: partitions(),
            resources: 0,
        }
    }
}

impl Run {
    /// Adds a resource with the lines that are printed if no newer version of it comes.
    pub(super) fn add<'l>(
        &mut self,
        key: &str,
        version: &Version,
        lines: impl Iterator<Item = (&'l str, &'l str, Line)>,
    ) -> io::Result<()> {
        let mut record = Vec::new();
        for (table, row, line) in lines {
            push_line(&mut record, table, row, &line);
        }
        self.lines.push(&record);
        let hash = hash_of(key);
        let mut record = self.resources.to_le_bytes().to_vec();
        push_field(&mut record, &hash);
        push_field(&mut record, version.as_str().as_bytes());
        push(&mut self.versions, hash, &record);
        self.resources += 1;
        self.checked()
    }

    /// Adds the key that a row has waited for.
    pub(super) fn complete(&mut self, completion: &Completion) -> io::Result<()> {
        let Completion { table, row, version, path, key } = completion;
        let hash = hash_of(row.split('#').next().unwrap_or(row));
        let mut record = Vec::new();
        push_field(&mut record, &hash);
        for field in [version.as_str(), table, row, path, key] {
            push_field(&mut record, field.as_bytes());
        }
        push(&mut self.completions, hash, &record);
        self.checked()
    }

    /// Prints the newest version of every resource, in the order in which they came. Cells whose key never came are left
    /// out.
    pub(super) fn print(self, output: &mut impl Write) -> io::Result<()> {
        let Self { lines, versions, completions, resources } = self;
        let mut decided = Decided::of(versions, completions, resources)?;
        let mut lines = lines.into_reader();
        let (mut range, mut fills) = (None, BTreeMap::new());
        for number in 0..resources {
            let of_number = decided.partition(number, resources);
            if range != Some(of_number) {
                range = Some(of_number);
                fills = decided.fills(of_number)?;
            }
            let record = lines.next_record().ok_or(io::ErrorKind::UnexpectedEof)?;
            if !decided.is_replaced(number) {
                print(record, fills.get(&number).map_or(&[][..], Vec::as_slice), output)?;
            }
        }
        Ok(())
    }

    fn checked(&self) -> io::Result<()> {
        let is_broken =
            self.lines.is_broken() || self.versions.iter().chain(&self.completions).any(Spool::is_broken);
        if is_broken { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Decided {
    fn of(versions: Vec<Spool>, completions: Vec<Spool>, resources: u64) -> io::Result<Self> {
        let words = usize::try_from(resources / 64 + 1).unwrap_or_default();
        let mut decided = Self { replaced: vec![0; words], fills: partitions() };
        for (versions, completions) in versions.into_iter().zip(completions) {
            let newest = decided.newest(&mut versions.into_reader())?;
            let mut completions = completions.into_reader();
            while let Some(record) = completions.next_record() {
                let mut fields = Fields::of(record);
                let (hash, version) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
                // A completion of a row that a newer version has replaced is of no use.
                if let Some((_, number)) = newest.get(hash).filter(|(newest, _)| **newest == *version) {
                    let mut fill = number.to_le_bytes().to_vec();
                    fields.for_each(|field| push_field(&mut fill, field));
                    let partition = decided.partition(*number, resources);
                    if let Some(spool) = decided.fills.get_mut(partition) {
                        spool.push(&fill);
                    }
                }
            }
            whole(&completions)?;
        }
        Ok(decided)
    }

    /// The newest version of each key of a partition, and its number. The others are marked as replaced.
    fn newest(&mut self, versions: &mut SpoolReader) -> io::Result<Newest> {
        let mut newest = Newest::new();
        while let Some(record) = versions.next_record() {
            let Some((number, rest)) = record.split_first_chunk() else { continue };
            let (number, mut fields) = (u64::from_le_bytes(*number), Fields::of(rest));
            let (hash, version) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let replaced = match newest.get_mut(hash) {
                Some((standing, _)) if **standing >= *version => Some(number),
                Some((standing, of)) => {
                    *standing = version.into();
                    Some(std::mem::replace(of, number))
                }
                None => {
                    newest.insert(hash.into(), (version.into(), number));
                    None
                }
            };
            if let Some((word, bit)) = replaced.map(|number| (number / 64, number % 64))
                && let Some(word) = self.replaced.get_mut(usize::try_from(word).unwrap_or(usize::MAX))
            {
                *word |= 1 << bit;
            }
        }
        whole(versions)?;
        Ok(newest)
    }

    fn is_replaced(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.replaced.get(word));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Consecutive numbers share a partition, so that each is read once.
    fn partition(&self, number: u64, resources: u64) -> usize {
        let partitions = self.fills.len() as u64;
        usize::try_from(number * partitions / resources.max(1)).unwrap_or_default().min(PARTITIONS - 1)
    }

    fn fills(&mut self, partition: usize) -> io::Result<BTreeMap<u64, Vec<Fill>>> {
        let mut fills: BTreeMap<u64, Vec<Fill>> = BTreeMap::new();
        let Some(spool) = self.fills.get_mut(partition) else { return Ok(fills) };
        let mut reader = std::mem::replace(spool, Spool::plain(0)).into_reader();
        while let Some(record) = reader.next_record() {
            let Some((number, rest)) = record.split_first_chunk() else { continue };
            let mut fields = Fields::of(rest).map(|field| String::from_utf8_lossy(field).into_owned());
            let mut field = || fields.next().unwrap_or_default();
            let fill = Fill { table: field(), row: field(), path: field(), key: field() };
            fills.entry(u64::from_le_bytes(*number)).or_default().push(fill);
        }
        whole(&reader)?;
        Ok(fills)
    }
}

fn push(partitions: &mut [Spool], hash: KeyHash, record: &[u8]) {
    let partition = hash.first().map_or(0, |first| usize::from(*first) % PARTITIONS);
    if let Some(spool) = partitions.get_mut(partition) {
        spool.push(record);
    }
}

fn whole(reader: &SpoolReader) -> io::Result<()> {
    if reader.is_broken() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn hash_of(key: &str) -> KeyHash {
    Sha256::digest(key.as_bytes()).first_chunk().copied().unwrap_or_default()
}

/// A line with its holes; where it has any, with the table and the row that completions name.
fn push_line(record: &mut Vec<u8>, table: &str, row: &str, line: &Line) {
    push_field(record, &line.bytes);
    let mut holes = Vec::new();
    if !line.holes.is_empty() {
        push_field(&mut holes, table.as_bytes());
        push_field(&mut holes, row.as_bytes());
    }
    for hole in &line.holes {
        push_field(&mut holes, hole.at.to_string().as_bytes());
        push_field(&mut holes, hole.path.as_bytes());
        // The item of a list has no name, and no member's name is empty.
        push_field(&mut holes, hole.member.as_deref().unwrap_or_default().as_bytes());
    }
    push_field(record, &holes);
}

/// Prints the lines of one resource.
fn print(record: &[u8], fills: &[Fill], output: &mut impl Write) -> io::Result<()> {
    let mut by_row: BTreeMap<(&str, &str), Vec<&Fill>> = BTreeMap::new();
    for fill in fills {
        by_row.entry((&fill.table, &fill.row)).or_default().push(fill);
    }
    let mut fields = Fields::of(record);
    while let (Some(bytes), Some(holes)) = (fields.next(), fields.next()) {
        if holes.is_empty() {
            output.write_all(bytes)?;
            continue;
        }
        let mut holes = Fields::of(holes).map(|field| String::from_utf8_lossy(field).into_owned());
        let (table, row) = (holes.next().unwrap_or_default(), holes.next().unwrap_or_default());
        let own = by_row.get(&(table.as_str(), row.as_str())).map_or(&[][..], Vec::as_slice);
        output.write_all(&filled(bytes, &holes_of(&mut holes, own)))?;
    }
    Ok(())
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

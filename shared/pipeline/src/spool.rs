//! Spools: records that wait in memory, and beyond a budget in a nameless temporary file.
//!
//! What waits grows with what a sender sends, so it must not stay in memory. Records are gathered into blocks. Those of
//! the function are compressed on their way to the file, because its disk is small.

mod bytes;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

pub(crate) use bytes::{ByteReader, ByteSpool};

/// zstd's fastest regular level: the records are text that repeats itself.
const LEVEL: i32 = 1;

/// Records in the order in which they came.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Each record behind its length.
    block: Vec<u8>,
    block_bytes: usize,
    is_compressed: bool,
    file: Option<BufWriter<File>>,
    records: u64,
    is_broken: bool,
}

/// The records of a spool, one after the other.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    file: Option<BufReader<File>>,
    /// The block that is read.
    block: Vec<u8>,
    at: usize,
    /// The block that was never written; empty while it is the one that is read.
    last: Vec<u8>,
    /// Whether the file was read and the block at hand is the one that was never written.
    is_last: bool,
    is_compressed: bool,
    is_broken: bool,
}

impl Spool {
    /// Returns an empty spool that keeps so many bytes in memory, and compresses what goes to its file.
    pub(crate) const fn new(block_bytes: usize) -> Self {
        Self::with(block_bytes, true)
    }

    /// Returns an empty spool that keeps so many bytes in memory, and compresses nothing.
    pub(crate) const fn plain(block_bytes: usize) -> Self {
        Self::with(block_bytes, false)
    }

    const fn with(block_bytes: usize, is_compressed: bool) -> Self {
        Self { block: Vec::new(), block_bytes, is_compressed, file: None, records: 0, is_broken: false }
    }

    /// Appends a record. A failure of the disk shows in [`is_broken`](Self::is_broken).
    pub(crate) fn push(&mut self, record: &[u8]) {
        self.push_with(|block| block.extend_from_slice(record));
    }

    /// Appends the record that `write` appends to the bytes it is given.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_broken {
            return;
        }
        push_field_with(&mut self.block, write);
        self.records += 1;
        if self.block.len() >= self.block_bytes {
            let written = self.write_block();
            if written.is_err() {
                self.is_broken = true;
                self.block = Vec::new();
            }
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Returns whether the disk has failed: records are missing then.
    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Ends the writing and begins to read.
    pub(crate) fn into_reader(self) -> SpoolReader {
        let Self { block, file, is_compressed, mut is_broken, .. } = self;
        let file = file.and_then(|file| {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error);
            let rewound = file.and_then(|mut file| file.seek(SeekFrom::Start(0)).map(|_| file));
            is_broken |= rewound.is_err();
            rewound.ok().map(BufReader::new)
        });
        SpoolReader { file, block: Vec::new(), at: 0, last: block, is_last: false, is_compressed, is_broken }
    }

    fn write_block(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        let compressed =
            if self.is_compressed { Some(zstd::bulk::compress(&self.block, LEVEL)?) } else { None };
        let written = compressed.as_deref().unwrap_or(&self.block);
        for length in [written.len(), self.block.len()] {
            file.write_all(&(length as u64).to_le_bytes())?;
        }
        file.write_all(written)?;
        self.block.clear();
        // A giant record has passed.
        self.block.shrink_to(2 * self.block_bytes);
        Ok(())
    }
}

impl SpoolReader {
    /// Returns the next record; `None` at the end.
    pub(crate) fn next_record(&mut self) -> Option<&[u8]> {
        if self.at >= self.block.len() && !self.read_next_block() {
            return None;
        }
        let length = self.block.get(self.at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))?;
        let start = self.at + size_of::<u32>();
        self.at = start + length as usize;
        self.block.get(start..self.at)
    }

    /// Returns whether the disk has failed: records are missing then.
    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Goes back to the first record.
    pub(crate) fn rewind(&mut self) {
        if self.is_last {
            self.last = std::mem::take(&mut self.block);
        }
        (self.block, self.at) = (Vec::new(), 0);
        self.is_last = false;
        if let Some(file) = &mut self.file {
            self.is_broken |= file.seek(SeekFrom::Start(0)).is_err();
        }
    }

    /// Reads the next block. Returns false at the end.
    fn read_next_block(&mut self) -> bool {
        if self.is_last {
            return false;
        }
        if let Some(file) = &mut self.file {
            match read_block(file, self.is_compressed) {
                Ok(Some(block)) => {
                    (self.block, self.at) = (block, 0);
                    return true;
                }
                Ok(None) => {}
                Err(_) => self.is_broken = true,
            }
        }
        (self.block, self.at, self.is_last) = (std::mem::take(&mut self.last), 0, true);
        !self.block.is_empty()
    }
}

/// The fields of a record, each behind its length.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn of(record: &'a [u8]) -> Self {
        Self { rest: record }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        Some(field)
    }
}

/// Appends a field to a record.
pub(crate) fn push_field(record: &mut Vec<u8>, field: &[u8]) {
    push_field_with(record, |record| record.extend_from_slice(field));
}

/// Appends the field that `write` appends to the record, behind its length.
pub(crate) fn push_field_with(record: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let length_at = record.len();
    record.extend_from_slice(&[0; size_of::<u32>()]);
    let start = record.len();
    write(record);
    let length = u32::try_from(record.len() - start).unwrap_or(u32::MAX);
    if let Some(place) = record.get_mut(length_at..).and_then(<[u8]>::first_chunk_mut) {
        *place = length.to_le_bytes();
    }
}

fn read_block(file: &mut impl Read, is_compressed: bool) -> io::Result<Option<Vec<u8>>> {
    let Some(compressed) = read_length(file)? else { return Ok(None) };
    let inflated = read_length(file)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut bytes = vec![0; compressed];
    file.read_exact(&mut bytes)?;
    if is_compressed { zstd::bulk::decompress(&bytes, inflated).map(Some) } else { Ok(Some(bytes)) }
}

/// Reads a length; `None` at the end of the file.
fn read_length(file: &mut impl Read) -> io::Result<Option<usize>> {
    let mut bytes = [0; 8];
    let (first, rest) = bytes.split_at_mut(1);
    if file.read(first)? == 0 {
        return Ok(None);
    }
    file.read_exact(rest)?;
    Ok(usize::try_from(u64::from_le_bytes(bytes)).ok())
}

#[cfg(test)]
mod tests {
    use super::Spool;

    #[test]
    fn records_come_back_in_order_from_memory_and_from_disk() {
        for (count, length) in [(0, 0), (3, 10), (1, 3 << 20), (40_000, 30), (5_000, 1_000)] {
            let record = |number: usize| format!("{number}:{}", "x".repeat(length)).into_bytes();
            for mut spool in [Spool::new(1 << 20), Spool::plain(1 << 20)] {
                (0..count).for_each(|number| spool.push(&record(number)));
                assert_eq!(spool.is_empty(), count == 0);
                assert!(spool.block.len() < 2 << 20, "{} bytes stay in memory", spool.block.len());
                assert!(!spool.is_broken());
                let mut reader = spool.into_reader();
                for number in 0..count {
                    assert_eq!(reader.next_record(), Some(&*record(number)), "{number} of {count}");
                }
                assert_eq!(reader.next_record(), None);
                assert_eq!(reader.next_record(), None);
                assert!(!reader.is_broken());
                reader.rewind();
                let again = std::iter::from_fn(|| reader.next_record().map(<[u8]>::len)).count();
                assert_eq!(again, count, "all of them are read once more");
                reader.rewind();
                assert_eq!(reader.next_record().is_some(), count > 0);
            }
        }
    }

    #[test]
    fn an_empty_record_is_a_record() {
        let mut spool = Spool::new(0);
        spool.push(b"");
        spool.push(b"a");
        let mut reader = spool.into_reader();
        assert_eq!(reader.next_record(), Some(&b""[..]));
        assert_eq!(reader.next_record(), Some(&b"a"[..]));
        assert_eq!(reader.next_record(), None);
    }
}

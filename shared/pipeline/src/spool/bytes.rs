//! A spool of bytes without records: appended in order, read in order.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// Bytes that wait in memory, and beyond a budget in a nameless temporary file.
#[derive(Debug)]
pub(crate) struct ByteSpool {
    buffer: Vec<u8>,
    budget_bytes: usize,
    file: Option<File>,
}

/// Reads a [`ByteSpool`] from its beginning.
#[derive(Debug)]
pub(crate) struct ByteReader {
    file: Option<File>,
    /// The stretch of the file that is read.
    block: Vec<u8>,
    block_bytes: usize,
    /// What was never written to the file; it follows the file's last byte.
    tail: Vec<u8>,
    is_in_tail: bool,
    /// Where reading stands in the block or in the tail.
    at: usize,
}

impl ByteSpool {
    /// Returns an empty spool that keeps about so many bytes in memory.
    pub(crate) const fn new(budget_bytes: usize) -> Self {
        Self { buffer: Vec::new(), budget_bytes, file: None }
    }

    /// Returns the buffer to append to. [`spill_if_full`](Self::spill_if_full) must follow.
    pub(crate) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Moves the buffer to the file if it exceeds its budget.
    pub(crate) fn spill_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < self.budget_bytes {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        // A giant resource has passed.
        self.buffer.shrink_to(2 * self.budget_bytes);
        Ok(())
    }

    /// Ends the writing and begins to read.
    pub(crate) fn into_reader(self) -> io::Result<ByteReader> {
        let Self { buffer, budget_bytes, file } = self;
        let mut reader = ByteReader {
            file,
            block: Vec::new(),
            block_bytes: budget_bytes,
            tail: buffer,
            is_in_tail: false,
            at: 0,
        };
        reader.rewind()?;
        Ok(reader)
    }
}

impl ByteReader {
    /// Goes back to the first byte.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.is_in_tail = self.file.is_none();
        self.block.clear();
        self.at = 0;
        self.file.as_mut().map_or(Ok(()), Seek::rewind)
    }

    /// Writes the next `length` bytes to `output`.
    pub(crate) fn copy(&mut self, length: u64, output: &mut impl Write) -> io::Result<()> {
        self.each_piece(length, |piece| output.write_all(piece))
    }

    /// Reads the next `length` bytes into `bytes`, which they replace.
    pub(crate) fn read(&mut self, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.clear();
        self.each_piece(length, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
    }

    /// Passes over the next `length` bytes.
    pub(crate) fn skip(&mut self, length: u64) -> io::Result<()> {
        self.each_piece(length, |_| Ok(()))
    }

    fn each_piece(
        &mut self,
        mut length: u64,
        mut visit: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while length > 0 {
            let available = self.available()?;
            let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(available.len());
            let piece = available.get(..wanted).unwrap_or_default();
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            visit(piece)?;
            self.at += wanted;
            length -= wanted as u64;
        }
        Ok(())
    }

    /// Returns bytes that follow; none at the end.
    fn available(&mut self) -> io::Result<&[u8]> {
        if !self.is_in_tail && self.at >= self.block.len() {
            self.read_block()?;
        }
        let source = if self.is_in_tail { &self.tail } else { &self.block };
        Ok(source.get(self.at..).unwrap_or_default())
    }

    fn read_block(&mut self) -> io::Result<()> {
        self.block.clear();
        self.at = 0;
        if let Some(file) = &mut self.file {
            file.take(self.block_bytes as u64).read_to_end(&mut self.block)?;
        }
        self.is_in_tail = self.block.is_empty();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSpool;

    #[test]
    fn bytes_come_back_in_order_from_memory_and_from_disk() {
        for (budget, pieces) in [(1 << 20, 10), (1_000, 10), (1_000, 5_000), (1, 3), (1_000, 0)] {
            let mut spool = ByteSpool::new(budget);
            let mut expected = Vec::new();
            for number in 0..pieces {
                let piece = format!("{number};");
                expected.extend_from_slice(piece.as_bytes());
                spool.buffer().extend_from_slice(piece.as_bytes());
                spool.spill_if_full().unwrap();
            }
            let mut reader = spool.into_reader().unwrap();
            for _ in 0..2 {
                let (length, mut all, mut first) = (expected.len() as u64, Vec::new(), Vec::new());
                let skipped = length.min(3);
                reader.read(skipped, &mut first).unwrap();
                reader.copy(length - skipped, &mut all).unwrap();
                assert_eq!([first, all].concat(), expected);
                assert!(reader.copy(1, &mut Vec::new()).is_err(), "nothing follows");
                reader.rewind().unwrap();
                reader.skip(length).unwrap();
                assert!(reader.skip(1).is_err());
                reader.rewind().unwrap();
            }
        }
    }
}

//! Rows held back until their keys are known: in memory at first, then in a nameless temporary file.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use crate::batch::Completion;
use crate::version::Version;

use super::line::{Hole, Line, text};

/// Held rows take this much memory at most; more of them go to disk.
pub(super) const MEMORY_BYTES: usize = 8 << 20;

/// The rows that wait, in the order in which they came.
pub(super) struct Held {
    lines: SpooledTempFile,
    end: u64,
    arrived: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// Table, `_id` and version of a row to its place in `waiting`.
    index: BTreeMap<(String, String, Version), u64>,
}

struct Waiting {
    start: u64,
    length: usize,
    holes: Vec<Hole>,
    id: (String, String, Version),
}

impl Default for Held {
    fn default() -> Self {
        let lines = SpooledTempFile::new(MEMORY_BYTES);
        Self { lines, end: 0, arrived: 0, waiting: BTreeMap::new(), index: BTreeMap::new() }
    }
}

impl Held {
    /// Holds a line back. The same row in the same version is held once.
    pub(super) fn hold(&mut self, table: &str, row: &str, version: &Version, line: Line) -> io::Result<()> {
        let id = (table.to_owned(), row.to_owned(), version.clone());
        if self.index.contains_key(&id) {
            return Ok(());
        }
        self.lines.seek(SeekFrom::Start(self.end))?;
        self.lines.write_all(&line.bytes)?;
        let length = line.bytes.len();
        self.index.insert(id.clone(), self.arrived);
        self.waiting.insert(self.arrived, Waiting { start: self.end, length, holes: line.holes, id });
        self.arrived += 1;
        self.end += length as u64;
        Ok(())
    }

    /// Takes a key; prints its row if that was the last one missing. A key of a row that is not held is no
    /// news: a newer version of the row stands, or it is printed already.
    pub(super) fn complete(&mut self, completion: &Completion, output: &mut impl Write) -> io::Result<()> {
        let id = (completion.table.clone(), completion.row.clone(), completion.version.clone());
        let Some(&place) = self.index.get(&id) else { return Ok(()) };
        let Some(waiting) = self.waiting.get_mut(&place) else { return Ok(()) };
        for hole in waiting.holes.iter_mut().filter(|hole| hole.path == completion.path) {
            hole.key = Some(completion.key.clone());
        }
        if waiting.holes.iter().all(|hole| hole.key.is_some()) {
            self.release(place, output)?;
        }
        Ok(())
    }

    /// Prints everything that waits; cells whose key never came are left out.
    pub(super) fn release_all(&mut self, output: &mut impl Write) -> io::Result<()> {
        while let Some((&place, _)) = self.waiting.first_key_value() {
            self.release(place, output)?;
        }
        Ok(())
    }

    fn release(&mut self, place: u64, output: &mut impl Write) -> io::Result<()> {
        let Some(waiting) = self.waiting.remove(&place) else { return Ok(()) };
        self.index.remove(&waiting.id);
        let mut bytes = vec![0; waiting.length];
        self.lines.seek(SeekFrom::Start(waiting.start))?;
        self.lines.read_exact(&mut bytes)?;
        output.write_all(&filled(&bytes, &waiting.holes))?;
        if self.waiting.is_empty() {
            self.lines.set_len(0)?;
            self.end = 0;
        }
        Ok(())
    }
}

/// The line with its keys. A member that is left out takes its comma along.
fn filled(line: &[u8], holes: &[Hole]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len() + 64 * holes.len());
    let mut written = 0;
    for hole in holes {
        push_segment(&mut out, line.get(written..hole.at).unwrap_or_default());
        written = hole.at;
        match (&hole.member, &hole.key) {
            (Some(name), Some(key)) => {
                if out.last() != Some(&b'{') {
                    out.push(b',');
                }
                text(&mut out, name);
                out.push(b':');
                text(&mut out, key);
            }
            (Some(_), None) => {}
            (None, Some(key)) => text(&mut out, key),
            (None, None) => out.extend_from_slice(b"null"),
        }
    }
    push_segment(&mut out, line.get(written..).unwrap_or_default());
    out
}

/// Where all members before were left out, the next one is the first.
fn push_segment(out: &mut Vec<u8>, segment: &[u8]) {
    let first = out.last() == Some(&b'{');
    let segment = segment.strip_prefix(b",").filter(|_| first).unwrap_or(segment);
    out.extend_from_slice(segment);
}

#[cfg(test)]
mod tests {
    use super::{Hole, filled};

    /// A line with `?` where a hole is; `keys` says which of them are filled.
    fn fill(line: &str, member: Option<&str>, keys: &[Option<&str>]) -> String {
        let mut bytes = String::new();
        let mut holes = Vec::new();
        let mut keys = keys.iter();
        for character in line.chars() {
            if character == '?' {
                let (member, key) = (member.map(str::to_owned), keys.next().unwrap().map(str::to_owned));
                holes.push(Hole { at: bytes.len(), path: String::new(), member, key });
            } else {
                bytes.push(character);
            }
        }
        String::from_utf8(filled(bytes.as_bytes(), &holes)).unwrap()
    }

    #[test]
    fn members_bring_and_take_their_commas() {
        let inside = |keys: &[Option<&str>]| fill("{\"r\":{??,\"b\":1?}}", Some("k"), keys);
        assert_eq!(inside(&[None, None, None]), r#"{"r":{"b":1}}"#);
        assert_eq!(inside(&[Some("x"), None, None]), r#"{"r":{"k":"x","b":1}}"#);
        assert_eq!(inside(&[None, Some("y"), Some("z")]), r#"{"r":{"k":"y","b":1,"k":"z"}}"#);
        assert_eq!(inside(&[Some("x"), Some("y"), None]), r#"{"r":{"k":"x","k":"y","b":1}}"#);
        assert_eq!(fill("{\"r\":{?}}", Some("k"), &[None]), r#"{"r":{}}"#);
        assert_eq!(fill("{\"r\":{?}}", Some("k"), &[Some("\"")]), r#"{"r":{"k":"\""}}"#);
    }

    #[test]
    fn items_keep_their_places() {
        assert_eq!(fill("[?,1,?]", None, &[None, Some("x")]), r#"[null,1,"x"]"#);
    }
}

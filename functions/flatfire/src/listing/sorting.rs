//! Sorts the lines of a report by key and time in bounded memory: sorted runs in temporary files, then merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom};

use anyhow::Context as _;

/// One line of a report, as far as it matters. The order of the fields is the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    /// The decoded key.
    pub(super) key: String,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) created: i64,
    /// The latest version comes last among those of one moment.
    pub(super) is_latest: bool,
    /// Empty where the bucket gave none.
    pub(super) version: String,
    pub(super) size: u64,
    pub(super) e_tag: String,
    pub(super) is_archived: bool,
}

/// Lines that are sorted in memory at once: with keys of 100 bytes some 50 MB.
const RUN: usize = 200_000;

/// Takes lines in any order.
#[derive(Debug)]
pub(super) struct Sorter {
    lines: Vec<Line>,
    runs: Vec<File>,
    run: usize,
}

impl Default for Sorter {
    fn default() -> Self {
        Self { lines: Vec::new(), runs: Vec::new(), run: RUN }
    }
}

impl Sorter {
    /// Takes a line.
    pub(super) fn push(&mut self, line: Line) -> anyhow::Result<()> {
        self.lines.push(line);
        if self.lines.len() >= self.run { self.write_run() } else { Ok(()) }
    }

    /// Passes all lines on in order, until the end or until `take` returns `false`.
    pub(super) fn finish(mut self, mut take: impl FnMut(Line) -> bool) -> anyhow::Result<()> {
        if self.runs.is_empty() {
            self.lines.sort_unstable();
            self.lines.into_iter().all(take);
            return Ok(());
        }
        self.write_run()?;
        let mut runs: Vec<SortedRun> = self.runs.into_iter().map(SortedRun::new).collect();
        let mut heads = BinaryHeap::new();
        for (index, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|line| Reverse((line, index))));
        }
        while let Some(Reverse((line, index))) = heads.pop() {
            if !take(line) {
                return Ok(());
            }
            if let Some(run) = runs.get_mut(index) {
                heads.extend(run.next()?.map(|line| Reverse((line, index))));
            }
        }
        Ok(())
    }

    fn write_run(&mut self) -> anyhow::Result<()> {
        self.lines.sort_unstable();
        let mut file = tempfile::tempfile().context("no temporary file can be made")?;
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(BufWriter::new(&file));
        for line in self.lines.drain(..) {
            let Line { key, created, is_latest, version, size, e_tag, is_archived } = line;
            let (created, size) = (created.to_string(), size.to_string());
            let flags = [is_latest, is_archived].map(|flag| if flag { "1" } else { "" });
            let [is_latest, is_archived] = flags;
            let record = [&key, &created, is_latest, &version, &size, &e_tag, is_archived];
            writer.write_record(record).context("a temporary file cannot be written")?;
        }
        writer.flush().context("a temporary file cannot be written")?;
        drop(writer);
        file.seek(SeekFrom::Start(0))?;
        self.runs.push(file);
        Ok(())
    }
}

/// A sorted run in a temporary file.
struct SortedRun {
    reader: csv::Reader<BufReader<File>>,
    record: csv::StringRecord,
}

impl SortedRun {
    fn new(file: File) -> Self {
        let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(BufReader::new(file));
        Self { reader, record: csv::StringRecord::new() }
    }

    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        if !self.reader.read_record(&mut self.record).context("a temporary file cannot be read")? {
            return Ok(None);
        }
        let field = |index| self.record.get(index).unwrap_or_default();
        Ok(Some(Line {
            key: field(0).to_owned(),
            created: field(1).parse()?,
            is_latest: !field(2).is_empty(),
            version: field(3).to_owned(),
            size: field(4).parse()?,
            e_tag: field(5).to_owned(),
            is_archived: !field(6).is_empty(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Sorter};

    fn line(key: &str, created: i64, is_latest: bool) -> Line {
        let (key, version, e_tag) = (key.to_owned(), format!("v{created}"), "t,\"\n".to_owned());
        Line { key, created, is_latest, version, size: 1, e_tag, is_archived: is_latest }
    }

    #[test]
    fn lines_come_out_in_order_whether_they_fit_into_memory_or_not() {
        let lines: Vec<Line> = (0..1_000_i64)
            .map(|number| {
                line(&format!("k\n{}, \"ü\"", number * 7_919 % 97), number * 31 % 50, number % 3 == 0)
            })
            .collect();
        let mut expected = lines.clone();
        expected.sort();
        for run in [1, 7, 999, 5_000] {
            let mut sorter = Sorter { run, ..Sorter::default() };
            lines.iter().cloned().for_each(|line| sorter.push(line).unwrap());
            let mut sorted = Vec::new();
            sorter
                .finish(|line| {
                    sorted.push(line);
                    true
                })
                .unwrap();
            assert_eq!(sorted, expected, "runs of {run}");
        }
    }

    #[test]
    fn the_latest_version_is_last_among_those_of_one_moment() {
        let mut sorter = Sorter::default();
        for line in [line("k", 5, true), line("k", 5, false), line("a", 9, true)] {
            sorter.push(line).unwrap();
        }
        let mut seen = Vec::new();
        sorter
            .finish(|line| {
                seen.push((line.key, line.is_latest));
                true
            })
            .unwrap();
        assert_eq!(seen, [("a".to_owned(), true), ("k".to_owned(), false), ("k".to_owned(), true)]);
    }
}

//! Reads an S3 Inventory report: its manifest, then its data files, gzipped CSV without headers.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use pipeline::listing::ListedVersion;
use pipeline::notification::form_decode;
use pipeline::object::{ObjectRef, Pin};
use tokio::sync::mpsc;

use super::manifest::{Manifest, ManifestColumns};
use super::order::{Incoming, VersionOrder};
use super::selection::{ListingPage, Selection, s3_address};
use super::sorting::{Line, Sorter};
use crate::cloud::Cloud;

/// A report whose manifest has been read.
#[derive(Debug)]
pub(super) struct InventoryReport {
    manifest: Manifest,
    /// The folder of the manifest, if it is no object.
    folder: Option<PathBuf>,
}

impl InventoryReport {
    /// Reads the manifest of a report about a bucket.
    pub(super) async fn open(cloud: &Cloud, place: &str, bucket: &str) -> anyhow::Result<Self> {
        let (text, folder) = if let Some((from, key)) = s3_address(place) {
            (cloud.read(from, key).await?, None)
        } else {
            let folder = Path::new(place).parent().unwrap_or(Path::new("")).to_owned();
            let text = tokio::fs::read(place).await.with_context(|| format!("--inventory {place}"))?;
            (text, Some(folder))
        };
        let manifest =
            Manifest::read(&text, bucket).with_context(|| format!("--inventory {place} cannot be used"))?;
        if manifest.columns.versions.is_none() && cloud.keeps_versions(bucket).await? {
            bail!(
                "--inventory {place} cannot be used: it lists current versions only, and the bucket keeps versions; \
                 let the inventory configuration include all versions"
            );
        }
        Ok(Self { manifest, folder })
    }

    /// Sends the selected versions into a channel, until the end, a failure, or the receiver closes.
    pub(super) async fn list(
        self,
        cloud: &Cloud,
        selection: Selection,
        sender: mpsc::Sender<anyhow::Result<ListingPage>>,
    ) {
        if let Err(error) = self.send_pages(cloud, selection, &sender).await {
            sender.send(Err(error)).await.ok();
        }
    }

    async fn send_pages(
        &self,
        cloud: &Cloud,
        selection: Selection,
        sender: &mpsc::Sender<anyhow::Result<ListingPage>>,
    ) -> anyhow::Result<()> {
        let mut sorter = Sorter::default();
        for key in &self.manifest.files {
            let file = self.data_file(cloud, key).await?;
            let (columns, selection, key) = (self.manifest.columns, selection.clone(), key.clone());
            let read = move || -> anyhow::Result<Sorter> {
                let unreadable = || format!("the data file {key} of the inventory cannot be read");
                read_lines(file, &columns, &selection, &mut sorter).with_context(unreadable)?;
                Ok(sorter)
            };
            sorter = tokio::task::spawn_blocking(read).await??;
        }
        let sender = sender.clone();
        tokio::task::spawn_blocking(move || send_sorted(sorter, &selection.bucket, &sender)).await?
    }

    /// Returns a data file: beside a manifest on this machine, where it may have been copied, else from S3.
    async fn data_file(&self, cloud: &Cloud, key: &str) -> anyhow::Result<File> {
        let name = key.rsplit('/').next().unwrap_or(key);
        let folder = self.folder.as_deref();
        let places = folder.map(|folder| {
            [folder.join(name), folder.join("data").join(name), folder.join("../data").join(name)]
        });
        if let Some(file) = places.into_iter().flatten().find_map(|place| File::open(place).ok()) {
            return Ok(file);
        }
        let mut body = cloud.get(&self.manifest.destination, key).await?;
        let mut file = tempfile::tempfile().context("no temporary file can be made")?;
        while let Some(bytes) = body.try_next().await.context("a data file of the inventory broke off")? {
            file.write_all(&bytes).context("a temporary file cannot be written")?;
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// Reads the selected lines of a data file.
fn read_lines(
    file: impl Read,
    columns: &ManifestColumns,
    selection: &Selection,
    sorter: &mut Sorter,
) -> anyhow::Result<()> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(MultiGzDecoder::new(file));
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let line = line_of(&record, columns, selection);
        let number = record.position().map_or(0, csv::Position::line);
        if let Some(line) =
            line.with_context(|| format!("line {number} does not match the manifest's schema"))?
        {
            sorter.push(line)?;
        }
    }
    Ok(())
}

/// Returns a line; `None` if it is a delete marker or is not selected.
fn line_of(
    record: &csv::StringRecord,
    columns: &ManifestColumns,
    selection: &Selection,
) -> anyhow::Result<Option<Line>> {
    let field = |index: usize| record.get(index).context("a column is missing");
    let is_true = |index: usize| anyhow::Ok(field(index)?.eq_ignore_ascii_case("true"));
    if field(columns.bucket)? != selection.bucket {
        bail!("another bucket");
    }
    if let Some(versions) = columns.versions
        && is_true(versions.is_delete_marker)?
    {
        return Ok(None);
    }
    let key = form_decode(field(columns.key)?).context("the key")?;
    let created = field(columns.modified)?.parse::<Timestamp>().context("the time")?.as_millisecond();
    if !selection.includes(&key, created) {
        return Ok(None);
    }
    let (version, is_latest) = match columns.versions {
        Some(versions) => (field(versions.version)?.to_owned(), is_true(versions.is_latest)?),
        None => (String::new(), true),
    };
    let tier = columns.tier.map_or(Ok(""), field)?;
    let is_archived = matches!(field(columns.storage_class)?, "GLACIER" | "DEEP_ARCHIVE")
        || matches!(tier, "ARCHIVE" | "DEEP_ARCHIVE");
    let size = field(columns.size)?.parse().context("the size")?;
    let e_tag = field(columns.e_tag)?.to_owned();
    Ok(Some(Line { key, created, is_latest, version, size, e_tag, is_archived }))
}

fn send_sorted(
    sorter: Sorter,
    bucket: &str,
    sender: &mpsc::Sender<anyhow::Result<ListingPage>>,
) -> anyhow::Result<()> {
    let mut order = VersionOrder::default();
    sorter.finish(|line| match order.push(listed(line, bucket), Incoming::OldestFirst) {
        Some(page) => sender.blocking_send(Ok(page)).is_ok(),
        None => true,
    })?;
    sender.blocking_send(Ok(order.finish(Incoming::OldestFirst))).ok();
    Ok(())
}

fn listed(line: Line, bucket: &str) -> ListedVersion {
    let Line { key, created, is_latest, version, size, e_tag, is_archived } = line;
    let bucket = bucket.to_owned();
    let object = ObjectRef { bucket, key, pin: Pin::Latest, sequencer: None, created, size: Some(size) };
    ListedVersion { is_archived, ..ListedVersion::new(object, Some(&version), &e_tag, is_latest) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{ManifestColumns, Selection, Sorter, listed, read_lines};
    use crate::listing::manifest::VersionColumns;

    const COLUMNS: ManifestColumns = ManifestColumns {
        bucket: 0,
        key: 1,
        versions: Some(VersionColumns { version: 2, is_latest: 3, is_delete_marker: 4 }),
        size: 5,
        modified: 6,
        e_tag: 7,
        storage_class: 8,
        tier: Some(9),
    };

    fn read(text: &str, selection: &Selection) -> anyhow::Result<Vec<(String, bool, bool)>> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        let (mut sorter, mut seen) = (Sorter::default(), Vec::new());
        read_lines(encoder.finish().unwrap().as_slice(), &COLUMNS, selection, &mut sorter)?;
        sorter.finish(|line| {
            let listed = listed(line, "clinic");
            seen.push((listed.object.load_id(), listed.is_archived, listed.is_skipped()));
            true
        })?;
        Ok(seen)
    }

    fn selection() -> Selection {
        let (bucket, prefix, suffix) = ("clinic".to_owned(), "in/".to_owned(), String::new());
        Selection { bucket, prefix, suffix, since: None, until: None }
    }

    /// As S3 writes them: every field in quotes, keys encoded.
    const LINES: &str = r#""clinic","in/day+1.ndjson","v2","true","false","10","2024-02-01T10:00:00.000Z","aa","STANDARD",""
"clinic","in/day+1.ndjson","v1","false","false","10","2024-01-01T10:00:00.000Z","aa","GLACIER",""
"clinic","in/m%C3%BCller%2B.json","","true","false","10","2024-01-01T10:00:00.000Z","bb","STANDARD",""
"clinic","in/old.json","","false","false","10","2023-01-01T10:00:00.000Z","cc","INTELLIGENT_TIERING","DEEP_ARCHIVE"
"clinic","in/old.json","v3","true","true","","2024-01-01T10:00:00.000Z","","",""
"clinic","in/folder/","v4","true","false","0","2024-01-01T10:00:00.000Z","dd","STANDARD",""
"clinic","out/x.json","v5","true","false","10","2024-01-01T10:00:00.000Z","ee","STANDARD",""
"#;

    #[test]
    fn lines_become_versions_in_the_order_of_keys_and_time() {
        let id = |id: &str| format!("clinic/in/{id}");
        let expected = [
            (id("day 1.ndjson@v1"), true, false),
            (id("day 1.ndjson@v2"), false, false),
            (id("folder/@v4"), false, true),
            (id("müller+.json@etag:bb"), false, false),
            (id("old.json@null"), true, false),
        ];
        assert_eq!(read(LINES, &selection()).unwrap(), expected);
        let january =
            Selection { since: Some(1_704_067_200_000), until: Some(1_706_745_600_000), ..selection() };
        assert_eq!(read(LINES, &january).unwrap().len(), 3);
        let lists = Selection { suffix: ".ndjson".to_owned(), ..selection() };
        assert_eq!(read(LINES, &lists).unwrap().len(), 2);
    }

    #[test]
    fn a_line_of_another_schema_is_named() {
        let failure = |line: &str| format!("{:#}", read(line, &selection()).unwrap_err());
        assert!(failure("\"other\",\"k\"\n").starts_with("line 1 does not match"));
        assert!(failure(&LINES.replace("2024-01-01T10", "1 January")).contains("line 2"));
        assert!(failure(&LINES.replace("\"10\"", "\"ten\"")).contains("the size"));
    }
}

//! The `manifest.json` of an S3 Inventory report: which files it has, and what their columns are.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// What the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The bucket of the data files.
    pub(super) destination: String,
    /// The keys of the data files.
    pub(super) files: Vec<String>,
    /// Where the columns stand.
    pub(super) columns: ManifestColumns,
}

/// The places of the columns in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ManifestColumns {
    pub(super) bucket: usize,
    pub(super) key: usize,
    pub(super) size: usize,
    pub(super) modified: usize,
    pub(super) e_tag: usize,
    pub(super) storage_class: usize,
    /// Absent in a report of current versions.
    pub(super) versions: Option<VersionColumns>,
    /// Where S3 Intelligent-Tiering keeps the object.
    pub(super) tier: Option<usize>,
}

/// The columns that a report of all versions has besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VersionColumns {
    pub(super) version: usize,
    pub(super) is_latest: usize,
    pub(super) is_delete_marker: usize,
}

impl Manifest {
    /// Reads a manifest of a report about that bucket.
    pub(super) fn read(text: &[u8], bucket: &str) -> anyhow::Result<Self> {
        let manifest: Value =
            serde_json::from_slice(text).context("it is no manifest.json of S3 Inventory: no JSON")?;
        let text = |name: &str| manifest.get(name).and_then(Value::as_str);
        let needed = |name: &str| text(name).with_context(|| format!("it has no {name}"));
        let source = needed("sourceBucket")?;
        if source != bucket {
            bail!("the report is about the bucket {source}, not {bucket}");
        }
        let format = needed("fileFormat")?;
        if !format.eq_ignore_ascii_case("CSV") {
            bail!(
                "its files are {format}; only reports in CSV are read: choose CSV in the inventory configuration"
            );
        }
        let destination = needed("destinationBucket")?;
        let destination = destination.rsplit(':').next().unwrap_or(destination).to_owned();
        let columns = ManifestColumns::read(needed("fileSchema")?)?;
        let files = manifest.get("files").and_then(Value::as_array).context("it has no files")?;
        let keys = files.iter().map(|file| file.get("key").and_then(Value::as_str).map(str::to_owned));
        let files = keys.collect::<Option<Vec<_>>>().context("a file in it has no key")?;
        Ok(Self { destination, files, columns })
    }
}

impl ManifestColumns {
    /// Reads a schema such as `Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate`.
    fn read(schema: &str) -> anyhow::Result<Self> {
        let names: Vec<&str> = schema.split(',').map(str::trim).collect();
        let place = |name: &str| names.iter().position(|other| *other == name);
        let mut missing = Vec::new();
        let mut needed = |name: &'static str| {
            place(name).unwrap_or_else(|| {
                missing.push(name);
                0
            })
        };
        let columns = Self {
            bucket: needed("Bucket"),
            key: needed("Key"),
            size: needed("Size"),
            modified: needed("LastModifiedDate"),
            e_tag: needed("ETag"),
            storage_class: needed("StorageClass"),
            versions: match (place("VersionId"), place("IsLatest"), place("IsDeleteMarker")) {
                (Some(version), Some(is_latest), Some(is_delete_marker)) => {
                    Some(VersionColumns { version, is_latest, is_delete_marker })
                }
                _ => None,
            },
            tier: place("IntelligentTieringAccessTier"),
        };
        if !missing.is_empty() {
            bail!("the report lacks {}: add these fields to the inventory configuration", missing.join(", "));
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::{Manifest, VersionColumns};

    /// As S3 writes it (S3 User Guide, "Locating your inventory list").
    const MANIFEST: &str = r#"{
      "sourceBucket": "clinic", "destinationBucket": "arn:aws:s3:::clinic-inventory", "version": "2016-11-30",
      "creationTimestamp" : "1514944800000", "fileFormat": "CSV",
      "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
      "files": [{"key": "clinic/all/data/1.csv.gz", "size": 2147483647, "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"}]}"#;

    #[test]
    fn a_manifest_names_its_files_and_columns() {
        let manifest = Manifest::read(MANIFEST.as_bytes(), "clinic").unwrap();
        assert_eq!(manifest.destination, "clinic-inventory");
        assert_eq!(manifest.files, ["clinic/all/data/1.csv.gz"]);
        assert_eq!((manifest.columns.key, manifest.columns.storage_class), (1, 8));
        let versions = VersionColumns { version: 2, is_latest: 3, is_delete_marker: 4 };
        assert_eq!(manifest.columns.versions, Some(versions));
        let current = MANIFEST.replace("VersionId, IsLatest, IsDeleteMarker, ", "");
        assert_eq!(Manifest::read(current.as_bytes(), "clinic").unwrap().columns.versions, None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let failure = |text: &str, bucket| Manifest::read(text.as_bytes(), bucket).unwrap_err().to_string();
        assert!(failure(MANIFEST, "other").contains("about the bucket clinic"));
        assert!(failure(&MANIFEST.replace("CSV", "Parquet"), "clinic").contains("its files are Parquet"));
        assert!(failure(&MANIFEST.replace("CSV", "ORC"), "clinic").contains("only reports in CSV"));
        let without = MANIFEST.replace(", ETag, StorageClass", "");
        assert!(failure(&without, "clinic").contains("lacks ETag, StorageClass"));
        assert!(failure("{}", "clinic").contains("no sourceBucket"));
        assert!(failure("PAR1", "clinic").contains("no JSON"));
    }
}

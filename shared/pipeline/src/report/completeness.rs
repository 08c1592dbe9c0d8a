//! Exports: what is in, and which files are missing.

use serde::Serialize;

use crate::exports::{ExportReport, FileReport, reports};
use crate::manifest::FileRole;
use crate::store::report::optional_moment;
use crate::store::{Store, StoreError};

use super::label::FileLabel;
use super::request::{ReportRequest, ReportScope};

/// Where an export stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportCompleteness {
    /// The export.
    pub export: String,
    /// Its `transactionTime`.
    #[serde(serialize_with = "optional_moment")]
    pub time: Option<i64>,
    /// Files that its manifests list.
    pub files: u64,
    /// Files that are in as listed.
    pub loaded_files: u64,
    /// Records that its manifests count.
    pub records: u64,
    /// Records that are in.
    pub loaded_records: u64,
    /// Whether everything is in.
    pub is_complete: bool,
    /// Files that are listed beyond what is compared.
    pub beyond: u64,
    /// Whether another manifest is missing.
    pub lacks_manifests: bool,
    /// The files that it waits for.
    pub open: Vec<OpenFile>,
}

/// A file that an export waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenFile {
    /// The file.
    pub file: FileLabel,
    /// The list of the manifest that names it.
    pub list: &'static str,
    /// The type of its resources, where the manifest says it.
    pub resource_type: Option<String>,
    /// What is wrong: `missing`, `failed` …
    pub state: &'static str,
    /// Records that are expected.
    pub records: Option<u64>,
    /// Records that are in.
    pub loaded_records: u64,
}

/// Returns the exports, the latest first; of a report of a month those of the month.
pub(super) async fn read(
    store: &dyn Store,
    request: &ReportRequest,
) -> Result<Vec<ExportCompleteness>, StoreError> {
    let mut all = reports(store, request.now).await?;
    let is_of_month =
        |time: Option<i64>| time.is_none_or(|time| (request.since..request.until).contains(&time));
    all.retain(|report| request.scope == ReportScope::Days || is_of_month(report.time));
    all.sort_by_key(|report| std::cmp::Reverse(report.time));
    Ok(all.iter().map(|report| ExportCompleteness::new(report, request.has_file_names)).collect())
}

impl ExportCompleteness {
    fn new(report: &ExportReport, has_names: bool) -> Self {
        let [output, deleted, _] =
            [FileRole::Output, FileRole::Deleted, FileRole::Outcome].map(|role| report.sum_of(role));
        let open = report.files.iter().filter(|file| file.is_open());
        Self {
            export: report.export.clone(),
            time: report.time,
            files: output.files + deleted.files,
            loaded_files: output.loaded_files + deleted.loaded_files,
            records: output.records.saturating_add(deleted.records),
            loaded_records: output.loaded_records + deleted.loaded_records,
            is_complete: report.is_complete(),
            beyond: report.beyond,
            lacks_manifests: report.lacks_manifests,
            open: open.map(|file| OpenFile::new(report, file, has_names)).collect(),
        }
    }
}

impl OpenFile {
    fn new(report: &ExportReport, file: &FileReport, has_names: bool) -> Self {
        let FileReport { expected, load, state } = file;
        let key = load
            .as_ref()
            .map_or_else(|| format!("{}{}", report.folder, expected.name), |load| load.key.clone());
        let hashed =
            load.as_ref().map_or_else(|| format!("{}/{key}", report.bucket), |load| load.load.clone());
        Self {
            file: FileLabel::new(&report.bucket, &key, &hashed, has_names),
            list: expected.role.as_str(),
            resource_type: expected.resource_type.clone(),
            state: state.as_str(),
            records: expected.count,
            loaded_records: file.loaded_records(),
        }
    }
}

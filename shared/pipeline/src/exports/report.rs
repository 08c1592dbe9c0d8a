//! What is said of an export.

use std::collections::BTreeMap;

use crate::ledger::Status;
use crate::manifest::{ExpectedFile, FileRole};
use crate::store::exports::LoadedFile;

/// The state of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// The export.
    pub export: String,
    /// The bucket of its manifest.
    pub bucket: String,
    /// The folder of its manifest: its key up to the last slash.
    pub folder: String,
    /// Its `transactionTime`, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: Option<i64>,
    /// The loads of its manifests.
    pub manifests: Vec<String>,
    /// Every file that the manifests list, in their order.
    pub files: Vec<FileReport>,
    /// How many more files are listed, and not compared with the ledger.
    pub beyond: u64,
    /// Whether a manifest is missing that continues another.
    pub lacks_manifests: bool,
}

/// The state of a file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// What the manifest says.
    pub expected: ExpectedFile,
    /// The load that counts for it.
    pub load: Option<LoadedFile>,
    /// How the two compare.
    pub state: FileState,
}

/// How a file in the ledger compares with its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileState {
    /// It is in, with as many records as the manifest says.
    Loaded,
    /// The ledger knows no such file.
    Missing,
    /// It was deleted before it was loaded.
    Gone,
    /// It is being loaded.
    Running,
    /// Its load was killed.
    Stuck,
    /// Every record is a reject.
    Failed,
    /// A gate refused it.
    Refused,
    /// Some records are rejects.
    Partial,
    /// It has fewer records than the manifest says.
    Fewer,
    /// It has more records than the manifest says.
    More,
    /// It has resources of other types than the manifest says.
    OtherTypes,
}

impl FileState {
    /// Returns the word that is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Missing => "missing",
            Self::Gone => "gone",
            Self::Running => "running",
            Self::Stuck => "stuck",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Partial => "partial",
            Self::Fewer => "fewer records",
            Self::More => "more records",
            Self::OtherTypes => "other types",
        }
    }
}

/// Files and records, expected and in the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Files that are expected.
    pub files: u64,
    /// Files that are loaded as expected.
    pub loaded_files: u64,
    /// Records that are expected; of files without a count none.
    pub records: u64,
    /// Records that were read and not rejected, of all of the files. Of `deleted` files deletions.
    pub loaded_records: u64,
}

impl FileReport {
    /// Compares a file with the load that counts for it.
    pub(super) fn new(expected: ExpectedFile, load: Option<LoadedFile>) -> Self {
        let state = load.as_ref().map_or(FileState::Missing, |load| compare(&expected, load));
        Self { expected, load, state }
    }

    /// Returns whether an export waits for the file.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.expected.role != FileRole::Outcome && self.state != FileState::Loaded
    }

    /// Returns how many records of it are in.
    #[must_use]
    pub fn loaded_records(&self) -> u64 {
        self.load.as_ref().map_or(0, |load| match self.expected.role {
            FileRole::Deleted => load.delete_entries,
            FileRole::Output | FileRole::Outcome => load.records.saturating_sub(load.rejected),
        })
    }
}

impl ExportReport {
    /// Returns whether everything that was sent is in.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.beyond == 0 && !self.lacks_manifests && !self.files.iter().any(FileReport::is_open)
    }

    /// Returns how many files the export waits for, by state.
    #[must_use]
    pub fn open_files(&self) -> BTreeMap<FileState, u64> {
        let mut counts = BTreeMap::new();
        for file in self.files.iter().filter(|file| file.is_open()) {
            *counts.entry(file.state).or_default() += 1;
        }
        counts
    }

    /// Returns the sums by role and type; a type that the manifest does not say is empty.
    #[must_use]
    pub fn sums(&self) -> BTreeMap<(FileRole, &str), Sums> {
        let mut sums: BTreeMap<(FileRole, &str), Sums> = BTreeMap::new();
        for file in &self.files {
            let FileReport { expected, state, .. } = file;
            let resource_type = expected.resource_type.as_deref().unwrap_or_default();
            let sum = sums.entry((expected.role, resource_type)).or_default();
            sum.files += 1;
            sum.loaded_files += u64::from(*state == FileState::Loaded);
            sum.records = sum.records.saturating_add(expected.count.unwrap_or_default());
            sum.loaded_records += file.loaded_records();
        }
        sums
    }

    /// Returns the sums of one role.
    #[must_use]
    pub fn sum_of(&self, role: FileRole) -> Sums {
        let mut all = Sums::default();
        for (_, sums) in self.sums().into_iter().filter(|((of, _), _)| *of == role) {
            all.files += sums.files;
            all.loaded_files += sums.loaded_files;
            all.records = all.records.saturating_add(sums.records);
            all.loaded_records += sums.loaded_records;
        }
        all
    }
}

fn compare(expected: &ExpectedFile, load: &LoadedFile) -> FileState {
    match load.status {
        Status::Running if load.is_stuck => FileState::Stuck,
        Status::Running => FileState::Running,
        Status::Failed => FileState::Failed,
        Status::Refused => FileState::Refused,
        Status::Gone => FileState::Gone,
        Status::Partial => FileState::Partial,
        // A newer version of the file is in, and nothing of this one was read.
        Status::Superseded => FileState::Loaded,
        Status::Done => compare_content(expected, load),
    }
}

fn compare_content(expected: &ExpectedFile, load: &LoadedFile) -> FileState {
    if let Some(count) = expected.count {
        let read = counted(expected, load);
        if read != count && !counts_bundles(expected, load, count) {
            return if read < count { FileState::Fewer } else { FileState::More };
        }
    }
    let is_of_type = |resource_type: &str| load.types.keys().all(|other| other == resource_type);
    let has_one_type = expected.role == FileRole::Output;
    match expected.resource_type.as_deref().filter(|_| has_one_type) {
        Some(BUNDLE) | None => FileState::Loaded,
        Some(resource_type) if is_of_type(resource_type) => FileState::Loaded,
        Some(_) => FileState::OtherTypes,
    }
}

/// A Bundle's entries are records of their own.
const BUNDLE: &str = "Bundle";

/// Returns how many resources a load has read, or of a `deleted` file how many deletions.
const fn counted(expected: &ExpectedFile, load: &LoadedFile) -> u64 {
    match expected.role {
        FileRole::Deleted => load.delete_entries,
        FileRole::Output | FileRole::Outcome => load.records,
    }
}

/// Returns whether a count is that of the Bundles of a file instead of what they hold.
fn counts_bundles(expected: &ExpectedFile, load: &LoadedFile, count: u64) -> bool {
    let is_of_bundles =
        expected.role == FileRole::Deleted || expected.resource_type.as_deref() == Some(BUNDLE);
    is_of_bundles && load.types.get(BUNDLE) == Some(&count)
}

//! Manifests of Bulk Data exports: what is kept of them, and how the names of their files are compared.

mod name;

use strum::VariantArray;

use crate::version::Version;

pub(crate) use name::names_of_key;
pub use name::{MAX_NAME_BYTES, file_name, url_file_name};

/// A manifest without its URLs: they may hold tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportManifest {
    /// Which manifest of which export: `<export>#<hash of the key>`. Ids of later exports sort behind.
    pub id: String,
    /// The export: the same for all of its manifests, whether they continue or correct each other.
    pub export: String,
    /// The bucket of the manifest.
    pub bucket: String,
    /// The key of the manifest.
    pub key: String,
    /// `transactionTime`, in milliseconds since 1970-01-01T00:00:00Z; `None`: it cannot be read.
    pub time: Option<i64>,
    /// The files that it lists, the first ones where there are too many.
    pub files: Vec<ExpectedFile>,
    /// How many more files it lists.
    pub beyond: u64,
    /// The name of the manifest that continues it: see [`url_file_name`].
    pub next: Option<String>,
    /// The load that read it.
    pub load: String,
    /// Its place in the order of versions: the newest of one id stands.
    pub version: Version,
}

impl ExportManifest {
    /// Returns whether an object may be a file that is listed.
    #[must_use]
    pub fn lists(&self, bucket: &str, key: &str) -> bool {
        self.bucket == bucket && self.files.iter().any(|file| file.is_of(key))
    }

    /// Replaces the name of an object's file by a mark, in those manifests that list it and lie in a folder around it.
    /// If none does, in all that list it. Returns those that have changed.
    #[must_use]
    pub fn with_mark(mut listing: Vec<Self>, key: &str, mark: &str) -> Vec<Self> {
        let is_around = |manifest: &Self| key.starts_with(folder_of(&manifest.key));
        if listing.iter().any(is_around) {
            listing.retain(is_around);
        }
        for file in listing.iter_mut().flat_map(|manifest| &mut manifest.files).filter(|file| file.is_of(key))
        {
            mark.clone_into(&mut file.name);
        }
        listing
    }
}

impl ExpectedFile {
    fn is_of(&self, key: &str) -> bool {
        let name = file_name(&self.name);
        names_of_key(key).iter().flatten().any(|of_key| *of_key == name)
    }
}

/// A file that a manifest lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFile {
    /// Its name: see [`url_file_name`]. Of an object that was erased, the mark.
    pub name: String,
    /// In which list it stands.
    pub role: FileRole,
    /// The type of its resources; `None`: the manifest does not say.
    pub resource_type: Option<String>,
    /// How many resources it has; `None`: the manifest does not say.
    pub count: Option<u64>,
}

/// What a file of an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum FileRole {
    /// Resources.
    Output,
    /// Bundles of DELETE entries.
    Deleted,
    /// What went wrong at the sender. An export is complete without it.
    Outcome,
}

impl FileRole {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the word that is stored and printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Deleted => "deleted",
            Self::Outcome => "outcome",
        }
    }

    /// Returns the role of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == word)
    }
}

/// Returns a key up to its last slash.
pub(crate) fn folder_of(key: &str) -> &str {
    key.rfind('/').and_then(|slash| key.get(..=slash)).unwrap_or_default()
}

//! What a report calls a file.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::ledger::load::Load;
use crate::manifest::folder_of;
use crate::object::hex;

/// The bucket of files of a command line.
const LOCAL: &str = "file";
/// Bytes of a hash that are shown.
const HASH_BYTES: usize = 4;

/// A file by its folder and a short hash: its name may be that of a patient, so it is there on request only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileLabel {
    /// Bucket and folder, or the folder of a local file.
    pub folder: String,
    /// The name without the folder, on request.
    pub name: Option<String>,
    /// The same for the same version of a file, in every report.
    pub hash: String,
}

impl FileLabel {
    /// Returns the label of a load's object.
    #[must_use]
    pub fn of_load(load: &Load, has_name: bool) -> Self {
        Self::new(&load.bucket, &load.key, &load.id, has_name)
    }

    /// Returns the label of an object. `hashed` is what tells it from all others.
    #[must_use]
    pub(super) fn new(bucket: &str, key: &str, hashed: &str, has_name: bool) -> Self {
        let folder = folder_of(key);
        let name = key.get(folder.len()..).unwrap_or_default();
        let folder = if bucket == LOCAL { folder.to_owned() } else { format!("{bucket}/{folder}") };
        let hash = hex(&Sha256::digest(hashed.as_bytes()), HASH_BYTES);
        Self { folder, name: has_name.then(|| name.to_owned()), hash }
    }
}

#[cfg(test)]
mod tests {
    use super::FileLabel;

    #[test]
    fn a_name_is_there_on_request_only() {
        let label = |bucket, has_name| FileLabel::new(bucket, "in/lab/müller.json", "load", has_name);
        let hidden = label("clinic", false);
        assert_eq!((hidden.folder.as_str(), hidden.name.as_deref()), ("clinic/in/lab/", None));
        assert_eq!(hidden.hash.len(), 8);
        let shown = label("file", true);
        assert_eq!((shown.folder.as_str(), shown.name.as_deref()), ("in/lab/", Some("müller.json")));
        assert_eq!(shown.hash, hidden.hash);
    }
}

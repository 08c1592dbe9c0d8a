//! Where things stand in the repository.

use std::path::{Path, PathBuf};

/// Returns the repository's root, known since this crate was compiled.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Returns the private tools and whatever else belongs to this checkout alone; git ignores it.
#[must_use]
pub fn tools_directory() -> PathBuf {
    root().join(".tools")
}

/// The database of the local environment; the same in the demo and in `env.json.example`.
pub const DATABASE: &str = "fhir";

/// The bucket of the local environment; the sample notifications in `events/` name it.
pub const BUCKET: &str = "flatfire-local";

/// The prefix that the local environment watches.
pub const PREFIX: &str = "incoming/";

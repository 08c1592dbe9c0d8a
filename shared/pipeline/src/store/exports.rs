//! Manifests of Bulk Data exports as a store keeps them, and loads as their files are looked for.
//!
//! Only what a manifest says is kept. Whether an export is complete follows from the ledger: see
//! [`exports`](crate::exports).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::ledger::load::Status;
use crate::manifest::ExportManifest;

/// Receives manifests, until it breaks.
pub type ManifestVisitor<'a> = dyn FnMut(ExportManifest) -> ControlFlow<()> + Send + 'a;

/// Receives the loads of files.
pub type FileVisitor<'a> = dyn FnMut(LoadedFile) + Send + 'a;

/// Which loads are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSelection<'a> {
    /// The bucket of their objects.
    pub bucket: &'a str,
    /// How their keys begin.
    pub prefix: &'a str,
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// A load of a file, as far as it says whether the file is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedFile {
    /// The load.
    pub load: String,
    /// The key of the object.
    pub key: String,
    /// When the object was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub created: i64,
    /// The sequencer of its notification.
    pub sequencer: Option<String>,
    /// Where the load stands.
    pub status: Status,
    /// Whether its last attempt was killed and none has begun since.
    pub is_stuck: bool,
    /// Records read.
    pub records: u64,
    /// Records that were set aside.
    pub rejected: u64,
    /// DELETE entries read.
    pub delete_entries: u64,
    /// Loaded resources by type.
    pub types: BTreeMap<String, u64>,
}

//! Which load counts for which file of which export.
//!
//! A file belongs to one export: of those that list its name, in this order, the one whose manifest lies in the deepest
//! folder around the file, and the latest that had begun when the file was made. Files without a manifest around them
//! count for exports of which no file lies beside the manifest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::erasure::MARK_PREFIX;
use crate::ledger::Status;
use crate::manifest::{ExpectedFile, ExportManifest, file_name, folder_of, names_of_key};
use crate::store::exports::LoadedFile;

use super::report::{ExportReport, FileReport};

/// A file may be older than its export by this much, in milliseconds: clocks differ.
pub const EARLY_MILLISECONDS: i64 = 10 * 60 * 1000;

/// Exports and the loads that may be of their files. Loads may be added in any order, and more than once.
#[derive(Debug, Default)]
pub struct Exports {
    all: Vec<Export>,
    /// The exports that list a name, by bucket and name.
    listing: BTreeMap<(String, String), Vec<usize>>,
    /// The loads of files without a manifest in a folder around them, by bucket and load.
    apart: BTreeMap<(String, String), LoadedFile>,
}

#[derive(Debug)]
struct Export {
    report: ExportReport,
    expected: Vec<ExpectedFile>,
    names: BTreeSet<String>,
    /// The newest load of each key, by name.
    found: BTreeMap<String, BTreeMap<String, LoadedFile>>,
}

impl Exports {
    /// Takes manifests, in any order. Of several manifests of one export the newest counts, unless they continue each
    /// other.
    #[must_use]
    pub fn new(manifests: Vec<ExportManifest>) -> Self {
        let mut groups: BTreeMap<String, Vec<ExportManifest>> = BTreeMap::new();
        for manifest in manifests {
            groups.entry(manifest.export.clone()).or_default().push(manifest);
        }
        let mut exports = Self::default();
        for (index, group) in groups.into_values().rev().enumerate() {
            let export = Export::new(group);
            for name in &export.names {
                let place = (export.report.bucket.clone(), name.clone());
                exports.listing.entry(place).or_default().push(index);
            }
            exports.all.push(export);
        }
        exports
    }

    /// Returns where files are looked for first, as buckets and the beginnings of keys.
    #[must_use]
    pub fn folders(&self) -> Vec<(String, String)> {
        let folders = self.all.iter().map(|Export { report, .. }| (&report.bucket, &report.folder));
        let erased = self.listing.keys().filter(|(_, name)| name.starts_with(MARK_PREFIX));
        let all: BTreeSet<(&String, &String)> =
            folders.chain(erased.map(|(bucket, name)| (bucket, name))).collect();
        let mut outermost: Vec<(String, String)> = Vec::new();
        for (bucket, folder) in all {
            let is_inside = |(of, outer): &(String, String)| of == bucket && folder.starts_with(outer);
            if !outermost.last().is_some_and(is_inside) {
                outermost.push((bucket.clone(), folder.clone()));
            }
        }
        outermost
    }

    /// Returns the buckets that have to be looked through as a whole: those with an export of which no file lies in the
    /// folder of its manifest.
    #[must_use]
    pub fn buckets_of_displaced(&self) -> BTreeSet<String> {
        let has_more_to_see = |export: &&Export| export.is_displaced() && !export.report.folder.is_empty();
        let displaced = self.all.iter().filter(has_more_to_see);
        displaced.map(|export| export.report.bucket.clone()).collect()
    }

    /// Adds the load of an object in that bucket.
    pub fn add(&mut self, bucket: &str, file: LoadedFile) {
        let candidates = self.candidates(bucket, &file);
        let around = |&(index, _): &(usize, String)| {
            self.all.get(index).and_then(|export| export.depth_around(&file.key))
        };
        let deepest = candidates.iter().filter_map(around).max();
        if let Some(depth) = deepest {
            let nearest = candidates.iter().filter(|candidate| around(candidate) == Some(depth)).cloned();
            for (index, name) in self.latest(nearest.collect(), file.created) {
                self.enter(index, name, file.clone());
            }
        } else if !candidates.is_empty() {
            self.apart.insert((bucket.to_owned(), file.load.clone()), file);
        }
    }

    /// Compares every export with its loads. Returns the latest export first.
    #[must_use]
    pub fn reports(mut self) -> Vec<ExportReport> {
        let displaced: BTreeSet<usize> = (0..)
            .zip(&self.all)
            .filter(|(_, export)| export.is_displaced())
            .map(|(index, _)| index)
            .collect();
        for ((bucket, _), file) in std::mem::take(&mut self.apart) {
            let mut candidates = self.candidates(&bucket, &file);
            candidates.retain(|(index, _)| displaced.contains(index));
            for (index, name) in self.latest(candidates, file.created) {
                self.enter(index, name, file.clone());
            }
        }
        self.all.into_iter().map(Export::report).collect()
    }

    /// Returns the exports that a file may belong to, each with the name that it has there.
    fn candidates(&self, bucket: &str, file: &LoadedFile) -> Vec<(usize, String)> {
        let mut candidates: BTreeMap<usize, String> = BTreeMap::new();
        for name in names_of_key(&file.key).into_iter().flatten() {
            let listing = self.listing.get(&(bucket.to_owned(), name.clone()));
            for &index in listing.into_iter().flatten() {
                let is_early = self
                    .time(index)
                    .is_some_and(|time| time > file.created.saturating_add(EARLY_MILLISECONDS));
                if !is_early {
                    candidates.entry(index).or_insert_with(|| name.clone());
                }
            }
        }
        candidates.into_iter().collect()
    }

    /// Returns the latest exports that had begun at a moment, or else those that begin next.
    fn latest(&self, candidates: Vec<(usize, String)>, created: i64) -> Vec<(usize, String)> {
        let time = |index: usize| self.time(index).unwrap_or(i64::MIN);
        let times = || candidates.iter().map(|&(index, _)| time(index));
        let begun = times().filter(|time| *time <= created).max();
        let Some(best) = begun.or_else(|| times().min()) else { return candidates };
        candidates.into_iter().filter(|&(index, _)| time(index) == best).collect()
    }

    fn time(&self, index: usize) -> Option<i64> {
        self.all.get(index).and_then(|export| export.report.time)
    }

    fn enter(&mut self, index: usize, name: String, file: LoadedFile) {
        let Some(export) = self.all.get_mut(index) else { return };
        let of_key = export.found.entry(name).or_default();
        match of_key.get(&file.key) {
            Some(known) if recency(known) >= recency(&file) => {}
            _ => drop(of_key.insert(file.key.clone(), file)),
        }
    }
}

impl Export {
    /// Takes the manifests of one export; there is at least one.
    fn new(mut manifests: Vec<ExportManifest>) -> Self {
        let is_paged = manifests.iter().any(|manifest| manifest.next.is_some());
        if is_paged {
            manifests.sort_by(|one, other| one.key.cmp(&other.key));
        } else {
            manifests.sort_by(|one, other| other.version.cmp(&one.version));
            manifests.truncate(1);
        }
        let first = manifests.first();
        let report = ExportReport {
            export: first.map(|first| first.export.clone()).unwrap_or_default(),
            bucket: first.map(|first| first.bucket.clone()).unwrap_or_default(),
            folder: first.map(|first| folder_of(&first.key).to_owned()).unwrap_or_default(),
            time: first.and_then(|first| first.time),
            manifests: manifests.iter().map(|manifest| manifest.load.clone()).collect(),
            files: Vec::new(),
            beyond: manifests.iter().map(|manifest| manifest.beyond).sum(),
            lacks_manifests: lacks_manifests(&manifests),
        };
        let expected: Vec<ExpectedFile> = manifests.into_iter().flat_map(|manifest| manifest.files).collect();
        let names = expected.iter().map(|file| file_name(&file.name)).collect();
        Self { report, expected, names, found: BTreeMap::new() }
    }

    /// Returns how deep the manifest's folder is, if the file lies in it or below.
    fn depth_around(&self, key: &str) -> Option<usize> {
        let is_around = key.starts_with(&self.report.folder) || key.starts_with(MARK_PREFIX);
        is_around.then_some(self.report.folder.len())
    }

    /// Returns whether no file lies in the manifest's folder.
    fn is_displaced(&self) -> bool {
        self.found.is_empty() && !self.expected.is_empty()
    }

    fn report(self) -> ExportReport {
        let Self { mut report, expected, mut found, .. } = self;
        let mut of_name: BTreeMap<String, Vec<(usize, ExpectedFile)>> = BTreeMap::new();
        for (index, file) in expected.into_iter().enumerate() {
            of_name.entry(file_name(&file.name)).or_default().push((index, file));
        }
        let mut files: BTreeMap<usize, FileReport> = BTreeMap::new();
        for (name, expected) in of_name {
            files.extend(assign(expected, found.remove(&name).unwrap_or_default()));
        }
        report.files = files.into_values().collect();
        report
    }
}

/// Returns whether a manifest is missing that continues another. All but the last are continued. The name of the next
/// one counts only if it looks like that of a file: else it may have been stored under any name.
fn lacks_manifests(manifests: &[ExportManifest]) -> bool {
    let next: Vec<&str> = manifests.iter().filter_map(|manifest| manifest.next.as_deref()).collect();
    let is_there = |name: &str| manifests.iter().any(|manifest| file_name(&manifest.key) == file_name(name));
    let is_missing = |name: &&str| name.to_ascii_lowercase().ends_with(".json") && !is_there(name);
    !next.is_empty() && (next.len() >= manifests.len() || next.iter().any(is_missing))
}

/// Gives each of the files with one name a load: the newest ones, and of these those that hold its type first.
fn assign(
    expected: Vec<(usize, ExpectedFile)>,
    loads: BTreeMap<String, LoadedFile>,
) -> Vec<(usize, FileReport)> {
    let mut loads: Vec<LoadedFile> = loads.into_values().collect();
    let is_done = |load: &LoadedFile| load.status == Status::Done;
    loads.sort_by_cached_key(|load| {
        Reverse((load.status != Status::Gone, load.created, is_done(load), Reverse(load.key.clone())))
    });
    loads.truncate(expected.len());
    loads.sort_by(|one, other| one.key.cmp(&other.key));
    let mut given: BTreeMap<usize, LoadedFile> = BTreeMap::new();
    for (index, file) in &expected {
        let holds_type = |load: &LoadedFile| {
            file.resource_type.as_ref().is_some_and(|resource_type| load.types.contains_key(resource_type))
        };
        if let Some(place) = loads.iter().position(holds_type) {
            given.insert(*index, loads.remove(place));
        }
    }
    let mut rest = loads.into_iter();
    let reports = expected.into_iter().map(|(index, file)| {
        let load = given.remove(&index).or_else(|| rest.next());
        (index, FileReport::new(file, load))
    });
    reports.collect()
}

/// Returns what orders the loads of one key: the greatest one counts. One whose object was gone counts last.
fn recency(file: &LoadedFile) -> (bool, i64, String, &str) {
    // The shorter of two sequencers is padded with zeros on the right.
    let sequencer = file.sequencer.as_deref().unwrap_or_default().to_ascii_uppercase();
    (file.status != Status::Gone, file.created, format!("{sequencer:0<64}"), &file.load)
}

//! What should be said of exports, worked out from the list of arrivals alone.

use pipeline::exports::ExportReport;
use pipeline::manifest::FileRole;

use crate::world::{Arrival, Content, Delivery, Entry, LoadScript, Manifest};

/// What is said of an export, without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) time: i64,
    pub(crate) place: String,
    pub(crate) manifest: String,
    pub(crate) is_complete: bool,
    /// The list, the state and the load of every file.
    pub(crate) files: Vec<(String, String, Option<String>)>,
}

/// Returns what was said.
pub(crate) fn told(report: &ExportReport) -> Told {
    let files = report.files.iter().map(|file| {
        let list = match file.expected.role {
            FileRole::Output => "output",
            FileRole::Deleted => "deleted",
            FileRole::Outcome => "error",
        };
        let load = file.load.as_ref().map(|load| load.load.clone());
        (list.to_owned(), file.state.as_str().to_owned(), load)
    });
    assert_eq!((report.beyond, report.lacks_manifests), (0, false));
    assert!(!format!("{report:?}").contains("CANARY"), "a URL was kept");
    Told {
        time: report.time.unwrap(),
        place: format!("{}/{}", report.bucket, report.folder),
        manifest: report.manifests.join(","),
        is_complete: report.is_complete(),
        files: files.collect(),
    }
}

/// Returns what should be said after these arrivals.
pub(crate) fn expected(arrivals: &[Arrival]) -> Vec<Told> {
    let exports = standing_manifests(arrivals);
    let mut deliveries: Vec<&Delivery> = Vec::new();
    for arrival in arrivals {
        if let Arrival::Delivery(delivery) = arrival
            && !deliveries.iter().any(|known| known.version == delivery.version)
        {
            deliveries.push(delivery);
        }
    }
    let beside = |manifest: &Manifest| -> Vec<&Delivery> {
        let belongs = |delivery: &&&Delivery| owners_beside(&exports, delivery).contains(&manifest.export);
        deliveries.iter().filter(belongs).copied().collect()
    };
    let displaced: Vec<&Manifest> =
        exports.iter().copied().filter(|manifest| beside(manifest).is_empty()).collect();
    let told = exports.iter().map(|manifest| {
        let mut own = beside(manifest);
        if own.is_empty() {
            let is_apart = |delivery: &&&Delivery| {
                owners_beside(&exports, delivery).is_empty()
                    && latest(displaced.iter().copied().filter(|other| may_own(other, delivery)), delivery)
                        .contains(&manifest.export)
            };
            own = deliveries.iter().filter(is_apart).copied().collect();
        }
        told_of(manifest, &own)
    });
    let mut told: Vec<Told> = told.collect();
    told.sort_by_key(|export| -export.time);
    told
}

/// Returns the manifest of each export that was made last.
fn standing_manifests(arrivals: &[Arrival]) -> Vec<&Manifest> {
    let manifests = arrivals.iter().filter_map(|arrival| match arrival {
        Arrival::Manifest(manifest) => Some(manifest),
        Arrival::Delivery(_) => None,
    });
    let mut standing: Vec<&Manifest> = Vec::new();
    for manifest in manifests {
        match standing.iter_mut().find(|known| known.export == manifest.export) {
            Some(known) if known.created < manifest.created => *known = manifest,
            Some(_) => {}
            None => standing.push(manifest),
        }
    }
    standing
}

const TEN_MINUTES: i64 = 600_000;

fn time(manifest: &Manifest) -> i64 {
    1_767_607_200_000 + 60_000 * manifest.minute
}

fn may_own(manifest: &Manifest, delivery: &Delivery) -> bool {
    manifest.bucket == delivery.bucket
        && manifest.entries.iter().any(|entry| Some(entry.file) == delivery.file)
        && time(manifest) - TEN_MINUTES <= delivery.created
}

/// Returns the exports, of those that list a file, whose manifests lie in the deepest folder around it: it belongs to
/// them.
fn owners_beside(exports: &[&Manifest], delivery: &Delivery) -> Vec<usize> {
    let key = delivery.key();
    let around = |manifest: &&Manifest| may_own(manifest, delivery) && key.starts_with(manifest.folder);
    let around: Vec<&Manifest> = exports.iter().copied().filter(|manifest| around(manifest)).collect();
    let depth = around.iter().map(|manifest| manifest.folder.len()).max();
    latest(around.into_iter().filter(|manifest| Some(manifest.folder.len()) == depth), delivery)
}

/// Returns the latest that had begun when a file was made, or else the first that begins then.
fn latest<'a>(exports: impl Iterator<Item = &'a Manifest>, delivery: &Delivery) -> Vec<usize> {
    let mut exports: Vec<&Manifest> = exports.collect();
    exports.sort_by_key(|manifest| time(manifest));
    let begun = exports.iter().rev().find(|manifest| time(manifest) <= delivery.created);
    begun.or(exports.first()).into_iter().map(|manifest| manifest.export).collect()
}

fn told_of(manifest: &Manifest, deliveries: &[&Delivery]) -> Told {
    let mut given: Vec<Option<&Delivery>> = vec![None; manifest.entries.len()];
    for file in 0..manifest.entries.len().max(10) {
        let places: Vec<usize> =
            (0..given.len()).filter(|&place| manifest.entries[place].file == file).collect();
        let of_file = deliveries.iter().copied().filter(|delivery| delivery.file == Some(file)).collect();
        let mut left = newest_of_each_key(of_file);
        left.truncate(places.len());
        left.sort_by_key(|delivery| delivery.key());
        for pass in 0..2 {
            for &place in &places {
                let wanted = manifest.entries[place].resource_type;
                let fits = |delivery: &&Delivery| {
                    pass > 0 || wanted.is_some_and(|name| types(delivery).contains(&name))
                };
                if given[place].is_none()
                    && let Some(first) = left.iter().position(fits)
                {
                    given[place] = Some(left.remove(first));
                }
            }
        }
    }
    let files: Vec<_> = manifest
        .entries
        .iter()
        .zip(given)
        .map(|(entry, delivery)| {
            let list = if entry.list == "outcome" { "error" } else { entry.list };
            let load = delivery
                .map(|delivery| format!("{}/{}@{}", delivery.bucket, delivery.key(), delivery.version));
            (list.to_owned(), delivery.map_or("missing", |delivery| state(entry, delivery)).to_owned(), load)
        })
        .collect();
    let object = format!("{}/{}{}@{}", manifest.bucket, manifest.folder, manifest.name, manifest.created);
    Told {
        time: time(manifest),
        place: format!("{}/{}", manifest.bucket, manifest.folder),
        manifest: object,
        is_complete: files.iter().all(|(list, state, _)| list == "error" || state == "loaded"),
        files,
    }
}

/// Returns the newest delivery under each key, the newest first. What was deleted counts last.
fn newest_of_each_key(mut deliveries: Vec<&Delivery>) -> Vec<&Delivery> {
    deliveries.sort_by_key(|delivery| (delivery.script == LoadScript::Gone, -delivery.created));
    let mut newest: Vec<&Delivery> = Vec::new();
    for delivery in deliveries {
        if !newest.iter().any(|known| known.key() == delivery.key()) {
            newest.push(delivery);
        }
    }
    newest
}

fn state(entry: &Entry, delivery: &Delivery) -> &'static str {
    match (delivery.script, &delivery.content) {
        (LoadScript::Gone, _) => return "gone",
        (LoadScript::Begun, _) => return "running",
        (LoadScript::Killed, _) => return "stuck",
        (LoadScript::Loads, Content::Lines { broken: 0, .. } | Content::Deletions(_)) => {}
        (LoadScript::Loads, Content::Lines { whole: 0, .. }) => return "failed",
        (LoadScript::Loads, Content::Lines { .. }) => return "partial",
    }
    let (records, bundles) = match &delivery.content {
        Content::Lines { whole, .. } => (*whole, 0),
        Content::Deletions(bundles) => (bundles.iter().sum::<u64>(), bundles.len() as u64),
    };
    let read = match (entry.list, &delivery.content) {
        ("deleted", Content::Lines { .. }) => 0,
        ("deleted", Content::Deletions(_)) => records,
        _ => records + bundles,
    };
    let counts_bundles = bundles > 0 && (entry.list == "deleted" || entry.resource_type == Some("Bundle"));
    match entry.count {
        Some(count) if count == read || counts_bundles && count == bundles => {}
        Some(count) if count > read => return "fewer records",
        Some(_) => return "more records",
        None => {}
    }
    let is_other = |name: &str| types(delivery).iter().any(|other| *other != name);
    match entry.resource_type {
        Some(name) if entry.list == "output" && is_other(name) => "other types",
        _ => "loaded",
    }
}

/// Returns the types of the resources of a file that are in.
fn types(delivery: &Delivery) -> Vec<&'static str> {
    match (&delivery.content, delivery.script) {
        (Content::Lines { resource_type, whole: 1.., .. }, LoadScript::Loads) => vec![resource_type],
        (Content::Deletions(_), LoadScript::Loads) => vec!["Bundle"],
        _ => Vec::new(),
    }
}

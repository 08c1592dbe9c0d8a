//! The comparison: every document with the type and place of every value, and every sum.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Bson, Document};
use mongodb_store::simulation::{SimulatedMongo, State};
use pipeline::erasure::ErasureMarks;
use pipeline::ledger::{Ledger, Status};
use pipeline::summary::Summary;

use crate::erasures::{KeyState, KeyStates};
use crate::history::History;
use crate::oracle::{Expected, FateCounts, Oracle, RejectOfErased};
use crate::stats::STATS;

/// Everything by collection and `_id`, each document as text with types, in the order of its fields.
pub(crate) type Written = BTreeMap<String, BTreeMap<String, String>>;

/// What the database refused: the rejects' own keys, and those of the resources.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    rejects: BTreeSet<String>,
    keys: BTreeSet<String>,
    /// Whether one of the rejects does not say its resource, because that is or was erased.
    is_any_unnamed: bool,
}

/// The code of such rejects.
const REFUSED: &str = "refused-by-database";

impl Refused {
    pub(crate) fn of(rejects: &[Document]) -> Self {
        let refused =
            rejects.iter().filter(|reject| reject.get_str("code").is_ok_and(|code| code == REFUSED));
        let mut found = Self::default();
        for reject in refused {
            found.rejects.insert(reject.get_str("_id").unwrap().to_owned());
            match reject.get_str("resource") {
                Ok(key) => drop(found.keys.insert(key.to_owned())),
                Err(_) => found.is_any_unnamed = true,
            }
        }
        found
    }

    pub(crate) fn count(&self) -> usize {
        self.rejects.len()
    }

    /// Returns whether a document is of a resource that cannot be compared. Of an erased resource nothing may stand,
    /// whatever the database refused.
    fn is_of(&self, id: &str, key_states: &KeyStates) -> bool {
        match key_states.get(key_of(id)) {
            Some(KeyState::Erased) => false,
            Some(KeyState::Lifted { .. }) if self.is_any_unnamed => true,
            _ => self.keys.contains(key_of(id)),
        }
    }
}

/// Returns the key in a row's `_id`, without a suffix.
fn key_of(id: &str) -> &str {
    id.split('#').next().unwrap_or(id)
}

/// Tables, archive, tombstones and rejects of a state.
pub(crate) fn written(state: &State) -> Written {
    let tables = state.tables.iter().map(|(name, table)| (name.clone(), table));
    let archive = state.archive.iter().map(|(name, table)| (format!("_archive/{name}"), table));
    let own = [("_tombstones".to_owned(), &state.tombstones), ("_rejects".to_owned(), &state.rejects)];
    let collections = tables.chain(archive).chain(own).filter(|(_, table)| !table.is_empty());
    collections
        .map(|(name, table)| {
            (name, table.iter().map(|(id, document)| (id.clone(), text(document))).collect())
        })
        .collect()
}

/// Returns everything that a clean load writes as well: of which edition a row is, and of which reading and when a
/// reject, is a matter of how often the object was read.
pub(crate) fn text(document: &Document) -> String {
    let mut document = document.clone();
    document.remove("reading");
    document.remove("written");
    if let Some(Bson::String(version)) = document.get_mut("_version")
        && let Some((base, _edition)) = version.rsplit_once('~')
    {
        *version = base.to_owned();
    }
    format!("{document:?}")
}

/// Replaces the marks of erased resources by `~` and the key: every database has marks of its own.
pub(crate) fn with_readable_marks(
    mut written: Written,
    marks: &ErasureMarks,
    key_states: &KeyStates,
) -> Written {
    if let Some(tombstones) = written.get_mut("_tombstones") {
        let named = |text: String| {
            key_states
                .keys()
                .fold(text, |text, key| text.replace(&marks.of_resource(key), &format!("~{key}")))
        };
        *tombstones =
            std::mem::take(tombstones).into_iter().map(|(id, text)| (named(id), named(text))).collect();
    }
    written
}

/// Names the first of the versions that say the same at the same time in place of the document's source, with which its
/// text ends: any of them may stand.
fn name_same_versions(text: &mut String, oracle: &Oracle) {
    const VERSION: &str = "\"_version\": String(\"";
    let Some((_, version)) = text.split_once(VERSION) else { return };
    let version = version.split('"').next().unwrap_or_default();
    if let Some(first) = oracle.same.get(version) {
        // An archived resource also says when its object was made.
        let end = text.find("\"_created\"").or_else(|| text.find(VERSION)).unwrap_or(text.len());
        text.truncate(end);
        text.push_str(first);
    }
}

/// Returns what is wrong with the rejects of resources that were ever erased; they are taken out of the found ones.
fn wrong_rejects_of_erased(found: &mut Written, oracle: &Oracle, key_states: &KeyStates) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(found) = found.get_mut("_rejects") else {
        let missing = oracle.rejects_of_erased.iter().filter(|(_, reject)| reject.must_stand);
        return missing.map(|(id, _)| format!("_rejects {id} is missing")).collect();
    };
    for (key, _) in key_states.iter().filter(|(_, state)| **state == KeyState::Erased) {
        let named = format!("\"resource\": String(\"{key}\")");
        let naming = found.iter().filter(|(_, text)| text.contains(&named));
        wrong.extend(naming.map(|(id, _)| format!("_rejects {id} names {key}, which is erased")));
    }
    for (id, RejectOfErased { document, must_stand, may_name }) in &oracle.rejects_of_erased {
        let mut unnamed = document.clone();
        unnamed.remove("resource");
        let is_right = match found.remove(id) {
            None => !must_stand,
            Some(text) => text == self::text(&unnamed) || (*may_name && text == self::text(document)),
        };
        if !is_right {
            wrong.push(format!("_rejects {id} is not as expected of {document:?}"));
        }
    }
    wrong
}

/// Returns what does not stand as the oracle says. Of the refused keys nothing is compared: the database said of a
/// document of theirs, once, that it will never take it.
pub(crate) fn differences(
    history: &History,
    mut found: Written,
    oracle: &Oracle,
    refused: &Refused,
    key_states: &KeyStates,
) -> Vec<String> {
    let marks = SimulatedMongo::default().marks();
    let mut expected = with_readable_marks(written(&oracle.state), &marks, key_states);
    let mut differences = wrong_rejects_of_erased(&mut found, oracle, key_states);
    if let Some(expected) = expected.get_mut("_rejects") {
        expected.retain(|id, _| !oracle.rejects_of_erased.contains_key(id));
    }
    if history.earlier.is_some() {
        // What has no table is not written unless others have tables for it. Who is late with a deployment that was
        // replaced may be the first to have one.
        if history.owners_linger {
            for documents in found.values_mut().chain(expected.values_mut()) {
                documents.retain(|id, _| !oracle.newest_nowhere.contains(key_of(id)));
            }
        }
        // Who is late with a deployment that was replaced may set aside what is none any more.
        if history.owners_linger
            && let (Some(found), Some(expected)) = (found.get_mut("_rejects"), expected.get("_rejects"))
        {
            found.retain(|id, _| expected.contains_key(id));
        }
    }
    for collections in [&mut found, &mut expected] {
        for documents in collections.values_mut() {
            documents.retain(|id, _| !refused.rejects.contains(id) && !refused.is_of(id, key_states));
        }
    }
    for documents in [&mut found, &mut expected].into_iter().flat_map(BTreeMap::values_mut) {
        documents.retain(|id, _| !oracle.ambiguous.contains(key_of(id)));
        for text in documents.values_mut() {
            name_same_versions(text, oracle);
        }
    }
    for tombstones in
        [&mut found, &mut expected].into_iter().filter_map(|written| written.get_mut("_tombstones"))
    {
        tombstones.retain(|key, _| !oracle.nowhere.contains(key));
    }
    let empty = BTreeMap::new();
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    for name in names {
        let [found, expected] = [&found, &expected].map(|written| written.get(name).unwrap_or(&empty));
        let ids: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
        for id in ids {
            let (found, expected) = (found.get(id), expected.get(id));
            if found != expected {
                differences.push(format!("{name} {id}\n  stands   {found:?}\n  expected {expected:?}"));
            }
        }
    }
    differences
}

/// Returns what the notes of side tables lack or have too much.
pub(crate) fn wrong_notes(
    history: &History,
    found: &BTreeSet<(String, String)>,
    oracle: &Oracle,
) -> Vec<String> {
    let missing = oracle.side_tables.must.difference(found).map(|pair| format!("no note of {pair:?}"));
    // Notes of an earlier deployment outlast it.
    let extra = found.difference(&oracle.side_tables.may).filter(|_| history.earlier.is_none());
    missing.chain(extra.map(|pair| format!("a note of {pair:?}"))).collect()
}

/// Returns what is wrong in the ledger: every load settled as it must be, every sum as it must be.
pub(crate) async fn wrong_loads(history: &History, ledger: &Ledger, oracle: &Oracle) -> Vec<String> {
    let mut wrong = Vec::new();
    for (object, expected) in history.objects.iter().zip(&oracle.loads) {
        let load = ledger.find(&object.reference.load_id()).await.unwrap();
        let Some(load) = load else {
            wrong.push(format!("object {} is not in the ledger", object.number));
            continue;
        };
        let summary = &load.summary;
        STATS.add("unchanged resources", summary.unchanged.try_into().unwrap());
        let is_settled = load.lease.is_none() && load.checkpoint.is_none() && load.ended.is_some();
        // A record that the database refused has another fate than the oracle's; the sums hold all the same.
        let is_right = if summary.codes.contains_key(REFUSED) {
            summary.adds_up() && read(summary) == read(&expected.alone.summary)
        } else {
            is_status(object.is_gone, load.status, expected.alone.status) && sums_hold(expected, summary)
        };
        let is_right =
            is_right && summary.bytes == if object.is_gone { 0 } else { object.bytes.len() as u64 };
        if !is_right || !is_settled {
            let Expected { alone, newest, all } = expected;
            wrong.push(format!(
                "object {}: {load:#?}\nalone {alone:#?}\nof {all:?}, newest {newest:?}",
                object.number
            ));
        }
    }
    wrong
}

/// Returns whether a load is settled as it must be. Of an object that is gone nobody knows whether an attempt that was
/// killed had written something.
fn is_status(is_gone: bool, found: Status, expected: Status) -> bool {
    found == expected || (is_gone && found == Status::Partial)
}

/// Records, bytes as stored, bytes inflated.
fn read(summary: &Summary) -> (u64, u64, u64) {
    (summary.records, summary.bytes, summary.inflated_bytes)
}

fn sums_hold(expected: &Expected, found: &Summary) -> bool {
    let Expected { alone, newest, all } = expected;
    let alone = &alone.summary;
    let fates = FateCounts { loaded: found.loaded, deleted: found.deleted, archived: found.archived };
    let is_between = |of: fn(&FateCounts) -> u64| of(newest) <= of(&fates) && of(&fates) <= of(all);
    found.adds_up()
        && read(found) == read(alone)
        && (found.rejected, found.view_defects) == (alone.rejected, alone.view_defects)
        && (&found.codes, &found.checks) == (&alone.codes, &alone.checks)
        && found.types.values().sum::<u64>() == found.loaded
        && newest.loaded <= found.loaded + found.unchanged
        && found.loaded <= all.loaded
        && is_between(|fates| fates.deleted)
        && is_between(|fates| fates.archived)
}

/// Returns what is wrong in the dictionary: a column that objects fill has no entry.
pub(crate) async fn wrong_columns(history: &History, ledger: &Ledger, oracle: &Oracle) -> Vec<String> {
    let mut wrong = Vec::new();
    // What was loaded under an earlier deployment has the columns of that one.
    if history.earlier.is_some() {
        return wrong;
    }
    for id in &oracle.columns {
        if ledger.column(id).await.unwrap().is_none() {
            wrong.push(format!("column {id} has no entry"));
        }
    }
    wrong
}

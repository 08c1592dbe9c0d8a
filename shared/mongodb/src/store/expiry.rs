//! Expiry: how long rows, settled entries of the ledger, rejects and records of exports stand, as TTL indexes.
//!
//! Marks, tombstones and records of erasures never expire, and the archive has a [retention](super::Retention) of its
//! own.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document as BsonDocument, doc};
use flatten::row::TableId;
use tokio::sync::Mutex;

use pipeline::batch::{Fate, WriteBatch};
use pipeline::interrupted::Interrupted;
use pipeline::retention::RetentionPolicy;

use crate::Connection;
use crate::codes::named;
use crate::collections::{EXPORTS, LOADS, REJECTS};
use crate::encode::RECEIVED;
use crate::records::{SETTLED, WRITTEN};
use crate::trouble::Trouble;

use super::indexes::{MAX_DOCUMENTS, TableIndexes};
use super::retention::SECONDS_A_DAY;

/// The name of a TTL index; in a table that several types can share, with the type behind it.
const INDEX: &str = "retention";
/// `NamespaceNotFound`, `IndexNotFound`.
const NOTHING_THERE: [i32; 2] = [26, 27];
/// Pairs of a table and a type that a process remembers.
const MAX_REMEMBERED: usize = 10_000;

/// What a store knows of the TTL indexes of its tables.
#[derive(Debug, Default)]
pub(super) struct TableExpiry {
    policy: RetentionPolicy,
    /// Tables and types that have been seen to.
    prepared: Mutex<BTreeSet<(String, String)>>,
}

/// A TTL index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ExpiryIndex {
    name: String,
    field: &'static str,
    days: u32,
    /// The type whose rows expire by it, in a table that several types can share.
    of_type: Option<String>,
}

/// What must change so that a collection has its TTL indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ExpiryChange {
    Create(ExpiryIndex),
    Change { name: String, days: u32 },
    Drop { name: String },
}

/// What became of the TTL indexes of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpiryOutcome {
    /// They are as the policy says. So many had to be made, changed or removed.
    Kept(usize),
    /// An index is missing, and the collection has too many documents to build it by the way.
    TooLarge(u64),
}

/// How far the caller waits for an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexBuilds {
    /// Only of collections that are small.
    Small,
    /// However long it takes.
    All,
}

impl ExpiryIndex {
    fn specification(&self) -> BsonDocument {
        let mut index = doc! {
            "key": { self.field: 1 }, "name": &self.name, "expireAfterSeconds": seconds(self.days),
        };
        if let Some(resource_type) = &self.of_type {
            // `0` follows `/`.
            let ids = doc! { "$gte": format!("{resource_type}/"), "$lt": format!("{resource_type}0") };
            index.insert("partialFilterExpression", doc! { "_id": ids });
        }
        index
    }
}

/// Returns whether a table has rows of one type alone: the table of that type, or a child table of it. Contained
/// resources stand in tables by their own type, and the name of a view says nothing.
fn is_own_table(table: &str, resource_type: &str) -> bool {
    let rest = table.strip_prefix(resource_type);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('_') && rest.split('_').nth(1) != Some("contained")
    })
}

/// Returns the TTL indexes that a collection should have. `types` are the resource types of its rows, as far as they
/// are known. `None`: its indexes stay as they are.
fn wanted_expiry(
    policy: &RetentionPolicy,
    collection: &str,
    types: &BTreeSet<String>,
) -> Option<Vec<ExpiryIndex>> {
    let index = |field, days: Option<u32>, of_type: Option<&String>| {
        let name = of_type.map_or_else(|| INDEX.to_owned(), |name| format!("{INDEX}_{name}"));
        Some(ExpiryIndex { name, field, days: days?, of_type: of_type.cloned() })
    };
    let of_all = match collection {
        LOADS => index(SETTLED, policy.ledger?.days(), None),
        EXPORTS => {
            policy.ledger?;
            index(WRITTEN, policy.export_days(), None)
        }
        REJECTS => index(WRITTEN, policy.rejects?.days(), None),
        table => {
            let rows = policy.rows.as_ref()?;
            let of_type = |name: &String| {
                index(RECEIVED, rows.days_of(name), (!is_own_table(table, name)).then_some(name))
            };
            return Some(types.iter().filter_map(of_type).collect());
        }
    };
    Some(of_all.into_iter().collect())
}

/// Returns what must change where these indexes stand.
fn changes(wanted: Vec<ExpiryIndex>, standing: &[BsonDocument]) -> Vec<ExpiryChange> {
    let mut standing: BTreeMap<&str, Option<i64>> = standing.iter().filter_map(own_index).collect();
    let mut changes = Vec::new();
    for index in wanted {
        match standing.remove(index.name.as_str()) {
            None => changes.push(ExpiryChange::Create(index)),
            Some(Some(standing)) if standing == seconds(index.days) => {}
            Some(_) => changes.push(ExpiryChange::Change { name: index.name, days: index.days }),
        }
    }
    changes.extend(standing.into_keys().map(|name| ExpiryChange::Drop { name: name.to_owned() }));
    changes
}

/// Returns the name and the seconds of an index that this program has made; `None`: it is another one.
fn own_index(index: &BsonDocument) -> Option<(&str, Option<i64>)> {
    let name = index.get_str("name").ok()?;
    let is_own = name.strip_prefix(INDEX).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    let after = index.get("expireAfterSeconds")?;
    is_own.then(|| (name, whole_number(after)))
}

fn whole_number(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "a TTL index has at most 31 bits")]
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

fn seconds(days: u32) -> i64 {
    i64::from(days) * SECONDS_A_DAY
}

impl Connection {
    /// Sees to it that a collection has the TTL indexes of a policy. Nothing happens where there is no such collection
    /// and none is wanted.
    pub(crate) async fn keep_expiry(
        &self,
        policy: &RetentionPolicy,
        (collection, types): (&str, &BTreeSet<String>),
        builds: IndexBuilds,
    ) -> Result<ExpiryOutcome, Interrupted> {
        if wanted_expiry(policy, collection, types).is_none() {
            return Ok(ExpiryOutcome::Kept(0));
        }
        let standing = self.standing_indexes(collection).await;
        let standing = match standing {
            // Who may not look can still load where nothing has to be there.
            Err(Trouble::Stop(_))
                if wanted_expiry(policy, collection, types).is_some_and(|w| w.is_empty()) =>
            {
                return Ok(ExpiryOutcome::Kept(0));
            }
            standing => standing?,
        };
        let is_there = standing.is_some();
        let standing = standing.unwrap_or_default();
        let wanted = wanted_expiry(policy, collection, &with_standing_types(types, &standing));
        let changes = changes(wanted.unwrap_or_default(), &standing);
        let creates = changes.iter().any(|change| matches!(change, ExpiryChange::Create(_)));
        if creates && is_there && builds == IndexBuilds::Small {
            let documents = self.estimated_count(collection).await?;
            if documents > MAX_DOCUMENTS {
                return Ok(ExpiryOutcome::TooLarge(documents));
            }
        }
        for change in &changes {
            self.change_expiry(collection, change).await?;
        }
        Ok(ExpiryOutcome::Kept(changes.len()))
    }

    async fn change_expiry(&self, collection: &str, change: &ExpiryChange) -> Result<(), Interrupted> {
        let command = match change {
            ExpiryChange::Create(index) => {
                doc! { "createIndexes": collection, "indexes": [index.specification()] }
            }
            ExpiryChange::Change { name, days } => {
                let index = doc! { "name": name, "expireAfterSeconds": seconds(*days) };
                doc! { "collMod": collection, "index": index }
            }
            ExpiryChange::Drop { name } => doc! { "dropIndexes": collection, "index": name },
        };
        match self.answer(&command).await {
            // Another process has just removed it.
            Err(Trouble::Document(code)) if NOTHING_THERE.contains(&code) => Ok(()),
            Err(Trouble::Document(code)) => {
                let code = format!("{}: the retention of {collection}", named(code));
                let remedy =
                    format!("drop the index of {collection} that has the same field or the name {INDEX}");
                Err(Interrupted::Stopped { code, remedy })
            }
            outcome => Ok(outcome.map(drop)?),
        }
    }
}

/// Returns the types of a collection with those of its TTL indexes that stand.
fn with_standing_types(types: &BTreeSet<String>, standing: &[BsonDocument]) -> BTreeSet<String> {
    let names = standing.iter().filter_map(own_index).map(|(name, _)| name);
    let of_names = names.filter_map(|name| name.strip_prefix(INDEX)?.strip_prefix('_'));
    types.iter().cloned().chain(of_names.map(str::to_owned)).collect()
}

impl TableExpiry {
    /// Prepares this policy.
    pub(super) fn new(policy: RetentionPolicy) -> Self {
        Self { policy, prepared: Mutex::default() }
    }

    /// Sees to the TTL indexes of the collections that a batch writes to, to each once in a process. What is missing in
    /// a large collection is said among the notices of its other indexes.
    pub(super) async fn prepare(
        &self,
        connection: &Connection,
        batch: &WriteBatch,
        notices: &TableIndexes,
    ) -> Result<(), Interrupted> {
        if self.policy == RetentionPolicy::default() {
            return Ok(());
        }
        let mut prepared = self.prepared.lock().await;
        for (collection, types) in collections_of(batch) {
            let pair = |name: &str| (collection.to_owned(), name.to_owned());
            let mut pairs: Vec<_> = types.iter().map(|name| pair(name)).collect();
            if pairs.is_empty() {
                pairs.push(pair(""));
            }
            if pairs.iter().all(|pair| prepared.contains(pair)) {
                continue;
            }
            let kept = connection.keep_expiry(&self.policy, (collection, &types), IndexBuilds::Small).await?;
            if let ExpiryOutcome::TooLarge(documents) = kept {
                notices.tell_notice(format!(
                    "{collection} has {documents} documents and lacks the index of its retention: nothing of it expires \
                     until `flatfire index` has built it"
                ));
            }
            if prepared.len() >= MAX_REMEMBERED {
                prepared.clear();
            }
            prepared.extend(pairs);
        }
        Ok(())
    }
}

/// Returns the tables of a batch with the types of their rows, and the collections beside them, without types.
fn collections_of(batch: &WriteBatch) -> BTreeMap<&str, BTreeSet<String>> {
    let mut tables: BTreeSet<(TableId, &str)> = BTreeSet::new();
    for resource in &batch.resources {
        let Fate::Rows(range) = &resource.fate else { continue };
        let mut last = None;
        for row in batch.rows.range(range.clone()) {
            if last.replace(row.table()) != Some(row.table()) {
                tables.insert((row.table(), &*resource.resource_type));
            }
        }
    }
    let mut collections: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (table, resource_type) in tables {
        collections.entry(batch.names.table(table)).or_default().insert(resource_type.to_owned());
    }
    for own in [LOADS, REJECTS, EXPORTS] {
        collections.entry(own).or_default();
    }
    collections
}

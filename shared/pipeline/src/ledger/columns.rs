//! The collection `_columns`: what every column means, and which load filled it first.
//!
//! `{_id, table, column, path, url, derived, datatype, type, unknown, clash, first}`; `_id` is `<table>.<column>`. An entry
//! is written when a column is new, and again only when it gains a type or extensions of two URLs meet in it. A process
//! remembers entries for a while, so that a load whose columns are all known costs no command. A table has at most
//! 20,000 entries, of which 18,000 can be for elements and extensions that senders named; what comes behind them is counted
//! in the load's `drift.unlisted` and has no entry. Rows are what they are all the same.

mod known;

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use bson::{Bson, DateTime, Document, doc};
use flatten::dictionary::{Column, Dictionary, MAX_COLUMNS, MAX_MADE_UP, Meaning, cut};

use crate::interrupted::Interrupted;
use crate::sink::mongodb::{Connection, carried_out, met_duplicates};
use crate::summary::Drift;

use super::{Ledger, MemoryLedger, Store, mongo};
use known::Known;

pub(super) use known::KnownColumns;

const COLUMNS: &str = "_columns";
/// Columns entered at once.
const AT_ONCE: usize = 500;
/// A message of columns is closed before it grows to this: the database takes 16 MiB.
const MESSAGE_BYTES: usize = 2 << 20;
/// What stands in the entry of a column beside its texts, about.
const ENTRY_BYTES: usize = 1_024;
/// What entries of earlier versions held besides: how many rows loads had made, and which of them.
const RETIRED_FIELDS: [&str; 3] = ["rows", "last", "marks"];

/// What one attempt has filled.
#[derive(Debug)]
pub struct Filled<'a> {
    /// The load.
    pub load: &'a str,
    /// The attempt.
    pub attempt: u32,
    /// The ordinal of the record at which the attempt began.
    pub part: u64,
    /// The columns.
    pub columns: &'a Dictionary,
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// What does not change from column to column.
struct Entry<'a> {
    filled: &'a Filled<'a>,
    /// Tells the load and the part of it from others.
    mark: u64,
    /// Whether the load has ended before with its columns in the dictionary.
    is_replay: bool,
}

impl Ledger {
    /// Enters columns into the dictionary and says which of them it did not know. The same attempt may be entered
    /// again.
    pub async fn fill(&self, filled: &Filled<'_>) -> Result<Drift, Interrupted> {
        // The first attempt cannot have ended before.
        let load = if filled.attempt > 1 { self.find(filled.load).await? } else { None };
        let part = i64::try_from(filled.part).unwrap_or(i64::MAX);
        let entry = Entry {
            filled,
            mark: self.known.mark(filled.load, part),
            is_replay: load.is_some_and(|load| load.has_columns),
        };
        let columns: Vec<Column> = filled.columns.columns().collect();
        let mut drift = Drift { unlisted: filled.columns.unlisted(), ..Drift::default() };
        let open = self.known.without_settled(&columns, |column, known| {
            let is_settled = !self.must_be_written(column, Some(known));
            if is_settled {
                drift += entry.drift(column, Some(known), self.clashes(column, Some(known)));
            }
            is_settled
        });
        for columns in messages(&open, filled.load.len()) {
            drift += self.enter(columns, &entry).await?;
        }
        Ok(drift)
    }

    /// Looks for the entries of some columns, and writes those that are missing or lack something.
    async fn enter(&self, columns: &[&Column], entry: &Entry<'_>) -> Result<Drift, Interrupted> {
        let known = self.known_of(columns).await?;
        let mut room = Room::default();
        for column in columns.iter().filter(|column| !known.contains_key(&id_of(column))) {
            if !room.entries.contains_key(&*column.table) {
                room.entries.insert(&column.table, self.entries_of(&column.table).await?);
            }
        }
        let mut drift = Drift::default();
        let mut changes = Vec::new();
        for column in columns {
            let known = known.get(&id_of(column));
            if known.is_none() && !room.take(column) {
                drift.unlisted += 1;
                continue;
            }
            let clashes = self.clashes(column, known);
            drift += entry.drift(column, known, clashes);
            match known {
                Some(known) if !self.must_be_written(column, Some(known)) => {
                    self.known.remember(column, known)
                }
                known => changes.push(Change { column, types: more_types(column, known), clashes }),
            }
        }
        match &self.store {
            Store::Mongo(connection) => change_mongo(connection, &changes, entry).await?,
            Store::Memory(ledger) => change_memory(ledger, &changes, entry),
        }
        Ok(drift)
    }

    /// Returns the entries that these columns have.
    async fn known_of(&self, columns: &[&Column]) -> Result<BTreeMap<String, Known>, Interrupted> {
        let ids = columns.iter().map(|column| id_of(column));
        let found = match &self.store {
            Store::Mongo(connection) => look(connection, ids.map(Bson::from).collect()).await?,
            Store::Memory(ledger) => {
                let all = columns_of(ledger);
                ids.filter_map(|id| all.get(&id).cloned()).collect()
            }
        };
        Ok(found
            .into_iter()
            .filter_map(|found| Some((found.get_str("_id").ok()?.to_owned(), self.known.read(&found))))
            .collect())
    }

    /// Whether extensions of two URLs meet in a column, in this load or with an earlier one.
    fn clashes(&self, column: &Column, known: Option<&Known>) -> bool {
        let url = self.known.url(column.meaning.url.as_deref().map(cut));
        column.meaning.is_clash || known.is_some_and(|known| known.url != url)
    }

    /// Whether the entry of a column is missing or lacks something.
    fn must_be_written(&self, column: &Column, known: Option<&Known>) -> bool {
        known.is_none_or(|known| {
            known.has_retired_fields
                || (self.clashes(column, Some(known)) && !known.is_clash)
                || more_types(column, Some(known)).is_some()
        })
    }

    /// Counts the entries of a table, as far as it matters how many there are.
    async fn entries_of(&self, table: &str) -> Result<usize, Interrupted> {
        // `/` follows `.`.
        let (first, end) = (format!("{table}."), format!("{table}/"));
        match &self.store {
            Store::Mongo(connection) => {
                let most = i64::try_from(MAX_COLUMNS).unwrap_or(i64::MAX);
                let command = doc! {
                    "aggregate": COLUMNS,
                    "pipeline": [
                        { "$match": { "_id": { "$gte": first, "$lt": end } } },
                        { "$limit": most },
                        { "$count": "entries" },
                    ],
                    "cursor": {},
                };
                let answer = mongo::run(connection, &command).await?;
                let entries = mongo::found(&answer).next().and_then(|found| found.get_i32("entries").ok());
                Ok(entries.and_then(|entries| usize::try_from(entries).ok()).unwrap_or_default())
            }
            Store::Memory(ledger) => Ok(columns_of(ledger).range(first..end).count()),
        }
    }

    /// The entry of a column, `<table>.<column>`, as a document of `_columns`.
    pub async fn column(&self, id: &str) -> Result<Option<Document>, Interrupted> {
        match &self.store {
            Store::Mongo(connection) => Ok(look(connection, vec![id.into()]).await?.pop()),
            Store::Memory(ledger) => Ok(columns_of(ledger).get(id).cloned()),
        }
    }
}

/// How many entries the tables of some columns have.
#[derive(Default)]
struct Room<'c> {
    entries: BTreeMap<&'c str, usize>,
}

impl Room<'_> {
    /// Whether a column that has no entry may have one, which is then counted.
    fn take(&mut self, column: &Column) -> bool {
        let Some(entries) = self.entries.get_mut(&*column.table) else { return true };
        let most = if column.meaning.is_made_up() { MAX_MADE_UP } else { MAX_COLUMNS };
        let has_room = *entries < most;
        *entries += usize::from(has_room);
        has_room
    }
}

/// Cuts columns into messages that the database takes.
fn messages<'m, 'c>(columns: &'m [&'c Column], load_bytes: usize) -> impl Iterator<Item = &'m [&'c Column]> {
    let mut rest = columns;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |column: &&&Column| {
            let Meaning { path, url, .. } = &column.meaning;
            let texts = [path.as_deref(), url.as_deref()].into_iter().flatten().map(|text| cut(text).len());
            bytes += ENTRY_BYTES + load_bytes + 3 * (column.table.len() + column.name.len());
            bytes += texts.sum::<usize>();
            bytes <= MESSAGE_BYTES
        };
        let count = rest.iter().take(AT_ONCE).take_while(fits).count().max(1);
        let (message, later) = rest.split_at_checked(count)?;
        rest = later;
        Some(message)
    })
}

/// What is written of a column.
struct Change<'c> {
    column: &'c Column,
    /// Its types and those of its entry, where the entry lacks some.
    types: Option<String>,
    clashes: bool,
}

async fn change_mongo(
    connection: &Connection,
    changes: &[Change<'_>],
    entry: &Entry<'_>,
) -> Result<(), Interrupted> {
    if changes.is_empty() {
        return Ok(());
    }
    let updates: Vec<Bson> = changes.iter().map(|change| entry.statement(change).into()).collect();
    // A new column that another load enters at the same moment meets itself as a duplicate.
    let command = doc! {
        "update": COLUMNS, "updates": updates, "ordered": false,
        "writeConcern": { "w": "majority", "wtimeout": 20_000 },
    };
    let answer = mongo::run(connection, &command).await?;
    carried_out(&answer)?;
    if met_duplicates(&answer) {
        carried_out(&mongo::run(connection, &command).await?)?;
    }
    Ok(())
}

async fn look(connection: &Connection, ids: Vec<Bson>) -> Result<Vec<Document>, Interrupted> {
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let command = doc! {
        "find": COLUMNS, "filter": { "_id": { "$in": ids } }, "batchSize": count, "singleBatch": true,
    };
    let answer = mongo::run(connection, &command).await?;
    Ok(mongo::found(&answer).cloned().collect())
}

fn change_memory(ledger: &MemoryLedger, changes: &[Change<'_>], entry: &Entry<'_>) {
    let mut all = columns_of(ledger);
    for change in changes {
        let id = id_of(change.column);
        let document = all.entry(id.clone()).or_insert_with(|| {
            let mut document = doc! { "_id": id };
            document.extend(entry.facts(change.column));
            document
        });
        document.extend(change.later_facts());
    }
}

fn columns_of(ledger: &MemoryLedger) -> MutexGuard<'_, BTreeMap<String, Document>> {
    ledger.columns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Change<'_> {
    /// What is written also where the column has an entry.
    fn later_facts(&self) -> Document {
        let types = self.types.as_ref().map(|types| ("type".to_owned(), types.into()));
        let clash = self.clashes.then(|| ("clash".to_owned(), true.into()));
        types.into_iter().chain(clash).collect()
    }
}

impl Entry<'_> {
    /// What is new about a column. Columns that this very part of the load has entered are new to it each time.
    fn drift(&self, column: &Column, known: Option<&Known>, clashes: bool) -> Drift {
        let is_new = known.is_none_or(|known| known.first == self.mark && !self.is_replay);
        let was_clash = known.is_some_and(|known| known.is_clash);
        let Meaning { url, is_unknown, .. } = &column.meaning;
        let is_told = is_new && url.is_none() && !is_unknown;
        Drift {
            new_columns: u64::from(is_new),
            unknown_elements: u64::from(is_new && *is_unknown),
            clashes: u64::from(clashes && (!was_clash || is_new)),
            unlisted: 0,
            names: is_told.then(|| id_of(column)).into_iter().collect(),
        }
    }

    /// `{q: {_id}, u: {$setOnInsert, $set, $unset}, upsert: true}`
    fn statement(&self, change: &Change<'_>) -> Document {
        let (mut facts, later) = (self.facts(change.column), change.later_facts());
        for name in later.keys() {
            facts.remove(name);
        }
        let retired: Document = RETIRED_FIELDS.map(|name| (name.to_owned(), "".into())).into_iter().collect();
        let mut update = doc! { "$setOnInsert": facts, "$unset": retired };
        if !later.is_empty() {
            update.insert("$set", later);
        }
        doc! { "q": { "_id": id_of(change.column) }, "u": update, "upsert": true }
    }

    /// What is written once, but for the type, to which later loads add.
    fn facts(&self, column: &Column) -> Document {
        let Meaning { path, url, derived, datatype, cell, is_unknown, is_clash: _ } = &column.meaning;
        let Filled { load, part, now, .. } = self.filled;
        let part = i64::try_from(*part).unwrap_or(i64::MAX);
        let first = doc! { "load": load, "at": DateTime::from_millis(*now), "part": part };
        let mut document =
            doc! { "table": &column.table, "column": &column.name, "type": cell, "first": first };
        let optional = [
            ("path", path.as_deref()),
            ("url", url.as_deref()),
            ("derived", *derived),
            ("datatype", *datatype),
        ];
        document.extend(
            optional.into_iter().filter_map(|(name, text)| Some((name.to_owned(), cut(text?).into()))),
        );
        if *is_unknown {
            document.insert("unknown", true);
        }
        document
    }
}

/// The types of cells, in the order in which [`Meaning::cell`] names them.
const TYPES: [&str; 10] =
    ["boolean", "integer", "long", "decimal", "double", "text", "timestamp", "binary", "record", "any"];

/// Returns the types of a column together with those that its entry has, if the entry lacks some: after a change of
/// settings old rows hold decimals and new ones doubles. The order of loads makes no difference.
fn more_types(column: &Column, known: Option<&Known>) -> Option<String> {
    let (known, new) = (known?.types.as_deref()?, column.meaning.cell.as_str());
    if known == new || known.ends_with("[]") != new.ends_with("[]") {
        return None;
    }
    let (known_types, new_types) = (types_in(known), types_in(new));
    let union = TYPES.into_iter().filter(|word| known_types.contains(word) || new_types.contains(word));
    let union = union.collect::<Vec<_>>().join("|") + if new.ends_with("[]") { "[]" } else { "" };
    (union != known).then_some(union)
}

fn types_in(cell: &str) -> Vec<&str> {
    cell.trim_end_matches("[]").split('|').collect()
}

fn id_of(column: &Column) -> String {
    format!("{}.{}", column.table, column.name)
}

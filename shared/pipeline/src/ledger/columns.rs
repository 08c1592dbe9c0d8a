//! The collection `_columns`: what every column means, who filled it first and last, and how often it was filled.
//!
//! `{_id, table, column, path, url, derived, datatype, type, unknown, clash, rows, first, last, marks}`; `_id` is
//! `<table>.<column>`. `rows` counts the rows that loads have made with a value there, those that a newer version
//! has replaced since included. Every attempt leaves a mark of the load and of where in the object it began; a mark
//! that is among the latest sixteen is not counted again. A replay of a load that was counted counts new columns
//! alone. A table has at most 20,000 entries, of which 18,000 can be for elements and extensions that senders named; what
//! comes behind them is counted in the load's `drift.unlisted` and has no entry. Rows are what they are all the same.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use bson::{Bson, DateTime, Document, doc};
use flatten::dictionary::{Column, Dictionary, MAX_COLUMNS, MAX_MADE_UP, Meaning, cut};
use sha2::{Digest, Sha256};

use crate::interrupted::Interrupted;
use crate::object::hex;
use crate::sink::mongodb::{Connection, carried_out, met_duplicates};
use crate::summary::Drift;

use super::{Ledger, MemoryLedger, mongo};

const COLUMNS: &str = "_columns";
/// Columns entered at once.
const AT_ONCE: usize = 500;
/// A message of columns is closed before it grows to this: the database takes 16 MiB.
const MESSAGE_BYTES: usize = 2 << 20;
/// What stands in the entry of a column beside its texts, about.
const ENTRY_BYTES: usize = 1_024;
/// Loads that may come between an attempt and its repetition without its rows being counted twice.
const MARKS: usize = 16;

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
    mark: String,
    /// Whether an earlier run of the load has been counted.
    is_counted: bool,
}

impl Ledger {
    /// Enters columns into the dictionary and says which of them it did not know. The same attempt may be entered
    /// again.
    pub async fn fill(&self, filled: &Filled<'_>) -> Result<Drift, Interrupted> {
        // The first attempt cannot have been counted before.
        let known = if filled.attempt > 1 { self.find(filled.load).await? } else { None };
        let mark = hex(&Sha256::digest(format!("{}#{}", filled.load, filled.part).as_bytes()), 8);
        let entry = Entry { filled, mark, is_counted: known.is_some_and(|load| load.is_counted) };
        let columns: Vec<Column> = filled.columns.columns().collect();
        let mut drift = Drift { unlisted: filled.columns.unlisted(), ..Drift::default() };
        for columns in messages(&columns, filled.load.len()) {
            let known = self.known(columns).await?;
            let mut room = Room::default();
            for table in columns.iter().filter(|column| !known.contains_key(&id_of(column))) {
                if !room.entries.contains_key(&*table.table) {
                    room.entries.insert(&table.table, self.entries_of(&table.table).await?);
                }
            }
            let listed: Vec<&Column> = columns
                .iter()
                .filter(|column| known.contains_key(&id_of(column)) || room.take(column))
                .collect();
            drift.unlisted += (columns.len() - listed.len()) as u64;
            drift += match self {
                Self::Mongo(connection) => fill_mongo(connection, &listed, &known, &entry).await?,
                Self::Memory(ledger) => fill_memory(ledger, &listed, &entry),
            };
        }
        Ok(drift)
    }

    /// Returns the entries that these columns have.
    async fn known(&self, columns: &[Column]) -> Result<BTreeMap<String, Document>, Interrupted> {
        let ids = columns.iter().map(id_of);
        let found = match self {
            Self::Mongo(connection) => look(connection, ids.map(Bson::from).collect()).await?,
            Self::Memory(ledger) => {
                let all = columns_of(ledger);
                ids.filter_map(|id| all.get(&id).cloned()).collect()
            }
        };
        Ok(found
            .into_iter()
            .filter_map(|known| Some((known.get_str("_id").ok()?.to_owned(), known)))
            .collect())
    }

    /// Counts the entries of a table, as far as it matters how many there are.
    async fn entries_of(&self, table: &str) -> Result<usize, Interrupted> {
        // `/` follows `.`.
        let (first, end) = (format!("{table}."), format!("{table}/"));
        match self {
            Self::Mongo(connection) => {
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
            Self::Memory(ledger) => Ok(columns_of(ledger).range(first..end).count()),
        }
    }

    /// The entry of a column, `<table>.<column>`, as a document of `_columns`.
    pub async fn column(&self, id: &str) -> Result<Option<Document>, Interrupted> {
        match self {
            Self::Mongo(connection) => Ok(look(connection, vec![id.into()]).await?.pop()),
            Self::Memory(ledger) => Ok(columns_of(ledger).get(id).cloned()),
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
fn messages(columns: &[Column], load_bytes: usize) -> impl Iterator<Item = &[Column]> {
    let mut rest = columns;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |column: &&Column| {
            let Meaning { path, url, .. } = &column.meaning;
            let texts = [path.as_deref(), url.as_deref()].into_iter().flatten().map(|text| cut(text).len());
            bytes += ENTRY_BYTES + 2 * load_bytes + 3 * (column.table.len() + column.name.len());
            bytes += texts.sum::<usize>();
            bytes <= MESSAGE_BYTES
        };
        let count = rest.iter().take(AT_ONCE).take_while(fits).count().max(1);
        let (message, later) = rest.split_at_checked(count)?;
        rest = later;
        Some(message)
    })
}

async fn fill_mongo(
    connection: &Connection,
    columns: &[&Column],
    known: &BTreeMap<String, Document>,
    entry: &Entry<'_>,
) -> Result<Drift, Interrupted> {
    if columns.is_empty() {
        return Ok(Drift::default());
    }
    let mut drift = Drift::default();
    let mut updates = Vec::new();
    for column in columns {
        let known = known.get(&id_of(column));
        let clashes = clashes(column, known);
        drift += entry.drift(column, known, clashes);
        updates.push(Bson::Document(entry.statement(column, known, clashes)));
    }
    // A column whose mark is known meets itself as a duplicate and stays as it is. So does a new column that another
    // load enters at the same moment: that one is counted when the message is sent once more.
    let command = doc! {
        "update": COLUMNS, "updates": updates, "ordered": false,
        "writeConcern": { "w": "majority", "wtimeout": 20_000 },
    };
    let answer = mongo::run(connection, &command).await?;
    carried_out(&answer)?;
    if met_duplicates(&answer) {
        carried_out(&mongo::run(connection, &command).await?)?;
    }
    Ok(drift)
}

async fn look(connection: &Connection, ids: Vec<Bson>) -> Result<Vec<Document>, Interrupted> {
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let command = doc! {
        "find": COLUMNS, "filter": { "_id": { "$in": ids } }, "batchSize": count, "singleBatch": true,
    };
    let answer = mongo::run(connection, &command).await?;
    Ok(mongo::found(&answer).cloned().collect())
}

fn fill_memory(ledger: &MemoryLedger, columns: &[&Column], entry: &Entry<'_>) -> Drift {
    let mut all = columns_of(ledger);
    let mut drift = Drift::default();
    for column in columns {
        let id = id_of(column);
        let known = all.get(&id);
        let clashes = clashes(column, known);
        drift += entry.drift(column, known, clashes);
        let is_new = known.is_none();
        let document = all.entry(id.clone()).or_insert_with(|| {
            let mut document = doc! { "_id": id, "rows": 0_i64, "marks": [] };
            document.extend(entry.facts(column));
            document
        });
        entry.change(document, column, clashes, is_new);
    }
    drift
}

fn columns_of(ledger: &MemoryLedger) -> MutexGuard<'_, BTreeMap<String, Document>> {
    ledger.columns.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry<'_> {
    /// What is new about a column. Columns that this very part of the load has entered are new to it each time.
    fn drift(&self, column: &Column, known: Option<&Document>, clashes: bool) -> Drift {
        let part = Bson::Int64(count(self.filled.part));
        let is_own = |known: &Document| {
            known.get_document("first").is_ok_and(|first| {
                first.get_str("load").ok() == Some(self.filled.load) && first.get("part") == Some(&part)
            })
        };
        let is_new = known.is_none_or(|known| is_own(known) && !self.is_counted);
        let was_clash = known.is_some_and(|known| known.get_bool("clash").unwrap_or_default());
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

    /// `{q: {_id, marks: {$ne: mark}}, u: {$setOnInsert, $set, $inc, $push}, upsert: true}`
    fn statement(&self, column: &Column, known: Option<&Document>, clashes: bool) -> Document {
        let (mut facts, mut set) = (self.facts(column), doc! { "last": self.moment() });
        if let Some(types) = more_types(column, known) {
            facts.remove("type");
            set.insert("type", types);
        }
        if clashes {
            set.insert("clash", true);
        }
        let rows = count(column.rows);
        if self.is_counted {
            facts.insert("rows", rows);
            let update = doc! { "$setOnInsert": facts, "$set": set };
            return doc! { "q": { "_id": id_of(column) }, "u": update, "upsert": true };
        }
        let marks = doc! { "$each": [&self.mark], "$slice": -i32::try_from(MARKS).unwrap_or(1) };
        let update = doc! {
            "$setOnInsert": facts, "$set": set, "$inc": { "rows": rows }, "$push": { "marks": marks },
        };
        doc! { "q": { "_id": id_of(column), "marks": { "$ne": &self.mark } }, "u": update, "upsert": true }
    }

    /// The same for a document in memory.
    fn change(&self, document: &mut Document, column: &Column, clashes: bool, is_new: bool) {
        let mut marks = document.get_array("marks").cloned().unwrap_or_default();
        let mark = Bson::from(&self.mark);
        if !self.is_counted && marks.contains(&mark) {
            return;
        }
        if !self.is_counted || is_new {
            let rows = document.get_i64("rows").unwrap_or_default();
            document.insert("rows", rows + count(column.rows));
        }
        if !self.is_counted {
            marks.push(mark);
            let surplus = marks.len().saturating_sub(MARKS);
            document.insert("marks", marks.split_off(surplus));
        }
        if let Some(types) = more_types(column, Some(document)) {
            document.insert("type", types);
        }
        document.insert("last", self.moment());
        if clashes {
            document.insert("clash", true);
        }
    }

    /// What is written once, but for the type, to which later loads add.
    fn facts(&self, column: &Column) -> Document {
        let Meaning { path, url, derived, datatype, cell, is_unknown, is_clash: _ } = &column.meaning;
        let mut first = self.moment();
        first.insert("part", count(self.filled.part));
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

    fn moment(&self) -> Document {
        doc! { "load": self.filled.load, "at": DateTime::from_millis(self.filled.now) }
    }
}

/// Whether extensions of two URLs meet in a column, in this load or with an earlier one.
fn clashes(column: &Column, known: Option<&Document>) -> bool {
    let url = column.meaning.url.as_deref().map(cut);
    column.meaning.is_clash || known.is_some_and(|known| known.get_str("url").ok() != url)
}

/// The types of cells, in the order in which [`Meaning::cell`] names them.
const TYPES: [&str; 10] =
    ["boolean", "integer", "long", "decimal", "double", "text", "timestamp", "binary", "record", "any"];

/// Returns the types of a column together with those that its entry has, if the entry lacks some: after a change of
/// settings old rows hold decimals and new ones doubles. The order of loads makes no difference.
fn more_types(column: &Column, known: Option<&Document>) -> Option<String> {
    let (known, new) = (known?.get_str("type").ok()?, column.meaning.cell.as_str());
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

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

//! The dictionary of columns: what every column means, and which load filled it first.
//!
//! An entry is written when a column is new, and again only when its type becomes wider or extensions of two URLs meet
//! in it. A process remembers entries for a while, so that a load whose columns are all known costs no command. A table
//! has at most 20,000 entries, of which 18,000 can be for elements and extensions that senders named; what comes behind
//! them is counted in the load's `drift.unlisted` and has no entry. Rows do not depend on entries.

use std::collections::BTreeMap;

use flatten::column_type::ColumnType;
use flatten::dictionary::{Column, Dictionary, MAX_COLUMNS, MAX_MADE_UP, Meaning, cut};

use crate::interrupted::Interrupted;
use crate::store::{ColumnChange, ColumnEntry, FirstFilled};
use crate::summary::Drift;

use super::Ledger;
use super::known::Known;

/// Columns entered at once.
const AT_ONCE: usize = 500;

/// What one attempt has filled.
#[derive(Debug)]
pub struct FilledColumns<'a> {
    /// The load.
    pub load: &'a str,
    /// The attempt.
    pub attempt: u32,
    /// The ordinal of the first record that has filled them: that at which the attempt began, or its last checkpoint.
    pub first_ordinal: u64,
    /// The columns.
    pub columns: &'a Dictionary,
    /// Now, in milliseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
}

/// What does not change from column to column.
struct Filling<'a> {
    filled: &'a FilledColumns<'a>,
    /// The hash of the load and of the first ordinal.
    origin_hash: u64,
    /// Whether the load has ended before with its columns in the dictionary.
    is_replay: bool,
}

impl Ledger {
    /// Enters columns into the dictionary and says which of them it did not know. The same attempt may be entered
    /// again.
    pub async fn fill(&self, filled: &FilledColumns<'_>) -> Result<Drift, Interrupted> {
        // The first attempt cannot have ended before.
        let load = if filled.attempt > 1 { self.find(filled.load).await? } else { None };
        let entry = Filling {
            filled,
            origin_hash: self.known.origin_hash(filled.load, filled.first_ordinal),
            is_replay: load.is_some_and(|load| load.has_columns),
        };
        let columns: Vec<Column> = filled.columns.columns().collect();
        let mut drift = Drift { unlisted: filled.columns.unlisted(), ..Drift::default() };
        let open = self.known.without_complete(&columns, |column, known| {
            let is_complete = !self.must_be_written(column, Some(known));
            if is_complete {
                drift += entry.drift(column, Some(known), self.clashes(column, Some(known)));
            }
            is_complete
        });
        for columns in open.chunks(AT_ONCE) {
            drift += self.enter(columns, &entry).await?;
        }
        Ok(drift)
    }

    /// Looks for the entries of some columns, and writes those that are missing or lack something.
    async fn enter(&self, columns: &[&Column], entry: &Filling<'_>) -> Result<Drift, Interrupted> {
        let known = self.known_of(columns).await?;
        let mut room = Room::default();
        for column in columns.iter().filter(|column| !known.contains_key(&id_of(column))) {
            if !room.entries.contains_key(&*column.table) {
                let entries = self.store.count_columns(&column.table, MAX_COLUMNS).await?;
                room.entries.insert(&column.table, entries);
            }
        }
        let mut drift = Drift::default();
        let mut changes = Vec::new();
        for column in columns {
            let known = known.get(&id_of(column));
            if known.is_none() && !room.claim(column) {
                drift.unlisted += 1;
                continue;
            }
            let clashes = self.clashes(column, known);
            drift += entry.drift(column, known, clashes);
            match known {
                Some(known) if !self.must_be_written(column, Some(known)) => {
                    self.known.remember(column, known)
                }
                known => changes.push(entry.change(column, known, clashes)),
            }
        }
        if !changes.is_empty() {
            self.store.write_columns(&changes).await?;
        }
        Ok(drift)
    }

    /// Returns the entries that these columns have.
    async fn known_of(&self, columns: &[&Column]) -> Result<BTreeMap<String, Known>, Interrupted> {
        let ids: Vec<String> = columns.iter().map(|column| id_of(column)).collect();
        let found = self.store.find_columns(&ids).await?;
        Ok(found.iter().map(|entry| (entry.id(), self.known.read(entry))).collect())
    }

    /// Returns whether extensions of two URLs meet in a column, in this load or with an earlier one.
    fn clashes(&self, column: &Column, known: Option<&Known>) -> bool {
        let url = self.known.url(column.meaning.url.as_deref().map(cut));
        column.meaning.is_clash || known.is_some_and(|known| known.url != url)
    }

    /// Returns whether the entry of a column is missing or lacks something.
    fn must_be_written(&self, column: &Column, known: Option<&Known>) -> bool {
        known.is_none_or(|known| {
            known.is_outdated
                || (self.clashes(column, Some(known)) && !known.is_clash)
                || wider_type(column, Some(known)).is_some()
        })
    }

    /// Returns the entry of a column, `<table>.<column>`.
    pub async fn column(&self, id: &str) -> Result<Option<ColumnEntry>, Interrupted> {
        Ok(self.store.find_columns(&[id.to_owned()]).await?.pop())
    }
}

/// How many entries the tables of some columns have.
#[derive(Default)]
struct Room<'c> {
    entries: BTreeMap<&'c str, usize>,
}

impl Room<'_> {
    /// Returns whether a column that has no entry may have one, which is then counted.
    fn claim(&mut self, column: &Column) -> bool {
        let Some(entries) = self.entries.get_mut(&*column.table) else { return true };
        let most = if column.meaning.is_made_up() { MAX_MADE_UP } else { MAX_COLUMNS };
        let has_room = *entries < most;
        *entries += usize::from(has_room);
        has_room
    }
}

impl Filling<'_> {
    /// Returns what is new about a column. Columns that the same records have entered are new to them each time.
    fn drift(&self, column: &Column, known: Option<&Known>, clashes: bool) -> Drift {
        let is_new = known.is_none_or(|known| known.first == self.origin_hash && !self.is_replay);
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

    /// Makes the entry of a column, or what changes in the one that it has.
    fn change(&self, column: &Column, known: Option<&Known>, is_clash: bool) -> ColumnChange {
        let FilledColumns { load, first_ordinal, now, .. } = self.filled;
        let first = FirstFilled { load: (*load).to_owned(), at: *now, first_ordinal: *first_ordinal };
        let mut entry = ColumnEntry::new(column, first);
        let wider = wider_type(column, known);
        if wider.is_some() {
            entry.column_type = wider;
        }
        entry.is_clash = is_clash;
        ColumnChange { entry, sets_type: wider.is_some(), sets_clash: is_clash }
    }
}

/// Returns the type that holds a column's cells and those that stand already, if its entry has another: after a change
/// of settings old rows hold decimals and new ones doubles. The order of loads makes no difference.
fn wider_type(column: &Column, known: Option<&Known>) -> Option<ColumnType> {
    let known = known?.column_type?;
    let joined = known.join(column.meaning.column_type);
    (joined != known).then_some(joined)
}

fn id_of(column: &Column) -> String {
    format!("{}.{}", column.table, column.name)
}

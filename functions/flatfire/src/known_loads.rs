//! What the ledger knows of many loads at once. `backfill` and `audit` reach the database through this file alone.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Collection, Cursor};
use pipeline::ledger::Status;

use crate::database::{Database, DatabaseError};
use crate::listing::Selection;
use crate::load::milliseconds_now;

/// Reads the ledger in bulk.
#[derive(Debug)]
pub(crate) struct KnownLoads {
    loads: Collection<Document>,
}

/// Where a load stands, as of now: a status of the ledger, or stuck. Of two, the better one comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LoadState {
    /// Everything is in the tables.
    Done,
    /// Everything but rejects is.
    Partial,
    /// A newer version of the object was loaded before.
    Superseded,
    /// A gate refused it.
    Refused,
    /// An attempt is at it, or was interrupted and will be followed by another.
    Running,
    /// Its last attempt was killed, and its lease has ended.
    Stuck,
    /// Every record is a reject.
    Failed,
    /// The object was deleted before it was loaded.
    Gone,
}

/// What the ledger knows of one load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownLoad {
    /// Where it stands.
    pub(crate) state: LoadState,
    /// What its first notification stated to order versions of equal times.
    pub(crate) sequencer: Option<String>,
}

/// A load by its id, and when its object was made, in milliseconds since 1970-01-01T00:00:00Z.
pub(crate) type GoneLoad = (String, i64);

/// Loads that one query asks for.
const IDS_AT_ONCE: usize = 1_000;

impl KnownLoads {
    /// Reads the ledger of a database.
    pub(crate) fn new(database: &Database) -> Self {
        Self { loads: database.rows.collection("_loads") }
    }

    /// Returns those of these loads that the ledger knows, by id.
    pub(crate) async fn of(&self, ids: &[String]) -> Result<BTreeMap<String, KnownLoad>, DatabaseError> {
        let mut known = BTreeMap::new();
        for ids in ids.chunks(IDS_AT_ONCE) {
            let projection = doc! { "status": 1, "problem": 1, "lease.until": 1, "sequencer": 1 };
            let found = self.loads.find(doc! { "_id": { "$in": ids } }).projection(projection);
            let found: Vec<Document> = found.batch_size(1_000).await?.try_collect().await?;
            let now = DateTime::from_millis(milliseconds_now());
            known.extend(found.iter().filter_map(|load| {
                Some((load.get_str("_id").ok()?.to_owned(), KnownLoad::read(load, now)?))
            }));
        }
        Ok(known)
    }

    /// Returns how many loads the ledger has of the objects that are selected.
    pub(crate) async fn count(&self, selection: &Selection) -> Result<u64, DatabaseError> {
        Ok(self.loads.count_documents(filter(selection)).await?)
    }

    /// Begins to read the loads whose object was gone, of those that are selected.
    pub(crate) async fn gone(&self, selection: &Selection) -> Result<GoneLoads, DatabaseError> {
        let mut filter = filter(selection);
        filter.insert("status", Status::Gone.as_str());
        let found = self.loads.find(filter).projection(doc! { "created": 1 }).sort(doc! { "_id": 1 });
        Ok(GoneLoads(found.await?))
    }
}

/// The loads whose object was gone, one after the other.
pub(crate) struct GoneLoads(Cursor<Document>);

impl GoneLoads {
    /// Returns the next one.
    pub(crate) async fn next(&mut self) -> Result<Option<GoneLoad>, DatabaseError> {
        let Some(load) = self.0.try_next().await? else { return Ok(None) };
        let created = load.get_datetime("created").map(|moment| moment.timestamp_millis());
        Ok(Some((load.get_str("_id").unwrap_or_default().to_owned(), created.unwrap_or_default())))
    }
}

/// Returns the filter of the loads of all objects that are selected. The id begins with bucket and key.
fn filter(selection: &Selection) -> Document {
    let begin = format!("{}/{}", selection.bucket, selection.prefix);
    let mut filter = doc! { "_id": { "$gte": &begin, "$lt": format!("{begin}\u{10ffff}") } };
    if !selection.suffix.is_empty() {
        filter.insert("key", doc! { "$regex": format!("{}$", literal(&selection.suffix)) });
    }
    let mut created = Document::new();
    for (operator, bound) in [("$gte", selection.since), ("$lt", selection.until)] {
        created.extend(bound.map(|bound| (operator.to_owned(), Bson::from(DateTime::from_millis(bound)))));
    }
    if !created.is_empty() {
        filter.insert("created", created);
    }
    filter
}

/// Returns a regular expression that matches exactly this text.
fn literal(text: &str) -> String {
    let special = |character: char| character.is_ascii_punctuation();
    text.chars()
        .flat_map(|character| special(character).then_some('\\').into_iter().chain([character]))
        .collect()
}

impl KnownLoad {
    /// Reads an entry of the ledger; `None` if it has no status of this version.
    fn read(load: &Document, now: DateTime) -> Option<Self> {
        let status = Status::from_word(load.get_str("status").ok()?)?;
        let lease = load.get_document("lease").ok().and_then(|lease| lease.get_datetime("until").ok());
        let is_stuck = status == Status::Running
            && !load.contains_key("problem")
            && lease.is_some_and(|until| *until <= now);
        let state = match status {
            Status::Running if is_stuck => LoadState::Stuck,
            Status::Running => LoadState::Running,
            Status::Done => LoadState::Done,
            Status::Partial => LoadState::Partial,
            Status::Failed => LoadState::Failed,
            Status::Superseded => LoadState::Superseded,
            Status::Gone => LoadState::Gone,
            Status::Refused => LoadState::Refused,
        };
        Some(Self { state, sequencer: load.get_str("sequencer").ok().map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, Document, doc};

    use super::{KnownLoad, LoadState, filter};
    use crate::listing::Selection;

    fn state(load: &Document) -> Option<LoadState> {
        KnownLoad::read(load, DateTime::from_millis(1_000)).map(|load| load.state)
    }

    #[test]
    fn a_load_is_stuck_once_its_lease_has_ended_and_nothing_says_why() {
        let until =
            |until: i64| doc! { "status": "running", "lease": { "until": DateTime::from_millis(until) } };
        assert_eq!(state(&until(1_000)), Some(LoadState::Stuck));
        assert_eq!(state(&until(1_001)), Some(LoadState::Running));
        assert_eq!(state(&doc! { "status": "running", "problem": "p" }), Some(LoadState::Running));
        assert_eq!(state(&doc! { "status": "done" }), Some(LoadState::Done));
        assert_eq!(state(&doc! { "status": "of a later version" }), None);
    }

    #[test]
    fn loads_are_selected_by_place_time_and_ending() {
        let (bucket, prefix, suffix) = ("b".to_owned(), "in/".to_owned(), ".json".to_owned());
        let selection = Selection { bucket, prefix, suffix, since: Some(5), until: None };
        let filter = filter(&selection);
        assert_eq!(filter.get_document("_id").unwrap(), &doc! { "$gte": "b/in/", "$lt": "b/in/\u{10ffff}" });
        assert_eq!(filter.get_document("created").unwrap(), &doc! { "$gte": DateTime::from_millis(5) });
        assert_eq!(filter.get_document("key").unwrap(), &doc! { "$regex": "\\.json$" });
    }
}

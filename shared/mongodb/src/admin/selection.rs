//! Many loads at once: where they stand, and those of the objects of a bucket.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt as _;
use pipeline::ledger::Status;
use pipeline::store::admin::{LoadOutline, LoadSelection, LoadVisitor};

use super::databases::{Databases, text};
use super::failure::DriverFailure;
use crate::collections::LOADS;

/// Loads that one query asks for.
const LOADS_AT_ONCE: usize = 1_000;

pub(super) async fn outlines(
    databases: &Databases,
    loads: &[String],
    now: i64,
) -> Result<BTreeMap<String, LoadOutline>, DriverFailure> {
    let (entries, mut outlines) = (databases.own(LOADS), BTreeMap::new());
    for loads in loads.chunks(LOADS_AT_ONCE) {
        let projection = doc! { "status": 1, "problem": 1, "lease.until": 1, "sequencer": 1 };
        let found = entries.find(doc! { "_id": { "$in": loads } }).projection(projection);
        let found: Vec<Document> = found.batch_size(1_000).await?.try_collect().await?;
        let now = DateTime::from_millis(now);
        outlines.extend(found.iter().filter_map(|load| Some((text(load, "_id")?, outline(load, now)?))));
    }
    Ok(outlines)
}

/// Reads an entry of the ledger; `None`: it has no status of this version of the program.
pub(super) fn outline(load: &Document, now: DateTime) -> Option<LoadOutline> {
    let status = Status::from_word(load.get_str("status").ok()?)?;
    let lease = load.get_document("lease").ok().and_then(|lease| lease.get_datetime("until").ok());
    let is_stuck = status == Status::Running
        && !load.contains_key("problem")
        && lease.is_some_and(|until| *until <= now);
    Some(LoadOutline { status, is_stuck, sequencer: text(load, "sequencer") })
}

pub(super) async fn count(databases: &Databases, selection: &LoadSelection) -> Result<u64, DriverFailure> {
    Ok(databases.own(LOADS).count_documents(filter(selection)).await?)
}

pub(super) async fn visit(
    databases: &Databases,
    selection: &LoadSelection,
    visit: &mut LoadVisitor<'_>,
) -> Result<(), DriverFailure> {
    let loads = databases.own(LOADS);
    let found = loads.find(filter(selection)).projection(doc! { "created": 1 }).sort(doc! { "_id": 1 });
    let mut found = found.await?;
    while let Some(load) = found.try_next().await? {
        let created = load.get_datetime("created").map(|moment| moment.timestamp_millis());
        if visit(load.get_str("_id").unwrap_or_default(), created.unwrap_or_default()).is_break() {
            break;
        }
    }
    Ok(())
}

/// Returns the filter of the loads of all objects that are selected. The id begins with bucket and key.
pub(super) fn filter(selection: &LoadSelection) -> Document {
    let LoadSelection { bucket, prefix, suffix, since, until, status } = selection;
    let begin = format!("{bucket}/{prefix}");
    let mut filter = doc! { "_id": { "$gte": &begin, "$lt": format!("{begin}\u{10ffff}") } };
    if !suffix.is_empty() {
        filter.insert("key", doc! { "$regex": format!("{}$", literal(suffix)) });
    }
    let mut created = Document::new();
    for (operator, bound) in [("$gte", since), ("$lt", until)] {
        created.extend(bound.map(|bound| (operator.to_owned(), Bson::from(DateTime::from_millis(bound)))));
    }
    if !created.is_empty() {
        filter.insert("created", created);
    }
    filter.extend(status.map(|status| ("status".to_owned(), status.as_str().into())));
    filter
}

/// Returns a regular expression that matches exactly this text.
pub(super) fn literal(text: &str) -> String {
    let special = |character: char| character.is_ascii_punctuation();
    text.chars()
        .flat_map(|character| special(character).then_some('\\').into_iter().chain([character]))
        .collect()
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, Document, doc};
    use pipeline::ledger::Status;
    use pipeline::store::admin::LoadSelection;

    use super::{filter, outline};

    fn state(load: &Document) -> Option<(Status, bool)> {
        outline(load, DateTime::from_millis(1_000)).map(|load| (load.status, load.is_stuck))
    }

    #[test]
    fn a_load_is_stuck_once_its_lease_has_ended_and_nothing_says_why() {
        let until =
            |until: i64| doc! { "status": "running", "lease": { "until": DateTime::from_millis(until) } };
        assert_eq!(state(&until(1_000)), Some((Status::Running, true)));
        assert_eq!(state(&until(1_001)), Some((Status::Running, false)));
        assert_eq!(state(&doc! { "status": "running", "problem": "p" }), Some((Status::Running, false)));
        assert_eq!(state(&doc! { "status": "done" }), Some((Status::Done, false)));
        assert_eq!(state(&doc! { "status": "of a later version" }), None);
    }

    #[test]
    fn loads_are_selected_by_place_time_ending_and_status() {
        let (bucket, prefix, suffix) = ("b".to_owned(), "in/".to_owned(), ".json".to_owned());
        let (since, until, status) = (Some(5), None, Some(Status::Gone));
        let filter = filter(&LoadSelection { bucket, prefix, suffix, since, until, status });
        assert_eq!(filter.get_document("_id").unwrap(), &doc! { "$gte": "b/in/", "$lt": "b/in/\u{10ffff}" });
        assert_eq!(filter.get_document("created").unwrap(), &doc! { "$gte": DateTime::from_millis(5) });
        assert_eq!(filter.get_document("key").unwrap(), &doc! { "$regex": "\\.json$" });
        assert_eq!(filter.get_str("status").unwrap(), "gone");
    }
}

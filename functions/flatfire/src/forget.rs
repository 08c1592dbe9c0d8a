//! `flatfire forget`: a resource, and everything that was made of it, goes away for good.

mod referring;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use flatten::reference::{Reference, parse};
use mongodb::Database as Rows;
use mongodb::bson::{Document, doc};
use pipeline::batch::{Fate, ResourceWrite, WriteBatch};
use pipeline::object::{ObjectRef, Pin, Source};
use pipeline::sink::Sink as _;
use pipeline::sink::mongodb::MongoSink;
use pipeline::version::Version;

use crate::console;
use crate::database::{Database, DatabaseError};
use crate::load::milliseconds_now;
use crate::origin;
use crate::outcome::Outcome;
use crate::settings::Destination;

/// Remove every row of resources from all tables, the archive and the rejects.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct Forget {
    #[command(flatten)]
    destination: Destination,
    /// Forget also the resources that refer to them; every table is read for that
    #[arg(long)]
    referring: bool,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// The resources, as `Patient/123`
    #[arg(required = true, value_name = "TYPE/ID")]
    keys: Vec<String>,
}

const NOTES: &str = "\
What remains is a tombstone with the key and the moment of forgetting, so that older versions that arrive late, or are
loaded again, do not bring the resource back; a version that is newer than the forgetting does.

Not in the database, and so not removed here: the original files, backups, and whoever has copied rows.

Exit codes: 0 forgotten, 1 failed.";

/// Where something of a resource stands, and the newest version of it.
#[derive(Debug, Default)]
struct Found {
    places: Vec<(String, u64)>,
    /// The tables among the places.
    tables: Vec<String>,
    newest: Option<String>,
}

/// Forgets all resources that the arguments name.
pub(crate) async fn run(arguments: Forget) -> anyhow::Result<Outcome> {
    let mut keys: BTreeSet<String> =
        arguments.keys.iter().map(|key| resource_key(key)).collect::<anyhow::Result<_>>()?;
    let database = arguments.destination.connect().await?;
    if arguments.referring {
        let named = keys.clone();
        keys.extend(referring::to(&database, &named).await?);
    }
    let sink = MongoSink::new(database.connection.clone(), database.archive.name());
    for key in &keys {
        let found = find(&database, key).await?;
        if !arguments.dry_run {
            remove(&database, &sink, key, &found).await.with_context(|| format!("{key} is not forgotten"))?;
        }
        let fate = if arguments.dry_run { "would be forgotten" } else { "forgotten" };
        console::print(&format!("{key}: {fate}{}", listed(&found)))?;
    }
    Ok(Outcome::Done)
}

/// The key that a text names, by type and id.
fn resource_key(text: &str) -> anyhow::Result<String> {
    match parse(text) {
        Reference::Resource { kind, id } if text == format!("{kind}/{id}") => Ok(text.to_owned()),
        // A resource without an id has a key made of its bytes.
        _ if text.split_once("/~").is_some_and(|(_, digest)| digest.len() == 32) => Ok(text.to_owned()),
        _ => bail!("`{text}` names no resource; write it as Patient/123"),
    }
}

fn listed(found: &Found) -> String {
    let places = found.places.iter().map(|(place, count)| format!("{count} in {place}"));
    let places: Vec<_> = places.collect();
    if places.is_empty() {
        "; nothing of it stands anywhere".to_owned()
    } else {
        format!("; {}", places.join(", "))
    }
}

/// Everything that stands under a key: rows, rows aside of it, its archived form, rejects that name it.
async fn find(database: &Database, key: &str) -> Result<Found, DatabaseError> {
    let mut found = Found::default();
    let by_id = under(key);
    for (name, table) in tables_of(database).await? {
        let collection = table.collection::<Document>(&name);
        let count = collection.count_documents(by_id.clone()).await?;
        if count == 0 {
            continue;
        }
        let newest = collection.find_one(by_id.clone()).sort(doc! { "_version": -1 }).await?;
        let newest = newest.and_then(|row| row.get_str("_version").ok().map(str::to_owned));
        found.newest = found.newest.max(newest);
        if table.name() == database.rows.name() {
            found.tables.push(name.clone());
            found.places.push((name, count));
        } else {
            found.places.push((format!("archive {name}"), count));
        }
    }
    let rejects = database.rows.collection::<Document>("_rejects").count_documents(rejects_of(key)).await?;
    if rejects > 0 {
        found.places.push(("_rejects".to_owned(), rejects));
    }
    Ok(found)
}

/// Removes it the way a DELETE entry does, so that no writer who is at work now can bring it back, and looks whether
/// it is gone.
async fn remove(database: &Database, sink: &MongoSink, key: &str, found: &Found) -> anyhow::Result<()> {
    let written = sink
        .write(deletion(key, found))
        .await
        .map_err(|error| anyhow::Error::msg(console::explained(&error)))?;
    let rejects = database.rows.collection::<Document>("_rejects");
    rejects.delete_many(rejects_of(key)).await.map_err(DatabaseError::from)?;
    let left = find(database, key).await?;
    if written.deleted != 1 || !left.places.is_empty() {
        bail!("somebody writes it at the same time{}; try again", listed(&left));
    }
    Ok(())
}

/// A deletion that is newer than everything that stands.
fn deletion(key: &str, found: &Found) -> WriteBatch {
    let kind = key.split('/').next().unwrap_or_default().to_owned();
    let others = found.tables.iter().filter(|table| **table != kind).cloned();
    let tables = [kind.clone()].into_iter().chain(others).collect();
    let now = milliseconds_now();
    let newest = found.newest.as_deref().and_then(origin::nanoseconds);
    let newest = newest.and_then(|newest| i64::try_from(newest / 1_000_000).ok());
    // No version is newer than its object, so the object is as new as it has to be.
    let after_all = newest.map_or(now, |newest| now.max(newest + 1));
    let object = ObjectRef {
        bucket: "flatfire".to_owned(),
        key: "forget".to_owned(),
        pin: Pin::Latest,
        sequencer: None,
        created: after_all,
        size: None,
    };
    let source = Source { object: Arc::new(object), ordinal: 0, offset: 0, length: 0, line: 1 };
    let resource = ResourceWrite {
        key: key.to_owned(),
        resource_type: kind.into(),
        version: Version::new(None, &source),
        source,
        tables,
        fate: Fate::Deleted,
    };
    WriteBatch { resources: vec![resource], ..WriteBatch::default() }
}

/// What belongs to a key: itself and everything that goes on with `#`. `$` follows `#`.
fn under(key: &str) -> Document {
    doc! { "$or": [{ "_id": key }, { "_id": { "$gte": format!("{key}#"), "$lt": format!("{key}$") } }] }
}

fn rejects_of(key: &str) -> Document {
    doc! { "resource": key }
}

/// All tables and all collections of the archive, each with its database.
async fn tables_of(database: &Database) -> Result<Vec<(String, &Rows)>, DatabaseError> {
    let mut tables = Vec::new();
    for place in [&database.rows, &database.archive] {
        let mut names = place.list_collection_names().await?;
        names.retain(|name| !name.starts_with('_') && !name.starts_with("system."));
        names.sort();
        tables.extend(names.into_iter().map(|name| (name, place)));
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::{Found, deletion, origin, resource_key};

    #[test]
    fn keys_are_types_and_ids() {
        for good in ["Patient/123", "Patient/~0123456789abcdef0123456789abcdef"] {
            assert_eq!(resource_key(good).unwrap(), good);
        }
        for bad in
            ["Patient", "123", "Patient/a b", "https://x.example/Patient/1", "Patient/1/_history/2", ""]
        {
            assert!(resource_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_forgetting_is_newer_than_what_stands() {
        let standing = deletion("Patient/1", &Found::default()).resources.remove(0).version;
        let far = format!(
            "{:028x}.x",
            origin::nanoseconds(standing.as_str()).unwrap() + (1 << 90) + 1_000_000_000_000_000_000
        );
        for newest in [None, Some(standing.as_str().to_owned()), Some(far)] {
            let found = Found { newest: newest.clone(), ..Found::default() };
            let deletion = deletion("Patient/1", &found).resources.remove(0).version;
            assert!(newest.is_none_or(|newest| deletion.as_str() > newest.as_str()));
        }
    }
}

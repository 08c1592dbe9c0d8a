//! The objects that held what is erased: how to remove it there, and their names in the database.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use mongodb::Database as Rows;
use mongodb::bson::{Bson, Document, doc};
use pipeline::erasure::{ERASURES, Marks};

use super::standing::{Record, Standing, tables_of};
use crate::database::{Database, DatabaseError};

/// Loads that are asked for at once.
const LOADS_AT_ONCE: usize = 1_000;

/// What the objects of an erasure held, by load.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) records: BTreeMap<String, Record>,
    /// The loads to which nothing else points that stands in the tables, the archive or the rejects.
    pub(super) alone: BTreeSet<String>,
    /// How many records an object has, where the ledger says so.
    counts: BTreeMap<String, i64>,
}

impl Objects {
    /// Looks at the objects of everything that is going to be erased.
    pub(super) async fn of<'a>(
        database: &Database,
        standing: impl Iterator<Item = &'a Standing>,
    ) -> Result<Self, DatabaseError> {
        let mut records: BTreeMap<String, Record> = BTreeMap::new();
        for (load, record) in standing.flat_map(|standing| &standing.records) {
            let whole = records.entry(load.clone()).or_insert_with(|| Record {
                ranges: BTreeSet::new(),
                documents: 0,
                ..record.clone()
            });
            whole.ranges.extend(&record.ranges);
            whole.documents += record.documents;
        }
        let loads: Vec<&String> = records.keys().collect();
        let pointing = pointing(database, &loads).await?;
        let is_alone = |(load, record): &(&String, &Record)| pointing.get(*load) == Some(&record.documents);
        let alone = records.iter().filter(is_alone).map(|(load, _)| load.clone()).collect();
        let counts = counts(database, &loads).await?;
        Ok(Self { records, alone, counts })
    }

    /// Says, object by object, what to do so that it holds nothing of what is erased.
    pub(super) fn advice(&self) -> Vec<String> {
        self.records.iter().map(|(load, record)| self.advice_of(load, record)).collect()
    }

    fn advice_of(&self, load: &str, record: &Record) -> String {
        let Record { bucket, key, version, ranges, .. } = record;
        let offsets: BTreeSet<i64> = ranges.iter().map(|(offset, _)| *offset).collect();
        let held_nothing_else = self.counts.get(load) == i64::try_from(offsets.len()).ok().as_ref();
        let name = if bucket == "file" { key.clone() } else { format!("s3://{bucket}/{key}") };
        let of_version = version.as_ref().map(|version| format!(" version {version}")).unwrap_or_default();
        if !held_nothing_else {
            let ranges: Vec<_> = ranges.iter().map(|range| bytes(*range)).collect();
            return format!(
                "# {name}{of_version} also holds others: replace it with a file without bytes {}, counted after \
                 decompression, and delete this version",
                ranges.join(", ")
            );
        }
        if bucket == "file" {
            return format!("rm -- {}", quoted(key));
        }
        let version = version.as_ref().map(|version| format!(" --version-id {}", quoted(version)));
        let version = version.unwrap_or_default();
        format!("aws s3api delete-object --bucket {} --key {}{version}", quoted(bucket), quoted(key))
    }

    /// Returns what `_erasures` keeps of the objects of one resource. The name of an object that held nothing else is
    /// replaced by its mark.
    pub(super) fn kept(&self, standing: &Standing, marks: &Marks) -> Vec<Bson> {
        let of_load = |(load, record): (&String, &Record)| {
            let Record { bucket, key, version, ranges, .. } = record;
            let key =
                if self.alone.contains(load) { marks.of_object(&name(bucket, key)) } else { key.clone() };
            let ranges: Vec<_> = (ranges.iter())
                .map(|&(offset, length)| doc! { "offset": offset, "length": length })
                .collect();
            Bson::from(doc! { "bucket": bucket, "key": key, "versionId": version.clone(), "ranges": ranges })
        };
        standing.records.iter().map(of_load).collect()
    }

    /// Replaces the names of objects that held nothing else by their marks, in the ledger and wherever a load is named.
    /// Returns the names that stay: somebody is loading these objects at the moment, or has loaded more of them.
    pub(super) async fn rename(
        &self,
        database: &Database,
        marks: &Marks,
    ) -> Result<Vec<String>, DatabaseError> {
        let loads: Vec<&String> = self.alone.iter().collect();
        let pointing = pointing(database, &loads).await?;
        let mut stay = Vec::new();
        for load in loads {
            let Some(record) = self.records.get(load) else { continue };
            if pointing.contains_key(load) || !rename_one(&database.rows, load, record, marks).await? {
                stay.push(name(&record.bucket, &record.key));
            }
        }
        Ok(stay)
    }
}

/// Renames a load; `false`: it is being loaded.
async fn rename_one(rows: &Rows, load: &str, record: &Record, marks: &Marks) -> Result<bool, DatabaseError> {
    let Record { bucket, key, .. } = record;
    let mark = marks.of_object(&name(bucket, key));
    let pin = load.strip_prefix(&format!("{bucket}/{key}")).unwrap_or_default();
    let renamed = format!("{bucket}/{mark}{pin}");
    let loads = rows.collection::<Document>("_loads");
    if let Some(entry) = loads.find_one(doc! { "_id": load }).await? {
        if entry.get_str("status").is_ok_and(|status| status == "running") {
            return Ok(false);
        }
        let revision = entry.get("revision").cloned().unwrap_or(Bson::Null);
        let mut anonymous = entry;
        anonymous.insert("_id", &renamed);
        anonymous.insert("key", &mark);
        loads.replace_one(doc! { "_id": &renamed }, &anonymous).upsert(true).await?;
        if loads.delete_one(doc! { "_id": load, "revision": revision }).await?.deleted_count == 0 {
            loads.delete_one(doc! { "_id": &renamed }).await?;
            return Ok(false);
        }
    }
    let columns = rows.collection::<Document>("_columns");
    for field in ["first.load", "last.load"] {
        columns.update_many(doc! { field: load }, doc! { "$set": { field: &renamed } }).await?;
    }
    // Erasures before this one, when the object still held others.
    let erasures = rows.collection::<Document>(ERASURES);
    let of_object = doc! { "o.bucket": bucket, "o.key": key };
    erasures
        .update_many(
            doc! { "objects": { "$elemMatch": { "bucket": bucket, "key": key } } },
            doc! { "$set": { "objects.$[o].key": &mark } },
        )
        .array_filters([of_object])
        .await?;
    Ok(true)
}

/// Returns how many documents point to each load. No index helps: every table is read.
async fn pointing(database: &Database, loads: &[&String]) -> Result<BTreeMap<String, u64>, DatabaseError> {
    let mut pointing: BTreeMap<String, u64> = BTreeMap::new();
    let mut tables = tables_of(database).await?;
    tables.push(("_rejects".to_owned(), &database.rows));
    for loads in loads.chunks(LOADS_AT_ONCE) {
        let loads: Vec<&str> = loads.iter().map(|load| load.as_str()).collect();
        for (name, place) in &tables {
            let stages = [
                doc! { "$match": { "_load": { "$in": &loads } } },
                doc! { "$group": { "_id": "$_load", "documents": { "$sum": 1_i64 } } },
            ];
            let mut counted = place.collection::<Document>(name).aggregate(stages).await?;
            while let Some(counted) = counted.try_next().await? {
                let documents = counted.get_i64("documents").ok().and_then(|count| u64::try_from(count).ok());
                if let Ok(load) = counted.get_str("_id") {
                    *pointing.entry(load.to_owned()).or_default() += documents.unwrap_or_default();
                }
            }
        }
    }
    Ok(pointing)
}

/// How many records the ledger has counted in each object.
async fn counts(database: &Database, loads: &[&String]) -> Result<BTreeMap<String, i64>, DatabaseError> {
    let mut counts = BTreeMap::new();
    for loads in loads.chunks(LOADS_AT_ONCE) {
        let loads: Vec<&str> = loads.iter().map(|load| load.as_str()).collect();
        let entries = database.rows.collection::<Document>("_loads");
        let entries = entries.find(doc! { "_id": { "$in": loads } }).projection(doc! { "counts.records": 1 });
        let entries: Vec<Document> = entries.await?.try_collect().await?;
        counts.extend(entries.iter().filter_map(|entry| {
            let records = entry.get_document("counts").ok()?.get_i64("records").ok()?;
            Some((entry.get_str("_id").ok()?.to_owned(), records))
        }));
    }
    Ok(counts)
}

fn name(bucket: &str, key: &str) -> String {
    format!("{bucket}/{key}")
}

fn bytes((offset, length): (i64, i64)) -> String {
    format!("{offset}-{}", offset + length - 1)
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Objects, Record};

    #[test]
    fn the_advice_is_a_command_where_the_object_held_nothing_else() {
        let record = |bucket: &str, version: Option<&str>| Record {
            bucket: bucket.to_owned(),
            key: "a b's.json".to_owned(),
            version: version.map(str::to_owned),
            ranges: [(0, 10), (20, 5)].into(),
            documents: 7,
        };
        let records = BTreeMap::from([
            ("1".to_owned(), record("clinic", Some("v1"))),
            ("2".to_owned(), record("clinic", Some("v2"))),
            ("3".to_owned(), record("file", None)),
        ]);
        let counts = BTreeMap::from([("1".to_owned(), 2), ("2".to_owned(), 3), ("3".to_owned(), 2)]);
        let advice = Objects { records, counts, ..Objects::default() }.advice();
        assert_eq!(
            advice,
            [
                r"aws s3api delete-object --bucket 'clinic' --key 'a b'\''s.json' --version-id 'v1'",
                "# s3://clinic/a b's.json version v2 also holds others: replace it with a file without bytes 0-9, \
                 20-24, counted after decompression, and delete this version",
                r"rm -- 'a b'\''s.json'",
            ]
        );
    }
}

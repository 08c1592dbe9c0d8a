//! The objects that held what is erased: how to remove it there, and their names in the database.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::erasure::ErasureMarks;
use pipeline::store::admin::{ErasedObject, ObjectName};
use pipeline::store::standing::{RecordsOfObject, Standing};
use pipeline::store::{Store, StoreError};

/// What the objects of an erasure held, by load.
#[derive(Debug, Default)]
pub(super) struct ErasedObjects {
    pub(super) records: BTreeMap<String, RecordsOfObject>,
    /// The loads to which nothing else points that stands in the tables, the archive or the rejects.
    pub(super) alone: BTreeSet<String>,
    /// How many records an object has, where the ledger says so.
    counts: BTreeMap<String, u64>,
}

impl ErasedObjects {
    /// Looks at the objects of everything that is going to be erased.
    pub(super) async fn of<'a>(
        store: &dyn Store,
        standing: impl Iterator<Item = &'a Standing>,
    ) -> Result<Self, StoreError> {
        let mut records: BTreeMap<String, RecordsOfObject> = BTreeMap::new();
        for (load, record) in standing.flat_map(|standing| &standing.records) {
            let whole = records.entry(load.clone()).or_insert_with(|| RecordsOfObject {
                ranges: BTreeSet::new(),
                documents: 0,
                ..record.clone()
            });
            whole.ranges.extend(&record.ranges);
            whole.documents += record.documents;
        }
        let loads: Vec<&str> = records.keys().map(String::as_str).collect();
        let pointing = store.count_documents(&loads).await?;
        let is_alone =
            |(load, record): &(&String, &RecordsOfObject)| pointing.get(*load) == Some(&record.documents);
        let alone = records.iter().filter(is_alone).map(|(load, _)| load.clone()).collect();
        let counts = store.count_records(&loads).await?;
        Ok(Self { records, alone, counts })
    }

    /// Says, object by object, what to do so that it holds nothing of what is erased.
    pub(super) fn advice(&self) -> Vec<String> {
        self.records.iter().map(|(load, record)| self.advice_of(load, record)).collect()
    }

    fn advice_of(&self, load: &str, record: &RecordsOfObject) -> String {
        let RecordsOfObject { bucket, key, version_id, ranges, .. } = record;
        let offsets: BTreeSet<u64> = ranges.iter().map(|(offset, _)| *offset).collect();
        let held_nothing_else = self.counts.get(load) == Some(&(offsets.len() as u64));
        let name = if bucket == "file" { key.clone() } else { format!("s3://{bucket}/{key}") };
        let of_version = version_id.as_ref().map(|version| format!(" version {version}")).unwrap_or_default();
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
        let version = version_id.as_ref().map(|version| format!(" --version-id {}", quoted(version)));
        let version = version.unwrap_or_default();
        format!("aws s3api delete-object --bucket {} --key {}{version}", quoted(bucket), quoted(key))
    }

    /// Returns what is kept of the objects of one resource. The name of an object that held nothing else is replaced by
    /// its mark.
    pub(super) fn kept(&self, standing: &Standing, marks: &ErasureMarks) -> Vec<ErasedObject> {
        let of_load = |(load, record): (&String, &RecordsOfObject)| {
            let RecordsOfObject { bucket, key, version_id, ranges, .. } = record;
            let key =
                if self.alone.contains(load) { marks.of_object(&name(bucket, key)) } else { key.clone() };
            let (version_id, ranges) = (version_id.clone(), ranges.iter().copied().collect());
            ErasedObject { bucket: bucket.clone(), key, version_id, ranges }
        };
        standing.records.iter().map(of_load).collect()
    }

    /// Replaces the names of objects that held nothing else by their marks, in the ledger and wherever a load is named.
    /// Returns the names that stay, because these objects are being loaded or more of them has been loaded.
    pub(super) async fn rename(
        &self,
        store: &dyn Store,
        marks: &ErasureMarks,
    ) -> Result<Vec<String>, StoreError> {
        let loads: Vec<&str> = self.alone.iter().map(String::as_str).collect();
        let pointing = store.count_documents(&loads).await?;
        let mut stay = Vec::new();
        for load in loads {
            let Some(RecordsOfObject { bucket, key, .. }) = self.records.get(load) else { continue };
            let (object, name) = (ObjectName { bucket: bucket.clone(), key: key.clone() }, name(bucket, key));
            let mark = marks.of_object(&name);
            if pointing.contains_key(load) || !store.rename_object(load, &object, &mark).await? {
                stay.push(name);
            }
        }
        Ok(stay)
    }
}

fn name(bucket: &str, key: &str) -> String {
    format!("{bucket}/{key}")
}

fn bytes((offset, length): (u64, u64)) -> String {
    format!("{offset}-{}", (offset + length).saturating_sub(1))
}

/// Returns the text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ErasedObjects, RecordsOfObject};

    #[test]
    fn the_advice_is_a_command_where_the_object_held_nothing_else() {
        let record = |bucket: &str, version: Option<&str>| RecordsOfObject {
            bucket: bucket.to_owned(),
            key: "a b's.json".to_owned(),
            version_id: version.map(str::to_owned),
            ranges: [(0, 10), (20, 5)].into(),
            documents: 7,
        };
        let records = BTreeMap::from([
            ("1".to_owned(), record("clinic", Some("v1"))),
            ("2".to_owned(), record("clinic", Some("v2"))),
            ("3".to_owned(), record("file", None)),
        ]);
        let counts = BTreeMap::from([("1".to_owned(), 2), ("2".to_owned(), 3), ("3".to_owned(), 2)]);
        let advice = ErasedObjects { records, counts, ..ErasedObjects::default() }.advice();
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

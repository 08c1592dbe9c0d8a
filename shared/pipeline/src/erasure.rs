//! Erasures: a resource leaves the database for good, and a mark that does not say its key keeps it out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hmac::digest::Key;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::batch::{Fate, ResourceWrite, WriteBatch};
use crate::interrupted::Interrupted;
use crate::object::{ObjectRef, Pin, Source, hex};
use crate::store::RowStore;
use crate::version::Version;

/// Every mark begins with it. It sorts behind the first letter of every resource type.
pub const MARK_PREFIX: &str = "~";

/// Makes the marks of erased resources, with the secret of a database. The same key has the same mark in all programs
/// that write to the database; without the secret nobody can find out which key a mark stands for.
#[derive(Clone)]
pub struct ErasureMarks {
    keyed: Hmac<Sha256>,
}

/// The collection of what was erased by whom and why. It also holds the secret of the marks.
pub const ERASURES: &str = "_erasures";
/// The `_id` of the secret.
pub const SECRET_ID: &str = "secret";
/// The length of a secret.
pub const SECRET_BYTES: usize = 32;

/// What is hashed, so that a key and a file name of the same text have different marks.
const RESOURCE: &[u8] = b"resource/";
const OBJECT: &[u8] = b"object/";

impl ErasureMarks {
    /// Makes marks with a secret.
    #[must_use]
    pub fn new(secret: &[u8; SECRET_BYTES]) -> Self {
        // RFC 2104: a key that is shorter than a block is padded with zeros.
        let mut block = Key::<Hmac<Sha256>>::default();
        block.iter_mut().zip(secret).for_each(|(byte, secret)| *byte = *secret);
        Self { keyed: Hmac::new(&block) }
    }

    /// Returns the mark of a resource's key: `~` and the HMAC-SHA-256 in hex.
    #[must_use]
    pub fn of_resource(&self, key: &str) -> String {
        self.hashed(RESOURCE, key)
    }

    /// Returns what replaces the name of an object, such as `bucket/key`.
    #[must_use]
    pub fn of_object(&self, name: &str) -> String {
        self.hashed(OBJECT, name)
    }

    fn hashed(&self, domain: &[u8], name: &str) -> String {
        let mut keyed = self.keyed.clone();
        keyed.update(domain);
        keyed.update(name.as_bytes());
        format!("{MARK_PREFIX}{}", hex(&keyed.finalize().into_bytes(), 32))
    }
}

impl fmt::Debug for ErasureMarks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ErasureMarks(…)")
    }
}

/// Erases resources from a store.
#[derive(Debug)]
pub struct Eraser<'a> {
    store: &'a dyn RowStore,
    marks: ErasureMarks,
}

/// How often an erasure starts again because another writer has written the resource meanwhile.
const ROUNDS: usize = 5;

impl<'a> Eraser<'a> {
    /// Makes an eraser. The marks must be those of the store.
    pub const fn new(store: &'a dyn RowStore, marks: ErasureMarks) -> Self {
        Self { store, marks }
    }

    /// Erases a resource and looks whether it is gone. Another writer may have begun to fill a table that was not there
    /// before: then the erasure starts again, with that table too. Returns `false` if something stands even after
    /// several rounds.
    ///
    /// `tables` are those that can hold rows of the resource. `standing` returns the tables in which rows of it stand,
    /// or `None` if nothing of it stands anywhere: no row, no archived form, no tombstone and no reject that names it.
    pub async fn erase<E: From<Interrupted>>(
        &self,
        key: &str,
        mut tables: BTreeSet<String>,
        standing: impl AsyncFn() -> Result<Option<BTreeSet<String>>, E>,
    ) -> Result<bool, E> {
        tables.insert(type_of(key).to_owned());
        for _ in 0..ROUNDS {
            let written = self.store.write(batch(key, tables.iter().cloned().collect(), &self.marks)).await?;
            if written.rejected > 0 {
                return Err(Interrupted::Write { code: "the database refuses the mark".to_owned() }.into());
            }
            match standing().await? {
                None => return Ok(true),
                Some(left) => tables.extend(left),
            }
        }
        Ok(false)
    }
}

/// Returns the batch that erases a resource: [`RowStore::write`] writes its mark and then removes
/// whatever stands under the key, in the tables, the archive and the tombstones. `tables` are those that can hold rows
/// of it.
#[must_use]
pub fn batch(key: &str, tables: Vec<String>, marks: &ErasureMarks) -> WriteBatch {
    let (bucket, object) = (String::new(), String::new());
    let object = ObjectRef { bucket, key: object, pin: Pin::Latest, sequencer: None, created: 0, size: None };
    let resource = ResourceWrite {
        hash: None,
        key: key.to_owned(),
        resource_type: type_of(key).into(),
        version: Version::erased(),
        source: Source { object: Arc::new(object), ordinal: 0, offset: 0, length: 0, line: 0 },
        tables: tables.into(),
        fate: Fate::Erased { mark: marks.of_resource(key) },
    };
    WriteBatch { resources: vec![resource], ..WriteBatch::default() }
}

fn type_of(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::ErasureMarks;

    #[test]
    fn a_mark_is_the_keyed_hash_of_a_kind_and_a_name() {
        let marks = ErasureMarks::new(&[7; 32]);
        let mark = marks.of_resource("Patient/1");
        // printf resource/Patient/1 | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
        assert_eq!(mark, "~0343ad11515c6faa03c43d1cd84aab1764bbc9fc57fd122b47c55364703d15ab");
        assert!(mark.as_str() > "zzz");
        let others = [
            marks.of_resource("Patient/2"),
            marks.of_object("Patient/1"),
            ErasureMarks::new(&[8; 32]).of_resource("Patient/1"),
        ];
        assert!(others.iter().all(|other| *other != mark && other.len() == mark.len()));
        assert_eq!(format!("{marks:?}"), "ErasureMarks(…)");
    }
}

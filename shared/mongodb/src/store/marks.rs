//! Tombstones and marks: who has deleted or erased the resources of a batch.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document as BsonDocument, RawDocumentBuf, Uuid, doc};

use crate::codes::DatabaseFault;
use crate::collections::{REJECTS, TOMBSTONES};
use crate::encode::BsonWriter;
use pipeline::batch::{Reject, WriteBatch};
use pipeline::erasure::{ERASURES, ErasureMarks, MARK_PREFIX, SECRET_BYTES, SECRET_ID};
use pipeline::interrupted::Interrupted;

use crate::replacement::{BatchDocument, DocumentPlace};

use super::chunks::{UPDATE, cut};
use super::{MongoStore, statements};
use crate::answers::{carried_out, first_batch};
use crate::connection::Connection;
use crate::trouble::Trouble;

/// How long the server waits for a majority, in milliseconds.
const MAJORITY_WITHIN_MS: i32 = 20_000;

impl Connection {
    /// Returns what makes the marks of this database, with a secret that is made if there is none.
    pub async fn marks(&self) -> Result<ErasureMarks, Interrupted> {
        let make = async {
            let random = [Uuid::new().bytes(), Uuid::new().bytes()].concat();
            let secret = Binary { subtype: BinarySubtype::Generic, bytes: random };
            let update = doc! { "q": { "_id": SECRET_ID }, "u": { "$setOnInsert": { "key": secret } }, "upsert": true };
            carried_out(
                &self
                    .answer(&doc! {
                        "update": ERASURES,
                        "updates": [update],
                        "writeConcern": { "w": "majority", "wtimeout": MAJORITY_WITHIN_MS },
                    })
                    .await?,
            )?;
            // Of two that make one at the same time, both take the one that stands.
            self.read_marks().await
        };
        Ok(self.secret().get_or_try_init(|| make).await?.clone())
    }

    /// Returns what makes the marks of a database that holds some.
    async fn known_marks(&self) -> Result<&ErasureMarks, Interrupted> {
        self.secret().get_or_try_init(|| self.read_marks()).await
    }

    /// Reads the secret of the marks. Without it no mark could be recognised, and what was erased would come back: then
    /// nothing is written.
    async fn read_marks(&self) -> Result<ErasureMarks, Interrupted> {
        let find = doc! { "find": ERASURES, "filter": { "_id": SECRET_ID }, "limit": 1, "singleBatch": true };
        let secret = first_batch(self.answer(&find).await?).next();
        let secret = secret.and_then(|secret| {
            <[u8; SECRET_BYTES]>::try_from(secret.get_binary_generic("key").ok()?.as_slice()).ok()
        });
        secret.map(|secret| ErasureMarks::new(&secret)).ok_or_else(|| Interrupted::Stopped {
            code: DatabaseFault::ErasureSecretMissing.as_str().to_owned(),
            remedy: "bring it back from a backup: without it, what was erased would come back".to_owned(),
        })
    }

    pub(super) async fn answer(&self, command: &BsonDocument) -> Result<BsonDocument, Trouble> {
        let command = RawDocumentBuf::try_from(command).map_err(|_| Trouble::Document(0))?;
        self.run(self.database(), command).await
    }
}

impl MongoStore {
    /// Returns what makes the marks of erased resources.
    pub async fn marks(&self) -> Result<ErasureMarks, Interrupted> {
        self.connection.marks().await
    }

    /// Takes the mark of an erased resource away: it may be written again. `false`: there is none.
    pub async fn lift(&self, key: &str) -> Result<bool, Interrupted> {
        if !self.any_mark().await? {
            return Ok(false);
        }
        let mark = self.connection.known_marks().await?.of_resource(key);
        let delete = doc! {
            "delete": TOMBSTONES,
            "deletes": [{ "q": { "_id": mark }, "limit": 1 }],
            "writeConcern": { "w": "majority", "wtimeout": MAJORITY_WITHIN_MS },
        };
        let answer = self.connection.answer(&delete).await?;
        carried_out(&answer)?;
        Ok(answer.get_i32("n").unwrap_or_default() > 0)
    }

    /// Returns the versions of the documents' tombstones, or of their marks where those are newer.
    pub(super) async fn tombstones(
        &self,
        batch: &WriteBatch,
        documents: &[BatchDocument],
    ) -> Result<Vec<Option<String>>, Interrupted> {
        if !self.any_tombstone().await? {
            return Ok(vec![None; documents.len()]);
        }
        let keys = || {
            documents.iter().filter_map(|document| document.write_of(batch)).map(|write| write.key.as_str())
        };
        if !self.marks_seen.load(Ordering::Relaxed) {
            let ids: Vec<&str> = keys().collect();
            let found = self.versions_under(statements::find_tombstones(TOMBSTONES, &ids)).await?;
            if found.keys().next_back().is_none_or(|last| !last.starts_with(MARK_PREFIX)) {
                return Ok(keys().map(|key| found.get(key).cloned()).collect());
            }
            self.marks_seen.store(true, Ordering::Relaxed);
        }
        let marks = self.connection.known_marks().await?;
        let marks: Vec<String> = keys().map(|key| marks.of_resource(key)).collect();
        let ids: Vec<&str> = keys().chain(marks.iter().map(String::as_str)).collect();
        let found = self.versions_under(statements::find_versions(TOMBSTONES, ids.into_iter())).await?;
        let newer = |(key, mark): (&str, &String)| found.get(key).max(found.get(mark)).cloned();
        Ok(keys().zip(&marks).map(newer).collect())
    }

    async fn versions_under(&self, command: BsonWriter) -> Result<BTreeMap<String, String>, Interrupted> {
        let answer = self.find(DocumentPlace::Tombstones, command).await?;
        Ok(super::versions_of(answer))
    }

    /// Returns whether there is any tombstone or mark. As long as none is known, one read for any stands for the read of
    /// each: it comes after the rows, and a writer of a later tombstone reads the rows itself.
    async fn any_tombstone(&self) -> Result<bool, Interrupted> {
        if self.tombstones_seen.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let any = self.any_document(doc! {}).await?;
        self.tombstones_seen.fetch_or(any, Ordering::Relaxed);
        Ok(any)
    }

    async fn any_mark(&self) -> Result<bool, Interrupted> {
        if self.marks_seen.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let any = self.any_document(doc! { "_id": { "$gte": MARK_PREFIX } }).await?;
        self.marks_seen.fetch_or(any, Ordering::Relaxed);
        Ok(any)
    }

    async fn any_document(&self, filter: BsonDocument) -> Result<bool, Interrupted> {
        let find = doc! {
            "find": TOMBSTONES, "filter": filter, "limit": 1, "singleBatch": true, "projection": { "_id": 1 },
        };
        let find = RawDocumentBuf::try_from(&find).map_err(|_| Trouble::Document(0))?;
        let answer = self.connection.run_in_group(self.connection.database(), find).await?;
        Ok(first_batch(answer).next().is_some())
    }

    /// Takes the keys of erased resources from rejects that were just written: an eraser writes its mark before it
    /// removes the rejects that stand.
    pub(super) async fn unname_erased(&self, rejects: &[&Reject]) -> Result<(), Interrupted> {
        let named: Vec<(&Reject, &str)> =
            rejects.iter().filter_map(|reject| Some((*reject, reject.resource.as_deref()?))).collect();
        if named.is_empty() || !self.any_mark().await? {
            return Ok(());
        }
        let marks = self.connection.known_marks().await?;
        let marked: Vec<(&Reject, String)> =
            named.into_iter().map(|(reject, key)| (reject, marks.of_resource(key))).collect();
        for marked in marked.chunks(super::parts::KEYS_PER_FIND) {
            let ids: Vec<&str> = marked.iter().map(|(_, mark)| mark.as_str()).collect();
            let found = self.versions_under(statements::find_versions(TOMBSTONES, ids.into_iter())).await?;
            let erased: Vec<&Reject> = marked
                .iter()
                .filter(|(_, mark)| found.contains_key(mark))
                .map(|(reject, _)| *reject)
                .collect();
            self.send_all(cut(UPDATE, REJECTS, 0..erased.len(), move |statement, writer| {
                if let Some(reject) = erased.get(statement) {
                    statements::unname(writer, reject);
                }
            }))
            .await?;
        }
        Ok(())
    }

    /// Removes the rejects of the resources that a batch erases.
    pub(super) async fn erase_rejects(&self, batch: &WriteBatch) -> Result<(), Interrupted> {
        let keys: Vec<Bson> = batch.erased_keys().map(Bson::from).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let delete = doc! {
            "delete": REJECTS,
            "deletes": [{ "q": { "resource": { "$in": keys } }, "limit": 0 }],
            "writeConcern": { "w": "majority", "wtimeout": MAJORITY_WITHIN_MS },
        };
        carried_out(&self.connection.answer(&delete).await?)?;
        Ok(())
    }
}

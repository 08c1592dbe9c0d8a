//! The record of an erasure in `_erasures`: who, when, why, and what stood where. It does not say the resource's key.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use pipeline::erasure::ERASURES;

use crate::database::{Database, DatabaseError};
use crate::load::milliseconds_now;

/// Who erases, and why.
#[derive(Debug)]
pub(super) struct Warrant {
    /// The same for all resources of one command.
    command: ObjectId,
    by: Document,
    reason: String,
}

impl Warrant {
    /// Asks the database who is connected and from where. `operator` is the user of this machine.
    pub(super) async fn of(
        database: &Database,
        operator: Option<&str>,
        reason: &str,
    ) -> Result<Self, DatabaseError> {
        let status = database.rows.run_command(doc! { "connectionStatus": 1 }).await?;
        let users = status.get_document("authInfo").and_then(|info| info.get_array("authenticatedUsers"));
        let users = users.map(Vec::as_slice).unwrap_or_default();
        let users: Vec<_> = users.iter().filter_map(Bson::as_document).map(user).collect();
        // Not every server that speaks the protocol has this command.
        let address = database.rows.client().database("admin").run_command(doc! { "whatsmyuri": 1 }).await;
        let address = address.ok().and_then(|answer| answer.get_str("you").ok().map(str::to_owned));
        let by = doc! { "databaseUsers": users, "address": address, "operator": operator };
        Ok(Self { command: ObjectId::new(), by, reason: reason.to_owned() })
    }

    /// Notes that an erasure begins, and returns the `_id` of the record.
    pub(super) async fn begin(
        &self,
        database: &Database,
        mark: &str,
        places: &BTreeMap<String, u64>,
        objects: Vec<Bson>,
    ) -> Result<ObjectId, DatabaseError> {
        let counts: Document = (places.iter())
            .map(|(place, count)| (place.clone(), i64::try_from(*count).unwrap_or(i64::MAX).into()))
            .collect();
        let id = ObjectId::new();
        let record = doc! {
            "_id": id,
            "command": self.command,
            "mark": mark,
            "reason": &self.reason,
            "by": self.by.clone(),
            "begun": now(),
            "counts": counts,
            "objects": objects,
            "program": env!("CARGO_PKG_VERSION"),
        };
        database.rows.collection::<Document>(ERASURES).insert_one(record).await?;
        Ok(id)
    }

    /// Notes on every record of a resource that its mark was taken away.
    pub(super) async fn lift(&self, database: &Database, mark: &str) -> Result<(), DatabaseError> {
        let lifted = doc! { "at": now(), "by": self.by.clone(), "reason": &self.reason };
        let records = database.rows.collection::<Document>(ERASURES);
        let standing = doc! { "mark": mark, "lifted": { "$exists": false } };
        records.update_many(standing, doc! { "$set": { "lifted": lifted } }).await?;
        Ok(())
    }
}

/// Notes that nothing of the resource stands any more.
pub(super) async fn end(database: &Database, record: ObjectId) -> Result<(), DatabaseError> {
    let records = database.rows.collection::<Document>(ERASURES);
    records.update_one(doc! { "_id": record }, doc! { "$set": { "ended": now() } }).await?;
    Ok(())
}

fn user(user: &Document) -> String {
    let text = |name| user.get_str(name).unwrap_or_default();
    format!("{}@{}", text("user"), text("db"))
}

fn now() -> DateTime {
    DateTime::from_millis(milliseconds_now())
}

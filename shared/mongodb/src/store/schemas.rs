//! The SQL schemas of tables, kept in the collection `__sql_schemas` before the documents that need them are written.
//!
//! A writer that is killed between leaves fields that no document has yet: whoever loads the object again writes those
//! documents.

use std::collections::BTreeMap;

use bson::{Bson, Document as BsonDocument, doc};
use tokio::sync::Mutex;

use crate::collections::SQL_SCHEMAS;
use crate::sql_schema::{Additions, KnownSchema, schemas_of, table_document};
use pipeline::batch::WriteBatch;
use pipeline::interrupted::Interrupted;
use pipeline::store::schema::FieldSchema;

use crate::Connection;
use crate::answers::{carried_out, first_batch, met_duplicates};
use crate::codes::DatabaseFault;
use crate::trouble::Trouble;

/// Fields added at once: of several writers at the limit each passes it by so many at most.
const AT_ONCE: usize = 500;
/// How often an update is sent again because another writer inserted or changed the document at the same moment.
const MAX_CONTENTIONS: usize = 10;
/// `BSONObjectTooLarge` and its other codes: the schema has no room for the fields.
const NO_ROOM: [i32; 4] = [10334, 17280, 17419, 17420];

/// What a store knows of the SQL schemas.
#[derive(Debug, Default)]
pub(super) struct SchemaCache {
    is_on: bool,
    /// The schemas as they stood at some moment: they never shrink while writers run.
    known: Mutex<BTreeMap<String, KnownSchema>>,
}

impl SchemaCache {
    /// Prepares to keep a SQL schema for each table, if it is on.
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, known: Mutex::default() }
    }

    /// Adds to the schemas what the documents of a batch need.
    pub(super) async fn extend(
        &self,
        connection: &Connection,
        batch: &WriteBatch,
    ) -> Result<(), Interrupted> {
        if !self.is_on {
            return Ok(());
        }
        let wanted = schemas_of(batch);
        let mut known = self.known.lock().await;
        for (table, wanted) in &wanted {
            let is_up_to_date = known.get(table).is_some_and(|known| {
                let additions = known.additions(wanted, 1);
                additions.is_needless(known)
            });
            if !is_up_to_date {
                let extended = extend_table(connection, table, wanted).await?;
                known.insert(table.clone(), extended);
            }
        }
        Ok(())
    }
}

/// Adds to the schema of a table, some fields at a time, and returns it as it stands then.
async fn extend_table(
    connection: &Connection,
    table: &str,
    wanted: &FieldSchema,
) -> Result<KnownSchema, Interrupted> {
    loop {
        let mut known = read_schema(connection, table).await?;
        let additions = known.additions(wanted, AT_ONCE);
        if additions.is_needless(&known) {
            return Ok(known);
        }
        if !add_to_schema(connection, table, &additions).await? {
            // What this process takes for written is not asked for again.
            known.unite(wanted);
            return Ok(known);
        }
    }
}

/// Sends an update. `false`: the database has no room for it.
async fn add_to_schema(
    connection: &Connection,
    table: &str,
    additions: &Additions,
) -> Result<bool, Interrupted> {
    let command = doc! {
        "update": SQL_SCHEMAS, "updates": [additions.statement(table)],
        "writeConcern": { "w": "majority", "wtimeout": 20_000 },
    };
    for _ in 0..MAX_CONTENTIONS {
        let answer = match connection.answer(&command).await {
            Err(Trouble::Document(code)) if NO_ROOM.contains(&code) => return Ok(false),
            answer => answer?,
        };
        match carried_out(&answer) {
            Err(Trouble::Document(code)) if NO_ROOM.contains(&code) => return Ok(false),
            outcome => outcome?,
        }
        if !met_duplicates(&answer) {
            return Ok(true);
        }
    }
    Err(Interrupted::Write { code: DatabaseFault::OtherWriters.as_str().to_owned() })
}

/// Reads the schema of a table. One that another program has written in another form is brought into this one first.
async fn read_schema(connection: &Connection, table: &str) -> Result<KnownSchema, Interrupted> {
    for _ in 0..MAX_CONTENTIONS {
        let command = doc! {
            "find": SQL_SCHEMAS, "filter": { "_id": table }, "limit": 1, "singleBatch": true,
        };
        let Some(found) = first_batch(connection.answer(&command).await?).next() else {
            return Ok(KnownSchema::default());
        };
        let known = KnownSchema::read(&found);
        let schema = found.get("schema").cloned().unwrap_or(Bson::Null);
        if is_in_this_form(&schema) {
            return Ok(known);
        }
        let own = table_document(table, known.root()).remove("schema");
        let update = doc! {
            "q": { "_id": table, "schema": schema }, "u": { "$set": { "schema": own } },
        };
        let command = doc! {
            "update": SQL_SCHEMAS, "updates": [update],
            "writeConcern": { "w": "majority", "wtimeout": 20_000 },
        };
        carried_out(&connection.answer(&command).await?)?;
    }
    Err(Interrupted::Write { code: DatabaseFault::OtherWriters.as_str().to_owned() })
}

/// Returns whether an update can add to a schema: types stand in arrays, fields in documents.
fn is_in_this_form(schema: &Bson) -> bool {
    let Some(root) = schema.as_document().and_then(|schema| schema.get_document("jsonSchema").ok()) else {
        return false;
    };
    root.get("bsonType").and_then(Bson::as_str).is_some() && is_inside_in_this_form(root)
}

fn is_inside_in_this_form(field: &BsonDocument) -> bool {
    let is_field = |field: &Bson| {
        field.as_document().is_some_and(|field| {
            field.get("bsonType").is_none_or(|types| types.as_array().is_some())
                && is_inside_in_this_form(field)
        })
    };
    let properties = field.get("properties");
    properties.is_none_or(|properties| {
        properties
            .as_document()
            .is_some_and(|properties| properties.iter().all(|(_, property)| is_field(property)))
    }) && field.get("items").is_none_or(is_field)
}

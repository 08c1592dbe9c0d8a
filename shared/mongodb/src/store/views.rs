//! The tables of views: a validator and the indexes that joins need, both from the compiled view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bson::{Document as BsonDocument, doc};
use flatten::view::{Plan, schema};

use pipeline::batch::WriteBatch;
use pipeline::interrupted::Interrupted;

use crate::Connection;
use crate::answers::first_batch;
use crate::trouble::Trouble;

/// What the database does with a document that is not what its view says. Only documents that others write, or that a
/// deployment with another version of the view writes, can be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// Nothing: there is no validator, or it is switched off.
    Off,
    /// It is written, and the server's own log tells of it. That log line quotes the document.
    Warn,
    /// It is refused, and its record becomes a reject.
    #[default]
    Error,
}

/// What is known of the views' tables, and which of them are as they should be.
#[derive(Debug, Default)]
pub(super) struct ViewTables {
    validation: Validation,
    views: BTreeMap<String, ViewTable>,
    ready: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct ViewTable {
    schema: BsonDocument,
    keys: Vec<String>,
}

/// `NamespaceNotFound`, for a collection that is not there yet.
const NOT_THERE: i32 = 26;
/// `NamespaceExists`: another process has just made it.
const IS_THERE: i32 = 48;
/// `IndexOptionsConflict`, `IndexKeySpecsConflict`: a user has made another index there.
const ANOTHER_INDEX: [i32; 2] = [85, 86];

impl ViewTables {
    /// Prepares the tables of these views.
    pub(super) fn new(validation: Validation, plans: &[Arc<Plan>]) -> Self {
        let views = plans.iter().map(|plan| (plan.name().to_owned(), ViewTable::of(plan))).collect();
        Self { validation, views, ready: Mutex::default() }
    }

    /// Sees to the tables of views that a batch can write to, to each once.
    pub(super) async fn prepare(
        &self,
        connection: &Connection,
        batch: &WriteBatch,
    ) -> Result<(), Interrupted> {
        let missing: BTreeSet<&str> = {
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            let tables = batch.resources.iter().flat_map(|resource| resource.tables.iter());
            let tables = tables.map(String::as_str);
            tables.filter(|table| self.views.contains_key(*table) && !ready.contains(*table)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let standing = collection_options(connection, &missing).await?;
        for table in missing {
            self.prepare_view(connection, table, standing.get(table)).await?;
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned());
        }
        Ok(())
    }

    async fn prepare_view(
        &self,
        connection: &Connection,
        table: &str,
        standing: Option<&BsonDocument>,
    ) -> Result<(), Interrupted> {
        let Some(view) = self.views.get(table) else { return Ok(()) };
        if let Some(wanted) = self.wanted(view, standing) {
            validate(connection, table, wanted, standing.is_some()).await?;
        }
        if view.keys.is_empty() {
            return Ok(());
        }
        let index = |key: &String| doc! { "key": { key: 1 }, "name": format!("{key}_1") };
        let indexes: Vec<BsonDocument> = view.keys.iter().map(index).collect();
        match connection.answer(&doc! { "createIndexes": table, "indexes": indexes }).await {
            Err(Trouble::Document(code)) if ANOTHER_INDEX.contains(&code) => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// Returns whether a table is a view's.
    pub(super) fn has(&self, table: &str) -> bool {
        self.views.contains_key(table)
    }

    /// Returns the options that the collection lacks; `None` if it has them all.
    fn wanted(&self, view: &ViewTable, standing: Option<&BsonDocument>) -> Option<BsonDocument> {
        let has = |name: &str| standing.and_then(|options| options.get_str(name).ok());
        let validator = standing.and_then(|options| options.get_document("validator").ok());
        let action = match self.validation {
            Validation::Off if validator.is_none() || has("validationLevel") == Some("off") => return None,
            Validation::Off => return Some(doc! { "validationLevel": "off" }),
            Validation::Warn => "warn",
            Validation::Error => "error",
        };
        let wanted = doc! { "$jsonSchema": view.schema.clone() };
        let stands = validator == Some(&wanted)
            && has("validationLevel").unwrap_or("strict") == "strict"
            && has("validationAction").unwrap_or("error") == action;
        (!stands)
            .then(|| doc! { "validator": wanted, "validationLevel": "strict", "validationAction": action })
    }
}

/// Returns the options of those collections that are there.
async fn collection_options(
    connection: &Connection,
    names: &BTreeSet<&str>,
) -> Result<BTreeMap<String, BsonDocument>, Interrupted> {
    let names: Vec<&str> = names.iter().copied().collect();
    let command = doc! { "listCollections": 1, "filter": { "name": { "$in": names } } };
    let answer = connection.answer(&command).await?;
    let options = first_batch(answer).filter_map(|mut found| {
        let options = found.remove("options").and_then(|options| match options {
            bson::Bson::Document(options) => Some(options),
            _ => None,
        });
        Some((found.get_str("name").ok()?.to_owned(), options.unwrap_or_default()))
    });
    Ok(options.collect())
}

/// Sets the validator of a collection, and makes the collection where it is not there: that needs no right to change
/// collections.
async fn validate(
    connection: &Connection,
    table: &str,
    wanted: BsonDocument,
    stands: bool,
) -> Result<(), Interrupted> {
    let command = |name: &str| {
        let mut command = doc! { name: table };
        command.extend(wanted.clone());
        command
    };
    if stands {
        let changed = connection.answer(&command("collMod")).await;
        if !matches!(changed, Err(Trouble::Document(NOT_THERE))) {
            return Ok(changed.map(drop)?);
        }
    }
    match connection.answer(&command("create")).await {
        Err(Trouble::Document(IS_THERE)) => Ok(connection.answer(&command("collMod")).await.map(drop)?),
        made => Ok(made.map(drop)?),
    }
}

impl ViewTable {
    fn of(plan: &Plan) -> Self {
        let schema = bson::serialize_to_document(&schema::json_schema(plan)).unwrap_or_default();
        Self { schema, keys: plan.key_columns().map(|column| column.name.clone()).collect() }
    }
}

//! References to nothing: each key of a column is sought once, among the keys of all rows of its type.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};
use flatten::model::is_resource_type;
use futures::TryStreamExt as _;
use mongodb::Database;
use pipeline::store::quality::{ReferenceKeyColumn, Share};

use crate::admin::databases::{Databases, table_names, text};
use crate::admin::failure::DriverFailure;

use super::share;

/// Types are found by jumping from one key to the next at most so often. Senders can name any number of types.
const MOST_JUMPS: usize = 1_000;

/// Counts, by type, the keys of a column for which no row stands.
pub(crate) async fn count_dangling(
    databases: &Databases,
    table: &str,
    column: &ReferenceKeyColumn,
) -> Result<BTreeMap<String, Share>, DriverFailure> {
    let tables = names(&databases.rows).await?;
    let mut stages = keys(column);
    for resource_type in types_with_tables(databases, table, column, &tables).await? {
        // The range makes the server read keys alone.
        let of_type =
            doc! { "_id": { "$gte": format!("{resource_type}/"), "$lt": format!("{resource_type}0") } };
        let standing = vec![
            doc! { "$match": of_type },
            doc! { "$project": { "_id": 1, "standing": { "$literal": 1_i64 } } },
        ];
        stages.push(doc! { "$unionWith": { "coll": resource_type, "pipeline": standing } });
    }
    stages.push(doc! { "$group": {
        "_id": "$_id", "rows": { "$sum": "$rows" }, "standing": { "$sum": "$standing" },
    } });
    stages.push(doc! { "$match": { "rows": { "$gt": 0 } } });
    let dangling = doc! { "$cond": [{ "$eq": ["$standing", 0] }, "$rows", 0] };
    stages.push(doc! { "$group": {
        "_id": type_of("$_id"), "count": { "$sum": dangling }, "of": { "$sum": "$rows" },
    } });
    let archived = names(&databases.archive).await?;
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    let mut found = databases.own(table).aggregate(stages).allow_disk_use(true).await?;
    while let Some(found) = found.try_next().await? {
        let Some(name) = text(&found, "_id") else { continue };
        let is_known = is_resource_type(&name) || tables.contains(&name) || archived.contains(&name);
        *shares.entry(if is_known { name } else { String::new() }).or_default() += share(&found);
    }
    Ok(shares)
}

async fn names(database: &Database) -> Result<BTreeSet<String>, DriverFailure> {
    Ok(table_names(database).await?.into_iter().collect())
}

/// Returns the types that the keys of a column begin with, as far as they have a table.
async fn types_with_tables(
    databases: &Databases,
    table: &str,
    column: &ReferenceKeyColumn,
    tables: &BTreeSet<String>,
) -> Result<BTreeSet<String>, DriverFailure> {
    if is_single(column)
        && let Some(mut types) = types_in_order(databases, table, &column.0).await?
    {
        types.retain(|name| tables.contains(name));
        return Ok(types);
    }
    let mut stages = keys(column);
    stages.push(doc! { "$group": { "_id": type_of("$_id") } });
    let mut types = BTreeSet::new();
    let mut found = databases.own(table).aggregate(stages).allow_disk_use(true).await?;
    while let Some(found) = found.try_next().await? {
        types.extend(text(&found, "_id").filter(|name| tables.contains(name)));
    }
    Ok(types)
}

/// Returns whether a row has one key in the column at most.
fn is_single(column: &ReferenceKeyColumn) -> bool {
    !column.0.contains('.') && !column.0.ends_with("keys")
}

/// Returns the expression of the type that a key begins with.
fn type_of(key: &str) -> Document {
    doc! { "$arrayElemAt": [{ "$split": [key, "/"] }, 0] }
}

/// Returns the types of the keys in a column by jumping from one to the next: where the column has an index, no row is
/// read. `None`: that takes too many jumps.
async fn types_in_order(
    databases: &Databases,
    table: &str,
    column: &str,
) -> Result<Option<BTreeSet<String>>, DriverFailure> {
    let (mut types, mut behind) = (BTreeSet::new(), String::new());
    for _ in 0..MOST_JUMPS {
        let (mut filter, mut only, mut order) = (Document::new(), doc! { "_id": 0 }, Document::new());
        filter.insert(column, doc! { "$gt": &behind });
        only.insert(column, 1);
        order.insert(column, 1);
        let next = databases.own(table).find_one(filter).projection(only).sort(order).await?;
        let Some(key) = next.and_then(|row| text(&row, column)) else { return Ok(Some(types)) };
        match key.split_once('/') {
            // `0` follows `/`.
            Some((resource_type, _)) => {
                behind = format!("{resource_type}0");
                types.insert(resource_type.to_owned());
            }
            None => behind = key,
        }
    }
    Ok(None)
}

/// Returns the stages that bring each key of a column, without those of contained resources, with the number of its rows
/// or records. A key may come several times.
fn keys(column: &ReferenceKeyColumn) -> Vec<Document> {
    let path = &*column.0;
    let mut stages = Vec::new();
    if is_single(column) {
        // An index of the column has all that is needed; that of a list has not.
        stages.push(
            doc! { "$match": Document::from_iter([(path.to_owned(), Bson::from(doc! { "$gt": "" }))]) },
        );
    }
    stages.push(doc! { "$group": { "_id": format!("${path}"), "rows": { "$sum": 1_i64 } } });
    if !is_single(column) {
        // A value that is not a list is left as it is.
        stages.extend(path.split('.').map(|_| doc! { "$unwind": "$_id" }));
    }
    stages.push(doc! { "$match": { "_id": { "$type": "string", "$regex": "^[^#/]*/[^#]*$" } } });
    stages
}
